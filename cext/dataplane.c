/* Dataplane: see dataplane.h. */

#include "dataplane.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bridge.h"
#include "group.h"
#include "nat.h"
#include "plugin.h"
#include "router.h"
#include "table.h"
#include "worker.h"

/* Entries that a table may handle in a tick beside the changes, and sessions that a NAT may end: about a
 * millisecond. */
enum { TABLE_WORK = 4096, NAT_WORK = 4096 };

const char pipeline_names[N_PIPELINES][12] = {
#define X(NAME, OP) #NAME,
    PIPELINES(X)
#undef X
};

static int
make_pipelines(struct dataplane *dataplane)
{
    static const struct insn insns[N_PIPELINES] = {
#define X(NAME, OP) { .op = OP_##OP },
        PIPELINES(X)
#undef X
    };

    for (unsigned i = 0; i < N_PIPELINES; i++) {
        dataplane->pipelines[i] = program_intern(&dataplane->programs, &insns[i], 1);
        if (!dataplane->pipelines[i]) {
            return ENOMEM;
        }
    }
    return 0;
}

int
dataplane_open(struct dataplane *dataplane)
{
    memset(dataplane, 0, sizeof *dataplane);
    epoch_init(&dataplane->epoch);
    int error = program_store_open(&dataplane->programs);
    if (!error) {
        error = counter_ids_open(&dataplane->counters);
    }
    if (!error) {
        error = make_pipelines(dataplane);
    }
    if (!error) {
        error = routing_open(dataplane);
    }
    if (error) {
        dataplane_close(dataplane);
    }
    return error;
}

void
dataplane_close(struct dataplane *dataplane)
{
    routing_close(dataplane);
    epoch_close(&dataplane->epoch);
    program_store_close(&dataplane->programs);
    plugins_close(dataplane);
    counter_ids_close(&dataplane->counters);
}

static void
work_on_tables(struct bridge *bridge)
{
    for (unsigned i = 0; i < BRIDGE_TABLES; i++) {
        table_work(&bridge->tables[i].table, TABLE_WORK);
    }
}

void
dataplane_tick(struct dataplane *dataplane, uint64_t now_ms)
{
    for (unsigned i = 0; i < DATAPLANE_BRIDGES; i++) {
        struct bridge *bridge = atomic_load_explicit(&dataplane->bridges[i], memory_order_relaxed);
        if (bridge) {
            timer_wheel_advance(&bridge->wheel, now_ms / TICK_MS, bridge_flow_timer, bridge);
            work_on_tables(bridge);
            bridge_count_macs(bridge, now_ms);
            bridge_snoop(bridge, now_ms);
        }
    }
    for (unsigned i = 0; i < DATAPLANE_NATS; i++) {
        struct nat *nat = dataplane_nat(dataplane, i);
        if (nat) {
            nat_tick(nat, now_ms, NAT_WORK);
        }
    }
    for (unsigned i = 0; i < DATAPLANE_WORKERS; i++) {
        struct worker *worker = atomic_load_explicit(&dataplane->workers[i], memory_order_relaxed);
        if (worker) {
            worker_learn(worker, now_ms);
            worker_release_pending(worker);
        }
    }
    router_tick(dataplane, now_ms);
    epoch_reclaim(&dataplane->epoch);
}

void
dataplane_set_nat(struct dataplane *dataplane, uint32_t number, struct nat *nat)
{
    struct nat *former = atomic_exchange(&dataplane->nats[number], nat);

    if (former && former != nat) {
        epoch_synchronize(&dataplane->epoch);
    }
}

static uint64_t
monotonic_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until the worker has taken what is in its ring now. */
static bool
wait_for_injects(struct worker *worker, uint64_t deadline_ms)
{
    size_t head = atomic_load(&worker->injects.head);

    while ((ssize_t) (atomic_load(&worker->injects.tail) - head) < 0) {
        if (monotonic_ms() > deadline_ms) {
            return false;
        }
        sched_yield();
    }
    return true;
}

bool
dataplane_barrier(struct dataplane *dataplane, unsigned timeout_ms)
{
    uint64_t deadline_ms = monotonic_ms() + timeout_ms;

    for (unsigned i = 0; i < DATAPLANE_WORKERS; i++) {
        struct worker *worker = atomic_load(&dataplane->workers[i]);
        if (worker && !wait_for_injects(worker, deadline_ms)) {
            return false;
        }
    }
    /* Only now: the round that took the last of them has ended, and what it sent has gone
     * out, when the worker announces an epoch that began after it took it. */
    uint64_t epoch = epoch_advance(&dataplane->epoch);
    while (!epoch_passed(&dataplane->epoch, epoch)) {
        if (monotonic_ms() > deadline_ms) {
            return false;
        }
        sched_yield();
    }
    return true;
}

void
dataplane_hold(struct dataplane *dataplane)
{
    atomic_store(&dataplane->held, true);
    /* Who announces the new epoch has seen that it is to stand still. */
    epoch_synchronize(&dataplane->epoch);
}

void
dataplane_release(struct dataplane *dataplane)
{
    atomic_store(&dataplane->held, false);
}

static void
release_program(void *program, void *dataplane_)
{
    struct dataplane *dataplane = dataplane_;

    program_release(&dataplane->programs, program);
}

void
dataplane_retire_program(struct dataplane *dataplane, const struct program *program)
{
    epoch_retire(&dataplane->epoch, (void *) program, release_program, dataplane);
}

static void
release_counter(void *id, void *dataplane_)
{
    struct dataplane *dataplane = dataplane_;

    counter_release(&dataplane->counters, (uintptr_t) id);
}

void
dataplane_retire_counter(struct dataplane *dataplane, uint32_t counter)
{
    epoch_retire(&dataplane->epoch, (void *) (uintptr_t) counter, release_counter, dataplane);
}

static void
release_flow(void *flow_, void *dataplane_)
{
    struct dataplane *dataplane = dataplane_;
    struct flow *flow = flow_;

    program_release(&dataplane->programs, flow->program);
    if (!flow->counter_moved) {
        counter_release(&dataplane->counters, flow->counter);
    }
    flow_free(flow);
}

void
dataplane_retire_flow(struct dataplane *dataplane, struct flow *flow)
{
    epoch_retire(&dataplane->epoch, flow, release_flow, dataplane);
}

static void
release_buckets(void *buckets_, void *dataplane_)
{
    struct dataplane *dataplane = dataplane_;
    struct buckets *buckets = buckets_;

    for (uint32_t i = 0; i < buckets->n; i++) {
        program_release(&dataplane->programs, buckets->bucket[i].program);
        counter_release(&dataplane->counters, buckets->bucket[i].counter);
    }
    free(buckets->wire);
    free(buckets);
}

void
dataplane_retire_buckets(struct dataplane *dataplane, struct buckets *buckets)
{
    epoch_retire(&dataplane->epoch, buckets, release_buckets, dataplane);
}
