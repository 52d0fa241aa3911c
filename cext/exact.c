/* Exact: see exact.h. */

#include "exact.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"
#include "tuple.h"

enum {
    USUAL = 6,                      /* Logarithm of the buckets of a segment among several. */
    AHEAD = 8,                      /* Words, of entries to be read soon. */
    SPARSE = 16,                    /* The directory has at most so many places for each segment. */
};

/* What only the writer knows of a segment stands before its buckets. */
struct segment {
    _Alignas(64) uint32_t bits;     /* First ones of the hash, which all its entries share. */
    uint32_t log;                   /* Of the number of buckets. */
    uint32_t n_used;                /* Words with an entry, */
    uint32_t n_busy;                /* or gone. */
    _Alignas(64) struct bucket bucket[];
};

static uint32_t
n_words(const struct segment *segment)
{
    return BUCKET_WORDS << segment->log;
}

/* Word number 'i' of all buckets. */
static _Atomic uint64_t *
word_at(const struct segment *segment, uint32_t i)
{
    return (_Atomic uint64_t *) (uintptr_t) segment->bucket + i;
}

static uint64_t
load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static struct segment *
segment_of(uintptr_t known)
{
    return (struct segment *) ((known & ~(uintptr_t) EXACT_LOG) - sizeof(struct segment));
}

static size_t
segment_size(uint32_t log)
{
    return sizeof(struct segment) + (sizeof(struct bucket) << log);
}

static struct segment *
segment_new(const struct flow_mask *mask, uint32_t log, uint32_t bits)
{
    size_t size = segment_size(log);
    struct segment *segment = log <= USUAL ? slab_alloc(mask->slab, slab_lines(size))
                                           : aligned_alloc(64, size);

    if (segment) {
        memset(segment, 0, size);
        segment->log = log;
        segment->bits = bits;
    }
    return segment;
}

static void
segment_free(void *segment_, void *unused)
{
    struct segment *segment = segment_;

    (void) unused;
    if (segment && segment->log <= USUAL) {
        slab_free(segment);
    } else {
        free(segment);
    }
}

static void
put_word(_Atomic uint64_t *word, const struct flow *flow, uint64_t hash)
{
    atomic_store_explicit(word, (uintptr_t) flow | exact_tag(hash) << EXACT_TAG,
                          memory_order_release);
}

/* Puts an entry into the first word on its way that none has. */
static void
segment_put(struct segment *segment, const struct flow *flow, uint64_t hash)
{
    uint32_t i = (hash & ((1u << segment->log) - 1)) * BUCKET_WORDS;
    _Atomic uint64_t *words = word_at(segment, 0);

    while (load(&words[i]) > EXACT_GONE) {
        i = (i + 1) & (n_words(segment) - 1);
    }
    segment->n_busy += !load(&words[i]);
    segment->n_used++;
    put_word(&words[i], flow, hash);
}

/* --- The directory ------------------------------------------------------------------------------ */

static struct directory *
directory_of(const struct exact *exact)
{
    return atomic_load_explicit(&exact->directory, memory_order_relaxed);
}

static struct directory *
directory_new(uint32_t bits)
{
    struct directory *directory = malloc(sizeof *directory
                                         + (sizeof directory->segment[0] << bits));

    if (directory) {
        directory->bits = bits;
    }
    return directory;
}

/* Lets a segment have all the places that begin with its bits of 'hash'. */
static void
direct(struct directory *directory, struct segment *segment, uint64_t hash)
{
    uint32_t spare = directory->bits - segment->bits;
    uint64_t first = hash >> 1 >> (63 - directory->bits) >> spare << spare;

    for (uint64_t i = first; i < first + (UINT64_C(1) << spare); i++) {
        atomic_store_explicit(&directory->segment[i],
                              (uintptr_t) segment->bucket | segment->log, memory_order_release);
    }
}

static struct segment *
segment_at(const struct exact *exact, uint64_t hash)
{
    return segment_of(exact_segment(directory_of(exact), hash));
}

/* Publishes a directory of 'bits' that says what the old one does. */
static int
resize_directory(struct exact *exact, struct epoch *epoch, uint32_t bits)
{
    struct directory *old = directory_of(exact), *new = directory_new(bits);

    if (!new) {
        return ENOMEM;
    }
    exact->n_deep = 0;
    for (uint64_t i = 0; i < UINT64_C(1) << bits; i++) {
        uint64_t from = bits > old->bits ? i >> (bits - old->bits) : i << (old->bits - bits);
        uintptr_t known = atomic_load_explicit(&old->segment[from], memory_order_relaxed);
        atomic_init(&new->segment[i], known);
        exact->n_deep += segment_of(known)->bits == bits;
    }
    atomic_store_explicit(&exact->directory, new, memory_order_release);
    epoch_free(epoch, old);
    return 0;
}

/* --- Splitting and merging ---------------------------------------------------------------------- */

/* Fetches both lines of the entry that a word leads to, if it does. */
static void
prefetch_entry(const struct segment *segment, uint32_t i)
{
    if (i < n_words(segment)) {
        uintptr_t flow = (uintptr_t) exact_flow(load(word_at(segment, i)));
        __builtin_prefetch((const void *) flow);
        __builtin_prefetch((const void *) (flow + 64));
    }
}

/* Copies the entries of 'from', those whose hash has 'bit' to 'ones', the others to 'zeros'. */
static void
copy(const struct segment *from, const struct flow_mask *mask, uint64_t bit, struct segment *zeros,
     struct segment *ones)
{
    for (uint32_t i = 0; i < n_words(from); i++) {
        uint64_t word = load(word_at(from, i));
        prefetch_entry(from, i + AHEAD);
        if (word > EXACT_GONE) {
            uint64_t hash = flow_hash(exact_flow(word), mask);
            segment_put(hash & bit ? ones : zeros, exact_flow(word), hash);
        }
    }
}

/* Puts a segment with the same entries but another number of buckets in the place of one. */
static int
rebuild(struct exact *exact, struct epoch *epoch, const struct flow_mask *mask, uint64_t hash,
        uint32_t log)
{
    struct segment *old = segment_at(exact, hash), *new = segment_new(mask, log, old->bits);

    if (!new) {
        return ENOMEM;
    }
    copy(old, mask, 0, new, new);
    direct(directory_of(exact), new, hash);
    epoch_retire(epoch, old, segment_free, NULL);
    return 0;
}

/* Puts two segments in the place of one: those whose next bit is 0, and 1. */
static int
split(struct exact *exact, struct epoch *epoch, const struct flow_mask *mask, uint64_t hash)
{
    struct segment *old = segment_at(exact, hash);

    if (old->bits == directory_of(exact)->bits && resize_directory(exact, epoch, old->bits + 1)) {
        return ENOMEM;
    }
    struct segment *zeros = segment_new(mask, old->log, old->bits + 1);
    struct segment *ones = segment_new(mask, old->log, old->bits + 1);
    if (!zeros || !ones) {
        segment_free(zeros, NULL);
        segment_free(ones, NULL);
        return ENOMEM;
    }
    uint64_t bit = UINT64_C(1) << (63 - old->bits);
    copy(old, mask, bit, zeros, ones);
    direct(directory_of(exact), zeros, hash & ~bit);
    direct(directory_of(exact), ones, hash | bit);
    exact->n_segments++;
    exact->n_deep += zeros->bits == directory_of(exact)->bits ? 2 : 0;
    epoch_retire(epoch, old, segment_free, NULL);
    return 0;
}

static bool
may_split(const struct exact *exact, const struct segment *segment)
{
    uint32_t bits = directory_of(exact)->bits;

    return segment->log >= USUAL
           && (segment->bits < bits
               || UINT64_C(2) << bits <= (uint64_t) SPARSE * exact->n_segments);
}

/* The segment that was split off this one, if it is one still. */
static struct segment *
sibling(const struct exact *exact, const struct segment *segment, uint64_t hash)
{
    struct segment *other = segment->bits
                            ? segment_at(exact, hash ^ UINT64_C(1) << (64 - segment->bits)) : NULL;

    return other && other->bits == segment->bits ? other : NULL;
}

/* Undoes a split.  Without memory it is left. */
static void
merge(struct exact *exact, struct epoch *epoch, const struct flow_mask *mask, uint64_t hash,
      struct segment *one, struct segment *other)
{
    struct segment *both = segment_new(mask, USUAL, one->bits - 1);

    if (!both) {
        return;
    }
    exact->n_deep -= one->bits == directory_of(exact)->bits ? 2 : 0;
    copy(one, mask, 0, both, both);
    copy(other, mask, 0, both, both);
    direct(directory_of(exact), both, hash);
    exact->n_segments--;
    epoch_retire(epoch, one, segment_free, NULL);
    epoch_retire(epoch, other, segment_free, NULL);
    if (!exact->n_deep) {
        resize_directory(exact, epoch, directory_of(exact)->bits - 1);
    }
}

/* Makes a segment smaller that has become nearly empty: less buckets if it has no sibling to be
 * merged with. */
static void
shrink(struct exact *exact, struct epoch *epoch, const struct flow_mask *mask, uint64_t hash)
{
    struct segment *segment = segment_at(exact, hash);
    struct segment *other = sibling(exact, segment, hash);
    uint32_t least = segment->bits ? USUAL : 0;

    if (segment->log > least && segment->n_used * 8 < n_words(segment)) {
        rebuild(exact, epoch, mask, hash, segment->log - 1);
    } else if (other && (segment->n_used + other->n_used) * 8 < 3 * (BUCKET_WORDS << USUAL)) {
        merge(exact, epoch, mask, hash, segment, other);
    }
}

/* --- Operations ------------------------------------------------------------------------------- */

int
exact_open(struct exact *exact, const struct flow_mask *mask)
{
    struct directory *directory = directory_new(0);
    struct segment *segment = segment_new(mask, 0, 0);

    *exact = (struct exact) { .n_segments = 1, .n_deep = 1 };
    if (!directory || !segment) {
        free(directory);
        segment_free(segment, NULL);
        return ENOMEM;
    }
    direct(directory, segment, 0);
    atomic_init(&exact->directory, directory);
    return 0;
}

/* The hash at which the next segment begins; 0 after the last. */
static uint64_t
after(const struct segment *segment, uint64_t hash)
{
    if (!segment->bits) {
        return 0;
    }
    uint64_t step = UINT64_C(1) << (64 - segment->bits);
    return (hash & ~(step - 1)) + step;
}

void
exact_close(struct exact *exact)
{
    uint64_t hash = 0;

    do {
        struct segment *segment = segment_at(exact, hash);
        hash = after(segment, hash);
        segment_free(segment, NULL);
    } while (hash);
    free(directory_of(exact));
}

_Atomic uint64_t *
exact_find(const struct exact *exact, const struct flow_mask *mask, const struct flow_key *key,
           uint64_t hash, uint64_t *seen)
{
    const struct directory *directory = atomic_load_explicit(&exact->directory,
                                                             memory_order_acquire);
    uintptr_t segment = exact_segment(directory, hash);
    uint64_t last = exact_last(segment);

    for (uint64_t n = 0; n <= last; n++) {
        const struct bucket *bucket = exact_buckets(segment) + ((hash + n) & last);
        bool full = true;
        for (unsigned i = 0; i < BUCKET_WORDS; i++) {
            uint64_t word = atomic_load_explicit(&bucket->word[i], memory_order_acquire);
            full &= word != 0;
            if (word >> EXACT_TAG == exact_tag(hash) && same_words(exact_flow(word), mask, key)) {
                *seen = word;
                return (_Atomic uint64_t *) &bucket->word[i];
            }
        }
        if (!full) {
            return NULL;
        }
    }
    return NULL;
}

int
exact_reserve(struct exact *exact, struct epoch *epoch, const struct flow_mask *mask, uint64_t hash)
{
    for (;;) {
        const struct segment *segment = segment_at(exact, hash);
        uint32_t n = n_words(segment);
        int error;

        if (segment->n_busy + 1 <= n / 8 * 7) {
            return 0;
        }
        if ((segment->n_used + 1) * 2 <= n) {
            error = rebuild(exact, epoch, mask, hash, segment->log);
        } else if (may_split(exact, segment)) {
            error = split(exact, epoch, mask, hash);
        } else {
            error = rebuild(exact, epoch, mask, hash, segment->log + 1);
        }
        if (error) {
            return error;
        }
    }
}

void
exact_put(struct exact *exact, struct flow *flow, uint64_t hash)
{
    segment_put(segment_at(exact, hash), flow, hash);
    exact->n_keys++;
}

void
exact_replace(_Atomic uint64_t *word, struct flow *flow, uint64_t hash)
{
    put_word(word, flow, hash);
}

/* A word of a bucket that is full is not empty again: keys of that bucket may be in the next. */
void
exact_remove(struct exact *exact, struct epoch *epoch, const struct flow_mask *mask,
             _Atomic uint64_t *word, uint64_t hash)
{
    struct segment *segment = segment_at(exact, hash);
    const struct bucket *bucket = (const struct bucket *) ((uintptr_t) word & ~(uintptr_t) 63);
    bool full = true;

    for (unsigned i = 0; i < BUCKET_WORDS; i++) {
        full &= load(&bucket->word[i]) != 0;
    }
    atomic_store_explicit(word, full ? EXACT_GONE : 0, memory_order_release);
    segment->n_busy -= !full;
    segment->n_used--;
    exact->n_keys--;
    if (!exact->visiting && segment->n_used * 8 < n_words(segment)) {
        shrink(exact, epoch, mask, hash);
    }
}

static bool
segment_each(const struct segment *segment, bool (*visit)(struct flow *, void *), void *context)
{
    for (uint32_t i = 0; i < n_words(segment); i++) {
        uint64_t word = load(word_at(segment, i));
        prefetch_entry(segment, i + AHEAD);
        if (word > EXACT_GONE && !visit(exact_flow(word), context)) {
            return false;
        }
    }
    return true;
}

bool
exact_each(struct exact *exact, uint64_t *from, unsigned *budget,
           bool (*visit)(struct flow *, void *), void *context)
{
    bool outer = exact->visiting, goes_on = true;

    exact->visiting = true;
    while (goes_on && *budget) {
        const struct segment *segment = segment_at(exact, *from);
        *budget -= n_words(segment) < *budget ? n_words(segment) : *budget;
        goes_on = segment_each(segment, visit, context);
        *from = after(segment, *from);
        if (!*from) {
            break;
        }
    }
    exact->visiting = outer;
    return goes_on;
}

void
exact_tidy(struct exact *exact, struct epoch *epoch, const struct flow_mask *mask)
{
    uint64_t hash = 0;

    while (!exact->visiting) {
        uint32_t bits = segment_at(exact, hash)->bits, log = segment_at(exact, hash)->log;
        shrink(exact, epoch, mask, hash);
        const struct segment *segment = segment_at(exact, hash);
        if (segment->bits == bits && segment->log == log) {
            hash = after(segment, hash);
            if (!hash) {
                break;
            }
        }
    }
}

size_t
exact_memory(const struct exact *exact)
{
    const struct directory *directory = directory_of(exact);
    size_t size = sizeof *directory + (sizeof directory->segment[0] << directory->bits);
    uint64_t hash = 0;

    do {
        const struct segment *segment = segment_at(exact, hash);
        size += segment_size(segment->log);
        hash = after(segment, hash);
    } while (hash);
    return size;
}
