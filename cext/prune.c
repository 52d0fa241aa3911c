/* Prune: see prune.h. */

#include "prune.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SLOTS = 4096 };         /* 32 kB, which are filled anew within some 10 microseconds. */

static const struct {
    uint8_t word, shift;
} parts[N_PRUNE_PARTS] = {
#define P(WORD, SHIFT) { WORD, SHIFT },
    PRUNE_PARTS(P)
#undef P
};

/* --- Tallies ------------------------------------------------------------------------- */

static uint32_t
place(const struct tally *tally, uint32_t prefix)
{
    uint32_t i = prefix * 0x9e3779b1u >> 8 & (tally->n_slots - 1);

    while (tally->slots[i].count && tally->slots[i].prefix != prefix) {
        i = (i + 1) & (tally->n_slots - 1);
    }
    return i;
}

static int
count_by_place(struct tally *tally)
{
    uint32_t *counts = calloc(PRUNE_SETS, sizeof *counts);

    if (!counts) {
        return ENOMEM;
    }
    for (uint32_t i = 0; i < tally->n_slots; i++) {
        if (tally->slots[i].count) {
            counts[tally->slots[i].prefix] = tally->slots[i].count;
        }
    }
    free(tally->slots);
    *tally = (struct tally) { .n_used = tally->n_used, .counts = counts };
    return 0;
}

static int
tally_reserve(struct tally *tally)
{
    if (tally->counts || (tally->n_slots && (tally->n_used + 1) * 2 <= tally->n_slots)) {
        return 0;
    }
    if (tally->n_slots == MOST_SLOTS) {
        return count_by_place(tally);
    }
    struct tally new = { .n_slots = tally->n_slots ? tally->n_slots * 2 : 8 };
    new.slots = calloc(new.n_slots, sizeof *new.slots);
    if (!new.slots) {
        return ENOMEM;
    }
    for (uint32_t i = 0; i < tally->n_slots; i++) {
        if (tally->slots[i].count) {
            new.slots[place(&new, tally->slots[i].prefix)] = tally->slots[i];
            new.n_used++;
        }
    }
    free(tally->slots);
    *tally = new;
    return 0;
}

/* Counts one more; returns whether it is the first.  There must be room. */
static bool
tally_add(struct tally *tally, uint32_t prefix)
{
    if (tally->counts) {
        return !tally->counts[prefix]++;
    }
    uint32_t i = place(tally, prefix);

    tally->slots[i].prefix = prefix;
    tally->n_used += !tally->slots[i].count;
    return !tally->slots[i].count++;
}

/* Closes the gap at 'gap': moves up what probes past it (Knuth, TAOCP 3, 6.4, algorithm R). */
static void
close_gap(struct tally *tally, uint32_t gap)
{
    uint32_t mask = tally->n_slots - 1;

    for (uint32_t i = (gap + 1) & mask; tally->slots[i].count; i = (i + 1) & mask) {
        uint32_t home = tally->slots[i].prefix * 0x9e3779b1u >> 8 & mask;
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            tally->slots[gap] = tally->slots[i];
            tally->slots[i].count = 0;
            gap = i;
        }
    }
}

/* Counts one less; returns whether it was the last. */
static bool
tally_remove(struct tally *tally, uint32_t prefix)
{
    if (tally->counts) {
        return !--tally->counts[prefix];
    }
    uint32_t i = place(tally, prefix);

    if (--tally->slots[i].count) {
        return false;
    }
    tally->n_used--;
    close_gap(tally, i);
    return true;
}

static void
tally_free(struct tally *tally)
{
    free(tally->slots);
    free(tally->counts);
    *tally = (struct tally) { 0 };
}

/* --- Parts ------------------------------------------------------------------------------ */

/* How many bits of a part the mask cuts it at: 0 if it is no prefix. */
static unsigned
cut(const struct flow_mask *mask, enum prune_part part)
{
    uint32_t bits = 0;

    for (unsigned i = 0; i < mask->n; i++) {
        if (mask->word[i] == parts[part].word) {
            bits = (uint32_t) (mask->bits[i] >> parts[part].shift);
        }
    }
    unsigned length = bits ? 32 - (unsigned) __builtin_ctz(bits) : 0;
    return length && bits == UINT32_MAX << (32 - length) ? length : 0;
}

/* The first PRUNE_DEPTH bits of a flow's prefix, and how many of them count. */
static unsigned
prefix_of(const struct flow *flow, enum prune_part part, uint32_t *prefix)
{
    unsigned length = cut(flow->mask, part);

    for (unsigned i = 0; i < flow->n_words; i++) {
        if (flow->mask->word[i] == parts[part].word) {
            *prefix = (uint32_t) (flow->words[i] >> parts[part].shift) >> (32 - PRUNE_DEPTH);
        }
    }
    return length < PRUNE_DEPTH ? length : PRUNE_DEPTH;
}

static _Atomic uint64_t *
part_sets(const struct prune *prune, enum prune_part part)
{
    return atomic_load_explicit(&prune->sets[part], memory_order_relaxed);
}

static void
change(_Atomic uint64_t *word, uint64_t bit, bool in)
{
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed);

    atomic_store_explicit(word, in ? old | bit : old & ~bit, memory_order_release);
}

/* Puts a member into all the sets that a prefix covers, or takes it out of them. */
static void
change_sets(struct prune *prune, enum prune_part part, int member, uint32_t prefix,
            unsigned length, bool in)
{
    _Atomic uint64_t *sets = part_sets(prune, part);

    for (uint32_t i = 0; i < UINT32_C(1) << (PRUNE_DEPTH - length); i++) {
        change(&sets[prefix + i], UINT64_C(1) << member, in);
    }
}

/* Makes the sets of a part that the first member cuts now; the others are open there. */
static int
use_part(struct prune *prune, enum prune_part part)
{
    if (part_sets(prune, part)) {
        return 0;
    }
    _Atomic uint64_t *sets = calloc(PRUNE_SETS, sizeof *sets);
    struct tally *tallies = calloc(PRUNE_MEMBERS, sizeof *tallies);
    if (!sets || !tallies) {
        free((void *) sets);
        free(tallies);
        return ENOMEM;
    }
    prune->tallies[part] = tallies;
    atomic_store_explicit(&prune->sets[part], sets, memory_order_release);
    return 0;
}

/* --- Members ------------------------------------------------------------------------------ */

void
prune_close(struct prune *prune)
{
    for (unsigned part = 0; part < N_PRUNE_PARTS; part++) {
        for (unsigned member = 0; prune->tallies[part] && member < PRUNE_MEMBERS; member++) {
            tally_free(&prune->tallies[part][member]);
        }
        free(prune->tallies[part]);
        free((void *) part_sets(prune, part));
    }
    memset(prune, 0, sizeof *prune);
}

bool
prune_cuts(const struct flow_mask *mask)
{
    bool cuts = false;

    for (unsigned part = 0; part < N_PRUNE_PARTS; part++) {
        cuts |= cut(mask, part) != 0;
    }
    return cuts;
}

int
prune_join(struct prune *prune, const struct flow_mask *mask)
{
    uint64_t members = atomic_load_explicit(&prune->members, memory_order_relaxed);

    if (members == UINT64_MAX) {
        return -1;
    }
    int member = __builtin_ctzll(~members);
    for (unsigned part = 0; part < N_PRUNE_PARTS; part++) {
        bool cuts = cut(mask, part);
        change(&prune->open[part], UINT64_C(1) << member, !cuts);
        if (cuts && use_part(prune, part)) {
            return -1;
        }
    }
    change(&prune->members, UINT64_C(1) << member, true);
    return member;
}

void
prune_leave(struct prune *prune, int member)
{
    if (member < 0) {
        return;
    }
    change(&prune->members, UINT64_C(1) << member, false);
    for (unsigned part = 0; part < N_PRUNE_PARTS; part++) {
        if (prune->tallies[part]) {
            tally_free(&prune->tallies[part][member]);
        }
    }
}

int
prune_add(struct prune *prune, int member, const struct flow *flow)
{
    uint32_t prefix = 0;

    if (member < 0) {
        return 0;
    }
    for (unsigned part = 0; part < N_PRUNE_PARTS; part++) {
        if (cut(flow->mask, part) && tally_reserve(&prune->tallies[part][member])) {
            return ENOMEM;
        }
    }
    for (unsigned part = 0; part < N_PRUNE_PARTS; part++) {
        unsigned length = prefix_of(flow, part, &prefix);
        if (length && tally_add(&prune->tallies[part][member], prefix)) {
            change_sets(prune, part, member, prefix, length, true);
        }
    }
    return 0;
}

void
prune_remove(struct prune *prune, int member, const struct flow *flow)
{
    uint32_t prefix = 0;

    if (member < 0) {
        return;
    }
    for (unsigned part = 0; part < N_PRUNE_PARTS; part++) {
        unsigned length = prefix_of(flow, part, &prefix);
        if (length && tally_remove(&prune->tallies[part][member], prefix)) {
            change_sets(prune, part, member, prefix, length, false);
        }
    }
}

size_t
prune_memory(const struct prune *prune)
{
    size_t size = 0;

    for (unsigned part = 0; part < N_PRUNE_PARTS; part++) {
        if (!prune->tallies[part]) {
            continue;
        }
        size += PRUNE_SETS * sizeof(uint64_t) + PRUNE_MEMBERS * sizeof(struct tally);
        for (unsigned member = 0; member < PRUNE_MEMBERS; member++) {
            const struct tally *tally = &prune->tallies[part][member];
            size += tally->n_slots * sizeof tally->slots[0]
                    + (tally->counts ? PRUNE_SETS * sizeof tally->counts[0] : 0);
        }
    }
    return size;
}
