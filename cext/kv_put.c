/* Keys and values: writing.  See kv.h. */

#include "kv_private.h"

/* --- Room --------------------------------------------------------------------------------------- */

void
kv_drop(struct kv *kv, struct kv_shard *shard, const struct found *found)
{
    uint32_t number = number_of(kv, found->entry);
    uint32_t *free = kv->free + (size_t)(shard - kv->shards) * kv->n_entries;

    turn_version(shard);
    set_tag(found->set, found->at, 0);
    store(found->entry, 0);
    turn_version(shard);
    kv_disarm(kv, shard, number);
    free[shard->n_free++] = number;
    atomic_store_explicit(&shard->n_used, touched(shard) - shard->n_free, memory_order_relaxed);
}

/* The oldest entry of a set, if it is older than 'oldest'; those whose time is over are dropped unless
 * somebody has to be told. */
static void
look_through(struct kv *kv, const struct place *place, struct kv_set *set, uint64_t now_ms,
             struct found *oldest)
{
    for (unsigned at = 0; at < KV_SET; at++) {
        if (!(load(&set->tags[at / 4]) >> at % 4 * 16 & 0xffff)) {
            continue;
        }

        struct found found = { entry_at(kv, atomic_load(&set->entries[at])), set, at };

        if (!kv->config.owned && !is_live(kv, load(found.entry), now_ms)) {
            kv_drop(kv, place->shard, &found);
        } else if (!oldest->entry || load(found.entry) >> LIFE_BITS
                                         < load(oldest->entry) >> LIFE_BITS) {
            *oldest = found;
        }
    }
}

static bool
has_room(const struct kv *kv, const struct place *place)
{
    const struct kv_shard *shard = place->shard;

    return (n_free_in(place->sets[0]) || n_free_in(place->sets[1]))
           && (shard->n_free || touched(shard) < kv->n_entries);
}

/* Drops what is too old, else the oldest entry near by if the table forgets. */
static void
make_room(struct kv *kv, const struct place *place, uint64_t now_ms)
{
    enum { SWEPT = 16 };
    struct kv_shard *shard = place->shard;
    struct kv_set *first = kv->sets + (size_t)(shard - kv->shards) * kv->n_sets;
    struct found oldest = { NULL, NULL, 0 };

    if (!kv->config.owned) {
        kv_sweep(kv, shard, now_ms, SWEPT, NULL);
    }
    look_through(kv, place, place->sets[0], now_ms, &oldest);
    look_through(kv, place, place->sets[1], now_ms, &oldest);
    if (!kv->config.forgets || has_room(kv, place)) {
        return;
    }
    /* A key whose own sets are empty takes from the next ones. */
    for (uint32_t at = (uint32_t)(place->sets[0] - first); !oldest.entry;) {
        at = (at + 1) & (kv->n_sets - 1);
        look_through(kv, place, first + at, now_ms, &oldest);
    }
    kv_drop(kv, shard, &oldest);
}

/* The number of the entry that a shard gives out next; with none left, one that is not there. */
static uint32_t
next_number(const struct kv *kv, const struct kv_shard *shard)
{
    uint32_t first = (uint32_t)(shard - kv->shards) * kv->n_entries;

    return shard->n_free ? kv->free[first + shard->n_free - 1] : first + touched(shard);
}

/* A number for a new entry; there is one.  Asks for the memory of the one after it: a store that waits for
 * memory holds up the next lock, whosever that is. */
static uint32_t
take_number(struct kv *kv, struct kv_shard *shard)
{
    uint32_t number = next_number(kv, shard);

    if (shard->n_free) {
        shard->n_free--;
    } else {
        atomic_store_explicit(&shard->n_touched, touched(shard) + 1, memory_order_relaxed);
    }
    atomic_store_explicit(&shard->n_used, touched(shard) - shard->n_free, memory_order_relaxed);

    uint32_t next = next_number(kv, shard);

    __builtin_prefetch(entry_at(kv, next), 1);
    __builtin_prefetch(&kv->links[next], 1);
    return number;
}

static void
set_entry(struct kv *kv, word *entry, const uint64_t *value, unsigned life, uint64_t now_ms)
{
    store(entry, now_ms << LIFE_BITS | life);
    put_words(value_of(kv, entry), value, kv->config.value_words);
}

/* Puts a key that is not there into its first set while that is not half full, so that most are found
 * there; then into the emptier one. */
static enum kv_result
add(struct kv *kv, const struct place *place, const uint64_t *key, const uint64_t *value,
    unsigned life, uint64_t now_ms)
{
    struct kv_shard *shard = place->shard;

    if (!has_room(kv, place)) {
        make_room(kv, place, now_ms);
        if (!has_room(kv, place)) {
            atomic_fetch_add_explicit(&kv->n_refused, 1, memory_order_relaxed);
            return KV_FULL;
        }
    }

    unsigned n_free = n_free_in(place->sets[0]);
    struct kv_set *set = place->sets[n_free <= KV_SET / 2 && n_free_in(place->sets[1]) > n_free];
    uint64_t low = tags_that_are(load(&set->tags[0]), 0);
    unsigned at = low ? lowest(low) : 4 + lowest(tags_that_are(load(&set->tags[1]), 0));
    uint32_t number = take_number(kv, shard);
    word *entry = entry_at(kv, number);

    turn_version(shard);
    set_entry(kv, entry, value, life, now_ms);
    put_words(&entry[1], key, kv->config.key_words);
    atomic_store_explicit(&set->entries[at], number, memory_order_release);
    set_tag(set, at, place->tag);
    turn_version(shard);
    kv_arm(kv, shard, number, end_of(kv, load(entry)));
    return KV_NEW;
}

/* Gives an entry a value. */
static void
change(struct kv *kv, struct kv_shard *shard, word *entry, const uint64_t *value, unsigned life,
       uint64_t now_ms)
{
    uint32_t number = number_of(kv, entry);

    turn_version(shard);
    set_entry(kv, entry, value, life, now_ms);
    turn_version(shard);
    kv_disarm(kv, shard, number);
    kv_arm(kv, shard, number, end_of(kv, load(entry)));
}

/* --- Operations --------------------------------------------------------------------------------- */

/* Finds where a key lies while it asks for both places. */
static struct place
locked_place(struct kv *kv, const uint64_t *key)
{
    struct place place = place_of(kv, kv->config.key_words, key);

    __builtin_prefetch(place.sets[0], 1);
    __builtin_prefetch(place.sets[1], 1);
    lock(place.shard);
    return place;
}

/* Whether there is nothing to write: the key has the value, and was noted lately. */
static bool
is_fresh(struct kv *kv, const uint64_t *key, const uint64_t *value, uint64_t now_ms)
{
    uint64_t old[KV_WORDS];
    bool found;

    kv_get_batch(kv, key, 1, true, now_ms, old, &found);
    return found && !memcmp(old, value, kv->config.value_words * sizeof *value);
}

enum kv_result
kv_put(struct kv *kv, const uint64_t *key, const uint64_t *value, uint64_t now_ms)
{
    if (is_fresh(kv, key, value, now_ms)) {
        return KV_SAME;
    }

    struct place place = locked_place(kv, key);
    struct found found = find(kv, &place, key);
    enum kv_result result;

    if (!found.entry) {
        result = add(kv, &place, key, value, 0, now_ms);
    } else {
        result = !is_live(kv, load(found.entry), now_ms) ? KV_NEW
                 : has_value(kv, found.entry, value) ? KV_SAME : KV_CHANGED;
        change(kv, place.shard, found.entry, value, 0, now_ms);
    }
    unlock(place.shard);
    return result;
}

enum kv_result
kv_insert(struct kv *kv, const uint64_t *key, uint64_t *value, unsigned life, uint64_t now_ms)
{
    struct place place = locked_place(kv, key);
    struct found found = find(kv, &place, key);
    enum kv_result result = KV_SAME;
    uint64_t old[KV_WORDS];

    if (!found.entry) {
        result = add(kv, &place, key, value, life, now_ms);
    } else {
        get_words(value_of(kv, found.entry), old, kv->config.value_words);
        if (!is_live(kv, load(found.entry), now_ms)) {
            change(kv, place.shard, found.entry, value, life, now_ms);
            result = KV_REVIVED;
        }
        memcpy(value, old, kv->config.value_words * sizeof *value);
    }
    unlock(place.shard);
    return result;
}

bool
kv_swap(struct kv *kv, const uint64_t *key, const uint64_t *old, const uint64_t *value,
        unsigned life, uint64_t now_ms)
{
    struct place place = locked_place(kv, key);
    struct found found = find(kv, &place, key);
    bool good = found.entry && is_live(kv, load(found.entry), now_ms)
                && has_value(kv, found.entry, old);

    if (good) {
        change(kv, place.shard, found.entry, value, life, now_ms);
    }
    unlock(place.shard);
    return good;
}

/* Removes a key that has the value, or any if that is null. */
static bool
remove_key(struct kv *kv, const uint64_t *key, const uint64_t *value, uint64_t now_ms)
{
    struct place place = locked_place(kv, key);
    struct found found = find(kv, &place, key);
    bool good = found.entry && is_live(kv, load(found.entry), now_ms)
                && (!value || has_value(kv, found.entry, value));

    if (good) {
        kv_drop(kv, place.shard, &found);
    }
    unlock(place.shard);
    return good;
}

bool
kv_remove(struct kv *kv, const uint64_t *key, uint64_t now_ms)
{
    return remove_key(kv, key, NULL, now_ms);
}

bool
kv_remove_if(struct kv *kv, const uint64_t *key, const uint64_t *value, uint64_t now_ms)
{
    return remove_key(kv, key, value, now_ms);
}

size_t
kv_each(struct kv *kv, uint64_t now_ms, bool (*visit)(const struct kv_entry *, void *),
        void *context)
{
    struct kv_entry entry;
    uint64_t position = 0;
    size_t n = 0;

    while (kv_next(kv, &position, now_ms, &entry)) {
        n++;
        if (!visit(&entry, context)) {
            remove_key(kv, entry.key, entry.value, now_ms);
        }
    }
    return n;
}
