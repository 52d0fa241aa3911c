/* OFPP_NORMAL and a bridge that stands alone: forwarding as a learning switch (K16). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hexactions.h"

static int
set_up(void **state)
{
    *state = rig_new();
    return 0;
}

static int
tear_down(void **state)
{
    rig_free(*state);
    return 0;
}

#define RIG struct rig *rig = *state
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

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
