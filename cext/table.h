#ifndef RAICHO_TABLE_H
#define RAICHO_TABLE_H

/* Flow tables: the entry with the highest priority that a key matches.
 *
 * What
 * ====
 * A table holds flows.  All of them are in its record (tuple.h), which is always right and answers
 * every question.  Beside the record there may be a finder (finder.h): an implementation of lookups
 * that is quicker for what the table holds.  It is chosen from that, and changed when that changes;
 * no user ever picks one.
 *
 * A flow does not change while it is in a table: to modify it, insert one
 * with the same match and priority, which takes its place in one step.
 *
 * Threads
 * =======
 * One writer (the control thread).  Any number of workers look up at the same time
 * without locks; a lookup sees the table before or after a change.  Flows taken out
 * are retired by the caller (epoch.h). */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "epoch.h"
#include "finder.h"
#include "hash.h"
#include "key.h"
#include "program.h"
#include "slab.h"
#include "timer.h"

/* Which words and bits of a key an entry looks at. */
struct flow_mask {
    uint64_t seed;                          /* The table's, for hashes of keys. */
    uint32_t hash;                          /* Of the mask itself. */
    uint8_t n;                              /* Words with a bit. */
    uint8_t word[N_KEY_WORDS];              /* Which; ascending. */
    uint64_t bits[N_KEY_WORDS];             /* Their masks, in that order. */
    struct slab *slab;                      /* The table's, for flows; null: there is no table. */
};

/* Fills 'mask' from a key-shaped mask. */
void flow_mask_from(struct flow_mask *mask, const struct flow_key *bits);

/* Hash of the words of 'key' under 'mask'. */
static inline uint64_t
flow_mask_hash(const struct flow_mask *mask, const struct flow_key *key)
{
    uint64_t hash = mask->seed;

    for (unsigned i = 0; i < mask->n; i++) {
        hash = hash_word(hash, key->word[mask->word[i]] & mask->bits[i]);
    }
    return hash;
}

/* An entry.  What the control thread needs of it fills a cache line; what a
 * worker needs of a usual one (three words of key, one output) fills the next. */
struct flow {
    _Alignas(64) const struct flow_mask *mask;  /* The table's; shared by entries with this mask. */
    struct flow *lower;                     /* Same mask and key, lower priority. */
    uint64_t cookie;
    uint64_t created_ms;                    /* Monotonic. */
    struct timer timer;
    uint16_t idle_timeout, hard_timeout;    /* Seconds; 0 never. */
    uint16_t args_size;                     /* Bytes of arguments: the instructions as sent. */
    uint16_t flags : 14;                    /* OFPFF_*. */
    uint16_t counter_moved : 1;             /* Another flow has its counter now. */
    uint16_t in_slab : 1;                   /* Where its memory is from. */

    _Alignas(64) const struct program *program;
    uint32_t counter;
    uint16_t priority;
    uint8_t n_words;
    uint8_t table;
    uint64_t words[];                       /* Key under the mask, then the arguments. */
};

_Static_assert(offsetof(struct flow, program) == 64, "one line for the control thread");
_Static_assert(offsetof(struct flow, words) == 80, "and six words in the other");

/* Returns a flow with room for the words of 'mask' and 'args_size' bytes, or
 * null.  The caller fills in everything but words, mask, n_words. 'mask' must be
 * the table's own, see table_mask(). */
struct flow *flow_new(const struct flow_mask *mask, const struct flow_key *key,
                      const void *args, size_t args_size);

/* Not before the readers have passed, if it was in a table. */
void flow_free(struct flow *flow);

/* The bytes that a flow takes. */
size_t flow_memory(const struct flow *flow);

/* flow_mask_hash() of its own key. */
static inline uint64_t
flow_hash(const struct flow *flow, const struct flow_mask *mask)
{
    uint64_t hash = mask->seed;

    for (unsigned i = 0; i < mask->n; i++) {
        hash = hash_word(hash, flow->words[i]);
    }
    return hash;
}

/* Whether they match the same packets; both of one table. */
static inline bool
flow_same_match(const struct flow *a, const struct flow *b)
{
    return a->mask == b->mask && !memcmp(a->words, b->words, a->n_words * sizeof a->words[0]);
}

static inline const uint8_t *
flow_args(const struct flow *flow)
{
    return (const uint8_t *) (flow->words + flow->n_words);
}

/* Fetches what a worker needs of an entry; of none, nothing. */
static inline void
flow_prefetch(const struct flow *flow)
{
    __builtin_prefetch((const void *) ((uintptr_t) flow + offsetof(struct flow, program)));
}

/* Writes back the key and the mask of a flow. */
void flow_match(const struct flow *flow, struct flow_key *key, struct flow_key *mask);

/* Whether it is the table-miss entry: priority 0, matches everything. */
static inline bool
flow_is_miss(const struct flow *flow)
{
    return flow->priority == 0 && flow->n_words == 0;
}

struct table_stats {
    char implementation[16];
    uint32_t n_flows;
    uint32_t n_masks;
    size_t memory;                          /* Bytes, flows not included. */
};

struct tuple;

/* How far a walk through the entries of a record has come; begins zeroed.  Changes in between are no
 * harm: what was there all the time is visited, and what came or moved may be, once more too. */
struct tuple_cursor {
    uint64_t subtable, from;                /* Age of a subtable; hash in it. */
    bool ended;
};

struct table {
    _Atomic(const struct finder *) finder;  /* What answers lookups. */
    struct tuple *record;                   /* Holds all flows. */
    struct finder *current;                 /* The finder beside the record, if there is one: gets */
    bool complete;                          /* all changes; answers when it is complete, */
    struct tuple_cursor filled;             /* up to here until then. */
    bool pending;                           /* table_work() has something to do. */
    struct epoch *epoch;
    uint32_t n_flows;
};

/* Returns 0 or ENOMEM. */
int table_open(struct table *table, struct epoch *epoch);

/* No readers must be left; releases all flows with 'release'. */
void table_close(struct table *table, void (*release)(struct flow *, void *), void *context);

/* Returns the table's own copy of a mask, which lives until table_close() or until the
 * last flow with it is removed; null without memory. */
const struct flow_mask *table_mask(struct table *table, const struct flow_key *bits);

/* Puts 'flow' in.  If there is one with the same match and priority it is
 * replaced in one step and returned in 'old' (else null).  Returns 0 or ENOMEM,
 * in which case nothing has changed. */
int table_insert(struct table *table, struct flow *flow, struct flow **old);

/* Takes 'flow', which must be in it, out. */
void table_remove(struct table *table, struct flow *flow);

/* Goes on with what need not be done at once: changes to a finder that fits better, fills it, lets it
 * tidy up.  About 'budget' entries are handled.  Control thread, every few milliseconds. */
void table_work(struct table *table, unsigned budget);

/* For each of 'n' (<= PACKET_VECTOR) keys: the entry, or null. */
static inline void
table_lookup(const struct table *table, const struct flow_key *const keys[], unsigned n,
             const struct flow *found[])
{
    const struct finder *finder = atomic_load_explicit(&table->finder, memory_order_acquire);

    finder->lookup(finder, keys, n, found);
}

/* The flow with exactly this match and priority, or null. Control thread. */
struct flow *table_find(const struct table *table, const struct flow_key *key,
                        const struct flow_key *mask, uint16_t priority);

/* Calls visit(flow, context) for every flow until it returns false; it may
 * remove the flow that it is given.  Control thread. */
void table_each(const struct table *table, bool (*visit)(struct flow *, void *), void *context);

void table_stats(const struct table *table, struct table_stats *stats);

#endif
