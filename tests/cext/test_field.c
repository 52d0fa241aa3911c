/* The table of match fields, and moving values in and out of keys. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "bytes.h"
#include "field.h"

enum { MAX_SIZE = 16 };

static void
put_number(struct flow_key *key, enum field field, uint64_t number)
{
    uint8_t value[8];

    put_be64(value, number);
    field_put(key, field, value + 8 - field_table[field].size);
}

/* A match under construction. */
struct match {
    struct flow_key key, mask;
};

static void
match(struct match *m, enum field field, uint64_t number)
{
    put_number(&m->key, field, number);
    put_number(&m->mask, field, UINT64_MAX);
}

static bool
met(const struct match *m, enum field field)
{
    return field_needs_met(field, &m->key, &m->mask);
}

/* --- The table. --- */

static void
every_field_is_found_by_its_oxm_number(void **state)
{
    (void)state;
    for (int i = 0; i < N_FIELDS; i++) {
        assert_int_equal(field_by_oxm(field_table[i].oxm_class, field_table[i].oxm_field), i);
    }
    assert_int_equal(field_by_oxm(OXM_BASIC, 40), -1);
    assert_int_equal(field_by_oxm(OXM_BASIC, 127), -1);
    assert_int_equal(field_by_oxm(OXM_NXM1, 0), FIELD_reg0);
    assert_int_equal(field_by_oxm(OXM_NXM1, 16), -1);
}

static void
every_row_fits_its_words(void **state)
{
    (void)state;
    for (unsigned i = 0; i < N_FIELDS; i++) {
        const struct field_info *info = &field_table[i];

        assert_true(info->name[0] && memchr(info->name, 0, sizeof info->name));
        assert_true(info->bits <= 64 ? info->shift + info->bits <= 64 : info->bits == 128);
        assert_true(info->word + (info->bits > 64) < N_KEY_WORDS);
        assert_true(info->size == OXM_SIZE(info->bits) && info->size <= MAX_SIZE);
        assert_true(info->needs < N_NEEDS);
    }
}

static void
fields_with_the_same_needs_do_not_share_bits(void **state)
{
    (void)state;
    for (unsigned i = 0; i < FIRST_VIEW; i++) {
        for (unsigned j = 0; j < i; j++) {
            if (field_table[i].needs == field_table[j].needs
                && field_table[i].word == field_table[j].word) {
                assert_false(field_word_mask(i, 0) & field_word_mask(j, 0));
            }
        }
    }
}

static void
word_masks_have_as_many_bits_as_the_field(void **state)
{
    (void)state;
    for (unsigned i = 0; i < N_FIELDS; i++) {
        int bits = __builtin_popcountll(field_word_mask(i, 0))
                   + __builtin_popcountll(field_word_mask(i, 1));

        assert_int_equal(bits, field_table[i].bits);
        assert_int_equal(field_word_mask(i, 2), 0);
    }
    assert_true(field_word_mask(FIELD_ip_dscp, 0) == UINT64_C(0x3f) << 18);
    assert_true(field_word_mask(FIELD_eth_dst, 0) == UINT64_C(0xffffffffffff0000));
    assert_true(field_word_mask(FIELD_ipv6_src, 1) == UINT64_MAX);
}

/* --- Values. --- */

/* Clears the bits in front of a value that is narrower than its bytes. */
static void
clear_spare(const struct field_info *info, uint8_t *value)
{
    unsigned spare = info->size * 8u - info->bits;

    memset(value, 0, spare / 8);
    value[spare / 8] &= 0xff >> spare % 8;
}

static void
what_is_put_is_got_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < N_FIELDS; i++) {
        const struct field_info *info = &field_table[i];
        uint8_t value[MAX_SIZE], got[MAX_SIZE + 1];
        struct flow_key key = { { 0 } };

        for (unsigned j = 0; j < info->size; j++) {
            value[j] = (uint8_t)(0x95 + 37 * j);
        }
        clear_spare(info, value);
        got[info->size] = 0x5a;
        field_put(&key, i, value);
        field_get(&key, i, got);
        assert_memory_equal(got, value, info->size);
        assert_int_equal(got[info->size], 0x5a);
    }
}

static void
a_put_leaves_the_other_bits_alone(void **state)
{
    (void)state;
    for (unsigned i = 0; i < N_FIELDS; i++) {
        uint8_t zeros[MAX_SIZE] = { 0 }, ones[MAX_SIZE];
        struct flow_key clear = { { 0 } }, full;

        memset(ones, 0xff, sizeof ones);
        memset(&full, 0xff, sizeof full);
        field_put(&clear, i, ones);
        field_put(&full, i, zeros);
        for (unsigned w = 0; w < N_KEY_WORDS; w++) {
            unsigned nth = w - field_table[i].word;
            uint64_t mask = nth < 2 ? field_word_mask(i, nth) : 0;

            assert_true(clear.word[w] == mask);
            assert_true(full.word[w] == ~mask);
        }
    }
}

static void
values_lie_in_the_key_in_host_order(void **state)
{
    static const uint8_t dst[6] = { 2, 0, 0, 0, 0, 0x11 }, v6[16] = { 0x20, 1, [15] = 9 };
    struct flow_key key = { { 0 } };

    (void)state;
    field_put(&key, FIELD_eth_dst, dst);
    put_number(&key, FIELD_eth_type, 0x0800);
    assert_true(key.word[W_ETH_DST] == UINT64_C(0x0200000000110800));
    field_put(&key, FIELD_ipv6_dst, v6);
    assert_true(key.word[W_IPV6_DST] == UINT64_C(0x2001000000000000));
    assert_true(key.word[W_IPV6_DST_LOW] == 9);
}

/* --- What fields need. --- */

static void
fields_without_needs_are_always_met(void **state)
{
    struct match m = { .key = { { 0 } } };

    (void)state;
    assert_true(met(&m, FIELD_in_port));
    assert_true(met(&m, FIELD_eth_type));
    assert_true(met(&m, FIELD_metadata));
    assert_true(met(&m, FIELD_tunnel_id));
}

static void
in_phy_port_needs_in_port_of_any_value(void **state)
{
    struct match m = { .key = { { 0 } } };

    (void)state;
    assert_false(met(&m, FIELD_in_phy_port));
    match(&m, FIELD_in_port, 0);
    assert_true(met(&m, FIELD_in_phy_port));
}

static void
vlan_pcp_needs_a_tag_that_is_present(void **state)
{
    struct match m = { .key = { { 0 } } };

    (void)state;
    assert_false(met(&m, FIELD_vlan_pcp));
    match(&m, FIELD_vlan_vid, 0);
    assert_false(met(&m, FIELD_vlan_pcp));
    match(&m, FIELD_vlan_vid, VID_PRESENT | 7);
    assert_true(met(&m, FIELD_vlan_pcp));
    put_number(&m.mask, FIELD_vlan_vid, VID_PRESENT);
    assert_true(met(&m, FIELD_vlan_pcp));
    put_number(&m.mask, FIELD_vlan_vid, 0x0fff);
    assert_false(met(&m, FIELD_vlan_pcp));
}

/* Values that satisfy each row: eth_type, ip_proto, ICMPv6 type; 0 if it has no such. */
struct way {
    uint8_t needs;
    uint16_t eth_type;
    uint8_t ip_proto, icmp_type;
};

static const struct way ways[] = {
    { NEEDS_IP, 0x0800, 0, 0 },       { NEEDS_IP, 0x86dd, 0, 0 },
    { NEEDS_IPV4, 0x0800, 0, 0 },     { NEEDS_IPV6, 0x86dd, 0, 0 },
    { NEEDS_ARP, 0x0806, 0, 0 },      { NEEDS_MPLS, 0x8847, 0, 0 },
    { NEEDS_MPLS, 0x8848, 0, 0 },     { NEEDS_PBB, 0x88e7, 0, 0 },
    { NEEDS_TCP, 0x0800, 6, 0 },      { NEEDS_TCP, 0x86dd, 6, 0 },
    { NEEDS_UDP, 0x0800, 17, 0 },     { NEEDS_UDP, 0x86dd, 17, 0 },
    { NEEDS_SCTP, 0x0800, 132, 0 },   { NEEDS_SCTP, 0x86dd, 132, 0 },
    { NEEDS_ICMPV4, 0x0800, 1, 0 },   { NEEDS_ICMPV6, 0x86dd, 58, 0 },
    { NEEDS_ND, 0x86dd, 58, 135 },    { NEEDS_ND, 0x86dd, 58, 136 },
    { NEEDS_ND_SOLICIT, 0x86dd, 58, 135 }, { NEEDS_ND_ADVERT, 0x86dd, 58, 136 },
};

/* Whether 'm', which says these values, should meet 'needs'. */
static bool
listed(uint8_t needs, const struct way *said)
{
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
        const struct way *w = &ways[i];

        if (w->needs == needs && w->eth_type == said->eth_type
            && (!w->ip_proto || w->ip_proto == said->ip_proto)
            && (!w->icmp_type || w->icmp_type == said->icmp_type)) {
            return true;
        }
    }
    return false;
}

static void
needs_are_met_by_exactly_the_listed_values(void **state)
{
    static const uint16_t types[] = { 0x0800, 0x86dd, 0x0806, 0x8847, 0x8848, 0x88e7, 0x9999 };
    static const uint8_t protos[] = { 1, 6, 17, 58, 132, 200 }, icmps[] = { 135, 136, 128 };

    (void)state;
    for (unsigned n = 0; n < 7 * 6 * 3 * N_FIELDS; n++) {
        enum field field = n / (7 * 6 * 3);
        struct way said = { 0, types[n % 7], protos[n / 7 % 6], icmps[n / 42 % 3] };
        struct match m = { .key = { { 0 } } };
        uint8_t needs = field_table[field].needs;

        match(&m, FIELD_eth_type, said.eth_type);
        match(&m, FIELD_ip_proto, said.ip_proto);
        match(&m, FIELD_icmpv6_type, said.icmp_type);
        if (needs >= NEEDS_IP) {
            assert_int_equal(met(&m, field), listed(needs, &said));
        }
    }
}

static void
a_needed_field_must_be_matched_whole(void **state)
{
    struct match m = { .key = { { 0 } } };

    (void)state;
    match(&m, FIELD_eth_type, 0x0800);
    put_number(&m.mask, FIELD_eth_type, 0xff00);
    assert_false(met(&m, FIELD_ipv4_src));
    put_number(&m.mask, FIELD_eth_type, 0xffff);
    assert_true(met(&m, FIELD_ipv4_src));
    assert_false(met(&m, FIELD_tcp_dst));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_found_by_its_oxm_number),
        cmocka_unit_test(every_row_fits_its_words),
        cmocka_unit_test(fields_with_the_same_needs_do_not_share_bits),
        cmocka_unit_test(word_masks_have_as_many_bits_as_the_field),
        cmocka_unit_test(what_is_put_is_got_back),
        cmocka_unit_test(a_put_leaves_the_other_bits_alone),
        cmocka_unit_test(values_lie_in_the_key_in_host_order),
        cmocka_unit_test(fields_without_needs_are_always_met),
        cmocka_unit_test(in_phy_port_needs_in_port_of_any_value),
        cmocka_unit_test(vlan_pcp_needs_a_tag_that_is_present),
        cmocka_unit_test(needs_are_met_by_exactly_the_listed_values),
        cmocka_unit_test(a_needed_field_must_be_matched_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
