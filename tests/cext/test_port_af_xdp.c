/* port_af_xdp.c on a veth pair: the port on "one", a plain packet socket on "two". */

#include "kernel_port.h"

#include <sys/wait.h>

#include "csum.h"
#include "offload.h"
#include "packets.h"

enum { N_SMALL = 4096, N_LARGE = 8 };

struct fixture {
    struct pools pools;
    struct port port, other;    /* On "one"; on "three", if open. */
    int wire, far_wire;         /* Sockets on "two" and "four". */
};

/* --- The near end -------------------------------------------------------- */

static int
open_port(struct port *port, const char *device, const struct port_config *like)
{
    struct port_config config = *like;
    char why[PORT_WHY_MAX];

    *port = (struct port){.ops = port_kind("af_xdp"), .name = "p"};
    snprintf(config.device, sizeof config.device, "%s", device);
    return port->ops->open(port, &config, why, sizeof why);
}

static int
bind_port(struct fixture *f, struct port *port)
{
    int error = port->ops->bind(port, &f->pools.small, port->why, sizeof port->why);

    if (error) {
        fprintf(stderr, "%s\n", port->why);
    }
    return error;
}

static void
open_and_bind(struct fixture *f, struct port *port, const char *device,
              const struct port_config *like)
{
    assert_int_equal(open_port(port, device, like), 0);
    assert_int_equal(bind_port(f, port), 0);
}

static void
close_port(struct port *port)
{
    if (port->state) {
        if (port->fd >= 0) {
            port->ops->unbind(port);
        }
        port->ops->close(port);
    }
}

static unsigned
transmit(struct fixture *f, struct port *port, const void *frame, size_t len)
{
    struct packet *packet = new_packet(&f->pools, frame, len);

    return port->ops->transmit(port, &packet, 1);
}

/* Lets a port have all the packets it wants to wait with. */
static void
fill_up(struct fixture *f, struct port *port)
{
    unsigned before;

    do {
        before = f->pools.small.n_free;
        receive(port, &f->pools, NULL, 0);
    } while (f->pools.small.n_free != before);
}

/* Waits until a frame gets through from the far end: a veth that is told to do something else takes
 * a moment, and drops without a word meanwhile. */
static void
wait_for_way(struct fixture *f, struct port *port, int wire)
{
    static const uint8_t frame[60] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb6};
    struct packet *packets[PACKET_VECTOR];
    unsigned n = 0;

    fill_up(f, port);
    for (unsigned i = 0; i < TRIES && !n; i++) {
        wire_send(wire, frame, sizeof frame, NULL);
        usleep(1000);
        n = receive(port, &f->pools, packets, PACKET_VECTOR);
    }
    assert_true(n > 0);
    do {
        packet_free(packets, n);
        usleep(1000);
    } while ((n = receive(port, &f->pools, packets, PACKET_VECTOR)));
    fill_up(f, port);
    atomic_store(&port->counters.rx_packets, 0);
    atomic_store(&port->counters.rx_bytes, 0);
    atomic_store(&port->counters.rx_dropped, 0);
}

static const struct port_config *
config_of(enum port_xdp_mode mode)
{
    static struct port_config config;

    config = (struct port_config){.xdp_mode = mode};
    return &config;
}

/* The mode of the group that runs. */
static enum port_xdp_mode wanted_mode;

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    ip("link add one type veth peer name two");
    ip("link add three type veth peer name four");
    for (const char *const *name = (const char *const[]){"one", "two", "three", "four", NULL};
         *name; name++) {
        ip("link set %s up", *name);
    }
    pools_open(&f->pools, N_SMALL, N_LARGE);
    open_and_bind(f, &f->port, "one", config_of(wanted_mode));
    f->wire = wire_open("two");
    f->far_wire = wire_open("four");
    wait_for_way(f, &f->port, f->wire);
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    close_port(&f->port);
    close_port(&f->other);
    close(f->wire);
    close(f->far_wire);
    assert_int_equal(f->pools.small.n_keepers, 0);
    pools_close(&f->pools);
    free(f);
    ip("link del two");
    if (if_nametoindex("four")) {
        ip("link del four");
    }
    return 0;
}

static void
open_other(struct fixture *f)
{
    open_and_bind(f, &f->other, "three", config_of(wanted_mode));
    wait_for_way(f, &f->other, f->far_wire);
}

/* --- Frames -------------------------------------------------------------- */

static void
test_the_port_says_how_it_works(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(f->port.how,
                        wanted_mode == PORT_XDP_GENERIC ? "generic, copy" : "native, copy");
    assert_int_equal(f->port.capabilities, 0);
}

static void
test_a_frame_is_received_as_it_was_on_the_wire(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[60];

    check_receives(&f->port, &f->pools, f->wire);
    wire_send(f->wire, plain(frame, sizeof frame), sizeof frame, NULL);
    struct packet *packet = receive_one(&f->port, &f->pools);
    assert_int_equal(packet->headroom, PACKET_HEADROOM);
    packet_free(&packet, 1);
}

static void
test_a_frame_is_sent_as_it_is(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[60], seen[100];

    assert_int_equal(transmit(f, &f->port, plain(frame, sizeof frame), sizeof frame), 1);
    assert_int_equal(wire_receive(f->wire, seen, sizeof seen, NULL), sizeof frame);
    assert_memory_equal(seen, frame, sizeof frame);
    assert_int_equal(f->port.counters.tx_packets, 1);
    assert_int_equal(f->port.counters.tx_bytes, sizeof frame);
    assert_int_equal(f->port.counters.tx_dropped, 0);
}

static void
test_a_packet_from_port_to_port_is_not_copied(void **state)
{
    struct fixture *f = *state;
    struct packet *packet, *later;
    uint8_t frame[100], seen[200];
    unsigned free_before;

    open_other(f);
    wire_send(f->wire, plain(frame, sizeof frame), sizeof frame, NULL);
    packet = receive_one(&f->port, &f->pools);
    fill_up(f, &f->port);
    assert_true(packet_push(packet, 4));            /* Also with something in front. */
    memmove(packet->data, packet->data + 4, 12);
    put_be32(packet->data + 12, 0x81000005);
    free_before = f->pools.small.n_free;
    assert_int_equal(f->other.ops->transmit(&f->other, &packet, 1), 1);
    assert_int_equal(wire_receive(f->far_wire, seen, sizeof seen, NULL), sizeof frame);
    assert_memory_equal(seen + 12, frame + 12, sizeof frame - 12);      /* Its tag is beside it. */

    /* No packet but itself has been used, and it comes back. */
    assert_int_equal(f->pools.small.n_free, free_before);
    while (receive(&f->other, &f->pools, &later, 1) || f->pools.small.n_free == free_before) {
        continue;
    }
    assert_int_equal(f->pools.small.n_free, free_before + 1);
    assert_ptr_equal(f->pools.small.free[f->pools.small.n_free - 1], packet);
}

static void
test_packets_from_elsewhere_are_copied_in(void **state)
{
    struct fixture *f = *state;
    struct pool foreign;
    struct packet *packet;
    uint8_t frame[1000], seen[2000];

    assert_int_equal(pool_open(&foreign, 4, PACKET_SMALL), 0);
    packet = packet_of(&foreign, plain(frame, sizeof frame), sizeof frame);
    assert_int_equal(f->port.ops->transmit(&f->port, &packet, 1), 1);
    assert_int_equal(foreign.n_free, 4);
    assert_int_equal(wire_receive(f->wire, seen, sizeof seen, NULL), sizeof frame);
    assert_memory_equal(seen, frame, sizeof frame);

    packet = packet_of(&f->pools.large, frame, sizeof frame);
    assert_int_equal(f->port.ops->transmit(&f->port, &packet, 1), 1);
    assert_int_equal(f->pools.large.n_free, N_LARGE);
    assert_int_equal(wire_receive(f->wire, seen, sizeof seen, NULL), sizeof frame);
    assert_memory_equal(seen, frame, sizeof frame);
    pool_close(&foreign);
}

static void
test_frames_that_cannot_be_sent_do_not_keep_others_back(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[PACKET_SMALL + 1], seen[100];
    struct packet *packets[4];

    plain(frame, sizeof frame);
    packets[0] = packet_of(&f->pools.small, frame, 60);
    packets[1] = packet_of(&f->pools.large, frame, PACKET_SMALL + 1);
    packets[2] = packet_of(&f->pools.small, frame, 13);
    packets[3] = packet_of(&f->pools.small, frame, 61);
    assert_int_equal(f->port.ops->transmit(&f->port, packets, 4), 2);
    assert_int_equal(wire_receive(f->wire, seen, sizeof seen, NULL), 60);
    assert_int_equal(wire_receive(f->wire, seen, sizeof seen, NULL), 61);
    assert_int_equal(f->port.counters.tx_packets, 2);
    assert_int_equal(f->port.counters.tx_bytes, 121);
    assert_int_equal(f->port.counters.tx_dropped, 2);
}

static void
test_a_vector_goes_out_in_order(void **state)
{
    struct fixture *f = *state;
    struct packet *packets[PACKET_VECTOR];
    uint8_t frame[60], seen[100];

    plain(frame, sizeof frame);
    for (unsigned i = 0; i < PACKET_VECTOR; i++) {
        put_be32(frame + 20, i);
        packets[i] = packet_of(&f->pools.small, frame, sizeof frame);
    }
    assert_int_equal(f->port.ops->transmit(&f->port, packets, PACKET_VECTOR), PACKET_VECTOR);
    for (unsigned i = 0; i < PACKET_VECTOR; i++) {
        assert_int_equal(wire_receive(f->wire, seen, sizeof seen, NULL), sizeof frame);
        assert_int_equal(get_be32(seen + 20), i);
    }
}

static void
test_a_hundred_thousand_frames_pass_and_none_is_lost(void **state)
{
    struct fixture *f = *state;
    enum { N = 100000, AHEAD = 200 };
    struct packet *packets[PACKET_VECTOR];
    uint8_t frame[60], seen[100];
    uint32_t n_sent = 0, n_seen = 0;

    open_other(f);
    plain(frame, sizeof frame);
    while (n_seen < N) {
        for (; n_sent < N && n_sent < n_seen + AHEAD; n_sent++) {
            put_be32(frame + 20, n_sent);
            wire_send(f->wire, frame, sizeof frame, NULL);
        }
        unsigned n = receive(&f->port, &f->pools, packets, PACKET_VECTOR);
        assert_int_equal(f->other.ops->transmit(&f->other, packets, n), n);
        receive(&f->other, &f->pools, packets, 1);
        while (is_readable(f->far_wire)) {
            wire_receive(f->far_wire, seen, sizeof seen, NULL);
            assert_int_equal(get_be32(seen + 20), n_seen++);
        }
    }
    assert_int_equal(f->port.counters.rx_packets, N);
    assert_int_equal(f->other.counters.tx_packets, N);
    assert_int_equal(f->other.counters.tx_bytes, 60 * N);
    assert_int_equal(f->port.counters.rx_dropped + f->other.counters.tx_dropped, 0);
}

/* --- Tags and checksums -------------------------------------------------- */

static void
test_tags_in_the_frame_stay_there(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[104];

    plain(frame, sizeof frame);
    put_be32(frame + 12, 0x88a8b064);
    put_be32(frame + 16, 0x81000065);
    put_be16(frame + 20, 0x88b5);
    wire_send(f->wire, frame, sizeof frame, NULL);
    struct packet *packet = receive_one(&f->port, &f->pools);
    assert_int_equal(packet->len, sizeof frame);
    assert_memory_equal(packet->data, frame, sizeof frame);
    packet_free(&packet, 1);
}

/* Frames with a sum that is left to do, one with a wrong sum, and one with a right one. */
static struct offload
transport_frame(struct frame *frame, bool ipv6, uint8_t proto, uint16_t csum_at)
{
    memset(frame, 0, sizeof *frame);
    frame_eth(frame, ipv6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4);
    if (ipv6) {
        frame_ipv6(frame, proto);
    } else {
        frame_ipv4(frame, proto, 0, 0);
    }
    size_t at = frame->len;
    frame_payload(frame, 41);
    frame_end(frame);
    uint16_t sum = (uint16_t)~csum_fold(csum_add_pseudo(0, frame->data + frame->ip, proto,
                                                        (uint32_t)(frame->len - at)));
    memcpy(frame->data + at + csum_at, &sum, sizeof sum);
    return (struct offload){
        .flags = 1, .csum_start = (uint16_t)at, .csum_offset = csum_at,
    };
}

static void
test_a_checksum_left_to_do_is_found_out(void **state)
{
    struct fixture *f = *state;
    static const struct { bool ipv6; uint8_t proto; uint16_t csum_at; } rows[] = {
        {false, IP_PROTO_TCP, TCP_CSUM}, {true, IP_PROTO_TCP, TCP_CSUM},
        {false, IP_PROTO_UDP, UDP_CSUM}, {true, IP_PROTO_UDP, UDP_CSUM},
    };

    for (unsigned i = 0; i < 4; i++) {
        struct frame frame;
        struct offload left = transport_frame(&frame, rows[i].ipv6, rows[i].proto, rows[i].csum_at);
        wire_send(f->wire, frame.data, frame.len, &left);
        struct packet *packet = receive_one(&f->port, &f->pools);
        assert_memory_equal(packet->data, frame.data, frame.len);
        assert_memory_equal(&packet->offload, &left, sizeof left);

        /* Once it is done, or wrong, there is nothing to be found. */
        offload_checksum(packet);
        for (unsigned wrong = 0; wrong < 2; wrong++) {
            packet->data[packet->len - 1] ^= (uint8_t)wrong;
            wire_send(f->wire, packet->data, packet->len, NULL);
            struct packet *second = receive_one(&f->port, &f->pools);
            assert_int_equal(second->offload.flags, 0);
            packet_free(&second, 1);
        }
        packet_free(&packet, 1);
    }
}

/* --- The pool ------------------------------------------------------------ */

static void
test_ports_leave_packets_in_the_pool_for_others(void **state)
{
    struct fixture *f = *state;
    struct port more[6] = {{.state = NULL}};

    for (unsigned i = 0; i < 6; i++) {
        char name[16];
        ip("link add many%u type veth peer name more%u", i, i);
        snprintf(name, sizeof name, "many%u", i);
        open_and_bind(f, &more[i], name, config_of(wanted_mode));
        fill_up(f, &more[i]);
    }
    assert_int_equal(f->pools.small.n_keepers, 7);
    assert_true(f->pools.small.n_free > N_SMALL / 8);
    for (unsigned i = 0; i < 6; i++) {
        close_port(&more[i]);
        ip("link del more%u", i);
    }
}

static void
test_a_ring_length_bounds_what_is_in_flight(void **state)
{
    struct fixture *f = *state;

    close_port(&f->port);
    open_and_bind(f, &f->port, "one",
                  &(struct port_config){.ring_len = 128, .xdp_mode = wanted_mode});
    fill_up(f, &f->port);
    assert_int_equal(f->pools.small.n_free, N_SMALL - 128);
}

static void
test_what_came_and_was_not_received_is_back_after_unbind(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[60];

    for (unsigned i = 0; i < 100; i++) {
        wire_send(f->wire, plain(frame, sizeof frame), sizeof frame, NULL);
    }
    assert_true(wait_readable(f->port.fd));
    f->port.ops->unbind(&f->port);
    assert_int_equal(f->pools.small.n_free, N_SMALL);
    assert_int_equal(f->port.fd, -1);
    assert_int_equal(bind_port(f, &f->port), 0);        /* And it can be bound again. */
    wait_for_way(f, &f->port, f->wire);
}

static void
test_without_packets_what_comes_is_dropped_and_counted(void **state)
{
    struct fixture *f = *state;
    enum { N = 1500 };
    struct packet *packets[PACKET_VECTOR];
    struct port_link link;
    uint8_t frame[60];
    unsigned n;

    for (unsigned i = 0; i < N; i++) {
        wire_send(f->wire, plain(frame, sizeof frame), sizeof frame, NULL);
    }
    usleep(20000);
    while ((n = receive(&f->port, &f->pools, packets, PACKET_VECTOR))) {
        packet_free(packets, n);
    }
    assert_int_equal(f->port.ops->link(&f->port, &link), 0);
    assert_true(f->port.counters.rx_dropped > 0);
    assert_int_equal(f->port.counters.rx_packets + f->port.counters.rx_dropped, N);
    assert_int_equal(f->port.ops->link(&f->port, &link), 0);
    assert_int_equal(f->port.counters.rx_packets + f->port.counters.rx_dropped, N);
}

static void
test_a_frame_longer_than_a_packet_is_dropped_and_counted(void **state)
{
    struct fixture *f = *state;
    struct port_link link;
    uint8_t frame[3014];

    ip("link set one mtu 3000");
    ip("link set two mtu 3000");
    wait_for_way(f, &f->port, f->wire);
    wire_send(f->wire, plain(frame, PACKET_SMALL + 1), PACKET_SMALL + 1, NULL);
    wire_send(f->wire, frame, PACKET_SMALL, NULL);
    struct packet *packet = receive_one(&f->port, &f->pools);
    assert_int_equal(packet->len, PACKET_SMALL);
    assert_memory_equal(packet->data, frame, PACKET_SMALL);
    assert_int_equal(f->port.ops->link(&f->port, &link), 0);
    assert_int_equal(f->port.counters.rx_dropped, 1);
    packet_free(&packet, 1);
}

/* --- Link ---------------------------------------------------------------- */

static void
test_a_port_set_down_drops_and_set_up_works_again(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[60];

    plain(frame, sizeof frame);
    assert_int_equal(f->port.ops->set_admin(&f->port, false), 0);
    assert_true(link_becomes(&f->port, false, false));
    assert_int_equal(transmit(f, &f->port, frame, sizeof frame), 0);
    assert_int_equal(f->port.counters.tx_dropped, 1);
    assert_int_equal(f->port.ops->set_admin(&f->port, true), 0);
    assert_true(link_becomes(&f->port, true, true));
    wait_for_way(f, &f->port, f->wire);
    assert_int_equal(transmit(f, &f->port, frame, sizeof frame), 1);
    assert_int_equal(f->port.counters.tx_packets, 1);
}

static void
test_frames_that_meet_no_carrier_are_dropped(void **state)
{
    struct fixture *f = *state;
    struct packet *packets[40];
    uint8_t frame[60];

    plain(frame, sizeof frame);
    ip("link set two down");
    assert_true(link_becomes(&f->port, true, false));
    for (unsigned i = 0; i < 40; i++) {
        packets[i] = packet_of(&f->pools.small, frame, sizeof frame);
    }
    f->port.ops->transmit(&f->port, packets, 40);
    assert_int_equal(f->port.counters.tx_packets, 0);
    assert_int_equal(f->port.counters.tx_bytes, 0);
    assert_int_equal(f->port.counters.tx_dropped, 40);
    ip("link set two up");
}

static void
test_an_interface_that_is_down_can_be_bound(void **state)
{
    struct fixture *f = *state;

    close_port(&f->port);
    ip("link set one down");
    open_and_bind(f, &f->port, "one", config_of(wanted_mode));
    ip("link set one up");
    wait_for_way(f, &f->port, f->wire);
}

static void
test_a_device_that_is_removed_leaves_a_port_that_does_nothing(void **state)
{
    struct fixture *f = *state;
    struct packet *packets[4];
    struct port_link link;
    uint8_t frame[60];

    open_other(f);
    plain(frame, sizeof frame);
    ip("link del three");
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(receive(&f->other, &f->pools, packets, 4), 0);
        assert_int_equal(transmit(f, &f->other, frame, sizeof frame), 0);
    }
    assert_false(is_readable(f->other.fd));             /* It does not wake its worker for ever. */
    assert_int_equal(f->other.ops->link(&f->other, &link), ENODEV);
    assert_int_equal(f->other.counters.tx_dropped, 4);
}

/* --- Open and bind ------------------------------------------------------- */

static void
test_open_says_what_was_wrong(void **state)
{
    (void)state;
    check_refuses("af_xdp", &(struct port_config){.device = "eth9"}, ENODEV,
                  "no interface \"eth9\"");
    check_refuses("af_xdp", &(struct port_config){.device = "sixteen-letters-"}, ENAMETOOLONG,
                  "\"sixteen-letters-\" is too long for an interface name");
    check_refuses("af_xdp", &(struct port_config){.device = "three", .mtu = 2027}, EINVAL,
                  "bad MTU 2027 for interface \"three\": XDP takes 2026");
    check_refuses("af_xdp", &(struct port_config){.device = "three", .queue = 1024}, EINVAL,
                  "bad queue 1024 of \"three\": the last is 1023");
}

/* Opening works, binding does not. */
static void
does_not_bind(struct fixture *f, const char *device, const struct port_config *config, int error,
              const char *text)
{
    assert_int_equal(open_port(&f->other, device, config), 0);
    assert_int_equal(f->other.ops->bind(&f->other, &f->pools.small, f->other.why, PORT_WHY_MAX), error);
    assert_string_equal(f->other.why, text);
    assert_int_equal(f->other.fd, -1);
    f->other.ops->close(&f->other);
}

static void
test_bind_says_what_was_wrong(void **state)
{
    struct fixture *f = *state;

    does_not_bind(f, "three", &(struct port_config){.xdp_mode = PORT_XDP_ZERO_COPY}, EOPNOTSUPP,
                  "cannot use queue 0 of interface \"three\" (XDP native, zero-copy): "
                  "the driver cannot");
    does_not_bind(f, "three", &(struct port_config){.queue = 1, .n_queues = 2}, EINVAL,
                  "cannot use queue 1 of interface \"three\" (XDP generic, copy): "
                  "there is no such queue, or the driver cannot");
    does_not_bind(f, "one", config_of(wanted_mode), EBUSY,
                  wanted_mode == PORT_XDP_GENERIC
                  ? "cannot use queue 0 of interface \"one\" (XDP generic, copy): another XDP "
                    "program or another socket on this queue is there"
                  : "cannot use queue 0 of interface \"one\" (XDP native, zero-copy): another XDP "
                    "program or another socket on this queue is there");
}

static void
test_an_mtu_too_large_for_native_mode_leaves_generic_mode(void **state)
{
    struct fixture *f = *state;

    if (wanted_mode != PORT_XDP_AUTO) {
        return;
    }
    ip("link set four mtu 9000");
    open_and_bind(f, &f->other, "three", config_of(PORT_XDP_AUTO));
    assert_string_equal(f->other.how, "generic, copy");
}

static void
test_open_without_permission_names_the_capability(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    if (!child) {
        struct port_config config = {.device = "one"};
        struct port port = {.ops = port_kind("af_xdp"), .name = "p"};
        char why[PORT_WHY_MAX] = "";
        bool good = !setuid(65534) && port.ops->open(&port, &config, why, sizeof why) == EPERM
                    && strstr(why, "CAP_NET_RAW");
        _exit(good ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void
test_queues_of_an_interface_share_its_program(void **state)
{
    struct fixture *f = *state;
    struct port_config config = {.device = "wide", .n_queues = 2, .xdp_mode = wanted_mode};
    struct port second;

    ip("link add wide numrxqueues 2 numtxqueues 2 type veth peer name ewide");
    ip("link set wide up");
    ip("link set ewide up");
    open_and_bind(f, &f->other, "wide", &config);
    config.queue = 1;
    config.sibling = &f->other;
    open_and_bind(f, &second, "wide", &config);
    assert_string_equal(second.how, f->other.how);

    /* Either goes first; the frames of the queue that is left still come. */
    close_port(&second);
    int wire = wire_open("ewide");
    wait_for_way(f, &f->other, wire);
    close(wire);
    ip("link del ewide");
}

static void
test_when_all_are_gone_the_kernel_has_its_frames_back(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[60], seen[100];

    close_port(&f->port);
    int fd = wire_open("one");
    wire_send(f->wire, plain(frame, sizeof frame), sizeof frame, NULL);
    assert_int_equal(wire_receive(fd, seen, sizeof seen, NULL), sizeof frame);
    close(fd);
}

int
main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(test_##NAME, set_up, tear_down)
    const struct CMUnitTest frames[] = {
        TEST(the_port_says_how_it_works),
        TEST(a_frame_is_received_as_it_was_on_the_wire),
        TEST(a_frame_is_sent_as_it_is),
        TEST(a_packet_from_port_to_port_is_not_copied),
        TEST(packets_from_elsewhere_are_copied_in),
        TEST(frames_that_cannot_be_sent_do_not_keep_others_back),
        TEST(a_vector_goes_out_in_order),
        TEST(a_hundred_thousand_frames_pass_and_none_is_lost),
        TEST(tags_in_the_frame_stay_there),
        TEST(a_checksum_left_to_do_is_found_out),
        TEST(ports_leave_packets_in_the_pool_for_others),
        TEST(a_ring_length_bounds_what_is_in_flight),
        TEST(what_came_and_was_not_received_is_back_after_unbind),
        TEST(without_packets_what_comes_is_dropped_and_counted),
        TEST(a_frame_longer_than_a_packet_is_dropped_and_counted),
        TEST(a_port_set_down_drops_and_set_up_works_again),
        TEST(frames_that_meet_no_carrier_are_dropped),
        TEST(an_interface_that_is_down_can_be_bound),
        TEST(a_device_that_is_removed_leaves_a_port_that_does_nothing),
        TEST(open_says_what_was_wrong),
        TEST(bind_says_what_was_wrong),
        TEST(an_mtu_too_large_for_native_mode_leaves_generic_mode),
        TEST(open_without_permission_names_the_capability),
        TEST(queues_of_an_interface_share_its_program),
        TEST(when_all_are_gone_the_kernel_has_its_frames_back),
    };
    int failed = 0;

    if (!enter_namespace()) {
        return 0;
    }
    wanted_mode = PORT_XDP_AUTO;
    failed += cmocka_run_group_tests_name("auto", frames, NULL, NULL);
    wanted_mode = PORT_XDP_GENERIC;
    failed += cmocka_run_group_tests_name("generic", frames, NULL, NULL);
    return failed;
}
