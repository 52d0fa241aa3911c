/* The way of packets through the tables of a bridge.
 *
 * How
 * ===
 * All packets of a vector that are in one table are looked up together, and
 * those whose entries have the same program run through it together.  Packets
 * that a goto-table sends on wait until their table is the lowest that any of
 * them is in; goto-table leads only forward, so every table is visited once. */

#include <string.h>

#include "bridge.h"
#include "worker.h"

/* Counts what each packet met, once for packets in a row that met the same, and gives it the
 * entry's arguments.  Returns whether all entries have one program. */
static bool
enter_entries(struct worker *worker, struct packet **packets, const struct flow *const *flows,
              unsigned n)
{
    const struct program *program = flows[0]->program;
    bool one_program = true;

    for (unsigned i = 0; i < n;) {
        const struct flow *flow = flows[i];
        const uint8_t *args = flow_args(flow);
        uint64_t bytes = 0;
        unsigned first = i;

        for (; i < n && flows[i] == flow; i++) {
            bytes += packets[i]->len;
            packets[i]->args = args;
            packet_walk(packets[i])->flow = flow;
        }
        one_program &= flow->program == program;
        counter_add(&worker->counters, flow->counter, i - first, bytes, worker->now_ms);
    }
    return one_program;
}

/* Takes the packets whose entry has 'program' out of both lists, in order. */
static unsigned
take_program(const struct program *program, struct packet **packets, const struct flow **flows,
             unsigned *n, struct packet **taken)
{
    unsigned n_taken = 0, kept = 0;

    for (unsigned i = 0; i < *n; i++) {
        if (flows[i]->program == program) {
            taken[n_taken++] = packets[i];
        } else {
            packets[kept] = packets[i];
            flows[kept++] = flows[i];
        }
    }
    *n = kept;
    return n_taken;
}

/* Runs the programs of the entries; packets that go on are left in 'packets'. */
static unsigned
run_entries(struct worker *worker, struct packet **packets, const struct flow **flows, unsigned n)
{
    struct packet *taken[PACKET_VECTOR], *going_on[PACKET_VECTOR];
    unsigned n_going_on = 0;

    if (!n) {
        return 0;
    }
    if (enter_entries(worker, packets, flows, n)) {
        return program_run(worker, flows[0]->program, packets, n);
    }
    while (n) {
        const struct program *program = flows[0]->program;
        unsigned n_taken = take_program(program, packets, flows, &n, taken);

        n_taken = program_run(worker, program, taken, n_taken);
        for (unsigned i = 0; i < n_taken; i++) {
            going_on[n_going_on++] = taken[i];
        }
    }
    for (unsigned i = 0; i < n_going_on; i++) {
        packets[i] = going_on[i];
    }
    return n_going_on;
}

/* Ends packets without an entry.  One that a resubmit holds is just left alone, and one that a
 * resubmit at the end of a list has led here has its action set carried out, as if it had come back. */
static void
end_missed(struct worker *worker, struct packet **packets, unsigned n)
{
    struct packet *back[PACKET_VECTOR];
    unsigned n_back = 0, kept = 0;

    for (unsigned i = 0; i < n; i++) {
        const struct walk *walk = packet_walk(packets[i]);

        if (walk->left_home && walk->n_blocks) {
            back[n_back++] = packets[i];
        } else if (!walk->held) {
            packets[kept++] = packets[i];
        }
    }
    worker_drop(worker, packets, kept, DROP_no_entry);
    if (n_back) {
        op_action_set(worker, NULL, back, n_back);
    }
}

/* Takes packets without an entry out and ends them; returns how many have one.  Asks the cache for
 * the counters of their entries. */
static unsigned
drop_misses(struct worker *worker, struct packet **packets, const struct flow **flows, unsigned n)
{
    struct packet *missed[PACKET_VECTOR];
    unsigned n_missed = 0, kept = 0;

    while (kept < n && flows[kept]) {
        __builtin_prefetch(counter_at(&worker->counters, flows[kept++]->counter), 1);
    }
    for (unsigned i = kept; i < n; i++) {
        if (flows[i]) {
            packets[kept] = packets[i];
            flows[kept++] = flows[i];
        } else {
            missed[n_missed++] = packets[i];
        }
    }
    if (n_missed) {
        end_missed(worker, missed, n_missed);
    }
    return kept;
}

/* Tells the result cache what packets meet whose way it is to remember.  Of a template, the version
 * that runs is told when it runs (op_template.c). */
static void
note_entries(struct packet *const *packets, const struct flow *const *flows, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (packet_walk(packets[i])->recording && !program_template(flows[i]->program)) {
            cache_meet(packets[i], flows[i], packet_walk(packets[i])->table, flows[i]->program,
                       flow_args(flows[i]));
        }
    }
}

/* A resubmit may look a packet up as another port's, but only that once. */
static void
restore_ports(struct packet *const *packets, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint64_t *word = &packet_walk(packets[i])->key.word[W_PORT];

        *word = (*word & UINT32_MAX) | (uint64_t) packets[i]->in_port << 32;
    }
}

static unsigned
walk_table(struct worker *worker, struct bridge *bridge, unsigned id, struct packet **packets,
           unsigned n, bool resubmitted)
{
    const struct flow_key *keys[PACKET_VECTOR];
    const struct flow *flows[PACKET_VECTOR];
    const struct flow_table *table = &bridge->tables[id];

    for (unsigned i = 0; i < n; i++) {
        packet_refresh(packets[i]);
        packet_walk(packets[i])->table = id;
        keys[i] = &packet_walk(packets[i])->key;
    }
    profile_enter(&worker->profile, STAGE_lookup);
    table_lookup(&table->table, keys, n, flows);
    uint64_t cycles = profile_enter(&worker->profile, STAGE_actions);
    /* What it cost stands where counters have bytes, and how many packets that was about. */
    uint64_t measured = cycles ? n : 0;
    counter_add(&worker->counters, table->lookups, n, cycles, worker->now_ms);
    worker->lookups += n;
    if (resubmitted) {
        restore_ports(packets, n);
    }
    n = drop_misses(worker, packets, flows, n);
    counter_add(&worker->counters, table->matches, n, measured, worker->now_ms);
    if (worker->cache.n_recordings) {
        note_entries(packets, flows, n);
    }
    return run_entries(worker, packets, flows, n);
}

static unsigned
lowest_table(struct packet *const *packets, unsigned n)
{
    unsigned lowest = BRIDGE_TABLES;

    for (unsigned i = 0; i < n; i++) {
        unsigned table = packet_walk(packets[i])->table;
        lowest = table < lowest ? table : lowest;
    }
    return lowest;
}

/* Moves the packets that are not in table 'id' from 'packets' to 'later'. */
static unsigned
set_apart(struct packet **packets, unsigned *n, unsigned id, struct packet **later)
{
    unsigned n_later = 0, kept = 0;

    for (unsigned i = 0; i < *n; i++) {
        if (packet_walk(packets[i])->table == id) {
            packets[kept++] = packets[i];
        } else {
            later[n_later++] = packets[i];
        }
    }
    *n = kept;
    return n_later;
}

void
bridge_walk_on(struct worker *worker, struct bridge *bridge, struct packet **here, unsigned n)
{
    struct packet *later[PACKET_VECTOR];

    while (n) {
        unsigned id = lowest_table(here, n);
        unsigned n_later = set_apart(here, &n, id, later);

        n = walk_table(worker, bridge, id, here, n, false);
        for (unsigned i = 0; i < n_later; i++) {
            here[n++] = later[i];
        }
    }
}

void
bridge_walk(struct worker *worker, struct bridge *bridge, struct packet **packets, unsigned n,
            unsigned table)
{
    struct packet *here[PACKET_VECTOR];

    memcpy(here, packets, n * sizeof here[0]);
    n = walk_table(worker, bridge, table, here, n, false);
    bridge_walk_on(worker, bridge, here, n);
}

void
bridge_resubmit(struct worker *worker, struct bridge *bridge, struct packet *const *packets,
                unsigned n)
{
    struct packet *rest[PACKET_VECTOR], *here[PACKET_VECTOR];

    memcpy(rest, packets, n * sizeof rest[0]);
    while (n) {
        unsigned id = packet_walk(rest[0])->table, n_here = n;

        memcpy(here, rest, n * sizeof here[0]);
        n = set_apart(here, &n_here, id, rest);
        n_here = walk_table(worker, bridge, id, here, n_here, true);
        bridge_walk_on(worker, bridge, here, n_here);
    }
}
