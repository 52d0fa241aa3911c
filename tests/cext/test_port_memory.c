/* port_memory.c: frames in and out, waking a worker, and the loop for benchmarks. */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "port.h"

struct fixture {
    struct pool small, large;
    struct port port;
};

static int
set_up(void **state)
{
    const struct port_config config = {.ring_len = 256};
    struct fixture *f = calloc(1, sizeof *f);
    char why[128];

    f->port = (struct port){.ops = port_kind("memory"), .name = "m"};
    assert_int_equal(pool_open(&f->small, 512, PACKET_SMALL), 0);
    assert_int_equal(pool_open(&f->large, 4, PACKET_LARGE), 0);
    assert_int_equal(f->port.ops->open(&f->port, &config, why, sizeof why), 0);
    *state = f;
    return 0;
}

/* Every packet must be back in its pool. */
static int
tear_down(void **state)
{
    struct fixture *f = *state;

    f->port.ops->close(&f->port);
    assert_int_equal(f->small.n_free, 512);
    assert_int_equal(f->large.n_free, 4);
    pool_close(&f->small);
    pool_close(&f->large);
    free(f);
    return 0;
}

static unsigned
receive(struct fixture *f, struct packet **packets, unsigned limit)
{
    return f->port.ops->receive(&f->port, &f->small, &f->large, packets, limit);
}

static bool
is_readable(const struct port *port)
{
    struct pollfd pollfd = {.fd = port->fd, .events = POLLIN};

    return poll(&pollfd, 1, 0) == 1;
}

static void
test_a_frame_goes_through_with_its_offload(void **state)
{
    struct fixture *f = *state;
    const struct offload offload = {.flags = 1, .csum_start = 34, .csum_offset = 16};
    struct offload seen;
    struct packet *packet;
    uint8_t frame[60] = "abc", taken[60];

    assert_int_equal(port_memory_put(&f->port, frame, sizeof frame, &offload), 0);
    assert_int_equal(receive(f, &packet, 1), 1);
    assert_int_equal(packet->len, sizeof frame);
    assert_int_equal(packet->headroom, PACKET_HEADROOM);
    assert_memory_equal(packet->data, frame, sizeof frame);
    assert_memory_equal(&packet->offload, &offload, sizeof offload);

    assert_int_equal(f->port.ops->transmit(&f->port, &packet, 1), 1);
    assert_int_equal(port_memory_take(&f->port, taken, sizeof taken, &seen), sizeof frame);
    assert_memory_equal(taken, frame, sizeof frame);
    assert_memory_equal(&seen, &offload, sizeof offload);
    assert_int_equal(port_memory_take(&f->port, taken, sizeof taken, &seen), 0);
    assert_int_equal(f->port.counters.rx_packets, 1);
    assert_int_equal(f->port.counters.rx_bytes, 60);
    assert_int_equal(f->port.counters.tx_packets, 1);
    assert_int_equal(f->port.counters.tx_bytes, 60);
}

static void
test_a_frame_of_64_kib_comes_in_a_large_packet(void **state)
{
    struct fixture *f = *state;
    uint8_t *frame = calloc(1, PACKET_LARGE + 1);
    struct packet *packet;

    frame[65000] = 77;
    assert_int_equal(port_memory_put(&f->port, frame, PACKET_LARGE + 1, NULL), EMSGSIZE);
    assert_int_equal(port_memory_put(&f->port, frame, PACKET_LARGE, NULL), 0);
    assert_int_equal(receive(f, &packet, 1), 1);
    assert_int_equal(packet->len, PACKET_LARGE);
    assert_ptr_equal(packet->pool, &f->large);
    assert_int_equal(packet->data[65000], 77);
    packet_free(&packet, 1);
    free(frame);
}

static void
test_a_full_ring_refuses_and_drops(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[1514] = {0};
    struct packet *packets[64];
    unsigned n_put = 0, n_sent = 0, n;

    while (!port_memory_put(&f->port, frame, sizeof frame, NULL)) {
        n_put++;
    }
    assert_true(n_put >= 256);
    assert_int_equal(port_memory_put(&f->port, frame, sizeof frame, NULL), ENOBUFS);
    while ((n = receive(f, packets, 64))) {
        n_sent += f->port.ops->transmit(&f->port, packets, n);
    }
    assert_int_equal(n_sent, n_put);
    assert_int_equal(pool_get(&f->small, packets, 2), 2);
    packet_set_len(packets[0], 1514);
    packet_set_len(packets[1], 1514);
    assert_int_equal(f->port.ops->transmit(&f->port, packets, 2), 0);
    assert_int_equal(f->port.counters.tx_dropped, 2);
}

static void
test_the_descriptor_is_readable_as_long_as_there_is_a_frame(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[60] = {0};
    struct packet *packet;

    assert_false(is_readable(&f->port));
    assert_int_equal(port_memory_put(&f->port, frame, sizeof frame, NULL), 0);
    assert_int_equal(port_memory_put(&f->port, frame, sizeof frame, NULL), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(is_readable(&f->port));
        assert_int_equal(receive(f, &packet, 1), 1);
        packet_free(&packet, 1);
    }
    assert_int_equal(receive(f, &packet, 1), 0);
    assert_false(is_readable(&f->port));
}

static void
test_frames_wait_while_there_are_no_packets(void **state)
{
    struct fixture *f = *state;
    struct packet *all[512], *packet;
    uint8_t frame[60] = {0};

    assert_int_equal(pool_get(&f->small, all, 512), 512);
    assert_int_equal(port_memory_put(&f->port, frame, sizeof frame, NULL), 0);
    assert_int_equal(receive(f, &packet, 1), 0);
    packet_free(all, 512);
    assert_int_equal(receive(f, &packet, 1), 1);
    packet_free(&packet, 1);
    assert_int_equal(f->port.counters.rx_dropped, 0);
}

static void
test_a_port_set_down_loses_what_it_is_sent(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[60] = {0};
    struct port_link link;
    struct packet *packet;

    assert_int_equal(f->port.ops->set_admin(&f->port, false), 0);
    assert_int_equal(f->port.ops->link(&f->port, &link), 0);
    assert_false(link.up || link.admin_up);
    assert_int_equal(port_memory_put(&f->port, frame, sizeof frame, NULL), ENETDOWN);
    assert_int_equal(pool_get(&f->small, &packet, 1), 1);
    packet_set_len(packet, 60);
    assert_int_equal(f->port.ops->transmit(&f->port, &packet, 1), 0);
    assert_int_equal(f->port.counters.tx_dropped, 1);
    assert_int_equal(f->port.ops->set_admin(&f->port, true), 0);
    assert_int_equal(f->port.ops->link(&f->port, &link), 0);
    assert_true(link.up && link.admin_up);
}

static void
test_a_loop_delivers_its_frames_in_turn_without_end(void **state)
{
    struct fixture *f = *state;
    uint8_t first[64] = {1}, second[3000] = {2}, third[100] = {3};
    const uint8_t *const frames[] = {first, second, third};
    const size_t lens[] = {sizeof first, sizeof second, sizeof third};
    struct packet *packets[4];

    assert_int_equal(port_memory_loop(&f->port, frames, lens, 3), 0);
    for (unsigned i = 0; i < 600; i += 4) {
        assert_true(is_readable(&f->port));
        assert_int_equal(receive(f, packets, 4), 4);
        for (unsigned j = 0; j < 4; j++) {
            assert_int_equal(packets[j]->len, lens[(i + j) % 3]);
            assert_int_equal(packets[j]->data[0], (i + j) % 3 + 1);
        }
        assert_int_equal(f->port.ops->transmit(&f->port, packets, 4), 4);
    }
    assert_int_equal(f->port.counters.tx_packets, 600);
    assert_int_equal(port_memory_loop(&f->port, NULL, NULL, 0), 0);
    assert_int_equal(receive(f, packets, 4), 0);
    assert_false(is_readable(&f->port));
}

enum { MANY = 100000 };

static void *
put_many(void *port)
{
    for (uint32_t i = 0; i < MANY; i++) {
        while (port_memory_put(port, (uint8_t *)&i, sizeof i, NULL)) {
            sched_yield();
        }
    }
    return NULL;
}

static void
test_a_worker_that_sleeps_is_woken_for_every_frame(void **state)
{
    struct fixture *f = *state;
    struct packet *packets[32];
    uint32_t n_seen = 0;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, put_many, &f->port), 0);
    while (n_seen < MANY) {
        struct pollfd pollfd = {.fd = f->port.fd, .events = POLLIN};
        assert_int_equal(poll(&pollfd, 1, 10000), 1);
        unsigned n = receive(f, packets, 32);
        for (unsigned i = 0; i < n; i++) {
            assert_memory_equal(packets[i]->data, &n_seen, sizeof n_seen);
            n_seen++;
        }
        packet_free(packets, n);
    }
    pthread_join(thread, NULL);
}

int
main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(test_##NAME, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_frame_goes_through_with_its_offload),
        TEST(a_frame_of_64_kib_comes_in_a_large_packet),
        TEST(a_full_ring_refuses_and_drops),
        TEST(the_descriptor_is_readable_as_long_as_there_is_a_frame),
        TEST(frames_wait_while_there_are_no_packets),
        TEST(a_port_set_down_loses_what_it_is_sent),
        TEST(a_loop_delivers_its_frames_in_turn_without_end),
        TEST(a_worker_that_sleeps_is_woken_for_every_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
