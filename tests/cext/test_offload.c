/* What a sender left to hardware, completed: every result is checked the plain way. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "offload.h"
#include "packets.h"
#include "parse.h"
#include "plain_sum.h"
#include "pool.h"

enum { ROOM = 300, PAYLOAD = 3000, SEGMENT = 1000 };

struct fixture {
    struct pool small, large;
    struct frame frame;
    struct packet p;
    struct packet *out[ROOM];
};

static int
set_up(void **state)
{
    struct fixture *t = calloc(1, sizeof *t);

    *state = t;
    return !t || pool_open(&t->small, ROOM, PACKET_SMALL) || pool_open(&t->large, 4, PACKET_LARGE);
}

static int
tear_down(void **state)
{
    struct fixture *t = *state;

    assert_int_equal(t->small.n_free, ROOM);
    assert_int_equal(t->large.n_free, 4);
    pool_close(&t->small);
    pool_close(&t->large);
    free(t);
    return 0;
}

/* Makes the frame a packet. */
static void
take(struct fixture *t)
{
    struct flow_key key;

    frame_end(&t->frame);
    t->p = (struct packet){ .data = t->frame.data, .len = (uint32_t)t->frame.len, .in_port = 5 };
    parse(&t->p, &key);
}

/* Leaves the checksum at 'l4' + 'offset' to do: stores the sum of the pseudo header. */
static void
leave_csum(struct fixture *t, uint16_t l4, uint16_t offset, uint8_t proto)
{
    uint8_t *ip = t->frame.data + t->frame.ip;
    uint16_t pseudo = plain_pseudo(ip, proto, (uint16_t)(t->frame.len - l4));

    t->p.offload.flags = OFFLOAD_NEEDS_CSUM;
    t->p.offload.csum_start = l4;
    t->p.offload.csum_offset = offset;
    if (proto != IP_PROTO_SCTP) {
        put_be16(t->frame.data + l4 + offset, pseudo);
    }
}

/* --- Checksums. --- */

struct sum_case {
    uint8_t sample, proto, offset;
};

static void
a_sum_that_was_left_is_completed(void **state)
{
    static const struct sum_case cases[] = {
        { SAMPLE_tcp, 6, TCP_CSUM },    { SAMPLE_tcp6, 6, TCP_CSUM },
        { SAMPLE_udp, 17, UDP_CSUM },   { SAMPLE_udp6, 17, UDP_CSUM },
        { SAMPLE_sctp, 132, SCTP_CSUM }, { SAMPLE_sctp6, 132, SCTP_CSUM },
        { SAMPLE_qinq, 17, UDP_CSUM },  { SAMPLE_icmp6, 58, ICMP_CSUM },
    };
    struct fixture *t = *state;

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        frame_sample(&t->frame, cases[i].sample);
        take(t);
        leave_csum(t, t->p.l4, cases[i].offset, cases[i].proto);
        assert_false(plain_transport_good(t->frame.data, t->p.l3, t->p.l4)
                     && cases[i].proto != IP_PROTO_SCTP);
        offload_checksum(&t->p);
        assert_true(plain_transport_good(t->frame.data, t->p.l3, t->p.l4));
        assert_int_equal(t->p.offload.flags, 0);
    }
}

static void
a_sum_of_nothing_is_stored_as_ffff(void **state)
{
    struct fixture *t = *state;

    frame_sample(&t->frame, SAMPLE_udp);
    take(t);
    leave_csum(t, t->p.l4, UDP_CSUM, 17);
    put_be16(t->frame.data + 42, 0);
    put_be16(t->frame.data + 42, (uint16_t)~plain_sum(0, t->frame.data + 34, t->frame.len - 34));
    offload_checksum(&t->p);
    assert_int_equal(get_be16(t->frame.data + 40), 0xffff);
}

static void
nothing_is_summed_that_was_not_left(void **state)
{
    struct fixture *t = *state;
    struct frame before;

    frame_sample(&t->frame, SAMPLE_tcp);
    take(t);
    before = t->frame;
    t->p.offload.flags = OFFLOAD_DATA_VALID;
    t->p.offload.csum_start = 34;
    offload_checksum(&t->p);
    assert_memory_equal(t->frame.data, before.data, before.len);
    assert_int_equal(t->p.offload.flags, OFFLOAD_DATA_VALID);
}

static void
a_place_outside_the_frame_clears_the_flag_only(void **state)
{
    static const uint16_t places[][2] = {
        { 65535, 65535 }, { 0, 65535 }, { 65535, 0 }, { 73, 0 }, { 72, 1 }, { 64, 8 },
    };
    struct fixture *t = *state;
    struct frame before;

    frame_sample(&t->frame, SAMPLE_tcp);        /* 74 bytes. */
    take(t);
    before = t->frame;
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
        t->p.offload.flags = OFFLOAD_NEEDS_CSUM | OFFLOAD_DATA_VALID;
        t->p.offload.csum_start = places[i][0];
        t->p.offload.csum_offset = places[i][1];
        offload_checksum(&t->p);
        assert_memory_equal(t->frame.data, before.data, sizeof before.data);
        assert_int_equal(t->p.offload.flags, OFFLOAD_DATA_VALID);
    }
}

/* --- Segments. --- */

/* Asks for the frame to be cut. */
static void
ask(struct fixture *t, uint8_t gso_type, uint16_t gso_size)
{
    bool tcp = gso_type != OFFLOAD_GSO_UDP_L4;
    uint16_t l4 = (uint16_t)(t->frame.ip
                             + (t->frame.data[t->frame.ip] >> 4 == 4 ? IPV4_SIZE : IPV6_SIZE));

    leave_csum(t, l4, tcp ? TCP_CSUM : UDP_CSUM, tcp ? IP_PROTO_TCP : IP_PROTO_UDP);
    t->p.offload.gso_type = gso_type;
    t->p.offload.gso_size = gso_size;
}

static unsigned
cut(struct fixture *t)
{
    return offload_segment(&t->p, &t->small, &t->large, t->out, ROOM);
}

static void
begin_tcp4(struct fixture *t)
{
    frame_eth(&t->frame, ETH_TYPE_IPV4);
    frame_ipv4(&t->frame, IP_PROTO_TCP, 0x4000, 0);
    frame_tcp(&t->frame, PAYLOAD);
    take(t);
}

/* Checks lengths, sums and payload of 'n' segments of a packet whose headers end at 'headers'. */
static void
assert_segments(struct fixture *t, unsigned n, size_t headers)
{
    size_t ip = t->frame.ip, l4 = t->p.offload.csum_start, done = headers;
    bool v4 = t->frame.data[ip] >> 4 == 4;

    for (unsigned i = 0; i < n; i++) {
        struct packet *s = t->out[i];

        assert_int_equal(get_be16(s->data + ip + (v4 ? 2 : 4)), s->len - ip - (v4 ? 0 : IPV6_SIZE));
        assert_true(!v4 || plain_sum(0, s->data + ip, IPV4_SIZE) == 0xffff);
        assert_true(plain_transport_good(s->data, ip, l4));
        assert_memory_equal(s->data, t->frame.data, ip);
        assert_memory_equal(s->data + headers, t->frame.data + done, s->len - headers);
        assert_int_equal(s->offload.flags | s->offload.gso_type, 0);
        assert_int_equal(s->in_port, 5);
        assert_int_equal(s->l4, t->p.l4);
        assert_true(s->len - headers <= t->p.offload.gso_size);
        done += s->len - headers;
    }
    assert_int_equal(done, t->frame.len);
}

static void
tcp_in_ipv4_is_cut(void **state)
{
    struct fixture *t = *state;

    begin_tcp4(t);
    ask(t, OFFLOAD_GSO_TCPV4, SEGMENT);
    assert_int_equal(cut(t), 3);
    assert_segments(t, 3, 54);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(get_be16(t->out[i]->data + 18), 0x1234 + i);
        assert_int_equal(get_be32(t->out[i]->data + 38), 0x01020304 + i * SEGMENT);
        assert_int_equal(t->out[i]->data[47], i < 2 ? 0x10 : 0x18);     /* PSH last. */
        assert_int_equal(get_be16(t->out[i]->data + 20), 0x4000);
    }
    packet_free(t->out, 3);
}

static void
flags_of_tcp_go_where_they_belong(void **state)
{
    static const uint8_t want[] = { 0xf6, 0x76, 0x7f };
    struct fixture *t = *state;

    begin_tcp4(t);
    t->frame.data[47] = 0xff;
    ask(t, OFFLOAD_GSO_TCPV4 | OFFLOAD_GSO_ECN, SEGMENT);
    assert_int_equal(cut(t), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(t->out[i]->data[47], want[i]);
    }
    assert_segments(t, 3, 54);
    packet_free(t->out, 3);
}

static void
tcp_in_ipv6_is_cut(void **state)
{
    struct fixture *t = *state;

    frame_eth(&t->frame, ETH_TYPE_IPV6);
    frame_ipv6(&t->frame, IP_PROTO_TCP);
    frame_tcp(&t->frame, PAYLOAD);
    take(t);
    ask(t, OFFLOAD_GSO_TCPV6, 1400);
    assert_int_equal(cut(t), 3);
    assert_segments(t, 3, 74);
    assert_int_equal(t->out[2]->len, 74 + 200);
    packet_free(t->out, 3);
}

static void
udp_is_cut_into_datagrams(void **state)
{
    struct fixture *t = *state;

    for (unsigned v = 4; v <= 6; v += 2) {
        frame_eth(&t->frame, v == 4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
        if (v == 4) {
            frame_ipv4(&t->frame, IP_PROTO_UDP, 0, 0);
        } else {
            frame_ipv6(&t->frame, IP_PROTO_UDP);
        }
        frame_udp(&t->frame, PAYLOAD);
        take(t);
        ask(t, OFFLOAD_GSO_UDP_L4, SEGMENT);
        assert_int_equal(cut(t), 3);
        assert_segments(t, 3, t->p.l4 + 8u);
        assert_int_equal(get_be16(t->out[1]->data + t->p.l4 + 4), 8 + SEGMENT);
        packet_free(t->out, 3);
    }
}

static void
tags_and_labels_are_carried_along(void **state)
{
    struct fixture *t = *state;

    frame_eth(&t->frame, ETH_TYPE_SVLAN);
    frame_tag(&t->frame, 5, ETH_TYPE_VLAN);
    frame_tag(&t->frame, 6, ETH_TYPE_MPLS);
    frame_mpls(&t->frame, 16, 0, 0, 64);
    frame_mpls(&t->frame, 17, 0, 1, 64);
    frame_ipv4(&t->frame, IP_PROTO_TCP, 0, 0);
    frame_tcp(&t->frame, PAYLOAD);
    take(t);
    assert_int_equal(t->p.l4, NO_OFFSET);
    ask(t, OFFLOAD_GSO_TCPV4, SEGMENT);
    assert_int_equal(cut(t), 3);
    assert_segments(t, 3, 14 + 8 + 8 + 20 + 20);
    packet_free(t->out, 3);
}

static void
without_a_sum_to_do_the_parsed_header_counts(void **state)
{
    struct fixture *t = *state;

    begin_tcp4(t);
    ask(t, OFFLOAD_GSO_TCPV4, SEGMENT);
    t->p.offload.flags = 0;
    assert_int_equal(cut(t), 3);
    assert_segments(t, 3, 54);
    packet_free(t->out, 3);
    t->p.l4 = NO_OFFSET;
    assert_int_equal(cut(t), 0);
}

static void
segments_that_do_not_fit_small_packets_are_large(void **state)
{
    struct fixture *t = *state;

    begin_tcp4(t);
    ask(t, OFFLOAD_GSO_TCPV4, 2000);
    assert_int_equal(cut(t), 2);
    assert_ptr_equal(t->out[0]->pool, &t->large);
    assert_segments(t, 2, 54);
    packet_free(t->out, 2);
    assert_int_equal(offload_segment(&t->p, &t->small, NULL, t->out, ROOM), 0);
}

static void
what_fits_one_segment_is_one(void **state)
{
    struct fixture *t = *state;

    frame_sample(&t->frame, SAMPLE_tcp);
    take(t);
    ask(t, OFFLOAD_GSO_TCPV4, SEGMENT);
    assert_int_equal(cut(t), 1);
    assert_segments(t, 1, 54);
    packet_free(t->out, 1);
}

static void
too_many_segments_take_nothing(void **state)
{
    struct fixture *t = *state;

    begin_tcp4(t);
    ask(t, OFFLOAD_GSO_TCPV4, 9);               /* 334 segments; there is room for 300. */
    assert_int_equal(cut(t), 0);
    ask(t, OFFLOAD_GSO_TCPV4, 100);
    assert_int_equal(offload_segment(&t->p, &t->small, &t->large, t->out, 29), 0);
    assert_int_equal(offload_segment(&t->p, &t->small, &t->large, t->out, 30), 30);
    packet_free(t->out, 30);
    assert_int_equal(t->small.n_free, ROOM);
}

static void
an_exhausted_pool_gives_no_part_of_a_packet(void **state)
{
    struct fixture *t = *state;
    struct packet *held[ROOM];

    assert_int_equal(pool_get(&t->small, held, ROOM - 2), ROOM - 2);
    begin_tcp4(t);
    ask(t, OFFLOAD_GSO_TCPV4, SEGMENT);
    assert_int_equal(cut(t), 0);
    assert_int_equal(t->small.n_free, 2);
    packet_free(held, ROOM - 2);
}

static void
what_makes_no_sense_is_not_cut(void **state)
{
    static const uint8_t types[] = { 0, 2, OFFLOAD_GSO_UDP, OFFLOAD_GSO_TCPV6, 6, 0x7f };
    struct fixture *t = *state;

    begin_tcp4(t);
    for (unsigned i = 0; i < sizeof types; i++) {
        ask(t, OFFLOAD_GSO_TCPV4, SEGMENT);
        t->p.offload.gso_type = types[i];
        assert_int_equal(cut(t), 0);
    }
    ask(t, OFFLOAD_GSO_TCPV4, 0);
    assert_int_equal(cut(t), 0);
    for (unsigned start = 0; start < 5000; start++) {
        ask(t, OFFLOAD_GSO_TCPV4, SEGMENT);
        t->p.offload.csum_start = (uint16_t)start;
        assert_int_equal(start == 34 ? 0 : cut(t), 0);
    }
    ask(t, OFFLOAD_GSO_TCPV4, SEGMENT);
    t->frame.data[46] = 0x40;                   /* A TCP header of 16 bytes. */
    assert_int_equal(cut(t), 0);
}

static void
no_cut_frame_is_read_beyond_its_end(void **state)
{
    struct fixture *t = *state;

    begin_tcp4(t);
    ask(t, OFFLOAD_GSO_TCPV4, SEGMENT);
    for (uint32_t n = 0; n < 60; n++) {
        uint8_t *exact = malloc(n ? n : 1);     /* AddressSanitizer guards its end. */

        assert_non_null(exact);
        memcpy(exact, t->frame.data, n);
        t->p.data = exact;
        t->p.len = n;
        assert_int_equal(cut(t), n >= 54);
        packet_free(t->out, n >= 54);
        free(exact);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sum_that_was_left_is_completed),
        cmocka_unit_test(a_sum_of_nothing_is_stored_as_ffff),
        cmocka_unit_test(nothing_is_summed_that_was_not_left),
        cmocka_unit_test(a_place_outside_the_frame_clears_the_flag_only),
        cmocka_unit_test(tcp_in_ipv4_is_cut),
        cmocka_unit_test(flags_of_tcp_go_where_they_belong),
        cmocka_unit_test(tcp_in_ipv6_is_cut),
        cmocka_unit_test(udp_is_cut_into_datagrams),
        cmocka_unit_test(tags_and_labels_are_carried_along),
        cmocka_unit_test(without_a_sum_to_do_the_parsed_header_counts),
        cmocka_unit_test(segments_that_do_not_fit_small_packets_are_large),
        cmocka_unit_test(what_fits_one_segment_is_one),
        cmocka_unit_test(too_many_segments_take_nothing),
        cmocka_unit_test(an_exhausted_pool_gives_no_part_of_a_packet),
        cmocka_unit_test(what_makes_no_sense_is_not_cut),
        cmocka_unit_test(no_cut_frame_is_read_beyond_its_end),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
