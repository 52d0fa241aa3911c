/* Keys and values: the table, and reading.  See kv.h. */

#include "kv.h"

#include <errno.h>
#include <sys/mman.h>

#include "kv_private.h"

enum {
    IN_SHARD = 1024,            /* Entries for which another shard pays. */
    HUGE_PAGE = 1 << 21,
    LINE = 64,
};

static size_t
lines(size_t n, size_t size)
{
    return (n * size + LINE - 1) / LINE * LINE;
}

/* The parts of the table in one piece of memory, which is 0: what was never used costs none. */
static int
map(struct kv *kv)
{
    size_t n = (size_t)kv->n_shards * kv->n_entries;
    size_t shards = lines(kv->n_shards, sizeof *kv->shards);
    size_t sets = lines((size_t)kv->n_shards * kv->n_sets, sizeof *kv->sets);
    size_t entries = lines(n, kv->entry_words * sizeof *kv->entries);
    size_t links = lines(n, sizeof *kv->links), free = lines(n, sizeof *kv->free);

    kv->n_bytes = shards + sets + entries + links + free;

    uint8_t *at = mmap(NULL, kv->n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED) {
        kv->n_bytes = 0;
        return ENOMEM;
    }
    if (kv->n_bytes >= HUGE_PAGE) {
        madvise(at, kv->n_bytes, MADV_HUGEPAGE);        /* A wish; it works without. */
    }
    kv->sets = (struct kv_set *)at;
    kv->entries = (word *)(at + sets);
    kv->shards = (struct kv_shard *)(at + sets + entries);
    kv->links = (struct kv_link *)(at + sets + entries + shards);
    kv->free = (uint32_t *)(at + sets + entries + shards + links);
    return 0;
}

/* So that few entries lie across two cache lines. */
static uint32_t
rounded(uint32_t words)
{
    uint32_t round = 1;

    while (round < words && round < LINE / sizeof(word)) {
        round *= 2;
    }
    return (words + round - 1) / round * round;
}

int
kv_open(struct kv *kv, const struct kv_config *config)
{
    enum { LOAD = 2 };          /* Tags for each entry: a pair of sets is full only by great ill luck. */
    uint32_t n_shards = 1, n_sets = 2, in_shard;

    while (n_shards < KV_SHARDS && config->max_entries / n_shards > IN_SHARD) {
        n_shards *= 2;
    }
    /* Shards are not filled alike. */
    in_shard = config->max_entries / n_shards;
    in_shard += n_shards > 1 ? in_shard / 8 + 64 : 1;
    while (n_sets < (uint64_t)in_shard * LOAD / KV_SET) {
        n_sets *= 2;
    }
    *kv = (struct kv) {
        .config = *config, .n_shards = n_shards, .n_sets = n_sets, .n_entries = in_shard,
        .entry_words = rounded(1u + config->key_words + config->value_words),
    };
    atomic_init(&kv->ttl_ms[0], config->ttl_ms);
    return map(kv);
}

void
kv_close(struct kv *kv)
{
    if (kv->n_bytes) {
        munmap(kv->sets, kv->n_bytes);
        kv->n_bytes = 0;
    }
}

void
kv_set_ttl(struct kv *kv, unsigned life, uint64_t ttl_ms, bool fixed)
{
    atomic_store_explicit(&kv->ttl_ms[life], ttl_ms, memory_order_relaxed);
    atomic_store_explicit(&kv->fixed[life], fixed, memory_order_relaxed);
}

size_t
kv_count(const struct kv *kv)
{
    size_t n = 0;

    for (unsigned i = 0; i < kv->n_shards; i++) {
        n += atomic_load_explicit(&kv->shards[i].n_used, memory_order_relaxed);
    }
    return n;
}

/* --- Reading ------------------------------------------------------------------------------------ */

/* Copies the value of an entry; returns its first word, 0 if it is not a live one with that key. */
static inline uint64_t
read_entry(const struct kv *kv, unsigned key_words, unsigned value_words, word *entry,
           const uint64_t *key, uint64_t now_ms, uint64_t *value)
{
    uint64_t used = load(entry), other = 0;

    for (unsigned i = 0; i < key_words; i++) {
        other |= load(&entry[1 + i]) ^ key[i];
    }
    if (other || !is_live(kv, used, now_ms)) {
        return 0;
    }
    get_words(&entry[1 + key_words], value, value_words);
    return used;
}

/* Finds a live key and copies its value; returns the entry or null. */
static word *
peek(const struct kv *kv, const struct place *place, const uint64_t *key, uint64_t now_ms,
     uint64_t *value, uint64_t *used)
{
    struct found found;
    uint32_t version;

    do {
        version = begin_read(place->shard);
        found = find(kv, place, key);
        *used = found.entry ? read_entry(kv, kv->config.key_words, kv->config.value_words,
                                         found.entry, key, now_ms, value) : 0;
    } while (!end_read(place->shard, version));
    return *used ? found.entry : NULL;
}

bool
kv_get(const struct kv *kv, const uint64_t *key, uint64_t now_ms, uint64_t *value)
{
    struct place place = place_of(kv, kv->config.key_words, key);
    uint64_t used;

    return peek(kv, &place, key, now_ms, value, &used);
}

void
kv_prefetch(const struct kv *kv, const uint64_t *key)
{
    struct place place = place_of(kv, kv->config.key_words, key);

    __builtin_prefetch(place.sets[0], 1);
    __builtin_prefetch(place.sets[1], 1);
}

/* The entry of a set that is probably the one; null: there is none. */
static inline word *
likely(const struct kv *kv, const struct kv_set *set, uint16_t tag)
{
    for (unsigned i = 0; i < KV_SET / 4; i++) {
        uint64_t bits = tags_that_are(load(&set->tags[i]), tag);

        if (bits) {
            unsigned at = i * 4 + lowest(bits);

            return entry_at(kv, atomic_load_explicit(&set->entries[at], memory_order_relaxed));
        }
    }
    return NULL;
}

/* If another entry has taken its place meanwhile, its first word is another one. */
static inline void
refresh(const struct kv *kv, word *entry, uint64_t used, uint64_t now_ms)
{
    if (is_due(kv, used, now_ms)) {
        atomic_compare_exchange_strong_explicit(
            entry, &used, now_ms << LIFE_BITS | (used & (KV_LIVES - 1)), memory_order_release,
            memory_order_relaxed);
    }
}

enum { BATCH = 64 };            /* How many wait for memory together. */

static inline __attribute__((always_inline)) void
get_some(struct kv *kv, unsigned key_words, unsigned value_words, const uint64_t *keys, unsigned n,
         bool in_use, uint64_t now_ms, uint64_t *values, bool *found)
{
    struct place places[BATCH];
    word *entries[BATCH];
    uint8_t elsewhere[BATCH];           /* Those that are not in their first set. */
    unsigned n_elsewhere = 0;

    for (unsigned i = 0; i < n; i++) {
        places[i] = place_of(kv, key_words, keys + i * key_words);
        __builtin_prefetch(places[i].sets[0]);
    }
    for (unsigned i = 0; i < n; i++) {
        entries[i] = likely(kv, places[i].sets[0], places[i].tag);
        __builtin_prefetch(entries[i] ? (void *)entries[i] : (void *)places[i].sets[1]);
        elsewhere[n_elsewhere] = (uint8_t)i;
        n_elsewhere += !entries[i];
    }
    for (unsigned j = 0; j < n_elsewhere; j++) {
        unsigned i = elsewhere[j];

        entries[i] = likely(kv, places[i].sets[1], places[i].tag);
        __builtin_prefetch(entries[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        const uint64_t *key = keys + i * key_words;
        uint64_t *value = values + i * value_words, used = 0;
        uint32_t version = begin_read(places[i].shard);

        if (entries[i]) {
            used = read_entry(kv, key_words, value_words, entries[i], key, now_ms, value);
        }
        if (!used || !end_read(places[i].shard, version)) {
            entries[i] = peek(kv, &places[i], key, now_ms, value, &used);
        }
        found[i] = used;
        if (used && in_use) {
            refresh(kv, entries[i], used, now_ms);
        }
    }
}

void
kv_get_batch(struct kv *kv, const uint64_t *keys, unsigned n, bool in_use, uint64_t now_ms,
             uint64_t *values, bool *found)
{
    const unsigned key_words = kv->config.key_words, value_words = kv->config.value_words;

    for (unsigned at = 0; at < n; at += BATCH) {
        unsigned some = n - at < BATCH ? n - at : BATCH;
        const uint64_t *key = keys + at * key_words;
        uint64_t *value = values + at * value_words;

        /* With numbers that the compiler knows it is half again as quick. */
        if (key_words == 2 && value_words == 1) {
            get_some(kv, 2, 1, key, some, in_use, now_ms, value, found + at);
        } else {
            get_some(kv, key_words, value_words, key, some, in_use, now_ms, value, found + at);
        }
    }
}

bool
kv_next(const struct kv *kv, uint64_t *position, uint64_t now_ms, struct kv_entry *entry)
{
    uint64_t end = (uint64_t)kv->n_shards * kv->n_entries;

    while (*position < end) {
        word *at = entry_at(kv, (uint32_t)*position);
        const struct kv_shard *shard = &kv->shards[*position / kv->n_entries];
        uint32_t version;
        bool live;

        if (*position % kv->n_entries >= touched(shard)) {
            *position += kv->n_entries - *position % kv->n_entries;     /* The next shard. */
            continue;
        }
        ++*position;
        if (!load(at)) {
            continue;
        }
        do {
            version = begin_read(shard);
            live = is_live(kv, load(at), now_ms);
            copy_entry(kv, at, entry);
        } while (!end_read(shard, version));
        if (live) {
            return true;
        }
    }
    return false;
}
