/* The finder by prefix: which tables it fits, and in which trie an entry is; see prefix.h. */

#include "prefix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    FEWEST_MASKS = 12,              /* With fewer, hash tables are quicker. */
    MOST_MASKS = PREFIX_FAMILIES * 129 + FEW,   /* A family has 0 to 128 bits. */
    MIN_GROUPS = 4,
};

const struct prefix_field prefix_fields[PREFIX_FIELDS] = {
    { W_IPV4, 32, 32 },             /* Destination; source. */
    { W_IPV4, 0, 32 },
    { W_IPV6_DST, 0, 128 },
    { W_IPV6_SRC, 0, 128 },
    { W_ND_TARGET, 0, 128 },
    { W_TUN_IPV4, 32, 32 },
    { W_TUN_IPV4, 0, 32 },
    { W_ETH_DST, 0, 48 },
    { W_ETH_SRC, 0, 48 },
    { W_METADATA, 0, 64 },
    { W_TUNNEL_ID, 0, 64 },
};

/* --- Masks -------------------------------------------------------------------------------------- */

/* Takes a field out of a mask; 'base' is what is left.  Returns how long the prefix is by which it was
 * cut; -1: it is not cut by prefix. */
static int
split(const struct flow_mask *mask, const struct prefix_field *field, struct flow_mask *base)
{
    uint64_t cut[2] = { 0, 0 };

    *base = (struct flow_mask) { .n = 0 };
    for (unsigned i = 0; i < mask->n; i++) {
        const unsigned word = mask->word[i];
        const uint64_t part = prefix_part(field, word), rest = mask->bits[i] & ~part;
        if (part) {
            cut[word - field->word] = mask->bits[i] << field->first & first_bits(64);
            cut[word - field->word] &= part << field->first;
        }
        if (rest) {
            base->word[base->n] = word;
            base->bits[base->n++] = rest;
        }
    }
    const unsigned n[2] = { __builtin_popcountll(cut[0]), __builtin_popcountll(cut[1]) };
    bool by_prefix = cut[0] == first_bits(n[0]) && cut[1] == first_bits(n[1])
                     && (!n[1] || n[0] == 64);
    return by_prefix ? (int) (n[0] + n[1]) : -1;
}

static bool
same_mask(const struct flow_mask *a, const struct flow_mask *b)
{
    return a->n == b->n && !memcmp(a->word, b->word, a->n)
           && !memcmp(a->bits, b->bits, a->n * sizeof a->bits[0]);
}

/* How long a prefix is by which this mask cuts the field of a family that it is in; -1: in another or
 * in none. */
static int
length_in(const struct prefix_family *family, const struct flow_mask *mask)
{
    struct flow_mask base;
    int length = split(mask, family->field, &base);

    return length >= 0 && same_mask(&base, &family->base) ? length : -1;
}

static struct prefix_family *
family_of(struct prefix_family *families, unsigned n, const struct flow_mask *mask, int *length)
{
    for (unsigned i = 0; i < n; i++) {
        *length = length_in(&families[i], mask);
        if (*length >= 0) {
            return &families[i];
        }
    }
    return NULL;
}

/* --- Which tables it fits ------------------------------------------------------------------------- */

/* Into which families the masks of a table fall. */
struct plan {
    unsigned n_families, n_masks;   /* Masks in families. */
    struct prefix_family families[PREFIX_FAMILIES];
};

static unsigned
count_masks(const struct table_shape *shape, const struct prefix_family *family)
{
    unsigned n = 0;
    uint32_t n_flows;

    for (uint32_t i = 0; i < shape->n_masks; i++) {
        n += length_in(family, shape_mask(shape, i, &n_flows)) >= 0;
    }
    return n;
}

/* The family of the most masks that this one could be in.  Returns of how many. */
static unsigned
best_family(const struct table_shape *shape, const struct flow_mask *mask,
            struct prefix_family *best)
{
    unsigned most = 0;

    for (unsigned i = 0; i < PREFIX_FIELDS; i++) {
        struct prefix_family family = { .field = &prefix_fields[i] };
        if (split(mask, &prefix_fields[i], &family.base) <= 0) {
            continue;
        }
        unsigned n = count_masks(shape, &family);
        if (n > most) {
            most = n;
            best->field = family.field;
            best->base = family.base;
        }
    }
    return most;
}

/* Adds the family of a mask to the plan if it is in one.  Returns whether there is room. */
static bool
plan_mask(struct plan *plan, const struct table_shape *shape, const struct flow_mask *mask)
{
    struct prefix_family family;
    int length;

    if (family_of(plan->families, plan->n_families, mask, &length)) {
        return true;
    }
    unsigned n = best_family(shape, mask, &family);
    if (n < 2) {
        return true;
    }
    if (plan->n_families == PREFIX_FAMILIES) {
        return false;
    }
    plan->n_masks += n;
    plan->families[plan->n_families].field = family.field;
    plan->families[plan->n_families++].base = family.base;
    return true;
}

/* How many flows are in no family. */
static uint32_t
count_rest(const struct table_shape *shape, struct plan *plan)
{
    uint32_t n = 0, n_flows;
    int length;

    for (uint32_t i = 0; i < shape->n_masks; i++) {
        const struct flow_mask *mask = shape_mask(shape, i, &n_flows);
        n += family_of(plan->families, plan->n_families, mask, &length) ? 0 : n_flows;
    }
    return n;
}

static bool
plan_for(const struct table_shape *shape, struct plan *plan)
{
    plan->n_families = plan->n_masks = 0;
    if (shape->n_masks < FEWEST_MASKS || shape->n_masks > MOST_MASKS) {
        return false;
    }
    for (uint32_t i = 0; i < shape->n_masks; i++) {
        uint32_t n_flows;
        if (!plan_mask(plan, shape, shape_mask(shape, i, &n_flows))) {
            return false;
        }
    }
    return plan->n_families && plan->n_masks >= FEWEST_MASKS * plan->n_families
           && count_rest(shape, plan) <= FEW;
}

/* Once it is there, it says itself what it cannot take. */
static bool
prefix_fits(const struct table_shape *shape, bool in_use)
{
    struct plan plan;

    return in_use ? shape->n_masks >= FEWEST_MASKS / 2
                  : plan_for(shape, &plan);
}

/* --- Groups ----------------------------------------------------------------------------------------- */

static struct prefix_groups *
groups_of(const struct prefix_family *family)
{
    return atomic_load_explicit(&family->groups, memory_order_relaxed);
}

static struct prefix_group *
group_at(const struct prefix_groups *groups, uint32_t i)
{
    return atomic_load_explicit(&groups->slots[i & (groups->n - 1)], memory_order_relaxed);
}

static struct prefix_groups *
groups_new(uint32_t n)
{
    struct prefix_groups *groups = calloc(1, sizeof *groups + n * sizeof groups->slots[0]);

    if (groups) {
        groups->n = n;
    }
    return groups;
}

/* The place of the group of 'key', or where it would be. */
static uint32_t
find_place(const struct prefix_family *family, const struct flow_key *key, uint32_t hash)
{
    const struct prefix_groups *groups = groups_of(family);
    uint32_t i = hash;

    while (group_at(groups, i) && !prefix_agrees(group_at(groups, i)->words, &family->base, key)) {
        i++;
    }
    return i & (groups->n - 1);
}

static void
put_group(struct prefix_groups *groups, struct prefix_group *group)
{
    uint32_t i = group->hash;

    while (group_at(groups, i)) {
        i++;
    }
    atomic_store_explicit(&groups->slots[i & (groups->n - 1)], group, memory_order_release);
    groups->n_used++;
}

/* Makes sure that one more group fits; forgets the empty ones. */
static int
reserve_group(struct prefix *prefix, struct prefix_family *family)
{
    struct prefix_groups *old = groups_of(family);
    uint32_t n = MIN_GROUPS, n_live = 0;

    if ((old->n_used + 1) * 4 <= old->n * 3) {
        return 0;
    }
    for (uint32_t i = 0; i < old->n; i++) {
        n_live += group_at(old, i) && trie_load(&group_at(old, i)->trie.root);
    }
    while (n < (n_live + 1) * 2) {
        n *= 2;
    }
    struct prefix_groups *new = groups_new(n);
    if (!new) {
        return ENOMEM;
    }
    for (uint32_t i = 0; i < old->n; i++) {
        struct prefix_group *group = group_at(old, i);
        if (group && trie_load(&group->trie.root)) {
            put_group(new, group);
        }
    }
    atomic_store_explicit(&family->groups, new, memory_order_release);
    for (uint32_t i = 0; i < old->n; i++) {
        if (group_at(old, i) && !trie_load(&group_at(old, i)->trie.root)) {
            epoch_free(prefix->epoch, group_at(old, i));
        }
    }
    epoch_free(prefix->epoch, old);
    return 0;
}

/* The group of 'key', which is made if there is none; null without memory. */
static struct prefix_group *
reach_group(struct prefix *prefix, struct prefix_family *family, const struct flow_key *key)
{
    const uint32_t hash = flow_mask_hash(&family->base, key);
    struct prefix_group *group = group_at(groups_of(family), find_place(family, key, hash));

    if (group) {
        return group;
    }
    const size_t words = family->base.n * sizeof group->words[0];
    if (reserve_group(prefix, family) || !(group = calloc(1, sizeof *group + words))) {
        return NULL;
    }
    group->trie.epoch = prefix->epoch;
    group->trie.memory = &prefix->memory;
    group->hash = hash;
    for (unsigned i = 0; i < family->base.n; i++) {
        group->words[i] = key->word[family->base.word[i]] & family->base.bits[i];
    }
    put_group(groups_of(family), group);
    return group;
}

/* --- Operations ------------------------------------------------------------------------------------- */

static void
close_family(struct prefix_family *family)
{
    struct prefix_groups *groups = groups_of(family);

    for (uint32_t i = 0; groups && i < groups->n; i++) {
        if (group_at(groups, i)) {
            trie_close(&group_at(groups, i)->trie);
            free(group_at(groups, i));
        }
    }
    free(groups);
}

static void
prefix_close(struct finder *finder)
{
    struct prefix *prefix = (struct prefix *) finder;

    for (unsigned i = 0; i < prefix->n_families; i++) {
        close_family(&prefix->families[i]);
    }
    if (prefix->rest) {
        prefix->rest->ops->close(prefix->rest);
    }
    free(prefix);
}

static struct finder *
prefix_open(const struct table_shape *shape, struct epoch *epoch)
{
    struct prefix *prefix = calloc(1, sizeof *prefix);
    struct plan plan;

    if (!prefix || !plan_for(shape, &plan)) {
        free(prefix);
        return NULL;
    }
    prefix->finder = (struct finder) { prefix_lookup, &finder_prefix };
    prefix->epoch = epoch;
    prefix->rest = finder_few.open(shape, epoch);
    bool failed = !prefix->rest;
    for (unsigned i = 0; i < plan.n_families; i++) {
        struct prefix_family *family = &prefix->families[prefix->n_families++];
        family->field = plan.families[i].field;
        family->base = plan.families[i].base;
        atomic_init(&family->groups, groups_new(MIN_GROUPS));
        failed |= !groups_of(family);
    }
    if (failed) {
        prefix_close(&prefix->finder);
        return NULL;
    }
    return &prefix->finder;
}

/* Puts an entry of a family in, or takes the one with its match out. */
static int
change(struct prefix *prefix, struct prefix_family *family, unsigned length,
       const struct flow *flow, bool comes)
{
    struct trie_prefix cut = { .length = length };
    struct flow_key key, mask;

    flow_match(flow, &key, &mask);
    for (unsigned i = 0; 8 * i < length; i++) {
        cut.bytes[i] = (uint8_t) (key.word[prefix_word(family->field, i)]
                                  >> prefix_shift(family->field, i));
    }
    struct prefix_group *group = reach_group(prefix, family, &key);
    if (!group) {
        return ENOMEM;
    }
    return trie_change(&group->trie, &cut, comes ? trie_flow_entry(flow) : 0);
}

static void
set_rest_top(struct prefix *prefix, uint16_t priority)
{
    atomic_store_explicit(&prefix->rest_top, priority, memory_order_release);
}

static int
prefix_insert(struct finder *finder, struct flow *flow)
{
    struct prefix *prefix = (struct prefix *) finder;
    int length;
    struct prefix_family *family = family_of(prefix->families, prefix->n_families, flow->mask,
                                             &length);

    if (family) {
        return change(prefix, family, length, flow, true);
    }
    if (flow->priority > atomic_load_explicit(&prefix->rest_top, memory_order_relaxed)) {
        set_rest_top(prefix, flow->priority);       /* No later than the entry: none is overlooked. */
    }
    int error = prefix->rest->ops->insert(prefix->rest, flow);
    set_rest_top(prefix, few_top(prefix->rest));
    return error;
}

static int
prefix_remove(struct finder *finder, const struct flow *flow)
{
    struct prefix *prefix = (struct prefix *) finder;
    int length;
    struct prefix_family *family = family_of(prefix->families, prefix->n_families, flow->mask,
                                             &length);

    if (family) {
        return change(prefix, family, length, flow, false);
    }
    int error = prefix->rest->ops->remove(prefix->rest, flow);
    set_rest_top(prefix, few_top(prefix->rest));
    return error;
}

static void
prefix_stats(const struct finder *finder, struct table_stats *stats)
{
    const struct prefix *prefix = (const struct prefix *) finder;

    stats->memory += sizeof *prefix + prefix->memory;
    for (unsigned i = 0; i < prefix->n_families; i++) {
        const struct prefix_groups *groups = groups_of(&prefix->families[i]);
        stats->memory += sizeof *groups + groups->n * sizeof groups->slots[0]
                         + groups->n_used * sizeof(struct prefix_group);
    }
    prefix->rest->ops->stats(prefix->rest, stats);
}

const struct finder_ops finder_prefix = {
    .name = "prefix",
    .fits = prefix_fits,
    .open = prefix_open,
    .close = prefix_close,
    .insert = prefix_insert,
    .remove = prefix_remove,
    .stats = prefix_stats,
};
