/* Members on the links of a router: what hosts say makes trees (RFC 3376, section 6; RFC 3810, section 7; P4). */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "membership.h"
#include "membership_packets.h"
#include "trees.h"

enum { QUERY_MS = 125000, ANSWER_MS = 10000, GONE_MS = 2 * QUERY_MS + ANSWER_MS, LEAVE_MS = 2000 };

static int
set_up(void **state)
{
    struct routing_rig *r = routing_new();

    for (unsigned i = 2; i <= 3; i++) {
        CHECK(!router_set_listening(r->router, r->index[i], true, r->rig->now));
    }
    *state = r;
    return 0;
}

static void
wait(struct routing_rig *r, uint64_t ms)
{
    for (uint64_t at = 0; at < ms; at += 100) {
        routing_tick(r, 100);
        for (unsigned i = 1; i <= 3; i++) {
            rig_take(r->rig, i, NULL);
        }
    }
}

static struct ip_address
host_on_1(uint8_t family, unsigned host)
{
    return family == IP_V4 ? V4(10, 0, 1, host) : V6(1, host);
}

/* A host on a link says something of so many hosts of the first link, from 'first' on, as senders to a group. */
static void
say_sources(struct routing_rig *r, unsigned i, uint8_t family, unsigned change, unsigned group, unsigned first,
            unsigned n)
{
    struct frame report = { .len = 0 }, f;

    membership_report(&report, family);
    membership_add_record(&report, family, change, membership_group_at(family, group), 0);
    for (unsigned host = first; host < first + n; host++) {
        membership_add_address(&report, family, host_on_1(family, host));
    }
    put_be16(report.data + (family == IP_V4 ? MEMBERSHIP_V4_AT : MEMBERSHIP_V6_AT) + 8 + 2, (uint16_t) n);
    membership_finish(&report);
    if (family == IP_V4) {
        put_be32(report.data + 12, 0x0a000009 | i << 8);
        put_be32(report.data + 16, 0xe0000016);
        csum_ipv4(report.data);
    }
    frame_eth(&f, family == IP_V4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
    put_be48(f.data, family == IP_V4 ? 0x01005e000016 : 0x333300000016);
    put_be48(f.data + 6, MAC_OF_HOST(i, 9));
    frame_add(&f, report.data, report.len);
    routing_put(r, i, &f);
}

static void
say(struct routing_rig *r, unsigned i, uint8_t family, unsigned change)
{
    say_sources(r, i, family, change, 1, 0, 0);
}

/* By which interfaces a packet of a sender on link 1 leaves. */
static unsigned
heard_from(struct routing_rig *r, uint8_t family, unsigned host)
{
    unsigned ports = 0;
    struct frame f, out;

    group_packet(&f, 1, family, host_on_1(family, host), membership_group_at(family, 1), 64, 30);
    routing_put(r, 1, &f);
    for (unsigned i = 1; i <= 3; i++) {
        while ((out.len = port_memory_take(&r->rig->ports[i], out.data, sizeof out.data, NULL))) {
            ports |= get_be48(out.data) == get_be48(f.data) ? 1u << i : 0;
        }
    }
    return ports;
}

static unsigned
heard_on(struct routing_rig *r, uint8_t family)
{
    return heard_from(r, family, 9);
}

static void
who_joins_hears_until_he_leaves(void **state)
{
    ROUTER;

    for (unsigned v6 = 0; v6 < 2; v6++) {
        uint8_t family = v6 ? IP_V6 : IP_V4;

        assert_int_equal(heard_on(r, family), 0);
        say(r, 2, family, MEMBERSHIP_TO_EXCLUDE);
        assert_int_equal(heard_on(r, family), 1 << 2);
        say(r, 3, family, MEMBERSHIP_TO_EXCLUDE);
        assert_int_equal(heard_on(r, family), 1 << 2 | 1 << 3);
        say(r, 2, family, MEMBERSHIP_TO_INCLUDE);
        assert_int_equal(heard_on(r, family), 1 << 2 | 1 << 3);     /* Others may be there. */
        wait(r, LEAVE_MS + 200);
        assert_int_equal(heard_on(r, family), 1 << 3);
        say(r, 1, family, MEMBERSHIP_TO_EXCLUDE);                   /* Nobody listens there. */
        assert_int_equal(heard_on(r, family), 1 << 3);
        wait(r, GONE_MS + 200);
        assert_int_equal(heard_on(r, family), 0);
    }
    assert_int_equal(r->router->tib.n, 0);
}

/* RFC 3376, 4.1.12; RFC 3810, 5.1.15: to all hosts, from an address of the link. */
static void
hosts_are_asked(void **state)
{
    ROUTER;
    unsigned seen = 0;
    struct frame f;

    for (unsigned i = 0; i < 100; i++) {
        routing_tick(r, TICK_MS);
        while ((f.len = port_memory_take(&r->rig->ports[2], f.data, sizeof f.data, NULL))) {
            const uint8_t *ip = f.data + ETH_SIZE;
            if (get_be48(f.data) == 0x01005e000001 && ip[9] == IP_PROTO_IGMP) {
                assert_int_equal(get_be32(ip + 12), 0x0a000201);
                assert_int_equal(ip[8], 1);
                seen |= 1;
            } else if (get_be48(f.data) == 0x333300000001 && ip[6] == IP_PROTO_HOP) {
                assert_int_equal(get_be64(ip + 8), UINT64_C(0xfe80) << 48);
                assert_int_equal(ip[7], 1);
                seen |= 2;
            }
        }
        assert_int_equal(rig_take(r->rig, 1, NULL), 0);
    }
    assert_int_equal(seen, 3);
}

/* What the configuration says of a tree holds beside what hosts say. */
static void
beside_static_trees(void **state)
{
    ROUTER;

    say(r, 2, IP_V4, MEMBERSHIP_TO_EXCLUDE);
    assert_int_equal(TREE(.group = membership_group_at(IP_V4, 1), .outgoing = 1 << 3), ROUTE_DONE);
    assert_int_equal(heard_on(r, IP_V4), 1 << 2 | 1 << 3);
    assert_int_equal(TREE(.op = 2, .group = membership_group_at(IP_V4, 1)), ROUTE_DONE);
    assert_int_equal(heard_on(r, IP_V4), 1 << 2);
    assert_int_equal(TREE(.group = membership_group_at(IP_V4, 1), .source = ROUTE_MEMBERSHIP), ROUTE_BAD);
}

static void
links_that_go(void **state)
{
    ROUTER;
    struct interface_config config = interface_on(r->rig, 2);

    for (unsigned i = 2; i <= 3; i++) {
        say(r, i, IP_V4, MEMBERSHIP_TO_EXCLUDE);
    }
    config.up = false;
    assert_int_equal(router_set_interface(r->router, r->index[2], &config), 0);
    wait(r, 100);
    config.up = true;
    assert_int_equal(router_set_interface(r->router, r->index[2], &config), 0);
    assert_int_equal(heard_on(r, IP_V4), 1 << 3);               /* Who is there says so again. */
    say(r, 2, IP_V4, MEMBERSHIP_IS_EXCLUDE);
    assert_int_equal(heard_on(r, IP_V4), 1 << 2 | 1 << 3);
    assert_int_equal(router_set_listening(r->router, r->index[2], false, r->rig->now), 0);
    assert_int_equal(heard_on(r, IP_V4), 1 << 3);
    router_remove_interface(r->router, r->index[3]);
    assert_int_equal(heard_on(r, IP_V4), 0);
    assert_int_equal(r->router->tib.n, 0);
    assert_int_equal(router_set_listening(r->router, r->index[3], true, r->rig->now), ENOENT);
}

/* RFC 9776, 6.3, and RFC 9777, 7.3: which sources pass; RFC 4607: one source is all that a host may want. */
static void
sources_are_told_apart(void **state)
{
    ROUTER;

    for (unsigned v6 = 0; v6 < 2; v6++) {
        uint8_t family = v6 ? IP_V6 : IP_V4;

        say_sources(r, 2, family, MEMBERSHIP_ALLOW, 1, 5, 1);
        assert_int_equal(heard_from(r, family, 5), 1 << 2);
        assert_int_equal(heard_from(r, family, 6), 0);
        say_sources(r, 3, family, MEMBERSHIP_TO_EXCLUDE, 1, 6, 1);
        assert_int_equal(heard_from(r, family, 5), 1 << 2 | 1 << 3);
        assert_int_equal(heard_from(r, family, 6), 0);
        assert_int_equal(heard_from(r, family, 7), 1 << 3);
        say_sources(r, 2, family, MEMBERSHIP_TO_INCLUDE, 1, 6, 1);      /* 6 instead of 5, which may be wanted still. */
        assert_int_equal(heard_from(r, family, 5), 1 << 2 | 1 << 3);
        assert_int_equal(heard_from(r, family, 6), 1 << 2);
        wait(r, LEAVE_MS + 200);
        assert_int_equal(heard_from(r, family, 5), 1 << 3);
        assert_int_equal(heard_from(r, family, 6), 1 << 2);
        wait(r, GONE_MS + 200);
        assert_int_equal(heard_from(r, family, 6) | heard_from(r, family, 7), 0);
    }
    assert_int_equal(r->router->tib.n, 0);
    assert_int_equal(r->router->tib.n_member_trees, 0);
}

/* RFC 9776, 6.6.3.2, and RFC 9777, 7.6.3.2: who else wants it?  With the source in question, and on that link only. */
static void
a_source_that_leaves_is_asked_for(void **state)
{
    ROUTER;
    unsigned asked = 0;
    struct frame f;

    say_sources(r, 2, IP_V4, MEMBERSHIP_ALLOW, 1, 5, 2);
    wait(r, 100);
    say_sources(r, 2, IP_V4, MEMBERSHIP_BLOCK, 1, 5, 1);
    for (uint64_t at = 0; at < LEAVE_MS; at += TICK_MS) {
        while ((f.len = port_memory_take(&r->rig->ports[2], f.data, sizeof f.data, NULL))) {
            const uint8_t *igmp = f.data + ETH_SIZE + IPV4_SIZE + 4;
            if (get_be16(f.data + ETH_TYPE_AT) != ETH_TYPE_IPV4 || !get_be32(igmp + 4)) {
                continue;                       /* For all groups. */
            }
            struct ip_address group = membership_group_at(IP_V4, 1);
            assert_int_equal(get_be32(igmp + 4), group.word[1]);
            assert_int_equal(get_be16(igmp + 10), 1);
            assert_int_equal(get_be32(igmp + 12), host_on_1(IP_V4, 5).word[1]);
            asked++;
        }
        assert_int_equal(rig_take(r->rig, 3, NULL), 0);
        routing_tick(r, TICK_MS);
    }
    assert_int_equal(asked, 2);                 /* RFC 9776, 8.11: as often as the robustness variable says. */
    wait(r, 200);
    assert_int_equal(heard_from(r, IP_V4, 5), 0);
    assert_int_equal(heard_from(r, IP_V4, 6), 1 << 2);
}

/* RFC 7761, 4.1.6: what joins a group joins each source of it. */
static void
what_others_say_of_a_group_holds_for_its_sources(void **state)
{
    ROUTER;
    const struct ip_address group = membership_group_at(IP_V4, 1);

    say_sources(r, 2, IP_V4, MEMBERSHIP_ALLOW, 1, 5, 1);
    assert_int_equal(TREE(.group = group, .outgoing = BY(3)), ROUTE_DONE);
    assert_int_equal(heard_from(r, IP_V4, 5), 1 << 2 | 1 << 3);
    assert_int_equal(heard_from(r, IP_V4, 6), 1 << 3);
    assert_int_equal(TREE(.group = group, .outgoing = BY(3), .incoming = 2), ROUTE_DONE);
    assert_int_equal(heard_from(r, IP_V4, 5), 0);
    assert_int_equal(TREE(.op = 2, .group = group), ROUTE_DONE);
    assert_int_equal(heard_from(r, IP_V4, 5), 1 << 2);
    assert_int_equal(heard_from(r, IP_V4, 6), 0);
}

/* What a source that was started again does not say any more ends for the sources of a group too. */
static void
what_is_swept_ends_for_sources(void **state)
{
    ROUTER;
    const struct ip_address group = membership_group_at(IP_V4, 1);

    say_sources(r, 2, IP_V4, MEMBERSHIP_ALLOW, 1, 5, 1);
    assert_int_equal(TREE(.group = group, .outgoing = BY(3), .source = ROUTE_FPM), ROUTE_DONE);
    tib_begin(&r->router->tib, ROUTE_FPM);
    assert_int_equal(heard_from(r, IP_V4, 5), 1 << 2 | 1 << 3);
    assert_int_equal(tib_sweep(&r->router->tib, ROUTE_FPM), 1);
    assert_int_equal(heard_from(r, IP_V4, 5), 1 << 2);
    assert_int_equal(heard_from(r, IP_V4, 6), 0);
}

/* RFC 7761, 4.1.6: who is in a group is a member of each source of it, unless he does not want that one. */
static void
members_hear_sources_that_have_trees(void **state)
{
    ROUTER;

    for (unsigned v6 = 0; v6 < 2; v6++) {
        uint8_t family = v6 ? IP_V6 : IP_V4;
        const struct ip_address group = membership_group_at(family, 1), five = host_on_1(family, 5);

        say(r, 2, family, MEMBERSHIP_TO_EXCLUDE);
        assert_int_equal(TREE(.family = family, .group = group, .from = five, .outgoing = BY(3)), ROUTE_DONE);
        assert_int_equal(heard_from(r, family, 5), 1 << 2 | 1 << 3);
        assert_int_equal(heard_from(r, family, 6), 1 << 2);
        say_sources(r, 2, family, MEMBERSHIP_TO_EXCLUDE, 1, 5, 1);
        wait(r, LEAVE_MS + 200);
        assert_int_equal(heard_from(r, family, 5), 1 << 3);
        assert_int_equal(heard_from(r, family, 6), 1 << 2);
        assert_int_equal(TREE(.family = family, .op = 2, .group = group, .from = five), ROUTE_DONE);
        assert_int_equal(heard_from(r, family, 5), 0);
        assert_int_equal(TREE(.family = family, .group = group, .from = five, .outgoing = BY(3)), ROUTE_DONE);
        say(r, 2, family, MEMBERSHIP_TO_EXCLUDE);
        assert_int_equal(heard_from(r, family, 5), 1 << 2 | 1 << 3);
        wait(r, GONE_MS + 200);
        assert_int_equal(heard_from(r, family, 5), 1 << 3);
        assert_int_equal(TREE(.family = family, .op = 2, .group = group, .from = five), ROUTE_DONE);
    }
    assert_int_equal(r->router->tib.n, 0);
}

/* The way in and the ways out of a source's own tree are its own; members come to it, and nothing else of the group. */
static void
a_tree_of_a_source_is_its_own(void **state)
{
    ROUTER;
    const struct ip_address group = membership_group_at(IP_V4, 1), five = host_on_1(IP_V4, 5);

    say_sources(r, 2, IP_V4, MEMBERSHIP_ALLOW, 1, 5, 1);
    assert_int_equal(TREE(.group = group, .incoming = 2, .outgoing = BY(3)), ROUTE_DONE);
    assert_int_equal(heard_from(r, IP_V4, 5), 0);
    assert_int_equal(TREE(.group = group, .from = five), ROUTE_DONE);
    assert_int_equal(heard_from(r, IP_V4, 5), 1 << 2);
    assert_int_equal(TREE(.op = 2, .group = group, .from = five), ROUTE_DONE);
    assert_int_equal(heard_from(r, IP_V4, 5), 0);
}

/* Who names very many gets what there is, and leaves room for trees of others. */
static void
sources_are_bounded(void **state)
{
    ROUTER;
    const unsigned each = membership_defaults.max_sources, groups = ROUTER_MEMBER_TREES / each;

    say_sources(r, 2, IP_V4, MEMBERSHIP_ALLOW, 1, 1, each + 1);
    assert_int_equal(heard_from(r, IP_V4, 200), 1 << 2);                /* He wants all, as far as we know. */
    for (unsigned group = 2; group <= groups + 2; group++) {
        say_sources(r, 3, IP_V4, MEMBERSHIP_ALLOW, group, 1, each);
    }
    assert_int_equal(r->router->tib.n_member_trees, ROUTER_MEMBER_TREES);
    assert_int_equal(r->router->members_refused, each);
    assert_int_equal(TREE(.group = GROUP4(1), .outgoing = BY(3)), ROUTE_DONE);
    assert_int_equal(router_set_listening(r->router, r->index[3], false, r->rig->now), 0);
    assert_int_equal(r->router->tib.n_member_trees, 0);
}

/* A tree that a source has anyway leaves the room of those that hosts name as it is, until only they want it. */
static void
trees_of_others_take_no_room_of_hosts(void **state)
{
    ROUTER;
    const struct ip_address group = membership_group_at(IP_V4, 1);
    const uint32_t *n = &r->router->tib.n_member_trees;

    say(r, 2, IP_V4, MEMBERSHIP_TO_EXCLUDE);
    for (unsigned host = 0; host < ROUTER_MEMBER_TREES; host++) {
        const struct ip_address from = V4(10, 0, 128 + host / 256, host % 256);
        assert_int_equal(TREE(.group = group, .from = from, .outgoing = BY(3)), ROUTE_DONE);
    }
    assert_int_equal(*n, 0);
    say_sources(r, 3, IP_V4, MEMBERSHIP_ALLOW, 2, 5, 1);
    assert_int_equal(r->router->members_refused, 0);
    assert_int_equal(*n, 1);
    assert_int_equal(TREE(.group = membership_group_at(IP_V4, 2), .from = host_on_1(IP_V4, 5)), ROUTE_DONE);
    assert_int_equal(*n, 0);
    assert_int_equal(TREE(.op = 2, .group = membership_group_at(IP_V4, 2), .from = host_on_1(IP_V4, 5)), ROUTE_DONE);
    assert_int_equal(*n, 1);
    assert_int_equal(TREE(.op = 2, .group = group, .from = V4(10, 0, 128, 1)), ROUTE_DONE);
    assert_int_equal(*n, 1);                    /* He wants all of the group: its tree does. */
}

/* So it is with what hosts wanted beside others, once they alone do. */
static void
what_others_leave_to_hosts_is_bounded(void **state)
{
    ROUTER;
    const unsigned each = membership_defaults.max_sources, groups = ROUTER_MEMBER_TREES / each;
    const struct ip_address group = membership_group_at(IP_V4, 1), five = host_on_1(IP_V4, 5);

    assert_int_equal(TREE(.group = group, .from = five), ROUTE_DONE);
    say_sources(r, 2, IP_V4, MEMBERSHIP_ALLOW, 1, 5, 1);
    for (unsigned at = 2; at <= groups + 1; at++) {
        say_sources(r, 3, IP_V4, MEMBERSHIP_ALLOW, at, 1, each);
    }
    assert_int_equal(r->router->tib.n_member_trees, ROUTER_MEMBER_TREES);
    assert_int_equal(r->router->members_refused, 0);
    assert_int_equal(heard_from(r, IP_V4, 5), 1 << 2);
    assert_int_equal(TREE(.op = 2, .group = group, .from = five), ROUTE_DONE);
    assert_int_equal(r->router->tib.n_member_trees, ROUTER_MEMBER_TREES);
    assert_int_equal(r->router->members_refused, 1);
    assert_int_equal(heard_from(r, IP_V4, 5), 0);
}

int
main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, routing_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(who_joins_hears_until_he_leaves), TEST(hosts_are_asked), TEST(beside_static_trees), TEST(links_that_go),
        TEST(sources_are_told_apart), TEST(a_source_that_leaves_is_asked_for),
        TEST(what_others_say_of_a_group_holds_for_its_sources), TEST(what_is_swept_ends_for_sources),
        TEST(members_hear_sources_that_have_trees), TEST(a_tree_of_a_source_is_its_own), TEST(sources_are_bounded),
        TEST(trees_of_others_take_no_room_of_hosts), TEST(what_others_leave_to_hosts_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
