/* Keys and values: the wheel that finds what is too old.  See kv.h. */

#include "kv_private.h"

#define KV_FIRST UINT32_C(0x80000000)

enum { WHEEL_MASK = KV_WHEEL - 1 };

void
kv_arm(struct kv *kv, struct kv_shard *shard, uint32_t number, uint64_t end_ms)
{
    uint64_t last = shard->tick + WHEEL_MASK;
    uint64_t tick = end_ms / KV_TICK_MS + 1;

    tick = tick > last ? last : tick <= shard->tick ? shard->tick + 1 : tick;

    uint32_t slot = tick & WHEEL_MASK, next = shard->wheel[slot];

    kv->links[number] = (struct kv_link) { next, KV_FIRST | slot };
    if (next) {
        kv->links[next - 1].previous = number + 1;
    }
    shard->wheel[slot] = number + 1;
}

void
kv_disarm(struct kv *kv, struct kv_shard *shard, uint32_t number)
{
    struct kv_link link = kv->links[number];

    if (link.previous & KV_FIRST) {
        shard->wheel[link.previous & WHEEL_MASK] = link.next;
    } else {
        kv->links[link.previous - 1].next = link.next;
    }
    if (link.next) {
        kv->links[link.next - 1].previous = link.previous;
    }
}

/* Removes an entry of which only the number is known. */
static void
drop(struct kv *kv, struct kv_shard *shard, const struct kv_entry *entry)
{
    struct place place = place_of(kv, kv->config.key_words, entry->key);
    struct found found = find(kv, &place, entry->key);

    kv_drop(kv, shard, &found);
}

unsigned
kv_sweep(struct kv *kv, struct kv_shard *shard, uint64_t now_ms, unsigned limit,
         struct kv_entry *over)
{
    uint64_t now = now_ms / KV_TICK_MS;
    unsigned n = 0;

    if (now > shard->tick + KV_WHEEL) {
        shard->tick = now - KV_WHEEL;           /* Each slot once is enough. */
    }
    for (unsigned i = 0; i < limit; ) {
        uint32_t first = shard->wheel[shard->tick & WHEEL_MASK];

        if (!first) {
            if (shard->tick >= now) {
                break;
            }
            shard->tick++;
            continue;
        }

        word *entry = entry_at(kv, first - 1);
        struct kv_entry unused, *copy = over ? &over[n] : &unused;

        i++;
        if (is_live(kv, load(entry), now_ms)) {
            kv_disarm(kv, shard, first - 1);
            kv_arm(kv, shard, first - 1, end_of(kv, load(entry)));
        } else {
            copy_entry(kv, entry, copy);
            drop(kv, shard, copy);
            n++;
        }
    }
    return n;
}

size_t
kv_expire(struct kv *kv, uint64_t now_ms, size_t limit,
          void (*expired)(const struct kv_entry *, void *), void *context)
{
    enum { AT_A_TIME = 32 };    /* Entries for which writers have to wait. */
    struct kv_entry over[AT_A_TIME];
    size_t n = 0;

    for (unsigned i = 0; i < kv->n_shards; i++) {
        struct kv_shard *shard = &kv->shards[i];
        bool more = true;

        while (more && n < limit) {
            lock(shard);
            unsigned some = kv_sweep(kv, shard, now_ms, AT_A_TIME, over);
            more = shard->tick < now_ms / KV_TICK_MS || shard->wheel[shard->tick & WHEEL_MASK];
            unlock(shard);
            for (unsigned j = 0; expired && j < some; j++) {
                expired(&over[j], context);
            }
            n += some;
        }
    }
    return n;
}
