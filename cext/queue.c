/* Queues of a port: see queue.h. */

#include "queue.h"

#include <stdlib.h>
#include <string.h>

#include "pool.h"
#include "stats.h"

enum {
    NS = 1000000000,
    BURST_SHARE = 100,                  /* The default burst is a 100th of a second's bytes, */
    BURST_MIN = 2000,                   /* and one frame at least. */
    POOL_RESERVE = 8,                   /* No packet waits while less than 1/8 of its pool is free. */
};

/* --- Sets ------------------------------------------------------------------------------------ */

static const struct queue_config default_queue = { .id = 0 };

static uint32_t
slot_of(const struct queue_set *set, uint32_t id)
{
    uint32_t slot = id % QUEUE_SLOTS;

    while (set->slots[slot] && set->rows[set->slots[slot] - 1].config.id != id) {
        slot = (slot + 1) % QUEUE_SLOTS;
    }
    return slot;
}

const struct queue_row *
queue_set_find(const struct queue_set *set, uint32_t id)
{
    uint8_t index = set->slots[slot_of(set, id)];

    return index ? &set->rows[index - 1] : NULL;
}

static bool
configures(const struct queue_config *configs, uint32_t n, uint32_t id)
{
    for (uint32_t i = 0; i < n; i++) {
        if (configs[i].id == id) {
            return true;
        }
    }
    return false;
}

/* Puts a row where its priority belongs, behind its equals. */
static void
add_row(struct queue_set *set, const struct queue_config *config)
{
    uint32_t at = set->n++;

    for (; at && set->rows[at - 1].config.priority < config->priority; at--) {
        set->rows[at] = set->rows[at - 1];
    }
    set->rows[at] = (struct queue_row) { .config = *config };
}

/* Gives each row its queue, the one it had or a new one. */
static bool
find_queues(struct queue_set *set, const struct queue_set *old, uint64_t now_ms)
{
    for (uint32_t i = 0; i < set->n; i++) {
        struct queue_row *row = &set->rows[i];
        const struct queue_row *before = old ? queue_set_find(old, row->config.id) : NULL;

        set->slots[slot_of(set, row->config.id)] = i + 1;
        row->queue = before ? before->queue : calloc(1, sizeof *row->queue);
        if (!row->queue) {
            return false;
        }
        if (!before) {
            row->queue->created_ms = now_ms;
        }
    }
    return true;
}

struct queue_set *
queue_set_new(const struct queue_set *old, const struct queue_config *configs, uint32_t n,
              uint64_t rate, uint64_t now_ms)
{
    struct queue_set *set = calloc(1, sizeof *set + (n + 1) * sizeof set->rows[0]);

    if (!set) {
        return NULL;
    }
    set->rate = rate;
    set->has_default = !configures(configs, n, default_queue.id);
    for (uint32_t i = 0; i < n; i++) {
        add_row(set, &configs[i]);
    }
    if (set->has_default) {
        add_row(set, &default_queue);
    }
    if (!find_queues(set, old, now_ms)) {
        queue_set_discard(set, old);
        return NULL;
    }
    return set;
}

void
queue_set_discard(struct queue_set *set, const struct queue_set *old)
{
    for (uint32_t i = 0; i < set->n; i++) {
        if (!old || !queue_set_find(old, set->rows[i].config.id)) {
            free(set->rows[i].queue);
        }
    }
    free(set);
}

struct queue *
queue_set_left(const struct queue_set *old, const struct queue_set *new)
{
    struct queue *list = NULL;

    for (uint32_t i = 0; old && i < old->n; i++) {
        if (!new || !queue_set_find(new, old->rows[i].config.id)) {
            old->rows[i].queue->next = list;
            list = old->rows[i].queue;
        }
    }
    return list;
}

/* --- Buckets --------------------------------------------------------------------------------- */

static uint64_t
burst_of(uint64_t rate, uint32_t burst)
{
    uint64_t size = burst ? burst : rate / 8 / BURST_SHARE;

    if (size < BURST_MIN && !burst) {
        size = BURST_MIN;
    }
    return size < QUEUE_BURST_MAX ? size : QUEUE_BURST_MAX;
}

/* A bucket that has got another rate begins anew, empty: old debts were made at the old rate. */
static void
fill(struct token_bucket *bucket, uint64_t rate, uint32_t burst, uint64_t now_ns)
{
    __int128 most = (__int128) burst_of(rate, burst) * 8 * NS;

    if (bucket->rate != rate) {
        *bucket = (struct token_bucket) { .rate = rate, .filled_ns = now_ns };
    }
    if (rate && now_ns > bucket->filled_ns) {
        __int128 tokens = bucket->tokens + (__int128) rate * (now_ns - bucket->filled_ns);
        bucket->tokens = tokens < most ? tokens : most;
        bucket->filled_ns = now_ns;
    }
}

static bool
is_ready(const struct token_bucket *bucket)
{
    return !bucket->rate || bucket->tokens > 0;
}

static void
charge(struct token_bucket *bucket, uint64_t size)
{
    if (bucket->rate) {
        bucket->tokens -= size * 8 * NS;
    }
}

/* When the bucket has tokens again. */
static uint64_t
ready_at(const struct token_bucket *bucket, uint64_t now_ns)
{
    return is_ready(bucket) ? now_ns
                            : bucket->filled_ns + (uint64_t) -bucket->tokens / bucket->rate + 1;
}

static void
fill_all(struct queue_set *set, uint64_t now_ns)
{
    fill(&set->root, set->rate, 0, now_ns);
    for (uint32_t i = 0; i < set->n; i++) {
        const struct queue_config *config = &set->rows[i].config;
        fill(&set->rows[i].queue->min, config->min_rate, config->burst, now_ns);
        fill(&set->rows[i].queue->max, config->max_rate, config->burst, now_ns);
    }
}

/* --- In ---------------------------------------------------------------------------------------- */

uint64_t
queue_wire_size(const struct packet *packet)
{
    const struct offload *offload = &packet->offload;

    if (!offload->gso_type || !offload->gso_size || packet->len <= offload->hdr_len) {
        return packet->len;
    }
    uint32_t payload = packet->len - offload->hdr_len;
    uint32_t n_segments = (payload + offload->gso_size - 1) / offload->gso_size;
    return packet->len + (uint64_t) (n_segments - 1) * offload->hdr_len;
}

/* The pool must not run dry because packets wait: others have to come and go.  A queue may be as
 * long as the pool has packets left, so that the first one does not take them all. */
static bool
has_room(const struct queue_row *row, const struct packet *packet, uint64_t size)
{
    const struct queue *queue = row->queue;
    const struct pool *pool = packet->pool;

    return (!row->config.limit || queue->size + size <= row->config.limit || !queue->n)
           && queue->n < pool->n_free
           && pool->n_free >= pool->n_slots / POOL_RESERVE;
}

/* A queue that begins to wait does not get back what it did not use before. */
static void
join(const struct queue_set *set, const struct queue_row *row)
{
    uint64_t least = UINT64_MAX;

    for (uint32_t i = 0; i < set->n; i++) {
        const struct queue_row *other = &set->rows[i];
        if (other != row && other->queue->n && other->config.priority == row->config.priority
            && other->queue->served < least) {
            least = other->queue->served;
        }
    }
    if (least != UINT64_MAX && least > row->queue->served) {
        row->queue->served = least;
    }
}

bool
queue_put(struct queue_set *set, struct packet *packet)
{
    const struct queue_row *row = queue_set_find(set, packet->out_queue);
    uint64_t size = queue_wire_size(packet);

    if (!row) {
        row = queue_set_find(set, default_queue.id);
    }
    struct queue *queue = row->queue;
    if (!has_room(row, packet, size)) {
        bump(&queue->tx_errors, 1);
        return false;
    }
    packet->next = NULL;
    if (queue->n++) {
        queue->tail->next = packet;
    } else {
        join(set, row);
        queue->head = packet;
    }
    queue->tail = packet;
    queue->size += size;
    return true;
}

/* --- Out --------------------------------------------------------------------------------------- */

static bool
is_guaranteed(const struct queue *queue)
{
    return queue->min.rate && queue->min.tokens > 0;
}

/* The queue whose turn it is, or null.  Rows are in the order of priority. */
static const struct queue_row *
pick(const struct queue_set *set, bool guaranteed)
{
    const struct queue_row *best = NULL;

    for (uint32_t i = 0; i < set->n; i++) {
        const struct queue_row *row = &set->rows[i];
        if (best && row->config.priority < best->config.priority) {
            break;
        }
        if (row->queue->n && is_ready(&row->queue->max)
            && (!guaranteed || is_guaranteed(row->queue))
            && (!best || row->queue->served < best->queue->served)) {
            best = row;
        }
    }
    return best;
}

static struct packet *
remove_first(struct queue *queue, uint64_t *size)
{
    struct packet *packet = queue->head;

    *size = queue_wire_size(packet);
    queue->head = packet->next;
    queue->n--;
    queue->size -= *size;
    return packet;
}

/* Only what it sends below its guaranteed rate counts against it: what it borrows is no debt. */
static struct packet *
send_first(struct queue_set *set, struct queue *queue, bool guaranteed)
{
    uint64_t size;
    struct packet *packet = remove_first(queue, &size);

    charge(&set->root, size);
    charge(&queue->max, size);
    if (guaranteed) {
        charge(&queue->min, size);
    }
    queue->served += size;
    bump(&queue->tx_packets, 1);
    bump(&queue->tx_bytes, size);
    return packet;
}

unsigned
queue_take(struct queue_set *set, uint64_t now_ns, struct packet **packets, unsigned max)
{
    unsigned n = 0;

    fill_all(set, now_ns);
    while (n < max && is_ready(&set->root)) {
        const struct queue_row *row = pick(set, true);
        bool guaranteed = row;
        if (!row && !(row = pick(set, false))) {
            break;
        }
        packets[n++] = send_first(set, row->queue, guaranteed);
    }
    return n;
}

uint64_t
queue_next(const struct queue_set *set, uint64_t now_ns)
{
    uint64_t port = ready_at(&set->root, now_ns), next = UINT64_MAX;

    for (uint32_t i = 0; i < set->n; i++) {
        const struct queue *queue = set->rows[i].queue;
        if (queue->n) {
            uint64_t at = ready_at(&queue->max, now_ns);
            next = at < next ? at : next;
        }
    }
    return next < port ? port : next;
}

unsigned
queue_drain(struct queue *queue, struct packet **packets, unsigned max)
{
    unsigned n = 0;
    uint64_t size;

    while (n < max && queue->n) {
        packets[n++] = remove_first(queue, &size);
    }
    bump(&queue->tx_errors, n);
    return n;
}

/* --- To another worker -------------------------------------------------------------------------- */

/* The same frame in a packet of another pool, the first one back in its own; null: there is no other. */
static struct packet *
rehouse(struct packet *packet, struct pool *small, struct pool *large)
{
    struct pool *pool = packet->len <= small->size ? small : large;
    struct packet *copy = NULL;

    if (packet->len <= pool->size && pool_get(pool, &copy, 1)) {
        packet_set_len(copy, packet->len);
        memcpy(copy->data, packet->data, packet->len);
        copy->offload = packet->offload;
        copy->in_port = packet->in_port;
        copy->out_queue = packet->out_queue;
        copy->hops = packet->hops;
    }
    packet_free(&packet, 1);
    return copy;
}

static unsigned
rehouse_queue(struct queue *queue, struct pool *small, struct pool *large)
{
    struct packet **last = &queue->head;
    unsigned lost = 0;

    for (uint32_t left = queue->n; left; left--) {
        struct packet *packet = *last, *next = packet->next;
        uint64_t size = queue_wire_size(packet);

        *last = rehouse(packet, small, large);
        if (*last) {
            queue->tail = *last;
            last = &queue->tail->next;
        } else {
            queue->n--;
            queue->size -= size;
            lost++;
        }
        *last = next;
    }
    bump(&queue->tx_errors, lost);
    return lost;
}

unsigned
queue_set_rehouse(struct queue_set *set, struct pool *small, struct pool *large)
{
    unsigned lost = 0;

    for (uint32_t i = 0; i < set->n; i++) {
        lost += rehouse_queue(set->rows[i].queue, small, large);
    }
    return lost;
}
