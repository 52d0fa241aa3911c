/* MAC addresses: see mac.h. */

#include "mac.h"

int
mac_open(struct mac_table *table)
{
    static const struct kv_config config = {
        .key_words = 1, .value_words = 1, .forgets = true, .max_entries = MAC_MAX,
        .ttl_ms = MAC_AGEING_MS,
    };

    return kv_open(&table->kv, &config);
}

void
mac_close(struct mac_table *table)
{
    kv_close(&table->kv);
}

static uint64_t
key_of(uint16_t vlan, uint64_t address)
{
    return (uint64_t)vlan << 48 | address;
}

void
mac_learn(struct mac_table *table, uint16_t vlan, uint64_t address, uint32_t port, uint64_t now_ms)
{
    uint64_t key = key_of(vlan, address), value = port;

    if (!mac_is_group(address)) {
        kv_put(&table->kv, &key, &value, now_ms);
    }
}

uint32_t
mac_lookup(const struct mac_table *table, uint16_t vlan, uint64_t address, uint64_t now_ms)
{
    uint64_t key = key_of(vlan, address), value;

    return !mac_is_group(address) && kv_get(&table->kv, &key, now_ms, &value) ? (uint32_t)value : 0;
}

struct flushing {
    uint32_t port;
    size_t n;
};

static bool
keep(const struct kv_entry *entry, void *flushing_)
{
    struct flushing *flushing = flushing_;
    bool goes = !flushing->port || entry->value[0] == flushing->port;

    flushing->n += goes;
    return !goes;
}

size_t
mac_flush(struct mac_table *table, uint32_t port, uint64_t now_ms)
{
    struct flushing flushing = { port, 0 };

    kv_each(&table->kv, now_ms, keep, &flushing);
    return flushing.n;
}

struct visiting {
    void (*visit)(const struct mac_entry *, void *);
    void *context;
    uint64_t now_ms;
};

static bool
visit_one(const struct kv_entry *entry, void *visiting_)
{
    const struct visiting *visiting = visiting_;
    const struct mac_entry mac = {
        .address = entry->key[0] & 0xffffffffffff, .vlan = (uint16_t)(entry->key[0] >> 48),
        .port = (uint32_t)entry->value[0],
        .age_ms = visiting->now_ms > entry->used_ms ? visiting->now_ms - entry->used_ms : 0,
    };

    visiting->visit(&mac, visiting->context);
    return true;
}

void
mac_each(struct mac_table *table, uint64_t now_ms, void (*visit)(const struct mac_entry *, void *),
         void *context)
{
    struct visiting visiting = { visit, context, now_ms };

    kv_each(&table->kv, now_ms, visit_one, &visiting);
}
