/* OFPP_NORMAL and a bridge that stands alone: forwarding as a learning switch (K16, P1). */

#include <stdlib.h>
#include <string.h>

#include "hexactions.h"
#include "rig_test.h"

#define assert_done(RESULT) assert_int_equal(RESULT, OFWIRE_OK)

static void
send_from(struct rig *rig, unsigned port, unsigned vlan, uint64_t source, uint64_t destination)
{
    struct frame f;

    frame_eth(&f, vlan ? ETH_TYPE_VLAN : 0x9999);
    if (vlan) {
        frame_tag(&f, vlan, 0x9999);
    }
    frame_payload(&f, 46);
    put_be48(f.data, destination);
    put_be48(f.data + 6, source);
    rig_put(rig, port, &f);
    rig_run(rig);
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

static void
what_is_learned_is_not_flooded(void **state)
{
    RIG;
    assert_done(HEX_FLOW(OUTPUT_NORMAL));
    send_from(rig, 1, 0, 0x11, 0x22);
    assert_int_equal(left(rig), 111);
    send_from(rig, 2, 0, 0x22, 0x11);
    assert_int_equal(left(rig), 1000);
    send_from(rig, 3, 0, 0x33, 0xffffffffffff);
    assert_int_equal(left(rig), 1101);
    send_from(rig, 1, 0, 0x44, 0x11);           /* Its way is where it came from. */
    assert_int_equal(left(rig), 0);
}

static void
vlans_do_not_know_each_others_addresses(void **state)
{
    RIG;
    assert_done(HEX_FLOW(OUTPUT_NORMAL));
    send_from(rig, 1, 10, 0x11, 0x22);
    left(rig);
    send_from(rig, 2, 20, 0x22, 0x11);
    assert_int_equal(left(rig), 1011);
    send_from(rig, 2, 10, 0x22, 0x11);
    assert_int_equal(left(rig), 1000);
}

static void
an_address_that_moves_is_followed(void **state)
{
    RIG;
    assert_done(HEX_FLOW(OUTPUT_NORMAL));
    send_from(rig, 1, 0, 0x11, 0x22);
    send_from(rig, 3, 0, 0x11, 0x22);
    left(rig);
    send_from(rig, 2, 0, 0x22, 0x11);
    assert_int_equal(left(rig), 10);
}

static void
what_is_for_the_next_bridge_is_not_forwarded(void **state)
{
    RIG;
    assert_done(HEX_FLOW(OUTPUT_NORMAL));
    send_from(rig, 1, 0, 0x11, 0x0180c2000000);
    send_from(rig, 1, 0, 0x11, 0x0180c200000e);
    assert_int_equal(left(rig), 0);
    assert_int_equal(rig->worker->totals.drops[DROP_reserved], 2);
    send_from(rig, 1, 0, 0x11, 0x0180c2000010);
    assert_int_equal(left(rig), 111);
}

static void
a_bridge_that_stands_alone_keeps_its_tables_aside(void **state)
{
    RIG;
    assert_done(FLOW(.output = { 4 }));
    atomic_store(&rig->bridge->standalone, true);
    send_from(rig, 1, 0, 0x11, 0x22);
    assert_int_equal(left(rig), 111);
    send_from(rig, 2, 0, 0x22, 0x11);
    assert_int_equal(left(rig), 1000);
    atomic_store(&rig->bridge->standalone, false);
    send_from(rig, 2, 0, 0x22, 0x11);
    assert_int_equal(left(rig), 1);
    assert_int_equal(rig->bridge->n_flows, 1);
}

static void
a_port_that_goes_takes_its_addresses_with_it(void **state)
{
    RIG;
    assert_done(HEX_FLOW(OUTPUT_NORMAL));
    send_from(rig, 1, 0, 0x11, 0x22);
    left(rig);
    bridge_detach(rig->bridge, rig->at[1]);
    send_from(rig, 2, 0, 0x22, 0x11);
    assert_int_equal(left(rig), 11);
    assert_int_equal(bridge_attach(rig->bridge, &rig->ports[1], 1, 0, rig->now, &rig->at[1]), 0);
}

/* --- VLANs ---------------------------------------------------------------------------- */

enum { NOTHING = -1, BARE = 0 };        /* For left_as(); else the VLAN of a tag. */

/* Lets a port take part in VLANs of a list that ends with 0; null: all. */
static void
be(struct rig *rig, unsigned port, struct bridging how, const unsigned *vlans)
{
    if (!vlans) {
        memset(&how.vlans, 0xff, sizeof how.vlans);
    }
    for (; vlans && *vlans; vlans++) {
        vlan_add(&how.vlans, *vlans);
    }
    assert_int_equal(bridge_set_bridging(rig->at[port], &how), 0);
}

#define BE(PORT, VLANS, ...) be(rig, PORT, (struct bridging) { __VA_ARGS__ }, VLANS)
#define IN(...) ((const unsigned[]) { __VA_ARGS__, 0 })

/* Ports 1 and 2: access in 10 and 20; 3: a trunk of both; 4: native 10, untagged, in 20 too. */
static void
be_mixed(struct rig *rig)
{
    BE(1, IN(10), .mode = VLAN_ACCESS, .vlan = 10);
    BE(2, IN(20), .mode = VLAN_ACCESS, .vlan = 20);
    BE(3, IN(10, 20), .mode = VLAN_TRUNK);
    BE(4, IN(10, 20), .mode = VLAN_NATIVE_UNTAGGED, .vlan = 10);
    bridge_set_pipeline(rig->at[1], PIPELINE_bridge);
    bridge_set_pipeline(rig->at[2], PIPELINE_bridge);
    bridge_set_pipeline(rig->at[3], PIPELINE_bridge);
    bridge_set_pipeline(rig->at[4], PIPELINE_bridge);
}

/* Checks how the frame left by ports 1 to 4, if it did. */
static void
left_as(struct rig *rig, const int how[RIG_PORTS])
{
    for (unsigned port = 1; port <= RIG_PORTS; port++) {
        struct frame f;
        int was = NOTHING;
        if (rig_take(rig, port, &f)) {
            bool tagged = get_be16(f.data + ETH_TYPE_AT) == ETH_TYPE_VLAN;
            was = tagged ? get_be16(f.data + ETH_SIZE) & 0xfff : BARE;
            assert_int_equal(f.len, ETH_SIZE + 46 + (tagged ? VLAN_SIZE : 0));
            assert_int_equal(get_be16(f.data + ETH_TYPE_AT + (tagged ? VLAN_SIZE : 0)), 0x9999);
        }
        assert_int_equal(was, how[port - 1]);
    }
}

#define LEFT_AS(...) left_as(rig, (const int[RIG_PORTS]) { __VA_ARGS__ })

static void
frames_leave_only_in_their_vlan_and_as_the_port_wants_them(void **state)
{
    RIG;
    be_mixed(rig);
    send_from(rig, 1, 0, 0x11, 0x99);
    LEFT_AS(NOTHING, NOTHING, 10, BARE);
    send_from(rig, 2, 0, 0x22, 0x99);
    LEFT_AS(NOTHING, NOTHING, 20, 20);
    send_from(rig, 3, 20, 0x33, 0x99);
    LEFT_AS(NOTHING, BARE, NOTHING, 20);
    send_from(rig, 3, 10, 0x33, 0x99);
    LEFT_AS(BARE, NOTHING, NOTHING, BARE);
    send_from(rig, 4, 0, 0x44, 0x99);
    LEFT_AS(BARE, NOTHING, 10, NOTHING);
    send_from(rig, 4, 10, 0x44, 0x99);
    LEFT_AS(BARE, NOTHING, 10, NOTHING);
}

static void
frames_to_what_is_known_leave_as_the_port_wants_them(void **state)
{
    RIG;
    be_mixed(rig);
    send_from(rig, 1, 0, 0x11, 0x99);
    send_from(rig, 3, 10, 0x33, 0x99);
    send_from(rig, 4, 0, 0x44, 0x99);
    left(rig);
    send_from(rig, 1, 0, 0x11, 0x33);
    LEFT_AS(NOTHING, NOTHING, 10, NOTHING);
    send_from(rig, 3, 10, 0x33, 0x11);
    LEFT_AS(BARE, NOTHING, NOTHING, NOTHING);
    send_from(rig, 3, 10, 0x33, 0x44);
    LEFT_AS(NOTHING, NOTHING, NOTHING, BARE);
    send_from(rig, 2, 0, 0x22, 0x33);           /* It is not known in this VLAN. */
    LEFT_AS(NOTHING, NOTHING, 20, 20);
}

static void
frames_that_may_not_come_in_are_dropped(void **state)
{
    RIG;
    be_mixed(rig);
    send_from(rig, 1, 10, 0x11, 0x99);          /* Tagged, on an access port: even with its own VLAN. */
    send_from(rig, 3, 30, 0x11, 0x99);          /* A VLAN that the trunk does not have. */
    send_from(rig, 3, 0, 0x11, 0x99);           /* None, on a trunk that does not have VLAN 0. */
    LEFT_AS(NOTHING, NOTHING, NOTHING, NOTHING);
    assert_int_equal(rig->worker->totals.drops[DROP_vlan], 3);
    assert_int_equal(mac_flush(&rig->bridge->macs, 0, MAC_ANY_VLAN, rig->now), 0);
}

/* A tag with VLAN 0 tells a priority, which survives where the frame leaves with a tag. */
static void
a_priority_tag_is_no_vlan(void **state)
{
    RIG;
    struct frame f;

    be_mixed(rig);
    send_from(rig, 1, 5 << 13, 0x11, 0x99);
    assert_int_equal(rig_take(rig, 3, &f), 1);
    assert_int_equal(get_be16(f.data + ETH_SIZE), 5 << 13 | 10);
    assert_int_equal(rig_take(rig, 4, &f), 1);
    assert_int_equal(get_be16(f.data + ETH_TYPE_AT), 0x9999);
}

/* Only the outermost tag is the bridge's, at however many ports the frame leaves. */
static void
a_tag_inside_stays(void **state)
{
    RIG;
    struct frame f;

    be_mixed(rig);
    BE(2, IN(10), .mode = VLAN_ACCESS, .vlan = 10);
    frame_eth(&f, ETH_TYPE_VLAN);
    frame_tag(&f, 10, ETH_TYPE_VLAN);
    frame_tag(&f, 10, 0x9999);
    frame_payload(&f, 46);
    rig_put(rig, 3, &f);
    rig_run(rig);
    for (unsigned port = 1; port <= RIG_PORTS; port++) {
        assert_int_equal(rig_take(rig, port, &f), port != 3);
        if (port != 3) {
            assert_int_equal(f.len, ETH_SIZE + VLAN_SIZE + 46);
            assert_int_equal(get_be16(f.data + ETH_TYPE_AT), ETH_TYPE_VLAN);
        }
    }
}

static void
a_native_vlan_can_be_tagged(void **state)
{
    RIG;
    be_mixed(rig);
    BE(4, IN(10, 20), .mode = VLAN_NATIVE_TAGGED, .vlan = 10);
    send_from(rig, 1, 0, 0x11, 0x99);
    LEFT_AS(NOTHING, NOTHING, 10, 10);
    send_from(rig, 4, 0, 0x44, 0x99);
    LEFT_AS(BARE, NOTHING, 10, NOTHING);
}

static void
isolated_ports_do_not_reach_each_other(void **state)
{
    RIG;
    assert_done(HEX_FLOW(OUTPUT_NORMAL));
    BE(1, NULL, .isolated = true);
    BE(2, NULL, .isolated = true);
    send_from(rig, 1, 0, 0x11, 0x99);
    assert_int_equal(left(rig), 11);
    send_from(rig, 3, 0, 0x33, 0x99);
    assert_int_equal(left(rig), 1101);
    send_from(rig, 2, 0, 0x22, 0x11);           /* Known, but isolated too. */
    assert_int_equal(left(rig), 0);
    assert_int_equal(rig->worker->totals.drops[DROP_isolated], 1);
    send_from(rig, 3, 0, 0x33, 0x11);
    assert_int_equal(left(rig), 1000);
}

static void
a_port_that_changes_its_vlans_forgets_and_is_found_anew(void **state)
{
    RIG;
    be_mixed(rig);
    send_from(rig, 1, 0, 0x11, 0x99);
    left(rig);
    BE(1, IN(20), .mode = VLAN_ACCESS, .vlan = 20);
    send_from(rig, 2, 0, 0x22, 0x11);
    LEFT_AS(BARE, NOTHING, 20, 20);
    send_from(rig, 3, 10, 0x33, 0x11);
    LEFT_AS(NOTHING, NOTHING, NOTHING, BARE);
    assert_int_equal(bridge_set_bridging(rig->at[1], NULL), 0);
    send_from(rig, 3, 10, 0x33, 0x11);
    LEFT_AS(10, NOTHING, NOTHING, BARE);
}

/* --- Addresses ------------------------------------------------------------------------ */

static void
fixed_addresses_lead_to_their_port_or_nowhere(void **state)
{
    RIG;
    const struct mac_fixed fixed[] = { { 0x99, 4, 0 }, { 0x66, MAC_BLOCKED, 0 } };

    assert_done(HEX_FLOW(OUTPUT_NORMAL));
    assert_int_equal(mac_fix(&rig->bridge->macs, &rig->dataplane.epoch, fixed, 2), 0);
    send_from(rig, 2, 0, 0x99, 0x11);
    assert_int_equal(left(rig), 1011);
    send_from(rig, 1, 0, 0x11, 0x99);
    assert_int_equal(left(rig), 1);
    send_from(rig, 1, 0, 0x11, 0x66);
    send_from(rig, 3, 0, 0x66, 0x11);
    assert_int_equal(left(rig), 0);
    assert_int_equal(rig->worker->totals.drops[DROP_blocked], 2);
}

/* Addresses that were counted as learned, moved and refused, as decimal digits. */
static unsigned
counted(struct rig *rig)
{
    const struct counter_ids *ids = &rig->dataplane.counters;

    return (unsigned)(counter_read(ids, rig->bridge->macs_learned).packets * 100
                      + counter_read(ids, rig->bridge->macs_moved).packets * 10
                      + counter_read(ids, rig->bridge->macs_refused).packets);
}

static void
a_port_learns_only_so_many_addresses(void **state)
{
    RIG;
    assert_done(HEX_FLOW(OUTPUT_NORMAL));
    BE(1, NULL, .max_macs = 2);
    send_from(rig, 1, 0, 0x11, 0x99);
    send_from(rig, 1, 0, 0x12, 0x99);
    send_from(rig, 1, 0, 0x13, 0x99);
    assert_int_equal(left(rig), 333);           /* Forwarded all the same. */
    assert_int_equal(counted(rig), 201);
    send_from(rig, 2, 0, 0x22, 0x13);
    assert_int_equal(left(rig), 1011);
    send_from(rig, 1, 0, 0x11, 0x99);           /* Known already. */
    assert_int_equal(counted(rig), 301);
    mac_flush(&rig->bridge->macs, 1, MAC_ANY_VLAN, rig->now);
    rig_tick(rig, 1000);
    send_from(rig, 1, 0, 0x13, 0x99);
    assert_int_equal(counted(rig), 401);
}

static void
moves_are_counted(void **state)
{
    RIG;
    assert_done(HEX_FLOW(OUTPUT_NORMAL));
    send_from(rig, 1, 0, 0x11, 0x99);
    send_from(rig, 2, 0, 0x11, 0x99);
    send_from(rig, 1, 0, 0x11, 0x99);
    assert_int_equal(counted(rig), 120);
}

static void
the_pipeline_of_a_port_decides_where_its_packets_start(void **state)
{
    RIG;
    assert_done(FLOW(.output = { 4 }));
    bridge_set_pipeline(rig->at[1], PIPELINE_bridge);
    send_from(rig, 1, 0, 0x11, 0x99);
    assert_int_equal(left(rig), 111);
    send_from(rig, 2, 0, 0x22, 0x11);
    assert_int_equal(left(rig), 1);
    bridge_set_pipeline(rig->at[1], PIPELINE_openflow);
    send_from(rig, 1, 0, 0x11, 0x99);
    assert_int_equal(left(rig), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_learned_is_not_flooded),
        TEST(vlans_do_not_know_each_others_addresses),
        TEST(an_address_that_moves_is_followed),
        TEST(what_is_for_the_next_bridge_is_not_forwarded),
        TEST(a_bridge_that_stands_alone_keeps_its_tables_aside),
        TEST(a_port_that_goes_takes_its_addresses_with_it),
        TEST(frames_leave_only_in_their_vlan_and_as_the_port_wants_them),
        TEST(frames_to_what_is_known_leave_as_the_port_wants_them),
        TEST(frames_that_may_not_come_in_are_dropped),
        TEST(a_priority_tag_is_no_vlan),
        TEST(a_tag_inside_stays),
        TEST(a_native_vlan_can_be_tagged),
        TEST(isolated_ports_do_not_reach_each_other),
        TEST(a_port_that_changes_its_vlans_forgets_and_is_found_anew),
        TEST(fixed_addresses_lead_to_their_port_or_nowhere),
        TEST(a_port_learns_only_so_many_addresses),
        TEST(moves_are_counted),
        TEST(the_pipeline_of_a_port_decides_where_its_packets_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
