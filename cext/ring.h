#ifndef RAICHO_RING_H
#define RAICHO_RING_H

/* Ring: records of bytes from one thread to another, bounded, without locks.
 *
 * What
 * ====
 * The producer reserves room, writes and commits; the consumer peeks, reads
 * and consumes.  Records are contiguous, 8-byte aligned, in order.
 *
 * Threads: one producer, one consumer. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
    uint8_t *memory;
    size_t size;                                /* Bytes; a power of two. */
    _Alignas(64) _Atomic size_t head;           /* Producer's, ever growing. */
    size_t tail_seen;                           /* Producer's copy of 'tail'. */
    size_t reserved;                            /* Bytes reserved, padding included. */
    _Alignas(64) _Atomic size_t tail;           /* Consumer's. */
};

/* 'size' is rounded up to a power of two.  Returns 0 or ENOMEM. */
int ring_open(struct ring *ring, size_t size);
void ring_close(struct ring *ring);

/* Producer: returns room for a record of 'n' bytes, or null if the ring is
 * full or 'n' is more than half of it.  Only the last reservation counts. */
void *ring_reserve(struct ring *ring, size_t n);

/* Producer: publishes the reserved record. */
void ring_commit(struct ring *ring);

/* Consumer: returns the oldest record and its length, or null. */
void *ring_peek(struct ring *ring, size_t *n);

/* Consumer: lets go of the record that ring_peek() returned. */
void ring_consume(struct ring *ring);

/* Either side: whether there is nothing in it. */
bool ring_empty(const struct ring *ring);

#endif
