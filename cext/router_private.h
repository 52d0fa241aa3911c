#ifndef RAICHO_ROUTER_PRIVATE_H
#define RAICHO_ROUTER_PRIVATE_H

/* What the files router_*.c share.  Control thread only. */

#include "dataplane.h"
#include "icmp.h"
#include "membership.h"
#include "nd.h"
#include "neighbour.h"
#include "router.h"

/* Whether nobody else on the link has an address (RFC 4862, 5.4); others than valid ones are not used. */
enum address_state { ADDRESS_VALID, ADDRESS_TENTATIVE, ADDRESS_DUPLICATE };

/* An address of an interface, with the length of its link's prefix. */
struct own_address {
    struct ip_prefix address;
    bool automatic;                     /* Link-local, made of the link-layer address. */
    uint8_t state;                      /* enum address_state */
    uint64_t due_ms;                    /* Tentative: when it becomes valid; 0: it was not asked for yet. */
};

/* The control thread's side of an interface. */
struct router_interface {
    struct router *router;
    uint32_t index;
    struct neighbour_link neighbours;
    struct membership *members;         /* Of groups; null: it does not ask. */
    struct router_interface *next_listening;
    struct nd_router advertised;        /* What the link's hosts are told, if it names this. */
    struct router_interface *next_advertising;
    struct icmp_limits icmp;
    uint32_t link;                      /* Id of the adjacency of destinations on its link. */
    struct bridge *bridge;
    uint32_t port;
    uint16_t vlan;
    uint16_t number;                    /* For actions; 0: none. */
    bool proxy_arp;
    bool detects;                       /* Its IPv6 addresses are tentative at first. */
    int host;                           /* Descriptor of its side for the host; -1: none. */
    struct own_address *addresses;
    unsigned n_addresses;
    uint64_t host_received, host_sent, host_lost;       /* Frames. */
};

/* What a worker sees of it; not null. */
static inline const struct interface *
interface_view(const struct router_interface *own)
{
    const struct interface *view = interface_at(&own->router->dataplane->routing, own->index);

    if (!view) {
        __builtin_unreachable();
    }
    return view;
}

static inline struct router_interface *
interface_own(const struct dataplane *dataplane, uint32_t index)
{
    return index < INTERFACES_MAX ? dataplane->routing.own[index] : NULL;
}

/* An address of an interface, in any state; null: it has none such. */
struct own_address *interface_address(const struct router_interface *own, uint8_t family,
                                      const struct ip_address *address);

/* Lets its routes be, which it has while it is valid.  Returns 0 or ENOMEM. */
int interface_validate(struct router_interface *own, struct own_address *address);

/* Whether an interface has that address, and uses it. */
bool interface_has(const struct router_interface *own, uint8_t family,
                   const struct ip_address *address);

/* Whether an address is on the link of one of its prefixes. */
bool interface_covers(const struct router_interface *own, uint8_t family,
                      const struct ip_address *address);

/* The address to send from to 'to' by an interface; null: it has none of that family. */
const struct ip_address *interface_source(const struct router_interface *own, uint8_t family,
                                          const struct ip_address *to);

/* What the rib calls: the best route of a prefix is another one. */
int router_best_changed(const struct rib_route *old, const struct rib_route *new, void *router);

/* What it calls when a route goes, or another takes its place. */
void router_route_removed(const struct rib_route *route, void *router);

/* Looks recursive next hops up again if routes have changed. */
void router_follow_best(struct router *router);

/* Puts a route whose 'via' is an adjacency. */
enum route_result router_put_own_route(struct router *router, uint8_t source,
                                       const struct ip_prefix *prefix, uint32_t adjacency);

/* Makes all groups anew: interfaces or addresses are others. */
void router_refresh_groups(struct dataplane *dataplane);

/* Makes every group anew whose only member is the adjacency. */
void router_follow(struct dataplane *dataplane, uint32_t adjacency);

/* Lets go of all groups of a router. */
void router_close_groups(struct router *router);

/* --- Neighbours (router_neighbour.c) --- */

extern const struct neighbour_owner router_neighbour_owner;

/* A neighbour that a next hop leads to, held, with an adjacency; null without room or memory. */
struct neighbour *router_hold_neighbour(struct router_interface *own, uint8_t family,
                                        const struct ip_address *address);
void router_release_neighbour(struct dataplane *dataplane, struct neighbour *neighbour);

/* Removes the neighbours on an interface that are on the link of none of its addresses. */
void router_flush_uncovered(struct router_interface *own);

/* --- Packets of our own (router_punt.c) --- */

/* Sends an IP packet where an adjacency leads; its time to live is as it is to be. */
void router_send_by(struct router *router, uint32_t adjacency, const uint8_t *ip, size_t len,
                    uint64_t now_ms);

/* Sends a packet of ours that answers one that came by an interface: link-local addresses are on its link. */
void router_answer(struct router_interface *own, const uint8_t *ip, size_t len, uint64_t now_ms);

/* Sends a packet of ours, in as many fragments as it takes, by an adjacency, or to a host or group on the
 * link of an interface if that is not 0.  0: no MTU.  Returns 0, or EMSGSIZE: it must not be fragmented. */
int router_send_ours(struct router *router, uint32_t adjacency, uint32_t interface, const uint8_t *ip,
                     size_t len, uint32_t mtu, uint64_t now_ms);

/* Tells the sender of a packet that came by an interface what is wrong with it. */
void router_send_error(struct router_interface *own, enum icmp_error error, uint32_t value,
                       const uint8_t *ip, size_t len, bool was_group, uint64_t now_ms);

/* --- To hosts on a link (router_hosts.c) --- */

/* Tells the sender of a packet that left by the interface it came by, and by an adjacency, who takes it on. */
void router_redirect(struct router_interface *own, uint32_t adjacency, const uint8_t *ip, size_t len,
                     uint64_t now_ms);

/* Sends advertisements that are due. */
void router_advertise(struct routing *routing, uint64_t now_ms);

/* Asks for tentative addresses, and uses those for which nobody has answered. */
void router_detect(struct dataplane *dataplane, uint64_t now_ms);

/* Somebody else has an address, or wants to have it. */
void router_conflict(struct router_interface *own, uint8_t family, const struct ip_address *address);

/* --- Members of groups (router_members.c) --- */

/* What hosts, or other routers, may say of groups. */
void router_hear_members(struct router_interface *own, const uint8_t *packet, size_t len, uint64_t now_ms);

void router_advance_members(struct routing *routing, uint64_t now_ms);

/* What the trees call (tib.h): lets those of members follow what others say. */
void router_tree_changed(void *router, uint8_t source, uint8_t family, const struct tree_key *key);

#endif
