/* Workers: when they sleep, and what wakes them.  See worker.h.
 *
 * How
 * ===
 * In a conversation the next packet comes soon, and waking up takes longer than it took to come.  So
 * an adaptive worker polls for a while before it sleeps.  How long follows from the last sleep:
 * if polling up to the limit would have met the packet that ended it, next time it polls twice
 * as long as that took; if not, half as long as before. Where packets come seldom, or always
 * far apart, it soon sleeps at once. */

#define _GNU_SOURCE                     /* ppoll */
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "worker.h"

enum {
    POLLED_SLEEP_NS = 1000000,  /* Longest sleep with a port that cannot wake. */
    SPIN_LEAST_NS = 2000,       /* Less is not worth it. */
};

bool
worker_rings_empty(const struct worker *worker)
{
    bool empty = ring_empty(&worker->injects);

    for (unsigned i = 0; i < DATAPLANE_WORKERS; i++) {
        struct ring *ring = worker_handovers(worker, i);
        empty &= !ring || ring_empty(ring);
    }
    return empty;
}

/* What to wait for: the wake-up, and the ports that can wake.  Returns how many; whether all can in
 * 'all'. */
static unsigned
collect_fds(const struct worker *worker, struct pollfd *fds, unsigned max, bool *all)
{
    const struct poll_set *polls = atomic_load_explicit(&worker->polls, memory_order_acquire);
    unsigned n = 0;

    fds[n++] = (struct pollfd) { .fd = worker->wake_fd, .events = POLLIN };
    *all = true;
    for (uint32_t i = 0; i < polls->n; i++) {
        int fd = polls->list[i]->port->fd;
        if (fd >= 0 && n < max) {
            fds[n++] = (struct pollfd) { .fd = fd, .events = POLLIN };
        } else {
            *all = false;
        }
    }
    return n;
}

/* Waits for one of them, until a port that cannot wake is to be looked at, or until the first packet in
 * a queue may leave. */
static void
wait_for(struct worker *worker, struct pollfd *fds, unsigned n, bool all)
{
    uint64_t begin_ns, wait_ns = all ? UINT64_MAX : POLLED_SLEEP_NS;

    worker_read_clock(worker);
    begin_ns = worker->now_ns;
    if (worker->release_ns != UINT64_MAX) {
        uint64_t left_ns = worker->release_ns > begin_ns ? worker->release_ns - begin_ns : 0;
        wait_ns = left_ns < wait_ns ? left_ns : wait_ns;
    }
    const struct timespec wait = {
        (time_t) (wait_ns / 1000000000), (long) (wait_ns % 1000000000),
    };
    ppoll(fds, n, wait_ns == UINT64_MAX ? NULL : &wait, NULL);
    worker_read_clock(worker);
    bump(&worker->profile.sleeps, 1);
    bump(&worker->profile.asleep_ns, worker->now_ns - begin_ns);
}

static void
fall_asleep(struct worker *worker)
{
    struct pollfd fds[PACKET_VECTOR];
    uint64_t unused;
    bool all;

    atomic_store_explicit(&worker->asleep, true, memory_order_relaxed);
    /* Pairs with the fence in worker_wake(). */
    atomic_thread_fence(memory_order_seq_cst);
    unsigned n = collect_fds(worker, fds, PACKET_VECTOR, &all);
    epoch_offline(&worker->dataplane->epoch, worker->id);
    if (worker_rings_empty(worker) && !atomic_load(&worker->stop)) {
        wait_for(worker, fds, n, all);
    }
    epoch_quiesce(&worker->dataplane->epoch, worker->id);
    atomic_store_explicit(&worker->asleep, false, memory_order_relaxed);
    while (read(worker->wake_fd, &unused, sizeof unused) > 0) {
        continue;
    }
    worker->slept = true;
}

/* A packet came, 'gap_ns' after the one before, and ended a sleep. */
static void
adapt(struct worker *worker, uint64_t gap_ns)
{
    uint64_t most_ns = (uint64_t) atomic_load_explicit(&worker->spin_us, memory_order_relaxed) * 1000;
    uint64_t spin_ns = gap_ns <= most_ns ? 2 * gap_ns : worker->spin_ns / 2;

    spin_ns = spin_ns < most_ns ? spin_ns : most_ns;
    worker->spin_ns = spin_ns < SPIN_LEAST_NS ? 0 : spin_ns;
}

/* How long it polls after a packet. */
static uint64_t
patience(const struct worker *worker)
{
    switch (atomic_load_explicit(&worker->mode, memory_order_relaxed)) {
    case WORKER_POLL:
        return UINT64_MAX;
    case WORKER_INTERRUPT:
        return 0;
    default:
        return worker->spin_ns;
    }
}

void
worker_rest(struct worker *worker, unsigned n)
{
    if (n) {
        if (worker->slept) {
            adapt(worker, worker->now_ns - worker->busy_ns);
            worker->slept = false;
        }
        worker->busy_ns = worker->now_ns;
    } else if (worker->now_ns - worker->busy_ns >= patience(worker)) {
        fall_asleep(worker);
    }
}
