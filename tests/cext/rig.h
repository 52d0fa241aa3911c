#ifndef TEST_RIG_H
#define TEST_RIG_H

/* A whole datapath under one thread: a bridge, memory ports 1 to RIG_PORTS, one worker whose rounds
 * the test runs itself.  Closing it checks that nothing is left over and that packets add up. */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "ofwire.h"
#include "wire.h"
#include "worker.h"

enum { RIG_PORTS = 4, RIG_PACKETS = 128, RIG_NOW = 1000000 };

struct rig {
    struct dataplane dataplane;
    struct worker *worker;
    struct bridge *bridge;
    struct port ports[RIG_PORTS + 1];           /* By number; 0 is not used. */
    struct attachment *at[RIG_PORTS + 1];
    uint64_t now;                               /* ms. */
    uint32_t n_programs;                        /* Those of the dataplane itself. */
    struct frame f;                             /* Messages being built. */
};

/* Holds in fuzz targets and in threads too, where cmocka's do not. */
static inline void
rig_check(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}

#define CHECK(CONDITION) rig_check(CONDITION, #CONDITION)

static inline void
rig_open_port(struct rig *rig, unsigned number)
{
    const struct port_config config = { .ring_len = 128 };
    struct port *port = &rig->ports[number];
    char why[128];

    *port = (struct port) { .ops = port_kind("memory"), .fd = -1 };
    snprintf(port->name, sizeof port->name, "p%u", number);
    CHECK(!port->ops->open(port, &config, why, sizeof why));
    CHECK(!bridge_attach(rig->bridge, port, number, 0, rig->now, &rig->at[number]));
    rig->at[number]->mac[5] = (uint8_t)number;
}

static inline struct rig *
rig_new(void)
{
    struct rig *rig = aligned_alloc(64, (sizeof *rig + 63) & ~(size_t)63);

    CHECK(rig);
    memset(rig, 0, sizeof *rig);
    rig->now = RIG_NOW;
    CHECK(!dataplane_open(&rig->dataplane));
    rig->n_programs = rig->dataplane.programs.n_programs;
    CHECK((rig->worker = worker_open(&rig->dataplane, 0, RIG_PACKETS)));
    CHECK((rig->bridge = bridge_open(&rig->dataplane, "br0", 1, rig->now)));
    for (unsigned i = 1; i <= RIG_PORTS; i++) {
        rig_open_port(rig, i);
    }
    return rig;
}

static inline uint64_t
rig_dropped(const struct worker *worker)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < N_DROP_REASONS; i++) {
        sum += worker->totals.drops[i];
    }
    return sum;
}

/* Whether every packet that came in went out, up, or was counted (K11). */
static inline bool
rig_adds_up(const struct worker *worker)
{
    const struct worker_counters *t = &worker->totals;

    return t->received + t->injected + t->copied
           == t->sent + t->punted + t->consumed + rig_dropped(worker)
           && worker->small.n_free == worker->small.n_slots
           && worker->large.n_free == worker->large.n_slots;
}

/* Runs rounds until there is nothing left to do. */
static inline void
rig_run(struct rig *rig)
{
    while (worker_round(rig->worker) || !ring_empty(&rig->worker->injects)) {
        continue;
    }
    epoch_offline(&rig->dataplane.epoch, 0);
    CHECK(rig_adds_up(rig->worker));
}

static inline void
rig_tick(struct rig *rig, uint64_t ms)
{
    rig->now += ms;
    dataplane_tick(&rig->dataplane, rig->now);
}

/* Closes everything; what it returns to is checked. */
static inline void
rig_free(struct rig *rig)
{
    rig_run(rig);
    for (unsigned i = 1; i <= RIG_PORTS; i++) {
        bridge_detach(rig->bridge, rig->at[i]);
        rig->ports[i].ops->close(&rig->ports[i]);
    }
    bridge_close(rig->bridge);
    dataplane_tick(&rig->dataplane, rig->now);
    CHECK(!rig->dataplane.epoch.n_retired);
    CHECK(rig->dataplane.programs.n_programs == rig->n_programs);
    CHECK(rig->dataplane.counters.n_used - rig->dataplane.counters.n_free == 1);
    worker_close(rig->worker);
    dataplane_close(&rig->dataplane);
    free(rig);
}

/* Applies the messages built so far, which must be one, and begins anew. */
static inline uint32_t
rig_apply(struct rig *rig)
{
    uint32_t result = 0;

    CHECK(bridge_apply_all(rig->bridge, rig->f.data, rig->f.len, &result, 1, rig->now) == 1);
    rig->f.len = 0;
    return result;
}

static inline uint32_t
rig_flow(struct rig *rig, const struct wire_flow *flow)
{
    wire_flow(&rig->f, flow);
    return rig_apply(rig);
}

static inline uint32_t
rig_group(struct rig *rig, const struct wire_group *group)
{
    wire_group(&rig->f, group);
    return rig_apply(rig);
}

static inline uint32_t
rig_meter(struct rig *rig, const struct wire_meter *meter)
{
    wire_meter(&rig->f, meter);
    return rig_apply(rig);
}

#define FLOW(...) rig_flow(rig, &(const struct wire_flow) { __VA_ARGS__ })
#define GROUP(...) rig_group(rig, &(const struct wire_group) { __VA_ARGS__ })
#define METER(...) rig_meter(rig, &(const struct wire_meter) { __VA_ARGS__ })

static inline void
rig_put(struct rig *rig, unsigned port, const struct frame *frame)
{
    CHECK(!port_memory_put(&rig->ports[port], frame->data, frame->len, NULL));
}

/* Takes everything that a port has sent; returns how many frames, the last one in 'last'. */
static inline unsigned
rig_take(struct rig *rig, unsigned port, struct frame *last)
{
    struct frame unused;
    struct frame *to = last ? last : &unused;
    unsigned n = 0;
    size_t len;

    while ((len = port_memory_take(&rig->ports[port], to->data, sizeof to->data, NULL))) {
        to->len = len < sizeof to->data ? len : sizeof to->data;
        n++;
    }
    return n;
}

/* Asks for statistics with the request built in rig->f; the reply is the caller's to close. */
static inline uint32_t
rig_multipart(struct rig *rig, unsigned type, struct buffer *out, struct buffer *ends)
{
    uint32_t result = bridge_multipart(rig->bridge, (uint16_t)type, rig->f.data, rig->f.len, out,
                                       ends, rig->now);

    rig->f.len = 0;
    return result;
}

/* Where the part of a reply that begins at 'from' ends. */
static inline uint32_t
rig_part_end(const struct buffer *ends, size_t part)
{
    uint32_t end;

    CHECK((part + 1) * sizeof end <= ends->len);
    memcpy(&end, ends->data + part * sizeof end, sizeof end);
    return end;
}

/* How many flows a dump shows; checks that entries lie in parts, one behind the other. */
static inline uint32_t
rig_dumped(struct rig *rig, const struct wire_flow *which)
{
    struct buffer out = { 0 }, ends = { 0 };
    uint32_t n = 0;

    wire_flow_request(&rig->f, which);
    CHECK(rig_multipart(rig, 1, &out, &ends) == OFWIRE_OK);
    for (size_t at = 0, part = 0; part * 4 < ends.len; part++) {
        uint32_t end = rig_part_end(&ends, part);
        CHECK(end - at <= 65000 && end <= out.len);
        for (; at < end; n++) {
            size_t size = get_be16(out.data + at);
            CHECK(size >= 56 && size <= end - at);
            at += size;
        }
        CHECK(at == end);
    }
    buffer_close(&out);
    buffer_close(&ends);
    return n;
}

#define DUMPED(...) rig_dumped(rig, &(const struct wire_flow) { __VA_ARGS__ })

#endif
