/* Matches, actions and instructions of OpenFlow 1.3: what they become, and every error. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ofwire.h"
#include "openflow.h"

enum { APPLY = 4, WRITE = 3, THIS_TABLE = 5, THE_GROUP = 7 };

/* A bridge with a group, and what was decoded last. */
struct decoding {
    struct dataplane dataplane;
    struct bridge *bridge;
    struct group group;
    struct of_match match;
    struct insn_list list;
    struct frame f;             /* What is decoded. */
};

static int
open_decoding(void **state)
{
    struct decoding *t = calloc(1, sizeof *t);

    t->bridge = calloc(1, sizeof *t->bridge);
    t->bridge->dataplane = &t->dataplane;
    t->group.id = THE_GROUP;
    epoch_init(&t->dataplane.epoch);
    assert_int_equal(program_store_open(&t->dataplane.programs), 0);
    assert_int_equal(group_insert(&t->bridge->groups, &t->dataplane.epoch, &t->group), 0);
    *state = t;
    return 0;
}

static int
close_decoding(void **state)
{
    struct decoding *t = *state;

    assert_int_equal(t->dataplane.programs.n_programs, 0);      /* No reference is lost. */
    insn_list_close(&t->list);
    idmap_close(&t->bridge->groups.map);
    program_store_close(&t->dataplane.programs);
    epoch_close(&t->dataplane.epoch);
    free(t->bridge);
    free(t);
    return 0;
}

/* --- Matches ----------------------------------------------------------------------------- */

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

#define OXM(CLASS, FIELD, SIZE) frame_add16(f, CLASS), frame_add8(f, FIELD), frame_add8(f, SIZE)

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

/* --- Actions ------------------------------------------------------------------------------- */

/* Decodes actions of packets of which nothing is known. */
static uint32_t
decode_actions(struct decoding *t, bool in_packet_out)
{
    const struct of_scope scope = {
        .bridge = t->bridge, .table = 0xff, .in_packet_out = in_packet_out,
    };

    return ofwire_get_actions(&scope, t->f.data, t->f.data, t->f.len, &t->list);
}

static void
assert_ops(const struct insn_list *list, unsigned n, const uint8_t *ops)
{
    assert_int_equal(list->n, n);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(list->insns[i].op, ops[i]);
    }
}

#define ASSERT_OPS(LIST, ...)                                       \
    assert_ops(LIST, sizeof((const uint8_t[]){ __VA_ARGS__ }),      \
               (const uint8_t[]){ __VA_ARGS__ })

/* All actions but set-field. */
static void
add_every_action(struct frame *f)
{
    of_output(f, 1);
    of_short(f, 11, 0);
    of_short(f, 12, 0);
    of_short(f, 15, 9 << 24);
    of_short(f, 16, 0);
    of_short(f, 17, (uint32_t)ETH_TYPE_VLAN << 16);
    of_short(f, 18, 0);
    of_short(f, 19, (uint32_t)ETH_TYPE_MPLS << 16);
    of_short(f, 20, (uint32_t)ETH_TYPE_IPV4 << 16);
    of_short(f, 21, 3);
    of_short(f, 22, THE_GROUP);
    of_short(f, 23, 9 << 24);
    of_short(f, 24, 0);
    of_short(f, 26, (uint32_t)ETH_TYPE_PBB << 16);
    of_short(f, 27, 0);
}

static void
actions_become_instructions_in_their_order(void **state)
{
    struct decoding *t = *state;

    add_every_action(&t->f);
    of_set_field(&t->f, FIELD_ipv4_dst, 1);
    assert_int_equal(decode_actions(t, false), OFWIRE_OK);
    ASSERT_OPS(&t->list, OP_output, OP_copy_ttl_out, OP_copy_ttl_in, OP_set_mpls_ttl,
               OP_dec_mpls_ttl, OP_push_vlan, OP_pop_vlan, OP_push_mpls, OP_pop_mpls, OP_set_queue,
               OP_group, OP_set_nw_ttl, OP_dec_nw_ttl, OP_push_pbb, OP_pop_pbb, OP_set_field,
               OP_done);
    assert_int_equal(t->list.insns[1].at, 16);
    assert_int_equal(t->list.insns[1].size, 8);
    assert_int_equal(t->list.insns[15].field, FIELD_ipv4_dst);
    assert_int_equal(t->list.insns[15].at + t->list.insns[15].size, t->f.len);
}

static void
offsets_count_from_the_base(void **state)
{
    struct decoding *t = *state;
    const struct of_scope scope = { .bridge = t->bridge };

    frame_payload(&t->f, 24);
    of_output(&t->f, 1);
    assert_int_equal(ofwire_get_actions(&scope, t->f.data, t->f.data + 24, 16, &t->list), OFWIRE_OK);
    assert_int_equal(t->list.insns[0].at, 24);
}

static void
every_settable_field_can_be_set(void **state)
{
    struct decoding *t = *state;

    for (unsigned field = 0; field < N_FIELDS; field++) {
        t->f.len = 0;
        of_set_field(&t->f, field, 1);
        assert_int_equal(decode_actions(t, false),
                         field_table[field].settable
                             ? OFWIRE_OK
                             : OFWIRE_ERROR(OFPET_BAD_ACTION, OFPBAC_BAD_SET_TYPE));
    }
}

static void
outputs_go_to_ports_that_make_sense(void **state)
{
    static const struct {
        uint32_t port;
        bool in_flow, in_packet_out;
    } cases[] = {
        { 0, false, false },
        { 1, true, true },
        { PORT_MAX, true, true },
        { PORT_MAX + 1, false, false },
        { PORT_IN_PORT, true, true },
        { PORT_TABLE, false, true },
        { PORT_NORMAL, true, true },
        { PORT_FLOOD, true, true },
        { PORT_ALL, true, true },
        { PORT_CONTROLLER, true, true },
        { PORT_LOCAL, false, false },
        { PORT_ANY, false, false },
    };
    const uint32_t bad = OFWIRE_ERROR(OFPET_BAD_ACTION, OFPBAC_BAD_OUT_PORT);
    struct decoding *t = *state;

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        t->f.len = 0;
        of_output(&t->f, cases[i].port);
        assert_int_equal(decode_actions(t, false), cases[i].in_flow ? OFWIRE_OK : bad);
        assert_int_equal(decode_actions(t, true), cases[i].in_packet_out ? OFWIRE_OK : bad);
    }
}

#define ACTION(TYPE, SIZE) frame_add16(f, TYPE), frame_add16(f, SIZE)

/* X(code, actions) */
#define BAD_ACTIONS(X)                                                                        \
    X(BAD_TYPE, of_short(f, 1, 0))                                                            \
    X(BAD_TYPE, of_short(f, 28, 0))                                                           \
    X(BAD_TYPE, of_short(f, 0xfffe, 0))                                                       \
    X(BAD_EXPERIMENTER, of_short(f, 0xffff, 0x2321))                                          \
    X(BAD_LEN, of_short(f, 0xffff, 0x2320))                                                   \
    X(BAD_EXP_TYPE, ACTION(0xffff, 16); frame_add32(f, 0x2320); frame_add32(f, 0x630000);     \
      frame_add32(f, 0))                                                                      \
    X(BAD_LEN, ACTION(18, 8))                                                                 \
    X(BAD_LEN, ACTION(18, 4); frame_add32(f, 0))                                              \
    X(BAD_LEN, ACTION(18, 16); frame_add32(f, 0))                                             \
    X(BAD_LEN, ACTION(18, 12); frame_add32(f, 0); frame_add32(f, 0))                          \
    X(BAD_LEN, ACTION(18, 16); frame_add32(f, 0); frame_add48(f, 0); frame_add48(f, 0))       \
    X(BAD_LEN, ACTION(0, 8); frame_add32(f, 1))                                               \
    X(BAD_LEN, of_output(f, 1); frame_add16(f, 0))                                            \
    X(BAD_OUT_GROUP, of_short(f, 22, THE_GROUP + 1))                                          \
    X(BAD_OUT_GROUP, of_short(f, 22, GROUP_ANY))                                              \
    X(BAD_QUEUE, of_short(f, 21, 0xffffffff))                                                 \
    X(BAD_ARGUMENT, of_short(f, 17, (uint32_t)ETH_TYPE_QINQ << 16))                           \
    X(BAD_ARGUMENT, of_short(f, 19, (uint32_t)ETH_TYPE_IPV4 << 16))                           \
    X(BAD_ARGUMENT, of_short(f, 20, 5 << 16))                                                 \
    X(BAD_ARGUMENT, of_short(f, 26, (uint32_t)ETH_TYPE_VLAN << 16))                           \
    X(BAD_SET_TYPE, of_set_field(f, FIELD_in_port, 1))                                        \
    X(BAD_SET_TYPE, ACTION(25, 16); OXM(0x8000, 40 << 1, 4); frame_add32(f, 0);               \
      frame_add32(f, 0))                                                                      \
    X(BAD_SET_TYPE, ACTION(25, 24); of_oxm_masked(f, FIELD_eth_dst, 0, 1); frame_add32(f, 0)) \
    X(BAD_SET_LEN, ACTION(25, 16); OXM(0x8000, 5 << 1, 4); frame_add32(f, 0);                 \
      frame_add32(f, 0))                                                                      \
    X(BAD_SET_LEN, ACTION(25, 8); OXM(0x8000, 5 << 1, 2))                                     \
    X(BAD_SET_LEN, ACTION(25, 24); of_oxm(f, FIELD_eth_type, 1); frame_add48(f, 0);           \
      frame_add48(f, 0); frame_add16(f, 0))                                                   \
    X(BAD_SET_ARGUMENT, of_set_field(f, FIELD_ip_dscp, 64))                                   \
    X(BAD_SET_ARGUMENT, of_set_field(f, FIELD_mpls_label, 0x100000))                          \
    X(BAD_SET_ARGUMENT, of_set_field(f, FIELD_vlan_vid, 0x3001))

#define BUILD_BAD_ACTION(CODE, ...) \
    case __COUNTER__ - FIRST: __VA_ARGS__; return OFWIRE_ERROR(OFPET_BAD_ACTION, OFPBAC_##CODE);

static uint32_t
build_bad_action(struct frame *f, int i)
{
    enum { FIRST = __COUNTER__ + 1 };

    switch (i) {
        BAD_ACTIONS(BUILD_BAD_ACTION)
    }
    return OFWIRE_OK;
}

static void
every_error_in_an_action_has_its_code(void **state)
{
    struct decoding *t = *state;
    const struct of_scope scope = { .bridge = t->bridge };

    for (int i = 0;; i++) {
        t->f.len = 0;

        uint32_t error = build_bad_action(&t->f, i);

        if (error == OFWIRE_OK) {
            assert_int_equal(i, 29);
            break;
        }
        assert_int_equal(decode_actions(t, false), error);
        assert_int_equal(ofwire_get_action_set(&scope, t->f.data, t->f.data, t->f.len, &t->list),
                         error);
    }
}

/* --- Action sets ----------------------------------------------------------------------------- */

static uint32_t
decode_set(struct decoding *t)
{
    const struct of_scope scope = { .bridge = t->bridge };

    return ofwire_get_action_set(&scope, t->f.data, t->f.data, t->f.len, &t->list);
}

static void
an_action_set_has_its_own_order(void **state)
{
    struct decoding *t = *state;

    add_every_action(&t->f);
    of_set_field(&t->f, FIELD_ipv4_dst, 1);
    of_set_field(&t->f, FIELD_eth_dst, 1);
    assert_int_equal(decode_set(t), OFWIRE_OK);
    for (unsigned i = 1; i + 1 < t->list.n; i++) {
        const struct insn *one = &t->list.insns[i - 1], *other = &t->list.insns[i];

        assert_true(op_table[one->op].order <= op_table[other->op].order);
    }
    /* The group leaves nothing to the output. */
    assert_int_equal(t->list.n, 17);
    assert_int_equal(t->list.insns[15].op, OP_group);
    assert_int_equal(t->list.insns[16].op, OP_done);
    assert_int_equal(t->list.insns[0].op, OP_copy_ttl_in);
    assert_int_equal(t->list.insns[0].order, 2);
}

static void
later_actions_of_a_kind_replace_earlier_ones(void **state)
{
    struct decoding *t = *state;

    of_set_field(&t->f, FIELD_eth_dst, 1);
    of_output(&t->f, 1);
    of_set_field(&t->f, FIELD_eth_src, 1);
    of_set_field(&t->f, FIELD_eth_dst, 2);
    of_output(&t->f, 2);
    assert_int_equal(decode_set(t), OFWIRE_OK);
    ASSERT_OPS(&t->list, OP_set_field, OP_set_field, OP_output, OP_done);
    assert_int_equal(t->list.insns[0].field, FIELD_eth_dst);
    assert_int_equal(t->list.insns[0].order, 3);
    assert_int_equal(t->list.insns[1].field, FIELD_eth_src);
    assert_int_equal(t->list.insns[2].order, 4);
}

static void
an_action_set_is_not_endless(void **state)
{
    struct decoding *t = *state;

    for (unsigned i = 0; i < 256; i++) {
        of_short(&t->f, 18, 0);
    }
    assert_int_equal(decode_set(t), OFWIRE_ERROR(OFPET_BAD_ACTION, OFPBAC_TOO_MANY));
    t->f.len -= 8;
    assert_int_equal(decode_set(t), OFWIRE_OK);
}

/* --- Do actions agree with the match? -------------------------------------------------------- */

static uint32_t
decode_instructions(struct decoding *t, const struct of_match *match)
{
    const struct of_scope scope = { .bridge = t->bridge, .match = match, .table = THIS_TABLE };
    uint32_t error = ofwire_get_instructions(&scope, t->f.data, t->f.len, &t->list);

    if (error == OFWIRE_OK) {
        struct program_store *store = &t->dataplane.programs;

        program_release(store, program_intern(store, t->list.insns, t->list.n));
    } else {
        assert_null(t->list.write);
    }
    return error;
}

/* Whether a set-field agrees with what is known of the packets.  In an action set, whose order is
 * not the sender's, it is enough to agree with the match. */
enum agreement { NEVER, IN_A_SET, ALWAYS };

/* X(when it agrees, fields of the match, actions) */
#define AGREEMENTS(X)                                                                             \
    X(ALWAYS, (void)0, of_set_field(f, FIELD_eth_dst, 1))                                         \
    X(ALWAYS, (void)0, of_set_field(f, FIELD_vlan_vid, 0x1001))                                   \
    X(NEVER, (void)0, of_set_field(f, FIELD_ipv4_dst, 1))                                         \
    X(ALWAYS, of_oxm(m, FIELD_eth_type, 0x800), of_set_field(f, FIELD_ipv4_dst, 1))               \
    X(NEVER, of_oxm(m, FIELD_eth_type, 0x86dd), of_set_field(f, FIELD_ipv4_dst, 1))               \
    X(NEVER, of_oxm(m, FIELD_eth_type, 0x800), of_set_field(f, FIELD_tcp_dst, 1))                 \
    X(ALWAYS, of_oxm(m, FIELD_eth_type, 0x800); of_oxm(m, FIELD_ip_proto, 6),                     \
      of_set_field(f, FIELD_tcp_dst, 1))                                                          \
    X(NEVER, (void)0, of_set_field(f, FIELD_vlan_pcp, 1))                                         \
    X(ALWAYS, of_oxm_masked(m, FIELD_vlan_vid, VID_PRESENT, VID_PRESENT),                         \
      of_set_field(f, FIELD_vlan_pcp, 1))                                                         \
    X(ALWAYS, (void)0, of_short(f, 17, (uint32_t)ETH_TYPE_VLAN << 16);                            \
      of_set_field(f, FIELD_vlan_pcp, 1))                                                         \
    X(IN_A_SET, of_oxm_masked(m, FIELD_vlan_vid, VID_PRESENT, VID_PRESENT),                       \
      of_short(f, 18, 0); of_set_field(f, FIELD_vlan_pcp, 1))                                     \
    X(ALWAYS, (void)0, of_short(f, 19, (uint32_t)ETH_TYPE_MPLS << 16);                            \
      of_set_field(f, FIELD_mpls_label, 1))                                                       \
    X(IN_A_SET, of_oxm(m, FIELD_eth_type, 0x800),                                                 \
      of_short(f, 19, (uint32_t)ETH_TYPE_MPLS << 16); of_set_field(f, FIELD_ipv4_src, 1))         \
    X(ALWAYS, of_oxm(m, FIELD_eth_type, 0x8847),                                                  \
      of_short(f, 20, (uint32_t)ETH_TYPE_IPV6 << 16); of_set_field(f, FIELD_ipv6_flabel, 1))      \
    X(ALWAYS, (void)0, of_short(f, 26, (uint32_t)ETH_TYPE_PBB << 16);                             \
      of_set_field(f, FIELD_pbb_isid, 1))                                                         \
    X(IN_A_SET, of_oxm(m, FIELD_eth_type, 0x800), of_short(f, 26, (uint32_t)ETH_TYPE_PBB << 16);  \
      of_set_field(f, FIELD_ipv4_src, 1))                                                         \
    X(ALWAYS, of_oxm(m, FIELD_eth_type, 0x88e7), of_short(f, 27, 0);                              \
      of_set_field(f, FIELD_ipv4_src, 1))                                                         \
    X(ALWAYS, (void)0, of_set_field(f, FIELD_eth_type, 0x806); of_set_field(f, FIELD_arp_op, 1))

#define BUILD_AGREEMENT(AGREES, MATCH, ...)             \
    case __COUNTER__ - FIRST:                           \
        MATCH;                                          \
        __VA_ARGS__;                                    \
        return AGREES;

/* Returns when they agree (an enum agreement), or -1 if there is no such case. */
static int
build_agreement(struct frame *m, struct frame *f, int i)
{
    enum { FIRST = __COUNTER__ + 1 };

    switch (i) {
        AGREEMENTS(BUILD_AGREEMENT)
    }
    return -1;
}

static void
a_field_is_set_only_where_its_header_must_be(void **state)
{
    const uint32_t bad = OFWIRE_ERROR(OFPET_BAD_ACTION, OFPBAC_MATCH_INCONSISTENT);
    struct decoding *t = *state;
    struct frame m;
    size_t used;

    for (int i = 0;; i++) {
        m.len = t->f.len = 0;

        /* Odd: the same as write-actions. */
        size_t match = of_begin_match(&m), actions = of_begin_actions(&t->f, i % 2 ? WRITE : APPLY);
        int agreement = build_agreement(&m, &t->f, i / 2);
        bool agrees = agreement == ALWAYS || (i % 2 && agreement == IN_A_SET);

        if (agreement < 0) {
            assert_int_equal(i, 2 * 18);
            break;
        }
        of_end_match(&m, match);
        of_end(&t->f, actions);
        assert_int_equal(ofwire_get_match(m.data, m.len, &t->match, &used), OFWIRE_OK);
        assert_int_equal(decode_instructions(t, &t->match), agrees ? OFWIRE_OK : bad);
        assert_int_equal(decode_instructions(t, NULL), OFWIRE_OK);
    }
}

static void
write_actions_begin_with_what_apply_actions_leave(void **state)
{
    struct decoding *t = *state;
    struct of_match anything = { 0 };
    size_t start = of_begin_actions(&t->f, WRITE);

    of_set_field(&t->f, FIELD_mpls_label, 1);
    of_end(&t->f, start);
    start = of_begin_actions(&t->f, APPLY);
    of_short(&t->f, 19, (uint32_t)ETH_TYPE_MPLS << 16);
    of_end(&t->f, start);
    assert_int_equal(decode_instructions(t, &anything), OFWIRE_OK);
}

/* --- Instructions ----------------------------------------------------------------------------- */

static void
instructions_are_carried_out_in_their_order_however_sent(void **state)
{
    struct decoding *t = *state;
    struct frame *f = &t->f;

    of_short(f, 1, 6 << 24);
    of_metadata(f, 1, 3);

    size_t start = of_begin_actions(f, WRITE);

    of_output(f, 2);
    of_short(f, 18, 0);
    of_end(f, start);
    of_short(f, 5, 0);
    start = of_begin_actions(f, APPLY);
    of_output(f, 1);
    of_end(f, start);

    const struct of_scope scope = { .bridge = t->bridge, .table = THIS_TABLE };

    assert_int_equal(ofwire_get_instructions(&scope, f->data, f->len, &t->list), OFWIRE_OK);
    ASSERT_OPS(&t->list, OP_output, OP_clear_actions, OP_write_actions, OP_write_metadata,
               OP_goto_table);
    assert_int_equal(t->list.insns[0].at, f->len - 16);
    assert_int_equal(t->list.insns[3].at, 8);
    assert_int_equal(t->list.insns[4].at, 0);

    const struct program *set = t->list.insns[2].sub;

    assert_ptr_equal(set, t->list.write);
    assert_int_equal(set->n, 3);
    assert_int_equal(set->insns[0].op, OP_pop_vlan);
    assert_int_equal(set->insns[0].at, 8 + 24 + 8 + 16);
    assert_int_equal(set->insns[1].op, OP_output);
    assert_int_equal(set->insns[2].op, OP_done);
    program_release(&t->dataplane.programs, set);
}

static void
without_goto_the_action_set_ends_it(void **state)
{
    struct decoding *t = *state;

    assert_int_equal(decode_instructions(t, NULL), OFWIRE_OK);
    ASSERT_OPS(&t->list, OP_action_set);
}

static void
goto_leads_to_a_later_table(void **state)
{
    struct decoding *t = *state;

    for (unsigned table = 0; table < 256; table++) {
        t->f.len = 0;
        of_short(&t->f, 1, table << 24);
        assert_int_equal(decode_instructions(t, NULL),
                         table > THIS_TABLE && table < 255
                             ? OFWIRE_OK
                             : OFWIRE_ERROR(OFPET_BAD_INSTRUCTION, OFPBIC_BAD_TABLE_ID));
    }
}

/* X(code, instructions) */
#define BAD_INSTRUCTIONS(X)                                                                   \
    X(UNKNOWN_INST, of_short(f, 0, 0))                                                        \
    X(UNKNOWN_INST, of_short(f, 7, 0))                                                        \
    X(BAD_EXPERIMENTER, of_short(f, 0xffff, 0x2321))                                          \
    X(DUP_INST, of_short(f, 5, 0); of_short(f, 5, 0))                                         \
    X(BAD_LEN, frame_add32(f, 5 << 16 | 8))                                                   \
    X(BAD_LEN, frame_add32(f, 5 << 16 | 4); frame_add32(f, 0))                                \
    X(BAD_LEN, frame_add32(f, 5 << 16 | 12); frame_add32(f, 0); frame_add32(f, 0))            \
    X(BAD_LEN, frame_add32(f, 5 << 16 | 16); frame_add32(f, 0))                               \
    X(BAD_LEN, frame_add32(f, 5 << 16 | 16); frame_add32(f, 0); frame_add48(f, 0);            \
      frame_add16(f, 0))                                                                      \
    X(BAD_LEN, of_short(f, 2, 0))

#define BUILD_BAD_INSTRUCTION(CODE, ...) \
    case __COUNTER__ - FIRST: __VA_ARGS__; return OFWIRE_ERROR(OFPET_BAD_INSTRUCTION, OFPBIC_##CODE);

static uint32_t
build_bad_instruction(struct frame *f, int i)
{
    enum { FIRST = __COUNTER__ + 1 };

    switch (i) {
        BAD_INSTRUCTIONS(BUILD_BAD_INSTRUCTION)
    }
    return OFWIRE_OK;
}

static void
every_error_in_an_instruction_has_its_code(void **state)
{
    struct decoding *t = *state;

    for (int i = 0;; i++) {
        t->f.len = 0;

        uint32_t error = build_bad_instruction(&t->f, i);

        if (error == OFWIRE_OK) {
            assert_int_equal(i, 10);
            break;
        }
        assert_int_equal(decode_instructions(t, NULL), error);
    }
}

static void
a_meter_that_is_not_there_or_is_virtual_is_refused(void **state)
{
    static const uint32_t bad[] = { 0, 9, METER_SLOWPATH, METER_CONTROLLER, METER_ALL };
    struct decoding *t = *state;

    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        t->f.len = 0;
        of_short(&t->f, 6, bad[i]);
        assert_int_equal(decode_instructions(t, NULL), OFWIRE_OFPMMFC_UNKNOWN_METER);
    }
}

static void
an_error_behind_write_actions_leaves_no_program(void **state)
{
    struct decoding *t = *state;
    size_t start = of_begin_actions(&t->f, WRITE);

    of_output(&t->f, 2);
    of_end(&t->f, start);
    of_short(&t->f, 1, 0);
    assert_int_equal(decode_instructions(t, NULL),
                     OFWIRE_ERROR(OFPET_BAD_INSTRUCTION, OFPBIC_BAD_TABLE_ID));
    assert_int_equal(t->dataplane.programs.n_programs, 0);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, open_decoding, close_decoding)

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
        TEST(actions_become_instructions_in_their_order),
        TEST(offsets_count_from_the_base),
        TEST(every_settable_field_can_be_set),
        TEST(outputs_go_to_ports_that_make_sense),
        TEST(every_error_in_an_action_has_its_code),
        TEST(an_action_set_has_its_own_order),
        TEST(later_actions_of_a_kind_replace_earlier_ones),
        TEST(an_action_set_is_not_endless),
        TEST(a_field_is_set_only_where_its_header_must_be),
        TEST(write_actions_begin_with_what_apply_actions_leave),
        TEST(instructions_are_carried_out_in_their_order_however_sent),
        TEST(without_goto_the_action_set_ends_it),
        TEST(goto_leads_to_a_later_table),
        TEST(every_error_in_an_instruction_has_its_code),
        TEST(a_meter_that_is_not_there_or_is_virtual_is_refused),
        TEST(an_error_behind_write_actions_leaves_no_program),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
