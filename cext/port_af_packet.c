/* The af_packet port: a network interface of Linux through a packet socket.
 *
 * How
 * ===
 * Frames come by recvmmsg() and go by sendmmsg(), up to BATCH to a call, each
 * behind a virtio-net header (PACKET_VNET_HDR), which is struct offload as it
 * is.  So checksums and segmentation stay left to others on both sides, and TCP
 * comes and goes in frames of 64 KiB.
 *
 * A frame is received into a small packet; what does not fit there spills into
 * memory of the port, and is put together in a large packet.  The kernel
 * takes VLAN tags out of frames and hands them beside (PACKET_AUXDATA); they are put back,
 * so the frame is as it was on the wire.
 *
 * Frames leave through the queueing discipline of the interface: it cuts what
 * the device cannot take whole, queues bursts, and is where an operator shapes.
 * (Past it, PACKET_QDISC_BYPASS, frames to be segmented are lost if the device cannot.)
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
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "bytes.h"
#include "headers.h"
#include "netdevice.h"
#include "port_private.h"

enum {
    BATCH = 64,                 /* Frames to a system call. */
    BATCH_MIN = 8,              /* Frames to be ready for when there is little to do. */
    SPILL_SIZE = PACKET_LARGE,
    BUFFER_SIZE = 16 << 20,     /* Bytes the kernel may hold for us, each way; it doubles them. */
    RETRIES = 16,               /* Times to try again per transmit() when a queue is full. */
};

_Static_assert(sizeof(struct offload) == sizeof(struct virtio_net_hdr)
               && offsetof(struct offload, csum_offset)
                  == offsetof(struct virtio_net_hdr, csum_offset),
               "the kernel reads and writes struct offload");

/* Where the kernel writes what it has to say about a frame. */
union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
};

struct af_packet {
    int index;                  /* Of the interface. */
    bool hears_itself;          /* The kernel cannot leave out frames that go out. */
    unsigned expected;          /* Frames to be ready for in the next receive(). */
    uint8_t *spill;             /* BATCH times SPILL_SIZE. */
    struct mmsghdr rx[BATCH], tx[BATCH];
    struct iovec rx_parts[BATCH][3], tx_parts[BATCH][2];
    union control control[BATCH];
    struct sockaddr_ll from[BATCH];     /* Only if it hears itself. */
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
set_options(struct af_packet *packet, int fd, uint32_t ring_len)
{
    int size = ring_len && ring_len < BUFFER_SIZE / PACKET_SMALL
               ? (int)ring_len * PACKET_SMALL : BUFFER_SIZE;
    struct packet_mreq promiscuous = {.mr_ifindex = packet->index, .mr_type = PACKET_MR_PROMISC};
    int error = set_option(fd, PACKET_VNET_HDR, 1);

    if (!error) {
        error = set_option(fd, PACKET_AUXDATA, 1);
    }
    if (!error && setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous,
                             sizeof promiscuous)) {
        error = errno;
    }
    packet->hears_itself = set_option(fd, PACKET_IGNORE_OUTGOING, 1) != 0;
    set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, size);
    set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, BUFFER_SIZE);
    return error;
}

/* Joins the parts of the messages that stay the same. */
static void
set_messages(struct af_packet *packet)
{
    for (unsigned i = 0; i < BATCH; i++) {
        packet->rx_parts[i][2] = (struct iovec){packet->spill + i * SPILL_SIZE, SPILL_SIZE};
        packet->rx[i].msg_hdr.msg_iov = packet->rx_parts[i];
        packet->rx[i].msg_hdr.msg_iovlen = 3;
        packet->rx[i].msg_hdr.msg_control = &packet->control[i];
        packet->rx[i].msg_hdr.msg_name = packet->hears_itself ? &packet->from[i] : NULL;
        packet->tx[i].msg_hdr.msg_iov = packet->tx_parts[i];
        packet->tx[i].msg_hdr.msg_iovlen = 2;
    }
}

/* Does all that may fail once there is a socket.  It hears nothing before bind(). */
static int
set_up(struct af_packet *packet, int fd, const struct port_config *config, char *why,
       size_t why_size)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    int error = find_device(fd, config->device, config->mtu, &packet->index, why, why_size);

    if (error) {
        return error;
    }
    packet->spill = mmap(NULL, (size_t)BATCH * SPILL_SIZE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (packet->spill == MAP_FAILED) {
        packet->spill = NULL;
        return port_refuse(why, why_size, ENOMEM, "no memory");
    }
    error = set_options(packet, fd, config->ring_len);
    address.sll_ifindex = packet->index;
    if (!error && bind(fd, (struct sockaddr *)&address, sizeof address)
        && errno != ENETDOWN) {         /* It is bound also while the interface is down. */
        error = errno;
    }
    if (error) {
        return port_refuse(why, why_size, error, "cannot use interface \"%s\": %s",
                           config->device, strerror(error));
    }
    set_messages(packet);
    packet->expected = BATCH_MIN;
    return 0;
}

static void
let_go(struct af_packet *packet, int fd)
{
    if (packet && packet->spill) {
        munmap(packet->spill, (size_t)BATCH * SPILL_SIZE);
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

/* Makes the messages ready to receive into 'packets'. */
static void
post(struct af_packet *packet, struct packet *const packets[], unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = packets[i];
        packet->rx_parts[i][0] = (struct iovec){&p->offload, sizeof p->offload};
        packet->rx_parts[i][1] = (struct iovec){p->data, p->pool->size};
        packet->rx[i].msg_hdr.msg_controllen = sizeof packet->control[i];
        packet->rx[i].msg_hdr.msg_namelen = packet->hears_itself ? sizeof packet->from[i] : 0;
    }
}

/* Puts a frame of 'len' bytes whose end spilled together in a large packet, and
 * frees 'p'.  Returns null if there is none. */
static struct packet *
gather(struct packet *p, const uint8_t *spill, size_t len, struct pool *large)
{
    size_t n_head = p->pool->size;
    struct packet *whole;
    bool found = len <= large->size && pool_get(large, &whole, 1);

    if (found) {
        memcpy(whole->data, p->data, n_head);
        memcpy(whole->data + n_head, spill, len - n_head);
        whole->offload = p->offload;
    }
    packet_free(&p, 1);
    return found ? whole : NULL;
}

/* Puts back the VLAN tag that the kernel has taken out. */
static void
put_tag(struct packet *p, struct msghdr *message)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(message);
    struct tpacket_auxdata aux;

    if (!control || control->cmsg_level != SOL_PACKET || control->cmsg_type != PACKET_AUXDATA
        || p->len < ETH_TYPE_AT) {
        return;
    }
    memcpy(&aux, CMSG_DATA(control), sizeof aux);
    if (!(aux.tp_status & TP_STATUS_VLAN_VALID) || !packet_push(p, VLAN_SIZE)) {
        return;
    }
    memmove(p->data, p->data + VLAN_SIZE, ETH_TYPE_AT);
    put_be16(p->data + ETH_TYPE_AT, aux.tp_status & TP_STATUS_VLAN_TPID_VALID
                                    ? aux.tp_vlan_tpid : ETH_TYPE_VLAN);
    put_be16(p->data + ETH_TYPE_AT + 2, aux.tp_vlan_tci);
    if (p->offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        p->offload.csum_start += VLAN_SIZE;
    }
    if (p->offload.gso_type) {
        p->offload.hdr_len += VLAN_SIZE;
    }
}

/* Drops a packet under 'counter'.  The control thread adds to rx_dropped too. */
static struct packet *
drop(struct packet *p, _Atomic uint64_t *counter)
{
    packet_free(&p, 1);
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    return NULL;
}

/* Makes message 'i', which was received into 'p', a packet.  Returns null if there is none. */
static struct packet *
finish(struct port *port, unsigned i, struct packet *p, struct pool *large)
{
    struct af_packet *packet = port->state;
    struct mmsghdr *message = &packet->rx[i];
    size_t len = message->msg_len - sizeof p->offload;

    if (packet->hears_itself && packet->from[i].sll_pkttype == PACKET_OUTGOING) {
        packet_free(&p, 1);
        return NULL;
    }
    if (message->msg_len < sizeof p->offload || message->msg_hdr.msg_flags & MSG_TRUNC) {
        return drop(p, &port->counters.rx_errors);
    }
    if (len > p->pool->size) {
        p = gather(p, packet->spill + (size_t)i * SPILL_SIZE, len, large);
        if (!p) {
            atomic_fetch_add_explicit(&port->counters.rx_dropped, 1, memory_order_relaxed);
            return NULL;
        }
    }
    packet_set_len(p, len);
    put_tag(p, &message->msg_hdr);
    return p;
}

/* Is ready for more when there was more than expected, and the other way round. */
static void
expect(struct af_packet *packet, unsigned n_ready, unsigned n)
{
    if (n == n_ready) {
        packet->expected = n_ready < BATCH / 2 ? 2 * n_ready : BATCH;
    } else if (n < packet->expected / 4 && packet->expected > BATCH_MIN) {
        packet->expected /= 2;
    }
}

static unsigned
receive_batch(struct port *port, struct pool *small, struct pool *large, struct packet **packets,
              unsigned limit)
{
    struct af_packet *packet = port->state;
    unsigned wanted = limit < packet->expected ? limit : packet->expected;
    unsigned n_ready = pool_get(small, packets, wanted), n = 0, n_kept = 0;

    post(packet, packets, n_ready);
    if (n_ready) {
        int result = recvmmsg(port->fd, packet->rx, n_ready, MSG_DONTWAIT, NULL);
        if (result > 0) {
            n = (unsigned)result;
        } else if (errno != EAGAIN && errno != EINTR && errno != ENETDOWN) {
            counter_bump(&port->counters.rx_errors, 1);     /* A frame it could not describe. */
        }
        expect(packet, n_ready, n);
    }
    packet_free(packets + n, n_ready - n);
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = finish(port, i, packets[i], large);
        if (p) {
            packets[n_kept++] = p;
        }
    }
    return n_kept;
}

static unsigned
af_packet_receive(struct port *port, struct pool *small, struct pool *large,
                  struct packet **packets, unsigned limit)
{
    unsigned n = receive_batch(port, small, large, packets, limit);

    if (n) {
        counter_bump(&port->counters.rx_packets, n);
        counter_bump(&port->counters.rx_bytes, packets_size(packets, n));
    }
    return n;
}

/* --- Transmit ------------------------------------------------------------ */

/* The kernel refuses lengths that go beyond the frame, also where they mean nothing. */
static void
tidy(struct packet *p)
{
    if (!p->offload.gso_type) {
        p->offload.hdr_len = p->offload.gso_size = 0;
    } else if (p->offload.hdr_len > p->len) {
        p->offload.hdr_len = (uint16_t)p->len;
    }
}

static void
load(struct af_packet *packet, struct packet *const packets[], unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = packets[i];
        tidy(p);
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
