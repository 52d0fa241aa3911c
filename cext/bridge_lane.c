/* Lanes: which worker polls which queue of a port, and by which one its packets leave.
 *
 * How
 * ===
 * The packets of a flow come in by one queue of a device, so by one worker, and a worker sends all
 * that leaves by a port through one lane: a flow keeps its order whether that lane is the worker's
 * own or one of another worker, which gets the packets handed over.  A port with queues of OpenFlow
 * has one place where packets wait, and so all of them leave by its first lane. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge_private.h"
#include "worker.h"

static struct worker *
worker_at(const struct dataplane *dataplane, unsigned id)
{
    return id < DATAPLANE_WORKERS
           ? atomic_load_explicit(&dataplane->workers[id], memory_order_relaxed) : NULL;
}

static struct dataplane *
dataplane_of(const struct lane *lane)
{
    return lane->attachment->bridge->dataplane;
}

/* --- What workers poll ----------------------------------------------------------- */

/* What 'worker' polls, with 'added' and without 'removed' (either may be null); null without memory. */
static struct poll_set *
poll_set_new(const struct worker *worker, struct lane *added, const struct lane *removed)
{
    const struct poll_set *old = atomic_load_explicit(&worker->polls, memory_order_relaxed);
    struct poll_set *new = malloc(sizeof *new + (old->n + 1) * sizeof new->list[0]);

    if (!new) {
        return NULL;
    }
    new->n = 0;
    for (uint32_t i = 0; i < old->n; i++) {
        if (old->list[i] != removed) {
            new->list[new->n++] = old->list[i];
        }
    }
    if (added) {
        new->list[new->n++] = added;
    }
    return new;
}

static void
publish_polls(struct worker *worker, struct poll_set *new)
{
    struct poll_set *old = atomic_load_explicit(&worker->polls, memory_order_relaxed);

    atomic_store_explicit(&worker->polls, new, memory_order_release);
    epoch_free(&worker->dataplane->epoch, old);
    worker_wake(worker);
}

static int
change_polls(struct lane *added, struct lane *removed)
{
    const struct lane *lane = added ? added : removed;
    struct worker *worker = worker_at(dataplane_of(lane), lane->worker);
    struct poll_set *new = poll_set_new(worker, added, removed);

    if (!new) {
        return ENOMEM;
    }
    publish_polls(worker, new);
    return 0;
}

/* Stopping must not fail: without memory, wait for some. */
static void
stop_polling(struct lane *lane)
{
    while (change_polls(NULL, lane)) {
        epoch_synchronize(&dataplane_of(lane)->epoch);
    }
}

int
bridge_poll_lanes(struct attachment *attachment)
{
    for (uint32_t i = 0; i < attachment->n_lanes; i++) {
        if (change_polls(&attachment->lanes[i], NULL)) {
            while (i--) {
                stop_polling(&attachment->lanes[i]);
            }
            return ENOMEM;
        }
    }
    return 0;
}

void
bridge_leave_lanes(struct attachment *attachment)
{
    for (uint32_t i = 0; i < attachment->n_lanes; i++) {
        stop_polling(&attachment->lanes[i]);
    }
}

/* --- Ports that are bound to the packets of their worker -------------------------- */

static int
bind_lane(struct lane *lane)
{
    struct port *port = lane->port;
    struct worker *worker = worker_at(dataplane_of(lane), lane->worker);

    return port->ops->bind ? port->ops->bind(port, &worker->small, port->why, sizeof port->why) : 0;
}

static void
unbind_lane(struct lane *lane)
{
    if (lane->port->ops->unbind) {
        lane->port->ops->unbind(lane->port);
    }
}

/* Ports give packets back to the pools of their workers, which must not be at them. */
static void
unbind_lanes(struct attachment *attachment, uint32_t n)
{
    if (attachment->port->ops->unbind) {
        dataplane_hold(attachment->bridge->dataplane);
        while (n--) {
            unbind_lane(&attachment->lanes[n]);
        }
        dataplane_release(attachment->bridge->dataplane);
    }
}

int
bridge_bind_lanes(struct attachment *attachment)
{
    int error = 0;

    attachment->port->why[0] = '\0';
    for (uint32_t i = 0; i < attachment->n_lanes && !error; i++) {
        error = bind_lane(&attachment->lanes[i]);
        if (error) {
            memmove(attachment->port->why, attachment->lanes[i].port->why, PORT_WHY_MAX);
            unbind_lanes(attachment, i);
        }
    }
    return error;
}

void
bridge_unbind_lanes(struct attachment *attachment)
{
    unbind_lanes(attachment, attachment->n_lanes);
}

/* --- Which lane leads out ---------------------------------------------------------- */

static struct lane *
lane_for(struct attachment *attachment, unsigned worker)
{
    if (atomic_load_explicit(&attachment->queues, memory_order_relaxed)) {
        return &attachment->lanes[0];
    }
    for (uint32_t i = 0; i < attachment->n_lanes; i++) {
        if (attachment->lanes[i].worker == worker) {
            return &attachment->lanes[i];
        }
    }
    return &attachment->lanes[worker % attachment->n_lanes];
}

void
bridge_route_lanes(struct attachment *attachment)
{
    for (unsigned i = 0; i < DATAPLANE_WORKERS; i++) {
        attachment->leave_by[i] = lane_for(attachment, i);
    }
}

/* --- Making and moving ---------------------------------------------------------------- */

struct attachment *
bridge_attachment_new(struct bridge *bridge, const struct lane_config *lanes, uint32_t n)
{
    struct attachment *attachment = calloc(1, sizeof *attachment + n * sizeof attachment->lanes[0]);

    if (!attachment) {
        return NULL;
    }
    attachment->bridge = bridge;
    attachment->port = lanes[0].port;
    attachment->n_lanes = n;
    for (uint32_t i = 0; i < n; i++) {
        attachment->lanes[i].attachment = attachment;
        attachment->lanes[i].port = lanes[i].port;
        attachment->lanes[i].worker = lanes[i].worker;
    }
    bridge_route_lanes(attachment);
    return attachment;
}

bool
bridge_lanes_have_workers(const struct bridge *bridge, const struct lane_config *lanes, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!worker_at(bridge->dataplane, lanes[i].worker)) {
            return false;
        }
    }
    return n > 0;
}

/* The workers stand still.  What waits in queues behind the lane comes along.  A port that cannot be bound
 * again drops everything from then on; the error says so. */
static int
change_worker(struct lane *lane, struct worker *to)
{
    struct attachment *attachment = lane->attachment;
    struct queue_set *queues = atomic_load_explicit(&attachment->queues, memory_order_relaxed);

    unbind_lane(lane);
    worker_wake(worker_at(dataplane_of(lane), lane->worker));   /* Asleep it would keep the socket. */
    lane->worker = to->id;
    int error = bind_lane(lane);
    bridge_route_lanes(attachment);
    if (queues && lane == &attachment->lanes[0]) {
        worker_adopt_queues(to, queues);
    }
    return error;
}

int
bridge_move_lane(struct lane *lane, unsigned worker)
{
    struct dataplane *dataplane = dataplane_of(lane);
    struct worker *from = worker_at(dataplane, lane->worker), *to = worker_at(dataplane, worker);

    if (!to) {
        return EINVAL;
    }
    if (from == to) {
        return 0;
    }
    struct poll_set *without = poll_set_new(from, NULL, lane), *with = poll_set_new(to, lane, NULL);
    if (!without || !with) {
        free(without);
        free(with);
        return ENOMEM;
    }
    dataplane_hold(dataplane);
    int error = change_worker(lane, to);
    publish_polls(from, without);
    publish_polls(to, with);
    dataplane_release(dataplane);
    return error;
}
