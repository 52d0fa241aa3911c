#ifndef RAICHO_KV_H
#define RAICHO_KV_H

/* Keys and values: bounded tables of what workers find out: addresses, sessions, neighbours.
 *
 * What
 * ====
 * Keys and values are a fixed number of 64-bit words each.  An entry that nobody has refreshed for
 * the time to live is not there any more.  A table that is full refuses, or forgets the oldest
 * of the entries that a new one could replace.
 *
 * How
 * ===
 * Two-choice hashing [1] into sets of KV_SET slots; both sets of a key are in one shard.  Writers of
 * a shard take turns; readers look again if its version has changed meanwhile (a sequence lock).
 * An old entry is not removed when its time has come: it is just not found, and its slot is
 * taken again.
 *
 * Cost
 * ====
 * A lookup reads at most two sets, without a lock or an atomic read-modify-write.  A put that changes
 * nothing is a lookup and at most one store: the time of use is only written when it is older
 * than an eighth of the time to live.
 *
 * Threads: any number of readers and writers; open and close apart.
 *
 * [1] Y. Azar et al., "Balanced Allocations", SIAM J. Comput. 29(1), 1999. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KV_SET = 8,                 /* Slots in a set. */
    KV_SHARDS = 64,
    KV_WORDS = 16,              /* Most words of a key, or of a value. */
};

struct kv_config {
    uint8_t key_words, value_words;
    bool forgets;               /* A full table forgets rather than refuses. */
    uint32_t max_entries;       /* There is room for at least as many. */
    uint64_t ttl_ms;
};

struct kv_shard {
    _Alignas(64) _Atomic uint32_t version;      /* Odd while somebody writes. */
};

struct kv {
    struct kv_config config;
    uint32_t n_sets;            /* In a shard; a power of two. */
    uint32_t slot_words;        /* Time of use in ms (0: free), key, value. */
    _Atomic uint64_t ttl_ms;
    _Atomic uint64_t *slots;
    struct kv_shard *shards;
};

/* What a put has done. */
enum kv_result { KV_SAME, KV_NEW, KV_CHANGED, KV_FULL };

/* Returns 0 or ENOMEM. */
int kv_open(struct kv *kv, const struct kv_config *config);
void kv_close(struct kv *kv);

/* Times are ms, and never 0. */
void kv_set_ttl(struct kv *kv, uint64_t ttl_ms);

/* Whether the key is there; 'value' gets its value. */
bool kv_get(const struct kv *kv, const uint64_t *key, uint64_t now_ms, uint64_t *value);

/* Puts or refreshes an entry. */
enum kv_result kv_put(struct kv *kv, const uint64_t *key, const uint64_t *value, uint64_t now_ms);

/* Returns whether it was there. */
bool kv_remove(struct kv *kv, const uint64_t *key, uint64_t now_ms);

/* An entry, as it was at some time during kv_each(). */
struct kv_entry {
    uint64_t key[KV_WORDS], value[KV_WORDS];
    uint64_t used_ms;
};

/* Calls visit(entry, context) for each entry; if that returns false, the entry is removed, unless it
 * has changed since.  Returns how many were visited. */
size_t kv_each(struct kv *kv, uint64_t now_ms, bool (*visit)(const struct kv_entry *, void *),
               void *context);

#endif
