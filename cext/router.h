#ifndef RAICHO_ROUTER_H
#define RAICHO_ROUTER_H

/* Routers: interfaces, routes and next hops that belong together (a VRF).
 *
 * What
 * ====
 * A router has a RIB, in which every source of routes has its own, and the FIBs and the LIB (lib.h) made of
 * the best of them.  What becomes of a label is a route like others.  Routes name next-hop groups by
 * (source, id); a group is an adjacency.  Addresses of interfaces make routes of their own: to the link, and
 * to us.  Neighbours on a link are host routes.  What goes to multicast groups takes the trees of its TIB.
 *
 * Interfaces have an index that is theirs in the whole dataplane.
 *
 * Threads
 * =======
 * The control thread's, all of it; workers read the FIBs, trees, interfaces and adjacencies.
 *
 * Reference: RFC 1812; RFC 8200; RFC 4861 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "escalation.h"
#include "fib.h"
#include "idmap.h"
#include "interface.h"
#include "ip.h"
#include "lib.h"
#include "rib.h"
#include "tib.h"

struct dataplane;
struct nd_router;
struct punt;
struct push;

enum {
    ROUTER_NAME_MAX = 64,
    ROUTER_MEMBERS_MAX = 256,           /* Next hops of a group. */
    NEXT_HOP_LABELS = 4,
};

/* Where routes come from.  Those from ROUTE_FREE on are nobody's. */
enum route_source {
    ROUTE_CONNECTED = 1, ROUTE_STATIC, ROUTE_NEIGHBOUR, ROUTE_KERNEL, ROUTE_FPM,
    ROUTE_MEMBERSHIP,                   /* Trees only: hosts on our links have joined. */
    ROUTE_FREE = 16,
};

/* Kinds of next hops. */
enum next_hop_kind {
    NEXT_HOP_GATEWAY = 1,               /* By a neighbour on an interface. */
    NEXT_HOP_LINK,                      /* The destination is on the interface's link. */
    NEXT_HOP_BLACKHOLE, NEXT_HOP_UNREACHABLE, NEXT_HOP_PROHIBIT,
    NEXT_HOP_RECURSIVE,                 /* By what leads to the gateway. */
    NEXT_HOP_LOCAL,                     /* Here.  A label ends here: what is below it is looked up. */
};

struct next_hop {
    uint8_t kind;                       /* enum next_hop_kind */
    uint8_t family;                     /* Of the gateway; 0: none. */
    uint16_t weight;                    /* At least 1. */
    uint32_t interface;                 /* 0: none. */
    struct ip_address gateway;
    uint8_t n_labels;
    uint32_t labels[NEXT_HOP_LABELS];   /* To push, the outermost first; implicit null stands for none. */
};

enum {
    ROUTER_MEMBER_TREES = TIB_TREES / 4,        /* Of sources that hosts name: others have room too. */
};

/* A next hop of a group, and the neighbour it leads to, held; null: to none, or it is down. */
struct group_member {
    struct next_hop hop;
    struct neighbour *neighbour;
    struct push *push;                  /* Held; null: it has no labels. */
};

/* A group of next hops, as its source knows it. */
struct next_hop_group {
    uint32_t id;                        /* First, for idmap.h. */
    uint8_t source;
    bool recursive;                     /* Has a member that is looked up. */
    uint32_t adjacency;                 /* What its routes have as their value. */
    uint32_t n_routes;                  /* That name it. */
    uint32_t follows;                   /* The adjacency that is its only member; 0: none, or several. */
    struct next_hop_group *next_follower, **follower_link;
    uint32_t n;
    struct group_member members[];
};

/* What an interface is made with. */
struct interface_config {
    const char *name;
    struct bridge *bridge;
    uint32_t port;                      /* Number on the bridge; PORT_LOCAL: the bridge itself. */
    uint16_t vlan;                      /* 0: untagged. */
    uint16_t mtu;
    uint64_t mac;
    uint8_t reverse_path;               /* enum reverse_path */
    uint8_t nat_side;                   /* enum nat_side */
    uint8_t nat;                        /* Number of the NAT. */
    uint16_t number;                    /* By which the action `route` names it, nobody else's; 0: none. */
    bool up;
    bool proxy_arp;
    bool redirects;
    bool detects;                       /* Duplicates of its IPv6 addresses, before it uses them. */
};

struct router {
    struct router *next;                /* Of the dataplane. */
    char name[ROUTER_NAME_MAX];
    struct dataplane *dataplane;
    struct fib fib;
    struct lib lib;
    struct rib rib;
    struct tib tib;                     /* Trees of groups. */
    _Atomic bool pipe;                  /* Labels hide the time to live below them (RFC 3443, 3.2). */
    uint64_t members_refused;           /* Changes of members for which the trees had no room. */
    struct idmap groups[256];           /* Next-hop groups, by source. */
    uint32_t n_groups, n_recursive;
    uint64_t n_refused;                 /* Routes for which there was no room. */
    bool changed;                       /* A best route, since recursive next hops were looked up. */
    struct escalation *escalations;     /* Who wants to see which packets; a list. */
    unsigned n_escalations;
    _Atomic(struct escalation_watch *) watch;   /* What workers look for; null: nothing. */
};

/* How labels treat times to live: as a pipe, or else uniform. */
static inline void
router_set_pipe(struct router *router, bool pipe)
{
    atomic_store_explicit(&router->pipe, pipe, memory_order_relaxed);
}

/* Returns null without memory. */
struct router *router_open(struct dataplane *dataplane, const char *name);

/* Its interfaces go with it.  Waits for readers. */
void router_close(struct router *router);

/* --- Interfaces (router_interface.c) --------------------------------------------------------- */

/* Puts an interface on a port (or bridge) and VLAN that have none.  Returns 0, EEXIST, ENOENT (no such
 * port) or ENOMEM. */
int router_add_interface(struct router *router, const struct interface_config *config,
                         uint32_t *index);

/* Changes what an interface is like; it stays on its port and VLAN.  0, ENOENT or ENOMEM. */
int router_set_interface(struct router *router, uint32_t index, const struct interface_config *config);

/* Takes it out, with its addresses, neighbours and what its routes lead to. */
void router_remove_interface(struct router *router, uint32_t index);

/* Gives an interface an address with the length of its link's prefix, and takes it away.  0, EEXIST,
 * ENOENT, EINVAL (not an address of a host) or ENOMEM. */
int router_add_address(struct router *router, uint32_t index, const struct ip_prefix *address);
int router_remove_address(struct router *router, uint32_t index, const struct ip_prefix *address);

/* The next address of an interface, from '*i' on (0 at first), that somebody else on its link has; null: there
 * is no more.  It is not used; to try it again is to remove and add it. */
const struct ip_prefix *router_duplicate(const struct router *router, uint32_t index, unsigned *i);

/* Tells hosts on the link of an interface of the router, and what 'config' has for them, or with null no more;
 * what is kept there is ignored.  0 or ENOENT. */
int router_set_advertised(struct router *router, uint32_t index, const struct nd_router *config);

/* Asks on the link of an interface which groups hosts are in, and makes trees to them (router_members.c), or no
 * longer.  0, ENOENT or ENOMEM. */
int router_set_listening(struct router *router, uint32_t index, bool listens, uint64_t now_ms);

/* --- Routes (router_route.c) ------------------------------------------------------------------- */

/* What became of a record of the wire (router_wire.c). */
enum route_result {
    ROUTE_DONE, ROUTE_BAD, ROUTE_NO_ROUTER, ROUTE_NO_INTERFACE, ROUTE_NO_GROUP, ROUTE_NO_MEMORY,
    ROUTE_NOT_FOUND, ROUTE_IN_USE,
};

enum route_result router_put_group(struct router *router, uint8_t source, uint32_t id,
                                   const struct next_hop *members, uint32_t n);
enum route_result router_remove_group(struct router *router, uint8_t source, uint32_t id);

enum route_result router_put_route(struct router *router, uint8_t source,
                                   const struct ip_prefix *prefix, uint8_t distance,
                                   uint32_t metric, uint32_t group);
enum route_result router_remove_route(struct router *router, uint8_t source,
                                      const struct ip_prefix *prefix);

/* Mark and sweep: after router_begin() whatever is not put again goes with router_sweep(), which
 * returns how many routes that were. */
void router_begin(struct router *router, uint8_t source);
uint32_t router_sweep(struct router *router, uint8_t source);

/* --- What workers cannot do themselves (router_punt.c) -------------------------------------------- */

/* Handles a packet whose reason is one of enum route_reason. */
void router_punt(struct dataplane *dataplane, const struct punt *punt, uint64_t now_ms);

/* Gives an interface a side for the host: a descriptor that does not block, of a tap; -1: none. */
void router_set_host(struct router *router, uint32_t index, int descriptor);

/* Sends what the host has sent by an interface. */
void router_read_host(struct router *router, uint32_t index);

/* Timers of neighbours and fragments. */
void router_tick(struct dataplane *dataplane, uint64_t now_ms);

/* Sends a frame without a tag by an interface. */
void router_send(struct dataplane *dataplane, uint32_t interface, const uint8_t *frame, size_t len);

/* What a program beside the dataplane wants to send (router_send.c). */
struct router_message {
    uint8_t family;                     /* enum ip_family */
    uint8_t protocol;
    uint8_t ttl;                        /* 0: 64, or 1 to a group. */
    uint8_t traffic_class;
    bool dont_fragment;                 /* IPv4. */
    bool has_source;                    /* Else it is that of the interface by which the packet leaves. */
    uint16_t checksum_at;               /* Where in the payload the sum of payload and pseudo header goes (RFC
                                         * 3542, 3.1); UINT16_MAX: nowhere, as TCP, UDP, SCTP and ICMP have
                                         * theirs anyway. */
    uint32_t interface;                 /* Destination on its link, or a group; 0: where the route leads. */
    struct ip_address source, destination;
};

/* Sends a payload behind a header made of that, in fragments if need be.  Returns 0, or EINVAL (a checksum
 * that is not in the payload), EHOSTUNREACH (no route, not on the link, or to ourselves), ENETDOWN (the interface
 * is down), EADDRNOTAVAIL (no address to send from) or EMSGSIZE (longer than IP, or than a packet may be that is
 * not to be fragmented). */
int router_send_message(struct router *router, const struct router_message *message,
                        const uint8_t *payload, size_t len, uint64_t now_ms);

/* Sends an IP packet of ours, without an Ethernet header, where its destination's route leads. */
void router_originate(struct router *router, const uint8_t *ip, size_t len, uint64_t now_ms);

#endif
