/* Route: the network layer's part of forwarding.
 *
 * How
 * ===
 * The packets of a vector that came by one interface are told apart by their headers, those of each
 * family are looked up together, and each goes where its adjacency says.  What takes more than that
 * (for us, nobody knows where, too long, used up) goes to the control thread.
 *
 * Reference: RFC 1812, section 5; RFC 8200, section 3 */

#include <string.h>

#include "bridge.h"
#include "csum.h"
#include "forward.h"
#include "headers.h"
#include "nat.h"
#include "offload.h"
#include "route_nat64.h"
#include "router.h"
#include "worker.h"

/* Packets of one family that a table has to be asked about. */
struct batch {
    struct packet *packets[PACKET_VECTOR];
    uint32_t values[PACKET_VECTOR];
    unsigned n;
};

/* --- Out ----------------------------------------------------------------------------------- */

static void
forward(struct worker *worker, const struct interface *from, struct packet *p,
        const struct adjacency *by, uint32_t id, bool v6)
{
    const uint8_t *ttl = p->data + p->l3 + (v6 ? 7 : 8);
    const struct interface *to = interface_at(&worker->dataplane->routing, by->interface);

    if (*ttl <= 1) {
        worker_punt_route(worker, p, ROUTE_TTL, forward_cookie(id, from));
        return;
    }
    if (forward_length(p) > by->mtu) {
        worker_punt_route(worker, p, ROUTE_TOO_BIG, forward_cookie(id, from));
        return;
    }
    if (to == from && from->redirects) {
        worker_tell_route(worker, p, ROUTE_REDIRECT, forward_cookie(id, from));
    }
    if (!to || !to->up || !forward_behind(p, by->header, by->header_len, v6)) {
        worker_drop(worker, &p, 1, to && to->up ? DROP_no_room : DROP_no_interface);
        return;
    }
    forward_count_down(p->data + p->l3, v6);
    forward_leave(worker, to, by, p);
}

/* What becomes of packets that are not simply forwarded. */
void
worker_except(struct worker *worker, const struct interface *from, struct packet *p,
              const struct adjacency *by, uint32_t id)
{
    static const uint8_t reasons[] = {
        [ADJACENCY_NO_ROUTE] = ROUTE_NO_ROUTE, [ADJACENCY_LINK] = ROUTE_RESOLVE,
        [ADJACENCY_INCOMPLETE] = ROUTE_RESOLVE, [ADJACENCY_LOCAL] = ROUTE_LOCAL,
        [ADJACENCY_UNREACHABLE] = ROUTE_UNREACHABLE, [ADJACENCY_PROHIBIT] = ROUTE_PROHIBIT,
    };

    if (by->kind == ADJACENCY_PUSH) {
        by = worker_push(worker, from, p, id);
        if (!by) {
            return;
        }
    }
    if (by->kind == ADJACENCY_BLACKHOLE || by->kind == ADJACENCY_GROUP) {
        worker_drop(worker, &p, 1, DROP_blackhole);
    } else {
        worker_punt_route(worker, p, reasons[by->kind], forward_cookie(id, from));
    }
}

/* The interface by which the last packet left, and the lane that those after it may be put into. */
struct way_out {
    const struct interface *interface;  /* Null: none yet. */
    struct lane *by;                    /* Null: they go the long way. */
    uint64_t packets, bytes;            /* That its counter does not know of yet. */
};

static void
count_sent(struct worker *worker, struct way_out *out)
{
    if (out->packets) {
        counter_add(&worker->counters, out->interface->sent, out->packets, out->bytes,
                    worker->now_ms);
        out->packets = out->bytes = 0;
    }
}

/* Packets leave by the interface of 'by' from now on. */
static void
turn_to(struct worker *worker, const struct interface *from, struct way_out *out,
        const struct adjacency *by)
{
    const struct interface *to = interface_at(&worker->dataplane->routing, by->interface);
    struct lane *lane = by->to->leave_by[worker->id];

    count_sent(worker, out);
    out->interface = to;
    out->by = to && to->up && lane->worker == worker->id && (to != from || !from->redirects)
              ? lane : NULL;
}

/* Does to a packet what most need: another header of the same length, and out by the lane that is
 * known.  Returns false, and nothing has changed, if it needs more. */
static inline bool
forward_usual(struct worker *worker, struct packet *p, const struct adjacency *by, bool v6,
              struct way_out *out)
{
    struct lane *lane = out->by;
    uint8_t *ip = p->data + ETH_SIZE;

    if (!lane || out->interface->index != by->interface || !lane->queued
        || lane->n_tx == PACKET_VECTOR || (p->offload.flags | p->offload.gso_type)
        || p->l3 != ETH_SIZE || by->header_len != ETH_SIZE || ip[v6 ? 7 : 8] <= 1
        || p->len - ETH_SIZE > by->mtu) {
        return false;
    }
    memcpy(p->data, by->header, ETH_SIZE - 2);          /* The type stays. */
    forward_count_down(ip, v6);
    counter_add(&worker->counters, by->counter, 1, p->len, worker->now_ms);
    out->packets++;
    out->bytes += p->len;
    lane->tx[lane->n_tx++] = p;
    return true;
}

/* Sends a packet where its adjacency says, which is no group. */
static void
dispatch_one(struct worker *worker, const struct interface *from, struct packet *p,
             const struct adjacency *by, uint32_t id, bool v6, struct way_out *out)
{
    if (by->kind == ADJACENCY_REWRITE) {
        forward(worker, from, p, by, id, v6);
        turn_to(worker, from, out, by);
    } else if (by->kind == ADJACENCY_BRIDGE) {
        forward(worker, from, p, by, id, v6);
    } else {
        worker_except(worker, from, p, by, id);
    }
}

/* Sends each packet where its adjacency says. */
static void
dispatch(struct worker *worker, const struct interface *from, struct batch *batch, bool v6)
{
    const struct adjacency_table *table = &worker->dataplane->routing.adjacencies;
    const struct adjacency *adjacencies[PACKET_VECTOR];
    struct way_out out = { .interface = NULL };

    for (unsigned i = 0; i < batch->n; i++) {
        adjacencies[i] = adjacency_at(table, batch->values[i]);
        __builtin_prefetch(adjacencies[i]);
    }
    for (unsigned i = 0; i < batch->n; i++) {
        uint32_t id = batch->values[i];
        struct packet *p = batch->packets[i];
        const struct adjacency *by = adjacencies[i];

        if (by->kind == ADJACENCY_GROUP) {
            id = by->buckets[packet_hash(p) >> 1 & (by->n_buckets - 1)];
            by = adjacency_at(table, id);
        }
        if (by->kind != ADJACENCY_REWRITE || !forward_usual(worker, p, by, v6, &out)) {
            dispatch_one(worker, from, p, by, id, v6, &out);
        }
    }
    count_sent(worker, &out);
}

/* --- In ------------------------------------------------------------------------------------ */

/* The sum of all words is 0xffff (RFC 1071): what they are as one number is a multiple of it.  A
 * header of nothing but 0 is none. */
static inline bool
ipv4_sum_is_right(const uint8_t *ip)
{
    uint32_t words[5];
    uint64_t sum = 0;

    if ((ip[0] & 15) != 5) {
        return !csum_fold(csum_add(0, ip, (ip[0] & 15) * 4u));
    }
    memcpy(words, ip, sizeof words);
    for (unsigned i = 0; i < 5; i++) {
        sum += words[i];
    }
    return sum % 0xffff == 0;
}

/* What a header says of a packet before any table is asked. */
enum outlook { OUTLOOK_ROUTE, OUTLOOK_LOCAL, OUTLOOK_MALFORMED, OUTLOOK_MARTIAN };

/* What an IPv4 address with this first byte cannot be [RFC 1812, 5.3.7]. */
enum { NO_SOURCE = 1, NO_DESTINATION = 2, IS_GROUP = 4 };

static const uint8_t ipv4_class[256] = {
    [0] = NO_SOURCE | NO_DESTINATION,           /* This network. */
    [127] = NO_SOURCE | NO_DESTINATION,         /* Loopback. */
    [224 ... 239] = NO_SOURCE | IS_GROUP,
    [240 ... 255] = NO_SOURCE | NO_DESTINATION,
};

static inline enum outlook
look_at_ipv4(const struct packet *p, uint64_t addresses)
{
    const unsigned source = ipv4_class[addresses >> 56];
    const unsigned destination = ipv4_class[addresses >> 24 & 0xff];

    if (p->l3 == NO_OFFSET || !ipv4_sum_is_right(p->data + p->l3)) {
        return OUTLOOK_MALFORMED;
    }
    if (!((source & NO_SOURCE) | (destination & (NO_DESTINATION | IS_GROUP)))) {
        return OUTLOOK_ROUTE;
    }
    if (destination & IS_GROUP || (uint32_t) addresses == UINT32_MAX) {
        /* From nobody may be to all: a host that asks for its address. */
        return source & NO_SOURCE && addresses >> 56 ? OUTLOOK_MARTIAN : OUTLOOK_LOCAL;
    }
    return OUTLOOK_MARTIAN;
}

/* RFC 4291, 2.5.2, 2.5.3, 2.5.6, 2.7: link-local addresses do not leave the link. */
static enum outlook
look_at_ipv6(const struct packet *p, const uint64_t *word)
{
    uint64_t source = word[W_IPV6_SRC], destination = word[W_IPV6_DST];

    if (p->l3 == NO_OFFSET) {
        return OUTLOOK_MALFORMED;
    }
    if (source >> 56 == 0xff || (!destination && word[W_IPV6_DST_LOW] <= 1)
        || (!source && word[W_IPV6_SRC_LOW] == 1)) {
        return OUTLOOK_MARTIAN;
    }
    if (destination >> 56 == 0xff || destination >> 54 == 0xfe80 >> 6 || source >> 54 == 0xfe80 >> 6) {
        return OUTLOOK_LOCAL;
    }
    return !source && !word[W_IPV6_SRC_LOW] ? OUTLOOK_MARTIAN : OUTLOOK_ROUTE;
}

struct sorting {
    struct batch *v4, *v6;
    uint32_t *v4_addresses;
    struct ip_address *v6_addresses;
};

static inline void
sort_ip(struct worker *worker, const struct interface *from, struct packet *p, bool v6,
        bool to_group, struct sorting *sorting)
{
    const uint64_t *word = packet_walk(p)->key.word;
    enum outlook outlook = v6 ? look_at_ipv6(p, word) : look_at_ipv4(p, word[W_IPV4]);

    if (outlook == OUTLOOK_MALFORMED || outlook == OUTLOOK_MARTIAN) {
        worker_drop(worker, &p, 1, outlook == OUTLOOK_MARTIAN ? DROP_martian : DROP_ip_header);
    } else if (outlook == OUTLOOK_LOCAL || to_group) {
        worker_route_group(worker, from, p, v6);
    } else if (v6) {
        forward_trim(p, true);
        sorting->v6_addresses[sorting->v6->n] = (struct ip_address) {
            { word[W_IPV6_DST], word[W_IPV6_DST_LOW] },
        };
        sorting->v6->packets[sorting->v6->n++] = p;
    } else {
        forward_trim(p, false);
        sorting->v4_addresses[sorting->v4->n] = (uint32_t) word[W_IPV4];
        sorting->v4->packets[sorting->v4->n++] = p;
    }
}

/* What is not an IP packet to the interface's own address. */
static void
sort_others(struct worker *worker, const struct interface *from, struct packet *p,
            struct sorting *sorting)
{
    uint64_t word = packet_walk(p)->key.word[W_ETH_DST], destination = word >> 16;
    uint16_t type = word & 0xffff;
    bool to_group = destination >> 40 & 1;

    if (destination != from->mac && !to_group) {
        worker_drop(worker, &p, 1, DROP_not_ours);
    } else if (type == ETH_TYPE_IPV4 || type == ETH_TYPE_IPV6) {
        sort_ip(worker, from, p, type == ETH_TYPE_IPV6, to_group, sorting);
    } else if (type == ETH_TYPE_MPLS && !to_group) {
        if (worker_label(worker, from, p)) {
            sort_ip(worker, from, p, p->data[p->l3] >> 4 == 6, false, sorting);
        }
    } else {
        worker_punt_route(worker, p, ROUTE_LOCAL, forward_cookie(0, from));
    }
}

static inline void
sort(struct worker *worker, const struct interface *from, struct packet *p, struct sorting *sorting)
{
    uint64_t word = packet_walk(p)->key.word[W_ETH_DST], own = from->mac << 16;

    if (word == (own | ETH_TYPE_IPV4)) {
        sort_ip(worker, from, p, false, false, sorting);
    } else if (word == (own | ETH_TYPE_IPV6)) {
        sort_ip(worker, from, p, true, false, sorting);
    } else {
        sort_others(worker, from, p, sorting);
    }
}

/* --- Reverse path (RFC 3704) ----------------------------------------------------------------- */

bool
route_leads_to(const struct adjacency_table *table, uint32_t id, const struct interface *interface,
               bool loose)
{
    const struct adjacency *by = adjacency_at(table, id);

    if (by->kind == ADJACENCY_GROUP) {
        for (uint32_t i = 0; i < by->n_buckets; i++) {
            if (route_leads_to(table, by->buckets[i], interface, loose)) {
                return true;
            }
        }
        return false;
    }
    return by->interface && (loose || by->interface == interface->index);
}

static void
check_sources(struct worker *worker, const struct interface *from, struct batch *batch, bool v6,
              struct sorting *sorting)
{
    const struct adjacency_table *table = &worker->dataplane->routing.adjacencies;
    uint32_t v4[PACKET_VECTOR];
    struct ip_address v6s[PACKET_VECTOR];
    unsigned kept = 0;

    for (unsigned i = 0; i < batch->n; i++) {
        const uint64_t *word = packet_walk(batch->packets[i])->key.word;
        if (v6) {
            v6s[i] = (struct ip_address) { { word[W_IPV6_SRC], word[W_IPV6_SRC_LOW] } };
        } else {
            v4[i] = word[W_IPV4] >> 32;
        }
    }
    if (v6) {
        fib_lookup_ipv6(&from->router->fib, v6s, batch->n, batch->values);
    } else {
        fib_lookup_ipv4(&from->router->fib, v4, batch->n, batch->values);
    }
    for (unsigned i = 0; i < batch->n; i++) {
        if (!route_leads_to(table, batch->values[i], from, from->reverse_path == REVERSE_PATH_LOOSE)) {
            worker_drop(worker, &batch->packets[i], 1, DROP_reverse_path);
            continue;
        }
        batch->packets[kept] = batch->packets[i];
        if (v6) {
            sorting->v6_addresses[kept] = sorting->v6_addresses[i];
        } else {
            sorting->v4_addresses[kept] = sorting->v4_addresses[i];
        }
        kept++;
    }
    batch->n = kept;
}

/* --- Translation (nat.h) -------------------------------------------------------------------- */

static void
read_destinations(const struct batch *batch, uint32_t *addresses)
{
    for (unsigned i = 0; i < batch->n; i++) {
        addresses[i] = (uint32_t) packet_walk(batch->packets[i])->key.word[W_IPV4];
    }
}

/* Answers from outside get their destination inside before they are looked up. */
static void
translate_in(struct worker *worker, const struct interface *from, struct sorting *sorting)
{
    struct nat *nat = dataplane_nat(worker->dataplane, from->nat);

    if (nat) {
        sorting->v4->n = nat_translate(nat, worker, sorting->v4->packets, sorting->v4->n,
                                       PACKET_VECTOR, NAT_IN);
        read_destinations(sorting->v4, sorting->v4_addresses);
    }
}

/* Whether a packet leaves by an interface outside of the NAT, and will not come to an end before: of that its
 * sender is told with the packet as it was. */
static bool
leaves_by_outside(const struct worker *worker, const struct interface *from, struct packet *p, uint32_t id)
{
    const struct routing *routing = &worker->dataplane->routing;
    const struct adjacency *by = adjacency_at(&routing->adjacencies, id);
    const uint8_t *ip = p->data + p->l3;

    if (by->kind == ADJACENCY_GROUP) {
        by = adjacency_at(&routing->adjacencies, by->buckets[packet_hash(p) >> 1 & (by->n_buckets - 1)]);
    }
    const struct interface *to = interface_at(routing, by->interface);
    bool whole = ip[6] & 0x40;                  /* It must not be fragmented. */

    return to && to->nat_side == NAT_SIDE_OUTSIDE && to->nat == from->nat && ip[8] > 1
           && !(whole && forward_length(p) > by->mtu);
}

/* Packets that go outside, or to an address outside that is somebody's inside (RFC 4787, REQ-9). */
static void
translate_out(struct worker *worker, const struct interface *from, struct sorting *sorting)
{
    struct nat *nat = dataplane_nat(worker->dataplane, from->nat);
    struct batch *all = sorting->v4, out;
    unsigned kept = 0;

    if (!nat) {
        return;
    }
    out.n = 0;
    for (unsigned i = 0; i < all->n; i++) {
        struct packet *p = all->packets[i];
        if (leaves_by_outside(worker, from, p, all->values[i])
            || nat_is_outside(nat, sorting->v4_addresses[i])) {
            out.packets[out.n++] = p;
        } else {
            all->packets[kept] = p;
            all->values[kept++] = all->values[i];
        }
    }
    out.n = nat_translate(nat, worker, out.packets, out.n, PACKET_VECTOR - kept, NAT_OUT);
    read_destinations(&out, sorting->v4_addresses);
    fib_lookup_ipv4(&from->router->fib, sorting->v4_addresses, out.n, out.values);
    memcpy(all->packets + kept, out.packets, out.n * sizeof out.packets[0]);
    memcpy(all->values + kept, out.values, out.n * sizeof out.values[0]);
    all->n = kept + out.n;
}

/* Addresses of packets that stay in a family. */
static void
read_destinations_ipv6(const struct batch *batch, struct ip_address *addresses)
{
    for (unsigned i = 0; i < batch->n; i++) {
        const uint64_t *word = packet_walk(batch->packets[i])->key.word;
        addresses[i] = (struct ip_address) { { word[W_IPV6_DST], word[W_IPV6_DST_LOW] } };
    }
}

/* Packets from inside that become IPv4 (nat64.h) go their way; the others stay. */
static void
cross_out(struct worker *worker, const struct interface *from, struct sorting *sorting)
{
    struct batch out;
    struct crossing crossing = { sorting->v6->packets, sorting->v6->n, out.packets, 0, PACKET_VECTOR };
    uint32_t addresses[PACKET_VECTOR];

    route_nat64_out(worker, from, &crossing);
    sorting->v6->n = crossing.n;
    read_destinations_ipv6(sorting->v6, sorting->v6_addresses);
    out.n = crossing.n_crossed;
    read_destinations(&out, addresses);
    fib_lookup_ipv4(&from->router->fib, addresses, out.n, out.values);
    dispatch(worker, from, &out, false);
}

/* The same for packets from outside that become IPv6. */
static void
cross_in(struct worker *worker, const struct interface *from, struct sorting *sorting)
{
    struct batch in;
    struct crossing crossing = { sorting->v4->packets, sorting->v4->n, in.packets, 0, PACKET_VECTOR };
    struct ip_address addresses[PACKET_VECTOR];

    route_nat64_in(worker, from, &crossing);
    sorting->v4->n = crossing.n;
    in.n = crossing.n_crossed;
    read_destinations_ipv6(&in, addresses);
    fib_lookup_ipv6(&from->router->fib, addresses, in.n, in.values);
    dispatch(worker, from, &in, true);
}

/* --- A vector ---------------------------------------------------------------------------------- */

static void
route_ipv4(struct worker *worker, const struct interface *from, struct sorting *sorting)
{
    if (from->reverse_path != REVERSE_PATH_OFF) {
        check_sources(worker, from, sorting->v4, false, sorting);
    }
    if (from->nat_side == NAT_SIDE_OUTSIDE) {
        if (route_nat64_is_on(worker, from)) {
            cross_in(worker, from, sorting);
        }
        translate_in(worker, from, sorting);
    }
    fib_lookup_ipv4(&from->router->fib, sorting->v4_addresses, sorting->v4->n, sorting->v4->values);
    if (from->nat_side == NAT_SIDE_INSIDE) {
        translate_out(worker, from, sorting);
    }
    dispatch(worker, from, sorting->v4, false);
}

static void
route_ipv6(struct worker *worker, const struct interface *from, struct sorting *sorting)
{
    if (from->reverse_path != REVERSE_PATH_OFF) {
        check_sources(worker, from, sorting->v6, true, sorting);
    }
    if (from->nat_side == NAT_SIDE_INSIDE && route_nat64_is_on(worker, from)) {
        cross_out(worker, from, sorting);
    }
    fib_lookup_ipv6(&from->router->fib, sorting->v6_addresses, sorting->v6->n, sorting->v6->values);
    dispatch(worker, from, sorting->v6, true);
}

void
worker_route(struct worker *worker, const struct interface *from, struct packet **packets, unsigned n)
{
    struct batch v4, v6;
    uint32_t v4_addresses[PACKET_VECTOR];
    struct ip_address v6_addresses[PACKET_VECTOR];
    struct sorting sorting = { &v4, &v6, v4_addresses, v6_addresses };
    const struct escalation_watch *watch = atomic_load_explicit(&from->router->watch, memory_order_acquire);
    uint64_t bytes = 0;

    v4.n = v6.n = 0;
    if (watch) {
        escalation_watch(worker, from, watch, packets, n);
    }
    for (unsigned i = 0; i < n; i++) {
        bytes += packets[i]->len;
        sort(worker, from, packets[i], &sorting);
    }
    counter_add(&worker->counters, from->received, n, bytes, worker->now_ms);
    if (v4.n) {
        route_ipv4(worker, from, &sorting);
    }
    if (v6.n) {
        route_ipv6(worker, from, &sorting);
    }
}

/* --- The instruction ------------------------------------------------------------------------- */

static const struct interface *
interface_of(const struct packet *p)
{
    const struct walk *walk = packet_walk(p);
    const struct attachment *from = bridge_port(walk->bridge, p->in_port);
    const struct interface_map *map = from
        ? atomic_load_explicit(&from->interfaces, memory_order_acquire) : NULL;

    return interface_find(map, walk->key.word[W_ETH_SRC]);
}

/* Whether two packets came by the same interface. */
static inline bool
is_alike(const struct packet *a, const struct packet *b)
{
    const struct walk *one = packet_walk(a), *other = packet_walk(b);
    const uint64_t tag = UINT64_C(0xffff);

    return a->in_port == b->in_port && one->bridge == other->bridge
           && !((one->key.word[W_ETH_SRC] ^ other->key.word[W_ETH_SRC]) & tag);
}

/* Ends a program: takes all packets. */
unsigned
op_route(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    (void) insn;
    for (unsigned i = 0, first = 0; i < n; first = i) {
        const struct interface *from = interface_of(packets[i]);

        while (++i < n && is_alike(packets[first], packets[i])) {
            continue;
        }
        if (from && from->up) {
            worker_route(worker, from, packets + first, i - first);
        } else {
            worker_drop(worker, packets + first, i - first, DROP_no_interface);
        }
    }
    return 0;
}
