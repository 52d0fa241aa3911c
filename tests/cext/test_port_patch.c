/* port_patch.c: two ends, joined. */

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "port.h"

enum { N_SMALL = 512, N_LARGE = 8 };

struct fixture {
    struct pool small, large;
    struct port a, b;
};

static void
open_patch(struct port *port, const char *name)
{
    const struct port_config config = {.mtu = 0};
    char why[128];

    *port = (struct port){.ops = port_kind("patch")};
    strcpy(port->name, name);
    assert_int_equal(port->ops->open(port, &config, why, sizeof why), 0);
}

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_int_equal(pool_open(&f->small, N_SMALL, PACKET_SMALL), 0);
    assert_int_equal(pool_open(&f->large, N_LARGE, PACKET_LARGE), 0);
    open_patch(&f->a, "a");
    open_patch(&f->b, "b");
    assert_int_equal(port_patch_join(&f->a, &f->b), 0);
    *state = f;
    return 0;
}

/* Every packet must be back in its pool. */
static int
tear_down(void **state)
{
    struct fixture *f = *state;

    f->a.ops->close(&f->a);
    f->b.ops->close(&f->b);
    assert_int_equal(f->small.n_free, N_SMALL);
    assert_int_equal(f->large.n_free, N_LARGE);
    pool_close(&f->small);
    pool_close(&f->large);
    free(f);
    return 0;
}

static struct packet *
new_packet(struct fixture *f, uint8_t byte, size_t len)
{
    struct packet *packet;

    assert_int_equal(pool_get(len <= PACKET_SMALL ? &f->small : &f->large, &packet, 1), 1);
    memset(packet->data, byte, len);
    packet_set_len(packet, (uint32_t)len);
    return packet;
}

static unsigned
send_one(struct fixture *f, struct port *port, uint8_t byte, size_t len)
{
    struct packet *packet = new_packet(f, byte, len);

    return port->ops->transmit(port, &packet, 1);
}

static unsigned
receive(struct fixture *f, struct port *port, struct packet **packets, unsigned limit)
{
    return port->ops->receive(port, &f->small, &f->large, packets, limit);
}

static bool
is_readable(const struct port *port)
{
    struct pollfd pollfd = {.fd = port->fd, .events = POLLIN};

    return poll(&pollfd, 1, 0) == 1;
}

static bool
is_up(struct port *port)
{
    struct port_link link;

    assert_int_equal(port->ops->link(port, &link), 0);
    return link.up;
}

static void
test_what_one_end_sends_the_other_receives_as_it_was(void **state)
{
    struct fixture *f = *state;
    static const size_t lens[] = {14, 60, 2048, 2049, 65550};
    struct port *ends[2] = {&f->a, &f->b};
    struct packet *packet;

    for (unsigned i = 0; i < 5; i++) {
        struct packet *sent = new_packet(f, (uint8_t)(i + 1), lens[i]);
        sent->offload = (struct offload){.flags = 1, .csum_start = 34, .csum_offset = 16};
        assert_int_equal(ends[i & 1]->ops->transmit(ends[i & 1], &sent, 1), 1);
        assert_true(is_readable(ends[!(i & 1)]));
        assert_int_equal(receive(f, ends[!(i & 1)], &packet, 1), 1);
        assert_int_equal(packet->len, lens[i]);
        assert_int_equal(packet->data[0], i + 1);
        assert_int_equal(packet->data[lens[i] - 1], i + 1);
        assert_int_equal(packet->offload.csum_start, 34);
        assert_ptr_equal(packet->pool, lens[i] <= PACKET_SMALL ? &f->small : &f->large);
        packet_free(&packet, 1);
    }
    assert_int_equal(f->a.counters.tx_packets, 3);
    assert_int_equal(f->b.counters.rx_packets, 3);
    assert_int_equal(f->b.counters.rx_bytes, f->a.counters.tx_bytes);
    assert_int_equal(f->a.counters.rx_packets, 2);
}

static void
test_an_end_wakes_its_worker_until_it_is_empty(void **state)
{
    struct fixture *f = *state;
    struct packet *packets[4];

    assert_false(is_readable(&f->b));
    send_one(f, &f->a, 1, 60);
    send_one(f, &f->a, 2, 60);
    assert_int_equal(receive(f, &f->b, packets, 1), 1);
    assert_true(is_readable(&f->b));
    assert_int_equal(receive(f, &f->b, packets + 1, 3), 1);
    assert_int_equal(packets[1]->data[0], 2);
    assert_false(is_readable(&f->b));
    packet_free(packets, 2);
    send_one(f, &f->a, 3, 60);
    assert_true(is_readable(&f->b));
    assert_int_equal(receive(f, &f->b, packets, 4), 1);
    packet_free(packets, 1);
}

static void
test_what_finds_no_room_is_dropped_and_counted_once(void **state)
{
    struct fixture *f = *state;
    struct packet *packets[PACKET_VECTOR];
    unsigned sent = 0, received = 0, n;
    enum { N = 2000 };

    for (unsigned i = 0; i < N; i++) {
        sent += send_one(f, &f->a, 1, 2000);
    }
    assert_in_range(sent, 1, N - 1);
    assert_int_equal(f->a.counters.tx_packets, sent);
    assert_int_equal(f->a.counters.tx_packets + f->a.counters.tx_dropped, N);
    while ((n = receive(f, &f->b, packets, PACKET_VECTOR))) {
        received += n;
        packet_free(packets, n);
    }
    assert_int_equal(received, sent);
    assert_int_equal(send_one(f, &f->a, 1, 60), 1);
}

static void
test_without_a_packet_for_it_a_frame_is_dropped_at_the_far_end(void **state)
{
    struct fixture *f = *state;
    struct packet *all[N_LARGE], *packet;

    send_one(f, &f->a, 1, 9000);
    assert_int_equal(pool_get(&f->large, all, N_LARGE), N_LARGE);
    assert_int_equal(receive(f, &f->b, &packet, 1), 0);
    assert_int_equal(f->b.counters.rx_dropped, 1);
    packet_free(all, N_LARGE);
}

static void
test_a_packet_that_goes_in_a_circle_comes_to_an_end(void **state)
{
    struct fixture *f = *state;
    struct port *port = &f->a;
    struct packet *packet = new_packet(f, 1, 60);
    unsigned n = 0;

    while (port->ops->transmit(port, &packet, 1)) {
        port = port == &f->a ? &f->b : &f->a;
        assert_int_equal(receive(f, port, &packet, 1), 1);
        assert_true(++n < 100);
    }
    assert_int_equal(n, 16);
    assert_int_equal(f->a.counters.tx_dropped + f->b.counters.tx_dropped, 1);
}

static void
test_the_link_is_up_while_both_ends_are(void **state)
{
    struct fixture *f = *state;

    assert_true(is_up(&f->a) && is_up(&f->b));
    f->a.ops->set_admin(&f->a, false);
    assert_false(is_up(&f->a) || is_up(&f->b));
    assert_int_equal(send_one(f, &f->b, 1, 60), 0);
    assert_int_equal(f->b.counters.tx_dropped, 1);
    f->a.ops->set_admin(&f->a, true);
    assert_true(is_up(&f->a) && is_up(&f->b));
}

static void
test_an_end_without_the_other_drops_and_can_be_joined_again(void **state)
{
    struct fixture *f = *state;
    struct packet *packet;
    struct port third;

    send_one(f, &f->a, 1, 60);
    f->b.ops->close(&f->b);
    assert_false(is_up(&f->a));
    assert_int_equal(send_one(f, &f->a, 2, 60), 0);
    open_patch(&f->b, "b");
    assert_false(is_up(&f->b));
    assert_int_equal(port_patch_join(&f->a, &f->b), 0);
    assert_int_equal(receive(f, &f->b, &packet, 1), 0);     /* Not what was for the one before. */
    assert_int_equal(send_one(f, &f->a, 3, 60), 1);
    assert_int_equal(receive(f, &f->b, &packet, 1), 1);
    packet_free(&packet, 1);

    open_patch(&third, "third");
    assert_int_equal(port_patch_join(&f->a, &third), EBUSY);
    assert_int_equal(port_patch_join(&third, &third), EBUSY);
    third.ops->close(&third);
}

int
main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(test_##NAME, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_one_end_sends_the_other_receives_as_it_was),
        TEST(an_end_wakes_its_worker_until_it_is_empty),
        TEST(what_finds_no_room_is_dropped_and_counted_once),
        TEST(without_a_packet_for_it_a_frame_is_dropped_at_the_far_end),
        TEST(a_packet_that_goes_in_a_circle_comes_to_an_end),
        TEST(the_link_is_up_while_both_ends_are),
        TEST(an_end_without_the_other_drops_and_can_be_joined_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
