/* ICMP errors and echo replies: RFC 792, RFC 1812, RFC 4443, RFC 4861, with the section named. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "icmp.h"
#include "packets.h"
#include "plain_sum.h"

enum { NOW = 1000 };

struct icmp_rig {
    struct icmp_limits limits;
    struct icmp_counters counters;
    struct frame f;                     /* The packet that caused it, from its IP header on. */
    uint8_t out[ICMP_MAX];
    size_t len;
};

static int
set_up(void **state)
{
    struct icmp_rig *rig = calloc(1, sizeof *rig);

    *state = rig;
    return !rig;
}

static int
tear_down(void **state)
{
    free(*state);
    return 0;
}

/* A UDP packet with 'payload' bytes. */
static void
packet_v4(struct icmp_rig *rig, size_t payload)
{
    rig->f.len = 0;
    frame_ipv4(&rig->f, IP_PROTO_UDP, 0, 0);
    frame_udp(&rig->f, payload);
    put_be16(rig->f.data + 2, (uint16_t)rig->f.len);
}

static void
packet_v6(struct icmp_rig *rig, size_t payload)
{
    rig->f.len = 0;
    frame_ipv6(&rig->f, IP_PROTO_UDP);
    frame_udp(&rig->f, payload);
    put_be16(rig->f.data + 4, (uint16_t)(rig->f.len - IPV6_SIZE));
}

static struct icmp_cause
cause_of(const struct icmp_rig *rig, enum icmp_error error, uint32_t value)
{
    bool is_v4 = rig->f.data[0] >> 4 == 4;

    return (struct icmp_cause) {
        .error = error, .value = value, .packet = rig->f.data, .len = rig->f.len,
        .source = is_v4 ? ip_from_v4(0x0a0000fe)
                        : (struct ip_address) { { UINT64_C(0x20010db800000000), 0xfe } },
    };
}

static size_t
tell(struct icmp_rig *rig, enum icmp_error error, uint32_t value)
{
    struct icmp_cause cause = cause_of(rig, error, value);

    return rig->len = icmp_error(&rig->limits, &rig->counters, &cause, NOW, rig->out);
}

static bool
may_tell(struct icmp_rig *rig, enum icmp_error error)
{
    uint64_t forbidden = rig->counters.forbidden[error];
    bool told = tell(rig, error, 0);

    assert_int_equal(rig->counters.forbidden[error], forbidden + !told);
    return told;
}

/* Checks what every message of ours has to be, and returns its ICMP header. */
static const uint8_t *
good(struct icmp_rig *rig)
{
    bool is_v4 = rig->out[0] >> 4 == 4;
    size_t header = is_v4 ? IPV4_SIZE : IPV6_SIZE;

    assert_true(rig->len > header);
    assert_int_equal(rig->len, is_v4 ? get_be16(rig->out + 2) : get_be16(rig->out + 4) + IPV6_SIZE);
    assert_true(plain_transport_good(rig->out, 0, header));
    if (is_v4) {
        assert_int_equal(plain_sum(0, rig->out, IPV4_SIZE), 0xffff);
        assert_memory_equal(rig->out + 16, rig->f.data + 12, 4);        /* Back to the source. */
    } else {
        assert_memory_equal(rig->out + 24, rig->f.data + 8, 16);
    }
    return rig->out + header;
}

/* --- Formats ------------------------------------------------------------------------------------------ */

/* RFC 792; RFC 1812, 5.2.7.1 (codes); RFC 4443, 3. */
static void
each_error_has_its_type_and_code(void **state)
{
    static const uint8_t rows[][5] = {
        { ICMP_NO_ROUTE, 3, 0, 1, 0 },        { ICMP_HOST_UNREACHABLE, 3, 1, 1, 3 },
        { ICMP_PROHIBITED, 3, 13, 1, 1 },     { ICMP_NO_PROTOCOL, 3, 2, 4, 1 },
        { ICMP_NO_PORT, 3, 3, 1, 4 },         { ICMP_TOO_BIG, 3, 4, 2, 0 },
        { ICMP_TTL_EXCEEDED, 11, 0, 3, 0 },   { ICMP_REASSEMBLY_EXCEEDED, 11, 1, 3, 1 },
        { ICMP_PARAMETER, 12, 0, 4, 0 },
    };
    struct icmp_rig *rig = *state;

    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        packet_v4(rig, 20);
        tell(rig, rows[i][0], 0);
        assert_memory_equal(good(rig), rows[i] + 1, 2);
        packet_v6(rig, 20);
        tell(rig, rows[i][0], 0);
        assert_memory_equal(good(rig), rows[i] + 3, 2);
        assert_int_equal(rig->counters.sent[rows[i][0]], 2);
    }
}

/* RFC 1191, 4; RFC 4443, 3.2 */
static void
too_big_says_the_mtu(void **state)
{
    struct icmp_rig *rig = *state;

    packet_v4(rig, 1400);
    tell(rig, ICMP_TOO_BIG, 1280);
    assert_int_equal(get_be32(good(rig) + 4), 1280);
    packet_v6(rig, 1400);
    tell(rig, ICMP_TOO_BIG, 1280);
    assert_int_equal(get_be32(good(rig) + 4), 1280);
}

/* RFC 792, parameter problem; RFC 4443, 3.4 */
static void
a_parameter_problem_points_at_the_byte(void **state)
{
    struct icmp_rig *rig = *state;

    packet_v4(rig, 20);
    tell(rig, ICMP_PARAMETER, 20);
    assert_int_equal(get_be32(good(rig) + 4), 20u << 24);
    packet_v6(rig, 20);
    tell(rig, ICMP_PARAMETER, 42);
    assert_int_equal(get_be32(good(rig) + 4), 42);
}

/* RFC 1812, 4.3.2.3 (as much as fits 576 bytes), 4.3.2.5 (precedence) */
static void
an_ipv4_error_quotes_up_to_576_bytes(void **state)
{
    struct icmp_rig *rig = *state;

    packet_v4(rig, 1000);
    assert_int_equal(tell(rig, ICMP_TTL_EXCEEDED, 0), 576);
    assert_memory_equal(good(rig) + 8, rig->f.data, 576 - 28);
    assert_int_equal(rig->out[1], 0xc0);
    packet_v4(rig, 20);
    assert_int_equal(tell(rig, ICMP_TTL_EXCEEDED, 0), 28 + rig->f.len);
    assert_memory_equal(good(rig) + 8, rig->f.data, rig->f.len);
}

/* RFC 4443, 2.4 (c) */
static void
an_ipv6_error_quotes_up_to_1280_bytes(void **state)
{
    struct icmp_rig *rig = *state;

    packet_v6(rig, 2000);
    assert_int_equal(tell(rig, ICMP_TTL_EXCEEDED, 0), 1280);
    assert_memory_equal(good(rig) + 8, rig->f.data, 1280 - 48);
    packet_v6(rig, 20);
    assert_int_equal(tell(rig, ICMP_TTL_EXCEEDED, 0), 48 + rig->f.len);
}

static void
what_ethernet_padded_is_not_quoted(void **state)
{
    struct icmp_rig *rig = *state;

    packet_v4(rig, 4);
    frame_payload(&rig->f, 30);
    assert_int_equal(tell(rig, ICMP_TTL_EXCEEDED, 0), 28 + IPV4_SIZE + UDP_SIZE + 4);
}

/* --- When none may be sent: RFC 1812, 4.3.2.7 ------------------------------------------------------------ */

static void
none_is_sent_for_an_error_but_for_a_question_of_icmp(void **state)
{
    struct icmp_rig *rig = *state;

    for (unsigned type = 0; type < 20; type++) {
        bool is_error = type == 3 || type == 4 || type == 5 || type == 11 || type == 12;

        rig->f.len = 0;
        frame_ipv4(&rig->f, IP_PROTO_ICMPV4, 0, 0);
        frame_icmp(&rig->f, type, 0, 8);
        put_be16(rig->f.data + 2, (uint16_t)rig->f.len);
        assert_int_equal(may_tell(rig, ICMP_TTL_EXCEEDED), !is_error);
    }
}

static void
none_is_sent_for_what_went_to_many(void **state)
{
    static const uint32_t destinations[] = { 0xe0000001, 0xefffffff, 0xf0000000, UINT32_MAX };
    struct icmp_rig *rig = *state;
    struct icmp_cause cause;

    for (unsigned i = 0; i < sizeof destinations / sizeof *destinations; i++) {
        packet_v4(rig, 20);
        put_be32(rig->f.data + 16, destinations[i]);
        assert_false(may_tell(rig, ICMP_NO_PORT));
    }
    packet_v4(rig, 20);
    cause = cause_of(rig, ICMP_NO_PORT, 0);
    cause.was_group = true;
    assert_int_equal(icmp_error(&rig->limits, &rig->counters, &cause, NOW, rig->out), 0);
}

static void
none_is_sent_to_who_is_not_a_host(void **state)
{
    static const uint32_t sources[] = { 0, 0x00000001, 0x7f000001, 0xe0000001, 0xf0000001, UINT32_MAX };
    struct icmp_rig *rig = *state;

    for (unsigned i = 0; i < sizeof sources / sizeof *sources; i++) {
        packet_v4(rig, 20);
        put_be32(rig->f.data + 12, sources[i]);
        assert_false(may_tell(rig, ICMP_NO_ROUTE));
    }
}

static void
none_is_sent_for_a_later_fragment_but_for_the_first(void **state)
{
    struct icmp_rig *rig = *state;

    packet_v4(rig, 24);
    put_be16(rig->f.data + 6, 0x2000);
    assert_true(may_tell(rig, ICMP_TTL_EXCEEDED));
    put_be16(rig->f.data + 6, 0x2001);
    assert_false(may_tell(rig, ICMP_TTL_EXCEEDED));
    put_be16(rig->f.data + 6, 0x0001);
    assert_false(may_tell(rig, ICMP_TTL_EXCEEDED));
}

static void
none_is_sent_for_what_has_no_whole_header(void **state)
{
    struct icmp_rig *rig = *state;

    for (unsigned version = 4; version <= 6; version += 2) {
        (version == 4 ? packet_v4 : packet_v6)(rig, 0);
        for (rig->f.len = 0; rig->f.len < (version == 4 ? IPV4_SIZE : IPV6_SIZE); rig->f.len++) {
            assert_false(may_tell(rig, ICMP_TTL_EXCEEDED));
        }
    }
    packet_v4(rig, 0);
    rig->f.data[0] = 0x44;
    assert_false(may_tell(rig, ICMP_TTL_EXCEEDED));
    rig->f.data[0] = 0x4f;
    assert_false(may_tell(rig, ICMP_TTL_EXCEEDED));
    rig->f.data[0] = 0x55;
    assert_false(may_tell(rig, ICMP_TTL_EXCEEDED));
}

/* --- The same: RFC 4443, 2.4 (e) ---------------------------------------------------------------------------- */

static void
none_is_sent_for_an_error_or_redirect_of_icmpv6_behind_any_headers(void **state)
{
    static const uint8_t types[][2] = {         /* Whether one is sent for it. */
        { 1, 0 }, { 2, 0 }, { 3, 0 }, { 4, 0 }, { 100, 0 }, { 127, 0 }, { 128, 1 }, { 129, 1 },
        { 135, 1 }, { 137, 0 },
    };
    struct icmp_rig *rig = *state;

    for (unsigned i = 0; i < 2 * sizeof types / sizeof *types; i++) {
        rig->f.len = 0;
        if (i % 2) {
            frame_ipv6(&rig->f, IP_PROTO_DEST);
            frame_extension(&rig->f, IP_PROTO_DEST, IP_PROTO_ICMPV6, 8);
        } else {
            frame_ipv6(&rig->f, IP_PROTO_ICMPV6);
        }
        frame_icmp(&rig->f, types[i / 2][0], 0, 8);
        put_be16(rig->f.data + 4, (uint16_t)(rig->f.len - IPV6_SIZE));
        assert_int_equal(may_tell(rig, ICMP_TTL_EXCEEDED), types[i / 2][1]);
    }
}

static void
for_what_went_to_many_only_too_big_is_sent(void **state)
{
    struct icmp_rig *rig = *state;
    struct icmp_cause cause;

    packet_v6(rig, 20);
    rig->f.data[24] = 0xff;
    assert_false(may_tell(rig, ICMP_NO_PORT));
    assert_true(may_tell(rig, ICMP_TOO_BIG));
    packet_v6(rig, 20);
    cause = cause_of(rig, ICMP_NO_PORT, 0);
    cause.was_group = true;
    assert_int_equal(icmp_error(&rig->limits, &rig->counters, &cause, NOW, rig->out), 0);
    cause.error = ICMP_TOO_BIG;
    assert_int_not_equal(icmp_error(&rig->limits, &rig->counters, &cause, NOW, rig->out), 0);
}

static void
none_is_sent_to_nobody_loopback_or_many(void **state)
{
    struct icmp_rig *rig = *state;

    packet_v6(rig, 20);
    memset(rig->f.data + 8, 0, 16);
    assert_false(may_tell(rig, ICMP_NO_ROUTE));
    rig->f.data[23] = 1;
    assert_false(may_tell(rig, ICMP_NO_ROUTE));
    rig->f.data[8] = 0xff;
    assert_false(may_tell(rig, ICMP_TOO_BIG));
}

/* A later fragment of ICMP may be an error's; one of UDP is not. */
static void
of_later_fragments_only_those_of_icmp_are_passed_over(void **state)
{
    struct icmp_rig *rig = *state;

    for (unsigned later = 0; later < 2; later++) {
        for (unsigned icmp = 0; icmp < 2; icmp++) {
            rig->f.len = 0;
            frame_ipv6(&rig->f, IP_PROTO_FRAG);
            frame_fragment(&rig->f, icmp ? IP_PROTO_ICMPV6 : IP_PROTO_UDP, later ? 0x11 : 0x01);
            frame_icmp(&rig->f, 128, 0, 12);
            put_be16(rig->f.data + 4, (uint16_t)(rig->f.len - IPV6_SIZE));
            assert_int_equal(may_tell(rig, ICMP_TTL_EXCEEDED), !(later && icmp));
        }
    }
}

static void
none_is_sent_when_headers_do_not_end(void **state)
{
    struct icmp_rig *rig = *state;

    rig->f.len = 0;
    frame_ipv6(&rig->f, IP_PROTO_HOP);
    frame_extension(&rig->f, IP_PROTO_HOP, IP_PROTO_UDP, 16);
    put_be16(rig->f.data + 4, (uint16_t)(rig->f.len - IPV6_SIZE));
    assert_true(may_tell(rig, ICMP_TTL_EXCEEDED));
    rig->f.data[IPV6_SIZE + 1]++;
    assert_false(may_tell(rig, ICMP_TTL_EXCEEDED));
}

/* --- RFC 1812, 4.3.2.8; RFC 4443, 2.4 (f): the rate ---------------------------------------------------------- */

static void
errors_are_limited_by_kind(void **state)
{
    struct icmp_rig *rig = *state;
    struct icmp_cause cause;

    rig->limits.rate = (struct bucket_rate) { .per_second = 10, .burst = 3 };
    packet_v4(rig, 20);
    for (unsigned i = 0; i < 5; i++) {
        tell(rig, ICMP_TTL_EXCEEDED, 0);
    }
    assert_int_equal(rig->counters.sent[ICMP_TTL_EXCEEDED], 3);
    assert_int_equal(rig->counters.limited[ICMP_TTL_EXCEEDED], 2);
    assert_int_not_equal(tell(rig, ICMP_NO_ROUTE, 0), 0);
    cause = cause_of(rig, ICMP_TTL_EXCEEDED, 0);
    for (unsigned ms = 1; ms <= 1000; ms++) {
        icmp_error(&rig->limits, &rig->counters, &cause, NOW + ms, rig->out);
    }
    assert_int_equal(rig->counters.sent[ICMP_TTL_EXCEEDED], 3 + 10);
}

static void
one_that_may_not_be_sent_takes_nothing_of_the_rate(void **state)
{
    struct icmp_rig *rig = *state;

    rig->limits.rate = (struct bucket_rate) { .per_second = 1, .burst = 1 };
    packet_v4(rig, 20);
    put_be32(rig->f.data + 16, UINT32_MAX);
    tell(rig, ICMP_NO_ROUTE, 0);
    packet_v4(rig, 20);
    assert_int_not_equal(tell(rig, ICMP_NO_ROUTE, 0), 0);
}

/* --- Redirects: RFC 1812, 4.3.3.2; RFC 4861, 4.5 ---------------------------------------------------------------- */

static void
an_ipv4_redirect_names_the_gateway(void **state)
{
    struct icmp_rig *rig = *state;
    struct ip_address gateway = ip_from_v4(0x0a000005);
    struct icmp_cause cause;

    packet_v4(rig, 20);
    cause = cause_of(rig, ICMP_REDIRECT, 0);
    rig->len = icmp_redirect(&rig->limits, &rig->counters, &cause, &gateway, 0, NOW, rig->out);

    const uint8_t *icmp = good(rig);

    assert_int_equal(get_be16(icmp), 0x0501);
    assert_int_equal(get_be32(icmp + 4), 0x0a000005);
    assert_memory_equal(icmp + 8, rig->f.data, rig->f.len);
}

static void
an_ipv6_redirect_has_target_destination_link_address_and_packet(void **state)
{
    struct icmp_rig *rig = *state;
    struct ip_address gateway = { { UINT64_C(0xfe80) << 48, 5 } }, found;
    struct icmp_cause cause;

    for (size_t payload = 0; payload < 2000; payload += 13) {
        packet_v6(rig, payload);
        cause = cause_of(rig, ICMP_REDIRECT, 0);
        rig->len = icmp_redirect(&rig->limits, &rig->counters, &cause, &gateway, TEST_ETH_SRC, NOW,
                                 rig->out);

        const uint8_t *icmp = good(rig), *option = icmp + 40;
        size_t quoted = option[9] * 8u - 8;

        found = ip_read(IP_V6, icmp + 8);
        assert_int_equal(get_be16(icmp), 137 << 8);
        assert_int_equal(rig->out[7], 255);
        assert_true(ip_equal(&found, &gateway));
        assert_memory_equal(icmp + 24, rig->f.data + 24, 16);
        assert_int_equal(get_be16(option), 0x0201);
        assert_true(get_be48(option + 2) == TEST_ETH_SRC);
        assert_int_equal(option[8], 4);
        assert_true(option + 8 + option[9] * 8 == rig->out + rig->len);
        assert_true(rig->len <= 1280 && (rig->len > 1272 || quoted >= rig->f.len));
        assert_memory_equal(option + 16, rig->f.data, quoted < rig->f.len ? quoted : rig->f.len);
    }
}

/* --- Echo: RFC 1812, 4.3.3.6; RFC 4443, 4.1 and 4.2 ---------------------------------------------------------- */

static void
echo(struct icmp_rig *rig, bool is_v4, size_t payload, unsigned options)
{
    rig->f.len = 0;
    if (is_v4) {
        frame_ipv4(&rig->f, IP_PROTO_ICMPV4, 0, options);
        frame_icmp(&rig->f, 8, 0, payload);
        put_be16(rig->f.data + 2, (uint16_t)rig->f.len);
    } else {
        frame_ipv6(&rig->f, options ? IP_PROTO_HOP : IP_PROTO_ICMPV6);
        if (options) {
            frame_extension(&rig->f, IP_PROTO_HOP, IP_PROTO_ICMPV6, 0);
        }
        frame_icmp(&rig->f, 128, 0, payload);
        put_be16(rig->f.data + 4, (uint16_t)(rig->f.len - IPV6_SIZE));
    }

    size_t at = rig->f.len - payload - ICMP_SIZE;
    uint16_t pseudo = is_v4 ? 0 : plain_pseudo(rig->f.data, IP_PROTO_ICMPV6,
                                               (uint16_t)(rig->f.len - at));

    put_be16(rig->f.data + at + ICMP_CSUM,
             (uint16_t)~plain_sum(pseudo, rig->f.data + at, rig->f.len - at));
}

static size_t
reply(struct icmp_rig *rig)
{
    bool is_v4 = rig->f.data[0] >> 4 == 4;
    struct ip_address source = ip_read(is_v4 ? IP_V4 : IP_V6, rig->f.data + (is_v4 ? 16 : 24));

    return rig->len = icmp_echo_reply(rig->f.data, rig->f.len, &source, rig->out);
}

static void
an_echo_comes_back_with_all_its_data(void **state)
{
    struct icmp_rig *rig = *state;

    for (unsigned i = 0; i < 4; i++) {
        bool is_v4 = i % 2;

        for (size_t payload = 4; payload < 1000; payload += 61) {
            echo(rig, is_v4, payload, i < 2 ? 0 : 8);
            assert_true(icmp_is_echo(rig->f.data, rig->f.len));
            reply(rig);

            const uint8_t *icmp = good(rig);

            assert_int_equal(icmp[0], is_v4 ? 0 : 129);
            assert_int_equal(rig->len, (is_v4 ? IPV4_SIZE : IPV6_SIZE) + ICMP_SIZE + payload);
            assert_memory_equal(icmp + 4, rig->f.data + rig->f.len - payload, payload);
        }
    }
}

static void
its_source_is_where_it_was_sent_and_its_class_that_of_the_request(void **state)
{
    struct icmp_rig *rig = *state;

    echo(rig, true, 8, 0);
    reply(rig);
    assert_memory_equal(rig->out + 12, rig->f.data + 16, 4);
    assert_int_equal(rig->out[1], rig->f.data[1]);
    assert_int_equal(get_be16(rig->out + 6), 0);
    echo(rig, false, 8, 0);
    reply(rig);
    assert_memory_equal(rig->out + 8, rig->f.data + 24, 16);
    assert_int_equal(get_be32(rig->out), UINT32_C(6) << 28 | (10 << 2 | 1) << 20);
}

static void
a_damaged_echo_one_from_nobody_and_a_fragment_get_no_reply(void **state)
{
    struct icmp_rig *rig = *state;

    for (unsigned is_v4 = 0; is_v4 < 2; is_v4++) {
        echo(rig, is_v4, 8, 0);
        rig->f.data[rig->f.len - 1] ^= 1;
        assert_int_equal(reply(rig), 0);
        echo(rig, is_v4, 8, 0);
        memset(rig->f.data + (is_v4 ? 12 : 8), 0xff, is_v4 ? 4 : 16);
        assert_int_equal(reply(rig), 0);
    }
    echo(rig, true, 8, 0);
    put_be16(rig->f.data + 6, 0x2000);
    assert_false(icmp_is_echo(rig->f.data, rig->f.len));
    assert_int_equal(reply(rig), 0);
    packet_v4(rig, 20);
    assert_false(icmp_is_echo(rig->f.data, rig->f.len));
    packet_v6(rig, 20);
    assert_false(icmp_is_echo(rig->f.data, rig->f.len));
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_error_has_its_type_and_code),
        TEST(too_big_says_the_mtu),
        TEST(a_parameter_problem_points_at_the_byte),
        TEST(an_ipv4_error_quotes_up_to_576_bytes),
        TEST(an_ipv6_error_quotes_up_to_1280_bytes),
        TEST(what_ethernet_padded_is_not_quoted),
        TEST(none_is_sent_for_an_error_but_for_a_question_of_icmp),
        TEST(none_is_sent_for_what_went_to_many),
        TEST(none_is_sent_to_who_is_not_a_host),
        TEST(none_is_sent_for_a_later_fragment_but_for_the_first),
        TEST(none_is_sent_for_what_has_no_whole_header),
        TEST(none_is_sent_for_an_error_or_redirect_of_icmpv6_behind_any_headers),
        TEST(for_what_went_to_many_only_too_big_is_sent),
        TEST(none_is_sent_to_nobody_loopback_or_many),
        TEST(of_later_fragments_only_those_of_icmp_are_passed_over),
        TEST(none_is_sent_when_headers_do_not_end),
        TEST(errors_are_limited_by_kind),
        TEST(one_that_may_not_be_sent_takes_nothing_of_the_rate),
        TEST(an_ipv4_redirect_names_the_gateway),
        TEST(an_ipv6_redirect_has_target_destination_link_address_and_packet),
        TEST(an_echo_comes_back_with_all_its_data),
        TEST(its_source_is_where_it_was_sent_and_its_class_that_of_the_request),
        TEST(a_damaged_echo_one_from_nobody_and_a_fragment_get_no_reply),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
