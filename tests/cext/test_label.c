/* Labels: what becomes of packets by RFC 3031, RFC 3032, RFC 3443, RFC 4182 and RFC 7274 (P4). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "labels.h"
#include "offload.h"

static int
set_up(void **state)
{
    struct routing_rig *r = routing_new();

    for (unsigned i = 1; i <= 3; i++) {
        know_neighbours(r, i);
    }
    *state = r;
    return 0;
}

static int
tear_down(void **state)
{
    routing_free(*state);
    return 0;
}

#define RIG struct routing_rig *r = *state
#define STACK(...) (&(const struct stack) { sizeof (struct shim[]) { __VA_ARGS__ } / sizeof (struct shim), \
                                            { __VA_ARGS__ } })
#define BY(I) gateway(r, I, IP_V4, V4(10, 0, I, 9))

static const struct next_hop here = { .kind = NEXT_HOP_LOCAL, .weight = 1 };

static uint64_t
dropped(const struct routing_rig *r, enum drop_reason reason)
{
    return r->rig->worker->totals.drops[reason];
}

/* An IP packet by interface 1 that some label's end, or a route, sends to 192.0.2.1 or 2001:db8:4d::1. */
static void
packet_in(struct routing_rig *r, uint8_t family, unsigned ttl, const struct stack *stack)
{
    struct frame f;

    if (family == IP_V4) {
        udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(192, 0, 2, 1), ttl, 30);
    } else {
        udp_packet(&f, 1, IP_V6, V6(1, 9), V6(77, 1), ttl, 30);
    }
    if (stack) {
        add_stack(&f, stack);
    }
    routing_put(r, 1, &f);
}

static void
route_to(struct routing_rig *r, struct next_hop hop)
{
    put_group(r, 1, &hop, 1);
    put_route(r, V4(192, 0, 2, 0), IP_V4, 24, 1);
    put_route(r, V6(77, 0), IP_V6, 64, 1);
}

static void
label_to(struct routing_rig *r, uint32_t label, struct next_hop hop)
{
    put_group(r, label, &hop, 1);
    put_label(r, label, label);
}

/* One packet has left by an interface for its neighbour 9, with that stack and that time to live below it. */
static void
assert_out(struct routing_rig *r, unsigned i, const struct stack *stack, unsigned ttl)
{
    struct frame out;
    struct stack found;

    assert_int_equal(rig_take(r->rig, i, &out), 1);
    assert_int_equal(get_be48(out.data), MAC_OF_HOST(i, 9));
    assert_int_equal(get_be48(out.data + 6), MAC_OF(i));
    take_stack(&out, &found);
    assert_int_equal(found.n, stack ? stack->n : 0);
    for (unsigned j = 0; j < found.n; j++) {
        assert_int_equal(found.at[j].label, stack->at[j].label);
        assert_int_equal(found.at[j].tc, stack->at[j].tc);
        assert_int_equal(found.at[j].ttl, stack->at[j].ttl);
    }
    const uint8_t *ip = out.data + ETH_SIZE;
    assert_int_equal(get_be16(out.data + ETH_TYPE_AT), ip[0] >> 4 == 4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
    assert_int_equal(ip[ip[0] >> 4 == 4 ? 8 : 7], ttl);
    if (ip[0] >> 4 == 4) {
        assert_int_equal(csum_fold(csum_add(0, ip, IPV4_SIZE)), 0);
    }
}

/* An ICMP error or answer has come back by interface 1. */
static void
assert_icmp(struct routing_rig *r, unsigned type, unsigned code)
{
    struct frame out;

    assert_int_equal(rig_take(r->rig, 1, &out), 1);
    assert_int_equal(get_be16(out.data + ETH_TYPE_AT), ETH_TYPE_IPV4);
    assert_int_equal(out.data[ETH_SIZE + 9], IP_PROTO_ICMPV4);
    assert_int_equal(out.data[ETH_SIZE + IPV4_SIZE], type);
    assert_int_equal(out.data[ETH_SIZE + IPV4_SIZE + 1], code);
}

/* --- Into a path (RFC 3031, 3.10, 3.12) --- */

/* RFC 3032, 2.1: the bottom is marked; RFC 3443, 3.1: the time to live is counted down and copied; RFC 3270, 4.2,
 * RFC 5462: the class is the precedence of IP, 1 of DSCP 10. */
static void
a_route_pushes_a_label(void **state)
{
    RIG;

    route_to(r, BEHIND(BY(2), 100));
    packet_in(r, IP_V4, 64, NULL);
    assert_out(r, 2, STACK({ 100, 1, 63 }), 63);
    packet_in(r, IP_V6, 9, NULL);
    assert_out(r, 2, STACK({ 100, 1, 8 }), 8);
}

static void
a_route_pushes_several(void **state)
{
    RIG;

    route_to(r, BEHIND(BY(2), 100, 200, 300, 400));
    packet_in(r, IP_V4, 64, NULL);
    assert_out(r, 2, STACK({ 100, 1, 63 }, { 200, 1, 63 }, { 300, 1, 63 }, { 400, 1, 63 }), 63);
    route_to(r, BEHIND(BY(2), LABEL_MAX, LABEL_FREE));
    packet_in(r, IP_V4, 64, NULL);
    assert_out(r, 2, STACK({ LABEL_MAX, 1, 63 }, { LABEL_FREE, 1, 63 }), 63);
}

/* RFC 3032, 2.1: a router that is asked for implicit null pushes nothing, for explicit null a label. */
static void
nulls_are_pushed_as_they_mean(void **state)
{
    RIG;

    route_to(r, BEHIND(BY(2), 3));
    packet_in(r, IP_V4, 64, NULL);
    assert_out(r, 2, NULL, 63);
    route_to(r, BEHIND(BY(2), 3, 200));
    packet_in(r, IP_V4, 64, NULL);
    assert_out(r, 2, STACK({ 200, 1, 63 }), 63);
    route_to(r, BEHIND(BY(2), 0));
    packet_in(r, IP_V4, 64, NULL);
    assert_out(r, 2, STACK({ 0, 1, 63 }), 63);
    route_to(r, BEHIND(BY(2), 2));
    packet_in(r, IP_V6, 64, NULL);
    assert_out(r, 2, STACK({ 2, 1, 63 }), 63);
}

static void
what_has_no_time_left_gets_no_label(void **state)
{
    RIG;

    route_to(r, BEHIND(BY(2), 100));
    packet_in(r, IP_V4, 1, NULL);
    assert_int_equal(rig_take(r->rig, 2, NULL), 0);
    assert_icmp(r, 11, 0);
}

/* RFC 3032, 3.2, 3.4: with its labels it must fit the link; who may not be cut hears what fits. */
static void
labels_count_for_the_mtu(void **state)
{
    RIG;
    struct frame f, out;
    struct stack stack;

    route_to(r, BEHIND(BY(2), 100, 200));
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(192, 0, 2, 1), 64, MTU - 8 - IPV4_SIZE - UDP_SIZE);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, &out), 1);
    assert_int_equal(out.len, ETH_SIZE + MTU);
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(192, 0, 2, 1), 64, MTU - 7 - IPV4_SIZE - UDP_SIZE);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, NULL), 0);
    assert_int_equal(rig_take(r->rig, 1, &out), 1);
    assert_int_equal(out.data[ETH_SIZE + IPV4_SIZE], 3);
    assert_int_equal(out.data[ETH_SIZE + IPV4_SIZE + 1], 4);
    assert_int_equal(get_be16(out.data + ETH_SIZE + IPV4_SIZE + 6), MTU - 8);

    put_be16(f.data + ETH_SIZE + 6, 0);         /* It may be cut. */
    csum_ipv4(f.data + ETH_SIZE);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, &out), 2);
    take_stack(&out, &stack);
    assert_int_equal(stack.n, 2);
    assert_int_equal(stack.at[1].ttl, 63);
    assert_int_equal(get_be16(out.data + ETH_SIZE + 6) & 0x2000, 0);
    assert_true(get_be16(out.data + ETH_SIZE + 6));
}

/* Kernels that know no MPLS drop what they are to cut behind labels: it is cut before. */
static void
what_is_to_be_cut_is_cut_behind_labels(void **state)
{
    RIG;
    struct offload offload = { .flags = OFFLOAD_NEEDS_CSUM, .gso_type = OFFLOAD_GSO_UDP_L4, .gso_size = 1000,
                               .hdr_len = ETH_SIZE + IPV4_SIZE + UDP_SIZE, .csum_start = ETH_SIZE + IPV4_SIZE,
                               .csum_offset = UDP_CSUM };
    struct frame f, out;
    struct stack stack;

    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(192, 0, 2, 1), 64, 2500);
    for (unsigned labels = 0; labels <= 2; labels += 2) {
        route_to(r, behind(BY(2), labels, (const uint32_t[]) { 100, 200 }));
        CHECK(!port_memory_put(&r->rig->ports[1], f.data, f.len, &offload));
        routing_run(r);
        assert_int_equal(rig_take(r->rig, 2, &out), labels ? 3 : 1);
        take_stack(&out, &stack);
        assert_int_equal(stack.n, labels);
        assert_int_equal(out.len, ETH_SIZE + IPV4_SIZE + UDP_SIZE + (labels ? 500 : 2500));
    }
}

/* --- Through it (RFC 3031, 3.13) --- */

static void
a_label_is_swapped(void **state)
{
    RIG;

    label_to(r, 100, BEHIND(BY(2), 200));
    packet_in(r, IP_V4, 30, STACK({ 100, 5, 64 }));
    assert_out(r, 2, STACK({ 200, 5, 63 }), 30);
    packet_in(r, IP_V6, 30, STACK({ 100, 0, 64 }, { 77, 3, 12 }));
    assert_out(r, 2, STACK({ 200, 0, 63 }, { 77, 3, 12 }), 30);
}

static void
a_label_is_swapped_for_several(void **state)
{
    RIG;

    label_to(r, 100, BEHIND(BY(2), 300, 200));
    packet_in(r, IP_V4, 30, STACK({ 100, 5, 64 }));
    assert_out(r, 2, STACK({ 300, 5, 63 }, { 200, 5, 63 }), 30);
}

/* RFC 3443, 3.1 (uniform), 5.4: what comes to the top has the time to live of what was there, if it is less. */
static void
a_label_is_popped_over_another(void **state)
{
    RIG;

    label_to(r, 100, BY(2));
    packet_in(r, IP_V4, 30, STACK({ 100, 5, 64 }, { 77, 3, 64 }));
    assert_out(r, 2, STACK({ 77, 3, 63 }), 30);
    packet_in(r, IP_V4, 30, STACK({ 100, 5, 64 }, { 77, 3, 12 }));
    assert_out(r, 2, STACK({ 77, 3, 12 }), 30);
}

/* RFC 3031, 3.16; RFC 3443, 3.1. */
static void
the_last_label_is_popped_for_the_next_router(void **state)
{
    RIG;

    label_to(r, 100, BEHIND(BY(2), 3));
    packet_in(r, IP_V4, 64, STACK({ 100, 5, 10 }));
    assert_out(r, 2, NULL, 9);
    packet_in(r, IP_V6, 64, STACK({ 100, 5, 10 }));
    assert_out(r, 2, NULL, 9);
    packet_in(r, IP_V4, 5, STACK({ 100, 5, 10 }));
    assert_out(r, 2, NULL, 4);
}

/* RFC 3443, 3.2, 3.3: a tunnel is one hop, whoever takes the label off. */
static void
pipes_hide_the_time_to_live(void **state)
{
    RIG;

    r->router->pipe = true;
    route_to(r, BEHIND(BY(2), 100, 200));
    packet_in(r, IP_V4, 7, NULL);
    assert_out(r, 2, STACK({ 100, 1, 255 }, { 200, 1, 255 }), 6);
    label_to(r, 100, BEHIND(BY(2), 300, 200));
    packet_in(r, IP_V4, 7, STACK({ 100, 5, 64 }));
    assert_out(r, 2, STACK({ 300, 5, 255 }, { 200, 5, 63 }), 7);
    label_to(r, 101, BY(2));
    packet_in(r, IP_V4, 7, STACK({ 101, 5, 2 }, { 77, 3, 90 }));
    assert_out(r, 2, STACK({ 77, 3, 90 }), 7);
    packet_in(r, IP_V4, 7, STACK({ 101, 5, 2 }));
    assert_out(r, 2, NULL, 7);
    label_to(r, 102, here);
    route_to(r, BY(3));
    packet_in(r, IP_V4, 7, STACK({ 102, 5, 200 }));
    assert_out(r, 3, NULL, 6);
}

/* RFC 3032, 2.4.2: nothing is forwarded whose time is up.  Below more labels nobody is told: its sender may not
 * be known here (2.3). */
static void
time_runs_out_in_a_path(void **state)
{
    RIG;

    label_to(r, 100, BEHIND(BY(2), 200));
    label_to(r, 101, BY(2));
    packet_in(r, IP_V4, 30, STACK({ 100, 0, 1 }));
    packet_in(r, IP_V4, 30, STACK({ 101, 0, 1 }, { 77, 0, 9 }));
    assert_int_equal(dropped(r, DROP_ttl), 2);
    assert_int_equal(rig_take(r->rig, 2, NULL) + rig_take(r->rig, 1, NULL), 0);
    packet_in(r, IP_V4, 30, STACK({ 101, 0, 1 }));
    assert_int_equal(rig_take(r->rig, 2, NULL), 0);
    assert_icmp(r, 11, 0);
}

static void
what_grows_too_long_is_dropped(void **state)
{
    RIG;
    struct frame f;

    label_to(r, 100, BEHIND(BY(2), 300, 200));
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(192, 0, 2, 1), 64, MTU - 8 - IPV4_SIZE - UDP_SIZE);
    add_stack(&f, STACK({ 100, 0, 9 }));
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, NULL), 1);
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(192, 0, 2, 1), 64, MTU - 7 - IPV4_SIZE - UDP_SIZE);
    add_stack(&f, STACK({ 100, 0, 9 }));
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, NULL), 0);
    assert_int_equal(dropped(r, DROP_label_mtu), 1);
}

static void
packets_wait_for_a_neighbour_with_their_labels(void **state)
{
    RIG;
    struct frame f, out;

    label_to(r, 100, BEHIND(gateway(r, 2, IP_V4, V4(10, 0, 2, 8)), 200));
    route_to(r, BEHIND(gateway(r, 2, IP_V4, V4(10, 0, 2, 8)), 300));
    packet_in(r, IP_V4, 30, STACK({ 100, 5, 64 }, { 77, 3, 12 }));
    packet_in(r, IP_V4, 30, NULL);
    assert_int_equal(rig_take(r->rig, 2, &f), 1);
    assert_int_equal(get_be16(f.data + ETH_TYPE_AT), ETH_TYPE_ARP);
    set_neighbour(r, 2, IP_V4, V4(10, 0, 2, 8), MAC_OF_HOST(2, 8));
    routing_run(r);
    struct stack stack;
    out.len = port_memory_take(&r->rig->ports[2], out.data, sizeof out.data, NULL);
    assert_int_equal(get_be48(out.data), MAC_OF_HOST(2, 8));
    take_stack(&out, &stack);
    assert_int_equal(stack.n, 2);
    assert_int_equal(stack.at[0].label, 200);
    assert_int_equal(stack.at[0].ttl, 63);
    assert_int_equal(stack.at[1].label, 77);
    out.len = port_memory_take(&r->rig->ports[2], out.data, sizeof out.data, NULL);
    take_stack(&out, &stack);
    assert_int_equal(stack.n, 1);
    assert_int_equal(stack.at[0].label, 300);
    assert_int_equal(stack.at[0].ttl, 29);
    assert_int_equal(out.data[ETH_SIZE + 8], 29);
}

/* RFC 2991, RFC 4928: flows below a label are spread over the ways, and stay. */
static void
several_ways_share_flows(void **state)
{
    RIG;
    const struct next_hop both[] = { BEHIND(BY(2), 200), BEHIND(BY(3), 300) };
    unsigned n[RIG_PORTS + 1] = { 0 };
    struct frame f;

    put_group(r, 100, both, 2);
    put_label(r, 100, 100);
    for (unsigned i = 0; i < 100; i++) {
        udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(192, 0, 2, i), 64, 30);
        add_stack(&f, STACK({ 100, 0, 9 }));
        routing_put(r, 1, &f);
        routing_put(r, 1, &f);
        for (unsigned port = 2; port <= 3; port++) {
            unsigned here = rig_take(r->rig, port, NULL);
            assert_true(here == 0 || here == 2);
            n[port] += here;
        }
    }
    assert_true(n[2] > 40 && n[3] > 40);
}

/* RFC 3031, 3.27: a path in a path.  What the outer one changes, the inner one follows. */
static void
a_path_runs_in_another(void **state)
{
    RIG;
    struct next_hop far = { .kind = NEXT_HOP_RECURSIVE, .family = IP_V4, .weight = 1,
                            .gateway = V4(172, 16, 0, 1) };
    struct next_hop by_2 = BEHIND(BY(2), 100), by_3 = BEHIND(BY(3), 101, 102);

    far = BEHIND(far, 500);
    put_group(r, 1, &far, 1);
    put_group(r, 2, &by_2, 1);
    put_route(r, V4(192, 0, 2, 0), IP_V4, 24, 1);
    put_route(r, V4(172, 16, 0, 0), IP_V4, 16, 2);
    routing_tick(r, 10);
    packet_in(r, IP_V4, 64, NULL);
    assert_out(r, 2, STACK({ 100, 1, 63 }, { 500, 1, 63 }), 63);
    put_group(r, 2, &by_3, 1);
    packet_in(r, IP_V4, 64, NULL);
    assert_out(r, 3, STACK({ 101, 1, 63 }, { 102, 1, 63 }, { 500, 1, 63 }), 63);
}

/* Ways that lead to each other lead nowhere, and no packet goes round. */
static void
a_circle_ends(void **state)
{
    RIG;
    struct next_hop a = { .kind = NEXT_HOP_RECURSIVE, .family = IP_V4, .weight = 1, .gateway = V4(172, 16, 0, 1) };
    struct next_hop b = a;

    b.gateway = V4(192, 0, 2, 1);
    a = BEHIND(a, 500);
    b = BEHIND(b, 600);
    put_group(r, 1, &a, 1);
    put_group(r, 2, &b, 1);
    put_route(r, V4(192, 0, 2, 0), IP_V4, 24, 1);
    put_route(r, V4(172, 16, 0, 0), IP_V4, 16, 2);
    routing_tick(r, 10);
    routing_tick(r, 10);
    put_group(r, 1, &a, 1);
    put_group(r, 2, &b, 1);
    routing_tick(r, 10);
    packet_in(r, IP_V4, 64, NULL);
    for (unsigned i = 2; i <= 3; i++) {
        assert_int_equal(rig_take(r->rig, i, NULL), 0);
    }
}

/* A tag is put in front of labels, and may be there. */
static void
labels_are_on_a_vlan_too(void **state)
{
    RIG;
    struct interface_config config = interface_on(r->rig, 3);
    const struct ip_prefix address = { V4(10, 0, 33, 1), IP_V4, 24 };
    struct next_hop hop = BEHIND(gateway(r, 3, IP_V4, V4(10, 0, 33, 9)), 100, 200, 300, 400);
    uint32_t index;
    struct frame out;

    config.vlan = 33;
    assert_int_equal(router_add_interface(r->router, &config, &index), 0);
    assert_int_equal(router_add_address(r->router, index, &address), 0);
    uint32_t untagged = r->index[3];
    r->index[3] = index;
    set_neighbour(r, 3, IP_V4, V4(10, 0, 33, 9), MAC_OF_HOST(3, 9));
    hop.interface = index;
    label_to(r, 100, hop);
    packet_in(r, IP_V4, 30, STACK({ 100, 5, 64 }));
    assert_int_equal(rig_take(r->rig, 3, &out), 1);
    assert_int_equal(get_be16(out.data + ETH_TYPE_AT), ETH_TYPE_VLAN);
    assert_int_equal(get_be16(out.data + ETH_TYPE_AT + 2), 33);
    assert_int_equal(get_be16(out.data + ETH_TYPE_AT + 4), ETH_TYPE_MPLS);
    assert_int_equal(get_be32(out.data + ETH_SIZE + 4) >> 12, 100);
    assert_int_equal(get_be32(out.data + ETH_SIZE + 16) >> 12, 400);

    /* And back. */
    label_to(r, 101, BY(1));
    put_be48(out.data, MAC_OF(3));
    put_be32(out.data + ETH_SIZE + 4, 101u << 12 | 64);
    rig_put(r->rig, 3, &out);
    routing_run(r);
    assert_out(r, 1, STACK({ 200, 5, 63 }, { 300, 5, 63 }, { 400, 5, 63 }), 30);
    r->index[3] = untagged;
    router_remove_interface(r->router, index);
}

/* --- Out of it --- */

static void
what_ends_here_is_looked_up(void **state)
{
    RIG;

    label_to(r, 100, here);
    label_to(r, 101, here);
    route_to(r, BY(3));
    packet_in(r, IP_V4, 64, STACK({ 100, 5, 10 }));
    assert_out(r, 3, NULL, 9);
    packet_in(r, IP_V6, 7, STACK({ 101, 5, 10 }, { 100, 5, 20 }));
    assert_out(r, 3, NULL, 6);
    packet_in(r, IP_V4, 64, STACK({ 100, 5, 1 }));
    assert_icmp(r, 11, 0);                      /* RFC 1812, 5.3.1 */
    packet_in(r, IP_V4, 64, STACK({ 100, 5, 0 }));
    assert_int_equal(dropped(r, DROP_ttl), 1);
}

/* RFC 3032, 2.1: at the bottom, for their family; RFC 4182: above other labels too. */
static void
explicit_null_ends_here(void **state)
{
    RIG;

    route_to(r, BY(3));
    packet_in(r, IP_V4, 64, STACK({ 0, 5, 10 }));
    assert_out(r, 3, NULL, 9);
    packet_in(r, IP_V6, 64, STACK({ 2, 5, 10 }));
    assert_out(r, 3, NULL, 9);
    label_to(r, 100, BEHIND(BY(2), 200));
    packet_in(r, IP_V4, 64, STACK({ 0, 5, 10 }, { 100, 1, 64 }));
    assert_out(r, 2, STACK({ 200, 1, 9 }), 64);
    packet_in(r, IP_V6, 64, STACK({ 0, 5, 10 }));
    packet_in(r, IP_V4, 64, STACK({ 2, 5, 10 }));
    assert_int_equal(dropped(r, DROP_ip_header), 2);
}

static void
what_is_for_us_is_ours_below_a_label_too(void **state)
{
    RIG;
    struct frame f;

    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 2, 1), 64, 30);
    add_stack(&f, STACK({ 0, 0, 9 }));
    routing_put(r, 1, &f);
    assert_icmp(r, 3, 3);
}

/* RFC 7274, 3: special-purpose labels that are not known are not forwarded; RFC 3031, 3.18. */
static void
labels_that_nobody_told_of_are_dropped(void **state)
{
    RIG;
    const uint32_t lost[] = { 1, 3, 4, 7, 13, 14, 15, 16, 4711, LABEL_MAX };

    for (unsigned i = 0; i < sizeof lost / sizeof lost[0]; i++) {
        packet_in(r, IP_V4, 64, STACK({ lost[i], 0, 64 }));
        assert_int_equal(dropped(r, DROP_label), i + 1);
    }
}

static void
stacks_without_an_end_are_dropped(void **state)
{
    RIG;
    struct frame f;

    label_to(r, 100, here);
    label_to(r, 101, BY(2));
    for (unsigned label = 100; label <= 101; label++) {
        frame_eth(&f, ETH_TYPE_MPLS);
        put_be48(f.data, MAC_OF(1));
        frame_mpls(&f, label, 0, 0, 64);
        routing_put(r, 1, &f);
    }
    assert_int_equal(dropped(r, DROP_label_stack), 2);
    frame_eth(&f, ETH_TYPE_MPLS);
    put_be48(f.data, MAC_OF(1));
    frame_add16(&f, 0);
    routing_put(r, 1, &f);
    assert_int_equal(dropped(r, DROP_label_stack), 3);

    struct stack high = { STACK_MAX, { { 0, 0, 0 } } };
    for (unsigned i = 0; i < STACK_MAX; i++) {
        high.at[i] = (struct shim) { 100, 0, 64 };
    }
    packet_in(r, IP_V4, 64, &high);
    assert_int_equal(dropped(r, DROP_label_stack), 4);
    frame_eth(&f, ETH_TYPE_MPLS);
    put_be48(f.data, MAC_OF(1));
    frame_mpls(&f, 100, 0, 1, 64);
    frame_payload(&f, 60);                      /* No IP packet. */
    routing_put(r, 1, &f);
    assert_int_equal(dropped(r, DROP_ip_header), 1);
}

static void
only_frames_to_us_are_switched(void **state)
{
    RIG;
    struct frame f;

    label_to(r, 100, BEHIND(BY(2), 200));
    udp_packet(&f, 3, IP_V4, V4(10, 0, 1, 9), V4(192, 0, 2, 1), 64, 30);
    add_stack(&f, STACK({ 100, 0, 9 }));
    routing_put(r, 1, &f);
    assert_int_equal(dropped(r, DROP_not_ours), 1);
    assert_int_equal(rig_take(r->rig, 2, NULL), 0);
}

/* --- Tables --- */

static void
sources_have_labels_of_their_own(void **state)
{
    RIG;
    const struct ip_prefix label = prefix_of_label(100);
    struct next_hop by_2 = BEHIND(BY(2), 200), by_3 = BEHIND(BY(3), 300);

    assert_int_equal(router_put_group(r->router, ROUTE_FPM, 1, &by_2, 1), ROUTE_DONE);
    assert_int_equal(router_put_group(r->router, ROUTE_FREE, 1, &by_3, 1), ROUTE_DONE);
    assert_int_equal(router_put_route(r->router, ROUTE_FPM, &label, 20, 0, 1), ROUTE_DONE);
    assert_int_equal(router_put_route(r->router, ROUTE_FREE, &label, 1, 0, 1), ROUTE_DONE);
    packet_in(r, IP_V4, 30, STACK({ 100, 0, 64 }));
    assert_out(r, 3, STACK({ 300, 0, 63 }), 30);
    assert_int_equal(router_remove_route(r->router, ROUTE_FREE, &label), ROUTE_DONE);
    packet_in(r, IP_V4, 30, STACK({ 100, 0, 64 }));
    assert_out(r, 2, STACK({ 200, 0, 63 }), 30);
    assert_int_equal(r->router->lib.n, 1);
    router_begin(r->router, ROUTE_FPM);
    assert_int_equal(router_sweep(r->router, ROUTE_FPM), 1);
    assert_int_equal(r->router->lib.n, 0);
    packet_in(r, IP_V4, 30, STACK({ 100, 0, 64 }));
    assert_int_equal(dropped(r, DROP_label), 1);
}

/* Who pushes the same over the same shares what does it; with the last it goes. */
static void
pushes_are_shared(void **state)
{
    RIG;
    struct routing *routing = &r->rig->dataplane.routing;
    struct next_hop hop = BEHIND(BY(2), 200), other = BEHIND(BY(2), 201);

    put_group(r, 1, &hop, 1);
    uint32_t n = routing->adjacencies.n;
    put_group(r, 2, &hop, 1);
    assert_int_equal(routing->pushes.n, 1);
    put_group(r, 3, &other, 1);
    assert_int_equal(routing->pushes.n, 2);
    assert_int_equal(routing->adjacencies.n, n + 3);
    put_group(r, 3, &hop, 1);
    assert_int_equal(routing->pushes.n, 1);
    for (uint32_t id = 1; id <= 3; id++) {
        assert_int_equal(router_remove_group(r->router, ROUTE_STATIC, id), ROUTE_DONE);
    }
    assert_int_equal(routing->pushes.n, 0);
}

enum { HOP = 40, LABELS_AT = 8 + 24 };

/* A record of a group by 10.0.2.9 with four label fields. */
static uint32_t
try_record(struct routing_rig *r, uint8_t kind, const uint32_t labels[4])
{
    uint8_t record[8 + HOP] = { 1, ROUTE_FPM, 0, 1, 0, 0, 0, 9, kind, IP_V4, 0, 1 }, result[4];
    const struct ip_address gateway = V4(10, 0, 2, 9);

    put_be32(record + 12, r->index[2]);
    ip_write(IP_V4, &gateway, record + 16);
    for (unsigned i = 0; i < 4; i++) {
        put_be32(record + LABELS_AT + 4 * i, labels[i]);
    }
    assert_int_equal(router_next_hop_mod(r->router, record, sizeof record, result, 1), 1);
    return get_be32(result);
}

static void
records_of_next_hops_have_labels(void **state)
{
    RIG;
    enum { NONE = 0xffffffff };
    static const uint32_t good[][4] = {
        { NONE, NONE, NONE, NONE }, { 0, NONE, NONE, NONE }, { 3, NONE, NONE, NONE }, { 16, LABEL_MAX, 2, 17 },
    };
    static const uint32_t bad[][4] = {
        { NONE, 16, NONE, NONE }, { 16, NONE, NONE, 16 }, { LABEL_MAX + 1, NONE, NONE, NONE },
        { 1, NONE, NONE, NONE }, { 7, 16, NONE, NONE }, { 16, 15, NONE, NONE },
    };

    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct buffer out = { 0 };
        uint32_t place = 0;
        assert_int_equal(try_record(r, NEXT_HOP_GATEWAY, good[i]), ROUTE_DONE);
        router_list_groups(r->router, ROUTE_FPM, &place, 9, &out);
        assert_int_equal(out.len, 8 + HOP);
        for (unsigned j = 0; j < 4; j++) {
            assert_int_equal(get_be32(out.data + LABELS_AT + 4 * j), good[i][j]);
        }
        buffer_close(&out);
    }
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(try_record(r, NEXT_HOP_GATEWAY, bad[i]), ROUTE_BAD);
    }
    assert_int_equal(try_record(r, NEXT_HOP_LINK, good[3]), ROUTE_BAD);
    assert_int_equal(try_record(r, NEXT_HOP_BLACKHOLE, good[3]), ROUTE_BAD);
    assert_int_equal(try_record(r, NEXT_HOP_LINK, good[0]), ROUTE_DONE);
}

static void
records_of_routes_have_labels(void **state)
{
    RIG;
    static const uint32_t none[4] = { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff };
    uint8_t record[ROUTE_RECORD] = { 1, IP_LABEL, IP_LABEL_LEN, ROUTE_FPM, 0, 0, 0, 9 }, result[4];
    struct buffer out = { 0 };
    uint32_t cursor = 0;

    assert_int_equal(try_record(r, NEXT_HOP_GATEWAY, none), ROUTE_DONE);
    put_be32(record + 16, 100);
    router_route_mod(r->router, record, sizeof record, result);
    assert_int_equal(get_be32(result), ROUTE_DONE);
    router_list_routes(r->router, ROUTE_FPM, &cursor, 9, &out);
    assert_int_equal(out.len, sizeof record);
    assert_memory_equal(out.data, record, sizeof record);
    buffer_close(&out);
    const struct { uint32_t label; uint8_t len; } bad[] = {
        { 15, 20 }, { 0, 20 }, { LABEL_MAX + 1, 20 }, { 100, 19 }, { 100, 32 },
    };
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put_be32(record + 16, bad[i].label);
        record[2] = bad[i].len;
        router_route_mod(r->router, record, sizeof record, result);
        assert_int_equal(get_be32(result), ROUTE_BAD);
    }
    record[0] = 2;
    record[2] = IP_LABEL_LEN;
    put_be32(record + 16, 100);
    router_route_mod(r->router, record, sizeof record, result);
    assert_int_equal(get_be32(result), ROUTE_DONE);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_route_pushes_a_label),
        TEST(a_route_pushes_several),
        TEST(nulls_are_pushed_as_they_mean),
        TEST(what_has_no_time_left_gets_no_label),
        TEST(labels_count_for_the_mtu),
        TEST(what_is_to_be_cut_is_cut_behind_labels),
        TEST(a_label_is_swapped),
        TEST(a_label_is_swapped_for_several),
        TEST(a_label_is_popped_over_another),
        TEST(the_last_label_is_popped_for_the_next_router),
        TEST(pipes_hide_the_time_to_live),
        TEST(time_runs_out_in_a_path),
        TEST(what_grows_too_long_is_dropped),
        TEST(packets_wait_for_a_neighbour_with_their_labels),
        TEST(several_ways_share_flows),
        TEST(a_path_runs_in_another),
        TEST(a_circle_ends),
        TEST(labels_are_on_a_vlan_too),
        TEST(what_ends_here_is_looked_up),
        TEST(explicit_null_ends_here),
        TEST(what_is_for_us_is_ours_below_a_label_too),
        TEST(labels_that_nobody_told_of_are_dropped),
        TEST(stacks_without_an_end_are_dropped),
        TEST(only_frames_to_us_are_switched),
        TEST(sources_have_labels_of_their_own),
        TEST(pushes_are_shared),
        TEST(records_of_next_hops_have_labels),
        TEST(records_of_routes_have_labels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
