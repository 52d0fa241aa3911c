/* queue.c: rates, guarantees, priorities and limits under a clock that the test moves. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "pool.h"
#include "queue.h"

enum { PACKETS = 2048, STEP_NS = 100000, SECOND = 1000000000 };

struct fixture {
    struct pool pool;
    struct queue_set *set;
    uint64_t now;               /* ns. */
    uint64_t n_refused;
};

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_int_equal(pool_open(&f->pool, PACKETS, PACKET_SMALL), 0);
    f->now = SECOND;
    *state = f;
    return 0;
}

/* Lets go of what waits in queues that are gone, and of them. */
static void
free_queues(struct queue *queue)
{
    struct packet *packets[PACKET_VECTOR];

    while (queue) {
        struct queue *next = queue->next;
        unsigned n;
        while ((n = queue_drain(queue, packets, PACKET_VECTOR))) {
            packet_free(packets, n);
        }
        free(queue);
        queue = next;
    }
}

/* Every packet must be back in its pool. */
static int
tear_down(void **state)
{
    struct fixture *f = *state;

    free_queues(queue_set_left(f->set, NULL));
    free(f->set);
    assert_int_equal(f->pool.n_free, PACKETS);
    pool_close(&f->pool);
    free(f);
    return 0;
}

static void
configure(struct fixture *f, uint64_t rate, const struct queue_config *configs, unsigned n)
{
    struct queue_set *new = queue_set_new(f->set, configs, n, rate, f->now / 1000000);

    assert_non_null(new);
    free_queues(queue_set_left(f->set, new));
    free(f->set);
    f->set = new;
}

#define CONFIGURE(RATE, ...)                                                        \
    do {                                                                            \
        const struct queue_config configs_[] = { __VA_ARGS__ };                     \
        configure(f, RATE, configs_, sizeof configs_ / sizeof configs_[0]);         \
    } while (0)

static bool
put(struct fixture *f, unsigned id, uint32_t size)
{
    struct packet *packet;

    assert_int_equal(pool_get(&f->pool, &packet, 1), 1);
    packet_set_len(packet, size);
    packet->out_queue = id;
    if (queue_put(f->set, packet)) {
        return true;
    }
    packet_free(&packet, 1);
    f->n_refused++;
    return false;
}

static const struct queue *
queue(const struct fixture *f, unsigned id)
{
    return queue_set_find(f->set, id)->queue;
}

/* Keeps every queue of 'ids' filled for a while; what leaves is in their counters. */
static void
run(struct fixture *f, uint64_t ns, uint32_t size, const unsigned *ids, unsigned n_ids)
{
    struct packet *packets[PACKET_VECTOR];

    for (uint64_t end = f->now + ns; f->now < end; f->now += STEP_NS) {
        for (unsigned i = 0; i < n_ids; i++) {
            while (queue(f, ids[i])->n < 64) {
                assert_true(put(f, ids[i], size));
            }
        }
        packet_free(packets, queue_take(f->set, f->now, packets, PACKET_VECTOR));
    }
}

#define RUN(NS, SIZE, ...)                                                          \
    do {                                                                            \
        const unsigned ids_[] = { __VA_ARGS__ };                                    \
        run(f, NS, SIZE, ids_, sizeof ids_ / sizeof ids_[0]);                       \
    } while (0)

/* That a queue sent 'rate' bit/s for 'ns', within 1 in 'tolerance'. */
static void
check_rate(const struct fixture *f, unsigned id, uint64_t before, uint64_t rate, uint64_t ns,
           unsigned tolerance)
{
    uint64_t sent = queue(f, id)->tx_bytes - before;
    uint64_t wanted = (unsigned __int128) rate * ns / SECOND / 8;

    assert_in_range(sent, wanted - wanted / tolerance, wanted + wanted / tolerance);
}

/* F6: within 5 percent, from the first second on, whatever the rate and the size of frames. */
static void
test_a_queue_keeps_to_its_ceiling(void **state)
{
    struct fixture *f = *state;
    const uint64_t rates[] = { 500000, 10000000, 123456789, 1000000000 };
    const uint32_t sizes[] = { 64, 1514 };

    for (unsigned i = 0; i < 8; i++) {
        uint64_t rate = rates[i / 2];
        if (rate > 50000000 && sizes[i % 2] == 64) {
            continue;           /* More frames a step than one vector. */
        }
        uint64_t before = f->set ? queue(f, 1)->tx_bytes : 0;
        CONFIGURE(0, { .id = 1, .max_rate = rate });
        RUN(SECOND, sizes[i % 2], 1);
        check_rate(f, 1, before, rate, SECOND, 20);
    }
}

static void
test_a_frame_that_is_to_be_segmented_counts_as_its_segments_will(void **state)
{
    struct fixture *f = *state;
    struct packet *packet;

    assert_int_equal(pool_get(&f->pool, &packet, 1), 1);
    packet_set_len(packet, 54 + 10 * 100 + 1);
    assert_int_equal(queue_wire_size(packet), 1055);
    packet->offload = (struct offload) { .gso_type = 1, .hdr_len = 54, .gso_size = 100 };
    assert_int_equal(queue_wire_size(packet), 1055 + 10 * 54);
    packet_free(&packet, 1);
}

static void
test_the_higher_priority_goes_first_and_the_lower_gets_what_it_leaves(void **state)
{
    struct fixture *f = *state;

    CONFIGURE(100000000, { .id = 1, .priority = 1 },
              { .id = 2, .priority = 2, .max_rate = 70000000 });
    RUN(SECOND, 1000, 1, 2);
    check_rate(f, 2, 0, 70000000, SECOND, 20);
    check_rate(f, 1, 0, 30000000, SECOND, 20);
    CONFIGURE(100000000, { .id = 1, .priority = 1 }, { .id = 2, .priority = 2 });
    uint64_t before = queue(f, 1)->tx_bytes;
    RUN(SECOND, 1000, 1, 2);
    assert_int_equal(queue(f, 1)->tx_bytes, before);
}

static void
test_a_guaranteed_rate_goes_before_a_higher_priority(void **state)
{
    struct fixture *f = *state;

    CONFIGURE(100000000, { .id = 1, .priority = 0, .min_rate = 20000000 },
              { .id = 2, .priority = 7 });
    RUN(SECOND, 1000, 1, 2);
    check_rate(f, 1, 0, 20000000, SECOND, 20);
    check_rate(f, 2, 0, 80000000, SECOND, 20);
}

/* Borrowing is no debt: who had all of the port gets its guarantee at once when others come. */
static void
test_what_a_queue_borrowed_does_not_count_against_its_guarantee(void **state)
{
    struct fixture *f = *state;

    CONFIGURE(100000000, { .id = 1, .priority = 0, .min_rate = 20000000 },
              { .id = 2, .priority = 7 });
    RUN(SECOND, 1000, 1);
    check_rate(f, 1, 0, 100000000, SECOND, 20);
    uint64_t before = queue(f, 1)->tx_bytes;
    RUN(SECOND, 1000, 1, 2);
    check_rate(f, 1, before, 20000000, SECOND, 10);
}

static void
test_equals_share_by_bytes_also_after_one_of_them_was_silent(void **state)
{
    struct fixture *f = *state;

    CONFIGURE(40000000, { .id = 1 }, { .id = 2 });
    RUN(SECOND, 1000, 1);
    uint64_t first = queue(f, 1)->tx_bytes;
    RUN(SECOND, 1000, 1, 2);
    check_rate(f, 1, first, 20000000, SECOND, 20);
    check_rate(f, 2, 0, 20000000, SECOND, 20);
}

static void
test_after_a_pause_a_queue_sends_its_burst_and_no_more(void **state)
{
    struct fixture *f = *state;

    CONFIGURE(0, { .id = 1, .max_rate = 8000000, .burst = 20000 });
    RUN(SECOND, 500, 1);
    f->now += 10 * (uint64_t) SECOND;
    uint64_t before = queue(f, 1)->tx_bytes;
    RUN(STEP_NS, 500, 1);
    /* What waited, at most 64 frames, is more than the burst. */
    assert_in_range(queue(f, 1)->tx_bytes - before, 20000, 20500);
}

/* What is put comes out or is counted, and a full queue takes nothing from the others. */
static void
test_a_full_queue_refuses_and_counts_and_others_go_on(void **state)
{
    struct fixture *f = *state;
    struct packet *packets[PACKET_VECTOR];

    CONFIGURE(0, { .id = 1, .max_rate = 1000, .limit = 10000 }, { .id = 2, .priority = 1 });
    assert_int_equal(queue_take(f->set, f->now, packets, PACKET_VECTOR), 0);
    for (unsigned i = 0; i < 30; i++) {
        assert_int_equal(put(f, 1, 1000), i < 10);
        assert_true(put(f, 2, 1000));
    }
    f->now += 1000;
    unsigned n = queue_take(f->set, f->now, packets, PACKET_VECTOR);
    assert_int_equal(n, 31);            /* All of queue 2, one of queue 1. */
    packet_free(packets, n);
    assert_int_equal(queue(f, 1)->tx_errors, 20);
    assert_int_equal(queue(f, 1)->tx_packets + queue(f, 1)->n + queue(f, 1)->tx_errors, 30);
    assert_int_equal(queue(f, 2)->tx_packets, 30);
    assert_int_equal(queue(f, 2)->tx_errors, 0);
}

static void
test_a_queue_leaves_packets_in_the_pool(void **state)
{
    struct fixture *f = *state;
    unsigned n = 0;

    CONFIGURE(0, { .id = 1, .max_rate = 1000 }, { .id = 2, .max_rate = 1000 });
    while (put(f, 1, 64)) {
        n++;
    }
    assert_int_equal(n, PACKETS / 2);
    while (put(f, 2, 64)) {
        n++;
    }
    assert_in_range(f->pool.n_free, PACKETS / 8, PACKETS / 3);
    assert_int_equal(n + f->pool.n_free, PACKETS);
}

static void
test_a_number_that_is_not_there_means_queue_0(void **state)
{
    struct fixture *f = *state;

    CONFIGURE(0, { .id = 5, .max_rate = 1000 });
    assert_true(f->set->has_default);
    assert_true(put(f, 6, 100));
    assert_int_equal(queue(f, 0)->n, 1);
    CONFIGURE(0, { .id = 5, .max_rate = 1000 }, { .id = 0, .max_rate = 1000 });
    assert_false(f->set->has_default);
    assert_int_equal(f->set->n, 2);
    assert_int_equal(queue(f, 0)->n, 1);        /* It is the same queue, configured now. */
}

static void
test_many_queues_are_found_by_their_numbers(void **state)
{
    struct fixture *f = *state;
    struct queue_config configs[QUEUES_MAX];

    for (unsigned i = 0; i < QUEUES_MAX; i++) {
        configs[i] = (struct queue_config) { .id = 7 + i * QUEUE_SLOTS, .priority = i % 3 };
    }
    configure(f, 0, configs, QUEUES_MAX);
    for (unsigned i = 0; i < QUEUES_MAX; i++) {
        assert_int_equal(queue_set_find(f->set, configs[i].id)->config.id, configs[i].id);
        assert_null(queue_set_find(f->set, 8 + i * QUEUE_SLOTS));
    }
    for (unsigned i = 1; i < f->set->n; i++) {
        assert_true(f->set->rows[i - 1].config.priority >= f->set->rows[i].config.priority);
    }
}

/* A change leaves the packets, counters and order of the queues that stay alone. */
static void
test_a_change_keeps_what_waits_in_queues_that_stay(void **state)
{
    struct fixture *f = *state;
    struct packet *packets[PACKET_VECTOR];

    CONFIGURE(0, { .id = 1, .max_rate = 1000 }, { .id = 2, .max_rate = 1000 });
    for (unsigned i = 0; i < 20; i++) {
        assert_true(put(f, 1, 100 + i));
        assert_true(put(f, 2, 100));
    }
    const struct queue *kept = queue(f, 1);
    CONFIGURE(0, { .id = 3 }, { .id = 1, .max_rate = 1000000000, .priority = 3 });
    assert_ptr_equal(queue(f, 1), kept);
    assert_null(queue_set_find(f->set, 2));
    assert_int_equal(kept->n, 20);
    assert_int_equal(queue_take(f->set, f->now, packets, PACKET_VECTOR), 0);
    f->now += SECOND;
    assert_int_equal(queue_take(f->set, f->now, packets, PACKET_VECTOR), 20);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(packets[i]->len, 100 + i);
    }
    packet_free(packets, 20);
}

/* A worker that sleeps until queue_next() neither comes too early nor misses the rate. */
static void
test_who_comes_when_told_keeps_the_rate(void **state)
{
    struct fixture *f = *state;
    struct packet *packets[PACKET_VECTOR];
    uint64_t end, n_visits = 0;

    CONFIGURE(0, { .id = 1, .max_rate = 12000000 }, { .id = 2, .max_rate = 6000000 });
    assert_int_equal(queue_next(f->set, f->now), UINT64_MAX);
    for (end = f->now + SECOND; f->now < end; n_visits++) {
        while (queue(f, 1)->n < 8 && put(f, 1, 1500)) {
            continue;
        }
        while (queue(f, 2)->n < 8 && put(f, 2, 1500)) {
            continue;
        }
        unsigned n = queue_take(f->set, f->now, packets, PACKET_VECTOR);
        assert_true(n || n_visits == 0);
        packet_free(packets, n);
        assert_true(queue_next(f->set, f->now) > f->now);
        f->now = queue_next(f->set, f->now);
    }
    check_rate(f, 1, 0, 12000000, SECOND, 50);
    check_rate(f, 2, 0, 6000000, SECOND, 50);
    assert_in_range(n_visits, 900, 1600);
}

static void
test_a_port_without_a_rate_holds_nothing_back(void **state)
{
    struct fixture *f = *state;
    struct packet *packets[PACKET_VECTOR];

    CONFIGURE(0, { .id = 1 });
    for (unsigned i = 0; i < PACKET_VECTOR; i++) {
        assert_true(put(f, i % 2, 1514));
    }
    assert_int_equal(queue_next(f->set, f->now), f->now);
    assert_int_equal(queue_take(f->set, f->now, packets, PACKET_VECTOR), PACKET_VECTOR);
    packet_free(packets, PACKET_VECTOR);
    assert_int_equal(queue_next(f->set, f->now), UINT64_MAX);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_queue_keeps_to_its_ceiling),
        TEST(test_a_frame_that_is_to_be_segmented_counts_as_its_segments_will),
        TEST(test_the_higher_priority_goes_first_and_the_lower_gets_what_it_leaves),
        TEST(test_a_guaranteed_rate_goes_before_a_higher_priority),
        TEST(test_what_a_queue_borrowed_does_not_count_against_its_guarantee),
        TEST(test_equals_share_by_bytes_also_after_one_of_them_was_silent),
        TEST(test_after_a_pause_a_queue_sends_its_burst_and_no_more),
        TEST(test_a_full_queue_refuses_and_counts_and_others_go_on),
        TEST(test_a_queue_leaves_packets_in_the_pool),
        TEST(test_a_number_that_is_not_there_means_queue_0),
        TEST(test_many_queues_are_found_by_their_numbers),
        TEST(test_a_change_keeps_what_waits_in_queues_that_stay),
        TEST(test_who_comes_when_told_keeps_the_rate),
        TEST(test_a_port_without_a_rate_holds_nothing_back),
    };

    return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
