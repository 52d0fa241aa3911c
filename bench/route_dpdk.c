/* DPDK's tables of routes: rte_fib by DIR-24-8 for IPv4, rte_fib6 by a trie for IPv6; 4 bytes a next hop.
 *
 * Memory is what DPDK's heap has given for the table. There is room for twice the routes: those that
 * only join others count too. */

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_fib.h>
#include <rte_fib6.h>
#include <rte_malloc.h>

#include "route.h"

enum { SPARE_GROUPS = 64 /* Of addresses that share their first 24 bits. */ };

static unsigned family;
static size_t bytes_before;
static struct rte_fib *fib;
static struct rte_fib6 *fib6;
static uint32_t ipv4[AT_ONCE], values[AT_ONCE];
static uint8_t ipv6[AT_ONCE][RTE_FIB6_IPV6_ADDR_SIZE];

static size_t
heap_used(void)
{
    struct rte_malloc_socket_stats stats = { .heap_allocsz_bytes = 0 };
    rte_malloc_get_socket_stats(0, &stats);
    return stats.heap_allocsz_bytes;
}

static void
make(size_t n, size_t n_long)
{
    struct rte_fib_conf conf = {
        .type = RTE_FIB_DIR24_8, .max_routes = 2 * n + 1,
        .dir24_8 = { .nh_sz = RTE_FIB_DIR24_8_4B, .num_tbl8 = 2 * n_long + SPARE_GROUPS },
    };
    struct rte_fib6_conf conf6 = {
        .type = RTE_FIB6_TRIE, .max_routes = 2 * n + 1,
        .trie = { .nh_sz = RTE_FIB6_TRIE_4B, .num_tbl8 = 4 * n_long + SPARE_GROUPS },
    };
    if (family == 4) {
        fib = rte_fib_create("bench", 0, &conf);
    } else {
        fib6 = rte_fib6_create("bench", 0, &conf6);
    }
    if (fib) {
        rte_fib_select_lookup(fib, RTE_FIB_LOOKUP_DEFAULT);
    }
    if (fib6) {
        rte_fib6_select_lookup(fib6, RTE_FIB6_LOOKUP_DEFAULT);
    }
}

bool
routes_open(unsigned family_, size_t n, size_t n_long)
{
    char *arguments[] = { "route", "--in-memory", "--no-pci", "--no-telemetry", "--log-level=3",
                          "--force-max-simd-bitwidth=512", NULL };
    family = family_;
    if (rte_eal_init(sizeof arguments / sizeof *arguments - 1, arguments) < 0) {
        fprintf(stderr, "DPDK does not start: %s\n", rte_strerror(rte_errno));
        return false;
    }
    bytes_before = heap_used();
    make(n, n_long);
    return fib || fib6;
}

static void
write_ipv6(uint8_t *to, const struct address *address)
{
    const uint64_t words[] = { htobe64(address->high), htobe64(address->low) };
    memcpy(to, words, sizeof words);
}

static bool
put(const struct prefix *prefix)
{
    if (family == 4) {
        return !rte_fib_add(fib, prefix->address.high >> 32, prefix->len, prefix->value);
    }
    uint8_t address[RTE_FIB6_IPV6_ADDR_SIZE];
    write_ipv6(address, &prefix->address);
    return !rte_fib6_add(fib6, address, prefix->len, prefix->value);
}

bool
routes_put(const struct prefix *prefixes, size_t n)
{
    bool done = true;
    for (size_t i = 0; i < n && done; i++) {
        done = put(&prefixes[i]);
    }
    return done;
}

void
routes_settle(void)
{
}

void
routes_prepare(const struct address *addresses, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        ipv4[i] = addresses[i].high >> 32;
        write_ipv6(ipv6[i], &addresses[i]);
    }
}

const uint32_t *
routes_find(unsigned n)
{
    uint64_t hops[AT_ONCE];
    if (family == 4) {
        rte_fib_lookup_bulk(fib, ipv4, hops, n);
    } else {
        rte_fib6_lookup_bulk(fib6, ipv6, hops, n);
    }
    for (unsigned i = 0; i < n; i++) {
        values[i] = hops[i];
    }
    return values;
}

void
routes_facts(struct route_facts *facts)
{
    snprintf(facts->name, sizeof facts->name, "%s", family == 4 ? "rte_fib" : "rte_fib6");
    facts->bytes = heap_used() - bytes_before;
}

void
routes_close(void)
{
    rte_fib_free(fib);
    rte_fib6_free(fib6);
}
