/* Counters: see stats.h. */

#include "stats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct drop_info drop_table[N_DROP_REASONS] = {
#define X(NAME, TEXT) { #NAME, TEXT },
    DROP_REASONS(X)
#undef X
};

static struct counter *
page_of(const struct counters *counters, uint32_t page)
{
    return atomic_load_explicit(&counters->pages[page], memory_order_relaxed);
}

static int
add_page(struct counters *counters, uint32_t page)
{
    struct counter *fresh = aligned_alloc(64, COUNTER_PAGE * sizeof *fresh);

    if (!fresh) {
        return ENOMEM;
    }
    memset(fresh, 0, COUNTER_PAGE * sizeof *fresh);
    atomic_store_explicit(&counters->pages[page], fresh, memory_order_release);
    return 0;
}

static uint32_t
pages_used(const struct counter_ids *ids)
{
    return (ids->n_used + COUNTER_PAGE - 1) / COUNTER_PAGE;
}

int
counter_ids_open(struct counter_ids *ids)
{
    *ids = (struct counter_ids) { .n_used = 1, .max_free = 1024 };
    ids->free = malloc(ids->max_free * sizeof *ids->free);
    ids->former = calloc(1, sizeof *ids->former);
    if (!ids->free || !ids->former) {
        free(ids->free);
        free(ids->former);
        *ids = (struct counter_ids) { 0 };
        return ENOMEM;
    }
    return 0;
}

static void
free_pages(struct counters *counters)
{
    for (uint32_t page = 0; page < COUNTER_PAGES; page++) {
        free(page_of(counters, page));
        atomic_store_explicit(&counters->pages[page], NULL, memory_order_relaxed);
    }
}

void
counter_ids_close(struct counter_ids *ids)
{
    if (ids->former) {
        free_pages(ids->former);
    }
    free(ids->former);
    free(ids->sets);
    free(ids->free);
    *ids = (struct counter_ids) { 0 };
}

int
counter_ids_add_set(struct counter_ids *ids, struct counters *counters)
{
    struct counters **sets = realloc(ids->sets, (ids->n_sets + 1) * sizeof *sets);

    if (!sets) {
        return ENOMEM;
    }
    ids->sets = sets;
    for (uint32_t page = 0; page < pages_used(ids); page++) {
        if (add_page(counters, page)) {
            free_pages(counters);
            return ENOMEM;
        }
    }
    sets[ids->n_sets++] = counters;
    return 0;
}

static uint64_t
load(const _Atomic uint64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

/* Adds the numbers of a page, which no worker uses, to those of the workers before; or takes the
 * page itself if they had none. */
static void
inherit(struct counters *former, struct counters *from, uint32_t page)
{
    if (!page_of(former, page)) {
        atomic_store_explicit(&former->pages[page], page_of(from, page), memory_order_relaxed);
        atomic_store_explicit(&from->pages[page], NULL, memory_order_relaxed);
        return;
    }
    for (uint32_t id = page * COUNTER_PAGE; id < (page + 1) * COUNTER_PAGE; id++) {
        const struct counter *counter = counter_at(from, id);
        uint64_t used = load(&counter->used), at = load(&counter_at(former, id)->used);
        counter_add(former, id, load(&counter->packets), load(&counter->bytes),
                    used > at ? used : at);
    }
}

void
counter_ids_remove_set(struct counter_ids *ids, struct counters *counters)
{
    for (uint32_t page = 0; page < pages_used(ids); page++) {
        inherit(ids->former, counters, page);
    }
    for (unsigned i = 0; i < ids->n_sets; i++) {
        if (ids->sets[i] == counters) {
            ids->sets[i] = ids->sets[--ids->n_sets];
            break;
        }
    }
    free_pages(counters);
}

static void
clear_in(struct counters *counters, uint32_t id)
{
    struct counter *counter = counter_at(counters, id);

    atomic_store_explicit(&counter->packets, 0, memory_order_relaxed);
    atomic_store_explicit(&counter->bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&counter->used, 0, memory_order_relaxed);
}

/* Sets a counter that no worker uses to 0. */
static void
clear(const struct counter_ids *ids, uint32_t id)
{
    for (unsigned i = 0; i < ids->n_sets; i++) {
        clear_in(ids->sets[i], id);
    }
    if (page_of(ids->former, id / COUNTER_PAGE)) {
        clear_in(ids->former, id);
    }
}

uint32_t
counter_new(struct counter_ids *ids)
{
    if (ids->n_free) {
        uint32_t id = ids->free[--ids->n_free];
        clear(ids, id);
        return id;
    }
    if (ids->n_used == COUNTER_PAGES * COUNTER_PAGE) {
        return COUNTER_NONE;
    }
    uint32_t page = ids->n_used / COUNTER_PAGE;
    for (unsigned i = 0; i < ids->n_sets; i++) {
        if (!page_of(ids->sets[i], page) && add_page(ids->sets[i], page)) {
            return COUNTER_NONE;
        }
    }
    return ids->n_used++;
}

void
counter_release(struct counter_ids *ids, uint32_t id)
{
    if (id == COUNTER_NONE) {
        return;
    }
    if (ids->n_free == ids->max_free) {
        uint32_t *more = realloc(ids->free, 2 * ids->max_free * sizeof *more);
        if (!more) {
            return;                 /* The id is never used again. */
        }
        ids->free = more;
        ids->max_free *= 2;
    }
    ids->free[ids->n_free++] = id;
}

static void
add_to(struct counter_sum *sum, const struct counters *counters, uint32_t id)
{
    const struct counter *counter = counter_at(counters, id);
    uint64_t used = load(&counter->used);

    sum->packets += load(&counter->packets);
    sum->bytes += load(&counter->bytes);
    sum->used = used > sum->used ? used : sum->used;
}

struct counter_sum
counter_read(const struct counter_ids *ids, uint32_t id)
{
    struct counter_sum sum = { 0 };

    for (unsigned i = 0; i < ids->n_sets; i++) {
        add_to(&sum, ids->sets[i], id);
    }
    if (page_of(ids->former, id / COUNTER_PAGE)) {
        add_to(&sum, ids->former, id);
    }
    return sum;
}

void
worker_counters_add(struct worker_counters *sum, const struct worker_counters *counters)
{
    _Atomic uint64_t *to = (_Atomic uint64_t *) sum;
    const _Atomic uint64_t *from = (const _Atomic uint64_t *) counters;

    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++) {
        bump(&to[i], load(&from[i]));
    }
}
