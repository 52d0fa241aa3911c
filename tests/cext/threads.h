#ifndef TEST_THREADS_H
#define TEST_THREADS_H

/* A datapath whose workers are threads in worker_run(): ports 1 and 2 belong to worker 0, ports 3 and 4
 * to worker 1.  Nothing here waits for a certain time; what is waited for must come. */

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "rig.h"

enum { N_THREADS = 2 };

struct threads {
    struct dataplane dataplane;
    uint32_t n_programs;                        /* Those of the dataplane itself. */
    struct worker *workers[N_THREADS];
    pthread_t threads[N_THREADS];
    struct bridge *bridge;
    struct port ports[RIG_PORTS + 1];
    struct attachment *at[RIG_PORTS + 1];
    struct port second;                 /* A second queue of a port, where a test opens it. */
    uint64_t now;
    struct frame f;
};

static inline void *
threads_run(void *worker)
{
    worker_run(worker);
    return NULL;
}

static inline uint64_t
threads_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline void
threads_open_queue(struct port *port, unsigned number)
{
    const struct port_config config = { .ring_len = 256 };
    char why[128];

    *port = (struct port) { .ops = port_kind("memory"), .fd = -1 };
    snprintf(port->name, sizeof port->name, "p%u", number);
    CHECK(!port->ops->open(port, &config, why, sizeof why));
}

static inline void
threads_open_port(struct threads *t, unsigned number)
{
    struct port *port = &t->ports[number];

    threads_open_queue(port, number);
    CHECK(!bridge_attach(t->bridge, port, number, (number - 1) / 2, t->now, &t->at[number]));
}

static inline struct threads *
threads_new(void)
{
    struct threads *t = aligned_alloc(64, (sizeof *t + 63) & ~(size_t)63);

    CHECK(t);
    memset(t, 0, sizeof *t);
    t->now = threads_now();
    CHECK(!dataplane_open(&t->dataplane));
    t->n_programs = t->dataplane.programs.n_programs;
    for (unsigned i = 0; i < N_THREADS; i++) {
        CHECK((t->workers[i] = worker_open(&t->dataplane, i, 2048)));
        CHECK(!pthread_create(&t->threads[i], NULL, threads_run, t->workers[i]));
    }
    CHECK((t->bridge = bridge_open(&t->dataplane, "br0", 1, t->now)));
    for (unsigned i = 1; i <= RIG_PORTS; i++) {
        threads_open_port(t, i);
    }
    return t;
}

static inline uint64_t
threads_sum(const struct threads *t, size_t offset)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < N_THREADS; i++) {
        const char *totals = (const char *)&t->workers[i]->totals;
        sum += atomic_load((const _Atomic uint64_t *)(const void *)(totals + offset));
    }
    return sum;
}

#define SUM(T, NAME) threads_sum(T, offsetof(struct worker_counters, NAME))

/* K11, over all workers, those that are gone included; they must have stopped. */
static inline bool
threads_add_up(const struct threads *t)
{
    struct worker_counters sum = { 0 };
    uint64_t drops = 0;

    worker_counters_add(&sum, &t->dataplane.former);
    for (unsigned i = 0; i < N_THREADS; i++) {
        worker_counters_add(&sum, &t->workers[i]->totals);
    }
    for (unsigned i = 0; i < N_DROP_REASONS; i++) {
        drops += sum.drops[i];
    }
    return sum.received + sum.injected + sum.copied
           == sum.sent + sum.punted + sum.consumed + drops;
}

static inline bool
threads_idle(const struct threads *t)
{
    bool idle = true;

    for (unsigned i = 0; i < N_THREADS; i++) {
        struct worker *worker = t->workers[i];
        idle &= ring_empty(&worker->injects);
        for (unsigned j = 0; j < N_THREADS; j++) {
            struct ring *ring = worker_handovers(worker, j);
            idle &= !ring || ring_empty(ring);
        }
    }
    return idle;
}

static inline void
threads_stop(struct threads *t)
{
    for (unsigned i = 0; i < N_THREADS; i++) {
        worker_stop(t->workers[i]);
        pthread_join(t->threads[i], NULL);
    }
}

/* Waits until no packet is under way.  What a worker has in its hands goes through one more ring at
 * most. */
static inline void
threads_settle(struct threads *t)
{
    for (unsigned i = 0; i < 2; i++) {
        while (!threads_idle(t)) {
            sched_yield();
        }
        CHECK(dataplane_barrier(&t->dataplane, 10000));
    }
}

/* Detaches the ports while the workers run; then stops and closes everything. */
static inline void
threads_free(struct threads *t)
{
    threads_settle(t);
    for (unsigned i = 1; i <= RIG_PORTS; i++) {
        bridge_detach(t->bridge, t->at[i]);
        t->ports[i].ops->close(&t->ports[i]);
    }
    bridge_close(t->bridge);
    threads_settle(t);
    dataplane_tick(&t->dataplane, threads_now());
    CHECK(!t->dataplane.epoch.n_retired);
    CHECK(t->dataplane.programs.n_programs == t->n_programs);
    threads_stop(t);
    CHECK(threads_add_up(t));
    for (unsigned i = 0; i < N_THREADS; i++) {
        CHECK(t->workers[i]->small.n_free == t->workers[i]->small.n_slots);
        CHECK(t->workers[i]->large.n_free == t->workers[i]->large.n_slots);
        worker_close(t->workers[i]);
    }
    dataplane_close(&t->dataplane);
    free(t);
}

static inline uint32_t
threads_apply(struct threads *t)
{
    uint32_t result = bridge_apply(t->bridge, t->f.data, t->f.len, t->now);

    t->f.len = 0;
    return result;
}

static inline uint32_t
threads_flow(struct threads *t, const struct wire_flow *flow)
{
    wire_flow(&t->f, flow);
    return threads_apply(t);
}

#define THREADS_FLOW(...) threads_flow(t, &(const struct wire_flow) { __VA_ARGS__ })

/* Waits until a frame has come out of a port; returns its length. */
static inline size_t
threads_take(struct threads *t, unsigned port, struct frame *frame)
{
    size_t len;

    while (!(len = port_memory_take(&t->ports[port], frame->data, sizeof frame->data, NULL))) {
        sched_yield();
    }
    frame->len = len;
    return len;
}

/* Puts a frame in as soon as there is room. */
static inline void
threads_put(struct threads *t, unsigned port, const struct frame *frame)
{
    while (port_memory_put(&t->ports[port], frame->data, frame->len, NULL)) {
        sched_yield();
    }
}

static inline void
threads_await_sleep(const struct threads *t, unsigned worker)
{
    while (!atomic_load(&t->workers[worker]->asleep)) {
        sched_yield();
    }
}

#endif
