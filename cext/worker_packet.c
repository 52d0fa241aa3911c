/* What instructions do with packets: drop, copy, send, punt.  See worker.h. */

#include <string.h>

#include "offload.h"
#include "parse.h"
#include "worker.h"

/* Leaves only packets that nobody holds; the others are marked with 'gone'.  Returns how many. */
static unsigned
let_go(struct packet **packets, unsigned n, uint8_t gone)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < n; i++) {
        struct walk *walk = packet_walk(packets[i]);

        if (walk->held) {
            walk->gone = gone;
        } else {
            packets[kept++] = packets[i];
        }
    }
    return kept;
}

void
worker_drop(struct worker *worker, struct packet **packets, unsigned n, enum drop_reason reason)
{
    n = let_go(packets, n, (uint8_t)(reason + 1));
    if (n) {
        bump(&worker->totals.drops[reason], n);
        packet_free(packets, n);
    }
}

void
worker_end(struct worker *worker, struct packet **packets, unsigned n)
{
    unsigned consumed = 0;

    n = let_go(packets, n, 0);
    for (unsigned i = 0; i < n; i++) {
        consumed += packets[i]->copied;
    }
    bump(&worker->totals.consumed, consumed);
    bump(&worker->totals.drops[DROP_action], n - consumed);
    packet_free(packets, n);
}

/* The words from W_WIDE on only where there is something in them, or was in their place. */
static void
copy_key(struct walk *to, const struct walk *from)
{
    bool whole = to->wide || from->wide;

    memcpy(&to->key, &from->key, (whole ? N_KEY_WORDS : W_WIDE) * sizeof to->key.word[0]);
    to->wide = from->wide;
}

static void
copy_walk(struct walk *to, const struct walk *from)
{
    copy_key(to, from);
    to->bridge = from->bridge;
    to->flow_hash = from->flow_hash;
    to->table = from->table;
    to->depth = from->depth;
    to->flow = from->flow;
    to->resubmits = from->resubmits;
    to->left_home = false;
    to->n_stack = from->n_stack;
    memcpy(to->stack, from->stack, from->n_stack * sizeof to->stack[0]);
    to->n_blocks = 0;
}

struct packet *
worker_copy(struct worker *worker, const struct packet *packet)
{
    struct pool *pool = packet->len <= worker->small.size ? &worker->small : &worker->large;
    struct packet *copy;

    bump(&worker->totals.copied, 1);
    /* A large packet can have grown beyond the room of a fresh one. */
    if (packet->len > pool->size || !pool_get(pool, &copy, 1)) {
        bump(&worker->totals.drops[DROP_no_buffer], 1);
        return NULL;
    }
    uint8_t *data = copy->data;
    uint16_t headroom = copy->headroom;
    *copy = *packet;
    copy->data = data;
    copy->headroom = headroom;
    copy->tailroom = pool->size - packet->len < UINT16_MAX ? pool->size - packet->len : UINT16_MAX;
    copy->pool = pool;
    copy->copied = false;
    memcpy(copy->data, packet->data, packet->len);
    copy_walk(packet_walk(copy), packet_walk(packet));
    return copy;
}

/* --- Sending ------------------------------------------------------------------------- */

static void
transmit(struct worker *worker, struct lane *by, struct packet **packets, unsigned n)
{
    unsigned sent = by->port->ops->transmit(by->port, packets, n);

    bump(&worker->totals.sent, sent);
    bump(&worker->totals.drops[DROP_tx], n - sent);
}

void
worker_send_queued(struct worker *worker, struct lane *by, struct queue_set *queues)
{
    struct packet *packets[PACKET_VECTOR];
    unsigned n;

    while ((n = queue_take(queues, worker->now_ns, packets, PACKET_VECTOR))) {
        transmit(worker, by, packets, n);
    }
}

static void
put_all(struct worker *worker, struct queue_set *queues, struct packet **packets, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (!queue_put(queues, packets[i])) {
            worker_drop(worker, &packets[i], 1, DROP_queue);
        }
    }
}

static void
flush_lane(struct worker *worker, struct lane *by)
{
    struct queue_set *queues = atomic_load_explicit(&by->attachment->queues, memory_order_acquire);

    if (queues) {
        put_all(worker, queues, by->tx, by->n_tx);
        worker_send_queued(worker, by, queues);
    } else {
        transmit(worker, by, by->tx, by->n_tx);
    }
    by->n_tx = 0;
}

void
worker_flush(struct worker *worker)
{
    for (unsigned i = 0; i < worker->n_waiting; i++) {
        flush_lane(worker, worker->waiting[i]);
        worker->waiting[i]->queued = false;
    }
    worker->n_waiting = 0;
}

/* Puts a packet that the port can take with those that leave by a lane at the end of the round. */
static void
enqueue(struct worker *worker, struct lane *by, struct packet *packet)
{
    if (by->n_tx == PACKET_VECTOR) {
        flush_lane(worker, by);
    }
    if (!by->queued) {
        if (worker->n_waiting == PACKET_VECTOR) {
            worker_flush(worker);
        }
        by->queued = true;
        worker->waiting[worker->n_waiting++] = by;
    }
    by->tx[by->n_tx++] = packet;
}

static void
hand_over(struct worker *worker, const struct lane *by, struct packet *packet)
{
    const struct attachment *to = by->attachment;
    struct worker *owner = atomic_load_explicit(&worker->dataplane->workers[by->worker],
                                                memory_order_acquire);
    struct ring *ring = owner ? worker_handovers(owner, worker->id) : NULL;
    struct handover *handover = ring ? ring_reserve(ring, sizeof *handover + packet->len) : NULL;

    if (!handover) {
        worker_drop(worker, &packet, 1, DROP_handover);
        return;
    }
    handover->bridge = to->bridge->index;
    handover->number = to->number;
    handover->offload = packet->offload;
    handover->out_queue = packet->out_queue;
    handover->hops = packet->hops;
    handover->len = packet->len;
    memcpy(handover->frame, packet->data, packet->len);
    ring_commit(ring);
    bump(&worker->profile.handovers, 1);
    worker_wake(owner);
    packet_free(&packet, 1);
}

/* Cuts a packet that is to be segmented and hands the pieces on; takes it. */
static void
segment(struct worker *worker, struct packet *packet,
        void (*hand_on)(struct worker *, struct packet *, void *), void *context)
{
    struct packet *pieces[PACKET_VECTOR];
    unsigned n = offload_segment(packet, &worker->small, &worker->large, pieces, PACKET_VECTOR);

    if (!n) {
        worker_drop(worker, &packet, 1, DROP_segment);
        return;
    }
    bump(&worker->totals.copied, n - 1);
    for (unsigned i = 0; i < n; i++) {
        *packet_walk(pieces[i]) = *packet_walk(packet);
        pieces[i]->in_port = packet->in_port;
        hand_on(worker, pieces[i], context);
    }
    packet_free(&packet, 1);
}

static void
send_piece(struct worker *worker, struct packet *packet, void *to)
{
    worker_send(worker, to, packet);
}

void
worker_send(struct worker *worker, struct attachment *to, struct packet *packet)
{
    struct lane *by = to->leave_by[worker->id];
    uint32_t takes = by->port->capabilities;

    if (by->worker != worker->id) {
        hand_over(worker, by, packet);
        return;
    }
    if (packet->offload.gso_type && (!(takes & PORT_TAKES_GSO) || offload_has_labels(packet))) {
        segment(worker, packet, send_piece, to);
        return;
    }
    if (packet->offload.flags & OFFLOAD_NEEDS_CSUM && !(takes & PORT_TAKES_CSUM)) {
        offload_checksum(packet);
    }
    enqueue(worker, by, packet);
}

void
worker_adopt_queues(struct worker *to, struct queue_set *queues)
{
    bump(&to->totals.drops[DROP_queue], queue_set_rehouse(queues, &to->small, &to->large));
}

/* --- To the control plane ------------------------------------------------------------- */

struct punting {
    uint64_t cookie;
    const struct meter *meter;  /* That keeps back what is over its rate; null: none. */
    uint8_t reason;
    uint16_t max_len;
};

static void punt(struct worker *worker, struct packet *packet, const struct punting *punting);

static void
punt_piece(struct worker *worker, struct packet *packet, void *punting)
{
    punt(worker, packet, punting);
}

static void
punt(struct worker *worker, struct packet *packet, const struct punting *punting)
{
    const struct walk *walk = packet_walk(packet);
    struct punt *punt;

    if (packet->offload.gso_type) {
        segment(worker, packet, punt_piece, (void *) punting);
        return;
    }
    if (punting->meter && !worker_meter(worker, punting->meter, &packet, 1)) {
        return;
    }
    if (packet->offload.flags & OFFLOAD_NEEDS_CSUM) {
        offload_checksum(packet);
    }
    punt = ring_reserve(&worker->punts, sizeof *punt + packet->len);
    if (!punt) {
        worker_drop(worker, &packet, 1, DROP_punt);
        return;
    }
    *punt = (struct punt) {
        .cookie = punting->cookie, .metadata = walk->key.word[W_METADATA],
        .tunnel_id = walk->key.word[W_TUNNEL_ID], .bridge = walk->bridge->index,
        .in_port = packet->in_port, .len = packet->len, .max_len = punting->max_len,
        .reason = punting->reason, .table = walk->table,
    };
    memcpy(punt->frame, packet->data, packet->len);
    ring_commit(&worker->punts);
    worker->punted = true;
    bump(&worker->totals.punted, 1);
    packet_free(&packet, 1);
}

void
worker_punt(struct worker *worker, struct packet *packet, uint8_t reason, uint16_t max_len)
{
    const struct walk *walk = packet_walk(packet);

    punt(worker, packet, &(const struct punting) {
        .cookie = walk->flow ? walk->flow->cookie : UINT64_MAX,
        .meter = meter_find(&walk->bridge->meters, METER_CONTROLLER),
        .reason = reason, .max_len = max_len,
    });
}

/* Packets a second that a worker sends to the control thread of a router for each reason, so that what
 * strangers cause does not crowd out what neighbours say. */
static const uint32_t route_rates[ROUTE_REASONS_END - ROUTE_LOCAL] = {
    [0] = 50000, [ROUTE_RESOLVE - ROUTE_LOCAL] = 5000, [ROUTE_TTL - ROUTE_LOCAL] = 2000,
    [ROUTE_TOO_BIG - ROUTE_LOCAL] = 20000, [ROUTE_NO_ROUTE - ROUTE_LOCAL] = 2000,
    [ROUTE_UNREACHABLE - ROUTE_LOCAL] = 2000, [ROUTE_PROHIBIT - ROUTE_LOCAL] = 2000,
    [ROUTE_SEEN - ROUTE_LOCAL] = 20000, [ROUTE_REDIRECT - ROUTE_LOCAL] = 200,
    [ROUTE_GROUP - ROUTE_LOCAL] = 5000, [ROUTE_GROUP_TOO_BIG - ROUTE_LOCAL] = 2000,
    [ROUTE_TOO_BIG_NAT64 - ROUTE_LOCAL] = 20000,
};

/* Tokens are for 1/1000 of a packet; what gathers lasts for 100 ms. */
static bool
may_punt(struct worker *worker, enum route_reason reason)
{
    struct policer *policer = &worker->policers[reason - ROUTE_LOCAL];
    uint64_t rate = route_rates[reason - ROUTE_LOCAL], most = rate * 100;

    policer->tokens += (worker->now_ms - policer->at_ms) * rate;
    policer->at_ms = worker->now_ms;
    if (policer->tokens > most) {
        policer->tokens = most;
    }
    if (policer->tokens < 1000) {
        return false;
    }
    policer->tokens -= 1000;
    return true;
}

void
worker_punt_route(struct worker *worker, struct packet *packet, enum route_reason reason,
                  uint64_t cookie)
{
    if (may_punt(worker, reason)) {
        punt(worker, packet, &(const struct punting) { .cookie = cookie, .reason = reason });
    } else {
        worker_drop(worker, &packet, 1, DROP_punt_rate);
    }
}

void
worker_tell_route(struct worker *worker, const struct packet *packet, enum route_reason reason,
                  uint64_t cookie)
{
    struct packet *copy = may_punt(worker, reason) ? worker_copy(worker, packet) : NULL;

    if (copy) {
        punt(worker, copy, &(const struct punting) { .cookie = cookie, .reason = reason });
    }
}

/* What hosts say of groups is little; a flood of it keeps the ring free for others. */
static bool
may_snoop(struct worker *worker)
{
    enum { SNOOPS_PER_MS = 16 };

    if (worker->snooped_ms != worker->now_ms) {
        worker->snooped_ms = worker->now_ms;
        worker->n_snooped = 0;
    }
    return ++worker->n_snooped <= SNOOPS_PER_MS;
}

void
worker_snoop(struct worker *worker, const struct packet *packet, uint16_t vlan)
{
    struct punt *punt = NULL;

    if (packet->len <= PACKET_SMALL && may_snoop(worker)) {
        punt = ring_reserve(&worker->punts, sizeof *punt + packet->len);
    }
    if (!punt) {
        bump(&worker->snoops_lost, 1);
        return;
    }
    *punt = (struct punt) {
        .metadata = vlan, .bridge = packet_walk(packet)->bridge->index,
        .in_port = packet->in_port, .len = packet->len, .reason = PUNT_SNOOPED,
    };
    memcpy(punt->frame, packet->data, packet->len);
    ring_commit(&worker->punts);
    worker->punted = true;
}
