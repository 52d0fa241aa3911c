/* port_tap.c: the port on one side, a packet socket on its interface on the other. */

#include "kernel_port.h"
#include "packets.h"

enum { N_SMALL = 512, N_LARGE = 8 };

struct fixture {
    struct pools pools;
    struct port port;
    int host;                   /* A socket on the interface. */
};

static int
open_tap(struct port *port, const struct port_config *config)
{
    char why[128];

    *port = (struct port){.ops = port_kind("tap"), .name = "p"};
    return port->ops->open(port, config, why, sizeof why);
}

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    pools_open(&f->pools, N_SMALL, N_LARGE);
    assert_int_equal(open_tap(&f->port, &(struct port_config){.device = "tap7", .mtu = 9000}), 0);
    f->host = wire_open("tap7");
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    f->port.ops->close(&f->port);
    close(f->host);
    pools_close(&f->pools);
    free(f);
    return 0;
}

static void
test_frames_of_all_lengths_pass_both_ways(void **state)
{
    struct fixture *f = *state;
    static const size_t lens[] = {14, 60, 1514, 2047, 2048, 2049, 9014};
    uint8_t frame[9014], seen[9100];
    struct offload offload;

    for (unsigned i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        wire_send(f->host, plain(frame, lens[i]), lens[i], NULL);
        struct packet *packet = receive_one(&f->port, &f->pools);
        assert_int_equal(packet->len, lens[i]);
        assert_memory_equal(packet->data, frame, lens[i]);
        assert_ptr_equal(packet->pool, lens[i] <= PACKET_SMALL ? &f->pools.small : &f->pools.large);
        assert_int_equal(f->port.ops->transmit(&f->port, &packet, 1), 1);
        assert_int_equal(wire_receive(f->host, seen, sizeof seen, &offload), lens[i]);
        assert_memory_equal(seen, frame, lens[i]);
    }
    assert_int_equal(f->port.counters.rx_packets, 7);
    assert_int_equal(f->port.counters.tx_packets, 7);
    assert_int_equal(f->port.counters.rx_bytes, f->port.counters.tx_bytes);
}

static void
test_a_frame_to_be_segmented_passes_whole_both_ways(void **state)
{
    struct fixture *f = *state;
    enum { LEN = 40000 };
    uint8_t *frame = malloc(LEN), *seen = malloc(70000);
    static const uint8_t headers[40] = {
        0x45, 0, (LEN - 14) >> 8, (LEN - 14) & 0xff, 0, 1, 0x40, 0, 64, 6, 0, 0,
        10, 0, 0, 1, 10, 0, 0, 2, 0x10, 0, 0x20, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff,
    };
    struct offload offload = {
        .flags = 1, .gso_type = 1, .hdr_len = 54, .gso_size = 1448, .csum_start = 34,
        .csum_offset = TCP_CSUM,
    };
    struct offload back;

    plain(frame, LEN);
    put_be16(frame + 12, ETH_TYPE_IPV4);
    memcpy(frame + ETH_SIZE, headers, sizeof headers);
    wire_send(f->host, frame, LEN, &offload);
    struct packet *packet = receive_one(&f->port, &f->pools);
    assert_int_equal(packet->len, LEN);
    assert_memory_equal(packet->data, frame, LEN);
    assert_int_equal(packet->offload.gso_type, 1);
    assert_int_equal(packet->offload.gso_size, 1448);
    assert_int_equal(packet->offload.csum_start, 34);
    assert_int_equal(f->port.ops->transmit(&f->port, &packet, 1), 1);
    assert_int_equal(wire_receive(f->host, seen, 70000, &back), LEN);
    assert_memory_equal(seen, frame, LEN);
    assert_int_equal(back.gso_size, 1448);
    free(frame);
    free(seen);
}

static void
test_without_a_large_packet_only_the_long_frame_is_lost(void **state)
{
    struct fixture *f = *state;

    check_loses_long(&f->port, &f->pools, f->host);
}

static void
test_frames_that_cannot_be_sent_do_not_keep_others_back(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[61], seen[100];
    struct offload offload;
    struct packet *packets[3];

    plain(frame, sizeof frame);
    packets[0] = new_packet(&f->pools, frame, 60);
    packets[1] = new_packet(&f->pools, frame, 13);              /* Shorter than its header. */
    packets[2] = new_packet(&f->pools, frame, 61);
    assert_int_equal(f->port.ops->transmit(&f->port, packets, 3), 2);
    assert_int_equal(wire_receive(f->host, seen, sizeof seen, &offload), 60);
    assert_int_equal(wire_receive(f->host, seen, sizeof seen, &offload), 61);
    assert_int_equal(f->port.counters.tx_packets, 2);
    assert_int_equal(f->port.counters.tx_dropped, 1);
    assert_int_equal(f->port.counters.tx_errors, 1);
}

static void
test_a_port_set_down_drops_and_set_up_works_again(void **state)
{
    struct fixture *f = *state;
    struct port_link link;
    uint8_t frame[60];
    struct packet *packet = new_packet(&f->pools, plain(frame, 60), 60);

    assert_int_equal(f->port.ops->set_admin(&f->port, false), 0);
    assert_int_equal(f->port.ops->link(&f->port, &link), 0);
    assert_false(link.admin_up || link.up);
    assert_int_equal(f->port.ops->transmit(&f->port, &packet, 1), 0);
    assert_int_equal(f->port.counters.tx_dropped, 1);
    assert_int_equal(f->port.ops->set_admin(&f->port, true), 0);
    assert_int_equal(f->port.ops->link(&f->port, &link), 0);
    assert_true(link.admin_up);
    assert_int_equal(link.mtu, 9000);
    packet = new_packet(&f->pools, frame, 60);
    assert_int_equal(f->port.ops->transmit(&f->port, &packet, 1), 1);
}

static void
test_an_interface_that_is_removed_leaves_a_port_that_does_nothing(void **state)
{
    struct fixture *f = *state;
    struct port_link link;
    uint8_t frame[60];
    struct packet *packet = new_packet(&f->pools, plain(frame, 60), 60);

    ip("link del tap7");
    assert_int_equal(f->port.ops->transmit(&f->port, &packet, 1), 0);
    assert_int_equal(receive(&f->port, &f->pools, &packet, 1), 0);
    assert_int_equal(f->port.fd, -1);                   /* It does not wake its worker for ever. */
    assert_int_equal(f->port.ops->link(&f->port, &link), ENODEV);
    assert_int_equal(f->port.ops->set_admin(&f->port, true), ENODEV);
}

static void
test_the_interface_goes_with_the_port_unless_it_was_there(void **state)
{
    struct port port;

    (void)state;
    assert_int_equal(open_tap(&port, &(struct port_config){.device = "tap8"}), 0);
    assert_true(if_nametoindex("tap8"));
    port.ops->close(&port);
    assert_false(if_nametoindex("tap8"));

    for (unsigned many = 0; many < 2; many++) {
        ip("tuntap add tap9 mode tap %s", many ? "multi_queue" : "");
        assert_int_equal(open_tap(&port, &(struct port_config){.device = "tap9"}), 0);
        port.ops->close(&port);
        assert_true(if_nametoindex("tap9"));
        ip("link del tap9");
    }
}

static void
test_queues_share_an_interface_and_no_frame_is_lost_or_doubled(void **state)
{
    struct fixture *f = *state;
    enum { N_QUEUES = 3, N = 192 };
    struct port queues[N_QUEUES];
    struct packet *packets[PACKET_VECTOR];
    unsigned seen[N] = {0}, n;
    uint8_t frame[60];
    int host = f->host;

    for (uint32_t i = 0; i < N_QUEUES; i++) {
        struct port_config config = {.device = "tap6", .queue = i, .n_queues = N_QUEUES};
        assert_int_equal(open_tap(&queues[i], &config), 0);
    }
    f->host = wire_open("tap6");
    for (unsigned i = 0; i < N; i++) {
        plain(frame, sizeof frame);
        put_be32(frame + 20, i);
        wire_send(f->host, frame, sizeof frame, NULL);
    }
    for (unsigned q = 0; q < N_QUEUES; q++) {
        while ((n = queues[q].ops->receive(&queues[q], &f->pools.small, &f->pools.large, packets, 64))) {
            for (unsigned i = 0; i < n; i++) {
                seen[get_be32(packets[i]->data + 20)]++;
            }
            packet_free(packets, n);
        }
        queues[q].ops->close(&queues[q]);
    }
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(seen[i], 1);
    }
    close(f->host);
    f->host = host;
    assert_false(if_nametoindex("tap6"));
}

static void
test_open_says_what_was_wrong(void **state)
{
    (void)state;
    check_refuses("tap", &(struct port_config){.device = ""}, EINVAL,
                  "\"\" is no name for an interface");
    check_refuses("tap", &(struct port_config){.device = "tap%d"}, EINVAL,
                  "\"tap%d\" is no name for an interface");
    check_refuses("tap", &(struct port_config){.device = "sixteen-letters-"}, ENAMETOOLONG,
                  "\"sixteen-letters-\" is too long for an interface name");
    check_refuses("tap", &(struct port_config){.device = "tap7"}, EBUSY,
                  "cannot use \"tap7\" as a tap: Device or resource busy "
                  "(another program has it open)");
    check_refuses("tap", &(struct port_config){.device = "lo"}, EINVAL,
                  "cannot use \"lo\" as a tap: Invalid argument "
                  "(it is no tap, or was made for another number of queues)");
}

int
main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(test_##NAME, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(frames_of_all_lengths_pass_both_ways),
        TEST(a_frame_to_be_segmented_passes_whole_both_ways),
        TEST(without_a_large_packet_only_the_long_frame_is_lost),
        TEST(frames_that_cannot_be_sent_do_not_keep_others_back),
        TEST(a_port_set_down_drops_and_set_up_works_again),
        TEST(an_interface_that_is_removed_leaves_a_port_that_does_nothing),
        TEST(the_interface_goes_with_the_port_unless_it_was_there),
        TEST(queues_share_an_interface_and_no_frame_is_lost_or_doubled),
        TEST(open_says_what_was_wrong),
    };

    return enter_namespace() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
