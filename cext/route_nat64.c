/* NAT64 in a route: see route_nat64.h.
 *
 * A packet is judged by the route that it will have in the other family, before it is translated: errors then
 * name the packet that their receiver has sent (RFC 7915, sections 4.1 and 5.1). */

#include "route_nat64.h"

#include <string.h>

#include "bridge.h"
#include "nat64.h"
#include "packet.h"
#include "router.h"
#include "worker.h"

static uint64_t
cookie_of(uint32_t adjacency, const struct interface *from)
{
    return (uint64_t)adjacency << 32 | from->index;
}

static struct nat *
nat_of(const struct worker *worker, const struct interface *from)
{
    return dataplane_nat(worker->dataplane, from->nat);
}

bool
route_nat64_is_on(const struct worker *worker, const struct interface *from)
{
    const struct nat *nat = nat_of(worker, from);

    return nat && nat64_is_on(nat);
}

/* The adjacency that a packet will take to an address. */
static const struct adjacency *
way_to(const struct worker *worker, const struct interface *from, struct packet *p, uint8_t family,
       const struct ip_address *to, uint32_t *id)
{
    const struct adjacency_table *table = &worker->dataplane->routing.adjacencies;
    const struct adjacency *by;

    *id = fib_lookup(&from->router->fib, family, to);
    by = adjacency_at(table, *id);
    if (by->kind == ADJACENCY_GROUP) {
        *id = by->buckets[packet_hash(p) >> 1 & (by->n_buckets - 1)];
        by = adjacency_at(table, *id);
    }
    return by;
}

/* Whether a packet ends here, and why; it is the control thread's then. */
static bool
ends(struct worker *worker, const struct interface *from, struct packet *p, const struct adjacency *by, uint32_t id,
     uint8_t ttl)
{
    bool may_cut;
    uint32_t len = nat64_length(p, &may_cut);

    if (ttl <= 1) {
        worker_punt_route(worker, p, ROUTE_TTL, cookie_of(0, from));
        return true;
    }
    if (by->mtu && len > by->mtu && !may_cut) {
        worker_punt_route(worker, p, ROUTE_TOO_BIG_NAT64, cookie_of(id, from));
        return true;
    }
    return false;
}

/* --- Out ---------------------------------------------------------------------------------------------------------- */

/* Packets that have no way outside. */
static void
refuse(struct worker *worker, const struct interface *from, struct packet *p, const struct adjacency *by)
{
    if (by->kind == ADJACENCY_BLACKHOLE) {
        worker_drop(worker, &p, 1, DROP_blackhole);
    } else {
        worker_punt_route(worker, p, by->kind == ADJACENCY_PROHIBIT ? ROUTE_PROHIBIT
                                     : by->kind == ADJACENCY_UNREACHABLE ? ROUTE_UNREACHABLE : ROUTE_NO_ROUTE,
                          cookie_of(0, from));
    }
}

/* Takes a packet for an IPv4 address; returns whether it goes on. */
static bool
go_out(struct worker *worker, const struct interface *from, struct nat *nat, struct packet *p, uint32_t address)
{
    struct ip_address to = ip_from_v4(address);
    uint32_t id;
    const struct adjacency *by = way_to(worker, from, p, IP_V4, &to, &id);
    const struct interface *leaves_by = interface_at(&worker->dataplane->routing, by->interface);

    if (!leaves_by || leaves_by->nat_side != NAT_SIDE_OUTSIDE || leaves_by->nat != from->nat) {
        refuse(worker, from, p, by);
        return false;
    }
    return !ends(worker, from, p, by, id, p->data[p->l3 + 7])
           && nat64_out(nat, worker, p, leaves_by->mtu, from->mtu);
}

/* Packets that turned back. */
struct turned {
    struct packet *packets[PACKET_VECTOR];
    unsigned n;
};

/* Takes a packet for an address outside of the NAT behind which is a host with IPv6: out, and in again. */
static void
turn_back(struct worker *worker, const struct interface *from, struct nat *nat, struct packet *p,
          struct nat64_target *target, struct turned *turned)
{
    const struct adjacency *by;
    uint32_t id;

    if (p->data[p->l3 + 7] <= 1) {
        worker_punt_route(worker, p, ROUTE_TTL, cookie_of(0, from));
        return;
    }
    if (target->inside) {
        by = way_to(worker, from, p, IP_V6, &target->address, &id);
        if (by->mtu && !p->offload.gso_type && p->len - p->l3 > by->mtu) {
            worker_punt_route(worker, p, ROUTE_TOO_BIG, cookie_of(id, from));
            return;
        }
    }
    if (!nat64_out(nat, worker, p, UINT16_MAX, from->mtu)) {
        return;
    }
    if (!nat64_find(nat, p, worker->now_ms, target)) {
        worker_drop(worker, &p, 1, DROP_nat_no_session);
        return;
    }
    by = way_to(worker, from, p, IP_V6, &target->address, &id);
    turned->n += nat64_in(nat, worker, p, target, by->mtu ? by->mtu : NAT64_MTU, from->mtu,
                          turned->packets + turned->n, PACKET_VECTOR - turned->n);
}

static bool
stands_for(const struct nat *nat, const struct packet *p, uint32_t *address)
{
    const uint64_t *word = packet_walk(p)->key.word;
    const struct ip_address to = { { word[W_IPV6_DST], word[W_IPV6_DST_LOW] } };

    return nat64_stands_for(nat, &to, address);
}

/* Moves packets to the other side, or back. */
static void
move_out(struct worker *worker, const struct interface *from, struct nat *nat, struct crossing *crossing,
         struct turned *turned)
{
    struct nat64_target target;
    unsigned kept = 0;
    uint32_t address;

    for (unsigned i = 0; i < crossing->n; i++) {
        struct packet *p = crossing->packets[i];

        if (!stands_for(nat, p, &address)) {
            crossing->packets[kept++] = p;
        } else if (nat64_turns(nat, p, address, &target)) {
            turn_back(worker, from, nat, p, &target, turned);
        } else if (go_out(worker, from, nat, p, address)) {
            crossing->crossed[crossing->n_crossed++] = p;
        }
    }
    crossing->n = kept;
}

/* The same for fragments whose first one is among those that have moved by now. */
static void
move_late(struct worker *worker, const struct interface *from, struct nat *nat, struct crossing *crossing,
          struct turned *turned)
{
    struct packet *waited[1 + PACKET_VECTOR];
    unsigned room = 1 + crossing->room - crossing->n_crossed;

    if (!crossing->n_crossed && !turned->n) {
        return;
    }
    waited[0] = crossing->n_crossed ? crossing->crossed[0] : turned->packets[0];    /* Whose way the others go. */

    struct crossing late = {
        waited + 1, nat64_release(nat, worker, waited, 1, room, NAT_OUT) - 1,
        crossing->crossed, crossing->n_crossed, crossing->room,
    };

    move_out(worker, from, nat, &late, turned);
    worker_drop(worker, late.packets, late.n, DROP_nat_fragment);
    crossing->n_crossed = late.n_crossed;
}

void
route_nat64_out(struct worker *worker, const struct interface *from, struct crossing *crossing)
{
    struct nat *nat = nat_of(worker, from);
    struct turned turned;

    turned.n = 0;
    move_out(worker, from, nat, crossing, &turned);
    move_late(worker, from, nat, crossing, &turned);

    unsigned room = PACKET_VECTOR - crossing->n, n = turned.n < room ? turned.n : room;

    memcpy(crossing->packets + crossing->n, turned.packets, n * sizeof turned.packets[0]);
    crossing->n += n;
    worker_drop(worker, turned.packets + n, turned.n - n, DROP_nat_fragment);   /* Pieces without room. */
}

/* --- In ----------------------------------------------------------------------------------------------------------- */

/* Takes a packet for a host with IPv6; returns how many go on. */
static unsigned
go_in(struct worker *worker, const struct interface *from, struct nat *nat, struct packet *p,
      const struct nat64_target *target, struct packet **out, unsigned room)
{
    uint32_t id;
    const struct adjacency *by = way_to(worker, from, p, IP_V6, &target->address, &id);

    if (ends(worker, from, p, by, id, p->data[p->l3 + 8])) {
        return 0;
    }
    return nat64_in(nat, worker, p, target, by->mtu ? by->mtu : NAT64_MTU, from->mtu, out, room);
}

static bool
is_later_fragment(const struct packet *p)
{
    return packet_walk(p)->key.word[W_L4] & FRAG_LATER;
}

/* Moves packets from one side to the other; 'again': only later fragments, whose first one has come by now. */
static void
move_in(struct worker *worker, const struct interface *from, struct nat *nat, struct crossing *crossing,
        bool again)
{
    struct nat64_target target;
    unsigned kept = 0;

    for (unsigned i = 0; i < crossing->n; i++) {
        struct packet *p = crossing->packets[i];

        if ((!again || is_later_fragment(p)) && nat64_find(nat, p, worker->now_ms, &target)) {
            crossing->n_crossed += go_in(worker, from, nat, p, &target, crossing->crossed + crossing->n_crossed,
                                         crossing->room - crossing->n_crossed);
        } else {
            crossing->packets[kept++] = p;
        }
    }
    crossing->n = kept;
}

void
route_nat64_in(struct worker *worker, const struct interface *from, struct crossing *crossing)
{
    struct nat *nat = nat_of(worker, from);
    struct packet *waited[PACKET_VECTOR];

    move_in(worker, from, nat, crossing, false);
    if (!crossing->n_crossed) {
        return;
    }
    move_in(worker, from, nat, crossing, true);
    waited[0] = crossing->crossed[0];   /* Whose way the others go. */

    struct crossing late = {
        waited + 1, nat64_release(nat, worker, waited, 1, PACKET_VECTOR, NAT_IN) - 1,
        crossing->crossed, crossing->n_crossed, crossing->room,
    };

    move_in(worker, from, nat, &late, false);
    worker_drop(worker, late.packets, late.n, DROP_nat_fragment);
    crossing->n_crossed = late.n_crossed;
}
