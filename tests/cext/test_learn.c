/* Learn: entries made out of packets, asked for once (K17). */

#include <stdlib.h>
#include <string.h>

#include "hexactions.h"
#include "rig_test.h"

#define assert_done(RESULT) assert_int_equal(RESULT, OFWIRE_OK)

static void
send_from(struct rig *rig, unsigned port, uint64_t source, uint64_t destination)
{
    struct frame f;

    frame_eth(&f, 0x9999);
    frame_payload(&f, 46);
    put_be48(f.data, destination);
    put_be48(f.data + 6, source);
    rig_put(rig, port, &f);
    rig_run(rig);
}

static unsigned
n_requests(struct rig *rig)
{
    unsigned n = 0;
    size_t size;

    while (ring_peek(&rig->worker->learns, &size)) {
        ring_consume(&rig->worker->learns);
        n++;
    }
    return n;
}

static void
a_switch_made_of_learn_learns(void **state)
{
    RIG;
    assert_done(HEX_FLOW(LEARN_SWITCH RESUBMIT_3));
    assert_done(HEX_FLOW("00000010 fffffffb 00000000 00000000", .table = 3));
    send_from(rig, 2, 0x22, 0x11);
    assert_int_equal(rig_take(rig, 1, NULL), 1);
    rig_tick(rig, 20);
    assert_int_equal(rig->bridge->n_flows, 3);
    send_from(rig, 1, 0x11, 0x22);
    assert_int_equal(rig_take(rig, 2, NULL), 1);
    assert_int_equal(rig_take(rig, 3, NULL), 1);    /* Only the first one was flooded. */
}

static void
a_learnt_entry_has_the_parts_that_were_specified(void **state)
{
    RIG;
    assert_done(HEX_FLOW(LEARN_SWITCH));
    send_from(rig, 2, 0x22, 0x11);
    rig_tick(rig, 20);
    assert_int_equal(DUMPED(.table = 3, .n_match = 2, .match = {
        { FIELD_eth_dst, 0x22, 0 }, { FIELD_vlan_tci, 0, 0xfff } }), 1);

    struct flow_key key = { { 0 } }, mask = { { 0 } };
    key.word[W_ETH_DST] = 0x22 << 16;
    mask.word[W_ETH_DST] = ~UINT64_C(0xffff);
    mask.word[W_ETH_SRC] = 0xfff;
    struct flow *flow = table_find(&rig->bridge->tables[3].table, &key, &mask, 0x8000);

    assert_non_null(flow);
    assert_int_equal(flow->idle_timeout, 10);
    struct frame expected = { .len = 0 };
    frame_add_hex(&expected, "00040030 00000000"
                             "ffff0018 00002320 0007000f 00010004 00000000 00000002" OUTPUT_2);
    assert_int_equal(flow->args_size, expected.len);
    assert_memory_equal(flow_args(flow), expected.data, expected.len);
}

static void
the_packets_of_one_conversation_ask_once(void **state)
{
    RIG;
    assert_done(HEX_FLOW(LEARN_SWITCH));
    for (unsigned i = 0; i < 10; i++) {
        send_from(rig, 2, 0x22, 0x11);
    }
    assert_int_equal(n_requests(rig), 1);
    send_from(rig, 2, 0x23, 0x11);
    send_from(rig, 3, 0x22, 0x11);      /* It has moved: that is news, */
    send_from(rig, 2, 0x22, 0x11);      /* and so is that it is back. */
    assert_int_equal(n_requests(rig), 3);
}

static void
a_flood_of_addresses_is_bounded_and_counted(void **state)
{
    RIG;
    assert_done(HEX_FLOW(LEARN_SWITCH));
    for (unsigned i = 0; i < 4000; i++) {
        send_from(rig, 2, 0x1000 + i, 0x11);
    }
    uint64_t lost = atomic_load(&rig->worker->learns_lost);
    assert_true(lost > 0);
    assert_int_equal(n_requests(rig) + lost, 4000);
}

static void
given_bits_are_matched(void **state)
{
    RIG;
    assert_done(HEX_FLOW(LEARN_REG1_5));
    send_from(rig, 2, 0x22, 0x11);
    rig_tick(rig, 20);
    assert_int_equal(DUMPED(.table = 3, .n_match = 1, .match = { { FIELD_reg1, 5, 0 } }), 1);
}

static void
a_learnt_entry_outlives_nothing_but_its_bridge(void **state)
{
    RIG;
    assert_done(HEX_FLOW(LEARN_SWITCH));
    send_from(rig, 2, 0x22, 0x11);
    assert_done(FLOW(.command = WIRE_DELETE, .table = 0xff));
    rig_tick(rig, 20);
    assert_int_equal(rig->bridge->n_flows, 1);
    rig_tick(rig, 11000);
    assert_int_equal(rig->bridge->n_flows, 0);
}

static void
specifications_that_make_no_sense_are_refused(void **state)
{
    static const struct {
        const char *actions;
        uint32_t error;
    } cases[] = {
        /* A table that there is not. */
        { "ffff0020 00002320 00100000 00008000 00000000 00000000 0000ff00 00000000",
          OFWIRE_OFPBAC_BAD_ARGUMENT },
        /* Cut in the middle of a field. */
        { "ffff0028 00002320 00100000 00008000 00000000 00000000 00000300 00000000"
          "00300000 02060000", OFWIRE_OFPBAC_BAD_LEN },
        /* A field that there is not. */
        { "ffff0030 00002320 00100000 00008000 00000000 00000000 00000300 00000000"
          "20200000 00050001 78040000 00000000", OFWIRE_OFPBAC_BAD_SET_TYPE },
        /* More bits than the field has. */
        { "ffff0030 00002320 00100000 00008000 00000000 00000000 00000300 00000000"
          "20210000 00000005 00010204 00000000", OFWIRE_OFPBAC_BAD_SET_LEN },
        /* An address without the type that it needs. */
        { "ffff0030 00002320 00100000 00008000 00000000 00000000 00000300 00000000"
          "20200000 00050000 0e040000 00000000", OFWIRE_OFPBAC_MATCH_INCONSISTENT },
    };
    RIG;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(HEX_FLOW(cases[i].actions), cases[i].error);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_switch_made_of_learn_learns),
        TEST(a_learnt_entry_has_the_parts_that_were_specified),
        TEST(the_packets_of_one_conversation_ask_once),
        TEST(a_flood_of_addresses_is_bounded_and_counted),
        TEST(given_bits_are_matched),
        TEST(a_learnt_entry_outlives_nothing_but_its_bridge),
        TEST(specifications_that_make_no_sense_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
