/* Resubmit: a table is looked up in the middle of an action list, like a subroutine.
 *
 * How
 * ===
 * Packets that have more to do behind it are held while the entries of the other table run: these
 * send copies, and whatever ends a packet leaves a held one alone.  What the entries change in the
 * packet, its registers, stack and action set stays.  A packet with nothing more to do just goes on
 * in the other table. */

#include "bridge.h"
#include "bytes.h"
#include "program.h"
#include "worker.h"

/* struct nx_action_resubmit: type, len, vendor, subtype, in_port at 10, table at 12. */
enum { IN_PORT_AT = 10, TABLE_AT = 12, SAME_PORT = 0xfff8, SAME_TABLE = 0xff, NXAST_RESUBMIT = 1 };

/* What a packet gets back when the resubmit is over. */
struct saved {
    const uint8_t *args;
    const struct flow *flow;
    uint8_t table;
};

/* Sets where the packet is looked up, and as which port's. */
static void
aim(const struct insn *insn, struct packet *packet)
{
    const uint8_t *args = insn_args(insn, packet);
    struct walk *walk = packet_walk(packet);
    uint64_t port = get_be16(args + IN_PORT_AT);
    uint64_t *word = &walk->key.word[W_PORT];

    if (get_be16(args + 8) != NXAST_RESUBMIT && args[TABLE_AT] != SAME_TABLE) {
        walk->table = args[TABLE_AT];
    }
    if (port != SAME_PORT) {
        *word = (*word & UINT32_MAX) | (port < 0xff00 ? port : port | 0xffff0000) << 32;
    }
    walk->resubmits++;
}

/* Leaves only packets that are not too deep inside resubmits, or have met too many; drops the others. */
static unsigned
drop_deep(struct worker *worker, struct packet **packets, unsigned n)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < n; i++) {
        if (packet_walk(packets[i])->resubmits < RESUBMIT_DEPTH && worker->resubmits_left) {
            worker->resubmits_left--;
            packets[kept++] = packets[i];
        } else {
            worker_drop(worker, &packets[i], 1, DROP_depth);
        }
    }
    return kept;
}

static struct saved
hold(struct packet *packet)
{
    struct walk *walk = packet_walk(packet);

    walk->held++;
    return (struct saved) { packet->args, walk->flow, walk->table };
}

/* Returns false if the packet was dropped meanwhile. */
static bool
unhold(struct worker *worker, struct packet *packet, const struct saved *saved)
{
    struct walk *walk = packet_walk(packet);

    packet->args = saved->args;
    walk->flow = saved->flow;
    walk->table = saved->table;
    walk->resubmits--;
    walk->held--;
    if (!walk->gone) {
        return true;
    }

    enum drop_reason reason = (enum drop_reason)(walk->gone - 1);

    walk->gone = 0;
    worker_drop(worker, &packet, 1, reason);
    return false;
}

/* Takes packets that are needed afterwards to the other table and back. */
static unsigned
visit(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    struct saved saved[PACKET_VECTOR];
    unsigned kept = 0;

    for (unsigned i = 0; i < n; i++) {
        saved[i] = hold(packets[i]);
        aim(insn, packets[i]);
    }
    if (n) {
        bridge_resubmit(worker, packet_walk(packets[0])->bridge, packets, n);
    }
    for (unsigned i = 0; i < n; i++) {
        if (unhold(worker, packets[i], &saved[i])) {
            packets[kept++] = packets[i];
        }
    }
    return kept;
}

/* Notes where a packet that does not come back came from. */
static void
leave(struct packet *packet)
{
    struct walk *walk = packet_walk(packet);

    if (!walk->left_home) {
        walk->left_home = true;
        walk->home = walk->flow;
        walk->home_table = walk->table;
    }
}

unsigned
op_resubmit(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    struct packet *leaving[PACKET_VECTOR];
    unsigned n_leaving = 0, kept = 0;

    n = drop_deep(worker, packets, n);
    for (unsigned i = 0; i < n; i++) {
        if (packet_stays(insn, packets[i])) {
            packets[kept++] = packets[i];
        } else {
            leave(packets[i]);
            aim(insn, packets[i]);
            leaving[n_leaving++] = packets[i];
        }
    }
    kept = visit(worker, insn, packets, kept);
    if (n_leaving) {
        bridge_resubmit(worker, packet_walk(leaving[0])->bridge, leaving, n_leaving);
    }
    return kept;
}
