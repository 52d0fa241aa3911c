#ifndef RAICHO_FIB_H
#define RAICHO_FIB_H

/* FIB: which adjacency an address is sent to, by the longest prefix that matches it.
 *
 * What
 * ====
 * A value for each prefix: the id of an adjacency, not 0.  A lookup gives 0 where no prefix matches.
 *
 * How
 * ===
 * A tree for each family, that takes 16 bits of an address, then 8 at each node, as an allotment
 * routing table does [1]: a slot has what an address gets there, or says where it goes on.  Beside
 * the slots lie, as a heap, the prefixes that are shorter than a slot, so that a change writes
 * exactly the slots that no longer prefix has.  Where only few longer prefixes are below a slot, they
 * stand there one beside the other and need no node: most networks are sparse, those of IPv6 above all.
 * The prefix of length 0 is kept apart: a default route costs one store.
 *
 * Cost
 * ====
 * A lookup reads one slot after the other until the prefixes end, and one line where there are few,
 * another if one of these is longer than 64 bits; those of a batch overlap.  A change writes at most
 * 256 slots in its node, and those of the nodes below them: a /8 some 2^16, a /1 up to 2^23; among few
 * it writes these anew.  Memory: nothing until the first prefix; then 512 kB, of which pages are taken
 * when they are used, 128 bytes for few prefixes, and 2 kB for a node.  There are at most FIB_MAX_NODES
 * and FIB_MAX_FEWS of them; they are kept for later ones when they are empty.
 *
 * Threads
 * =======
 * One writer.  Readers, who announce themselves to the epoch, see of a change, for each address, all
 * or nothing.
 *
 * [1] Y. Hariguchi, "Allotment Routing Table", 2002; RFC 1812 5.2.4.3 (longest match), RFC 4291 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "epoch.h"
#include "ip.h"

struct fib_tree;

enum {
    FIB_MAX_VALUE = (1 << 30) - 1,
    FIB_MAX_NODES = 1 << 20,        /* Of each family. */
    FIB_MAX_FEWS = 1 << 22,
};

struct fib_family {
    _Atomic uint32_t any;           /* The value of the prefix of length 0; 0: there is none. */
    _Atomic(struct fib_tree *) tree;    /* Of all others; null: there was none yet. */
    size_t n_prefixes;
};

struct fib {
    struct epoch *epoch;
    struct fib_family ipv4, ipv6;
};

/* An empty FIB: takes no memory. */
void fib_open(struct fib *fib, struct epoch *epoch);

/* No readers left. */
void fib_close(struct fib *fib);

/* Gives a prefix a value, whether it had one or not.  Returns 0; EINVAL: no valid prefix, or a value
 * that is 0 or above FIB_MAX_VALUE; ENOMEM: no memory, or no node left.  A prefix that is there
 * already always gets its new value. */
int fib_put(struct fib *fib, const struct ip_prefix *prefix, uint32_t value);

/* Asks the cache for what a change of this prefix will read: who has many to change says so some of them
 * ahead.  The writer's. */
void fib_prefetch(const struct fib *fib, const struct ip_prefix *prefix);

/* Takes a prefix out.  Returns the value that it had; 0: it was not there. */
uint32_t fib_remove(struct fib *fib, const struct ip_prefix *prefix);

/* The value of exactly this prefix; 0: it is not there.  The writer's. */
uint32_t fib_get(const struct fib *fib, const struct ip_prefix *prefix);

/* Bytes of all that it has ever used; the arrays of 2^16 slots count whole. */
size_t fib_memory(const struct fib *fib);

/* Finds the values of 'n' addresses, host order; 0: no prefix matches. */
void fib_lookup_ipv4(const struct fib *fib, const uint32_t addresses[], unsigned n,
                     uint32_t values[]);
void fib_lookup_ipv6(const struct fib *fib, const struct ip_address addresses[], unsigned n,
                     uint32_t values[]);

/* The value for one address. */
static inline uint32_t
fib_lookup(const struct fib *fib, uint8_t family, const struct ip_address *address)
{
    uint32_t value, ipv4 = (uint32_t) address->word[1];

    if (family == IP_V4) {
        fib_lookup_ipv4(fib, &ipv4, 1, &value);
    } else {
        fib_lookup_ipv6(fib, address, 1, &value);
    }
    return value;
}

#endif
