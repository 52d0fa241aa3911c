/* bridge_meter.c, bridge_meter_stats.c, op_meter.c: meter-mods and their errors, packets through
 * meters, statistics (K16). */

#include <stdlib.h>
#include <string.h>

#include "offload.h"
#include "plain_sum.h"
#include "rig_test.h"

enum { MODIFY = 1, DELETE = 2 };
enum { MP_METER = 9, MP_CONFIG = 10, MP_FEATURES = 11 };

/* Buckets are filled by the worker's clock, so the bridge must have the same; rates are so low that
 * nothing comes back to them while a test runs. */
static int
set_up(void **state)
{
    struct rig *rig = rig_new();

    rig->now = rig->worker->now_ms;
    *state = rig;
    return 0;
}

#define assert_error(RESULT, NAME) assert_int_equal(RESULT, OFWIRE_##NAME)
#define assert_done(RESULT) assert_int_equal(RESULT, OFWIRE_OK)

/* A frame from port 1 that table 0 sees; DSCP 10 (AF11). */
static struct frame
udp_frame(bool ipv6, size_t payload)
{
    struct frame f;

    frame_eth(&f, ipv6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4);
    if (ipv6) {
        frame_ipv6(&f, IP_PROTO_UDP);
    } else {
        frame_ipv4(&f, IP_PROTO_UDP, 0, 0);
    }
    frame_udp(&f, payload);
    frame_end(&f);
    if (!ipv6) {
        put_be16(f.data + f.ip + 10, (uint16_t) ~plain_sum(0, f.data + f.ip, IPV4_SIZE));
    }
    return f;
}

static void
send_frames(struct rig *rig, unsigned n)
{
    struct frame f = udp_frame(false, 18);

    for (unsigned i = 0; i < n; i++) {
        rig_put(rig, 1, &f);
    }
    rig_run(rig);
}

/* Asks one meter, or METER_ALL. */
static struct buffer
ask(struct rig *rig, unsigned type, uint32_t id)
{
    struct buffer out = { 0 }, ends = { 0 };

    frame_add32(&rig->f, id);
    frame_add32(&rig->f, 0);
    assert_done(rig_multipart(rig, type, &out, &ends));
    buffer_close(&ends);
    return out;
}

struct counts {
    uint64_t flows, packets, bytes, band_packets[2], band_bytes[2];
};

static struct counts
counts_of(struct rig *rig, uint32_t id)
{
    struct buffer out = ask(rig, MP_METER, id);
    struct counts counts = { 0 };

    assert_true(out.len >= 40);
    assert_int_equal(get_be32(out.data), id);
    assert_int_equal(get_be16(out.data + 4), out.len);
    counts.flows = get_be32(out.data + 12);
    counts.packets = get_be64(out.data + 16);
    counts.bytes = get_be64(out.data + 24);
    for (size_t at = 40, i = 0; at < out.len && i < 2; at += 16, i++) {
        counts.band_packets[i] = get_be64(out.data + at);
        counts.band_bytes[i] = get_be64(out.data + at + 8);
    }
    buffer_close(&out);
    return counts;
}

/* --- Meter-mods ------------------------------------------------------------------------------- */

static void
a_meter_is_added_once_and_modified_only_if_it_is_there(void **state)
{
    RIG;
    assert_done(METER(.id = 1));
    assert_error(METER(.id = 1), OFPMMFC_METER_EXISTS);
    assert_error(METER(.command = MODIFY, .id = 2), OFPMMFC_UNKNOWN_METER);
    assert_done(METER(.command = MODIFY, .id = 1, .n = 1, .band = { { .rate = 5 } }));
    assert_done(METER(.id = METER_MAX));
    assert_done(METER(.command = DELETE, .id = 7));             /* To delete none is no error. */
}

#define BAD_METERS(X)                                                                         \
    X(OFPMMFC_BAD_COMMAND, .command = 3, .id = 9)                                             \
    X(OFPMMFC_INVALID_METER, .id = 0)                                                         \
    X(OFPMMFC_INVALID_METER, .id = METER_MAX + 1)                                             \
    X(OFPMMFC_INVALID_METER, .id = METER_ALL)                                                 \
    X(OFPMMFC_INVALID_METER, .command = MODIFY, .id = METER_ALL)                              \
    X(OFPMMFC_INVALID_METER, .command = DELETE, .id = 0)                                      \
    X(OFPMMFC_METER_EXISTS, .id = 1)                                                          \
    X(OFPMMFC_UNKNOWN_METER, .command = MODIFY, .id = 9)                                      \
    X(OFPMMFC_BAD_FLAGS, .id = 9, .flags = 16)                                                \
    X(OFPMMFC_BAD_FLAGS, .id = 9, .flags = METER_KBPS | METER_PKTPS)                          \
    X(OFPMMFC_BAD_RATE, .id = 9, .n = 2, .band = { { .rate = 1 }, { .rate = 0 } })            \
    X(OFPMMFC_BAD_BURST, .id = 9, .flags = METER_BURST, .n = 1, .band = { { .rate = 1 } })    \
    X(OFPMMFC_BAD_BAND, .id = 9, .n = 1, .band = { { .type = 3, .rate = 1 } })                \
    X(OFPMMFC_BAD_BAND, .id = 9, .n = 1, .band = { { .type = 0xffff, .rate = 1 } })           \
    X(OFPMMFC_BAD_BAND_VALUE, .id = 9, .n = 1, .band = { { .type = 2, .rate = 1 } })          \
    X(OFPMMFC_BAD_BAND, .command = MODIFY, .id = 1, .n = 1, .band = { { .type = 7 } })

static void
a_meter_mod_that_is_wrong_gets_its_error_and_changes_nothing(void **state)
{
    RIG;
    assert_done(METER(.id = 1, .n = 1, .band = { { .rate = 5 } }));
    uint32_t before = rig->dataplane.counters.n_used - rig->dataplane.counters.n_free;
#define BAD_METER(CODE, ...) assert_error(METER(__VA_ARGS__), CODE);
    BAD_METERS(BAD_METER)
    assert_int_equal(rig->bridge->meters.map.n, 1);
    assert_int_equal(rig->dataplane.counters.n_used - rig->dataplane.counters.n_free, before);
    struct buffer out = ask(rig, MP_CONFIG, 1);
    assert_int_equal(out.len, 24);
    assert_int_equal(get_be32(out.data + 12), 5);
    buffer_close(&out);
}

/* A meter-mod of meter 9 with these bytes as its bands. */
static uint32_t
add_raw(struct rig *rig, const char *bands, size_t size)
{
    size_t start = wire_begin(&rig->f, WIRE_METER_MOD);

    frame_add32(&rig->f, 0);
    frame_add32(&rig->f, 9);
    frame_add(&rig->f, bands, size);
    of_end(&rig->f, start);
    return rig_apply(rig);
}

static void
lengths_that_do_not_fit_are_refused(void **state)
{
    RIG;
    assert_error(add_raw(rig, "\0\1\0\10\0\0\0\1", 8), OFPBRC_BAD_LEN);
    assert_error(add_raw(rig, "\0\1\0\20\0\0\0\1\0\0\0\0", 12), OFPBRC_BAD_LEN);
    assert_error(add_raw(rig, "\0\1\0\14\0\0\0\1\0\0\0\0\0\0\0\0", 16), OFPBRC_BAD_LEN);
    assert_error(add_raw(rig, "\0\1\0\30\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24),
                 OFPBRC_BAD_LEN);
    assert_error(add_raw(rig, "\0\1\0\0\0\0\0\1\0\0\0\0\0\0\0\0", 16), OFPBRC_BAD_LEN);
    wire_begin(&rig->f, WIRE_METER_MOD);
    frame_add32(&rig->f, 0);
    of_end(&rig->f, 0);
    assert_error(rig_apply(rig), OFPBRC_BAD_LEN);
}

static void
more_bands_or_meters_than_there_is_room_for_are_refused(void **state)
{
    RIG;
    char bands[(BANDS_MAX + 1) * 16];
    for (unsigned i = 0; i <= BANDS_MAX; i++) {
        memcpy(bands + i * 16, "\0\1\0\20\0\0\0\1\0\0\0\0\0\0\0\0", 16);
    }
    assert_error(add_raw(rig, bands, sizeof bands), OFPMMFC_OUT_OF_BANDS);
    assert_done(add_raw(rig, bands, sizeof bands - 16));
    rig->bridge->meters.max = 2;
    assert_done(METER(.id = 1));
    assert_error(METER(.id = 2), OFPMMFC_OUT_OF_METERS);
    assert_done(METER(.command = DELETE, .id = 1));
    assert_done(METER(.id = 2));
}

static void
to_delete_all_meters_leaves_the_virtual_ones(void **state)
{
    RIG;
    for (unsigned id = 1; id <= 100; id++) {
        assert_done(METER(.id = id));
    }
    assert_done(METER(.id = METER_CONTROLLER));
    assert_done(METER(.command = MODIFY, .id = METER_SLOWPATH, .n = 1, .band = { { .rate = 1 } }));
    assert_error(METER(.id = METER_SLOWPATH), OFPMMFC_METER_EXISTS);
    assert_done(METER(.command = DELETE, .id = METER_ALL, .flags = 99));
    assert_int_equal(rig->bridge->meters.map.n, 2);
    assert_done(METER(.command = DELETE, .id = METER_CONTROLLER));
    assert_int_equal(rig->bridge->meters.map.n, 1);
}

/* --- Flows ---------------------------------------------------------------------------------------- */

static void
flows_of_a_meter_are_counted_and_go_with_it(void **state)
{
    RIG;
    assert_error(FLOW(.meter = 1), OFPMMFC_UNKNOWN_METER);
    assert_done(METER(.id = 1));
    assert_done(METER(.id = 2));
    assert_done(FLOW(.priority = 1, .meter = 1, .flags = WIRE_SEND_FLOW_REM));
    assert_done(FLOW(.priority = 2, .meter = 1, .table = 3));
    assert_done(FLOW(.priority = 3, .meter = 2, .flags = WIRE_SEND_FLOW_REM));
    assert_done(FLOW(.priority = 4, .flags = WIRE_SEND_FLOW_REM));
    assert_int_equal(counts_of(rig, 1).flows, 2);
    assert_done(FLOW(.command = WIRE_MODIFY_STRICT, .priority = 2, .meter = 2, .table = 3));
    assert_int_equal(counts_of(rig, 1).flows, 1);
    assert_int_equal(counts_of(rig, 2).flows, 2);

    assert_done(METER(.command = DELETE, .id = 1));
    assert_int_equal(rig->bridge->n_flows, 3);
    assert_int_equal(rig->bridge->events.data[1], 11);
    assert_int_equal(get_be16(rig->bridge->events.data + 2), rig->bridge->events.len);
    assert_int_equal(get_be16(rig->bridge->events.data + 16), 1);
    assert_int_equal(rig->bridge->events.data[18], 2);          /* OFPRR_DELETE */
    assert_done(METER(.command = DELETE, .id = METER_ALL));
    assert_int_equal(rig->bridge->n_flows, 1);
    assert_int_equal(DUMPED(.table = 0xff), 1);
}

/* --- Packets ----------------------------------------------------------------------------------------- */

static void
packets_over_the_rate_are_dropped_and_counted(void **state)
{
    RIG;
    assert_done(METER(.id = 1, .flags = METER_PKTPS | METER_BURST | METER_STATS, .n = 1,
                      .band = { { .rate = 1, .burst = 5 } }));
    assert_done(FLOW(.meter = 1, .output = { 2 }));
    send_frames(rig, 8);
    assert_int_equal(rig_take(rig, 2, NULL), 5);
    assert_int_equal(rig->worker->totals.drops[DROP_meter], 3);
    struct counts counts = counts_of(rig, 1);
    assert_int_equal(counts.packets, 8);
    assert_int_equal(counts.bytes, 8 * 60);
    assert_int_equal(counts.band_packets[0], 3);
    assert_int_equal(counts.band_bytes[0], 3 * 60);
}

/* 60 bytes are 0.48 kilobits. */
static void
kilobits_are_bytes_of_frames(void **state)
{
    RIG;
    assert_done(METER(.id = 1, .flags = METER_KBPS | METER_BURST, .n = 1,
                      .band = { { .rate = 1, .burst = 12 } }));
    assert_done(FLOW(.meter = 1, .output = { 2 }));
    send_frames(rig, 40);
    assert_int_equal(rig_take(rig, 2, NULL), 25);
}

/* The meter comes first, however the instructions were sent, and the next table sees what it did. */
static void
remarked_packets_have_good_checksums_and_match_anew(void **state)
{
    RIG;
    assert_done(METER(.id = 1, .flags = METER_PKTPS | METER_BURST, .n = 1,
                      .band = { { .type = BAND_DSCP_REMARK, .rate = 1, .burst = 1,
                                  .prec_level = 1 } }));
    assert_done(FLOW(.meter = 1, .go_to = 1));
    for (unsigned i = 0; i < 2; i++) {
        unsigned type = i ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4;
        assert_done(FLOW(.table = 1, .priority = 1, .output = { 2 + 2 * i }, .n_match = 2,
                         .match = { { FIELD_eth_type, type, 0 }, { FIELD_ip_dscp, 12, 0 } }));
        assert_done(FLOW(.table = 1, .priority = 1, .output = { 3 }, .n_match = 2,
                         .match = { { FIELD_eth_type, type, 0 }, { FIELD_ip_dscp, 10, 0 } }));
    }
    struct frame v4 = udp_frame(false, 18), v6 = udp_frame(true, 18), arp, out;
    frame_eth(&arp, ETH_TYPE_ARP);
    frame_arp(&arp, 1);
    const struct frame *frames[] = { &v4, &v4, &v6, &arp };
    for (unsigned i = 0; i < 4; i++) {
        rig_put(rig, 1, frames[i]);
    }
    rig_run(rig);
    assert_int_equal(rig_take(rig, 3, NULL), 1);
    assert_int_equal(rig_take(rig, 2, &out), 1);
    assert_int_equal(out.data[15], 12 << 2 | 1);                /* ECN stays. */
    assert_int_equal(plain_sum(0, out.data + 14, IPV4_SIZE), 0xffff);
    assert_int_equal(rig_take(rig, 4, &out), 1);
    assert_int_equal(get_be32(out.data + 14), 6u << 28 | (12 << 2 | 1) << 20 | 0x12345);
    assert_int_equal(counts_of(rig, 1).band_packets[0], 3);     /* The ARP has no DSCP, but counts. */
}

/* What is remarked and what is not stay in their order; so do packets of several meters. */
static void
packets_keep_their_order(void **state)
{
    RIG;
    assert_done(METER(.id = 1, .flags = METER_PKTPS | METER_BURST, .n = 1,
                      .band = { { .type = BAND_DSCP_REMARK, .rate = 1, .burst = 3,
                                  .prec_level = 1 } }));
    assert_done(METER(.id = 2, .flags = METER_PKTPS | METER_BURST, .n = 1,
                      .band = { { .rate = 1, .burst = 4 } }));
    for (unsigned i = 0; i < 2; i++) {
        assert_done(FLOW(.priority = 1, .meter = 1 + i, .output = { 2 }, .n_match = 1,
                         .match = { { FIELD_eth_src, i, 1 } }));
    }
    for (unsigned i = 0; i < 20; i++) {
        struct frame f = udp_frame(false, 18);
        f.data[11] = i % 2;
        f.data[50] = i;
        rig_put(rig, 1, &f);
    }
    rig_run(rig);
    uint8_t frame[2048];
    int last = -1;
    unsigned n = 0;
    for (; port_memory_take(&rig->ports[2], frame, sizeof frame, NULL); n++) {
        assert_true(frame[50] > last);
        last = frame[50];
    }
    assert_int_equal(n, 14);
}

/* A packet to be segmented counts as its segments, and as its bytes. */
static void
a_packet_to_be_segmented_counts_as_its_segments(void **state)
{
    RIG;
    struct offload offload = {
        .flags = OFFLOAD_NEEDS_CSUM, .gso_type = OFFLOAD_GSO_TCPV4, .hdr_len = 54,
        .gso_size = 500, .csum_start = 34, .csum_offset = TCP_CSUM,
    };
    struct frame f;
    frame_eth(&f, ETH_TYPE_IPV4);
    frame_ipv4(&f, IP_PROTO_TCP, 0, 0);
    frame_tcp(&f, 2001);                                        /* Five of them. */
    frame_end(&f);
    assert_done(METER(.id = 1, .flags = METER_PKTPS | METER_BURST, .n = 1,
                      .band = { { .rate = 1, .burst = 12 } }));
    assert_done(FLOW(.meter = 1, .output = { 2 }));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(port_memory_put(&rig->ports[1], f.data, f.len, &offload), 0);
    }
    rig_run(rig);
    struct counts counts = counts_of(rig, 1);
    assert_int_equal(counts.packets, 15);
    assert_int_equal(counts.bytes, 3 * f.len);
    assert_int_equal(counts.band_packets[0], 5);                /* Two fit into 12. */
    assert_true(rig_take(rig, 2, NULL) > 0);
}

static unsigned
punted(struct rig *rig)
{
    unsigned n = 0;

    for (; worker_punt_peek(rig->worker); n++) {
        worker_punt_consume(rig->worker);
    }
    return n;
}

static void
the_meter_for_controllers_limits_packet_ins(void **state)
{
    RIG;
    assert_done(FLOW(.output = { PORT_CONTROLLER, 2 }));
    send_frames(rig, 10);
    assert_int_equal(punted(rig), 10);
    assert_done(METER(.id = METER_CONTROLLER, .flags = METER_PKTPS | METER_BURST, .n = 1,
                      .band = { { .rate = 1, .burst = 4 } }));
    send_frames(rig, 10);
    assert_int_equal(punted(rig), 4);
    assert_int_equal(counts_of(rig, METER_CONTROLLER).packets, 10);
    assert_int_equal(counts_of(rig, METER_CONTROLLER).band_packets[0], 6);
    assert_int_equal(rig_take(rig, 2, NULL), 20);               /* Outputs are no packet-ins. */
    assert_done(METER(.command = DELETE, .id = METER_CONTROLLER));
    send_frames(rig, 10);
    assert_int_equal(punted(rig), 10);
    rig_take(rig, 2, NULL);
}

static void
a_modified_meter_counts_on_and_its_bands_begin_anew(void **state)
{
    RIG;
    const struct wire_meter add = {
        .id = 1, .flags = METER_PKTPS | METER_BURST, .n = 1, .band = { { .rate = 1, .burst = 2 } },
    };
    struct wire_meter modify = add;
    modify.command = MODIFY;
    assert_done(rig_meter(rig, &add));
    assert_done(FLOW(.meter = 1, .output = { 2 }));
    send_frames(rig, 5);
    assert_int_equal(rig_take(rig, 2, NULL), 2);
    assert_done(rig_meter(rig, &modify));
    assert_int_equal(counts_of(rig, 1).packets, 5);
    assert_int_equal(counts_of(rig, 1).band_packets[0], 0);
    assert_int_equal(counts_of(rig, 1).flows, 1);
    send_frames(rig, 5);
    assert_int_equal(rig_take(rig, 2, NULL), 2);
    assert_int_equal(counts_of(rig, 1).packets, 10);
    assert_int_equal(counts_of(rig, 1).band_packets[0], 3);
}

/* --- Statistics ---------------------------------------------------------------------------------------- */

static void
a_configuration_gives_back_what_was_sent(void **state)
{
    RIG;
    const struct wire_meter sent = {
        .id = 5, .flags = METER_KBPS | METER_STATS, .n = 3,
        .band = { { .rate = 10, .burst = 0 }, { .type = BAND_DSCP_REMARK, .rate = 77, .burst = 3,
                                               .prec_level = 9 }, { .rate = UINT32_MAX } },
    };
    struct frame f = { 0 };
    wire_meter(&f, &sent);
    assert_done(rig_meter(rig, &sent));
    struct buffer out = ask(rig, MP_CONFIG, METER_ALL);
    assert_int_equal(out.len, f.len - 8);
    assert_int_equal(get_be16(out.data), out.len);
    assert_int_equal(get_be16(out.data + 2), sent.flags);
    assert_int_equal(get_be32(out.data + 4), 5);
    assert_memory_equal(out.data + 8, f.data + 16, f.len - 16);
    buffer_close(&out);
}

static void
a_request_for_a_meter_that_is_not_there_gets_an_error(void **state)
{
    RIG;
    struct buffer out = { 0 }, ends = { 0 };
    frame_add64(&rig->f, UINT64_C(3) << 32);
    assert_error(rig_multipart(rig, MP_METER, &out, &ends), OFPMMFC_UNKNOWN_METER);
    frame_add64(&rig->f, UINT64_C(3) << 32);
    assert_error(rig_multipart(rig, MP_CONFIG, &out, &ends), OFPMMFC_UNKNOWN_METER);
    frame_add32(&rig->f, 3);
    assert_error(rig_multipart(rig, MP_METER, &out, &ends), OFPBRC_BAD_LEN);
    frame_add64(&rig->f, (uint64_t) METER_ALL << 32);
    assert_done(rig_multipart(rig, MP_METER, &out, &ends));
    assert_int_equal(out.len, 0);
    buffer_close(&out);
    buffer_close(&ends);
}

static void
the_statistics_of_many_meters_are_split_between_them(void **state)
{
    RIG;
    for (unsigned id = 1; id <= 3000; id++) {
        assert_done(METER(.id = id, .n = 1, .band = { { .rate = id } }));
    }
    struct buffer out = { 0 }, ends = { 0 };
    frame_add64(&rig->f, (uint64_t) METER_ALL << 32);
    assert_done(rig_multipart(rig, MP_METER, &out, &ends));
    assert_int_equal(out.len, 3000 * 56);
    uint32_t before = 0;
    for (size_t part = 0; part * 4 < ends.len; part++) {
        uint32_t end = rig_part_end(&ends, part);
        assert_true(end - before <= 65000 && (end - before) % 56 == 0);
        before = end;
    }
    assert_int_equal(before, out.len);
    buffer_close(&out);
    buffer_close(&ends);
}

static void
the_features_name_what_is_implemented(void **state)
{
    RIG;
    struct buffer out = ask(rig, MP_FEATURES, 0);
    assert_int_equal(out.len, 16);
    assert_int_equal(get_be32(out.data), METERS_MAX);
    assert_int_equal(get_be32(out.data + 4), 1 << 1 | 1 << 2);
    assert_int_equal(get_be32(out.data + 8), 15);
    assert_int_equal(out.data[12], BANDS_MAX);
    buffer_close(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_AFTER(set_up, a_meter_is_added_once_and_modified_only_if_it_is_there),
        TEST_AFTER(set_up, a_meter_mod_that_is_wrong_gets_its_error_and_changes_nothing),
        TEST_AFTER(set_up, lengths_that_do_not_fit_are_refused),
        TEST_AFTER(set_up, more_bands_or_meters_than_there_is_room_for_are_refused),
        TEST_AFTER(set_up, to_delete_all_meters_leaves_the_virtual_ones),
        TEST_AFTER(set_up, flows_of_a_meter_are_counted_and_go_with_it),
        TEST_AFTER(set_up, packets_over_the_rate_are_dropped_and_counted),
        TEST_AFTER(set_up, kilobits_are_bytes_of_frames),
        TEST_AFTER(set_up, remarked_packets_have_good_checksums_and_match_anew),
        TEST_AFTER(set_up, packets_keep_their_order),
        TEST_AFTER(set_up, a_packet_to_be_segmented_counts_as_its_segments),
        TEST_AFTER(set_up, the_meter_for_controllers_limits_packet_ins),
        TEST_AFTER(set_up, a_modified_meter_counts_on_and_its_bands_begin_anew),
        TEST_AFTER(set_up, a_configuration_gives_back_what_was_sent),
        TEST_AFTER(set_up, a_request_for_a_meter_that_is_not_there_gets_an_error),
        TEST_AFTER(set_up, the_statistics_of_many_meters_are_split_between_them),
        TEST_AFTER(set_up, the_features_name_what_is_implemented),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
