#ifndef RAICHO_DATAPLANE_H
#define RAICHO_DATAPLANE_H

/* What all bridges and workers of a process share.
 *
 * Threads: the control thread's, apart from 'epoch' (see epoch.h). */

#include <stdbool.h>
#include <stdint.h>

#include "epoch.h"
#include "program.h"
#include "routing.h"
#include "stats.h"

enum {
    DATAPLANE_WORKERS = 32,
    DATAPLANE_BRIDGES = 256,
    DATAPLANE_NATS = 64,
    TICK_MS = 10,                       /* Of the bridges' timing wheels. */
};

struct bridge;
struct buckets;
struct flow;
struct nat;
struct plugin;
struct worker;

/* What the packets of a port start in: X(name, the instruction of its program). */
#define PIPELINES(X)                                                        \
    X(openflow, tables)                                                     \
    X(bridge,   bridge)                                                     \
    X(route,    route)                                                      \
    X(template, closed)         /* Until the template is there: see bridge_set_template(). */

enum pipeline {
#define X(NAME, OP) PIPELINE_##NAME,
    PIPELINES(X)
#undef X
    N_PIPELINES
};

/* By number, for people. */
extern const char pipeline_names[N_PIPELINES][12];

struct dataplane {
    struct epoch epoch;
    struct program_store programs;
    struct counter_ids counters;
    struct routing routing;
    _Atomic(struct worker *) workers[DATAPLANE_WORKERS];
    _Atomic(struct bridge *) bridges[DATAPLANE_BRIDGES];
    _Atomic(struct nat *) nats[DATAPLANE_NATS];         /* By the number that actions use. */
    uint64_t generations;               /* Of bridges' tables, so far. */
    unsigned next_bridge;               /* Where to look for an index for the next one. */
    const struct program *pipelines[N_PIPELINES];
    struct plugin *plugins;             /* A list (plugin.h). */
    _Atomic bool held;                  /* Workers stand still between two rounds. */
    struct worker_counters former;      /* What workers that are gone have counted. */
};

/* The bridge with an index; null: there is none. */
static inline struct bridge *
dataplane_bridge(const struct dataplane *dataplane, unsigned index)
{
    return index < DATAPLANE_BRIDGES
           ? atomic_load_explicit(&dataplane->bridges[index], memory_order_acquire) : NULL;
}

/* Returns 0 or ENOMEM. */
int dataplane_open(struct dataplane *dataplane);

/* All workers and bridges must be closed before. */
void dataplane_close(struct dataplane *dataplane);

/* Housekeeping, to be called every few TICK_MS: expires flows and sessions of NAT, makes those that were learned, frees
 * what was retired, lets go of programs of packets that were sent out. */
void dataplane_tick(struct dataplane *dataplane, uint64_t now_ms);

/* The NAT of a number, or null. */
static inline struct nat *
dataplane_nat(const struct dataplane *dataplane, uint32_t number)
{
    return number < DATAPLANE_NATS
        ? atomic_load_explicit(&dataplane->nats[number], memory_order_acquire) : NULL;
}

/* Gives a number to a NAT, or takes it away (null): when it returns no worker uses the former one. */
void dataplane_set_nat(struct dataplane *dataplane, uint32_t number, struct nat *nat);

/* Waits until every worker uses what has been published and has handled the packets that were
 * sent through it so far.  Returns false if that takes longer than 'timeout_ms'. */
bool dataplane_barrier(struct dataplane *dataplane, unsigned timeout_ms);

/* Makes the workers stand still, once they have finished what they are at: until dataplane_release()
 * none is in the tables.  Harmless if they do already.  Workers whose rounds the caller runs itself
 * are the caller's to hold. */
void dataplane_hold(struct dataplane *dataplane);
void dataplane_release(struct dataplane *dataplane);

/* Takes a flow out of use: frees it, its counter and its program when the readers have passed. */
void dataplane_retire_flow(struct dataplane *dataplane, struct flow *flow);

/* The same for a program and for the buckets of a group. */
void dataplane_retire_program(struct dataplane *dataplane, const struct program *program);
void dataplane_retire_buckets(struct dataplane *dataplane, struct buckets *buckets);
void dataplane_retire_counter(struct dataplane *dataplane, uint32_t counter);

#endif
