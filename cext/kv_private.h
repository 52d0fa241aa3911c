#ifndef RAICHO_KV_PRIVATE_H
#define RAICHO_KV_PRIVATE_H

/* Keys and values: where things lie, and turns; what the files of kv.h share. */

#include <string.h>

#include "hash.h"
#include "kv.h"

typedef _Atomic uint64_t word;

enum { LIFE_BITS = 8 };

/* Acquire: the version is looked at again after the words, without a fence, which
 * ThreadSanitizer does not know. */
static inline uint64_t
load(const word *at)
{
    return atomic_load_explicit(at, memory_order_acquire);
}

/* Release: the version is odd before a word changes. */
static inline void
store(word *at, uint64_t value)
{
    atomic_store_explicit(at, value, memory_order_release);
}

/* --- Sets --------------------------------------------------------------------------------------- */

#define EACH_TAG UINT64_C(0x0001000100010001)

/* The high bit of each tag of the word that is 'tag'. */
static inline uint64_t
tags_that_are(uint64_t tags, uint16_t tag)
{
    const uint64_t low = EACH_TAG * 0x7fff;
    uint64_t other = tags ^ EACH_TAG * tag;

    return ~(((other & low) + low) | other | low);
}

/* The place of the lowest bit among the tags of a word. */
static inline unsigned
lowest(uint64_t high_bits)
{
    return (unsigned)__builtin_ctzll(high_bits) / 16;
}

static inline void
set_tag(struct kv_set *set, unsigned at, uint16_t tag)
{
    word *tags = &set->tags[at / 4];
    unsigned shift = at % 4 * 16;

    store(tags, (load(tags) & ~(UINT64_C(0xffff) << shift)) | (uint64_t)tag << shift);
}

static inline unsigned
n_free_in(const struct kv_set *set)
{
    return (unsigned)(__builtin_popcountll(tags_that_are(load(&set->tags[0]), 0))
                      + __builtin_popcountll(tags_that_are(load(&set->tags[1]), 0)));
}

/* --- Where a key may lie ------------------------------------------------------------------------ */

struct place {
    struct kv_shard *shard;
    struct kv_set *sets[2];
    uint16_t tag;
};

static inline struct place
place_of(const struct kv *kv, unsigned key_words, const uint64_t *key)
{
    uint64_t hash = 0;

    for (unsigned i = 0; i < key_words; i++) {
        hash = hash_word(hash, key[i]);
    }

    uint32_t shard = (uint32_t)(hash >> 58) & (kv->n_shards - 1);
    uint32_t one = (uint32_t)hash & (kv->n_sets - 1);
    uint32_t other = (uint32_t)(hash >> 21) & (kv->n_sets - 1);
    uint16_t tag = (uint16_t)(hash >> 42);
    struct kv_set *first = kv->sets + (size_t)shard * kv->n_sets;

    other = other == one ? one ^ 1 : other;
    return (struct place) { &kv->shards[shard], { first + one, first + other }, tag ? tag : 1 };
}

static inline word *
entry_at(const struct kv *kv, uint32_t number)
{
    return kv->entries + (size_t)number * kv->entry_words;
}

static inline uint32_t
number_of(const struct kv *kv, const word *entry)
{
    return (uint32_t)((size_t)(entry - kv->entries) / kv->entry_words);
}

static inline word *
value_of(const struct kv *kv, word *entry)
{
    return entry + 1 + kv->config.key_words;
}

static inline bool
has_key(const struct kv *kv, const word *entry, const uint64_t *key)
{
    uint64_t other = 0;

    for (unsigned i = 0; i < kv->config.key_words; i++) {
        other |= load(&entry[1 + i]) ^ key[i];
    }
    return !other;
}

/* Where an entry was found. */
struct found {
    word *entry;                /* Null: nowhere. */
    struct kv_set *set;
    unsigned at;
};

/* Finds a key, its time over or not. */
static inline struct found
find(const struct kv *kv, const struct place *place, const uint64_t *key)
{
    for (unsigned i = 0; i < 2 * KV_SET / 4; i++) {
        struct kv_set *set = place->sets[i / 2];

        for (uint64_t bits = tags_that_are(load(&set->tags[i % 2]), place->tag); bits;
             bits &= bits - 1) {
            unsigned at = i % 2 * 4 + lowest(bits);
            word *entry = entry_at(kv, atomic_load_explicit(&set->entries[at],
                                                            memory_order_acquire));

            if (has_key(kv, entry, key)) {
                return (struct found) { entry, set, at };
            }
        }
    }
    return (struct found) { NULL, NULL, 0 };
}

/* --- Time --------------------------------------------------------------------------------------- */

/* When an entry with this first word is over. */
static inline uint64_t
end_of(const struct kv *kv, uint64_t used)
{
    uint64_t ttl = atomic_load_explicit(&kv->ttl_ms[used & (KV_LIVES - 1)], memory_order_relaxed);

    return ttl ? (used >> LIFE_BITS) + ttl : UINT64_MAX;
}

static inline bool
is_live(const struct kv *kv, uint64_t used, uint64_t now_ms)
{
    return used && end_of(kv, used) > now_ms;
}

/* Whether it is time to note that an entry is in use. */
static inline bool
is_due(const struct kv *kv, uint64_t used, uint64_t now_ms)
{
    unsigned life = used & (KV_LIVES - 1);
    uint64_t ttl = atomic_load_explicit(&kv->ttl_ms[life], memory_order_relaxed);
    uint64_t step = ttl / 8 < KV_REFRESH_MS ? ttl / 8 : KV_REFRESH_MS;

    return ttl && (used >> LIFE_BITS) + step <= now_ms
           && !atomic_load_explicit(&kv->fixed[life], memory_order_relaxed);
}

/* The wheel (kv_expire.c): puts an entry into it, takes it out, and goes on until 'limit' entries were
 * looked at; those that are over are removed and go to 'over', if that is not null.  Returns how many
 * those are.  The shard's lock is held. */
void kv_arm(struct kv *kv, struct kv_shard *shard, uint32_t number, uint64_t end_ms);
void kv_disarm(struct kv *kv, struct kv_shard *shard, uint32_t number);
unsigned kv_sweep(struct kv *kv, struct kv_shard *shard, uint64_t now_ms, unsigned limit,
                  struct kv_entry *over);

/* Takes an entry out and gives it back (kv_put.c); the shard's lock is held. */
void kv_drop(struct kv *kv, struct kv_shard *shard, const struct found *found);

/* --- Turns -------------------------------------------------------------------------------------- */

static inline void
lock(struct kv_shard *shard)
{
    while (atomic_exchange_explicit(&shard->locked, 1, memory_order_acquire)) {
        while (atomic_load_explicit(&shard->locked, memory_order_relaxed)) {
            continue;
        }
    }
}

static inline void
unlock(struct kv_shard *shard)
{
    atomic_store_explicit(&shard->locked, 0, memory_order_release);
}

/* Around changes of what readers read. */
static inline void
turn_version(struct kv_shard *shard)
{
    uint32_t version = atomic_load_explicit(&shard->version, memory_order_relaxed);

    atomic_store_explicit(&shard->version, version + 1, memory_order_release);
}

/* Waits until nothing changes. */
static inline uint32_t
begin_read(const struct kv_shard *shard)
{
    uint32_t version;

    do {
        version = atomic_load_explicit(&shard->version, memory_order_acquire);
    } while (version & 1);
    return version;
}

/* Whether nothing has changed since. */
static inline bool
end_read(const struct kv_shard *shard, uint32_t version)
{
    return atomic_load_explicit(&shard->version, memory_order_relaxed) == version;
}

static inline uint32_t
touched(const struct kv_shard *shard)
{
    return atomic_load_explicit(&shard->n_touched, memory_order_relaxed);
}

static inline void
get_words(const word *from, uint64_t *to, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        to[i] = load(&from[i]);
    }
}

static inline void
put_words(word *to, const uint64_t *from, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        store(&to[i], from[i]);
    }
}

static inline bool
has_value(const struct kv *kv, word *entry, const uint64_t *value)
{
    for (unsigned i = 0; i < kv->config.value_words; i++) {
        if (load(&value_of(kv, entry)[i]) != value[i]) {
            return false;
        }
    }
    return true;
}

/* Copies what is in an entry. */
static inline void
copy_entry(const struct kv *kv, word *entry, struct kv_entry *copy)
{
    uint64_t used = load(entry);

    copy->used_ms = used >> LIFE_BITS;
    copy->life = used & (KV_LIVES - 1);
    get_words(&entry[1], copy->key, kv->config.key_words);
    get_words(value_of(kv, entry), copy->value, kv->config.value_words);
}

#endif
