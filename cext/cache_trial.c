/* Whether the result cache pays: it is tried, and used while it does.
 *
 * How
 * ===
 * Vectors go through the tables alone until it is time for a trial.  If they are looked up in one
 * table only there is nothing to gain.  Otherwise the cache is filled for a while, and then its
 * cycles for a packet are compared with those that the tables took just before.  Whoever loses has
 * the longer rest: a cache that does not help, because every packet is a new flow or the tables
 * change all the time, is tried ever less often. */

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
    MEASURED = 64,              /* Vectors for a comparison, */
    FILLED = 512,               /* to fill the cache, */
    USED = 8192,                /* until its use is put to the test again, */
    REST = 2048,                /* until it is tried, */
    MAX_REST = 131072,          /* at most. */
    UNIT = 256,                 /* Of a cycle. */
};

/* How long each takes, and whether it uses the cache. */
static const struct {
    uint32_t vectors;
    bool cached;
} phases[N_PHASES] = {
    [TABLES] = { 0, false },    /* As long as the rest says. */
    [TABLES_MEASURED] = { MEASURED, false },
    [FILLING] = { FILLED, true },
    [CACHED_MEASURED] = { MEASURED, true },
    [CACHED] = { USED, true },
    [TABLES_COMPARED] = { MEASURED, false },
};

static void
enter(struct cache_trial *trial, enum phase phase)
{
    trial->phase = phase;
    trial->left = phase == TABLES ? trial->rest : phases[phase].vectors;
    trial->packets = trial->lookups = trial->cycles = 0;
}

static void
rest(struct cache_trial *trial, uint32_t vectors)
{
    trial->rest = vectors < REST ? REST : vectors < MAX_REST ? vectors : MAX_REST;
    enter(trial, TABLES);
}

static uint64_t
cost(const struct cache_trial *trial)
{
    return trial->packets ? trial->cycles * UNIT / trial->packets : 0;
}

/* A phase is over: what it has shown decides on the next one. */
static void
decide(struct cache_trial *trial)
{
    bool several_tables = trial->lookups * 2 >= trial->packets * 3;

    switch ((enum phase) trial->phase) {
    case TABLES:
        enter(trial, TABLES_MEASURED);
        break;
    case TABLES_MEASURED:
    case TABLES_COMPARED:
        trial->tables_cost = cost(trial);
        if (!several_tables) {
            rest(trial, REST);
        } else {
            enter(trial, trial->phase == TABLES_COMPARED ? CACHED_MEASURED : FILLING);
        }
        break;
    case FILLING:
        enter(trial, CACHED_MEASURED);
        break;
    case CACHED_MEASURED:
        if (cost(trial) < trial->tables_cost) {
            trial->rest = REST;
            enter(trial, CACHED);
        } else {
            rest(trial, trial->rest * 2);
        }
        break;
    case CACHED:
        enter(trial, TABLES_COMPARED);
        break;
    case N_PHASES:
        break;
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
        decide(trial);
    }
}
