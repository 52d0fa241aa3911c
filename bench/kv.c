/* A store of keys and values alone: how many lookups, inserts and changes of what is in it a second.
 *
 * kv ENTRIES SEED SECONDS fills a store with random keys and looks them up in random order, and prints
 * a line: name of the implementation, lookups a second, inserts a second, pairs of a remove and an
 * insert a second, bytes an entry. It ends with 1 if a lookup finds nothing.
 *
 * How: keys lie ready, a batch at a time. Figures are of the thread's own time; that of lookups is the
 * median over slices of them. Inserts fill a store that is new, but whose memory was touched before
 * (a store that has run for a while). Threads: one. */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

#include "kv.h"
#include "sampling.h"

enum {
    SLICE = 64,                 /* Batches that are timed as one. */
    MOST_SLICES = 1 << 16,
    CHANGES = 200000,           /* Pairs of a remove and an insert that are timed. */
};

static int
by_size(const void *a, const void *b)
{
    const double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

static struct key *
draw_keys(size_t n)
{
    struct key *keys = malloc(n * sizeof *keys);
    for (size_t i = 0; keys && i < n; i++) {
        keys[i] = (struct key){ { draw() << 16 ^ draw(), draw() << 16 ^ i } };
    }
    return keys;
}

/* Puts them all in; returns the nanoseconds of one. */
static double
fill(const struct key *keys, size_t n)
{
    double start = now(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = 0; i < n; i += BATCH) {
        if (!store_put(&keys[i], n - i < BATCH ? n - i : BATCH)) {
            fprintf(stderr, "keys behind %zu of %zu were refused\n", i, n);
            exit(1);
        }
    }
    return (now(CLOCK_THREAD_CPUTIME_ID) - start) / n;
}

static void
empty(const struct key *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        store_remove(&keys[i]);
    }
}

/* Nanoseconds of a lookup; negative: one found nothing. */
static double
lookup_time(const struct key *keys, size_t n, double seconds)
{
    static double slices[MOST_SLICES];
    static struct key batches[SLICE][BATCH];
    double end = now(CLOCK_MONOTONIC) + seconds * 1e9;
    size_t n_slices = 0;
    do {
        for (unsigned i = 0; i < SLICE * BATCH; i++) {
            batches[i / BATCH][i % BATCH] = keys[draw() % n];
        }
        double start = now(CLOCK_THREAD_CPUTIME_ID);
        for (unsigned i = 0; i < SLICE; i++) {
            if (store_find(batches[i], BATCH) != BATCH) {
                return -1;
            }
        }
        slices[n_slices++] = (now(CLOCK_THREAD_CPUTIME_ID) - start) / (SLICE * BATCH);
    } while (n_slices < MOST_SLICES && now(CLOCK_MONOTONIC) < end);
    qsort(slices, n_slices, sizeof *slices, by_size);
    return slices[n_slices / 2];
}

/* Nanoseconds to take one key out and put another in. */
static double
change_time(struct key *keys, size_t n)
{
    struct key *fresh = draw_keys(CHANGES);
    double start = now(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = 0; i < CHANGES; i++) {
        struct key *key = &keys[i * 7919 % n];
        if (!store_remove(key) || !store_put(&fresh[i], 1)) {
            return -1;
        }
        *key = fresh[i];
    }
    double spent = now(CLOCK_THREAD_CPUTIME_ID) - start;
    free(fresh);
    return spent / CHANGES;
}

int
main(int argc, char **argv)
{
    if (argc != 4) {
        return 2;
    }
    const size_t n = strtoul(argv[1], NULL, 0);
    seed(strtoul(argv[2], NULL, 0));
    struct key *keys = draw_keys(n);

    if (!n || !keys || !store_open(n)) {
        fprintf(stderr, "no store for %zu entries\n", n);
        return 1;
    }
    fill(keys, n);
    empty(keys, n);
    double putting = fill(keys, n), bytes = store_bytes() / n;
    double finding = lookup_time(keys, n, strtod(argv[3], NULL));
    double changing = change_time(keys, n);
    store_close();
    if (finding < 0 || changing < 0) {
        fprintf(stderr, "%s: a key that was put was not there\n", store_name);
        return 1;
    }
    printf("%s %.0f %.0f %.0f %.1f\n", store_name, 1e9 / finding, 1e9 / putting, 1e9 / changing,
           bytes);
    return 0;
}
