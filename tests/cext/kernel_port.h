#ifndef TEST_KERNEL_PORT_H
#define TEST_KERNEL_PORT_H

/* What tests of ports on interfaces of the kernel share: the packets at the near end, and the far
 * end of the wire, a packet socket whose frames have a virtio-net header before them. */

#include "veth.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "headers.h"
#include "port.h"

enum { TRIES = 5000 };          /* Milliseconds that the kernel may take. */

/* --- The far end ------------------------------------------------------------------------- */

static inline int
wire_open(const char *name)
{
    int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1, size = 8 << 20;
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = (int)if_nametoindex(name),
    };

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one), 0);
    assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* 'offload' null: nothing is left to do. */
static inline void
wire_send(int fd, const void *frame, size_t len, const struct offload *offload)
{
    struct offload none = {0};
    struct iovec parts[2] = {
        {offload ? (void *)(uintptr_t)offload : &none, sizeof none},
        {(void *)(uintptr_t)frame, len},
    };

    assert_int_equal(writev(fd, parts, 2), len + sizeof none);
}

/* Waits for a frame; returns its length.  'offload' may be null. */
static inline size_t
wire_receive(int fd, uint8_t *frame, size_t size, struct offload *offload)
{
    struct offload unused;
    struct iovec parts[2] = {{offload ? offload : &unused, sizeof unused}, {frame, size}};

    assert_true(wait_readable(fd));
    ssize_t n = readv(fd, parts, 2);
    assert_true(n > (ssize_t)sizeof unused);
    return (size_t)n - sizeof unused;
}

/* A frame of a type nobody cares for, each byte of which differs from its neighbours. */
static inline const uint8_t *
plain(uint8_t *frame, size_t len)
{
    static const uint8_t header[ETH_SIZE] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5};

    for (size_t i = 0; i < len; i++) {
        frame[i] = (uint8_t)(i * 7 + i / 256);
    }
    memcpy(frame, header, sizeof header);
    return frame;
}

/* --- The near end ------------------------------------------------------------------------ */

struct pools {
    struct pool small, large;
};

static inline void
pools_open(struct pools *pools, uint32_t n_small, uint32_t n_large)
{
    assert_int_equal(pool_open(&pools->small, n_small, PACKET_SMALL), 0);
    assert_int_equal(pool_open(&pools->large, n_large, PACKET_LARGE), 0);
}

/* Every packet must be back in its pool. */
static inline void
pools_close(struct pools *pools)
{
    assert_int_equal(pools->small.n_free, pools->small.n_slots);
    assert_int_equal(pools->large.n_free, pools->large.n_slots);
    pool_close(&pools->small);
    pool_close(&pools->large);
}

static inline unsigned
receive(struct port *port, struct pools *pools, struct packet **packets, unsigned limit)
{
    return port->ops->receive(port, &pools->small, &pools->large, packets, limit);
}

/* Waits for one packet. */
static inline struct packet *
receive_one(struct port *port, struct pools *pools)
{
    struct packet *packet;
    unsigned n = 0;

    for (unsigned i = 0; i < TRIES && !n && wait_readable(port->fd); i++) {
        n = receive(port, pools, &packet, 1);
    }
    assert_int_equal(n, 1);
    return packet;
}

static inline struct packet *
packet_of(struct pool *pool, const void *frame, size_t len)
{
    struct packet *packet;

    assert_int_equal(pool_get(pool, &packet, 1), 1);
    memcpy(packet->data, frame, len);
    packet_set_len(packet, (uint32_t)len);
    return packet;
}

static inline struct packet *
new_packet(struct pools *pools, const void *frame, size_t len)
{
    return packet_of(len <= PACKET_SMALL ? &pools->small : &pools->large, frame, len);
}

/* --- What every kind of port does --------------------------------------------------------- */

/* Frames of seven lengths come from the wire as they were, in small packets. */
static inline void
check_receives(struct port *port, struct pools *pools, int wire)
{
    uint8_t frame[1514];

    for (size_t len = 14; len <= sizeof frame; len += 250) {
        wire_send(wire, plain(frame, len), len, NULL);
        struct packet *packet = receive_one(port, pools);
        assert_int_equal(packet->len, len);
        assert_memory_equal(packet->data, frame, len);
        assert_ptr_equal(packet->pool, &pools->small);
        assert_int_equal(packet->tailroom, PACKET_SMALL - len);
        assert_int_equal(packet->offload.flags | packet->offload.gso_type, 0);
        packet_free(&packet, 1);
    }
    assert_int_equal(port->counters.rx_packets, 7);
    assert_int_equal(port->counters.rx_bytes, 7 * 14 + 250 * 21);
}

/* Without a large packet a long frame is lost, and the short one behind it comes. */
static inline void
check_loses_long(struct port *port, struct pools *pools, int wire)
{
    struct packet *all[PACKET_VECTOR], *packet;
    unsigned n = pools->large.n_free;
    uint8_t frame[3014];

    assert_true(n <= PACKET_VECTOR);
    assert_int_equal(pool_get(&pools->large, all, n), n);
    wire_send(wire, plain(frame, 3014), 3014, NULL);
    wire_send(wire, plain(frame, 60), 60, NULL);
    packet = receive_one(port, pools);
    assert_int_equal(packet->len, 60);
    assert_int_equal(port->counters.rx_dropped, 1);
    packet_free(&packet, 1);
    packet_free(all, n);
}

/* A port of this kind is not opened, with this error and this reason. */
static inline void
check_refuses(const char *kind, const struct port_config *config, int error, const char *text)
{
    struct port port = {.ops = port_kind(kind), .name = "p"};
    char why[PORT_WHY_MAX];

    assert_int_equal(port.ops->open(&port, config, why, sizeof why), error);
    assert_string_equal(why, text);
    assert_null(port.state);
}

/* Whether the port says this of its link; the kernel may take a moment. */
static inline bool
link_becomes(struct port *port, bool admin_up, bool up)
{
    struct port_link link = {.mtu = 0};

    for (unsigned i = 0; i < TRIES; i++) {
        assert_int_equal(port->ops->link(port, &link), 0);
        if (link.admin_up == admin_up && link.up == up) {
            return true;
        }
        usleep(1000);
    }
    return false;
}

#endif
