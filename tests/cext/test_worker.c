/* worker.c: real threads that sleep and wake up, packets from and to the control thread, and from one
 * worker to another. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "threads.h"

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

static struct frame
sample(enum sample which)
{
    struct frame frame;

    frame_sample(&frame, which);
    return frame;
}

static void
test_a_packet_goes_through_a_running_worker(void **state)
{
    THREADS;
    struct frame in = sample(SAMPLE_tcp), out;

    assert_done(THREADS_FLOW(.output = { 2 }));
    threads_put(t, 1, &in);
    assert_int_equal(threads_take(t, 2, &out), in.len);
    assert_memory_equal(out.data, in.data, in.len);
}

static void
test_a_packet_wakes_a_worker_that_sleeps(void **state)
{
    THREADS;
    struct frame in = sample(SAMPLE_arp), out;

    assert_done(THREADS_FLOW(.output = { 2 }));
    for (unsigned i = 0; i < 20; i++) {
        threads_await_sleep(t, 0);
        threads_put(t, 1, &in);
        assert_int_equal(threads_take(t, 2, &out), in.len);
    }
}

static void
test_a_packet_out_wakes_a_worker_that_sleeps(void **state)
{
    THREADS;
    struct frame in = sample(SAMPLE_udp), out;

    for (unsigned i = 0; i < 20; i++) {
        threads_await_sleep(t, 1);
        wire_packet_out(&t->f, 3, 4, &in);              /* Port 3: worker 1. */
        assert_done(threads_apply(t));
        assert_int_equal(threads_take(t, 4, &out), in.len);
    }
    assert_int_equal(atomic_load(&t->workers[1]->totals.injected), 20);
}

static void
test_a_worker_hands_packets_to_the_one_that_owns_the_port(void **state)
{
    THREADS;
    struct frame in = sample(SAMPLE_tcp6), out;

    assert_done(THREADS_FLOW(.output = { 4 }));
    for (unsigned i = 0; i < 20; i++) {
        threads_await_sleep(t, 1);
        threads_put(t, 1, &in);
        assert_int_equal(threads_take(t, 4, &out), in.len);
        assert_memory_equal(out.data, in.data, in.len);
    }
    assert_int_equal(atomic_load(&t->workers[0]->totals.received), 20);
    assert_int_equal(atomic_load(&t->workers[1]->totals.received), 0);
}

static void
set_mode(struct threads *t, enum worker_mode mode, unsigned spin_us)
{
    for (unsigned i = 0; i < N_THREADS; i++) {
        atomic_store(&t->workers[i]->spin_us, spin_us);
        atomic_store(&t->workers[i]->mode, mode);
        worker_wake(t->workers[i]);
    }
    CHECK(dataplane_barrier(&t->dataplane, 10000));
}

/* Over a handover: both workers have to be there. */
static void
test_packets_go_through_in_every_mode(void **state)
{
    THREADS;
    static const enum worker_mode modes[] = {
        WORKER_INTERRUPT, WORKER_POLL, WORKER_ADAPTIVE, WORKER_INTERRUPT,
    };
    struct frame in = sample(SAMPLE_udp), out;

    assert_done(THREADS_FLOW(.output = { 4 }));
    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        set_mode(t, modes[i], SPIN_US);
        for (unsigned j = 0; j < 50; j++) {
            threads_put(t, 1, &in);
            assert_int_equal(threads_take(t, 4, &out), in.len);
        }
    }
}

/* It may be asleep when it is told to poll; once it has forwarded a packet it has heard. */
static void
test_a_worker_that_polls_never_sleeps(void **state)
{
    THREADS;
    struct frame in = sample(SAMPLE_udp), out;

    assert_done(THREADS_FLOW(.output = { 2 }));
    set_mode(t, WORKER_POLL, SPIN_US);
    threads_put(t, 1, &in);
    threads_take(t, 2, &out);
    uint64_t sleeps = atomic_load(&t->workers[0]->profile.sleeps);
    for (unsigned j = 0; j < 50; j++) {
        threads_put(t, 1, &in);
        threads_take(t, 2, &out);
    }
    assert_int_equal(atomic_load(&t->workers[0]->profile.sleeps), sleeps);
}

static void
test_an_adaptive_worker_may_be_told_not_to_poll(void **state)
{
    THREADS;
    struct frame in = sample(SAMPLE_udp), out;

    assert_done(THREADS_FLOW(.output = { 2 }));
    set_mode(t, WORKER_ADAPTIVE, 0);
    for (unsigned j = 0; j < 20; j++) {
        threads_await_sleep(t, 0);
        threads_put(t, 1, &in);
        threads_take(t, 2, &out);
    }
    threads_await_sleep(t, 0);
    assert_int_equal(t->workers[0]->spin_ns, 0);
}

static void
test_packets_in_both_directions_keep_their_order(void **state)
{
    THREADS;
    enum { N = 2000 };
    struct frame frame = sample(SAMPLE_udp), out;

    assert_done(THREADS_FLOW(.priority = 1, .n_match = 1, .match = { { FIELD_in_port, 1, 0 } },
                             .output = { 3 }));
    assert_done(THREADS_FLOW(.priority = 1, .n_match = 1, .match = { { FIELD_in_port, 3, 0 } },
                             .output = { 1 }));
    for (uint32_t i = 0; i < N; i++) {
        put_be32(frame.data + 44, i);
        threads_put(t, 1, &frame);
        threads_put(t, 3, &frame);
        if (i % 32 == 31) {
            for (uint32_t j = i - 31; j <= i; j++) {
                threads_take(t, 1, &out);
                assert_int_equal(get_be32(out.data + 44), j);
                threads_take(t, 3, &out);
                assert_int_equal(get_be32(out.data + 44), j);
            }
        }
    }
}

static void
test_a_punt_is_announced(void **state)
{
    THREADS;
    struct frame in = sample(SAMPLE_arp);
    struct pollfd fd = { .fd = t->workers[1]->punt_fd, .events = POLLIN };
    uint64_t count;

    assert_done(THREADS_FLOW(.output = { PORT_CONTROLLER }));
    threads_put(t, 4, &in);
    assert_int_equal(poll(&fd, 1, 10000), 1);
    assert_int_equal(read(fd.fd, &count, sizeof count), sizeof count);
    struct punt *punt = worker_punt_peek(t->workers[1]);
    assert_non_null(punt);
    assert_int_equal(punt->in_port, 4);
    assert_int_equal(punt->len, in.len);
    assert_memory_equal(punt->frame, in.data, in.len);
    worker_punt_consume(t->workers[1]);
}

static void
test_behind_a_barrier_packet_outs_have_gone_out(void **state)
{
    THREADS;
    struct frame in = sample(SAMPLE_udp), out;

    for (unsigned i = 0; i < 500; i++) {
        for (unsigned j = 0; j < 5; j++) {
            wire_packet_out(&t->f, PORT_CONTROLLER, 2, &in);
            assert_done(threads_apply(t));
        }
        assert_true(dataplane_barrier(&t->dataplane, 10000));
        for (unsigned j = 0; j < 5; j++) {
            assert_int_equal(port_memory_take(&t->ports[2], out.data, sizeof out.data, NULL), in.len);
        }
        dataplane_tick(&t->dataplane, t->now);
    }
}

static void
test_behind_a_barrier_a_new_flow_is_used_and_an_old_one_is_not(void **state)
{
    THREADS;
    struct frame in = sample(SAMPLE_tcp), out;

    for (unsigned i = 0; i < 200; i++) {
        unsigned to = 1 + i % 2;
        assert_done(THREADS_FLOW(.output = { to == 2 ? 2 : PORT_IN_PORT }));
        assert_true(dataplane_barrier(&t->dataplane, 10000));
        threads_put(t, 1, &in);
        assert_int_equal(threads_take(t, to, &out), in.len);
        dataplane_tick(&t->dataplane, t->now);
    }
}

static void
test_a_polling_worker_does_not_sleep(void **state)
{
    THREADS;
    struct frame in = sample(SAMPLE_tcp), out;

    assert_done(THREADS_FLOW(.output = { 2 }));
    atomic_store(&t->workers[0]->mode, WORKER_POLL);
    worker_wake(t->workers[0]);
    threads_put(t, 1, &in);
    assert_int_equal(threads_take(t, 2, &out), in.len);
    /* It is awake now, and nothing lets it sleep. */
    for (unsigned i = 0; i < 1000; i++) {
        assert_false(atomic_load(&t->workers[0]->asleep));
        sched_yield();
    }
}

static void
test_a_port_is_detached_under_traffic(void **state)
{
    THREADS;
    struct frame in = sample(SAMPLE_udp), out;

    assert_done(THREADS_FLOW(.output = { PORT_FLOOD }));
    for (unsigned i = 0; i < 50; i++) {
        for (unsigned j = 0; j < 20; j++) {
            threads_put(t, 1, &in);
            while (port_memory_take(&t->ports[2], out.data, sizeof out.data, NULL)
                   || port_memory_take(&t->ports[4], out.data, sizeof out.data, NULL)) {
                continue;
            }
        }
        bridge_detach(t->bridge, t->at[3]);
        assert_null(bridge_port(t->bridge, 3));
        t->ports[3].ops->close(&t->ports[3]);
        threads_open_port(t, 3);
    }
}

static void
test_a_worker_can_be_stopped_and_run_again(void **state)
{
    THREADS;
    struct frame in = sample(SAMPLE_tcp), out;

    assert_done(THREADS_FLOW(.output = { 2 }));
    for (unsigned i = 0; i < 10; i++) {
        worker_stop(t->workers[0]);
        pthread_join(t->threads[0], NULL);
        threads_put(t, 1, &in);
        assert_int_equal(pthread_create(&t->threads[0], NULL, threads_run, t->workers[0]), 0);
        assert_int_equal(threads_take(t, 2, &out), in.len);
    }
}

static void
test_an_id_is_given_to_one_worker(void **state)
{
    THREADS;
    assert_null(worker_open(&t->dataplane, 1, 0));
    assert_null(worker_open(&t->dataplane, DATAPLANE_WORKERS, 0));
    struct worker *worker = worker_open(&t->dataplane, 7, 64);
    assert_non_null(worker);
    worker_close(worker);
}

int
main(void)
{
#define T(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_a_packet_goes_through_a_running_worker),
        T(test_a_packet_wakes_a_worker_that_sleeps),
        T(test_a_packet_out_wakes_a_worker_that_sleeps),
        T(test_a_worker_hands_packets_to_the_one_that_owns_the_port),
        T(test_packets_go_through_in_every_mode),
        T(test_a_worker_that_polls_never_sleeps),
        T(test_an_adaptive_worker_may_be_told_not_to_poll),
        T(test_packets_in_both_directions_keep_their_order),
        T(test_a_punt_is_announced),
        T(test_behind_a_barrier_packet_outs_have_gone_out),
        T(test_behind_a_barrier_a_new_flow_is_used_and_an_old_one_is_not),
        T(test_a_polling_worker_does_not_sleep),
        T(test_a_port_is_detached_under_traffic),
        T(test_a_worker_can_be_stopped_and_run_again),
        T(test_an_id_is_given_to_one_worker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
