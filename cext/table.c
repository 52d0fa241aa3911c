/* Flow tables: see table.h.  What all implementations share, and which one a
 * table has. */

#include "table.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "tuple.h"

void
flow_mask_from(struct flow_mask *mask, const struct flow_key *bits)
{
    *mask = (struct flow_mask) { .hash = 0 };
    for (unsigned i = 0; i < N_KEY_WORDS; i++) {
        if (bits->word[i]) {
            mask->word[mask->n] = i;
            mask->bits[mask->n++] = bits->word[i];
            mask->hash = hash_word(mask->hash, bits->word[i] + i);
        }
    }
}

static size_t
flow_size(unsigned n_words, size_t args_size)
{
    return offsetof(struct flow, words) + (n_words + (args_size + 7) / 8) * sizeof(uint64_t);
}

struct flow *
flow_new(const struct flow_mask *mask, const struct flow_key *key, const void *args,
         size_t args_size)
{
    size_t size = flow_size(mask->n, args_size);
    bool in_slab = mask->slab && slab_lines(size) <= SLAB_LINES;
    struct flow *flow = in_slab ? slab_alloc(mask->slab, slab_lines(size))
                                : aligned_alloc(64, (size + 63) & ~(size_t) 63);

    if (!flow) {
        return NULL;
    }
    memset(flow, 0, size);
    flow->in_slab = in_slab;
    flow->mask = mask;
    flow->n_words = mask->n;
    flow->args_size = args_size;
    for (unsigned i = 0; i < mask->n; i++) {
        flow->words[i] = key->word[mask->word[i]] & mask->bits[i];
    }
    if (args_size) {
        memcpy(flow->words + mask->n, args, args_size);
    }
    return flow;
}

void
flow_free(struct flow *flow)
{
    if (flow->in_slab) {
        slab_free(flow);
    } else {
        free(flow);
    }
}

size_t
flow_memory(const struct flow *flow)
{
    return slab_lines(flow_size(flow->n_words, flow->args_size)) * (size_t) SLAB_LINE;
}

void
flow_match(const struct flow *flow, struct flow_key *key, struct flow_key *mask)
{
    memset(key, 0, sizeof *key);
    memset(mask, 0, sizeof *mask);
    for (unsigned i = 0; i < flow->n_words; i++) {
        key->word[flow->mask->word[i]] = flow->words[i];
        mask->word[flow->mask->word[i]] = flow->mask->bits[i];
    }
}

/* --- Which finder a table has ----------------------------------------------------------------- */

/* The first that fits is the one; if none does, the record. */
static const struct finder_ops *const finders[] = {
    &finder_few,
    &finder_prefix,
    &finder_merged,
};

enum { N_FINDERS = sizeof finders / sizeof finders[0] };

static void
close_finder(void *finder_, void *unused)
{
    struct finder *finder = finder_;

    (void) unused;
    finder->ops->close(finder);
}

/* Lets 'finder' answer from now on. */
static void
publish(struct table *table, const struct finder *finder)
{
    atomic_store_explicit(&table->finder, finder, memory_order_release);
}

/* Does without the finder beside the record. */
static void
drop_finder(struct table *table)
{
    if (table->current) {
        publish(table, tuple_finder(table->record));
        epoch_retire(table->epoch, table->current, close_finder, NULL);
        table->current = NULL;
        table->complete = false;
    }
}

static struct table_shape
shape_of(const struct table *table)
{
    return (struct table_shape) {
        table->n_flows, tuple_masks(table->record), tuple_open_masks(table->record), table->record,
    };
}

/* 'at_once': without those that are changed to later. */
static const struct finder_ops *
best_finder(const struct table *table, bool at_once)
{
    const struct table_shape shape = shape_of(table);

    for (unsigned i = 0; i < N_FINDERS; i++) {
        bool in_use = table->current && table->current->ops == finders[i];
        bool asked = in_use || finders[i]->at_once || !at_once;
        if (asked && finders[i]->fits(&shape, in_use)) {
            return finders[i];
        }
    }
    return NULL;
}

static bool
fill_one(struct flow *flow, void *finder_)
{
    struct finder *finder = finder_;

    return !finder->ops->insert(finder, flow);
}

/* Gives a finder 'budget' more entries of the record, and puts it to use when it has all. */
static void
fill(struct table *table, unsigned budget)
{
    struct finder *finder = table->current;

    if (!tuple_each_top(table->record, &table->filled, budget, fill_one, finder)) {
        drop_finder(table);
    } else if (table->filled.ended) {
        table->complete = true;
        publish(table, finder);
    }
}

/* Begins to change to a finder. */
static void
change_to(struct table *table, const struct finder_ops *ops)
{
    const struct table_shape shape = shape_of(table);

    drop_finder(table);
    table->filled = (struct tuple_cursor) { .ended = false };
    table->current = ops ? ops->open(&shape, table->epoch) : NULL;
    if (table->current && ops->at_once) {
        fill(table, UINT_MAX);
    }
}

static bool
has_finder(const struct table *table, const struct finder_ops *ops)
{
    return ops == (table->current ? table->current->ops : NULL);
}

/* After a change: what is done at once, and whether something is left for table_work(). */
static void
after_change(struct table *table)
{
    const struct finder_ops *ops = best_finder(table, true);

    table->pending = true;
    if (!has_finder(table, ops)) {
        change_to(table, ops);
    }
}

void
table_work(struct table *table, unsigned budget)
{
    if (!table->pending) {
        return;
    }
    const struct finder_ops *ops = best_finder(table, false);
    table->pending = false;
    if (!has_finder(table, ops)) {
        change_to(table, ops);
    }
    if (table->current && !table->complete) {
        fill(table, budget);
        table->pending = true;
    }
}

/* --- Operations --------------------------------------------------------------------------------- */

int
table_open(struct table *table, struct epoch *epoch)
{
    *table = (struct table) { .record = tuple_open(epoch, false), .epoch = epoch };
    if (!table->record) {
        return ENOMEM;
    }
    atomic_init(&table->finder, tuple_finder(table->record));
    return 0;
}

struct releasing {
    struct table *table;
    void (*release)(struct flow *, void *);
    void *context;
};

static bool
release_one(struct flow *flow, void *releasing_)
{
    struct releasing *releasing = releasing_;

    tuple_remove(releasing->table->record, flow);
    releasing->release(flow, releasing->context);
    return true;
}

void
table_close(struct table *table, void (*release)(struct flow *, void *), void *context)
{
    struct releasing releasing = { table, release, context };

    if (table->current) {
        close_finder(table->current, NULL);
    }
    table_each(table, release_one, &releasing);
    tuple_close(table->record);
    table->record = NULL;
}

const struct flow_mask *
table_mask(struct table *table, const struct flow_key *bits)
{
    return tuple_mask(table->record, bits);
}

/* The record first: where the finder cannot follow, the record answers. */
int
table_insert(struct table *table, struct flow *flow, struct flow **old)
{
    struct flow *before;
    int error = tuple_insert(table->record, flow, old, &before);

    if (error) {
        return error;
    }
    table->n_flows += !*old;
    if (table->current && (!before || before->priority <= flow->priority)
        && table->current->ops->insert(table->current, flow)) {
        drop_finder(table);
    }
    after_change(table);
    return 0;
}

/* Takes an entry that is found out of the finder; 'next', if not null, is found then. */
static int
remove_from(struct finder *finder, const struct flow *flow, struct flow *next)
{
    return next ? finder->ops->insert(finder, next) : finder->ops->remove(finder, flow);
}

/* The finder first: nobody finds what is in the record no more. */
void
table_remove(struct table *table, struct flow *flow)
{
    struct flow *next;

    if (table->current && tuple_is_top(table->record, flow, &next)
        && remove_from(table->current, flow, next)) {
        drop_finder(table);
    }
    tuple_remove(table->record, flow);
    table->n_flows--;
    after_change(table);
}

struct flow *
table_find(const struct table *table, const struct flow_key *key, const struct flow_key *mask,
           uint16_t priority)
{
    return tuple_find(table->record, key, mask, priority);
}

void
table_each(const struct table *table, bool (*visit)(struct flow *, void *), void *context)
{
    tuple_each(table->record, visit, context);
}

void
table_stats(const struct table *table, struct table_stats *stats)
{
    const struct finder *finder = atomic_load_explicit(&table->finder, memory_order_relaxed);

    *stats = (struct table_stats) { .n_flows = table->n_flows };
    memcpy(stats->implementation, finder->ops->name, sizeof stats->implementation);
    tuple_stats(table->record, stats);
    if (table->current) {
        table->current->ops->stats(table->current, stats);
    }
}
