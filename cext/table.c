/* Flow tables: see table.h.  What all implementations share, and which one a
 * table has. */

#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

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

struct flow *
flow_new(const struct flow_mask *mask, const struct flow_key *key, const void *args,
         size_t args_size)
{
    size_t words = mask->n + (args_size + 7) / 8;
    size_t size = offsetof(struct flow, words) + words * sizeof(uint64_t);
    struct flow *flow = aligned_alloc(64, (size + 63) & ~(size_t) 63);

    if (!flow) {
        return NULL;
    }
    memset(flow, 0, size);
    flow->mask = mask;
    flow->n_words = mask->n;
    flow->args_size = args_size;
    flow->hash = flow_mask_hash(mask, key);
    for (unsigned i = 0; i < mask->n; i++) {
        flow->words[i] = key->word[mask->word[i]] & mask->bits[i];
    }
    if (args_size) {
        memcpy(flow->words + mask->n, args, args_size);
    }
    return flow;
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

static struct match *
table_match(const struct table *table)
{
    return atomic_load_explicit(&table->match, memory_order_relaxed);
}

int
table_open(struct table *table, struct epoch *epoch)
{
    struct match *match = match_tuple.open(epoch);

    table->epoch = epoch;
    table->n_flows = 0;
    atomic_init(&table->match, match);
    return match ? 0 : ENOMEM;
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

    table_remove(releasing->table, flow);
    releasing->release(flow, releasing->context);
    return true;
}

void
table_close(struct table *table, void (*release)(struct flow *, void *), void *context)
{
    struct releasing releasing = { table, release, context };
    struct match *match = table_match(table);

    table_each(table, release_one, &releasing);
    match->ops->close(match);
}

const struct flow_mask *
table_mask(struct table *table, const struct flow_key *bits)
{
    struct match *match = table_match(table);

    return match->ops->mask(match, bits);
}

int
table_insert(struct table *table, struct flow *flow, struct flow **old)
{
    struct match *match = table_match(table);

    *old = NULL;
    int error = match->ops->insert(match, flow, old);
    if (!error && !*old) {
        table->n_flows++;
    }
    return error;
}

void
table_remove(struct table *table, struct flow *flow)
{
    struct match *match = table_match(table);

    match->ops->remove(match, flow);
    table->n_flows--;
}

struct flow *
table_find(const struct table *table, const struct flow_key *key, const struct flow_key *mask,
           uint16_t priority)
{
    const struct match *match = table_match(table);

    return match->ops->find(match, key, mask, priority);
}

void
table_each(const struct table *table, bool (*visit)(struct flow *, void *), void *context)
{
    const struct match *match = table_match(table);

    match->ops->each(match, visit, context);
}

void
table_stats(const struct table *table, struct table_stats *stats)
{
    const struct match *match = table_match(table);

    *stats = (struct table_stats) { .n_flows = table->n_flows };
    memcpy(stats->implementation, match->ops->name, sizeof stats->implementation);
    match->ops->stats(match, stats);
}
