/* What the parser makes of frames of each kind, whole and cut. */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "parsed.h"
#include "pool.h"

/* --- Layer 2. --- */

static void
an_unknown_type_gives_addresses_and_type(void **state)
{
    struct parsed t;

    (void)state;
    parse_sample(&t, SAMPLE_unknown);
    assert_offsets(&t, 12, NO_OFFSET, NO_OFFSET, NO_OFFSET);
    assert_field(&t, eth_dst, TEST_ETH_DST);
    assert_field(&t, eth_src, TEST_ETH_SRC);
    assert_field(&t, eth_type, 0x9999);
    assert_field(&t, vlan_vid, 0);
    assert_zero_but(&t, ETH_WORDS);
    assert_false(t.p.stale);
}

static void
words_that_are_not_of_headers_are_left_alone(void **state)
{
    struct parsed t;

    (void)state;
    parse_sample(&t, SAMPLE_tcp);
    for (unsigned w = 0; w < N_KEY_WORDS; w++) {
        if (w < W_HEADERS_FIRST || w > W_HEADERS_LAST) {
            assert_true(t.key.word[w] == UINT64_C(0xa5a5a5a5a5a5a5a5));
        }
    }
}

static void
a_length_is_802_3(void **state)
{
    struct parsed t;

    (void)state;
    parse_sample(&t, SAMPLE_llc);
    assert_offsets(&t, 12, NO_OFFSET, NO_OFFSET, NO_OFFSET);
    assert_field(&t, eth_type, 0x05ff);
    frame_eth(&t.frame, 0x05ff);
    parse_frame(&t);
    assert_field(&t, eth_type, 0x05ff);
    frame_eth(&t.frame, 0x0600);
    parse_frame(&t);
    assert_field(&t, eth_type, 0x0600);
}

static void
snap_has_the_type(void **state)
{
    struct parsed t;

    (void)state;
    parse_sample(&t, SAMPLE_snap);
    assert_offsets(&t, 20, NO_OFFSET, 22, NO_OFFSET);
    assert_field(&t, eth_type, 0x0806);
    assert_field(&t, arp_op, 1);
    t.frame.data[20] = 1;                       /* A type that is a length. */
    parse_frame(&t);
    assert_offsets(&t, 12, NO_OFFSET, NO_OFFSET, NO_OFFSET);
    assert_field(&t, eth_type, 0x05ff);
    t.frame.data[20] = 8;
    t.frame.data[19] = 1;                       /* An OUI that is not 0. */
    parse_frame(&t);
    assert_offsets(&t, 12, NO_OFFSET, NO_OFFSET, NO_OFFSET);
    assert_field(&t, eth_type, 0x05ff);
}

static void
a_tag_gives_vid_and_priority_but_not_its_drop_bit(void **state)
{
    struct parsed t;

    (void)state;
    parse_sample(&t, SAMPLE_vlan);              /* Control word b064. */
    assert_offsets(&t, 16, NO_OFFSET, 18, NO_OFFSET);
    assert_field(&t, vlan_vid, VID_PRESENT | 0x64);
    assert_field(&t, vlan_pcp, 5);
    assert_field(&t, eth_type, 0x0806);
    assert_field(&t, eth_src, TEST_ETH_SRC);
    assert_field(&t, arp_op, 2);
}

static void
of_two_tags_the_outer_one_counts(void **state)
{
    struct parsed t;

    (void)state;
    parse_sample(&t, SAMPLE_qinq);
    assert_offsets(&t, 20, NO_OFFSET, 22, 42);
    assert_field(&t, vlan_vid, VID_PRESENT | 5);
    assert_field(&t, vlan_pcp, 1);
    assert_field(&t, eth_type, 0x0800);
    assert_field(&t, udp_dst, 53);
}

static void
any_number_of_tags_is_skipped(void **state)
{
    struct parsed t;

    (void)state;
    frame_eth(&t.frame, ETH_TYPE_QINQ);
    for (unsigned i = 1; i < 50; i++) {
        frame_tag(&t.frame, i, i < 49 ? ETH_TYPE_VLAN : ETH_TYPE_ARP);
    }
    frame_arp(&t.frame, 1);
    parse_frame(&t);
    assert_offsets(&t, 12 + 49 * 4, NO_OFFSET, 14 + 49 * 4, NO_OFFSET);
    assert_field(&t, vlan_vid, VID_PRESENT | 1);
}

static void
a_cut_tag_is_no_tag(void **state)
{
    struct parsed t;

    (void)state;
    frame_sample(&t.frame, SAMPLE_vlan);
    parse_bytes(&t, t.frame.data, 17);
    assert_offsets(&t, 12, NO_OFFSET, NO_OFFSET, NO_OFFSET);
    assert_field(&t, eth_type, 0x8100);
    assert_field(&t, vlan_vid, 0);
    parse_bytes(&t, t.frame.data, 18);
    assert_offsets(&t, 16, NO_OFFSET, NO_OFFSET, NO_OFFSET);
    assert_field(&t, eth_type, 0x0806);
    assert_field(&t, vlan_vid, VID_PRESENT | 0x64);
}

static void
mpls_is_the_outer_shim_and_nothing_behind(void **state)
{
    struct parsed t;

    (void)state;
    parse_sample(&t, SAMPLE_mpls);
    assert_offsets(&t, 12, 14, NO_OFFSET, NO_OFFSET);
    assert_field(&t, eth_type, 0x8847);
    assert_field(&t, mpls_label, 0xabcde);
    assert_field(&t, mpls_tc, 5);
    assert_field(&t, mpls_bos, 0);
    assert_int_equal(t.key.word[W_MPLS] >> 32 & 0xff, 61);
    assert_zero_but(&t, ETH_WORDS | 1 << W_MPLS);
}

static void
pbb_is_the_service_tag_and_nothing_behind(void **state)
{
    struct parsed t;

    (void)state;
    parse_sample(&t, SAMPLE_pbb);
    assert_offsets(&t, 12, 14, NO_OFFSET, NO_OFFSET);
    assert_field(&t, pbb_isid, 0x123456);
    assert_field(&t, pbb_uca, 1);
    assert_zero_but(&t, ETH_WORDS | 1 << W_MPLS);
    parse_bytes(&t, t.frame.data, 29);
    assert_offsets(&t, 12, NO_OFFSET, NO_OFFSET, NO_OFFSET);
    assert_field(&t, pbb_isid, 0);
}

/* --- ARP and IPv4. --- */

static void
arp_gives_all_its_fields(void **state)
{
    struct parsed t;

    (void)state;
    parse_sample(&t, SAMPLE_arp);
    assert_offsets(&t, 12, NO_OFFSET, 14, NO_OFFSET);
    assert_field(&t, arp_op, 1);
    assert_field(&t, arp_spa, 0x0a000001);
    assert_field(&t, arp_tpa, 0x0a000002);
    assert_field(&t, arp_sha, TEST_ETH_SRC);
    assert_field(&t, arp_tha, TEST_ETH_DST);
    assert_zero_but(&t, ETH_WORDS | 1 << W_IPV4 | 1 << W_L4 | 1 << W_LL_SRC | 1 << W_LL_DST);
}

static void
arp_for_anything_but_ethernet_and_ipv4_is_not_read(void **state)
{
    struct parsed t;

    (void)state;
    for (unsigned at = 14; at < 20; at++) {
        frame_sample(&t.frame, SAMPLE_arp);
        t.frame.data[at] ^= 1;
        parse_frame(&t);
        assert_offsets(&t, 12, NO_OFFSET, NO_OFFSET, NO_OFFSET);
        assert_zero_but(&t, ETH_WORDS);
    }
}

static void
tcp_in_ipv4_gives_addresses_ports_and_flags(void **state)
{
    struct parsed t;

    (void)state;
    parse_sample(&t, SAMPLE_tcp);
    assert_offsets(&t, 12, NO_OFFSET, 14, 34);
    assert_field(&t, ipv4_src, 0x0a000001);
    assert_field(&t, ipv4_dst, 0x0a000002);
    assert_field(&t, ip_proto, 6);
    assert_field(&t, ip_dscp, 10);
    assert_field(&t, ip_ecn, 1);
    assert_field(&t, tcp_src, 1000);
    assert_field(&t, tcp_dst, 80);
    assert_int_equal(ttl(&t), 64);
    assert_int_equal(frag(&t), FRAG_NO);
    assert_true(t.key.word[W_IPV6] == UINT64_C(0x018) << 16);
    assert_zero_but(&t, ETH_WORDS | 1 << W_IPV4 | 1 << W_L4 | 1 << W_IPV6);
}

/* The transports: both ports, or type and code. */
struct transport_case {
    uint8_t sample, proto;
    uint16_t first, second;
    uint16_t l4;
};

static void
every_transport_gives_its_two_numbers(void **state)
{
    static const struct transport_case cases[] = {
        { SAMPLE_tcp, 6, 1000, 80, 34 },        { SAMPLE_tcp6, 6, 1000, 80, 54 },
        { SAMPLE_udp, 17, 2000, 53, 34 },       { SAMPLE_udp6, 17, 2000, 53, 54 },
        { SAMPLE_sctp, 132, 3000, 2905, 34 },   { SAMPLE_sctp6, 132, 3000, 2905, 54 },
        { SAMPLE_icmp, 1, 8, 3, 34 },           { SAMPLE_icmp6, 58, 128, 0, 54 },
        { SAMPLE_gre, 47, 0, 0, NO_OFFSET },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed t;

        parse_sample(&t, cases[i].sample);
        assert_int_equal(t.p.l4, cases[i].l4);
        assert_field(&t, ip_proto, cases[i].proto);
        assert_int_equal(t.key.word[W_L4] >> 48, cases[i].first);
        assert_int_equal(t.key.word[W_L4] >> 32 & 0xffff, cases[i].second);
    }
}

static void
icmp_of_the_other_ip_is_not_read(void **state)
{
    struct parsed t;

    (void)state;
    frame_eth(&t.frame, ETH_TYPE_IPV4);
    frame_ipv4(&t.frame, IP_PROTO_ICMPV6, 0, 0);
    frame_nd(&t.frame, 135);
    parse_frame(&t);
    assert_offsets(&t, 12, NO_OFFSET, 14, NO_OFFSET);
    assert_field(&t, ip_proto, 58);
    assert_field(&t, icmpv4_type, 0);

    frame_eth(&t.frame, ETH_TYPE_IPV6);
    frame_ipv6(&t.frame, IP_PROTO_ICMPV4);
    frame_icmp(&t.frame, 8, 0, 20);
    parse_frame(&t);
    assert_offsets(&t, 12, NO_OFFSET, 14, NO_OFFSET);
    assert_field(&t, icmpv6_type, 0);
}

/* Parses the TCP sample with byte 'at' (of the IPv4 header) changed. */
static void
parse_changed(struct parsed *t, unsigned at, unsigned byte)
{
    frame_sample(&t->frame, SAMPLE_tcp);
    t->frame.data[14 + at] = (uint8_t)byte;
    parse_bytes(t, t->frame.data, t->frame.len);
}

static void
ipv4_options_are_skipped(void **state)
{
    struct parsed t;

    (void)state;
    parse_sample(&t, SAMPLE_options);
    assert_offsets(&t, 12, NO_OFFSET, 14, 74);
    assert_field(&t, tcp_dst, 80);
    parse_changed(&t, 0, 0x4f);                 /* Options up to the end of the packet. */
    assert_offsets(&t, 12, NO_OFFSET, 14, NO_OFFSET);
    assert_field(&t, ip_proto, 6);
}

static void
only_the_first_fragment_has_ports(void **state)
{
    struct parsed t;

    (void)state;
    parse_sample(&t, SAMPLE_first);
    assert_offsets(&t, 12, NO_OFFSET, 14, 34);
    assert_field(&t, udp_dst, 53);
    assert_int_equal(frag(&t), FRAG_ANY);
    parse_sample(&t, SAMPLE_later);
    assert_offsets(&t, 12, NO_OFFSET, 14, NO_OFFSET);
    assert_field(&t, udp_dst, 0);
    assert_field(&t, ip_proto, 17);
    assert_int_equal(frag(&t), FRAG_ANY | FRAG_LATER);
}

static void
dont_fragment_is_no_fragment(void **state)
{
    struct parsed t;

    (void)state;
    frame_sample(&t.frame, SAMPLE_udp);
    t.frame.data[20] = 0x40;
    parse_frame(&t);
    assert_int_equal(frag(&t), FRAG_NO);
    assert_field(&t, udp_dst, 53);
}

static void
malformed_ipv4_is_not_read(void **state)
{
    static const uint8_t bad[][2] = {
        { 0, 0x55 }, { 0, 0x44 }, { 0, 0x65 },          /* Version, header length. */
        { 3, 19 }, { 3, 61 }, { 2, 1 },                 /* Total length: 60 is right. */
    };
    struct parsed t;

    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        parse_changed(&t, bad[i][0], bad[i][1]);
        assert_offsets(&t, 12, NO_OFFSET, NO_OFFSET, NO_OFFSET);
        assert_zero_but(&t, ETH_WORDS);
        assert_field(&t, eth_type, 0x0800);
    }
}

static void
padding_is_not_payload(void **state)
{
    struct parsed t;

    (void)state;
    parse_changed(&t, 3, 39);                   /* One byte less than a TCP header. */
    assert_offsets(&t, 12, NO_OFFSET, 14, NO_OFFSET);
    assert_field(&t, ip_proto, 6);
    assert_field(&t, tcp_dst, 0);
    parse_changed(&t, 3, 40);
    assert_offsets(&t, 12, NO_OFFSET, 14, 34);
}

/* --- Frames that are cut. --- */

/* Returns the end of a page behind which nothing is mapped. */
static uint8_t *
guard(void)
{
    uint8_t *page = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(page, MAP_FAILED);
    assert_int_equal(mprotect(page + 4096, 4096, PROT_NONE), 0);
    return page + 4096;
}

static void
assert_inside(const struct parsed *t)
{
    const uint16_t offsets[] = { t->p.eth_type_at, t->p.l2_5, t->p.l3, t->p.l4 };
    static const uint8_t least[] = { 2, MPLS_SIZE, IPV4_SIZE, ICMP_SIZE };

    for (unsigned i = 0; i < 4; i++) {
        assert_true(offsets[i] == NO_OFFSET || offsets[i] + least[i] <= (int)t->p.len);
    }
}

static void
no_cut_frame_is_read_beyond_its_end(void **state)
{
    uint8_t *end = guard();

    (void)state;
    for (unsigned i = 0; i < N_SAMPLES; i++) {
        struct parsed t;

        frame_sample(&t.frame, i);
        for (size_t n = t.frame.len; n-- > 0;) {
            memcpy(end - n, t.frame.data, n);
            parse_bytes(&t, end - n, n);
            assert_inside(&t);
        }
    }
    munmap(end - 4096, 2 * 4096);
}

static void
no_ip_packet_is_read_beyond_its_length(void **state)
{
    uint8_t *end = guard();

    (void)state;
    for (unsigned i = 0; i < N_SAMPLES; i++) {
        struct parsed t;

        frame_sample(&t.frame, i);
        for (; t.frame.ip && t.frame.len > t.frame.ip + IPV6_SIZE; t.frame.len--) {
            frame_end(&t.frame);
            memcpy(end - t.frame.len, t.frame.data, t.frame.len);
            parse_bytes(&t, end - t.frame.len, t.frame.len);
            assert_inside(&t);
        }
    }
    munmap(end - 4096, 2 * 4096);
}

static void
less_than_an_ethernet_header_is_nothing(void **state)
{
    struct parsed t;

    (void)state;
    frame_sample(&t.frame, SAMPLE_tcp);
    parse_bytes(&t, t.frame.data, 13);
    assert_offsets(&t, NO_OFFSET, NO_OFFSET, NO_OFFSET, NO_OFFSET);
    assert_zero_but(&t, 0);
}

static void
headers_that_lie_too_deep_are_not_read(void **state)
{
    struct parsed t;
    size_t len = PACKET_LARGE, at = 12;
    uint8_t *data = calloc(1, len);

    (void)state;
    assert_non_null(data);
    for (; at + 64 < len; at += 4) {
        put_be16(data + at, ETH_TYPE_VLAN);
    }
    put_be16(data + at, ETH_TYPE_MPLS);
    parse_bytes(&t, data, len);
    assert_offsets(&t, NO_OFFSET, NO_OFFSET, NO_OFFSET, NO_OFFSET);
    assert_field(&t, eth_type, ETH_TYPE_MPLS);
    assert_field(&t, mpls_label, 0);
    free(data);
}

/* --- Vectors. --- */

static void
a_vector_gets_whole_keys_with_the_port(void **state)
{
    struct packet *packets[N_SAMPLES];
    struct parsed t;
    struct pool pool;

    (void)state;
    assert_int_equal(pool_open(&pool, N_SAMPLES, PACKET_SMALL), 0);
    assert_int_equal(pool_get(&pool, packets, N_SAMPLES), N_SAMPLES);
    for (unsigned i = 0; i < N_SAMPLES; i++) {
        frame_sample(&t.frame, i);
        memcpy(packets[i]->data, t.frame.data, t.frame.len);
        packet_set_len(packets[i], (uint32_t)t.frame.len);
        packets[i]->in_port = 7 + i;
        memset(&packet_walk(packets[i])->key, 0xa5, sizeof(struct flow_key));
        packet_walk(packets[i])->wide = true;
    }
    parse_vector(packets, N_SAMPLES);
    for (unsigned i = 0; i < N_SAMPLES; i++) {
        struct flow_key *key = &packet_walk(packets[i])->key;

        parse_sample(&t, i);
        memset(t.key.word, 0, W_HEADERS_FIRST * 8);
        memset(t.key.word + W_HEADERS_LAST + 1, 0, (N_KEY_WORDS - W_HEADERS_LAST - 1) * 8);
        t.key.word[W_PORT] = UINT64_C(0x100000001) * (7 + i);
        assert_memory_equal(key, &t.key, sizeof *key);
        assert_int_equal(packets[i]->l4, t.p.l4);
    }
    packet_free(packets, N_SAMPLES);
    pool_close(&pool);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_type_gives_addresses_and_type),
        cmocka_unit_test(words_that_are_not_of_headers_are_left_alone),
        cmocka_unit_test(a_length_is_802_3),
        cmocka_unit_test(snap_has_the_type),
        cmocka_unit_test(a_tag_gives_vid_and_priority_but_not_its_drop_bit),
        cmocka_unit_test(of_two_tags_the_outer_one_counts),
        cmocka_unit_test(any_number_of_tags_is_skipped),
        cmocka_unit_test(a_cut_tag_is_no_tag),
        cmocka_unit_test(mpls_is_the_outer_shim_and_nothing_behind),
        cmocka_unit_test(pbb_is_the_service_tag_and_nothing_behind),
        cmocka_unit_test(arp_gives_all_its_fields),
        cmocka_unit_test(arp_for_anything_but_ethernet_and_ipv4_is_not_read),
        cmocka_unit_test(tcp_in_ipv4_gives_addresses_ports_and_flags),
        cmocka_unit_test(every_transport_gives_its_two_numbers),
        cmocka_unit_test(icmp_of_the_other_ip_is_not_read),
        cmocka_unit_test(ipv4_options_are_skipped),
        cmocka_unit_test(only_the_first_fragment_has_ports),
        cmocka_unit_test(dont_fragment_is_no_fragment),
        cmocka_unit_test(malformed_ipv4_is_not_read),
        cmocka_unit_test(padding_is_not_payload),
        cmocka_unit_test(no_cut_frame_is_read_beyond_its_end),
        cmocka_unit_test(no_ip_packet_is_read_beyond_its_length),
        cmocka_unit_test(less_than_an_ethernet_header_is_nothing),
        cmocka_unit_test(headers_that_lie_too_deep_are_not_read),
        cmocka_unit_test(a_vector_gets_whole_keys_with_the_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
