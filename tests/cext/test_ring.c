/* ring.c: records come out whole, in order, across the end of the memory, and between threads. */

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring.h"

enum { SIZE = 4096 };

static int
set_up(void **state)
{
    struct ring *ring = aligned_alloc(64, (sizeof *ring + 63) & ~(size_t)63);

    assert_int_equal(ring_open(ring, SIZE), 0);
    *state = ring;
    return 0;
}

static int
tear_down(void **state)
{
    ring_close(*state);
    free(*state);
    return 0;
}

/* What byte 'i' of record 'number' is. */
static uint8_t
expected(uint32_t number, size_t i)
{
    return (uint8_t)(number * 31 + i);
}

static size_t
length_of(uint32_t number)
{
    return number * 2654435761u >> 16 & 511;
}

static bool
put(struct ring *ring, uint32_t number, size_t n)
{
    uint8_t *room = ring_reserve(ring, n);

    for (size_t i = 0; room && i < n; i++) {
        room[i] = expected(number, i);
    }
    if (room) {
        ring_commit(ring);
    }
    return room;
}

/* Takes the oldest record, which must be 'number'. */
static bool
take(struct ring *ring, uint32_t number)
{
    size_t n;
    const uint8_t *record = ring_peek(ring, &n);

    if (!record) {
        return false;
    }
    assert_int_equal((uintptr_t)record % 8, 0);
    assert_int_equal(n, length_of(number));
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(record[i], expected(number, i));
    }
    ring_consume(ring);
    return true;
}

static void
test_a_new_ring_is_empty(void **state)
{
    size_t n;

    assert_true(ring_empty(*state));
    assert_null(ring_peek(*state, &n));
}

static void
test_the_size_is_rounded_up_to_a_power_of_two(void **state)
{
    struct ring ring;

    (void)state;
    assert_int_equal(ring_open(&ring, 5000), 0);
    assert_int_equal(ring.size, 8192);
    ring_close(&ring);
}

static void
test_records_come_out_in_order_across_the_end(void **state)
{
    uint32_t in = 0, out = 0;

    while (in < 20000) {
        if (put(*state, in, length_of(in))) {
            in++;
        } else {
            assert_true(take(*state, out++));
        }
    }
    while (out < in) {
        assert_true(take(*state, out++));
    }
    assert_true(ring_empty(*state));
}

static void
test_what_is_not_committed_is_not_there(void **state)
{
    size_t n;

    assert_non_null(ring_reserve(*state, 100));
    assert_null(ring_peek(*state, &n));
    assert_true(put(*state, 0, length_of(0)));
    assert_true(take(*state, 0));
    assert_false(take(*state, 1));
}

static void
test_a_record_of_half_the_ring_is_too_long(void **state)
{
    assert_null(ring_reserve(*state, SIZE / 2));
    assert_non_null(ring_reserve(*state, SIZE / 2 - 8));
}

static void
test_a_full_ring_takes_nothing_until_something_is_consumed(void **state)
{
    unsigned n = 0;
    size_t len;

    while (put(*state, n, 24)) {
        n++;
    }
    assert_int_equal(n, SIZE / 32);
    assert_non_null(ring_peek(*state, &len));
    assert_false(put(*state, n, 24));
    ring_consume(*state);
    assert_true(put(*state, n, 24));
}

static void
test_peeking_twice_gives_the_same_record(void **state)
{
    size_t n;

    put(*state, 7, length_of(7));
    assert_ptr_equal(ring_peek(*state, &n), ring_peek(*state, &n));
}

enum { N_THREADED = 200000 };

static void *
produce(void *ring)
{
    for (uint32_t i = 0; i < N_THREADED; i++) {
        while (!put(ring, i, length_of(i))) {
            sched_yield();
        }
    }
    return NULL;
}

static void
test_a_thread_gets_what_another_one_puts(void **state)
{
    pthread_t producer;

    assert_int_equal(pthread_create(&producer, NULL, produce, *state), 0);
    for (uint32_t i = 0; i < N_THREADED;) {
        if (take(*state, i)) {
            i++;
        } else {
            sched_yield();
        }
    }
    pthread_join(producer, NULL);
    assert_true(ring_empty(*state));
}

int
main(void)
{
#define T(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_a_new_ring_is_empty),
        T(test_the_size_is_rounded_up_to_a_power_of_two),
        T(test_records_come_out_in_order_across_the_end),
        T(test_what_is_not_committed_is_not_there),
        T(test_a_record_of_half_the_ring_is_too_long),
        T(test_a_full_ring_takes_nothing_until_something_is_consumed),
        T(test_peeking_twice_gives_the_same_record),
        T(test_a_thread_gets_what_another_one_puts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
