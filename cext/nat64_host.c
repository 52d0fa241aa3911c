/* NAT64: hosts inside and their numbers.  See nat64.h.
 *
 * A host has its number as long as somebody holds it: each session does.  Numbers go round, so that one that was
 * given back is not somebody else's soon: a worker may be about to use what it has read. */

#include <errno.h>
#include <stdlib.h>

#include "hash.h"
#include "nat_private.h"

int
nat64_hosts_open(struct nat64_hosts *hosts, uint32_t most)
{
    const struct kv_config numbers = { .key_words = 2, .value_words = 2, .max_entries = most };

    hosts->n = 2 * most;                /* So that the next free one is not far. */
    hosts->at = calloc(hosts->n, sizeof *hosts->at);
    return hosts->at ? kv_open(&hosts->numbers, &numbers) : ENOMEM;
}

void
nat64_hosts_close(struct nat64_hosts *hosts)
{
    free(hosts->at);
    kv_close(&hosts->numbers);
}

static bool
choose_number(struct nat64_hosts *hosts, const struct ip_address *address, uint8_t bits, uint32_t *number)
{
    for (uint32_t i = 0; i < hosts->n; i++) {
        uint32_t at = atomic_fetch_add_explicit(&hosts->next, 1, memory_order_relaxed) % hosts->n;
        struct nat64_host *host = &hosts->at[at];

        if (!atomic_exchange_explicit(&host->taken, true, memory_order_acquire)) {
            atomic_store_explicit(&host->word[0], address->word[0], memory_order_relaxed);
            atomic_store_explicit(&host->word[1], address->word[1], memory_order_relaxed);
            atomic_store_explicit(&host->source_bits, bits, memory_order_relaxed);
            *number = at;
            return true;
        }
    }
    return false;
}

static void
free_number(struct nat64_hosts *hosts, uint32_t number)
{
    atomic_store_explicit(&hosts->at[number].taken, false, memory_order_release);
}

/* One more who holds a host that is there; false: it is not. */
static bool
join(struct nat64_hosts *hosts, const struct ip_address *address, uint64_t now_ms, uint32_t *number)
{
    uint64_t old[2], new[2];

    while (kv_get(&hosts->numbers, address->word, now_ms, old)) {
        *number = (uint32_t)(new[0] = old[0]);
        new[1] = old[1] + 1;
        if (kv_swap(&hosts->numbers, address->word, old, new, 0, now_ms)) {
            return true;
        }
    }
    return false;
}

struct ip_address
nat64_host_address(const struct nat64_hosts *hosts, uint32_t number)
{
    const struct nat64_host *host = &hosts->at[number];

    return (struct ip_address) { { atomic_load_explicit(&host->word[0], memory_order_relaxed),
                                   atomic_load_explicit(&host->word[1], memory_order_relaxed) } };
}

struct ip_address
nat64_host_source(const struct nat64_hosts *hosts, uint32_t number)
{
    const uint8_t bits = atomic_load_explicit(&hosts->at[number].source_bits, memory_order_relaxed);
    const struct ip_address address = nat64_host_address(hosts, number), mask = ip_mask(IP_V6, bits);

    return (struct ip_address) { { address.word[0] & mask.word[0], address.word[1] & mask.word[1] } };
}

bool
nat64_host_find(const struct nat64_hosts *hosts, const struct ip_address *address, uint64_t now_ms,
                uint32_t *number)
{
    uint64_t value[2];
    bool there = kv_get(&hosts->numbers, address->word, now_ms, value);

    *number = there ? (uint32_t)value[0] : 0;
    return there;
}

bool
nat64_host_take(struct nat64_hosts *hosts, const struct ip_address *address, uint8_t bits, uint64_t now_ms,
                uint32_t *number)
{
    while (!join(hosts, address, now_ms, number)) {
        if (!choose_number(hosts, address, bits, number)) {
            return false;
        }

        uint64_t value[2] = { *number, 1 };
        enum kv_result result = kv_insert(&hosts->numbers, address->word, value, 0, now_ms);

        if (result == KV_NEW) {
            return true;
        }
        free_number(hosts, *number);    /* Another worker was quicker, or there is no room. */
        if (result == KV_FULL) {
            return false;
        }
    }
    return true;
}

bool
nat64_host_hold(struct nat64_hosts *hosts, uint32_t number, uint64_t now_ms)
{
    struct ip_address address = nat64_host_address(hosts, number);
    uint32_t joined;

    if (!join(hosts, &address, now_ms, &joined)) {
        return false;
    }
    if (joined != number) {             /* It was given back, and the host has another one. */
        nat64_host_give(hosts, joined, now_ms);
        return false;
    }
    return true;
}

void
nat64_host_give(struct nat64_hosts *hosts, uint32_t number, uint64_t now_ms)
{
    struct ip_address address = nat64_host_address(hosts, number);
    uint64_t value[2];

    if (nat_count_down(&hosts->numbers, 1, address.word, now_ms, value)) {
        free_number(hosts, number);
    }
}
