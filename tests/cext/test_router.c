/* Routers: what becomes of packets, by RFC 1812 and RFC 8200 (P0, P1, P4, K18). */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "csum.h"
#include "fragment.h"
#include "neighbour.h"
#include "router_wire.h"
#include "routing.h"

static uint64_t
dropped(const struct routing_rig *r, enum drop_reason reason)
{
    return r->rig->worker->totals.drops[reason];
}

/* Whether a frame is an IP packet of that family between those, with a right header. */
static void
assert_packet(const struct frame *f, uint8_t family, struct ip_address from, struct ip_address to,
              unsigned ttl)
{
    const uint8_t *ip = f->data + ETH_SIZE;

    assert_int_equal(get_be16(f->data + 12), family == IP_V4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
    assert_int_equal(ip[0] >> 4, family);
    struct ip_address source = ip_read(family, ip + (family == IP_V4 ? 12 : 8));
    struct ip_address target = ip_read(family, ip + (family == IP_V4 ? 16 : 24));
    assert_true(ip_equal(&source, &from));
    assert_true(ip_equal(&target, &to));
    assert_int_equal(ip[family == IP_V4 ? 8 : 7], ttl);
    if (family == IP_V4) {
        assert_int_equal(csum_fold(csum_add(0, ip, 20)), 0);
    }
}

static void
assert_ethernet(const struct frame *f, uint64_t to, uint64_t from)
{
    assert_int_equal(get_be48(f->data), to);
    assert_int_equal(get_be48(f->data + 6), from);
}

/* --- Forwarding (RFC 1812, 5.2; RFC 8200, 3) --- */

static void
between_links(void **state)
{
    ROUTER;
    struct frame f, out;

    set_neighbour(r, 2, IP_V4, V4(10, 0, 2, 9), MAC_OF_HOST(2, 9));
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 2, 9), 64, 30);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, &out), 1);
    assert_int_equal(out.len, f.len);
    assert_ethernet(&out, MAC_OF_HOST(2, 9), MAC_OF(2));
    assert_packet(&out, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 2, 9), 63);

    set_neighbour(r, 2, IP_V6, V6(2, 9), MAC_OF_HOST(2, 9));
    udp_packet(&f, 1, IP_V6, V6(1, 9), V6(2, 9), 64, 30);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, &out), 1);
    assert_ethernet(&out, MAC_OF_HOST(2, 9), MAC_OF(2));
    assert_packet(&out, IP_V6, V6(1, 9), V6(2, 9), 63);
}

static void
by_the_longest_prefix(void **state)
{
    ROUTER;
    struct frame f;
    struct next_hop by_2 = gateway(r, 2, IP_V4, V4(10, 0, 2, 9)), by_3 = gateway(r, 3, IP_V4, V4(10, 0, 3, 9));

    set_neighbour(r, 2, IP_V4, V4(10, 0, 2, 9), MAC_OF_HOST(2, 9));
    set_neighbour(r, 3, IP_V4, V4(10, 0, 3, 9), MAC_OF_HOST(3, 9));
    put_group(r, 1, &by_2, 1);
    put_group(r, 2, &by_3, 1);
    put_route(r, V4(192, 0, 0, 0), IP_V4, 8, 1);
    put_route(r, V4(192, 0, 2, 0), IP_V4, 24, 2);
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(192, 0, 3, 1), 64, 30);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, NULL), 1);
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(192, 0, 2, 1), 64, 30);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 3, NULL), 1);
    assert_int_equal(router_remove_group(r->router, ROUTE_STATIC, 2), ROUTE_IN_USE);
    const struct ip_prefix gone = { V4(192, 0, 2, 0), IP_V4, 24 };
    assert_int_equal(router_remove_route(r->router, ROUTE_STATIC, &gone), ROUTE_DONE);
    assert_int_equal(router_remove_route(r->router, ROUTE_STATIC, &gone), ROUTE_NOT_FOUND);
    assert_int_equal(router_remove_group(r->router, ROUTE_STATIC, 2), ROUTE_DONE);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, NULL), 1);
}

/* An interface goes whose neighbour is the gateway that was looked up: nothing holds it any more. */
static void
a_gateway_that_was_looked_up_goes_with_its_link(void **state)
{
    ROUTER;
    struct frame f;
    const struct next_hop via = {
        .kind = NEXT_HOP_RECURSIVE, .family = IP_V4, .weight = 1, .gateway = V4(10, 0, 2, 9),
    };

    put_group(r, 1, &via, 1);
    put_route(r, V4(192, 0, 2, 0), IP_V4, 24, 1);
    set_neighbour(r, 2, IP_V4, V4(10, 0, 2, 9), MAC_OF_HOST(2, 9));
    routing_tick(r, 20);
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(192, 0, 2, 1), 64, 30);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, NULL), 1);
    router_remove_interface(r->router, r->index[2]);
    assert_int_equal(r->rig->dataplane.routing.neighbours.n, 0);
    routing_tick(r, 20);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, NULL), 0);
}

/* A change of the group, or of the neighbour's address, is one of all routes. */
static void
a_group_changes_for_all_its_routes(void **state)
{
    ROUTER;
    struct frame f, out;
    struct next_hop by_2 = gateway(r, 2, IP_V4, V4(10, 0, 2, 9)), by_3 = gateway(r, 3, IP_V4, V4(10, 0, 3, 9));

    set_neighbour(r, 2, IP_V4, V4(10, 0, 2, 9), MAC_OF_HOST(2, 9));
    set_neighbour(r, 3, IP_V4, V4(10, 0, 3, 9), MAC_OF_HOST(3, 9));
    put_group(r, 1, &by_2, 1);
    put_route(r, V4(192, 0, 0, 0), IP_V4, 8, 1);
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(192, 0, 3, 1), 64, 30);
    set_neighbour(r, 2, IP_V4, V4(10, 0, 2, 9), MAC_OF_HOST(2, 7));
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, &out), 1);
    assert_ethernet(&out, MAC_OF_HOST(2, 7), MAC_OF(2));
    put_group(r, 1, &by_3, 1);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 3, NULL), 1);
}

/* RFC 2991: flows are spread, and a flow stays where it is. */
static void
over_several_next_hops(void **state)
{
    ROUTER;
    struct frame f;
    struct next_hop both[] = { gateway(r, 2, IP_V4, V4(10, 0, 2, 9)), gateway(r, 3, IP_V4, V4(10, 0, 3, 9)) };
    unsigned n[RIG_PORTS + 1] = { 0 };

    set_neighbour(r, 2, IP_V4, V4(10, 0, 2, 9), MAC_OF_HOST(2, 9));
    set_neighbour(r, 3, IP_V4, V4(10, 0, 3, 9), MAC_OF_HOST(3, 9));
    put_group(r, 1, both, 2);
    put_route(r, V4(0, 0, 0, 0), IP_V4, 0, 1);
    for (unsigned i = 0; i < 100; i++) {
        udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(192, 0, 2, i), 64, 30);
        routing_put(r, 1, &f);
        routing_put(r, 1, &f);
        for (unsigned port = 2; port <= 3; port++) {
            unsigned here = rig_take(r->rig, port, NULL);
            assert_true(here == 0 || here == 2);
            n[port] += here;
        }
    }
    assert_int_equal(n[2] + n[3], 200);
    assert_true(n[2] > 40 && n[3] > 40);

    struct interface_config down = interface_on(r->rig, 2);
    down.up = false;
    assert_int_equal(router_set_interface(r->router, r->index[2], &down), 0);
    for (unsigned i = 0; i < 20; i++) {
        udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(192, 0, 2, i), 64, 30);
        routing_put(r, 1, &f);
    }
    assert_int_equal(rig_take(r->rig, 2, NULL), 0);
    assert_int_equal(rig_take(r->rig, 3, NULL), 20);
}

static void
by_what_leads_to_the_gateway(void **state)
{
    ROUTER;
    struct frame f;
    struct next_hop far = { .kind = NEXT_HOP_RECURSIVE, .family = IP_V4, .weight = 1,
                            .gateway = V4(172, 16, 0, 1) };
    struct next_hop by_2 = gateway(r, 2, IP_V4, V4(10, 0, 2, 9)), by_3 = gateway(r, 3, IP_V4, V4(10, 0, 3, 9));

    set_neighbour(r, 2, IP_V4, V4(10, 0, 2, 9), MAC_OF_HOST(2, 9));
    set_neighbour(r, 3, IP_V4, V4(10, 0, 3, 9), MAC_OF_HOST(3, 9));
    put_group(r, 1, &far, 1);
    put_group(r, 2, &by_2, 1);
    put_group(r, 3, &by_3, 1);
    put_route(r, V4(192, 0, 2, 0), IP_V4, 24, 1);
    put_route(r, V4(172, 16, 0, 0), IP_V4, 16, 2);
    routing_tick(r, 10);
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(192, 0, 2, 1), 64, 30);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, NULL), 1);
    put_route(r, V4(172, 16, 0, 0), IP_V4, 24, 3);
    routing_tick(r, 10);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 3, NULL), 1);
}

/* --- Neighbours (RFC 826, RFC 4861) --- */

static void
arp_reply(struct frame *f, unsigned i, struct ip_address sender, uint64_t mac)
{
    frame_eth(f, ETH_TYPE_ARP);
    put_be48(f->data, MAC_OF(i));
    put_be48(f->data + 6, mac);
    frame_arp(f, 2);
    put_be48(f->data + 22, mac);
    ip_write(IP_V4, &sender, f->data + 28);
    put_be48(f->data + 32, MAC_OF(i));
    struct ip_address own = V4(10, 0, i, 1);
    ip_write(IP_V4, &own, f->data + 38);
}

static void
who_is_unknown_is_asked_for(void **state)
{
    ROUTER;
    struct frame f, out;

    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 2, 9), 64, 30);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, &out), 1);
    assert_int_equal(get_be16(out.data + 12), ETH_TYPE_ARP);
    assert_int_equal(get_be48(out.data), 0xffffffffffff);
    assert_int_equal(get_be32(out.data + 38), 0x0a000209);
    arp_reply(&f, 2, V4(10, 0, 2, 9), MAC_OF_HOST(2, 9));
    routing_put(r, 2, &f);
    assert_int_equal(rig_take(r->rig, 2, &out), 1);
    assert_ethernet(&out, MAC_OF_HOST(2, 9), MAC_OF(2));
    assert_packet(&out, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 2, 9), 63);
    uint64_t punted = r->rig->worker->totals.punted;
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 2, 9), 64, 30);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, NULL), 1);
    assert_int_equal(r->rig->worker->totals.punted, punted);   /* It is a host route now. */
}

static void
who_asks_for_us_is_answered(void **state)
{
    ROUTER;
    struct frame f, out;

    arp_reply(&f, 1, V4(10, 0, 1, 9), MAC_OF_HOST(1, 9));
    put_be16(f.data + 20, 1);
    put_be48(f.data, 0xffffffffffff);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 1, &out), 1);
    assert_ethernet(&out, MAC_OF_HOST(1, 9), MAC_OF(1));
    assert_int_equal(get_be16(out.data + 20), 2);
    assert_int_equal(get_be48(out.data + 22), MAC_OF(1));
}

/* RFC 1812, 5.2.7.1: a host that does not answer. */
static void
who_does_not_answer_is_told_of(void **state)
{
    ROUTER;
    struct frame f, out = { .len = 0 };

    set_neighbour(r, 1, IP_V4, V4(10, 0, 1, 9), MAC_OF_HOST(1, 9));
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 2, 9), 64, 30);
    routing_put(r, 1, &f);
    for (unsigned i = 0; i < 50; i++) {
        routing_tick(r, 100);
    }
    assert_int_equal(rig_take(r->rig, 1, &out), 1);
    assert_packet(&out, IP_V4, V4(10, 0, 1, 1), V4(10, 0, 1, 9), 64);
    assert_int_equal(out.data[34], 3);
    assert_int_equal(out.data[35], 1);
    rig_take(r->rig, 2, NULL);
}

/* --- Errors (RFC 1812, 4.3 and 5; RFC 4443) --- */

/* Sends a packet by interface 1, whose sender gets an error of that type and code. */
static void
expect_error(struct routing_rig *r, const struct frame *f, unsigned type, unsigned code)
{
    struct frame out = { .len = 0 };

    routing_put(r, 1, f);
    assert_int_equal(rig_take(r->rig, 1, &out), 1);
    bool v6 = get_be16(out.data + 12) == ETH_TYPE_IPV6;
    const uint8_t *icmp = out.data + ETH_SIZE + (v6 ? IPV6_SIZE : IPV4_SIZE);
    assert_int_equal(icmp[0], type);
    assert_int_equal(icmp[1], code);
    assert_packet(&out, v6 ? IP_V6 : IP_V4, v6 ? V6(1, 1) : V4(10, 0, 1, 1), v6 ? V6(1, 9) : V4(10, 0, 1, 9), 64);
}

static void
errors_go_to_the_sender(void **state)
{
    ROUTER;
    struct frame f;

    set_neighbour(r, 1, IP_V4, V4(10, 0, 1, 9), MAC_OF_HOST(1, 9));
    set_neighbour(r, 1, IP_V6, V6(1, 9), MAC_OF_HOST(1, 9));
    set_neighbour(r, 2, IP_V4, V4(10, 0, 2, 9), MAC_OF_HOST(2, 9));
    set_neighbour(r, 2, IP_V6, V6(2, 9), MAC_OF_HOST(2, 9));
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 2, 9), 1, 30);
    expect_error(r, &f, 11, 0);
    udp_packet(&f, 1, IP_V6, V6(1, 9), V6(2, 9), 1, 30);
    expect_error(r, &f, 3, 0);
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(203, 0, 113, 1), 64, 30);
    expect_error(r, &f, 3, 0);
    udp_packet(&f, 1, IP_V6, V6(1, 9), V6(99, 9), 64, 30);
    expect_error(r, &f, 1, 0);
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 1, 1), 64, 30);
    expect_error(r, &f, 3, 3);
    udp_packet(&f, 1, IP_V6, V6(1, 9), V6(1, 1), 64, 30);
    expect_error(r, &f, 1, 4);
}

static void
discarding_routes(void **state)
{
    ROUTER;
    struct frame f;
    struct next_hop hops[] = {
        { .kind = NEXT_HOP_BLACKHOLE, .weight = 1 }, { .kind = NEXT_HOP_UNREACHABLE, .weight = 1 },
        { .kind = NEXT_HOP_PROHIBIT, .weight = 1 },
    };

    set_neighbour(r, 1, IP_V4, V4(10, 0, 1, 9), MAC_OF_HOST(1, 9));
    for (unsigned i = 0; i < 3; i++) {
        put_group(r, i + 1, &hops[i], 1);
        put_route(r, V4(192, 0, i, 0), IP_V4, 24, i + 1);
    }
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(192, 0, 0, 1), 64, 30);
    routing_put(r, 1, &f);
    assert_int_equal(dropped(r, DROP_blackhole), 1);
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(192, 0, 1, 1), 64, 30);
    expect_error(r, &f, 3, 1);
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(192, 0, 2, 1), 64, 30);
    expect_error(r, &f, 3, 13);
}

/* RFC 1191 for those that must not be fragmented, RFC 791 for the others. */
static void
what_is_too_long(void **state)
{
    ROUTER;
    struct frame f, out;
    struct interface_config small = interface_on(r->rig, 2);
    size_t bytes = 0;

    small.mtu = 600;
    assert_int_equal(router_set_interface(r->router, r->index[2], &small), 0);
    set_neighbour(r, 1, IP_V4, V4(10, 0, 1, 9), MAC_OF_HOST(1, 9));
    set_neighbour(r, 2, IP_V4, V4(10, 0, 2, 9), MAC_OF_HOST(2, 9));
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 2, 9), 64, 1200);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 1, &out), 1);
    assert_int_equal(out.data[34], 3);
    assert_int_equal(out.data[35], 4);
    assert_int_equal(get_be16(out.data + 40), 600);

    put_be16(f.data + f.ip + 6, 0);
    csum_ipv4(f.data + f.ip);
    routing_put(r, 1, &f);
    for (unsigned i = 0; i < 3; i++) {
        out.len = port_memory_take(&r->rig->ports[2], out.data, sizeof out.data, NULL);
        assert_true(out.len > 0 && out.len <= 600 + ETH_SIZE);
        assert_packet(&out, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 2, 9), 63);
        assert_int_equal((get_be16(out.data + ETH_SIZE + 6) & 0x1fff) * 8, bytes);
        bytes += out.len - ETH_SIZE - IPV4_SIZE;
    }
    assert_int_equal(bytes, 1208);
    assert_int_equal(rig_take(r->rig, 2, NULL), 0);
}

/* --- What is not forwarded --- */

static void
what_no_router_forwards(void **state)
{
    ROUTER;
    struct frame f;

    set_neighbour(r, 2, IP_V4, V4(10, 0, 2, 9), MAC_OF_HOST(2, 9));
    udp_packet(&f, 1, IP_V4, V4(127, 0, 0, 1), V4(10, 0, 2, 9), 64, 30);
    routing_put(r, 1, &f);
    udp_packet(&f, 1, IP_V4, V4(224, 0, 0, 1), V4(10, 0, 2, 9), 64, 30);
    routing_put(r, 1, &f);
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(127, 0, 0, 1), 64, 30);
    routing_put(r, 1, &f);
    assert_int_equal(dropped(r, DROP_martian), 3);
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 2, 9), 64, 30);
    f.data[f.ip + 10] ^= 1;
    routing_put(r, 1, &f);
    assert_int_equal(dropped(r, DROP_ip_header), 1);
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 2, 9), 64, 30);
    put_be48(f.data, MAC_OF(7));
    routing_put(r, 1, &f);
    assert_int_equal(dropped(r, DROP_not_ours), 1);
    put_be48(f.data, 0xffffffffffff);           /* RFC 1812, 5.3.4. */
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, NULL), 0);
}

/* RFC 3704. */
static void
sources_that_no_route_leads_back_to(void **state)
{
    ROUTER;
    struct frame f;
    struct interface_config strict = interface_on(r->rig, 1);

    set_neighbour(r, 2, IP_V4, V4(10, 0, 2, 9), MAC_OF_HOST(2, 9));
    strict.reverse_path = REVERSE_PATH_STRICT;
    assert_int_equal(router_set_interface(r->router, r->index[1], &strict), 0);
    udp_packet(&f, 1, IP_V4, V4(10, 0, 3, 9), V4(10, 0, 2, 9), 64, 30);
    routing_put(r, 1, &f);
    assert_int_equal(dropped(r, DROP_reverse_path), 1);
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 2, 9), 64, 30);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, NULL), 1);
    strict.reverse_path = REVERSE_PATH_LOOSE;
    assert_int_equal(router_set_interface(r->router, r->index[1], &strict), 0);
    udp_packet(&f, 1, IP_V4, V4(10, 0, 3, 9), V4(10, 0, 2, 9), 64, 30);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, NULL), 1);
    udp_packet(&f, 1, IP_V4, V4(203, 0, 113, 9), V4(10, 0, 2, 9), 64, 30);
    routing_put(r, 1, &f);
    assert_int_equal(dropped(r, DROP_reverse_path), 2);
}

/* --- Interfaces --- */

/* An interface in VLAN 9 of the bridge itself, where port 3 has it without a tag and port 4 with one. */
static void
on_a_bridge(void **state)
{
    ROUTER;
    enum { VLAN = 9 };
    struct frame f, out;
    struct bridging access = { .mode = VLAN_ACCESS, .vlan = VLAN }, trunk = { .mode = VLAN_TRUNK };
    struct interface_config config = interface_on(r->rig, PORT_LOCAL);
    const struct ip_prefix address = { V4(10, 0, 9, 1), IP_V4, 24 };

    vlan_add(&access.vlans, VLAN);
    vlan_add(&trunk.vlans, VLAN);
    assert_int_equal(bridge_set_bridging(r->rig->at[3], &access), 0);
    assert_int_equal(bridge_set_bridging(r->rig->at[4], &trunk), 0);
    bridge_set_pipeline(r->rig->at[3], PIPELINE_bridge);
    bridge_set_pipeline(r->rig->at[4], PIPELINE_bridge);
    config.vlan = VLAN;
    config.mac = MAC_OF(9);
    assert_int_equal(router_add_interface(r->router, &config, &r->index[4]), 0);
    assert_int_equal(router_add_address(r->router, r->index[4], &address), 0);
    set_neighbour(r, 4, IP_V4, V4(10, 0, 9, 9), MAC_OF_HOST(9, 9));
    set_neighbour(r, 2, IP_V4, V4(10, 0, 2, 9), MAC_OF_HOST(2, 9));

    udp_packet(&f, 9, IP_V4, V4(10, 0, 9, 9), V4(10, 0, 2, 9), 64, 30);
    put_be48(f.data + 6, MAC_OF_HOST(9, 9));
    routing_put(r, 3, &f);                      /* To the router, and through it. */
    assert_int_equal(rig_take(r->rig, 2, &out), 1);
    assert_ethernet(&out, MAC_OF_HOST(2, 9), MAC_OF(2));
    assert_int_equal(rig_take(r->rig, 4, NULL), 0);
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 9, 9), 64, 30);
    routing_put(r, 1, &f);                      /* To where the host was learned. */
    assert_int_equal(rig_take(r->rig, 3, &out), 1);
    assert_ethernet(&out, MAC_OF_HOST(9, 9), MAC_OF(9));
    assert_packet(&out, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 9, 9), 63);
    assert_int_equal(rig_take(r->rig, 4, NULL), 0);
    mac_flush(&r->rig->bridge->macs, 0, MAC_ANY_VLAN, r->rig->now);
    routing_put(r, 1, &f);                      /* Not known: to all ports in its VLAN. */
    assert_int_equal(rig_take(r->rig, 3, &out), 1);
    assert_int_equal(get_be16(out.data + ETH_TYPE_AT), ETH_TYPE_IPV4);
    assert_int_equal(rig_take(r->rig, 4, &out), 1);
    assert_int_equal(get_be16(out.data + ETH_TYPE_AT), ETH_TYPE_VLAN);
    assert_int_equal(get_be16(out.data + ETH_SIZE), VLAN);

    frame_eth(&f, ETH_TYPE_ARP);                /* Who has 10.0.9.1? */
    frame_arp(&f, 1);
    put_be48(f.data, 0xffffffffffff);
    put_be48(f.data + 6, MAC_OF_HOST(9, 8));
    put_be48(f.data + ETH_SIZE + 8, MAC_OF_HOST(9, 8));
    put_be32(f.data + ETH_SIZE + 14, 0x0a000908);
    put_be32(f.data + ETH_SIZE + 24, 0x0a000901);
    routing_put(r, 3, &f);
    assert_int_equal(rig_take(r->rig, 4, NULL), 1);
    assert_int_equal(rig_take(r->rig, 3, &out), 1);
    assert_ethernet(&out, MAC_OF_HOST(9, 8), MAC_OF(9));
    assert_int_equal(get_be16(out.data + ETH_TYPE_AT), ETH_TYPE_ARP);
}

static void
on_a_vlan(void **state)
{
    ROUTER;
    struct frame f, out;
    struct interface_config config = interface_on(r->rig, 2);
    const struct ip_prefix address = { V4(10, 0, 7, 1), IP_V4, 24 };
    uint32_t index;

    config.vlan = 7;
    config.mac = MAC_OF(7);
    assert_int_equal(router_add_interface(r->router, &config, &index), 0);
    assert_int_equal(router_add_interface(r->router, &config, &r->index[4]), EEXIST);
    assert_int_equal(router_add_address(r->router, index, &address), 0);
    r->index[4] = index;
    set_neighbour(r, 4, IP_V4, V4(10, 0, 7, 9), MAC_OF_HOST(7, 9));
    set_neighbour(r, 1, IP_V4, V4(10, 0, 1, 9), MAC_OF_HOST(1, 9));
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 7, 9), 64, 30);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, &out), 1);
    assert_int_equal(out.len, f.len + VLAN_SIZE);
    assert_int_equal(get_be32(out.data + 12), 0x81000007);
    memmove(out.data + 12, out.data + 16, out.len - 16);
    assert_packet(&out, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 7, 9), 63);

    frame_eth(&f, ETH_TYPE_VLAN);
    put_be48(f.data, MAC_OF(7));
    frame_tag(&f, 7, ETH_TYPE_IPV4);
    frame_ipv4(&f, IP_PROTO_UDP, 0, 0);
    put_be32(f.data + f.ip + 12, 0x0a000709);
    put_be32(f.data + f.ip + 16, 0x0a000109);
    frame_udp(&f, 30);
    frame_end(&f);
    csum_ipv4(f.data + f.ip);
    routing_put(r, 2, &f);
    assert_int_equal(rig_take(r->rig, 1, &out), 1);
    assert_packet(&out, IP_V4, V4(10, 0, 7, 9), V4(10, 0, 1, 9), 63);
    put_be16(f.data + 14, 8);
    routing_put(r, 2, &f);
    assert_int_equal(dropped(r, DROP_no_interface), 1);
    router_remove_interface(r->router, index);
    put_be16(f.data + 14, 7);
    routing_put(r, 2, &f);
    assert_int_equal(dropped(r, DROP_no_interface), 2);
}

static void
that_are_down_or_gone(void **state)
{
    ROUTER;
    struct frame f;
    struct interface_config down = interface_on(r->rig, 2);

    set_neighbour(r, 1, IP_V4, V4(10, 0, 1, 9), MAC_OF_HOST(1, 9));
    set_neighbour(r, 2, IP_V4, V4(10, 0, 2, 9), MAC_OF_HOST(2, 9));
    down.up = false;
    assert_int_equal(router_set_interface(r->router, r->index[2], &down), 0);
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 2, 8), 64, 30);
    expect_error(r, &f, 3, 0);                  /* Its link is no route any more. */
    udp_packet(&f, 2, IP_V4, V4(10, 0, 2, 9), V4(10, 0, 1, 9), 64, 30);
    routing_put(r, 2, &f);
    assert_int_equal(dropped(r, DROP_no_interface), 1);
    down.up = true;
    assert_int_equal(router_set_interface(r->router, r->index[2], &down), 0);
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 2, 9), 64, 30);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, NULL), 1);     /* What was set by hand is still there. */
    router_remove_interface(r->router, r->index[2]);
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 2, 9), 64, 30);
    expect_error(r, &f, 3, 0);
}

/* A ping to ourselves (RFC 1122, 3.2.2.6). */
static void
pings_are_answered(void **state)
{
    ROUTER;
    struct frame f, out;

    set_neighbour(r, 1, IP_V4, V4(10, 0, 1, 9), MAC_OF_HOST(1, 9));
    frame_eth(&f, ETH_TYPE_IPV4);
    put_be48(f.data, MAC_OF(1));
    frame_ipv4(&f, IP_PROTO_ICMPV4, 0, 0);
    put_be32(f.data + f.ip + 12, 0x0a000109);
    put_be32(f.data + f.ip + 16, 0x0a000201);   /* Another interface's: it is ours all the same. */
    frame_icmp(&f, 8, 0, 36);
    frame_end(&f);
    csum_ipv4(f.data + f.ip);
    uint16_t sum = csum_fold(csum_add(0, f.data + 34, f.len - 34));
    memcpy(f.data + 36, &sum, 2);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 1, &out), 1);
    assert_packet(&out, IP_V4, V4(10, 0, 2, 1), V4(10, 0, 1, 9), 64);
    assert_int_equal(out.data[34], 0);
    assert_int_equal(csum_fold(csum_add(0, out.data + 34, out.len - 34)), 0);
}

/* A ping in fragments is answered in fragments (RFC 791, 3.2; RFC 8200, 4.5). */
static void
long_pings_are_answered(void **state)
{
    ROUTER;
    enum { LONG = 3000 };

    for (uint8_t family = IP_V4; family <= IP_V6; family += 2) {
        struct ip_address host = family == IP_V4 ? V4(10, 0, 1, 9) : V6(1, 9);
        struct ip_address us = family == IP_V4 ? V4(10, 0, 1, 1) : V6(1, 1);
        struct frame whole = { .len = 0 }, f;
        struct fragmentation plan;
        size_t header = family == IP_V4 ? IPV4_SIZE : IPV6_SIZE, bytes = 0;

        set_neighbour(r, 1, family, host, MAC_OF_HOST(1, 9));
        if (family == IP_V4) {
            frame_ipv4(&whole, IP_PROTO_ICMPV4, 0, 0);
        } else {
            frame_ipv6(&whole, IP_PROTO_ICMPV6);
        }
        ip_write(family, &host, whole.data + (family == IP_V4 ? 12 : 8));
        ip_write(family, &us, whole.data + (family == IP_V4 ? 16 : 24));
        frame_icmp(&whole, family == IP_V4 ? 8 : 128, 0, LONG - ICMP_SIZE);
        put_be16(whole.data + (family == IP_V4 ? 2 : 4), (uint16_t) (LONG + (family == IP_V4 ? IPV4_SIZE : 0)));
        uint32_t pseudo = family == IP_V4 ? 0 : csum_add_pseudo(0, whole.data, IP_PROTO_ICMPV6, LONG);
        uint16_t sum = csum_fold(csum_add(pseudo, whole.data + header, LONG));
        memcpy(whole.data + header + ICMP_CSUM, &sum, sizeof sum);
        assert_int_equal(fragment_plan(&plan, whole.data, whole.len, MTU, 7), 0);
        for (unsigned i = 0; i < plan.n; i++) {
            frame_eth(&f, family == IP_V4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
            put_be48(f.data, MAC_OF(1));
            f.len += fragment_write(&plan, i, f.data + f.len);
            routing_put(r, 1, &f);
        }
        header += family == IP_V4 ? 0 : 8;
        for (unsigned i = 0; i < 3; i++) {
            f.len = port_memory_take(&r->rig->ports[1], f.data, sizeof f.data, NULL);
            assert_true(f.len > ETH_SIZE + header && f.len <= ETH_SIZE + MTU);
            size_t same = bytes ? 0 : ICMP_SIZE;        /* Behind type and checksum. */
            assert_memory_equal(f.data + ETH_SIZE + header + same,
                                whole.data + whole.len - LONG + bytes + same,
                                f.len - ETH_SIZE - header - same);
            bytes += f.len - ETH_SIZE - header;
        }
        assert_int_equal(bytes, LONG);
        assert_int_equal(rig_take(r->rig, 1, NULL), 0);
    }
}

/* Mark and sweep: what a source does not put again goes. */
static void
routes_of_a_source_that_comes_back(void **state)
{
    ROUTER;
    struct next_hop by_2 = gateway(r, 2, IP_V4, V4(10, 0, 2, 9));

    put_group(r, 1, &by_2, 1);
    for (unsigned i = 0; i < 10; i++) {
        put_route(r, V4(192, 0, i, 0), IP_V4, 24, 1);
    }
    router_begin(r->router, ROUTE_STATIC);
    for (unsigned i = 0; i < 5; i++) {
        put_route(r, V4(192, 0, i, 0), IP_V4, 24, 1);
    }
    assert_int_equal(router_sweep(r->router, ROUTE_STATIC), 5);
    router_begin(r->router, ROUTE_STATIC);
    assert_int_equal(router_sweep(r->router, ROUTE_STATIC), 5);
    assert_int_equal(router_remove_group(r->router, ROUTE_STATIC, 1), ROUTE_DONE);
}

int
main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, routing_set_up, routing_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(between_links), TEST(by_the_longest_prefix), TEST(a_group_changes_for_all_its_routes),
        TEST(over_several_next_hops), TEST(by_what_leads_to_the_gateway),
        TEST(a_gateway_that_was_looked_up_goes_with_its_link),
        TEST(who_is_unknown_is_asked_for), TEST(who_asks_for_us_is_answered),
        TEST(who_does_not_answer_is_told_of), TEST(errors_go_to_the_sender),
        TEST(discarding_routes), TEST(what_is_too_long), TEST(what_no_router_forwards),
        TEST(sources_that_no_route_leads_back_to), TEST(on_a_vlan), TEST(on_a_bridge),
        TEST(that_are_down_or_gone),
        TEST(pings_are_answered), TEST(long_pings_are_answered),
        TEST(routes_of_a_source_that_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
