#ifndef RAICHO_ROUTER_WIRE_H
#define RAICHO_ROUTER_WIRE_H

/* Routes, next hops and neighbours as records of bytes; what they are made of stands in router_wire.c.
 *
 * Threads: the control thread's. */

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

struct router;

enum {
    ROUTE_RECORD = 32,          /* Bytes. */
    NEIGHBOUR_RECORD = 40,
};

/* Applies whole records, each for itself; 'results' gets 4 bytes for each, enum route_result in network
 * order.  Returns how many there were. */
size_t router_route_mod(struct router *router, const uint8_t *records, size_t size, uint8_t *results);

/* The same for groups, 'max' at most; stops at one that is cut. */
size_t router_next_hop_mod(struct router *router, const uint8_t *records, size_t size,
                           uint8_t *results, size_t max);

/* Appends up to 'limit' records of the routes of a source (0: of all), from '*cursor' on (0 at first), which
 * is 0 when there are no more.  Those of ROUTE_CONNECTED and ROUTE_NEIGHBOUR have an adjacency in the place
 * of a group. */
void router_list_routes(struct router *router, uint8_t source, uint32_t *cursor, uint32_t limit,
                        struct buffer *out);

/* The same for groups, as records that would put them; a few more than 'limit' if they share a place. */
void router_list_groups(struct router *router, uint8_t source, uint32_t *place, uint32_t limit,
                        struct buffer *out);

/* The same for neighbours on the interfaces of a router, 40 bytes each: 1 byte of 0, family, state (enum
 * neighbour_state), 1 byte of 0, interface (4), address (16), MAC address (6), 2 bytes of 0, ms since it came
 * into its state (8). */
void router_list_neighbours(struct router *router, uint64_t now_ms, uint32_t *cursor, uint32_t limit,
                            struct buffer *out);

/* Sets or removes neighbours by records of NEIGHBOUR_RECORD bytes: op (1 put, 2 remove), family, 2 bytes
 * of 0, interface (4), address (16), MAC address (6), 10 bytes of 0.  Results and return value as above. */
size_t router_neighbour_mod(struct router *router, const uint8_t *records, size_t size,
                            uint8_t *results, uint64_t now_ms);

#endif
