/* Ring: see ring.h.
 *
 * A record is an 8-byte header (its length, or SKIP for the unused end of the
 * memory) and its bytes, padded to 8. */

#include "ring.h"

#include <errno.h>
#include <stdlib.h>

enum { HEADER = 8 };

#define SKIP UINT64_MAX

static size_t
padded(size_t n)
{
    return HEADER + ((n + 7) & ~(size_t) 7);
}

int
ring_open(struct ring *ring, size_t size)
{
    *ring = (struct ring) { .size = 4096 };
    while (ring->size < size) {
        ring->size *= 2;
    }
    ring->memory = aligned_alloc(64, ring->size);
    return ring->memory ? 0 : ENOMEM;
}

void
ring_close(struct ring *ring)
{
    free(ring->memory);
    ring->memory = NULL;
}

static uint64_t *
header_at(struct ring *ring, size_t position)
{
    return (uint64_t *) (ring->memory + (position & (ring->size - 1)));
}

static bool
has_room(struct ring *ring, size_t head, size_t n)
{
    if (ring->size - (head - ring->tail_seen) < n) {
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
    }
    return ring->size - (head - ring->tail_seen) >= n;
}

void *
ring_reserve(struct ring *ring, size_t n)
{
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    size_t need = padded(n), to_end = ring->size - (head & (ring->size - 1));
    size_t skip = to_end < need ? to_end : 0;

    if (need > ring->size / 2 || !has_room(ring, head, skip + need)) {
        return NULL;
    }
    if (skip) {
        *header_at(ring, head) = SKIP;
    }
    uint64_t *header = header_at(ring, head + skip);
    *header = n;
    ring->reserved = skip + need;
    return header + 1;
}

void
ring_commit(struct ring *ring)
{
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

    atomic_store_explicit(&ring->head, head + ring->reserved, memory_order_release);
}

void *
ring_peek(struct ring *ring, size_t *n)
{
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    if (tail == atomic_load_explicit(&ring->head, memory_order_acquire)) {
        return NULL;
    }
    uint64_t *header = header_at(ring, tail);
    if (*header == SKIP) {
        tail += ring->size - (tail & (ring->size - 1));
        atomic_store_explicit(&ring->tail, tail, memory_order_release);
        header = header_at(ring, tail);
    }
    *n = *header;
    return header + 1;
}

void
ring_consume(struct ring *ring)
{
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    atomic_store_explicit(&ring->tail, tail + padded(*header_at(ring, tail)),
                          memory_order_release);
}

bool
ring_empty(const struct ring *ring)
{
    return atomic_load_explicit(&ring->tail, memory_order_acquire)
           == atomic_load_explicit(&ring->head, memory_order_acquire);
}
