/* Matches of OpenFlow 1.3: what they become and back, and every error. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "decoding.h"

static uint32_t
decode_match(struct decoding *t)
{
    size_t used = 0;
    uint32_t error = ofwire_get_match(t->f.data, t->f.len, &t->match, &used);

    if (error == OFWIRE_OK) {
        assert_int_equal(used, t->f.len);
    }
    return error;
}

/* Encodes what was decoded; it must be the same bytes. */
static void
assert_encodes_the_same(const struct decoding *t)
{
    struct buffer out = { 0 };

    ofwire_put_match(&out, &t->match.key, &t->match.mask);
    assert_false(out.failed);
    assert_int_equal(out.len, t->f.len);
    assert_memory_equal(out.data, t->f.data, out.len);
    buffer_close(&out);
}

/* Matches in the order of the field table, in which they are encoded. */
#define GOOD_MATCHES(X)                                                                       \
    X((void)0)                                                                                \
    X(of_oxm(f, FIELD_in_port, 1); of_oxm(f, FIELD_in_phy_port, 2))                           \
    X(of_oxm_masked(f, FIELD_metadata, 0xf0, 0xff))                                           \
    X(of_oxm(f, FIELD_eth_dst, 0x010203040506);                                               \
      of_oxm_masked(f, FIELD_eth_src, 0x010203000000, 0xffffff000000))                        \
    X(of_oxm(f, FIELD_vlan_vid, 0))                                                           \
    X(of_oxm_masked(f, FIELD_vlan_vid, VID_PRESENT, VID_PRESENT))                             \
    X(of_oxm_masked(f, FIELD_vlan_vid, VID_PRESENT, VID_PRESENT); of_oxm(f, FIELD_vlan_pcp, 7)) \
    X(of_oxm(f, FIELD_vlan_vid, VID_PRESENT | 5); of_oxm(f, FIELD_vlan_pcp, 0))               \
    X(of_oxm_masked(f, FIELD_vlan_vid, 1, 1))                                                 \
    X(of_oxm(f, FIELD_eth_type, 0x800); of_oxm(f, FIELD_ip_dscp, 63); of_oxm(f, FIELD_ip_ecn, 3); \
      of_oxm(f, FIELD_ip_proto, 6); of_oxm(f, FIELD_ipv4_src, 0x01020304);                    \
      of_oxm_masked(f, FIELD_ipv4_dst, 0x0a000000, 0xff000000);                               \
      of_oxm(f, FIELD_tcp_src, 1); of_oxm(f, FIELD_tcp_dst, 2))                               \
    X(of_oxm(f, FIELD_eth_type, 0x86dd); of_oxm(f, FIELD_ip_proto, 17);                       \
      of_oxm(f, FIELD_udp_src, 1); of_oxm(f, FIELD_udp_dst, 2); of_oxm(f, FIELD_ipv6_src, 9)) \
    X(of_oxm(f, FIELD_eth_type, 0x800); of_oxm(f, FIELD_ip_proto, 132);                       \
      of_oxm(f, FIELD_sctp_src, 0); of_oxm(f, FIELD_sctp_dst, 0))                             \
    X(of_oxm(f, FIELD_eth_type, 0x800); of_oxm(f, FIELD_ip_proto, 1);                         \
      of_oxm(f, FIELD_icmpv4_type, 8); of_oxm(f, FIELD_icmpv4_code, 0))                       \
    X(of_oxm(f, FIELD_eth_type, 0x806); of_oxm(f, FIELD_arp_op, 1);                           \
      of_oxm(f, FIELD_arp_spa, 3); of_oxm(f, FIELD_arp_tpa, 4); of_oxm(f, FIELD_arp_sha, 5);  \
      of_oxm(f, FIELD_arp_tha, 6))                                                            \
    X(of_oxm(f, FIELD_eth_type, 0x86dd); of_oxm(f, FIELD_ip_proto, 58);                       \
      of_oxm_masked(f, FIELD_ipv6_dst, 8, 15); of_oxm_masked(f, FIELD_ipv6_flabel, 0xf0, 0xff); \
      of_oxm(f, FIELD_icmpv6_type, 135); of_oxm(f, FIELD_icmpv6_code, 0);                     \
      of_oxm(f, FIELD_ipv6_nd_target, 1); of_oxm(f, FIELD_ipv6_nd_sll, 2))                    \
    X(of_oxm(f, FIELD_eth_type, 0x86dd); of_oxm(f, FIELD_ip_proto, 58);                       \
      of_oxm(f, FIELD_icmpv6_type, 136); of_oxm(f, FIELD_ipv6_nd_tll, 2))                     \
    X(of_oxm(f, FIELD_eth_type, 0x86dd); of_oxm(f, FIELD_ipv6_flabel, 0xfffff);               \
      of_oxm_masked(f, FIELD_ipv6_exthdr, 0, 0x100))                                          \
    X(of_oxm(f, FIELD_eth_type, 0x8847); of_oxm(f, FIELD_mpls_label, 0xabcde);                \
      of_oxm(f, FIELD_mpls_tc, 7); of_oxm(f, FIELD_mpls_bos, 1))                              \
    X(of_oxm(f, FIELD_eth_type, 0x88e7); of_oxm_masked(f, FIELD_pbb_isid, 1, 1);              \
      of_oxm(f, FIELD_pbb_uca, 0))                                                            \
    X(of_oxm(f, FIELD_tunnel_id, 0xffffffffffffffff))

#define BUILD(...) case __COUNTER__ - FIRST: __VA_ARGS__; return true;

/* Builds good match number 'i'.  Returns false if there is none. */
static bool
build_good_match(struct frame *f, int i)
{
    enum { FIRST = __COUNTER__ + 1 };

    switch (i) {
        GOOD_MATCHES(BUILD)
    }
    return false;
}

static void
a_match_is_encoded_as_it_was_sent(void **state)
{
    struct decoding *t = *state;

    for (int i = 0;; i++) {
        t->f.len = 0;

        size_t start = of_begin_match(&t->f);

        if (!build_good_match(&t->f, i)) {
            assert_int_equal(i, 20);
            break;
        }
        of_end_match(&t->f, start);
        assert_int_equal(decode_match(t), OFWIRE_OK);
        assert_encodes_the_same(t);
    }
}

static void
a_match_may_be_in_any_order_that_prerequisites_allow(void **state)
{
    struct decoding *t = *state;
    struct frame *f = &t->f;
    size_t start = of_begin_match(f);

    of_oxm(f, FIELD_eth_type, 0x0800);
    of_oxm(f, FIELD_ipv4_dst, 0x0a000001);
    of_oxm(f, FIELD_in_port, 3);
    of_end_match(f, start);
    assert_int_equal(decode_match(t), OFWIRE_OK);
    assert_int_equal(t->match.key.word[W_PORT], UINT64_C(3) << 32);
    assert_int_equal(t->match.mask.word[W_PORT], UINT64_C(0xffffffff) << 32);
    assert_int_equal(t->match.key.word[W_IPV4], 0x0a000001);
    assert_int_equal(t->match.mask.word[W_IPV4], 0xffffffff);
}

static void
a_mask_of_zeros_is_no_field_and_one_of_ones_no_mask(void **state)
{
    struct decoding *t = *state;
    struct buffer out = { 0 };
    size_t start = of_begin_match(&t->f);

    of_oxm_masked(&t->f, FIELD_metadata, 0, 0);
    of_oxm_masked(&t->f, FIELD_eth_dst, 2, 0xffffffffffff);
    of_end_match(&t->f, start);
    assert_int_equal(decode_match(t), OFWIRE_OK);
    ofwire_put_match(&out, &t->match.key, &t->match.mask);

    struct frame want = { .len = 0 };

    start = of_begin_match(&want);
    of_oxm(&want, FIELD_eth_dst, 2);
    of_end_match(&want, start);
    assert_int_equal(out.len, want.len);
    assert_memory_equal(out.data, want.data, want.len);
    buffer_close(&out);
}

static void
what_is_in_the_padding_does_not_matter(void **state)
{
    struct decoding *t = *state;
    size_t start = of_begin_match(&t->f);

    of_oxm(&t->f, FIELD_eth_type, 0x9999);
    of_end_match(&t->f, start);
    t->f.data[t->f.len - 1] = 0xff;
    assert_int_equal(decode_match(t), OFWIRE_OK);
}

/* X(code, fields of a match) */
#define BAD_MATCHES(X)                                                                        \
    X(BAD_FIELD, OXM(0x8000, 40 << 1, 4); frame_add32(f, 0))                                  \
    X(BAD_FIELD, OXM(0x0001, 60 << 1, 4); frame_add32(f, 0))                                  \
    X(BAD_FIELD, OXM(0xffff, 0, 8); frame_add32(f, 0x4f4e4600); frame_add32(f, 0))            \
    X(BAD_LEN, OXM(0x8000, 0, 4); frame_add16(f, 0))                                          \
    X(BAD_LEN, frame_add16(f, 0x8000))                                                        \
    X(BAD_LEN, OXM(0x8000, 0, 3); frame_add32(f, 0))                                          \
    X(BAD_LEN, OXM(0x8000, 2 << 1 | OXM_MASKED, 8); frame_add32(f, 0); frame_add32(f, 0))     \
    X(BAD_MASK, of_oxm_masked(f, FIELD_in_port, 1, 0xffffffff))                               \
    X(BAD_MASK, of_oxm_masked(f, FIELD_vlan_vid, 0, 0x2000))                                  \
    X(BAD_VALUE, of_oxm(f, FIELD_vlan_vid, 0x2000))                                           \
    X(BAD_VALUE, of_oxm(f, FIELD_vlan_vid, 5))                                                \
    X(BAD_VALUE, of_oxm_masked(f, FIELD_vlan_vid, 5, 0x1fff))                                 \
    X(BAD_VALUE, of_oxm(f, FIELD_eth_type, 0x800); of_oxm(f, FIELD_ip_dscp, 64))              \
    X(BAD_VALUE, of_oxm(f, FIELD_eth_type, 0x8847); of_oxm(f, FIELD_mpls_label, 0x100000))    \
    X(BAD_WILDCARDS, of_oxm_masked(f, FIELD_eth_dst, 3, 1))                                   \
    X(DUP_FIELD, of_oxm(f, FIELD_in_port, 1); of_oxm(f, FIELD_in_port, 1))                    \
    X(DUP_FIELD, of_oxm_masked(f, FIELD_eth_dst, 0, 0); of_oxm(f, FIELD_eth_dst, 1))          \
    X(DUP_FIELD, OXM(0, 1 << 1, 6); frame_add48(f, 1); of_oxm(f, FIELD_eth_dst, 1))           \
    X(DUP_FIELD, of_oxm(f, FIELD_reg1, 1); of_oxm(f, FIELD_xreg0, 1))                         \
    X(DUP_FIELD, of_oxm(f, FIELD_xreg1, 1); of_oxm_masked(f, FIELD_reg3, 1, 1))               \
    X(BAD_MASK, OXM(0, 0 << 1 | OXM_MASKED, 4); frame_add32(f, 0x1ffff))                      \
    X(BAD_VALUE, of_oxm(f, FIELD_eth_type, 0x800); OXM(0, 5 << 1, 1); frame_add8(f, 3))       \
    X(BAD_LEN, OXM(0xffff, 42 << 1, 2); frame_add16(f, 0))                                    \
    X(BAD_LEN, OXM(0xffff, 42 << 1, 5); frame_add32(f, 0x4f4e4600); frame_add8(f, 0))         \
    X(BAD_PREREQ, of_oxm(f, FIELD_in_phy_port, 1))                                            \
    X(BAD_PREREQ, of_oxm(f, FIELD_ipv4_src, 1); of_oxm(f, FIELD_eth_type, 0x800))             \
    X(BAD_PREREQ, of_oxm(f, FIELD_eth_type, 0x86dd); of_oxm(f, FIELD_ipv4_src, 1))            \
    X(BAD_PREREQ, of_oxm(f, FIELD_eth_type, 0x800); of_oxm(f, FIELD_ip_proto, 6);             \
      of_oxm(f, FIELD_udp_dst, 1))                                                            \
    X(BAD_PREREQ, of_oxm(f, FIELD_vlan_vid, 0); of_oxm(f, FIELD_vlan_pcp, 1))                 \
    X(BAD_PREREQ, of_oxm(f, FIELD_vlan_pcp, 1))

#define BUILD_BAD(CODE, ...) \
    case __COUNTER__ - FIRST: __VA_ARGS__; return OFWIRE_ERROR(OFPET_BAD_MATCH, OFPBMC_##CODE);

/* Builds bad match number 'i' and returns its error, or OFWIRE_OK if there is none. */
static uint32_t
build_bad_match(struct frame *f, int i)
{
    enum { FIRST = __COUNTER__ + 1 };

    switch (i) {
        BAD_MATCHES(BUILD_BAD)
    }
    return OFWIRE_OK;
}

static void
every_error_in_a_match_has_its_code(void **state)
{
    struct decoding *t = *state;

    for (int i = 0;; i++) {
        t->f.len = 0;

        size_t start = of_begin_match(&t->f);
        uint32_t error = build_bad_match(&t->f, i);

        if (error == OFWIRE_OK) {
            assert_int_equal(i, 30);
            break;
        }
        of_end_match(&t->f, start);
        assert_int_equal(decode_match(t), error);
    }
}

/* X(fields as they are sent, fields as they come back): names that Nicira's controllers use. */
#define NICIRA_MATCHES(X)                                                                       \
    X(OXM(0, 0 << 1, 2); frame_add16(f, 3), of_oxm(f, FIELD_in_port, 3))                        \
    X(OXM(0, 0 << 1, 2); frame_add16(f, 0xfffd), of_oxm(f, FIELD_in_port, PORT_CONTROLLER))     \
    X(OXM(0, 1 << 1 | OXM_MASKED, 12); frame_add48(f, 1); frame_add48(f, 0xff),                 \
      of_oxm_masked(f, FIELD_eth_dst, 1, 0xff))                                                 \
    X(OXM(0, 3 << 1, 2); frame_add16(f, 0x800); OXM(0, 5 << 1, 1); frame_add8(f, 4),            \
      of_oxm(f, FIELD_eth_type, 0x800); of_oxm(f, FIELD_ip_dscp, 1))                            \
    X(OXM(1, 16 << 1, 8); frame_add32(f, 0); frame_add32(f, 9), of_oxm(f, FIELD_tunnel_id, 9))  \
    X(of_oxm(f, FIELD_xreg0, UINT64_C(5) << 32 | 7),                                            \
      of_oxm(f, FIELD_reg0, 5); of_oxm(f, FIELD_reg1, 7))                                       \
    X(OXM(1, 111 << 1, 16); frame_add32(f, 1); frame_add32(f, 2); frame_add32(f, 3);            \
      frame_add32(f, 4), of_oxm(f, FIELD_reg0, 1); of_oxm(f, FIELD_reg1, 2);                    \
      of_oxm(f, FIELD_reg2, 3); of_oxm(f, FIELD_reg3, 4))                                       \
    X(of_oxm_masked(f, FIELD_vlan_tci, 0x1005, 0x1fff), of_oxm(f, FIELD_vlan_vid, 0x1005))      \
    X(of_oxm(f, FIELD_vlan_tci, 0x3005),                                                        \
      of_oxm(f, FIELD_vlan_vid, 0x1005); of_oxm(f, FIELD_vlan_pcp, 1))                          \
    X(of_oxm_masked(f, FIELD_vlan_tci, 0x2005, 0x2fff),                                         \
      of_oxm_masked(f, FIELD_vlan_vid, 5, 0xfff);                                               \
      of_oxm_masked(f, FIELD_vlan_tci, 0x2000, 0x2000))                                         \
    X(of_oxm(f, FIELD_vlan_tci, 0),                                                             \
      of_oxm(f, FIELD_vlan_vid, 0); of_oxm_masked(f, FIELD_vlan_tci, 0, 0xe000))                \
    X(of_oxm(f, FIELD_eth_type, 0x800); of_oxm_masked(f, FIELD_ip_frag, 0, 2),                  \
      of_oxm(f, FIELD_eth_type, 0x800); of_oxm_masked(f, FIELD_ip_frag, 0, 2))                  \
    X(of_oxm(f, FIELD_eth_type, 0x800); of_oxm(f, FIELD_ip_proto, 6);                           \
      OXM(0xffff, 42 << 1 | OXM_MASKED, 8); frame_add32(f, 0x4f4e4600); frame_add32(f, 0x20012),  \
      of_oxm(f, FIELD_eth_type, 0x800); of_oxm(f, FIELD_ip_proto, 6);                           \
      of_oxm_masked(f, FIELD_tcp_flags, 2, 0x12))

#define BUILD_NICIRA(SENT, BACK)            \
    case __COUNTER__ - FIRST:               \
        if (sent) {                         \
            SENT;                           \
        } else {                            \
            BACK;                           \
        }                                   \
        return true;

static bool
build_nicira_match(struct frame *f, int i, bool sent)
{
    enum { FIRST = __COUNTER__ + 1 };
    size_t start = of_begin_match(f);

    switch (i) {
        NICIRA_MATCHES(BUILD_NICIRA)
    }
    (void)start;
    return false;
}

static void
other_names_of_fields_come_back_as_those_of_the_specification(void **state)
{
    struct decoding *t = *state;
    struct frame back;
    int i;

    for (i = 0; t->f.len = back.len = 0, build_nicira_match(&t->f, i, true); i++) {
        struct buffer out = { 0 };

        of_end_match(&t->f, 0);
        assert_int_equal(decode_match(t), OFWIRE_OK);
        assert_true(build_nicira_match(&back, i, false));
        of_end_match(&back, 0);
        ofwire_put_match(&out, &t->match.key, &t->match.mask);
        assert_int_equal(out.len, back.len);
        assert_memory_equal(out.data, back.data, back.len);
        buffer_close(&out);
    }
    assert_int_equal(i, 13);
}

static void
a_match_has_a_type_and_a_length_that_fit(void **state)
{
    static const struct {
        uint32_t header;
        size_t size;
        uint16_t code;
    } cases[] = {
        { 0x00000004, 8, OFPBMC_BAD_TYPE }, { 0x00020004, 8, OFPBMC_BAD_TYPE },
        { 0x00010003, 8, OFPBMC_BAD_LEN },  { 0x00010009, 8, OFPBMC_BAD_LEN },
        { 0x00010004, 4, OFPBMC_BAD_LEN },  { 0x00010004, 3, OFPBMC_BAD_LEN },
    };
    struct decoding *t = *state;
    uint8_t data[16] = { 0 };
    size_t used;

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_be32(data, cases[i].header);
        assert_int_equal(ofwire_get_match(data, cases[i].size, &t->match, &used),
                         OFWIRE_ERROR(OFPET_BAD_MATCH, cases[i].code));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_match_is_encoded_as_it_was_sent),
        TEST(a_match_may_be_in_any_order_that_prerequisites_allow),
        TEST(a_mask_of_zeros_is_no_field_and_one_of_ones_no_mask),
        TEST(what_is_in_the_padding_does_not_matter),
        TEST(every_error_in_a_match_has_its_code),
        TEST(other_names_of_fields_come_back_as_those_of_the_specification),
        TEST(a_match_has_a_type_and_a_length_that_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
