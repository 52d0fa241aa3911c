/* MAC addresses: see mac.h. */

#include "mac.h"

#include <errno.h>
#include <stdlib.h>

#include "hash.h"

static struct kv *
kv_of(const struct mac_table *table)
{
    return atomic_load_explicit(&table->kv, memory_order_acquire);
}

static struct mac_fixed_set *
fixed_of(const struct mac_table *table)
{
    return atomic_load_explicit(&table->fixed, memory_order_acquire);
}

static uint64_t
key_of(uint16_t vlan, uint64_t address)
{
    return (uint64_t)vlan << 48 | address;
}

/* --- Fixed addresses ---------------------------------------------------------------------- */

/* Open addressing; at least half of the slots are empty: port 0. */
struct mac_fixed_set {
    uint32_t n_slots;           /* A power of two. */
    struct {
        uint64_t key;
        uint32_t port;
    } slots[];
};

static uint32_t
slot_of(const struct mac_fixed_set *set, uint64_t key)
{
    uint32_t i = hash_finish(hash_word(0, key)) & (set->n_slots - 1);

    while (set->slots[i].port && set->slots[i].key != key) {
        i = (i + 1) & (set->n_slots - 1);
    }
    return i;
}

/* The port of a fixed address; 0: it is none. */
static inline uint32_t
find_fixed(const struct mac_table *table, uint64_t key)
{
    const struct mac_fixed_set *set = fixed_of(table);

    return set ? set->slots[slot_of(set, key)].port : 0;
}

int
mac_fix(struct mac_table *table, struct epoch *epoch, const struct mac_fixed *fixed, uint32_t n)
{
    struct mac_fixed_set *set = NULL, *old = fixed_of(table);
    uint32_t n_slots = 2;

    while (n_slots < n * 2) {
        n_slots *= 2;
    }
    if (n) {
        set = calloc(1, sizeof *set + n_slots * sizeof set->slots[0]);
        if (!set) {
            return ENOMEM;
        }
        set->n_slots = n_slots;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint64_t key = key_of(fixed[i].vlan, fixed[i].address);
        uint32_t slot = slot_of(set, key);

        set->slots[slot].key = key;
        set->slots[slot].port = fixed[i].port;
        kv_remove(kv_of(table), &key, 0);
    }
    atomic_store_explicit(&table->fixed, set, memory_order_release);
    if (old) {
        epoch_free(epoch, old);
    }
    return 0;
}

/* --- Making and changing ------------------------------------------------------------------ */

static void
free_kv(void *kv, void *context)
{
    (void)context;
    kv_close(kv);
    free(kv);
}

static struct kv *
new_kv(uint32_t max, uint64_t ageing_ms)
{
    const struct kv_config config = {
        .key_words = 1, .value_words = 1, .forgets = true, .max_entries = max, .ttl_ms = ageing_ms,
    };
    struct kv *kv = malloc(sizeof *kv);

    if (kv && kv_open(kv, &config)) {
        free(kv);
        return NULL;
    }
    return kv;
}

int
mac_open(struct mac_table *table)
{
    atomic_init(&table->fixed, NULL);
    atomic_init(&table->kv, new_kv(MAC_MAX, MAC_AGEING_MS));
    return kv_of(table) ? 0 : ENOMEM;
}

void
mac_close(struct mac_table *table)
{
    if (kv_of(table)) {
        free_kv(kv_of(table), NULL);
    }
    free(fixed_of(table));
}

static bool
copy_one(const struct kv_entry *entry, void *to)
{
    kv_put(to, entry->key, entry->value, entry->used_ms);
    return true;
}

int
mac_configure(struct mac_table *table, struct epoch *epoch, uint32_t max, uint64_t ageing_ms,
              uint64_t now_ms)
{
    struct kv *old = kv_of(table);

    if (old->config.max_entries == max) {
        kv_set_ttl(old, 0, ageing_ms, false);
        return 0;
    }
    struct kv *kv = new_kv(max, ageing_ms);
    if (!kv) {
        return ENOMEM;
    }
    kv_each(old, now_ms, copy_one, kv);
    atomic_store_explicit(&table->kv, kv, memory_order_release);
    epoch_retire(epoch, old, free_kv, NULL);
    return 0;
}

/* --- Learning and finding ----------------------------------------------------------------- */

enum mac_learned
mac_learn(struct mac_table *table, uint16_t vlan, uint64_t address, uint32_t port, uint64_t now_ms)
{
    uint64_t key = key_of(vlan, address), value = port;

    uint32_t fixed = find_fixed(table, key);

    if (fixed || mac_is_group(address)) {
        return fixed == MAC_BLOCKED ? MAC_REFUSED : MAC_KNOWN;
    }
    switch (kv_put(kv_of(table), &key, &value, now_ms)) {
    case KV_NEW:
        return MAC_NEW;
    case KV_CHANGED:
        return MAC_MOVED;
    default:
        return MAC_KNOWN;
    }
}

uint32_t
mac_lookup(const struct mac_table *table, uint16_t vlan, uint64_t address, uint64_t now_ms)
{
    uint64_t key = key_of(vlan, address), value;
    uint32_t fixed = find_fixed(table, key);

    if (fixed || mac_is_group(address)) {
        return fixed;
    }
    return kv_get(kv_of(table), &key, now_ms, &value) ? (uint32_t)value : 0;
}

/* --- Going through all -------------------------------------------------------------------- */

struct flushing {
    uint32_t port;
    uint16_t vlan;
    size_t n;
};

static bool
keep(const struct kv_entry *entry, void *flushing_)
{
    struct flushing *flushing = flushing_;
    bool goes = (!flushing->port || entry->value[0] == flushing->port)
                && (flushing->vlan == MAC_ANY_VLAN || entry->key[0] >> 48 == flushing->vlan);

    flushing->n += goes;
    return !goes;
}

size_t
mac_flush(struct mac_table *table, uint32_t port, uint16_t vlan, uint64_t now_ms)
{
    struct flushing flushing = { port, vlan, 0 };

    kv_each(kv_of(table), now_ms, keep, &flushing);
    return flushing.n;
}

struct visiting {
    void (*visit)(const struct mac_entry *, void *);
    void *context;
    uint64_t now_ms;
};

static struct mac_entry
entry_of(uint64_t key, uint32_t port)
{
    return (struct mac_entry) {
        .address = key & 0xffffffffffff, .vlan = (uint16_t)(key >> 48), .port = port,
    };
}

static bool
visit_one(const struct kv_entry *entry, void *visiting_)
{
    const struct visiting *visiting = visiting_;
    struct mac_entry mac = entry_of(entry->key[0], (uint32_t)entry->value[0]);

    if (visiting->now_ms > entry->used_ms) {
        mac.age_ms = visiting->now_ms - entry->used_ms;
    }
    visiting->visit(&mac, visiting->context);
    return true;
}

void
mac_each(struct mac_table *table, uint64_t now_ms, void (*visit)(const struct mac_entry *, void *),
         void *context)
{
    struct visiting visiting = { visit, context, now_ms };
    const struct mac_fixed_set *set = fixed_of(table);

    for (uint32_t i = 0; set && i < set->n_slots; i++) {
        struct mac_entry mac = entry_of(set->slots[i].key, set->slots[i].port);
        mac.fixed = true;
        if (mac.port) {
            visit(&mac, context);
        }
    }
    kv_each(kv_of(table), now_ms, visit_one, &visiting);
}
