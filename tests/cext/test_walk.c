/* bridge_walk.c, op_flow.c, op_output.c, op_group.c, worker_packet.c: packets from memory port to
 * memory port.  After every run each packet is accounted for (K11), see rig_run(). */

#include <stdlib.h>
#include <string.h>

#include "rig_test.h"

#define assert_done(RESULT) assert_int_equal(RESULT, OFWIRE_OK)
#define IN(PORT) .n_match = 1, .match = { { FIELD_in_port, PORT, 0 } }

/* Puts one sample on a port and runs; which ports it came out of as bits. */
static unsigned
send_sample(struct rig *rig, unsigned port, enum sample sample)
{
    struct frame frame;
    unsigned out = 0;

    frame_sample(&frame, sample);
    rig_put(rig, port, &frame);
    rig_run(rig);
    for (unsigned i = 1; i <= RIG_PORTS; i++) {
        out |= (rig_take(rig, i, NULL) > 0) << i;
    }
    return out;
}

static uint64_t
drops(const struct rig *rig, enum drop_reason reason)
{
    return rig->worker->totals.drops[reason];
}

/* The one packet that was punted, as a packet-in. */
static struct frame
packet_in(struct rig *rig)
{
    struct punt *punt = worker_punt_peek(rig->worker);
    struct buffer out = { 0 };
    struct frame frame = { .len = 0 };

    assert_non_null(punt);
    bridge_packet_in(punt, &out);
    worker_punt_consume(rig->worker);
    assert_null(worker_punt_peek(rig->worker));
    assert_int_equal(get_be16(out.data + 2), out.len);
    frame_add(&frame, out.data, out.len);
    buffer_close(&out);
    return frame;
}

/* --- Tables ------------------------------------------------------------------------------------- */

static void
test_a_packet_without_an_entry_is_dropped(void **state)
{
    RIG;
    assert_int_equal(send_sample(rig, 1, SAMPLE_arp), 0);
    assert_int_equal(drops(rig, DROP_no_entry), 1);
}

static void
test_an_entry_without_instructions_drops(void **state)
{
    RIG;
    FLOW(.priority = 1);
    assert_int_equal(send_sample(rig, 1, SAMPLE_arp), 0);
    assert_int_equal(drops(rig, DROP_action), 1);
}

static void
test_outputs_are_carried_out_one_after_the_other(void **state)
{
    RIG;
    FLOW(IN(1), .output = { 2, 4 });
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 1 << 2 | 1 << 4);
    assert_int_equal(rig->worker->totals.copied, 1);
}

static void
test_goto_leads_through_tables_with_metadata(void **state)
{
    RIG;
    FLOW(.metadata = 0x1234, .go_to = 9);
    FLOW(.table = 9, .n_match = 1, .match = { { FIELD_metadata, 0x1234, 0 } }, .output = { 3 });
    FLOW(.table = 9, .output = { 4 });
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 1 << 3);
}

static void
test_an_action_set_is_carried_along_and_can_be_cleared(void **state)
{
    RIG;
    FLOW(.write_output = 2, .go_to = 1);
    FLOW(.table = 1);
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 1 << 2);
    FLOW(.table = 1, .write_output = 3);
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 1 << 3);          /* The later one. */
    FLOW(.table = 1, .clear = true);
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 0);
    FLOW(.table = 1, .clear = true, .write_output = 4);
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 1 << 4);
}

static void
test_a_group_in_the_set_leaves_nothing_to_an_output(void **state)
{
    RIG;
    GROUP(.id = 1, .type = GROUP_ALL, .n = 1, .bucket = { { .output = 3 } });
    FLOW(.write_group = 1, .go_to = 1);
    FLOW(.table = 1, .write_output = 2);
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 1 << 3);
}

static void
test_a_packet_that_went_out_and_has_nothing_left_to_do_is_no_drop(void **state)
{
    RIG;
    FLOW(.output = { 2 }, .go_to = 1);
    FLOW(.table = 1, .priority = 1);
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 1 << 2);
    assert_int_equal(rig->worker->totals.consumed, 1);
    assert_int_equal(rig_dropped(rig->worker), 0);
}

static void
test_many_write_actions_keep_the_last_of_each_kind(void **state)
{
    RIG;
    for (unsigned table = 0; table < 200; table++) {
        FLOW(.table = table, .write_output = 2 + table % 3, .go_to = table + 1);
    }
    FLOW(.table = 200);
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 1 << (2 + 199 % 3));
}

/* Packets of one vector that take different ways. */
static void
test_a_mixed_vector_is_taken_apart(void **state)
{
    RIG;
    unsigned n[RIG_PORTS + 1] = { 0 };
    struct frame frame;

    FLOW(.priority = 5, .n_match = 1, .match = { { FIELD_eth_type, 0x0806, 0 } }, .output = { 2 });
    FLOW(.priority = 5, .n_match = 1, .match = { { FIELD_eth_type, 0x0800, 0 } }, .go_to = 3);
    FLOW(.priority = 5, .n_match = 1, .match = { { FIELD_eth_type, 0x86dd, 0 } }, .go_to = 2);
    FLOW(.table = 2, .go_to = 3);
    FLOW(.table = 3, .n_match = 1, .match = { { FIELD_eth_type, 0x0800, 0 } }, .priority = 1,
         .output = { 3 });
    FLOW(.table = 3, .output = { 4 });
    for (unsigned i = 0; i < 3 * N_SAMPLES; i++) {
        frame_sample(&frame, i % N_SAMPLES);
        rig_put(rig, 1, &frame);
        unsigned type = get_be16(frame.data + 12);
        n[type == 0x0806 ? 2 : type == 0x0800 ? 3 : type == 0x86dd ? 4 : 0]++;
    }
    rig_run(rig);
    assert_true(rig_take(rig, 2, NULL) >= n[2]);        /* Also tagged ones and SNAP. */
    assert_true(rig_take(rig, 3, NULL) >= n[3]);
    assert_int_equal(rig_take(rig, 4, NULL), n[4]);
    struct buffer out = { 0 }, ends = { 0 };
    assert_done(rig_multipart(rig, 3, &out, &ends));
    assert_int_equal(get_be64(out.data + 8), 3 * N_SAMPLES);
    assert_int_equal(get_be64(out.data + 16) + drops(rig, DROP_no_entry), 3 * N_SAMPLES);
    assert_int_equal(get_be64(out.data + 2 * 24 + 8), n[4]);
    buffer_close(&out);
    buffer_close(&ends);
}

/* --- Reserved ports --------------------------------------------------------------------------------- */

static void
test_flood_and_all_leave_out_the_port_it_came_from(void **state)
{
    RIG;
    FLOW(.output = { PORT_FLOOD });
    assert_int_equal(send_sample(rig, 2, SAMPLE_tcp), 1 << 1 | 1 << 3 | 1 << 4);
    FLOW(.output = { PORT_ALL });
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 1 << 2 | 1 << 3 | 1 << 4);
}

static void
test_back_to_where_it_came_from_only_by_in_port(void **state)
{
    RIG;
    FLOW(.output = { 1 });
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 0);
    assert_int_equal(drops(rig, DROP_in_port), 1);
    FLOW(.output = { PORT_IN_PORT });
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 1 << 1);
}

static void
test_to_a_port_that_is_not_there(void **state)
{
    RIG;
    FLOW(.output = { 77 });
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 0);
    assert_int_equal(drops(rig, DROP_no_port), 1);
}

static void
configure(struct rig *rig, unsigned port, uint32_t config)
{
    wire_port_mod(&rig->f, port, rig->at[port]->mac, config, 0x65);
    assert_done(rig_apply(rig));
}

static void
test_a_port_does_what_its_configuration_says(void **state)
{
    RIG;
    FLOW(.output = { PORT_FLOOD });
    configure(rig, 2, PORT_NO_FWD);
    configure(rig, 3, PORT_NO_RECV);
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 1 << 3 | 1 << 4);
    assert_int_equal(send_sample(rig, 3, SAMPLE_tcp), 0);
    assert_int_equal(drops(rig, DROP_port_no_recv), 1);
    FLOW(.output = { 2 });
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 0);
    assert_int_equal(drops(rig, DROP_port_down), 1);
    configure(rig, 2, 0);
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 1 << 2);
    configure(rig, 2, PORT_DOWN);
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 0);
}

/* --- To the controller --------------------------------------------------------------------------------- */

static void
test_a_packet_in_says_why_and_from_where(void **state)
{
    RIG;
    struct frame frame;
    FLOW(.metadata = 5, .go_to = 7);
    FLOW(.table = 7, .priority = 3, .cookie = 0xabc, .output = { PORT_CONTROLLER });
    frame_sample(&frame, SAMPLE_tcp);
    assert_int_equal(send_sample(rig, 3, SAMPLE_tcp), 0);
    struct frame in = packet_in(rig);
    assert_int_equal(in.data[1], 10);
    assert_int_equal(get_be32(in.data + 8), UINT32_MAX);
    assert_int_equal(get_be16(in.data + 12), frame.len);
    assert_int_equal(in.data[14], PUNT_ACTION);
    assert_int_equal(in.data[15], 7);
    assert_int_equal(get_be64(in.data + 16), 0xabc);
    assert_int_equal(get_be32(in.data + 24 + 8), 3);            /* in_port */
    assert_memory_equal(in.data + in.len - frame.len, frame.data, frame.len);
}

static void
test_a_miss_entry_punts_as_no_match(void **state)
{
    RIG;
    FLOW(.output = { PORT_CONTROLLER });
    send_sample(rig, 1, SAMPLE_arp);
    assert_int_equal(packet_in(rig).data[14], PUNT_NO_MATCH);
}

static void
test_no_packet_in_is_about_misses_only(void **state)
{
    RIG;
    configure(rig, 1, PORT_NO_PACKET_IN);
    FLOW(.output = { PORT_CONTROLLER });
    send_sample(rig, 1, SAMPLE_arp);
    assert_null(worker_punt_peek(rig->worker));
    FLOW(.priority = 1, .output = { PORT_CONTROLLER });
    send_sample(rig, 1, SAMPLE_arp);
    assert_int_equal(packet_in(rig).data[14], PUNT_ACTION);
}

static void
test_what_the_queue_to_the_controller_does_not_take_is_counted(void **state)
{
    RIG;
    struct frame frame;
    unsigned n = 0;

    FLOW(.output = { PORT_CONTROLLER });
    frame_eth(&frame, 0x9999);
    frame_payload(&frame, 1500);
    while (!drops(rig, DROP_punt)) {
        for (unsigned i = 0; i < 50; i++) {
            rig_put(rig, 1, &frame);
        }
        rig_run(rig);
        n += 50;
    }
    assert_int_equal(rig->worker->totals.punted + drops(rig, DROP_punt), n);
    while (worker_punt_peek(rig->worker)) {
        worker_punt_consume(rig->worker);
        n--;
    }
    assert_int_equal(n, drops(rig, DROP_punt));
}

/* --- Packet-out ---------------------------------------------------------------------------------------- */

static unsigned
packet_out(struct rig *rig, uint32_t in_port, uint32_t output)
{
    struct frame frame;
    unsigned out = 0;

    frame_sample(&frame, SAMPLE_udp);
    wire_packet_out(&rig->f, in_port, output, &frame);
    assert_done(rig_apply(rig));
    rig_run(rig);
    for (unsigned i = 1; i <= RIG_PORTS; i++) {
        out |= (rig_take(rig, i, NULL) > 0) << i;
    }
    return out;
}

static void
test_a_packet_out_goes_where_it_is_told(void **state)
{
    RIG;
    assert_int_equal(packet_out(rig, PORT_CONTROLLER, 2), 1 << 2);
    assert_int_equal(packet_out(rig, PORT_CONTROLLER, PORT_FLOOD), 0x1e);
    assert_int_equal(packet_out(rig, 3, PORT_ALL), 0x1e & ~(1 << 3));
    assert_int_equal(packet_out(rig, 3, PORT_IN_PORT), 1 << 3);
    assert_int_equal(packet_out(rig, 3, 0), 0);
    assert_int_equal(rig->worker->totals.injected, 5);
    rig_tick(rig, 10);
    assert_int_equal(rig->dataplane.programs.n_programs, rig->n_programs);    /* Each had its own. */
}

static void
test_a_packet_out_to_the_tables_is_as_if_received(void **state)
{
    RIG;
    FLOW(IN(PORT_CONTROLLER), .priority = 1, .output = { 4 });
    FLOW(IN(2), .priority = 1, .output = { 3 });
    assert_int_equal(packet_out(rig, PORT_CONTROLLER, PORT_TABLE), 1 << 4);
    assert_int_equal(packet_out(rig, 2, PORT_TABLE), 1 << 3);
}

static void
test_a_packet_out_to_the_controller_comes_from_no_flow(void **state)
{
    RIG;
    packet_out(rig, 2, PORT_CONTROLLER);
    struct frame in = packet_in(rig);
    assert_int_equal(in.data[14], PUNT_ACTION);
    assert_int_equal(get_be64(in.data + 16), UINT64_MAX);
}

static void
test_packet_outs_beyond_the_queue_are_counted(void **state)
{
    RIG;
    struct frame frame;
    unsigned n = 0;

    frame_eth(&frame, 0x9999);
    frame_payload(&frame, 3000);
    for (; !rig->worker->injects_lost; n++) {
        wire_packet_out(&rig->f, PORT_CONTROLLER, 1, &frame);
        assert_done(rig_apply(rig));
    }
    rig_run(rig);
    assert_int_equal(rig->worker->totals.injected, n - 1);
}

/* --- Groups --------------------------------------------------------------------------------------------- */

static void
test_all_buckets_get_the_packet(void **state)
{
    RIG;
    GROUP(.id = 1, .type = GROUP_ALL, .n = 3,
          .bucket = { { .output = 2 }, { .output = 3 }, { .watch_port = 99 } });
    FLOW(.group = 1);
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 1 << 2 | 1 << 3);
}

static void
test_a_packet_goes_through_groups_inside_groups(void **state)
{
    RIG;
    GROUP(.id = 1, .type = GROUP_ALL, .n = 2, .bucket = { { .output = 2 }, { .output = 3 } });
    for (uint32_t id = 2; id <= GROUP_DEPTH; id++) {
        assert_done(GROUP(.id = id, .type = GROUP_INDIRECT, .n = 1, .bucket = { { .group = id - 1 } }));
    }
    FLOW(.group = GROUP_DEPTH);
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 1 << 2 | 1 << 3);
    assert_int_equal(rig_dropped(rig->worker), 0);
}

/* Four times four times ... copies would be more than anybody can wait for. */
static void
test_groups_that_multiply_a_packet_come_to_an_end(void **state)
{
    RIG;
    GROUP(.id = 1, .type = GROUP_ALL, .n = 4);
    for (uint32_t id = 2; id <= GROUP_DEPTH; id++) {
        assert_done(GROUP(.id = id, .type = GROUP_ALL, .n = 4, .bucket = {
            { .group = id - 1 }, { .group = id - 1 }, { .group = id - 1 }, { .group = id - 1 } }));
    }
    FLOW(.group = GROUP_DEPTH);
    send_sample(rig, 1, SAMPLE_tcp);
    assert_in_range(rig->worker->totals.copied, 1, BUCKETS_RUN_MAX);
    assert_true(drops(rig, DROP_depth) > 0);
}

/* The same for groups that watch groups: none of them is alive. */
static void
test_groups_that_watch_each_other_many_times_over_are_dead_in_the_end(void **state)
{
    RIG;
    struct wire_group group = { .id = 1, .type = GROUP_FAST_FAILOVER, .n = 4 };

    for (; group.id <= GROUP_DEPTH; group.id++) {
        for (unsigned i = 0; i < 4; i++) {
            group.bucket[i] = (struct wire_bucket) {
                .watch_port = group.id == 1 ? RIG_PORTS + 1 : 0, .watch_group = group.id - 1,
            };
        }
        assert_done(rig_group(rig, &group));
    }
    FLOW(.group = GROUP_DEPTH);
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 0);
    assert_int_equal(drops(rig, DROP_no_group), 1);
}

static void
test_failover_takes_the_first_bucket_that_lives(void **state)
{
    RIG;
    GROUP(.id = 1, .type = GROUP_FAST_FAILOVER, .n = 2,
          .bucket = { { .watch_port = 2, .output = 2 }, { .watch_port = 3, .output = 3 } });
    FLOW(.group = 1);
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 1 << 2);
    atomic_store(&rig->at[2]->state, LINK_DOWN);
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 1 << 3);
    atomic_store(&rig->at[3]->state, LINK_DOWN);
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 0);
    assert_int_equal(drops(rig, DROP_no_group), 1);
}

/* Weights 1, 3 and 0: a quarter, three quarters, nothing; a conversation stays with its bucket. */
static void
test_select_follows_weights_and_conversations(void **state)
{
    RIG;
    enum { N = 6000 };
    unsigned n[3] = { 0 };
    struct frame frame;

    GROUP(.id = 1, .type = GROUP_SELECT, .n = 3, .bucket = {
        { .weight = 1, .output = 2 }, { .weight = 3, .output = 3 }, { .weight = 0, .output = 4 } });
    FLOW(.group = 1);
    for (unsigned i = 0; i < N; i++) {
        frame_sample(&frame, SAMPLE_udp);
        put_be16(frame.data + 34, (uint16_t)(i * 7919));
        rig_put(rig, 1, &frame);
        rig_put(rig, 1, &frame);
        rig_run(rig);
        for (unsigned j = 0; j < 3; j++) {
            unsigned taken = rig_take(rig, 2 + j, NULL);
            assert_true(taken == 0 || taken == 2);
            n[j] += taken / 2;
        }
    }
    assert_int_equal(n[0] + n[1], N);
    assert_in_range(n[0], N / 4 - 100, N / 4 + 100);    /* Three times the standard deviation. */
}

static void
test_a_group_without_buckets_drops(void **state)
{
    RIG;
    GROUP(.id = 1, .type = GROUP_ALL);
    FLOW(.group = 1);
    assert_int_equal(send_sample(rig, 1, SAMPLE_tcp), 0);
    assert_int_equal(drops(rig, DROP_no_group), 1);
}

/* --- Limits --------------------------------------------------------------------------------------------- */

static void
test_fragments_are_dropped_if_the_agent_says_so(void **state)
{
    RIG;
    FLOW(.output = { 2 });
    assert_int_equal(send_sample(rig, 1, SAMPLE_first), 1 << 2);
    atomic_store(&rig->bridge->frag_mode, FRAG_DROP);
    assert_int_equal(send_sample(rig, 1, SAMPLE_first), 0);
    assert_int_equal(send_sample(rig, 1, SAMPLE_later6), 0);
    assert_int_equal(drops(rig, DROP_fragment), 2);
    assert_int_equal(send_sample(rig, 1, SAMPLE_udp), 1 << 2);
}

static void
test_without_packets_copies_are_counted_as_lost(void **state)
{
    RIG;
    enum { N = 300 };
    struct frame frame;

    FLOW(.output = { 2, 3 }, .write_output = 4);        /* 3 for each of 64 at least, 128 in all. */
    frame_sample(&frame, SAMPLE_arp);
    for (unsigned i = 0; i < N; i++) {
        rig_put(rig, 1, &frame);
    }
    rig_run(rig);
    unsigned copies = rig_take(rig, 2, NULL) + rig_take(rig, 3, NULL);
    assert_int_equal(copies + drops(rig, DROP_no_buffer), 2 * N);
    assert_int_equal(rig_take(rig, 4, NULL), N);
    assert_true(drops(rig, DROP_no_buffer) > 0);
}

static void
test_a_frame_that_grew_too_long_to_copy_is_not_copied(void **state)
{
    RIG;
    uint8_t *frame = calloc(1, PACKET_LARGE);
    size_t start = wire_flow_head(&rig->f, &(const struct wire_flow) { .priority = 1 });

    wire_match(&rig->f, NULL, 0);
    size_t apply = of_begin_actions(&rig->f, WIRE_APPLY);
    frame_add64(&rig->f, UINT64_C(17) << 48 | UINT64_C(8) << 32 | 0x81000000);      /* push-vlan */
    of_output(&rig->f, 2);
    of_output(&rig->f, 3);
    of_end(&rig->f, apply);
    of_end(&rig->f, start);
    assert_done(rig_apply(rig));
    assert_int_equal(port_memory_put(&rig->ports[1], frame, PACKET_LARGE, NULL), 0);
    rig_run(rig);
    assert_int_equal(drops(rig, DROP_no_buffer), 1);
    assert_int_equal(rig_take(rig, 2, NULL), 0);
    assert_int_equal(rig_take(rig, 3, NULL), 1);
    free(frame);
}

static void
test_a_port_that_takes_no_more_has_its_drops_counted(void **state)
{
    RIG;
    struct frame frame;
    unsigned n = 0;

    FLOW(.output = { 2 });
    frame_eth(&frame, 0x9999);
    frame_payload(&frame, 1400);
    while (!drops(rig, DROP_tx)) {
        rig_put(rig, 1, &frame);
        rig_run(rig);
        n++;
    }
    assert_int_equal(rig->ports[2].counters.tx_dropped, 1);
    assert_int_equal(rig_take(rig, 2, NULL), n - 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_packet_without_an_entry_is_dropped),
        TEST(test_an_entry_without_instructions_drops),
        TEST(test_outputs_are_carried_out_one_after_the_other),
        TEST(test_goto_leads_through_tables_with_metadata),
        TEST(test_an_action_set_is_carried_along_and_can_be_cleared),
        TEST(test_a_group_in_the_set_leaves_nothing_to_an_output),
        TEST(test_a_packet_that_went_out_and_has_nothing_left_to_do_is_no_drop),
        TEST(test_many_write_actions_keep_the_last_of_each_kind),
        TEST(test_a_mixed_vector_is_taken_apart),
        TEST(test_flood_and_all_leave_out_the_port_it_came_from),
        TEST(test_back_to_where_it_came_from_only_by_in_port),
        TEST(test_to_a_port_that_is_not_there),
        TEST(test_a_port_does_what_its_configuration_says),
        TEST(test_a_packet_in_says_why_and_from_where),
        TEST(test_a_miss_entry_punts_as_no_match),
        TEST(test_no_packet_in_is_about_misses_only),
        TEST(test_what_the_queue_to_the_controller_does_not_take_is_counted),
        TEST(test_a_packet_out_goes_where_it_is_told),
        TEST(test_a_packet_out_to_the_tables_is_as_if_received),
        TEST(test_a_packet_out_to_the_controller_comes_from_no_flow),
        TEST(test_packet_outs_beyond_the_queue_are_counted),
        TEST(test_all_buckets_get_the_packet),
        TEST(test_a_packet_goes_through_groups_inside_groups),
        TEST(test_groups_that_multiply_a_packet_come_to_an_end),
        TEST(test_groups_that_watch_each_other_many_times_over_are_dead_in_the_end),
        TEST(test_failover_takes_the_first_bucket_that_lives),
        TEST(test_select_follows_weights_and_conversations),
        TEST(test_a_group_without_buckets_drops),
        TEST(test_fragments_are_dropped_if_the_agent_says_so),
        TEST(test_without_packets_copies_are_counted_as_lost),
        TEST(test_a_frame_that_grew_too_long_to_copy_is_not_copied),
        TEST(test_a_port_that_takes_no_more_has_its_drops_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
