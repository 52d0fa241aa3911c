/* What a router tells hosts on its links unasked: a better first hop, that it is there; and what it asks them
 * before it uses an address.
 *
 * Reference: RFC 792 and RFC 1812, section 5.2.7.2 (redirects); RFC 4861, sections 6.2 and 8.2; RFC 4862 */

#include <errno.h>

#include "headers.h"
#include "nd.h"
#include "router_private.h"

static bool
is_link_local(const struct ip_address *address)
{
    return address->word[0] >> 54 == 0xfe80 >> 6;
}

/* --- Redirects ---------------------------------------------------------------------------------- */

/* Whether a host on a link can send to a neighbour what it sends to 'to': the neighbour is on the host's
 * link, and with IPv6 is named by a link-local address, or is the destination itself. */
static bool
can_use(const struct router_interface *own, uint8_t family, const struct ip_address *host,
        const struct neighbour *gateway, const struct ip_address *to)
{
    return gateway->family == family && !ip_equal(&gateway->address, host)
           && interface_covers(own, family, host) && interface_covers(own, family, &gateway->address)
           && (family == IP_V4 || is_link_local(&gateway->address) || ip_equal(&gateway->address, to));
}

void
router_redirect(struct router_interface *own, uint32_t id, const uint8_t *ip, size_t len, uint64_t now_ms)
{
    static const struct ip_address link_local = { { UINT64_C(0xfe80) << 48, 0 } };
    struct routing *routing = &own->router->dataplane->routing;
    const struct adjacency *by = adjacency_at(&routing->adjacencies, id);
    uint8_t family = len ? ip[0] >> 4 : 0, packet[ICMP_MAX];

    if (!len || (by->kind != ADJACENCY_REWRITE && by->kind != ADJACENCY_BRIDGE)
        || by->interface != own->index) {
        return;                         /* It has changed meanwhile. */
    }
    struct ip_address host = ip_read(family, ip + (family == IP_V4 ? 12 : 8));
    struct ip_address to = ip_read(family, ip + (family == IP_V4 ? 16 : 24));
    const struct neighbour *gateway = by->neighbour;
    const struct ip_address *from = interface_source(own, family, family == IP_V4 ? &host : &link_local);

    if (!from || !can_use(own, family, &host, gateway, &to)) {
        return;
    }
    const struct icmp_cause cause = { ICMP_REDIRECT, 0, ip, len, *from, false };
    size_t size = icmp_redirect(&own->icmp, &routing->icmp, &cause, &gateway->address, gateway->mac,
                                now_ms, packet);

    if (size) {
        router_answer(own, packet, size, now_ms);
    }
}

/* --- Advertisements ------------------------------------------------------------------------------ */

static void
stop(struct routing *routing, struct router_interface *own)
{
    struct router_interface **link = &routing->advertising;

    while (*link != own) {
        link = &(*link)->next_advertising;
    }
    *link = own->next_advertising;
    nd_retire(&routing->neighbours, &own->neighbours);
    own->neighbours.router = NULL;
}

int
router_set_advertised(struct router *router, uint32_t index, const struct nd_router *config)
{
    struct routing *routing = &router->dataplane->routing;
    struct router_interface *own = interface_own(router->dataplane, index);

    if (!own || own->router != router) {
        return ENOENT;
    }
    if (!config) {
        if (own->neighbours.router) {
            stop(routing, own);
        }
        return 0;
    }
    uint64_t sent_ms = own->advertised.sent_ms;

    own->advertised = *config;
    own->advertised.due_ms = 0;         /* Soon: hosts are to know of what has changed (6.2.4). */
    own->advertised.n_sent = 0;
    own->advertised.sent_ms = sent_ms;
    if (!own->neighbours.router) {
        own->neighbours.router = &own->advertised;
        own->next_advertising = routing->advertising;
        routing->advertising = own;
    }
    return 0;
}

void
router_advertise(struct routing *routing, uint64_t now_ms)
{
    for (struct router_interface *own = routing->advertising; own; own = own->next_advertising) {
        nd_advance(&routing->neighbours, &own->neighbours, now_ms);
    }
}

/* --- Duplicate addresses (RFC 4862, section 5.4) -------------------------------------------------- */

static void
detect_on(struct router_interface *own, uint64_t now_ms)
{
    struct neighbours *neighbours = &own->router->dataplane->routing.neighbours;

    for (unsigned i = 0; interface_view(own)->up && i < own->n_addresses; i++) {
        struct own_address *address = &own->addresses[i];
        if (address->state != ADDRESS_TENTATIVE) {
            continue;
        }
        if (!address->due_ms) {
            nd_probe(neighbours, &own->neighbours, &address->address.address);
            address->due_ms = now_ms + neighbours->config.retrans_ms;
        } else if (now_ms >= address->due_ms) {
            interface_validate(own, address);   /* Without memory at the next tick. */
        }
    }
}

void
router_detect(struct dataplane *dataplane, uint64_t now_ms)
{
    for (uint32_t index = 1; dataplane->routing.n_tentative && index < INTERFACES_MAX; index++) {
        if (interface_own(dataplane, index)) {
            detect_on(interface_own(dataplane, index), now_ms);
        }
    }
}
