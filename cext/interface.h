#ifndef RAICHO_INTERFACE_H
#define RAICHO_INTERFACE_H

/* Interfaces of routers: where packets enter and leave the network layer.
 *
 * What
 * ====
 * An interface is on a port, on a VLAN of a port, or on a bridge as if it were one more of its
 * ports.  What a worker sees of it does not change: another one takes its place as a whole.
 *
 * Threads: the control thread makes and replaces; workers read. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "key.h"

struct bridge;
struct router;

enum {
    INTERFACES_MAX = 8192,      /* Indices of a dataplane; 0 is none. */
    INTERFACE_NAME = 16,        /* Bytes, the NUL included: what Linux allows. */
    INTERFACE_VLANS = 4096,
};

/* Whether a packet's source must be reached by a route (RFC 3704). */
enum reverse_path { REVERSE_PATH_OFF, REVERSE_PATH_LOOSE, REVERSE_PATH_STRICT };

/* Which side of a NAT it is on. */
enum nat_side { NAT_SIDE_NONE, NAT_SIDE_INSIDE, NAT_SIDE_OUTSIDE };

struct interface {
    uint64_t mac;               /* 48 bits. */
    struct router *router;
    uint32_t index;
    uint32_t received, sent;    /* Counter ids. */
    uint16_t vlan;              /* 0: untagged. */
    uint16_t mtu;               /* Bytes of network-layer packet. */
    uint8_t reverse_path;       /* enum reverse_path */
    uint8_t nat_side;           /* enum nat_side */
    uint8_t nat;                /* Number of the NAT, if it is on a side of one. */
    bool redirects;             /* Who could send to the next hop himself is told. */
    _Atomic bool up;            /* Goes down in place, when the interface is about to go. */
    uint32_t port;              /* Number on the bridge; PORT_LOCAL: the interface is the bridge's own. */
    struct bridge *bridge;
    char name[INTERFACE_NAME];
};

/* The interfaces on a port or on a bridge, replaced as a whole. */
struct interface_map {
    const struct interface *untagged;   /* Null: none. */
    uint32_t n_tagged;                  /* 0, or INTERFACE_VLANS. */
    const struct interface *tagged[];   /* By VLAN. */
};

/* The interface that takes packets with the tag in a key's W_ETH_SRC; null: none.  A tag with VLAN 0
 * says nothing of a VLAN (802.1Q). */
static inline const struct interface *
interface_find(const struct interface_map *map, uint64_t eth_src_word)
{
    uint32_t vid = eth_src_word & VID_PRESENT ? eth_src_word & 0xfff : 0;

    return !map ? NULL : !vid ? map->untagged : vid < map->n_tagged ? map->tagged[vid] : NULL;
}

#endif
