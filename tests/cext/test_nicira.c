/* Nicira's actions: load, move, push, pop, output to a register, controller, resubmit (K17). */

#include <stdlib.h>
#include <string.h>

#include "hexactions.h"
#include "rig_test.h"

#define assert_done(RESULT) assert_int_equal(RESULT, OFWIRE_OK)
#define assert_error(RESULT, NAME) assert_int_equal(RESULT, OFWIRE_##NAME)

/* A UDP frame from port 1. */
static void
send_one(struct rig *rig)
{
    struct frame f = { .len = 0 };

    frame_eth(&f, ETH_TYPE_IPV4);
    frame_ipv4(&f, IP_PROTO_UDP, 0, 0);
    frame_udp(&f, 20);
    frame_end(&f);
    rig_put(rig, 1, &f);
    rig_run(rig);
}

/* How many frames have left by ports 1 to 4, as decimal digits. */
static unsigned
left(struct rig *rig, struct frame *last)
{
    unsigned digits = 0;

    for (unsigned port = 1; port <= RIG_PORTS; port++) {
        digits = digits * 10 + rig_take(rig, port, last);
    }
    return digits;
}

static uint64_t
drops(const struct rig *rig, enum drop_reason reason)
{
    return rig->worker->totals.drops[reason];
}

/* --- Registers --------------------------------------------------------------------------------- */

static void
a_loaded_register_is_matched_and_output_to(void **state)
{
    RIG;
    assert_done(HEX_FLOW(LOAD_2_REG1 MOVE_REG1_REG2, .go_to = 1));
    assert_done(HEX_FLOW(OUTPUT_REG2, .table = 1, .priority = 1, .n_match = 2,
                         .match = { { FIELD_reg1, 2, 0 }, { FIELD_reg2, 2, 0xf } }));
    send_one(rig);
    assert_int_equal(left(rig, NULL), 100);
}

static void
a_load_leaves_the_other_bits_alone(void **state)
{
    RIG;
    assert_done(HEX_FLOW("ffff0018 00002320 0007001f 00010604 00000000 aabbccdd"
                         LOAD_1_REG3_LOW_BYTE, .go_to = 1));
    assert_done(HEX_FLOW(OUTPUT_2, .table = 1, .n_match = 1,
                         .match = { { FIELD_reg3, 0xaabbcc01, 0 } }));
    send_one(rig);
    assert_int_equal(left(rig, NULL), 100);
}

static void
fields_of_the_header_are_loaded_and_moved(void **state)
{
    struct frame last = { .len = 0 };
    RIG;

    assert_done(HEX_FLOW(LOAD_3_ETH_DST OUTPUT_2 MOVE_SRC_DST OUTPUT_3, .priority = 1));
    send_one(rig);
    assert_int_equal(rig_take(rig, 2, &last), 1);
    assert_true(get_be48(last.data) == 3);
    assert_int_equal(rig_take(rig, 3, &last), 1);
    assert_true(get_be48(last.data) == get_be48(last.data + 6));
}

static void
a_loaded_in_port_is_where_the_packet_came_from(void **state)
{
    RIG;
    assert_done(HEX_FLOW(LOAD_3_IN_PORT OUTPUT_1 OUTPUT_3, .priority = 1));
    send_one(rig);
    assert_int_equal(left(rig, NULL), 1000);
}

static void
what_is_pushed_is_popped(void **state)
{
    RIG;
    assert_done(HEX_FLOW(LOAD_2_REG1 PUSH_REG1 LOAD_1_REG1 POP_REG2 OUTPUT_REG2 POP_REG2));
    send_one(rig);
    assert_int_equal(left(rig, NULL), 100);
}

static void
a_full_stack_drops(void **state)
{
    RIG;
    assert_done(HEX_FLOW(PUSH_REG1 PUSH_REG1 PUSH_REG1 PUSH_REG1 PUSH_REG1 PUSH_REG1 PUSH_REG1
                         PUSH_REG1 PUSH_REG1 OUTPUT_2));
    send_one(rig);
    assert_int_equal(left(rig, NULL), 0);
    assert_int_equal(drops(rig, DROP_depth), 1);
}

static void
a_controller_action_gives_its_reason(void **state)
{
    RIG;
    assert_done(HEX_FLOW(CONTROLLER_NO_MATCH OUTPUT_2, .priority = 3));
    send_one(rig);
    assert_int_equal(left(rig, NULL), 100);

    const struct punt *punt = worker_punt_peek(rig->worker);

    assert_non_null(punt);
    assert_int_equal(punt->reason, PUNT_NO_MATCH);
    assert_int_equal(punt->max_len, 128);
    worker_punt_consume(rig->worker);
}

static void
notes_do_nothing_and_ttls_count_down(void **state)
{
    struct frame last = { .len = 0 };
    RIG;

    assert_done(HEX_FLOW(NOTE_01_02 POP_QUEUE DEC_TTL OUTPUT_2));
    send_one(rig);
    assert_int_equal(rig_take(rig, 2, &last), 1);
    assert_int_equal(last.data[ETH_SIZE + 8], 63);
}

/* --- Resubmit ---------------------------------------------------------------------------------- */

static void
a_resubmit_comes_back_with_what_was_changed(void **state)
{
    RIG;
    assert_done(HEX_FLOW(RESUBMIT_2 OUTPUT_REG1));
    assert_done(HEX_FLOW(LOAD_2_REG1 OUTPUT_4, .table = 2));
    send_one(rig);
    assert_int_equal(left(rig, NULL), 101);
}

static void
a_table_without_an_entry_is_come_back_from(void **state)
{
    RIG;
    assert_done(HEX_FLOW(RESUBMIT_2 OUTPUT_3));
    send_one(rig);
    assert_int_equal(left(rig, NULL), 10);
}

static void
a_last_resubmit_without_an_entry_drops(void **state)
{
    RIG;
    assert_done(HEX_FLOW(RESUBMIT_2));
    send_one(rig);
    assert_int_equal(left(rig, NULL), 0);
    assert_int_equal(drops(rig, DROP_no_entry), 1);
}

static void
a_miss_behind_a_last_resubmit_leaves_the_action_set(void **state)
{
    RIG;
    assert_done(HEX_FLOW(RESUBMIT_2));
    assert_done(FLOW(.table = 2, .write_output = 4, .go_to = 3));
    send_one(rig);
    assert_int_equal(left(rig, NULL), 1);
    assert_done(HEX_FLOW(RESUBMIT_2, .write_output = 3));
    send_one(rig);
    assert_int_equal(left(rig, NULL), 10);
}

static void
resubmits_go_on_inside_each_other_and_through_goto(void **state)
{
    RIG;
    assert_done(HEX_FLOW(RESUBMIT_2 RESUBMIT_3));
    assert_done(HEX_FLOW(OUTPUT_2, .table = 2, .go_to = 5));
    assert_done(HEX_FLOW(RESUBMIT_3 OUTPUT_3, .table = 5));
    assert_done(HEX_FLOW(OUTPUT_4, .table = 3));
    send_one(rig);
    assert_int_equal(left(rig, NULL), 112);
}

static void
a_resubmit_as_another_port_is_one_for_the_lookup_only(void **state)
{
    RIG;
    assert_done(HEX_FLOW(RESUBMIT_PORT_3 OUTPUT_4));
    assert_done(HEX_FLOW(OUTPUT_1 OUTPUT_3, .table = 2, .priority = 1, .n_match = 1,
                         .match = { { FIELD_in_port, 3, 0 } }, .go_to = 3));
    assert_done(HEX_FLOW(OUTPUT_2, .table = 3, .n_match = 1,
                         .match = { { FIELD_in_port, 1, 0 } }));
    send_one(rig);
    assert_int_equal(left(rig, NULL), 111);
}

static void
an_action_set_written_by_a_resubmit_is_carried_out_at_the_end(void **state)
{
    RIG;
    assert_done(HEX_FLOW(RESUBMIT_2 OUTPUT_3, .write_output = 2));
    assert_done(FLOW(.table = 2, .write_output = 4));
    send_one(rig);
    assert_int_equal(left(rig, NULL), 110);     /* The write of table 0 comes later. */
    assert_done(HEX_FLOW(RESUBMIT_2 OUTPUT_3));
    send_one(rig);
    assert_int_equal(left(rig, NULL), 11);
}

static void
a_loop_of_resubmits_ends(void **state)
{
    RIG;
    assert_done(HEX_FLOW(OUTPUT_2 RESUBMIT_SAME));
    send_one(rig);
    assert_int_equal(rig_take(rig, 2, NULL), RESUBMIT_DEPTH + 1);
    assert_int_equal(drops(rig, DROP_depth), 1);
}

static void
a_loop_of_many_resubmits_ends_soon(void **state)
{
    RIG;
    assert_done(HEX_FLOW(RESUBMIT_SAME RESUBMIT_SAME RESUBMIT_SAME OUTPUT_2));
    send_one(rig);
    left(rig, NULL);
    assert_int_equal(drops(rig, DROP_depth), 1);
}

static void
a_packet_that_a_resubmit_drops_is_dropped_once(void **state)
{
    RIG;
    assert_done(HEX_FLOW(RESUBMIT_2 OUTPUT_3));
    assert_done(HEX_FLOW("00170008 01000000" DEC_TTL OUTPUT_2, .table = 2));
    send_one(rig);
    assert_int_equal(left(rig, NULL), 0);
    assert_int_equal(drops(rig, DROP_ttl), 1);
    assert_int_equal(worker_punt_peek(rig->worker)->reason, PUNT_INVALID_TTL);
    worker_punt_consume(rig->worker);
}

static void
a_vector_of_packets_of_many_kinds_comes_back(void **state)
{
    RIG;
    assert_done(HEX_FLOW(RESUBMIT_2 OUTPUT_REG1, .priority = 1));
    assert_done(HEX_FLOW(LOAD_2_REG1, .table = 2, .priority = 1, .n_match = 1,
                         .match = { { FIELD_in_port, 1, 0 } }));
    assert_done(HEX_FLOW(LOAD_1_REG1 RESUBMIT_3, .table = 2, .priority = 1, .n_match = 1,
                         .match = { { FIELD_in_port, 2, 0 } }));
    assert_done(HEX_FLOW(OUTPUT_4, .table = 3));
    for (unsigned i = 0; i < 20; i++) {
        struct frame f = { .len = 0 };

        frame_eth(&f, 0x9999);
        frame_payload(&f, 46);
        rig_put(rig, 1 + i % 2, &f);
    }
    rig_run(rig);
    assert_int_equal(rig_take(rig, 1, NULL), 10);
    assert_int_equal(rig_take(rig, 2, NULL), 10);
    assert_int_equal(rig_take(rig, 4, NULL), 10);
}

static void
a_bucket_may_load_and_resubmit(void **state)
{
    RIG;

    assert_done(rig_hex_group(rig, 7, RESUBMIT_2 LOAD_1_REG1 LOAD_2_REG1));
    assert_done(FLOW(.group = 7));
    assert_done(HEX_FLOW(OUTPUT_REG1, .table = 2));
    send_one(rig);
    assert_int_equal(left(rig, NULL), 100);
}

/* --- Errors ------------------------------------------------------------------------------------ */

static void
actions_that_make_no_sense_get_their_errors(void **state)
{
    static const struct {
        const char *actions;
        uint32_t error;
    } cases[] = {
        { "ffff0010 00002321 000efff8 02000000", OFWIRE_OFPBAC_BAD_EXPERIMENTER },
        { "ffff0010 00002320 00630000 00000000", OFWIRE_OFPBAC_BAD_EXP_TYPE },
        { "ffff0008 00002320", OFWIRE_OFPBAC_BAD_LEN },
        { "ffff0018 00002320 000efff8 02000000 00000000 00000000", OFWIRE_OFPBAC_BAD_LEN },
        { "ffff0018 00002320 0007001f 00017804 00000000 00000001", OFWIRE_OFPBAC_BAD_SET_TYPE },
        { "ffff0018 00002320 00070020 00010204 00000000 00000001", OFWIRE_OFPBAC_BAD_SET_LEN },
        { "ffff0018 00002320 00070007 00010204 00000000 00000100", OFWIRE_OFPBAC_BAD_ARGUMENT },
        { "ffff0018 00002320 0007000f 00000802 00000000 00000800", OFWIRE_OFPBAC_BAD_SET_ARGUMENT },
        { "ffff0018 00002320 00060021 00000000 00010204 00010404", OFWIRE_OFPBAC_BAD_SET_LEN },
        { "ffff0018 00002320 00060020 00000000 00000e04 00010404", OFWIRE_OFPBAC_MATCH_INCONSISTENT },
        { "ffff0018 00002320 0007001f 00000e04 00000000 00000001", OFWIRE_OFPBAC_MATCH_INCONSISTENT },
    };
    RIG;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(HEX_FLOW(cases[i].actions), cases[i].error);
    }
    assert_int_equal(rig->bridge->n_flows, 0);
}

/* Else a packet that says so goes round for ever. */
static void
a_register_that_says_table_leads_nowhere(void **state)
{
    RIG;
    assert_done(HEX_FLOW("ffff0018 00002320 0007001f 00010204 00000000 fffffff9" OUTPUT_REG1));
    send_one(rig);
    assert_int_equal(drops(rig, DROP_no_port), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_loaded_register_is_matched_and_output_to),
        TEST(a_load_leaves_the_other_bits_alone),
        TEST(fields_of_the_header_are_loaded_and_moved),
        TEST(a_loaded_in_port_is_where_the_packet_came_from),
        TEST(what_is_pushed_is_popped),
        TEST(a_full_stack_drops),
        TEST(a_controller_action_gives_its_reason),
        TEST(notes_do_nothing_and_ttls_count_down),
        TEST(a_resubmit_comes_back_with_what_was_changed),
        TEST(a_table_without_an_entry_is_come_back_from),
        TEST(a_last_resubmit_without_an_entry_drops),
        TEST(a_miss_behind_a_last_resubmit_leaves_the_action_set),
        TEST(resubmits_go_on_inside_each_other_and_through_goto),
        TEST(a_resubmit_as_another_port_is_one_for_the_lookup_only),
        TEST(an_action_set_written_by_a_resubmit_is_carried_out_at_the_end),
        TEST(a_loop_of_resubmits_ends),
        TEST(a_loop_of_many_resubmits_ends_soon),
        TEST(a_packet_that_a_resubmit_drops_is_dropped_once),
        TEST(a_vector_of_packets_of_many_kinds_comes_back),
        TEST(a_bucket_may_load_and_resubmit),
        TEST(a_register_that_says_table_leads_nowhere),
        TEST(actions_that_make_no_sense_get_their_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
