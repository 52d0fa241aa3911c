/* Pushing and popping tags on frames of every kind. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "rewriting.h"

/* The frame as it was. */
struct before {
    uint8_t data[4096];
    size_t len;
};

static void
remember(const struct rewriting *t, struct before *before)
{
    before->len = t->p->len;
    memcpy(before->data, t->p->data, t->p->len);
}

static void
assert_unchanged(const struct rewriting *t, const struct before *before)
{
    assert_int_equal(t->p->len, before->len);
    assert_memory_equal(t->p->data, before->data, before->len);
}

static uint16_t
type_at(const struct rewriting *t, unsigned at)
{
    return get_be16(t->p->data + at);
}

/* --- VLAN ------------------------------------------------------------------------------- */

static void
a_first_tag_has_number_and_priority_0(void **state)
{
    struct rewriting *t = *state;

    rewriting_sample(t, SAMPLE_tcp);
    rewriting_do16(t, op_push_vlan, ETH_TYPE_SVLAN);
    assert_int_equal(type_at(t, 12), ETH_TYPE_SVLAN);
    assert_int_equal(type_at(t, 14), 0);
    assert_int_equal(type_at(t, 16), ETH_TYPE_IPV4);
    assert_int_equal(get_be48(t->p->data), TEST_ETH_DST);
    assert_int_equal(get_be48(t->p->data + 6), TEST_ETH_SRC);
    assert_int_equal(rewriting_get(t, FIELD_vlan_vid), VID_PRESENT);
    check_sums(t);
}

static void
another_tag_copies_the_outermost_one(void **state)
{
    struct rewriting *t = *state;

    rewriting_sample(t, SAMPLE_vlan);           /* Its drop-eligible bit is set: not copied. */
    rewriting_do16(t, op_push_vlan, ETH_TYPE_VLAN);
    assert_int_equal(type_at(t, 14), 0xa064);
    assert_int_equal(type_at(t, 16), ETH_TYPE_VLAN);
    assert_int_equal(type_at(t, 18), 0xb064);
}

static void
popping_takes_the_outermost_tag(void **state)
{
    struct rewriting *t = *state;

    rewriting_sample(t, SAMPLE_qinq);
    rewriting_do16(t, op_pop_vlan, 0);
    assert_int_equal(rewriting_get(t, FIELD_vlan_vid), VID_PRESENT | 6);
    rewriting_do16(t, op_pop_vlan, 0);
    assert_int_equal(rewriting_get(t, FIELD_vlan_vid), 0);
    assert_int_equal(type_at(t, 12), ETH_TYPE_IPV4);
    check_sums(t);
}

/* --- MPLS --------------------------------------------------------------------------------- */

static void
a_first_label_takes_the_ttl_of_ip(void **state)
{
    struct rewriting *t = *state;

    rewriting_sample(t, SAMPLE_tcp);
    rewriting_do16(t, op_push_mpls, ETH_TYPE_MPLS);
    assert_int_equal(type_at(t, 12), ETH_TYPE_MPLS);
    assert_int_equal(get_be32(t->p->data + 14), 0x100 | 64);
    rewriting_sample(t, SAMPLE_udp6);
    rewriting_do16(t, op_push_mpls, ETH_TYPE_MPLS_MULTICAST);
    assert_int_equal(get_be32(t->p->data + 14), 0x100 | 63);
    rewriting_sample(t, SAMPLE_arp);
    rewriting_do16(t, op_push_mpls, ETH_TYPE_MPLS);
    assert_int_equal(get_be32(t->p->data + 14), 0x100);
}

static void
another_label_copies_the_outermost_one(void **state)
{
    struct rewriting *t = *state;

    rewriting_sample(t, SAMPLE_mpls);
    rewriting_do16(t, op_push_mpls, ETH_TYPE_MPLS);
    assert_int_equal(get_be32(t->p->data + 14), 0xabcdeu << 12 | 5 << 9 | 61);
    assert_int_equal(get_be32(t->p->data + 18), 0xabcdeu << 12 | 5 << 9 | 61);
}

static void
a_label_goes_behind_the_vlan_tags(void **state)
{
    struct rewriting *t = *state;

    rewriting_sample(t, SAMPLE_qinq);
    rewriting_do16(t, op_push_mpls, ETH_TYPE_MPLS);
    assert_int_equal(type_at(t, 16), ETH_TYPE_VLAN);
    assert_int_equal(type_at(t, 20), ETH_TYPE_MPLS);
    assert_int_equal(get_be32(t->p->data + 22), 0x100 | 64);
    rewriting_set_number(t, FIELD_mpls_tc, 7);  /* In the same list of actions. */
    assert_int_equal(rewriting_get(t, FIELD_mpls_tc), 7);
}

static void
the_type_behind_the_last_label_is_the_actions(void **state)
{
    struct rewriting *t = *state;

    rewriting_sample(t, SAMPLE_mpls);
    rewriting_do16(t, op_pop_mpls, ETH_TYPE_MPLS_MULTICAST);
    assert_int_equal(type_at(t, 12), ETH_TYPE_MPLS_MULTICAST);
    assert_int_equal(get_be32(t->p->data + 14), 2 << 12 | 0x100 | 60);
    rewriting_do16(t, op_pop_mpls, ETH_TYPE_IPV4);
    rewriting_set_number(t, FIELD_tcp_dst, 9999);       /* In the same list of actions. */
    assert_int_equal(rewriting_get(t, FIELD_tcp_dst), 9999);
}

/* --- PBB ------------------------------------------------------------------------------------ */

static void
pbb_puts_the_whole_frame_into_another(void **state)
{
    struct rewriting *t = *state;
    struct before before;

    rewriting_sample(t, SAMPLE_vlan);
    remember(t, &before);
    rewriting_do16(t, op_push_pbb, ETH_TYPE_PBB);
    assert_int_equal(t->p->len, before.len + 18);
    assert_memory_equal(t->p->data, before.data, 12);
    assert_int_equal(type_at(t, 12), ETH_TYPE_PBB);
    assert_int_equal(get_be32(t->p->data + 14), 0xa0000000);    /* The priority of the tag. */
    assert_memory_equal(t->p->data + 18, before.data, before.len);
    rewriting_set_number(t, FIELD_pbb_isid, 0xabcdef);
    rewriting_set_number(t, FIELD_pbb_uca, 1);
    assert_int_equal(get_be32(t->p->data + 14), 0xa8abcdef);
    rewriting_do16(t, op_push_pbb, ETH_TYPE_PBB);
    assert_int_equal(get_be32(t->p->data + 14), 0x00abcdef);
}

static void
the_customers_frame_comes_out_of_pbb(void **state)
{
    struct rewriting *t = *state;
    struct before before;

    rewriting_sample(t, SAMPLE_tcp6);
    remember(t, &before);
    rewriting_do16(t, op_push_pbb, ETH_TYPE_PBB);
    rewriting_set_number(t, FIELD_eth_dst, 0x0a0b0c0d0e0f);
    rewriting_do16(t, op_pop_pbb, 0);
    assert_unchanged(t, &before);
    check_sums(t);
}

static void
a_backbone_tag_is_left_by_pop_pbb(void **state)
{
    struct rewriting *t = *state;
    struct before before;

    rewriting_sample(t, SAMPLE_tcp);
    remember(t, &before);
    rewriting_do16(t, op_push_pbb, ETH_TYPE_PBB);
    rewriting_set_number(t, FIELD_eth_src, 0x0a0b0c0d0e0f);
    rewriting_do16(t, op_push_vlan, ETH_TYPE_SVLAN);
    rewriting_set_number(t, FIELD_vlan_vid, VID_PRESENT | 77);
    rewriting_do16(t, op_pop_pbb, 0);
    assert_int_equal(rewriting_get(t, FIELD_vlan_vid), VID_PRESENT | 77);
    rewriting_do16(t, op_pop_vlan, 0);
    assert_unchanged(t, &before);
}

/* --- Any of them ------------------------------------------------------------------------------ */

/* A push, the pop that takes it back, and what is pushed. */
struct pair {
    op_run *push, *pop;
    uint16_t type;
    uint8_t size;
};

static const struct pair pairs[] = {
    { op_push_vlan, op_pop_vlan, ETH_TYPE_VLAN, 4 },
    { op_push_mpls, op_pop_mpls, ETH_TYPE_MPLS, 4 },
    { op_push_pbb, op_pop_pbb, ETH_TYPE_PBB, 18 },
};

enum { N_PAIRS = sizeof pairs / sizeof *pairs };

static void
a_pop_takes_back_a_push(void **state)
{
    struct rewriting *t = *state;
    struct before before;

    for (unsigned i = 0; i < N_SAMPLES * N_PAIRS; i++) {
        const struct pair *pair = &pairs[i % N_PAIRS];

        rewriting_sample(t, i / N_PAIRS);
        remember(t, &before);

        uint16_t type = type_at(t, t->p->eth_type_at);
        uint16_t headroom = t->p->headroom;

        rewriting_do16(t, pair->push, pair->type);
        assert_int_equal(t->p->headroom, headroom - pair->size);
        rewriting_do16(t, pair->pop, type);
        assert_int_equal(t->p->headroom, headroom);
        assert_unchanged(t, &before);
        packet_refresh(t->p);
        check_layout(t);
    }
}

static void
popping_what_is_not_there_is_no_change(void **state)
{
    struct rewriting *t = *state;
    struct before before;

    rewriting_sample(t, SAMPLE_tcp);
    remember(t, &before);
    for (unsigned i = 0; i < N_PAIRS; i++) {
        rewriting_do16(t, pairs[i].pop, ETH_TYPE_IPV6);
        assert_unchanged(t, &before);
    }
}

static void
a_runt_frame_gets_no_tag(void **state)
{
    struct rewriting *t = *state;
    struct frame f = { .len = 13 };
    struct before before;

    rewriting_receive(t, &f);
    remember(t, &before);
    for (unsigned i = 0; i < N_PAIRS; i++) {
        rewriting_do16(t, pairs[i].push, pairs[i].type);
        rewriting_do16(t, pairs[i].pop, ETH_TYPE_IPV4);
        assert_unchanged(t, &before);
    }
}

static void
without_room_for_a_tag_the_packet_is_dropped(void **state)
{
    struct rewriting *t = *state;

    for (unsigned i = 0; i < N_PAIRS; i++) {
        rewriting_sample(t, SAMPLE_tcp);
        t->p->headroom = pairs[i].size - 1;
        rewriting_do16(t, pairs[i].push, pairs[i].type);
        assert_null(t->p);
        assert_int_equal(atomic_load(&t->worker->totals.drops[DROP_no_room]), i + 1);
    }
}

static void
a_vector_closes_its_gaps(void **state)
{
    struct rewriting *t = *state;
    const struct insn insn = { .op = OP_push_vlan };
    const uint8_t action[8] = { 0, 17, 0, 8, 0x81, 0x00 };
    struct packet *vector[3];
    struct frame f;

    frame_sample(&f, SAMPLE_udp);
    assert_int_equal(pool_get(&t->pool, vector, 3), 3);
    for (unsigned i = 0; i < 3; i++) {
        memcpy(vector[i]->data, f.data, f.len);
        vector[i]->len = (uint32_t)f.len;
        vector[i]->args = action;
    }
    parse_vector(vector, 3);

    struct packet *last = vector[2];

    vector[1]->headroom = 0;
    assert_int_equal(op_push_vlan(t->worker, &insn, vector, 3), 2);
    assert_ptr_equal(vector[1], last);
    packet_free(vector, 2);
}

static void
what_is_left_to_hardware_moves_along(void **state)
{
    struct rewriting *t = *state;

    for (unsigned i = 0; i < N_PAIRS; i++) {
        rewriting_sample(t, SAMPLE_tcp);

        uint16_t start = t->p->l4;

        t->p->offload = (struct offload){
            .flags = OFFLOAD_NEEDS_CSUM, .csum_start = start, .csum_offset = TCP_CSUM,
            .gso_type = OFFLOAD_GSO_TCPV4, .hdr_len = start + TCP_SIZE, .gso_size = 10,
        };
        rewriting_do16(t, pairs[i].push, pairs[i].type);
        assert_int_equal(t->p->offload.csum_start, start + pairs[i].size);
        assert_int_equal(t->p->offload.hdr_len, start + TCP_SIZE + pairs[i].size);
        rewriting_do16(t, pairs[i].pop, ETH_TYPE_IPV4);
        assert_int_equal(t->p->offload.csum_start, start);
        assert_int_equal(t->p->offload.hdr_len, start + TCP_SIZE);
    }
}

/* The same numbers every time. */
static unsigned
next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*seed >> 33);
}

/* check_layout() looks behind every step. */
static void
any_sequence_leaves_the_offsets_as_a_parser_finds_them(void **state)
{
    static const uint16_t types[] = { ETH_TYPE_IPV4, ETH_TYPE_IPV6, ETH_TYPE_MPLS, ETH_TYPE_VLAN,
                                      ETH_TYPE_PBB, ETH_TYPE_ARP, 0x9999 };
    struct rewriting *t = *state;
    uint64_t seed = 1;

    for (unsigned i = 0; i < 20000; i++) {
        if (i % 10 == 0) {
            rewriting_sample(t, next_random(&seed) % N_SAMPLES);
        }

        const struct pair *pair = &pairs[next_random(&seed) % N_PAIRS];
        uint16_t type = types[next_random(&seed) % (sizeof types / sizeof *types)];

        switch (next_random(&seed) % 3) {
        case 0:
            if (t->p->headroom >= pair->size) {
                rewriting_do16(t, pair->push, pair->type);
            }
            break;
        case 1:
            rewriting_do16(t, pair->pop, type);
            break;
        default:
            rewriting_set_number(t, next_random(&seed) % 2 ? FIELD_eth_type : FIELD_ip_proto, type);
        }
    }
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, rewriting_open, rewriting_close)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_first_tag_has_number_and_priority_0),
        TEST(another_tag_copies_the_outermost_one),
        TEST(popping_takes_the_outermost_tag),
        TEST(a_first_label_takes_the_ttl_of_ip),
        TEST(another_label_copies_the_outermost_one),
        TEST(a_label_goes_behind_the_vlan_tags),
        TEST(the_type_behind_the_last_label_is_the_actions),
        TEST(pbb_puts_the_whole_frame_into_another),
        TEST(the_customers_frame_comes_out_of_pbb),
        TEST(a_backbone_tag_is_left_by_pop_pbb),
        TEST(a_pop_takes_back_a_push),
        TEST(popping_what_is_not_there_is_no_change),
        TEST(a_runt_frame_gets_no_tag),
        TEST(without_room_for_a_tag_the_packet_is_dropped),
        TEST(a_vector_closes_its_gaps),
        TEST(what_is_left_to_hardware_moves_along),
        TEST(any_sequence_leaves_the_offsets_as_a_parser_finds_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
