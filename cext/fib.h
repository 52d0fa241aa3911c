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
 * IPv4: an array of 2^16 slots, and nodes of 2^8 below it where prefixes are longer, as in an
 * allotment routing table [1]: a slot has what an address gets there, or says which node goes on.
 * Beside the slots lie, as a heap, the prefixes that are shorter than a slot, so that a change
 * writes exactly the slots that no longer prefix has.  IPv6: a trie of bytes (trie.h).  In both
 * families the prefix of length 0 is kept apart: a default route costs one store.
 *
 * Cost
 * ====
 * IPv4: two dependent reads for an address in a /16 with longer prefixes, three below a /24.  A change
 * writes at most 256 slots for a prefix of 8 bits or less in its node; a prefix shorter than /16
 * also those of the nodes below it: a /8 some 2^16 of them, a /1 up to 2^23.  Memory: nothing
 * until the first prefix; then 512 kB, of which pages are taken when they are used, and 2 kB for
 * each /16 with longer prefixes and each /24 with longer ones, FIB_MAX_NODES of them at most; they are
 * kept for later ones when they are empty.  IPv6: a line for each byte of the address until the prefixes
 * end; 64 bytes for a prefix that is alone in its node, 4 kB for a node with more than 24.
 *
 * Threads
 * =======
 * One writer.  Readers, that announce themselves to the epoch, see of a change, for each address, all
 * or nothing.
 *
 * [1] Y. Hariguchi, "Allotment Routing Table", 2002; RFC 1812 5.2.4.3 (longest match), RFC 4291 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "epoch.h"
#include "ip.h"

struct fib_ipv4;
struct fib_ipv6;

enum {
    FIB_MAX_VALUE = (1 << 30) - 1,
    FIB_MAX_NODES = 1 << 20,        /* Of 256 slots, for IPv4. */
};

/* All values are 0 where there is no such prefix. */
struct fib {
    struct epoch *epoch;
    _Atomic uint32_t any_ipv4, any_ipv6;        /* Values of the prefixes of length 0. */
    _Atomic(struct fib_ipv4 *) ipv4;            /* Null: no prefix yet. */
    _Atomic(struct fib_ipv6 *) ipv6;
    size_t n_ipv4, n_ipv6;                      /* Prefixes. */
};

/* An empty FIB: takes no memory. */
void fib_open(struct fib *fib, struct epoch *epoch);

/* No readers left. */
void fib_close(struct fib *fib);

/* Gives a prefix a value, whether it had one or not.  Returns 0; EINVAL: no valid prefix, or a value that
 * is 0 or above FIB_MAX_VALUE; ENOMEM: no memory, or no node left.  A prefix that is there already
 * always gets its new value. */
int fib_put(struct fib *fib, const struct ip_prefix *prefix, uint32_t value);

/* Takes a prefix out.  Returns the value that it had; 0: it was not there. */
uint32_t fib_remove(struct fib *fib, const struct ip_prefix *prefix);

/* The value of exactly this prefix; 0: it is not there.  The writer's. */
uint32_t fib_get(const struct fib *fib, const struct ip_prefix *prefix);

/* Bytes that it has asked for; pages that were never used are among them. */
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
