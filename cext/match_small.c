/* A few entries, highest priority first: comparing them one after the other is quicker than any hash.
 *
 * The list is replaced as a whole. */

#include <errno.h>
#include <stdlib.h>

#include "table.h"
#include "tuple.h"

struct few {
    uint32_t n;
    struct {
        const struct flow_mask *mask;
        const struct flow *flow;
    } list[FEW];
};

struct small {
    struct finder finder;
    struct epoch *epoch;
    _Atomic(struct few *) few;
};

/* One entry after the other; the first that fits has the highest priority. */
static void
small_lookup(const struct finder *finder, const struct flow_key *const keys[], unsigned n,
             const struct flow *found[])
{
    const struct small *small = (const struct small *) finder;
    const struct few *few = atomic_load_explicit(&small->few, memory_order_acquire);

    for (unsigned i = 0; i < n; i++) {
        uint32_t j = 0;

        while (j < few->n && !same_words(few->list[j].flow, few->list[j].mask, keys[i])) {
            j++;
        }
        found[i] = j < few->n ? few->list[j].flow : NULL;
    }
}

static bool
small_fits(const struct table_shape *shape, bool in_use)
{
    (void) in_use;
    return shape->n_flows <= FEW;
}

static struct finder *
small_open(const struct table_shape *shape, struct epoch *epoch)
{
    struct small *small = calloc(1, sizeof *small);
    struct few *few = calloc(1, sizeof *few);

    (void) shape;
    if (!small || !few) {
        free(small);
        free(few);
        return NULL;
    }
    *small = (struct small) { .finder = { small_lookup, &finder_few }, .epoch = epoch };
    atomic_init(&small->few, few);
    return &small->finder;
}

static struct few *
list_of(const struct small *small)
{
    return atomic_load_explicit(&small->few, memory_order_relaxed);
}

static void
small_close(struct finder *finder)
{
    struct small *small = (struct small *) finder;

    free(list_of(small));
    free(small);
}

static void
add_to(struct few *few, const struct flow *flow)
{
    uint32_t i = few->n++;

    for (; i && few->list[i - 1].flow->priority < flow->priority; i--) {
        few->list[i] = few->list[i - 1];
    }
    few->list[i].mask = flow->mask;
    few->list[i].flow = flow;
}

/* Publishes the list anew: without the entry that has the match of 'flow', with 'flow' if it comes. */
static int
renew(struct small *small, const struct flow *flow, bool comes)
{
    struct few *old = list_of(small), *new = malloc(sizeof *new);

    if (!new) {
        return ENOMEM;
    }
    new->n = 0;
    for (uint32_t i = 0; i < old->n; i++) {
        if (!flow_same_match(old->list[i].flow, flow)) {
            new->list[new->n++] = old->list[i];
        }
    }
    if (comes && new->n == FEW) {
        free(new);
        return ENOSPC;
    }
    if (comes) {
        add_to(new, flow);
    }
    atomic_store_explicit(&small->few, new, memory_order_release);
    epoch_free(small->epoch, old);
    return 0;
}

static int
small_insert(struct finder *finder, struct flow *flow)
{
    return renew((struct small *) finder, flow, true);
}

static int
small_remove(struct finder *finder, const struct flow *flow)
{
    return renew((struct small *) finder, flow, false);
}

uint16_t
few_top(const struct finder *finder)
{
    const struct few *few = list_of((const struct small *) finder);

    return few->n ? few->list[0].flow->priority : 0;
}

static void
small_stats(const struct finder *finder, struct table_stats *stats)
{
    const struct small *small = (const struct small *) finder;

    stats->memory += sizeof *small + sizeof *list_of(small);
}

const struct finder_ops finder_few = {
    .name = "few",
    .fits = small_fits,
    .at_once = true,
    .open = small_open,
    .close = small_close,
    .insert = small_insert,
    .remove = small_remove,
    .stats = small_stats,
};
