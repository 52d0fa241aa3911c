/* A table of routes alone: how long a lookup and a change take.
 *
 * route FAMILY PREFIXES SEED SECONDS fills a table with prefixes as the internet has them, looks up
 * addresses that each lie in at least one of them, and prints a line: name of the implementation,
 * nanoseconds a lookup, puts a second, nanoseconds of a change, of the worst change, bytes a prefix. It
 * ends with 1 if a lookup finds nothing, or not what was put last. With "draw" for SECONDS it only writes
 * the prefixes and the addresses, as the structs of route.h, for who lets packets be forwarded by them.
 *
 * How: the lengths of prefixes are as common as in the routing tables of the default-free zone; those
 * of IPv6 lie in blocks of few first bytes. Lookups are timed in slices of batches, of which the median
 * counts: one in which the thread lost its core does not. A change gives a prefix that is there another
 * value, and ends when a lookup finds it; times are the thread's own. Threads: one. */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "route.h"

enum {
    SLICE = 16,                 /* Batches that are timed as one. */
    MOST_SLICES = 1 << 20,
    ADDRESSES = 1 << 20,
    CHANGES = 20000,
    VALUES = 200,               /* Neighbours that routes lead to. */
    BLOCKS = 20000,             /* Of IPv6, that were given to somebody. */
};

static uint64_t state;

static uint64_t
draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

static uint64_t
draw_word(void)
{
    return draw() << 32 ^ draw();
}

static double
now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

/* --- Prefixes -------------------------------------------------------------------------------- */

/* How many of a thousand prefixes have a length. */
struct share {
    uint8_t len;
    uint16_t of_1000;
};

static const struct share ipv4_shares[] = {
    { 24, 600 }, { 23, 100 }, { 22, 105 }, { 21, 48 }, { 20, 42 }, { 19, 24 }, { 18, 13 }, { 17, 8 },
    { 16, 13 }, { 15, 2 }, { 14, 1 }, { 13, 1 }, { 12, 1 }, { 11, 1 }, { 26, 6 }, { 28, 10 }, { 32, 25 },
};
static const struct share ipv6_shares[] = {
    { 48, 470 }, { 32, 110 }, { 44, 110 }, { 40, 90 }, { 36, 50 }, { 46, 40 }, { 47, 35 }, { 29, 25 },
    { 42, 20 }, { 45, 15 }, { 38, 10 }, { 34, 5 }, { 33, 5 }, { 64, 10 }, { 128, 5 },
};

static unsigned
draw_len(const struct share *shares)
{
    int left = draw() % 1000;
    while (left >= shares->of_1000) {
        left -= (shares++)->of_1000;
    }
    return shares->len;
}

static void
cut(struct address *address, unsigned len)
{
    address->high &= len >= 64 ? UINT64_MAX : UINT64_MAX << (64 - len);
    address->low &= len > 64 ? UINT64_MAX << (128 - len) : 0;
}

/* Unicast, without the networks that nobody routes. */
static void
draw_ipv4(struct prefix *prefix)
{
    prefix->len = draw_len(ipv4_shares);
    prefix->address = (struct address){ (1 + draw() % 223) << 56 | (draw() & 0xffffff) << 32, 0 };
}

static void
draw_ipv6(struct prefix *prefix)
{
    static const uint16_t firsts[] = { 0x2001, 0x2400, 0x2600, 0x2800, 0x2a00, 0x2c00 };
    static uint32_t blocks[BLOCKS];
    uint32_t *block = &blocks[draw() % BLOCKS];
    if (!*block) {
        const uint16_t first = firsts[draw() % 6];
        *block = (uint32_t) (first | (first & 0xff ? 0 : draw() % 16)) << 16 | (draw() & 0xfff8);
    }
    prefix->len = draw_len(ipv6_shares);
    prefix->address = (struct address){
        (uint64_t) *block << 32 | (draw() & 7) << 32 | (draw() & UINT32_MAX), draw_word(),
    };
}

static struct prefix *
draw_prefixes(unsigned family, size_t n)
{
    struct prefix *prefixes = calloc(n, sizeof *prefixes);
    for (size_t i = 0; prefixes && i < n; i++) {
        (family == 4 ? draw_ipv4 : draw_ipv6)(&prefixes[i]);
        cut(&prefixes[i].address, prefixes[i].len);
        prefixes[i].value = 1 + draw() % VALUES;
    }
    return prefixes;
}

static struct address *
draw_addresses(const struct prefix *prefixes, size_t n_prefixes)
{
    struct address *addresses = calloc(ADDRESSES, sizeof *addresses);
    for (size_t i = 0; addresses && i < ADDRESSES; i++) {
        const struct prefix *prefix = &prefixes[draw() % n_prefixes];
        struct address inside = { draw_word(), draw_word() }, cutting = inside;
        cut(&cutting, prefix->len);
        addresses[i].high = prefix->address.high | (inside.high ^ cutting.high);
        addresses[i].low = prefix->address.low | (inside.low ^ cutting.low);
    }
    return addresses;
}

/* --- Measuring ------------------------------------------------------------------------------- */

static int
by_size(const void *a, const void *b)
{
    const float x = *(const float *) a, y = *(const float *) b;
    return (x > y) - (x < y);
}

static void
fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

/* Returns puts a second. */
static double
fill(const struct prefix *prefixes, size_t n)
{
    double start = now(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = 0; i < n; i += AT_ONCE) {
        if (!routes_put(&prefixes[i], n - i < AT_ONCE ? n - i : AT_ONCE)) {
            fail("a prefix was refused");
        }
    }
    return n / (now(CLOCK_THREAD_CPUTIME_ID) - start) * 1e9;
}

static double
lookup_time(const struct address *addresses, double seconds)
{
    static float slices[MOST_SLICES];
    double end = now(CLOCK_MONOTONIC) + seconds * 1e9;
    size_t at = 0, n_slices = 0;

    do {
        double spent = 0;
        for (unsigned i = 0; i < SLICE; i++, at = (at + AT_ONCE) % ADDRESSES) {
            routes_prepare(addresses + at, AT_ONCE);
            double start = now(CLOCK_MONOTONIC);
            const uint32_t *values = routes_find(AT_ONCE);
            spent += now(CLOCK_MONOTONIC) - start;
            for (unsigned j = 0; j < AT_ONCE; j++) {
                if (!values[j]) {
                    fail("an address met no prefix");
                }
            }
        }
        slices[n_slices++] = spent / (SLICE * AT_ONCE);
    } while (n_slices < MOST_SLICES && now(CLOCK_MONOTONIC) < end);
    qsort(slices, n_slices, sizeof *slices, by_size);
    return slices[n_slices / 2];
}

static uint32_t
value_at(const struct address *address)
{
    routes_prepare(address, 1);
    return routes_find(1)[0];
}

/* Nanoseconds until a lookup finds what a prefix leads to now; in 'worst' those of the worst. Only
 * prefixes whose first address no longer one has. */
static double
change_time(const struct prefix *prefixes, size_t n, double *worst)
{
    static float times[CHANGES];
    unsigned done = 0;

    while (done < CHANGES) {
        struct prefix prefix = prefixes[draw() % n];
        const uint32_t before = value_at(&prefix.address);
        prefix.value = VALUES + 1 + done % 1000;
        double start = now(CLOCK_THREAD_CPUTIME_ID);
        bool taken = routes_put(&prefix, 1);
        const uint32_t after = value_at(&prefix.address);
        times[done] = now(CLOCK_THREAD_CPUTIME_ID) - start;
        if (!taken || (after != prefix.value && after != before)) {
            fail("a change is not seen");
        }
        done += after == prefix.value;
        routes_settle();
    }
    qsort(times, CHANGES, sizeof *times, by_size);
    *worst = times[CHANGES - 1];
    return times[CHANGES / 2];
}

int
main(int argc, char **argv)
{
    if (argc != 5) {
        return 2;
    }
    const unsigned family = strtoul(argv[1], NULL, 0);
    const size_t n = strtoul(argv[2], NULL, 0);
    state = (strtoul(argv[3], NULL, 0) + 1) * UINT64_C(0x9e3779b97f4a7c15);
    const struct prefix *prefixes = draw_prefixes(family, n);
    const struct address *addresses = prefixes ? draw_addresses(prefixes, n) : NULL;
    struct route_facts facts = { .bytes = 0 };
    size_t n_long = 0;
    double worst;

    if (!addresses) {
        fail("no memory");
    }
    if (!strcmp(argv[4], "draw")) {
        return fwrite(prefixes, sizeof *prefixes, n, stdout) != n
               || fwrite(addresses, sizeof *addresses, ADDRESSES, stdout) != ADDRESSES;
    }
    for (size_t i = 0; i < n; i++) {
        n_long += prefixes[i].len > 24;
    }
    if (!routes_open(family, n, n_long)) {
        fail("no table");
    }
    const double rate = fill(prefixes, n);
    routes_settle();
    const double finding = lookup_time(addresses, strtod(argv[4], NULL));
    const double changing = change_time(prefixes, n, &worst);
    routes_facts(&facts);
    routes_close();
    printf("%s %.3f %.0f %.1f %.0f %.1f\n", facts.name, finding, rate, changing, worst,
           facts.bytes / n);
    return 0;
}
