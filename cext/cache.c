/* Result cache: see cache.h. */

#include "cache.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#if defined __x86_64__
#include <emmintrin.h>
#endif

#include "hash.h"
#include "stats.h"
#include "table.h"

enum { GOTO_TABLE_AT = 4 };         /* In struct ofp_instruction_goto_table. */

/* --- Memory --------------------------------------------------------------------------- */

/* Memory of zeros that is there only once it is touched. */
static void *
map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED) {
        return NULL;
    }
    madvise(memory, size, MADV_HUGEPAGE);
    return memory;
}

static void
unmap(void *memory, size_t size)
{
    if (memory) {
        munmap(memory, size);
    }
}

int
cache_open(struct cache *cache)
{
    *cache = (struct cache) {
        .tags = map(CACHE_SETS * sizeof *cache->tags),
        .traces = map(CACHE_SETS * sizeof *cache->traces),
        .recordings = map(PACKET_VECTOR * sizeof *cache->recordings),
    };
    if (!cache->tags || !cache->traces || !cache->recordings) {
        cache_close(cache);
        return ENOMEM;
    }
    return 0;
}

void
cache_close(struct cache *cache)
{
    unmap(cache->tags, CACHE_SETS * sizeof *cache->tags);
    unmap(cache->traces, CACHE_SETS * sizeof *cache->traces);
    unmap(cache->recordings, PACKET_VECTOR * sizeof *cache->recordings);
    *cache = (struct cache) { .tags = NULL };
}

/* --- Keys ------------------------------------------------------------------------------ */

/* Whether all that is in the key fits into a trace. */
static bool
fits(const struct walk *walk)
{
    uint64_t rest = 0;

    for (unsigned i = TRACE_WORDS; walk->wide && i < N_KEY_WORDS; i++) {
        rest |= walk->key.word[i];
    }
    return !rest;
}

/* Multiplications that do not wait for each other. */
static uint64_t
hash_line(const uint64_t *word)
{
    return hash_word(word[0], word[1]) ^ hash_word(word[2] + 1, word[3])
           ^ hash_word(word[4] + 2, word[5]) ^ hash_word(word[6] + 3, word[7]);
}

static uint64_t
hash_key(const uint64_t *key, const uint64_t *wide_key, bool wide)
{
    uint64_t hash = hash_line(key);

    if (wide) {
        hash ^= hash_line(wide_key) << 1;
    }
    return hash_word(0, hash);
}

static bool
same_line(const uint64_t *a, const uint64_t *b)
{
    uint64_t difference = 0;

    for (unsigned i = 0; i < W_WIDE; i++) {
        difference |= a[i] ^ b[i];
    }
    return !difference;
}

static bool
same_key(const struct trace *trace, const uint64_t *key, const uint64_t *wide_key, bool wide)
{
    return trace->shape.wide == wide && same_line(trace->key, key)
           && (!wide || same_line(trace->wide_key, wide_key));
}

/* --- Sets ------------------------------------------------------------------------------- */

static inline uint32_t
set_of(uint64_t hash)
{
    return hash & (CACHE_SETS - 1);
}

static inline uint16_t
tag_of(uint64_t hash)
{
    return hash >> 48;
}

/* The ways of a set that have 'tag', a bit for each. */
static inline unsigned
ways_with(const uint16_t *tags, uint16_t tag)
{
#if defined __x86_64__
    __m128i same = _mm_cmpeq_epi16(_mm_loadu_si128((const __m128i *) tags),
                                   _mm_set1_epi16((short) tag));

    return _mm_movemask_epi8(_mm_packs_epi16(same, _mm_setzero_si128()));
#else
    unsigned ways = 0;

    for (unsigned way = 0; way < CACHE_WAYS; way++) {
        ways |= (unsigned) (tags[way] == tag) << way;
    }
    return ways;
#endif
}

static struct trace *
search(struct cache *cache, uint64_t hash, unsigned ways, const struct walk *walk)
{
    for (; ways; ways &= ways - 1) {
        struct trace *trace = &cache->traces[set_of(hash)][__builtin_ctz(ways)];
        if (same_key(trace, walk->key.word, walk->key.word + W_WIDE, walk->wide)) {
            return trace;
        }
    }
    return NULL;
}

static void
prefetch_trace(const struct trace *trace)
{
    __builtin_prefetch(trace);
    __builtin_prefetch(trace->key);
    __builtin_prefetch(trace->steps);
}

unsigned
cache_find(struct cache *cache, uint64_t generation, struct packet **packets, unsigned n,
           struct packet **missed)
{
    uint64_t hash[PACKET_VECTOR];
    uint8_t ways[PACKET_VECTOR];
    unsigned kept = 0, n_missed = 0;

    for (unsigned i = 0; i < n; i++) {
        const struct walk *walk = packet_walk(packets[i]);

        hash[i] = hash_key(walk->key.word, walk->key.word + W_WIDE, walk->wide);
        __builtin_prefetch(cache->tags[set_of(hash[i])]);
    }
    for (unsigned i = 0; i < n; i++) {
        ways[i] = ways_with(cache->tags[set_of(hash[i])], tag_of(hash[i]));
        if (ways[i]) {
            prefetch_trace(&cache->traces[set_of(hash[i])][__builtin_ctz(ways[i])]);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        struct walk *walk = packet_walk(packets[i]);
        const struct trace *trace = search(cache, hash[i], ways[i], walk);

        if (trace && trace->generation == generation && fits(walk)) {
            walk->trace = trace;
            packets[kept++] = packets[i];
        } else {
            missed[n_missed++] = packets[i];
        }
    }
    bump(&cache->hits, kept);
    bump(&cache->misses, n_missed);
    return kept;
}

/* --- Recording ----------------------------------------------------------------------------- */

void
cache_record(struct cache *cache, uint64_t generation, struct packet *const *packets, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct walk *walk = packet_walk(packets[i]);
        struct trace *recording = &cache->recordings[cache->n_recordings];

        if (!fits(walk)) {
            continue;
        }
        recording->generation = generation;
        recording->shape = (struct shape) { .wide = walk->wide };
        memcpy(recording->key, walk->key.word, sizeof recording->key);
        memcpy(recording->wide_key, walk->key.word + W_WIDE, sizeof recording->wide_key);
        walk->recording = recording;
        cache->n_recordings++;
    }
}

void
cache_meet(struct packet *packet, const struct flow *flow, unsigned table,
           const struct program *program, const uint8_t *args)
{
    struct walk *walk = packet_walk(packet);
    struct trace *trace = walk->recording;
    struct shape *shape = &trace->shape;

    if (shape->n_tables == TRACE_TABLES || (!program->passes && shape->n_steps == TRACE_STEPS)) {
        walk->recording = NULL;
        return;
    }
    trace->counter[shape->n_tables] = flow->counter;
    trace->table[shape->n_tables++] = table;
    shape->next_table = program->goes_on ? args[program->insns[program->n - 1].at + GOTO_TABLE_AT]
                                         : 0;
    if (!program->passes) {
        trace->steps[shape->n_steps] = (struct step) { program, (uintptr_t) flow | flow->n_words };
        shape->behind[shape->n_steps++] = shape->n_tables;
    }
    if (program->opaque) {
        walk->recording = NULL;
    }
}

/* Where a new trace goes: over that of the same key, else into a place that is free, else over
 * those that are there by turns. */
static unsigned
way_for(struct cache *cache, const struct trace *new, const struct trace *set)
{
    unsigned free = CACHE_WAYS;

    for (unsigned way = 0; way < CACHE_WAYS; way++) {
        if (!set[way].generation) {
            free = way;
        } else if (same_key(&set[way], new->key, new->wide_key, new->shape.wide)) {
            return way;
        }
    }
    return free < CACHE_WAYS ? free : cache->turn++ % CACHE_WAYS;
}

void
cache_keep(struct cache *cache)
{
    for (unsigned i = 0; i < cache->n_recordings; i++) {
        const struct trace *new = &cache->recordings[i];
        uint64_t hash = hash_key(new->key, new->wide_key, new->shape.wide);
        struct trace *set = cache->traces[set_of(hash)];

        if (new->shape.n_tables) {
            unsigned way = way_for(cache, new, set);
            set[way] = *new;
            cache->tags[set_of(hash)][way] = tag_of(hash);
            bump(&cache->inserts, 1);
        }
    }
    cache->n_recordings = 0;
}
