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
 * (prune.h).  Beside the subtables stands a list of all entries while they are only a
 * few; lookups use it then and hash nothing.
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

static struct match *
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
    tuple->match.ops = &match_tuple;
    tuple->epoch = epoch;
    tuple->by_mask = by_mask;
    tuple->n_by_mask = 16;
    atomic_init(&tuple->order, order);
    return &tuple->match;
}

static void
tuple_close(struct match *match)
{
    struct tuple *tuple = (struct tuple *) match;

    for (uint32_t i = 0; i < tuple->n_by_mask; i++) {
        while (tuple->by_mask[i]) {
            struct subtable *subtable = tuple->by_mask[i];
            tuple->by_mask[i] = subtable->next;
            free_subtable(subtable, NULL);
        }
    }
    free(tuple->by_mask);
    free(tuple_order(tuple));
    free(atomic_load_explicit(&tuple->few, memory_order_relaxed));
    prune_close(&tuple->prune);
    free(tuple);
}

static const struct flow_mask *
tuple_mask(struct match *match, const struct flow_key *bits)
{
    struct tuple *tuple = (struct tuple *) match;
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

static void tuple_each(const struct match *match, bool (*visit)(struct flow *, void *),
                       void *context);

/* --- The list of a few ------------------------------------------------------------- */

static bool
add_to_few(struct flow *flow, void *few_)
{
    struct few *few = few_;
    uint32_t i = few->n++;

    for (; i && few->list[i - 1].flow->priority < flow->priority; i--) {
        few->list[i] = few->list[i - 1];
    }
    few->list[i].mask = flow->mask;
    few->list[i].flow = flow;
    return true;
}

/* Publishes the list anew after a change.  Without memory there is none, which is only slower. */
static void
renew_few(struct tuple *tuple)
{
    struct few *old = atomic_load_explicit(&tuple->few, memory_order_relaxed);
    struct few *new = NULL;

    if (tuple->n_flows <= FEW && (new = malloc(sizeof *new))) {
        new->n = 0;
        tuple_each(&tuple->match, add_to_few, new);
        if (new->n < tuple->n_flows) {      /* No memory to visit them. */
            free(new);
            new = NULL;
        }
    }
    if (old || new) {
        atomic_store_explicit(&tuple->few, new, memory_order_release);
        epoch_free(tuple->epoch, old);
    }
}

static int
tuple_insert(struct match *match, struct flow *flow, struct flow **old)
{
    struct tuple *tuple = (struct tuple *) match;
    struct subtable *subtable = flow_subtable(flow);
    struct flow_key key, mask;

    if (subtable_reserve(tuple, subtable) || raise_top(tuple, subtable, flow->priority)) {
        return ENOMEM;
    }
    flow_match(flow, &key, &mask);
    struct slot *slot = slots_find(subtable_slots(subtable), &subtable->mask, &key, flow->hash);
    if (slot) {
        insert_in_chain(slot, flow, old);
    } else if (prune_add(&tuple->prune, subtable->member, flow)) {
        return ENOMEM;
    } else {
        slots_put(subtable_slots(subtable), flow);
        subtable->n_keys++;
    }
    subtable->n_flows += !*old;
    tuple->n_flows += !*old;
    renew_few(tuple);
    return 0;
}

static void
tuple_remove(struct match *match, struct flow *flow)
{
    struct tuple *tuple = (struct tuple *) match;
    struct subtable *subtable = flow_subtable(flow);
    struct flow_key key, mask;

    flow_match(flow, &key, &mask);
    struct slot *slot = slots_find(subtable_slots(subtable), &subtable->mask, &key, flow->hash);
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
    tuple->n_flows--;
    subtable->n_flows--;
    renew_few(tuple);               /* It points at the mask: first it, then the subtable. */
    if (!subtable->n_flows) {
        drop_subtable(tuple, subtable);
    }
}

static struct flow *
tuple_find(const struct match *match, const struct flow_key *key, const struct flow_key *mask_bits,
           uint16_t priority)
{
    const struct tuple *tuple = (const struct tuple *) match;
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

static void
tuple_each(const struct match *match, bool (*visit)(struct flow *, void *), void *context)
{
    const struct tuple *tuple = (const struct tuple *) match;
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

static void
tuple_stats(const struct match *match, struct table_stats *stats)
{
    const struct tuple *tuple = (const struct tuple *) match;
    const struct order *order = tuple_order(tuple);

    if (atomic_load_explicit(&tuple->few, memory_order_relaxed)) {
        strcpy(stats->implementation, "few");
    }
    stats->n_masks = order->n;
    stats->memory = sizeof *tuple + sizeof *order + order->n * sizeof order->list[0]
                    + prune_memory(&tuple->prune);
    for (uint32_t i = 0; i < order->n; i++) {
        stats->memory += sizeof *order->list[i] + sizeof(struct slots)
                         + subtable_slots(order->list[i])->n * sizeof(struct slot);
    }
}

const struct match_ops match_tuple = {
    .name = "tuple",
    .open = tuple_open,
    .close = tuple_close,
    .mask = tuple_mask,
    .insert = tuple_insert,
    .remove = tuple_remove,
    .lookup = tuple_lookup,
    .find = tuple_find,
    .each = tuple_each,
    .stats = tuple_stats,
};
