#ifndef RAICHO_DPDK_LANE_H
#define RAICHO_DPDK_LANE_H

/* Lanes: one queue of a device each, with the packets that came from it.
 *
 * How
 * ===
 * A buffer of DPDK's (mbuf) has room behind its descriptor for what its user wants to
 * keep there: a packet and its walk.  So a frame that comes in is not copied, and neither is one that
 * leaves by a device of DPDK's, be it the same one or another.
 *
 * The packets belong to a lent pool (pool.h), which limits how many of them can be
 * on their way or wait in queues.  'credit' is what the pool's n_free was when the buffers
 * of packets that had come back were last given back to DPDK: those behind it
 * are to be given back, those in front of it are no packets, only their number counts.
 *
 * Threads
 * =======
 * A lane belongs to one worker.  It outlives its port while packets of it wait elsewhere. */

#include <rte_mbuf.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"
#include "pool.h"

struct device;

struct lane {
    struct pool pool;
    uint32_t credit;
    uint16_t device_id;         /* DPDK's number of the device. */
    uint16_t queue;
    uint32_t max_frame;         /* Bytes of the longest frame it sends. */
    struct device *device;
    struct lane *next;          /* Of those that are closed and not yet free. */
};

enum {
    BUFFER_PRIVATE = (sizeof(struct packet) + sizeof(struct walk) + RTE_MBUF_PRIV_ALIGN - 1)
                     / RTE_MBUF_PRIV_ALIGN * RTE_MBUF_PRIV_ALIGN,
};

static inline struct packet *
packet_in(struct rte_mbuf *buffer)
{
    return (struct packet *)(buffer + 1);
}

static inline struct rte_mbuf *
buffer_of(struct packet *packet)
{
    return (struct rte_mbuf *)packet - 1;
}

static inline struct lane *
lane_of(const struct packet *packet)
{
    return (struct lane *)((char *)packet->pool - offsetof(struct lane, pool));
}

/* Notes that 'n' buffers are now packets of ours. */
static inline void
lane_lend(struct lane *lane, uint32_t n)
{
    lane->pool.n_free -= n;
    lane->credit = lane->pool.n_free;
}

/* Notes that the buffer of a packet went back to DPDK by itself: the number grows, and what
 * was to be given back stays so. */
static inline void
lane_forget(struct lane *lane)
{
    struct pool *pool = &lane->pool;

    pool->free[pool->n_free++] = pool->free[lane->credit++];
}

/* Gives back the buffers of packets that have come back. */
static inline void
lane_settle(struct lane *lane)
{
    enum { AT_ONCE = 64 };
    struct rte_mbuf *buffers[AT_ONCE];

    while (lane->credit < lane->pool.n_free) {
        unsigned n = 0;
        for (; n < AT_ONCE && lane->credit < lane->pool.n_free; n++) {
            buffers[n] = buffer_of(lane->pool.free[lane->credit++]);
        }
        rte_pktmbuf_free_bulk(buffers, n);
    }
}

#endif
