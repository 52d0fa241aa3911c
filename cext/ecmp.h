#ifndef RAICHO_ECMP_H
#define RAICHO_ECMP_H

/* ECMP: sharing flows among several adjacencies by weight, so that a change moves few of them.
 *
 * What
 * ====
 * A flow's hash, modulo a power of two, is a bucket; a bucket holds the id of an adjacency.  How many
 * buckets a member has follows its weight.  When a member goes, its buckets are given to the others;
 * when one comes, it takes its share from them; no other bucket changes.
 *
 * How
 * ===
 * Buckets are apportioned as seats are to parties, by the method of Huntington and Hill [1], a divisor
 * method: each member has at least one, and what the others have among them depends on nothing but
 * their weights and its sum.  So when one goes, none of the others loses any, and when one
 * comes, none of them wins any.  For some x, a member of weight w has n buckets with
 * sqrt(n (n - 1)) <= w / x <= sqrt(n (n + 1)).
 *
 * Cost: buckets times members.  Threads: none; nothing is kept here.
 *
 * [1] M. L. Balinski, H. P. Young, "Fair Representation", 2nd ed., 2001; RFC 2992 (hash-threshold). */

#include <stdint.h>

enum {
    ECMP_MIN_BUCKETS = 16,
    ECMP_MAX_BUCKETS = 1024,
    ECMP_MAX_MEMBERS = 256,
    ECMP_FINENESS = 8,              /* Buckets of the lightest member, if there is room. */
};

struct ecmp_member {
    uint32_t id;                    /* Of an adjacency; not 0, and no other member's. */
    uint16_t weight;                /* 0 counts as 1. */
};

/* How many buckets do these members justice: a power of two, ECMP_MIN_BUCKETS to ECMP_MAX_BUCKETS.  With
 * fewer than the latter, each member has what is due to its weight to within one in ECMP_FINENESS. */
unsigned ecmp_buckets(const struct ecmp_member members[], unsigned n_members);

/* Fills 'n' buckets (a power of two, at most ECMP_MAX_BUCKETS and not fewer than members) for these
 * members; without members all become 0.  'old' are the 'n_old' buckets so far (0, or a power of two not above 'n'); where 'n' is more,
 * every flow is first where it was.  'buckets' may be 'old'.  Returns how many of the 'n' buckets lead
 * elsewhere than before: buckets that led to one who is no member any more, and those that a member
 * has too many. */
unsigned ecmp_fill(uint32_t buckets[], unsigned n, const uint32_t old[], unsigned n_old,
                   const struct ecmp_member members[], unsigned n_members);

#endif
