/* plugin.c, op_native.c: instructions of plug-ins as actions (G8).  What is wrong with shared objects is tested
 * where they are compiled (tests/plugins). */

#include "hexactions.h"
#include "rig_test.h"
#include "stamping.h"

#define GROUP_7 "00160008 00000007"

static int
set_up(void **state)
{
    struct rig *rig = rig_new();

    stamping_take(&rig->dataplane);
    *state = rig;
    return 0;
}

static void
put(struct rig *rig, unsigned n)
{
    struct frame f;

    frame_eth(&f, 0x88b5);
    frame_payload(&f, 46);
    for (unsigned i = 0; i < n; i++) {
        rig_put(rig, 1, &f);
    }
    rig_run(rig);
}

static void
assert_stamped(struct rig *rig, unsigned port)
{
    struct frame f;

    assert_int_equal(rig_take(rig, port, &f), 1);
    assert_memory_equal(f.data + ETH_SIZE, ((const uint8_t[]) { 0x0a, 0x0b, 0x0c }), 3);
}

static void
an_action_is_done_with_its_arguments(void **state)
{
    RIG;
    assert_int_equal(HEX_FLOW(STAMP OUTPUT_2, .table = 0), OFWIRE_OK);
    put(rig, 1);
    assert_stamped(rig, 2);
}

static void
it_may_drop_and_write_metadata(void **state)
{
    RIG;
    assert_int_equal(HEX_FLOW(HALVE, .go_to = 1), OFWIRE_OK);
    assert_int_equal(FLOW(.table = 1, .output = { 2 }, .n_match = 1, .match = { { FIELD_metadata, 1, 0 } }),
                     OFWIRE_OK);
    put(rig, 9);
    assert_int_equal(rig_take(rig, 2, NULL), 5);
    assert_int_equal(rig->worker->totals.drops[DROP_plugin], 4);
}

static void
a_bucket_may_have_it(void **state)
{
    RIG;
    assert_int_equal(rig_hex_group(rig, 7, STAMP OUTPUT_2), OFWIRE_OK);
    assert_int_equal(FLOW(.group = 7), OFWIRE_OK);
    put(rig, 1);
    assert_stamped(rig, 2);
}

/* What is in an entry's hands knows of its groups, beside instructions that are not the dataplane's. */
static void
entries_with_it_are_filtered_as_others(void **state)
{
    RIG;
    assert_int_equal(rig_hex_group(rig, 7, OUTPUT_2), OFWIRE_OK);
    assert_int_equal(HEX_FLOW(STAMP GROUP_7, .table = 0), OFWIRE_OK);
    assert_int_equal(rig_dumped(rig, &(const struct wire_flow) { .table = 255, .out_group = 7 }), 1);
    assert_int_equal(rig_dumped(rig, &(const struct wire_flow) { .table = 255, .out_group = 8 }), 0);
}

static void
it_stands_in_templates(void **state)
{
    RIG;
    size_t start = wire_template_head(&rig->f, &(const struct wire_template) { .id = 7, .parameters = 2 });
    size_t apply = of_begin_actions(&rig->f, WIRE_APPLY);

    frame_add_hex(&rig->f, STAMP OUTPUT_2);
    of_end(&rig->f, apply);
    of_end(&rig->f, start);
    assert_int_equal(rig_apply(rig), OFWIRE_OK);
    wire_flow_of(&rig->f, &(const struct wire_flow) { .table = 0 }, 7, 3);
    assert_int_equal(rig_apply(rig), OFWIRE_OK);
    put(rig, 1);
    assert_stamped(rig, 3);
}

static void
wrong_ones_are_refused(void **state)
{
    RIG;
    assert_int_equal(HEX_FLOW(STAMP_0, .table = 0), OFWIRE_OFPBAC_BAD_ARGUMENT);
    assert_int_equal(HEX_FLOW("ffff0010 00524348 80030000 00000000", .table = 0), OFWIRE_OFPBAC_BAD_EXP_TYPE);
    assert_int_equal(HEX_FLOW("ffff0018 00524348 80010a0b 0c000000 00000000 00000000", .table = 0),
                     OFWIRE_OFPBAC_BAD_LEN);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_AFTER(set_up, an_action_is_done_with_its_arguments),
        TEST_AFTER(set_up, it_may_drop_and_write_metadata),
        TEST_AFTER(set_up, a_bucket_may_have_it),
        TEST_AFTER(set_up, entries_with_it_are_filtered_as_others),
        TEST_AFTER(set_up, it_stands_in_templates),
        TEST_AFTER(set_up, wrong_ones_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
