/* Without memory a change of a table (K8) or the opening of a cache (K11) fails as if it had never
 * been tried.  Each is tried with its first allocation failing, with its second, and so on until it is
 * done with no allocation failing; after each try lookups are compared with a list. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>

#include "cache.h"
#include "flows.h"
#include "scarce.h"

enum { MAX_FLOWS = 500, LOOKUPS = 12 };

struct entry {
    struct flow_key key, mask;
    struct flow *flow;
};

struct model {
    struct epoch epoch;
    struct table table;
    struct random random;
    unsigned n;
    struct entry entries[MAX_FLOWS];
};

/* Tables of one kind. */
struct kind {
    const char *name, *implementation;
    unsigned n_flows;
    void (*draw)(struct model *, struct entry *);
};

/* --- Kinds ---------------------------------------------------------------------------------- */

static void
draw_exact(struct model *model, struct entry *entry)
{
    entry->mask.word[W_ETH_DST] = UINT64_MAX;
    entry->key.word[W_ETH_DST] = draw_value(&model->random, 1u << 20);
}

static void
draw_prefix(struct model *model, struct entry *entry)
{
    const unsigned length = 1 + draw(&model->random, 32);

    entry->mask.word[W_IPV4] = UINT32_MAX & UINT64_MAX << (32 - length);
    entry->key.word[W_IPV4] = draw(&model->random, 1u << 31) | (uint64_t) draw(&model->random, 2) << 31;
}

/* Few values, so that several have the same match. */
static void
draw_word(struct model *model, struct entry *entry)
{
    const unsigned word = W_REG0 + draw(&model->random, 6);

    entry->mask.word[word] = UINT64_MAX;
    entry->key.word[word] = draw(&model->random, 10);
}

static void
draw_any_mask(struct model *model, struct entry *entry)
{
    entry->mask.word[W_IPV4] = UINT64_MAX << draw(&model->random, 32)
                               & ~(UINT64_MAX >> 32 << draw(&model->random, 32) >> 32);
    entry->mask.word[W_L4] = draw_value(&model->random, 40);
}

static const struct kind kinds[] = {
    { "few", "few", 7, draw_word },
    { "exact", "tuple", 400, draw_exact },
    { "prefixes", "prefix", 400, draw_prefix },
    { "masks", "tuple", 60, draw_word },
    { "many", "merged", 400, draw_any_mask },
};

/* --- The list ------------------------------------------------------------------------------- */

static struct model *
model_new(void)
{
    struct model *model = aligned_alloc(64, (sizeof *model + 63) & ~(size_t) 63);

    memset(model, 0, sizeof *model);
    epoch_init(&model->epoch);
    assert_int_equal(table_open(&model->table, &model->epoch), 0);
    model->random.state = 1;
    return model;
}

static void
model_free(struct model *model)
{
    table_close(&model->table, release_flow, NULL);
    epoch_close(&model->epoch);
    free(model);
}

/* The flow with the highest priority that matches; no two have the same priority. */
static const struct flow *
list_lookup(const struct model *model, const struct flow_key *packet)
{
    const struct flow *best = NULL;

    for (unsigned i = 0; i < model->n; i++) {
        const struct entry *entry = &model->entries[i];
        if ((!best || entry->flow->priority > best->priority)
            && key_matches(&entry->key, &entry->mask, packet)) {
            best = entry->flow;
        }
    }
    return best;
}

/* Packets like 'about', and like any entries. */
static void
check(struct model *model, const struct flow_key *about)
{
    const struct flow_key *keys[LOOKUPS] = { about };
    const struct flow *found[LOOKUPS];

    for (unsigned i = 1; i < LOOKUPS; i++) {
        keys[i] = model->n ? &model->entries[draw(&model->random, model->n)].key : about;
    }
    table_lookup(&model->table, keys, LOOKUPS, found);
    for (unsigned i = 0; i < LOOKUPS; i++) {
        assert_ptr_equal(found[i], list_lookup(model, keys[i]));
    }
}

/* --- Tables ----------------------------------------------------------------------------------- */

/* Puts an entry in, with the 'nth' allocation failing.  Returns whether it is in; then it is in
 * the list, too. */
static bool
insert(struct model *model, struct entry *entry, uint16_t priority, unsigned nth)
{
    struct flow *old = NULL;
    int error = ENOMEM;

    scarce_from(nth);
    entry->flow = flow_for(&model->table, &entry->key, &entry->mask, priority);
    if (entry->flow) {
        error = table_insert(&model->table, entry->flow, &old);
    }
    scarce.countdown = 0;
    assert_null(old);
    if (!error) {
        model->entries[model->n++] = *entry;
        return true;
    }
    assert_int_equal(error, ENOMEM);
    assert_true(scarce.failed);
    if (entry->flow) {
        flow_free(entry->flow);
    }
    return false;
}

/* Takes one out, with the 'nth' allocation failing: that cannot fail. */
static void
take_out(struct model *model, unsigned i, unsigned nth)
{
    const struct entry entry = model->entries[i];

    scarce_from(nth);
    table_remove(&model->table, entry.flow);
    retire_flow(&model->epoch, entry.flow);
    scarce_end();
    model->entries[i] = model->entries[--model->n];
    check(model, &entry.key);
}

/* What a table does in the background finds no memory either. */
static void
work(struct model *model, const struct flow_key *about)
{
    for (unsigned i = 0; i < 5; i++) {
        scarce_from(1 + draw(&model->random, 10));
        table_work(&model->table, 50);
        scarce_end();
        check(model, about);
    }
}

/* Returns how many tries have failed. */
static unsigned
insert_at_last(struct model *model, const struct kind *kind, uint16_t priority)
{
    struct entry entry = { .flow = NULL };
    unsigned n_failed = 0;

    kind->draw(model, &entry);
    for (unsigned nth = 1;; nth++) {
        bool in = insert(model, &entry, priority, nth);
        n_failed += !in;
        check(model, &entry.key);
        if (!scarce_end()) {
            return n_failed;
        }
        if (in) {
            take_out(model, model->n - 1, 0);       /* It did without: again, with the next failing. */
        }
    }
}

static void
test_a_table_without_memory_answers_as_before(void **state)
{
    const struct kind *kind = *state;
    const size_t n_used = scarce.n_used;
    struct model *model = model_new();
    struct table_stats stats;
    unsigned n_failed = 0;
    uint16_t priority = 0;

    while (model->n < kind->n_flows) {
        n_failed += insert_at_last(model, kind, ++priority);
        work(model, &model->entries[model->n - 1].key);
        if (model->n > 5 && priority % 5 == 0) {
            take_out(model, draw(&model->random, model->n), 1 + draw(&model->random, 3));
        }
    }
    take_out(model, 0, 0);              /* What did not find memory is tried again after a change. */
    for (unsigned i = 0; i < 1000; i++) {
        table_work(&model->table, 100);
    }
    table_stats(&model->table, &stats);
    assert_string_equal(stats.implementation, kind->implementation);
    assert_true(n_failed >= kind->n_flows);
    while (model->n) {
        take_out(model, draw(&model->random, model->n), 1 + draw(&model->random, 3));
    }
    model_free(model);
    assert_int_equal(scarce.n_used, n_used);
}

/* --- Others ----------------------------------------------------------------------------------- */

static void
test_a_table_opens_whole_or_not_at_all(void **state)
{
    const size_t n_used = scarce.n_used;
    static struct epoch epoch;
    static struct table table;
    unsigned nth = 0;
    int error;

    (void) state;
    epoch_init(&epoch);
    do {
        scarce_from(++nth);
        error = table_open(&table, &epoch);
        if (scarce_end()) {
            assert_int_equal(error, ENOMEM);
            assert_int_equal(scarce.n_used, n_used);
        }
    } while (error);
    assert_true(nth > 1);
    table_close(&table, release_flow, NULL);
    epoch_close(&epoch);
    assert_int_equal(scarce.n_used, n_used);
}

static void
test_a_cache_opens_whole_or_not_at_all(void **state)
{
    const size_t n_used = scarce.n_used;
    static struct cache cache;
    unsigned nth = 0;
    int error;

    (void) state;
    do {
        scarce_from(++nth);
        error = cache_open(&cache);
        if (scarce_end()) {
            assert_int_equal(error, ENOMEM);
            assert_int_equal(scarce.n_used, n_used);
            cache_close(&cache);
        }
    } while (error);
    assert_true(nth > 1);
    cache_close(&cache);
    assert_int_equal(scarce.n_used, n_used);
}

int
main(void)
{
    enum { N_KINDS = sizeof kinds / sizeof kinds[0] };
    struct CMUnitTest tests[N_KINDS + 2] = {
        [N_KINDS] = cmocka_unit_test(test_a_table_opens_whole_or_not_at_all),
        [N_KINDS + 1] = cmocka_unit_test(test_a_cache_opens_whole_or_not_at_all),
    };

    for (unsigned i = 0; i < N_KINDS; i++) {
        tests[i] = (struct CMUnitTest) {
            kinds[i].name, test_a_table_without_memory_answers_as_before, NULL, NULL,
            (void *) &kinds[i],
        };
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
