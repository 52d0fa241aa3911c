/* Queues of the ports of a bridge: setting them, and what OpenFlow says of them.
 *
 * Reference: OpenFlow Switch Specification 1.3.5, sections 7.2.2, 7.3.6, 7.3.5.8. */

#include <errno.h>
#include <stdlib.h>

#include "bridge_private.h"
#include "worker.h"

enum {
    OFPQ_ALL = 0xffffffff,
    OFPQT_MIN_RATE = 1, OFPQT_MAX_RATE = 2,
    OFPQ_UNCFG = 0xffff,                /* A rate that is not set. */
    WHOLE = 1000,                       /* All of the port, in units of a rate. */
    UNKNOWN_SPEED = 10000,              /* Mbit/s of a port that does not say. */
    MBIT = 1000000,
    CONFIG_SIZE = 48, RATE_SIZE = 16,   /* Of a struct ofp_packet_queue, of a property in it. */
    STATS_SIZE = 40,
};

/* --- Setting ----------------------------------------------------------------------------------- */

static struct queue_set *
queues_of(const struct attachment *attachment)
{
    return atomic_load_explicit(&attachment->queues, memory_order_relaxed);
}

struct queue_set *
bridge_leave_queues(struct attachment *attachment, struct queue_set *new)
{
    struct dataplane *dataplane = attachment->bridge->dataplane;
    struct queue_set *old = queues_of(attachment);
    struct queue *left = queue_set_left(old, new);

    atomic_store_explicit(&attachment->queues, new, memory_order_release);
    worker_leave_queues(atomic_load_explicit(&dataplane->workers[attachment->lanes[0].worker],
                                             memory_order_relaxed), left);
    return old;
}

/* With queues all packets leave by the first lane, without by whichever is nearest: from one to the
 * other, the workers stand still. */
static struct queue_set *
change_queues(struct attachment *attachment, struct queue_set *new)
{
    struct dataplane *dataplane = attachment->bridge->dataplane;

    if (attachment->n_lanes == 1 || !new == !queues_of(attachment)) {
        return bridge_leave_queues(attachment, new);
    }
    dataplane_hold(dataplane);
    struct queue_set *old = bridge_leave_queues(attachment, new);
    bridge_route_lanes(attachment);
    dataplane_release(dataplane);
    return old;
}

int
bridge_set_queues(struct attachment *attachment, const struct queue_config *configs, uint32_t n,
                  uint64_t rate, uint64_t now_ms)
{
    struct queue_set *old = queues_of(attachment), *new = NULL;

    if (n || rate) {
        new = queue_set_new(old, configs, n, rate, now_ms);
        if (!new) {
            return ENOMEM;
        }
    }
    if (old || new) {
        epoch_free(&attachment->bridge->dataplane->epoch, change_queues(attachment, new));
    }
    return 0;
}

/* --- The queues that a request is about ---------------------------------------------------------- */

/* A request for queues of ports; 'put' is called for each. */
struct queue_request {
    struct bridge *bridge;
    uint32_t number;                    /* Of the port, or PORT_ANY. */
    uint32_t id;                        /* Of the queue, or OFPQ_ALL. */
    void (*put)(const struct attachment *, const struct queue_row *, void *context);
    void *context;
    uint32_t n;                         /* How many there were. */
};

static void
each_of_port(struct queue_request *request, const struct attachment *attachment)
{
    const struct queue_set *set = queues_of(attachment);

    for (uint32_t i = 0; set && i < set->n; i++) {
        const struct queue_row *row = &set->rows[i];
        if ((request->id == OFPQ_ALL || request->id == row->config.id)
            && !(set->has_default && row->config.id == 0)) {
            request->put(attachment, row, request->context);
            request->n++;
        }
    }
}

static uint32_t
each_queue(struct queue_request *request)
{
    const struct port_map *map = atomic_load(&request->bridge->ports);

    if (request->number != PORT_ANY && !bridge_port(request->bridge, request->number)) {
        return OFWIRE_OFPQOFC_BAD_PORT;
    }
    for (uint32_t i = 0; i < map->n; i++) {
        if (request->number == PORT_ANY || request->number == map->list[i]->number) {
            each_of_port(request, map->list[i]);
        }
    }
    return request->id == OFPQ_ALL || request->n ? OFWIRE_OK : OFWIRE_OFPQOFC_BAD_QUEUE;
}

/* --- Configuration -------------------------------------------------------------------------------- */

/* A rate in tenths of a percent of the port's; one that is set is never 0. */
static uint16_t
share_of(const struct attachment *attachment, uint64_t rate)
{
    uint64_t speed = (uint64_t) (attachment->speed ? attachment->speed : UNKNOWN_SPEED) * MBIT;

    if (!rate) {
        return OFPQ_UNCFG;
    }
    if (rate >= speed) {
        return WHOLE;
    }
    uint64_t share = (rate * WHOLE + speed / 2) / speed;
    return share ? share : 1;
}

/* struct ofp_queue_prop_min_rate and _max_rate: property, len, pad, rate at 8. */
static void
put_rate(uint8_t *at, uint16_t property, uint16_t share)
{
    put_be16(at, property);
    put_be16(at + 2, RATE_SIZE);
    put_be16(at + 8, share);
}

/* struct ofp_packet_queue: queue_id, port 4, len 8, properties 16. */
static void
put_config(const struct attachment *attachment, const struct queue_row *row, void *out_)
{
    struct buffer *out = out_;
    uint8_t *at = out->len + CONFIG_SIZE <= PART_MAX ? buffer_put(out, CONFIG_SIZE) : NULL;

    if (!at) {
        return;
    }
    put_be32(at, row->config.id);
    put_be32(at + 4, attachment->number);
    put_be16(at + 8, CONFIG_SIZE);
    put_rate(at + 16, OFPQT_MIN_RATE, share_of(attachment, row->config.min_rate));
    put_rate(at + 16 + RATE_SIZE, OFPQT_MAX_RATE, share_of(attachment, row->config.max_rate));
}

uint32_t
bridge_queue_config(struct bridge *bridge, uint32_t number, struct buffer *out)
{
    struct queue_request request = {
        .bridge = bridge, .number = number, .id = OFPQ_ALL, .put = put_config, .context = out,
    };

    return each_queue(&request);
}

/* --- Statistics ----------------------------------------------------------------------------------- */

static uint64_t
read_number(const _Atomic uint64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

/* struct ofp_queue_stats: port_no, queue_id 4, tx_bytes 8, tx_packets 16, tx_errors 24,
 * duration 32. */
static void
put_stats(const struct attachment *attachment, const struct queue_row *row, void *reply_)
{
    struct reply *reply = reply_;
    const struct queue *queue = row->queue;
    size_t begin = reply->out->len;
    uint8_t *at = buffer_put(reply->out, STATS_SIZE);

    if (!at) {
        return;
    }
    put_be32(at, attachment->number);
    put_be32(at + 4, row->config.id);
    put_be64(at + 8, read_number(&queue->tx_bytes));
    put_be64(at + 16, read_number(&queue->tx_packets));
    put_be64(at + 24, read_number(&queue->tx_errors));
    put_duration(at + 32, queue->created_ms, reply->now_ms);
    reply_end_entry(reply, begin);
}

/* struct ofp_queue_stats_request: port_no, queue_id. */
uint32_t
reply_queue_stats(struct reply *reply)
{
    struct queue_request request = {
        .bridge = reply->bridge, .put = put_stats, .context = reply,
    };

    if (reply->size != 8) {
        return OFWIRE_OFPBRC_BAD_LEN;
    }
    request.number = get_be32(reply->body);
    request.id = get_be32(reply->body + 4);
    return each_queue(&request);
}
