/* The af_xdp port: one queue of a network interface through an XDP socket.
 *
 * How
 * ===
 * The memory of the socket is that of its worker's small packets.  A packet that waits
 * for a frame is lent to the kernel through the fill ring, and comes back with the frame in it by the
 * receive ring.  A packet that leaves by any XDP port of the same worker is lent through the transmit
 * ring, and is free when it comes back by the completion ring: nothing is copied on our side.  Packets
 * from elsewhere are copied into one of the pool first.
 *
 * A port keeps no more packets, each way, than its share of the pool, so that there are always some for others.
 * A packet that is lent says so in 'next', which nobody else uses then; so unbind() finds them all.
 *
 * An XDP program hands the frames of the interface to the sockets of its queues (xdp_program.h).  It is
 * shared by the ports of the interface and is there while one of them is bound.
 *
 * Cost
 * ====
 * One system call for a vector of packets sent (the kernel makes a copy of its own of each unless the device
 * works without); none for packets received.
 *
 * Reference: Documentation/networking/af_xdp.rst of Linux. */

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "headers.h"
#include "netdevice.h"
#include "port_private.h"
#include "xdp_checksum.h"
#include "xdp_program.h"
#include "xdp_socket.h"

enum {
    RING_LEN = 1024,            /* Packets in flight each way, if nobody says. */
    SHARE_MIN = 64,             /* Packets a port may keep each way in any case. */
    RETRIES = 16,               /* Times to try again per transmit() when nothing moves. */
    WAIT_MS = 2000,             /* How long a queue may be busy with a socket that is gone. */
    WAIT_STEP_MS = 10,
};

/* An interface, for all ports on its queues. */
struct device {
    int index;
    int fd;                     /* A socket to ask about it with. */
    char name[16];
    struct xdp_program program;
    unsigned n_open, n_bound;   /* Ports. */
};

struct af_xdp {
    struct device *device;
    uint32_t queue, ring_len;
    enum port_xdp_mode mode;    /* As configured. */

    struct pool *pool;          /* Null: not bound. */
    uint64_t chunk_at;          /* Where the chunk of a packet begins in its slot. */
    struct xdp_socket socket;
    uint32_t n_waiting;         /* Packets lent for frames that may come. */
    uint32_t n_leaving;         /* Packets lent for frames that go. */
    uint32_t taken;             /* How far the kernel has emptied the transmit ring. */
    uint64_t dropped;           /* What the kernel has dropped of what came, as last read. */
};

/* --- Open and close ------------------------------------------------------ */

/* Checks the interface and sets its MTU if 'mtu' is not 0. */
static int
find_device(struct device *device, const struct port_config *config, char *why, size_t why_size)
{
    const char *name = config->device;
    bool ethernet = false;
    int error = netdevice_find(device->fd, name, &device->index);

    if (error == ENAMETOOLONG) {
        return port_refuse(why, why_size, error, "\"%s\" is too long for an interface name", name);
    }
    if (error) {
        return port_refuse(why, why_size, error, "no interface \"%s\"", name);
    }
    if (netdevice_is_ethernet(device->fd, device->index, &ethernet) || !ethernet) {
        return port_refuse(why, why_size, EINVAL, "interface \"%s\" is not Ethernet", name);
    }
    if (config->mtu > PACKET_SMALL - ETH_SIZE - 2 * VLAN_SIZE) {
        return port_refuse(why, why_size, EINVAL, "bad MTU %u for interface \"%s\": XDP takes %d",
                           config->mtu, name, PACKET_SMALL - ETH_SIZE - 2 * VLAN_SIZE);
    }
    if (config->mtu && (error = netdevice_set_mtu(device->fd, device->index, config->mtu))) {
        return port_refuse(why, why_size, error, "bad MTU %u for interface \"%s\": %s",
                           config->mtu, name, strerror(error));
    }
    snprintf(device->name, sizeof device->name, "%.15s", name);
    return 0;
}

/* Whether the kernel lets us have XDP sockets at all. */
static int
try_socket(const char *name, char *why, size_t why_size)
{
    int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0), error = errno;

    if (fd < 0) {
        return port_refuse(why, why_size, error, "no XDP socket for \"%s\": %s%s", name,
                           strerror(error), error == EPERM ? " (needs CAP_NET_RAW)"
                           : error == EAFNOSUPPORT ? " (the kernel is built without)" : "");
    }
    close(fd);
    return 0;
}

static void
device_put(struct device *device)
{
    if (--device->n_open) {
        return;
    }
    xdp_program_close(&device->program);
    if (device->fd >= 0) {
        close(device->fd);
    }
    free(device);
}

/* The interface of a port, that of its sibling or a new one; null on failure. */
static struct device *
device_get(const struct port_config *config, int *error, char *why, size_t why_size)
{
    struct device *device;

    if (config->sibling) {
        device = ((struct af_xdp *)config->sibling->state)->device;
        device->n_open++;
        return device;
    }
    device = calloc(1, sizeof *device);
    if (!device) {
        *error = port_refuse(why, why_size, ENOMEM, "no memory");
        return NULL;
    }
    device->n_open = 1;
    device->program = (struct xdp_program){.map = -1, .program = -1, .link = -1};
    device->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    *error = find_device(device, config, why, why_size);
    if (!*error) {
        *error = try_socket(device->name, why, why_size);
    }
    if (!*error && (*error = xdp_program_open(&device->program))) {
        port_refuse(why, why_size, *error, "no XDP program for \"%s\": %s%s", device->name,
                    strerror(*error),
                    *error == EPERM ? " (needs CAP_BPF and CAP_NET_ADMIN)" : "");
    }
    if (*error) {
        device_put(device);
        return NULL;
    }
    return device;
}

static int
af_xdp_open(struct port *port, const struct port_config *config, char *why, size_t why_size)
{
    struct af_xdp *xdp;
    int error = 0;

    if (config->queue >= XDP_QUEUES) {
        return port_refuse(why, why_size, EINVAL, "bad queue %u of \"%s\": the last is %d",
                           config->queue, config->device, XDP_QUEUES - 1);
    }
    xdp = calloc(1, sizeof *xdp);
    if (!xdp) {
        return port_refuse(why, why_size, ENOMEM, "no memory");
    }
    xdp->device = device_get(config, &error, why, why_size);
    if (!xdp->device) {
        free(xdp);
        return error;
    }
    xdp->socket.fd = -1;
    xdp->queue = config->queue;
    xdp->mode = config->xdp_mode;
    xdp->ring_len = config->ring_len ? config->ring_len : RING_LEN;
    port->state = xdp;
    port->fd = -1;
    port->capabilities = 0;
    return 0;
}

/* --- Packets and chunks -------------------------------------------------- */

/* The chunk of a packet of our pool: what comes lies where the frame of a new packet does. */
static inline uint64_t
chunk_of(const struct af_xdp *xdp, const struct packet *p)
{
    return (uint64_t)((const uint8_t *)p - xdp->pool->memory) + xdp->chunk_at;
}

static inline struct packet *
packet_at(const struct af_xdp *xdp, uint64_t address)
{
    return (struct packet *)(xdp->pool->memory + xdp_address_chunk(address) - xdp->chunk_at);
}

static inline void
lend(struct af_xdp *xdp, struct packet *p)
{
    p->next = (struct packet *)xdp;
}

static inline uint32_t
least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Packets the port may keep each way. */
static uint32_t
share(const struct af_xdp *xdp)
{
    uint32_t n_keepers = atomic_load_explicit(&xdp->pool->n_keepers, memory_order_relaxed);
    uint32_t most = xdp->pool->n_slots * 3 / 8 / n_keepers;

    return least(most < SHARE_MIN ? SHARE_MIN : most, xdp->ring_len);
}

/* --- Receive ------------------------------------------------------------- */

/* Lends the kernel packets for frames that may come, as many as came since. */
static void
refill(struct af_xdp *xdp)
{
    struct xdp_ring *fill = &xdp->socket.fill;
    struct packet *packets[PACKET_VECTOR];
    uint32_t most = share(xdp), wanted = most > xdp->n_waiting ? most - xdp->n_waiting : 0;
    unsigned n = pool_get(xdp->pool, packets, least(wanted, PACKET_VECTOR));

    if (n) {
        for (unsigned i = 0; i < n; i++) {
            lend(xdp, packets[i]);
            fill->addresses[fill->at++ & fill->mask] = chunk_of(xdp, packets[i]);
        }
        xdp->n_waiting += n;
        xdp_ring_publish(fill);
    }
    if (xdp_ring_sleeps(fill)) {
        recvfrom(xdp->socket.fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
    }
}

/* Makes the packet whole that a frame has come in. */
static inline void
take_in(struct af_xdp *xdp, struct packet *p, const struct xdp_desc *frame)
{
    uint64_t offset = xdp_address_offset(frame->addr);

    p->next = NULL;
    if (offset != XDP_HEADROOM) {       /* A driver that puts something in front. */
        p->headroom = (uint16_t)(p->headroom + offset - XDP_HEADROOM);
        p->data += (ptrdiff_t)offset - XDP_HEADROOM;
    }
    packet_set_len(p, frame->len);
    if (!xdp->socket.zero_copy) {       /* A device's frames have been on a wire, with their sums. */
        xdp_checksum_find(p);
    }
}

static unsigned
receive_frames(struct af_xdp *xdp, struct packet **packets, unsigned limit)
{
    struct xdp_ring *rx = &xdp->socket.rx;
    unsigned n = least(xdp_ring_ready(rx, limit), limit);

    for (unsigned i = 0; i < n; i++) {
        packets[i] = packet_at(xdp, rx->frames[(rx->at + i) & rx->mask].addr);
        __builtin_prefetch(packets[i], 1);
        __builtin_prefetch((uint8_t *)packets[i] + xdp->chunk_at + XDP_HEADROOM);
    }
    for (unsigned i = 0; i < n; i++) {
        take_in(xdp, packets[i], &rx->frames[rx->at++ & rx->mask]);
    }
    if (n) {
        xdp_ring_publish(rx);
        xdp->n_waiting -= n;
    }
    return n;
}

/* --- Transmit ------------------------------------------------------------ */

/* Takes back the packets that have left. */
static void
reap(struct af_xdp *xdp)
{
    struct xdp_ring *done = &xdp->socket.done;
    struct packet *packets[PACKET_VECTOR];
    unsigned n;

    while ((n = least(xdp_ring_ready(done, PACKET_VECTOR), PACKET_VECTOR))) {
        for (unsigned i = 0; i < n; i++) {
            packets[i] = packet_at(xdp, done->addresses[done->at++ & done->mask]);
            packets[i]->next = NULL;
        }
        packet_free(packets, n);
        xdp_ring_publish(done);
        xdp->n_leaving -= n;
    }
}

/* Counts what the kernel has taken out of the ring up to 'to'; what it dropped has len 0. */
static void
count_taken(struct port *port, uint32_t to)
{
    struct af_xdp *xdp = port->state;
    struct xdp_ring *tx = &xdp->socket.tx;
    unsigned n = 0, n_dropped = 0;
    uint64_t bytes = 0;

    for (; xdp->taken != to; xdp->taken++, n++) {
        uint32_t len = tx->frames[xdp->taken & tx->mask].len;
        n_dropped += !len;
        bytes += len;
    }
    counter_bump(&port->counters.tx_packets, n - n_dropped);
    counter_bump(&port->counters.tx_bytes, bytes);
    counter_bump(&port->counters.tx_dropped, n_dropped);
}

/* Notes how far the kernel is.  It may have dropped a frame there (a driver's queue is full, or there is no
 * carrier); it does not always say that it is beyond it. */
static void
look_at_taken(struct port *port, bool dropped)
{
    struct af_xdp *xdp = port->state;
    struct xdp_ring *tx = &xdp->socket.tx;
    uint32_t to = atomic_load_explicit(tx->theirs, memory_order_acquire);

    if ((int32_t)(to - xdp->taken) <= 0) {
        to = xdp->taken + dropped;
    }
    if (dropped) {
        tx->frames[(to - 1) & tx->mask].len = 0;
    }
    count_taken(port, to);
}

/* Has the kernel send what is in the ring, if it has to be told: in one call, but where a queue is full
 * or the kernel is of the kind that sends 32 at a time.  Returns an errno value that ended it, or 0. */
static int
kick(struct port *port)
{
    struct af_xdp *xdp = port->state;
    const struct xdp_ring *tx = &xdp->socket.tx;
    unsigned retries = RETRIES;

    look_at_taken(port, false);
    while (xdp->taken != tx->at && xdp_ring_sleeps(tx)) {
        uint32_t before = xdp->taken;
        int error = sendto(xdp->socket.fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 ? errno : 0;

        look_at_taken(port, error == EBUSY && !xdp->socket.zero_copy);
        if (error != EAGAIN && error != EBUSY && error != ENOBUFS && error != EINTR) {
            return error;
        }
        if (before == xdp->taken && !retries--) {
            return 0;
        }
    }
    return 0;
}

/* A packet of our pool with the frame of another that does not lie in it; null if there is none. */
static struct packet *
copy_in(struct af_xdp *xdp, const struct packet *p)
{
    struct packet *copy;

    if (p->len > xdp->pool->size || !pool_get(xdp->pool, &copy, 1)) {
        return NULL;
    }
    memcpy(copy->data, p->data, p->len);
    packet_set_len(copy, p->len);
    return copy;
}

/* Puts a packet into the ring, or a copy.  Returns false if it stays the caller's: it was copied, or
 * cannot be sent. */
static inline bool
put(struct af_xdp *xdp, struct packet *packet)
{
    struct xdp_ring *tx = &xdp->socket.tx;
    struct packet *p = packet;

    if (p->len < ETH_SIZE || p->len > xdp->pool->size
        || (p->pool != xdp->pool && !(p = copy_in(xdp, packet)))) {
        return false;
    }

    uint64_t chunk = chunk_of(xdp, p);

    tx->frames[tx->at++ & tx->mask] = (struct xdp_desc){
        .addr = xdp_address(chunk, (uint64_t)(p->data - xdp->pool->memory) - chunk), .len = p->len,
    };
    lend(xdp, p);
    xdp->n_leaving++;
    return p == packet;
}

/* Takes what was put into the ring since 'from' out again, when the kernel has not looked at it. */
static void
take_back(struct af_xdp *xdp, uint32_t from)
{
    struct xdp_ring *tx = &xdp->socket.tx;

    while (tx->at != from) {
        struct packet *p = packet_at(xdp, tx->frames[--tx->at & tx->mask].addr);
        p->next = NULL;
        packet_free(&p, 1);
        xdp->n_leaving--;
    }
    xdp_ring_publish(tx);
}

/* Whether the kernel refuses to look at the ring: the interface is down or gone. */
static bool
is_down(int error)
{
    return error == ENETDOWN || error == ENXIO || error == ENODEV;
}

/* Room in the ring for up to 'n' packets, and leave to lend them. */
static uint32_t
room_for(struct af_xdp *xdp, uint32_t n)
{
    uint32_t most = share(xdp);

    reap(xdp);
    return least(most > xdp->n_leaving ? most - xdp->n_leaving : 0,
                 least(xdp_ring_room(&xdp->socket.tx, n), n));
}

/* Sends what was put into the ring since 'first'.  Returns how many that were. */
static unsigned
send_put(struct port *port, uint32_t first)
{
    struct af_xdp *xdp = port->state;
    uint32_t taken = xdp->taken;

    xdp_ring_publish(&xdp->socket.tx);
    if (is_down(kick(port)) && taken == first && xdp->taken == first) {
        take_back(xdp, first);
    }
    return xdp->socket.tx.at - first;
}

/* A full ring empties while we are at it, mostly; so there are several turns if need be. */
static unsigned
af_xdp_transmit(struct port *port, struct packet **packets, unsigned n)
{
    struct af_xdp *xdp = port->state;
    const struct xdp_ring *tx = &xdp->socket.tx;
    unsigned at = 0, n_left = 0, n_sent = 0;
    uint32_t room;

    while (xdp->pool && at < n && (room = room_for(xdp, n - at))) {
        uint32_t first = tx->at;
        for (; at < n && tx->at - first < room; at++) {
            if (!put(xdp, packets[at])) {
                packets[n_left++] = packets[at];
            }
        }
        n_sent += send_put(port, first);
    }
    counter_bump(&port->counters.tx_dropped, n - n_sent);
    packet_free(packets, n_left);
    packet_free(packets + at, n - at);
    return n_sent;
}

static unsigned
af_xdp_receive(struct port *port, struct pool *small, struct pool *large, struct packet **packets,
               unsigned limit)
{
    struct af_xdp *xdp = port->state;
    unsigned n;

    (void)small;                        /* It is bound to this one. */
    (void)large;
    if (!xdp->pool) {
        return 0;                       /* It could not be bound again when it moved. */
    }
    n = receive_frames(xdp, packets, limit);
    refill(xdp);
    if (xdp->n_leaving) {
        kick(port);
        reap(xdp);
    }
    if (n) {
        counter_bump(&port->counters.rx_packets, n);
        counter_bump(&port->counters.rx_bytes, packets_size(packets, n));
    }
    return n;
}

/* --- Bind ---------------------------------------------------------------- */

/* The ways to get at frames, the best first. */
static const struct way {
    enum port_xdp_mode mode;
    bool generic;
    uint16_t flags;
    char how[PORT_HOW_MAX];
} ways[] = {
    {PORT_XDP_ZERO_COPY, false, XDP_ZEROCOPY, "native, zero-copy"},
    {PORT_XDP_NATIVE, false, XDP_COPY, "native, copy"},
    {PORT_XDP_GENERIC, true, XDP_COPY, "generic, copy"},
};

enum { N_WAYS = sizeof ways / sizeof ways[0] };

static void
doze(unsigned ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000000L};

    nanosleep(&pause, NULL);
}

static int
try_way(struct af_xdp *xdp, const struct way *way)
{
    struct device *device = xdp->device;
    int error;

    if (device->n_bound && device->program.generic != way->generic) {
        return EOPNOTSUPP;              /* One program serves all queues. */
    }
    error = xdp_program_attach(&device->program, device->index, way->generic);
    return error ? error : xdp_socket_bind(&xdp->socket, device->index, xdp->queue, way->flags);
}

/* A queue, or an interface, stays busy a moment after the last owner has gone. */
static int
try_patiently(struct af_xdp *xdp, const struct way *way)
{
    int error = try_way(xdp, way);

    for (unsigned ms = 0; error == EBUSY && ms < WAIT_MS; ms += WAIT_STEP_MS) {
        doze(WAIT_STEP_MS);
        error = try_way(xdp, way);
    }
    return error;
}

/* Finds a way that works.  Sets 'way' to it, or to the last one that was tried. */
static int
find_way(struct af_xdp *xdp, const struct way **way)
{
    int error = EOPNOTSUPP;

    for (unsigned i = 0; i < N_WAYS && error && error != EBUSY; i++) {
        if (xdp->mode == PORT_XDP_AUTO || xdp->mode == ways[i].mode) {
            *way = &ways[i];
            error = try_patiently(xdp, *way);
        }
    }
    return error;
}

/* What the kernel means. */
static const struct {
    int error;
    char text[96];
} meanings[] = {
    {EBUSY, "another XDP program or another socket on this queue is there"},
    {EINVAL, "there is no such queue, or the driver cannot"},
    {EOPNOTSUPP, "the driver cannot"},
    {EPERM, "needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF"},
    {ENOBUFS, "needs CAP_IPC_LOCK, or more locked memory (ulimit -l)"},
    {ERANGE, "the MTU, its own or its peer's, is too large for XDP"},
};

static int
refuse(const struct af_xdp *xdp, int error, const char *how, char *why, size_t why_size)
{
    const char *text = strerror(error);

    for (unsigned i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        text = meanings[i].error == error ? meanings[i].text : text;
    }
    return port_refuse(why, why_size, error, "cannot use queue %u of interface \"%s\" (XDP %s): %s",
                       xdp->queue, xdp->device->name, how, text);
}

static int
af_xdp_bind(struct port *port, struct pool *small, char *why, size_t why_size)
{
    struct af_xdp *xdp = port->state;
    struct device *device = xdp->device;
    const struct xdp_memory memory = {
        small->memory, small->n_slots * small->stride, small->size + XDP_HEADROOM, xdp->ring_len,
    };
    const struct way *way = ways;
    int error = xdp_socket_open(&xdp->socket, &memory);

    if (error) {
        return refuse(xdp, error, "socket", why, why_size);
    }
    error = find_way(xdp, &way);
    if (!error) {
        error = xdp_program_set(&device->program, xdp->queue, xdp->socket.fd);
    }
    if (error) {
        xdp_socket_close(&xdp->socket);
        if (!device->n_bound) {
            xdp_program_detach(&device->program);
        }
        return refuse(xdp, error, way->how, why, why_size);
    }
    device->n_bound++;
    atomic_fetch_add_explicit(&small->n_keepers, 1, memory_order_relaxed);
    xdp->pool = small;
    xdp->chunk_at = pool_frame_at() - XDP_HEADROOM;
    xdp->n_waiting = xdp->n_leaving = xdp->taken = 0;
    xdp->dropped = 0;
    port->fd = xdp->socket.fd;
    memcpy(port->how, way->how, sizeof port->how);
    return 0;
}

/* Gives the packets back that are lent. */
static void
take_all_back(struct af_xdp *xdp)
{
    struct pool *pool = xdp->pool;

    for (uint32_t i = 0; i < pool->n_slots; i++) {
        struct packet *p = (struct packet *)(pool->memory + i * pool->stride);
        if (p->next == (struct packet *)xdp) {
            p->next = NULL;
            packet_free(&p, 1);
        }
    }
}

static void
count_dropped(struct port *port)
{
    struct af_xdp *xdp = port->state;
    uint64_t dropped = xdp_socket_dropped(&xdp->socket);

    if (dropped > xdp->dropped) {
        atomic_fetch_add_explicit(&port->counters.rx_dropped, dropped - xdp->dropped,
                                  memory_order_relaxed);
        xdp->dropped = dropped;
    }
}

static void
af_xdp_unbind(struct port *port)
{
    struct af_xdp *xdp = port->state;
    struct device *device = xdp->device;

    if (!xdp->pool) {
        return;
    }
    xdp_program_unset(&device->program, xdp->queue);
    if (!--device->n_bound) {
        xdp_program_detach(&device->program);
    }
    look_at_taken(port, false);
    counter_bump(&port->counters.tx_dropped, xdp->socket.tx.at - xdp->taken);
    count_dropped(port);
    xdp_socket_close(&xdp->socket);
    take_all_back(xdp);
    atomic_fetch_sub_explicit(&xdp->pool->n_keepers, 1, memory_order_relaxed);
    xdp->pool = NULL;
    port->fd = -1;
    port->how[0] = '\0';
}

static void
af_xdp_close(struct port *port)
{
    struct af_xdp *xdp = port->state;

    device_put(xdp->device);
    free(xdp);
    port->state = NULL;
}

/* --- Link ---------------------------------------------------------------- */

/* Also takes over what the kernel has dropped. */
static int
af_xdp_link(struct port *port, struct port_link *link)
{
    struct af_xdp *xdp = port->state;

    if (xdp->pool) {
        count_dropped(port);
    }
    return netdevice_link(xdp->device->fd, xdp->device->index, link);
}

static int
af_xdp_set_admin(struct port *port, bool up)
{
    struct af_xdp *xdp = port->state;

    return netdevice_set_up(xdp->device->fd, xdp->device->index, up);
}

extern const struct port_ops port_af_xdp_ops;
const struct port_ops port_af_xdp_ops = {
    .kind = "af_xdp",
    .open = af_xdp_open,
    .receive = af_xdp_receive,
    .transmit = af_xdp_transmit,
    .link = af_xdp_link,
    .set_admin = af_xdp_set_admin,
    .close = af_xdp_close,
    .bind = af_xdp_bind,
    .unbind = af_xdp_unbind,
};
