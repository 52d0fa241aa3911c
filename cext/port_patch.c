/* The patch port: one of two ends that join bridges.  What one transmits the other receives.
 *
 * How
 * ===
 * A cable has two ends, each with a ring that holds what is to be received there.  Both ends may
 * belong to different workers, so frames are copied.  What is sent in a round of a worker is
 * received in the next one at the earliest, and at most as much as the ring holds waits.
 *
 * A packet remembers through how many cables it came ('hops'), and is dropped
 * before it goes through more than PATCH_HOPS: bridges that flood to each other in a
 * circle do not keep a packet for ever.
 *
 * Threads
 * =======
 * Opening, joining and closing are the control thread's.  The cable is there until both ends are
 * closed, so a worker may go on sending to an end that is not there any more. */

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "port_private.h"
#include "ring.h"

enum {
    PATCH_HOPS = 16,            /* Cables in a row. */
    RING_SIZE = 2 << 20,        /* Bytes that may wait at an end. */
};

struct end {
    struct ring inbox;          /* From the worker of the other end to that of this one. */
    int fd;                     /* eventfd: there is something in it. */
    _Atomic bool signalled;
    _Atomic bool present;       /* A port has this end, */
    _Atomic bool down;          /* which is administratively down. */
};

struct cable {
    struct end ends[2];
    unsigned n_ports;           /* That have an end. */
};

struct patch {
    struct cable *cable;
    unsigned end;               /* 0 or 1. */
};

/* A record of an inbox. */
struct frame {
    struct offload offload;
    uint8_t hops;
    uint8_t bytes[];
};

/* --- Open, join and close ------------------------------------------------ */

static void
cable_free(struct cable *cable)
{
    for (unsigned i = 0; i < 2; i++) {
        ring_close(&cable->ends[i].inbox);
        if (cable->ends[i].fd >= 0) {
            close(cable->ends[i].fd);
        }
    }
    free(cable);
}

static struct cable *
cable_new(void)
{
    struct cable *cable = aligned_alloc(64, (sizeof *cable + 63) & ~(size_t)63);
    bool whole = cable;

    if (!cable) {
        return NULL;
    }
    memset(cable, 0, sizeof *cable);
    for (unsigned i = 0; i < 2; i++) {
        whole &= !ring_open(&cable->ends[i].inbox, RING_SIZE);
        cable->ends[i].fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        whole &= cable->ends[i].fd >= 0;
    }
    if (!whole) {
        cable_free(cable);
        return NULL;
    }
    return cable;
}

/* Gives a port an end of a cable that no other has. */
static void
plug(struct port *port, struct cable *cable, unsigned end)
{
    struct patch *patch = port->state;
    size_t size;

    patch->cable = cable;
    patch->end = end;
    port->fd = cable->ends[end].fd;
    cable->n_ports++;
    while (ring_peek(&cable->ends[end].inbox, &size)) {
        ring_consume(&cable->ends[end].inbox);     /* For a port that had it before. */
    }
    atomic_store(&cable->ends[end].down, false);
    atomic_store(&cable->ends[end].present, true);
}

static void
unplug(struct patch *patch)
{
    struct cable *cable = patch->cable;

    atomic_store(&cable->ends[patch->end].present, false);
    if (!--cable->n_ports) {
        cable_free(cable);
    }
}

static int
patch_open(struct port *port, const struct port_config *config, char *why, size_t why_size)
{
    struct patch *patch = calloc(1, sizeof *patch);
    struct cable *cable = patch ? cable_new() : NULL;

    (void)config;
    if (!cable) {
        free(patch);
        return port_refuse(why, why_size, ENOMEM, "no memory");
    }
    port->state = patch;
    port->capabilities = PORT_TAKES_CSUM | PORT_TAKES_GSO;
    plug(port, cable, 0);
    return 0;
}

int
port_patch_join(struct port *port, struct port *fresh)
{
    struct patch *one = port->state, *other = fresh->state;

    if (one->cable->n_ports > 1 || other->cable->n_ports > 1 || port == fresh) {
        return EBUSY;
    }
    unplug(other);
    plug(fresh, one->cable, !one->end);
    return 0;
}

static void
patch_close(struct port *port)
{
    unplug(port->state);
    free(port->state);
    port->state = NULL;
    port->fd = -1;
}

/* --- Receive ------------------------------------------------------------- */

static unsigned
take(struct port *port, struct end *end, struct pool *small, struct pool *large,
     struct packet **packets, unsigned limit)
{
    struct frame *frame;
    unsigned n = 0;
    size_t size;

    while (n < limit && (frame = ring_peek(&end->inbox, &size))) {
        struct packet *p = packet_for(small, large, size - sizeof *frame);
        if (!p) {
            counter_bump(&port->counters.rx_dropped, 1);
        } else {
            memcpy(p->data, frame->bytes, p->len);
            p->offload = frame->offload;
            p->hops = frame->hops;
            packets[n++] = p;
        }
        ring_consume(&end->inbox);
    }
    return n;
}

/* Once more after it is no longer signalled: a frame may have come in between. */
static unsigned
patch_receive(struct port *port, struct pool *small, struct pool *large, struct packet **packets,
              unsigned limit)
{
    const struct patch *patch = port->state;
    struct end *end = &patch->cable->ends[patch->end];
    unsigned n = take(port, end, small, large, packets, limit);

    if (n < limit && atomic_load_explicit(&end->signalled, memory_order_relaxed)
        && unsignal_fd(end->fd) && atomic_exchange(&end->signalled, false)) {
        n += take(port, end, small, large, packets + n, limit - n);
    }
    if (n) {
        counter_bump(&port->counters.rx_packets, n);
        counter_bump(&port->counters.rx_bytes, packets_size(packets, n));
    }
    return n;
}

/* --- Transmit and link --------------------------------------------------- */

static bool
is_up(const struct cable *cable)
{
    bool up = true;

    for (unsigned i = 0; i < 2; i++) {
        up &= atomic_load_explicit(&cable->ends[i].present, memory_order_acquire)
              && !atomic_load_explicit(&cable->ends[i].down, memory_order_relaxed);
    }
    return up;
}

static bool
put(struct end *to, const struct packet *p)
{
    struct frame *frame = p->hops < PATCH_HOPS ? ring_reserve(&to->inbox, sizeof *frame + p->len)
                                               : NULL;

    if (!frame) {
        return false;
    }
    frame->offload = p->offload;
    frame->hops = p->hops + 1;
    memcpy(frame->bytes, p->data, p->len);
    ring_commit(&to->inbox);
    return true;
}

static unsigned
patch_transmit(struct port *port, struct packet **packets, unsigned n)
{
    const struct patch *patch = port->state;
    struct end *to = &patch->cable->ends[!patch->end];
    bool up = is_up(patch->cable);
    unsigned n_sent = 0;
    uint64_t bytes = 0;

    for (unsigned i = 0; i < n && up; i++) {
        if (put(to, packets[i])) {
            n_sent++;
            bytes += packets[i]->len;
        }
    }
    if (n_sent && !atomic_exchange(&to->signalled, true)) {
        signal_fd(to->fd);
    }
    counter_bump(&port->counters.tx_packets, n_sent);
    counter_bump(&port->counters.tx_bytes, bytes);
    counter_bump(&port->counters.tx_dropped, n - n_sent);
    packet_free(packets, n);
    return n_sent;
}

static int
patch_link(struct port *port, struct port_link *link)
{
    const struct patch *patch = port->state;

    virtual_link(port, is_up(patch->cable), link);
    link->admin_up = !atomic_load(&patch->cable->ends[patch->end].down);
    return 0;
}

static int
patch_set_admin(struct port *port, bool up)
{
    const struct patch *patch = port->state;

    atomic_store(&patch->cable->ends[patch->end].down, !up);
    return 0;
}

extern const struct port_ops port_patch_ops;
const struct port_ops port_patch_ops = {
    .kind = "patch",
    .open = patch_open,
    .receive = patch_receive,
    .transmit = patch_transmit,
    .link = patch_link,
    .set_admin = patch_set_admin,
    .close = patch_close,
};
