#ifndef RAICHO_PRUNE_H
#define RAICHO_PRUNE_H

/* Prune: which of many hash tables can hold an entry for a key, by its addresses.
 *
 * What
 * ====
 * Every member (a hash table with one mask) has a bit.  For each of a few parts of the key that
 * masks cut by prefix, the addresses, there is a set of members for each value of their first 16
 * bits: the members that hold an entry which agrees with those.  The intersection of the sets
 * over all parts has every member that can match, and few others: rules in 49 masks leave one or
 * two of them.
 *
 * How
 * ===
 * A longer prefix counts with its first 16 bits, a shorter one in all the sets it covers.  Members
 * whose mask does not cut a part by prefix are in all its sets.  Tallies count how many entries
 * stand behind a bit, so that it goes with the last one.
 *
 * Cost
 * ====
 * A lookup reads one word for each part in use.  Adding an entry writes one word for each part its
 * mask cuts at 16 bits or more, 2^(16-n) for a prefix of n bits.  512 kB for each part in use.
 *
 * Threads
 * =======
 * One writer; readers see each set before or after a change.  A bit is set before the entry is
 * put in and cleared after it was taken out, so a reader overlooks nothing.
 *
 * Reference: T. V. Lakshman, D. Stiliadis, "High-Speed Policy-based Packet Forwarding Using
 * Efficient Multi-dimensional Range Matching", SIGCOMM 1998 (sets of rules; here of tables); B. Pfaff
 * et al., "The Design and Implementation of Open vSwitch", NSDI 2015, 5.4 (prefix tracking). */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "table.h"

enum {
    PRUNE_MEMBERS = 64,
    PRUNE_DEPTH = 16,               /* Bits of a prefix that count. */
    PRUNE_SETS = 1 << PRUNE_DEPTH,
};

/* The parts of the key: P(word, shift of its 32 bits). */
#define PRUNE_PARTS(P)      \
    P(W_IPV4, 32)           \
    P(W_IPV4, 0)            \
    P(W_IPV6_SRC, 32)       \
    P(W_IPV6_DST, 32)

enum prune_part {
#define P(WORD, SHIFT) PRUNE_##WORD##_##SHIFT,
    PRUNE_PARTS(P)
#undef P
    N_PRUNE_PARTS
};

/* How many entries of a member begin with some bits: by open addressing, or once there are many, by
 * place, because a larger hash table would take longer to grow than a flow-mod should. */
struct tally {
    uint32_t n_slots, n_used;
    struct { uint32_t prefix, count; } *slots;      /* count 0: free. */
    uint32_t *counts;                               /* PRUNE_SETS of them; null: the slots count. */
};

struct prune {
    _Atomic uint64_t members;                       /* Bits in use. */
    _Atomic uint64_t open[N_PRUNE_PARTS];           /* Members that do not cut the part. */
    _Atomic(_Atomic uint64_t *) sets[N_PRUNE_PARTS];    /* PRUNE_SETS each; null: nobody cuts it. */
    struct tally *tallies[N_PRUNE_PARTS];           /* PRUNE_MEMBERS each, if there are sets. Control
                                                     * thread's. */
};

/* Frees everything; no readers left.  A zeroed prune is open. */
void prune_close(struct prune *prune);

/* Whether there are keys for which the table with this mask can be left out. */
bool prune_cuts(const struct flow_mask *mask);

/* Takes a bit for a table with this mask.  Returns it, or -1 if none is free or memory is short:
 * such a table must always be looked into. */
int prune_join(struct prune *prune, const struct flow_mask *mask);

/* Gives the bit of a table without entries back. */
void prune_leave(struct prune *prune, int member);

/* Notes an entry before it is put in.  Returns 0 or ENOMEM, in which case nothing has changed. */
int prune_add(struct prune *prune, int member, const struct flow *flow);

/* Forgets an entry after it was taken out. */
void prune_remove(struct prune *prune, int member, const struct flow *flow);

/* Bytes that it takes. */
size_t prune_memory(const struct prune *prune);

static inline uint64_t
prune_part(const struct prune *prune, enum prune_part part, uint64_t word, unsigned shift)
{
    const _Atomic uint64_t *sets = atomic_load_explicit(&prune->sets[part], memory_order_acquire);

    if (!sets) {
        return UINT64_MAX;
    }
    uint32_t first = (uint32_t) (word >> shift) >> (32 - PRUNE_DEPTH);
    return atomic_load_explicit(&sets[first], memory_order_acquire)
           | atomic_load_explicit(&prune->open[part], memory_order_relaxed);
}

/* The members that may match 'key'. */
static inline uint64_t
prune_candidates(const struct prune *prune, const struct flow_key *key)
{
    uint64_t candidates = atomic_load_explicit(&prune->members, memory_order_acquire);

#define P(WORD, SHIFT) \
    candidates &= prune_part(prune, PRUNE_##WORD##_##SHIFT, key->word[WORD], SHIFT);
    PRUNE_PARTS(P)
#undef P
    return candidates;
}

/* Asks the cache for what prune_candidates() will read. */
static inline void
prune_prefetch(const struct prune *prune, const struct flow_key *key)
{
#define P(WORD, SHIFT)                                                                          \
    {                                                                                           \
        const _Atomic uint64_t *sets = atomic_load_explicit(                                    \
            &prune->sets[PRUNE_##WORD##_##SHIFT], memory_order_relaxed);                        \
        if (sets) {                                                                             \
            __builtin_prefetch((const void *) &sets[(uint32_t) (key->word[WORD] >> SHIFT)       \
                                                    >> (32 - PRUNE_DEPTH)]);                    \
        }                                                                                       \
    }
    PRUNE_PARTS(P)
#undef P
}

#endif
