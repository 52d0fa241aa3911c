/* Things by number: see idmap.h. */

#include "idmap.h"

#include <errno.h>
#include <stdlib.h>

enum { MIN_BITS = 4, MAX_BITS = 31 };   /* Of the number of slots. */

/* Where something was; no thing lies at this address. */
#define GONE ((uint32_t *) sizeof(uint32_t))

static uint32_t
hash_of(uint32_t id)
{
    return id * 0x9e3779b1u;
}

static uint32_t
slot_of(const struct idmap_slots *slots, uint32_t id)
{
    return hash_of(id) >> slots->shift;
}

static struct idmap_slots *
own_slots(const struct idmap *map)
{
    return atomic_load_explicit(&map->slots, memory_order_relaxed);
}

static uint32_t *
own_thing(const struct idmap_slots *slots, uint32_t slot)
{
    return atomic_load_explicit(&slots->thing[slot], memory_order_relaxed);
}

void
idmap_close(struct idmap *map)
{
    free(own_slots(map));
    atomic_store_explicit(&map->slots, NULL, memory_order_relaxed);
    map->n = 0;
}

void *
idmap_find(const struct idmap *map, uint32_t id)
{
    const struct idmap_slots *slots = atomic_load_explicit(&map->slots, memory_order_acquire);

    if (!slots) {
        return NULL;
    }
    for (uint32_t i = slot_of(slots, id);; i = (i + 1) & (slots->n - 1)) {
        uint32_t *thing = atomic_load_explicit(&slots->thing[i], memory_order_acquire);
        if (!thing || (thing != GONE && *thing == id)) {
            return thing;
        }
    }
}

static void
put(struct idmap_slots *slots, uint32_t *thing)
{
    uint32_t i = slot_of(slots, *thing);

    while (own_thing(slots, i)) {
        i = (i + 1) & (slots->n - 1);
    }
    atomic_store_explicit(&slots->thing[i], thing, memory_order_release);
    slots->n_busy++;
}

/* New slots with what is in 'old', at most a quarter full; null without memory. */
static struct idmap_slots *
rehash(const struct idmap_slots *old, uint32_t n_things)
{
    unsigned bits = MIN_BITS;

    while (UINT64_C(1) << bits < 4 * (uint64_t) (n_things + 1) && bits < MAX_BITS) {
        bits++;
    }
    struct idmap_slots *new = calloc(1, sizeof *new + (sizeof new->thing[0] << bits));
    if (!new) {
        return NULL;
    }
    new->n = UINT32_C(1) << bits;
    new->shift = 32 - bits;
    for (uint32_t i = 0; old && i < old->n; i++) {
        uint32_t *thing = own_thing(old, i);
        if (thing && thing != GONE) {
            put(new, thing);
        }
    }
    return new;
}

int
idmap_insert(struct idmap *map, struct epoch *epoch, void *thing)
{
    struct idmap_slots *slots = own_slots(map);

    if (!slots || (slots->n_busy + 1) * 2 > slots->n) {
        struct idmap_slots *new = rehash(slots, map->n);
        if (!new) {
            return ENOMEM;
        }
        atomic_store_explicit(&map->slots, new, memory_order_release);
        if (slots) {
            epoch_free(epoch, slots);
        }
        slots = new;
    }
    put(slots, thing);
    map->n++;
    return 0;
}

void
idmap_remove(struct idmap *map, void *thing)
{
    struct idmap_slots *slots = own_slots(map);
    uint32_t i = slot_of(slots, *(const uint32_t *) thing);

    while (own_thing(slots, i) != thing) {
        i = (i + 1) & (slots->n - 1);
    }
    atomic_store_explicit(&slots->thing[i], GONE, memory_order_release);
    map->n--;
}

void
idmap_each(const struct idmap *map, void (*visit)(void *thing, void *context), void *context)
{
    const struct idmap_slots *slots = own_slots(map);

    for (uint32_t i = 0; slots && i < slots->n; i++) {
        uint32_t *thing = own_thing(slots, i);
        if (thing && thing != GONE) {
            visit(thing, context);
        }
    }
}

/* What is next after the cursor is in its slot or, if that was taken, in the run of slots that goes on from there,
 * maybe at the beginning; of those in the run that follow it is the first. */
void *
idmap_next(const struct idmap *map, uint64_t *cursor)
{
    const struct idmap_slots *slots = own_slots(map);
    uint32_t *next = NULL;

    if (!slots) {
        return NULL;
    }
    for (uint64_t i = *cursor >> slots->shift;; i++) {
        uint32_t *thing = own_thing(slots, i & (slots->n - 1));
        if (!thing && (next || i >= slots->n)) {
            break;
        }
        if (thing && thing != GONE && hash_of(*thing) >= *cursor && slot_of(slots, *thing) <= i
            && (!next || hash_of(*thing) < hash_of(*next))) {
            next = thing;
        }
    }
    *cursor = next ? (uint64_t) hash_of(*next) + 1 : UINT64_C(1) << 32;
    return next;
}
