/* port_af_packet.c on a veth pair: the port on "one", a plain packet socket on "two". */

#include "veth.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "packets.h"
#include "port.h"

enum { N_SMALL = 512, N_LARGE = 8, TRIES = 5000 };

struct fixture {
    struct pool small, large;
    struct port port;
    int wire;                   /* The socket on "two". */
};

/* A frame as the far end sees it. */
struct seen {
    size_t len;
    struct offload offload;
    struct tpacket_auxdata aux;
    uint8_t data[70000];
};

/* --- The far end --------------------------------------------------------- */

static int
wire_open(const char *name)
{
    int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1, size = 8 << 20;
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = (int)if_nametoindex(name),
    };

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one), 0);
    assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof one), 0);
    assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void
wire_send(int fd, const void *frame, size_t len, const struct offload *offload)
{
    struct offload none = {0};
    struct iovec parts[2] = {
        {offload ? (void *)(uintptr_t)offload : &none, sizeof none},
        {(void *)(uintptr_t)frame, len},
    };

    assert_int_equal(writev(fd, parts, 2), len + sizeof none);
}

/* Waits for a frame. */
static void
wire_receive(int fd, struct seen *seen)
{
    char control[CMSG_SPACE(sizeof seen->aux)];
    struct iovec parts[2] = {
        {&seen->offload, sizeof seen->offload}, {seen->data, sizeof seen->data},
    };
    struct msghdr message = {
        .msg_iov = parts, .msg_iovlen = 2, .msg_control = control, .msg_controllen = sizeof control,
    };

    assert_true(wait_readable(fd));
    ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);
    assert_true(n > (ssize_t)sizeof seen->offload);
    seen->len = (size_t)n - sizeof seen->offload;
    assert_non_null(CMSG_FIRSTHDR(&message));
    memcpy(&seen->aux, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof seen->aux);
}

/* --- The near end -------------------------------------------------------- */

static int
open_queue(struct port *port, const char *device, uint32_t queue, uint32_t n_queues,
           uint32_t ring_len)
{
    struct port_config config = {.ring_len = ring_len, .queue = queue, .n_queues = n_queues};
    char why[128];

    *port = (struct port){.ops = port_kind("af_packet"), .name = "p"};
    snprintf(config.device, sizeof config.device, "%s", device);
    return port->ops->open(port, &config, why, sizeof why);
}

static int
open_port(struct fixture *f, const char *device, uint32_t ring_len)
{
    return open_queue(&f->port, device, 0, 1, ring_len);
}

static bool
is_running(int fd, const char *name)
{
    struct ifreq ifr = {.ifr_flags = 0};

    strcpy(ifr.ifr_name, name);
    return !ioctl(fd, SIOCGIFFLAGS, &ifr) && (ifr.ifr_flags & IFF_RUNNING);
}

/* Waits until frames can pass.  The kernel notices carrier a little later than it
 * comes, and drops without a word what is sent before.  It is done with it when it
 * has both said "running" and let us at its lock for another change. */
static void
wait_for_carrier(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    unsigned i = 0;

    while (!is_running(fd, "one") || !is_running(fd, "two")) {
        assert_true(i++ < TRIES);
        usleep(1000);
    }
    close(fd);
    ip("link set two up");
}

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    ip("link add one type veth peer name two");
    ip("link set one up");
    ip("link set two up");
    wait_for_carrier();
    assert_int_equal(pool_open(&f->small, N_SMALL, PACKET_SMALL), 0);
    assert_int_equal(pool_open(&f->large, N_LARGE, PACKET_LARGE), 0);
    assert_int_equal(open_port(f, "one", 0), 0);
    f->wire = wire_open("two");
    *state = f;
    return 0;
}

/* Every packet must be back in its pool. */
static int
tear_down(void **state)
{
    struct fixture *f = *state;

    f->port.ops->close(&f->port);
    close(f->wire);
    assert_int_equal(f->small.n_free, N_SMALL);
    assert_int_equal(f->large.n_free, N_LARGE);
    pool_close(&f->small);
    pool_close(&f->large);
    free(f);
    if (if_nametoindex("two")) {
        ip("link del two");
    }
    return 0;
}

static unsigned
receive(struct fixture *f, struct packet **packets, unsigned limit)
{
    return f->port.ops->receive(&f->port, &f->small, &f->large, packets, limit);
}

/* Waits for one packet. */
static struct packet *
receive_one(struct fixture *f)
{
    struct packet *packet;
    unsigned n = 0;

    for (unsigned i = 0; i < TRIES && !n && wait_readable(f->port.fd); i++) {
        n = receive(f, &packet, 1);
    }
    assert_int_equal(n, 1);
    return packet;
}

static struct packet *
new_packet(struct fixture *f, const void *frame, size_t len)
{
    struct packet *packet;

    assert_int_equal(pool_get(len <= PACKET_SMALL ? &f->small : &f->large, &packet, 1), 1);
    memcpy(packet->data, frame, len);
    packet_set_len(packet, (uint32_t)len);
    return packet;
}

static unsigned
transmit(struct fixture *f, const void *frame, size_t len, const struct offload *offload)
{
    struct packet *packet = new_packet(f, frame, len);

    if (offload) {
        packet->offload = *offload;
    }
    return f->port.ops->transmit(&f->port, &packet, 1);
}

/* Whether the port says this of its link; the kernel may take a moment. */
static bool
link_becomes(struct fixture *f, bool admin_up, bool up)
{
    struct port_link link = {.mtu = 0};

    for (unsigned i = 0; i < TRIES; i++) {
        assert_int_equal(f->port.ops->link(&f->port, &link), 0);
        if (link.admin_up == admin_up && link.up == up) {
            return true;
        }
        usleep(1000);
    }
    return false;
}

/* A frame of a type nobody cares for, each byte of which differs from its neighbours. */
static const uint8_t *
plain(uint8_t *frame, size_t len)
{
    static const uint8_t header[ETH_SIZE] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5};

    for (size_t i = 0; i < len; i++) {
        frame[i] = (uint8_t)(i * 7 + i / 256);
    }
    memcpy(frame, header, sizeof header);
    return frame;
}

/* Puts an IPv4 TCP header of a frame of 'len' bytes at 'l3', with the pseudo header's sum
 * where the kernel wants it, and returns what is left to do. */
static struct offload
unfinished_tcp(uint8_t *frame, size_t l3, size_t len, uint16_t segment)
{
    static const uint8_t headers[40] = {
        0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        0x10, 0, 0x20, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff,
    };
    uint16_t ip_len = (uint16_t)(len - l3);
    uint32_t sum = 0;

    put_be16(frame + l3 - 2, ETH_TYPE_IPV4);
    memcpy(frame + l3, headers, sizeof headers);
    put_be16(frame + l3 + 2, ip_len);
    for (unsigned i = 0; i < 20; i += 2) {
        sum += get_be16(frame + l3 + i);
    }
    put_be16(frame + l3 + 10, (uint16_t)~(sum % 0xffff));
    sum = 0x0a00 + 1 + 0x0a00 + 2 + 6 + ip_len - 20u;
    put_be16(frame + l3 + 20 + TCP_CSUM, (uint16_t)(sum % 0xffff));
    return (struct offload){
        .flags = 1, .gso_type = segment ? 1 : 0, .gso_size = segment,
        .hdr_len = segment ? (uint16_t)(l3 + 40) : 0,
        .csum_start = (uint16_t)(l3 + 20), .csum_offset = TCP_CSUM,
    };
}

/* --- Frames -------------------------------------------------------------- */

static void
test_a_frame_is_received_as_it_was_on_the_wire(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[1514];

    for (size_t len = 14; len <= sizeof frame; len += 250) {
        wire_send(f->wire, plain(frame, len), len, NULL);
        struct packet *packet = receive_one(f);
        assert_int_equal(packet->len, len);
        assert_memory_equal(packet->data, frame, len);
        assert_int_equal(packet->tailroom, PACKET_SMALL - len);
        assert_int_equal(packet->offload.flags | packet->offload.gso_type, 0);
        packet_free(&packet, 1);
    }
    assert_int_equal(f->port.counters.rx_packets, 7);
    assert_int_equal(f->port.counters.rx_bytes, 7 * 14 + 250 * 21);
}

static void
test_a_frame_is_sent_as_it_is_and_not_heard_again(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[60];
    struct seen *seen = malloc(sizeof *seen);
    struct packet *packet;

    assert_int_equal(transmit(f, plain(frame, sizeof frame), sizeof frame, NULL), 1);
    wire_receive(f->wire, seen);
    assert_int_equal(seen->len, sizeof frame);
    assert_memory_equal(seen->data, frame, sizeof frame);
    assert_int_equal(f->port.counters.tx_packets, 1);
    assert_int_equal(f->port.counters.tx_bytes, sizeof frame);
    assert_int_equal(receive(f, &packet, 1), 0);
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

        struct packet *packet = receive_one(f);
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
    wire_receive(f->wire, seen);
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
        struct packet *packet = receive_one(f);
        assert_int_equal(packet->len, lens[i]);
        assert_memory_equal(packet->data, frame, lens[i]);
        assert_ptr_equal(packet->pool, lens[i] <= PACKET_SMALL ? &f->small : &f->large);
        assert_int_equal(f->port.ops->transmit(&f->port, &packet, 1), 1);
        wire_receive(f->wire, seen);
        assert_int_equal(seen->len, lens[i]);
        assert_memory_equal(seen->data, frame, lens[i]);
    }
    free(seen);
}

static void
test_without_a_large_packet_only_the_long_frame_is_lost(void **state)
{
    struct fixture *f = *state;
    struct packet *all[N_LARGE], *packet;
    uint8_t frame[3014];

    ip("link set one mtu 3000");
    ip("link set two mtu 3000");
    assert_int_equal(pool_get(&f->large, all, N_LARGE), N_LARGE);
    wire_send(f->wire, plain(frame, 3014), 3014, NULL);
    wire_send(f->wire, plain(frame, 60), 60, NULL);
    packet = receive_one(f);
    assert_int_equal(packet->len, 60);
    assert_int_equal(f->port.counters.rx_dropped, 1);
    packet_free(&packet, 1);
    packet_free(all, N_LARGE);
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
        unsigned n_more = receive(f, packets, 7);
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
        n = receive(f, packets, N_LARGE);
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

        struct packet *packet = receive_one(f);
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
    wire_receive(f->wire, seen);
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
        wire_receive(f->wire, seen);
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
    struct packet *packet = receive_one(f);
    assert_memory_equal(&packet->offload, &offload, sizeof offload);
    packet->offload.hdr_len = 9999;                     /* Without meaning here. */
    assert_int_equal(f->port.ops->transmit(&f->port, &packet, 1), 1);
    wire_receive(f->wire, seen);
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
        new_packet(f, plain(frame, 3000), 3000),        /* Longer than the MTU. */
        new_packet(f, plain(frame, 60), 60),
        new_packet(f, plain(frame, 13), 13),            /* Shorter than its header. */
        new_packet(f, plain(frame, 61), 61),
    };

    assert_int_equal(f->port.ops->transmit(&f->port, packets, 4), 2);
    wire_receive(f->wire, seen);
    assert_int_equal(seen->len, 60);
    wire_receive(f->wire, seen);
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
        unsigned n = receive(f, packets, PACKET_VECTOR);
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
        packets[i] = new_packet(f, frame, sizeof frame);
    }
    assert_int_equal(f->port.ops->transmit(&f->port, packets, PACKET_VECTOR), PACKET_VECTOR);
    for (unsigned i = 0; i < PACKET_VECTOR; i++) {
        wire_receive(f->wire, seen);
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
    while ((n = receive(f, packets, PACKET_VECTOR))) {
        packet_free(packets, n);
    }
    assert_int_equal(f->port.ops->link(&f->port, &link), 0);
    assert_true(f->port.counters.rx_dropped > 0);
    assert_int_equal(f->port.counters.rx_packets + f->port.counters.rx_dropped, N);
    assert_int_equal(f->port.ops->link(&f->port, &link), 0);
    assert_int_equal(f->port.counters.rx_packets + f->port.counters.rx_dropped, N);
}

/* --- Queues -------------------------------------------------------------- */

enum { N_QUEUES = 3 };

static void
open_queues(struct fixture *f, struct port queues[N_QUEUES])
{
    f->port.ops->close(&f->port);
    for (uint32_t i = 0; i < N_QUEUES; i++) {
        assert_int_equal(open_queue(&queues[i], "one", i, N_QUEUES, 0), 0);
    }
}

static void
close_queues(struct fixture *f, struct port queues[N_QUEUES])
{
    for (unsigned i = 0; i < N_QUEUES; i++) {
        queues[i].ops->close(&queues[i]);
    }
    assert_int_equal(open_port(f, "one", 0), 0);
}

/* UDP from port 1000 + 'flow'. */
static void
send_flow(int wire, uint16_t flow)
{
    uint8_t frame[60];

    plain(frame, sizeof frame);
    unfinished_tcp(frame, ETH_SIZE, sizeof frame, 0);
    frame[ETH_SIZE + 9] = 17;
    put_be16(frame + ETH_SIZE + 20, (uint16_t)(1000 + flow));
    wire_send(wire, frame, sizeof frame, NULL);
}

static void
test_each_flow_goes_to_one_queue_and_nothing_is_lost_or_doubled(void **state)
{
    struct fixture *f = *state;
    enum { FLOWS = 64, EACH = 20 };
    struct port queues[N_QUEUES];
    struct packet *packets[PACKET_VECTOR];
    unsigned seen[FLOWS][N_QUEUES] = {{0}}, used[N_QUEUES] = {0}, n;

    open_queues(f, queues);
    for (unsigned i = 0; i < EACH * FLOWS; i++) {
        send_flow(f->wire, (uint16_t)(i % FLOWS));
    }
    for (unsigned q = 0; q < N_QUEUES; q++) {
        while ((n = queues[q].ops->receive(&queues[q], &f->small, &f->large, packets, 64))) {
            for (unsigned i = 0; i < n; i++) {
                seen[get_be16(packets[i]->data + ETH_SIZE + 20) - 1000][q]++;
            }
            packet_free(packets, n);
        }
    }
    for (unsigned flow = 0; flow < FLOWS; flow++) {
        for (unsigned q = 0; q < N_QUEUES; q++) {
            assert_true(!seen[flow][q] || seen[flow][q] == EACH);
            used[q] += seen[flow][q];
        }
        assert_int_equal(seen[flow][0] + seen[flow][1] + seen[flow][2], EACH);
    }
    assert_true(used[0] && used[1] && used[2]);
    close_queues(f, queues);
}

static void
test_a_queue_does_not_hear_what_another_sends(void **state)
{
    struct fixture *f = *state;
    struct port queues[N_QUEUES];
    struct seen *seen = malloc(sizeof *seen);
    struct packet *packet;
    uint8_t frame[60];

    open_queues(f, queues);
    packet = new_packet(f, plain(frame, sizeof frame), sizeof frame);
    assert_int_equal(queues[1].ops->transmit(&queues[1], &packet, 1), 1);
    wire_receive(f->wire, seen);
    assert_memory_equal(seen->data, frame, sizeof frame);
    for (unsigned q = 0; q < N_QUEUES; q++) {
        assert_int_equal(queues[q].ops->receive(&queues[q], &f->small, &f->large, &packet, 1), 0);
    }
    free(seen);
    close_queues(f, queues);
}

static void
test_queues_of_two_interfaces_do_not_mix(void **state)
{
    struct fixture *f = *state;
    struct port queues[N_QUEUES], others[N_QUEUES];
    struct packet *packet;
    unsigned n = 0;

    open_queues(f, queues);
    for (uint32_t i = 0; i < N_QUEUES; i++) {
        assert_int_equal(open_queue(&others[i], "two", i, N_QUEUES, 0), 0);
    }
    send_flow(f->wire, 1);
    for (unsigned q = 0; q < N_QUEUES; q++) {
        n += queues[q].ops->receive(&queues[q], &f->small, &f->large, &packet, 1);
        assert_int_equal(others[q].ops->receive(&others[q], &f->small, &f->large, &packet, 1), 0);
        others[q].ops->close(&others[q]);
    }
    assert_int_equal(n, 1);
    packet_free(&packet, 1);
    close_queues(f, queues);
}

static void
test_a_queue_that_there_is_not_is_refused(void **state)
{
    struct port port;

    (void)state;
    assert_int_equal(open_queue(&port, "one", 2, 2, 0), EINVAL);
}

/* --- Link ---------------------------------------------------------------- */

static void
test_the_link_is_as_the_kernel_says(void **state)
{
    struct fixture *f = *state;
    struct port_link link;

    ip("link set one address 02:aa:bb:cc:dd:ee mtu 1400");
    assert_true(link_becomes(f, true, true));
    assert_int_equal(f->port.ops->link(&f->port, &link), 0);
    assert_memory_equal(link.mac, "\x02\xaa\xbb\xcc\xdd\xee", 6);
    assert_int_equal(link.mtu, 1400);
    assert_int_equal(link.speed, 10000);                /* As veth says. */
    ip("link set two down");
    assert_true(link_becomes(f, true, false));
}

static void
test_a_port_set_down_drops_and_set_up_works_again(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[60];
    struct packet *packet;

    plain(frame, sizeof frame);
    assert_int_equal(f->port.ops->set_admin(&f->port, false), 0);
    assert_true(link_becomes(f, false, false));
    assert_int_equal(receive(f, &packet, 1), 0);
    assert_int_equal(transmit(f, frame, sizeof frame, NULL), 0);
    assert_int_equal(f->port.counters.tx_dropped, 1);
    assert_false(is_readable(f->port.fd));

    assert_int_equal(f->port.ops->set_admin(&f->port, true), 0);
    wait_for_carrier();
    assert_true(link_becomes(f, true, true));
    assert_int_equal(transmit(f, frame, sizeof frame, NULL), 1);
    wire_send(f->wire, frame, sizeof frame, NULL);
    packet = receive_one(f);
    packet_free(&packet, 1);
}

static void
test_a_flap_while_idle_costs_no_frame(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[60];

    ip("link set one down");
    ip("link set one up");
    wait_for_carrier();
    assert_int_equal(transmit(f, plain(frame, sizeof frame), sizeof frame, NULL), 1);
}

static void
test_an_interface_that_is_down_can_be_opened(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[60];

    f->port.ops->close(&f->port);
    ip("link set one down");
    assert_int_equal(open_port(f, "one", 0), 0);
    assert_true(link_becomes(f, false, false));
    assert_int_equal(f->port.ops->set_admin(&f->port, true), 0);
    wait_for_carrier();
    assert_true(link_becomes(f, true, true));
    wire_send(f->wire, plain(frame, sizeof frame), sizeof frame, NULL);
    struct packet *packet = receive_one(f);
    packet_free(&packet, 1);
}

static void
test_a_device_that_is_removed_leaves_a_port_that_does_nothing(void **state)
{
    struct fixture *f = *state;
    struct packet *packets[4];
    struct port_link link;
    uint8_t frame[60];

    plain(frame, sizeof frame);
    ip("link del one");
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(receive(f, packets, 4), 0);
        assert_int_equal(transmit(f, frame, sizeof frame, NULL), 0);
    }
    assert_false(is_readable(f->port.fd));              /* It does not wake its worker for ever. */
    assert_int_equal(f->port.ops->link(&f->port, &link), ENODEV);
    assert_int_equal(f->port.ops->set_admin(&f->port, true), ENODEV);
    assert_int_equal(f->port.counters.tx_dropped, 4);
}

static void
test_a_device_that_is_renamed_stays_the_same(void **state)
{
    struct fixture *f = *state;
    struct port_link link;

    ip("link set one down");
    ip("link set one name uno");
    assert_int_equal(f->port.ops->set_admin(&f->port, true), 0);
    assert_true(link_becomes(f, true, true));
    assert_int_equal(f->port.ops->link(&f->port, &link), 0);
}

/* --- Open ---------------------------------------------------------------- */

static void
refuses(const struct port_config *config, int error, const char *text)
{
    struct port port = {.ops = port_kind("af_packet"), .name = "p"};
    char why[128];

    assert_int_equal(port.ops->open(&port, config, why, sizeof why), error);
    assert_string_equal(why, text);
    assert_null(port.state);
}

static void
test_open_says_what_was_wrong(void **state)
{
    (void)state;
    refuses(&(struct port_config){.device = "eth9"}, ENODEV, "no interface \"eth9\"");
    refuses(&(struct port_config){.device = ""}, ENODEV, "no interface \"\"");
    refuses(&(struct port_config){.device = "sixteen-letters-"}, ENAMETOOLONG,
            "\"sixteen-letters-\" is too long for an interface name");
    refuses(&(struct port_config){.device = "one", .mtu = 1}, EINVAL,
            "bad MTU 1 for interface \"one\": Invalid argument");
    ip("tuntap add mode tun name tunnel");
    refuses(&(struct port_config){.device = "tunnel"}, EINVAL,
            "interface \"tunnel\" is not Ethernet");
    ip("link del tunnel");
}

static void
test_open_without_permission_names_the_capability(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    if (!child) {
        struct port_config config = {.device = "one"};
        struct port port = {.ops = port_kind("af_packet"), .name = "p"};
        char why[128] = "";
        bool good = !setuid(65534) && port.ops->open(&port, &config, why, sizeof why) == EPERM
                    && strstr(why, "CAP_NET_RAW");
        _exit(good ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void
test_open_sets_the_mtu(void **state)
{
    struct port_config config = {.device = "two", .mtu = 1234};
    struct port port = {.ops = port_kind("af_packet"), .name = "p"};
    struct port_link link;
    char why[128];

    (void)state;
    assert_int_equal(port.ops->open(&port, &config, why, sizeof why), 0);
    assert_int_equal(port.ops->link(&port, &link), 0);
    assert_int_equal(link.mtu, 1234);
    port.ops->close(&port);
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
        TEST(each_flow_goes_to_one_queue_and_nothing_is_lost_or_doubled),
        TEST(a_queue_does_not_hear_what_another_sends),
        TEST(queues_of_two_interfaces_do_not_mix),
        TEST(a_queue_that_there_is_not_is_refused),
        TEST(the_link_is_as_the_kernel_says),
        TEST(a_port_set_down_drops_and_set_up_works_again),
        TEST(a_flap_while_idle_costs_no_frame),
        TEST(an_interface_that_is_down_can_be_opened),
        TEST(a_device_that_is_removed_leaves_a_port_that_does_nothing),
        TEST(a_device_that_is_renamed_stays_the_same),
        TEST(open_says_what_was_wrong),
        TEST(open_without_permission_names_the_capability),
        TEST(open_sets_the_mtu),
    };

    return enter_namespace() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
