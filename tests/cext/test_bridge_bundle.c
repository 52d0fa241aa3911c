/* bridge_bundle.c: all of a bundle or nothing (K16).  A bridge that is given bundles, some of which fail,
 * is compared after each with itself before, or with a twin that is given the same messages one by
 * one.  An argument is another seed. */

#include <stdlib.h>
#include <string.h>

#include "rig_test.h"

enum { MESSAGES = 12, ROUNDS = 3000, PACKET_TO = 3, PACKET_FROM = 1 };

static unsigned seed = 1;

static uint32_t
draw(uint32_t limit)
{
    return (uint32_t)rand() % limit;
}

/* --- What a bridge shows of itself --------------------------------------------------------- */

/* A kind of statistics: its request, and how long its entries are: 'size', or what they say at 'at'. */
struct kind {
    unsigned type;
    bool filtered;                      /* The request is one for flows. */
    uint32_t about;                     /* Or this, if it is not 0. */
    size_t at, size;
};

static const struct kind kinds[] = {
    { 1, true, 0, 0, 0 }, { 3, false, 0, 0, 24 }, { 6, false, GROUP_ALL_GROUPS, 0, 0 },
    { 7, false, 0, 0, 0 }, { 9, false, UINT32_MAX, 4, 0 }, { 10, false, UINT32_MAX, 0, 0 },
    { 13, false, 0, 0, 64 },
};

enum { N_KINDS = sizeof kinds / sizeof *kinds, MAX_ENTRIES = 512 };

struct entry {
    const uint8_t *data;
    size_t size;
};

static int
compare(const void *a_, const void *b_)
{
    const struct entry *a = a_, *b = b_;
    int order = memcmp(a->data, b->data, a->size < b->size ? a->size : b->size);

    return order ? order : (a->size > b->size) - (a->size < b->size);
}

/* Appends the entries in 'data' to 'shown', in an order that does not hang on where they lie. */
static void
show_entries(const struct buffer *data, size_t size_at, size_t size, struct buffer *shown)
{
    struct entry entries[MAX_ENTRIES];
    size_t n = 0;

    for (size_t at = 0; at < data->len; at += entries[n++].size) {
        assert_true(n < MAX_ENTRIES);
        entries[n].data = data->data + at;
        entries[n].size = size ? size : get_be16(data->data + at + size_at);
        assert_true(entries[n].size);
    }
    qsort(entries, n, sizeof *entries, compare);
    for (size_t i = 0; i < n; i++) {
        buffer_add(shown, entries[i].data, entries[i].size);
    }
}

static void
show_kind(struct rig *rig, const struct kind *kind, struct buffer *shown)
{
    struct buffer out = { 0 }, ends = { 0 };

    if (kind->filtered) {
        wire_flow_request(&rig->f, &(const struct wire_flow) { .table = 0xff });
    } else if (kind->about) {
        frame_add32(&rig->f, kind->about);
        frame_add32(&rig->f, 0);
    }
    assert_int_equal(rig_multipart(rig, kind->type, &out, &ends), OFWIRE_OK);
    show_entries(&out, kind->at, kind->size, shown);
    buffer_close(&out);
    buffer_close(&ends);
}

/* Templates, but for the memory that tables take: that depends on what was in them before. */
static void
show_templates(struct rig *rig, struct buffer *shown)
{
    enum { HEADER = 8, INDEX_AT = 72 };
    struct buffer out = { 0 }, ends = { 0 };

    frame_add64(&rig->f, (uint64_t)RAICHO << 32 | 1);
    frame_add64(&rig->f, (uint64_t)TEMPLATE_ALL << 32);
    assert_int_equal(rig_multipart(rig, 0xffff, &out, &ends), OFWIRE_OK);
    for (size_t at = HEADER; at < out.len; at += get_be16(out.data + at)) {
        memset(out.data + at + INDEX_AT, 0, 8);
    }
    show_entries(&(struct buffer) { .data = out.data + HEADER, .len = out.len - HEADER }, 0, 0, shown);
    buffer_close(&out);
    buffer_close(&ends);
}

static struct buffer
show(struct rig *rig)
{
    struct buffer shown = { 0 };

    for (unsigned i = 0; i < N_KINDS; i++) {
        show_kind(rig, &kinds[i], &shown);
    }
    show_templates(rig, &shown);
    show_entries(&rig->bridge->events, 2, 0, &shown);
    return shown;
}

static void
assert_same(struct buffer *a, struct buffer *b)
{
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->data, b->data, a->len);
    buffer_close(a);
    buffer_close(b);
}

/* --- Messages ----------------------------------------------------------------------------------- */

/* Which of several entries with one priority matches is not defined (OpenFlow 1.3.5, 5.3), and a bridge
 * and its twin may differ in that.  So an entry that the packet of send_some() meets has a priority of
 * its own; only the same match can have it too.  Others overlap as they like. */
static void
set_priority(struct wire_flow *flow)
{
    enum { PAST_OTHERS = 4 };
    const struct wire_oxm *to = &flow->match[0], *from = &flow->match[1];
    const bool any = flow->n_match == 0;

    if (any || (to->value == PACKET_TO && (flow->n_match == 1 || from->value == PACKET_FROM))) {
        flow->priority = PAST_OTHERS + (any ? 0 : 2 * flow->n_match + (to->mask != 0));
    } else {
        flow->priority = draw(3);
    }
}

static void
add_flow(struct frame *f)
{
    struct wire_flow flow = {
        .command = draw(5), .table = draw(3), .idle = draw(2) * 5,
        .hard = draw(2) * 9, .flags = draw(8), .cookie = draw(3), .output = { 1 + draw(3) },
        .group = draw(3) ? 0 : 1 + draw(4), .n_match = draw(3),
        .match = { { FIELD_eth_dst, draw(8), draw(2) ? 7 : 0 }, { FIELD_in_port, 1 + draw(2), 0 } },
    };

    flow.match[0].value &= flow.match[0].mask ? flow.match[0].mask : 7;
    flow.table = flow.command >= WIRE_DELETE && !draw(6) ? 0xff : flow.table;
    set_priority(&flow);
    wire_flow(f, &flow);
}

static void
add_group(struct frame *f)
{
    wire_group(f, &(const struct wire_group) {
        .command = draw(3), .type = 0, .id = draw(12) ? 1 + draw(4) : GROUP_ALL_GROUPS,
        .n = draw(3),
        .bucket = { { .output = 1 + draw(3) }, { .group = draw(2) ? 1 + draw(4) : 0 } },
    });
}

static void
add_meter(struct frame *f)
{
    size_t start = wire_begin(f, 29);

    frame_add16(f, draw(3));
    frame_add16(f, 1);
    frame_add32(f, draw(10) ? 1 + draw(3) : METER_ALL);
    for (unsigned i = draw(3); i; i--) {
        frame_add16(f, 1);
        frame_add16(f, 16);
        frame_add32(f, 1 + draw(9));
        frame_add64(f, 0);
    }
    of_end(f, start);
}

static void
add_port(struct frame *f)
{
    uint8_t mac[6] = { 0, 0, 0, 0, 0, 1 };

    wire_port_mod(f, 1, mac, draw(2) ? PORT_NO_FWD : 0, PORT_NO_FWD);
}

static void
add_template(struct frame *f)
{
    wire_template(f, &(const struct wire_template) {
        .command = draw(8) ? draw(2) : TEMPLATE_DELETE, .id = draw(12) ? 1 + draw(3) : TEMPLATE_ALL,
        .parameters = 1, .of = {
            .output = { 1 }, .group = draw(2) ? 1 + draw(4) : 0, .go_to = draw(2) ? 1 + draw(4) : 0,
        },
    });
}

static void
add_entry(struct frame *f)
{
    wire_flow_of(f, &(const struct wire_flow) {
        .command = draw(3), .table = draw(2), .priority = 3, .n_match = 1,
        .match = { { FIELD_eth_dst, draw(8), 0 } },
    }, 1 + draw(3), 1 + draw(4));
}

static void
add_any(struct frame *f)
{
    static void (*const adders[])(struct frame *) = {
        add_flow, add_flow, add_flow, add_flow, add_group, add_group, add_meter, add_port,
        add_template, add_template, add_template, add_entry, add_entry, add_entry,
    };

    adders[draw(sizeof adders / sizeof *adders)](f);
}

static uint32_t
apply_bundle(struct rig *rig, const struct buffer *messages, uint32_t *failed)
{
    return bridge_apply_bundle(rig->bridge, messages->data, messages->len, draw(2), failed,
                               rig->now);
}

static void
send_some(struct rig *rig)
{
    struct frame frame = { 0 };

    frame_add48(&frame, PACKET_TO);
    frame_add48(&frame, 9);
    frame_add16(&frame, 0x88b5);
    frame_add(&frame, "0123456789012345678901234567890123456789012345", 46);
    rig_put(rig, PACKET_FROM, &frame);
    rig_run(rig);
    for (unsigned port = 1; port <= RIG_PORTS; port++) {
        rig_take(rig, port, NULL);
    }
}

static void
test_a_bundle_is_its_messages_or_nothing(void **state)
{
    struct rig *rig = rig_new(), *twin = rig_new();
    unsigned n_done = 0, n_undone = 0;

    (void) state;
    srand(seed);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct buffer messages = { 0 }, before = show(rig), after;
        uint32_t failed = UINT32_MAX, n = 1 + draw(MESSAGES), result;

        for (uint32_t i = 0; i < n; i++) {
            rig->f.len = 0;
            add_any(&rig->f);
            buffer_add(&messages, rig->f.data, rig->f.len);
        }
        rig->f.len = 0;
        result = apply_bundle(rig, &messages, &failed);
        after = show(rig);
        if (result == OFWIRE_OK) {
            uint32_t results[MESSAGES];
            buffer_close(&before);
            assert_int_equal(bridge_apply_all(twin->bridge, messages.data, messages.len, results,
                                              MESSAGES, twin->now), n);
            before = show(twin);
            n_done++;
        } else {
            assert_true(failed < n);
            n_undone++;
        }
        assert_same(&before, &after);
        buffer_close(&messages);
        rig->bridge->events.len = twin->bridge->events.len = 0;
        send_some(rig);
        send_some(twin);
        rig_tick(rig, draw(3) ? 10 : 1500);
        twin->now = rig->now - 10;
        rig_tick(twin, 10);
    }
    assert_true(n_done > 100 && n_undone > 100);
    rig_free(rig);
    rig_free(twin);
}

/* --- One by one ------------------------------------------------------------------------------------ */

#define TO(VALUE) .n_match = 1, .match = { { FIELD_eth_dst, VALUE, 0 } }

static uint32_t
bundle_of(struct rig *rig, uint32_t *failed)
{
    uint32_t result = bridge_apply_bundle(rig->bridge, rig->f.data, rig->f.len, true, failed,
                                          rig->now);

    rig->f.len = 0;
    return result;
}

static void
test_an_empty_bundle_is_done(void **state)
{
    uint32_t failed;

    assert_int_equal(bundle_of(*state, &failed), OFWIRE_OK);
}

static void
test_the_message_that_fails_is_named_with_its_error(void **state)
{
    struct rig *rig = *state;
    uint32_t failed;

    wire_flow(&rig->f, &(const struct wire_flow) { TO(1), .output = { 1 } });
    wire_flow(&rig->f, &(const struct wire_flow) { TO(2), .output = { 1 }, .table = 0xff });
    assert_int_equal(bundle_of(rig, &failed), OFWIRE_OFPFMFC_BAD_TABLE_ID);
    assert_int_equal(failed, 1);
    assert_int_equal(rig->bridge->n_flows, 0);
}

static void
test_a_flow_that_came_back_times_out_as_it_would_have(void **state)
{
    struct rig *rig = *state;
    uint32_t failed;

    FLOW(TO(1), .output = { 1 }, .hard = 2);
    wire_flow(&rig->f, &(const struct wire_flow) { .command = WIRE_DELETE, .table = 0xff });
    wire_group(&rig->f, &(const struct wire_group) { .command = 9 });
    assert_int_equal(bundle_of(rig, &failed), OFWIRE_OFPGMFC_BAD_COMMAND);
    rig_tick(rig, 1900);
    assert_int_equal(rig->bridge->n_flows, 1);
    rig_tick(rig, 200);
    assert_int_equal(rig->bridge->n_flows, 0);
}

static void
test_packets_go_out_by_what_the_whole_bundle_made(void **state)
{
    struct rig *rig = *state;
    struct frame frame = { 0 };
    uint32_t failed;

    frame_add48(&frame, 1);
    frame_add48(&frame, 2);
    frame_add16(&frame, 0x88b5);
    frame_add(&frame, "0123456789012345678901234567890123456789012345", 46);
    wire_packet_out(&rig->f, PORT_CONTROLLER, PORT_TABLE, &frame);
    wire_flow(&rig->f, &(const struct wire_flow) { TO(1), .output = { 3 } });
    assert_int_equal(bundle_of(rig, &failed), OFWIRE_OK);
    rig_run(rig);
    assert_int_equal(rig_take(rig, 3, NULL), 1);
}

static void
test_a_packet_of_a_bundle_that_fails_is_not_sent(void **state)
{
    struct rig *rig = *state;
    struct frame frame = { .len = 60 };
    uint32_t failed;

    wire_packet_out(&rig->f, PORT_CONTROLLER, 2, &frame);
    wire_packet_out(&rig->f, PORT_CONTROLLER, PORT_MAX + 1, &frame);
    assert_int_equal(bundle_of(rig, &failed), OFWIRE_OFPBAC_BAD_OUT_PORT);
    assert_int_equal(failed, 1);
    rig_run(rig);
    assert_int_equal(rig_take(rig, 2, NULL), 0);
}

static void
test_what_cannot_be_undone_is_not_for_bundles(void **state)
{
    struct rig *rig = *state;
    uint32_t failed;

    wire_table_mod(&rig->f, 0, 0);
    assert_int_equal(bundle_of(rig, &failed), OFWIRE_OFPBRC_BAD_TYPE);
    assert_int_equal(failed, 0);
}

static void
test_a_message_that_is_cut_short_fails(void **state)
{
    struct rig *rig = *state;
    uint32_t failed;

    wire_flow(&rig->f, &(const struct wire_flow) { TO(1), .output = { 1 } });
    rig->f.len -= 8;
    assert_int_equal(bundle_of(rig, &failed), OFWIRE_OFPBRC_BAD_LEN);
    assert_int_equal(failed, 0);
}

int
main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bundle_is_its_messages_or_nothing),
        TEST(test_an_empty_bundle_is_done),
        TEST(test_the_message_that_fails_is_named_with_its_error),
        TEST(test_a_flow_that_came_back_times_out_as_it_would_have),
        TEST(test_packets_go_out_by_what_the_whole_bundle_made),
        TEST(test_a_packet_of_a_bundle_that_fails_is_not_sent),
        TEST(test_what_cannot_be_undone_is_not_for_bundles),
        TEST(test_a_message_that_is_cut_short_fails),
    };

    if (argc > 1) {
        seed = (unsigned)strtoul(argv[1], NULL, 10);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
