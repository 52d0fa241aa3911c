/* Fragments: RFC 791 (section 3.1, 3.2) and RFC 8200 (4.5), with the section named. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "fragment.h"
#include "packets.h"
#include "plain_sum.h"

enum { BIG = 65535 + IPV6_SIZE };

static const uint8_t none[1];
static uint8_t packet[BIG], out[BIG];

/* An IPv4 packet of 'total' bytes; returns its length. */
static size_t
packet_v4(const uint8_t *options, size_t n_options, size_t total, unsigned fragment)
{
    size_t header = IPV4_SIZE + n_options;
    struct frame f = { .len = 0 };

    frame_ipv4(&f, IP_PROTO_UDP, fragment, 0);
    memcpy(packet, f.data, IPV4_SIZE);
    memcpy(packet + IPV4_SIZE, options, n_options);
    packet[0] = (uint8_t)(0x40 | header / 4);
    put_be16(packet + 2, (uint16_t)total);
    for (size_t i = header; i < total; i++) {
        packet[i] = (uint8_t)(i * 31 + i / 251);
    }
    return total;
}

static size_t
packet_v6(size_t total)
{
    struct frame f = { .len = 0 };

    frame_ipv6(&f, IP_PROTO_ICMPV6);
    memcpy(packet, f.data, IPV6_SIZE);
    put_be16(packet + 4, (uint16_t)(total - IPV6_SIZE));
    for (size_t i = IPV6_SIZE; i < total; i++) {
        packet[i] = (uint8_t)(i * 31 + i / 251);
    }
    return total;
}

/* Checks every fragment of an IPv4 packet by what section 3.2 asks of it. */
static void
check_v4(size_t len, uint32_t mtu)
{
    size_t header = (packet[0] & 15) * 4u, at = header;
    unsigned base = get_be16(packet + 6) & 0x1fff, more = get_be16(packet + 6) & 0x2000;
    struct fragmentation plan;

    assert_int_equal(fragment_plan(&plan, packet, len, mtu, 0), 0);
    for (unsigned i = 0; i < plan.n; i++) {
        size_t n = fragment_write(&plan, i, out), own = (out[0] & 15) * 4u;
        bool is_last = i + 1 == plan.n;

        assert_true(n <= mtu && n > own);
        assert_int_equal(get_be16(out + 2), n);
        assert_int_equal(plain_sum(0, out, own), plan.n > 1 ? 0xffff : plain_sum(0, packet, own));
        assert_int_equal(get_be16(out + 6) & 0x1fff, base + (at - header) / 8);
        assert_int_equal(get_be16(out + 6) & 0x2000, is_last ? more : 0x2000);
        assert_true(is_last || (n - own) % 8 == 0);
        assert_memory_equal(out + 4, packet + 4, 2);
        assert_memory_equal(out + 8, packet + 8, 2);
        assert_memory_equal(out + 12, packet + 12, 8);
        assert_memory_equal(out + own, packet + at, n - own);
        at += n - own;
    }
    assert_int_equal(at, len);
}

/* RFC 791, 3.2: a fragmentation procedure */
static void
fragments_are_the_packet_again_whatever_the_mtu(void **state)
{
    for (uint32_t mtu = 68; mtu < 1600; mtu += 7) {
        check_v4(packet_v4(none, 0, 1500, 0), mtu);
        check_v4(packet_v4(none, 0, 21 + mtu, 0), mtu);
    }
    check_v4(packet_v4(none, 0, 65535, 0), 1500);
    check_v4(packet_v4(none, 0, 65535, 0), 68);
    (void)state;
}

static void
each_is_as_long_as_it_may_be(void **state)
{
    struct fragmentation plan;

    fragment_plan(&plan, packet, packet_v4(none, 0, 4000, 0), 1500, 0);
    assert_int_equal(plan.n, 3);
    assert_int_equal(fragment_write(&plan, 0, out), 1500);
    assert_int_equal(fragment_write(&plan, 1, out), 1500);
    assert_int_equal(fragment_write(&plan, 2, out), 4000 - 2 * 1480);
    (void)state;
}

/* RFC 791, 3.2: a fragment is fragmented again. */
static void
a_fragment_keeps_its_place_and_that_more_follow(void **state)
{
    check_v4(packet_v4(none, 0, 1492, 0x2000 | 185), 576);
    check_v4(packet_v4(none, 0, 1492, 370), 576);
    (void)state;
}

static void
what_fits_stays_as_it_is(void **state)
{
    struct fragmentation plan;
    size_t len = packet_v4(none, 0, 1499, 0x4000);

    assert_int_equal(fragment_plan(&plan, packet, len, 1499, 0), 0);
    assert_int_equal(plan.n, 1);
    assert_int_equal(fragment_write(&plan, 0, out), len);
    assert_memory_equal(out, packet, len);
    len = packet_v6(1500);
    assert_int_equal(fragment_plan(&plan, packet, len, 1500, 0), 0);
    assert_int_equal(fragment_write(&plan, 0, out), len);
    assert_memory_equal(out, packet, len);
    (void)state;
}

/* RFC 791, 3.1, flags */
static void
what_must_not_be_fragmented_is_not(void **state)
{
    struct fragmentation plan;

    assert_int_equal(fragment_plan(&plan, packet, packet_v4(none, 0, 1501, 0x4000), 1500, 0), EMSGSIZE);
    (void)state;
}

/* RFC 791, 3.1: the copied flag; no operation and end of options are not. */
static void
only_options_with_the_copied_flag_are_in_later_fragments(void **state)
{
    static const uint8_t options[20] = {
        7, 7, 4, 0, 0, 0, 0,            /* Record route: not copied. */
        1,                              /* No operation. */
        0x94, 4, 0, 0,                  /* Router alert: copied. */
        0x83, 7, 4, 10, 0, 0, 9,        /* Loose source route: copied. */
        0,
    };
    static const uint8_t later[12] = { 0x94, 4, 0, 0, 0x83, 7, 4, 10, 0, 0, 9, 0 };
    struct fragmentation plan;
    size_t len = packet_v4(options, sizeof options, 2000, 0);

    check_v4(len, 576);
    fragment_plan(&plan, packet, len, 576, 0);
    fragment_write(&plan, 0, out);
    assert_int_equal(out[0], 0x4a);
    assert_memory_equal(out + IPV4_SIZE, options, sizeof options);
    fragment_write(&plan, 1, out);
    assert_int_equal(out[0], 0x48);
    assert_memory_equal(out + IPV4_SIZE, later, sizeof later);
    (void)state;
}

static void
damaged_packets_and_mtus_that_nothing_fits_are_refused(void **state)
{
    static const uint8_t options[][4] = {
        { 0x94, 5, 0, 0 }, { 0x94, 0, 0, 0 }, { 0x94, 1, 0, 0 }, { 1, 1, 1, 0x94 },
    };
    struct fragmentation plan;

    for (unsigned i = 0; i < sizeof options / sizeof *options; i++) {
        assert_int_equal(fragment_plan(&plan, packet, packet_v4(options[i], 4, 2000, 0), 1500, 0), EINVAL);
    }
    assert_int_equal(fragment_plan(&plan, packet, packet_v4(none, 0, 2000, 0), 27, 0), EINVAL);
    assert_int_equal(fragment_plan(&plan, packet, packet_v4(none, 0, 2000, 0) - 1, 1500, 0), EINVAL);
    assert_int_equal(fragment_plan(&plan, packet, packet_v4(none, 0, 2000, 8000), 1500, 0), EINVAL);
    for (size_t len = 0; len < IPV4_SIZE; len++) {
        assert_int_equal(fragment_plan(&plan, packet, len, 1500, 0), EINVAL);
    }
    packet[0] = 0x44;
    assert_int_equal(fragment_plan(&plan, packet, 2000, 1500, 0), EINVAL);
    packet[0] = 0x55;
    assert_int_equal(fragment_plan(&plan, packet, 2000, 1500, 0), EINVAL);
    (void)state;
}

/* RFC 8200, 4.5 */
static void
an_ipv6_packet_of_ours_is_fragmented_behind_its_header(void **state)
{
    for (uint32_t mtu = 1280; mtu < 1600; mtu += 3) {
        size_t len = packet_v6(4000), at = IPV6_SIZE;
        struct fragmentation plan;

        assert_int_equal(fragment_plan(&plan, packet, len, mtu, 0x01020304), 0);
        for (unsigned i = 0; i < plan.n; i++) {
            size_t n = fragment_write(&plan, i, out);
            const uint8_t *header = out + IPV6_SIZE;

            assert_true(n <= mtu && n + 8 > (i + 1 < plan.n ? mtu : 0));
            assert_int_equal(get_be16(out + 4), n - IPV6_SIZE);
            assert_int_equal(out[6], IP_PROTO_FRAG);
            assert_int_equal(header[0], IP_PROTO_ICMPV6);
            assert_int_equal(header[1], 0);
            assert_int_equal(get_be16(header + 2), (at - IPV6_SIZE) | (i + 1 < plan.n));
            assert_int_equal(get_be32(header + 4), 0x01020304);
            assert_memory_equal(out, packet, 4);
            assert_memory_equal(out + 7, packet + 7, 33);
            assert_memory_equal(header + 8, packet + at, n - IPV6_SIZE - 8);
            at += n - IPV6_SIZE - 8;
        }
        assert_int_equal(at, len);
    }
    (void)state;
}

static void
an_ipv6_packet_with_extension_headers_is_refused(void **state)
{
    struct fragmentation plan;
    size_t len = packet_v6(2000);

    packet[6] = IP_PROTO_FRAG;
    assert_int_equal(fragment_plan(&plan, packet, len, 1500, 0), EINVAL);
    packet[6] = IP_PROTO_HOP;
    assert_int_equal(fragment_plan(&plan, packet, len, 1500, 0), EINVAL);
    packet[6] = IP_PROTO_UDP;
    assert_int_equal(fragment_plan(&plan, packet, len - 1, 1500, 0), EINVAL);
    (void)state;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fragments_are_the_packet_again_whatever_the_mtu),
        cmocka_unit_test(each_is_as_long_as_it_may_be),
        cmocka_unit_test(a_fragment_keeps_its_place_and_that_more_follow),
        cmocka_unit_test(what_fits_stays_as_it_is),
        cmocka_unit_test(what_must_not_be_fragmented_is_not),
        cmocka_unit_test(only_options_with_the_copied_flag_are_in_later_fragments),
        cmocka_unit_test(damaged_packets_and_mtus_that_nothing_fits_are_refused),
        cmocka_unit_test(an_ipv6_packet_of_ours_is_fragmented_behind_its_header),
        cmocka_unit_test(an_ipv6_packet_with_extension_headers_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
