/* bridge_group.c: group-mods, what refers to what, and the statistics of groups (K16). */

#include <stdlib.h>
#include <string.h>

#include "rig_test.h"

#define assert_error(RESULT, NAME) assert_int_equal(RESULT, OFWIRE_##NAME)
#define assert_done(RESULT) assert_int_equal(RESULT, OFWIRE_OK)

/* A group of one bucket that goes on to another group. */
static uint32_t
chain(struct rig *rig, unsigned command, uint32_t id, uint32_t next)
{
    return GROUP(.command = command, .id = id, .type = GROUP_INDIRECT, .n = 1,
                 .bucket = { { .group = next } });
}

static uint32_t
refs(struct rig *rig, uint32_t id)
{
    return group_find(&rig->bridge->groups, id)->refs;
}

static void
test_a_group_is_added_once(void **state)
{
    RIG;
    assert_done(GROUP(.id = 1, .type = GROUP_ALL));
    assert_error(GROUP(.id = 1, .type = GROUP_ALL), OFPGMFC_GROUP_EXISTS);
    assert_error(GROUP(.command = WIRE_GROUP_MODIFY, .id = 2), OFPGMFC_UNKNOWN_GROUP);
}

static void
test_a_group_mod_that_is_wrong_gets_its_error_and_changes_nothing(void **state)
{
    RIG;
    assert_error(GROUP(.command = 3, .id = 1), OFPGMFC_BAD_COMMAND);
    assert_error(GROUP(.id = 1, .type = 4), OFPGMFC_BAD_TYPE);
    assert_error(GROUP(.id = GROUP_MAX + 1), OFPGMFC_INVALID_GROUP);
    assert_error(GROUP(.command = WIRE_GROUP_MODIFY, .id = GROUP_ALL_GROUPS), OFPGMFC_INVALID_GROUP);
    assert_error(GROUP(.id = 1, .type = GROUP_INDIRECT), OFPGMFC_INVALID_GROUP);
    assert_error(GROUP(.id = 1, .type = GROUP_INDIRECT, .n = 2), OFPGMFC_INVALID_GROUP);
    assert_error(GROUP(.id = 1, .type = GROUP_FAST_FAILOVER, .n = 1), OFPGMFC_BAD_WATCH);
    assert_error(GROUP(.id = 1, .n = 1, .bucket = { { .watch_group = 7 } }), OFPGMFC_BAD_WATCH);
    assert_error(GROUP(.id = 1, .n = 1, .bucket = { { .watch_port = PORT_ALL } }), OFPGMFC_BAD_WATCH);
    assert_error(GROUP(.id = 1, .n = 2, .bucket = { { .output = 1 }, { .output = 0xffffff01 } }),
                 OFPBAC_BAD_OUT_PORT);
    assert_error(GROUP(.id = 1, .n = 1, .bucket = { { .group = 7 } }), OFPBAC_BAD_OUT_GROUP);
    wire_group(&rig->f, &(const struct wire_group) { .id = 1, .n = 1 });
    put_be16(rig->f.data + 16, 24);
    assert_error(rig_apply(rig), OFPGMFC_BAD_BUCKET);
    wire_group(&rig->f, &(const struct wire_group) { .id = 1, .n = 1 });
    put_be16(rig->f.data + 16, 8);
    assert_error(rig_apply(rig), OFPGMFC_BAD_BUCKET);
    assert_int_equal(rig->bridge->groups.map.n, 0);
    assert_int_equal(rig->dataplane.programs.n_programs, rig->n_programs);
}

static void
test_too_many_buckets_for_their_statistics_are_refused(void **state)
{
    RIG;
    enum { N = 4001 };
    size_t size = 16 + N * 16;
    uint8_t *message = calloc(1, size);
    wire_group(&rig->f, &(const struct wire_group) { .id = 1, .n = 1 });
    memcpy(message, rig->f.data, 16);
    put_be16(message + 2, (uint16_t)size);
    for (unsigned i = 0; i < N; i++) {
        memcpy(message + 16 + i * 16, rig->f.data + 16, 16);
    }
    rig->f.len = 0;
    assert_error(bridge_apply(rig->bridge, message, size, rig->now), OFPGMFC_OUT_OF_BUCKETS);
    put_be16(message + 2, (uint16_t)(size - 16));
    assert_done(bridge_apply(rig->bridge, message, size - 16, rig->now));
    free(message);
}

/* --- Chains ----------------------------------------------------------------------------------- */

/* M5 */
static void
test_a_modify_that_makes_a_loop_is_refused(void **state)
{
    RIG;
    assert_done(GROUP(.id = 1, .type = GROUP_ALL));
    assert_error(chain(rig, WIRE_GROUP_MODIFY, 1, 1), OFPGMFC_LOOP);
    assert_done(chain(rig, WIRE_GROUP_ADD, 2, 1));
    assert_done(chain(rig, WIRE_GROUP_ADD, 3, 2));
    assert_error(chain(rig, WIRE_GROUP_MODIFY, 1, 3), OFPGMFC_LOOP);
    assert_int_equal(refs(rig, 3), 0);
    assert_int_equal(refs(rig, 1), 1);
    assert_error(GROUP(.command = WIRE_GROUP_MODIFY, .id = 1, .type = GROUP_FAST_FAILOVER, .n = 2,
                       .bucket = { { .watch_port = 1 }, { .watch_group = 3 } }), OFPGMFC_LOOP);
}

static void
test_a_chain_deeper_than_packets_are_taken_is_refused(void **state)
{
    RIG;
    assert_done(GROUP(.id = 1, .type = GROUP_ALL));
    for (uint32_t id = 2; id <= GROUP_DEPTH; id++) {
        assert_done(chain(rig, WIRE_GROUP_ADD, id, id - 1));
    }
    assert_error(chain(rig, WIRE_GROUP_ADD, 100, GROUP_DEPTH), OFPGMFC_CHAINING_UNSUPPORTED);
    assert_done(chain(rig, WIRE_GROUP_ADD, 100, GROUP_DEPTH - 1));
}

static void
test_many_ways_through_few_groups_are_searched_at_once(void **state)
{
    RIG;
    assert_done(GROUP(.id = 1, .type = GROUP_ALL));
    for (uint32_t id = 2; id <= GROUP_DEPTH; id++) {
        const struct wire_bucket next = { .group = id - 1 };
        size_t start = rig->f.len;
        wire_group(&rig->f, &(const struct wire_group) { .id = id, .type = GROUP_ALL });
        for (unsigned i = 0; i < 100; i++) {
            wire_bucket(&rig->f, &next);
        }
        of_end(&rig->f, start);
        assert_done(rig_apply(rig));            /* 100^15 ways, should each be taken. */
    }
    assert_int_equal(refs(rig, 1), 100);
    assert_error(chain(rig, WIRE_GROUP_MODIFY, 1, GROUP_DEPTH), OFPGMFC_LOOP);
}

static void
test_what_refers_to_a_group_is_counted(void **state)
{
    RIG;
    GROUP(.id = 1, .type = GROUP_ALL);
    FLOW(.group = 1);
    FLOW(.priority = 1, .write_group = 1);
    chain(rig, WIRE_GROUP_ADD, 2, 1);
    assert_int_equal(refs(rig, 1), 3);
    FLOW(.group = 1);                                   /* Replaced by itself. */
    assert_int_equal(refs(rig, 1), 3);
    FLOW(.command = WIRE_MODIFY, .output = { 1 });
    assert_int_equal(refs(rig, 1), 1);
    GROUP(.command = WIRE_GROUP_MODIFY, .id = 2, .type = GROUP_ALL);
    assert_int_equal(refs(rig, 1), 0);
}

/* --- Deleting ----------------------------------------------------------------------------------- */

static void
test_a_group_takes_the_flows_that_name_it_along(void **state)
{
    RIG;
    GROUP(.id = 1, .type = GROUP_ALL);
    GROUP(.id = 2, .type = GROUP_ALL);
    FLOW(.table = 4, .group = 1, .flags = WIRE_SEND_FLOW_REM);
    FLOW(.table = 5, .write_group = 1);
    FLOW(.table = 6, .group = 2);
    assert_done(GROUP(.command = WIRE_GROUP_DELETE, .id = 1, .type = 99));
    assert_int_equal(rig->bridge->n_flows, 1);
    assert_int_equal(rig->bridge->events.data[18], 3);          /* OFPRR_GROUP_DELETE */
    assert_null(group_find(&rig->bridge->groups, 1));
}

static void
test_to_delete_no_group_is_no_error(void **state)
{
    RIG;
    assert_done(GROUP(.command = WIRE_GROUP_DELETE, .id = 5));
    assert_done(GROUP(.command = WIRE_GROUP_DELETE, .id = GROUP_ALL_GROUPS));
}

static void
test_a_group_that_another_one_uses_stays(void **state)
{
    RIG;
    GROUP(.id = 1, .type = GROUP_ALL);
    chain(rig, WIRE_GROUP_ADD, 2, 1);
    assert_error(GROUP(.command = WIRE_GROUP_DELETE, .id = 1), OFPGMFC_CHAINED_GROUP);
    assert_done(GROUP(.command = WIRE_GROUP_DELETE, .id = 2));
    assert_done(GROUP(.command = WIRE_GROUP_DELETE, .id = 1));
}

static void
test_all_groups_go_at_once_however_they_are_chained(void **state)
{
    RIG;
    GROUP(.id = 1, .type = GROUP_ALL);
    for (uint32_t id = 2; id < 12; id++) {
        chain(rig, WIRE_GROUP_ADD, id, id - 1);
        FLOW(.priority = id, .group = id);
    }
    FLOW(.priority = 99, .output = { 1 });
    assert_done(GROUP(.command = WIRE_GROUP_DELETE, .id = GROUP_ALL_GROUPS));
    assert_int_equal(rig->bridge->groups.map.n, 0);
    assert_int_equal(rig->bridge->n_flows, 1);
}

/* --- Statistics ----------------------------------------------------------------------------------- */

static struct buffer
ask(struct rig *rig, unsigned type, uint32_t id)
{
    struct buffer out = { 0 }, ends = { 0 };

    if (id) {
        frame_add64(&rig->f, (uint64_t)id << 32);
    }
    assert_done(rig_multipart(rig, type, &out, &ends));
    assert_int_equal(rig_part_end(&ends, ends.len / 4 - 1), out.len);
    buffer_close(&ends);
    return out;
}

static void
test_statistics_of_one_group_and_of_all(void **state)
{
    RIG;
    GROUP(.id = 1, .type = GROUP_ALL, .n = 2);
    FLOW(.group = 1);
    rig_tick(rig, 4000);
    GROUP(.id = 2, .type = GROUP_SELECT, .n = 1, .bucket = { { .weight = 1 } });
    struct buffer out = ask(rig, 6, 1);
    assert_int_equal(out.len, 72);
    assert_int_equal(get_be16(out.data), 72);
    assert_int_equal(get_be32(out.data + 4), 1);
    assert_int_equal(get_be32(out.data + 8), 1);        /* References. */
    assert_int_equal(get_be32(out.data + 32), 4);
    buffer_close(&out);
    out = ask(rig, 6, GROUP_ALL_GROUPS);
    assert_int_equal(out.len, 72 + 56);
    buffer_close(&out);
}

static void
test_a_description_gives_back_what_was_sent(void **state)
{
    RIG;
    const struct wire_group group = {
        .id = 9, .type = GROUP_FAST_FAILOVER, .n = 2,
        .bucket = { { .watch_port = 1, .output = 1 }, { .watch_port = 2, .output = 2 } },
    };
    assert_done(rig_group(rig, &group));
    struct buffer out = ask(rig, 7, 0);
    wire_group(&rig->f, &group);
    assert_int_equal(out.len, rig->f.len - 16 + 8);
    assert_int_equal(out.data[2], GROUP_FAST_FAILOVER);
    assert_int_equal(get_be32(out.data + 4), 9);
    assert_memory_equal(out.data + 8, rig->f.data + 16, rig->f.len - 16);
    rig->f.len = 0;
    buffer_close(&out);
}

static void
test_the_features_name_what_is_implemented(void **state)
{
    RIG;
    struct buffer out = ask(rig, 8, 0);
    assert_int_equal(out.len, 40);
    assert_int_equal(get_be32(out.data), 0xf);
    assert_int_equal(get_be32(out.data + 24) & (1 << 22 | 1 << 25 | 1), 1 << 22 | 1 << 25 | 1);
    buffer_close(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_group_is_added_once),
        TEST(test_a_group_mod_that_is_wrong_gets_its_error_and_changes_nothing),
        TEST(test_too_many_buckets_for_their_statistics_are_refused),
        TEST(test_a_modify_that_makes_a_loop_is_refused),
        TEST(test_a_chain_deeper_than_packets_are_taken_is_refused),
        TEST(test_many_ways_through_few_groups_are_searched_at_once),
        TEST(test_what_refers_to_a_group_is_counted),
        TEST(test_a_group_takes_the_flows_that_name_it_along),
        TEST(test_to_delete_no_group_is_no_error),
        TEST(test_a_group_that_another_one_uses_stays),
        TEST(test_all_groups_go_at_once_however_they_are_chained),
        TEST(test_statistics_of_one_group_and_of_all),
        TEST(test_a_description_gives_back_what_was_sent),
        TEST(test_the_features_name_what_is_implemented),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
