/* raicho's keys and values, as sessions of NAT are kept. */

#include "../cext/kv.h"
#include "kv.h"

enum { NOW = 1000000, TTL = 300000 };

const char store_name[] = "kv";

static struct kv kv;

bool
store_open(size_t n)
{
    const struct kv_config config = {
        .key_words = 2, .value_words = 1, .max_entries = (uint32_t) n, .ttl_ms = TTL,
    };
    return !kv_open(&kv, &config);
}

bool
store_put(const struct key *keys, unsigned n)
{
    bool good = true;

    for (unsigned i = 0; i < n; i++) {
        kv_prefetch(&kv, keys[i].word);
    }
    for (unsigned i = 0; i < n; i++) {
        uint64_t value = i;
        good &= kv_insert(&kv, keys[i].word, &value, 0, NOW) == KV_NEW;
    }
    return good;
}

bool
store_remove(const struct key *key)
{
    return kv_remove(&kv, key->word, NOW);
}

unsigned
store_find(const struct key *keys, unsigned n)
{
    uint64_t values[BATCH];
    bool found[BATCH];
    unsigned hits = 0;

    kv_get_batch(&kv, keys->word, n, true, NOW, values, found);
    for (unsigned i = 0; i < n; i++) {
        hits += found[i];
    }
    return hits;
}

double
store_bytes(void)
{
    return kv.n_bytes;
}

void
store_close(void)
{
    kv_close(&kv);
}
