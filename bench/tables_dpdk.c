/* DPDK's tables: rte_hash for rules of one mask, rte_fib for destinations; others it has none for.
 *
 * Memory is what DPDK's heap has given for the table. rte_fib has room for twice the routes: those
 * that only join others count too. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_fib.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_malloc.h>

#include "tables.h"

enum {
    MISS = 0,
    SPARE_GROUPS = 64,          /* Of addresses that share their first 24 bits. */
};

struct hash_key {
    uint32_t src, dst;
    uint16_t sport, dport;
    uint32_t protocol;
};

_Static_assert(sizeof(struct hash_key) == 16, "what rte_hash compares in one go");

static size_t wanted, wanted_long, n_rules, bytes_before;
static bool prefixes, started;
static struct rte_hash *hash;
static struct rte_fib *fib;
static struct hash_key keys[BATCH];
static const void *pointers[BATCH];
static uint32_t addresses[BATCH];

static size_t
heap_used(void)
{
    struct rte_malloc_socket_stats stats = { .heap_allocsz_bytes = 0 };
    rte_malloc_get_socket_stats(0, &stats);
    return stats.heap_allocsz_bytes;
}

static bool
start(void)
{
    char *arguments[] = { "tables", "--in-memory", "--no-pci", "--no-telemetry", "--log-level=3",
                          "--force-max-simd-bitwidth=512", NULL };
    started = started || rte_eal_init(sizeof arguments / sizeof *arguments - 1, arguments) >= 0;
    return started;
}

/* What it is made for shows with the first rule. */
bool
lookups_open(size_t n, size_t n_long)
{
    wanted = n;
    wanted_long = n_long;
    n_rules = 0;
    if (!start()) {
        fprintf(stderr, "DPDK does not start: %s\n", rte_strerror(rte_errno));
        return false;
    }
    bytes_before = heap_used();
    return true;
}

static bool
make(const struct rule *rule)
{
    struct rte_hash_parameters exact = {
        .name = "bench", .entries = wanted + wanted / 8 + 64, .key_len = sizeof(struct hash_key),
        .hash_func = rte_hash_crc,
        .extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF,
    };
    struct rte_fib_conf routes = {
        .type = RTE_FIB_DIR24_8, .default_nh = MISS, .max_routes = 2 * wanted + 1,
        .dir24_8 = { .nh_sz = RTE_FIB_DIR24_8_4B, .num_tbl8 = 2 * wanted_long + SPARE_GROUPS },
    };
    prefixes = !rule->with_dport;
    if (prefixes && rule->src_len) {
        fprintf(stderr, "no table of DPDK here takes such rules\n");
        return false;
    }
    hash = prefixes ? NULL : rte_hash_create(&exact);
    fib = prefixes ? rte_fib_create("bench", 0, &routes) : NULL;
    if (fib) {
        rte_fib_select_lookup(fib, RTE_FIB_LOOKUP_DEFAULT);
    }
    return hash || fib;
}

bool
lookups_insert(const struct rule *rule)
{
    if (!n_rules++ && !make(rule)) {
        return false;
    }
    if (prefixes) {
        return !rte_fib_add(fib, rule->dst, rule->dst_len, 1 + n_rules % 1000);
    }
    const struct hash_key key = { rule->src, rule->dst, rule->sport, rule->dport, 17 };
    return !rte_hash_add_key_data(hash, &key, (void *) (uintptr_t) n_rules);
}

void
lookups_settle(void)
{
}

void
lookups_prepare(const struct tuple5 *packets, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        keys[i] = (struct hash_key){ packets[i].src, packets[i].dst, packets[i].sport,
                                  packets[i].dport, 17 };
        pointers[i] = &keys[i];
        addresses[i] = packets[i].dst;
    }
}

static unsigned
find_routes(unsigned n)
{
    uint64_t hops[BATCH];
    unsigned hits = 0;
    rte_fib_lookup_bulk(fib, addresses, hops, n);
    for (unsigned i = 0; i < n; i++) {
        hits += hops[i] != MISS;
    }
    return hits;
}

unsigned
lookups_find(unsigned n)
{
    unsigned hits = 0;
    if (prefixes) {
        return find_routes(n);
    }
    for (unsigned at = 0; at < n; at += RTE_HASH_LOOKUP_BULK_MAX) {
        const unsigned count = n - at < RTE_HASH_LOOKUP_BULK_MAX ? n - at : RTE_HASH_LOOKUP_BULK_MAX;
        void *data[RTE_HASH_LOOKUP_BULK_MAX];
        uint64_t found = 0;
        rte_hash_lookup_bulk_data(hash, pointers + at, count, &found, data);
        hits += __builtin_popcountll(found);
    }
    return hits;
}

void
lookups_facts(struct table_facts *facts)
{
    snprintf(facts->name, sizeof facts->name, "%s", prefixes ? "rte_fib" : "rte_hash");
    facts->n = n_rules;
    facts->bytes = heap_used() - bytes_before;
}

void
lookups_close(void)
{
    rte_hash_free(hash);
    rte_fib_free(fib);
    hash = NULL;
    fib = NULL;
}
