/* Adjacencies: ids and what they stand for.  See adjacency.h. */

#include "adjacency.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct adjacency *
adjacency_make(enum adjacency_kind kind, uint32_t n_buckets)
{
    size_t size = sizeof(struct adjacency) + n_buckets * sizeof(uint32_t);
    struct adjacency *adjacency = aligned_alloc(64, (size + 63) & ~(size_t) 63);

    if (adjacency) {
        memset(adjacency, 0, size);
        adjacency->kind = kind;
        if (n_buckets) {
            adjacency->n_buckets = n_buckets;
            adjacency->buckets = (uint32_t *) (adjacency + 1);
        }
    }
    return adjacency;
}

void
adjacency_drop(struct adjacency *adjacency)
{
    free(adjacency);
}

static _Atomic(struct adjacency *) *
slot_of(const struct adjacency_table *table, uint32_t id)
{
    struct adjacency_page *page = atomic_load_explicit(&table->pages[id / ADJACENCY_PAGE],
                                                       memory_order_relaxed);

    return &page->at[id % ADJACENCY_PAGE];
}

/* Takes back one id of those that stand for an adjacency. */
static void
let_go(struct adjacency_table *table, struct adjacency *adjacency)
{
    if (adjacency && !--adjacency->refs) {
        epoch_free(table->epoch, adjacency);
    }
}

void
adjacency_publish(struct adjacency_table *table, uint32_t id, struct adjacency *adjacency)
{
    _Atomic(struct adjacency *) *slot = slot_of(table, id);
    struct adjacency *old = atomic_load_explicit(slot, memory_order_relaxed);

    if (old != adjacency) {
        adjacency->refs++;
        atomic_store_explicit(slot, adjacency, memory_order_release);
        let_go(table, old);
    }
}

/* Makes room to remember every id that may be given back, so that giving back cannot fail. */
static bool
reserve_free(struct adjacency_table *table)
{
    if (table->n_used < table->max_free) {
        return true;
    }
    uint32_t max = table->max_free ? table->max_free * 2 : ADJACENCY_PAGE;
    uint32_t *grown = realloc(table->free, max * sizeof *grown);
    if (grown) {
        table->free = grown;
        table->max_free = max;
    }
    return grown;
}

static bool
reserve_page(struct adjacency_table *table, uint32_t id)
{
    _Atomic(struct adjacency_page *) *page = &table->pages[id / ADJACENCY_PAGE];

    if (!atomic_load_explicit(page, memory_order_relaxed)) {
        struct adjacency_page *fresh = calloc(1, sizeof *fresh);
        if (!fresh) {
            return false;
        }
        atomic_store_explicit(page, fresh, memory_order_release);
    }
    return true;
}

uint32_t
adjacency_new(struct adjacency_table *table, struct adjacency *adjacency)
{
    uint32_t id = table->n_free ? table->free[table->n_free - 1] : table->n_used;

    if (id == ADJACENCY_MAX || !reserve_free(table) || !reserve_page(table, id)) {
        return 0;
    }
    if (table->n_free) {
        table->n_free--;
    } else {
        table->n_used++;
    }
    table->n++;
    adjacency_publish(table, id, adjacency);
    return id;
}

static void
give_back(void *id, void *table_)
{
    struct adjacency_table *table = table_;

    table->free[table->n_free++] = (uint32_t) (uintptr_t) id;
}

/* Packets that have just looked their route up may still hold the id. */
void
adjacency_free(struct adjacency_table *table, uint32_t id)
{
    adjacency_publish(table, id, adjacency_at(table, 0));
    table->n--;
    epoch_retire(table->epoch, (void *) (uintptr_t) id, give_back, table);
}

int
adjacency_table_open(struct adjacency_table *table, struct epoch *epoch)
{
    struct adjacency *no_route = adjacency_make(ADJACENCY_NO_ROUTE, 0);

    memset(table, 0, sizeof *table);
    table->epoch = epoch;
    if (!no_route) {
        return ENOMEM;
    }
    if (!reserve_free(table) || !reserve_page(table, 0)) {
        adjacency_drop(no_route);
        adjacency_table_close(table);
        return ENOMEM;
    }
    adjacency_new(table, no_route);
    return 0;
}

void
adjacency_table_close(struct adjacency_table *table)
{
    for (uint32_t id = 0; id < table->n_used; id++) {
        struct adjacency *adjacency = adjacency_at(table, id);
        if (!--adjacency->refs) {
            free(adjacency);
        }
    }
    for (unsigned i = 0; i < ADJACENCY_PAGES; i++) {
        free(atomic_load_explicit(&table->pages[i], memory_order_relaxed));
    }
    free(table->free);
}
