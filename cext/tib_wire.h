#ifndef RAICHO_TIB_WIRE_H
#define RAICHO_TIB_WIRE_H

/* Trees as records of bytes, for who sets many of them at once; numbers are in network order.
 *
 * A tree, 68 bytes: op (1 put, 2 remove) at 0, source (enum route_source) 1, family (4, 6) 2, flags (1: we get
 * a copy) 3, number of outgoing interfaces 4, 2 bytes of 0, incoming interface (0: by which a route leads to
 * the source) 8, group 12, source (0: any) 28, packets that took it 44, their bytes 52, packets that came by
 * another interface 60; then 4 bytes for each outgoing interface.  Of IPv4 an address is the first 4 bytes.
 * Counters are of the tree, whoever named it, and only in lists.
 *
 * Threads: the control thread's. */

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

struct router;

enum { TREE_RECORD = 68 };      /* Bytes, without the outgoing interfaces. */

/* Applies whole records, 'max' at most, each for itself; 'results' gets 4 bytes for each, enum route_result
 * in network order.  Stops at one that is cut.  Returns how many there were. */
size_t router_tree_mod(struct router *router, const uint8_t *records, size_t size, uint8_t *results,
                       size_t max);

/* Appends what a source (0: every one) says of trees, of up to 'limit' trees, from '*cursor' on (0 at first),
 * which is 0 when there are no more. */
void router_list_trees(struct router *router, uint8_t source, uint32_t *cursor, uint32_t limit,
                       struct buffer *out);

#endif
