/* Bridges that snoop: frames of multicast groups go where somebody wants them (RFC 4541; P1). */

#include <stdlib.h>
#include <string.h>

#include "csum.h"
#include "hexactions.h"
#include "rig_test.h"
#include "snoop.h"

#define WANTED UINT32_C(0xef010203)      /* 239.1.2.3 */

static int
set_up(void **state)
{
    struct rig *rig = rig_new();

    for (unsigned port = 1; port <= RIG_PORTS; port++) {
        bridge_set_pipeline(rig->at[port], PIPELINE_bridge);
    }
    *state = rig;
    return 0;
}

static void
snoop(struct rig *rig, bool floods_unknown)
{
    const struct multicast how = {
        .snoops = true, .floods_unknown = floods_unknown, .max_groups = 100,
    };

    assert_int_equal(bridge_set_multicast(rig->bridge, &how), 0);
}

/* Lets the control thread hear what the worker has copied. */
static void
hear(struct rig *rig)
{
    struct punt *punt;

    while ((punt = worker_punt_peek(rig->worker))) {
        assert_int_equal(punt->reason, PUNT_SNOOPED);
        bridge_hear(&rig->dataplane, punt, rig->now);
        worker_punt_consume(rig->worker);
    }
    rig_tick(rig, 20);
}

/* Makes an IPv4 packet; with 'protocol' 2 its payload is a message of IGMP about WANTED. */
static void
make(struct frame *f, unsigned port, uint32_t to, unsigned protocol, unsigned type)
{
    uint8_t *ip = f->data + ETH_SIZE, *igmp = ip + IPV4_SIZE;

    memset(f, 0, sizeof *f);
    f->len = 60;
    put_be48(f->data, to >> 28 == 0xe ? 0x01005e000000 | (to & 0x7fffff) : 0xffffffffffff);
    put_be48(f->data + 6, 0x020000000000 + port);
    put_be16(f->data + ETH_TYPE_AT, ETH_TYPE_IPV4);
    ip[0] = 0x45;
    put_be16(ip + 2, IPV4_SIZE + 8);
    ip[8] = 1;
    ip[9] = (uint8_t)protocol;
    put_be32(ip + 12, 0x0a000000 + port);
    put_be32(ip + 16, to);
    csum_ipv4(ip);
    igmp[0] = (uint8_t)type;
    put_be32(igmp + 4, type == 0x11 ? 0 : WANTED);
    uint16_t sum = csum_fold(csum_add(0, igmp, 8));
    memcpy(igmp + 2, &sum, sizeof sum);
}

static void
send_to(struct rig *rig, unsigned port, uint32_t to, unsigned protocol, unsigned type)
{
    struct frame f;

    make(&f, port, to, protocol, type);
    rig_put(rig, port, &f);
    rig_run(rig);
    hear(rig);
}

static void
join(struct rig *rig, unsigned port)
{
    send_to(rig, port, WANTED, 2, 0x16);
}

static void
query(struct rig *rig, unsigned port)
{
    send_to(rig, port, 0xe0000001, 2, 0x11);
}

/* How many frames have left by ports 1 to 4, as decimal digits. */
static unsigned
left(struct rig *rig)
{
    unsigned digits = 0;

    for (unsigned port = 1; port <= RIG_PORTS; port++) {
        digits = digits * 10 + rig_take(rig, port, NULL);
    }
    return digits;
}

#define UDP_TO(PORT, ADDRESS) send_to(rig, PORT, ADDRESS, 17, 0)

static void
groups_go_to_members_and_routers(void **state)
{
    RIG;
    snoop(rig, true);
    UDP_TO(1, WANTED);
    assert_int_equal(left(rig), 111);           /* Nobody has joined yet. */
    join(rig, 2);
    left(rig);
    UDP_TO(1, WANTED);
    assert_int_equal(left(rig), 100);
    query(rig, 4);
    assert_int_equal(left(rig), 1110);
    UDP_TO(1, WANTED);
    assert_int_equal(left(rig), 101);
    UDP_TO(2, WANTED);                           /* Not back to where it came from. */
    assert_int_equal(left(rig), 1);
    rig_tick(rig, SNOOP_MS);
    rig_tick(rig, 1);
    UDP_TO(1, WANTED);
    assert_int_equal(left(rig), 111);
}

static void
reports_go_to_routers_only(void **state)
{
    RIG;
    snoop(rig, true);
    join(rig, 1);
    assert_int_equal(left(rig), 0);
    query(rig, 4);
    left(rig);
    join(rig, 1);
    join(rig, 2);
    assert_int_equal(left(rig), 2);
}

static void
what_nobody_has_joined_goes_where_it_is_told_to(void **state)
{
    RIG;
    snoop(rig, false);
    query(rig, 3);
    left(rig);
    UDP_TO(1, WANTED);
    assert_int_equal(left(rig), 10);
    UDP_TO(1, 0xe00000fb);                      /* All hosts of the link hear 224.0.0.0/24, */
    assert_int_equal(left(rig), 111);
    UDP_TO(1, 0xffffffff);                      /* and broadcasts. */
    assert_int_equal(left(rig), 111);
}

static void
vlans_are_told_apart(void **state)
{
    RIG;
    struct bridging how = { .mode = VLAN_ACCESS, .vlan = 10 };

    vlan_add(&how.vlans, 10);
    assert_int_equal(bridge_set_bridging(rig->at[1], &how), 0);
    assert_int_equal(bridge_set_bridging(rig->at[2], &how), 0);
    snoop(rig, false);
    join(rig, 2);
    join(rig, 3);                               /* In VLAN 0. */
    left(rig);
    UDP_TO(1, WANTED);
    assert_int_equal(left(rig), 100);
    UDP_TO(4, WANTED);
    assert_int_equal(left(rig), 10);
}

static void
ports_can_be_told_to_have_routers_or_none(void **state)
{
    RIG;
    struct bridging how = { .router = ROUTER_ALWAYS };

    snoop(rig, false);
    memset(&how.vlans, 0xff, sizeof how.vlans);
    assert_int_equal(bridge_set_bridging(rig->at[3], &how), 0);
    how.router = ROUTER_NEVER;
    assert_int_equal(bridge_set_bridging(rig->at[4], &how), 0);
    query(rig, 4);
    left(rig);
    UDP_TO(1, WANTED);
    assert_int_equal(left(rig), 10);
}

static void
a_port_that_goes_is_no_member(void **state)
{
    RIG;
    snoop(rig, true);
    join(rig, 2);
    bridge_detach(rig->bridge, rig->at[2]);
    UDP_TO(1, WANTED);
    assert_int_equal(left(rig), 11);
    assert_int_equal(bridge_attach(rig->bridge, &rig->ports[2], 2, 0, rig->now, &rig->at[2]), 0);
    UDP_TO(1, WANTED);
    assert_int_equal(left(rig), 111);
}

static void
who_stops_snooping_floods(void **state)
{
    RIG;
    snoop(rig, true);
    join(rig, 2);
    left(rig);
    assert_int_equal(bridge_set_multicast(rig->bridge, &(const struct multicast) { 0 }), 0);
    UDP_TO(1, WANTED);
    assert_int_equal(left(rig), 111);
    assert_null(bridge_snooped(rig->bridge));
}

static void
the_querier_asks_on_all_ports(void **state)
{
    RIG;
    const struct multicast how = { .snoops = true, .querier = true, .max_groups = 100 };

    assert_int_equal(bridge_set_multicast(rig->bridge, &how), 0);
    rig_tick(rig, 20);
    rig_run(rig);
    assert_int_equal(left(rig), 2222);          /* IGMP and MLD. */
    query(rig, 4);
    left(rig);
    rig_tick(rig, SNOOP_QUERY_MS);
    rig_run(rig);
    assert_int_equal(left(rig), 1111);          /* Somebody else asks for IGMP. */
}

static void
a_flood_of_reports_is_cut_short(void **state)
{
    RIG;
    struct frame f;

    snoop(rig, true);
    make(&f, 1, WANTED, 2, 0x16);
    for (unsigned i = 0; i < 100; i++) {
        rig_put(rig, 1, &f);
    }
    rig_run(rig);
    assert_true(rig->worker->snoops_lost > 0);
    hear(rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_AFTER(set_up, groups_go_to_members_and_routers),
        TEST_AFTER(set_up, reports_go_to_routers_only),
        TEST_AFTER(set_up, what_nobody_has_joined_goes_where_it_is_told_to),
        TEST_AFTER(set_up, vlans_are_told_apart),
        TEST_AFTER(set_up, ports_can_be_told_to_have_routers_or_none),
        TEST_AFTER(set_up, a_port_that_goes_is_no_member),
        TEST_AFTER(set_up, who_stops_snooping_floods),
        TEST_AFTER(set_up, the_querier_asks_on_all_ports),
        TEST_AFTER(set_up, a_flood_of_reports_is_cut_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
