/* Set-field on frames of every kind: the field changes, checksums follow, nothing else does. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "rewriting.h"

/* Whether the packet has a header with the field. */
static bool
has_field(const struct packet *p, enum field field)
{
    const struct flow_key *key = &packet_walk(p)->key;
    struct flow_key all;
    uint8_t needs = field_table[field].needs;

    memset(&all, 0xff, sizeof all);
    if (field == FIELD_vlan_vid) {
        return key->word[W_ETH_SRC] & VID_PRESENT;
    }
    if (!field_needs_met(field, key, &all)) {
        return false;
    }
    if (needs >= NEEDS_TCP) {
        return p->l4 != NO_OFFSET && (field != FIELD_ipv6_nd_sll || key->word[W_LL_SRC])
               && (field != FIELD_ipv6_nd_tll || key->word[W_LL_DST]);
    }
    if (needs == NEEDS_MPLS || needs == NEEDS_PBB) {
        return p->l2_5 != NO_OFFSET;
    }
    return needs == NEEDS_NONE || needs == NEEDS_VLAN || p->l3 != NO_OFFSET;
}

/* A value of which most bits differ from what the samples have, 'round' for another. */
static void
make_value(enum field field, unsigned round, uint8_t value[16])
{
    unsigned spare = field_table[field].size * 8u - field_table[field].bits;

    for (unsigned i = 0; i < 16; i++) {
        value[i] = (uint8_t)(0x5b + 37 * i + 101 * round);
    }
    for (unsigned i = 0; spare; i++) {
        unsigned bits = spare < 8 ? spare : 8;

        value[i] &= 0xff >> bits;
        spare -= bits;
    }
    if (field == FIELD_vlan_vid) {
        value[0] |= VID_PRESENT >> 8;
    }
    if (field == FIELD_eth_type) {
        put_be16(value, 0x9998);        /* Nothing that hides headers from the checks. */
    }
}

/* Sets a field that is there. */
static void
set_and_check(struct rewriting *t, enum sample sample, enum field field, const uint8_t *value)
{
    uint8_t got[16];

    rewriting_set(t, field, value);
    packet_refresh(t->p);
    field_get(&packet_walk(t->p)->key, field, got);
    assert_memory_equal(got, value, field_table[field].size);
    if (field != FIELD_ip_proto && is_summed(sample)) {
        check_sums(t);
    }
}

/* Sets a field that is not there. */
static void
set_in_vain(struct rewriting *t, enum field field, const uint8_t *value)
{
    uint8_t before[4096];

    memcpy(before, t->p->data, t->p->len);
    rewriting_set(t, field, value);
    assert_memory_equal(before, t->p->data, t->p->len);
}

static void
every_field_is_set_where_it_is_and_only_there(void **state)
{
    struct rewriting *t = *state;
    unsigned n_set = 0;
    uint8_t value[16];

    for (unsigned i = 0; i < N_SAMPLES * N_FIELDS * 2; i++) {
        enum sample sample = i / N_FIELDS % N_SAMPLES;
        enum field field = i % N_FIELDS;

        if (!field_table[field].settable) {
            continue;
        }
        rewriting_sample(t, sample);
        make_value(field, i / N_FIELDS / N_SAMPLES, value);
        if (has_field(t->p, field)) {
            set_and_check(t, sample, field, value);
            n_set++;
        } else {
            set_in_vain(t, field, value);
        }
    }
    assert_in_range(n_set, 400, 4000);
}

static void
setting_what_is_there_changes_nothing(void **state)
{
    struct rewriting *t = *state;
    uint8_t before[4096], value[16];

    for (unsigned i = 0; i < N_SAMPLES * N_FIELDS; i++) {
        enum field field = i % N_FIELDS;

        rewriting_sample(t, i / N_FIELDS);
        if (field_table[field].settable && has_field(t->p, field) && field != FIELD_eth_type
            && is_summed(i / N_FIELDS)) {
            field_get(&packet_walk(t->p)->key, field, value);
            memcpy(before, t->p->data, t->p->len);
            rewriting_set(t, field, value);
            assert_memory_equal(before, t->p->data, t->p->len);
        }
    }
}

static void
several_fields_follow_each_other_without_a_lookup(void **state)
{
    struct rewriting *t = *state;

    rewriting_sample(t, SAMPLE_tcp);
    rewriting_set_number(t, FIELD_eth_dst, 0x060000000001);
    rewriting_set_number(t, FIELD_ipv4_src, 0x01020304);
    rewriting_set_number(t, FIELD_ipv4_dst, 0xfffffffe);
    rewriting_set_number(t, FIELD_tcp_dst, 8080);
    rewriting_set_number(t, FIELD_ip_dscp, 46);
    assert_true(t->p->stale);
    check_sums(t);
    assert_int_equal(rewriting_get(t, FIELD_ipv4_dst), 0xfffffffe);
    assert_int_equal(rewriting_get(t, FIELD_tcp_dst), 8080);
    assert_int_equal(rewriting_get(t, FIELD_ip_dscp), 46);
    assert_int_equal(rewriting_get(t, FIELD_ip_ecn), 1);
}

/* --- Checksums -------------------------------------------------------------------------- */

static void
udp_without_a_checksum_stays_without(void **state)
{
    struct rewriting *t = *state;

    rewriting_sample(t, SAMPLE_udp);
    put_be16(t->p->data + t->p->l4 + UDP_CSUM, 0);
    rewriting_set_number(t, FIELD_udp_dst, 4000);
    rewriting_set_number(t, FIELD_ipv4_dst, 0x0a0a0a0a);
    assert_int_equal(get_be16(t->p->data + t->p->l4 + UDP_CSUM), 0);
}

static void
a_udp_checksum_of_0_is_written_as_ffff(void **state)
{
    struct rewriting *t = *state;
    unsigned n_ffff = 0;

    rewriting_sample(t, SAMPLE_udp);
    for (unsigned port = 0; port < 0x10000; port++) {
        rewriting_set_number(t, FIELD_udp_src, port);

        uint16_t stored = get_be16(t->p->data + t->p->l4 + UDP_CSUM);

        assert_int_not_equal(stored, 0);
        assert_true(plain_transport_good(t->p->data, t->p->l3, t->p->l4));
        n_ffff += stored == 0xffff;
    }
    assert_in_range(n_ffff, 1, 2);
}

/* The sum of what is there of a transport packet with its pseudo header. */
static uint16_t
sum_of(const struct packet *p)
{
    const uint8_t *ip = p->data + p->l3;
    uint16_t size = (uint16_t)(p->len - p->l4);

    return plain_sum(plain_pseudo(ip, 17, size), p->data + p->l4, size);
}

static void
a_new_address_changes_the_checksum_in_first_fragments(void **state)
{
    struct rewriting *t = *state;

    rewriting_sample(t, SAMPLE_first);
    put_be16(t->p->data + t->p->l4 + UDP_CSUM, 0x1234);

    uint16_t sum = sum_of(t->p);

    rewriting_set_number(t, FIELD_ipv4_src, 0xc0a80101);
    assert_int_not_equal(get_be16(t->p->data + t->p->l4 + UDP_CSUM), 0x1234);
    assert_int_equal(sum_of(t->p), sum);
    assert_true(ipv4_header_good(t->p->data + t->p->l3));
}

static void
a_new_address_leaves_later_fragments_alone(void **state)
{
    struct rewriting *t = *state;
    uint8_t before[4096];
    struct frame f;

    for (unsigned i = 0; i < 2; i++) {
        frame_sample(&f, i ? SAMPLE_later6 : SAMPLE_later);
        rewriting_sample(t, i ? SAMPLE_later6 : SAMPLE_later);
        memcpy(before, t->p->data, t->p->len);
        if (i) {
            static const uint8_t address[16] = { 0xfd, [15] = 9 };

            rewriting_set(t, FIELD_ipv6_src, address);
        } else {
            rewriting_set_number(t, FIELD_ipv4_src, 0xc0a80101);
        }
        assert_memory_equal(before + t->p->l3 + (i ? 40 : 20), t->p->data + t->p->l3 + (i ? 40 : 20),
                            t->p->len - t->p->l3 - (i ? 40u : 20u));
    }
}

static void
sctp_fragments_keep_their_checksum(void **state)
{
    struct rewriting *t = *state;
    struct frame f;

    frame_eth(&f, ETH_TYPE_IPV4);
    frame_ipv4(&f, IP_PROTO_SCTP, 0x2000, 0);
    frame_sctp(&f, 20);
    frame_end(&f);
    rewriting_receive(t, &f);
    rewriting_set_number(t, FIELD_sctp_dst, 7);
    assert_int_equal(get_be32(t->p->data + t->p->l4 + SCTP_CSUM), 0);
    assert_int_equal(rewriting_get(t, FIELD_sctp_dst), 7);
}

/* A TCP packet over IPv6 with a routing header of which 'left' addresses are to be visited. */
static void
receive_routed(struct rewriting *t, unsigned left)
{
    struct frame f;

    frame_eth(&f, ETH_TYPE_IPV6);
    frame_ipv6(&f, IP_PROTO_ROUTER);
    frame_extension(&f, IP_PROTO_ROUTER, IP_PROTO_TCP, 16);
    f.data[ETH_SIZE + IPV6_SIZE + 3] = (uint8_t)left;
    frame_tcp(&f, 8);
    frame_end(&f);
    rewriting_receive(t, &f);
}

static void
a_hop_of_a_source_route_is_not_in_the_checksum(void **state)
{
    static const uint8_t address[16] = { 0xfd, [15] = 9 };
    struct rewriting *t = *state;

    receive_routed(t, 1);
    rewriting_set(t, FIELD_ipv6_dst, address);
    assert_int_equal(get_be16(t->p->data + t->p->l4 + TCP_CSUM), 0);
    rewriting_set(t, FIELD_ipv6_src, address);
    assert_int_not_equal(get_be16(t->p->data + t->p->l4 + TCP_CSUM), 0);

    receive_routed(t, 0);
    csum_transport(t->p);
    rewriting_set(t, FIELD_ipv6_dst, address);
    check_sums(t);
}

/* --- ip_proto ----------------------------------------------------------------------------- */

static void
a_new_protocol_changes_the_checksum_of_the_old_one(void **state)
{
    struct rewriting *t = *state;

    for (unsigned i = 0; i < 2; i++) {
        rewriting_sample(t, i ? SAMPLE_tcp6 : SAMPLE_tcp);

        uint16_t l4 = t->p->l4, l3 = t->p->l3;

        put_be16(t->p->data + l4 + TCP_CSUM, 0xcb4c);
        rewriting_set_number(t, FIELD_ip_proto, IP_PROTO_UDP);
        assert_int_equal(get_be16(t->p->data + l4 + TCP_CSUM), 0xcb41);
        assert_int_equal(t->p->data[l3 + (i ? 6 : 9)], IP_PROTO_UDP);
        assert_true(i || ipv4_header_good(t->p->data + l3));

        /* From now on it is UDP, in the same list of actions too. */
        rewriting_set_number(t, FIELD_udp_dst, 99);
        assert_int_equal(rewriting_get(t, FIELD_udp_dst), 99);
    }
}

static void
the_protocol_of_ipv6_is_the_last_next_header(void **state)
{
    struct rewriting *t = *state;
    struct frame f;

    frame_sample(&f, SAMPLE_chain6);
    rewriting_receive(t, &f);
    rewriting_set_number(t, FIELD_ip_proto, 254);
    assert_int_equal(t->p->data[t->p->l3 + 6], IP_PROTO_HOP);
    assert_int_equal(rewriting_get(t, FIELD_ip_proto), 254);
}

/* --- What is left to hardware ---------------------------------------------------------------- */

/* Receives a TCP packet whose checksum is to be completed. */
static void
receive_partial(struct rewriting *t, enum sample sample)
{
    rewriting_sample(t, sample);

    struct packet *p = t->p;

    put_be16(p->data + p->l4 + TCP_CSUM,
             plain_pseudo(p->data + p->l3, IP_PROTO_TCP, (uint16_t)(p->len - p->l4)));
    p->offload.flags = OFFLOAD_NEEDS_CSUM;
    p->offload.csum_start = p->l4;
    p->offload.csum_offset = TCP_CSUM;
}

static void
a_checksum_left_to_hardware_is_that_of_the_new_pseudo_header(void **state)
{
    static const uint8_t address[16] = { 0xfd, [15] = 9 };
    struct rewriting *t = *state;

    for (unsigned i = 0; i < 2; i++) {
        receive_partial(t, i ? SAMPLE_tcp6 : SAMPLE_tcp);

        struct packet *p = t->p;

        rewriting_set(t, i ? FIELD_ipv6_src : FIELD_ipv4_src, address);
        rewriting_set_number(t, FIELD_tcp_src, 4321);
        assert_int_equal(get_be16(p->data + p->l4 + TCP_CSUM),
                         plain_pseudo(p->data + p->l3, IP_PROTO_TCP, (uint16_t)(p->len - p->l4)));
        offload_checksum(p);
        check_sums(t);
    }
}

static void
a_new_protocol_changes_a_checksum_left_to_hardware(void **state)
{
    struct rewriting *t = *state;

    receive_partial(t, SAMPLE_tcp);

    uint16_t l4 = t->p->l4;

    rewriting_set_number(t, FIELD_ip_proto, 18);
    assert_int_equal(get_be16(t->p->data + l4 + TCP_CSUM),
                     plain_pseudo(t->p->data + t->p->l3, 18, (uint16_t)(t->p->len - l4)));
}

/* --- What is not in the packet ------------------------------------------------------------------ */

static void
the_tunnel_id_is_set_in_the_key(void **state)
{
    struct rewriting *t = *state;

    rewriting_sample(t, SAMPLE_arp);
    rewriting_set_number(t, FIELD_tunnel_id, 0x123456789abcdef0);
    assert_false(t->p->stale);
    assert_int_equal(rewriting_get(t, FIELD_tunnel_id), 0x123456789abcdef0);
}

static void
a_runt_frame_is_left_alone(void **state)
{
    struct rewriting *t = *state;
    struct frame f = { .len = 10 };
    uint8_t value[16];

    for (unsigned field = 0; field < N_FIELDS; field++) {
        if (field_table[field].settable) {
            rewriting_receive(t, &f);
            make_value(field, 0, value);
            set_in_vain(t, field, value);
        }
    }
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, rewriting_open, rewriting_close)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_field_is_set_where_it_is_and_only_there),
        TEST(setting_what_is_there_changes_nothing),
        TEST(several_fields_follow_each_other_without_a_lookup),
        TEST(udp_without_a_checksum_stays_without),
        TEST(a_udp_checksum_of_0_is_written_as_ffff),
        TEST(a_new_address_changes_the_checksum_in_first_fragments),
        TEST(a_new_address_leaves_later_fragments_alone),
        TEST(sctp_fragments_keep_their_checksum),
        TEST(a_hop_of_a_source_route_is_not_in_the_checksum),
        TEST(a_new_protocol_changes_the_checksum_of_the_old_one),
        TEST(the_protocol_of_ipv6_is_the_last_next_header),
        TEST(a_checksum_left_to_hardware_is_that_of_the_new_pseudo_header),
        TEST(a_new_protocol_changes_a_checksum_left_to_hardware),
        TEST(the_tunnel_id_is_set_in_the_key),
        TEST(a_runt_frame_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
