/* Keys and values: see kv.h. */

#include "kv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

typedef _Atomic uint64_t slot;

/* Acquire: the version is looked at again after the words, without a fence, which
 * ThreadSanitizer does not know. */
static uint64_t
load(const slot *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

/* Release: the version is odd before a word changes. */
static void
store(slot *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

int
kv_open(struct kv *kv, const struct kv_config *config)
{
    enum { LOAD = 2 };          /* Slots for each entry: a pair of sets is full only by great ill luck. */
    uint64_t sets = (uint64_t)config->max_entries * LOAD / KV_SET / KV_SHARDS, n_sets = 2;

    while (n_sets < sets) {
        n_sets *= 2;
    }
    *kv = (struct kv) {
        .config = *config, .n_sets = (uint32_t)n_sets,
        .slot_words = 1u + config->key_words + config->value_words,
    };
    atomic_init(&kv->ttl_ms, config->ttl_ms);
    kv->slots = calloc(n_sets * KV_SHARDS * KV_SET * kv->slot_words, sizeof *kv->slots);
    kv->shards = aligned_alloc(64, KV_SHARDS * sizeof *kv->shards);
    if (!kv->slots || !kv->shards) {
        kv_close(kv);
        return ENOMEM;
    }
    memset(kv->shards, 0, KV_SHARDS * sizeof *kv->shards);
    return 0;
}

void
kv_close(struct kv *kv)
{
    free(kv->slots);
    free(kv->shards);
    kv->slots = NULL;
    kv->shards = NULL;
}

void
kv_set_ttl(struct kv *kv, uint64_t ttl_ms)
{
    atomic_store_explicit(&kv->ttl_ms, ttl_ms, memory_order_relaxed);
}

/* --- Where a key may lie ------------------------------------------------------------------------ */

struct place {
    struct kv_shard *shard;
    slot *sets[2];
};

static struct place
place_of(const struct kv *kv, const uint64_t *key)
{
    uint64_t hash = 0;

    for (unsigned i = 0; i < kv->config.key_words; i++) {
        hash = hash_word(hash, key[i]);
    }

    uint32_t shard = hash >> 58, one = (uint32_t)hash & (kv->n_sets - 1);
    uint32_t other = (uint32_t)(hash >> 26) & (kv->n_sets - 1);
    size_t set_words = (size_t)KV_SET * kv->slot_words;
    slot *first = kv->slots + (size_t)shard * kv->n_sets * set_words;

    other = other == one ? one ^ 1 : other;
    return (struct place) { &kv->shards[shard], { first + one * set_words,
                                                  first + other * set_words } };
}

static bool
is_live(const struct kv *kv, const slot *at, uint64_t now_ms)
{
    uint64_t used = load(at), ttl = atomic_load_explicit(&kv->ttl_ms, memory_order_relaxed);

    return used && (used + ttl > now_ms);
}

static bool
has_key(const struct kv *kv, const slot *at, const uint64_t *key)
{
    for (unsigned i = 0; i < kv->config.key_words; i++) {
        if (load(&at[1 + i]) != key[i]) {
            return false;
        }
    }
    return true;
}

/* The live slot of a key, or null. */
static slot *
find(const struct kv *kv, const struct place *place, const uint64_t *key, uint64_t now_ms)
{
    for (unsigned i = 0; i < 2 * KV_SET; i++) {
        slot *at = place->sets[i / KV_SET] + i % KV_SET * kv->slot_words;

        if (has_key(kv, at, key) && is_live(kv, at, now_ms)) {
            return at;
        }
    }
    return NULL;
}

/* --- Turns -------------------------------------------------------------------------------------- */

static void
lock(struct kv_shard *shard)
{
    uint32_t version;

    do {
        version = atomic_load_explicit(&shard->version, memory_order_relaxed) & ~1u;
    } while (!atomic_compare_exchange_weak_explicit(&shard->version, &version, version + 1,
                                                    memory_order_acquire, memory_order_relaxed));
}

static void
unlock(struct kv_shard *shard)
{
    uint32_t version = atomic_load_explicit(&shard->version, memory_order_relaxed);

    atomic_store_explicit(&shard->version, version + 1, memory_order_release);
}

/* Waits until nobody writes. */
static uint32_t
begin_read(const struct kv_shard *shard)
{
    uint32_t version;

    do {
        version = atomic_load_explicit(&shard->version, memory_order_acquire);
    } while (version & 1);
    return version;
}

/* Whether nobody has written since. */
static bool
end_read(const struct kv_shard *shard, uint32_t version)
{
    return atomic_load_explicit(&shard->version, memory_order_relaxed) == version;
}

/* --- Operations --------------------------------------------------------------------------------- */

static void
get_words(const slot *from, uint64_t *to, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        to[i] = load(&from[i]);
    }
}

static void
put_words(slot *to, const uint64_t *from, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        store(&to[i], from[i]);
    }
}

/* Finds a key and copies its value; returns the slot or null. */
static slot *
peek(const struct kv *kv, const struct place *place, const uint64_t *key, uint64_t now_ms,
     uint64_t *value)
{
    uint32_t version;
    slot *at;

    do {
        version = begin_read(place->shard);
        at = find(kv, place, key, now_ms);
        if (at) {
            get_words(&at[1 + kv->config.key_words], value, kv->config.value_words);
        }
    } while (!end_read(place->shard, version));
    return at;
}

bool
kv_get(const struct kv *kv, const uint64_t *key, uint64_t now_ms, uint64_t *value)
{
    struct place place = place_of(kv, key);

    return peek(kv, &place, key, now_ms, value);
}

/* A slot for a new entry: one that is free, in the emptier set; else the oldest one if the table
 * forgets, else null. */
static slot *
find_room(const struct kv *kv, const struct place *place, uint64_t now_ms)
{
    slot *room[2] = { NULL, NULL }, *oldest = place->sets[0];
    unsigned n_free[2] = { 0, 0 };

    for (unsigned i = 0; i < 2 * KV_SET; i++) {
        slot *at = place->sets[i / KV_SET] + i % KV_SET * kv->slot_words;

        if (!is_live(kv, at, now_ms)) {
            room[i / KV_SET] = at;
            n_free[i / KV_SET]++;
        }
        if (load(at) < load(oldest)) {
            oldest = at;
        }
    }
    slot *emptier = room[n_free[1] > n_free[0]];
    return emptier ? emptier : kv->config.forgets ? oldest : NULL;
}

static enum kv_result
put_locked(struct kv *kv, const struct place *place, const uint64_t *key, const uint64_t *value,
           uint64_t now_ms)
{
    slot *at = find(kv, place, key, now_ms);
    enum kv_result result = at ? KV_CHANGED : KV_NEW;

    at = at ? at : find_room(kv, place, now_ms);
    if (!at) {
        return KV_FULL;
    }
    store(at, now_ms);
    put_words(&at[1], key, kv->config.key_words);
    put_words(&at[1 + kv->config.key_words], value, kv->config.value_words);
    return result;
}

enum kv_result
kv_put(struct kv *kv, const uint64_t *key, const uint64_t *value, uint64_t now_ms)
{
    struct place place = place_of(kv, key);
    uint64_t old[KV_WORDS], ttl = atomic_load_explicit(&kv->ttl_ms, memory_order_relaxed);
    slot *at = peek(kv, &place, key, now_ms, old);

    /* Between looking and refreshing the slot can become another's, which then lives an eighth too
     * long at most. */
    if (at && !memcmp(old, value, kv->config.value_words * sizeof *value)) {
        uint64_t used = load(at);
        if (!used || used + ttl / 8 > now_ms) {
            return KV_SAME;
        }
    }
    lock(place.shard);
    enum kv_result result = put_locked(kv, &place, key, value, now_ms);
    unlock(place.shard);
    return result == KV_CHANGED && at && !memcmp(old, value, kv->config.value_words * sizeof *value)
               ? KV_SAME : result;
}

bool
kv_remove(struct kv *kv, const uint64_t *key, uint64_t now_ms)
{
    struct place place = place_of(kv, key);

    lock(place.shard);
    slot *at = find(kv, &place, key, now_ms);
    if (at) {
        store(at, 0);
    }
    unlock(place.shard);
    return at;
}

/* Copies what is in a slot; false if it is free. */
static bool
copy_slot(const struct kv *kv, const struct kv_shard *shard, const slot *at, uint64_t now_ms,
          struct kv_entry *entry)
{
    uint32_t version;

    do {
        version = begin_read(shard);
        entry->used_ms = is_live(kv, at, now_ms) ? load(at) : 0;
        get_words(&at[1], entry->key, kv->config.key_words);
        get_words(&at[1 + kv->config.key_words], entry->value, kv->config.value_words);
    } while (!end_read(shard, version));
    return entry->used_ms;
}

/* Frees a slot if it still has that entry. */
static void
remove_slot(const struct kv *kv, struct kv_shard *shard, slot *at, const struct kv_entry *entry)
{
    uint64_t value[KV_WORDS];

    lock(shard);
    get_words(&at[1 + kv->config.key_words], value, kv->config.value_words);
    if (has_key(kv, at, entry->key)
        && !memcmp(value, entry->value, kv->config.value_words * sizeof *value)) {
        store(at, 0);
    }
    unlock(shard);
}

size_t
kv_each(struct kv *kv, uint64_t now_ms, bool (*visit)(const struct kv_entry *, void *),
        void *context)
{
    size_t in_shard = (size_t)kv->n_sets * KV_SET, n = 0;

    for (size_t i = 0; i < in_shard * KV_SHARDS; i++) {
        struct kv_shard *shard = &kv->shards[i / in_shard];
        slot *at = &kv->slots[i * kv->slot_words];
        struct kv_entry entry = { .used_ms = 0 };

        if (load(at) && copy_slot(kv, shard, at, now_ms, &entry)) {
            n++;
            if (!visit(&entry, context)) {
                remove_slot(kv, shard, at, &entry);
            }
        }
    }
    return n;
}
