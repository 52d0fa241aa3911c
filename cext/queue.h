#ifndef RAICHO_QUEUE_H
#define RAICHO_QUEUE_H

/* Queues: what waits to leave by a port, in which order, and how fast.
 *
 * What
 * ====
 * A port with queues has a set of them, under the numbers that set-queue names; packets for
 * any other number wait in queue 0, which is always there.  A queue has a guaranteed rate, a
 * ceiling, a priority and a limit of bytes that may wait; the set has the rate of the port.
 *
 * How
 * ===
 * One token bucket for each rate, as a hierarchical token bucket [1] of two levels:
 * as long as the port has tokens, the queues that are below their guaranteed rate come first,
 * then those that are below their ceiling; the higher priority first, and among equals the
 * one that has sent the least bytes while both had packets.  A bucket may go below zero by one
 * packet, so the rate is exact in the long run, whatever the packets' sizes.  Tokens are
 * bits times nanoseconds per second: nothing is rounded.
 *
 * Frames count with all their bytes, those that are still to be segmented with the
 * headers that their segments will have.
 *
 * A set is replaced as a whole; queues that stay are in the old and the new one, with
 * the packets that wait in them.
 *
 * Cost
 * ====
 * To add a packet, one lookup by number.  To take one, a look at each queue of the port.
 * A port without queues has no set.
 *
 * Threads
 * =======
 * The control thread makes sets and reads the counters.  Packets and buckets belong to the
 * worker that owns the port.
 *
 * [1] M. Devera, "Hierarchical token bucket theory", 2002. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "packet.h"

struct pool;

enum {
    QUEUES_MAX = 64,                    /* Queues of a port that can be configured. */
    QUEUE_SLOTS = 256,                  /* Of the table by number; more than twice as many. */
    QUEUE_BURST_MAX = 1 << 28,          /* Bytes. */
};

struct queue_config {
    uint32_t id;
    uint8_t priority;                   /* Higher first. */
    uint64_t min_rate;                  /* bit/s that it gets in any case; 0: none. */
    uint64_t max_rate;                  /* bit/s that it never exceeds; 0: the port's. */
    uint32_t burst;                     /* Bytes it may send at once after a pause; 0: 10 ms' worth. */
    uint32_t limit;                     /* Bytes that wait in it at most; 0: as many as there is
                                         * memory for. */
};

/* Tokens of one rate.  The worker's. */
struct token_bucket {
    int64_t tokens;                     /* Bits times ns per s; some are left if > 0. */
    uint64_t filled_ns;                 /* When it was filled last. */
    uint64_t rate;                      /* It was filled with. */
};

struct queue {
    struct packet *head, *tail;         /* The worker's, as all up to 'max'. */
    uint32_t n;                         /* Packets that wait. */
    uint64_t size;                      /* Their bytes. */
    uint64_t served;                    /* Bytes sent, brought up to those of others after a pause. */
    struct token_bucket min, max;

    struct queue *next;                 /* In a list of queues that are gone. */
    uint64_t created_ms;
    _Atomic uint64_t tx_packets, tx_bytes;
    _Atomic uint64_t tx_errors;         /* Packets dropped. */
};

struct queue_row {
    struct queue_config config;
    struct queue *queue;
};

struct queue_set {
    uint64_t rate;                      /* bit/s of the port; 0: without limit. */
    struct token_bucket root;                 /* The worker's. */
    bool has_default;                   /* Queue 0 is there without being configured. */
    uint32_t n;
    uint8_t slots[QUEUE_SLOTS];         /* By number: index of a row plus 1. */
    struct queue_row rows[];            /* By falling priority. */
};

/* --- Control ------------------------------------------------------------------------------- */

/* Makes a set for 'configs', whose numbers differ and are QUEUES_MAX at most, and a port of 'rate'
 * bit/s; queues with numbers that 'old' (or null) has are taken over.  Returns null without memory. */
struct queue_set *queue_set_new(const struct queue_set *old, const struct queue_config *configs,
                                uint32_t n, uint64_t rate, uint64_t now_ms);

/* Frees a set that was never used, with the queues that 'old' does not have. */
void queue_set_discard(struct queue_set *set, const struct queue_set *old);

/* The queues of 'old' that 'new' (or null) does not have, as a list by 'next'.  Either may be null. */
struct queue *queue_set_left(const struct queue_set *old, const struct queue_set *new);

/* Puts a packet of other pools in the place of each that waits.  Those that find none are lost and
 * counted; returns how many.  The workers to whom the pools belong stand still. */
unsigned queue_set_rehouse(struct queue_set *set, struct pool *small, struct pool *large);

/* Control or worker: the row of a queue, or null. */
const struct queue_row *queue_set_find(const struct queue_set *set, uint32_t id);

/* --- Worker -------------------------------------------------------------------------------- */

/* Adds a packet to the queue that it names ('out_queue') and takes it, or returns false: the queue
 * is full (counted), or too few packets are left in the worker's pool. */
bool queue_put(struct queue_set *set, struct packet *packet);

/* Moves up to 'max' packets that may leave now to 'packets'; returns how many. */
unsigned queue_take(struct queue_set *set, uint64_t now_ns, struct packet **packets, unsigned max);

/* When the next packet may leave, as of the last queue_take(); UINT64_MAX if none waits. */
uint64_t queue_next(const struct queue_set *set, uint64_t now_ns);

/* Moves up to 'max' packets of a queue that is gone to 'packets', counts them as dropped, returns how
 * many. */
unsigned queue_drain(struct queue *queue, struct packet **packets, unsigned max);

/* Bytes of a frame on the wire, once it is segmented. */
uint64_t queue_wire_size(const struct packet *packet);

#endif
