/* raicho's table, as a bridge has it. */

#include <stdio.h>
#include <string.h>

#include "epoch.h"
#include "key.h"
#include "table.h"
#include "tables.h"

enum {
    TICK = 1000,                /* Inserts between two looks at what is to be done later. */
    SLICE = 4096,               /* Entries handled in one of them, as the dataplane does. */
    ETH_TYPE_IPV4 = 0x0800,
    UDP = 17,
};

static struct epoch epoch;
static struct table table;
static size_t n_inserted;
static struct flow_key keys[BATCH];
static const struct flow_key *pointers[BATCH];

static void
release(struct flow *flow, void *unused)
{
    (void) unused;
    flow_free(flow);
}

static void
release_later(void *flow, void *unused)
{
    (void) unused;
    flow_free(flow);
}

bool
lookups_open(size_t n_rules, size_t n_long)
{
    (void) n_rules, (void) n_long;
    epoch_init(&epoch);
    n_inserted = 0;
    return !table_open(&table, &epoch);
}

void
lookups_close(void)
{
    table_close(&table, release, NULL);
    epoch_close(&epoch);
}

static void
work(void)
{
    table_work(&table, SLICE);
    epoch_reclaim(&epoch);
}

static uint64_t
prefix_mask(unsigned length)
{
    return length ? (uint32_t) (UINT32_MAX << (32 - length)) : 0;
}

static void
set_ports(struct flow_key *key, uint16_t src, uint16_t dst, uint8_t protocol)
{
    key->word[W_L4] = (uint64_t) src << 48 | (uint64_t) dst << 32 | (uint64_t) protocol << 24;
}

bool
lookups_insert(const struct rule *rule)
{
    struct flow_key key = { .word[W_ETH_DST] = ETH_TYPE_IPV4 };
    struct flow_key mask = { .word[W_ETH_DST] = UINT16_MAX };
    const bool ports = rule->with_sport || rule->with_dport;

    key.word[W_IPV4] = (uint64_t) rule->src << 32 | rule->dst;
    mask.word[W_IPV4] = prefix_mask(rule->src_len) << 32 | prefix_mask(rule->dst_len);
    set_ports(&key, rule->sport, rule->dport, ports ? UDP : 0);
    set_ports(&mask, -rule->with_sport, -rule->with_dport, ports ? UINT8_MAX : 0);

    const struct flow_mask *own = table_mask(&table, &mask);
    struct flow *flow = own ? flow_new(own, &key, NULL, 0) : NULL, *old;
    if (!flow) {
        return false;
    }
    flow->priority = rule->priority;
    if (table_insert(&table, flow, &old)) {
        return false;
    }
    if (old) {
        epoch_retire(&epoch, old, release_later, NULL);
    }
    if (++n_inserted % TICK == 0) {
        work();
    }
    return true;
}

void
lookups_settle(void)
{
    while (table.pending) {
        work();
    }
}

void
lookups_prepare(const struct tuple5 *packets, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        keys[i].word[W_ETH_DST] = ETH_TYPE_IPV4;
        keys[i].word[W_IPV4] = (uint64_t) packets[i].src << 32 | packets[i].dst;
        set_ports(&keys[i], packets[i].sport, packets[i].dport, UDP);
        pointers[i] = &keys[i];
    }
}

unsigned
lookups_find(unsigned n)
{
    const struct flow *found[BATCH];
    unsigned hits = 0;

    table_lookup(&table, pointers, n, found);
    for (unsigned i = 0; i < n; i++) {
        hits += found[i] != NULL;
    }
    return hits;
}

static bool
add_size(struct flow *flow, void *bytes)
{
    *(double *) bytes += flow_memory(flow);
    return true;
}

void
lookups_facts(struct table_facts *facts)
{
    struct table_stats stats;

    table_stats(&table, &stats);
    memcpy(facts->name, stats.implementation, sizeof facts->name);
    facts->n = stats.n_flows;
    facts->bytes = stats.memory;
    table_each(&table, add_size, &facts->bytes);
}
