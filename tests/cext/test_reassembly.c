/* Reassembly: RFC 791 (3.2), RFC 815, RFC 1122 (3.3.2), RFC 5722, RFC 6946, RFC 8200 (4.5), with the
 * section named. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fragment.h"
#include "packets.h"
#include "plain_sum.h"
#include "reassembly.h"

enum { NOW = 1000, PIECES = 64, INTERFACE = 7, LONGEST = 65535 + IPV6_SIZE };

struct rig {
    struct reassembly reassembly;
    struct reassembly_output output;
    uint64_t now;
    uint8_t packet[LONGEST];            /* What is to come out. */
    size_t len;
    uint8_t pieces[PIECES][2048];
    size_t lens[PIECES];
    unsigned n;
    unsigned n_expired;                 /* Calls. */
    uint32_t interface;
    uint8_t expired[2048];
    size_t expired_len;
};

static void
note_expired(void *rig_, uint32_t interface, const uint8_t *packet, size_t len)
{
    struct rig *rig = rig_;

    rig->n_expired++;
    rig->interface = interface;
    rig->expired_len = len;
    memcpy(rig->expired, packet, len);
}

static int
open_rig(void **state, const struct reassembly_config *config)
{
    struct rig *rig = calloc(1, sizeof *rig);

    *state = rig;
    rig->now = NOW;
    return reassembly_open(&rig->reassembly, config, note_expired, rig, 1, NOW);
}

static int
set_up(void **state)
{
    return open_rig(state, &reassembly_defaults);
}

static int
tear_down(void **state)
{
    struct rig *rig = *state;

    reassembly_close(&rig->reassembly);
    assert_int_equal(rig->reassembly.n_packets + rig->reassembly.n_bytes, 0);
    assert_int_equal(rig->reassembly.wheel.n_running, 0);
    free(rig);
    return 0;
}

/* Makes a packet of 'total' bytes and its fragments. */
static void
make(struct rig *rig, uint8_t version, uint16_t id, size_t total, uint32_t mtu)
{
    struct fragmentation plan;
    struct frame f = { .len = 0 };

    if (version == 4) {
        frame_ipv4(&f, IP_PROTO_UDP, 0, 0);
        put_be16(f.data + 2, (uint16_t)total);
        put_be16(f.data + 4, id);
        put_be16(f.data + 10, (uint16_t)~plain_sum(0, f.data, IPV4_SIZE));
    } else {
        frame_ipv6(&f, IP_PROTO_UDP);
        put_be16(f.data + 4, (uint16_t)(total - IPV6_SIZE));
    }
    memcpy(rig->packet, f.data, f.len);
    for (size_t i = f.len; i < total; i++) {
        rig->packet[i] = (uint8_t)(i * 31 + i / 251);
    }
    rig->len = total;
    assert_int_equal(fragment_plan(&plan, rig->packet, total, mtu, id), 0);
    assert_in_range(plan.n, 2, PIECES);
    rig->n = plan.n;
    for (unsigned i = 0; i < plan.n; i++) {
        rig->lens[i] = fragment_write(&plan, i, rig->pieces[i]);
    }
}

static enum reassembly_result
add(struct rig *rig, unsigned i)
{
    return reassembly_add(&rig->reassembly, INTERFACE, rig->pieces[i], rig->lens[i], rig->now,
                          &rig->output);
}

static void
assert_whole(const struct rig *rig)
{
    assert_int_equal(rig->output.len, rig->len);
    assert_memory_equal(rig->output.packet, rig->packet, rig->len);
}

/* --- RFC 791, 3.2; RFC 815 ---------------------------------------------------------------------------- */

static void
fragments_in_any_order_are_the_packet_again(void **state)
{
    struct rig *rig = *state;
    uint64_t seed = 1;

    for (unsigned run = 0; run < 400; run++) {
        unsigned order[PIECES];

        make(rig, run % 2 ? 4 : 6, (uint16_t)run, 1501 + run * 20, 1280);
        for (unsigned i = 0; i < rig->n; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            unsigned j = (unsigned)((seed >> 33) % (i + 1));
            order[i] = order[j];
            order[j] = i;
        }
        for (unsigned i = 0; i < rig->n; i++) {
            assert_int_equal(add(rig, order[i]),
                             i + 1 < rig->n ? REASSEMBLY_WAITS : REASSEMBLY_WHOLE);
        }
        assert_whole(rig);
    }
    assert_int_equal(rig->reassembly.n_packets + rig->reassembly.n_bytes, 0);
    assert_int_equal(rig->reassembly.counters.whole, 400);
}

static void
the_longest_packet_is_put_together(void **state)
{
    struct rig *rig = *state;

    make(rig, 4, 1, 65535, 1500);
    for (unsigned i = rig->n; i-- > 0;) {
        assert_int_equal(add(rig, i), i ? REASSEMBLY_WAITS : REASSEMBLY_WHOLE);
    }
    assert_whole(rig);
    make(rig, 6, 1, 65535 + IPV6_SIZE, 1500);
    for (unsigned i = rig->n; i-- > 0;) {
        assert_int_equal(add(rig, i), i ? REASSEMBLY_WAITS : REASSEMBLY_WHOLE);
    }
    assert_whole(rig);
}

/* RFC 791, 3.2: source, destination, protocol and identification tell packets apart. */
static void
packets_are_told_apart_by_addresses_protocol_and_identification(void **state)
{
    static const unsigned offsets[] = { 5, 9, 15, 19 };
    struct rig *rig = *state;

    make(rig, 4, 1, 1501, 1280);
    add(rig, 0);
    for (unsigned i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        rig->pieces[1][offsets[i]] ^= 1;
        assert_int_equal(add(rig, 1), REASSEMBLY_WAITS);
        rig->pieces[1][offsets[i]] ^= 1;
    }
    assert_int_equal(rig->reassembly.n_packets, 5);
    assert_int_equal(add(rig, 1), REASSEMBLY_WHOLE);
}

static void
what_ethernet_padded_is_no_part_of_the_packet(void **state)
{
    struct rig *rig = *state;

    make(rig, 4, 1, 1280, 1270);
    rig->lens[1] += 20;
    add(rig, 0);
    assert_int_equal(add(rig, 1), REASSEMBLY_WHOLE);
    assert_whole(rig);
}

static void
options_are_those_of_the_first_fragment(void **state)
{
    struct rig *rig = *state;
    struct fragmentation plan;

    make(rig, 4, 1, 1500, 1280);
    memmove(rig->packet + IPV4_SIZE + 4, rig->packet + IPV4_SIZE, 1480);
    memcpy(rig->packet + IPV4_SIZE, "\x07\x04\x04", 4);
    rig->packet[0]++;
    put_be16(rig->packet + 2, 1504);
    put_be16(rig->packet + 10, 0);
    put_be16(rig->packet + 10, (uint16_t)~plain_sum(0, rig->packet, IPV4_SIZE + 4));
    rig->len = 1504;
    assert_int_equal(fragment_plan(&plan, rig->packet, 1504, 600, 0), 0);
    for (unsigned i = plan.n; i-- > 0;) {
        rig->lens[i] = fragment_write(&plan, i, rig->pieces[i]);
        assert_int_equal(add(rig, i), i ? REASSEMBLY_WAITS : REASSEMBLY_WHOLE);
    }
    assert_whole(rig);
}

/* RFC 8200, 4.5: the headers are the first one's, without the fragment header. */
static void
headers_in_front_of_the_fragment_header_stay(void **state)
{
    struct rig *rig = *state;
    struct frame f;

    for (unsigned i = 0; i < 2; i++) {
        f.len = 0;
        frame_ipv6(&f, IP_PROTO_HOP);
        frame_extension(&f, IP_PROTO_HOP, IP_PROTO_FRAG, 0);
        frame_fragment(&f, IP_PROTO_UDP, i ? 16 : 1);
        if (i) {
            frame_payload(&f, 5);
        } else {
            frame_udp(&f, 8);
        }
        put_be16(f.data + 4, (uint16_t)(f.len - IPV6_SIZE));
        memcpy(rig->pieces[i], f.data, f.len);
        rig->lens[i] = f.len;
    }
    assert_int_equal(add(rig, 1), REASSEMBLY_WAITS);
    assert_int_equal(add(rig, 0), REASSEMBLY_WHOLE);
    assert_int_equal(rig->output.len, IPV6_SIZE + 8 + 16 + 5);
    assert_int_equal(get_be16(rig->output.packet + 4), 8 + 16 + 5);
    assert_int_equal(rig->output.packet[6], IP_PROTO_HOP);
    assert_int_equal(rig->output.packet[IPV6_SIZE], IP_PROTO_UDP);
    assert_memory_equal(rig->output.packet + IPV6_SIZE + 8, rig->pieces[0] + IPV6_SIZE + 16, 16);
    assert_memory_equal(rig->output.packet + IPV6_SIZE + 24, rig->pieces[1] + IPV6_SIZE + 16, 5);
}

/* RFC 6946, 4 */
static void
an_atomic_fragment_is_whole_whatever_else_waits(void **state)
{
    struct rig *rig = *state;
    struct frame f = { .len = 0 };

    make(rig, 6, 1, 1501, 1280);
    add(rig, 0);
    frame_ipv6(&f, IP_PROTO_FRAG);
    frame_fragment(&f, IP_PROTO_UDP, 0);
    frame_udp(&f, 20);
    put_be32(f.data + IPV6_SIZE + 4, 1);
    put_be16(f.data + 4, (uint16_t)(f.len - IPV6_SIZE));
    assert_int_equal(reassembly_add(&rig->reassembly, INTERFACE, f.data, f.len, NOW, &rig->output),
                     REASSEMBLY_WHOLE);
    assert_int_equal(rig->output.len, f.len - 8);
    assert_int_equal(rig->output.packet[6], IP_PROTO_UDP);
    assert_int_equal(add(rig, 1), REASSEMBLY_WHOLE);
    assert_whole(rig);
}

static void
fragments_are_known_by_their_header(void **state)
{
    struct rig *rig = *state;

    for (uint8_t version = 4; version <= 6; version += 2) {
        make(rig, version, 1, 2501, 1280);
        assert_false(reassembly_needed(rig->packet, rig->len));
        for (unsigned i = 0; i < rig->n; i++) {
            assert_true(reassembly_needed(rig->pieces[i], rig->lens[i]));
        }
    }
    put_be16(rig->packet, 0x4500);
    put_be16(rig->packet + 6, 0x4000);
    assert_false(reassembly_needed(rig->packet, rig->len));
    assert_false(reassembly_needed(rig->packet, 0));
}

/* --- RFC 5722, 4: what overlaps ---------------------------------------------------------------------------- */

/* Moves a fragment by units of 8 bytes. */
static void
move(struct rig *rig, unsigned i, int units)
{
    bool is_v4 = rig->pieces[i][0] >> 4 == 4;
    uint8_t *word = rig->pieces[i] + (is_v4 ? 6 : IPV6_SIZE + 2);

    put_be16(word, (uint16_t)(get_be16(word) + units * (is_v4 ? 1 : 8)));
}

static void
a_packet_whose_fragments_overlap_is_given_up_with_what_still_comes(void **state)
{
    struct rig *rig = *state;

    for (unsigned run = 0; run < 8; run++) {
        unsigned moved = run / 2 % 2 + 1, other = run / 4 ? moved - 1 : moved == 2 ? 1 : 2;

        make(rig, run % 2 ? 4 : 6, (uint16_t)run, 3601, 1280);
        move(rig, moved, other < moved ? -1 : 1);
        assert_int_equal(add(rig, other), REASSEMBLY_WAITS);
        assert_int_equal(add(rig, moved), REASSEMBLY_DROPPED);
        make(rig, run % 2 ? 4 : 6, (uint16_t)run, 3601, 1280);
        for (unsigned i = 0; i < rig->n; i++) {
            assert_int_equal(add(rig, i), REASSEMBLY_DROPPED);
        }
    }
    assert_int_equal(rig->reassembly.n_bytes, 0);
    assert_int_equal(rig->reassembly.counters.whole, 0);
    assert_true(rig->reassembly.counters.overlapping > 0);
    reassembly_advance(&rig->reassembly, NOW + reassembly_defaults.timeout_ms + 10);
    assert_int_equal(rig->reassembly.n_packets, 0);
    assert_int_equal(rig->n_expired, 0);        /* RFC 5722, 4: silently. */
}

static void
a_second_end_and_what_lies_behind_the_end_are_refused(void **state)
{
    struct rig *rig = *state;

    make(rig, 4, 1, 3601, 1280);
    add(rig, 2);
    move(rig, 2, 1);
    assert_int_equal(add(rig, 2), REASSEMBLY_DROPPED);
    make(rig, 4, 2, 3601, 1280);
    add(rig, 2);
    move(rig, 1, 1000);
    assert_int_equal(add(rig, 1), REASSEMBLY_DROPPED);
    make(rig, 4, 3, 3601, 1280);
    add(rig, 1);
    move(rig, 2, -300);
    assert_int_equal(add(rig, 2), REASSEMBLY_DROPPED);
}

/* RFC 8200, 4.5: exact duplicates may be dropped. */
static void
the_same_fragment_twice_does_no_harm(void **state)
{
    struct rig *rig = *state;

    make(rig, 6, 1, 1501, 1280);
    assert_int_equal(add(rig, 0), REASSEMBLY_WAITS);
    assert_int_equal(add(rig, 0), REASSEMBLY_WAITS);
    assert_int_equal(add(rig, 1), REASSEMBLY_WHOLE);
    assert_whole(rig);
    make(rig, 6, 2, 1501, 1280);
    add(rig, 0);
    rig->pieces[0][100] ^= 1;
    assert_int_equal(add(rig, 0), REASSEMBLY_DROPPED);
}

/* --- RFC 8200, 4.5: lengths ------------------------------------------------------------------------------- */

static void
a_fragment_that_is_not_the_last_has_a_multiple_of_eight_bytes(void **state)
{
    struct rig *rig = *state;

    make(rig, 6, 1, 1501, 1280);
    rig->lens[0] -= 4;
    put_be16(rig->pieces[0] + 4, (uint16_t)(rig->lens[0] - IPV6_SIZE));
    assert_int_equal(add(rig, 0), REASSEMBLY_PARAMETER);
    assert_int_equal(rig->output.parameter, 4);
    make(rig, 4, 1, 1501, 1280);
    rig->lens[0] -= 4;
    put_be16(rig->pieces[0] + 2, (uint16_t)rig->lens[0]);
    assert_int_equal(add(rig, 0), REASSEMBLY_DROPPED);
    assert_int_equal(rig->reassembly.n_packets, 0);
}

static void
a_packet_is_at_most_65535_bytes(void **state)
{
    struct rig *rig = *state;

    make(rig, 6, 1, 2501, 1280);
    move(rig, 1, 8191 - 1232 / 8);
    assert_int_equal(add(rig, 1), REASSEMBLY_PARAMETER);
    assert_int_equal(rig->output.parameter, IPV6_SIZE + 2);
    make(rig, 4, 1, 2501, 1280);
    move(rig, 1, 8191 - 1256 / 8);
    assert_int_equal(add(rig, 1), REASSEMBLY_DROPPED);
}

/* The first fragment may have longer headers than those that came before it. */
static void
nor_with_the_headers_of_the_first(void **state)
{
    struct rig *rig = *state;
    struct frame f;

    make(rig, 6, 1, 65535 + IPV6_SIZE, 1500);
    for (unsigned i = 1; i < rig->n; i++) {
        assert_int_equal(add(rig, i), REASSEMBLY_WAITS);
    }
    f.len = 0;
    frame_ipv6(&f, IP_PROTO_HOP);
    frame_extension(&f, IP_PROTO_HOP, IP_PROTO_FRAG, 0);
    frame_add(&f, rig->pieces[0] + IPV6_SIZE, rig->lens[0] - IPV6_SIZE);
    put_be16(f.data + 4, (uint16_t)(f.len - IPV6_SIZE));
    assert_int_equal(reassembly_add(&rig->reassembly, INTERFACE, f.data, f.len, NOW, &rig->output),
                     REASSEMBLY_DROPPED);
    assert_int_equal(rig->reassembly.counters.damaged, 1);
    assert_int_equal(rig->reassembly.n_bytes, 0);
}

static void
damaged_fragments_are_dropped(void **state)
{
    struct rig *rig = *state;

    for (uint8_t version = 4; version <= 6; version += 2) {
        make(rig, version, 1, 1501, 1280);
        for (size_t whole = rig->lens[0], len = 0; len < whole; len++) {
            rig->lens[0] = len;
            assert_int_equal(add(rig, 0), REASSEMBLY_DROPPED);
        }
        assert_int_equal(reassembly_add(&rig->reassembly, INTERFACE, rig->packet, rig->len, NOW,
                                        &rig->output), REASSEMBLY_DROPPED);      /* It is none. */
    }
    make(rig, 4, 1, 1501, 1280);
    put_be16(rig->pieces[1] + 2, IPV4_SIZE);    /* Without anything. */
    assert_int_equal(add(rig, 1), REASSEMBLY_DROPPED);
    assert_int_equal(rig->reassembly.n_packets, 0);
}

/* RFC 7112, 5 */
static void
the_first_fragment_has_all_headers(void **state)
{
    struct rig *rig = *state;
    struct frame f = { .len = 0 };

    frame_ipv6(&f, IP_PROTO_FRAG);
    frame_fragment(&f, IP_PROTO_DEST, 1);
    frame_extension(&f, IP_PROTO_DEST, IP_PROTO_UDP, 8);
    put_be16(f.data + 4, (uint16_t)(f.len - IPV6_SIZE));
    assert_int_equal(reassembly_add(&rig->reassembly, INTERFACE, f.data, f.len, NOW, &rig->output),
                     REASSEMBLY_WAITS);
    f.data[IPV6_SIZE + 8 + 1] = 2;
    assert_int_equal(reassembly_add(&rig->reassembly, INTERFACE, f.data, f.len, NOW, &rig->output),
                     REASSEMBLY_DROPPED);
}

/* --- RFC 1122, 3.3.2; RFC 8200, 4.5: time ------------------------------------------------------------------- */

static void
after_its_time_the_first_fragment_is_told_of(void **state)
{
    struct rig *rig = *state;

    for (uint8_t version = 4; version <= 6; version += 2) {
        uint64_t end = rig->now + reassembly_defaults.timeout_ms;

        make(rig, version, 1, 3601, 1280);
        add(rig, 1);
        rig->now += 5000;
        add(rig, 0);                    /* Begins no new time. */
        reassembly_advance(&rig->reassembly, end - 10);
        assert_int_equal(rig->n_expired, version == 6);
        reassembly_advance(&rig->reassembly, end);
        assert_int_equal(rig->n_expired, version == 6 ? 2 : 1);
        assert_int_equal(rig->interface, INTERFACE);
        assert_int_equal(rig->expired_len, rig->lens[0]);
        assert_memory_equal(rig->expired, rig->pieces[0], rig->lens[0]);
        rig->now = end;
    }
    assert_int_equal(rig->reassembly.counters.timed_out, 2);
}

static void
without_the_first_fragment_nobody_is_told(void **state)
{
    struct rig *rig = *state;

    make(rig, 4, 1, 3601, 1280);
    add(rig, 1);
    reassembly_advance(&rig->reassembly, NOW + reassembly_defaults.timeout_ms);
    assert_int_equal(rig->n_expired, 0);
    assert_int_equal(rig->reassembly.n_packets, 0);
    assert_int_equal(rig->reassembly.counters.timed_out, 1);
}

/* --- Bounds -------------------------------------------------------------------------------------------------- */

static void
the_packet_that_began_first_gives_way(void **state)
{
    struct reassembly_config config = reassembly_defaults;
    struct rig *rig;

    tear_down(state);
    config.max_packets = 3;
    open_rig(state, &config);
    rig = *state;
    for (uint16_t id = 1; id <= 4; id++) {
        make(rig, 4, id, 1501, 1280);
        assert_int_equal(add(rig, 0), REASSEMBLY_WAITS);
    }
    assert_int_equal(rig->reassembly.n_packets, 3);
    assert_int_equal(rig->reassembly.counters.evicted, 1);
    make(rig, 4, 2, 1501, 1280);
    assert_int_equal(add(rig, 1), REASSEMBLY_WHOLE);
    make(rig, 4, 1, 1501, 1280);
    assert_int_equal(add(rig, 1), REASSEMBLY_WAITS);
}

static void
bytes_are_bounded_and_a_packet_does_not_give_way_to_itself(void **state)
{
    struct reassembly_config config = reassembly_defaults;
    struct rig *rig;

    tear_down(state);
    config.max_bytes = 4000;
    open_rig(state, &config);
    rig = *state;
    for (uint16_t id = 1; id <= 5; id++) {
        make(rig, 6, id, 1501, 1280);
        assert_int_equal(add(rig, 0), REASSEMBLY_WAITS);
        assert_true(rig->reassembly.n_bytes <= config.max_bytes);
    }
    assert_int_equal(rig->reassembly.counters.evicted, 2);
    make(rig, 6, 9, 6001, 1280);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(add(rig, i), REASSEMBLY_WAITS);
    }
    assert_int_equal(add(rig, 3), REASSEMBLY_DROPPED);
    assert_int_equal(rig->reassembly.counters.no_room, 1);
}

static void
fragments_of_a_packet_are_bounded(void **state)
{
    struct reassembly_config config = reassembly_defaults;
    struct rig *rig;

    tear_down(state);
    config.max_fragments = 4;
    open_rig(state, &config);
    rig = *state;
    make(rig, 4, 1, 6001, 1280);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(add(rig, i), REASSEMBLY_WAITS);
    }
    assert_int_equal(add(rig, 4), REASSEMBLY_DROPPED);
    assert_int_equal(rig->reassembly.n_bytes, 0);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fragments_in_any_order_are_the_packet_again),
        TEST(the_longest_packet_is_put_together),
        TEST(packets_are_told_apart_by_addresses_protocol_and_identification),
        TEST(what_ethernet_padded_is_no_part_of_the_packet),
        TEST(options_are_those_of_the_first_fragment),
        TEST(headers_in_front_of_the_fragment_header_stay),
        TEST(an_atomic_fragment_is_whole_whatever_else_waits),
        TEST(fragments_are_known_by_their_header),
        TEST(a_packet_whose_fragments_overlap_is_given_up_with_what_still_comes),
        TEST(a_second_end_and_what_lies_behind_the_end_are_refused),
        TEST(the_same_fragment_twice_does_no_harm),
        TEST(a_fragment_that_is_not_the_last_has_a_multiple_of_eight_bytes),
        TEST(a_packet_is_at_most_65535_bytes),
        TEST(nor_with_the_headers_of_the_first),
        TEST(damaged_fragments_are_dropped),
        TEST(the_first_fragment_has_all_headers),
        TEST(after_its_time_the_first_fragment_is_told_of),
        TEST(without_the_first_fragment_nobody_is_told),
        TEST(the_packet_that_began_first_gives_way),
        TEST(bytes_are_bounded_and_a_packet_does_not_give_way_to_itself),
        TEST(fragments_of_a_packet_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
