/* Packets that programs beside the dataplane send through a router: header, checksum, next hop, fragments.
 *
 * Reference: RFC 1122, section 3.2; RFC 8200; RFC 3542, section 3.1 */

#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "csum.h"
#include "headers.h"
#include "router_private.h"

enum { TTL_OF_OURS = 64, DONT_FRAGMENT = 0x4000, NO_CHECKSUM = UINT16_MAX };

/* By what a message leaves. */
struct way {
    const struct interface *interface;
    uint32_t adjacency;                 /* 0: to somebody on the link. */
    uint32_t mtu;
};

static bool
is_group(uint8_t family, const struct ip_address *address)
{
    return family == IP_V4 ? address->word[1] >> 28 == 14 || address->word[1] == UINT32_MAX
                           : address->word[0] >> 56 == 0xff;
}

static int
find_on_link(const struct router *router, const struct router_message *message, struct way *way)
{
    const struct router_interface *own = interface_own(router->dataplane, message->interface);

    if (!own || own->router != router
        || (!is_group(message->family, &message->destination)
            && !interface_covers(own, message->family, &message->destination))
        || interface_has(own, message->family, &message->destination)) {
        return EHOSTUNREACH;
    }
    way->interface = interface_view(own);
    way->mtu = way->interface->mtu;
    return 0;
}

static int
find_by_route(const struct router *router, const struct router_message *message, struct way *way)
{
    const struct routing *routing = &router->dataplane->routing;
    uint32_t id = fib_lookup(&router->fib, message->family, &message->destination);
    const struct adjacency *by = adjacency_at(&routing->adjacencies, id);

    if (by->kind == ADJACENCY_GROUP) {
        id = by->buckets[0];
        by = adjacency_at(&routing->adjacencies, id);
    }
    way->interface = interface_at(routing, by->interface);
    way->adjacency = id;
    way->mtu = by->mtu;
    return way->interface ? 0 : EHOSTUNREACH;
}

static size_t
header_size(uint8_t family)
{
    return family == IP_V4 ? IPV4_SIZE : IPV6_SIZE;
}

static void
write_header(const struct router_message *message, const struct ip_address *source, size_t len, uint16_t id,
             uint8_t *ip)
{
    bool group = is_group(message->family, &message->destination);
    uint8_t ttl = message->ttl ? message->ttl : group ? 1 : TTL_OF_OURS;

    memset(ip, 0, header_size(message->family));
    if (message->family == IP_V4) {
        ip[0] = 0x45;
        ip[1] = message->traffic_class;
        put_be16(ip + 2, (uint16_t) (IPV4_SIZE + len));
        put_be16(ip + 4, id);
        put_be16(ip + 6, message->dont_fragment ? DONT_FRAGMENT : 0);
        ip[8] = ttl;
        ip[9] = message->protocol;
        ip_write(IP_V4, source, ip + 12);
        ip_write(IP_V4, &message->destination, ip + 16);
        csum_ipv4(ip);
    } else {
        put_be32(ip, UINT32_C(6) << 28 | (uint32_t) message->traffic_class << 20);
        put_be16(ip + 4, (uint16_t) len);
        ip[6] = message->protocol;
        ip[7] = ttl;
        ip_write(IP_V6, source, ip + 8);
        ip_write(IP_V6, &message->destination, ip + 24);
    }
}

/* Writes the checksum of the payload: of a protocol that is known, and where it is asked for. */
static void
sum_payload(const struct router_message *message, uint8_t *ip, size_t len)
{
    size_t header = header_size(message->family);
    struct packet packet = {
        .data = ip, .len = (uint32_t) (header + len), .l3 = 0, .l4 = (uint16_t) header,
    };

    if (message->checksum_at == NO_CHECKSUM) {
        csum_transport(&packet);
        return;
    }
    uint8_t *at = ip + header + message->checksum_at;
    uint32_t sum = csum_add_pseudo(0, ip, message->protocol, (uint32_t) len);

    memset(at, 0, 2);
    uint16_t stored = csum_fold(csum_add(sum, ip + header, len));
    memcpy(at, &stored, sizeof stored);
}

int
router_send_message(struct router *router, const struct router_message *message, const uint8_t *payload,
                    size_t len, uint64_t now_ms)
{
    uint8_t ip[IPV6_SIZE + UINT16_MAX];
    size_t header = header_size(message->family);
    struct way way = { 0 };
    int error = message->interface ? find_on_link(router, message, &way) : find_by_route(router, message, &way);

    if (message->checksum_at != NO_CHECKSUM && message->checksum_at + 2u > len) {
        return EINVAL;
    }
    if (error) {
        return error;
    }
    if (!way.interface->up) {
        return ENETDOWN;
    }
    if (len > UINT16_MAX - (message->family == IP_V4 ? IPV4_SIZE : 0)) {
        return EMSGSIZE;
    }
    const struct ip_address *source = message->has_source ? &message->source
        : interface_source(interface_own(router->dataplane, way.interface->index), message->family,
                           &message->destination);
    if (!source) {
        return EADDRNOTAVAIL;
    }
    uint16_t id = (uint16_t) neighbour_random(&router->dataplane->routing.neighbours, UINT16_MAX);
    write_header(message, source, len, id, ip);
    memcpy(ip + header, payload, len);
    sum_payload(message, ip, len);
    return router_send_ours(router, way.adjacency, message->interface, ip, header + len, way.mtu, now_ms);
}
