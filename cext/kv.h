#ifndef RAICHO_KV_H
#define RAICHO_KV_H

/* Keys and values: bounded tables of what workers find out: addresses, sessions, neighbours.
 *
 * What
 * ====
 * Keys and values are a fixed number of 64-bit words each.  An entry has one of the table's lifetimes;
 * one that nobody has refreshed for so long is not there any more.  A table that is full
 * refuses, which it counts, or forgets the oldest of the entries that a new one could replace.
 *
 * How
 * ===
 * Two-choice hashing [1] into sets of KV_SET tags and numbers of entries, a cache line each; the
 * entries lie apart, as many as there is room for.  Both sets of a key are in one shard.  Writers of a
 * shard take turns; readers look again if its version has changed meanwhile (a sequence lock).
 * A hashed timing wheel for each shard [2] finds what is too old: each entry lies in the slot of its time,
 * or in the last slot if that is farther away, to be put again from there.  It goes a few entries at a
 * time: a slot in which very many lie keeps nobody waiting.
 *
 * Cost
 * ====
 * A lookup reads a set, seldom two, and an entry, without a lock or an atomic read-modify-write; a batch
 * waits for memory three times in all.  To refresh an entry is one compare-and-exchange, done only when
 * the last one was long enough ago (KV_REFRESH_MS, or an eighth of a lifetime that is short).
 *
 * Threads: any number of readers and writers; open and close apart.
 *
 * [1] Y. Azar et al., "Balanced Allocations", SIAM J. Comput. 29(1), 1999.
 * [2] G. Varghese, T. Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987, scheme 6. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KV_SET = 8,                 /* Tags in a set. */
    KV_SHARDS = 64,             /* The most. */
    KV_WORDS = 16,              /* Most words of a key, or of a value. */
    KV_LIVES = 8,               /* Lifetimes of a table. */
    KV_REFRESH_MS = 1000,
    KV_WHEEL = 256,             /* Slots of a wheel, */
    KV_TICK_MS = 256,           /* and the time of one. */
};

struct kv_config {
    uint8_t key_words, value_words;
    bool forgets;               /* A full table forgets rather than refuses. */
    bool owned;                 /* Entries whose time is over stay until kv_expire() has told of them. */
    uint32_t max_entries;       /* There is room for at least as many, and few more. */
    uint64_t ttl_ms;            /* Lifetime 0; 0: for ever. */
};

struct kv_set {
    _Alignas(64) _Atomic uint64_t tags[KV_SET / 4];     /* 16 bits each; 0: free. */
    _Atomic uint32_t entries[KV_SET];
};

/* What the wheel keeps of an entry: its neighbours in the slot, plus 1; 0: there is none.
 * The first one's 'previous' is KV_FIRST and the number of the slot. */
struct kv_link {
    uint32_t next, previous;
};

struct kv_shard {
    _Alignas(64) _Atomic uint32_t version;      /* Odd while what readers read changes. */
    _Atomic uint32_t locked;
    _Atomic uint32_t n_used;
    _Atomic uint32_t n_touched;         /* Entries from the start on that were ever used. */
    uint32_t n_free;                    /* Of those. */
    uint64_t tick;                      /* Up to which the wheel has come. */
    uint32_t wheel[KV_WHEEL];           /* The first of each slot, plus 1. */
};

/* The parts of a table that are of one shard follow those of another. */
struct kv {
    struct kv_config config;
    uint32_t n_shards, n_sets, n_entries;       /* The last two of a shard; sets are a power of two. */
    uint32_t entry_words;               /* When it was used in ms << 8 | lifetime (0: free), key, value. */
    _Atomic uint64_t ttl_ms[KV_LIVES];
    _Atomic bool fixed[KV_LIVES];
    _Atomic uint64_t n_refused;         /* Puts that found no room. */
    struct kv_shard *shards;
    struct kv_set *sets;
    _Atomic uint64_t *entries;
    struct kv_link *links;
    uint32_t *free;                     /* Numbers of entries that came back. */
    size_t n_bytes;                     /* Of all of that, which is one piece. */
};

/* What a put has done. */
enum kv_result {
    KV_SAME,                    /* The entry was there already. */
    KV_NEW,
    KV_CHANGED,
    KV_REVIVED,                 /* It was there, its time was over, and nobody had been told yet. */
    KV_FULL,
};

/* Returns 0 or ENOMEM. */
int kv_open(struct kv *kv, const struct kv_config *config);
void kv_close(struct kv *kv);

/* Times are ms, and never 0.  A 'fixed' lifetime counts from the last put, whoever looks at the
 * entry. */
void kv_set_ttl(struct kv *kv, unsigned life, uint64_t ttl_ms, bool fixed);

/* Whether the key is there; 'value' gets its value. */
bool kv_get(const struct kv *kv, const uint64_t *key, uint64_t now_ms, uint64_t *value);

/* The same for 'n' keys, one behind the other as their values will be; values of keys that are not
 * there are left alone.  'refresh' says that those entries are in use. */
void kv_get_batch(struct kv *kv, const uint64_t *keys, unsigned n, bool refresh, uint64_t now_ms,
                  uint64_t *values, bool *found);

/* Asks for what a put of the key will need, for who puts several. */
void kv_prefetch(const struct kv *kv, const uint64_t *key);

/* Puts or refreshes an entry of lifetime 0. */
enum kv_result kv_put(struct kv *kv, const uint64_t *key, const uint64_t *value, uint64_t now_ms);

/* Puts an entry unless the key is there: then (KV_SAME) 'value' gets what it has, and if its time was over
 * (KV_REVIVED) what it had. */
enum kv_result kv_insert(struct kv *kv, const uint64_t *key, uint64_t *value, unsigned life,
                         uint64_t now_ms);

/* Gives an entry another value and lifetime, and refreshes it, if its value is 'old'; returns
 * whether it was. */
bool kv_swap(struct kv *kv, const uint64_t *key, const uint64_t *old, const uint64_t *value,
             unsigned life, uint64_t now_ms);

/* Returns whether it was there. */
bool kv_remove(struct kv *kv, const uint64_t *key, uint64_t now_ms);

/* Removes an entry if its value is 'value'; returns whether it did. */
bool kv_remove_if(struct kv *kv, const uint64_t *key, const uint64_t *value, uint64_t now_ms);

/* An entry, as it was at some time. */
struct kv_entry {
    uint64_t key[KV_WORDS], value[KV_WORDS];
    uint64_t used_ms;
    unsigned life;
};

/* The next entry behind '*position', which begins with 0; false: there is none.  Entries that come or
 * go meanwhile may be met or not, no other one twice. */
bool kv_next(const struct kv *kv, uint64_t *position, uint64_t now_ms, struct kv_entry *entry);

/* Calls visit(entry, context) for each entry; if that returns false, the entry is removed, unless it
 * has changed since.  Returns how many were visited. */
size_t kv_each(struct kv *kv, uint64_t now_ms, bool (*visit)(const struct kv_entry *, void *),
               void *context);

/* Removes up to 'limit' entries whose time is over, and calls expired(entry, context), unless that is
 * null, when each has gone.  Returns how many. */
size_t kv_expire(struct kv *kv, uint64_t now_ms, size_t limit,
                 void (*expired)(const struct kv_entry *, void *), void *context);

/* How many entries there are, those included whose time is over and who have not been removed yet. */
size_t kv_count(const struct kv *kv);

#endif
