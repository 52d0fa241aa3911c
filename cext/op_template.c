/* The instruction of entries that refer to a template. */

#include "table.h"
#include "template.h"
#include "worker.h"

/* Points packets to where the bytes of the next instructions are. */
static void
point(const struct template_version *version, bool own, struct packet **packets, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        packets[i]->args = own ? flow_args(packet_walk(packets[i])->flow) : version->bytes;
    }
}

unsigned
op_template(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    const struct template_version *version = atomic_load_explicit(&insn->template->version,
                                                                  memory_order_acquire);
    unsigned first = 0;

    for (unsigned i = 0; i < version->n_stretches && n; i++) {
        const struct stretch *stretch = &version->stretches[i];

        if (i || !stretch->own) {
            point(version, stretch->own, packets, n);
        }
        n = program_run_part(worker, version->program, first, stretch->end, packets, n);
        first = stretch->end;
    }
    return n;
}
