/* A table alone: how long a lookup and an insert take.
 *
 * tables SHAPE RULES MASKS SEED SECONDS fills a table with rules, looks up packets that each meet at
 * least one of them, and prints a line: name of the implementation, rules, nanoseconds a lookup,
 * inserts a second, nanoseconds of the worst insert, bytes a rule. It ends with 1 if a lookup finds
 * nothing.
 *
 * How: packets become keys outside what is timed, a batch at a time, as they are in the cache when
 * they were just parsed. The figure is the median over slices of batches: one in which the thread
 * lost its core does not count. Inserts are timed twice, by the thread's own time: all of them
 * together, and in a second table each alone, because to look at the clock takes as long as an
 * insert. Threads: one. */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sampling.h"
#include "tables.h"

enum {
    SLICE = 16,                 /* Batches that are timed as one. */
    MOST_SLICES = 1 << 20,
    LEAST_PACKETS = 100000,
};

static uint32_t
mask_of(unsigned length)
{
    return length ? UINT32_MAX << (32 - length) : 0;
}

/* Rules of one mask: 5-tuples. */
static void
draw_exact(struct rule *rule, unsigned mask)
{
    (void) mask;
    *rule = (struct rule){ .src_len = 32, .dst_len = 32, .with_sport = true, .with_dport = true };
}

/* Routes: half of them /24, the others of all lengths from 8 on; the longer one first. */
static void
draw_prefix(struct rule *rule, unsigned mask)
{
    unsigned length = draw() % 2 ? 24 : draw() % 16 ? 16 + draw() % 17 : 8 + draw() % 8;
    (void) mask;
    *rule = (struct rule){ .dst_len = length, .priority = length };
}

/* Prefixes of both addresses, in masks beyond the first 49 with one of the ports or both. */
static void
draw_masks(struct rule *rule, unsigned mask)
{
    static const uint8_t lengths[] = { 8, 12, 16, 20, 24, 28, 32, 10, 14 };
    const unsigned pair = mask % 49, ports = mask / 49;
    const unsigned more = 7 + ports / 4;        /* From the fifth round on, lengths of their own. */
    *rule = (struct rule){ .src_len = lengths[ports < 4 ? pair / 7 : more],
                           .dst_len = lengths[pair % 7],
                           .with_sport = ports & 1, .with_dport = ports & 2,
                           .priority = 1 + draw() % 1000 };
}

static const struct {
    const char *name;
    void (*draw)(struct rule *rule, unsigned mask);
} shapes[] = { { "exact", draw_exact }, { "prefix", draw_prefix }, { "masks", draw_masks } };

static struct rule *
draw_rules(const char *name, size_t n, unsigned n_masks)
{
    struct rule *rules = calloc(n, sizeof *rules);
    unsigned shape = 0;
    while (shape < sizeof shapes / sizeof *shapes && strcmp(shapes[shape].name, name)) {
        shape++;
    }
    if (!rules || shape == sizeof shapes / sizeof *shapes || !n_masks || n_masks > 300) {
        fprintf(stderr, "no rules of shape %s with %u masks\n", name, n_masks);
        exit(2);
    }
    for (size_t i = 0; i < n; i++) {
        shapes[shape].draw(&rules[i], i % n_masks);
        rules[i].src = draw() & mask_of(rules[i].src_len);
        rules[i].dst = draw() & mask_of(rules[i].dst_len);
        rules[i].sport = rules[i].with_sport ? draw() : 0;
        rules[i].dport = rules[i].with_dport ? draw() : 0;
    }
    return rules;
}

static struct tuple5 *
draw_packets(const struct rule *rules, size_t n_rules, size_t n)
{
    struct tuple5 *packets = calloc(n, sizeof *packets);
    for (size_t i = 0; packets && i < n; i++) {
        const struct rule *rule = &rules[draw() % n_rules];
        packets[i].src = rule->src | (draw() & ~mask_of(rule->src_len));
        packets[i].dst = rule->dst | (draw() & ~mask_of(rule->dst_len));
        packets[i].sport = rule->with_sport ? rule->sport : draw();
        packets[i].dport = rule->with_dport ? rule->dport : draw();
    }
    return packets;
}

/* Returns the nanoseconds that all inserts took, and those of the worst if they are timed alone. */
static double
fill(const struct rule *rules, size_t n, size_t n_long, double *worst)
{
    if (!lookups_open(n, n_long)) {
        fprintf(stderr, "no table for %zu rules\n", n);
        exit(1);
    }
    double start = now(CLOCK_THREAD_CPUTIME_ID), last = start;
    for (size_t i = 0; i < n; i++) {
        if (!lookups_insert(&rules[i])) {
            fprintf(stderr, "rule %zu of %zu was refused\n", i, n);
            exit(1);
        }
        if (worst) {
            double time = now(CLOCK_THREAD_CPUTIME_ID);
            *worst = time - last > *worst ? time - last : *worst;
            last = time;
        }
    }
    return now(CLOCK_THREAD_CPUTIME_ID) - start;
}

static int
by_size(const void *a, const void *b)
{
    const float x = *(const float *) a, y = *(const float *) b;
    return (x > y) - (x < y);
}

/* Nanoseconds a lookup; negative: one found nothing. */
static double
lookup_time(const struct tuple5 *packets, size_t n, double seconds)
{
    static float slices[MOST_SLICES];
    double end = now(CLOCK_MONOTONIC) + seconds * 1e9;
    size_t at = 0, n_slices = 0;

    do {
        double spent = 0;
        unsigned done = 0;
        for (unsigned i = 0; i < SLICE; i++) {
            unsigned count = n - at < BATCH ? n - at : BATCH;
            lookups_prepare(packets + at, count);
            double start = now(CLOCK_MONOTONIC);
            unsigned found = lookups_find(count);
            spent += now(CLOCK_MONOTONIC) - start;
            if (found != count) {
                return -1;
            }
            done += count;
            at = at + count < n ? at + count : 0;
        }
        slices[n_slices++] = spent / done;
    } while (n_slices < MOST_SLICES && now(CLOCK_MONOTONIC) < end);
    qsort(slices, n_slices, sizeof *slices, by_size);
    return slices[n_slices / 2];
}

int
main(int argc, char **argv)
{
    if (argc != 6) {
        return 2;
    }
    const size_t n = strtoul(argv[2], NULL, 0);
    seed(strtoul(argv[4], NULL, 0));
    struct rule *rules = draw_rules(argv[1], n, strtoul(argv[3], NULL, 0));
    const size_t n_packets = n > LEAST_PACKETS ? n : LEAST_PACKETS;
    struct tuple5 *packets = draw_packets(rules, n, n_packets);
    struct table_facts facts = { .n = 0 };
    size_t n_long = 0;
    double worst = 0;

    for (size_t i = 0; i < n; i++) {
        n_long += rules[i].dst_len > 24;
    }
    fill(rules, n, n_long, &worst);
    lookups_close();
    double inserting = fill(rules, n, n_long, NULL);
    lookups_settle();
    double finding = lookup_time(packets, n_packets, strtod(argv[5], NULL));
    lookups_facts(&facts);
    lookups_close();
    if (finding < 0) {
        fprintf(stderr, "%s: a packet met no rule of the %zu\n", facts.name, n);
        return 1;
    }
    printf("%s %zu %.3f %.0f %.0f %.1f\n", facts.name, facts.n, finding, n / inserting * 1e9, worst,
           facts.bytes / facts.n);
    return 0;
}
