/* bridge_lane.c: ports with several queues, each served by a worker, and lanes that change hands while
 * packets pass (F3). */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "threads.h"

enum { WIDE = 9, N_LANES = 3 };         /* A port of three queues beside the usual four ports. */

/* Queues 0 and 2 are worker 0's, queue 1 is worker 1's. */
static const unsigned lane_workers[N_LANES] = { 0, 1, 0 };

struct lanes {
    struct threads *t;
    struct port ports[N_LANES];
    struct attachment *at;
};

static int
set_up(void **state)
{
    struct lanes *lanes = calloc(1, sizeof *lanes);
    struct lane_config configs[N_LANES];

    lanes->t = threads_new();
    for (unsigned i = 0; i < N_LANES; i++) {
        threads_open_queue(&lanes->ports[i], WIDE);
        configs[i] = (struct lane_config) { &lanes->ports[i], lane_workers[i] };
    }
    CHECK(!bridge_attach_lanes(lanes->t->bridge, configs, N_LANES, WIDE,
                               &(const struct joining) { 0 }, lanes->t->now, &lanes->at));
    *state = lanes;
    return 0;
}

static int
tear_down(void **state)
{
    struct lanes *lanes = *state;

    while (!threads_idle(lanes->t)) {
        sched_yield();
    }
    bridge_detach(lanes->t->bridge, lanes->at);
    for (unsigned i = 0; i < N_LANES; i++) {
        lanes->ports[i].ops->close(&lanes->ports[i]);
    }
    threads_free(lanes->t);
    free(lanes);
    return 0;
}

#define LANES struct lanes *lanes = *state; struct threads *t = lanes->t
#define assert_done(RESULT) assert_int_equal(RESULT, OFWIRE_OK)

static struct frame
numbered(uint32_t number)
{
    struct frame frame;

    frame_sample(&frame, SAMPLE_udp);
    put_be32(frame.data + 44, number);
    return frame;
}

/* Puts a frame on a queue of the wide port. */
static void
put_wide(struct lanes *lanes, unsigned queue, const struct frame *frame)
{
    while (port_memory_put(&lanes->ports[queue], frame->data, frame->len, NULL)) {
        sched_yield();
    }
}

/* Waits for the next frame that leaves by a queue of the wide port; returns its number. */
static uint32_t
take_wide(struct lanes *lanes, unsigned queue)
{
    struct frame frame;

    while (!port_memory_take(&lanes->ports[queue], frame.data, sizeof frame.data, NULL)) {
        sched_yield();
    }
    return get_be32(frame.data + 44);
}

static void
test_every_queue_is_received_from(void **state)
{
    LANES;
    struct frame out;

    assert_done(THREADS_FLOW(.output = { 1 }));
    for (uint32_t i = 0; i < N_LANES; i++) {
        struct frame in = numbered(i);
        put_wide(lanes, i, &in);
        threads_take(t, 1, &out);
        assert_int_equal(get_be32(out.data + 44), i);
    }
    assert_int_equal(atomic_load(&t->workers[0]->totals.received), 2);
    assert_int_equal(atomic_load(&t->workers[1]->totals.received), 1);
}

static void
test_a_worker_sends_by_a_lane_of_its_own(void **state)
{
    LANES;
    struct frame in = numbered(7);

    assert_done(THREADS_FLOW(.output = { WIDE }));
    threads_put(t, 1, &in);                             /* Worker 0. */
    assert_int_equal(take_wide(lanes, 0), 7);
    threads_put(t, 3, &in);                             /* Worker 1. */
    assert_int_equal(take_wide(lanes, 1), 7);
}

static void
test_a_worker_without_a_lane_hands_over_to_one_that_has(void **state)
{
    LANES;
    struct frame in = numbered(7);

    assert_done(THREADS_FLOW(.output = { WIDE }));
    assert_int_equal(bridge_move_lane(&lanes->at->lanes[1], 0), 0);
    threads_put(t, 3, &in);                             /* Worker 1; worker 0 has a first lane. */
    assert_int_equal(take_wide(lanes, 0), 7);
    assert_int_equal(atomic_load(&t->workers[0]->totals.sent), 1);
}

static void
test_a_port_with_queues_has_one_place_where_packets_wait(void **state)
{
    LANES;
    const struct queue_config queue = { .id = 1 };
    struct frame in = numbered(7);

    assert_done(THREADS_FLOW(.output = { WIDE }));
    assert_int_equal(bridge_set_queues(lanes->at, &queue, 1, 0, t->now), 0);
    threads_put(t, 3, &in);
    assert_int_equal(take_wide(lanes, 0), 7);
    assert_int_equal(bridge_set_queues(lanes->at, NULL, 0, 0, t->now), 0);
    threads_put(t, 3, &in);
    assert_int_equal(take_wide(lanes, 1), 7);
}

static void
test_the_statistics_of_a_port_are_sums(void **state)
{
    LANES;
    struct buffer out = { 0 }, ends = { 0 };
    uint8_t body[8] = { 0 };

    assert_done(THREADS_FLOW(.output = { PORT_IN_PORT }));
    for (uint32_t i = 0; i < N_LANES; i++) {
        struct frame in = numbered(i);
        put_wide(lanes, i, &in);
    }
    take_wide(lanes, 1);
    take_wide(lanes, 0);
    take_wide(lanes, 0);
    put_be32(body, WIDE);
    assert_done(bridge_multipart(t->bridge, 4, body, sizeof body, &out, &ends, t->now));
    assert_int_equal(out.len, 112);
    assert_int_equal(get_be64(out.data + 8), N_LANES);
    assert_int_equal(get_be64(out.data + 16), N_LANES);
    buffer_close(&out);
    buffer_close(&ends);
}

static void
test_a_lane_needs_a_worker(void **state)
{
    LANES;
    const struct lane_config none = { &lanes->ports[0], N_THREADS };
    const struct joining plain = { 0 };
    struct attachment *at;

    assert_int_equal(bridge_attach_lanes(t->bridge, &none, 1, 10, &plain, t->now, &at), EINVAL);
    assert_int_equal(bridge_attach_lanes(t->bridge, &none, 0, 10, &plain, t->now, &at), EINVAL);
    assert_int_equal(bridge_move_lane(&lanes->at->lanes[0], N_THREADS), EINVAL);
    assert_int_equal(bridge_move_lane(&lanes->at->lanes[0], DATAPLANE_WORKERS), EINVAL);
    assert_int_equal(lanes->at->lanes[0].worker, 0);
}

/* F3: the port and the queues behind it change hands; nothing is lost. */
static void
test_nothing_is_lost_while_lanes_change_hands(void **state)
{
    LANES;
    enum { N = 3000, EACH = 10 };
    struct frame out;
    uint32_t n_taken = 0;

    assert_done(THREADS_FLOW(.output = { 2 }));
    for (uint32_t i = 0; i < N; i++) {
        struct frame in = numbered(i);
        put_wide(lanes, i % N_LANES, &in);
        if (i % EACH == 0) {
            assert_int_equal(bridge_move_lane(&lanes->at->lanes[i % N_LANES], i / EACH % 2), 0);
            assert_int_equal(bridge_move_lane(&t->at[2]->lanes[0], i / EACH / 2 % 2), 0);
        }
        while (n_taken + 50 < i) {
            threads_take(t, 2, &out);
            n_taken++;
        }
    }
    while (n_taken < N) {
        threads_take(t, 2, &out);
        n_taken++;
    }
    assert_int_equal(SUM(t, sent), N);
}

/* F3, F6: with them their packets. */
static void
test_packets_in_queues_go_along_and_keep_their_order(void **state)
{
    LANES;
    const struct queue_config queue = { .id = 0, .max_rate = 8 * 400 * 1000, .burst = 1 };
    enum { N = 60 };

    assert_done(THREADS_FLOW(.output = { WIDE }));
    assert_int_equal(bridge_set_queues(lanes->at, &queue, 1, 0, t->now), 0);
    for (uint32_t i = 0; i < N; i++) {
        struct frame in = numbered(i);
        threads_put(t, 1, &in);
    }
    while (SUM(t, received) < N) {
        sched_yield();
    }
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(bridge_move_lane(&lanes->at->lanes[0], i % 2), 0);
        assert_int_equal(take_wide(lanes, 0), i);
    }
    assert_int_equal(SUM(t, drops[DROP_queue]), 0);
}

/* K11: what a worker that goes was handed arrives, and what it counted stays. */
static void
test_a_worker_that_goes_leaves_nothing_behind(void **state)
{
    LANES;
    enum { ROUNDS = 20, EACH = 30 };
    struct frame out;

    assert_done(THREADS_FLOW(.output = { 2 }));
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct worker *guest = worker_open(&t->dataplane, 5, 256);
        pthread_t thread;

        CHECK(guest && !pthread_create(&thread, NULL, threads_run, guest));
        assert_int_equal(bridge_move_lane(&t->at[2]->lanes[0], 5), 0);
        for (uint32_t j = 0; j < EACH; j++) {
            struct frame in = numbered(j);
            threads_put(t, 1, &in);
        }
        assert_int_equal(bridge_move_lane(&t->at[2]->lanes[0], 1), 0);
        worker_stop(guest);
        pthread_join(thread, NULL);
        worker_close(guest);
        for (uint32_t j = 0; j < EACH; j++) {
            threads_take(t, 2, &out);
        }
    }
    assert_int_equal(SUM(t, sent) + atomic_load(&t->dataplane.former.sent), ROUNDS * EACH);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_queue_is_received_from),
        TEST(test_a_worker_sends_by_a_lane_of_its_own),
        TEST(test_a_worker_without_a_lane_hands_over_to_one_that_has),
        TEST(test_a_port_with_queues_has_one_place_where_packets_wait),
        TEST(test_the_statistics_of_a_port_are_sums),
        TEST(test_a_lane_needs_a_worker),
        TEST(test_nothing_is_lost_while_lanes_change_hands),
        TEST(test_packets_in_queues_go_along_and_keep_their_order),
        TEST(test_a_worker_that_goes_leaves_nothing_behind),
    };

    return cmocka_run_group_tests_name("bridge_lane", tests, NULL, NULL);
}
