/* Lookups in tuple space; see match_tuple.c. */

#include "tuple.h"

enum { PRUNE_FROM = 3 };            /* Subtables from which on pruning pays. */

/* Packets of a batch that a subtable may still have a better entry for, and how far each is. */
struct seeking {
    unsigned n;
    uint8_t packet[PACKET_VECTOR];          /* Index in the batch. */
    uint32_t hash[PACKET_VECTOR];
    uint32_t at[PACKET_VECTOR];             /* Slot. */
    const struct flow *flow[PACKET_VECTOR]; /* Candidate. */
};

_Static_assert(PACKET_VECTOR <= UINT8_MAX + 1, "see struct seeking");

/* The first slot from 'at' on that has 'hash'; its entry, or null when the probe ends. */
static inline const struct flow *
probe(const struct slots *slots, uint32_t hash, uint32_t *at)
{
    for (uint32_t i = *at & (slots->n - 1);; i = (i + 1) & (slots->n - 1)) {
        const struct slot *slot = &slots->slot[i];
        const struct flow *flow = slot_flow(slot, memory_order_acquire);

        if (!flow || (atomic_load_explicit(&slot->hash, memory_order_relaxed) == hash
                      && flow != GONE)) {
            *at = i;
            return flow;
        }
    }
}

/* Hashes first, then slots, then entries: each pass asks the cache for what the next one
 * reads, so that the misses of a whole batch overlap. */
static void
seek(const struct slots *slots, const struct flow_mask *mask, const struct flow_key *const keys[],
     struct seeking *seeking)
{
    for (unsigned i = 0; i < seeking->n; i++) {
        seeking->hash[i] = flow_mask_hash(mask, keys[seeking->packet[i]]);
        __builtin_prefetch(&slots->slot[seeking->hash[i] & (slots->n - 1)]);
    }
    for (unsigned i = 0; i < seeking->n; i++) {
        seeking->at[i] = seeking->hash[i];
        seeking->flow[i] = probe(slots, seeking->hash[i], &seeking->at[i]);
        if (seeking->flow[i]) {
            __builtin_prefetch(&seeking->flow[i]->program);
        }
    }
    for (unsigned i = 0; i < seeking->n; i++) {
        while (seeking->flow[i] && !same_words(seeking->flow[i], mask, keys[seeking->packet[i]])) {
            seeking->at[i]++;
            seeking->flow[i] = probe(slots, seeking->hash[i], &seeking->at[i]);
        }
    }
}

static void
subtable_lookup(const struct subtable *subtable, const struct flow_key *const keys[],
                struct seeking *seeking, const struct flow *found[])
{
    const struct slots *slots = atomic_load_explicit(&subtable->slots, memory_order_acquire);

    seek(slots, &subtable->mask, keys, seeking);
    for (unsigned i = 0; i < seeking->n; i++) {
        const struct flow *flow = seeking->flow[i];
        const struct flow **best = &found[seeking->packet[i]];
        if (flow && (!*best || flow->priority > (*best)->priority)) {
            *best = flow;
        }
    }
}

/* Leaves only the packets for which an entry of priority 'top' would still matter. */
static void
keep_seeking(struct seeking *seeking, const struct flow *const found[], uint32_t top)
{
    unsigned n = 0;

    for (unsigned i = 0; i < seeking->n; i++) {
        const struct flow *best = found[seeking->packet[i]];
        seeking->packet[n] = seeking->packet[i];
        n += !best || best->priority <= top;
    }
    seeking->n = n;
}

/* All packets, one subtable after the other. */
static void
lookup_all(const struct order *order, const struct flow_key *const keys[], unsigned n,
           const struct flow *found[], bool members)
{
    struct seeking seeking;

    seeking.n = n;
    for (unsigned i = 0; i < n; i++) {
        seeking.packet[i] = i;
    }
    for (uint32_t i = 0; i < order->n && seeking.n; i++) {
        if (order->list[i]->member >= 0 && !members) {
            continue;
        }
        keep_seeking(&seeking, found, top_of(order->list[i]));
        subtable_lookup(order->list[i], keys, &seeking, found);
    }
}

/* Packets that still have candidates; each seeks in a subtable of its own. */
struct pruned {
    unsigned n;
    uint8_t packet[PACKET_VECTOR];
    uint64_t left[PACKET_VECTOR];                   /* Candidates, as places in order->members. */
    const struct subtable *subtable[PACKET_VECTOR];
    const struct slots *slots[PACKET_VECTOR];
    uint32_t hash[PACKET_VECTOR];
    uint32_t at[PACKET_VECTOR];
    const struct flow *flow[PACKET_VECTOR];
};

/* The candidates of a key, by priority. */
static uint64_t
places_of(const struct order *order, uint64_t members)
{
    uint64_t places = 0;

    for (; members; members &= members - 1) {
        places |= UINT64_C(1) << order->place[__builtin_ctzll(members)];
    }
    return places;
}

static void
find_candidates(const struct tuple *tuple, const struct order *order,
                const struct flow_key *const keys[], unsigned n, struct pruned *pruned)
{
    uint64_t known = 0;

    for (unsigned i = 0; i < order->n_members; i++) {
        known |= UINT64_C(1) << order->members[i]->member;
    }
    for (unsigned i = 0; i < n; i++) {
        prune_prefetch(&tuple->prune, keys[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        pruned->packet[i] = i;
        pruned->left[i] = places_of(order, prune_candidates(&tuple->prune, keys[i]) & known);
    }
    pruned->n = n;
}

/* Leaves the packets that have a candidate which could still win, and chooses it. */
static void
choose(const struct order *order, const struct flow *const found[], struct pruned *pruned)
{
    unsigned n = 0;

    for (unsigned i = 0; i < pruned->n; i++) {
        const struct flow *best = found[pruned->packet[i]];
        uint64_t left = pruned->left[i];

        if (!left) {
            continue;
        }
        const struct subtable *subtable = order->members[__builtin_ctzll(left)];
        if (best && best->priority > top_of(subtable)) {
            continue;
        }
        pruned->packet[n] = pruned->packet[i];
        pruned->left[n] = left & (left - 1);
        pruned->subtable[n++] = subtable;
    }
    pruned->n = n;
}

static void
seek_chosen(const struct flow_key *const keys[], struct pruned *pruned, const struct flow *found[])
{
    for (unsigned i = 0; i < pruned->n; i++) {
        const struct subtable *subtable = pruned->subtable[i];
        pruned->slots[i] = atomic_load_explicit(&subtable->slots, memory_order_acquire);
        pruned->hash[i] = flow_mask_hash(&subtable->mask, keys[pruned->packet[i]]);
        __builtin_prefetch(&pruned->slots[i]->slot[pruned->hash[i] & (pruned->slots[i]->n - 1)]);
    }
    for (unsigned i = 0; i < pruned->n; i++) {
        pruned->at[i] = pruned->hash[i];
        pruned->flow[i] = probe(pruned->slots[i], pruned->hash[i], &pruned->at[i]);
        if (pruned->flow[i]) {
            __builtin_prefetch(&pruned->flow[i]->program);
        }
    }
    for (unsigned i = 0; i < pruned->n; i++) {
        const struct flow_key *key = keys[pruned->packet[i]];
        const struct flow **best = &found[pruned->packet[i]];

        while (pruned->flow[i] && !same_words(pruned->flow[i], &pruned->subtable[i]->mask, key)) {
            pruned->at[i]++;
            pruned->flow[i] = probe(pruned->slots[i], pruned->hash[i], &pruned->at[i]);
        }
        if (pruned->flow[i] && (!*best || pruned->flow[i]->priority > (*best)->priority)) {
            *best = pruned->flow[i];
        }
    }
}

/* Each packet in its own candidates only, best priorities first; a round takes every packet one
 * candidate on. */
static void
lookup_pruned(const struct tuple *tuple, const struct order *order,
              const struct flow_key *const keys[], unsigned n, const struct flow *found[])
{
    struct pruned pruned;

    find_candidates(tuple, order, keys, n, &pruned);
    for (choose(order, found, &pruned); pruned.n; choose(order, found, &pruned)) {
        seek_chosen(keys, &pruned, found);
    }
}

void
tuple_lookup(const struct finder *finder, const struct flow_key *const keys[], unsigned n,
             const struct flow *found[])
{
    const struct tuple *tuple = (const struct tuple *) finder;
    const struct order *order = atomic_load_explicit(&tuple->order, memory_order_acquire);
    bool prune = order->n_members >= PRUNE_FROM;

    for (unsigned i = 0; i < n; i++) {
        found[i] = NULL;
    }
    if (prune) {
        lookup_pruned(tuple, order, keys, n, found);
    }
    if (!prune || order->n_members < order->n) {
        lookup_all(order, keys, n, found, !prune);
    }
}
