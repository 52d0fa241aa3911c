/* Routes and next hops as records of bytes, for who sets many of them at once.
 *
 * All numbers are in network order.
 *
 * A route, 32 bytes: op (1 put, 2 remove) at 0, family (4, 6; 20: a label) 1, length of the prefix 2 (20), source
 * 3, group of next hops 4, metric 8, distance 12, 3 bytes of 0, prefix 16 (of IPv4 the first 4 bytes, with the
 * label as a number in them for a label).
 *
 * A group of next hops, 8 bytes: op 0, source 1, number of members 2, id 4; and for each member 40
 * bytes: kind (enum next_hop_kind) 0, family of the gateway (0: none) 1, weight 2, interface 4, gateway 8,
 * labels to push 24 (4 of 4 bytes, the outermost first; 0xffffffff: none, nor any behind it). */

#include "bytes.h"
#include "router_private.h"
#include "router_wire.h"

enum {
    PUT = 1, REMOVE = 2,
    MEMBER_SIZE = 40, GROUP_SIZE = 8,
    NO_LABEL = 0xffffffff,
    AHEAD = 8,                      /* Routes for which the cache is asked before it is their turn. */
};

static bool
is_family(uint8_t family)
{
    return family == IP_V4 || family == IP_V6 || family == IP_LABEL;
}

static enum route_result
route_record(struct router *router, const uint8_t *at)
{
    struct ip_prefix prefix = { .family = at[1], .len = at[2] };

    if (!is_family(prefix.family)) {
        return ROUTE_BAD;
    }
    prefix.address = ip_read(prefix.family, at + 16);
    if (!ip_prefix_is_valid(&prefix) || at[3] < ROUTE_STATIC || at[3] == ROUTE_NEIGHBOUR) {
        return ROUTE_BAD;
    }
    if (at[0] == PUT) {
        return router_put_route(router, at[3], &prefix, at[12], get_be32(at + 8), get_be32(at + 4));
    }
    return at[0] == REMOVE ? router_remove_route(router, at[3], &prefix) : ROUTE_BAD;
}

static void
prefetch_record(const struct router *router, const uint8_t *at)
{
    struct ip_prefix prefix = { .family = at[1], .len = at[2] };

    if (is_family(prefix.family)) {
        prefix.address = ip_read(prefix.family, at + 16);
        rib_prefetch(&router->rib, &prefix);
        if (prefix.family != IP_LABEL) {
            fib_prefetch(&router->fib, &prefix);
        }
    }
}

size_t
router_route_mod(struct router *router, const uint8_t *records, size_t size, uint8_t *results)
{
    size_t n = size / ROUTE_RECORD;

    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n) {
            prefetch_record(router, records + (i + AHEAD) * ROUTE_RECORD);
        }
        enum route_result result = route_record(router, records + i * ROUTE_RECORD);
        router->n_refused += result == ROUTE_NO_MEMORY;
        put_be32(results + 4 * i, result);
    }
    return n;
}

/* Returns false if one comes behind none. */
static bool
read_labels(const uint8_t *at, struct next_hop *member)
{
    for (unsigned i = 0; i < NEXT_HOP_LABELS; i++, at += 4) {
        uint32_t label = get_be32(at);
        if (label != NO_LABEL && member->n_labels < i) {
            return false;
        }
        if (label != NO_LABEL) {
            member->labels[member->n_labels++] = label;
        }
    }
    return true;
}

static bool
read_member(const uint8_t *at, struct next_hop *member)
{
    *member = (struct next_hop) {
        .kind = at[0], .family = at[1], .weight = get_be16(at + 2), .interface = get_be32(at + 4),
    };
    member->weight += !member->weight;
    if (member->family) {
        if (member->family != IP_V4 && member->family != IP_V6) {
            return false;
        }
        member->gateway = ip_read(member->family, at + 8);
    }
    return read_labels(at + 24, member);
}

static enum route_result
group_record(struct router *router, const uint8_t *at, uint16_t n)
{
    struct next_hop members[ROUTER_MEMBERS_MAX];

    if (at[0] == REMOVE) {
        return router_remove_group(router, at[1], get_be32(at + 4));
    }
    if (at[0] != PUT || !n || n > ROUTER_MEMBERS_MAX || at[1] < ROUTE_STATIC
        || at[1] == ROUTE_NEIGHBOUR) {
        return ROUTE_BAD;
    }
    for (unsigned i = 0; i < n; i++) {
        if (!read_member(at + GROUP_SIZE + i * MEMBER_SIZE, &members[i])) {
            return ROUTE_BAD;
        }
    }
    return router_put_group(router, at[1], get_be32(at + 4), members, n);
}

size_t
router_next_hop_mod(struct router *router, const uint8_t *records, size_t size, uint8_t *results,
                    size_t max)
{
    const uint8_t *end = records + size;
    size_t done = 0;

    while (done < max && (size_t) (end - records) >= GROUP_SIZE) {
        uint16_t n = get_be16(records + 2);
        size_t whole = GROUP_SIZE + (size_t) n * MEMBER_SIZE;
        if ((size_t) (end - records) < whole) {
            put_be32(results + 4 * done++, ROUTE_BAD);
            break;
        }
        put_be32(results + 4 * done++, group_record(router, records, n));
        records += whole;
    }
    return done;
}

/* --- Lists ------------------------------------------------------------------------------------ */

static void
put_route(struct buffer *out, const struct rib_route *route)
{
    uint8_t *at = buffer_put(out, ROUTE_RECORD);

    if (at) {
        at[0] = PUT;
        at[1] = route->prefix.family;
        at[2] = route->prefix.len;
        at[3] = route->source;
        put_be32(at + 4, route->via);
        put_be32(at + 8, route->metric);
        at[12] = route->distance;
        ip_write(route->prefix.family, &route->prefix.address, at + 16);
    }
}

void
router_list_routes(struct router *router, uint8_t source, uint32_t *cursor, uint32_t limit,
                   struct buffer *out)
{
    const struct rib_route *route;

    for (uint32_t i = 0; i < limit; i++) {
        route = rib_next(&router->rib, source, cursor);
        if (!route) {
            *cursor = 0;
            return;
        }
        put_route(out, route);
    }
}

static void
put_group(struct buffer *out, const struct next_hop_group *group)
{
    uint8_t *at = buffer_put(out, GROUP_SIZE + group->n * MEMBER_SIZE);

    if (!at) {
        return;
    }
    at[0] = PUT;
    at[1] = group->source;
    put_be16(at + 2, group->n);
    put_be32(at + 4, group->id);
    at += GROUP_SIZE;
    for (uint32_t i = 0; i < group->n; i++, at += MEMBER_SIZE) {
        const struct next_hop *hop = &group->members[i].hop;
        at[0] = hop->kind;
        at[1] = hop->family;
        put_be16(at + 2, hop->weight);
        put_be32(at + 4, hop->interface);
        if (hop->family) {
            ip_write(hop->family, &hop->gateway, at + 8);
        }
        for (unsigned j = 0; j < NEXT_HOP_LABELS; j++) {
            put_be32(at + 24 + 4 * j, j < hop->n_labels ? hop->labels[j] : NO_LABEL);
        }
    }
}

/* Of what is before a cursor of idmap.h, what the place of a list has room for. */
static uint32_t
place_of(unsigned source, uint64_t cursor)
{
    return source << 24 | (uint32_t) (cursor - 1) >> 8;
}

/* A page ends between two places, of which groups seldom share one. */
void
router_list_groups(struct router *router, uint8_t source, uint32_t *place, uint32_t limit,
                   struct buffer *out)
{
    unsigned first = source ? source : *place >> 24, end = source ? source + 1u : RIB_SOURCES;
    uint64_t cursor = (uint64_t) (*place & 0xffffff) << 8;
    const struct next_hop_group *group;
    uint32_t n = 0;

    for (unsigned i = first; i < end; i++, cursor = 0) {
        while ((group = idmap_next(&router->groups[i], &cursor))) {
            if (n >= limit && *place != place_of(i, cursor)) {
                *place = place_of(i, cursor);
                return;
            }
            *place = place_of(i, cursor);
            put_group(out, group);
            n++;
        }
    }
    *place = 0;
}

/* --- Neighbours ------------------------------------------------------------------------------ */

static void
put_neighbour(struct buffer *out, const struct neighbour *neighbour, uint64_t now_ms)
{
    uint8_t *at = buffer_put(out, NEIGHBOUR_RECORD);

    if (at) {
        at[1] = neighbour->family;
        at[2] = neighbour->state;
        put_be32(at + 4, neighbour->link->interface);
        ip_write(neighbour->family, &neighbour->address, at + 8);
        put_be48(at + 24, neighbour->mac);
        put_be64(at + 32, now_ms - neighbour->changed_ms);
    }
}

void
router_list_neighbours(struct router *router, uint64_t now_ms, uint32_t *cursor, uint32_t limit,
                       struct buffer *out)
{
    const struct neighbours *neighbours = &router->dataplane->routing.neighbours;
    const struct neighbour *neighbour;

    for (uint32_t n = 0; n < limit;) {
        neighbour = neighbour_next(neighbours, cursor);
        if (!neighbour) {
            *cursor = 0;
            return;
        }
        const struct router_interface *own = interface_own(router->dataplane, neighbour->link->interface);
        if (own && own->router == router) {
            put_neighbour(out, neighbour, now_ms);
            n++;
        }
    }
}

static enum route_result
neighbour_record(struct router *router, const uint8_t *at, uint64_t now_ms)
{
    struct neighbours *neighbours = &router->dataplane->routing.neighbours;
    struct router_interface *own = interface_own(router->dataplane, get_be32(at + 4));
    uint8_t family = at[1];

    if ((family != IP_V4 && family != IP_V6) || (at[0] != PUT && at[0] != REMOVE)) {
        return ROUTE_BAD;
    }
    if (!own || own->router != router) {
        return ROUTE_NO_INTERFACE;
    }
    struct ip_address address = ip_read(family, at + 8);
    if (at[0] == PUT) {
        uint64_t mac = get_be48(at + 24);
        return !mac || mac >> 40 & 1 ? ROUTE_BAD
               : neighbour_set(neighbours, &own->neighbours, family, &address, mac, now_ms)
               ? ROUTE_DONE : ROUTE_NO_MEMORY;
    }
    struct neighbour *neighbour = neighbour_find(neighbours, own->index, family, &address);
    if (!neighbour) {
        return ROUTE_NOT_FOUND;
    }
    neighbour_remove(neighbours, neighbour, now_ms);
    return ROUTE_DONE;
}

size_t
router_neighbour_mod(struct router *router, const uint8_t *records, size_t size, uint8_t *results,
                     uint64_t now_ms)
{
    size_t n = size / NEIGHBOUR_RECORD;

    for (size_t i = 0; i < n; i++) {
        put_be32(results + 4 * i, neighbour_record(router, records + i * NEIGHBOUR_RECORD, now_ms));
    }
    return n;
}
