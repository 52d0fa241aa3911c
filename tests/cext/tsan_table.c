/* Lookups under ThreadSanitizer (K8): threads look up while flows come, change and go.  A flow that
 * stays is never overlooked; what is found matches, and has not been freed. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "flows.h"

enum { N_READERS = 3, N_STAYING = 16, N_MASKS = 24, N_COMING = 200 };

struct reader {
    struct shared *shared;
    pthread_t thread;
    unsigned id;
    uint64_t n_found;
};

struct shared {
    struct epoch epoch;
    struct table table;
    unsigned n_staying, n_coming;   /* Flows that stay; flows that come, change and go. */
    _Atomic bool done;
    struct flow_key staying[N_STAYING];
    struct flow_key masks[N_MASKS];
    struct reader readers[N_READERS];
};

static void
check(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}

static struct flow *
insert(struct shared *shared, const struct flow_key *key, const struct flow_key *mask,
       uint16_t priority)
{
    struct flow *flow = flow_for(&shared->table, key, mask, priority), *old;

    check(flow, "there is memory");
    check(!table_insert(&shared->table, flow, &old), "a flow goes in");
    retire_flow(&shared->epoch, old);
    return flow;
}

/* --- Readers -------------------------------------------------------------------------------------- */

static void
check_found(const struct flow *flow, const struct flow_key *packet)
{
    struct flow_key key, mask;

    check(flow, "the flow that stays is found");
    flow_match(flow, &key, &mask);
    check(key_matches(&key, &mask, packet), "what is found matches");
    check(flow->priority >= 100, "nothing below the flow that stays is found");
}

static void *
look_up(void *reader_)
{
    struct reader *reader = reader_;
    struct shared *shared = reader->shared;
    const struct flow_key *keys[N_STAYING];
    const struct flow *found[N_STAYING];

    for (unsigned i = 0; i < shared->n_staying; i++) {
        keys[i] = &shared->staying[i];
    }
    for (unsigned round = 0; !atomic_load_explicit(&shared->done, memory_order_relaxed); round++) {
        epoch_quiesce(&shared->epoch, reader->id);
        table_lookup(&shared->table, keys, shared->n_staying, found);
        for (unsigned i = 0; i < shared->n_staying; i++) {
            check_found(found[i], keys[i]);
        }
        reader->n_found += shared->n_staying;
        if (round % 64 == 0) {
            epoch_offline(&shared->epoch, reader->id);
        }
    }
    epoch_offline(&shared->epoch, reader->id);
    return NULL;
}

/* --- The writer ------------------------------------------------------------------------------------- */

struct coming {
    struct flow *flow;
    struct flow_key key, mask;
};

/* Puts in, changes or takes out one of the flows that come and go. */
static void
step(struct shared *shared, struct random *random, struct coming *coming)
{
    if (coming->flow && draw(random, 2)) {
        table_remove(&shared->table, coming->flow);
        retire_flow(&shared->epoch, coming->flow);
        coming->flow = NULL;
    } else if (coming->flow) {
        coming->flow = insert(shared, &coming->key, &coming->mask, coming->flow->priority);
    } else {
        coming->key = shared->staying[draw(random, shared->n_staying)];
        coming->mask = shared->masks[draw(random, N_MASKS)];
        uint16_t priority = (uint16_t)(1 + draw(random, 60000));
        if (!table_find(&shared->table, &coming->key, &coming->mask, priority)) {
            coming->flow = insert(shared, &coming->key, &coming->mask, priority);
        }
    }
}

/* Masks of which the hash tables of only a few can hold something for a packet. */
static void
draw_apart(struct random *random, struct flow_key *masks)
{
    for (unsigned i = 0; i < N_MASKS; i++) {
        masks[i] = (struct flow_key) { .word[W_IPV4] = UINT32_MAX << draw(random, 25),
                                       .word[W_REG7] = i + 1 };
    }
    masks[0] = (struct flow_key) { .word[W_ETH_DST] = UINT64_MAX, .word[W_L4] = UINT64_MAX };
}

static void
draw_any(struct random *random, struct flow_key *masks)
{
    draw_apart(random, masks);
    for (unsigned i = 1; i < N_MASKS; i++) {
        draw_mask(random, &masks[i]);
    }
}

static void
draw_prefixes(struct random *random, struct flow_key *masks)
{
    (void)random;
    for (unsigned i = 0; i < N_MASKS; i++) {
        masks[i] = (struct flow_key) { .word[W_IPV4] = UINT32_MAX << i };
    }
}

/* Looks up while flows change, in a table of that many, which has an implementation at times. */
static const struct run {
    const char *implementation;
    unsigned n_staying, n_coming, n_steps;
    void (*draw)(struct random *, struct flow_key *masks);  /* Those that stay have the first one. */
} runs[] = {
    { "tuple", N_STAYING, N_COMING, 30000, draw_apart },
    { "prefix", N_STAYING, N_COMING, 30000, draw_prefixes },
    { "merged", N_STAYING, N_COMING, 6000, draw_any },     /* Its changes are the slowest. */
    { "merged", 3, 20, 6000, draw_any },   /* Now a few, now more than a few, now many masks. */
    { "few", 3, 12, 30000, draw_any },
};

static void
set_up(struct shared *shared, struct random *random, const struct run *run)
{
    shared->n_staying = run->n_staying;
    shared->n_coming = run->n_coming;
    run->draw(random, shared->masks);
    epoch_init(&shared->epoch);
    check(!table_open(&shared->table, &shared->epoch), "the table opens");
    for (unsigned i = 0; i < shared->n_staying; i++) {
        draw_key(random, &shared->staying[i], 1000000);
        insert(shared, &shared->staying[i], &shared->masks[0], 100);
    }
}

/* Whether the table has the implementation that is meant. */
static bool
has(const struct shared *shared, const char *implementation)
{
    struct table_stats stats;

    table_stats(&shared->table, &stats);
    return !strcmp(stats.implementation, implementation);
}

static void
look_up_while_flows_change(const struct run *run, unsigned n_steps)
{
    unsigned n_right = 0;
    struct shared *shared = aligned_alloc(64, (sizeof *shared + 63) & ~(size_t)63);
    struct coming coming[N_COMING] = { { .flow = NULL } };
    struct random random = { 1 };
    uint64_t n_found = 0;

    memset(shared, 0, sizeof *shared);
    set_up(shared, &random, run);
    for (unsigned i = 0; i < N_READERS; i++) {
        shared->readers[i] = (struct reader) { .shared = shared, .id = i };
        pthread_create(&shared->readers[i].thread, NULL, look_up, &shared->readers[i]);
    }
    for (unsigned i = 0; i < n_steps; i++) {
        step(shared, &random, &coming[draw(&random, run->n_coming)]);
        table_work(&shared->table, 1000);
        n_right += has(shared, run->implementation);
        epoch_reclaim(&shared->epoch);
    }
    check(n_right > n_steps / 1000, run->implementation);
    atomic_store(&shared->done, true);
    for (unsigned i = 0; i < N_READERS; i++) {
        pthread_join(shared->readers[i].thread, NULL);
        n_found += shared->readers[i].n_found;
    }
    table_close(&shared->table, release_flow, NULL);
    epoch_close(&shared->epoch);
    free(shared);
    printf("%s: %llu flows found during %u changes\n", run->implementation,
           (unsigned long long)n_found, n_steps);
}

/* tsan_table [TIMES]: that many times as many changes. */
int
main(int argc, char **argv)
{
    const unsigned times = argc > 1 ? (unsigned)atoi(argv[1]) : 1;

    for (unsigned i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        look_up_while_flows_change(&runs[i], times * runs[i].n_steps);
    }
    return 0;
}
