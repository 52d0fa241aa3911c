/* bridge_features.c: what tables say that they can, and what they refuse once they are narrowed (K16). */

#include <stdlib.h>
#include <string.h>

#include "rig_test.h"

enum { FEATURES = 12, HEAD = 64, MAX_REPLY = 1 << 20 };

#define TO(VALUE) .n_match = 1, .match = { { FIELD_eth_dst, VALUE, 0 } }
#define assert_error(RESULT, NAME) assert_int_equal(RESULT, OFWIRE_##NAME)
#define assert_done(RESULT) assert_int_equal(RESULT, OFWIRE_OK)

/* --- Requests --------------------------------------------------------------------------------- */

static uint32_t
ask(struct rig *rig, const struct buffer *body, struct buffer *out, struct buffer *ends)
{
    return bridge_multipart(rig->bridge, FEATURES, body->data, body->len, out, ends, rig->now);
}

static struct buffer
read_all(struct rig *rig)
{
    struct buffer nothing = { 0 }, out = { 0 }, ends = { 0 };

    assert_done(ask(rig, &nothing, &out, &ends));
    for (size_t i = 0, begin = 0; i < ends.len / 4; i++) {
        uint32_t end = rig_part_end(&ends, i);
        assert_true(end - begin <= 65000);
        begin = end;
    }
    buffer_close(&ends);
    return out;
}

static uint32_t
write_all(struct rig *rig, const struct buffer *body)
{
    struct buffer out = { 0 }, ends = { 0 };
    uint32_t result = ask(rig, body, &out, &ends);

    buffer_close(&out);
    buffer_close(&ends);
    return result;
}

/* Appends the head of a table's features; the properties that follow are closed by end_table(). */
static size_t
begin_table(struct buffer *body, unsigned id)
{
    size_t start = body->len;
    uint8_t *at = buffer_put(body, HEAD);

    at[2] = id;
    put_be64(at + 40, UINT64_MAX);
    put_be64(at + 48, UINT64_MAX);
    return start;
}

static void
end_table(struct buffer *body, size_t start)
{
    put_be16(body->data + start, body->len - start);
}

static void
add_property(struct buffer *body, unsigned type, const void *data, size_t size)
{
    uint8_t head[4];

    put_be16(head, type);
    put_be16(head + 2, 4 + size);
    buffer_add(body, head, sizeof head);
    if (size) {
        buffer_add(body, data, size);
    }
    buffer_put(body, -(4 + size) % 8);
}

/* Ids of instructions or actions. */
static void
add_types(struct buffer *body, unsigned property, const uint16_t *types, unsigned n)
{
    uint8_t data[64];

    for (unsigned i = 0; i < n; i++) {
        put_be16(data + 4 * i, types[i]);
        put_be16(data + 4 * i + 2, 4);
    }
    add_property(body, property, data, 4 * (size_t) n);
}

static void
add_fields(struct buffer *body, unsigned property, const enum field *fields, unsigned n, bool mask)
{
    uint8_t data[64];

    for (unsigned i = 0; i < n; i++) {
        const struct field_info *info = &field_table[fields[i]];
        put_be16(data + 4 * i, info->oxm_class);
        data[4 * i + 2] = (uint8_t) (info->oxm_field << 1 | mask);
        data[4 * i + 3] = (uint8_t) (info->size << mask);
    }
    add_property(body, property, data, 4 * (size_t) n);
}

#define TYPES(BODY, PROPERTY, ...)                                              \
    add_types(BODY, PROPERTY, (const uint16_t[]) { __VA_ARGS__ },               \
              sizeof((const uint16_t[]) { __VA_ARGS__ }) / 2)
#define FIELDS_OF(BODY, PROPERTY, MASK, ...)                                    \
    add_fields(BODY, PROPERTY, (const enum field[]) { __VA_ARGS__ },            \
               sizeof((const enum field[]) { __VA_ARGS__ }) / sizeof(enum field), MASK)

/* Tables 0 and 1: eth_dst (exact) and in_port must be matched, but in_port may be left out; apply-actions with
 * output only, goto from 0 to 1, metadata of which a controller may write 0xff. */
static struct buffer
narrow_tables(void)
{
    struct buffer body = { 0 };

    for (unsigned id = 0; id < 2; id++) {
        size_t start = begin_table(&body, id);
        put_be64(body.data + start + 40, 0xff);
        put_be64(body.data + start + 48, 0xff);
        memcpy(body.data + start + 8, "narrow", 6);
        TYPES(&body, TABLE_INSTRUCTIONS, 1, 2, 4);
        if (!id) {
            add_property(&body, TABLE_NEXT, "\1", 1);
        }
        TYPES(&body, TABLE_APPLY_ACTIONS, 0, 25);
        FIELDS_OF(&body, TABLE_MATCH, false, FIELD_eth_dst, FIELD_in_port, FIELD_metadata);
        FIELDS_OF(&body, TABLE_WILDCARDS, false, FIELD_in_port, FIELD_metadata);
        FIELDS_OF(&body, TABLE_APPLY_SETFIELD, false, FIELD_eth_src);
        end_table(&body, start);
    }
    return body;
}

static void
narrow(struct rig *rig)
{
    struct buffer body = narrow_tables();

    assert_done(write_all(rig, &body));
    buffer_close(&body);
}

/* --- Reading ------------------------------------------------------------------------------------ */

static void
test_there_are_255_tables_whose_features_fill_several_parts(void **state)
{
    RIG;
    struct buffer out = read_all(rig);
    unsigned n = 0;

    for (size_t at = 0; at < out.len; at += get_be16(out.data + at), n++) {
        assert_int_equal(out.data[at + 2], n);
        assert_int_equal(get_be64(out.data + at + 40), UINT64_MAX);
    }
    assert_int_equal(n, 255);
    assert_string_equal((char *) out.data + 8, "table0");
    buffer_close(&out);
}

static void
test_what_is_read_can_be_written_and_changes_nothing(void **state)
{
    RIG;
    FLOW(TO(1), .output = { 2 }, .group = 0, .metadata = 5, .go_to = 9);
    struct buffer before = read_all(rig);
    assert_done(write_all(rig, &before));
    struct buffer after = read_all(rig);

    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, after.len);
    assert_int_equal(rig->bridge->n_flows, 1);
    buffer_close(&before);
    buffer_close(&after);
}

static void
test_what_is_written_is_read(void **state)
{
    RIG;
    narrow(rig);
    struct buffer wanted = narrow_tables(), out = read_all(rig);

    assert_string_equal((char *) out.data + 8, "narrow");
    assert_int_equal(get_be64(out.data + 40), 0xff);
    assert_int_equal(get_be16(out.data + 64), TABLE_INSTRUCTIONS);
    assert_memory_equal(out.data + 64, wanted.data + 64, 16);
    assert_int_equal(out.data[get_be16(out.data) + 2], 1);
    assert_int_equal(get_be16(out.data) + get_be16(out.data + get_be16(out.data)), out.len);
    buffer_close(&wanted);
    buffer_close(&out);
}

/* --- A narrowed table ----------------------------------------------------------------------------- */

static void
test_flows_within_the_features_are_added(void **state)
{
    RIG;
    narrow(rig);
    assert_done(FLOW(TO(1), .output = { 2 }, .go_to = 1, .metadata = 0));
    assert_done(FLOW(.n_match = 2, .priority = 2, .output = { 2 },
                     .match = { { FIELD_eth_dst, 1, 0 }, { FIELD_in_port, 1, 0 } }));
}

static void
test_flows_outside_of_the_features_have_their_errors(void **state)
{
    RIG;
    narrow(rig);
    assert_error(FLOW(TO(1), .table = 2), OFPFMFC_BAD_TABLE_ID);
    assert_error(FLOW(TO(1), .go_to = 2), OFPBIC_BAD_TABLE_ID);
    assert_error(FLOW(TO(1), .clear = true), OFPBIC_UNSUP_INST);
    assert_error(FLOW(TO(1), .write_output = 1), OFPBIC_UNSUP_INST);
    assert_error(FLOW(TO(1), .metadata = 0x100), OFPBIC_UNSUP_METADATA_MASK);
    assert_error(FLOW(.n_match = 1, .priority = 1, .match = { { FIELD_in_port, 1, 0 } }),
                 OFPBMC_BAD_WILDCARDS);
    assert_error(FLOW(.n_match = 1, .match = { { FIELD_eth_src, 1, 0 } }), OFPBMC_BAD_FIELD);
    assert_error(FLOW(.n_match = 1, .match = { { FIELD_eth_dst, 1, 1 } }), OFPBMC_BAD_MASK);
    assert_error(FLOW(.n_match = 2, .match = { { FIELD_eth_dst, 1, 0 }, { FIELD_metadata, 1, 0 } }),
                 OFPBMC_BAD_MASK);
    GROUP(.id = 1);
    assert_error(FLOW(TO(1), .group = 1), OFPBAC_BAD_TYPE);
    assert_int_equal(rig->bridge->n_flows, 0);
}

static void
test_the_miss_entry_may_leave_everything_out(void **state)
{
    RIG;
    narrow(rig);
    assert_done(FLOW(.output = { 2 }));
    assert_error(FLOW(.priority = 1, .output = { 2 }), OFPBMC_BAD_WILDCARDS);
}

static void
test_flows_that_may_not_be_any_more_go(void **state)
{
    RIG;
    FLOW(TO(1), .output = { 2 }, .flags = WIRE_SEND_FLOW_REM);
    FLOW(TO(2), .write_output = 2, .flags = WIRE_SEND_FLOW_REM);
    FLOW(TO(1), .table = 7, .flags = WIRE_SEND_FLOW_REM);
    narrow(rig);
    assert_int_equal(rig->bridge->n_flows, 1);
    assert_int_equal(DUMPED(.table = 0), 1);
    assert_true(rig->bridge->events.len > 0);
}

static void
test_a_later_write_gives_back_what_was_taken(void **state)
{
    RIG;
    struct buffer all = read_all(rig);
    narrow(rig);
    assert_done(write_all(rig, &all));
    assert_done(FLOW(TO(1), .table = 2, .write_output = 2));
    buffer_close(&all);
}

/* --- What cannot be -------------------------------------------------------------------------------- */

/* Features of table 0 with one property. */
static struct buffer
with_property(unsigned type, const void *data, size_t size)
{
    struct buffer body = { 0 };
    size_t start = begin_table(&body, 0);

    add_property(&body, type, data, size);
    end_table(&body, start);
    return body;
}

static void
assert_refused(struct rig *rig, struct buffer body, uint32_t error)
{
    assert_int_equal(write_all(rig, &body), error);
    assert_done(FLOW(TO(1), .table = 2, .write_output = 2));        /* Nothing has changed. */
    buffer_close(&body);
}

#define REFUSED(BODY, NAME) assert_refused(rig, BODY, OFWIRE_OFPTFFC_##NAME)

static void
test_each_mistake_has_its_error(void **state)
{
    RIG;
    struct buffer twice = { 0 }, elsewhere = { 0 }, beyond = { 0 }, cut = { 0 }, config = { 0 };

    end_table(&twice, begin_table(&twice, 0));
    end_table(&twice, begin_table(&twice, 0));
    REFUSED(twice, BAD_TABLE);
    end_table(&elsewhere, begin_table(&elsewhere, 1));
    REFUSED(elsewhere, BAD_TABLE);
    end_table(&beyond, begin_table(&beyond, 255));
    REFUSED(beyond, BAD_TABLE);
    begin_table(&cut, 0);
    REFUSED(cut, BAD_LEN);
    end_table(&config, begin_table(&config, 0));
    put_be32(config.data + 56, 4);
    REFUSED(config, BAD_ARGUMENT);
    REFUSED(with_property(9, NULL, 0), BAD_TYPE);
    REFUSED(with_property(16, NULL, 0), BAD_TYPE);
    REFUSED(with_property(0xffff, "\0\0\0\1\0\0\0\1", 8), BAD_TYPE);
    REFUSED(with_property(TABLE_INSTRUCTIONS, "\0\7\0\4", 4), BAD_ARGUMENT);
    REFUSED(with_property(TABLE_INSTRUCTIONS, "\0\1\0", 3), BAD_LEN);
    REFUSED(with_property(TABLE_APPLY_ACTIONS, "\0\1\0\4", 4), BAD_ARGUMENT);
    REFUSED(with_property(TABLE_NEXT, "\0", 1), BAD_ARGUMENT);
    REFUSED(with_property(TABLE_MATCH, "\x80\0\xf0\4", 4), BAD_ARGUMENT);
    REFUSED(with_property(TABLE_MATCH, "\x80\0\1\10", 4), BAD_ARGUMENT);     /* in_port with a mask */
    REFUSED(with_property(TABLE_APPLY_SETFIELD, "\x80\0\0\4", 4), BAD_ARGUMENT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_there_are_255_tables_whose_features_fill_several_parts),
        TEST(test_what_is_read_can_be_written_and_changes_nothing),
        TEST(test_what_is_written_is_read),
        TEST(test_flows_within_the_features_are_added),
        TEST(test_flows_outside_of_the_features_have_their_errors),
        TEST(test_the_miss_entry_may_leave_everything_out),
        TEST(test_flows_that_may_not_be_any_more_go),
        TEST(test_a_later_write_gives_back_what_was_taken),
        TEST(test_each_mistake_has_its_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
