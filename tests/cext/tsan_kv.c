/* Keys and values under ThreadSanitizer (P5): three threads put, look up, swap, remove and expire the
 * same few keys, so that places are taken again all the time.  A value always belongs to its key. */

#include <pthread.h>

#include "kv.h"
#include "rig.h"

enum { N = 3, STEPS = 60000, KEYS = 40, ROOM = 32, TTL = 900 };

static struct kv kv;
static _Atomic uint64_t now = 1000000;

static void
look(uint64_t number)
{
    uint64_t keys[4][2], values[4];
    bool found[4];

    for (unsigned i = 0; i < 4; i++) {
        keys[i][0] = (number + i) % KEYS;
        keys[i][1] = ~keys[i][0];
    }
    kv_get_batch(&kv, keys[0], 4, true, now, values, found);
    for (unsigned i = 0; i < 4; i++) {
        CHECK(!found[i] || values[i] % KEYS == keys[i][0]);
    }
}

static void
check(const struct kv_entry *entry, void *unused)
{
    (void)unused;
    CHECK(entry->value[0] % KEYS == entry->key[0]);
}

static void *
work(void *number_)
{
    uint64_t number = *(uint64_t *)number_;

    for (uint64_t i = 0; i < STEPS; i++) {
        uint64_t key[2] = { i * (number + 3) % KEYS, 0 }, value, other;

        key[1] = ~key[0];
        value = key[0] + KEYS * (i % 5);
        other = key[0] + KEYS * (i % 3);
        switch (i % 8) {
        case 0: case 1: case 2:
            kv_insert(&kv, key, &value, i % 2, now);
            CHECK(value % KEYS == key[0]);
            break;
        case 3:
            kv_swap(&kv, key, &value, &other, i % 2, now);
            break;
        case 4:
            kv_remove(&kv, key, now);
            break;
        case 5:
            kv_expire(&kv, now, 10, check, NULL);
            now += 40;
            break;
        default:
            look(i);
        }
    }
    return NULL;
}

int
main(void)
{
    const struct kv_config config = {
        .key_words = 2, .value_words = 1, .max_entries = ROOM, .ttl_ms = TTL,
    };
    uint64_t numbers[N] = { 0, 1, 2 };
    pthread_t threads[N];

    CHECK(!kv_open(&kv, &config));
    kv_set_ttl(&kv, 1, TTL / 3, false);
    for (unsigned i = 0; i < N; i++) {
        CHECK(!pthread_create(&threads[i], NULL, work, &numbers[i]));
    }
    for (unsigned i = 0; i < N; i++) {
        pthread_join(threads[i], NULL);
    }
    kv_expire(&kv, now + 10 * TTL, SIZE_MAX, check, NULL);
    CHECK(!kv_count(&kv));
    kv_close(&kv);
    return 0;
}
