#ifndef RAICHO_EPOCH_H
#define RAICHO_EPOCH_H

/* Epochs: memory that readers may still see is freed after the last of them
 * has moved on.
 *
 * What
 * ====
 * One writer (the control thread) unlinks something and retires it.  Each
 * reader (worker) says between two vectors that it holds nothing
 * (epoch_quiesce), or that it is away (epoch_offline) while it sleeps.
 *
 * How
 * ===
 * Quiescent-state reclamation [1].  A retired pointer carries the number of
 * the epoch in which it was retired; it is freed when every online reader has
 * announced a later one.
 *
 * Cost
 * ====
 * A reader: one load and one store per vector, no atomic read-modify-write.
 *
 * Threads
 * =======
 * One writer.  Each reader has its own slot.
 *
 * [1] M. Desnoyers et al., "User-Level Implementations of Read-Copy Update",
 *     IEEE TPDS 23(2), 2012. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EPOCH_READERS = 64 };

struct epoch_reader {
    _Alignas(64) _Atomic uint64_t seen;     /* Last epoch announced; 0 is offline. */
};

struct epoch_retired {
    struct epoch_retired *next;
    void *pointer;
    void (*release)(void *pointer, void *context);
    void *context;
    uint64_t epoch;
};

struct epoch {
    _Alignas(64) _Atomic uint64_t now;      /* Starts at 1. */
    struct epoch_reader readers[EPOCH_READERS];
    struct epoch_retired *oldest, *newest;  /* Writer only, in order. */
    size_t n_retired;
};

void epoch_init(struct epoch *epoch);

/* Frees everything at once.  There must be no readers left. */
void epoch_close(struct epoch *epoch);

/* Reader: "I hold nothing".  Also brings an offline reader back. */
static inline void
epoch_quiesce(struct epoch *epoch, unsigned reader)
{
    uint64_t now = atomic_load_explicit(&epoch->now, memory_order_acquire);
    uint64_t seen = atomic_load_explicit(&epoch->readers[reader].seen, memory_order_relaxed);

    /* What was read before is finished; what is read from now on is as new as 'now'. */
    if (seen != now) {
        atomic_store_explicit(&epoch->readers[reader].seen, now, memory_order_release);
    }
    /* Who comes online touches 'now' as epoch_advance() does.  Either we come first, and the
     * writer sees us; or we are behind it, and see what it has unlinked. */
    if (!seen) {
        atomic_fetch_add(&epoch->now, 0);
    }
}

static inline void
epoch_offline(struct epoch *epoch, unsigned reader)
{
    atomic_store_explicit(&epoch->readers[reader].seen, 0, memory_order_release);
}

/* Writer: calls release(pointer, context) when no reader can see it any more.  Never
 * fails: without memory to remember it, waits for the readers. */
void epoch_retire(struct epoch *epoch, void *pointer, void (*release)(void *, void *),
                  void *context);

/* Writer: the same for memory that free(3) takes. */
void epoch_free(struct epoch *epoch, void *pointer);

/* Writer: frees what can be freed; returns how much still waits. */
size_t epoch_reclaim(struct epoch *epoch);

/* Writer: starts a new epoch and returns its number, for epoch_passed(). */
uint64_t epoch_advance(struct epoch *epoch);

/* Whether every online reader has announced 'number' or later: whatever was
 * published before epoch_advance() returned 'number' is what they now use. */
bool epoch_passed(const struct epoch *epoch, uint64_t number);

/* Writer: advances and waits until the readers have passed. */
void epoch_synchronize(struct epoch *epoch);

#endif
