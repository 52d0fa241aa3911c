/* Instructions of plug-ins: what they see of packets, and what becomes of what they say (raicho_instruction.h). */

#include "program.h"
#include "raicho_instruction.h"
#include "rewrite.h"
#include "worker.h"

/* struct rch_action_native: type, len, experimenter, subtype, the arguments at 10. */
enum { ARGS_AT = 10 };

_Static_assert((int) RAICHO_VECTOR == (int) PACKET_VECTOR && (int) RAICHO_NO_OFFSET == (int) NO_OFFSET,
               "told to plug-ins");

static void
show(const struct insn *insn, struct packet *packet, struct raicho_packet *view)
{
    packet_refresh(packet);
    *view = (struct raicho_packet) {
        .data = packet->data, .l3 = packet->l3, .l4 = packet->l4, .len = packet->len,
        .in_port = packet->in_port, .metadata = packet_walk(packet)->key.word[W_METADATA],
        .args = insn_args(insn, packet) + ARGS_AT,
    };
}

static void
take_over(struct packet *packet, const struct raicho_packet *view)
{
    packet_walk(packet)->key.word[W_METADATA] = view->metadata;
    if (view->written) {
        packet->stale = STALE_KEY | STALE_LAYOUT;
    }
}

unsigned
op_native(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    struct raicho_packet views[PACKET_VECTOR];
    unsigned kept = 0;

    for (unsigned i = 0; i < n; i++) {
        show(insn, packets[i], &views[i]);
    }
    insn->native->run(views, n);
    for (unsigned i = 0; i < n; i++) {
        struct packet *packet = packets[i];

        take_over(packet, &views[i]);
        if (views[i].verdict == RAICHO_GO_ON) {
            packets[kept++] = packet;
        } else {
            worker_drop(worker, &packet, 1, DROP_plugin);
        }
    }
    return kept;
}
