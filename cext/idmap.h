#ifndef RAICHO_IDMAP_H
#define RAICHO_IDMAP_H

/* Things found by a 32-bit number of their own, which is their first member.
 *
 * How
 * ===
 * Open addressing with at least half of the slots empty.  A slot that was given up stays
 * so until the slots are replaced as a whole.  The slot of a number is given by the high bits of its hash, which
 * is no other number's: so there is an order that does not depend on how many slots there are.
 *
 * Threads
 * =======
 * One writer (the control thread).  Readers look things up without locks; what was
 * removed is retired by the caller (epoch.h). */

#include <stdatomic.h>
#include <stdint.h>

#include "epoch.h"

struct idmap_slots {
    uint32_t n;                         /* A power of two. */
    unsigned shift;                     /* What is left of a hash behind it is a slot. */
    uint32_t n_busy;                    /* Slots in use or used before. */
    _Atomic(uint32_t *) thing[];        /* By what begins with its number. */
};

/* All 0 is an empty map. */
struct idmap {
    _Atomic(struct idmap_slots *) slots;
    uint32_t n;                         /* Things in it. */
};

/* Frees the map, not what is in it.  No readers must be left. */
void idmap_close(struct idmap *map);

/* Reader or writer: null if there is no such thing. */
void *idmap_find(const struct idmap *map, uint32_t id);

/* Writer: puts in a thing whose number is not in it.  Returns 0 or ENOMEM (nothing changed). */
int idmap_insert(struct idmap *map, struct epoch *epoch, void *thing);

/* Writer: takes out a thing that is in it. */
void idmap_remove(struct idmap *map, void *thing);

/* Writer: the next thing from '*cursor' (0 at first) on; null at the end.  What is there all the time is
 * visited once, whatever happens between calls; '*cursor' is above UINT32_MAX only at the end. */
void *idmap_next(const struct idmap *map, uint64_t *cursor);

/* Writer: calls visit for each thing, which it may remove. */
void idmap_each(const struct idmap *map, void (*visit)(void *thing, void *context), void *context);

#endif
