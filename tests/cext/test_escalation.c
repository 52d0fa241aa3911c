/* Escalation: who gets a copy of which packet, how many, and that nobody else notices (P2). */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fragment.h"
#include "routing.h"

enum { OSPF = 89, BGP = 179, RATE = 1000 };

#define BIT(NAME) (UINT32_C(1) << (ROUTE_##NAME - ROUTE_LOCAL))
static uint32_t
subscribe(struct routing_rig *r, struct escalation_match match, uint32_t rate)
{
    uint32_t id = 0;

    assert_int_equal(escalation_add(r->router, &match, rate, &id), 0);
    assert_int_not_equal(id, 0);
    return id;
}

#define SUBSCRIBE(...) subscribe(r, (struct escalation_match) { __VA_ARGS__ }, RATE)

/* Takes the copies for a subscription; returns how many, the last one in 'last'. */
static unsigned
told(struct routing_rig *r, uint32_t id, struct escalated *head, struct frame *last)
{
    struct buffer *out = &r->rig->dataplane.routing.escalated;
    unsigned n = 0;

    for (size_t at = 0; at < out->len;) {
        struct escalated each;
        memcpy(&each, out->data + at, sizeof each);
        if (each.id == id) {
            n++;
            *head = each;
            last->len = each.len;
            memcpy(last->data, out->data + at + offsetof(struct escalated, frame), each.len);
        }
        at += (sizeof each + each.len + 7) & ~(size_t) 7;
    }
    return n;
}

static unsigned
count(struct routing_rig *r, uint32_t id)
{
    struct escalated head;
    struct frame last;

    return told(r, id, &head, &last);
}

static void
forget(struct routing_rig *r)
{
    r->rig->dataplane.routing.escalated.len = 0;
}

static void
ip_packet(struct frame *f, unsigned protocol, struct ip_address to, unsigned ttl)
{
    udp_packet(f, 1, IP_V4, V4(10, 0, 1, 9), to, ttl, 30);
    f->data[f->ip + 9] = (uint8_t) protocol;
    csum_ipv4(f->data + f->ip);
}

static void
port_of(struct frame *f, uint16_t port)
{
    put_be16(f->data + f->ip + IPV4_SIZE + 2, port);
}

static void
a_protocol_to_us(void **state)
{
    ROUTER;
    uint32_t id = SUBSCRIBE(.reasons = BIT(LOCAL), .protocol = OSPF);
    struct escalated head;
    struct frame f, copy;

    ip_packet(&f, OSPF, V4(10, 0, 1, 1), 64);
    routing_put(r, 1, &f);
    assert_int_equal(told(r, id, &head, &copy), 1);
    assert_int_equal(head.interface, r->index[1]);
    assert_int_equal(head.reason, ROUTE_LOCAL);
    assert_int_equal(head.dropped, 0);
    assert_int_equal(copy.len, f.len);
    assert_memory_equal(copy.data, f.data, f.len);
    assert_int_equal(rig_take(r->rig, 1, NULL), 0);     /* Nobody says that there is no such protocol. */

    forget(r);
    ip_packet(&f, OSPF + 1, V4(10, 0, 1, 1), 64);
    routing_put(r, 1, &f);
    assert_int_equal(count(r, id), 0);
    assert_int_equal(rig_take(r->rig, 1, NULL), 1);     /* But here it is said. */

    ip_packet(&f, OSPF, V4(224, 0, 0, 5), 1);
    put_be48(f.data, 0x01005e000005);
    routing_put(r, 1, &f);
    assert_int_equal(count(r, id), 1);
}

static void
a_port_of_either_end(void **state)
{
    ROUTER;
    uint32_t id = SUBSCRIBE(.reasons = BIT(LOCAL), .protocol = IP_PROTO_UDP, .port = BGP);
    struct frame f;

    ip_packet(&f, IP_PROTO_UDP, V4(10, 0, 1, 1), 64);
    routing_put(r, 1, &f);
    assert_int_equal(count(r, id), 0);
    port_of(&f, BGP);
    routing_put(r, 1, &f);
    assert_int_equal(count(r, id), 1);
    port_of(&f, 53);
    put_be16(f.data + f.ip + IPV4_SIZE, BGP);
    routing_put(r, 1, &f);
    assert_int_equal(count(r, id), 2);
}

static void
an_ethernet_type(void **state)
{
    ROUTER;
    uint32_t id = SUBSCRIBE(.reasons = BIT(LOCAL), .eth_type = 0x88cc);
    struct frame f;

    frame_eth(&f, 0x88cc);
    put_be48(f.data, 0x0180c200000e);
    frame_payload(&f, 46);
    routing_put(r, 1, &f);
    assert_int_equal(count(r, id), 1);
    put_be16(f.data + 12, 0x88cd);
    routing_put(r, 1, &f);
    assert_int_equal(count(r, id), 1);
}

static void
whoever_is_told_anyway_is_still_told(void **state)
{
    ROUTER;
    uint32_t ttl = SUBSCRIBE(.reasons = BIT(TTL)), route = SUBSCRIBE(.reasons = BIT(NO_ROUTE));
    struct escalated head;
    struct frame f, copy;

    set_neighbour(r, 1, IP_V4, V4(10, 0, 1, 9), MAC_OF_HOST(1, 9));
    set_neighbour(r, 2, IP_V4, V4(10, 0, 2, 9), MAC_OF_HOST(2, 9));
    ip_packet(&f, IP_PROTO_UDP, V4(10, 0, 2, 9), 1);
    routing_put(r, 1, &f);
    assert_int_equal(told(r, ttl, &head, &copy), 1);
    assert_int_equal(head.reason, ROUTE_TTL);
    assert_memory_equal(copy.data, f.data, f.len);
    assert_int_equal(count(r, route), 0);
    assert_int_equal(rig_take(r->rig, 1, NULL), 1);     /* RFC 1812, 5.3.1 */

    ip_packet(&f, IP_PROTO_UDP, V4(203, 0, 113, 1), 64);
    routing_put(r, 1, &f);
    assert_int_equal(told(r, route, &head, &copy), 1);
    assert_int_equal(head.reason, ROUTE_NO_ROUTE);
    assert_int_equal(count(r, ttl), 1);
    assert_int_equal(rig_take(r->rig, 1, NULL), 1);     /* RFC 1812, 5.2.7.1 */
}

/* What passes through is looked for only while somebody wants it, and forwarded all the same. */
static void
what_passes_through(void **state)
{
    ROUTER;
    uint32_t local = SUBSCRIBE(.reasons = BIT(LOCAL), .protocol = 46);
    struct escalated head;
    struct frame f, copy;

    set_neighbour(r, 2, IP_V4, V4(10, 0, 2, 9), MAC_OF_HOST(2, 9));
    ip_packet(&f, 46, V4(10, 0, 2, 9), 64);
    assert_null(atomic_load(&r->router->watch));
    routing_put(r, 1, &f);
    assert_int_equal(r->rig->worker->totals.copied, 0);

    uint32_t id = SUBSCRIBE(.reasons = BIT(SEEN), .protocol = 46);
    routing_put(r, 1, &f);
    assert_int_equal(told(r, id, &head, &copy), 1);
    assert_int_equal(head.reason, ROUTE_SEEN);
    assert_memory_equal(copy.data, f.data, f.len);
    assert_int_equal(rig_take(r->rig, 2, NULL), 2);
    put_be48(f.data, MAC_OF(3));                        /* Another station's. */
    routing_put(r, 1, &f);
    assert_int_equal(count(r, id), 1);
    assert_int_equal(count(r, local), 0);

    assert_int_equal(escalation_remove(r->router, id), 0);
    assert_null(atomic_load(&r->router->watch));
    put_be48(f.data, MAC_OF(1));
    routing_put(r, 1, &f);
    assert_int_equal(count(r, id), 1);
    assert_int_equal(rig_take(r->rig, 2, NULL), 1);
}

static void
fragments_to_us_come_as_a_whole(void **state)
{
    ROUTER;
    uint32_t id = SUBSCRIBE(.reasons = BIT(LOCAL), .protocol = IP_PROTO_UDP, .port = 53);
    struct fragmentation plan;
    struct escalated head;
    struct frame f, piece, copy;

    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 1, 1), 64, 1400);
    put_be16(f.data + f.ip + 6, 0);
    csum_ipv4(f.data + f.ip);
    assert_int_equal(fragment_plan(&plan, f.data + f.ip, f.len - f.ip, 576, 7), 0);
    assert_true(plan.n > 2);
    for (unsigned i = 0; i < plan.n; i++) {
        assert_int_equal(count(r, id), 0);
        memcpy(piece.data, f.data, ETH_SIZE);
        piece.len = ETH_SIZE + fragment_write(&plan, i, piece.data + ETH_SIZE);
        routing_put(r, 1, &piece);
    }
    assert_int_equal(told(r, id, &head, &copy), 1);
    assert_int_equal(copy.len, f.len);
    assert_memory_equal(copy.data + ETH_SIZE + IPV4_SIZE, f.data + ETH_SIZE + IPV4_SIZE,
                        f.len - ETH_SIZE - IPV4_SIZE);
}

static void
a_tag_is_taken_off(void **state)
{
    ROUTER;
    const struct ip_prefix address = { V4(10, 0, 7, 1), IP_V4, 24 };
    struct interface_config config = interface_on(r->rig, 1);
    uint32_t id = SUBSCRIBE(.reasons = BIT(LOCAL), .protocol = OSPF), index = 0;
    struct escalated head;
    struct frame f, tagged, copy;

    config.vlan = 7;
    assert_int_equal(router_add_interface(r->router, &config, &index), 0);
    assert_int_equal(router_add_address(r->router, index, &address), 0);
    ip_packet(&f, OSPF, V4(10, 0, 7, 1), 64);
    memcpy(tagged.data, f.data, ETH_TYPE_AT);
    put_be16(tagged.data + ETH_TYPE_AT, ETH_TYPE_VLAN);
    put_be16(tagged.data + ETH_TYPE_AT + 2, 7);
    memcpy(tagged.data + ETH_TYPE_AT + VLAN_SIZE, f.data + ETH_TYPE_AT, f.len - ETH_TYPE_AT);
    tagged.len = f.len + VLAN_SIZE;
    routing_put(r, 1, &tagged);
    assert_int_equal(told(r, id, &head, &copy), 1);
    assert_int_equal(head.interface, index);
    assert_int_equal(copy.len, f.len);
    assert_memory_equal(copy.data, f.data, f.len);
}

/* One that asks for little, or that nobody reads for, costs others nothing. */
static void
each_has_a_rate_of_its_own(void **state)
{
    ROUTER;
    const struct escalation_match match = { .reasons = BIT(LOCAL), .protocol = OSPF };
    uint32_t slow = subscribe(r, match, 10), quick = subscribe(r, match, RATE);
    struct escalated head;
    struct frame f, copy;

    ip_packet(&f, OSPF, V4(10, 0, 1, 1), 64);
    for (unsigned i = 0; i < 50; i++) {
        routing_put(r, 1, &f);
    }
    assert_int_equal(count(r, slow), 2);                /* A tenth of a second's, and one. */
    assert_int_equal(count(r, quick), 50);
    forget(r);
    routing_tick(r, 100);
    routing_put(r, 1, &f);
    assert_int_equal(told(r, slow, &head, &copy), 1);
    assert_int_equal(head.dropped, 48);
    assert_int_equal(told(r, quick, &head, &copy), 1);
    assert_int_equal(head.dropped, 0);
}

/* Nobody takes what is in the buffer: it grows no further, and what is lost is counted. */
static void
the_buffer_is_bounded(void **state)
{
    ROUTER;
    const struct escalation_match match = { .reasons = BIT(LOCAL), .protocol = IP_PROTO_UDP };
    uint32_t id = subscribe(r, match, UINT32_MAX / 1000);
    unsigned n = ESCALATED_BYTES / 1440 + 100;
    struct frame f;

    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 1, 1), 64, 1400);
    for (unsigned i = 0; i < n; i++) {
        r->rig->now++;
        routing_put(r, 1, &f);
    }
    assert_true(r->rig->dataplane.routing.escalated.len <= ESCALATED_BYTES);
    assert_int_equal(r->router->escalations->sent, count(r, id));
    assert_int_equal(r->router->escalations->sent + r->router->escalations->dropped, n);
    assert_true(r->router->escalations->dropped >= 100);
}

static void
what_cannot_be_is_refused(void **state)
{
    ROUTER;
    const struct escalation_match bad[] = {
        { .reasons = 0 }, { .reasons = 1u << (ROUTE_REASONS_END - ROUTE_LOCAL) },
        { .reasons = BIT(LOCAL), .port = 179 }, { .reasons = BIT(LOCAL), .port = 179, .protocol = OSPF },
        { .reasons = BIT(LOCAL), .protocol = OSPF, .eth_type = ETH_TYPE_ARP },
    };
    const struct escalation_match good = { .reasons = BIT(LOCAL) };
    uint32_t id = 0, first = SUBSCRIBE(.reasons = BIT(SEEN));

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(escalation_add(r->router, &bad[i], RATE, &id), EINVAL);
    }
    assert_int_equal(escalation_add(r->router, &good, 0, &id), EINVAL);
    assert_int_equal(escalation_remove(r->router, first + 1), ENOENT);
    for (unsigned i = 1; i < ESCALATIONS_MAX; i++) {
        SUBSCRIBE(.reasons = BIT(LOCAL));
    }
    assert_int_equal(escalation_add(r->router, &good, RATE, &id), ENOSPC);
    assert_int_equal(escalation_remove(r->router, first), 0);
    assert_int_equal(escalation_add(r->router, &good, RATE, &id), 0);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, routing_set_up, routing_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_protocol_to_us), TEST(a_port_of_either_end), TEST(an_ethernet_type),
        TEST(whoever_is_told_anyway_is_still_told), TEST(what_passes_through),
        TEST(fragments_to_us_come_as_a_whole), TEST(a_tag_is_taken_off),
        TEST(each_has_a_rate_of_its_own), TEST(the_buffer_is_bounded), TEST(what_cannot_be_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
