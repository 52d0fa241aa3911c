/* What a router tells hosts unasked: RFC 792 and RFC 1812, 5.2.7.2; RFC 4861, 6.2 and 8.2 (P0, K18). */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "nd.h"
#include "router_wire.h"
#include "routing.h"

enum { HOST = 9, OTHER = 7, ICMP_TYPE_REDIRECT = 5 };

#define LINK_LOCAL(HOST) ((struct ip_address) { { UINT64_C(0xfe80) << 48, HOST } })

static int
set_up(void **state)
{
    struct routing_rig *r = routing_new();
    struct interface_config config = interface_on(r->rig, 1);

    config.redirects = true;
    CHECK(!router_set_interface(r->router, r->index[1], &config));
    set_neighbour(r, 1, IP_V4, V4(10, 0, 1, HOST), MAC_OF_HOST(1, HOST));
    set_neighbour(r, 1, IP_V6, V6(1, HOST), MAC_OF_HOST(1, HOST));
    *state = r;
    return 0;
}

/* Lets a route lead to another host on link 1, which takes what the host on it sends there. */
static void
lead_back(struct routing_rig *r, uint8_t family, struct ip_address by, struct ip_address to, uint8_t len)
{
    struct next_hop hop = gateway(r, 1, family, by);

    set_neighbour(r, 1, family, by, MAC_OF_HOST(1, OTHER));
    put_group(r, 1, &hop, 1);
    put_route(r, to, family, len, 1);
}

/* Sends a packet from an address by interface 1, and takes what comes back by it: the packet itself, and
 * what its sender is told.  Returns how many frames that were. */
static unsigned
send(struct routing_rig *r, uint8_t family, struct ip_address from, struct ip_address to, struct frame *told)
{
    struct frame f, out;
    unsigned n = 0;

    udp_packet(&f, 1, family, from, to, 64, 30);
    routing_put(r, 1, &f);
    while ((out.len = port_memory_take(&r->rig->ports[1], out.data, sizeof out.data, NULL))) {
        const uint8_t *ip = out.data + ETH_SIZE;
        n++;
        if (ip[family == IP_V4 ? 9 : 6] != IP_PROTO_UDP) {
            *told = out;
        } else {
            assert_int_equal(get_be48(out.data), MAC_OF_HOST(1, OTHER));
        }
    }
    return n;
}

static void
a_host_is_told_of_a_better_gateway(void **state)
{
    ROUTER;
    struct frame told;
    const uint8_t *icmp = told.data + ETH_SIZE + IPV4_SIZE;

    lead_back(r, IP_V4, V4(10, 0, 1, OTHER), V4(192, 0, 2, 0), 24);
    assert_int_equal(send(r, IP_V4, V4(10, 0, 1, HOST), V4(192, 0, 2, 1), &told), 2);
    assert_int_equal(get_be48(told.data), MAC_OF_HOST(1, HOST));
    assert_int_equal(icmp[0], ICMP_TYPE_REDIRECT);
    assert_int_equal(icmp[1], 1);                       /* For the host. */
    assert_int_equal(get_be32(icmp + 4), 0x0a000100 + OTHER);
    assert_int_equal(get_be32(icmp + 8 + 16), 0xc0000201);      /* Of the packet as it came. */
    assert_int_equal(icmp[8 + 8], 64);
}

static void
with_ipv6_the_gateway_is_link_local_or_the_destination(void **state)
{
    ROUTER;
    struct frame told;
    const uint8_t *icmp = told.data + ETH_SIZE + IPV6_SIZE;
    struct ip_address gateway = LINK_LOCAL(OTHER), target;

    lead_back(r, IP_V6, gateway, V6(9, 0), 64);
    assert_int_equal(send(r, IP_V6, V6(1, HOST), V6(9, 1), &told), 2);
    assert_int_equal(icmp[0], ND_REDIRECT);
    assert_int_equal(told.data[ETH_SIZE + 7], 255);
    assert_int_equal(told.data[ETH_SIZE + 8], 0xfe);    /* From our link-local address. */
    target = ip_read(IP_V6, icmp + 8);
    assert_true(ip_equal(&target, &gateway));
    assert_int_equal(icmp[40], 2);                      /* Its address on the link. */
    assert_int_equal(get_be48(icmp + 42), MAC_OF_HOST(1, OTHER));

    set_neighbour(r, 1, IP_V6, V6(1, OTHER), MAC_OF_HOST(1, OTHER));
    assert_int_equal(send(r, IP_V6, V6(1, HOST), V6(1, OTHER), &told), 2);
    target = ip_read(IP_V6, icmp + 8);
    assert_true(ip_equal(&target, &V6(1, OTHER)));

    struct next_hop global = {
        .kind = NEXT_HOP_GATEWAY, .family = IP_V6, .weight = 1, .interface = r->index[1], .gateway = V6(1, OTHER),
    };
    put_group(r, 1, &global, 1);
    assert_int_equal(send(r, IP_V6, V6(1, HOST), V6(9, 1), &told), 1);
}

static void
nobody_is_told_who_could_not_follow(void **state)
{
    ROUTER;
    struct interface_config config = interface_on(r->rig, 1);
    struct frame told;

    lead_back(r, IP_V4, V4(10, 0, 1, OTHER), V4(192, 0, 2, 0), 24);
    assert_int_equal(send(r, IP_V4, V4(198, 51, 100, 1), V4(192, 0, 2, 1), &told), 1);      /* Of another link. */
    assert_int_equal(send(r, IP_V4, V4(10, 0, 1, OTHER), V4(192, 0, 2, 1), &told), 1);      /* The gateway. */
    CHECK(!router_set_interface(r->router, r->index[1], &config));
    assert_int_equal(send(r, IP_V4, V4(10, 0, 1, HOST), V4(192, 0, 2, 1), &told), 1);       /* Not wanted. */
    config.redirects = true;
    config.nat_side = NAT_SIDE_INSIDE;
    CHECK(!router_set_interface(r->router, r->index[1], &config));
    assert_int_equal(send(r, IP_V4, V4(10, 0, 1, HOST), V4(192, 0, 2, 1), &told), 1);
}

static void
redirects_have_a_rate_and_packets_have_none(void **state)
{
    ROUTER;
    struct frame told;
    unsigned n_told = 0;

    lead_back(r, IP_V4, V4(10, 0, 1, OTHER), V4(192, 0, 2, 0), 24);
    for (unsigned i = 0; i < 300; i++) {
        unsigned n = send(r, IP_V4, V4(10, 0, 1, HOST), V4(192, 0, 2, 1), &told);
        assert_in_range(n, 1, 2);
        n_told += n - 1;
    }
    assert_in_range(n_told, 1, 50);
}

/* --- Advertisements (RFC 4861, 6.2) --- */

static const struct nd_router advertised = {
    .max_interval_ms = 10000, .min_interval_ms = 4000, .lifetime_s = 30, .mtu = MTU, .n_prefixes = 1,
    .prefixes = { { .prefix = { { { 0x20010db800010000u, 0 } }, IP_V6, 64 }, .valid_s = 600, .preferred_s = 300,
                    .on_link = true, .autonomous = true } },
};

/* Lets time pass; returns how many advertisements came by an interface, the last of them in 'last'. */
static unsigned
heard(struct routing_rig *r, unsigned port, unsigned seconds, struct frame *last)
{
    struct frame f;
    unsigned n = 0;

    for (unsigned i = 0; i < 10 * seconds; i++) {
        routing_tick(r, 100);
        while (rig_take(r->rig, port, &f)) {
            if (f.data[ETH_SIZE + IPV6_SIZE] == ND_ROUTER_ADVERTISEMENT) {
                *last = f;
                n++;
            }
        }
    }
    return n;
}

static void
hosts_are_told_of_the_router_again_and_again(void **state)
{
    ROUTER;
    struct frame f;
    const uint8_t *icmp = f.data + ETH_SIZE + IPV6_SIZE;

    assert_int_equal(router_set_advertised(r->router, 99, &advertised), ENOENT);
    assert_int_equal(router_set_advertised(r->router, r->index[1], &advertised), 0);
    assert_int_equal(heard(r, 1, 1, &f), 1);            /* At once. */
    assert_int_equal(get_be48(f.data), UINT64_C(0x333300000001));
    assert_int_equal(get_be16(icmp + 6), 30);
    assert_in_range(heard(r, 1, 60, &f), 6, 15);
    assert_int_equal(heard(r, 2, 1, &f), 0);
}

static void
a_change_is_told_soon_and_the_end_at_once(void **state)
{
    ROUTER;
    struct nd_router other = advertised;
    struct frame f;
    const uint8_t *icmp = f.data + ETH_SIZE + IPV6_SIZE;

    router_set_advertised(r->router, r->index[2], &advertised);
    router_set_advertised(r->router, r->index[1], &advertised);
    assert_int_equal(heard(r, 1, 1, &f), 1);
    other.lifetime_s = 40;
    router_set_advertised(r->router, r->index[1], &other);
    assert_int_equal(heard(r, 1, 1, &f), 1);
    assert_int_equal(get_be16(icmp + 6), 40);
    router_set_advertised(r->router, r->index[1], NULL);
    routing_run(r);
    assert_int_equal(heard(r, 1, 60, &f), 1);
    assert_int_equal(get_be16(icmp + 6), 0);            /* RFC 4861, 6.2.5 */
    assert_int_not_equal(heard(r, 2, 60, &f), 0);
    router_remove_interface(r->router, r->index[2]);
    routing_tick(r, 20000);
}

/* --- Duplicate addresses (RFC 4862, 5.4) --- */

/* Lets interface 1 look for duplicates, with another address. */
static struct ip_address
want_address(struct routing_rig *r)
{
    struct interface_config config = interface_on(r->rig, 1);
    const struct ip_prefix address = { V6(1, 0x77), IP_V6, 64 };

    config.detects = true;
    CHECK(!router_set_interface(r->router, r->index[1], &config));
    CHECK(!router_add_address(r->router, r->index[1], &address));
    return address.address;
}

/* A message of somebody else about an address: a question from nobody, or an answer. */
static void
say(struct routing_rig *r, uint8_t type, struct ip_address target)
{
    struct ip_address from = type == ND_SOLICITATION ? (struct ip_address) { { 0, 0 } } : target;
    struct ip_address to = { { UINT64_C(0xff02) << 48, type == ND_SOLICITATION
                               ? UINT64_C(0x1ff000000) | (target.word[1] & 0xffffff) : 1 } };
    struct frame f;

    frame_eth(&f, ETH_TYPE_IPV6);
    put_be48(f.data, UINT64_C(0x333300000000) | (to.word[1] & UINT32_MAX));
    put_be48(f.data + 6, MAC_OF_HOST(1, OTHER));
    frame_ipv6(&f, IP_PROTO_ICMPV6);
    uint8_t *ip = f.data + f.ip, *icmp = ip + IPV6_SIZE;
    memset(icmp, 0, ND_SIZE);
    f.len = (uint32_t) (icmp + ND_SIZE - f.data);
    ip[7] = 255;
    put_be16(ip + 4, ND_SIZE);
    ip_write(IP_V6, &from, ip + 8);
    ip_write(IP_V6, &to, ip + 24);
    icmp[0] = type;
    icmp[4] = type == ND_ADVERTISEMENT ? 0x20 : 0;
    ip_write(IP_V6, &target, icmp + 8);
    uint16_t sum = csum_fold(csum_add(csum_add_pseudo(0, ip, IP_PROTO_ICMPV6, ND_SIZE), icmp, ND_SIZE));
    memcpy(icmp + 2, &sum, sizeof sum);
    routing_put(r, 1, &f);
}

/* Asks for an address as somebody who wants to know does; returns whether the router answers. */
static bool
answers_for(struct routing_rig *r, struct ip_address target)
{
    rig_take(r->rig, 1, NULL);
    say(r, ND_SOLICITATION, target);
    return rig_take(r->rig, 1, NULL);
}

static unsigned
duplicates(const struct routing_rig *r)
{
    unsigned n = 0, i = 0;

    while (router_duplicate(r->router, r->index[1], &i)) {
        n++;
    }
    return n;
}

static void
an_address_is_asked_for_before_it_is_used(void **state)
{
    ROUTER;
    struct ip_address target, wanted = want_address(r);
    struct frame f;
    const uint8_t *ip = f.data + ETH_SIZE;

    routing_tick(r, 20);
    assert_int_equal(rig_take(r->rig, 1, &f), 1);
    assert_int_equal(ip[IPV6_SIZE], ND_SOLICITATION);
    assert_int_equal(ip[7], 255);
    assert_true(!get_be64(ip + 8) && !get_be64(ip + 16));       /* From nobody. */
    assert_int_equal(f.len, ETH_SIZE + IPV6_SIZE + ND_SIZE);    /* It says no link-layer address. */
    target = ip_read(IP_V6, ip + IPV6_SIZE + 8);
    assert_true(ip_equal(&target, &wanted));
    routing_tick(r, 900);
    assert_int_equal(rig_take(r->rig, 1, &f), 0);
    routing_tick(r, 200);
    assert_true(answers_for(r, wanted));
    assert_int_equal(duplicates(r), 0);
}

static void
an_address_that_somebody_has_is_not_used(void **state)
{
    ROUTER;
    const uint8_t types[] = { ND_SOLICITATION, ND_ADVERTISEMENT };

    for (unsigned i = 0; i < 2; i++) {
        struct ip_address wanted = want_address(r);
        const struct ip_prefix address = { wanted, IP_V6, 64 };

        routing_tick(r, 20);
        say(r, types[i], wanted);
        assert_int_equal(duplicates(r), 1);
        routing_tick(r, 5000);
        assert_int_equal(duplicates(r), 1);
        assert_false(answers_for(r, wanted));
        assert_int_equal(router_add_address(r->router, r->index[1], &address), EEXIST);
        assert_int_equal(router_remove_address(r->router, r->index[1], &address), 0);
        assert_int_equal(duplicates(r), 0);
    }
    assert_true(answers_for(r, V6(1, 1)));              /* The others are as they were. */
}

static void
a_link_that_comes_again_may_be_another(void **state)
{
    ROUTER;
    struct interface_config config = interface_on(r->rig, 1);

    want_address(r);
    routing_tick(r, 20);
    routing_tick(r, 1100);
    assert_true(answers_for(r, V6(1, 1)));
    config.detects = true;
    config.up = false;
    CHECK(!router_set_interface(r->router, r->index[1], &config));
    config.up = true;
    CHECK(!router_set_interface(r->router, r->index[1], &config));
    rig_take(r->rig, 1, NULL);
    routing_tick(r, 20);
    assert_int_equal(rig_take(r->rig, 1, NULL), 3);     /* Two addresses and the link-local one. */
    say(r, ND_SOLICITATION, V6(1, 1));
    assert_int_equal(duplicates(r), 1);
    routing_tick(r, 1100);
    assert_true(answers_for(r, V6(1, 0x77)));
    assert_int_equal(r->rig->dataplane.routing.n_tentative, 0);
}

int
main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, routing_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_host_is_told_of_a_better_gateway),
        TEST(with_ipv6_the_gateway_is_link_local_or_the_destination),
        TEST(nobody_is_told_who_could_not_follow),
        TEST(redirects_have_a_rate_and_packets_have_none),
        TEST(hosts_are_told_of_the_router_again_and_again),
        TEST(a_change_is_told_soon_and_the_end_at_once),
        TEST(an_address_is_asked_for_before_it_is_used),
        TEST(an_address_that_somebody_has_is_not_used),
        TEST(a_link_that_comes_again_may_be_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
