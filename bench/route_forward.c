/* The floor of routing: what floor.c does to a packet, with DIR-24-8 (route_floor.c) in the place of its
 * table of flows. Values of prefixes are the entries of its first flows.
 *
 * Threads: one. */

#include "floor.c"

#include "route.h"

_Static_assert((int) BATCH <= (int) AT_ONCE, "a batch of packets is looked up at once");

static void
route_batch(struct floor *floor)
{
    uint8_t *packets[BATCH];
    struct address addresses[BATCH];
    struct key key;
    unsigned n = 0;

    for (unsigned i = 0; i < BATCH; i++) {
        packets[n] = floor->slots + (size_t) i * SLOT;
        memcpy(packets[n], floor->frames + floor->next * LINE, LINE);
        floor->next = floor->next + 1 < floor->n_frames ? floor->next + 1 : 0;
        if (parse(packets[n], floor->size, &key)) {
            addresses[n++].high = (uint64_t) __builtin_bswap32(key.addresses >> 32) << 32;
        } else {
            floor->n_bad++;
        }
    }
    routes_prepare(addresses, n);
    const uint32_t *values = routes_find(n);
    for (unsigned i = 0; i < n; i++) {
        struct entry *entry = &floor->entries[values[i]];
        floor->n_missed += !values[i];
        entry->n_packets++;
        entry->n_bytes += floor->size;
        rewrite(packets[i], entry);
    }
    floor->n_out += n;
}

/* As floor_rate(). */
double
route_rate(struct floor *floor, double seconds)
{
    double end = now(CLOCK_MONOTONIC) + seconds, spent = now(CLOCK_THREAD_CPUTIME_ID);
    uint64_t before = floor->n_out;
    do {
        for (unsigned i = 0; i < ROUNDS; i++) {
            route_batch(floor);
        }
    } while (now(CLOCK_MONOTONIC) < end);
    spent = now(CLOCK_THREAD_CPUTIME_ID) - spent;
    return floor->n_bad || floor->n_missed ? 0 : (floor->n_out - before) / spent;
}
