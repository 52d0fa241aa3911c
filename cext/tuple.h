#ifndef RAICHO_TUPLE_H
#define RAICHO_TUPLE_H

/* The record of a table, and the finder that fits every shape: see match_tuple.c (changes) and
 * tuple_lookup.c (lookups), whose common ground the structs are. */

#include "exact.h"
#include "hash.h"
#include "prune.h"
#include "table.h"

struct subtable {
    struct flow_mask mask;
    struct exact exact;
    uint64_t age;                   /* Its number since the record was opened, from 1. */
    uint32_t n_flows;
    int member;                     /* Its bit in 'prune'; -1: none. */
    bool open;                      /* No key leaves it out there. */
    _Atomic uint32_t top;           /* Highest priority in it; may be too high for a while. */
    struct subtable *next;          /* With the same hash of the mask. */
};

/* Subtables with entries, highest priority first; replaced as a whole. */
struct order {
    uint32_t n, n_open;
    uint8_t n_members;                              /* Those that have a bit, */
    uint64_t known;                                 /* as a set; */
    struct subtable *members[PRUNE_MEMBERS];        /* they in the same order, */
    uint8_t place[PRUNE_MEMBERS];                   /* and where each bit's is there. */
    struct subtable *list[];
};

struct tuple {
    struct finder finder;
    struct epoch *epoch;
    struct slab *slab;
    uint64_t seed;                  /* Unknown outside, so that nobody can craft equal hashes. */
    _Atomic(struct order *) order;
    struct subtable **by_mask;      /* All of them, those without entries too, by mask. */
    uint32_t n_by_mask;             /* Chains; a power of two. */
    uint32_t n_subtables;
    uint64_t n_ever;                /* Subtables that there have been. */
    struct prune prune;
};

static inline bool
same_words(const struct flow *flow, const struct flow_mask *mask, const struct flow_key *key)
{
    uint64_t difference = 0;

    for (unsigned i = 0; i < mask->n; i++) {
        difference |= (key->word[mask->word[i]] & mask->bits[i]) ^ flow->words[i];
    }
    return !difference;
}

/* A head is an entry that stands for several: those that agree with its own key under its own mask,
 * which has a part of the bits of theirs.  They are its arguments, highest priority first, which is
 * its own. */
struct head_entry {
    const struct flow_mask *mask;           /* That of 'flow', whose first line nobody reads. */
    struct flow *flow;
};

static inline const struct head_entry *
head_entries(const struct flow *head, unsigned *n)
{
    *n = head->args_size / sizeof(struct head_entry);
    return (const struct head_entry *) flow_args(head);
}

/* The first one behind a head, which may be null, that matches, or null. */
static inline const struct flow *
head_search(const struct flow *head, const struct flow_key *key)
{
    unsigned n = 0;
    const struct head_entry *entries = head ? head_entries(head, &n) : NULL;

    for (unsigned i = 0; i < n; i++) {
        if (same_words(entries[i].flow, entries[i].mask, key)) {
            return entries[i].flow;
        }
    }
    return NULL;
}

static inline void
head_prefetch(const struct flow *head)
{
    if (head) {
        unsigned n;
        flow_prefetch(head_entries(head, &n)[0].flow);
    }
}

static inline uint32_t
top_of(const struct subtable *subtable)
{
    return atomic_load_explicit(&subtable->top, memory_order_relaxed);
}

/* Null without memory.  'heads': its entries are heads. */
struct tuple *tuple_open(struct epoch *epoch, bool heads);

/* No readers left.  Frees masks, not flows. */
void tuple_close(struct tuple *tuple);

static inline const struct finder *
tuple_finder(const struct tuple *tuple)
{
    return &tuple->finder;
}

/* See table_mask(). */
const struct flow_mask *tuple_mask(struct tuple *tuple, const struct flow_key *bits);

/* See table_insert().  'before' is what was found for this match until now, or null. */
int tuple_insert(struct tuple *tuple, struct flow *flow, struct flow **old, struct flow **before);

/* Whether lookups can find 'flow', not only one with the same match above it; 'next' is what they
 * find when it has gone, or null. */
bool tuple_is_top(const struct tuple *tuple, const struct flow *flow, struct flow **next);

void tuple_remove(struct tuple *tuple, struct flow *flow);

/* The entry that lookups can find for 'key' under 'mask_bits', or null. */
struct flow *tuple_top(const struct tuple *tuple, const struct flow_key *key,
                       const struct flow_key *mask_bits);

/* See table_find(), table_each(). */
struct flow *tuple_find(const struct tuple *tuple, const struct flow_key *key,
                        const struct flow_key *mask_bits, uint16_t priority);
void tuple_each(struct tuple *tuple, bool (*visit)(struct flow *, void *), void *context);

/* Calls visit(flow, context) for about 'budget' more of the flows that lookups can find; returns
 * whether it always returned true. */
bool tuple_each_top(struct tuple *tuple, struct tuple_cursor *cursor, unsigned budget,
                    bool (*visit)(struct flow *, void *), void *context);

/* Masks in use. */
uint32_t tuple_masks(const struct tuple *tuple);

/* Those whose hash tables every lookup looks into. */
uint32_t tuple_open_masks(const struct tuple *tuple);

/* Bytes that it takes, entries not included. */
size_t tuple_memory(const struct tuple *tuple);

void tuple_stats(const struct tuple *tuple, struct table_stats *stats);

/* The ways to find the entries of a batch, see table_lookup(): from the one that runs everywhere to the
 * one that wants most of the processor. */
struct tuple_way {
    char name[8];
    bool (*runs)(void);                     /* Whether this processor can. */
    finder_lookup *lookup[2];               /* Of entries; of what is behind heads. */
};

enum { TUPLE_WAYS = 4 };

extern const struct tuple_way tuple_ways[TUPLE_WAYS];

/* The best that runs here. */
finder_lookup *tuple_lookup(bool heads);

#endif
