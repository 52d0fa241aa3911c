/* The instructions of entries that refer to a template, and of ports whose packets start in one. */

#include "cache.h"
#include "table.h"
#include "template.h"
#include "worker.h"

/* Tells the result cache which version packets meet, if it remembers their way. */
static void
note_version(const struct template_version *version, struct packet *const *packets, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct walk *walk = packet_walk(packets[i]);

        if (walk->recording) {
            cache_meet(packets[i], walk->flow, walk->table, version->program,
                       version->own_end ? packets[i]->args : version->bytes);
        }
    }
}

unsigned
op_template(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    const struct template_version *version = atomic_load_explicit(&insn->template->version,
                                                                  memory_order_acquire);

    if (worker->cache.n_recordings) {
        note_version(version, packets, n);
    }
    return program_run(worker, version->program, packets, n);
}

/* Takes packets that no entry was asked about; those that go on do so in the tables. */
unsigned
op_start(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    const struct template_version *version = atomic_load_explicit(&insn->template->version,
                                                                  memory_order_acquire);
    struct bridge *bridge = packet_walk(packets[0])->bridge;

    n = program_run(worker, version->program, packets, n);
    bridge_walk_on(worker, bridge, packets, n);
    return 0;
}

unsigned
op_closed(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    (void) insn;
    worker_drop(worker, packets, n, DROP_no_program);
    return 0;
}

unsigned
op_point(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    (void) worker;
    for (unsigned i = 0; i < n; i++) {
        packets[i]->args = insn->bytes ? insn->bytes : flow_args(packet_walk(packets[i])->flow);
    }
    return n;
}
