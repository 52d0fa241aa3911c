/* bridge_flow.c, bridge_stats.c, bridge_apply.c: what OpenFlow messages do to flows, ports and tables
 * (K16), as seen in results, statistics and events. */

#include <stdlib.h>
#include <string.h>

#include "rig_test.h"

#define TO(VALUE) .n_match = 1, .match = { { FIELD_eth_dst, VALUE, 0 } }
#define assert_error(RESULT, NAME) assert_int_equal(RESULT, OFWIRE_##NAME)
#define assert_done(RESULT) assert_int_equal(RESULT, OFWIRE_OK)

/* What a flow's entry in the statistics says. */
struct shown {
    uint32_t seconds;
    unsigned priority, idle, hard, flags;
    uint64_t cookie, packets;
    size_t size;
    uint8_t bytes[512];                 /* The entry itself. */
};

/* The one flow that a dump with the filter shows. */
static struct shown
show(struct rig *rig, const struct wire_flow *which)
{
    struct buffer out = { 0 }, ends = { 0 };
    struct shown shown;

    wire_flow_request(&rig->f, which);
    assert_done(rig_multipart(rig, 1, &out, &ends));
    assert_true(out.len >= 56 && out.len <= sizeof shown.bytes);
    assert_int_equal(get_be16(out.data), out.len);
    shown = (struct shown) {
        .seconds = get_be32(out.data + 4), .priority = get_be16(out.data + 12),
        .idle = get_be16(out.data + 14), .hard = get_be16(out.data + 16),
        .flags = get_be16(out.data + 18), .cookie = get_be64(out.data + 24),
        .packets = get_be64(out.data + 32), .size = out.len,
    };
    memcpy(shown.bytes, out.data, out.len);
    buffer_close(&out);
    buffer_close(&ends);
    return shown;
}

#define SHOW(...) show(rig, &(const struct wire_flow) { .table = 0xff, __VA_ARGS__ })

/* Counts a packet for the one flow, as a worker would. */
static void
use(struct rig *rig, uint64_t dst, uint64_t now_ms)
{
    const struct flow_key key = { .word[W_ETH_DST] = dst << 16 };
    const struct flow_key *keys[] = { &key };
    const struct flow *found[1];

    table_lookup(&rig->bridge->tables[0].table, keys, 1, found);
    assert_non_null(found[0]);
    counter_add(&rig->worker->counters, found[0]->counter, 1, 100, now_ms);
}

/* --- Adding ------------------------------------------------------------------------------------- */

static void
test_statistics_give_back_what_was_sent(void **state)
{
    RIG;
    assert_done(FLOW(.table = 3, .priority = 7, .idle = 8, .hard = 9, .cookie = 0x123456789a,
                     .flags = WIRE_SEND_FLOW_REM, TO(5), .output = { 1, 2 }, .write_output = 3,
                     .metadata = 77, .go_to = 4));
    rig_tick(rig, 2500);
    struct shown shown = SHOW(.cookie = 0);
    assert_int_equal(shown.bytes[2], 3);
    assert_int_equal(shown.seconds, 2);
    assert_int_equal(shown.priority, 7);
    assert_int_equal(shown.idle, 8);
    assert_int_equal(shown.hard, 9);
    assert_int_equal(shown.flags, WIRE_SEND_FLOW_REM);
    assert_int_equal(shown.cookie, 0x123456789a);
    wire_flow(&rig->f, &(const struct wire_flow) {
        TO(5), .output = { 1, 2 }, .write_output = 3, .metadata = 77, .go_to = 4 });
    assert_int_equal(shown.size, rig->f.len);           /* Match and instructions, byte by byte. */
    assert_memory_equal(shown.bytes + 48, rig->f.data + 48, shown.size - 48);
    rig->f.len = 0;
}

static void
test_an_identical_entry_is_replaced_and_its_counters_stay(void **state)
{
    RIG;
    assert_done(FLOW(TO(5), .priority = 1, .cookie = 1, .output = { 1 }, .hard = 100,
                     .flags = WIRE_SEND_FLOW_REM));
    use(rig, 5, rig->now);
    rig_tick(rig, 5000);
    assert_done(FLOW(TO(5), .priority = 1, .cookie = 2, .output = { 2 }));
    struct shown shown = SHOW(.cookie = 0);
    assert_int_equal(rig->bridge->n_flows, 1);
    assert_int_equal(shown.cookie, 2);
    assert_int_equal(shown.packets, 1);
    assert_int_equal(shown.seconds, 0);         /* It is a new flow. */
    assert_int_equal(shown.hard, 0);
    rig_tick(rig, 200000);
    assert_int_equal(rig->bridge->n_flows, 1);          /* The old one's timer is gone, */
    assert_int_equal(rig->bridge->events.len, 0);       /* and nobody is told. */
}

static void
test_reset_counts_begins_from_zero(void **state)
{
    RIG;
    FLOW(TO(5), .output = { 1 });
    use(rig, 5, rig->now);
    assert_done(FLOW(TO(5), .output = { 1 }, .flags = WIRE_RESET_COUNTS));
    assert_int_equal(SHOW(.cookie = 0).packets, 0);
    use(rig, 5, rig->now);
    assert_done(FLOW(.command = WIRE_MODIFY, TO(5), .output = { 2 }, .flags = WIRE_RESET_COUNTS));
    assert_int_equal(SHOW(.cookie = 0).packets, 0);
    rig_tick(rig, 10);
    use(rig, 5, rig->now);                              /* Nobody else has that counter. */
    assert_int_equal(SHOW(.cookie = 0).packets, 1);
}

/* M8 */
static void
test_check_overlap_refuses_a_partial_overlap_of_the_same_priority(void **state)
{
    RIG;
    FLOW(.priority = 5, .n_match = 1, .match = { { FIELD_eth_dst, 1, 0 } });
    const struct wire_oxm src = { FIELD_eth_src, 2, 0 };
    assert_error(FLOW(.priority = 5, .n_match = 1, .match = { src }, .flags = WIRE_CHECK_OVERLAP),
                 OFPFMFC_OVERLAP);
    assert_int_equal(rig->bridge->n_flows, 1);
    assert_done(FLOW(.priority = 6, .n_match = 1, .match = { src }, .flags = WIRE_CHECK_OVERLAP));
    assert_done(FLOW(.table = 1, .priority = 5, .n_match = 1, .match = { src },
                     .flags = WIRE_CHECK_OVERLAP));
    assert_done(FLOW(.priority = 5, .n_match = 2, .match = { { FIELD_eth_dst, 2, 0 }, src },
                     .flags = WIRE_CHECK_OVERLAP));
    assert_done(FLOW(.priority = 5, .n_match = 1, .match = { src }));   /* Not asked. */
}

static void
test_check_overlap_compares_masked_bits(void **state)
{
    RIG;
    FLOW(.priority = 5, .n_match = 1, .match = { { FIELD_eth_dst, 0x10, 0xf0 } });
    assert_error(FLOW(.priority = 5, .n_match = 1, .match = { { FIELD_eth_dst, 0x01, 0x0f } },
                      .flags = WIRE_CHECK_OVERLAP), OFPFMFC_OVERLAP);
    assert_done(FLOW(.priority = 5, .n_match = 1, .match = { { FIELD_eth_dst, 0x20, 0xf0 } },
                     .flags = WIRE_CHECK_OVERLAP));
}

static void
test_a_full_bridge_takes_no_new_flow_but_changes_those_it_has(void **state)
{
    RIG;
    rig->bridge->max_flows = 2;
    assert_done(FLOW(TO(1)));
    assert_done(FLOW(.table = 9, TO(2)));
    assert_error(FLOW(TO(3)), OFPFMFC_TABLE_FULL);
    assert_done(FLOW(TO(1), .output = { 1 }));
    assert_done(FLOW(.command = WIRE_DELETE, .table = 9));
    assert_done(FLOW(TO(3)));
}

static void
test_a_flow_mod_that_is_wrong_gets_its_error_and_changes_nothing(void **state)
{
    RIG;
    assert_error(FLOW(.command = 5), OFPFMFC_BAD_COMMAND);
    assert_error(FLOW(.flags = 32), OFPFMFC_BAD_FLAGS);
    assert_error(FLOW(.table = 255), OFPFMFC_BAD_TABLE_ID);
    assert_error(FLOW(.table = 255, .command = WIRE_MODIFY), OFPFMFC_BAD_TABLE_ID);
    assert_error(FLOW(.output = { 0xffffff05 }), OFPBAC_BAD_OUT_PORT);
    assert_error(FLOW(.output = { PORT_TABLE }), OFPBAC_BAD_OUT_PORT);
    assert_error(FLOW(.group = 5), OFPBAC_BAD_OUT_GROUP);
    assert_error(FLOW(.write_group = 5), OFPBAC_BAD_OUT_GROUP);
    /* M6 */
    assert_error(FLOW(.table = 5, .go_to = 4), OFPBIC_BAD_TABLE_ID);
    assert_error(FLOW(.table = 5, .go_to = 5), OFPBIC_BAD_TABLE_ID);
    assert_error(FLOW(.table = 5, .go_to = 255), OFPBIC_BAD_TABLE_ID);
    wire_flow(&rig->f, &(const struct wire_flow) { TO(1) });
    put_be32(rig->f.data + 32, 7);
    assert_error(rig_apply(rig), OFPBRC_BUFFER_UNKNOWN);
    assert_int_equal(rig->bridge->n_flows, 0);
    assert_int_equal(rig->dataplane.programs.n_programs, rig->n_programs);
}

static void
test_a_flow_too_long_for_its_statistics_is_refused(void **state)
{
    RIG;
    uint8_t *message = calloc(1, 65528);
    wire_flow_head(&rig->f, &(const struct wire_flow) { .command = WIRE_ADD });
    wire_match(&rig->f, NULL, 0);
    memcpy(message, rig->f.data, 56);
    put_be16(message + 2, 65528);
    put_be16(message + 56, WIRE_APPLY);
    put_be16(message + 58, 65528 - 56);
    for (size_t at = 64; at + 16 <= 65528; at += 8) {
        put_be32(message + at, 18 << 16 | 8);           /* pop-vlan */
    }
    rig->f.len = 0;
    assert_error(bridge_apply(rig->bridge, message, 65528, rig->now), OFPBAC_TOO_MANY);
    free(message);
}

/* --- Modifying and deleting -------------------------------------------------------------------------- */

static void
test_modify_changes_instructions_and_nothing_else(void **state)
{
    RIG;
    FLOW(TO(5), .priority = 3, .cookie = 1, .idle = 50, .flags = WIRE_SEND_FLOW_REM, .output = { 1 });
    use(rig, 5, rig->now);
    rig_tick(rig, 3000);
    assert_done(FLOW(.command = WIRE_MODIFY, .cookie = 99, .priority = 8, .hard = 1, .output = { 2 }));
    struct shown shown = SHOW(.out_port = 2);
    assert_int_equal(shown.cookie, 1);
    assert_int_equal(shown.priority, 3);
    assert_int_equal(shown.idle, 50);
    assert_int_equal(shown.hard, 0);
    assert_int_equal(shown.flags, WIRE_SEND_FLOW_REM);
    assert_int_equal(shown.packets, 1);
    assert_int_equal(shown.seconds, 3);
    rig_tick(rig, 60000);                       /* The timeout has stayed too. */
    assert_int_equal(rig->bridge->n_flows, 0);
}

static void
test_modify_of_nothing_adds_nothing(void **state)
{
    RIG;
    assert_done(FLOW(.command = WIRE_MODIFY, TO(5), .output = { 1 }));
    assert_done(FLOW(.command = WIRE_MODIFY_STRICT, TO(5), .output = { 1 }));
    assert_int_equal(rig->bridge->n_flows, 0);
}

/* Flows for 1, 2 and 3, the last of lower priority, and one in another table. */
static void
add_some(struct rig *rig)
{
    assert_done(FLOW(TO(1), .priority = 5, .cookie = 0x11, .output = { 1 }));
    assert_done(FLOW(TO(2), .priority = 5, .cookie = 0x12, .output = { 2 }));
    assert_done(FLOW(TO(2), .priority = 4, .cookie = 0x21, .write_output = 3));
    assert_done(FLOW(.table = 7, TO(2), .priority = 5, .cookie = 0x22, .output = { PORT_CONTROLLER }));
    assert_int_equal(rig->bridge->n_flows, 4);
}

static void
test_strict_means_this_match_and_priority(void **state)
{
    RIG;
    add_some(rig);
    assert_done(FLOW(.command = WIRE_DELETE_STRICT, TO(2), .priority = 3));
    assert_done(FLOW(.command = WIRE_DELETE_STRICT, .priority = 5));
    assert_int_equal(rig->bridge->n_flows, 4);
    assert_done(FLOW(.command = WIRE_MODIFY_STRICT, TO(2), .priority = 4, .output = { 4 }));
    assert_int_equal(DUMPED(.table = 255, .out_port = 4), 1);
    assert_done(FLOW(.command = WIRE_DELETE_STRICT, TO(2), .priority = 4));
    assert_int_equal(rig->bridge->n_flows, 3);
    assert_int_equal(DUMPED(.table = 255, .cookie = 0x21, .cookie_mask = UINT64_MAX), 0);
}

static void
test_loose_means_this_match_or_a_narrower_one(void **state)
{
    RIG;
    add_some(rig);
    FLOW(.priority = 9);
    FLOW(.priority = 9, .n_match = 1, .match = { { FIELD_eth_dst, 2, 0xff } });
    assert_done(FLOW(.command = WIRE_DELETE, TO(2)));
    assert_int_equal(DUMPED(.table = 0), 3);            /* 1, any, and the masked one. */
    assert_done(FLOW(.command = WIRE_DELETE, .n_match = 1,
                     .match = { { FIELD_eth_dst, 2, 0x02 } }));
    assert_int_equal(DUMPED(.table = 0), 2);
    assert_done(FLOW(.command = WIRE_DELETE));
    assert_int_equal(DUMPED(.table = 0), 0);
    assert_int_equal(rig->bridge->n_flows, 1);
}

static void
test_delete_in_all_tables(void **state)
{
    RIG;
    add_some(rig);
    assert_done(FLOW(.command = WIRE_DELETE, .table = 255, TO(2)));
    assert_int_equal(rig->bridge->n_flows, 1);
    assert_done(FLOW(.command = WIRE_DELETE_STRICT, .table = 255, TO(1), .priority = 5));
    assert_int_equal(rig->bridge->n_flows, 0);
}

static void
test_cookies_out_ports_and_out_groups_filter(void **state)
{
    RIG;
    add_some(rig);
    GROUP(.id = 6, .type = GROUP_ALL);
    FLOW(.table = 9, .write_group = 6);
    FLOW(.table = 9, .priority = 1, .group = 6);
    assert_int_equal(DUMPED(.table = 255, .cookie = 0x10, .cookie_mask = 0xf0), 2);
    assert_int_equal(DUMPED(.table = 255, .cookie = 0x99, .cookie_mask = 0), 6);
    assert_int_equal(DUMPED(.table = 255, .out_port = 3), 1);           /* In a write-actions. */
    assert_int_equal(DUMPED(.table = 255, .out_port = PORT_CONTROLLER), 1);
    assert_int_equal(DUMPED(.table = 255, .out_group = 6), 2);
    assert_done(FLOW(.command = WIRE_MODIFY, .cookie = 0x12, .cookie_mask = UINT64_MAX,
                     .out_port = 77, .output = { 4 }));                 /* out_port: ignored. */
    assert_int_equal(DUMPED(.table = 255, .out_port = 4), 1);
    assert_done(FLOW(.command = WIRE_DELETE, .table = 255, .out_port = 1));
    assert_done(FLOW(.command = WIRE_DELETE, .table = 255, .out_group = 6));
    assert_done(FLOW(.command = WIRE_DELETE, .table = 255, .cookie = 0x20, .cookie_mask = 0xf0));
    assert_int_equal(rig->bridge->n_flows, 1);
}

static void
test_of_a_thousand_flows_each_is_dumped_once_in_parts(void **state)
{
    RIG;
    for (unsigned i = 0; i < 3000; i++) {
        assert_done(FLOW(.table = i % 3, TO(i), .priority = i % 7, .output = { 1, 2 }));
    }
    assert_int_equal(DUMPED(.table = 255), 3000);
    assert_int_equal(DUMPED(.table = 1), 1000);
    assert_done(FLOW(.command = WIRE_MODIFY, .table = 1, .output = { 3 }));
    assert_int_equal(DUMPED(.table = 255, .out_port = 3), 1000);
    assert_done(FLOW(.command = WIRE_DELETE, .table = 255));
    assert_int_equal(DUMPED(.table = 255), 0);
}

/* --- Timeouts and events ------------------------------------------------------------------------------ */

/* Takes the one event there is, which must be a flow-removed; returns its reason. */
static unsigned
removed(struct rig *rig)
{
    struct buffer *events = &rig->bridge->events;

    assert_true(events->len >= 56);
    assert_int_equal(events->data[1], 11);
    assert_int_equal(get_be16(events->data + 2), events->len);
    events->len = 0;
    return events->data[18];
}

static void
test_a_hard_timeout_ends_a_flow_in_use(void **state)
{
    RIG;
    FLOW(TO(5), .hard = 3, .idle = 2, .flags = WIRE_SEND_FLOW_REM, .cookie = 9, .priority = 4);
    for (unsigned i = 0; i < 29; i++) {
        use(rig, 5, rig->now);
        rig_tick(rig, 100);
    }
    assert_int_equal(rig->bridge->n_flows, 1);
    rig_tick(rig, 110);
    assert_int_equal(rig->bridge->n_flows, 0);
    const uint8_t *event = rig->bridge->events.data;
    assert_int_equal(get_be64(event + 8), 9);
    assert_int_equal(get_be16(event + 16), 4);
    assert_int_equal(get_be32(event + 20), 3);          /* Seconds. */
    assert_int_equal(get_be16(event + 28), 2);
    assert_int_equal(get_be16(event + 30), 3);
    assert_int_equal(get_be64(event + 32), 29);
    assert_int_equal(get_be64(event + 40), 2900);
    assert_int_equal(removed(rig), 1);
}

static void
test_an_idle_timeout_counts_from_the_last_packet(void **state)
{
    RIG;
    FLOW(TO(5), .idle = 2, .flags = WIRE_SEND_FLOW_REM);
    rig_tick(rig, 1900);
    use(rig, 5, rig->now);
    rig_tick(rig, 1900);
    assert_int_equal(rig->bridge->n_flows, 1);
    rig_tick(rig, 200);
    assert_int_equal(rig->bridge->n_flows, 0);
    assert_int_equal(removed(rig), 0);
}

static void
test_an_unused_flow_is_idle_from_when_it_was_added(void **state)
{
    RIG;
    rig_tick(rig, 500000);
    FLOW(TO(5), .idle = 2);
    rig_tick(rig, 1900);
    assert_int_equal(rig->bridge->n_flows, 1);
    rig_tick(rig, 200);
    assert_int_equal(rig->bridge->n_flows, 0);
    assert_int_equal(rig->bridge->events.len, 0);       /* Not asked for. */
}

static void
test_a_deleted_flow_is_reported_if_it_asked_for_it(void **state)
{
    RIG;
    FLOW(TO(5), .flags = WIRE_SEND_FLOW_REM, .hard = 10);
    FLOW(TO(6), .hard = 10);
    FLOW(.command = WIRE_DELETE);
    assert_int_equal(removed(rig), 2);
    rig_tick(rig, 20000);
    assert_int_equal(rig->bridge->events.len, 0);
}

static void
test_events_that_nobody_takes_are_bounded_and_counted(void **state)
{
    RIG;
    enum { N = 20000 };
    for (unsigned round = 0; round < 16; round++) {
        for (unsigned i = 0; i < N; i++) {
            FLOW(TO(i), .flags = WIRE_SEND_FLOW_REM);
        }
        FLOW(.command = WIRE_DELETE);
        rig_tick(rig, 10);
    }
    assert_true(rig->bridge->events.len <= (16 << 20) + 100);
    assert_true(rig->bridge->events_lost > 0);
    assert_int_equal(rig->bridge->events.len / 64 + rig->bridge->events_lost, 16 * N);
}

/* --- Ports and tables -------------------------------------------------------------------------------------- */

static void
test_a_port_mod_changes_the_bits_it_masks_and_is_reported(void **state)
{
    RIG;
    wire_port_mod(&rig->f, 2, rig->at[2]->mac, PORT_NO_FWD | PORT_NO_RECV, PORT_NO_FWD);
    assert_done(rig_apply(rig));
    assert_int_equal(rig->at[2]->config, PORT_NO_FWD);
    assert_int_equal(rig->bridge->events.len, 80);
    assert_int_equal(rig->bridge->events.data[8], 2);
    assert_int_equal(get_be32(rig->bridge->events.data + 16), 2);
    assert_int_equal(get_be32(rig->bridge->events.data + 16 + 32), PORT_NO_FWD);
    wire_port_mod(&rig->f, 2, rig->at[2]->mac, PORT_NO_FWD, PORT_NO_FWD);
    assert_done(rig_apply(rig));
    assert_int_equal(rig->bridge->events.len, 80);      /* No change. */
}

static void
test_a_port_mod_that_is_wrong_changes_nothing(void **state)
{
    RIG;
    wire_port_mod(&rig->f, 9, rig->at[2]->mac, 0, 0);
    assert_error(rig_apply(rig), OFPPMFC_BAD_PORT);
    wire_port_mod(&rig->f, 1, rig->at[2]->mac, PORT_NO_FWD, PORT_NO_FWD);
    assert_error(rig_apply(rig), OFPPMFC_BAD_HW_ADDR);
    wire_port_mod(&rig->f, 1, rig->at[1]->mac, 2, 2);
    assert_error(rig_apply(rig), OFPPMFC_BAD_CONFIG);
    wire_port_mod(&rig->f, 1, rig->at[1]->mac, 0, 0);
    frame_add64(&rig->f, 0);
    put_be16(rig->f.data + 2, 48);
    assert_error(rig_apply(rig), OFPBRC_BAD_LEN);
    assert_int_equal(rig->at[1]->config, 0);
}

static void
test_a_table_mod_takes_only_what_is_defined(void **state)
{
    RIG;
    wire_table_mod(&rig->f, 0, 4);
    assert_error(rig_apply(rig), OFPTMFC_BAD_CONFIG);
    wire_table_mod(&rig->f, 255, 3);
    assert_done(rig_apply(rig));
    wire_table_mod(&rig->f, 254, 0);
    assert_done(rig_apply(rig));
    assert_int_equal(rig->bridge->tables[253].config, 3);
    assert_int_equal(rig->bridge->tables[254].config, 0);
}

/* --- Framing ------------------------------------------------------------------------------------------------- */

static void
test_each_of_several_messages_has_its_result(void **state)
{
    RIG;
    uint32_t results[5];
    wire_flow(&rig->f, &(const struct wire_flow) { TO(1) });
    wire_flow(&rig->f, &(const struct wire_flow) { TO(2), .table = 255 });
    wire_flow(&rig->f, &(const struct wire_flow) { TO(3) });
    assert_int_equal(bridge_apply_all(rig->bridge, rig->f.data, rig->f.len, results, 5, rig->now), 3);
    assert_done(results[0]);
    assert_error(results[1], OFPFMFC_BAD_TABLE_ID);
    assert_done(results[2]);
    assert_int_equal(rig->bridge->n_flows, 2);
    assert_int_equal(bridge_apply_all(rig->bridge, rig->f.data, rig->f.len, results, 2, rig->now), 2);
    put_be16(rig->f.data + 2, 7);
    assert_int_equal(bridge_apply_all(rig->bridge, rig->f.data, rig->f.len, results, 5, rig->now), 0);
    put_be16(rig->f.data + 2, 2000);
    assert_int_equal(bridge_apply_all(rig->bridge, rig->f.data, rig->f.len, results, 5, rig->now), 0);
    rig->f.len = 0;
}

static void
test_other_kinds_and_versions_are_refused(void **state)
{
    RIG;
    static const uint8_t hello[] = { 4, 0, 0, 8, 0, 0, 0, 1 }, old[] = { 1, 14, 0, 8, 0, 0, 0, 1 };
    static const uint8_t brief[] = { 4, 14, 0, 8, 0, 0, 0, 1 };
    assert_error(bridge_apply(rig->bridge, hello, 8, 0), OFPBRC_BAD_TYPE);
    assert_error(bridge_apply(rig->bridge, old, 8, 0), OFPBRC_BAD_VERSION);
    assert_error(bridge_apply(rig->bridge, brief, 8, 0), OFPBRC_BAD_LEN);
    assert_error(bridge_apply(rig->bridge, brief, 4, 0), OFPBRC_BAD_LEN);
}

/* --- Other statistics ------------------------------------------------------------------------------------------ */

static struct buffer
ask(struct rig *rig, unsigned type)
{
    struct buffer out = { 0 }, ends = { 0 };

    assert_done(rig_multipart(rig, type, &out, &ends));
    assert_int_equal(rig_part_end(&ends, ends.len / 4 - 1), out.len);
    buffer_close(&ends);
    return out;
}

static void
test_aggregate_sums_what_the_filter_lets_through(void **state)
{
    RIG;
    add_some(rig);
    use(rig, 1, rig->now);
    use(rig, 2, rig->now);
    wire_flow_request(&rig->f, &(const struct wire_flow) { .table = 255 });
    struct buffer out = ask(rig, 2);
    assert_int_equal(out.len, 24);
    assert_int_equal(get_be64(out.data), 2);
    assert_int_equal(get_be64(out.data + 8), 200);
    assert_int_equal(get_be32(out.data + 16), 4);
    buffer_close(&out);
}

static void
test_tables_and_ports_are_described(void **state)
{
    RIG;
    add_some(rig);
    struct buffer out = ask(rig, 3);
    assert_int_equal(out.len, 24 * BRIDGE_TABLES);
    assert_int_equal(get_be32(out.data + 4), 3);
    assert_int_equal(get_be32(out.data + 7 * 24 + 4), 1);
    buffer_close(&out);
    out = ask(rig, 13);
    assert_int_equal(out.len, 64 * RIG_PORTS);
    assert_int_equal(get_be32(out.data + 64), 2);
    assert_string_equal((const char *)out.data + 64 + 16, "p2");
    buffer_close(&out);
    frame_add64(&rig->f, UINT64_C(3) << 32);
    out = ask(rig, 4);
    assert_int_equal(out.len, 112);
    assert_int_equal(get_be32(out.data), 3);
    buffer_close(&out);
}

static void
test_requests_that_are_wrong_get_their_error(void **state)
{
    RIG;
    struct buffer out = { 0 }, ends = { 0 };
    assert_error(rig_multipart(rig, 99, &out, &ends), OFPBRC_BAD_MULTIPART);
    assert_error(rig_multipart(rig, 1, &out, &ends), OFPBRC_BAD_LEN);
    frame_add64(&rig->f, UINT64_C(99) << 32);
    assert_error(rig_multipart(rig, 4, &out, &ends), OFPBRC_BAD_PORT);
    frame_add32(&rig->f, 1);
    assert_error(rig_multipart(rig, 4, &out, &ends), OFPBRC_BAD_LEN);
    buffer_close(&out);
    buffer_close(&ends);
}

/* --- Packet-out: what is refused ---------------------------------------------------------------------------------- */

static void
test_a_packet_out_that_is_wrong_sends_nothing(void **state)
{
    RIG;
    struct frame frame, brief = { .len = 13 };
    frame_sample(&frame, SAMPLE_arp);
    wire_packet_out(&rig->f, 99, 1, &frame);
    assert_error(rig_apply(rig), OFPBRC_BAD_PORT);
    wire_packet_out(&rig->f, PORT_CONTROLLER, 1, &brief);
    assert_error(rig_apply(rig), OFPBRC_BAD_PACKET);
    wire_packet_out(&rig->f, PORT_CONTROLLER, 0xffffff01, &frame);
    assert_error(rig_apply(rig), OFPBAC_BAD_OUT_PORT);
    wire_packet_out(&rig->f, PORT_CONTROLLER, 1, &frame);
    put_be32(rig->f.data + 8, 3);
    assert_error(rig_apply(rig), OFPBRC_BUFFER_UNKNOWN);
    wire_packet_out(&rig->f, PORT_CONTROLLER, 1, &frame);
    put_be16(rig->f.data + 16, 0x1000);
    assert_error(rig_apply(rig), OFPBRC_BAD_LEN);
    rig_run(rig);
    assert_int_equal(rig->worker->totals.injected, 0);
}

static void
test_a_bridge_without_workers_sends_nothing(void **state)
{
    struct dataplane *dataplane = aligned_alloc(64, (sizeof *dataplane + 63) & ~(size_t)63);
    struct frame frame, message = { .len = 0 };

    (void)state;
    assert_int_equal(dataplane_open(dataplane), 0);
    struct bridge *bridge = bridge_open(dataplane, "br0", 1, 0);
    frame_sample(&frame, SAMPLE_arp);
    wire_packet_out(&message, PORT_CONTROLLER, PORT_FLOOD, &frame);
    assert_error(bridge_apply(bridge, message.data, message.len, 0), OFPBRC_EPERM);
    bridge_close(bridge);
    dataplane_close(dataplane);
    free(dataplane);
}

/* Rings may still have packets and requests for the one before. */
static void
test_a_bridge_does_not_get_the_index_of_one_that_just_went(void **state)
{
    RIG;
    uint32_t before = rig->bridge->index;

    for (unsigned i = 0; i < 5; i++) {
        struct bridge *bridge = bridge_open(&rig->dataplane, "br1", 2, 0);
        assert_non_null(bridge);
        assert_int_not_equal(bridge->index, before);
        before = bridge->index;
        bridge_close(bridge);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_statistics_give_back_what_was_sent),
        TEST(test_a_bridge_does_not_get_the_index_of_one_that_just_went),
        TEST(test_an_identical_entry_is_replaced_and_its_counters_stay),
        TEST(test_reset_counts_begins_from_zero),
        TEST(test_check_overlap_refuses_a_partial_overlap_of_the_same_priority),
        TEST(test_check_overlap_compares_masked_bits),
        TEST(test_a_full_bridge_takes_no_new_flow_but_changes_those_it_has),
        TEST(test_a_flow_mod_that_is_wrong_gets_its_error_and_changes_nothing),
        TEST(test_a_flow_too_long_for_its_statistics_is_refused),
        TEST(test_modify_changes_instructions_and_nothing_else),
        TEST(test_modify_of_nothing_adds_nothing),
        TEST(test_strict_means_this_match_and_priority),
        TEST(test_loose_means_this_match_or_a_narrower_one),
        TEST(test_delete_in_all_tables),
        TEST(test_cookies_out_ports_and_out_groups_filter),
        TEST(test_of_a_thousand_flows_each_is_dumped_once_in_parts),
        TEST(test_a_hard_timeout_ends_a_flow_in_use),
        TEST(test_an_idle_timeout_counts_from_the_last_packet),
        TEST(test_an_unused_flow_is_idle_from_when_it_was_added),
        TEST(test_a_deleted_flow_is_reported_if_it_asked_for_it),
        TEST(test_events_that_nobody_takes_are_bounded_and_counted),
        TEST(test_a_port_mod_changes_the_bits_it_masks_and_is_reported),
        TEST(test_a_port_mod_that_is_wrong_changes_nothing),
        TEST(test_a_table_mod_takes_only_what_is_defined),
        TEST(test_each_of_several_messages_has_its_result),
        TEST(test_other_kinds_and_versions_are_refused),
        TEST(test_aggregate_sums_what_the_filter_lets_through),
        TEST(test_tables_and_ports_are_described),
        TEST(test_requests_that_are_wrong_get_their_error),
        TEST(test_a_packet_out_that_is_wrong_sends_nothing),
        cmocka_unit_test(test_a_bridge_without_workers_sends_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
