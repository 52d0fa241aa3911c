/* The af_packet port: a network interface of Linux through a packet socket.
 *
 * How
 * ===
 * Frames come by a ring that the kernel writes into (port_af_packet_ring.c) and go by
 * sendmmsg(), up to BATCH to a call, each behind a virtio-net header (PACKET_VNET_HDR), which is
 * struct offload as it is.  So checksums and segmentation stay left to others on both sides,
 * and TCP comes and goes in frames of 64 KiB.
 *
 * Frames leave through the queueing discipline of the interface: it cuts what
 * the device cannot take whole, queues bursts, and is where an operator shapes.
 * (Past it, PACKET_QDISC_BYPASS, frames to be segmented are lost if the device cannot.)
 *
 * Several queues of an interface are several sockets in one fanout group: the kernel gives each
 * flow to one of them, by a hash that is the same for both directions of a connection.
 *
 * Cost
 * ====
 * 1-2 us per frame, nearly all of it in the kernel.
 *
 * Reference: packet(7), <linux/if_packet.h>, <linux/virtio_net.h>. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE             /* recvmmsg(), sendmmsg(). */
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "netdevice.h"
#include "port_af_packet.h"
#include "port_private.h"

enum {
    BATCH = 64,                 /* Frames to a system call. */
    BUFFER_SIZE = 16 << 20,     /* Bytes the kernel may hold for us, each way, beside the ring; it
                                 * doubles them. */
    RETRIES = 16,               /* Times to try again per transmit() when a queue is full. */
    GROUP_TRIES = 64,           /* Numbers of fanout groups to try: others may have them. */
};

#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING      /* Debian 12 has the kernel, not its header. */
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000
#endif

_Static_assert(sizeof(struct offload) == sizeof(struct virtio_net_hdr)
               && offsetof(struct offload, csum_offset)
                  == offsetof(struct virtio_net_hdr, csum_offset),
               "the kernel reads and writes struct offload");

struct af_packet {
    int index;                  /* Of the interface. */
    struct af_packet_ring ring; /* What it receives. */
    struct mmsghdr tx[BATCH];
    struct iovec tx_parts[BATCH][2];
};

/* --- Open and close ------------------------------------------------------ */

static int
set_option(int fd, int option, int value)
{
    return setsockopt(fd, SOL_PACKET, option, &value, sizeof value) ? errno : 0;
}

/* A buffer as large as the system lets us have. */
static void
set_buffer(int fd, int force, int option, int size)
{
    if (setsockopt(fd, SOL_SOCKET, force, &size, sizeof size)) {
        setsockopt(fd, SOL_SOCKET, option, &size, sizeof size);
    }
}

/* Checks the interface 'name' and sets its MTU if 'mtu' is not 0. */
static int
find_device(int fd, const char *name, uint32_t mtu, int *index, char *why, size_t why_size)
{
    bool ethernet = false;
    int error = netdevice_find(fd, name, index);

    if (error == ENAMETOOLONG) {
        return port_refuse(why, why_size, error, "\"%s\" is too long for an interface name", name);
    }
    if (error) {
        return port_refuse(why, why_size, error, "no interface \"%s\"", name);
    }
    if (netdevice_is_ethernet(fd, *index, &ethernet) || !ethernet) {
        return port_refuse(why, why_size, EINVAL, "interface \"%s\" is not Ethernet", name);
    }
    if (mtu && (error = netdevice_set_mtu(fd, *index, mtu))) {
        return port_refuse(why, why_size, error, "bad MTU %u for interface \"%s\": %s", mtu, name,
                           strerror(error));
    }
    return 0;
}

static int
set_options(struct af_packet *packet, int fd)
{
    struct packet_mreq promiscuous = {.mr_ifindex = packet->index, .mr_type = PACKET_MR_PROMISC};
    int error = set_option(fd, PACKET_VNET_HDR, 1);

    if (!error && setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous,
                             sizeof promiscuous)) {
        error = errno;
    }
    packet->ring.hears_itself = set_option(fd, PACKET_IGNORE_OUTGOING, 1) != 0;
    set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, BUFFER_SIZE);
    set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, BUFFER_SIZE);
    return error;
}

/* Joins the fanout group of an interface with 'n' queues.  All queues that this process has open
 * try the same numbers in the same order, so they meet in the first that is not another's. */
static int
join_group(int fd, int index, uint32_t n)
{
    int type = PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_IGNORE_OUTGOING, error = EINVAL;
    unsigned group = (unsigned)index * 31 + (unsigned)getpid() * 1021 + n;

    for (unsigned i = 0; i < GROUP_TRIES && error == EINVAL; i++) {
        error = set_option(fd, PACKET_FANOUT, (int)((group + i) & 0xffff) | type << 16);
    }
    return error;
}

/* Joins a socket that hears nothing to the interface. */
static int
join_device(int fd, int index, const struct port_config *config)
{
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = index,
    };
    struct sock_filter nothing = {.code = BPF_RET | BPF_K};
    struct sock_fprog deaf = {.len = 1, .filter = &nothing};
    bool one_of_many = config->n_queues > 1;

    /* Until it is in the group it would hear what the others do. */
    if (one_of_many && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &deaf, sizeof deaf)) {
        return errno;
    }
    if (bind(fd, (struct sockaddr *)&address, sizeof address)
        && errno != ENETDOWN) {         /* It is bound also while the interface is down. */
        return errno;
    }
    if (one_of_many) {
        int error = join_group(fd, index, config->n_queues);
        return error ? error
               : setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &(int){0}, sizeof(int)) ? errno : 0;
    }
    return 0;
}

/* Does all that may fail once there is a socket.  It hears nothing before it is joined. */
static int
set_up(struct af_packet *packet, int fd, const struct port_config *config, char *why,
       size_t why_size)
{
    int error = find_device(fd, config->device, config->mtu, &packet->index, why, why_size);

    if (error) {
        return error;
    }
    if (config->n_queues > 1 && config->queue >= config->n_queues) {
        return port_refuse(why, why_size, EINVAL, "no queue %u of \"%s\": it has %u",
                           config->queue, config->device, config->n_queues);
    }
    error = set_options(packet, fd);
    if (!error) {
        error = af_packet_ring_open(&packet->ring, fd, config->ring_len);
    }
    if (!error) {
        error = join_device(fd, packet->index, config);
    }
    if (error) {
        return port_refuse(why, why_size, error, "cannot use interface \"%s\": %s",
                           config->device, strerror(error));
    }
    for (unsigned i = 0; i < BATCH; i++) {
        packet->tx[i].msg_hdr.msg_iov = packet->tx_parts[i];
        packet->tx[i].msg_hdr.msg_iovlen = 2;
    }
    return 0;
}

static void
let_go(struct af_packet *packet, int fd)
{
    if (packet) {
        af_packet_ring_close(&packet->ring);
    }
    free(packet);
    if (fd >= 0) {
        close(fd);
    }
}

static int
af_packet_open(struct port *port, const struct port_config *config, char *why, size_t why_size)
{
    struct af_packet *packet = calloc(1, sizeof *packet);
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error;

    if (fd < 0) {
        error = port_refuse(why, why_size, errno, "no packet socket for \"%s\": %s%s",
                            config->device, strerror(errno),
                            errno == EPERM ? " (needs CAP_NET_RAW)" : "");
    } else if (!packet) {
        error = port_refuse(why, why_size, ENOMEM, "no memory");
    } else {
        error = set_up(packet, fd, config, why, why_size);
    }
    if (error) {
        let_go(packet, fd);
        return error;
    }
    port->state = packet;
    port->fd = fd;
    port->capabilities = PORT_TAKES_CSUM | PORT_TAKES_GSO;
    return 0;
}

static void
af_packet_close(struct port *port)
{
    let_go(port->state, port->fd);
    port->state = NULL;
    port->fd = -1;
}

/* --- Receive ------------------------------------------------------------- */

static unsigned
af_packet_receive(struct port *port, struct pool *small, struct pool *large,
                  struct packet **packets, unsigned limit)
{
    struct af_packet *packet = port->state;
    unsigned n = af_packet_ring_receive(&packet->ring, port, small, large, packets, limit);

    if (n) {
        counter_bump(&port->counters.rx_packets, n);
        counter_bump(&port->counters.rx_bytes, packets_size(packets, n));
    }
    return n;
}

/* --- Transmit ------------------------------------------------------------ */

static void
load(struct af_packet *packet, struct packet *const packets[], unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = packets[i];
        tidy_offload(p);
        packet->tx_parts[i][0] = (struct iovec){&p->offload, sizeof p->offload};
        packet->tx_parts[i][1] = (struct iovec){p->data, p->len};
    }
}

/* What is to be done about a frame that was refused. */
enum refusal { REFUSED_BUSY, REFUSED_DOWN, REFUSED_TOO_LONG, REFUSED_BAD };

static enum refusal
refusal(int error)
{
    switch (error) {
    case EINTR:
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
        return REFUSED_BUSY;
    case ENETDOWN:
    case ENODEV:
    case ENXIO:
        return REFUSED_DOWN;
    case EMSGSIZE:
        return REFUSED_TOO_LONG;
    default:
        return REFUSED_BAD;
    }
}

/* Sends the 'n' loaded messages.  A full queue is tried again while 'retries'
 * last, since it empties all the time, then costs one frame; any other error
 * is tried once more, because it may be one that the socket remembers from
 * before.  Adds what was sent to 'bytes' and returns how many. */
static unsigned
send_batch(struct port *port, struct packet *const packets[], unsigned n, unsigned *retries,
           uint64_t *bytes)
{
    struct af_packet *packet = port->state;
    unsigned n_sent = 0, tried = n;

    for (unsigned at = 0; at < n;) {
        int result = sendmmsg(port->fd, packet->tx + at, n - at, MSG_DONTWAIT);
        if (result > 0) {
            *bytes += packets_size(packets + at, (unsigned)result);
            n_sent += (unsigned)result;
            at += (unsigned)result;
            continue;
        }
        enum refusal why = refusal(errno);
        if (why == REFUSED_BUSY ? *retries > 0 : tried != at) {
            *retries -= why == REFUSED_BUSY;
            tried = at;
        } else if (why == REFUSED_DOWN) {
            break;
        } else {
            counter_bump(&port->counters.tx_errors, why == REFUSED_BAD);
            at++;
        }
    }
    return n_sent;
}

static unsigned
af_packet_transmit(struct port *port, struct packet **packets, unsigned n)
{
    unsigned n_sent = 0, retries = RETRIES;
    uint64_t bytes = 0;

    for (unsigned at = 0; at < n; at += BATCH) {
        unsigned n_batch = n - at < BATCH ? n - at : BATCH;
        load(port->state, packets + at, n_batch);
        n_sent += send_batch(port, packets + at, n_batch, &retries, &bytes);
    }
    counter_bump(&port->counters.tx_packets, n_sent);
    counter_bump(&port->counters.tx_bytes, bytes);
    counter_bump(&port->counters.tx_dropped, n - n_sent);
    packet_free(packets, n);
    return n_sent;
}

/* --- Link ---------------------------------------------------------------- */

/* Also takes over what the kernel has dropped since the last call (reading it clears it). */
static int
af_packet_link(struct port *port, struct port_link *link)
{
    struct af_packet *packet = port->state;
    struct tpacket_stats stats;
    socklen_t size = sizeof stats;

    if (!getsockopt(port->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size)) {
        atomic_fetch_add_explicit(&port->counters.rx_dropped, stats.tp_drops,
                                  memory_order_relaxed);
    }
    return netdevice_link(port->fd, packet->index, link);
}

static int
af_packet_set_admin(struct port *port, bool up)
{
    struct af_packet *packet = port->state;

    return netdevice_set_up(port->fd, packet->index, up);
}

extern const struct port_ops port_af_packet_ops;
const struct port_ops port_af_packet_ops = {
    .kind = "af_packet",
    .open = af_packet_open,
    .receive = af_packet_receive,
    .transmit = af_packet_transmit,
    .link = af_packet_link,
    .set_admin = af_packet_set_admin,
    .close = af_packet_close,
};
