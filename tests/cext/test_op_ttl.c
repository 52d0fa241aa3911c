/* Times to live: set, counted down, copied in and out. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "rewriting.h"

static unsigned
ip_ttl(const struct rewriting *t)
{
    const uint8_t *ip = t->p->data + t->p->l3;

    return ip[0] >> 4 == 4 ? ip[8] : ip[7];
}

static void
the_ip_ttl_is_set_and_counted_down(void **state)
{
    struct rewriting *t = *state;

    for (unsigned i = 0; i < 2; i++) {
        rewriting_sample(t, i ? SAMPLE_udp6 : SAMPLE_udp);
        rewriting_do8(t, op_set_nw_ttl, 200);
        assert_int_equal(ip_ttl(t), 200);
        check_sums(t);
        rewriting_do8(t, op_dec_nw_ttl, 0);
        rewriting_do8(t, op_dec_nw_ttl, 0);
        assert_int_equal(ip_ttl(t), 198);
        assert_true(t->p->stale);
        check_sums(t);
    }
}

static void
the_mpls_ttl_is_set_and_counted_down(void **state)
{
    struct rewriting *t = *state;

    rewriting_sample(t, SAMPLE_mpls);
    rewriting_do8(t, op_set_mpls_ttl, 5);
    assert_int_equal(t->p->data[17], 5);
    rewriting_do8(t, op_dec_mpls_ttl, 0);
    assert_int_equal(get_be32(t->p->data + 14), 0xabcdeu << 12 | 5 << 9 | 4);
    assert_int_equal(t->p->data[21], 60);
}

static void
packets_without_the_header_pass_unchanged(void **state)
{
    static op_run *const mpls[] = { op_set_mpls_ttl, op_dec_mpls_ttl, op_copy_ttl_out,
                                    op_copy_ttl_in };
    static op_run *const ip[] = { op_set_nw_ttl, op_dec_nw_ttl, op_copy_ttl_out, op_copy_ttl_in };
    struct rewriting *t = *state;
    uint8_t before[4096];

    for (unsigned i = 0; i < 8; i++) {
        rewriting_sample(t, i % 2 ? SAMPLE_arp : SAMPLE_pbb);
        memcpy(before, t->p->data, t->p->len);
        rewriting_do8(t, i < 4 ? mpls[i] : ip[i - 4], 9);
        assert_non_null(t->p);
        assert_memory_equal(before, t->p->data, t->p->len);
    }
}

/* The packet went to the controller with that reason. */
static void
assert_punted(struct rewriting *t, unsigned n)
{
    size_t size;
    const struct punt *punt = ring_peek(&t->worker->punts, &size);

    assert_null(t->p);
    assert_non_null(punt);
    assert_int_equal(punt->reason, PUNT_INVALID_TTL);
    ring_consume(&t->worker->punts);
    assert_int_equal(atomic_load(&t->worker->totals.punted), n);
}

static void
a_ttl_that_runs_out_goes_to_the_controller(void **state)
{
    struct rewriting *t = *state;
    unsigned n = 0;

    for (unsigned ttl = 0; ttl <= 1; ttl++) {
        rewriting_sample(t, SAMPLE_tcp);
        rewriting_do8(t, op_set_nw_ttl, ttl);
        rewriting_do8(t, op_dec_nw_ttl, 0);
        assert_punted(t, ++n);

        rewriting_sample(t, SAMPLE_mpls);
        rewriting_do8(t, op_set_mpls_ttl, ttl);
        rewriting_do8(t, op_dec_mpls_ttl, 0);
        assert_punted(t, ++n);
    }
}

static void
a_ttl_is_copied_between_labels(void **state)
{
    struct rewriting *t = *state;

    rewriting_sample(t, SAMPLE_mpls);
    rewriting_do8(t, op_copy_ttl_in, 0);
    assert_int_equal(t->p->data[21], 61);
    rewriting_sample(t, SAMPLE_mpls);
    rewriting_do8(t, op_copy_ttl_out, 0);
    assert_int_equal(t->p->data[17], 60);
}

static void
a_ttl_is_copied_between_a_label_and_ip(void **state)
{
    struct rewriting *t = *state;

    for (unsigned i = 0; i < 2; i++) {
        rewriting_sample(t, i ? SAMPLE_tcp6 : SAMPLE_tcp);
        rewriting_do16(t, op_push_mpls, ETH_TYPE_MPLS);
        rewriting_do8(t, op_set_mpls_ttl, 33);
        rewriting_do8(t, op_copy_ttl_in, 0);
        rewriting_do16(t, op_pop_mpls, i ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4);
        packet_refresh(t->p);
        assert_int_equal(ip_ttl(t), 33);
        check_sums(t);

        rewriting_do16(t, op_push_mpls, ETH_TYPE_MPLS);
        rewriting_do8(t, op_set_mpls_ttl, 1);
        rewriting_do8(t, op_copy_ttl_out, 0);
        assert_int_equal(t->p->data[17], 33);
    }
}

/* A label over the first 'len' bytes of an IP packet, whose first byte is made 'first'. */
static void
receive_label(struct rewriting *t, enum sample sample, size_t len, uint8_t first)
{
    struct frame inner, f;

    frame_sample(&inner, sample);
    frame_eth(&f, ETH_TYPE_MPLS);
    frame_mpls(&f, 1, 0, 1, 7);
    frame_add(&f, inner.data + ETH_SIZE, len);
    if (len) {
        f.data[ETH_SIZE + MPLS_SIZE] = first;
    }
    rewriting_receive(t, &f);
}

static void
nothing_is_copied_where_no_ip_header_is_whole(void **state)
{
    static const struct {
        enum sample sample;
        uint8_t len, first;
    } cases[] = {
        { SAMPLE_tcp, 0, 0 },       { SAMPLE_tcp, 19, 0x45 },  { SAMPLE_tcp, 59, 0x45 },
        { SAMPLE_tcp, 60, 0x44 },   { SAMPLE_tcp, 60, 0x55 },  { SAMPLE_tcp6, 39, 0x60 },
        { SAMPLE_tcp6, 79, 0x60 },  { SAMPLE_tcp6, 20, 0x60 }, { SAMPLE_tcp, 60, 0x65 },
    };
    struct rewriting *t = *state;
    uint8_t before[4096];

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        receive_label(t, cases[i].sample, cases[i].len, cases[i].first);
        memcpy(before, t->p->data, t->p->len);
        rewriting_do8(t, op_copy_ttl_out, 0);
        rewriting_do8(t, op_copy_ttl_in, 0);
        assert_memory_equal(before, t->p->data, t->p->len);
    }
    receive_label(t, SAMPLE_tcp, 60, 0x45);
    rewriting_do8(t, op_copy_ttl_out, 0);
    assert_int_equal(t->p->data[17], 64);
}

static void
a_last_shim_without_the_bottom_bit_has_nothing_behind_it(void **state)
{
    struct rewriting *t = *state;
    struct frame f;

    frame_eth(&f, ETH_TYPE_MPLS);
    frame_mpls(&f, 1, 0, 0, 7);
    frame_payload(&f, 3);
    rewriting_receive(t, &f);
    rewriting_do8(t, op_copy_ttl_out, 0);
    rewriting_do8(t, op_copy_ttl_in, 0);
    assert_memory_equal(t->p->data, f.data, f.len);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, rewriting_open, rewriting_close)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_ip_ttl_is_set_and_counted_down),
        TEST(the_mpls_ttl_is_set_and_counted_down),
        TEST(packets_without_the_header_pass_unchanged),
        TEST(a_ttl_that_runs_out_goes_to_the_controller),
        TEST(a_ttl_is_copied_between_labels),
        TEST(a_ttl_is_copied_between_a_label_and_ip),
        TEST(nothing_is_copied_where_no_ip_header_is_whole),
        TEST(a_last_shim_without_the_bottom_bit_has_nothing_behind_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
