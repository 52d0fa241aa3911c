/* Checksums, against sums that are made the plain way. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "csum.h"
#include "packets.h"
#include "parse.h"
#include "plain_sum.h"

/* Fills 'n' bytes with something that differs by 'seed'. */
static void
fill(uint8_t *data, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525 + 1013904223;
        data[i] = (uint8_t)(seed >> 24);
    }
}

/* Sums with csum_add() and gives the number that is stored. */
static uint16_t
sum(const void *data, size_t n)
{
    uint16_t stored = csum_fold(csum_add(0, data, n));

    return get_be16(&stored);
}

static void
sums_agree_with_plain_ones_for_every_length_and_place(void **state)
{
    uint8_t data[320];

    (void)state;
    fill(data, sizeof data, 1);
    for (size_t at = 0; at < 8; at++) {
        for (size_t n = 0; n < 300; n++) {
            assert_int_equal(sum(data + at, n), (uint16_t)~plain_sum(0, data + at, n));
        }
    }
}

static void
sums_of_long_data_do_not_overflow(void **state)
{
    static uint8_t data[65600];

    (void)state;
    memset(data, 0xff, sizeof data);
    assert_int_equal(sum(data, sizeof data), 0);
    data[0] = data[1] = 0;
    assert_int_equal(sum(data, sizeof data), 0);
    fill(data, sizeof data, 2);
    assert_int_equal(sum(data, sizeof data), (uint16_t)~plain_sum(0, data, sizeof data));
}

static void
sums_can_be_made_in_even_parts(void **state)
{
    uint8_t data[64];

    (void)state;
    fill(data, sizeof data, 3);
    for (size_t n = 0; n <= sizeof data; n += 2) {
        uint32_t part = csum_add(0, data, n);

        assert_int_equal(csum_fold(csum_add(part, data + n, sizeof data - n)),
                         csum_fold(csum_add(0, data, sizeof data)));
    }
}

static void
the_example_of_rfc_1071_holds(void **state)
{
    static const uint8_t data[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

    (void)state;
    assert_int_equal(sum(data, sizeof data), (uint16_t)~0xddf2);
}

static void
an_update_is_as_good_as_a_new_sum(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 5000; seed++) {
        uint8_t data[40], new[16];
        size_t n = 2 + seed % 8 * 2, at = 2 + seed / 8 % 11 * 2;

        fill(data, sizeof data, seed);
        fill(new, sizeof new, ~seed);
        if (seed % 5 == 0) {
            memset(new, seed % 2 ? 0xff : 0, sizeof new);
        }
        put_be16(data, 0);
        put_be16(data, sum(data, sizeof data));
        csum_update(data, data + at, new, n);
        memcpy(data + at, new, n);

        uint16_t updated = get_be16(data);

        put_be16(data, 0);
        assert_int_equal(updated, sum(data, sizeof data));
    }
}

static void
the_example_of_rfc_1624_holds(void **state)
{
    uint8_t at[2] = { 0xdd, 0x2f };
    static const uint8_t old[2] = { 0x55, 0x55 }, new[2] = { 0x32, 0x85 };

    (void)state;
    csum_update(at, old, new, 2);
    assert_int_equal(get_be16(at), 0x0000);
}

static void
udp_without_a_checksum_stays_without(void **state)
{
    uint8_t at[2] = { 0, 0 }, old[2] = { 1, 2 }, new[2] = { 3, 4 };

    (void)state;
    csum_update_udp(at, old, new, 2);
    assert_int_equal(get_be16(at), 0);
}

static void
udp_never_gets_the_checksum_that_means_none(void **state)
{
    uint8_t at[2] = { 0xdd, 0x2f };
    static const uint8_t old[2] = { 0x55, 0x55 }, new[2] = { 0x32, 0x85 };

    (void)state;
    csum_update_udp(at, old, new, 2);
    assert_int_equal(get_be16(at), 0xffff);
    csum_update_udp(at, new, old, 2);
    assert_int_equal(get_be16(at), 0xdd2f);
}

static void
a_sum_left_to_hardware_follows_its_pseudo_header(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 500; seed++) {
        uint8_t addresses[8], new[4], at[2];

        fill(addresses, sizeof addresses, seed);
        fill(new, sizeof new, ~seed);
        put_be16(at, plain_sum(0, addresses, sizeof addresses));
        csum_update_partial(at, addresses, new, 4);
        memcpy(addresses, new, 4);
        assert_int_equal(get_be16(at), plain_sum(0, addresses, sizeof addresses));
    }
}

static void
crc32c_agrees_with_the_bitwise_one(void **state)
{
    uint8_t data[200];

    (void)state;
    for (size_t n = 12; n < 180; n++) {
        uint32_t crc = csum_sctp((fill(data, sizeof data, (uint32_t)n), data + n % 8), n);
        uint8_t stored[4];

        memcpy(stored, &crc, 4);
        memset(data + n % 8 + 8, 0, 4);
        crc = plain_crc32c(data + n % 8, n);
        for (unsigned i = 0; i < 4; i++) {
            assert_int_equal(stored[i], crc >> 8 * i & 0xff);
        }
    }
    assert_int_equal(plain_crc32c((const uint8_t *)"123456789", 9), 0xe3069283);
    assert_int_equal(csum_sctp(data, 11), 0);
}

static void
an_ipv4_header_sums_to_nothing(void **state)
{
    struct frame f;

    (void)state;
    frame_sample(&f, SAMPLE_options);
    csum_ipv4(f.data + 14);
    assert_int_equal(plain_sum(0, f.data + 14, 60), 0xffff);
}

/* --- Transport. --- */

/* Parses 'f' and sums its transport from a wrong checksum. */
static void
sum_transport(struct frame *f, struct packet *p)
{
    struct flow_key key;

    *p = (struct packet){ .data = f->data, .len = (uint32_t)f->len };
    parse(p, &key);
    csum_transport(p);
}

static void
every_transport_is_summed_as_the_plain_way_does(void **state)
{
    static const uint8_t samples[] = {
        SAMPLE_tcp, SAMPLE_udp, SAMPLE_sctp, SAMPLE_icmp, SAMPLE_options, SAMPLE_qinq, SAMPLE_tcp6,
        SAMPLE_udp6, SAMPLE_sctp6, SAMPLE_icmp6, SAMPLE_solicit, SAMPLE_advert, SAMPLE_atomic6,
    };

    (void)state;
    for (unsigned i = 0; i < sizeof samples; i++) {
        for (unsigned padding = 0; padding < 5; padding++) {
            struct packet p;
            struct frame f;

            frame_sample(&f, samples[i]);
            frame_payload(&f, padding);
            sum_transport(&f, &p);
            assert_true(plain_transport_good(f.data, p.l3, p.l4));
        }
    }
}

static void
extension_headers_are_not_summed(void **state)
{
    struct packet p;
    struct frame f;

    (void)state;
    frame_sample(&f, SAMPLE_jumble6);
    f.data[54 + 3] = 0;                         /* No segments left. */
    sum_transport(&f, &p);
    assert_true(plain_transport_good(f.data, p.l3, p.l4));
}

static void
fragments_and_routed_packets_are_left_alone(void **state)
{
    static const uint8_t samples[] = {
        SAMPLE_first, SAMPLE_later, SAMPLE_first6, SAMPLE_later6, SAMPLE_chain6, SAMPLE_jumble6,
        SAMPLE_arp, SAMPLE_gre, SAMPLE_esp6, SAMPLE_mpls,
    };

    (void)state;
    for (unsigned i = 0; i < sizeof samples; i++) {
        struct frame f, before;
        struct packet p;

        frame_sample(&f, samples[i]);
        if (samples[i] == SAMPLE_jumble6) {
            f.data[54 + 3] = 1;                 /* One segment left. */
        }
        before = f;
        sum_transport(&f, &p);
        assert_memory_equal(f.data, before.data, f.len);
    }
}

static void
a_udp_sum_of_nothing_is_stored_as_ffff(void **state)
{
    struct packet p;
    struct frame f;

    (void)state;
    frame_sample(&f, SAMPLE_udp);
    sum_transport(&f, &p);
    /* Put the sum into the payload, so that the new one is 0. */
    uint32_t rest = (uint32_t)get_be16(f.data + p.l4 + 8) + get_be16(f.data + p.l4 + UDP_CSUM);
    put_be16(f.data + p.l4 + 8, (uint16_t)(rest + (rest >> 16)));
    csum_transport(&p);
    assert_int_equal(get_be16(f.data + p.l4 + UDP_CSUM), 0xffff);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_agree_with_plain_ones_for_every_length_and_place),
        cmocka_unit_test(sums_of_long_data_do_not_overflow),
        cmocka_unit_test(sums_can_be_made_in_even_parts),
        cmocka_unit_test(the_example_of_rfc_1071_holds),
        cmocka_unit_test(an_update_is_as_good_as_a_new_sum),
        cmocka_unit_test(the_example_of_rfc_1624_holds),
        cmocka_unit_test(udp_without_a_checksum_stays_without),
        cmocka_unit_test(udp_never_gets_the_checksum_that_means_none),
        cmocka_unit_test(a_sum_left_to_hardware_follows_its_pseudo_header),
        cmocka_unit_test(crc32c_agrees_with_the_bitwise_one),
        cmocka_unit_test(an_ipv4_header_sums_to_nothing),
        cmocka_unit_test(every_transport_is_summed_as_the_plain_way_does),
        cmocka_unit_test(extension_headers_are_not_summed),
        cmocka_unit_test(fragments_and_routed_packets_are_left_alone),
        cmocka_unit_test(a_udp_sum_of_nothing_is_stored_as_ffff),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
