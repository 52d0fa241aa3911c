/* DPDK's rte_hash with readers that do not wait for writers. Memory is what DPDK's heap has given. */

#include <stdio.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_malloc.h>

#include "kv.h"

const char store_name[] = "rte_hash";

static struct rte_hash *hash;
static size_t bytes_before;

static size_t
heap_used(void)
{
    struct rte_malloc_socket_stats stats = { .heap_allocsz_bytes = 0 };
    rte_malloc_get_socket_stats(0, &stats);
    return stats.heap_allocsz_bytes;
}

bool
store_open(size_t n)
{
    char *arguments[] = { "kv", "--in-memory", "--no-pci", "--no-telemetry", "--log-level=3",
                          "--force-max-simd-bitwidth=512", NULL };
    struct rte_hash_parameters parameters = {
        .name = "bench", .entries = n + n / 8 + 64, .key_len = sizeof(struct key),
        .hash_func = rte_hash_crc,
        .extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY | RTE_HASH_EXTRA_FLAGS_MULTI_WRITER_ADD,
    };
    if (rte_eal_init(sizeof arguments / sizeof *arguments - 1, arguments) < 0) {
        fprintf(stderr, "DPDK does not start: %s\n", rte_strerror(rte_errno));
        return false;
    }
    bytes_before = heap_used();
    hash = rte_hash_create(&parameters);
    return hash;
}

bool
store_put(const struct key *keys, unsigned n)
{
    bool good = true;

    for (unsigned i = 0; i < n; i++) {
        good &= !rte_hash_add_key_data(hash, &keys[i], (void *) (uintptr_t) i);
    }
    return good;
}

bool
store_remove(const struct key *key)
{
    return rte_hash_del_key(hash, key) >= 0;
}

unsigned
store_find(const struct key *keys, unsigned n)
{
    const void *pointers[RTE_HASH_LOOKUP_BULK_MAX];
    void *data[RTE_HASH_LOOKUP_BULK_MAX];
    unsigned hits = 0;

    for (unsigned at = 0; at < n; at += RTE_HASH_LOOKUP_BULK_MAX) {
        const unsigned count = n - at < RTE_HASH_LOOKUP_BULK_MAX ? n - at : RTE_HASH_LOOKUP_BULK_MAX;
        uint64_t found = 0;
        for (unsigned i = 0; i < count; i++) {
            pointers[i] = &keys[at + i];
        }
        rte_hash_lookup_bulk_data(hash, pointers, count, &found, data);
        hits += __builtin_popcountll(found);
    }
    return hits;
}

double
store_bytes(void)
{
    return heap_used() - bytes_before;
}

void
store_close(void)
{
    rte_hash_free(hash);
}
