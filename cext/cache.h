#ifndef RAICHO_CACHE_H
#define RAICHO_CACHE_H

/* Result cache: the entries that a packet meets on its way through the tables of a bridge,
 * remembered by the key it came with.
 *
 * What
 * ====
 * A trace is one such way: the entries in the order in which they were met.  A packet whose key has
 * a trace is not looked up in any table; its entries are counted and their programs run as if it
 * had been (bridge_replay.c).  So a pipeline of many tables costs one lookup.
 *
 * A trace holds as far as the key says which way a packet goes.  It ends with an instruction that
 * may bring something to light which was not in the key (OPAQUE in program.h: a tag is popped, a
 * bucket chosen), or when there is no room.  A packet that is still there then goes on through the
 * tables.
 *
 * How
 * ===
 * Sets of eight traces, found by a hash of the key, told apart by 16 bits of it, and then by all
 * words of the key.  A trace carries the generation of its bridge's tables, a number that no bridge
 * has twice: any change of them makes all traces of the bridge stale, and nothing is swept.
 *
 * Whether it is used is measured (struct cache_trial): as long as the tables alone are quicker, or
 * there is only one, they are asked; from time to time the other way is tried again.
 *
 * Cost
 * ====
 * One hash and three cache lines for a packet, four with IPv6.  256 bytes for a trace, touched
 * when used; 8 MiB for all.
 *
 * Threads
 * =======
 * A worker's own. */

#include <stdbool.h>
#include <stdint.h>

#include "packet.h"
#include "table.h"

enum {
    CACHE_SETS = 4096,
    CACHE_WAYS = 8,
    TRACE_TABLES = 9,           /* Entries that a trace remembers; */
    TRACE_STEPS = 4,            /* of these, with instructions that do something. */
    TRACE_WORDS = 2 * W_WIDE,   /* Of the key; packets with something behind them have none. */
    TRACE_LINE = 64,
};

/* A program that a packet runs on its way, and whose it is. */
struct step {
    const struct program *program;
    uintptr_t entry;                        /* Address of the flow, and how many words its key has. */
};

/* Which steps there are, and between which entries. */
struct shape {
    uint8_t behind[TRACE_STEPS];            /* How many entries have been met when a step runs. */
    uint8_t n_tables, n_steps;
    uint8_t next_table;                     /* Where the last entry leads; 0: it is the end, or the
                                             * step of that entry says so. */
    bool wide;                              /* 'wide_key' counts. */
};

struct trace {
    _Alignas(TRACE_LINE) uint64_t generation;   /* Of the bridge's tables; 0: nothing here. */
    uint32_t counter[TRACE_TABLES];         /* Of the entries, */
    struct shape shape;
    uint8_t table[TRACE_TABLES];            /* and where they were met. */
    uint64_t key[W_WIDE];
    struct step steps[TRACE_STEPS];
    uint64_t wide_key[W_WIDE];              /* The words from W_WIDE on. */
};

_Static_assert(offsetof(struct trace, key) == TRACE_LINE && sizeof(struct trace) == 4 * TRACE_LINE,
               "what every packet needs of a trace is three cache lines");

/* Neither reads the flow. */
static inline const struct flow *
step_flow(const struct step *step)
{
    return (const struct flow *) (step->entry & ~(uintptr_t) (_Alignof(struct flow) - 1));
}

static inline const uint8_t *
step_args(const struct step *step)
{
    return (const uint8_t *) (step_flow(step)->words + step->entry % _Alignof(struct flow));
}

_Static_assert(N_KEY_WORDS < _Alignof(struct flow), "see struct step");

/* How quick each way is; see cache_trial.c. */
struct cache_trial {
    uint8_t phase;
    uint8_t spans;              /* Until the next phase, this one included. */
    uint32_t left;              /* Vectors of this span. */
    uint32_t rest;              /* Vectors until the next trial: more when one has failed. */
    uint64_t packets;           /* What this span has had so far, */
    uint64_t lookups;           /* in tables, */
    uint64_t cycles;            /* and how long it took. */
    uint64_t least;             /* Cycles for a packet, 1/256, in the quickest span of this phase. */
    uint64_t tables_cost;       /* Without the cache, when last measured: cycles for a packet, */
    uint64_t tables_lookups;    /* and lookups; 1/256. */
};

/* When a worker uses its cache. */
enum cache_mode { CACHE_MEASURED, CACHE_ALWAYS, CACHE_NEVER };

struct cache {
    _Atomic uint32_t mode;      /* enum cache_mode; the control thread sets it. */
    uint16_t (*tags)[CACHE_WAYS];
    struct trace (*traces)[CACHE_WAYS];
    struct trace *recordings;   /* PACKET_VECTOR, of the vector that is under way. */
    unsigned n_recordings;
    uint32_t turn;              /* Which way of a full set goes next. */
    struct cache_trial trial;
    _Atomic uint64_t hits, misses, inserts;     /* The control thread reads them. */
};

/* Returns 0 or ENOMEM.  A cache of zeros, or one that is closed, may be closed. */
int cache_open(struct cache *cache);
void cache_close(struct cache *cache);

/* Finds the traces of 'n' (<= PACKET_VECTOR) packets that were just parsed.  Those that have one
 * are left in 'packets', in order, with it in walk->trace; the others are moved to 'missed'.
 * Returns how many are left. */
unsigned cache_find(struct cache *cache, uint64_t generation, struct packet **packets, unsigned n,
                    struct packet **missed);

/* Begins to record the way of packets, until cache_keep(). */
void cache_record(struct cache *cache, uint64_t generation, struct packet *const *packets,
                  unsigned n);

/* Remembers what was recorded. */
void cache_keep(struct cache *cache);

/* A packet that is being recorded meets 'flow' in 'table', and 'program' is about to run on it; if that
 * goes on to a table, the instruction which says so counts from 'args'. */
void cache_meet(struct packet *packet, const struct flow *flow, unsigned table,
                const struct program *program, const uint8_t *args);

/* Whether the next vector is to use the cache. */
bool cache_chosen(const struct cache *cache);

/* Tells how it went: for how many packets, with how many lookups in tables, in how many cycles. */
void cache_measure(struct cache *cache, unsigned packets, uint64_t lookups, uint64_t cycles);

#endif
