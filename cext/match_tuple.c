/* Tuple space: one hash table for each mask, tried in the order of their
 * highest priority until no later one can win.
 *
 * How
 * ===
 * A subtable is a hash table of the entries with one mask (exact.h).  Entries with the same mask and
 * key but lower priority hang behind the highest one ('lower'); only that one is ever found, and
 * readers do not look further.  The list of subtables is an array that is replaced as a whole.  With
 * several masks, only those subtables are tried that can hold something for the addresses of the packet
 * (prune.h).
 *
 * Reference: V. Srinivasan, S. Suri, G. Varghese, "Packet Classification Using
 * Tuple Space Search", SIGCOMM 1999. */

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "tuple.h"

/* --- Subtables ---------------------------------------------------------------- */

static struct subtable *
subtable_find(const struct tuple *tuple, const struct flow_mask *mask)
{
    struct subtable *subtable = tuple->by_mask[mask->hash & (tuple->n_by_mask - 1)];

    while (subtable && (subtable->mask.n != mask->n
                        || memcmp(subtable->mask.word, mask->word, mask->n)
                        || memcmp(subtable->mask.bits, mask->bits, mask->n * sizeof mask->bits[0]))) {
        subtable = subtable->next;
    }
    return subtable;
}

static void
grow_by_mask(struct tuple *tuple)
{
    uint32_t n = tuple->n_by_mask * 2;
    struct subtable **chains = calloc(n, sizeof *chains);

    if (!chains) {
        return;
    }
    for (uint32_t i = 0; i < tuple->n_by_mask; i++) {
        while (tuple->by_mask[i]) {
            struct subtable *subtable = tuple->by_mask[i];
            tuple->by_mask[i] = subtable->next;
            subtable->next = chains[subtable->mask.hash & (n - 1)];
            chains[subtable->mask.hash & (n - 1)] = subtable;
        }
    }
    free(tuple->by_mask);
    tuple->by_mask = chains;
    tuple->n_by_mask = n;
}

static struct subtable *
subtable_new(struct tuple *tuple, const struct flow_mask *mask)
{
    struct subtable *subtable = calloc(1, sizeof *subtable);

    if (!subtable) {
        return NULL;
    }
    subtable->mask = *mask;
    subtable->mask.seed = tuple->seed;
    subtable->mask.slab = tuple->slab;
    if (exact_open(&subtable->exact, &subtable->mask)) {
        free(subtable);
        return NULL;
    }
    if (++tuple->n_subtables > tuple->n_by_mask) {
        grow_by_mask(tuple);
    }
    subtable->age = ++tuple->n_ever;
    subtable->open = !prune_cuts(mask);
    subtable->member = prune_join(&tuple->prune, mask);
    subtable->next = tuple->by_mask[mask->hash & (tuple->n_by_mask - 1)];
    tuple->by_mask[mask->hash & (tuple->n_by_mask - 1)] = subtable;
    return subtable;
}

/* --- The order of subtables ---------------------------------------------------- */

static void
note_members(struct order *order)
{
    order->n_members = 0;
    order->n_open = 0;
    order->known = 0;
    for (uint32_t i = 0; i < order->n; i++) {
        order->n_open += order->list[i]->open;
        if (order->list[i]->member >= 0) {
            order->known |= UINT64_C(1) << order->list[i]->member;
            order->place[order->list[i]->member] = order->n_members;
            order->members[order->n_members++] = order->list[i];
        }
    }
}

/* A new order in which 'moved' is at the place that 'top' gives it; without it if
 * 'keep' is false.  Null without memory. */
static struct order *
order_with(const struct order *old, struct subtable *moved, uint32_t top, bool keep)
{
    struct order *new = malloc(sizeof *new + (old->n + 1) * sizeof new->list[0]);

    if (!new) {
        return NULL;
    }
    new->n = 0;
    for (uint32_t i = 0; i < old->n; i++) {
        if (old->list[i] == moved) {
            continue;
        }
        if (keep && top_of(old->list[i]) < top) {
            new->list[new->n++] = moved;
            keep = false;
        }
        new->list[new->n++] = old->list[i];
    }
    if (keep) {
        new->list[new->n++] = moved;
    }
    note_members(new);
    return new;
}

static struct order *
tuple_order(const struct tuple *tuple)
{
    return atomic_load_explicit(&tuple->order, memory_order_relaxed);
}

static void
publish_order(struct tuple *tuple, struct order *order)
{
    struct order *old = tuple_order(tuple);

    atomic_store_explicit(&tuple->order, order, memory_order_release);
    epoch_free(tuple->epoch, old);
}

static void
free_subtable(void *subtable_, void *unused)
{
    struct subtable *subtable = subtable_;

    (void) unused;
    exact_close(&subtable->exact);
    free(subtable);
}

/* Takes a subtable without entries out for good. */
static void
drop_subtable(struct tuple *tuple, struct subtable *subtable)
{
    struct order *order = order_with(tuple_order(tuple), subtable, 0, false);

    if (!order) {
        return;                     /* It stays, empty, which does no harm. */
    }
    struct subtable **link = &tuple->by_mask[subtable->mask.hash & (tuple->n_by_mask - 1)];
    while (*link != subtable) {
        link = &(*link)->next;
    }
    *link = subtable->next;
    tuple->n_subtables--;
    publish_order(tuple, order);
    prune_leave(&tuple->prune, subtable->member);
    epoch_retire(tuple->epoch, subtable, free_subtable, NULL);
}

/* --- Operations ------------------------------------------------------------------ */

/* The record as a finder: what the table asks of one is not asked of it. */
static const struct finder_ops tuple_ops = { .name = "tuple" };

struct tuple *
tuple_open(struct epoch *epoch, bool heads)
{
    struct tuple *tuple = calloc(1, sizeof *tuple);
    struct order *order = calloc(1, sizeof *order);
    struct subtable **by_mask = calloc(16, sizeof *by_mask);
    struct slab *slab = tuple && order && by_mask ? slab_open() : NULL;

    if (!slab) {
        free(tuple);
        free(order);
        free(by_mask);
        return NULL;
    }
    tuple->finder = (struct finder) { tuple_lookup(heads), &tuple_ops };
    tuple->epoch = epoch;
    tuple->slab = slab;
    if (getrandom(&tuple->seed, sizeof tuple->seed, GRND_NONBLOCK) < 0) {
        tuple->seed = (uintptr_t) tuple;
    }
    tuple->by_mask = by_mask;
    tuple->n_by_mask = 16;
    atomic_init(&tuple->order, order);
    return tuple;
}

void
tuple_close(struct tuple *tuple)
{
    for (uint32_t i = 0; i < tuple->n_by_mask; i++) {
        while (tuple->by_mask[i]) {
            struct subtable *subtable = tuple->by_mask[i];
            tuple->by_mask[i] = subtable->next;
            free_subtable(subtable, NULL);
        }
    }
    free(tuple->by_mask);
    free(tuple_order(tuple));
    prune_close(&tuple->prune);
    slab_close(tuple->slab);
    free(tuple);
}

const struct flow_mask *
tuple_mask(struct tuple *tuple, const struct flow_key *bits)
{
    struct flow_mask mask;

    flow_mask_from(&mask, bits);
    struct subtable *subtable = subtable_find(tuple, &mask);
    if (!subtable) {
        subtable = subtable_new(tuple, &mask);
    }
    return subtable ? &subtable->mask : NULL;
}

static struct flow *
first_of(const _Atomic uint64_t *word)
{
    return exact_flow(atomic_load_explicit(word, memory_order_relaxed));
}

/* The mask is the first member. */
static struct subtable *
flow_subtable(const struct flow *flow)
{
    return (struct subtable *) flow->mask;
}

/* Puts 'flow' among the entries of its key, highest priority first.  Readers look only at the first,
 * which is replaced with one store. */
static void
insert_in_chain(_Atomic uint64_t *word, struct flow *flow, uint64_t hash, struct flow **old)
{
    struct flow *first = first_of(word), *at = first, **link = &first;

    while (at && at->priority > flow->priority) {
        link = &at->lower;
        at = at->lower;
    }
    if (at && at->priority == flow->priority) {
        *old = at;
        at = at->lower;
    }
    flow->lower = at;
    *link = flow;
    if (first == flow) {
        exact_replace(word, flow, hash);
    }
}

/* The word that leads to an entry, or would if it were in; null if none does. */
static _Atomic uint64_t *
word_of(const struct flow *flow, uint64_t hash)
{
    const struct subtable *subtable = flow_subtable(flow);
    struct flow_key key, mask;

    flow_match(flow, &key, &mask);
    return exact_find(&subtable->exact, &subtable->mask, &key, hash, &(uint64_t) { 0 });
}

/* Lets readers look into the subtable as early as its highest priority asks
 * for.  Raising comes before the entry is there, so that none is overlooked. */
static int
raise_top(struct tuple *tuple, struct subtable *subtable, uint16_t priority)
{
    if (subtable->n_flows && priority <= top_of(subtable)) {
        return 0;
    }
    struct order *order = order_with(tuple_order(tuple), subtable, priority, true);
    if (!order) {
        return ENOMEM;
    }
    atomic_store_explicit(&subtable->top, priority, memory_order_release);
    publish_order(tuple, order);
    return 0;
}

int
tuple_insert(struct tuple *tuple, struct flow *flow, struct flow **old, struct flow **before)
{
    struct subtable *subtable = flow_subtable(flow);
    uint64_t hash = flow_hash(flow, &subtable->mask);

    *old = NULL;
    if (exact_reserve(&subtable->exact, tuple->epoch, &subtable->mask, hash)
        || raise_top(tuple, subtable, flow->priority)) {
        return ENOMEM;
    }
    _Atomic uint64_t *word = word_of(flow, hash);
    *before = word ? first_of(word) : NULL;
    if (word) {
        insert_in_chain(word, flow, hash, old);
    } else if (prune_add(&tuple->prune, subtable->member, flow)) {
        return ENOMEM;
    } else {
        flow->lower = NULL;
        exact_put(&subtable->exact, flow, hash);
    }
    subtable->n_flows += !*old;
    return 0;
}

bool
tuple_is_top(const struct tuple *tuple, const struct flow *flow, struct flow **next)
{
    (void) tuple;
    *next = flow->lower;
    return first_of(word_of(flow, flow_hash(flow, flow->mask))) == flow;
}

void
tuple_remove(struct tuple *tuple, struct flow *flow)
{
    struct subtable *subtable = flow_subtable(flow);
    uint64_t hash = flow_hash(flow, &subtable->mask);
    _Atomic uint64_t *word = word_of(flow, hash);
    struct flow *first = first_of(word);

    if (first != flow) {
        while (first->lower != flow) {
            first = first->lower;
        }
        first->lower = flow->lower;
    } else if (flow->lower) {
        exact_replace(word, flow->lower, hash);
    } else {
        exact_remove(&subtable->exact, tuple->epoch, &subtable->mask, word, hash);
        prune_remove(&tuple->prune, subtable->member, flow);
    }
    if (!--subtable->n_flows && !subtable->exact.visiting) {
        drop_subtable(tuple, subtable);
    }
}

struct flow *
tuple_top(const struct tuple *tuple, const struct flow_key *key, const struct flow_key *mask_bits)
{
    struct flow_mask mask;

    flow_mask_from(&mask, mask_bits);
    struct subtable *subtable = subtable_find(tuple, &mask);
    if (!subtable) {
        return NULL;
    }
    mask.seed = tuple->seed;
    uint64_t word;
    bool found = exact_find(&subtable->exact, &subtable->mask, key, flow_mask_hash(&mask, key), &word);
    return found ? exact_flow(word) : NULL;
}

struct flow *
tuple_find(const struct tuple *tuple, const struct flow_key *key, const struct flow_key *mask_bits,
           uint16_t priority)
{
    struct flow *flow = tuple_top(tuple, key, mask_bits);

    while (flow && flow->priority != priority) {
        flow = flow->lower;
    }
    return flow;
}

struct visiting {
    bool (*visit)(struct flow *, void *);
    void *context;
};

static bool
visit_chain(struct flow *flow, void *visiting_)
{
    const struct visiting *visiting = visiting_;

    for (struct flow *lower; flow; flow = lower) {
        lower = flow->lower;
        if (!visiting->visit(flow, visiting->context)) {
            return false;
        }
    }
    return true;
}

/* Visits the entries of a subtable; the visitor may take out the one it is given. */
static bool
subtable_each(struct tuple *tuple, struct subtable *subtable, const struct visiting *visiting)
{
    uint32_t n = subtable->n_flows;
    uint64_t from = 0;
    unsigned budget = UINT_MAX;
    bool goes_on = exact_each(&subtable->exact, &from, &budget, visit_chain, (void *) visiting);

    if (!subtable->n_flows) {
        drop_subtable(tuple, subtable);
    } else if (subtable->n_flows < n) {
        exact_tidy(&subtable->exact, tuple->epoch, &subtable->mask);
    }
    return goes_on;
}

void
tuple_each(struct tuple *tuple, bool (*visit)(struct flow *, void *), void *context)
{
    const struct visiting visiting = { visit, context };
    const struct order *order = tuple_order(tuple);
    uint32_t n = order->n;
    struct subtable **list = n ? malloc(n * sizeof *list) : NULL;

    if (!list) {
        return;
    }
    memcpy(list, order->list, n * sizeof *list);
    for (uint32_t i = 0; i < n && subtable_each(tuple, list[i], &visiting); i++) {
        continue;
    }
    free(list);
}

/* The oldest subtable with entries that is not older than 'age', or null. */
static struct subtable *
oldest_from(const struct tuple *tuple, uint64_t age)
{
    const struct order *order = tuple_order(tuple);
    struct subtable *oldest = NULL;

    for (uint32_t i = 0; i < order->n; i++) {
        struct subtable *subtable = order->list[i];
        if (subtable->age >= age && (!oldest || subtable->age < oldest->age)) {
            oldest = subtable;
        }
    }
    return oldest;
}

bool
tuple_each_top(struct tuple *tuple, struct tuple_cursor *cursor, unsigned budget,
               bool (*visit)(struct flow *, void *), void *context)
{
    bool goes_on = true;

    while (goes_on && budget && !cursor->ended) {
        struct subtable *subtable = oldest_from(tuple, cursor->subtable);
        if (!subtable) {
            cursor->ended = true;
            break;
        }
        cursor->from = subtable->age == cursor->subtable ? cursor->from : 0;
        goes_on = exact_each(&subtable->exact, &cursor->from, &budget, visit, context);
        cursor->subtable = subtable->age + !cursor->from;
    }
    return goes_on;
}

uint32_t
tuple_masks(const struct tuple *tuple)
{
    return tuple_order(tuple)->n;
}

uint32_t
tuple_open_masks(const struct tuple *tuple)
{
    return tuple_order(tuple)->n_open;
}

const struct flow_mask *
shape_mask(const struct table_shape *shape, uint32_t i, uint32_t *n_flows)
{
    const struct subtable *subtable = tuple_order(shape->record)->list[i];

    *n_flows = subtable->n_flows;
    return &subtable->mask;
}

size_t
tuple_memory(const struct tuple *tuple)
{
    const struct order *order = tuple_order(tuple);
    size_t memory = sizeof *tuple + sizeof *order + order->n * sizeof order->list[0]
                    + prune_memory(&tuple->prune);

    for (uint32_t i = 0; i < order->n; i++) {
        memory += sizeof *order->list[i] + exact_memory(&order->list[i]->exact);
    }
    return memory;
}

void
tuple_stats(const struct tuple *tuple, struct table_stats *stats)
{
    stats->n_masks = tuple_masks(tuple);
    stats->memory = tuple_memory(tuple);
}
