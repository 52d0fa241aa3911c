/* What workers cannot do themselves: packets for us, for neighbours nobody has asked for, too long ones, and
 * errors.
 *
 * Reference: RFC 1812, sections 4.3 and 5; RFC 4443 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "arp.h"
#include "bridge.h"
#include "bytes.h"
#include "csum.h"
#include "fragment.h"
#include "headers.h"
#include "icmp.h"
#include "nat64.h"
#include "nd.h"
#include "push.h"
#include "router_private.h"
#include "worker.h"

enum {
    TTL_OF_OURS = 64,
    FRAME_MAX = PACKET_LARGE,
    HOST_READS = 64,            /* Frames from the host in one go. */
    DONT_FRAGMENT = 0x4000,
};

static uint8_t
family_of(const uint8_t *ip)
{
    return ip[0] >> 4;
}

static struct ip_address
source_of(const uint8_t *ip)
{
    return ip_read(family_of(ip), ip + (family_of(ip) == IP_V4 ? 12 : 8));
}

static struct ip_address
destination_of(const uint8_t *ip)
{
    return ip_read(family_of(ip), ip + (family_of(ip) == IP_V4 ? 16 : 24));
}

static uint16_t
type_of(const uint8_t *ip)
{
    return family_of(ip) == IP_V4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6;
}

static bool
is_group(const uint8_t *ip)
{
    return family_of(ip) == IP_V4 ? ip[16] >> 4 == 14 || get_be32(ip + 16) == UINT32_MAX : ip[24] == 0xff;
}

/* --- Out ------------------------------------------------------------------------------------------ */

/* Hands a frame, tag and all, to the worker that serves the interface's port. */
static void
inject(struct dataplane *dataplane, const struct interface *view, const uint8_t *frame, size_t len)
{
    struct attachment *to = view->port == PORT_LOCAL ? NULL : bridge_port(view->bridge, view->port);
    unsigned id = to ? to->lanes[0].worker : 0;
    struct worker *worker = atomic_load_explicit(&dataplane->workers[id], memory_order_relaxed);
    uint8_t action[16] = { 0, 0, 0, sizeof action };

    if (!worker || (!to && view->port != PORT_LOCAL)) {
        return;
    }
    put_be32(action + 4, to ? view->port : PORT_NORMAL);
    const struct program *program = program_refer(dataplane->routing.output);
    if (worker_inject(worker, view->bridge, program, action, sizeof action,
                      to ? PORT_CONTROLLER : PORT_LOCAL, frame, len)) {
        program_release(&dataplane->programs, program);
    }
}

void
router_send(struct dataplane *dataplane, uint32_t interface, const uint8_t *frame, size_t len)
{
    const struct interface *view = interface_at(&dataplane->routing, interface);
    uint8_t tagged[FRAME_MAX];

    if (!view || !view->up || len < ETH_SIZE || len + VLAN_SIZE > sizeof tagged) {
        return;
    }
    if (!view->vlan) {
        inject(dataplane, view, frame, len);
        return;
    }
    memcpy(tagged, frame, ETH_TYPE_AT);
    put_be16(tagged + ETH_TYPE_AT, ETH_TYPE_VLAN);
    put_be16(tagged + ETH_TYPE_AT + 2, view->vlan);
    memcpy(tagged + ETH_TYPE_AT + VLAN_SIZE, frame + ETH_TYPE_AT, len - ETH_TYPE_AT);
    inject(dataplane, view, tagged, len + VLAN_SIZE);
}

/* Behind the header of an adjacency. */
static void
send_behind(struct dataplane *dataplane, const struct adjacency *by, uint16_t type, const uint8_t *packet,
            size_t len)
{
    const struct interface *view = interface_at(&dataplane->routing, by->interface);
    uint8_t frame[FRAME_MAX];

    if (view && view->up && by->header_len + len <= sizeof frame) {
        memcpy(frame, by->header, by->header_len);
        put_be16(frame + by->header_len - 2, type);
        memcpy(frame + by->header_len, packet, len);
        inject(dataplane, view, frame, by->header_len + len);
    }
}

/* The link-layer address of a group (RFC 1112, 6.4; RFC 2464, 7), or of all. */
static uint64_t
group_mac(const uint8_t *ip)
{
    if (family_of(ip) == IP_V6) {
        return UINT64_C(0x333300000000) | get_be32(ip + 36);
    }
    uint32_t group = get_be32(ip + 16);
    return group == UINT32_MAX ? UINT64_C(0xffffffffffff) : UINT64_C(0x01005e000000) | (group & 0x7fffff);
}

static void
send_to_group(struct dataplane *dataplane, uint32_t interface, const uint8_t *ip, size_t len)
{
    const struct interface *view = interface_at(&dataplane->routing, interface);
    uint8_t frame[FRAME_MAX];

    if (view && ETH_SIZE + len <= sizeof frame) {
        put_be48(frame, group_mac(ip));
        put_be48(frame + 6, view->mac);
        put_be16(frame + ETH_TYPE_AT, type_of(ip));
        memcpy(frame + ETH_SIZE, ip, len);
        router_send(dataplane, interface, frame, ETH_SIZE + len);
    }
}

/* To a host, or a group, on the link of an interface. */
static void
send_on_link(struct dataplane *dataplane, uint32_t interface, const uint8_t *ip, size_t len,
             uint64_t now_ms)
{
    if (is_group(ip)) {
        send_to_group(dataplane, interface, ip, len);
        return;
    }
    struct router_interface *own = interface_own(dataplane, interface);
    struct neighbours *neighbours = &dataplane->routing.neighbours;
    struct ip_address to = destination_of(ip);
    struct neighbour *neighbour = own ? neighbour_get(neighbours, &own->neighbours, family_of(ip), &to,
                                                      now_ms) : NULL;

    if (neighbour) {
        neighbour_send(neighbours, neighbour, type_of(ip), ip, len, now_ms);
    }
}

/* By one that is no group and puts no labels in front. */
static void
send_by(struct dataplane *dataplane, const struct adjacency *by, uint16_t type, const uint8_t *packet,
        size_t len, uint64_t now_ms)
{
    switch (by->kind) {
    case ADJACENCY_REWRITE:
    case ADJACENCY_BRIDGE:
        send_behind(dataplane, by, type, packet, len);
        break;
    case ADJACENCY_LINK:
        if (type != ETH_TYPE_MPLS) {
            send_on_link(dataplane, by->interface, packet, len, now_ms);
        }
        break;
    case ADJACENCY_INCOMPLETE:
        neighbour_send(&dataplane->routing.neighbours, by->neighbour, type, packet, len, now_ms);
        break;
    default:
        break;
    }
}

void
router_send_by(struct router *router, uint32_t id, const uint8_t *ip, size_t len, uint64_t now_ms)
{
    struct dataplane *dataplane = router->dataplane;
    uint8_t labelled[FRAME_MAX], ttl = ip[family_of(ip) == IP_V4 ? 8 : 7];
    const struct label_marks marks = {
        .traffic_class = label_class_of(ip), .ttl = router->pipe ? LABEL_TTL_OF_PIPES : ttl,
        .tunnel_ttl = router->pipe ? LABEL_TTL_OF_PIPES : ttl, .bottom = true,
    };
    struct label_way way;

    if (!label_way_find(&dataplane->routing.adjacencies, id, 0, &way)
        || way.n * MPLS_SIZE + len > sizeof labelled) {
        return;
    }
    if (!way.n) {
        send_by(dataplane, way.by, type_of(ip), ip, len, now_ms);
        return;
    }
    size_t shims = label_write(labelled, &way, &marks);
    memcpy(labelled + shims, ip, len);
    send_by(dataplane, way.by, ETH_TYPE_MPLS, labelled, shims + len, now_ms);
}

int
router_send_ours(struct router *router, uint32_t id, uint32_t interface, const uint8_t *ip, size_t len,
                 uint32_t mtu, uint64_t now_ms)
{
    uint32_t number = neighbour_random(&router->dataplane->routing.neighbours, UINT32_MAX);
    struct fragmentation plan;
    uint8_t fragment[FRAME_MAX];

    int error = fragment_plan(&plan, ip, len, mtu && mtu < sizeof fragment ? mtu : sizeof fragment, number);
    if (error) {
        return error;
    }
    for (unsigned i = 0; i < plan.n; i++) {
        size_t size = fragment_write(&plan, i, fragment);

        if (interface) {
            send_on_link(router->dataplane, interface, fragment, size, now_ms);
        } else {
            router_send_by(router, id, fragment, size, now_ms);
        }
    }
    return 0;
}

void
router_originate(struct router *router, const uint8_t *ip, size_t len, uint64_t now_ms)
{
    const struct adjacency_table *table = &router->dataplane->routing.adjacencies;
    struct ip_address to = destination_of(ip);
    uint32_t id = fib_lookup(&router->fib, family_of(ip), &to);
    const struct adjacency *by = adjacency_at(table, id);

    if (by->kind == ADJACENCY_GROUP) {
        id = by->buckets[0];
        by = adjacency_at(table, id);
    }
    router_send_ours(router, id, 0, ip, len, by->mtu, now_ms);
}

void
router_answer(struct router_interface *own, const uint8_t *ip, size_t len, uint64_t now_ms)
{
    const struct interface *view = interface_at(&own->router->dataplane->routing, own->index);
    struct ip_address to = destination_of(ip);

    if (family_of(ip) == IP_V6 && to.word[0] >> 54 == 0xfe80 >> 6) {
        router_send_ours(own->router, 0, own->index, ip, len, view ? view->mtu : 0, now_ms);
    } else {
        router_originate(own->router, ip, len, now_ms);
    }
}

void
router_send_error(struct router_interface *own, enum icmp_error error, uint32_t value,
                  const uint8_t *ip, size_t len, bool was_group, uint64_t now_ms)
{
    struct routing *routing = &own->router->dataplane->routing;
    struct ip_address sender = source_of(ip);
    const struct ip_address *from = interface_source(own, family_of(ip), &sender);
    uint8_t packet[ICMP_MAX];

    if (!from) {
        return;
    }
    const struct icmp_cause cause = { error, value, ip, len, *from, was_group };
    size_t size = icmp_error(&own->icmp, &routing->icmp, &cause, now_ms, packet);
    if (size) {
        router_answer(own, packet, size, now_ms);
    }
}

/* --- To us ---------------------------------------------------------------------------------------- */

static void
give_to_host(struct router_interface *own, const uint8_t *frame, size_t len)
{
    if (write(own->host, frame, len) == (ssize_t) len) {
        own->host_sent++;
    } else {
        own->host_lost++;
    }
}

/* Whether a whole packet is for us, rather than for another host or for those of a group. */
static bool
is_for_us(const struct router_interface *own, const uint8_t *ip)
{
    struct ip_address to = destination_of(ip);

    return interface_has(own, family_of(ip), &to)
           || fib_lookup(&own->router->fib, family_of(ip), &to) == own->router->dataplane->routing.local;
}

/* Answers a whole packet for which there is no host; 'heard': somebody else is there. */
static void
answer_ourselves(struct router_interface *own, const uint8_t *ip, size_t len, bool heard, uint64_t now_ms)
{
    bool group = is_group(ip);
    struct ip_address sender = source_of(ip), to = destination_of(ip);
    const struct ip_address *from = group || !interface_has(own, family_of(ip), &to)
        ? interface_source(own, family_of(ip), &sender) : &to;
    uint8_t reply[FRAME_MAX];
    unsigned protocol = family_of(ip) == IP_V4 ? ip[9] : ip[6];

    if (!group && !is_for_us(own, ip)) {
        return;
    }
    if (icmp_is_echo(ip, len)) {
        size_t size = (from = group ? from : &to) && len <= sizeof reply
            ? icmp_echo_reply(ip, len, from, reply) : 0;
        if (size) {
            router_answer(own, reply, size, now_ms);
        }
    } else if (!group && !heard && protocol != IP_PROTO_ICMPV4 && protocol != IP_PROTO_ICMPV6) {
        bool ports = protocol == IP_PROTO_TCP || protocol == IP_PROTO_UDP || protocol == IP_PROTO_SCTP;
        router_send_error(own, ports ? ICMP_NO_PORT : ICMP_NO_PROTOCOL, 0, ip, len, false, now_ms);
    }
}

/* A packet that was in fragments, to those who want to see it: behind the header of the last of them. */
static bool
tell_whole(struct router_interface *own, const uint8_t *header, const struct reassembly_output *whole,
           uint64_t now_ms)
{
    uint8_t frame[ETH_SIZE + UINT16_MAX + IPV6_SIZE];

    if (!own->router->escalations || whole->len > sizeof frame - ETH_SIZE) {
        return false;
    }
    memcpy(frame, header, ETH_SIZE);
    memcpy(frame + ETH_SIZE, whole->packet, whole->len);
    return escalation_tell(own, ROUTE_LOCAL, frame, ETH_SIZE + whole->len, now_ms);
}

static void
take_ip(struct router_interface *own, const uint8_t *frame, size_t frame_len, uint64_t now_ms)
{
    struct reassembly *reassembly = &own->router->dataplane->routing.reassembly;
    const uint8_t *ip = frame + ETH_SIZE;
    size_t len = frame_len - ETH_SIZE;
    struct reassembly_output whole = { .packet = ip, .len = len };

    if (!reassembly_needed(ip, len)) {
        bool heard = escalation_tell(own, ROUTE_LOCAL, frame, frame_len, now_ms);
        answer_ourselves(own, ip, len, heard, now_ms);
        return;
    }
    enum reassembly_result result = reassembly_add(reassembly, own->index, ip, len, now_ms, &whole);
    if (result == REASSEMBLY_WHOLE) {
        bool heard = tell_whole(own, frame, &whole, now_ms);
        answer_ourselves(own, whole.packet, whole.len, heard, now_ms);
    } else if (result == REASSEMBLY_PARAMETER) {
        router_send_error(own, ICMP_PARAMETER, whole.parameter, ip, len, false, now_ms);
    }
}

/* Whether it asks for an address of ours: we have answered, and the host need not. */
static bool
asks_for_us(const struct router_interface *own, const uint8_t *frame, size_t len)
{
    struct arp_packet arp;

    if (get_be16(frame + ETH_TYPE_AT) == ETH_TYPE_ARP) {
        if (!arp_parse(frame + ETH_SIZE, len - ETH_SIZE, &arp) || arp.op != ARP_REQUEST) {
            return false;
        }
        struct ip_address target = ip_from_v4(arp.target);
        return interface_address(own, IP_V4, &target);
    }
    if (len < ETH_SIZE + IPV6_SIZE + ND_SIZE || frame[ETH_SIZE + IPV6_SIZE] != ND_SOLICITATION) {
        return false;
    }
    struct ip_address target = ip_read(IP_V6, frame + ETH_SIZE + IPV6_SIZE + 8);
    return interface_address(own, IP_V6, &target);
}

/* A frame without a tag that is for us, or for everybody. */
static void
take(struct router_interface *own, const uint8_t *frame, size_t len, uint64_t now_ms)
{
    struct neighbours *neighbours = &own->router->dataplane->routing.neighbours;
    uint16_t type = get_be16(frame + ETH_TYPE_AT);
    bool is_ip = type == ETH_TYPE_IPV4 || type == ETH_TYPE_IPV6, of_link = true;

    if (type == ETH_TYPE_ARP) {
        arp_receive(neighbours, &own->neighbours, frame, len, now_ms);
    } else if (type == ETH_TYPE_IPV6 && nd_is_message(frame, len)) {
        nd_receive(neighbours, &own->neighbours, frame, len, now_ms);
    } else {
        of_link = false;
    }
    if (is_ip && !of_link) {
        router_hear_members(own, frame + ETH_SIZE, len - ETH_SIZE, now_ms);
    }
    if (own->host < 0 && is_ip && !of_link) {
        take_ip(own, frame, len, now_ms);
        return;
    }
    escalation_tell(own, ROUTE_LOCAL, frame, len, now_ms);
    if (own->host >= 0 && (!of_link || !asks_for_us(own, frame, len))) {
        give_to_host(own, frame, len);
    }
}

/* --- Through us ------------------------------------------------------------------------------------ */

static void
count_down(uint8_t *ip)
{
    if (family_of(ip) == IP_V6) {
        ip[7]--;
    } else {
        ip[8]--;
        csum_ipv4(ip);
    }
}

static void
send_fragments(struct router *router, uint32_t id, uint32_t mtu, const uint8_t *ip, size_t len,
               uint64_t now_ms)
{
    struct fragmentation plan;
    uint8_t fragment[UINT16_MAX];

    if (mtu <= sizeof fragment && !fragment_plan(&plan, ip, len, mtu, 0)) {
        for (unsigned i = 0; i < plan.n; i++) {
            router_send_by(router, id, fragment, fragment_write(&plan, i, fragment), now_ms);
        }
    }
}

/* Longer than what it leaves by takes. */
static void
fit(struct router_interface *own, uint32_t id, uint8_t *ip, size_t len, bool was_group, uint64_t now_ms)
{
    uint32_t mtu = adjacency_at(&own->router->dataplane->routing.adjacencies, id)->mtu;

    if (family_of(ip) == IP_V4 && !(get_be16(ip + 6) & DONT_FRAGMENT)) {
        count_down(ip);
        send_fragments(own->router, id, mtu, ip, len, now_ms);
    } else {
        router_send_error(own, ICMP_TOO_BIG, mtu, ip, len, was_group, now_ms);
    }
}

/* Longer than what it leaves by takes, with a header of the other family: the MTU is said in terms of its own. */
static void
fit_nat64(struct router_interface *own, uint32_t id, const uint8_t *ip, size_t len, bool was_group,
          uint64_t now_ms)
{
    uint32_t mtu = adjacency_at(&own->router->dataplane->routing.adjacencies, id)->mtu;
    uint32_t for_v6 = mtu + NAT64_GROWTH > NAT64_MTU ? mtu + NAT64_GROWTH : NAT64_MTU;

    router_send_error(own, ICMP_TOO_BIG, family_of(ip) == IP_V6 ? for_v6 : mtu - NAT64_GROWTH, ip, len, was_group,
                      now_ms);
}

/* A packet that leads to a neighbour whose address is not known. */
static void
resolve(struct router_interface *own, uint32_t id, uint8_t *ip, size_t len, bool was_group,
        uint64_t now_ms)
{
    const struct adjacency *by = adjacency_at(&own->router->dataplane->routing.adjacencies, id);

    if (by->mtu && len > by->mtu) {
        fit(own, id, ip, len, was_group, now_ms);
    } else {
        count_down(ip);
        router_send_by(own->router, id, ip, len, now_ms);
    }
}

/* To a group, and longer than an interface takes. */
static void
fit_group(struct router_interface *own, uint32_t interface, const uint8_t *ip, size_t len, uint64_t now_ms)
{
    struct dataplane *dataplane = own->router->dataplane;
    const struct interface *to = interface_at(&dataplane->routing, interface);
    struct fragmentation plan;
    uint8_t frame[FRAME_MAX];

    if (!to) {
        return;
    }
    if (family_of(ip) == IP_V6) {
        router_send_error(own, ICMP_TOO_BIG, to->mtu, ip, len, true, now_ms);
    } else if (!fragment_plan(&plan, ip, len, to->mtu, 0)) {
        put_be48(frame, ip_group_mac(IP_V4, get_be32(ip + 16)));
        put_be48(frame + 6, to->mac);
        put_be16(frame + ETH_TYPE_AT, ETH_TYPE_IPV4);
        for (unsigned i = 0; i < plan.n; i++) {
            router_send(dataplane, interface, frame, ETH_SIZE + fragment_write(&plan, i, frame + ETH_SIZE));
        }
    }
}

/* Errors that say nothing but their name. */
static const uint8_t plain_errors[ROUTE_REASONS_END] = {
    [ROUTE_TTL] = ICMP_TTL_EXCEEDED, [ROUTE_NO_ROUTE] = ICMP_NO_ROUTE,
    [ROUTE_UNREACHABLE] = ICMP_HOST_UNREACHABLE, [ROUTE_PROHIBIT] = ICMP_PROHIBITED,
};

/* The network layer's part of a frame; its length is not more than the frame has. */
static size_t
ip_length(const uint8_t *ip, size_t room)
{
    size_t len = room < IPV4_SIZE ? 0 : family_of(ip) == IP_V4 ? get_be16(ip + 2)
               : room >= IPV6_SIZE && family_of(ip) == IP_V6 ? IPV6_SIZE + get_be16(ip + 4) : 0;

    return len && len <= room ? len : 0;
}

static void
pass(struct router_interface *own, enum route_reason reason, uint32_t id, uint8_t *frame, size_t len,
     uint64_t now_ms)
{
    bool was_group = frame[0] & 1;
    uint8_t *ip = frame + ETH_SIZE;
    size_t ip_len = ip_length(ip, len - ETH_SIZE);

    if (!ip_len) {
        return;
    }
    if (reason == ROUTE_RESOLVE && ip[family_of(ip) == IP_V4 ? 8 : 7] <= 1) {
        reason = ROUTE_TTL;
    }
    escalation_tell(own, reason, frame, len, now_ms);
    if (reason == ROUTE_RESOLVE) {
        resolve(own, id, ip, ip_len, was_group, now_ms);
    } else if (reason == ROUTE_TOO_BIG) {
        fit(own, id, ip, ip_len, was_group, now_ms);
    } else if (reason == ROUTE_GROUP_TOO_BIG) {
        fit_group(own, id, ip, ip_len, now_ms);
    } else if (reason == ROUTE_TOO_BIG_NAT64) {
        fit_nat64(own, id, ip, ip_len, was_group, now_ms);
    } else {
        router_send_error(own, plain_errors[reason], 0, ip, ip_len, was_group, now_ms);
    }
}

void
router_punt(struct dataplane *dataplane, const struct punt *punt, uint64_t now_ms)
{
    struct router_interface *own = interface_own(dataplane, (uint32_t) punt->cookie);
    uint32_t id = (uint32_t) (punt->cookie >> 32);
    uint8_t *frame = (uint8_t *) punt->frame;   /* The ring's own memory, ours until it is let go. */
    size_t len = punt->len;

    if (!own || len < ETH_SIZE) {
        return;
    }
    if (is_vlan_type(get_be16(frame + ETH_TYPE_AT)) && len >= ETH_SIZE + VLAN_SIZE) {
        memmove(frame + VLAN_SIZE, frame, ETH_TYPE_AT);
        frame += VLAN_SIZE;
        len -= VLAN_SIZE;
    }
    if (punt->reason == ROUTE_LOCAL || punt->reason == ROUTE_GROUP) {
        take(own, frame, len, now_ms);
    } else if (punt->reason == ROUTE_SEEN) {
        escalation_tell(own, ROUTE_SEEN, frame, len, now_ms);
    } else if (punt->reason == ROUTE_REDIRECT) {
        router_redirect(own, id, frame + ETH_SIZE, ip_length(frame + ETH_SIZE, len - ETH_SIZE), now_ms);
    } else if (get_be16(frame + ETH_TYPE_AT) == ETH_TYPE_MPLS) {
        send_by(dataplane, adjacency_at(&dataplane->routing.adjacencies, id), ETH_TYPE_MPLS,
                frame + ETH_SIZE, len - ETH_SIZE, now_ms);
    } else {
        pass(own, punt->reason, id, frame, len, now_ms);
    }
}

void
router_tick(struct dataplane *dataplane, uint64_t now_ms)
{
    neighbours_advance(&dataplane->routing.neighbours, now_ms);
    router_advertise(&dataplane->routing, now_ms);
    router_detect(dataplane, now_ms);
    router_advance_members(&dataplane->routing, now_ms);
    reassembly_advance(&dataplane->routing.reassembly, now_ms);
    for (struct router *router = dataplane->routing.routers; router; router = router->next) {
        router_follow_best(router);
    }
}

/* --- The host's side ------------------------------------------------------------------------------- */

void
router_set_host(struct router *router, uint32_t index, int descriptor)
{
    interface_own(router->dataplane, index)->host = descriptor;
}

void
router_read_host(struct router *router, uint32_t index)
{
    struct router_interface *own = interface_own(router->dataplane, index);
    uint8_t frame[FRAME_MAX];
    ssize_t len;

    for (unsigned i = 0; i < HOST_READS && (len = read(own->host, frame, sizeof frame)) > 0; i++) {
        own->host_received++;
        router_send(router->dataplane, index, frame, len);
    }
}
