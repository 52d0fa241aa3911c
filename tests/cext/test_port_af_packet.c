/* port_af_packet.c: frames, in and out. */

#include "af_packet_rig.h"

/* --- Frames -------------------------------------------------------------- */

static void
test_a_frame_is_received_as_it_was_on_the_wire(void **state)
{
    struct fixture *f = *state;

    check_receives(&f->port, &f->pools, f->wire);
}

static void
test_a_frame_is_sent_as_it_is_and_not_heard_again(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[60];
    struct seen *seen = malloc(sizeof *seen);
    struct packet *packet;

    assert_int_equal(transmit(f, plain(frame, sizeof frame), sizeof frame, NULL), 1);
    see(f->wire, seen);
    assert_int_equal(seen->len, sizeof frame);
    assert_memory_equal(seen->data, frame, sizeof frame);
    assert_int_equal(f->port.counters.tx_packets, 1);
    assert_int_equal(f->port.counters.tx_bytes, sizeof frame);
    assert_int_equal(receive(&f->port, &f->pools, &packet, 1), 0);
    free(seen);
}

static void
test_a_vlan_tag_that_the_kernel_took_out_is_put_back(void **state)
{
    struct fixture *f = *state;
    static const uint16_t tpids[] = {ETH_TYPE_VLAN, ETH_TYPE_SVLAN};
    uint8_t frame[104];

    for (unsigned i = 0; i < 4; i++) {
        plain(frame, sizeof frame);
        put_be16(frame + 12, tpids[i & 1]);
        put_be16(frame + 14, i & 2 ? 0xb064 : 0);      /* Priority and VLAN, or nothing at all. */
        put_be16(frame + 16, ETH_TYPE_VLAN);           /* A second tag. */
        put_be32(frame + 18, 0x006588b5);
        wire_send(f->wire, frame, sizeof frame, NULL);

        struct packet *packet = receive_one(&f->port, &f->pools);
        assert_int_equal(packet->len, sizeof frame);
        assert_memory_equal(packet->data, frame, sizeof frame);
        assert_int_equal(packet->headroom, PACKET_HEADROOM - VLAN_SIZE);
        packet_free(&packet, 1);
    }
    assert_int_equal(f->port.counters.rx_bytes, 4 * sizeof frame);
}

static void
test_a_tagged_frame_of_full_length_goes_out(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[1518];
    struct seen *seen = malloc(sizeof *seen);

    plain(frame, sizeof frame);
    put_be32(frame + 12, 0x8100b064);
    put_be16(frame + 16, 0x88b5);
    assert_int_equal(transmit(f, frame, sizeof frame, NULL), 1);
    see(f->wire, seen);
    assert_int_equal(seen->len, sizeof frame - VLAN_SIZE);
    assert_true(seen->aux.tp_status & TP_STATUS_VLAN_VALID);
    assert_int_equal(seen->aux.tp_vlan_tci, 0xb064);
    assert_int_equal(seen->aux.tp_vlan_tpid, ETH_TYPE_VLAN);
    assert_memory_equal(seen->data + 12, frame + 16, seen->len - 12);
    free(seen);
}

static void
test_a_jumbo_frame_comes_in_a_large_packet(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[9014];
    struct seen *seen = malloc(sizeof *seen);
    static const size_t lens[] = {1971, 1972, 1973, 2047, 2048, 2049, 9014};

    ip("link set one mtu 9000");
    ip("link set two mtu 9000");
    for (unsigned i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        wire_send(f->wire, plain(frame, lens[i]), lens[i], NULL);
        struct packet *packet = receive_one(&f->port, &f->pools);
        assert_int_equal(packet->len, lens[i]);
        assert_memory_equal(packet->data, frame, lens[i]);
        assert_ptr_equal(packet->pool, lens[i] <= PACKET_SMALL ? &f->pools.small : &f->pools.large);
        assert_int_equal(f->port.ops->transmit(&f->port, &packet, 1), 1);
        see(f->wire, seen);
        assert_int_equal(seen->len, lens[i]);
        assert_memory_equal(seen->data, frame, lens[i]);
    }
    free(seen);
}

static void
test_without_a_large_packet_only_the_long_frame_is_lost(void **state)
{
    struct fixture *f = *state;

    ip("link set one mtu 3000");
    ip("link set two mtu 3000");
    check_loses_long(&f->port, &f->pools, f->wire);
}

/* Small and large frames in turn: what waits in the queue of the socket keeps its place. */
static void
test_frames_of_all_lengths_keep_their_order(void **state)
{
    struct fixture *f = *state;
    enum { N = 64 };
    struct packet *packets[N];
    uint8_t frame[9014];
    unsigned n = 0;

    ip("link set one mtu 9000");
    ip("link set two mtu 9000");
    for (unsigned i = 0; i < N; i++) {
        size_t len = i % 3 ? 60 + i : 9014 - i;
        put_be32((uint8_t *)(uintptr_t)plain(frame, len) + 20, i);
        wire_send(f->wire, frame, len, NULL);
    }
    for (unsigned i = 0; i < TRIES && n < N && wait_readable(f->port.fd); i++) {
        unsigned n_more = receive(&f->port, &f->pools, packets, 7);
        for (unsigned j = 0; j < n_more; j++, n++) {
            assert_int_equal(get_be32(packets[j]->data + 20), n);
            assert_int_equal(packets[j]->len, n % 3 ? 60 + n : 9014 - n);
        }
        packet_free(packets, n_more);
    }
    assert_int_equal(n, N);
}

static void
test_large_frames_that_find_no_room_are_counted(void **state)
{
    struct fixture *f = *state;
    enum { N = 2000 };
    struct packet *packets[PACKET_VECTOR];
    struct port_link link;
    int size = 1 << 16;
    uint8_t frame[3014];
    unsigned n;

    ip("link set one mtu 3000");
    ip("link set two mtu 3000");
    assert_int_equal(setsockopt(f->port.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
    for (unsigned i = 0; i < N; i++) {
        wire_send(f->wire, plain(frame, sizeof frame), sizeof frame, NULL);
    }
    wire_send(f->wire, plain(frame, 60), 60, NULL);
    for (unsigned i = 0; i < TRIES && is_readable(f->port.fd); i++) {
        n = receive(&f->port, &f->pools, packets, N_LARGE);
        packet_free(packets, n);
    }
    assert_int_equal(f->port.ops->link(&f->port, &link), 0);
    assert_true(f->port.counters.rx_packets > 1);
    assert_true(f->port.counters.rx_dropped > 0);
    assert_int_equal(f->port.counters.rx_packets + f->port.counters.rx_dropped, N + 1);
}

/* --- What is left to others ---------------------------------------------- */

static void
test_a_frame_to_be_segmented_is_received_whole(void **state)
{
    struct fixture *f = *state;
    uint8_t *frame = malloc(65535);

    for (size_t tag = 0; tag <= VLAN_SIZE; tag += VLAN_SIZE) {
        size_t len = 65535;                             /* The kernel cuts longer ones. */
        plain(frame, len);
        put_be32(frame + 12, 0x81000064);
        struct offload offload = unfinished_tcp(frame, ETH_SIZE + tag, len, 1448);
        wire_send(f->wire, frame, len, &offload);

        struct packet *packet = receive_one(&f->port, &f->pools);
        assert_int_equal(packet->len, len);
        assert_memory_equal(packet->data, frame, len);
        assert_int_equal(packet->offload.flags & 1, 1);
        assert_int_equal(packet->offload.gso_type, 1);
        assert_int_equal(packet->offload.gso_size, 1448);
        assert_int_equal(packet->offload.csum_start, ETH_SIZE + tag + 20);
        assert_int_equal(packet->offload.csum_offset, TCP_CSUM);
        assert_true(packet->offload.hdr_len >= ETH_SIZE + tag + 40);
        packet_free(&packet, 1);
    }
    free(frame);
}

static void
test_a_frame_to_be_segmented_is_sent_whole(void **state)
{
    struct fixture *f = *state;
    struct seen *seen = malloc(sizeof *seen);
    uint8_t *frame = malloc(40000);

    plain(frame, 40000);
    struct offload offload = unfinished_tcp(frame, ETH_SIZE, 40000, 1448);
    assert_int_equal(transmit(f, frame, 40000, &offload), 1);
    see(f->wire, seen);
    assert_int_equal(seen->len, 40000);
    assert_memory_equal(seen->data, frame, 40000);
    assert_int_equal(seen->offload.gso_type, 1);
    assert_int_equal(seen->offload.gso_size, 1448);
    assert_int_equal(seen->offload.csum_start, ETH_SIZE + 20);
    free(frame);
    free(seen);
}

static void
test_the_kernel_cuts_what_the_device_does_not_take_whole(void **state)
{
    struct fixture *f = *state;
    struct seen *seen = malloc(sizeof *seen);
    uint8_t frame[54 + 4 * 1000];

    assert_int_equal(system("PATH=$PATH:/usr/sbin:/sbin ethtool -K one tso off gso off "
                            "tx off >/dev/null"), 0);
    plain(frame, sizeof frame);
    struct offload offload = unfinished_tcp(frame, ETH_SIZE, sizeof frame, 1000);
    assert_int_equal(transmit(f, frame, sizeof frame, &offload), 1);
    for (unsigned i = 0; i < 4; i++) {
        see(f->wire, seen);
        assert_int_equal(seen->len, 1054);
        assert_memory_equal(seen->data + 54, frame + 54 + 1000 * i, 1000);
    }
    free(seen);
}

static void
test_a_checksum_left_to_do_is_carried_both_ways(void **state)
{
    struct fixture *f = *state;
    struct seen *seen = malloc(sizeof *seen);
    uint8_t frame[200];

    plain(frame, sizeof frame);
    struct offload offload = unfinished_tcp(frame, ETH_SIZE, sizeof frame, 0);
    wire_send(f->wire, frame, sizeof frame, &offload);
    struct packet *packet = receive_one(&f->port, &f->pools);
    assert_memory_equal(&packet->offload, &offload, sizeof offload);
    packet->offload.hdr_len = 9999;                     /* Without meaning here. */
    assert_int_equal(f->port.ops->transmit(&f->port, &packet, 1), 1);
    see(f->wire, seen);
    assert_memory_equal(&seen->offload, &offload, sizeof offload);
    free(seen);
}

/* --- Refusals and losses ------------------------------------------------- */

static void
test_frames_that_cannot_be_sent_do_not_keep_others_back(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[3000];
    struct seen *seen = malloc(sizeof *seen);
    struct packet *packets[4] = {
        new_packet(&f->pools, plain(frame, 3000), 3000),        /* Longer than the MTU. */
        new_packet(&f->pools, plain(frame, 60), 60),
        new_packet(&f->pools, plain(frame, 13), 13),            /* Shorter than its header. */
        new_packet(&f->pools, plain(frame, 61), 61),
    };

    assert_int_equal(f->port.ops->transmit(&f->port, packets, 4), 2);
    see(f->wire, seen);
    assert_int_equal(seen->len, 60);
    see(f->wire, seen);
    assert_int_equal(seen->len, 61);
    assert_int_equal(f->port.counters.tx_packets, 2);
    assert_int_equal(f->port.counters.tx_bytes, 121);
    assert_int_equal(f->port.counters.tx_dropped, 2);
    assert_int_equal(f->port.counters.tx_errors, 1);
    free(seen);
}

static void
test_a_hundred_thousand_frames_pass_and_none_is_lost(void **state)
{
    struct fixture *f = *state;
    enum { N = 100000, AHEAD = 500 };
    struct packet *packets[PACKET_VECTOR];
    uint8_t frame[60];
    uint32_t n_sent = 0, n_seen = 0;

    plain(frame, sizeof frame);
    while (n_seen < N) {
        for (; n_sent < N && n_sent < n_seen + AHEAD; n_sent++) {
            put_be32(frame + 20, n_sent);
            wire_send(f->wire, frame, sizeof frame, NULL);
        }
        assert_true(wait_readable(f->port.fd));
        unsigned n = receive(&f->port, &f->pools, packets, PACKET_VECTOR);
        for (unsigned i = 0; i < n; i++) {
            assert_int_equal(get_be32(packets[i]->data + 20), n_seen++);
        }
        packet_free(packets, n);
    }
    assert_int_equal(f->port.counters.rx_packets, N);
    assert_int_equal(f->port.counters.rx_bytes, 60 * N);
}

static void
test_a_vector_longer_than_a_batch_goes_out_in_order(void **state)
{
    struct fixture *f = *state;
    struct packet *packets[PACKET_VECTOR];
    struct seen *seen = malloc(sizeof *seen);
    uint8_t frame[60];

    plain(frame, sizeof frame);
    for (unsigned i = 0; i < PACKET_VECTOR; i++) {
        put_be32(frame + 20, i);
        packets[i] = new_packet(&f->pools, frame, sizeof frame);
    }
    assert_int_equal(f->port.ops->transmit(&f->port, packets, PACKET_VECTOR), PACKET_VECTOR);
    for (unsigned i = 0; i < PACKET_VECTOR; i++) {
        see(f->wire, seen);
        assert_int_equal(get_be32(seen->data + 20), i);
    }
    free(seen);
}

static void
test_what_the_kernel_had_to_drop_is_counted(void **state)
{
    struct fixture *f = *state;
    enum { N = 2000 };
    struct packet *packets[PACKET_VECTOR];
    struct port_link link;
    uint8_t frame[1514];
    unsigned n;

    f->port.ops->close(&f->port);
    assert_int_equal(open_port(f, "one", 16), 0);       /* A short queue. */
    for (unsigned i = 0; i < N; i++) {
        wire_send(f->wire, plain(frame, sizeof frame), sizeof frame, NULL);
    }
    assert_true(wait_readable(f->port.fd));
    while ((n = receive(&f->port, &f->pools, packets, PACKET_VECTOR))) {
        packet_free(packets, n);
    }
    assert_int_equal(f->port.ops->link(&f->port, &link), 0);
    assert_true(f->port.counters.rx_dropped > 0);
    assert_int_equal(f->port.counters.rx_packets + f->port.counters.rx_dropped, N);
    assert_int_equal(f->port.ops->link(&f->port, &link), 0);
    assert_int_equal(f->port.counters.rx_packets + f->port.counters.rx_dropped, N);
}

int
main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(test_##NAME, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_frame_is_received_as_it_was_on_the_wire),
        TEST(a_frame_is_sent_as_it_is_and_not_heard_again),
        TEST(a_vlan_tag_that_the_kernel_took_out_is_put_back),
        TEST(a_tagged_frame_of_full_length_goes_out),
        TEST(a_jumbo_frame_comes_in_a_large_packet),
        TEST(without_a_large_packet_only_the_long_frame_is_lost),
        TEST(frames_of_all_lengths_keep_their_order),
        TEST(large_frames_that_find_no_room_are_counted),
        TEST(a_frame_to_be_segmented_is_received_whole),
        TEST(a_frame_to_be_segmented_is_sent_whole),
        TEST(the_kernel_cuts_what_the_device_does_not_take_whole),
        TEST(a_checksum_left_to_do_is_carried_both_ways),
        TEST(frames_that_cannot_be_sent_do_not_keep_others_back),
        TEST(a_hundred_thousand_frames_pass_and_none_is_lost),
        TEST(a_vector_longer_than_a_batch_goes_out_in_order),
        TEST(what_the_kernel_had_to_drop_is_counted),
    };

    return enter_namespace() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
