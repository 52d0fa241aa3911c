/* A few entries, highest priority first: comparing them one after the other is quicker than any hash.
 *
 * The list is replaced as a whole. */

#include <errno.h>
#include <stdlib.h>

#include "table.h"
#include "tuple.h"

enum { FEW_ALIKE = 3 };             /* With one mask, hashing is quicker than comparing more. */

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

/* Packets that nothing was found for yet. */
struct seeking {
    unsigned n;
    uint8_t packet[PACKET_VECTOR];
};

/* Lets the packets that an entry of 'n_words' words matches have it, and leaves the others. */
static inline __attribute__((always_inline)) void
compare_with(const struct flow *flow, const struct flow_mask *mask, unsigned n_words,
             const struct flow_key *const keys[], struct seeking *seeking,
             const struct flow *found[])
{
    unsigned n_left = 0;

    for (unsigned i = 0; i < seeking->n; i++) {
        const unsigned packet = seeking->packet[i];
        uint64_t difference = 0;
        for (unsigned j = 0; j < n_words; j++) {
            difference |= (keys[packet]->word[mask->word[j]] & mask->bits[j]) ^ flow->words[j];
        }
        found[packet] = difference ? NULL : flow;
        seeking->packet[n_left] = (uint8_t) packet;
        n_left += difference != 0;
    }
    seeking->n = n_left;
}

/* One entry after the other; the first that fits has the highest priority.  The usual numbers of words
 * have loops of their own. */
static void
small_lookup(const struct finder *finder, const struct flow_key *const keys[], unsigned n,
             const struct flow *found[])
{
    const struct small *small = (const struct small *) finder;
    const struct few *few = atomic_load_explicit(&small->few, memory_order_acquire);
    struct seeking seeking = { .n = n };

    for (unsigned i = 0; i < n; i++) {
        seeking.packet[i] = (uint8_t) i;
        found[i] = NULL;
    }
    for (uint32_t i = 0; i < few->n && seeking.n; i++) {
        const struct flow *flow = few->list[i].flow;
        const struct flow_mask *mask = few->list[i].mask;
        switch (mask->n) {
        case 0:
            compare_with(flow, mask, 0, keys, &seeking, found);
            break;
        case 1:
            compare_with(flow, mask, 1, keys, &seeking, found);
            break;
        case 2:
            compare_with(flow, mask, 2, keys, &seeking, found);
            break;
        default:
            compare_with(flow, mask, mask->n, keys, &seeking, found);
        }
    }
}

static bool
small_fits(const struct table_shape *shape, bool in_use)
{
    (void) in_use;
    return shape->n_flows <= (shape->n_masks > 1 ? FEW : FEW_ALIKE);
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
