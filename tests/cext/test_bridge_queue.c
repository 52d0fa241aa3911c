/* bridge_queue.c, worker.c: packets that wait in the queues of a port of a running worker, and what
 * OpenFlow says of them (F6, M14). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "threads.h"

enum { OFPMP_QUEUE = 5, ALL = 0xffffffff, MBIT = 1000000 };

static int
set_up(void **state)
{
    *state = threads_new();
    return 0;
}

static int
tear_down(void **state)
{
    threads_free(*state);
    return 0;
}

#define THREADS struct threads *t = *state
#define assert_done(RESULT) assert_int_equal(RESULT, OFWIRE_OK)
#define assert_error(RESULT, NAME) assert_int_equal(RESULT, OFWIRE_##NAME)

/* Gives port 'number' the queues. */
#define QUEUES(T, NUMBER, RATE, ...)                                                        \
    do {                                                                                    \
        const struct queue_config configs_[] = { __VA_ARGS__ };                             \
        assert_int_equal(bridge_set_queues((T)->at[NUMBER], configs_,                       \
                                           sizeof configs_ / sizeof configs_[0], RATE,      \
                                           (T)->now), 0);                                   \
    } while (0)

/* What comes in by a port goes to a queue of another. */
static void
direct(struct threads *t, unsigned from, uint32_t queue, unsigned to)
{
    const struct wire_flow flow = {
        .n_match = 1, .match = { { FIELD_in_port, from, 0 } },
    };
    size_t start = wire_flow_head(&t->f, &flow);

    wire_match(&t->f, flow.match, flow.n_match);
    size_t actions = of_begin_actions(&t->f, WIRE_APPLY);
    of_short(&t->f, 21, queue);
    of_output(&t->f, to);
    of_end(&t->f, actions);
    of_end(&t->f, start);
    assert_done(threads_apply(t));
}

/* A frame of 'size' bytes. */
static struct frame
sized(size_t size)
{
    struct frame frame;

    frame_sample(&frame, SAMPLE_udp);
    assert_true(frame.len <= size && size <= sizeof frame.data);
    memset(frame.data + frame.len, 0, size - frame.len);
    frame.len = size;
    return frame;
}

static uint32_t
request_stats(struct threads *t, uint32_t port, uint32_t queue, struct buffer *out)
{
    struct buffer ends = { 0 };
    uint8_t body[8];

    put_be32(body, port);
    put_be32(body + 4, queue);
    uint32_t result = bridge_multipart(t->bridge, OFPMP_QUEUE, body, 8, out, &ends, t->now + 1500);
    buffer_close(&ends);
    return result;
}

struct stats {
    uint64_t bytes, packets, errors;
};

static struct stats
read_stats(struct threads *t, uint32_t port, uint32_t queue)
{
    struct buffer out = { 0 };

    assert_done(request_stats(t, port, queue, &out));
    assert_int_equal(out.len, 40);
    assert_int_equal(get_be32(out.data), port);
    assert_int_equal(get_be32(out.data + 4), queue);
    assert_int_equal(get_be32(out.data + 32), 1);               /* 1.5 s old. */
    assert_int_equal(get_be32(out.data + 36), 500000000);
    const struct stats stats = {
        get_be64(out.data + 8), get_be64(out.data + 16), get_be64(out.data + 24),
    };
    buffer_close(&out);
    return stats;
}

/* Nobody else wakes the worker: it comes back for what waits. */
static void
test_a_worker_wakes_by_itself_for_what_waits(void **state)
{
    THREADS;
    struct frame in = sized(1000), out;

    QUEUES(t, 2, 0, { .id = 7, .max_rate = 8 * MBIT, .burst = 1 });
    direct(t, 1, 7, 2);
    for (unsigned i = 0; i < 30; i++) {
        threads_put(t, 1, &in);
    }
    for (unsigned i = 0; i < 30; i++) {
        assert_int_equal(threads_take(t, 2, &out), 1000);
    }
    const struct stats stats = read_stats(t, 2, 7);
    assert_int_equal(stats.packets, 30);
    assert_int_equal(stats.bytes, 30000);
    assert_int_equal(stats.errors, 0);
}

/* F6: never more than the rate; the clock that is read here includes that of the worker. */
static void
test_no_more_leaves_than_the_rate_allows(void **state)
{
    THREADS;
    struct frame in = sized(1500), out;
    uint64_t begin = threads_now();

    QUEUES(t, 2, 0, { .id = 1, .max_rate = 50 * MBIT, .burst = 3000 });
    direct(t, 1, 1, 2);
    for (unsigned i = 0; i < 400; i++) {
        threads_put(t, 1, &in);
        while (i >= 100 && !port_memory_take(&t->ports[2], out.data, sizeof out.data, NULL)) {
            sched_yield();
        }
    }
    uint64_t bytes = read_stats(t, 2, 1).bytes, ms = threads_now() + 1 - begin;
    assert_in_range(bytes, 300 * 1500, 400 * 1500);
    assert_true(bytes <= ms * 50 * MBIT / 8000 + 3000 + 1500);
}

static void
test_what_finds_no_room_is_dropped_under_its_reason(void **state)
{
    THREADS;
    struct frame in = sized(1000);

    QUEUES(t, 2, 0, { .id = 1, .max_rate = 1, .limit = 5000 });
    direct(t, 1, 1, 2);
    for (unsigned i = 0; i < 20; i++) {
        threads_put(t, 1, &in);
    }
    while (SUM(t, drops[DROP_queue]) < 14) {
        sched_yield();
    }
    const struct stats stats = read_stats(t, 2, 1);
    assert_in_range(stats.packets, 0, 1);                       /* The rate may let one go. */
    assert_in_range(stats.errors, 14, 15);
}

/* Ports of other workers too: the queue goes along with the packet. */
static void
test_a_packet_from_another_worker_finds_its_queue(void **state)
{
    THREADS;
    struct frame in = sized(100), out;

    QUEUES(t, 3, 0, { .id = 1 }, { .id = 2 });
    direct(t, 1, 2, 3);
    threads_put(t, 1, &in);
    assert_int_equal(threads_take(t, 3, &out), 100);
    assert_int_equal(read_stats(t, 3, 1).packets, 0);
    assert_int_equal(read_stats(t, 3, 2).packets, 1);
}

/* Teardown looks for the packets: they are dropped, counted, and back in their pools. */
static void
test_a_port_goes_with_packets_in_its_queues(void **state)
{
    THREADS;
    struct frame in = sized(100);

    QUEUES(t, 2, 0, { .id = 1, .max_rate = 1 });
    QUEUES(t, 3, 0, { .id = 1, .max_rate = 1 });
    direct(t, 1, 1, 2);
    direct(t, 4, 1, 3);
    for (unsigned i = 0; i < 50; i++) {
        threads_put(t, 1, &in);
        threads_put(t, 4, &in);
    }
    while (SUM(t, received) < 100) {
        sched_yield();
    }
}

static void
test_queues_that_go_while_packets_pass_take_only_their_own_with_them(void **state)
{
    THREADS;
    struct frame in = sized(100);
    uint64_t n_put = 0;

    direct(t, 1, 1, 2);
    direct(t, 3, 2, 2);
    for (unsigned i = 0; i < 100; i++) {
        QUEUES(t, 2, 0, { .id = 1 }, { .id = 2, .max_rate = 1 });
        for (unsigned j = 0; j < 5; j++, n_put++) {
            threads_put(t, 1, &in);
            threads_put(t, 3, &in);
        }
        QUEUES(t, 2, 0, { .id = 1, .priority = i % 7 });
        rig_check(dataplane_barrier(&t->dataplane, 10000), "barrier");
        while (port_memory_take(&t->ports[2], in.data, sizeof in.data, NULL)) {
            continue;
        }
    }
    while (SUM(t, received) < 2 * n_put || !threads_idle(t)) {
        sched_yield();
    }
    rig_check(dataplane_barrier(&t->dataplane, 10000), "barrier");
    const struct stats stats = read_stats(t, 2, 1);
    assert_int_equal(stats.packets + stats.errors, n_put);
    assert_int_equal(stats.errors, 0);
}

static void
test_without_queues_packets_leave_at_once_again(void **state)
{
    THREADS;
    struct frame in = sized(100), out;

    QUEUES(t, 2, 0, { .id = 1 });
    assert_int_equal(bridge_set_queues(t->at[2], NULL, 0, 0, t->now), 0);
    assert_null(atomic_load(&t->at[2]->queues));
    direct(t, 1, 1, 2);
    threads_put(t, 1, &in);
    assert_int_equal(threads_take(t, 2, &out), 100);
}

/* --- OpenFlow ------------------------------------------------------------------------------ */

static void
check_config(const uint8_t *at, uint32_t queue, uint32_t port, unsigned min, unsigned max)
{
    assert_int_equal(get_be32(at), queue);
    assert_int_equal(get_be32(at + 4), port);
    assert_int_equal(get_be16(at + 8), 48);
    assert_int_equal(get_be16(at + 16), 1);
    assert_int_equal(get_be16(at + 18), 16);
    assert_int_equal(get_be16(at + 24), min);
    assert_int_equal(get_be16(at + 32), 2);
    assert_int_equal(get_be16(at + 34), 16);
    assert_int_equal(get_be16(at + 40), max);
}

/* M14: rates in tenths of a percent of the port's speed. */
static void
test_the_configuration_is_told_port_by_port(void **state)
{
    THREADS;
    struct buffer out = { 0 };

    t->at[2]->speed = 1000;
    t->at[3]->speed = 0;                        /* Unknown: taken as 10 Gbit/s. */
    QUEUES(t, 2, 0, { .id = 5, .min_rate = 100 * MBIT, .max_rate = 2000 * (uint64_t)MBIT },
           { .id = 9, .max_rate = 1 });
    QUEUES(t, 3, 0, { .id = 0, .min_rate = 5000 * (uint64_t)MBIT });
    assert_done(bridge_queue_config(t->bridge, 2, &out));
    assert_int_equal(out.len, 96);
    check_config(out.data, 5, 2, 100, 1000);
    check_config(out.data + 48, 9, 2, 0xffff, 1);
    out.len = 0;
    assert_done(bridge_queue_config(t->bridge, PORT_ANY, &out));
    assert_int_equal(out.len, 144);
    check_config(out.data + 96, 0, 3, 500, 0xffff);
    out.len = 0;
    assert_done(bridge_queue_config(t->bridge, 1, &out));
    assert_int_equal(out.len, 0);
    assert_error(bridge_queue_config(t->bridge, 99, &out), OFPQOFC_BAD_PORT);
    assert_error(bridge_queue_config(t->bridge, PORT_CONTROLLER, &out), OFPQOFC_BAD_PORT);
    buffer_close(&out);
}

static void
test_statistics_are_told_by_port_and_queue_and_nobody_elses(void **state)
{
    THREADS;
    struct buffer out = { 0 };

    QUEUES(t, 2, 0, { .id = 5 }, { .id = 9 });
    QUEUES(t, 3, 0, { .id = 5 });
    assert_done(request_stats(t, PORT_ANY, ALL, &out));
    assert_int_equal(out.len, 3 * 40);
    out.len = 0;
    assert_done(request_stats(t, PORT_ANY, 5, &out));
    assert_int_equal(out.len, 2 * 40);
    out.len = 0;
    assert_done(request_stats(t, 1, ALL, &out));
    assert_int_equal(out.len, 0);
    assert_error(request_stats(t, 99, ALL, &out), OFPQOFC_BAD_PORT);
    assert_error(request_stats(t, 2, 0, &out), OFPQOFC_BAD_QUEUE);
    assert_error(request_stats(t, 3, 9, &out), OFPQOFC_BAD_QUEUE);
    assert_error(request_stats(t, PORT_ANY, 77, &out), OFPQOFC_BAD_QUEUE);
    assert_error(bridge_multipart(t->bridge, OFPMP_QUEUE, out.data, 7, &out, &out, t->now),
                 OFPBRC_BAD_LEN);
    buffer_close(&out);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_worker_wakes_by_itself_for_what_waits),
        TEST(test_no_more_leaves_than_the_rate_allows),
        TEST(test_what_finds_no_room_is_dropped_under_its_reason),
        TEST(test_a_packet_from_another_worker_finds_its_queue),
        TEST(test_a_port_goes_with_packets_in_its_queues),
        TEST(test_queues_that_go_while_packets_pass_take_only_their_own_with_them),
        TEST(test_without_queues_packets_leave_at_once_again),
        TEST(test_the_configuration_is_told_port_by_port),
        TEST(test_statistics_are_told_by_port_and_queue_and_nobody_elses),
    };

    return cmocka_run_group_tests_name("bridge_queue", tests, NULL, NULL);
}
