/* The floor: the plainest table for IPv4 there is, DIR-24-8: an array by the first 24 bits of an address,
 * and one of 256 slots for each that has longer prefixes. It knows no prefix any more once it is in,
 * so none can be taken out; and only an order from the shortest prefix to the longest is right.
 *
 * Reference: P. Gupta, S. Lin, N. McKeown, "Routing Lookups in Hardware at Memory Access Speeds", 1998. */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "route.h"

enum {
    FIRST = 1 << 24,
    MORE = 256,
    HUGE_PAGE = 2 << 20,
};

#define IS_MORE (UINT32_C(1) << 31)

/* A value, or the number of 256 slots; and the length of the prefix, above what a value needs. */
static uint32_t *first, *more;
static uint8_t *lengths, *more_lengths;
static uint32_t n_more, max_more;
static uint32_t addresses[AT_ONCE], values[AT_ONCE];

static void *
map(size_t size)
{
    size = (size + HUGE_PAGE - 1) & -(size_t) HUGE_PAGE;
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        fprintf(stderr, "no memory for the floor\n");
        exit(1);
    }
    madvise(at, size, MADV_HUGEPAGE);
    return at;
}

bool
routes_open(unsigned family, size_t n, size_t n_long)
{
    (void) n;
    if (family != 4) {
        return false;
    }
    max_more = n_long + 1;
    first = map(FIRST * sizeof *first);
    lengths = map(FIRST);
    more = map((size_t) max_more * MORE * sizeof *more);
    more_lengths = map((size_t) max_more * MORE);
    return true;
}

static void
write_range(uint32_t *slots, uint8_t *lens, uint32_t from, uint32_t n, const struct prefix *prefix)
{
    for (uint32_t i = from; i < from + n; i++) {
        if (lens[i] <= prefix->len) {
            slots[i] = prefix->value;
            lens[i] = prefix->len;
        }
    }
}

static void
put(const struct prefix *prefix)
{
    const uint32_t address = prefix->address.high >> 32, at = address >> 8;
    if (prefix->len > 24) {
        if (!(first[at] & IS_MORE)) {
            for (unsigned i = 0; i < MORE; i++) {
                more[(size_t) n_more * MORE + i] = first[at];
                more_lengths[(size_t) n_more * MORE + i] = lengths[at];
            }
            first[at] = IS_MORE | n_more++;
        }
        const size_t base = (size_t) (first[at] & ~IS_MORE) * MORE;
        write_range(more + base, more_lengths + base, address & 255, 1u << (32 - prefix->len), prefix);
        return;
    }
    for (uint32_t i = at; i < at + (1u << (24 - prefix->len)); i++) {
        if (first[i] & IS_MORE) {
            const size_t base = (size_t) (first[i] & ~IS_MORE) * MORE;
            write_range(more + base, more_lengths + base, 0, MORE, prefix);
        } else {
            write_range(first, lengths, i, 1, prefix);
        }
    }
}

bool
routes_put(const struct prefix *prefixes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        put(&prefixes[i]);
    }
    return true;
}

void
routes_settle(void)
{
}

void
routes_prepare(const struct address *from, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        addresses[i] = from[i].high >> 32;
    }
}

const uint32_t *
routes_find(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        __builtin_prefetch(&first[addresses[i] >> 8]);
    }
    for (unsigned i = 0; i < n; i++) {
        const uint32_t word = first[addresses[i] >> 8];
        values[i] = word & IS_MORE ? more[(size_t) (word & ~IS_MORE) * MORE + (addresses[i] & 255)] : word;
    }
    return values;
}

void
routes_facts(struct route_facts *facts)
{
    snprintf(facts->name, sizeof facts->name, "DIR-24-8");
    facts->bytes = FIRST * 5.0 + (double) max_more * MORE * 5;
}

void
routes_close(void)
{
    munmap(first, FIRST * sizeof *first);
    munmap(lengths, FIRST);
}
