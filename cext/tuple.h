#ifndef RAICHO_TUPLE_H
#define RAICHO_TUPLE_H

/* What match_tuple.c (changes) and tuple_lookup.c (lookups) share; see match_tuple.c. */

#include "hash.h"
#include "prune.h"
#include "table.h"

#define GONE ((struct flow *) 1)

struct slot {
    _Atomic(struct flow *) flow;    /* Null: empty.  GONE: was used. */
    _Atomic uint32_t hash;
};

struct slots {
    uint32_t n;                     /* A power of two. */
    uint32_t n_busy;                /* Used or gone. */
    struct slot slot[];
};

struct subtable {
    struct flow_mask mask;
    _Atomic(struct slots *) slots;
    uint32_t n_keys;                /* Slots in use. */
    uint32_t n_flows;
    int member;                     /* Its bit in 'prune'; -1: none. */
    _Atomic uint32_t top;           /* Highest priority in it; may be too high for a while. */
    struct subtable *next;          /* With the same hash of the mask. */
};

/* Subtables with entries, highest priority first; replaced as a whole. */
struct order {
    uint32_t n;
    uint8_t n_members;                              /* Those that have a bit, */
    struct subtable *members[PRUNE_MEMBERS];        /* in the same order, */
    uint8_t place[PRUNE_MEMBERS];                   /* and where each bit's is there. */
    struct subtable *list[];
};

/* All entries of a table that has only a few, highest priority first: comparing them one after the
 * other is quicker than any hash.  Replaced as a whole. */
enum { FEW = 8 };

struct few {
    uint32_t n;
    struct {
        const struct flow_mask *mask;
        struct flow *flow;
    } list[FEW];
};

struct tuple {
    struct match match;
    struct epoch *epoch;
    _Atomic(struct order *) order;
    _Atomic(struct few *) few;      /* Null: there are more than a few. */
    uint32_t n_flows;
    struct subtable **by_mask;      /* All of them, those without entries too, by mask. */
    uint32_t n_by_mask;             /* Chains; a power of two. */
    uint32_t n_subtables;
    struct prune prune;
};

static inline struct flow *
slot_flow(const struct slot *slot, memory_order order)
{
    return atomic_load_explicit(&slot->flow, order);
}

static inline bool
same_words(const struct flow *flow, const struct flow_mask *mask, const struct flow_key *key)
{
    uint64_t difference = 0;

    for (unsigned i = 0; i < mask->n; i++) {
        difference |= (key->word[mask->word[i]] & mask->bits[i]) ^ flow->words[i];
    }
    return !difference;
}

static inline uint32_t
top_of(const struct subtable *subtable)
{
    return atomic_load_explicit(&subtable->top, memory_order_relaxed);
}

/* Finds the entries of a batch; see table_lookup(). */
void tuple_lookup(const struct match *match, const struct flow_key *const keys[], unsigned n,
                  const struct flow *found[]);

#endif
