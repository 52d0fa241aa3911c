/* NAT as an instruction: an experimenter action of raicho that names a NAT and a direction. */

#include <string.h>

#include "bridge.h"
#include "bytes.h"
#include "dataplane.h"
#include "nat.h"
#include "program.h"
#include "worker.h"

/* type, len, experimenter, subtype, direction at 10, the NAT's number at 12. */
enum { DIRECTION_AT = 10, NUMBER_AT = 12, ACTION_SIZE = 16 };

static bool
is_alike(const struct insn *insn, const struct packet *a, const struct packet *b)
{
    return !memcmp(insn_args(insn, a) + DIRECTION_AT, insn_args(insn, b) + DIRECTION_AT,
                   ACTION_SIZE - DIRECTION_AT);
}

static bool
is_ending(const struct insn *insn)
{
    return insn->op == OP_action_set || insn->op == OP_done || insn->op == OP_tables
           || insn->op == OP_template || insn->op == OP_goto_table;
}

/* Does to packets that have joined the vector what the rest of the program says. */
static void
run_rest(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    do {
        insn++;
        n = op_table[insn->op].run(worker, insn, packets, n);
    } while (n && !is_ending(insn));
    if (n) {
        bridge_resubmit(worker, packet_walk(packets[0])->bridge, packets, n);
    }
}

/* Translates packets that go through one NAT; returns how many are left of them. */
static unsigned
run_one(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    const uint8_t *args = insn_args(insn, packets[0]);
    enum nat_direction direction = args[DIRECTION_AT] ? NAT_IN : NAT_OUT;
    struct nat *nat = dataplane_nat(worker->dataplane, get_be32(args + NUMBER_AT));
    struct packet *some[PACKET_VECTOR];

    if (!nat) {
        worker_drop(worker, packets, n, DROP_nat_protocol);
        return 0;
    }
    memcpy(some, packets, n * sizeof *some);

    unsigned left = nat_translate(nat, worker, some, n, PACKET_VECTOR, direction);
    unsigned own = left < n ? left : n;

    memcpy(packets, some, own * sizeof *some);
    if (left > own) {
        run_rest(worker, insn, some + own, left - own);
    }
    return own;
}

unsigned
op_nat(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    unsigned kept = 0;

    for (unsigned i = 0, run; i < n; i += run) {
        for (run = 1; i + run < n && is_alike(insn, packets[i], packets[i + run]); run++) {
            continue;
        }

        unsigned left = run_one(worker, insn, packets + i, run);

        memmove(packets + kept, packets + i, left * sizeof *packets);
        kept += left;
    }
    return kept;
}
