/* Lookups by prefix; see prefix.h. */

#include "prefix.h"

enum { TOGETHER = 64 /* Packets that go down at a time: what they need stays in the L1 cache. */ };

/* Packets that are on their way down a trie. */
struct descent {
    unsigned n;
    uint8_t packet[TOGETHER];       /* Index in the batch. */
    uint64_t node[TOGETHER];        /* Where each is, */
    uint64_t bits[TOGETHER];        /* and what is left of the word of its field, highest bit first. */
};

static inline void
keep_better(uint64_t *best, uint64_t entry)
{
    *best = entry > *best ? entry : *best;
}

/* Bit 8i + 7 is set if lane i agrees with 'byte' under its mask. */
static inline uint64_t
agreeing(uint64_t values, uint64_t masks, uint64_t byte)
{
    const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t difference = (values ^ byte * UINT64_C(0x0101010101010101)) & masks;

    return ~(((difference & low) + low) | difference | low);
}

/* Takes the items of the lanes in 'lanes': keeps the better flow, returns the child or 0. */
static inline uint64_t
take_items(const _Atomic uint64_t *entries, uint64_t lanes, uint64_t child, uint64_t *best)
{
    for (; lanes; lanes &= lanes - 1) {
        uint64_t entry = trie_load(&entries[(unsigned) __builtin_ctzll(lanes) / TRIE_LANES]);
        if (trie_kind(entry) <= TRIE_FLOW) {
            keep_better(best, entry);
        } else {
            child = entry;
        }
    }
    return child;
}

/* Looks for a byte in a node.  Returns the child, or 0. */
static inline uint64_t
step(uint64_t node, unsigned byte, uint64_t *best)
{
    if (trie_kind(node) == TRIE_DENSE) {
        const struct trie_dense *dense = trie_pointer(node);
        keep_better(best, trie_load(&dense->slots[byte].flow));
        return trie_load(&dense->slots[byte].child);
    }
    if (trie_kind(node) == TRIE_SMALL) {
        const struct trie_small *small = trie_pointer(node);
        uint64_t lanes = agreeing(small->values, small->masks, byte)
                         << (TRIE_LANES - SMALL_ITEMS) * 8 >> (TRIE_LANES - SMALL_ITEMS) * 8;
        return take_items(small->entries, lanes, 0, best);
    }
    const struct trie_medium *medium = trie_pointer(node);
    uint64_t child = 0;
    for (unsigned i = 0; i < MEDIUM_ITEMS / TRIE_LANES; i++) {
        child = take_items(medium->entries + i * TRIE_LANES,
                           agreeing(medium->values[i], medium->masks[i], byte), child, best);
    }
    return child;
}

/* Asks the cache for what step() will read.  Always inline: gcc takes calls of a function that does
 * nothing else for calls without effect, and leaves them out. */
static inline __attribute__((always_inline)) void
prefetch_node(uint64_t node, unsigned byte)
{
    const uint8_t *line = trie_pointer(node);

    if (trie_kind(node) == TRIE_DENSE) {
        __builtin_prefetch(&((const struct trie_dense *) line)->slots[byte]);
        return;
    }
    __builtin_prefetch(line);
    if (trie_kind(node) == TRIE_MEDIUM) {
        __builtin_prefetch(line + 64);
        __builtin_prefetch(line + 128);
        __builtin_prefetch(line + 192);
    }
}

static const struct prefix_group *
find_group(const struct prefix_groups *groups, const struct flow_mask *base,
           const struct flow_key *key)
{
    for (uint32_t i = flow_mask_hash(base, key);; i++) {
        const struct prefix_group *group = atomic_load_explicit(&groups->slots[i & (groups->n - 1)],
                                                                memory_order_acquire);
        if (!group || prefix_agrees(group->words, base, key)) {
            return group;
        }
    }
}

static inline unsigned
first_byte(uint64_t bits)
{
    return bits >> 56;
}

/* Puts every packet to the root of the trie that it is to search. */
static void
start(const struct prefix_family *family, const struct flow_key *const keys[], unsigned n,
      struct descent *descent)
{
    const struct prefix_groups *groups = atomic_load_explicit(&family->groups, memory_order_acquire);
    const struct prefix_field field = *family->field;

    descent->n = 0;
    for (unsigned i = 0; i < n; i++) {
        const struct prefix_group *group = find_group(groups, &family->base, keys[i]);
        uint64_t root = group ? trie_load(&group->trie.root) : 0;
        uint64_t bits = keys[i]->word[field.word] << field.first;
        if (root) {
            prefetch_node(root, first_byte(bits));
            descent->packet[descent->n] = i;
            descent->bits[descent->n] = bits;
            descent->node[descent->n++] = root;
        }
    }
}

/* Takes every packet that still has a node one byte on. */
static void
descend(struct descent *descent, uint64_t best[])
{
    unsigned n = 0;

    for (unsigned i = 0; i < descent->n; i++) {
        const unsigned packet = descent->packet[i];
        const uint64_t bits = descent->bits[i] << 8;
        uint64_t child = step(descent->node[i], first_byte(descent->bits[i]), &best[packet]);
        descent->packet[n] = packet;
        descent->bits[n] = bits;
        descent->node[n] = child;
        if (child) {
            prefetch_node(child, first_byte(bits));
            n++;
        }
    }
    descent->n = n;
}

/* Goes on with the second word of a field. */
static void
turn_word(const struct prefix_field *field, const struct flow_key *const keys[],
          struct descent *descent)
{
    for (unsigned i = 0; i < descent->n; i++) {
        descent->bits[i] = keys[descent->packet[i]]->word[field->word + 1];
        prefetch_node(descent->node[i], first_byte(descent->bits[i]));
    }
}

static void
search_family(const struct prefix_family *family, const struct flow_key *const keys[], unsigned n,
              uint64_t best[])
{
    struct descent descent;

    start(family, keys, n, &descent);
    for (unsigned depth = 0; descent.n; depth++) {
        if (depth == 8) {
            turn_word(family->field, keys, &descent);
        }
        descend(&descent, best);
    }
}

/* Lets the entries of no family win where their priority is higher. */
static void
search_rest(const struct prefix *prefix, const struct flow_key *const keys[], unsigned n,
            const uint64_t best[], const struct flow *found[])
{
    const uint32_t top = atomic_load_explicit(&prefix->rest_top, memory_order_acquire);
    const struct flow_key *seeking[TOGETHER];
    const struct flow *others[TOGETHER];
    uint8_t packet[TOGETHER];
    unsigned n_seeking = 0;

    for (unsigned i = 0; i < n; i++) {
        packet[n_seeking] = i;
        seeking[n_seeking] = keys[i];
        n_seeking += !best[i] || trie_priority(best[i]) < top;
    }
    if (!n_seeking) {
        return;
    }
    prefix->rest->lookup(prefix->rest, seeking, n_seeking, others);
    for (unsigned i = 0; i < n_seeking; i++) {
        const struct flow *flow = others[i];
        if (flow && (!best[packet[i]] || flow->priority > trie_priority(best[packet[i]]))) {
            found[packet[i]] = flow;
        }
    }
}

static void
look_up_some(const struct prefix *prefix, const struct flow_key *const keys[], unsigned n,
             const struct flow *found[])
{
    uint64_t best[TOGETHER] = { 0 };

    for (unsigned i = 0; i < prefix->n_families; i++) {
        search_family(&prefix->families[i], keys, n, best);
    }
    for (unsigned i = 0; i < n; i++) {
        found[i] = trie_pointer(best[i]);
        flow_prefetch(found[i]);
    }
    search_rest(prefix, keys, n, best, found);
}

void
prefix_lookup(const struct finder *finder, const struct flow_key *const keys[], unsigned n,
              const struct flow *found[])
{
    for (unsigned i = 0; i < n; i += TOGETHER) {
        look_up_some((const struct prefix *) finder, keys + i, n - i < TOGETHER ? n - i : TOGETHER,
                     found + i);
    }
}
