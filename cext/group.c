/* Groups: see group.h. */

#include "group.h"

#include <errno.h>
#include <stdlib.h>

enum { MIN_SLOTS = 16 };

#define GONE ((struct group *) 1)

static struct group_map *
map_new(uint32_t n_slots)
{
    struct group_map *map = calloc(1, sizeof *map + n_slots * sizeof map->slots[0]);

    if (map) {
        map->n_slots = n_slots;
    }
    return map;
}

int
group_table_open(struct group_table *table)
{
    struct group_map *map = map_new(MIN_SLOTS);

    table->n_groups = 0;
    atomic_init(&table->map, map);
    return map ? 0 : ENOMEM;
}

void
group_table_close(struct group_table *table)
{
    free(atomic_load_explicit(&table->map, memory_order_relaxed));
}

static uint32_t
slot_of(const struct group_map *map, uint32_t id)
{
    return id * 0x9e3779b1u >> 7 & (map->n_slots - 1);
}

struct group *
group_find(const struct group_table *table, uint32_t id)
{
    const struct group_map *map = atomic_load_explicit(&table->map, memory_order_acquire);

    for (uint32_t i = slot_of(map, id);; i = (i + 1) & (map->n_slots - 1)) {
        struct group *group = atomic_load_explicit(&map->slots[i], memory_order_acquire);
        if (!group || (group != GONE && group->id == id)) {
            return group;
        }
    }
}

static void
map_put(struct group_map *map, struct group *group)
{
    uint32_t i = slot_of(map, group->id);

    while (atomic_load_explicit(&map->slots[i], memory_order_relaxed)) {
        i = (i + 1) & (map->n_slots - 1);
    }
    atomic_store_explicit(&map->slots[i], group, memory_order_release);
    map->n_busy++;
}

/* Keeps at least half of the slots empty, so that every probe ends soon. */
static int
reserve(struct group_table *table, struct epoch *epoch)
{
    struct group_map *old = atomic_load_explicit(&table->map, memory_order_relaxed);

    if ((old->n_busy + 1) * 2 <= old->n_slots) {
        return 0;
    }
    struct group_map *new = map_new((table->n_groups + 1) * 4 > old->n_slots ? old->n_slots * 2
                                                                              : old->n_slots);
    if (!new) {
        return ENOMEM;
    }
    for (uint32_t i = 0; i < old->n_slots; i++) {
        struct group *group = atomic_load_explicit(&old->slots[i], memory_order_relaxed);
        if (group && group != GONE) {
            map_put(new, group);
        }
    }
    atomic_store_explicit(&table->map, new, memory_order_release);
    epoch_free(epoch, old);
    return 0;
}

int
group_insert(struct group_table *table, struct epoch *epoch, struct group *group)
{
    if (reserve(table, epoch)) {
        return ENOMEM;
    }
    map_put(atomic_load_explicit(&table->map, memory_order_relaxed), group);
    table->n_groups++;
    return 0;
}

void
group_remove(struct group_table *table, struct group *group)
{
    struct group_map *map = atomic_load_explicit(&table->map, memory_order_relaxed);

    for (uint32_t i = slot_of(map, group->id);; i = (i + 1) & (map->n_slots - 1)) {
        if (atomic_load_explicit(&map->slots[i], memory_order_relaxed) == group) {
            atomic_store_explicit(&map->slots[i], GONE, memory_order_release);
            table->n_groups--;
            return;
        }
    }
}

void
group_each(const struct group_table *table, void (*visit)(struct group *, void *), void *context)
{
    const struct group_map *map = atomic_load_explicit(&table->map, memory_order_relaxed);

    for (uint32_t i = 0; i < map->n_slots; i++) {
        struct group *group = atomic_load_explicit(&map->slots[i], memory_order_relaxed);
        if (group && group != GONE) {
            visit(group, context);
        }
    }
}
