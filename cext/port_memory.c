/* The memory port: rings inside the process, for tests and benchmarks.
 *
 * How
 * ===
 * 'in' carries frames from port_memory_put() to the worker, 'out' from the
 * worker to port_memory_take().  port->fd is an eventfd that is readable as
 * long as there may be something in 'in'; 'signalled' says that it was made so,
 * so that the producer writes to it only once per time the ring runs empty. */

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "port_private.h"
#include "ring.h"

enum {
    DEFAULT_LEN = 1024,         /* Packets in flight. */
    AHEAD = 16,                 /* Frames of a loop that are fetched before their turn. */
    LINE = 64,                  /* Bytes of a cache line, */
    HUGE_PAGE = 2 << 20,        /* and of a huge page. */
    MIN_SIZE = 256 * 1024,      /* Bytes of a ring: the longest frame must fit in half of it. */
};

struct record {
    struct offload offload;
    uint8_t frame[];
};

struct loop_frame {
    const uint8_t *bytes;       /* In those of the loop. */
    size_t len;
};

_Static_assert(PACKET_SMALL % LINE == 0 && PACKET_LARGE % LINE == 0, "packets are whole lines");

/* Frames that receive() delivers over and over again. */
struct loop {
    struct loop *older;         /* Replaced by this one; freed when the port closes. */
    uint8_t *bytes;
    size_t n;
    struct loop_frame frames[];     /* And the first AHEAD of them again. */
};

struct memory {
    struct ring in, out;
    _Atomic bool signalled;     /* The eventfd is readable, or is about to be. */
    _Atomic bool down;
    _Atomic(struct loop *) loop;    /* Null: deliver from 'in'. */
    struct loop *newest;        /* All loops there have been; the control side's. */
    size_t next;                /* Frame of the loop that comes next; the worker's. */
};

static struct memory *
memory_new(size_t size)
{
    struct memory *memory = aligned_alloc(_Alignof(struct memory), sizeof *memory);

    if (!memory) {
        return NULL;
    }
    memset(memory, 0, sizeof *memory);
    if (ring_open(&memory->in, size) || ring_open(&memory->out, size)) {
        ring_close(&memory->in);
        free(memory);
        return NULL;
    }
    return memory;
}

static int
memory_open(struct port *port, const struct port_config *config, char *why, size_t why_size)
{
    size_t size = (size_t)(config->ring_len ? config->ring_len : DEFAULT_LEN) * PACKET_SMALL;

    port->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (port->fd < 0) {
        return port_refuse(why, why_size, errno, "no eventfd: %s", strerror(errno));
    }
    port->state = memory_new(size < MIN_SIZE ? MIN_SIZE : size);
    if (!port->state) {
        close(port->fd);
        return port_refuse(why, why_size, ENOMEM, "no memory for two rings of %zu bytes", size);
    }
    port->capabilities = PORT_TAKES_CSUM | PORT_TAKES_GSO;
    return 0;
}

static void
memory_close(struct port *port)
{
    struct memory *memory = port->state;

    while (memory->newest) {
        struct loop *loop = memory->newest;
        memory->newest = loop->older;
        free(loop->bytes);
        free(loop);
    }
    ring_close(&memory->in);
    ring_close(&memory->out);
    free(memory);
    close(port->fd);
    port->state = NULL;
    port->fd = -1;
}

/* --- Receive ------------------------------------------------------------- */

static void
count_received(struct port *port, struct packet *const packets[], unsigned n)
{
    if (n) {
        counter_bump(&port->counters.rx_packets, n);
        counter_bump(&port->counters.rx_bytes, packets_size(packets, n));
    }
}

static unsigned
receive_ring(struct port *port, struct pool *small, struct pool *large, struct packet **packets,
             unsigned limit)
{
    struct memory *memory = port->state;
    struct record *record;
    unsigned n = 0;
    size_t size;

    while (n < limit && small->n_free && (record = ring_peek(&memory->in, &size))) {
        struct packet *p = packet_for(small, large, size - sizeof *record);
        if (p) {
            memcpy(p->data, record->frame, p->len);
            p->offload = record->offload;
            packets[n++] = p;
        } else {
            counter_bump(&port->counters.rx_dropped, 1);
        }
        ring_consume(&memory->in);
    }
    return n;
}

/* Makes the eventfd unreadable.  Returns true if the producer may have added
 * something that it does not announce.  If the eventfd is not readable
 * although it was signalled, the producer is just about to write to it. */
static bool
settle_signal(struct port *port, struct memory *memory)
{
    return atomic_load_explicit(&memory->signalled, memory_order_relaxed)
           && unsignal_fd(port->fd) && atomic_exchange(&memory->signalled, false);
}

/* Copies whole cache lines, which the loop's memory and every packet have. */
static inline void
copy_lines(uint8_t *to, const uint8_t *from, size_t len)
{
    for (size_t at = 0; at < len; at += LINE) {
        memcpy(to + at, from + at, LINE);
    }
}

/* Gives a packet the frame; false: it needs a large one, and there is none. */
static inline bool
deliver(struct packet **at, const uint8_t *bytes, size_t len, struct pool *small, struct pool *large)
{
    if (__builtin_expect(len > small->size, 0)) {
        packet_free(at, 1);
        *at = packet_for(small, large, len);
        if (!*at) {
            return false;
        }
    } else {
        (*at)->len = (uint32_t)len;
        (*at)->tailroom -= len;         /* All of it was free. */
    }
    copy_lines((*at)->data, bytes, len);
    return true;
}

static unsigned
receive_loop(struct memory *memory, const struct loop *loop, struct pool *small,
             struct pool *large, struct packet **packets, unsigned limit)
{
    const unsigned n = pool_get(small, packets, limit);
    const struct loop_frame *frame = loop->frames + memory->next, *const end = loop->frames + loop->n;
    unsigned i = 0;

    for (; i < n; i++) {
        frame = frame < end ? frame : loop->frames;
        __builtin_prefetch(frame[AHEAD].bytes);         /* A device would have put it into the cache. */
        if (!deliver(&packets[i], frame->bytes, frame->len, small, large)) {
            packet_free(&packets[i + 1], n - i - 1);
            break;
        }
        frame++;
    }
    memory->next = (size_t)(frame - loop->frames);
    return i;
}

static unsigned
memory_receive(struct port *port, struct pool *small, struct pool *large, struct packet **packets,
               unsigned limit)
{
    struct memory *memory = port->state;
    struct loop *loop = atomic_load_explicit(&memory->loop, memory_order_acquire);
    unsigned n;

    if (loop) {
        n = receive_loop(memory, loop, small, large, packets, limit);
    } else {
        n = receive_ring(port, small, large, packets, limit);
        if (n < limit && settle_signal(port, memory)) {
            n += receive_ring(port, small, large, packets + n, limit - n);
        }
    }
    count_received(port, packets, n);
    return n;
}

/* --- Transmit and link --------------------------------------------------- */

static bool
append(struct ring *ring, const uint8_t *frame, size_t len, const struct offload *offload)
{
    struct record *record = ring_reserve(ring, sizeof *record + len);

    if (!record) {
        return false;
    }
    record->offload = offload ? *offload : (struct offload){0};
    memcpy(record->frame, frame, len);
    ring_commit(ring);
    return true;
}

static unsigned
memory_transmit(struct port *port, struct packet **packets, unsigned n)
{
    struct memory *memory = port->state;
    bool down = atomic_load_explicit(&memory->down, memory_order_relaxed);
    bool looping = atomic_load_explicit(&memory->loop, memory_order_relaxed);
    unsigned n_sent = 0;
    uint64_t bytes = 0;

    for (unsigned i = 0; i < n && !down; i++) {
        struct packet *p = packets[i];
        if (looping || append(&memory->out, p->data, p->len, &p->offload)) {
            n_sent++;
            bytes += p->len;
        }
    }
    counter_bump(&port->counters.tx_packets, n_sent);
    counter_bump(&port->counters.tx_bytes, bytes);
    counter_bump(&port->counters.tx_dropped, n - n_sent);
    packet_free(packets, n);
    return n_sent;
}

static int
memory_link(struct port *port, struct port_link *link)
{
    struct memory *memory = port->state;

    virtual_link(port, !atomic_load(&memory->down), link);
    return 0;
}

static int
memory_set_admin(struct port *port, bool up)
{
    struct memory *memory = port->state;

    atomic_store(&memory->down, !up);
    return 0;
}

extern const struct port_ops port_memory_ops;
const struct port_ops port_memory_ops = {
    .kind = "memory",
    .open = memory_open,
    .receive = memory_receive,
    .transmit = memory_transmit,
    .link = memory_link,
    .set_admin = memory_set_admin,
    .close = memory_close,
};

/* --- The other side ------------------------------------------------------ */

int
port_memory_put(struct port *port, const uint8_t *frame, size_t len, const struct offload *offload)
{
    struct memory *memory = port->state;

    if (len > PACKET_LARGE) {
        return EMSGSIZE;
    }
    if (atomic_load(&memory->down)) {
        return ENETDOWN;
    }
    if (!append(&memory->in, frame, len, offload)) {
        return ENOBUFS;
    }
    if (!atomic_exchange(&memory->signalled, true)) {
        signal_fd(port->fd);
    }
    return 0;
}

size_t
port_memory_take(struct port *port, uint8_t *frame, size_t size, struct offload *offload)
{
    struct memory *memory = port->state;
    size_t len;
    struct record *record = ring_peek(&memory->out, &len);

    if (!record) {
        return 0;
    }
    len -= sizeof *record;
    memcpy(frame, record->frame, len < size ? len : size);
    if (offload) {
        *offload = record->offload;
    }
    ring_consume(&memory->out);
    return len;
}

/* Bytes that frames take, each at a cache line. */
static size_t
lines_of(const size_t lens[], size_t n)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++) {
        size += (lens[i] + LINE - 1) / LINE * LINE;
    }
    return size;
}

/* Copies the frames one behind the other. */
static struct loop *
loop_new(const uint8_t *const frames[], const size_t lens[], size_t n)
{
    struct loop *loop = malloc(sizeof *loop + (n + AHEAD) * sizeof loop->frames[0]);
    const size_t size = lines_of(lens, n), page = size >= HUGE_PAGE ? HUGE_PAGE : LINE;

    if (!loop) {
        return NULL;
    }
    loop->n = n;
    loop->bytes = aligned_alloc(page, (size / page + 1) * page);
    if (!loop->bytes) {
        free(loop);
        return NULL;
    }
    if (page == HUGE_PAGE) {
        madvise(loop->bytes, size, MADV_HUGEPAGE);      /* As a driver has its buffers. */
    }
    memset(loop->bytes, 0, size);
    uint8_t *bytes = loop->bytes;
    for (size_t i = 0; i < n; i++) {
        memcpy(bytes, frames[i], lens[i]);
        loop->frames[i] = (struct loop_frame) { bytes, lens[i] };
        bytes += lines_of(&lens[i], 1);
    }
    for (size_t i = 0; i < AHEAD; i++) {
        loop->frames[n + i] = loop->frames[i];
    }
    return loop;
}

int
port_memory_loop(struct port *port, const uint8_t *const frames[], const size_t lens[], size_t n)
{
    struct memory *memory = port->state;
    struct loop *loop = n ? loop_new(frames, lens, n) : NULL;

    if (n && !loop) {
        return ENOMEM;
    }
    if (loop) {
        loop->older = memory->newest;
        memory->newest = loop;
    }
    atomic_store_explicit(&memory->loop, loop, memory_order_release);
    if (!atomic_exchange(&memory->signalled, true)) {
        signal_fd(port->fd);    /* While it loops it is never settled. */
    }
    return 0;
}
