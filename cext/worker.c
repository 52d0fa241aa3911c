/* Workers: the loop.  See worker.h; what instructions do with packets is in
 * worker_packet.c. */

#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "parse.h"

enum {
    SMALL_PACKETS = 4096,
    LARGE_PACKETS = 512,
    PUNT_BYTES = 8 << 20,
    INJECT_BYTES = 4 << 20,
    BURST = 64,                 /* Packets received at a time: their headers, keys and the entries
                                 * they meet fit the first-level cache together. */
    INJECTS_PER_ROUND = 64,
};

void
worker_read_clock(struct worker *worker)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    worker->now_ns = (uint64_t) now.tv_sec * 1000000000 + now.tv_nsec;
    worker->now_ms = worker->now_ns / 1000000;
}

static void
signal_fd(int fd)
{
    uint64_t one = 1;

    /* A full eventfd is signalled already. */
    if (write(fd, &one, sizeof one) < 0) {
        return;
    }
}

/* --- Making and closing --------------------------------------------------------------- */

static int
open_parts(struct worker *worker, uint32_t n_packets)
{
    worker->punt_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct poll_set *polls = calloc(1, sizeof *polls);
    atomic_init(&worker->polls, polls);
    worker->learnt = calloc(1, sizeof *worker->learnt);
    if (worker->punt_fd < 0 || worker->wake_fd < 0 || !polls
        || pool_open(&worker->small, n_packets ? n_packets : SMALL_PACKETS, PACKET_SMALL)
        || pool_open(&worker->large, LARGE_PACKETS, PACKET_LARGE)
        || cache_open(&worker->cache)
        || ring_open(&worker->punts, PUNT_BYTES)
        || !worker->learnt || ring_open(&worker->learns, LEARN_BYTES)
        || ring_open(&worker->injects, INJECT_BYTES)) {
        return ENOMEM;
    }
    return counter_ids_add_set(&worker->dataplane->counters, &worker->counters);
}

static void
close_parts(struct worker *worker)
{
    for (unsigned i = 0; i < DATAPLANE_WORKERS; i++) {
        struct ring *ring = worker_handovers(worker, i);
        if (ring) {
            ring_close(ring);
            free(ring);
        }
    }
    ring_close(&worker->injects);
    ring_close(&worker->learns);
    free(worker->learnt);
    ring_close(&worker->punts);
    cache_close(&worker->cache);
    pool_close(&worker->large);
    pool_close(&worker->small);
    free(atomic_load(&worker->polls));
    close(worker->wake_fd);
    close(worker->punt_fd);
    free(worker);
}

static int
open_handover(struct worker *to, unsigned from)
{
    struct ring *ring = worker_handovers(to, from) ? NULL : aligned_alloc(64, sizeof *ring);

    if (worker_handovers(to, from)) {
        return 0;
    }
    if (!ring || ring_open(ring, INJECT_BYTES)) {
        free(ring);
        return ENOMEM;
    }
    atomic_store_explicit(&to->handovers[from], ring, memory_order_release);
    return 0;
}

/* Every worker can hand packets to every other one. */
static int
open_handovers(struct worker *worker)
{
    for (unsigned i = 0; i < DATAPLANE_WORKERS; i++) {
        struct worker *other = atomic_load(&worker->dataplane->workers[i]);
        if (other && (open_handover(worker, i) || open_handover(other, worker->id))) {
            return ENOMEM;
        }
    }
    return 0;
}

struct worker *
worker_open(struct dataplane *dataplane, unsigned id, uint32_t n_packets)
{
    if (id >= DATAPLANE_WORKERS || atomic_load(&dataplane->workers[id])) {
        return NULL;
    }
    struct worker *worker = aligned_alloc(64, (sizeof *worker + 63) & ~(size_t) 63);
    if (!worker) {
        return NULL;
    }
    memset(worker, 0, sizeof *worker);
    worker->id = id;
    worker->dataplane = dataplane;
    worker->spin_us = SPIN_US;
    worker_read_clock(worker);
    if (open_parts(worker, n_packets)) {
        close_parts(worker);
        return NULL;
    }
    if (open_handovers(worker)) {
        counter_ids_remove_set(&dataplane->counters, &worker->counters);
        close_parts(worker);
        return NULL;
    }
    atomic_store(&dataplane->workers[id], worker);
    return worker;
}

/* Drops the packets in queues that are gone.  They are few and seldom: freeing them here spares
 * handing them back. */
static void
drop_left(struct worker *worker)
{
    struct queue *queue = atomic_exchange_explicit(&worker->left, NULL, memory_order_acquire);
    struct packet *packets[PACKET_VECTOR];

    while (queue) {
        struct queue *next = queue->next;
        unsigned n;
        while ((n = queue_drain(queue, packets, PACKET_VECTOR))) {
            worker_drop(worker, packets, n, DROP_queue);
        }
        free(queue);
        queue = next;
    }
}

/* Takes what is left in the rings to its end, in the place of the worker's thread. */
static void
finish_rings(struct worker *worker)
{
    while (!worker_rings_empty(worker)) {
        worker_round(worker);
    }
    epoch_offline(&worker->dataplane->epoch, worker->id);
    drop_left(worker);
}

void
worker_close(struct worker *worker)
{
    struct dataplane *dataplane = worker->dataplane;

    atomic_store(&dataplane->workers[worker->id], NULL);
    epoch_offline(&dataplane->epoch, worker->id);
    epoch_synchronize(&dataplane->epoch);       /* Nobody hands it anything any more. */
    finish_rings(worker);
    worker_counters_add(&dataplane->former, &worker->totals);
    ring_close(&worker->injects);
    while (worker->pending) {
        struct pending_program *pending = worker->pending;
        worker->pending = pending->next;
        program_release(&dataplane->programs, pending->program);
        free(pending);
    }
    counter_ids_remove_set(&dataplane->counters, &worker->counters);
    close_parts(worker);
}

/* --- What the control thread sends ------------------------------------------------------- */

void
worker_wake(struct worker *worker)
{
    /* Pairs with the fence in fall_asleep(): either it sees what was published
     * before it sleeps, or we see that it is asleep. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&worker->asleep, memory_order_relaxed)) {
        signal_fd(worker->wake_fd);
    }
}

void
worker_leave_queues(struct worker *worker, struct queue *queues)
{
    while (queues) {
        struct queue *queue = queues;
        queues = queue->next;
        queue->next = atomic_load_explicit(&worker->left, memory_order_relaxed);
        while (!atomic_compare_exchange_weak_explicit(&worker->left, &queue->next, queue,
                                                      memory_order_release,
                                                      memory_order_relaxed)) {
            continue;
        }
    }
    worker_wake(worker);
}

int
worker_inject(struct worker *worker, struct bridge *bridge, const struct program *program,
              const void *args, size_t args_size, uint32_t in_port, const void *frame, size_t len)
{
    struct pending_program *pending = malloc(sizeof *pending);
    size_t args_padded = (args_size + 7) & ~(size_t) 7;
    struct inject *inject;

    if (len > PACKET_LARGE) {
        free(pending);
        return EMSGSIZE;
    }
    inject = pending ? ring_reserve(&worker->injects, sizeof *inject + args_padded + len) : NULL;
    if (!inject) {
        bump(&worker->injects_lost, 1);
        free(pending);
        return ENOBUFS;
    }
    *inject = (struct inject) {
        .program = program, .bridge = bridge->index, .in_port = in_port,
        .args_size = args_padded, .len = len,
    };
    memcpy(inject->bytes, args, args_size);
    memcpy(inject->bytes + args_padded, frame, len);
    ring_commit(&worker->injects);
    *pending = (struct pending_program) {
        .program = program, .position = atomic_load(&worker->injects.head),
    };
    if (worker->pending) {
        worker->pending_last->next = pending;
    } else {
        worker->pending = pending;
    }
    worker->pending_last = pending;
    worker_wake(worker);
    return 0;
}

void
worker_release_pending(struct worker *worker)
{
    size_t tail = atomic_load_explicit(&worker->injects.tail, memory_order_acquire);

    while (worker->pending && (ssize_t) (tail - worker->pending->position) >= 0) {
        struct pending_program *pending = worker->pending;
        worker->pending = pending->next;
        dataplane_retire_program(worker->dataplane, pending->program);
        free(pending);
    }
}

void
worker_learn(struct worker *worker, uint64_t now_ms)
{
    const struct learn_request *request;
    size_t size, asked = atomic_load_explicit(&worker->learns.head, memory_order_relaxed);

    /* What comes meanwhile waits for the next time: it can come as fast as it is learned. */
    while ((ssize_t) (atomic_load_explicit(&worker->learns.tail, memory_order_relaxed) - asked) < 0
           && (request = ring_peek(&worker->learns, &size))) {
        struct bridge *bridge = atomic_load_explicit(&worker->dataplane->bridges[request->bridge],
                                                     memory_order_relaxed);
        if (bridge) {
            learn_apply(bridge, request, now_ms);
        }
        ring_consume(&worker->learns);
    }
}

struct punt *
worker_punt_peek(struct worker *worker)
{
    size_t size;

    return ring_peek(&worker->punts, &size);
}

void
worker_punt_consume(struct worker *worker)
{
    ring_consume(&worker->punts);
}

/* --- A round -------------------------------------------------------------------------------- */

static struct bridge *
bridge_at(const struct worker *worker, uint32_t index)
{
    return atomic_load_explicit(&worker->dataplane->bridges[index], memory_order_acquire);
}

/* Whatever the tables and groups say, a vector of 'n' packets comes to its end. */
static void
set_limits(struct worker *worker, unsigned n)
{
    worker->resubmits_left = n * RESUBMITS_MAX;
    worker->buckets_left = n * BUCKETS_RUN_MAX;
}

/* A packet with the bytes of a frame; null if there is none (the drop is counted). */
static struct packet *
packet_from(struct worker *worker, const uint8_t *frame, uint32_t len)
{
    struct pool *pool = len <= worker->small.size ? &worker->small : &worker->large;
    struct packet *packet;

    if (len > pool->size || !pool_get(pool, &packet, 1)) {
        bump(&worker->totals.drops[DROP_no_buffer], 1);
        return NULL;
    }
    memcpy(packet->data, frame, len);
    packet->len = len;
    packet->tailroom = pool->size - len < UINT16_MAX ? pool->size - len : UINT16_MAX;
    return packet;
}

static void
run_injected(struct worker *worker, const struct inject *inject)
{
    struct bridge *bridge = bridge_at(worker, inject->bridge);
    struct packet *packet = packet_from(worker, inject->bytes + inject->args_size, inject->len);

    if (!packet) {
        return;
    }
    packet->in_port = inject->in_port;
    packet->args = inject->bytes;
    packet_walk(packet)->bridge = bridge;
    parse_vector(&packet, 1);
    set_limits(worker, 1);
    if (bridge) {
        program_run(worker, inject->program, &packet, 1);
    } else {
        worker_drop(worker, &packet, 1, DROP_no_port);
    }
}

static unsigned
run_injects(struct worker *worker)
{
    struct inject *inject;
    size_t size;
    unsigned n = 0;

    while (n < INJECTS_PER_ROUND && (inject = ring_peek(&worker->injects, &size))) {
        bump(&worker->totals.injected, 1);
        run_injected(worker, inject);
        ring_consume(&worker->injects);
        n++;
    }
    return n;
}

static void
send_handover(struct worker *worker, const struct handover *handover)
{
    const struct bridge *bridge = bridge_at(worker, handover->bridge);
    struct attachment *to = bridge ? bridge_port(bridge, handover->number) : NULL;
    struct packet *packet = packet_from(worker, handover->frame, handover->len);

    if (!packet) {
        return;
    }
    packet->offload = handover->offload;
    packet->out_queue = handover->out_queue;
    packet->hops = handover->hops;
    if (to) {
        worker_send(worker, to, packet);        /* On to another one if the lane has changed hands. */
    } else {
        worker_drop(worker, &packet, 1, DROP_no_port);
    }
}

static unsigned
send_handovers(struct worker *worker)
{
    unsigned n = 0;

    for (unsigned i = 0; i < DATAPLANE_WORKERS; i++) {
        struct ring *ring = worker_handovers(worker, i);
        struct handover *handover;
        size_t size;

        for (unsigned j = 0; ring && j < PACKET_VECTOR
                             && (handover = ring_peek(ring, &size)); j++) {
            send_handover(worker, handover);
            ring_consume(ring);
            n++;
        }
    }
    return n;
}

/* Gives the packets that a port has received their place in the pipeline. */
static void
admit(const struct attachment *from, struct packet **packets, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        packets[i]->in_port = from->number;
        packet_walk(packets[i])->bridge = from->bridge;
    }
    parse_vector(packets, n);
}

static unsigned
receive_from(struct worker *worker, const struct lane *lane)
{
    struct packet *packets[BURST];
    const struct attachment *from = lane->attachment;
    struct port *port = lane->port;

    profile_enter(&worker->profile, STAGE_receive);
    unsigned n = port->ops->receive(port, &worker->small, &worker->large, packets, BURST);
    if (!n) {
        return 0;
    }
    profile_batch(&worker->profile, n);
    bump(&worker->totals.received, n);
    if (atomic_load_explicit(&from->config, memory_order_relaxed) & (PORT_NO_RECV | PORT_DOWN)) {
        worker_drop(worker, packets, n, DROP_port_no_recv);
    } else {
        profile_enter(&worker->profile, STAGE_parse);
        admit(from, packets, n);
        set_limits(worker, n);
        profile_enter(&worker->profile, STAGE_actions);
        program_run(worker, atomic_load_explicit(&from->program, memory_order_acquire), packets, n);
    }
    return n;
}

/* The queues of a port belong to its first lane. */
static struct queue_set *
queues_of(const struct lane *lane)
{
    struct attachment *attachment = lane->attachment;

    return lane == attachment->lanes
           ? atomic_load_explicit(&attachment->queues, memory_order_acquire) : NULL;
}

/* Sends what waited and may leave by now, and notes when more may. */
static void
release_queued(struct worker *worker, const struct poll_set *polls)
{
    worker->release_ns = UINT64_MAX;
    for (uint32_t i = 0; i < polls->n; i++) {
        struct lane *by = polls->list[i];
        struct queue_set *queues = queues_of(by);
        if (queues) {
            worker_send_queued(worker, by, queues);
            uint64_t next = queue_next(queues, worker->now_ns);
            worker->release_ns = next < worker->release_ns ? next : worker->release_ns;
        }
    }
}

unsigned
worker_round(struct worker *worker)
{
    /* First: what is read from now on does not lead to these queues any more. */
    if (atomic_load_explicit(&worker->left, memory_order_relaxed)) {
        drop_left(worker);
    }
    const struct poll_set *polls = atomic_load_explicit(&worker->polls, memory_order_acquire);
    unsigned n = 0;

    worker_read_clock(worker);
    profile_begin(&worker->profile);
    n += run_injects(worker);
    n += send_handovers(worker);
    for (uint32_t i = 0; i < polls->n; i++) {
        n += receive_from(worker, polls->list[i]);
    }
    profile_enter(&worker->profile, STAGE_transmit);
    worker_flush(worker);
    release_queued(worker, polls);
    profile_enter(&worker->profile, STAGE_other);
    if (worker->punted) {
        worker->punted = false;
        signal_fd(worker->punt_fd);
    }
    epoch_quiesce(&worker->dataplane->epoch, worker->id);
    profile_end(&worker->profile, n);
    return n;
}

/* --- The loop ------------------------------------------------------------------------------- */

/* Holds nothing until the control thread lets the workers go on. */
static void
stand_still(struct worker *worker)
{
    const struct timespec pause = { .tv_nsec = 20000 };

    epoch_offline(&worker->dataplane->epoch, worker->id);
    while (atomic_load_explicit(&worker->dataplane->held, memory_order_acquire)
           && !atomic_load_explicit(&worker->stop, memory_order_relaxed)) {
        nanosleep(&pause, NULL);
    }
    epoch_quiesce(&worker->dataplane->epoch, worker->id);
}

void
worker_run(struct worker *worker)
{
    epoch_quiesce(&worker->dataplane->epoch, worker->id);
    while (!atomic_load_explicit(&worker->stop, memory_order_relaxed)) {
        if (atomic_load_explicit(&worker->dataplane->held, memory_order_acquire)) {
            stand_still(worker);
        }
        worker_rest(worker, worker_round(worker));
    }
    drop_left(worker);
    epoch_offline(&worker->dataplane->epoch, worker->id);
    atomic_store(&worker->stop, false);
}

void
worker_stop(struct worker *worker)
{
    atomic_store(&worker->stop, true);
    signal_fd(worker->wake_fd);
}
