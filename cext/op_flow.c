/* Instructions of flow entries: metadata, the action set, going on and ending. */

#include <string.h>

#include "bridge.h"
#include "bytes.h"
#include "field.h"
#include "worker.h"

/* struct ofp_instruction_goto_table: type, len, table_id. */
unsigned
op_goto_table(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    (void) worker;
    for (unsigned i = 0; i < n; i++) {
        packet_walk(packets[i])->table = insn_args(insn, packets[i])[4];
    }
    return n;
}

/* struct ofp_instruction_write_metadata: type, len, pad[4], metadata, metadata_mask. */
unsigned
op_write_metadata(struct worker *worker, const struct insn *insn, struct packet **packets,
                  unsigned n)
{
    (void) worker;
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *args = insn_args(insn, packets[i]);
        uint64_t *metadata = &packet_walk(packets[i])->key.word[W_METADATA];
        uint64_t value = get_be64(args + 8), mask = get_be64(args + 16);

        *metadata = (*metadata & ~mask) | (value & mask);
    }
    return n;
}

/* struct ofp_action_set_queue: type, len, queue_id. */
unsigned
op_set_queue(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    (void) worker;
    for (unsigned i = 0; i < n; i++) {
        packets[i]->out_queue = get_be32(insn_args(insn, packets[i]) + 4);
    }
    return n;
}

/* --- The action set ---------------------------------------------------------------- */

/* Kinds of actions, each of which is in an action set at most once: every
 * instruction, and for set-field every field. */
enum { N_KINDS = N_OPS + N_FIELDS };

static unsigned
insn_kind(const struct insn *insn)
{
    return insn->op == OP_set_field ? N_OPS + insn->field : insn->op;
}

/* Drops the blocks all of whose actions later blocks have too.  There are
 * fewer kinds of actions that can be in a set than blocks, so some always go
 * when the list is full. */
static void
forget_overridden(struct walk *walk)
{
    bool later[N_KINDS] = { false };
    unsigned kept = ACTION_SET_BLOCKS;

    for (unsigned i = walk->n_blocks; i-- > 0;) {
        const struct program *program = walk->blocks[i].program;
        bool needed = false;

        for (unsigned j = 0; j + 1 < program->n; j++) {
            unsigned kind = insn_kind(&program->insns[j]);
            needed |= !later[kind];
            later[kind] = true;
        }
        if (needed) {
            walk->blocks[--kept] = walk->blocks[i];
        }
    }
    walk->n_blocks = ACTION_SET_BLOCKS - kept;
    memmove(walk->blocks, walk->blocks + kept, walk->n_blocks * sizeof walk->blocks[0]);
}

_Static_assert(OP_goto_table + N_FIELDS < ACTION_SET_BLOCKS, "see forget_overridden()");

unsigned
op_write_actions(struct worker *worker, const struct insn *insn, struct packet **packets,
                 unsigned n)
{
    (void) worker;
    for (unsigned i = 0; i < n; i++) {
        struct walk *walk = packet_walk(packets[i]);

        if (walk->n_blocks == ACTION_SET_BLOCKS) {
            forget_overridden(walk);
        }
        walk->blocks[walk->n_blocks++] = (struct action_block) { insn->sub, packets[i]->args };
    }
    return n;
}

unsigned
op_clear_actions(struct worker *worker, const struct insn *insn, struct packet **packets,
                 unsigned n)
{
    (void) worker;
    (void) insn;
    for (unsigned i = 0; i < n; i++) {
        packet_walk(packets[i])->n_blocks = 0;
    }
    return n;
}

/* An action of a merged set, and where its arguments count from. */
struct set_action {
    const struct insn *insn;
    const uint8_t *args;
};

/* Collects the last action of each kind, in the order of the action set.  An
 * output beside a group is left out.  Returns how many. */
static unsigned
merge_blocks(const struct walk *walk, struct set_action actions[N_KINDS])
{
    struct set_action by_kind[N_KINDS] = { { NULL, NULL } };
    unsigned n = 0;

    for (unsigned i = 0; i < walk->n_blocks; i++) {
        const struct action_block *block = &walk->blocks[i];
        for (unsigned j = 0; j + 1 < block->program->n; j++) {
            const struct insn *insn = &block->program->insns[j];
            by_kind[insn_kind(insn)] = (struct set_action) { insn, block->args };
        }
    }
    if (by_kind[OP_group].insn) {
        by_kind[OP_output].insn = NULL;
    }
    for (unsigned order = 0; order < SET_NEVER; order++) {
        for (unsigned kind = 0; kind < N_KINDS; kind++) {
            const struct insn *insn = by_kind[kind].insn;
            if (insn && op_table[insn->op].order == order) {
                actions[n++] = by_kind[kind];
            }
        }
    }
    return n;
}

/* Runs the set of a packet that met several write-actions. */
static void
run_merged(struct worker *worker, struct packet *packet)
{
    struct walk *walk = packet_walk(packet);
    struct set_action actions[N_KINDS];
    unsigned n_actions = merge_blocks(walk, actions), n = 1;

    walk->n_blocks = 0;
    for (unsigned i = 0; i < n_actions && n; i++) {
        struct insn insn = *actions[i].insn;

        insn.flags = i + 1 == n_actions ? INSN_LAST : 0;
        packet->args = actions[i].args;
        n = op_table[insn.op].run(worker, &insn, &packet, n);
    }
    worker_end(worker, &packet, n);
}

/* Runs the sets of packets that met one write-actions each, those of one program together. */
static void
run_single(struct worker *worker, struct packet **packets, unsigned n)
{
    struct packet *taken[PACKET_VECTOR];

    while (n) {
        const struct program *program = packet_walk(packets[0])->blocks[0].program;
        unsigned n_taken = 0, kept = 0;

        for (unsigned i = 0; i < n; i++) {
            struct walk *walk = packet_walk(packets[i]);
            if (walk->blocks[0].program == program) {
                packets[i]->args = walk->blocks[0].args;
                walk->n_blocks = 0;
                taken[n_taken++] = packets[i];
            } else {
                packets[kept++] = packets[i];
            }
        }
        n = kept;
        program_run(worker, program, taken, n_taken);
    }
}

unsigned
op_action_set(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    struct packet *single[PACKET_VECTOR], *without[PACKET_VECTOR];
    unsigned n_single = 0, n_without = 0;

    (void) insn;
    for (unsigned i = 0; i < n; i++) {
        struct walk *walk = packet_walk(packets[i]);
        unsigned n_blocks = walk->n_blocks;

        if (walk->held) {
            continue;           /* Who resubmitted it carries the set out. */
        }
        if (walk->left_home) {
            walk->left_home = false;
            walk->flow = walk->home;
            walk->table = walk->home_table;
        }
        if (n_blocks == 0) {
            without[n_without++] = packets[i];
        } else if (n_blocks == 1) {
            single[n_single++] = packets[i];
        } else {
            run_merged(worker, packets[i]);
        }
    }
    run_single(worker, single, n_single);
    worker_end(worker, without, n_without);
    return 0;
}

/* --- Beginning and ending -------------------------------------------------------------- */

/* Only what a resubmit led to can have left an action set here. */
unsigned
op_done(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    return op_action_set(worker, insn, packets, n);
}

/* Leaves only packets that are no fragments; drops the others. */
static unsigned
drop_fragments(struct worker *worker, struct packet **packets, unsigned n)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < n; i++) {
        packet_refresh(packets[i]);
        if (packet_walk(packets[i])->key.word[W_L4] & FRAG_ANY) {
            worker_drop(worker, &packets[i], 1, DROP_fragment);
        } else {
            packets[kept++] = packets[i];
        }
    }
    return kept;
}

/* The packets of a vector are all in one bridge. */
unsigned
op_tables(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    struct bridge *bridge = packet_walk(packets[0])->bridge;

    if (atomic_load_explicit(&bridge->standalone, memory_order_relaxed)) {
        return op_bridge(worker, insn, packets, n);
    }
    if (atomic_load_explicit(&bridge->frag_mode, memory_order_relaxed) == FRAG_DROP) {
        n = drop_fragments(worker, packets, n);
    }
    if (n) {
        bridge_enter(worker, bridge, packets, n);
    }
    return 0;
}
