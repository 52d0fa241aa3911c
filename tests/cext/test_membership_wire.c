/* IGMP and MLD as bytes: RFC 2236, RFC 3376, RFC 2710, RFC 3810, with the section named. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "membership_packets.h"
#include "membership_wire.h"
#include "plain_sum.h"

static struct membership_message message;
static struct membership_record record;

static bool
parse(struct frame *f)
{
    membership_finish(f);
    return membership_parse(f->data, f->len, &message);
}

/* --- Reports --------------------------------------------------------------------------------------- */

/* RFC 2236, 2; RFC 1112, appendix I; RFC 2710, 3 */
static void
an_old_report_wants_a_group_and_a_leave_does_not(void **state)
{
    static const uint8_t rows[][4] = {  /* Version of IP, type, version, change. */
        { 4, 0x12, 1, MEMBERSHIP_IS_EXCLUDE }, { 4, 0x16, 2, MEMBERSHIP_IS_EXCLUDE },
        { 4, 0x17, 2, MEMBERSHIP_TO_INCLUDE }, { 6, 131, 2, MEMBERSHIP_IS_EXCLUDE },
        { 6, 132, 2, MEMBERSHIP_TO_INCLUDE },
    };
    struct frame f;

    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ip_address group = membership_group_at(rows[i][0], 9);

        membership_old(&f, rows[i][0], rows[i][1], group);
        assert_true(parse(&f));
        assert_false(message.is_query);
        assert_int_equal(message.family, rows[i][0]);
        assert_int_equal(message.version, rows[i][2]);
        assert_true(membership_next(&message, &record));
        assert_int_equal(record.change, rows[i][3]);
        assert_int_equal(record.n_sources, 0);
        assert_true(ip_equal(&record.group, &group));
        assert_false(membership_next(&message, &record));
    }
    (void)state;
}

/* RFC 3376, 4.2; RFC 3810, 5.2 */
static void
a_report_of_version_3_has_records_with_sources(void **state)
{
    struct frame f;

    for (uint8_t family = IP_V4; family <= IP_V6; family += 2) {
        membership_report(&f, family);
        for (unsigned change = 1; change <= 7; change++) {      /* 7 is not known: passed over. */
            membership_add_record(&f, family, change, membership_group_at(family, change), change - 1);
        }
        assert_true(parse(&f));
        assert_int_equal(message.version, 3);
        for (unsigned change = 1; change <= 6; change++) {
            struct ip_address group = membership_group_at(family, change);

            assert_true(membership_next(&message, &record));
            assert_int_equal(record.change, change);
            assert_true(ip_equal(&record.group, &group));
            assert_int_equal(record.n_sources, change - 1);
            for (unsigned i = 0; i < record.n_sources; i++) {
                struct ip_address is = membership_source(family, record.sources, i);
                struct ip_address expected = membership_source_at(family, i);

                assert_true(ip_equal(&is, &expected));
            }
        }
        assert_false(membership_next(&message, &record));
    }
    (void)state;
}

/* RFC 3376, 4.2.6: auxiliary data is passed over; 4.2.11: more than records, too. */
static void
what_is_not_known_in_a_report_is_passed_over(void **state)
{
    struct frame f;

    membership_report(&f, IP_V4);
    membership_add_record(&f, IP_V4, MEMBERSHIP_ALLOW, membership_group_at(IP_V4, 1), 1);
    f.data[MEMBERSHIP_V4_AT + 8 + 1] = 1;
    frame_add32(&f, 0xdeadbeef);
    membership_add_record(&f, IP_V4, MEMBERSHIP_ALLOW, ip_from_v4(0x0a000001), 1);      /* No group. */
    membership_add_record(&f, IP_V4, MEMBERSHIP_ALLOW, membership_group_at(IP_V4, 2), 1);
    frame_add32(&f, 0xdeadbeef);
    assert_true(parse(&f));
    assert_true(membership_next(&message, &record));
    assert_true(membership_next(&message, &record));
    assert_int_equal(record.group.word[1] & 0xff, 2);
    assert_false(membership_next(&message, &record));
    (void)state;
}

static void
records_that_go_beyond_the_message_end_it(void **state)
{
    struct frame f;

    for (uint8_t family = IP_V4; family <= IP_V6; family += 2) {
        size_t at = family == IP_V4 ? MEMBERSHIP_V4_AT : MEMBERSHIP_V6_AT;

        membership_report(&f, family);
        membership_add_record(&f, family, MEMBERSHIP_ALLOW, membership_group_at(family, 1), 3);
        for (unsigned claimed = 0; claimed < 300; claimed++) {
            unsigned n = 0;

            put_be16(f.data + at + 8 + 2, (uint16_t)claimed);
            put_be16(f.data + at + 6, 100);
            assert_true(parse(&f));
            while (membership_next(&message, &record)) {
                n++;
                assert_true(record.sources + record.n_sources * (family == IP_V4 ? 4 : 16)
                            <= f.data + f.len);
            }
            assert_true(claimed > 3 ? n == 0 : n >= 1);
        }
    }
    (void)state;
}

/* --- Queries ---------------------------------------------------------------------------------------- */

/* RFC 3376, 7.1; RFC 3810, 8.1 */
static void
the_version_of_a_query_is_told_by_length_and_response_time(void **state)
{
    struct frame f;

    membership_old(&f, IP_V4, 0x11, ip_from_v4(0));
    assert_true(parse(&f));
    assert_true(message.is_query);
    assert_int_equal(message.version, 1);
    assert_int_equal(message.response_ms, 10000);
    f.data[MEMBERSHIP_V4_AT + 1] = 50;
    assert_true(parse(&f));
    assert_int_equal(message.version, 2);
    assert_int_equal(message.response_ms, 5000);
    for (unsigned n = 1; n < 4; n++) {
        frame_add8(&f, 0);
        assert_false(parse(&f));
    }
    frame_add8(&f, 0);
    assert_true(parse(&f));
    assert_int_equal(message.version, 3);
    membership_old(&f, IP_V6, 130, (struct ip_address) { { 0, 0 } });
    put_be16(f.data + MEMBERSHIP_V6_AT + 4, 1234);
    assert_true(parse(&f));
    assert_int_equal(message.version, 2);
    assert_int_equal(message.response_ms, 1234);
    (void)state;
}

/* What is built is read; numbers with an exponent (RFC 3376, 4.1.1 and 4.1.7; RFC 3810, 5.1.3 and 5.1.9) are
 * rounded down by less than a sixteenth. */
static void
what_is_built_is_read(void **state)
{
    static const uint32_t times[] = { 100, 1000, 10000, 12700, 12800, 125000, 1000000, 3174400 };
    struct ip_address sources[5];
    uint8_t packet[MEMBERSHIP_QUERY_MAX];

    for (unsigned i = 0; i < 2 * sizeof times / sizeof *times; i++) {
        struct membership_query query = {
            .family = i % 2 ? IP_V4 : IP_V6, .version = 3, .robustness = 2, .n_sources = 5,
            .response_ms = times[i / 2], .interval_ms = times[i / 2], .sources = sources,
        };
        size_t n;

        query.from = i % 2 ? ip_from_v4(0x0a000001)
                           : (struct ip_address) { { UINT64_C(0xfe80) << 48, 1 } };
        query.group = membership_group_at(query.family, 3);
        for (unsigned j = 0; j < 5; j++) {
            sources[j] = membership_source_at(query.family, j);
        }
        n = membership_build(packet, &query);
        assert_true(membership_parse(packet, n, &message));
        assert_true(message.is_query && !message.is_suppressed);
        assert_true(ip_equal(&message.from, &query.from));
        assert_true(ip_equal(&message.group, &query.group));
        assert_int_equal(message.robustness, 2);
        assert_in_range(message.response_ms, times[i / 2] - times[i / 2] / 16, times[i / 2]);
        assert_true(times[i / 2] < 1000
                    || (message.interval_ms <= times[i / 2]
                        && message.interval_ms + 1000 > times[i / 2] - times[i / 2] / 16));
        assert_int_equal(message.n_sources, 5);
        for (unsigned j = 0; j < 5; j++) {
            struct ip_address is = membership_source(query.family, message.sources, j);
            assert_true(ip_equal(&is, &sources[j]));
        }
    }
    (void)state;
}

/* RFC 3376, 4: TTL 1, precedence, router alert; 4.1.12: to the group, or to all systems. */
static void
a_query_of_igmp_has_the_bytes_of_the_rfc(void **state)
{
    static const uint8_t expected[32] = {
        0x46, 0xc0, 0, 32, 0, 0, 0, 0, 1, 2, 0, 0, 10, 0, 0, 1, 224, 0, 0, 1, 0x94, 4, 0, 0,
        0x11, 100, 0, 0, 0, 0, 0, 0,
    };
    struct membership_query query = {
        .family = IP_V4, .version = 2, .from = ip_from_v4(0x0a000001), .response_ms = 10000,
    };
    uint8_t packet[MEMBERSHIP_QUERY_MAX];

    assert_int_equal(membership_build(packet, &query), sizeof expected);
    assert_int_equal(plain_sum(0, packet, 24), 0xffff);
    assert_int_equal(plain_sum(0, packet + 24, 8), 0xffff);
    put_be16(packet + 10, 0);
    put_be16(packet + 26, 0);
    assert_memory_equal(packet, expected, sizeof expected);
    query.group = ip_from_v4(0xe8010203);
    membership_build(packet, &query);
    assert_int_equal(get_be32(packet + 16), 0xe8010203);
    (void)state;
}

/* RFC 3810, 5 and 5.1: hop limit 1, router alert (RFC 2711), to the group or all nodes. */
static void
a_query_of_mld_has_the_bytes_of_the_rfc(void **state)
{
    struct membership_query query = {
        .family = IP_V6, .version = 2, .from = { { UINT64_C(0xfe80) << 48, 1 } }, .response_ms = 10000,
    };
    uint8_t packet[MEMBERSHIP_QUERY_MAX];

    assert_int_equal(membership_build(packet, &query), 40 + 8 + 24);
    assert_int_equal(get_be16(packet + 4), 32);
    assert_int_equal(packet[6], 0);
    assert_int_equal(packet[7], 1);
    assert_true(get_be64(packet + 24) == UINT64_C(0xff02) << 48 && get_be64(packet + 32) == 1);
    assert_true(get_be64(packet + 40) == UINT64_C(0x3a00050200000100));
    assert_int_equal(packet[48], 130);
    assert_int_equal(get_be16(packet + 52), 10000);
    assert_true(plain_transport_good(packet, 0, 48));
    (void)state;
}

/* --- What is not believed ---------------------------------------------------------------------------- */

struct damage {
    uint8_t family;
    unsigned at;
    uint8_t value;
};

/* RFC 3376, 4 and 4.1.2; RFC 3810, 5, 5.1.3 and 6.2 */
static void
what_does_not_pass_the_checks_is_not_believed(void **state)
{
    static const struct damage damages[] = {
        { IP_V4, 8, 2 },                /* TTL */
        { IP_V4, 6, 0x20 },             /* A fragment. */
        { IP_V4, 9, 17 },
        { IP_V4, 0, 0x44 },
        { IP_V4, MEMBERSHIP_V4_AT, 0x99 },
        { IP_V6, 7, 2 },                /* The hop limit. */
        { IP_V6, 8, 0x20 },             /* A source that is not of the link. */
        { IP_V6, 42, 1 },               /* No router alert. */
        { IP_V6, 40, 17 },
        { IP_V6, MEMBERSHIP_V6_AT, 0x99 },
    };
    struct frame f;

    for (unsigned i = 0; i < sizeof damages / sizeof *damages; i++) {
        membership_report(&f, damages[i].family);
        assert_true(parse(&f));
        f.data[damages[i].at] = damages[i].value;
        assert_false(parse(&f));
    }
    for (uint8_t family = IP_V4; family <= IP_V6; family += 2) {
        membership_report(&f, family);
        membership_finish(&f);
        f.data[f.len - 1] ^= 1;         /* The checksum. */
        assert_false(membership_parse(f.data, f.len, &message));
        f.data[f.len - 1] ^= 1;
        assert_true(membership_parse(f.data, f.len, &message));
        for (size_t len = 0; len < f.len; len++) {
            assert_false(membership_parse(f.data, len, &message));
        }
        membership_old(&f, family, family == IP_V4 ? 0x11 : 130, membership_source_at(family, 1));
        assert_false(parse(&f));        /* Asks for what is no group. */
    }
    (void)state;
}

/* RFC 3810, 5.2.13 */
static void
who_has_no_address_yet_may_report_but_not_ask(void **state)
{
    struct frame f;

    membership_report(&f, IP_V6);
    memset(f.data + 8, 0, 16);
    assert_true(parse(&f));
    membership_old(&f, IP_V6, 130, (struct ip_address) { { 0, 0 } });
    memset(f.data + 8, 0, 16);
    assert_false(parse(&f));
    (void)state;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_old_report_wants_a_group_and_a_leave_does_not),
        cmocka_unit_test(a_report_of_version_3_has_records_with_sources),
        cmocka_unit_test(what_is_not_known_in_a_report_is_passed_over),
        cmocka_unit_test(records_that_go_beyond_the_message_end_it),
        cmocka_unit_test(the_version_of_a_query_is_told_by_length_and_response_time),
        cmocka_unit_test(what_is_built_is_read),
        cmocka_unit_test(a_query_of_igmp_has_the_bytes_of_the_rfc),
        cmocka_unit_test(a_query_of_mld_has_the_bytes_of_the_rfc),
        cmocka_unit_test(what_does_not_pass_the_checks_is_not_believed),
        cmocka_unit_test(who_has_no_address_yet_may_report_but_not_ask),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
