#ifndef RAICHO_XDP_RING_H
#define RAICHO_XDP_RING_H

/* A ring of an XDP socket, shared with the kernel: one side fills, the other empties.
 *
 * How
 * ===
 * Both ends are counters that never go back and are taken modulo the size.  We move 'at' as
 * we fill or empty entries and publish it once for a batch; 'seen' is what we last read of the
 * kernel's end, which is read again only when what is known is not enough.
 *
 * Threads
 * =======
 * A ring belongs to one worker; the kernel has the other end.
 *
 * Reference: Documentation/networking/af_xdp.rst of Linux. */

#include <linux/if_xdp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xdp_ring {
    uint32_t at;                /* Our end: how far we have filled or emptied it. */
    uint32_t seen;              /* The kernel's end, as last read. */
    uint32_t mask;
    _Atomic uint32_t *ours, *theirs, *flags;    /* What both see. */
    union {
        uint64_t *addresses;    /* In fill and completion rings, */
        struct xdp_desc *frames;        /* in receive and transmit rings. */
    };
    void *map;
    size_t map_size;
};

/* Entries that can be filled; at least 'wanted' if there is room for so many. */
static inline uint32_t
xdp_ring_room(struct xdp_ring *ring, uint32_t wanted)
{
    uint32_t size = ring->mask + 1;

    if (size - (ring->at - ring->seen) < wanted) {
        ring->seen = atomic_load_explicit(ring->theirs, memory_order_acquire);
    }
    return size - (ring->at - ring->seen);
}

/* Entries that can be emptied; at least 'wanted' if there are so many. */
static inline uint32_t
xdp_ring_ready(struct xdp_ring *ring, uint32_t wanted)
{
    if (ring->seen - ring->at < wanted) {
        ring->seen = atomic_load_explicit(ring->theirs, memory_order_acquire);
    }
    return ring->seen - ring->at;
}

/* Hands what was filled or emptied to the kernel. */
static inline void
xdp_ring_publish(struct xdp_ring *ring)
{
    atomic_store_explicit(ring->ours, ring->at, memory_order_release);
}

/* Entries of a ring we fill that the kernel has not taken. */
static inline uint32_t
xdp_ring_pending(const struct xdp_ring *ring)
{
    return ring->at - atomic_load_explicit(ring->theirs, memory_order_acquire);
}

/* Whether the kernel goes on only after a system call. */
static inline bool
xdp_ring_sleeps(const struct xdp_ring *ring)
{
    return atomic_load_explicit(ring->flags, memory_order_relaxed) & XDP_RING_NEED_WAKEUP;
}

#endif
