/* Whether the result cache pays: it is tried, and used while it does.
 *
 * How
 * ===
 * Vectors go through the tables alone until it is time for a trial.  If they are looked up in one
 * table only there is nothing to gain.  Otherwise the cache is filled for a while, and then its
 * cycles for a packet are compared with those that the tables took just before: the least of several
 * spans on each side, for what else a machine does only ever makes it slower.  Each span with the
 * cache must have spared lookups: a flood of new flows is seen after one.  Whoever fails has the
 * longer rest, so a cache that does not help, because every packet is new or the tables change all the
 * time, is tried ever less often. */

#include <stdatomic.h>

#include "cache.h"

enum phase {
    TABLES,                     /* By the tables, the cache rests. */
    TABLES_MEASURED,
    FILLING,                    /* With the cache. */
    CACHED_MEASURED,
    CACHED,
    TABLES_COMPARED,            /* By the tables again, for the comparison. */
    N_PHASES
};

enum {
    MEASURED = 24,              /* Vectors of a span that is compared; */
    SPAN = 128,                 /* of one with the cache; */
    REST = 4096,                /* until the next trial, */
    MAX_REST = 262144,          /* at most. */
    UNIT = 256,                 /* Of a cycle or a lookup. */
};

/* A phase lasts so many spans of so many vectors, uses the cache or not, and of 16 lookups that its
 * packets have in the tables so many may be left. */
static const struct {
    uint32_t vectors;
    uint8_t spans;
    uint8_t left;
    bool cached;
} phases[N_PHASES] = {
    [TABLES] = { 0, 1, 0, false },      /* As long as the rest says. */
    [TABLES_MEASURED] = { MEASURED, 4, 0, false },
    [FILLING] = { SPAN, 4, 15, true },
    [CACHED_MEASURED] = { MEASURED, 4, 12, true },
    [CACHED] = { SPAN, 64, 12, true },
    [TABLES_COMPARED] = { MEASURED, 4, 0, false },
};

static void
begin_span(struct cache_trial *trial)
{
    trial->left = trial->phase == TABLES ? trial->rest : phases[trial->phase].vectors;
    trial->packets = trial->lookups = trial->cycles = 0;
}

static void
enter(struct cache_trial *trial, enum phase phase)
{
    trial->phase = phase;
    trial->spans = phases[phase].spans;
    trial->least = UINT64_MAX;
    begin_span(trial);
}

static void
rest(struct cache_trial *trial, uint32_t vectors)
{
    trial->rest = vectors < REST ? REST : vectors < MAX_REST ? vectors : MAX_REST;
    enter(trial, TABLES);
}

static uint64_t
per_packet(const struct cache_trial *trial, uint64_t sum)
{
    return trial->packets ? sum * UNIT / trial->packets : 0;
}

static bool
spares_lookups(const struct cache_trial *trial)
{
    return per_packet(trial, trial->lookups) * 16
           <= trial->tables_lookups * phases[trial->phase].left;
}

/* The tables alone have been measured. */
static void
compare(struct cache_trial *trial, enum phase next)
{
    trial->tables_cost = trial->least;
    trial->tables_lookups = per_packet(trial, trial->lookups);
    if (trial->tables_lookups * 2 < 3 * UNIT) {
        rest(trial, REST);
    } else {
        enter(trial, next);
    }
}

/* A phase is over. */
static void
conclude(struct cache_trial *trial)
{
    switch ((enum phase) trial->phase) {
    case TABLES:
        enter(trial, TABLES_MEASURED);
        break;
    case TABLES_MEASURED:
        compare(trial, FILLING);
        break;
    case FILLING:
        enter(trial, CACHED_MEASURED);
        break;
    case CACHED_MEASURED:
        if (trial->least < trial->tables_cost) {
            trial->rest = REST;
            enter(trial, CACHED);
        } else {
            rest(trial, trial->rest * 2);
        }
        break;
    case CACHED:
        enter(trial, TABLES_COMPARED);
        break;
    case TABLES_COMPARED:
        compare(trial, CACHED_MEASURED);
        break;
    case N_PHASES:
        break;
    }
}

/* A span is over. */
static void
end_span(struct cache_trial *trial)
{
    uint64_t cost = per_packet(trial, trial->cycles);

    trial->least = cost < trial->least ? cost : trial->least;
    if (phases[trial->phase].cached && !spares_lookups(trial)) {
        rest(trial, trial->rest * 2);
    } else if (trial->spans > 1) {
        trial->spans--;
        begin_span(trial);
    } else {
        conclude(trial);
    }
}

bool
cache_chosen(const struct cache *cache)
{
    uint32_t mode = atomic_load_explicit(&cache->mode, memory_order_relaxed);

    return mode == CACHE_MEASURED ? phases[cache->trial.phase].cached : mode == CACHE_ALWAYS;
}

void
cache_measure(struct cache *cache, unsigned packets, uint64_t lookups, uint64_t cycles)
{
    struct cache_trial *trial = &cache->trial;

    trial->packets += packets;
    trial->lookups += lookups;
    trial->cycles += cycles;
    if (trial->left) {
        trial->left--;
    } else {
        end_span(trial);
    }
}
