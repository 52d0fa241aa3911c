/* Merged tuples: many masks in few hash tables.
 *
 * How
 * ===
 * Masks that differ only a little are relaxed to one that has a part of the bits of each: prefixes are
 * cut at fewer lengths, and where addresses are left, the rest may go.  Entries that agree under the
 * relaxed mask share a head (tuple.h), which is what the hash tables hold; a lookup finds the head
 * and compares the entries behind it with their own masks, highest priority first.  When a head has as
 * many as it may have, others go to one under a mask that is relaxed less, in the end their own.
 *
 * How far masks are relaxed is chosen when a table changes to this: just so far that few are left.
 *
 * Cost
 * ====
 * A lookup looks into those of the hash tables that can hold something for its addresses (prune.h), as
 * in the record, and reads a line more in each.  A change makes a new head: a microsecond.
 *
 * Reference: J. Daly, V. Bruschi, L. Linguaglossa, S. Pontarelli, D. Rossi, J. Tollet, E. Torng,
 * A. Yourtchenko, "TupleMerge: Fast Software Packet Processing for Online Packet Classification",
 * IEEE/ACM ToN 27(4), 2019; what relaxes a mask is ours. */

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "prefix.h"
#include "tuple.h"

enum {
    FEWEST_MASKS = PRUNE_MEMBERS + 1,   /* With fewer, the record is quicker, */
    FEWEST_OPEN = 8,                    /* unless it has to look into so many for every key. */
    ENOUGH_MASKS = 24, ENOUGH_OPEN = 6, /* Relaxed ones; masks are not relaxed more than for that. */
    MOST_ENTRIES = 8,                   /* Behind a head. */
    MASKS_ASKED = 1024,                 /* Of a table, at most about so many, how far to relax. */
};

/* How far a mask is relaxed: in how many steps a prefix goes from nothing to the whole field, and whether
 * what is no prefix is dropped where prefixes are left. */
static const struct level {
    uint8_t steps;
    bool drops;
} levels[] = {
    { 0, false },                       /* Not at all. */
    { 8, false },
    { 4, false },
    { 4, true },
    { 2, true },
    { 1, true },
};

enum { N_LEVELS = sizeof levels / sizeof levels[0] };

struct merged {
    struct finder finder;
    struct epoch *epoch;
    struct tuple *heads;
    size_t memory;                      /* Of heads. */
    unsigned level;                     /* The most that masks are relaxed. */
};

/* --- Relaxing masks --------------------------------------------------------------------------- */

static unsigned
leading_ones(uint64_t word)
{
    return word == UINT64_MAX ? 64 : (unsigned) __builtin_clzll(~word);
}

/* How many bits of a field a mask has before the first that it does not have. */
static unsigned
prefix_length(const struct prefix_field *field, const struct flow_key *bits)
{
    unsigned length = 0;

    for (unsigned i = 0; length == 64 * i && prefix_part(field, field->word + i); i++) {
        uint64_t part = prefix_part(field, field->word + i);
        length += leading_ones((bits->word[field->word + i] & part) << field->first);
    }
    return length;
}

/* Moves the first 'length' bits of a field from one mask to another; the others are dropped. */
static void
move_prefix(const struct prefix_field *field, unsigned length, struct flow_key *from,
            struct flow_key *to)
{
    for (unsigned i = 0; prefix_part(field, field->word + i); i++) {
        unsigned n = length < 64 * i ? 0 : length - 64 * i < 64 ? length - 64 * i : 64;
        to->word[field->word + i] |= first_bits(n) >> field->first;
        from->word[field->word + i] &= ~prefix_part(field, field->word + i);
    }
}

/* Relaxes a mask as far as a level says. */
static void
relax(unsigned level, struct flow_key *bits)
{
    struct flow_key kept = { .word[0] = 0 };
    unsigned n_kept = 0;

    for (unsigned i = 0; level && i < PREFIX_FIELDS; i++) {
        const struct prefix_field *field = &prefix_fields[i];
        unsigned length = prefix_length(field, bits);
        length -= length % (field->bits / levels[level].steps);
        move_prefix(field, length, bits, &kept);
        n_kept += length;
    }
    for (unsigned i = 0; i < N_KEY_WORDS; i++) {
        bits->word[i] = kept.word[i] | (n_kept && levels[level].drops ? 0 : bits->word[i]);
    }
}

static void
relaxed_mask(unsigned level, const struct flow_mask *mask, struct flow_key *bits)
{
    memset(bits, 0, sizeof *bits);
    for (unsigned i = 0; i < mask->n; i++) {
        bits->word[mask->word[i]] = mask->bits[i];
    }
    relax(level, bits);
}

/* Whether the masks of a table are few when they are relaxed that far. */
static bool
becomes_few(const struct table_shape *shape, unsigned level)
{
    struct flow_key few[ENOUGH_MASKS], bits;
    unsigned n = 0, n_open = 0;

    for (uint32_t i = 0; i < shape->n_masks; i += 1 + shape->n_masks / MASKS_ASKED) {
        uint32_t n_flows;
        unsigned j = 0;
        relaxed_mask(level, shape_mask(shape, i, &n_flows), &bits);
        while (j < n && memcmp(&few[j], &bits, sizeof bits)) {
            j++;
        }
        if (j == ENOUGH_MASKS) {
            return false;
        }
        if (j == n) {
            struct flow_mask mask;
            flow_mask_from(&mask, &bits);
            n_open += !prune_cuts(&mask);
            few[n++] = bits;
        }
    }
    return n_open <= ENOUGH_OPEN;
}

/* --- Heads --------------------------------------------------------------------------------------- */

/* Where an entry is, or may be put. */
struct place {
    struct flow_key key, bits;          /* Of the entry; the relaxed mask of its head. */
    struct flow *head;                  /* Or null. */
    unsigned n;                         /* Entries behind it, */
    unsigned at;                        /* and the one with the same match; n: none. */
};

static void
look_behind(struct place *place, const struct flow *flow)
{
    place->n = 0;
    const struct head_entry *entries = place->head ? head_entries(place->head, &place->n) : NULL;
    place->at = 0;
    while (place->at < place->n && !flow_same_match(entries[place->at].flow, flow)) {
        place->at++;
    }
}

/* Finds the place of the entry with the match of 'flow', or the one where it belongs if there is none.
 * Returns whether there is one. */
static bool
find_place(const struct merged *merged, const struct flow *flow, struct place *place)
{
    struct flow_key mask;
    struct place belongs;
    bool known = false;

    flow_match(flow, &place->key, &mask);
    for (unsigned i = 0; i <= merged->level; i++) {
        unsigned level = merged->level - i;
        relaxed_mask(level, flow->mask, &place->bits);
        place->head = tuple_top(merged->heads, &place->key, &place->bits);
        look_behind(place, flow);
        if (place->at < place->n) {
            return true;
        }
        if (!known && (place->n < MOST_ENTRIES || !level)) {
            belongs = *place;
            known = true;
        }
    }
    *place = belongs;
    return false;
}

static void
free_head(void *head, void *unused)
{
    (void) unused;
    flow_free(head);
}

/* The entries behind the head of a place, without that at 'place->at', with 'flow' unless it is null; in
 * order.  Returns how many. */
static unsigned
changed_entries(const struct place *place, struct flow *flow, struct head_entry *entries)
{
    unsigned n_old = 0, n = 0;
    const struct head_entry *old = place->head ? head_entries(place->head, &n_old) : NULL;

    for (unsigned i = 0; i < n_old; i++) {
        if (i == place->at) {
            continue;
        }
        if (flow && old[i].flow->priority < flow->priority) {
            entries[n++] = (struct head_entry) { flow->mask, flow };
            flow = NULL;
        }
        entries[n++] = old[i];
    }
    if (flow) {
        entries[n++] = (struct head_entry) { flow->mask, flow };
    }
    return n;
}

/* Puts a head in the place of another, either of which may be null. */
static int
replace_head(struct merged *merged, struct flow *old, struct flow *new)
{
    struct flow *same = NULL, *before;
    int error = new ? tuple_insert(merged->heads, new, &same, &before) : 0;

    if (error) {
        flow_free(new);
        return error;
    }
    merged->memory += new ? flow_memory(new) : 0;
    if (old && !same) {
        tuple_remove(merged->heads, old);
    }
    if (old) {
        merged->memory -= flow_memory(old);
        epoch_retire(merged->epoch, old, free_head, NULL);
    }
    return 0;
}

/* Puts 'flow', unless it is null, into a place where the entry with its match, if there is one, goes. */
static int
change_head(struct merged *merged, const struct place *place, struct flow *flow)
{
    struct head_entry entries[MOST_ENTRIES + 1];
    unsigned n = changed_entries(place, flow, entries);

    if (!n) {
        return replace_head(merged, place->head, NULL);
    }
    const struct flow_mask *mask = tuple_mask(merged->heads, &place->bits);
    struct flow *head = mask ? flow_new(mask, &place->key, entries, n * sizeof entries[0]) : NULL;
    if (!head) {
        return ENOMEM;
    }
    head->priority = entries[0].flow->priority;
    return replace_head(merged, place->head, head);
}

/* --- The finder ------------------------------------------------------------------------------------ */

static bool
merged_fits(const struct table_shape *shape, bool in_use)
{
    unsigned divisor = in_use ? 2 : 1;

    return shape->n_masks >= FEWEST_MASKS / divisor || shape->n_open >= FEWEST_OPEN / divisor;
}

static void
merged_lookup(const struct finder *finder, const struct flow_key *const keys[], unsigned n,
              const struct flow *found[])
{
    const struct finder *heads = tuple_finder(((const struct merged *) finder)->heads);

    heads->lookup(heads, keys, n, found);
}

static struct finder *
merged_open(const struct table_shape *shape, struct epoch *epoch)
{
    struct merged *merged = calloc(1, sizeof *merged);
    struct tuple *heads = merged ? tuple_open(epoch, true) : NULL;

    if (!heads) {
        free(merged);
        return NULL;
    }
    *merged = (struct merged) {
        .finder = { merged_lookup, &finder_merged }, .epoch = epoch, .heads = heads, .level = 1,
    };
    while (merged->level < N_LEVELS - 1 && !becomes_few(shape, merged->level)) {
        merged->level++;
    }
    return &merged->finder;
}

static bool
free_each(struct flow *head, void *unused)
{
    free_head(head, unused);
    return true;
}

static void
merged_close(struct finder *finder)
{
    struct merged *merged = (struct merged *) finder;

    tuple_each_top(merged->heads, &(struct tuple_cursor) { 0 }, UINT_MAX, free_each, NULL);
    tuple_close(merged->heads);
    free(merged);
}

static int
merged_insert(struct finder *finder, struct flow *flow)
{
    struct merged *merged = (struct merged *) finder;
    struct place place;

    find_place(merged, flow, &place);
    return change_head(merged, &place, flow);
}

static int
merged_remove(struct finder *finder, const struct flow *flow)
{
    struct merged *merged = (struct merged *) finder;
    struct place place;

    return find_place(merged, flow, &place) ? change_head(merged, &place, NULL) : 0;
}

static void
merged_stats(const struct finder *finder, struct table_stats *stats)
{
    const struct merged *merged = (const struct merged *) finder;

    stats->memory += sizeof *merged + merged->memory + tuple_memory(merged->heads);
}

const struct finder_ops finder_merged = {
    .name = "merged",
    .fits = merged_fits,
    .open = merged_open,
    .close = merged_close,
    .insert = merged_insert,
    .remove = merged_remove,
    .stats = merged_stats,
};
