/* NAT as an action of flow entries: raicho's experimenter action with a direction and a number (P5). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hexactions.h"
#include "nat.h"

#define NAT_OUT_3 "ffff0010 00524348 00010000 00000003"
#define NAT_IN_3 "ffff0010 00524348 00010100 00000003"
#define NAT_OUT_4 "ffff0010 00524348 00010000 00000004"
#define OUTPUT_1 "00000010 00000001 ffff0000 00000000"
#define OUTPUT_2 "00000010 00000002 ffff0000 00000000"

enum { OUTSIDE = 0x7f000001 };

static int
set_up(void **state)
{
    const struct nat_pool pool = { OUTSIDE, OUTSIDE, 1024, 65535, false };
    const struct nat_config config = { .pools = &pool, .n_pools = 1 };
    struct rig *rig = rig_new();
    struct nat *nat = nat_open(&rig->dataplane.epoch, 100, 0);
    char why[128];

    assert_int_equal(nat_configure(nat, &config, rig->now, why, sizeof why), 0);
    dataplane_set_nat(&rig->dataplane, 3, nat);
    *state = rig;
    return 0;
}

static int
tear_down(void **state)
{
    struct rig *rig = *state;
    struct nat *nat = dataplane_nat(&rig->dataplane, 3);

    dataplane_set_nat(&rig->dataplane, 3, NULL);
    nat_close(nat);
    rig_free(rig);
    return 0;
}

/* A UDP packet of the sample, which is 10.0.0.1 port 2000 > 10.0.0.2 port 53. */
static struct frame
sample(void)
{
    struct frame f;

    frame_eth(&f, ETH_TYPE_IPV4);
    frame_ipv4(&f, IP_PROTO_UDP, 0, 0);
    frame_udp(&f, 20);
    frame_end(&f);
    return f;
}

static void
entries_translate_both_ways(void **state)
{
    struct rig *rig = *state;
    struct frame f = sample();

    assert_int_equal(HEX_FLOW(NAT_OUT_3 OUTPUT_2, .n_match = 1, .match = { { FIELD_in_port, 1, 0 } }),
                     OFWIRE_OK);
    assert_int_equal(HEX_FLOW(NAT_IN_3 OUTPUT_1, .n_match = 1, .match = { { FIELD_in_port, 2, 0 } }),
                     OFWIRE_OK);
    rig_put(rig, 1, &f);
    rig_run(rig);
    assert_int_equal(rig_take(rig, 2, &f), 1);
    assert_int_equal(get_be32(f.data + ETH_SIZE + 12), OUTSIDE);
    put_be32(f.data + ETH_SIZE + 12, get_be32(f.data + ETH_SIZE + 16));         /* The answer. */
    put_be32(f.data + ETH_SIZE + 16, OUTSIDE);
    put_be16(f.data + ETH_SIZE + IPV4_SIZE + 2, get_be16(f.data + ETH_SIZE + IPV4_SIZE));
    rig_put(rig, 2, &f);
    rig_run(rig);
    assert_int_equal(rig_take(rig, 1, &f), 1);
    assert_int_equal(get_be32(f.data + ETH_SIZE + 16), 0x0a000001);
    assert_int_equal(get_be16(f.data + ETH_SIZE + IPV4_SIZE + 2), 2000);
}

/* Behind the action, tables see the packet as it is then. */
static void
tables_behind_see_what_it_has_become(void **state)
{
    struct rig *rig = *state;
    struct frame f = sample();

    assert_int_equal(HEX_FLOW(NAT_OUT_3, .go_to = 1), OFWIRE_OK);
    assert_int_equal(FLOW(.table = 1, .priority = 5, .output = { 2 }, .n_match = 2,
                          .match = { { FIELD_eth_type, ETH_TYPE_IPV4, 0 },
                                     { FIELD_ipv4_src, OUTSIDE, 0 } }), OFWIRE_OK);
    rig_put(rig, 1, &f);
    rig_run(rig);
    assert_int_equal(rig_take(rig, 2, NULL), 1);
}

/* Fragments that waited go on where the first one goes (RFC 4787, REQ-14). */
static void
early_fragments_take_the_way_of_the_first_one(void **state)
{
    struct rig *rig = *state;
    struct frame first = sample(), later = first;

    put_be16(first.data + ETH_SIZE + 6, 0x2000);
    put_be16(later.data + ETH_SIZE + 6, 3);
    assert_int_equal(HEX_FLOW(NAT_OUT_3, .go_to = 1), OFWIRE_OK);
    assert_int_equal(HEX_FLOW(OUTPUT_2, .table = 1), OFWIRE_OK);
    rig_put(rig, 1, &later);
    rig_run(rig);
    assert_int_equal(rig_take(rig, 2, NULL), 0);
    rig_put(rig, 1, &first);
    rig_run(rig);
    assert_int_equal(rig_take(rig, 2, &first), 2);
}

static void
a_nat_that_is_not_there_drops(void **state)
{
    struct rig *rig = *state;
    struct frame f = sample();

    assert_int_equal(HEX_FLOW(NAT_OUT_4 OUTPUT_2, .table = 0), OFWIRE_OK);
    rig_put(rig, 1, &f);
    rig_run(rig);
    assert_int_equal(rig->worker->totals.drops[DROP_nat_protocol], 1);
}

static void
wrong_arguments_are_refused(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(HEX_FLOW("ffff0010 00524348 00010200 00000003", .table = 0),
                     OFWIRE_OFPBAC_BAD_ARGUMENT);
    assert_int_equal(HEX_FLOW("ffff0010 00524348 00010000 00000040", .table = 0),
                     OFWIRE_OFPBAC_BAD_ARGUMENT);
    assert_int_equal(HEX_FLOW("ffff0010 00524348 00090000 00000003", .table = 0),
                     OFWIRE_OFPBAC_BAD_EXP_TYPE);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(entries_translate_both_ways),
        TEST(tables_behind_see_what_it_has_become),
        TEST(early_fragments_take_the_way_of_the_first_one),
        TEST(a_nat_that_is_not_there_drops),
        TEST(wrong_arguments_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
