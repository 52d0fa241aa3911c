/* What the parser makes of IPv6: extension headers, fragments, neighbour discovery. */

#include "parsed.h"

static void
tcp_in_ipv6_gives_addresses_ports_and_flags(void **state)
{
    struct parsed t;

    (void)state;
    parse_sample(&t, SAMPLE_tcp6);
    assert_offsets(&t, 12, NO_OFFSET, 14, 54);
    assert_true(t.key.word[W_IPV6_SRC] == UINT64_C(0x20010db800000000));
    assert_true(t.key.word[W_IPV6_SRC_LOW] == 1);
    assert_true(t.key.word[W_IPV6_DST] == UINT64_C(0x20010db800000000));
    assert_true(t.key.word[W_IPV6_DST_LOW] == 2);
    assert_field(&t, ipv6_flabel, 0x12345);
    assert_field(&t, ipv6_exthdr, 0);
    assert_field(&t, ip_dscp, 10);
    assert_field(&t, ip_ecn, 1);
    assert_field(&t, tcp_dst, 80);
    assert_int_equal(ttl(&t), 63);
    assert_int_equal(t.key.word[W_IPV6] & 0xffffffff, 0x018 << 16);
}

static void
malformed_ipv6_is_not_read(void **state)
{
    struct parsed t;

    (void)state;
    frame_sample(&t.frame, SAMPLE_tcp6);
    t.frame.data[14] = 0x40;
    parse_bytes(&t, t.frame.data, t.frame.len);
    assert_offsets(&t, 12, NO_OFFSET, NO_OFFSET, NO_OFFSET);
    assert_zero_but(&t, ETH_WORDS);
    frame_sample(&t.frame, SAMPLE_tcp6);
    t.frame.data[19] = 41;                      /* There are 40 bytes of payload. */
    parse_bytes(&t, t.frame.data, t.frame.len);
    assert_offsets(&t, 12, NO_OFFSET, NO_OFFSET, NO_OFFSET);
    t.frame.data[19] = 0;                       /* None. */
    parse_bytes(&t, t.frame.data, t.frame.len);
    assert_offsets(&t, 12, NO_OFFSET, 14, NO_OFFSET);
    assert_field(&t, ip_proto, 6);
}

/* Chains of extension headers, as their numbers: what they leave behind. */
struct chain_case {
    uint8_t headers[6];         /* Ended by the number of no extension header. */
    uint16_t exthdr;
};

enum { H = 0, R = 43, F = 44, E = 50, A = 51, N = 59, D = 60, T = 6 };

static const struct chain_case chains[] = {
    { { T }, 0 },
    { { H, T }, EXTHDR_HOP },
    { { R, T }, EXTHDR_ROUTER },
    { { F, T }, EXTHDR_FRAG },
    { { A, T }, EXTHDR_AUTH },
    { { D, T }, EXTHDR_DEST },
    { { E }, EXTHDR_ESP },
    { { N }, EXTHDR_NONEXT },
    { { H, D, R, F, N }, EXTHDR_HOP | EXTHDR_DEST | EXTHDR_ROUTER | EXTHDR_FRAG | EXTHDR_NONEXT },
    { { D, R, F, A, E }, EXTHDR_DEST | EXTHDR_ROUTER | EXTHDR_FRAG | EXTHDR_AUTH | EXTHDR_ESP },
    { { R, A, D, T }, EXTHDR_ROUTER | EXTHDR_AUTH | EXTHDR_DEST },
    { { D, D, T }, EXTHDR_DEST },
    { { D, R, D, T }, EXTHDR_DEST | EXTHDR_ROUTER },
    { { D, D, D, T }, EXTHDR_DEST | EXTHDR_UNREP | EXTHDR_UNSEQ },
    { { D, D, R, T }, EXTHDR_DEST | EXTHDR_ROUTER | EXTHDR_UNSEQ },
    { { R, D, D, T }, EXTHDR_DEST | EXTHDR_ROUTER | EXTHDR_UNSEQ },
    { { R, R, T }, EXTHDR_ROUTER | EXTHDR_UNREP | EXTHDR_UNSEQ },
    { { H, H, T }, EXTHDR_HOP | EXTHDR_UNREP | EXTHDR_UNSEQ },
    { { D, H, T }, EXTHDR_DEST | EXTHDR_UNSEQ },        /* HOP only where it belongs. */
    { { F, R, T }, EXTHDR_FRAG | EXTHDR_ROUTER | EXTHDR_UNSEQ },
    { { A, F, E }, EXTHDR_AUTH | EXTHDR_FRAG | EXTHDR_ESP | EXTHDR_UNSEQ },
    { { F, A, F, T }, EXTHDR_AUTH | EXTHDR_FRAG | EXTHDR_UNREP | EXTHDR_UNSEQ },
};

static bool
is_extension(uint8_t proto)
{
    return proto == H || proto == R || proto == F || proto == A || proto == D;
}

static void
chains_of_extension_headers_set_their_bits(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof chains / sizeof *chains; i++) {
        const uint8_t *header = chains[i].headers;
        struct parsed t;

        frame_eth(&t.frame, ETH_TYPE_IPV6);
        frame_ipv6(&t.frame, *header);
        for (; is_extension(*header); header++) {
            frame_extension(&t.frame, *header, header[1], *header == A ? 4 : 0);
        }
        unsigned l4 = (unsigned)t.frame.len;
        frame_tcp(&t.frame, 0);
        parse_frame(&t);
        assert_field(&t, ipv6_exthdr, chains[i].exthdr);
        assert_field(&t, ip_proto, *header);
        assert_int_equal(t.p.l4, *header == T ? l4 : NO_OFFSET);
    }
}

static void
a_long_chain_is_walked_to_its_end(void **state)
{
    struct parsed t;

    (void)state;
    parse_sample(&t, SAMPLE_chain6);
    assert_offsets(&t, 12, NO_OFFSET, 14, 54 + 16 + 8 + 24 + 8 + 12 + 8);
    assert_field(&t, tcp_dst, 80);
    assert_field(&t, ipv6_exthdr,
                 EXTHDR_HOP | EXTHDR_DEST | EXTHDR_ROUTER | EXTHDR_FRAG | EXTHDR_AUTH);
    parse_sample(&t, SAMPLE_jumble6);
    assert_field(&t, ipv6_exthdr, EXTHDR_ROUTER | EXTHDR_UNREP | EXTHDR_UNSEQ);
    assert_field(&t, icmpv6_code, 2);
}

static void
sixteen_extension_headers_are_walked_and_no_more(void **state)
{
    struct parsed t;

    (void)state;
    for (unsigned n = 16; n <= 17; n++) {
        frame_eth(&t.frame, ETH_TYPE_IPV6);
        frame_ipv6(&t.frame, IP_PROTO_DEST);
        for (unsigned i = 1; i <= n; i++) {
            frame_extension(&t.frame, IP_PROTO_DEST, i < n ? IP_PROTO_DEST : IP_PROTO_TCP, 0);
        }
        frame_tcp(&t.frame, 0);
        parse_frame(&t);
        assert_field(&t, ip_proto, n == 16 ? IP_PROTO_TCP : IP_PROTO_DEST);
        assert_int_equal(t.p.l4, n == 16 ? 54 + 16 * 8 : NO_OFFSET);
    }
}

static void
a_cut_extension_header_leaves_its_own_number(void **state)
{
    struct parsed t;

    (void)state;
    frame_eth(&t.frame, ETH_TYPE_IPV6);
    frame_ipv6(&t.frame, IP_PROTO_HOP);
    frame_extension(&t.frame, IP_PROTO_HOP, IP_PROTO_DEST, 0);
    frame_extension(&t.frame, IP_PROTO_DEST, IP_PROTO_TCP, 8);
    t.frame.len--;
    parse_frame(&t);
    assert_offsets(&t, 12, NO_OFFSET, 14, NO_OFFSET);
    assert_field(&t, ip_proto, IP_PROTO_DEST);
    assert_field(&t, ipv6_exthdr, EXTHDR_HOP);
}

static void
fragments_of_ipv6_are_told_apart(void **state)
{
    struct parsed t;

    (void)state;
    parse_sample(&t, SAMPLE_first6);
    assert_offsets(&t, 12, NO_OFFSET, 14, 62);
    assert_int_equal(frag(&t), FRAG_ANY);
    assert_field(&t, udp_dst, 53);
    parse_sample(&t, SAMPLE_later6);
    assert_offsets(&t, 12, NO_OFFSET, 14, NO_OFFSET);
    assert_int_equal(frag(&t), FRAG_ANY | FRAG_LATER);
    assert_field(&t, ip_proto, 17);
    assert_field(&t, udp_dst, 0);
    parse_sample(&t, SAMPLE_atomic6);
    assert_offsets(&t, 12, NO_OFFSET, 14, 62);
    assert_int_equal(frag(&t), FRAG_NO);
    assert_field(&t, ipv6_exthdr, EXTHDR_FRAG);
}

static void
nothing_is_counted_behind_a_later_fragment(void **state)
{
    struct parsed t;

    (void)state;
    frame_eth(&t.frame, ETH_TYPE_IPV6);
    frame_ipv6(&t.frame, IP_PROTO_FRAG);
    frame_fragment(&t.frame, IP_PROTO_ESP, 8);
    frame_payload(&t.frame, 40);
    parse_frame(&t);
    assert_field(&t, ip_proto, IP_PROTO_ESP);
    assert_field(&t, ipv6_exthdr, EXTHDR_FRAG);
}

/* --- Neighbour discovery. --- */

static void
assert_target(const struct parsed *t, bool there)
{
    assert_true(t->key.word[W_ND_TARGET] == (there ? UINT64_C(0xfe80000000000000) : 0));
    assert_true(t->key.word[W_ND_TARGET_LOW] == (there ? 0x1234 : 0));
}

static void
neighbour_messages_give_target_and_address(void **state)
{
    struct parsed t;

    (void)state;
    parse_sample(&t, SAMPLE_solicit);
    assert_target(&t, true);
    assert_field(&t, ipv6_nd_sll, TEST_ETH_SRC);
    assert_field(&t, ipv6_nd_tll, 0);
    parse_sample(&t, SAMPLE_advert);
    assert_target(&t, true);
    assert_field(&t, ipv6_nd_sll, 0);
    assert_field(&t, ipv6_nd_tll, TEST_ETH_SRC);
}

/* Builds a neighbour message without options. */
static void
begin_nd(struct parsed *t, unsigned type)
{
    frame_eth(&t->frame, ETH_TYPE_IPV6);
    frame_ipv6(&t->frame, IP_PROTO_ICMPV6);
    frame_nd(&t->frame, type);
}

static void
the_first_address_option_of_the_right_kind_counts(void **state)
{
    struct parsed t;

    (void)state;
    begin_nd(&t, 135);
    frame_nd_option(&t.frame, 2, 1, 1);         /* A target's, in a solicitation. */
    frame_nd_option(&t.frame, 1, 2, 2);         /* Not Ethernet's size. */
    frame_nd_option(&t.frame, 1, 1, 3);
    frame_nd_option(&t.frame, 1, 1, 4);
    parse_frame(&t);
    assert_field(&t, ipv6_nd_sll, 3);
    assert_field(&t, ipv6_nd_tll, 0);
}

static void
an_option_of_no_length_or_cut_ends_the_walk(void **state)
{
    struct parsed t;

    (void)state;
    begin_nd(&t, 136);
    frame_nd_option(&t.frame, 3, 0, 0);
    frame_nd_option(&t.frame, 2, 1, 5);
    parse_frame(&t);
    assert_target(&t, true);
    assert_field(&t, ipv6_nd_tll, 0);

    begin_nd(&t, 136);
    frame_nd_option(&t.frame, 2, 1, 5);
    t.frame.len--;
    parse_frame(&t);
    assert_target(&t, true);
    assert_field(&t, ipv6_nd_tll, 0);
}

static void
neighbour_messages_that_are_not_right_have_no_target(void **state)
{
    struct parsed t;

    (void)state;
    begin_nd(&t, 135);
    t.frame.data[55] = 1;                       /* Code. */
    parse_frame(&t);
    assert_target(&t, false);
    assert_field(&t, icmpv6_type, 135);
    begin_nd(&t, 137);
    parse_frame(&t);
    assert_target(&t, false);
    begin_nd(&t, 136);
    t.frame.len--;
    parse_frame(&t);
    assert_target(&t, false);
    assert_field(&t, icmpv6_type, 136);
    assert_int_equal(t.p.l4, 54);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_in_ipv6_gives_addresses_ports_and_flags),
        cmocka_unit_test(malformed_ipv6_is_not_read),
        cmocka_unit_test(chains_of_extension_headers_set_their_bits),
        cmocka_unit_test(a_long_chain_is_walked_to_its_end),
        cmocka_unit_test(sixteen_extension_headers_are_walked_and_no_more),
        cmocka_unit_test(a_cut_extension_header_leaves_its_own_number),
        cmocka_unit_test(fragments_of_ipv6_are_told_apart),
        cmocka_unit_test(nothing_is_counted_behind_a_later_fragment),
        cmocka_unit_test(neighbour_messages_give_target_and_address),
        cmocka_unit_test(the_first_address_option_of_the_right_kind_counts),
        cmocka_unit_test(an_option_of_no_length_or_cut_ends_the_walk),
        cmocka_unit_test(neighbour_messages_that_are_not_right_have_no_target),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
