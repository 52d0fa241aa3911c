/* Packets whose way through the tables is known (cache.h), and those whose way is to be remembered.
 *
 * How
 * ===
 * Entries that only lead to the next table are counted and nothing else; the programs of the others
 * run step by step, over all packets of the vector that are at the same one.  Entries are counted
 * before the program behind them runs, with the length that the packet has there. */

#include <string.h>

#include "bridge.h"
#include "bridge_private.h"
#include "cache.h"
#include "cycles.h"
#include "worker.h"

/* The entries that a packet meets before step 's' runs: from here, */
static inline unsigned
first_before(const struct shape *shape, unsigned s)
{
    return s ? shape->behind[s - 1] : 0;
}

/* up to here. */
static inline unsigned
end_before(const struct shape *shape, unsigned s)
{
    return s < shape->n_steps ? shape->behind[s] : shape->n_tables;
}

/* Asks the cache for the counters of all entries, once for packets in a row that meet the same. */
static void
prefetch_counters(const struct worker *worker, struct packet *const *packets, unsigned n)
{
    const struct trace *before = NULL;

    for (unsigned i = 0; i < n; i++) {
        const struct trace *trace = packet_walk(packets[i])->trace;

        for (unsigned nth = 0; nth < trace->shape.n_tables; nth++) {
            if (!before || trace->counter[nth] != before->counter[nth]) {
                __builtin_prefetch(counter_at(&worker->counters, trace->counter[nth]), 1);
            }
        }
        before = trace;
    }
}

/* The traces of packets at the same stage, and their bytes. */
struct met {
    unsigned n;
    uint64_t bytes;
    const struct trace *traces[PACKET_VECTOR];
    uint32_t lens[PACKET_VECTOR];
};

static void
gather(struct met *met, struct packet *const *packets, unsigned n)
{
    met->n = n;
    met->bytes = 0;
    for (unsigned i = 0; i < n; i++) {
        met->traces[i] = packet_walk(packets[i])->trace;
        met->lens[i] = packets[i]->len;
        met->bytes += packets[i]->len;
    }
}

/* Counts entry number 'nth' of packets: most often it is the same one, or they are all different. */
static void
count_entry(struct worker *worker, const struct met *met, unsigned nth)
{
    uint32_t first = met->traces[0]->counter[nth], differ = 0;

    for (unsigned i = 0; i < met->n; i++) {
        differ |= met->traces[i]->counter[nth] ^ first;
    }
    if (!differ) {
        counter_add(&worker->counters, first, met->n, met->bytes, worker->now_ms);
        return;
    }
    for (unsigned i = 0; i < met->n; i++) {
        counter_add(&worker->counters, met->traces[i]->counter[nth], 1, met->lens[i],
                    worker->now_ms);
    }
}

/* Counts the tables in which packets met entry number 'nth': it is the same one for most. */
static void
count_tables(struct worker *worker, const struct bridge *bridge, const struct met *met,
             unsigned nth)
{
    for (unsigned i = 0; i < met->n;) {
        unsigned first = i, id = met->traces[i]->table[nth];
        const struct flow_table *table = &bridge->tables[id];

        while (i < met->n && met->traces[i]->table[nth] == id) {
            i++;
        }
        counter_add(&worker->counters, table->lookups, i - first, 0, worker->now_ms);
        counter_add(&worker->counters, table->matches, i - first, 0, worker->now_ms);
    }
}

/* Packets with the same step 's' and the same number of entries before it. */
struct stage {
    struct shape shape;
    const struct program *program;      /* Of the step; null: they have no such step. */
};

static inline struct stage
stage_of(const struct packet *packet, unsigned s)
{
    const struct trace *trace = packet_walk(packet)->trace;

    return (struct stage) { trace->shape,
                            s < trace->shape.n_steps ? trace->steps[s].program : NULL };
}

static inline bool
is_at(const struct stage *stage, const struct packet *packet, unsigned s)
{
    struct stage own = stage_of(packet, s);

    return own.program == stage->program && !memcmp(&own.shape, &stage->shape, sizeof own.shape);
}

/* Moves the packets of a stage from 'packets' to 'taken', in order. */
static unsigned
take_stage(const struct stage *stage, unsigned s, struct packet **packets, unsigned *n,
           struct packet **taken)
{
    unsigned n_taken = 0, kept = 0;

    for (unsigned i = 0; i < *n; i++) {
        if (is_at(stage, packets[i], s)) {
            taken[n_taken++] = packets[i];
        } else {
            packets[kept++] = packets[i];
        }
    }
    *n = kept;
    return n_taken;
}

/* Gives packets the entry and the arguments of their step. */
static void
aim(struct packet *const *packets, unsigned n, unsigned s)
{
    for (unsigned i = 0; i < n; i++) {
        struct walk *walk = packet_walk(packets[i]);
        const struct trace *trace = walk->trace;

        packets[i]->args = step_args(&trace->steps[s]);
        walk->flow = step_flow(&trace->steps[s]);
        walk->table = trace->table[trace->shape.behind[s] - 1];
    }
}

/* Leads packets behind the end of their traces on through the tables. */
static void
leave_traces(struct worker *worker, struct bridge *bridge, struct packet **packets, unsigned n,
             unsigned next_table)
{
    for (unsigned i = 0; next_table && i < n; i++) {
        packet_walk(packets[i])->table = next_table;
    }
    bridge_walk_on(worker, bridge, packets, n);
}

/* Step 's' of the packets at one stage.  Returns how many are left in 'packets'. */
static unsigned
run_stage(struct worker *worker, struct bridge *bridge, const struct stage *stage,
          struct packet **packets, unsigned n, unsigned s)
{
    struct met met;

    gather(&met, packets, n);
    for (unsigned nth = first_before(&stage->shape, s); nth < end_before(&stage->shape, s); nth++) {
        count_entry(worker, &met, nth);
        count_tables(worker, bridge, &met, nth);
    }
    if (!stage->program) {
        leave_traces(worker, bridge, packets, n, stage->shape.next_table);
        return 0;
    }
    aim(packets, n, s);
    return program_run_here(worker, stage->program, packets, n);
}

/* Step 's' of all packets.  Returns how many are left in 'packets'. */
static unsigned
replay_step(struct worker *worker, struct bridge *bridge, struct packet **packets, unsigned n,
            unsigned s)
{
    struct packet *taken[PACKET_VECTOR], *going_on[PACKET_VECTOR];
    unsigned n_going_on = 0;

    while (n) {
        struct stage stage = stage_of(packets[0], s);
        unsigned n_taken = take_stage(&stage, s, packets, &n, taken);

        n_taken = run_stage(worker, bridge, &stage, taken, n_taken, s);
        memcpy(going_on + n_going_on, taken, n_taken * sizeof taken[0]);
        n_going_on += n_taken;
    }
    memcpy(packets, going_on, n_going_on * sizeof going_on[0]);
    return n_going_on;
}

static void
replay(struct worker *worker, struct bridge *bridge, struct packet **packets, unsigned n)
{
    prefetch_counters(worker, packets, n);
    for (unsigned s = 0; n; s++) {
        n = replay_step(worker, bridge, packets, n, s);
    }
}

static void
walk_cached(struct worker *worker, struct bridge *bridge, struct packet **packets, unsigned n)
{
    struct packet *missed[PACKET_VECTOR];
    struct cache *cache = &worker->cache;
    /* Before any lookup: what is recorded while the tables change is stale at once. */
    uint64_t generation = atomic_load_explicit(&bridge->generation, memory_order_acquire);

    profile_enter(&worker->profile, STAGE_lookup);
    unsigned n_hits = cache_find(cache, generation, packets, n, missed);
    profile_enter(&worker->profile, STAGE_actions);
    if (n_hits) {
        replay(worker, bridge, packets, n_hits);
    }
    if (n > n_hits) {
        cache_record(cache, generation, missed, n - n_hits);
        bridge_walk(worker, bridge, missed, n - n_hits, 0);
        cache_keep(cache);
    }
}

void
bridge_enter(struct worker *worker, struct bridge *bridge, struct packet **packets, unsigned n)
{
    uint64_t lookups = worker->lookups, began = cycles_now();

    if (cache_chosen(&worker->cache)) {
        walk_cached(worker, bridge, packets, n);
    } else {
        bridge_walk(worker, bridge, packets, n, 0);
    }
    cache_measure(&worker->cache, n, worker->lookups - lookups, cycles_now() - began);
}
