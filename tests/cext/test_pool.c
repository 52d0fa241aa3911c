/* Where packets come from and go back to. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pool.h"

enum { SLOTS = 40 };

static int
open_small(void **state)
{
    static struct pool pool;

    *state = &pool;
    return pool_open(&pool, SLOTS, PACKET_SMALL);
}

static int
close_pool(void **state)
{
    pool_close(*state);
    return 0;
}

static void
a_new_packet_is_empty(void **state)
{
    struct pool *pool = *state;
    struct packet *p;

    assert_int_equal(pool_get(pool, &p, 1), 1);
    assert_int_equal(p->len, 0);
    assert_int_equal(p->headroom, PACKET_HEADROOM);
    assert_int_equal(p->tailroom, PACKET_SMALL);
    assert_int_equal(p->l2_5, NO_OFFSET);
    assert_int_equal(p->l3, NO_OFFSET);
    assert_int_equal(p->l4, NO_OFFSET);
    assert_int_equal(p->eth_type_at, NO_OFFSET);
    assert_int_equal(p->offload.flags, 0);
    assert_int_equal(p->offload.gso_type, 0);
    assert_ptr_equal(p->pool, pool);
    packet_free(&p, 1);
}

static void
a_packet_that_was_used_is_new_again(void **state)
{
    struct packet *p;
    struct walk *walk;

    assert_int_equal(pool_get(*state, &p, 1), 1);
    p->offload.flags = 1;
    p->in_port = p->out_queue = p->copied = p->stale = 1;
    p->l3 = 14;
    walk = packet_walk(p);
    walk->n_blocks = walk->table = walk->depth = 3;
    walk->flow_hash = 9;
    packet_set_len(p, 100);
    packet_pull(p, 10);
    packet_free(&p, 1);

    struct packet *again;

    assert_int_equal(pool_get(*state, &again, 1), 1);
    assert_ptr_equal(again, p);
    assert_int_equal(p->len, 0);
    assert_int_equal(p->headroom, PACKET_HEADROOM);
    assert_int_equal(p->l3, NO_OFFSET);
    assert_false(p->in_port || p->out_queue || p->copied || p->stale || p->offload.flags);
    assert_false(walk->n_blocks || walk->table || walk->depth);
    assert_false(walk->flow || walk->flow_hash || walk->bridge);
    packet_free(&p, 1);
}

static void
a_pool_gives_what_it_has_and_then_nothing(void **state)
{
    struct packet *packets[SLOTS + 5], *more;

    assert_int_equal(pool_get(*state, packets, 30), 30);
    assert_int_equal(pool_get(*state, packets + 30, 15), SLOTS - 30);
    assert_int_equal(pool_get(*state, &more, 1), 0);
    packet_free(packets, 1);
    assert_int_equal(pool_get(*state, &more, 1), 1);
    packet_free(packets + 1, SLOTS - 1);
    packet_free(&more, 1);
    assert_int_equal(((struct pool *)*state)->n_free, SLOTS);
}

static void
packets_do_not_overlap(void **state)
{
    struct packet *packets[SLOTS];

    assert_int_equal(pool_get(*state, packets, SLOTS), SLOTS);
    for (unsigned i = 0; i < SLOTS; i++) {
        memset(packet_walk(packets[i]), 0xff, sizeof(struct walk));
        memset(packets[i]->data - PACKET_HEADROOM, (int)i, PACKET_HEADROOM + PACKET_SMALL);
        packets[i]->in_port = i;
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        assert_int_equal(packets[i]->in_port, i);
        assert_int_equal(packets[i]->len, 0);
        assert_int_equal(packets[i]->data[-PACKET_HEADROOM], i);
        assert_int_equal(packets[i]->data[PACKET_SMALL - 1], i);
        assert_int_equal(packet_walk(packets[i])->table, 0xff);
    }
    packet_free(packets, SLOTS);
}

static void
slots_lie_an_odd_number_of_cache_lines_apart(void **state)
{
    struct pool *pool = *state;
    struct packet *packets[2];

    assert_int_equal(pool->stride % 64, 0);
    assert_int_equal(pool->stride / 64 % 2, 1);
    assert_int_equal(pool_get(pool, packets, 2), 2);
    assert_int_equal((uint8_t *)packets[1] - (uint8_t *)packets[0], pool->stride);
    assert_int_equal((uintptr_t)packets[0] % 64, 0);
    assert_int_equal((uintptr_t)packets[1]->data % 64, 0);
    packet_free(packets, 2);
}

static void
the_front_grows_into_the_headroom_and_no_further(void **state)
{
    struct packet *p;

    assert_int_equal(pool_get(*state, &p, 1), 1);
    packet_set_len(p, 60);
    uint8_t *data = p->data;

    assert_true(packet_push(p, PACKET_HEADROOM - 4));
    assert_false(packet_push(p, 5));
    assert_ptr_equal(p->data, data - PACKET_HEADROOM + 4);
    assert_int_equal(p->len, 60 + PACKET_HEADROOM - 4);
    assert_int_equal(p->headroom, 4);
    packet_pull(p, PACKET_HEADROOM - 4 + 14);
    assert_ptr_equal(p->data, data + 14);
    assert_int_equal(p->len, 46);
    assert_int_equal(p->headroom, PACKET_HEADROOM + 14);
    packet_free(&p, 1);
}

static void
the_length_leaves_the_rest_as_tailroom(void **state)
{
    struct packet *p;

    assert_int_equal(pool_get(*state, &p, 1), 1);
    packet_set_len(p, 100);
    assert_int_equal(p->tailroom, PACKET_SMALL - 100);
    packet_pull(p, 14);
    packet_set_len(p, PACKET_SMALL - 14);
    assert_int_equal(p->tailroom, 0);
    packet_free(&p, 1);
}

static void
packets_go_back_to_their_own_pool(void **state)
{
    struct pool *small = *state, large;
    struct packet *packets[4];

    assert_int_equal(pool_open(&large, 2, PACKET_LARGE), 0);
    assert_int_equal(pool_get(&large, packets, 3), 2);
    assert_int_equal(pool_get(small, packets + 2, 2), 2);
    assert_int_equal(packets[0]->tailroom, 65535);
    packets[0]->data[PACKET_LARGE - 1] = 1;
    packet_set_len(packets[0], PACKET_LARGE);
    assert_int_equal(packets[0]->tailroom, 0);
    packet_free(packets, 4);
    assert_int_equal(large.n_free, 2);
    assert_int_equal(small->n_free, SLOTS);
    pool_close(&large);
}

static void
a_big_pool_opens_and_closes(void **state)
{
    struct pool pool;
    struct packet *p;

    (void)state;
    assert_int_equal(pool_open(&pool, 8192, PACKET_SMALL), 0);
    assert_int_equal((uintptr_t)pool.memory % (2 << 20), 0);
    assert_int_equal(pool_get(&pool, &p, 1), 1);
    memset(p->data, 1, PACKET_SMALL);
    pool_close(&pool);
    assert_null(pool.memory);
    pool_close(&pool);
}

/* What a lender has: a packet with its walk, and a frame somewhere else. */
struct loan {
    struct packet packet;
    struct walk walk;
    uint8_t frame[64];
};

static void
a_lent_packet_is_new_and_lies_where_it_was(void **state)
{
    struct loan *loan = aligned_alloc(64, (sizeof *loan + 63) / 64 * 64);
    struct pool pool;

    (void)state;
    memset(loan, 0, sizeof *loan);
    assert_int_equal(pool_open_lent(&pool, 4, loan), 0);
    loan->packet.in_port = loan->packet.stale = 1;
    loan->walk.depth = loan->walk.n_blocks = 1;
    packet_lent(&loan->packet, &pool, loan->frame + 8, 40, 8, 16);
    assert_ptr_equal(loan->packet.data, loan->frame + 8);
    assert_int_equal(loan->packet.len, 40);
    assert_int_equal(loan->packet.headroom, 8);
    assert_int_equal(loan->packet.tailroom, 16);
    assert_int_equal(loan->packet.l3, NO_OFFSET);
    assert_int_equal(loan->packet.in_port + loan->packet.stale, 0);
    assert_int_equal(loan->walk.depth + loan->walk.n_blocks, 0);
    assert_ptr_equal(loan->packet.pool->lender, loan);
    pool_close(&pool);
    free(loan);
}

static void
a_lent_packet_that_is_freed_is_there_for_its_lender(void **state)
{
    struct loan *loan = aligned_alloc(64, (sizeof *loan + 63) / 64 * 64);
    struct packet *packet = &loan->packet;
    struct pool pool;

    (void)state;
    memset(loan, 0, sizeof *loan);
    assert_int_equal(pool_open_lent(&pool, 4, loan), 0);
    pool.n_free--;
    packet_lent(packet, &pool, loan->frame, sizeof loan->frame, 0, 0);
    packet_free(&packet, 1);
    assert_int_equal(pool.n_free, 4);
    assert_ptr_equal(pool.free[3], packet);
    pool_close(&pool);
    free(loan);
}

static void
an_empty_pool_has_nothing(void **state)
{
    struct pool pool;
    struct packet *p;

    (void)state;
    assert_int_equal(pool_open(&pool, 0, PACKET_SMALL), 0);
    assert_int_equal(pool_get(&pool, &p, 1), 0);
    pool_close(&pool);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_packet_is_empty),
        cmocka_unit_test(a_packet_that_was_used_is_new_again),
        cmocka_unit_test(a_pool_gives_what_it_has_and_then_nothing),
        cmocka_unit_test(packets_do_not_overlap),
        cmocka_unit_test(slots_lie_an_odd_number_of_cache_lines_apart),
        cmocka_unit_test(the_front_grows_into_the_headroom_and_no_further),
        cmocka_unit_test(the_length_leaves_the_rest_as_tailroom),
        cmocka_unit_test(packets_go_back_to_their_own_pool),
        cmocka_unit_test(a_big_pool_opens_and_closes),
        cmocka_unit_test(a_lent_packet_is_new_and_lies_where_it_was),
        cmocka_unit_test(a_lent_packet_that_is_freed_is_there_for_its_lender),
        cmocka_unit_test(an_empty_pool_has_nothing),
    };

    return cmocka_run_group_tests(tests, open_small, close_pool);
}
