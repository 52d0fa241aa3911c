/* Tuple space: one hash table for each mask, tried in the order of their
 * highest priority until no later one can win.
 *
 * How
 * ===
 * A subtable is an array of slots, linear probing; a slot has the hash of a
 * key beside the pointer to its entry, so that a comparison that would fail costs no
 * cache miss.  Entries with the same mask and key but lower priority hang
 * behind the highest one ('lower'); only that one is ever found.  The list of
 * subtables is an array that is replaced as a whole.  With several masks, only
 * those subtables are tried that can hold something for the addresses of the packet
 * (prune.h).
 *
 * Readers
 * =======
 * A slot goes from empty to used to gone (tombstone), never back to empty or
 * to another key while the array lives; growing and sweeping make a new array and
 * publish it with one store.  The hash of a slot is written before its
 * pointer, and a reader compares the whole key, so a stale hash can at worst make it miss an
 * entry that is being put in or taken out at that moment.
 *
 * Reference: V. Srinivasan, S. Suri, G. Varghese, "Packet Classification Using
 * Tuple Space Search", SIGCOMM 1999. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tuple.h"

enum { MIN_SLOTS = 8, AHEAD = 8 /* Slots, of entries to be visited. */ };

/* --- Slots ------------------------------------------------------------------- */

static struct slots *
slots_new(uint32_t n)
{
    struct slots *slots = calloc(1, sizeof *slots + n * sizeof slots->slot[0]);

    if (slots) {
        slots->n = n;
    }
    return slots;
}

/* Puts an entry into an array that no reader sees yet, or whose slot at the
 * end of the probe is empty: the pointer is what publishes it. */
static void
slots_put(struct slots *slots, struct flow *flow)
{
    uint32_t i = flow->hash & (slots->n - 1);

    while (slot_flow(&slots->slot[i], memory_order_relaxed)) {
        i = (i + 1) & (slots->n - 1);
    }
    atomic_store_explicit(&slots->slot[i].hash, flow->hash, memory_order_relaxed);
    atomic_store_explicit(&slots->slot[i].flow, flow, memory_order_release);
    slots->n_busy++;
}

static struct slot *
slots_find(const struct slots *slots, const struct flow_mask *mask, const struct flow_key *key,
           uint32_t hash)
{
    for (uint32_t i = hash & (slots->n - 1);; i = (i + 1) & (slots->n - 1)) {
        const struct slot *slot = &slots->slot[i];
        struct flow *flow = slot_flow(slot, memory_order_acquire);

        if (!flow) {
            return NULL;
        }
        if (flow != GONE && atomic_load_explicit(&slot->hash, memory_order_relaxed) == hash
            && same_words(flow, mask, key)) {
            return (struct slot *) slot;
        }
    }
}

/* --- Subtables ---------------------------------------------------------------- */

static struct slots *
subtable_slots(const struct subtable *subtable)
{
    return atomic_load_explicit(&subtable->slots, memory_order_relaxed);
}

/* Makes sure that one more key fits and that a probe ends: at least a quarter
 * of the slots is empty. */
static int
subtable_reserve(struct tuple *tuple, struct subtable *subtable)
{
    struct slots *old = subtable_slots(subtable);
    uint32_t n = old->n;

    if ((old->n_busy + 1) * 4 <= n * 3) {
        return 0;
    }
    while ((subtable->n_keys + 1) * 2 > n) {
        n *= 2;
    }
    struct slots *new = slots_new(n);
    if (!new) {
        return ENOMEM;
    }
    for (uint32_t i = 0; i < old->n; i++) {
        struct flow *flow = slot_flow(&old->slot[i], memory_order_relaxed);
        if (flow && flow != GONE) {
            slots_put(new, flow);
        }
    }
    atomic_store_explicit(&subtable->slots, new, memory_order_release);
    epoch_free(tuple->epoch, old);
    return 0;
}

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
    struct slots *slots = slots_new(MIN_SLOTS);

    if (!subtable || !slots) {
        free(subtable);
        free(slots);
        return NULL;
    }
    if (++tuple->n_subtables > tuple->n_by_mask) {
        grow_by_mask(tuple);
    }
    subtable->mask = *mask;
    subtable->member = prune_join(&tuple->prune, mask);
    atomic_init(&subtable->slots, slots);
    subtable->next = tuple->by_mask[mask->hash & (tuple->n_by_mask - 1)];
    tuple->by_mask[mask->hash & (tuple->n_by_mask - 1)] = subtable;
    return subtable;
}

/* --- The order of subtables ---------------------------------------------------- */

static void
note_members(struct order *order)
{
    order->n_members = 0;
    for (uint32_t i = 0; i < order->n; i++) {
        if (order->list[i]->member >= 0) {
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
    free(subtable_slots(subtable));
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
tuple_open(struct epoch *epoch)
{
    struct tuple *tuple = calloc(1, sizeof *tuple);
    struct order *order = calloc(1, sizeof *order);
    struct subtable **by_mask = calloc(16, sizeof *by_mask);

    if (!tuple || !order || !by_mask) {
        free(tuple);
        free(order);
        free(by_mask);
        return NULL;
    }
    tuple->finder = (struct finder) { tuple_lookup, &tuple_ops };
    tuple->epoch = epoch;
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

/* The mask is the first member. */
static struct subtable *
flow_subtable(const struct flow *flow)
{
    return (struct subtable *) flow->mask;
}

static struct flow *
flow_lower(const struct flow *flow)
{
    return atomic_load_explicit(&flow->lower, memory_order_relaxed);
}

/* Puts 'flow' among the entries of its key, highest priority first.  Each step is one store that
 * readers see whole: they look only at the first. */
static void
insert_in_chain(struct slot *slot, struct flow *flow, struct flow **old)
{
    _Atomic(struct flow *) *link = &slot->flow;
    struct flow *at = atomic_load_explicit(link, memory_order_relaxed);

    while (at && at->priority > flow->priority) {
        link = &at->lower;
        at = flow_lower(at);
    }
    if (at && at->priority == flow->priority) {
        *old = at;
        at = flow_lower(at);
    }
    atomic_store_explicit(&flow->lower, at, memory_order_relaxed);
    atomic_store_explicit(link, flow, memory_order_release);
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
    struct flow_key key, mask;

    *old = NULL;
    if (subtable_reserve(tuple, subtable) || raise_top(tuple, subtable, flow->priority)) {
        return ENOMEM;
    }
    flow_match(flow, &key, &mask);
    struct slot *slot = slots_find(subtable_slots(subtable), &subtable->mask, &key, flow->hash);
    *before = slot ? slot_flow(slot, memory_order_relaxed) : NULL;
    if (slot) {
        insert_in_chain(slot, flow, old);
    } else if (prune_add(&tuple->prune, subtable->member, flow)) {
        return ENOMEM;
    } else {
        slots_put(subtable_slots(subtable), flow);
        subtable->n_keys++;
    }
    subtable->n_flows += !*old;
    return 0;
}

static struct slot *
slot_of(const struct flow *flow)
{
    const struct subtable *subtable = flow_subtable(flow);
    struct flow_key key, mask;

    flow_match(flow, &key, &mask);
    return slots_find(subtable_slots(subtable), &subtable->mask, &key, flow->hash);
}

bool
tuple_is_top(const struct tuple *tuple, const struct flow *flow, struct flow **next)
{
    (void) tuple;
    *next = flow_lower(flow);
    return slot_flow(slot_of(flow), memory_order_relaxed) == flow;
}

void
tuple_remove(struct tuple *tuple, struct flow *flow)
{
    struct subtable *subtable = flow_subtable(flow);
    struct slot *slot = slot_of(flow);
    _Atomic(struct flow *) *link = &slot->flow;

    while (atomic_load_explicit(link, memory_order_relaxed) != flow) {
        link = &atomic_load_explicit(link, memory_order_relaxed)->lower;
    }
    struct flow *next = flow_lower(flow);
    bool last = link == &slot->flow && !next;
    atomic_store_explicit(link, last ? GONE : next, memory_order_release);
    if (last) {
        subtable->n_keys--;
        prune_remove(&tuple->prune, subtable->member, flow);
    }
    subtable->n_flows--;
    if (!subtable->n_flows) {
        drop_subtable(tuple, subtable);
    }
}

struct flow *
tuple_find(const struct tuple *tuple, const struct flow_key *key, const struct flow_key *mask_bits,
           uint16_t priority)
{
    struct flow_mask mask;

    flow_mask_from(&mask, mask_bits);
    struct subtable *subtable = subtable_find(tuple, &mask);
    if (!subtable) {
        return NULL;
    }
    struct slot *slot = slots_find(subtable_slots(subtable), &subtable->mask, key,
                                   flow_mask_hash(&mask, key));
    struct flow *flow = slot ? slot_flow(slot, memory_order_relaxed) : NULL;
    while (flow && flow->priority != priority) {
        flow = flow_lower(flow);
    }
    return flow;
}

/* Fetches the lines of an entry that will be visited soon. */
static void
prefetch_flow(const struct slots *slots, uint32_t i)
{
    const struct flow *flow = i < slots->n ? slot_flow(&slots->slot[i], memory_order_relaxed) : NULL;

    if (flow && flow != GONE) {
        __builtin_prefetch(flow);
        __builtin_prefetch(&flow->program);
        __builtin_prefetch(&flow->words[6]);
    }
}

/* Visits the entries of a subtable; the visitor may take out the one it is
 * given, so the number of flows says when the subtable has gone with the last. */
static bool
subtable_each(struct subtable *subtable, bool (*visit)(struct flow *, void *), void *context)
{
    struct slots *slots = subtable_slots(subtable);
    uint32_t left = subtable->n_flows;

    for (uint32_t i = 0; left && i < slots->n; i++) {
        struct flow *flow = slot_flow(&slots->slot[i], memory_order_relaxed);
        prefetch_flow(slots, i + AHEAD);
        while (flow && flow != GONE) {
            struct flow *lower = flow_lower(flow);
            left--;
            if (!visit(flow, context)) {
                return false;
            }
            flow = lower;
        }
    }
    return true;
}

void
tuple_each(const struct tuple *tuple, bool (*visit)(struct flow *, void *), void *context)
{
    const struct order *order = tuple_order(tuple);
    uint32_t n = order->n;
    struct subtable **list = n ? malloc(n * sizeof *list) : NULL;

    if (!list) {
        return;
    }
    memcpy(list, order->list, n * sizeof *list);
    for (uint32_t i = 0; i < n && subtable_each(list[i], visit, context); i++) {
        continue;
    }
    free(list);
}

bool
tuple_each_top(const struct tuple *tuple, bool (*visit)(struct flow *, void *), void *context)
{
    const struct order *order = tuple_order(tuple);

    for (uint32_t i = 0; i < order->n; i++) {
        const struct slots *slots = subtable_slots(order->list[i]);
        for (uint32_t j = 0; j < slots->n; j++) {
            struct flow *flow = slot_flow(&slots->slot[j], memory_order_relaxed);
            if (flow && flow != GONE && !visit(flow, context)) {
                return false;
            }
        }
    }
    return true;
}

uint32_t
tuple_masks(const struct tuple *tuple)
{
    return tuple_order(tuple)->n;
}

const struct flow_mask *
shape_mask(const struct table_shape *shape, uint32_t i, uint32_t *n_flows)
{
    const struct subtable *subtable = tuple_order(shape->record)->list[i];

    *n_flows = subtable->n_flows;
    return &subtable->mask;
}

void
tuple_stats(const struct tuple *tuple, struct table_stats *stats)
{
    const struct order *order = tuple_order(tuple);

    stats->n_masks = order->n;
    stats->memory = sizeof *tuple + sizeof *order + order->n * sizeof order->list[0]
                    + prune_memory(&tuple->prune);
    for (uint32_t i = 0; i < order->n; i++) {
        stats->memory += sizeof *order->list[i] + sizeof(struct slots)
                         + subtable_slots(order->list[i])->n * sizeof(struct slot);
    }
}
