/* What a packet socket receives: see port_af_packet.h. */

#include "port_af_packet.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "bytes.h"
#include "headers.h"
#include "port_private.h"

enum {
    SLOT_SIZE = 2048,           /* Holds a full frame of an MTU of 1500, and more. */
    BLOCK_SIZE = 64 << 10,      /* What the kernel allocates at a time. */
    SLOTS_DEFAULT = 4096,
    SLOTS_MIN = BLOCK_SIZE / SLOT_SIZE,
    SLOTS_MAX = 1 << 16,
    LOOK_EVERY = 4,             /* Empty rounds after which errors are looked for. */
    ERRORS_MAX = 4,             /* That a socket may report before the frame that we want. */
};

_Static_assert(sizeof(struct offload) == sizeof(struct virtio_net_hdr)
               && offsetof(struct offload, csum_offset)
                  == offsetof(struct virtio_net_hdr, csum_offset),
               "the kernel reads and writes struct offload");

/* --- Open and close ------------------------------------------------------ */

static int
request(int fd, uint32_t n_slots)
{
    struct tpacket_req request = {
        .tp_block_size = BLOCK_SIZE, .tp_block_nr = n_slots / SLOTS_MIN,
        .tp_frame_size = SLOT_SIZE, .tp_frame_nr = n_slots,
    };

    return setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) ? errno : 0;
}

int
af_packet_ring_open(struct af_packet_ring *ring, int fd, uint32_t n_slots)
{
    uint32_t n = SLOTS_MIN, wanted = n_slots ? n_slots : SLOTS_DEFAULT;
    int version = TPACKET_V2, copy = 1, error;

    while (n < wanted && n < SLOTS_MAX) {
        n *= 2;
    }
    if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version)
        || setsockopt(fd, SOL_PACKET, PACKET_COPY_THRESH, &copy, sizeof copy)) {
        return errno;
    }
    while ((error = request(fd, n)) == ENOMEM && n > SLOTS_MIN) {
        n /= 2;
    }
    if (error) {
        return error;
    }

    size_t size = (size_t)n * SLOT_SIZE;
    void *slots = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);

    if (slots == MAP_FAILED) {
        return errno;
    }
    ring->slots = slots;
    ring->size = size;
    ring->mask = n - 1;
    return 0;
}

void
af_packet_ring_close(struct af_packet_ring *ring)
{
    if (ring->slots) {
        munmap(ring->slots, ring->size);
    }
}

/* --- Receive ------------------------------------------------------------- */

static struct tpacket2_hdr *
slot(const struct af_packet_ring *ring, uint32_t i)
{
    return (struct tpacket2_hdr *)(ring->slots + (size_t)(i & ring->mask) * SLOT_SIZE);
}

static _Atomic uint32_t *
status_of(struct tpacket2_hdr *header)
{
    return (_Atomic uint32_t *)&header->tp_status;
}

/* How many slots are filled, up to 'limit'. */
static unsigned
filled(const struct af_packet_ring *ring, unsigned limit)
{
    unsigned n = 0, max = limit <= ring->mask ? limit : ring->mask + 1;

    while (n < max && atomic_load_explicit(status_of(slot(ring, ring->next + n)),
                                             memory_order_acquire) & TP_STATUS_USER) {
        n++;
    }
    return n;
}

/* Drops a packet, if there is one, under 'counter'.  The control thread adds to rx_dropped too. */
static struct packet *
drop(struct packet *p, _Atomic uint64_t *counter)
{
    if (p) {
        packet_free(&p, 1);
    }
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    return NULL;
}

/* Takes the next frame from the queue of the socket, behind its virtio-net header.  Returns the
 * bytes of both, or -1.  Errors that the socket has to report come first. */
static ssize_t
dequeue(int fd, struct offload *offload, void *data, size_t size)
{
    struct iovec parts[2] = {{offload, sizeof *offload}, {data, size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n = -1;

    for (unsigned i = 0; i < ERRORS_MAX && n < 0; i++) {
        n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_TRUNC);
    }
    return n;
}

/* The frame of 'len' bytes that waits in the queue of the socket, or null.  Takes 'p', a small packet,
 * and takes the frame out of the queue whatever becomes of it. */
static struct packet *
take_queued(struct port *port, struct packet *p, struct pool *large, size_t len)
{
    struct offload unread;

    if (len > p->pool->size) {
        packet_free(&p, 1);
        if (!pool_get(large, &p, 1)) {
            dequeue(port->fd, &unread, NULL, 0);
            return drop(NULL, &port->counters.rx_dropped);
        }
    }
    if (dequeue(port->fd, &p->offload, p->data, p->pool->size)
        != (ssize_t)(sizeof p->offload + len) || len > p->pool->size) {
        return drop(p, &port->counters.rx_errors);
    }
    packet_set_len(p, (uint32_t)len);
    return p;
}

/* Puts back the VLAN tag that the kernel has taken out. */
static void
put_tag(struct packet *p, const struct tpacket2_hdr *header, uint32_t status)
{
    if (p->len < ETH_TYPE_AT || !packet_push(p, VLAN_SIZE)) {
        return;
    }
    memmove(p->data, p->data + VLAN_SIZE, ETH_TYPE_AT);
    put_be16(p->data + ETH_TYPE_AT, status & TP_STATUS_VLAN_TPID_VALID ? header->tp_vlan_tpid
                                                                       : ETH_TYPE_VLAN);
    put_be16(p->data + ETH_TYPE_AT + 2, header->tp_vlan_tci);
    if (p->offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        p->offload.csum_start += VLAN_SIZE;
    }
    if (p->offload.gso_type) {
        p->offload.hdr_len += VLAN_SIZE;
    }
}

/* Whether the frame in a slot is one that went out. */
static bool
went_out(const struct tpacket2_hdr *header)
{
    const struct sockaddr_ll *from = (const void *)((const uint8_t *)header
                                                    + TPACKET_ALIGN(sizeof *header));

    return from->sll_pkttype == PACKET_OUTGOING;
}

/* Makes the frame in a slot a packet, in 'p' if it is small.  Returns null if there is none. */
static struct packet *
take(struct af_packet_ring *ring, struct port *port, struct tpacket2_hdr *header,
     struct packet *p, struct pool *large)
{
    uint32_t status = atomic_load_explicit(status_of(header), memory_order_relaxed);
    const uint8_t *frame = (const uint8_t *)header + header->tp_mac;

    if (status & TP_STATUS_COPY) {
        p = take_queued(port, p, large, header->tp_len);
    } else if (header->tp_len > header->tp_snaplen) {   /* The queue had no room. */
        p = drop(p, &port->counters.rx_dropped);
    } else {
        memcpy(&p->offload, frame - sizeof p->offload, sizeof p->offload);
        memcpy(p->data, frame, header->tp_len);
        packet_set_len(p, header->tp_len);
    }
    if (p && ring->hears_itself && went_out(header)) {
        packet_free(&p, 1);
        return NULL;
    }
    if (p && status & TP_STATUS_VLAN_VALID) {
        put_tag(p, header, status);
    }
    return p;
}

/* An error that the socket has to report, as that its interface is gone, would wake the worker
 * until somebody asks for it. */
static void
look_for_errors(struct af_packet_ring *ring, int fd)
{
    int error;
    socklen_t size = sizeof error;

    if (ring->n_empty++ % LOOK_EVERY == 0) {
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
}

unsigned
af_packet_ring_receive(struct af_packet_ring *ring, struct port *port, struct pool *small,
                       struct pool *large, struct packet **packets, unsigned limit)
{
    unsigned n_filled = filled(ring, limit), n_kept = 0;
    unsigned n = pool_get(small, packets, n_filled);

    if (n_filled) {
        ring->n_empty = 0;
    } else {
        look_for_errors(ring, port->fd);
    }
    for (unsigned i = 0; i < n; i++) {
        struct tpacket2_hdr *header = slot(ring, ring->next++);
        struct packet *p = take(ring, port, header, packets[i], large);
        if (p) {
            packets[n_kept++] = p;
        }
        atomic_store_explicit(status_of(header), TP_STATUS_KERNEL, memory_order_release);
    }
    return n_kept;
}
