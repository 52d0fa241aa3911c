/* Routing as an action of flow entries: raicho's experimenter action with the number of an interface (F7, G8). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hexactions.h"
#include "routing.h"

#define ROUTE_7 "ffff0010 00524348 00020000 00000007"
#define ROUTE_8 "ffff0010 00524348 00020000 00000008"

enum { NUMBER = 7, FROM = 4 };          /* Port 4 is the bridge's, not the router's. */

static const struct ip_address sender = { { 0, 0xffffc0a80009 } };     /* 192.168.0.9. */

static void
set_number(struct routing_rig *r, unsigned interface, uint16_t number)
{
    struct interface_config config = interface_on(r->rig, interface);

    config.number = number;
    assert_int_equal(router_set_interface(r->router, r->index[interface], &config), 0);
}

static int
set_up(void **state)
{
    struct routing_rig *r = routing_new();

    set_number(r, 1, NUMBER);
    set_neighbour(r, 2, IP_V4, V4(10, 0, 2, 9), MAC_OF_HOST(2, 9));
    set_neighbour(r, 2, IP_V6, V6(2, 9), MAC_OF_HOST(2, 9));
    *state = r;
    return 0;
}

/* A packet to a host behind interface 2, in a frame to somebody who is no router. */
static struct frame
sample(uint8_t family)
{
    struct frame f;

    udp_packet(&f, 1, family, family == IP_V4 ? sender : V6(1, 9),
               family == IP_V4 ? V4(10, 0, 2, 9) : V6(2, 9), 9, 100);
    put_be48(f.data, TEST_ETH_DST);
    return f;
}

static uint64_t
dropped(const struct routing_rig *r, enum drop_reason reason)
{
    return r->rig->worker->totals.drops[reason];
}

/* What left by port 2 is the packet, on its way from the router. */
static void
assert_routed(struct routing_rig *r, const struct frame *sent, uint8_t family)
{
    const uint8_t *ip = sent->data + sent->ip;
    struct frame f;

    assert_int_equal(rig_take(r->rig, 2, &f), 1);
    assert_int_equal(get_be48(f.data), MAC_OF_HOST(2, 9));
    assert_int_equal(get_be48(f.data + 6), MAC_OF(2));
    assert_int_equal(get_be16(f.data + ETH_TYPE_AT), family == IP_V4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
    assert_int_equal(f.len, ETH_SIZE + sent->len - sent->ip);
    assert_int_equal(f.data[ETH_SIZE + (family == IP_V4 ? 8 : 7)], 8);
    if (family == IP_V4) {
        assert_memory_equal(f.data + ETH_SIZE + 12, ip + 12, sent->len - sent->ip - 12);
        assert_int_equal(csum_fold(csum_add(0, f.data + ETH_SIZE, IPV4_SIZE)), 0);
    } else {
        assert_memory_equal(f.data + ETH_SIZE + 8, ip + 8, sent->len - sent->ip - 8);
    }
}

static void
an_entry_sends_packets_into_a_router(void **state)
{
    ROUTER;
    struct rig *rig = r->rig;
    const struct interface *by = interface_at(&rig->dataplane.routing, r->index[1]);

    assert_int_equal(HEX_FLOW(ROUTE_7, .n_match = 1, .match = { { FIELD_in_port, FROM, 0 } }), OFWIRE_OK);
    for (unsigned family = IP_V4; family <= IP_V6; family += IP_V6 - IP_V4) {
        struct frame f = sample((uint8_t)family);
        routing_put(r, FROM, &f);
        assert_routed(r, &f, (uint8_t)family);
    }
    assert_int_equal(counter_read(&rig->dataplane.counters, by->received).packets, 2);
}

/* However many tags a packet has, it is the network layer's part that the router gets. */
static void
tags_end_where_the_router_begins(void **state)
{
    ROUTER;
    struct rig *rig = r->rig;

    assert_int_equal(HEX_FLOW(ROUTE_7, .table = 0), OFWIRE_OK);
    for (unsigned n = 1; n <= 2; n++) {
        struct frame f = sample(IP_V4);
        size_t tags = n * VLAN_SIZE;
        memmove(f.data + ETH_TYPE_AT + tags, f.data + ETH_TYPE_AT, f.len - ETH_TYPE_AT);
        for (size_t at = ETH_TYPE_AT; at < ETH_TYPE_AT + tags; at += VLAN_SIZE) {
            put_be32(f.data + at, 0x81000005);
        }
        f.len += tags;
        f.ip += tags;
        routing_put(r, FROM, &f);
        assert_routed(r, &f, IP_V4);
    }
}

/* The errors of a router come from the interface that the action names. */
static void
the_sender_is_told_of_errors(void **state)
{
    ROUTER;
    struct rig *rig = r->rig;
    struct frame f = sample(IP_V4);

    assert_int_equal(HEX_FLOW(ROUTE_7, .table = 0), OFWIRE_OK);
    set_neighbour(r, 1, IP_V4, V4(10, 0, 1, 9), MAC_OF_HOST(1, 9));
    put_be32(f.data + f.ip + 12, 0x0a000109);
    f.data[f.ip + 8] = 1;
    csum_ipv4(f.data + f.ip);
    routing_put(r, FROM, &f);
    assert_int_equal(rig_take(rig, 1, &f), 1);
    assert_int_equal(get_be32(f.data + ETH_SIZE + 12), 0x0a000101);
    assert_int_equal(f.data[ETH_SIZE + IPV4_SIZE], 11);         /* Time exceeded. */
}

/* Like an output, it leaves the packet to what is behind it. */
static void
a_copy_is_routed_if_there_is_more_to_do(void **state)
{
    ROUTER;
    struct rig *rig = r->rig;
    struct frame f = sample(IP_V4), out;

    put_be16(f.data + ETH_SIZE + 4, 0x1234);
    csum_ipv4(f.data + f.ip);
    assert_int_equal(HEX_FLOW(ROUTE_7 OUTPUT_3, .table = 0), OFWIRE_OK);
    routing_put(r, FROM, &f);
    assert_routed(r, &f, IP_V4);
    assert_int_equal(rig_take(rig, 3, &out), 1);
    assert_int_equal(out.len, f.len);
    assert_memory_equal(out.data, f.data, f.len);
}

static void
buckets_may_route(void **state)
{
    ROUTER;
    struct rig *rig = r->rig;
    struct frame f = sample(IP_V4);

    assert_int_equal(rig_hex_group(rig, 1, ROUTE_7), OFWIRE_OK);
    assert_int_equal(FLOW(.group = 1), OFWIRE_OK);
    routing_put(r, FROM, &f);
    assert_routed(r, &f, IP_V4);
}

/* As with an output beside a group: what an action set does at its end, it does once. */
static void
a_bucket_that_outputs_does_not_route_too(void **state)
{
    ROUTER;
    struct rig *rig = r->rig;
    struct frame f = sample(IP_V4);

    assert_int_equal(rig_hex_group(rig, 1, ROUTE_7 OUTPUT_3), OFWIRE_OK);
    assert_int_equal(FLOW(.group = 1), OFWIRE_OK);
    routing_put(r, FROM, &f);
    assert_int_equal(rig_take(rig, 3, NULL), 1);
    assert_int_equal(rig_take(rig, 2, NULL), 0);
}

static void
what_no_router_takes_is_dropped(void **state)
{
    ROUTER;
    struct rig *rig = r->rig;
    struct frame f;

    assert_int_equal(HEX_FLOW(ROUTE_7, .table = 0), OFWIRE_OK);
    frame_eth(&f, ETH_TYPE_ARP);
    frame_payload(&f, 46);
    routing_put(r, FROM, &f);
    assert_int_equal(dropped(r, DROP_not_ip), 1);
    frame_eth(&f, ETH_TYPE_IPV4);
    routing_put(r, FROM, &f);
    assert_int_equal(dropped(r, DROP_ip_header), 1);
}

/* A number that nobody has, or one whose interface is down or gone; and it may come back. */
static void
an_interface_that_is_not_there_drops(void **state)
{
    ROUTER;
    struct rig *rig = r->rig;
    struct interface_config config = interface_on(rig, 1);
    struct frame f = sample(IP_V4);

    assert_int_equal(HEX_FLOW(ROUTE_8, .table = 0), OFWIRE_OK);
    routing_put(r, FROM, &f);
    assert_int_equal(dropped(r, DROP_no_interface), 1);
    assert_int_equal(HEX_FLOW(ROUTE_7, .table = 0), OFWIRE_OK);
    config.number = NUMBER;
    config.up = false;
    assert_int_equal(router_set_interface(r->router, r->index[1], &config), 0);
    routing_put(r, FROM, &f);
    assert_int_equal(dropped(r, DROP_no_interface), 2);
    router_remove_interface(r->router, r->index[1]);
    routing_put(r, FROM, &f);
    assert_int_equal(dropped(r, DROP_no_interface), 3);
    config.up = true;
    assert_int_equal(router_add_interface(r->router, &config, &r->index[1]), 0);
    routing_put(r, FROM, &f);
    assert_routed(r, &f, IP_V4);
}

/* Two interfaces change their numbers, one after the other. */
static void
numbers_change_hands(void **state)
{
    ROUTER;
    const struct routing *routing = &r->rig->dataplane.routing;

    set_number(r, 2, NUMBER + 1);
    set_number(r, 1, NUMBER + 1);
    set_number(r, 2, NUMBER);
    assert_int_equal(interface_numbered(routing, NUMBER)->index, r->index[2]);
    assert_int_equal(interface_numbered(routing, NUMBER + 1)->index, r->index[1]);
    set_number(r, 2, 0);
    assert_null(interface_numbered(routing, NUMBER));
    assert_null(interface_numbered(routing, UINT32_MAX));
}

static uint32_t
write_actions(struct rig *rig, const char *actions)
{
    size_t start = wire_flow_head(&rig->f, &(const struct wire_flow) { .table = 0 });

    wire_match(&rig->f, NULL, 0);
    size_t write = of_begin_actions(&rig->f, WIRE_WRITE);
    frame_add_hex(&rig->f, actions);
    of_end(&rig->f, write);
    of_end(&rig->f, start);
    return rig_apply(rig);
}

static void
wrong_ones_are_refused(void **state)
{
    ROUTER;
    struct rig *rig = r->rig;

    assert_int_equal(HEX_FLOW("ffff0010 00524348 00020000 00000000", .table = 0), OFWIRE_OFPBAC_BAD_ARGUMENT);
    assert_int_equal(HEX_FLOW("ffff0010 00524348 00020000 00002000", .table = 0), OFWIRE_OFPBAC_BAD_ARGUMENT);
    assert_int_equal(HEX_FLOW("ffff0018 00524348 00020000 00000007 00000000 00000000", .table = 0),
                     OFWIRE_OFPBAC_BAD_LEN);
    assert_int_equal(write_actions(rig, ROUTE_7), OFWIRE_OFPBAC_BAD_TYPE);
}

/* Statistics give back what was sent. */
static void
it_is_told_as_it_was_sent(void **state)
{
    ROUTER;
    struct rig *rig = r->rig;
    struct buffer out = { 0 }, ends = { 0 };
    struct frame sent = { .len = 0 };

    assert_int_equal(HEX_FLOW(ROUTE_7, .table = 0), OFWIRE_OK);
    wire_flow_request(&rig->f, &(const struct wire_flow) { .table = 0xff });
    assert_int_equal(rig_multipart(rig, 1, &out, &ends), OFWIRE_OK);
    frame_add_hex(&sent, ROUTE_7);
    assert_true(out.len > sent.len);
    assert_memory_equal(out.data + out.len - sent.len, sent.data, sent.len);
    buffer_close(&out);
    buffer_close(&ends);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, routing_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_entry_sends_packets_into_a_router),
        TEST(tags_end_where_the_router_begins),
        TEST(the_sender_is_told_of_errors),
        TEST(a_copy_is_routed_if_there_is_more_to_do),
        TEST(buckets_may_route),
        TEST(a_bucket_that_outputs_does_not_route_too),
        TEST(what_no_router_takes_is_dropped),
        TEST(an_interface_that_is_not_there_drops),
        TEST(numbers_change_hands),
        TEST(wrong_ones_are_refused),
        TEST(it_is_told_as_it_was_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
