/* Neighbours of a router's interfaces: what neighbour.h asks of its owner.
 *
 * A neighbour that can be sent to, or that a next hop leads to, has an adjacency.  One on the link of an
 * address of the interface is a host route as well, so that packets to it are found like any others. */

#include <stdlib.h>
#include <string.h>

#include "bridge.h"
#include "bytes.h"
#include "headers.h"
#include "router_private.h"
#include "stats.h"

static struct router_interface *
own_of(struct dataplane *dataplane, const struct neighbour_link *link)
{
    return interface_own(dataplane, link->interface);
}

static bool
is_link_local(uint8_t family, const struct ip_address *address)
{
    return family == IP_V6 && address->word[0] >> 54 == 0xfe80 >> 6;
}

/* --- Adjacencies ---------------------------------------------------------------------------- */

/* Ethernet, and the tag of the interface's VLAN.  The type at the end is the packet's. */
static void
put_header(struct adjacency *adjacency, const struct interface *view, uint64_t mac)
{
    uint8_t *at = adjacency->header;

    put_be48(at, mac);
    put_be48(at + 6, view->mac);
    at += ETH_TYPE_AT;
    if (view->vlan) {
        put_be16(at, ETH_TYPE_VLAN);
        put_be16(at + 2, view->vlan);
        at += VLAN_SIZE;
    }
    adjacency->header_len = (uint8_t) (at + 2 - adjacency->header);
}

/* What leads to a neighbour as it is now; null without memory. */
static struct adjacency *
adjacency_of(struct dataplane *dataplane, struct neighbour *neighbour, uint32_t counter, bool resolved)
{
    const struct interface *view = interface_at(&dataplane->routing, neighbour->link->interface);
    struct attachment *to = view && view->port != PORT_LOCAL ? bridge_port(view->bridge, view->port)
                                                             : NULL;
    bool reachable = resolved && view && view->up && (to || view->port == PORT_LOCAL);
    struct adjacency *adjacency = adjacency_make(
        !reachable ? ADJACENCY_INCOMPLETE : to ? ADJACENCY_REWRITE : ADJACENCY_BRIDGE, 0);

    if (!adjacency) {
        return NULL;
    }
    adjacency->interface = neighbour->link->interface;
    adjacency->counter = counter;
    adjacency->mtu = view ? view->mtu : 0;
    adjacency->neighbour = neighbour;
    if (!reachable) {
        return adjacency;
    }
    put_header(adjacency, view, neighbour->mac);
    if (to) {
        adjacency->to = to;
    } else {
        adjacency->bridge = view->bridge;
    }
    return adjacency;
}

static uint32_t
counter_of(struct dataplane *dataplane, const struct neighbour *neighbour)
{
    return adjacency_at(&dataplane->routing.adjacencies, neighbour->adjacency)->counter;
}

/* Gives a neighbour an adjacency.  Returns false without memory. */
static bool
begin(struct dataplane *dataplane, struct neighbour *neighbour, bool resolved)
{
    uint32_t counter = counter_new(&dataplane->counters);
    struct adjacency *adjacency = adjacency_of(dataplane, neighbour, counter, resolved);

    if (adjacency) {
        neighbour->adjacency = adjacency_new(&dataplane->routing.adjacencies, adjacency);
    }
    if (!neighbour->adjacency) {
        adjacency_drop(adjacency);
        dataplane_retire_counter(dataplane, counter);
    }
    return neighbour->adjacency;
}

/* Publishes what a neighbour with an adjacency is like now.  Without memory what was there cannot be left:
 * it may be wrong. */
static void
publish(struct dataplane *dataplane, struct neighbour *neighbour, bool resolved)
{
    struct routing *routing = &dataplane->routing;
    struct adjacency *adjacency;

    while (!(adjacency = adjacency_of(dataplane, neighbour, counter_of(dataplane, neighbour), resolved))) {
        epoch_synchronize(&dataplane->epoch);
    }
    adjacency_publish(&routing->adjacencies, neighbour->adjacency, adjacency);
    router_follow(dataplane, neighbour->adjacency);
}

/* --- Host routes ------------------------------------------------------------------------------ */

static struct ip_prefix
host_route(const struct neighbour *neighbour)
{
    return (struct ip_prefix) { neighbour->address, neighbour->family,
                                (uint8_t) ip_bits(neighbour->family) };
}

static bool
has_host_route(const struct router_interface *own, const struct neighbour *neighbour)
{
    return own && !is_link_local(neighbour->family, &neighbour->address)
           && interface_covers(own, neighbour->family, &neighbour->address);
}

/* --- What neighbour.h asks -------------------------------------------------------------------- */

/* The interface by which a route leads to an address; null: none does. */
static struct router_interface *
interface_towards(const struct router *router, uint8_t family, const struct ip_address *address)
{
    const struct adjacency_table *table = &router->dataplane->routing.adjacencies;
    const struct adjacency *by = adjacency_at(table, fib_lookup(&router->fib, family, address));

    if (by->kind == ADJACENCY_GROUP) {
        by = adjacency_at(table, by->buckets[0]);
    }
    return interface_own(router->dataplane, by->interface);
}

static enum neighbour_role
answers_for(void *dataplane, struct neighbour_link *link, uint8_t family,
            const struct ip_address *address)
{
    const struct router_interface *own = own_of(dataplane, link);

    const struct own_address *mine = interface_address(own, family, address);

    if (mine && mine->state != ADDRESS_DUPLICATE) {
        return mine->state == ADDRESS_VALID ? NEIGHBOUR_OWN : NEIGHBOUR_TENTATIVE;
    }
    if (!own->proxy_arp || family != IP_V4) {
        return NEIGHBOUR_NONE;
    }
    const struct router_interface *towards = interface_towards(own->router, family, address);
    return towards && towards != own ? NEIGHBOUR_PROXY : NEIGHBOUR_NONE;
}

static bool
on_link(void *dataplane, struct neighbour_link *link, uint8_t family, const struct ip_address *address)
{
    return interface_covers(own_of(dataplane, link), family, address);
}

static bool
source(void *dataplane, struct neighbour_link *link, uint8_t family, const struct ip_address *target,
       struct ip_address *source)
{
    const struct router_interface *own = own_of(dataplane, link);
    const struct ip_address link_local = { { 0xfe80ull << 48, 0 } };
    const struct ip_address *from = interface_source(own, family, family == IP_V6 ? &link_local : target);

    if (from) {
        *source = *from;
    }
    return from;
}

static void
send(void *dataplane, struct neighbour_link *link, const uint8_t *frame, size_t len)
{
    router_send(dataplane, link->interface, frame, len);
}

static void
resolved(void *dataplane, struct neighbour *neighbour)
{
    struct router_interface *own = own_of(dataplane, neighbour->link);

    if (neighbour->adjacency) {
        publish(dataplane, neighbour, true);
    } else if (!begin(dataplane, neighbour, true)) {
        return;
    }
    if (has_host_route(own, neighbour)) {
        const struct ip_prefix route = host_route(neighbour);
        router_put_own_route(own->router, ROUTE_NEIGHBOUR, &route, neighbour->adjacency);
    }
}

static void
lost(void *dataplane, struct neighbour *neighbour)
{
    if (neighbour->adjacency) {
        publish(dataplane, neighbour, false);
    }
}

static void
removed(void *dataplane_, struct neighbour *neighbour)
{
    struct dataplane *dataplane = dataplane_;
    struct router_interface *own = own_of(dataplane, neighbour->link);
    const struct ip_prefix route = host_route(neighbour);

    if (own) {
        router_remove_route(own->router, ROUTE_NEIGHBOUR, &route);
    }
    if (neighbour->adjacency) {
        uint32_t counter = counter_of(dataplane, neighbour);
        adjacency_free(&dataplane->routing.adjacencies, neighbour->adjacency);
        dataplane_retire_counter(dataplane, counter);
        neighbour->adjacency = 0;
    }
}

static void
unreachable(void *dataplane, struct neighbour *neighbour, uint16_t eth_type, const uint8_t *packet,
            size_t len)
{
    struct router_interface *own = own_of(dataplane, neighbour->link);
    uint8_t family = eth_type == ETH_TYPE_IPV4 ? IP_V4 : IP_V6;

    if (eth_type == ETH_TYPE_MPLS) {
        return;                         /* Who sent it may not be known here (RFC 3032, 2.3). */
    }
    struct ip_address sender = ip_read(family, packet + (family == IP_V4 ? 12 : 8));
    struct router_interface *back = own ? interface_towards(own->router, family, &sender) : NULL;

    if (back) {
        router_send_error(back, ICMP_HOST_UNREACHABLE, 0, packet, len, false,
                          own->router->dataplane->routing.neighbours.now_ms);
    }
}

static uint64_t
used(void *dataplane_, const struct neighbour *neighbour)
{
    struct dataplane *dataplane = dataplane_;

    return neighbour->adjacency
           ? counter_read(&dataplane->counters, counter_of(dataplane, neighbour)).used : 0;
}

static void
conflict(void *dataplane, struct neighbour_link *link, uint8_t family,
         const struct ip_address *address, uint64_t mac)
{
    (void) mac;
    router_conflict(own_of(dataplane, link), family, address);
}

const struct neighbour_owner router_neighbour_owner = {
    .answers_for = answers_for, .on_link = on_link, .source = source, .send = send, .resolved = resolved, .lost = lost,
    .removed = removed, .unreachable = unreachable, .used = used, .conflict = conflict,
};

/* --- For the other parts ------------------------------------------------------------------------ */

struct neighbour *
router_hold_neighbour(struct router_interface *own, uint8_t family, const struct ip_address *address)
{
    struct dataplane *dataplane = own->router->dataplane;
    struct neighbours *neighbours = &dataplane->routing.neighbours;
    struct neighbour *neighbour = neighbour_get(neighbours, &own->neighbours, family, address,
                                                neighbours->now_ms);

    if (!neighbour || (!neighbour->adjacency && !begin(dataplane, neighbour, false))) {
        return NULL;
    }
    neighbour_hold(neighbour);
    return neighbour;
}

void
router_release_neighbour(struct dataplane *dataplane, struct neighbour *neighbour)
{
    struct neighbours *neighbours = &dataplane->routing.neighbours;

    neighbour_release(neighbours, neighbour, neighbours->now_ms);
}

void
router_flush_uncovered(struct router_interface *own)
{
    struct neighbours *neighbours = &own->router->dataplane->routing.neighbours;
    struct neighbour *neighbour;
    uint32_t cursor = 0;

    while ((neighbour = neighbour_next(neighbours, &cursor))) {
        if (neighbour->link == &own->neighbours && neighbour->state != NEIGHBOUR_PERMANENT
            && !interface_covers(own, neighbour->family, &neighbour->address)) {
            neighbour_remove(neighbours, neighbour, neighbours->now_ms);
        }
    }
}
