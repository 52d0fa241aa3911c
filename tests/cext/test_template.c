/* template.c, op_template.c, bridge_template.c: entries that refer to a template do what they would do
 * with its instructions and their own, and change with it (P6). */

#include <stdlib.h>
#include <string.h>

#include "rig_test.h"

enum { THE_ID = 7, EXPERIMENTER = 0xffff, STATS_AT = 8 };

#define assert_error(RESULT, NAME) assert_int_equal(RESULT, OFWIRE_##NAME)
#define assert_refused(RESULT, NAME) assert_int_equal(RESULT, OFWIRE_TEMPLATE(NAME))
#define assert_done(RESULT) assert_int_equal(RESULT, OFWIRE_OK)

#define TO(VALUE) .n_match = 1, .match = { { FIELD_eth_dst, VALUE, 0 } }

static uint32_t
rig_template(struct rig *rig, const struct wire_template *template)
{
    wire_template(&rig->f, template);
    return rig_apply(rig);
}

#define TEMPLATE(...) rig_template(rig, &(const struct wire_template) { .id = THE_ID, __VA_ARGS__ })

static uint32_t
rig_flow_of(struct rig *rig, uint32_t id, uint32_t port, const struct wire_flow *flow)
{
    wire_flow_of(&rig->f, flow, id, port);
    return rig_apply(rig);
}

#define FLOW_OF(PORT, ...) \
    rig_flow_of(rig, THE_ID, PORT, &(const struct wire_flow) { __VA_ARGS__ })

static void
frame_to(struct frame *f, uint64_t dst)
{
    *f = (struct frame) { .len = 0 };
    frame_eth(f, ETH_TYPE_IPV4);
    put_be48(f->data, dst);
    frame_ipv4(f, IP_PROTO_UDP, 0, 0);
    frame_udp(f, 20);
    frame_end(f);
}

/* Sends a frame to 'dst' in by port 1; returns how many of it leave by port 'out'. */
static unsigned
passed(struct rig *rig, uint64_t dst, unsigned out, struct frame *last)
{
    struct frame f;
    unsigned n = 0;

    frame_to(&f, dst);
    rig_put(rig, 1, &f);
    rig_run(rig);
    for (unsigned port = 1; port <= RIG_PORTS; port++) {
        unsigned taken = rig_take(rig, port, port == out ? last : NULL);
        n = port == out ? taken : n;
    }
    return n;
}

/* The flow statistics of all tables, without durations. */
static struct buffer
flows(struct rig *rig, uint32_t out_port, uint32_t out_group)
{
    struct buffer out = { 0 }, ends = { 0 };

    wire_flow_request(&rig->f, &(const struct wire_flow) {
        .table = 255, .out_port = out_port, .out_group = out_group,
    });
    assert_done(rig_multipart(rig, 1, &out, &ends));
    for (size_t at = 0; at < out.len; at += get_be16(out.data + at)) {
        memset(out.data + at + 4, 0, 8);
    }
    buffer_close(&ends);
    return out;
}

/* --- What entries do ------------------------------------------------------------------------------ */

static void
test_an_entry_has_its_argument_and_the_rest_from_the_template(void **state)
{
    RIG;
    assert_done(TEMPLATE(.parameters = 2, .of = { .output = { 4, 1 } }));
    assert_done(FLOW_OF(2, TO(2)));
    assert_done(FLOW_OF(3, TO(3)));
    assert_int_equal(passed(rig, 2, 4, NULL), 1);
    assert_int_equal(passed(rig, 2, 2, NULL), 1);
    assert_int_equal(passed(rig, 2, 3, NULL), 0);
    assert_int_equal(passed(rig, 3, 3, NULL), 1);
}

static void
test_a_dump_shows_the_instructions_as_if_they_had_been_sent(void **state)
{
    RIG;
    const struct wire_flow whole = { TO(2), .output = { 4, 3 }, .metadata = 5, .go_to = 9 };
    struct buffer plain, templated;

    wire_flow(&rig->f, &whole);
    assert_done(rig_apply(rig));
    plain = flows(rig, 0, 0);
    assert_done(FLOW(.command = WIRE_DELETE));
    assert_done(TEMPLATE(.parameters = 2, .of = { .output = { 4, 1 }, .metadata = 5, .go_to = 9 }));
    assert_done(FLOW_OF(3, TO(2)));
    templated = flows(rig, 0, 0);
    assert_int_equal(plain.len, templated.len);
    assert_memory_equal(plain.data, templated.data, plain.len);
    buffer_close(&plain);
    buffer_close(&templated);
}

static void
test_a_change_reaches_all_entries(void **state)
{
    RIG;
    assert_done(TEMPLATE(.parameters = 2, .of = { .output = { 4, 1 } }));
    assert_done(FLOW_OF(2, TO(2)));
    assert_done(FLOW_OF(3, TO(3)));
    assert_done(TEMPLATE(.command = TEMPLATE_MODIFY, .parameters = 1, .of = { .output = { 1 } }));
    assert_int_equal(passed(rig, 2, 4, NULL), 0);
    assert_int_equal(passed(rig, 2, 2, NULL), 1);
    assert_int_equal(passed(rig, 3, 3, NULL), 1);
    assert_int_equal(DUMPED(.table = 255, .out_port = 4), 0);
}

static void
test_packets_go_on_where_the_template_says(void **state)
{
    RIG;
    assert_done(TEMPLATE(.parameters = 1, .of = { .output = { 1 }, .go_to = 2 }));
    assert_done(FLOW_OF(2, TO(2)));
    assert_done(FLOW(.table = 2, .output = { 3 }));
    assert_done(FLOW(.table = 5, .output = { 4 }));
    assert_int_equal(passed(rig, 2, 2, NULL), 1);
    assert_int_equal(passed(rig, 2, 3, NULL), 1);
    assert_done(TEMPLATE(.command = TEMPLATE_MODIFY, .parameters = 1,
                         .of = { .output = { 1 }, .go_to = 5 }));
    assert_int_equal(passed(rig, 2, 3, NULL), 0);
    assert_int_equal(passed(rig, 2, 4, NULL), 1);
}

/* A write-actions is one item: here the first of two, behind it a goto. */
static void
test_write_actions_are_an_argument_as_a_whole(void **state)
{
    RIG;
    struct frame *f = &rig->f;

    assert_done(TEMPLATE(.parameters = 2, .of = { .output = { 4 }, .write_output = 1, .go_to = 1 }));
    size_t start = wire_flow_head(f, &(const struct wire_flow) { .priority = 1 });
    wire_match(f, NULL, 0);
    size_t use = wire_begin_use(f, THE_ID);
    wire_actions(f, WIRE_WRITE, (const uint32_t[2]) { 2 }, 0);
    of_end(f, use);
    of_end(f, start);
    assert_done(rig_apply(rig));
    assert_done(FLOW(.table = 1));
    assert_int_equal(passed(rig, 9, 4, NULL), 1);
    assert_int_equal(passed(rig, 9, 2, NULL), 1);
    assert_int_equal(DUMPED(.table = 255, .out_port = 2), 1);
}

/* Two blocks of an action set, one from a template and one from an entry, are merged. */
static void
test_a_packet_that_met_two_templates_has_the_last_of_each_action(void **state)
{
    RIG;
    assert_done(TEMPLATE(.of = { .write_output = 2, .go_to = 1 }));
    assert_done(rig_template(rig, &(const struct wire_template) {
        .id = 8, .of = { .write_output = 3 },
    }));
    assert_done(FLOW_OF(0, .priority = 1));
    assert_done(rig_flow_of(rig, 8, 0, &(const struct wire_flow) { .table = 1 }));
    assert_int_equal(passed(rig, 9, 2, NULL), 0);
    assert_int_equal(passed(rig, 9, 3, NULL), 1);
}

static void
test_a_way_that_is_remembered_follows_a_change(void **state)
{
    RIG;
    atomic_store(&rig->worker->cache.mode, CACHE_ALWAYS);
    assert_done(FLOW(.go_to = 1));
    assert_done(TEMPLATE(.parameters = 1, .of = { .output = { 1 }, .go_to = 2 }));
    assert_done(FLOW_OF(2, .table = 1, TO(2)));
    assert_done(FLOW(.table = 2, .output = { 3 }));
    assert_done(FLOW(.table = 5, .output = { 4 }));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(passed(rig, 2, 3, NULL), 1);
    }
    assert_true(atomic_load(&rig->worker->cache.hits) > 0);
    assert_done(TEMPLATE(.command = TEMPLATE_MODIFY, .parameters = 1,
                         .of = { .output = { 1 }, .go_to = 5 }));
    assert_int_equal(passed(rig, 2, 4, NULL), 1);
    assert_int_equal(passed(rig, 2, 2, NULL), 1);
}

/* --- What they refer to --------------------------------------------------------------------------- */

static uint32_t
group_refs(struct rig *rig, uint32_t id)
{
    return group_find(&rig->bridge->groups, id)->refs;
}

static void
test_entries_count_as_users_of_what_the_template_names(void **state)
{
    RIG;
    assert_done(GROUP(.id = 1, .n = 1, .bucket = { { .output = 2 } }));
    assert_done(GROUP(.id = 2, .n = 1, .bucket = { { .output = 3 } }));
    assert_done(METER(.id = 1, .flags = 1));
    assert_done(TEMPLATE(.of = { .meter = 1, .group = 1 }));
    assert_done(FLOW_OF(0, TO(2)));
    assert_done(FLOW_OF(0, TO(3)));
    assert_int_equal(group_refs(rig, 1), 2);
    assert_int_equal(meter_find(&rig->bridge->meters, 1)->n_flows, 2);
    assert_done(TEMPLATE(.command = TEMPLATE_MODIFY, .of = { .group = 2 }));
    assert_int_equal(group_refs(rig, 1), 0);
    assert_int_equal(group_refs(rig, 2), 2);
    assert_int_equal(meter_find(&rig->bridge->meters, 1)->n_flows, 0);
    assert_int_equal(passed(rig, 2, 3, NULL), 1);
    assert_int_equal(DUMPED(.table = 255, .out_group = 2), 2);
}

static void
test_entries_go_with_the_group_that_their_template_names(void **state)
{
    RIG;
    assert_done(GROUP(.id = 1, .n = 1, .bucket = { { .output = 2 } }));
    assert_done(TEMPLATE(.of = { .group = 1 }));
    assert_done(FLOW_OF(0, TO(2)));
    assert_done(GROUP(.command = WIRE_GROUP_DELETE, .id = 1));
    assert_int_equal(rig->bridge->n_flows, 0);
    assert_error(FLOW_OF(0, TO(2)), OFPBAC_BAD_OUT_GROUP);
    assert_done(GROUP(.id = 1, .n = 1, .bucket = { { .output = 2 } }));
    assert_done(FLOW_OF(0, TO(2)));
}

static void
test_entries_go_with_the_meter_that_their_template_names(void **state)
{
    RIG;
    assert_done(METER(.id = 1, .flags = 1));
    assert_done(TEMPLATE(.of = { .meter = 1 }));
    assert_done(FLOW_OF(0, TO(2)));
    assert_done(METER(.command = 2, .id = 1));
    assert_int_equal(rig->bridge->n_flows, 0);
    assert_error(FLOW_OF(0, TO(2)), OFPMMFC_UNKNOWN_METER);
}

/* --- What is refused ------------------------------------------------------------------------------- */

static void
test_a_template_that_is_wrong_gets_its_error(void **state)
{
    RIG;
    assert_refused(TEMPLATE(.parameters = 1), BAD_PARAMETERS);
    assert_refused(TEMPLATE(.parameters = 4, .of = { .output = { 1, 2 } }), BAD_PARAMETERS);
    assert_refused(TEMPLATE(.command = 3), BAD_COMMAND);
    assert_refused(TEMPLATE(.command = TEMPLATE_MODIFY), UNKNOWN);
    assert_refused(rig_template(rig, &(const struct wire_template) { .id = TEMPLATE_ALL }), BAD_ID);
    assert_error(TEMPLATE(.of = { .output = { PORT_ANY } }), OFPBAC_BAD_OUT_PORT);
    assert_error(TEMPLATE(.of = { .go_to = 255 }), OFPBIC_BAD_TABLE_ID);
    assert_done(TEMPLATE(.name = "first"));
    assert_refused(TEMPLATE(.name = "second"), EXISTS);
    assert_done(TEMPLATE(.command = TEMPLATE_DELETE));
    assert_done(TEMPLATE(.command = TEMPLATE_DELETE));
    assert_int_equal(rig->bridge->templates.n, 0);
}

static void
test_a_message_cut_short_or_of_others_gets_its_error(void **state)
{
    RIG;
    static const struct { size_t at; uint32_t value, error; } cases[] = {
        { 8, 0x2320, OFWIRE_OFPBRC_BAD_EXPERIMENTER }, { 12, 2, OFWIRE_OFPBRC_BAD_EXP_TYPE },
    };

    for (size_t size = 8; size < 64; size += 8) {
        wire_template(&rig->f, &(const struct wire_template) { .id = 1 });
        put_be16(rig->f.data + 2, (uint16_t)size);
        rig->f.len = size;
        assert_error(rig_apply(rig), OFPBRC_BAD_LEN);
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wire_template(&rig->f, &(const struct wire_template) { .id = 1 });
        put_be32(rig->f.data + cases[i].at, cases[i].value);
        assert_int_equal(rig_apply(rig), cases[i].error);
    }
}

static void
test_a_template_in_use_stays(void **state)
{
    RIG;
    assert_done(TEMPLATE(.of = { .output = { 2 } }));
    assert_done(FLOW_OF(0, TO(2)));
    assert_refused(TEMPLATE(.command = TEMPLATE_DELETE), IN_USE);
    assert_refused(rig_template(rig, &(const struct wire_template) {
        .command = TEMPLATE_DELETE, .id = TEMPLATE_ALL,
    }), IN_USE);
    assert_int_equal(passed(rig, 2, 2, NULL), 1);
    assert_done(FLOW(TO(2), .output = { 3 }));          /* It has instructions of its own now. */
    assert_done(rig_template(rig, &(const struct wire_template) {
        .command = TEMPLATE_DELETE, .id = TEMPLATE_ALL,
    }));
    assert_int_equal(rig->bridge->templates.n, 0);
    assert_int_equal(passed(rig, 2, 3, NULL), 1);
}

/* A flow with one instruction that names a template, then 'n' words more; in front of it another
 * instruction if 'first'. */
static uint32_t
use(struct rig *rig, const uint32_t *words, unsigned n, bool first)
{
    struct frame *f = &rig->f;
    size_t start = wire_flow_head(f, &(const struct wire_flow) { .priority = 1 });

    wire_match(f, NULL, 0);
    if (first) {
        of_short(f, WIRE_CLEAR, 0);
    }
    size_t instruction = wire_begin_use(f, THE_ID);
    for (unsigned i = 0; i < n; i++) {
        frame_add32(f, words[i]);
    }
    of_end(f, instruction);
    of_end(f, start);
    return rig_apply(rig);
}

#define USE(FIRST, ...) use(rig, (const uint32_t[]) { __VA_ARGS__ }, \
                            sizeof((const uint32_t[]) { __VA_ARGS__ }) / 4, FIRST)

static void
test_arguments_must_be_of_the_kind_of_the_parameters(void **state)
{
    RIG;
    assert_refused(FLOW_OF(2, TO(2)), UNKNOWN);
    assert_done(TEMPLATE(.parameters = 1, .of = { .output = { 1 } }));
    assert_refused(FLOW_OF(0, TO(2)), BAD_ARGUMENTS);
    assert_refused(USE(false, 21 << 16 | 8, 1), BAD_ARGUMENTS);
    assert_refused(USE(false, 21 << 16 | 8, 1, 21 << 16 | 8, 1), BAD_ARGUMENTS);
    assert_refused(USE(false, 16, 1, 0, 0, 16, 1, 0, 0), BAD_ARGUMENTS);
    assert_error(USE(false, 16, PORT_ANY, 0, 0), OFPBAC_BAD_OUT_PORT);
    assert_error(USE(false, 24, 1, 0, 0), OFPBAC_BAD_LEN);
    assert_error(USE(true, 16, 1, 0, 0), OFPBIC_UNSUP_INST);
    assert_error(USE(false, 16, 1, 0), OFPBIC_BAD_LEN);
    assert_done(USE(false, 16, 3, 0, 0));
    assert_int_equal(rig->bridge->n_flows, 1);
}

static void
test_a_change_that_an_entry_may_not_have_changes_nothing(void **state)
{
    RIG;
    assert_done(TEMPLATE(.parameters = 1, .of = { .output = { 1 }, .go_to = 9 }));
    assert_done(FLOW_OF(2, .table = 0, TO(2)));
    assert_done(FLOW_OF(2, .table = 3, TO(2)));
    assert_done(FLOW(.table = 9, .output = { 4 }));
    assert_error(TEMPLATE(.command = TEMPLATE_MODIFY, .parameters = 1,
                          .of = { .output = { 1 }, .go_to = 2 }), OFPBIC_BAD_TABLE_ID);
    assert_error(TEMPLATE(.command = TEMPLATE_MODIFY, .parameters = 1,
                          .of = { .output = { 1 }, .group = 5 }), OFPBAC_BAD_OUT_GROUP);
    assert_refused(TEMPLATE(.command = TEMPLATE_MODIFY, .parameters = 0,
                            .of = { .output = { 1 } }), BAD_ARGUMENTS);
    assert_int_equal(passed(rig, 2, 2, NULL), 1);
    assert_int_equal(passed(rig, 2, 4, NULL), 1);
}

/* What a set-field needs is asked of each entry's match. */
static void
test_an_entry_must_match_what_its_template_needs(void **state)
{
    RIG;
    struct frame *f = &rig->f;
    size_t start = wire_template_head(f, &(const struct wire_template) { .id = THE_ID });
    size_t apply = of_begin_actions(f, WIRE_APPLY);

    of_set_field(f, FIELD_ipv4_dst, 0x0a000001);
    of_output(f, 2);
    of_end(f, apply);
    of_end(f, start);
    assert_done(rig_apply(rig));
    assert_error(FLOW_OF(0, TO(2)), OFPBAC_MATCH_INCONSISTENT);
    assert_done(FLOW_OF(0, .n_match = 1, .match = { { FIELD_eth_type, ETH_TYPE_IPV4, 0 } }));
    assert_int_equal(passed(rig, 2, 2, NULL), 1);
}

/* --- Statistics -------------------------------------------------------------------------------------- */

static uint32_t
ask(struct rig *rig, uint32_t experimenter, uint32_t type, uint32_t id, struct buffer *out)
{
    struct buffer ends = { 0 };

    frame_add32(&rig->f, experimenter);
    frame_add32(&rig->f, type);
    frame_add32(&rig->f, id);
    frame_add32(&rig->f, 0);
    uint32_t result = rig_multipart(rig, EXPERIMENTER, out, &ends);
    buffer_close(&ends);
    return result;
}

/* P6: an entry for a connection, by its five fields, whose action is its own. */
static void
test_an_entry_takes_at_most_128_bytes(void **state)
{
    RIG;
    struct buffer out = { 0 };

    assert_done(TEMPLATE(.name = "to a port", .parameters = 4, .of = { .output = { 3, 4 },
                                                                      .group = 0, .go_to = 9 }));
    for (unsigned i = 0; i < 1000; i++) {
        struct frame *f = &rig->f;
        size_t start = wire_flow_head(f, &(const struct wire_flow) { .priority = 1 }), match, n;

        match = of_begin_match(f);
        of_oxm(f, FIELD_eth_type, ETH_TYPE_IPV4);
        of_oxm(f, FIELD_ip_proto, IP_PROTO_TCP);
        of_oxm(f, FIELD_ipv4_src, i);
        of_oxm(f, FIELD_ipv4_dst, i + 1);
        of_oxm(f, FIELD_tcp_src, i);
        of_oxm(f, FIELD_tcp_dst, 80);
        of_end_match(f, match);
        n = wire_begin_use(f, THE_ID);
        of_short(f, WIRE_GOTO, (1 + i % 200) << 24);
        of_end(f, n);
        of_end(f, start);
        assert_done(rig_apply(rig));
    }
    assert_done(ask(rig, RAICHO, 1, THE_ID, &out));
    const uint8_t *stats = out.data + STATS_AT;
    assert_int_equal(get_be16(stats), out.len - STATS_AT);
    assert_int_equal(get_be32(stats + 4), THE_ID);
    assert_int_equal(get_be64(stats + 8), 4);
    assert_string_equal((const char *)stats + 16, "to a port");
    assert_int_equal(get_be32(stats + 48), 1000);
    assert_int_equal(get_be16(stats + 52), 8);
    assert_true(get_be64(stats + 64) <= 1000 * 128);
    assert_true(get_be64(stats + 72) > 0);
    assert_int_equal(get_be64(stats + 80), 1000 * sizeof(struct counter));
    buffer_close(&out);
}

static bool
add_memory(struct flow *flow, void *sum)
{
    *(size_t *)sum += flow_memory(flow);
    return true;
}

/* The actions of a router: both addresses, the TTL, the port. */
static void
add_routing(struct frame *f)
{
    size_t start = of_begin_actions(f, WIRE_APPLY);

    of_set_field(f, FIELD_eth_src, 1);
    of_set_field(f, FIELD_eth_dst, 2);
    of_short(f, 24, 0);
    of_output(f, 2);
    of_end(f, start);
}

/* Adds an entry for a connection with the instructions that 'add' adds; returns its bytes. */
static size_t
memory_of(struct rig *rig, void (*add)(struct frame *))
{
    struct frame *f = &rig->f;
    size_t start = wire_flow_head(f, &(const struct wire_flow) { .priority = 1 }), match, sum = 0;

    match = of_begin_match(f);
    of_oxm(f, FIELD_eth_type, ETH_TYPE_IPV4);
    of_oxm(f, FIELD_ip_proto, IP_PROTO_TCP);
    of_oxm(f, FIELD_ipv4_src, 1);
    of_oxm(f, FIELD_ipv4_dst, 2);
    of_oxm(f, FIELD_tcp_src, 3);
    of_oxm(f, FIELD_tcp_dst, 80);
    of_end_match(f, match);
    add(f);
    of_end(f, start);
    assert_done(rig_apply(rig));
    table_each(&rig->bridge->tables[0].table, add_memory, &sum);
    return sum;
}

static void
add_use(struct frame *f)
{
    size_t start = wire_begin_use(f, THE_ID);

    of_output(f, 2);
    of_end(f, start);
}

static void
test_an_entry_does_not_keep_what_its_template_has(void **state)
{
    RIG;
    assert_int_equal(memory_of(rig, add_routing), 192);
    size_t start = wire_template_head(&rig->f, &(const struct wire_template) {
        .id = THE_ID, .parameters = 8,
    });
    add_routing(&rig->f);
    of_end(&rig->f, start);
    assert_done(rig_apply(rig));
    assert_int_equal(memory_of(rig, add_use), 128);
}

static void
test_a_request_that_is_wrong_gets_its_error(void **state)
{
    RIG;
    struct buffer out = { 0 }, ends = { 0 };

    assert_error(ask(rig, 0x2320, 1, TEMPLATE_ALL, &out), OFPBRC_BAD_EXPERIMENTER);
    assert_error(ask(rig, RAICHO, 2, TEMPLATE_ALL, &out), OFPBRC_BAD_EXP_TYPE);
    assert_done(ask(rig, RAICHO, 1, THE_ID, &out));
    assert_int_equal(out.len, STATS_AT);                /* It is not there. */
    frame_add64(&rig->f, (uint64_t)RAICHO << 32 | 1);
    assert_error(rig_multipart(rig, EXPERIMENTER, &out, &ends), OFPBRC_BAD_LEN);
    frame_add32(&rig->f, RAICHO);
    assert_error(rig_multipart(rig, EXPERIMENTER, &out, &ends), OFPBRC_BAD_LEN);
    buffer_close(&out);
    buffer_close(&ends);
}

/* Each part has the experimenter's header, and whole entries. */
static void
test_many_templates_are_told_in_parts(void **state)
{
    RIG;
    enum { MANY = 900 };
    struct buffer out = { 0 }, ends = { 0 };
    unsigned n = 0;

    for (uint32_t id = 0; id < MANY; id++) {
        assert_done(rig_template(rig, &(const struct wire_template) {
            .id = id, .of = { .output = { 2 } },
        }));
    }
    frame_add32(&rig->f, RAICHO);
    frame_add32(&rig->f, 1);
    frame_add32(&rig->f, TEMPLATE_ALL);
    frame_add32(&rig->f, 0);
    assert_done(rig_multipart(rig, EXPERIMENTER, &out, &ends));
    assert_true(ends.len / 4 > 1);
    for (size_t at = 0, part = 0; part < ends.len / 4; part++) {
        uint32_t end = rig_part_end(&ends, part);
        assert_true(end - at <= 65000);
        assert_int_equal(get_be64(out.data + at), (uint64_t)RAICHO << 32 | 1);
        for (at += 8; at < end; at += get_be16(out.data + at)) {
            n++;
        }
        assert_int_equal(at, end);
    }
    assert_int_equal(n, MANY);
    buffer_close(&out);
    buffer_close(&ends);
}

/* --- Ports whose packets start in a template ------------------------------------------------------ */

static uint64_t
closed(const struct rig *rig)
{
    return rig->worker->totals.drops[DROP_no_program];
}

static void
test_packets_of_a_port_start_in_a_template(void **state)
{
    RIG;
    assert_done(FLOW(.output = { 2 }));
    assert_done(FLOW(.table = 5, .output = { 4 }));
    assert_done(TEMPLATE(.of = { .output = { 3 }, .go_to = 5 }));
    bridge_set_template(rig->at[1], THE_ID);
    assert_int_equal(passed(rig, 9, 3, NULL), 1);
    assert_int_equal(passed(rig, 9, 4, NULL), 1);
    assert_int_equal(passed(rig, 9, 2, NULL), 0);
    bridge_set_pipeline(rig->at[1], PIPELINE_openflow);
    assert_int_equal(passed(rig, 9, 2, NULL), 1);
    assert_int_equal(closed(rig), 0);
}

/* Nothing is in front of a port's program: it may lead to the first table. */
static void
test_a_port_may_go_on_in_any_table(void **state)
{
    RIG;
    struct frame out;
    size_t start = wire_template_head(&rig->f, &(const struct wire_template) { .id = THE_ID });

    of_metadata(&rig->f, 5, UINT64_MAX);
    of_short(&rig->f, WIRE_GOTO, 0);
    of_end(&rig->f, start);
    assert_done(rig_apply(rig));
    assert_error(FLOW_OF(0, TO(9)), OFPBIC_BAD_TABLE_ID);       /* Not so an entry of that table. */
    assert_done(FLOW(.output = { 2 }, .n_match = 1, .match = { { FIELD_metadata, 5, 0 } }));
    bridge_set_template(rig->at[1], THE_ID);
    assert_int_equal(passed(rig, 9, 2, &out), 1);
}

static void
test_a_write_actions_of_a_port_is_carried_out(void **state)
{
    RIG;
    assert_done(TEMPLATE(.of = { .write_output = 3, .go_to = 1 }));
    assert_done(FLOW(.table = 1));
    bridge_set_template(rig->at[1], THE_ID);
    assert_int_equal(passed(rig, 9, 3, NULL), 1);
}

/* Whichever comes first, the port or the template, and whatever becomes of it. */
static void
test_a_port_is_closed_until_its_template_is_there(void **state)
{
    RIG;
    assert_done(FLOW(.output = { 2 }));
    bridge_set_template(rig->at[1], THE_ID);
    assert_true(bridge_is_closed(rig->at[1]));
    assert_int_equal(passed(rig, 9, 2, NULL), 0);
    assert_int_equal(closed(rig), 1);
    assert_done(TEMPLATE(.parameters = 1, .of = { .output = { 1 } }));
    assert_int_equal(passed(rig, 9, 2, NULL), 0);
    assert_int_equal(closed(rig), 2);
    assert_done(TEMPLATE(.command = TEMPLATE_MODIFY, .of = { .output = { 3 } }));
    assert_false(bridge_is_closed(rig->at[1]));
    assert_int_equal(passed(rig, 9, 3, NULL), 1);
    assert_done(TEMPLATE(.command = TEMPLATE_MODIFY, .of = { .output = { 4 } }));
    assert_int_equal(passed(rig, 9, 4, NULL), 1);
    assert_int_equal(closed(rig), 2);
}

static void
test_a_template_that_a_port_starts_in_stays(void **state)
{
    RIG;
    assert_done(TEMPLATE(.of = { .output = { 3 } }));
    bridge_set_template(rig->at[1], THE_ID);
    assert_refused(TEMPLATE(.command = TEMPLATE_DELETE), IN_USE);
    assert_refused(rig_template(rig, &(const struct wire_template) {
        .command = TEMPLATE_DELETE, .id = TEMPLATE_ALL,
    }), IN_USE);
    assert_refused(TEMPLATE(.command = TEMPLATE_MODIFY, .parameters = 1, .of = { .output = { 1 } }),
                   BAD_ARGUMENTS);
    assert_int_equal(passed(rig, 9, 3, NULL), 1);
    bridge_set_pipeline(rig->at[1], PIPELINE_bridge);
    assert_done(TEMPLATE(.command = TEMPLATE_DELETE));
    rig_tick(rig, 0);
    bridge_set_template(rig->at[1], THE_ID);
    assert_true(bridge_is_closed(rig->at[1]));
}

/* A bundle that fails leaves the port as it was: closed, or with the version before. */
static void
test_a_bundle_that_fails_changes_no_start(void **state)
{
    RIG;
    const struct wire_template add = { .id = THE_ID, .of = { .output = { 3 } } };
    const struct wire_template other = { .command = TEMPLATE_MODIFY, .id = THE_ID, .of = { .output = { 4 } } };
    uint32_t failed;

    bridge_set_template(rig->at[1], THE_ID);
    for (unsigned i = 0; i < 2; i++) {
        wire_template(&rig->f, i ? &other : &add);
        wire_flow(&rig->f, &(const struct wire_flow) { .group = 9 });
        assert_error(bridge_apply_bundle(rig->bridge, rig->f.data, rig->f.len, true, &failed, rig->now),
                     OFPBAC_BAD_OUT_GROUP);
        rig->f.len = 0;
        assert_int_equal(failed, 1);
        assert_int_equal(bridge_is_closed(rig->at[1]), !i);
        assert_int_equal(passed(rig, 9, 3, NULL), i);
        assert_done(i ? OFWIRE_OK : rig_template(rig, &add));
    }
}

/* There is no entry that would go with the meter: without it the port is closed. */
static void
test_a_port_is_closed_while_its_meter_is_not_there(void **state)
{
    RIG;
    assert_done(TEMPLATE(.of = { .meter = 4, .output = { 3 } }));
    bridge_set_template(rig->at[1], THE_ID);
    assert_int_equal(passed(rig, 9, 3, NULL), 0);
    assert_int_equal(closed(rig), 1);
    assert_done(METER(.id = 4, .n = 1, .flags = 1, .band = { { .rate = 1000000 } }));
    assert_int_equal(passed(rig, 9, 3, NULL), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_entry_has_its_argument_and_the_rest_from_the_template),
        TEST(test_a_dump_shows_the_instructions_as_if_they_had_been_sent),
        TEST(test_a_change_reaches_all_entries),
        TEST(test_packets_go_on_where_the_template_says),
        TEST(test_write_actions_are_an_argument_as_a_whole),
        TEST(test_a_packet_that_met_two_templates_has_the_last_of_each_action),
        TEST(test_a_way_that_is_remembered_follows_a_change),
        TEST(test_entries_count_as_users_of_what_the_template_names),
        TEST(test_entries_go_with_the_group_that_their_template_names),
        TEST(test_entries_go_with_the_meter_that_their_template_names),
        TEST(test_a_template_that_is_wrong_gets_its_error),
        TEST(test_a_message_cut_short_or_of_others_gets_its_error),
        TEST(test_a_template_in_use_stays),
        TEST(test_arguments_must_be_of_the_kind_of_the_parameters),
        TEST(test_a_change_that_an_entry_may_not_have_changes_nothing),
        TEST(test_an_entry_must_match_what_its_template_needs),
        TEST(test_an_entry_takes_at_most_128_bytes),
        TEST(test_an_entry_does_not_keep_what_its_template_has),
        TEST(test_a_request_that_is_wrong_gets_its_error),
        TEST(test_many_templates_are_told_in_parts),
        TEST(test_packets_of_a_port_start_in_a_template),
        TEST(test_a_port_may_go_on_in_any_table),
        TEST(test_a_write_actions_of_a_port_is_carried_out),
        TEST(test_a_port_is_closed_until_its_template_is_there),
        TEST(test_a_template_that_a_port_starts_in_stays),
        TEST(test_a_bundle_that_fails_changes_no_start),
        TEST(test_a_port_is_closed_while_its_meter_is_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
