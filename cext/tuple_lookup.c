/* Lookups in tuple space; see match_tuple.c.
 *
 * A lookup takes all packets of a batch through passes: hashes, buckets, entries.  Each pass asks the
 * cache for what the next one reads, so that the misses of a batch overlap.
 *
 * All of it is compiled once for each way to compare the tags of a bucket, and for entries and heads of
 * them (tuple.h): every function down to the operation itself is inlined into it, with these as
 * constants. */

#include "tuple.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

enum { PRUNE_FROM = 3 };            /* Subtables from which on pruning pays. */

/* What a bucket has for a tag. */
struct matches {
    uint32_t tags;                  /* A bit for each word with the tag. */
    bool ends;                      /* There is an empty word: the search ends here. */
};

typedef struct matches compare_tags(const struct bucket *bucket, uint64_t tag);

/* --- Comparing tags --------------------------------------------------------------------------- */

INLINE struct matches
compare_plain(const struct bucket *bucket, uint64_t tag)
{
    struct matches matches = { 0, false };

    for (unsigned i = 0; i < BUCKET_WORDS; i++) {
        uint64_t word = atomic_load_explicit(&bucket->word[i], memory_order_acquire);
        matches.tags |= (uint32_t) (word >> EXACT_TAG == tag) << i;
        matches.ends |= !word;
    }
    return matches;
}

#if defined __x86_64__ && !defined __SANITIZE_THREAD__  /* It takes vectors for races. */
#define VECTORS

/* Vectors are loaded whole or in parts, but never less than a word at a time; the word that matches
 * is read again as an atomic. */

INLINE __attribute__((target("sse4.1"))) struct matches
compare_sse(const struct bucket *bucket, uint64_t tag)
{
    const __m128i *pairs = (const __m128i *) bucket, zero = _mm_setzero_si128();
    const __m128i tags = _mm_set1_epi16((short) tag);
    uint32_t same = 0, empty = 0;

    for (unsigned i = 0; i < BUCKET_WORDS / 2; i++) {
        __m128i pair = _mm_load_si128(&pairs[i]);
        same |= (uint32_t) _mm_movemask_pd((__m128d) _mm_cmpeq_epi16(pair, tags)) << 2 * i;
        empty |= (uint32_t) _mm_movemask_pd((__m128d) _mm_cmpeq_epi64(pair, zero));
    }
    return (struct matches) { same, empty };
}

INLINE __attribute__((target("avx2"))) struct matches
compare_avx2(const struct bucket *bucket, uint64_t tag)
{
    const __m256i *halves = (const __m256i *) bucket, tags = _mm256_set1_epi16((short) tag);
    __m256i low = _mm256_load_si256(&halves[0]), high = _mm256_load_si256(&halves[1]);
    uint32_t same = (uint32_t) _mm256_movemask_pd((__m256d) _mm256_cmpeq_epi16(low, tags))
                    | (uint32_t) _mm256_movemask_pd((__m256d) _mm256_cmpeq_epi16(high, tags)) << 4;
    __m256i least = _mm256_cmpeq_epi64(_mm256_setzero_si256(), low)
                    | _mm256_cmpeq_epi64(_mm256_setzero_si256(), high);

    return (struct matches) { same, !_mm256_testz_si256(least, least) };
}

INLINE __attribute__((target("avx512f"))) struct matches
compare_avx512(const struct bucket *bucket, uint64_t tag)
{
    __m512i words = _mm512_load_si512(bucket);

    return (struct matches) {
        _mm512_cmpeq_epi64_mask(_mm512_srli_epi64(words, EXACT_TAG),
                                _mm512_set1_epi64((long long) tag)),
        _mm512_testn_epi64_mask(words, words),
    };
}

#endif

/* --- One subtable ------------------------------------------------------------------------------- */

/* The first entry on the way of 'hash' that has its tag, or null. */
INLINE const struct flow *
candidate(compare_tags compare, uintptr_t segment, uint64_t hash)
{
    uint64_t last = exact_last(segment);

    for (uint64_t n = 0; n <= last; n++) {
        const struct bucket *bucket = exact_buckets(segment) + ((hash + n) & last);
        struct matches matches = compare(bucket, exact_tag(hash));
        for (; matches.tags; matches.tags &= matches.tags - 1) {
            uint64_t word = atomic_load_explicit(&bucket->word[__builtin_ctz(matches.tags)],
                                                 memory_order_acquire);
            if (word >> EXACT_TAG == exact_tag(hash)) {
                return exact_flow(word);
            }
        }
        if (matches.ends) {
            break;
        }
    }
    return NULL;
}

/* The candidate if it is the one; else, which is rare, the one that is. */
INLINE const struct flow *
confirm(const struct flow *flow, const struct exact *exact, const struct flow_mask *mask,
        const struct flow_key *key, uint64_t hash, unsigned n_words)
{
    uint64_t difference = 0;

    if (!flow) {
        return NULL;
    }
    for (unsigned i = 0; i < n_words; i++) {
        difference |= (key->word[mask->word[i]] & mask->bits[i]) ^ flow->words[i];
    }
    if (__builtin_expect(!difference, 1)) {
        return flow;
    }
    uint64_t word;
    return exact_find(exact, mask, key, hash, &word) ? exact_flow(word) : NULL;
}

/* Packets that are taken through the passes together: what they read fits into the first cache. */
enum { GROUP = 64 };

INLINE void
lookup_group(compare_tags compare, bool heads, const struct subtable *subtable,
             const struct flow_key *const keys[], unsigned n, const struct flow *found[],
             unsigned n_words)
{
    const struct flow_mask *mask = &subtable->mask;
    const struct directory *directory = atomic_load_explicit(&subtable->exact.directory,
                                                             memory_order_acquire);
    uint64_t hash[GROUP];
    uintptr_t segment[GROUP];

    for (unsigned i = 0; i < n; i++) {
        hash[i] = mask->seed;
        for (unsigned j = 0; j < n_words; j++) {
            hash[i] = hash_word(hash[i], keys[i]->word[mask->word[j]] & mask->bits[j]);
        }
        segment[i] = exact_segment(directory, hash[i]);
        __builtin_prefetch(exact_home(segment[i], hash[i]));
    }
    for (unsigned i = 0; i < n; i++) {
        found[i] = candidate(compare, segment[i], hash[i]);
        flow_prefetch(found[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        found[i] = confirm(found[i], &subtable->exact, mask, keys[i], hash[i], n_words);
        if (heads) {
            head_prefetch(found[i]);
        }
    }
    for (unsigned i = 0; heads && i < n; i++) {
        found[i] = head_search(found[i], keys[i]);
    }
}

/* All packets in one subtable. The usual numbers of words have loops of their own. */
INLINE void
lookup_one(compare_tags compare, bool heads, const struct subtable *subtable,
           const struct flow_key *const keys[], unsigned n, const struct flow *found[])
{
    for (unsigned i = 0; i < n; i += GROUP) {
        unsigned n_group = n - i < GROUP ? n - i : GROUP;
        switch (subtable->mask.n) {
        case 1:
            lookup_group(compare, heads, subtable, keys + i, n_group, found + i, 1);
            break;
        case 2:
            lookup_group(compare, heads, subtable, keys + i, n_group, found + i, 2);
            break;
        case 3:
            lookup_group(compare, heads, subtable, keys + i, n_group, found + i, 3);
            break;
        default:
            lookup_group(compare, heads, subtable, keys + i, n_group, found + i, subtable->mask.n);
        }
    }
}

/* --- Subtable after subtable ---------------------------------------------------------------------- */

static inline void
keep_better(const struct flow **best, const struct flow *flow)
{
    if (flow && (!*best || flow->priority > (*best)->priority)) {
        *best = flow;
    }
}

/* The packets for which a subtable may have something better than what they have. */
static unsigned
still_seeking(const struct subtable *subtable, const struct flow_key *const keys[], unsigned n,
              const struct flow *const found[], const struct flow_key *left[], uint8_t packet[])
{
    uint32_t top = top_of(subtable);
    unsigned n_left = 0;

    for (unsigned i = 0; i < n; i++) {
        left[n_left] = keys[i];
        packet[n_left] = (uint8_t) i;
        n_left += !found[i] || found[i]->priority < top;
    }
    return n_left;
}

_Static_assert(PACKET_VECTOR <= UINT8_MAX + 1, "see still_seeking()");

/* All packets, one subtable after the other. */
INLINE void
lookup_all(compare_tags compare, bool heads, const struct order *order,
           const struct flow_key *const keys[], unsigned n, const struct flow *found[], bool members)
{
    const struct flow_key *left[PACKET_VECTOR];
    const struct flow *flows[PACKET_VECTOR];
    uint8_t packet[PACKET_VECTOR];

    for (uint32_t i = 0; i < order->n; i++) {
        if (order->list[i]->member >= 0 && !members) {
            continue;
        }
        unsigned n_left = still_seeking(order->list[i], keys, n, found, left, packet);
        if (!n_left) {
            continue;
        }
        lookup_one(compare, heads, order->list[i], left, n_left, flows);
        for (unsigned j = 0; j < n_left; j++) {
            keep_better(&found[packet[j]], flows[j]);
        }
    }
}

/* --- Each packet in its own subtables --------------------------------------------------------------- */

/* Packets that still have candidates; each seeks in a subtable of its own. */
struct pruned {
    unsigned n;
    uint8_t packet[PACKET_VECTOR];
    uint64_t left[PACKET_VECTOR];                   /* Candidates, as places in order->members. */
    const struct subtable *subtable[PACKET_VECTOR];
    uint64_t hash[PACKET_VECTOR];
    uintptr_t segment[PACKET_VECTOR];
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
    for (unsigned i = 0; i < n; i++) {
        prune_prefetch(&tuple->prune, keys[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        pruned->packet[i] = (uint8_t) i;
        pruned->left[i] = places_of(order, prune_candidates(&tuple->prune, keys[i])
                                           & order->known);
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
        if (best && best->priority >= top_of(subtable)) {
            continue;
        }
        pruned->packet[n] = pruned->packet[i];
        pruned->left[n] = left & (left - 1);
        pruned->subtable[n++] = subtable;
    }
    pruned->n = n;
}

INLINE void
seek_chosen(compare_tags compare, bool heads, const struct flow_key *const keys[],
            struct pruned *pruned, const struct flow *found[])
{
    for (unsigned i = 0; i < pruned->n; i++) {
        const struct subtable *subtable = pruned->subtable[i];
        const struct directory *directory = atomic_load_explicit(&subtable->exact.directory,
                                                                 memory_order_acquire);
        pruned->hash[i] = flow_mask_hash(&subtable->mask, keys[pruned->packet[i]]);
        pruned->segment[i] = exact_segment(directory, pruned->hash[i]);
        __builtin_prefetch(exact_home(pruned->segment[i], pruned->hash[i]));
    }
    for (unsigned i = 0; i < pruned->n; i++) {
        pruned->flow[i] = candidate(compare, pruned->segment[i], pruned->hash[i]);
        flow_prefetch(pruned->flow[i]);
    }
    for (unsigned i = 0; i < pruned->n; i++) {
        const struct subtable *subtable = pruned->subtable[i];
        pruned->flow[i] = confirm(pruned->flow[i], &subtable->exact, &subtable->mask,
                                  keys[pruned->packet[i]], pruned->hash[i], subtable->mask.n);
        if (heads) {
            head_prefetch(pruned->flow[i]);
        }
    }
    for (unsigned i = 0; i < pruned->n; i++) {
        const struct flow *flow = pruned->flow[i];
        keep_better(&found[pruned->packet[i]],
                    heads ? head_search(flow, keys[pruned->packet[i]]) : flow);
    }
}

/* Each packet in its own candidates only, best priorities first; a round takes every packet one
 * candidate on. */
INLINE void
lookup_pruned(compare_tags compare, bool heads, const struct tuple *tuple,
              const struct order *order, const struct flow_key *const keys[], unsigned n, const struct flow *found[])
{
    struct pruned pruned;

    find_candidates(tuple, order, keys, n, &pruned);
    for (choose(order, found, &pruned); pruned.n; choose(order, found, &pruned)) {
        seek_chosen(compare, heads, keys, &pruned, found);
    }
}

/* --- All of it, for each processor --------------------------------------------------------------- */

INLINE void
lookup(compare_tags compare, bool heads, const struct finder *finder,
       const struct flow_key *const keys[], unsigned n, const struct flow *found[])
{
    const struct tuple *tuple = (const struct tuple *) finder;
    const struct order *order = atomic_load_explicit(&tuple->order, memory_order_acquire);
    bool prune = order->n_members >= PRUNE_FROM;

    if (order->n == 1) {
        lookup_one(compare, heads, order->list[0], keys, n, found);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        found[i] = NULL;
    }
    if (prune) {
        lookup_pruned(compare, heads, tuple, order, keys, n, found);
    }
    if (!prune || order->n_members < order->n) {
        lookup_all(compare, heads, order, keys, n, found, !prune);
    }
}

#define LOOKUP(NAME, HEADS, ATTRIBUTES)                                                         \
    static ATTRIBUTES void                                                                      \
    NAME##HEADS(const struct finder *finder, const struct flow_key *const keys[], unsigned n,   \
                const struct flow *found[])                                                     \
    {                                                                                           \
        lookup(compare_##NAME, HEADS, finder, keys, n, found);                                  \
    }

#define WAY(NAME, RUNS, ATTRIBUTES)                                                             \
    static bool                                                                                 \
    runs_##NAME(void)                                                                           \
    {                                                                                           \
        return RUNS;                                                                            \
    }                                                                                           \
                                                                                                \
    LOOKUP(NAME, 0, ATTRIBUTES)                                                                 \
    LOOKUP(NAME, 1, ATTRIBUTES)

#define ROW(NAME) { #NAME, runs_##NAME, { NAME##0, NAME##1 } }

WAY(plain, true, )
#ifdef VECTORS
#define TARGET(NAME, FEATURE) \
    WAY(NAME, __builtin_cpu_supports(FEATURE), __attribute__((target(FEATURE))))
TARGET(sse, "sse4.1")
TARGET(avx2, "avx2")
TARGET(avx512, "avx512f")
#define OR_PLAIN(NAME) ROW(NAME)
#else
#define OR_PLAIN(NAME) ROW(plain)
#endif

const struct tuple_way tuple_ways[TUPLE_WAYS] = {
    ROW(plain), OR_PLAIN(sse), OR_PLAIN(avx2), OR_PLAIN(avx512),
};

finder_lookup *
tuple_lookup(bool heads)
{
    unsigned best = TUPLE_WAYS - 1;

    while (!tuple_ways[best].runs()) {
        best--;
    }
    return tuple_ways[best].lookup[heads];
}
