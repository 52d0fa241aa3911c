/* table.c, match_*.c: the table against a list in which every entry is compared. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "flows.h"
#include "tuple.h"

enum { MAX_FLOWS = 400, MAX_MASKS = 120 };

/* What the list knows of a flow. */
struct entry {
    struct flow_key key, mask;
    uint16_t priority;
    struct flow *flow;
};

struct model {
    struct epoch epoch;
    struct table table;
    struct random random;
    unsigned n_masks, n_values, n_priorities;   /* What to draw from. */
    struct flow_key masks[MAX_MASKS];
    unsigned n;
    struct entry entries[MAX_FLOWS];
};

/* One of the ways to look up that run here. */
static finder_lookup *
any_way(unsigned number)
{
    const struct tuple_way *way = &tuple_ways[number % TUPLE_WAYS];

    return way->runs() ? way->lookup[false] : tuple_ways[0].lookup[false];
}

static struct model *
model_new(uint64_t seed)
{
    struct model *model = aligned_alloc(64, (sizeof *model + 63) & ~(size_t)63);

    memset(model, 0, sizeof *model);
    epoch_init(&model->epoch);
    assert_int_equal(table_open(&model->table, &model->epoch), 0);
    model->table.record->finder.lookup = any_way((unsigned)seed);
    model->random.state = seed * 77 + 1;
    model->n_masks = 1 + draw(&model->random, draw(&model->random, 4) ? 12 : MAX_MASKS);
    model->n_values = 1 + draw(&model->random, 6);
    model->n_priorities = 1 + draw(&model->random, draw(&model->random, 2) ? 4 : 60000);
    for (unsigned i = 0; i < model->n_masks; i++) {
        draw_mask(&model->random, &model->masks[i]);
    }
    return model;
}

static void
model_free(struct model *model)
{
    table_close(&model->table, release_flow, NULL);
    epoch_close(&model->epoch);
    free(model);
}

static struct entry *
model_find(struct model *model, const struct entry *like)
{
    for (unsigned i = 0; i < model->n; i++) {
        struct entry *entry = &model->entries[i];
        if (entry->priority == like->priority
            && !memcmp(&entry->mask, &like->mask, sizeof like->mask)
            && key_matches(&entry->key, &entry->mask, &like->key)) {
            return entry;
        }
    }
    return NULL;
}

static void
model_insert(struct model *model)
{
    struct entry new = { .mask = model->masks[draw(&model->random, model->n_masks)] };
    struct flow *old = (struct flow *)1;

    draw_key(&model->random, &new.key, model->n_values);
    new.priority = (uint16_t)draw(&model->random, model->n_priorities);
    struct entry *same = model_find(model, &new);
    if (!same && model->n == MAX_FLOWS) {
        return;
    }
    assert_ptr_equal(table_find(&model->table, &new.key, &new.mask, new.priority),
                     same ? same->flow : NULL);
    new.flow = flow_for(&model->table, &new.key, &new.mask, new.priority);
    assert_int_equal(table_insert(&model->table, new.flow, &old), 0);
    assert_ptr_equal(old, same ? same->flow : NULL);
    retire_flow(&model->epoch, old);
    if (same) {
        *same = new;
    } else {
        model->entries[model->n++] = new;
    }
}

static void
model_remove(struct model *model)
{
    if (model->n) {
        struct entry *entry = &model->entries[draw(&model->random, model->n)];
        table_remove(&model->table, entry->flow);
        retire_flow(&model->epoch, entry->flow);
        *entry = model->entries[--model->n];
    }
}

/* Any of the flows with the highest priority that match will do. */
static void
check_found(const struct model *model, const struct flow_key *packet, const struct flow *found)
{
    const struct entry *best = NULL;
    bool seen = false;

    for (unsigned i = 0; i < model->n; i++) {
        const struct entry *entry = &model->entries[i];
        if ((!best || entry->priority >= best->priority)
            && key_matches(&entry->key, &entry->mask, packet)) {
            seen = (seen && entry->priority == best->priority) || entry->flow == found;
            best = entry;
        }
    }
    assert_true(best ? seen : !found);
}

static unsigned
model_lookup(struct model *model)
{
    struct flow_key packets[PACKET_VECTOR];
    const struct flow_key *keys[PACKET_VECTOR];
    const struct flow *found[PACKET_VECTOR];
    unsigned n = 1 + draw(&model->random, PACKET_VECTOR);

    for (unsigned i = 0; i < n; i++) {
        draw_key(&model->random, &packets[i], model->n_values);
        keys[i] = &packets[i];
    }
    table_lookup(&model->table, keys, n, found);
    for (unsigned i = 0; i < n; i++) {
        check_found(model, keys[i], found[i]);
    }
    return n;
}

struct visiting {
    struct model *model;
    unsigned n;
    bool removing;              /* Takes out every other one. */
};

static bool
visit(struct flow *flow, void *visiting_)
{
    struct visiting *visiting = visiting_;
    struct model *model = visiting->model;
    unsigned i = 0;

    while (i < model->n && model->entries[i].flow != flow) {
        i++;
    }
    assert_true(i < model->n);
    if (visiting->n++ % 2 && visiting->removing) {
        table_remove(&model->table, flow);
        retire_flow(&model->epoch, flow);
        model->entries[i] = model->entries[--model->n];
    }
    return true;
}

static void
model_visit(struct model *model, bool removing)
{
    struct visiting visiting = { model, 0, removing };
    unsigned before = model->n;
    struct table_stats stats;

    table_each(&model->table, visit, &visiting);
    assert_int_equal(visiting.n, before);
    table_stats(&model->table, &stats);
    assert_int_equal(stats.n_flows, model->n);
    assert_int_equal(model->table.n_flows, model->n);
    assert_true(stats.n_masks <= model->n_masks);
}

static void
grow_and_shrink(struct model *model, unsigned steps)
{
    for (unsigned i = 0; i < steps; i++) {
        if (draw(&model->random, 3)) {
            model_insert(model);
        } else {
            model_remove(model);
        }
    }
}

static void
test_random_tables_agree_with_the_list(void **state)
{
    unsigned n = 0;

    (void)state;
    for (uint64_t seed = 1; n < 1200000; seed++) {
        struct model *model = model_new(seed);
        for (unsigned round = 0; round < 8; round++) {
            grow_and_shrink(model, draw(&model->random, seed % 8 ? 60 : 400));
            n += model_lookup(model);
            model_visit(model, round == 5);
            epoch_reclaim(&model->epoch);
        }
        while (model->n) {
            model_remove(model);
        }
        n += model_lookup(model);
        model_free(model);
    }
}

/* --- By hand ------------------------------------------------------------------------------------ */

struct fixture {
    struct epoch epoch;
    struct table table;
};

static int
set_up(void **state)
{
    struct fixture *f = aligned_alloc(64, (sizeof *f + 63) & ~(size_t)63);

    memset(f, 0, sizeof *f);
    epoch_init(&f->epoch);
    *state = f;
    return table_open(&f->table, &f->epoch);
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    table_close(&f->table, release_flow, NULL);
    epoch_close(&f->epoch);
    free(f);
    return 0;
}

/* Puts in a flow for a value of W_ETH_DST under a mask. */
static struct flow *
add(struct fixture *f, uint64_t value, uint64_t bits, uint16_t priority)
{
    const struct flow_key key = { .word[W_ETH_DST] = value }, mask = { .word[W_ETH_DST] = bits };
    struct flow *flow = flow_for(&f->table, &key, &mask, priority), *old;

    assert_int_equal(table_insert(&f->table, flow, &old), 0);
    retire_flow(&f->epoch, old);
    return flow;
}

static void
drop(struct fixture *f, struct flow *flow)
{
    table_remove(&f->table, flow);
    retire_flow(&f->epoch, flow);
}

static const struct flow *
lookup(struct fixture *f, uint64_t value)
{
    const struct flow_key key = { .word[W_ETH_DST] = value };
    const struct flow_key *keys[] = { &key };
    const struct flow *found[1];

    table_lookup(&f->table, keys, 1, found);
    return found[0];
}

static void
test_a_table_without_flows_matches_nothing(void **state)
{
    assert_null(lookup(*state, 1));
}

static void
test_of_one_key_the_highest_priority_shows_and_then_the_next(void **state)
{
    static const uint16_t priorities[] = { 5, 9, 1, 7, 3 };
    struct flow *flows[5];

    for (unsigned i = 0; i < 5; i++) {
        flows[i] = add(*state, 1, UINT64_MAX, priorities[i]);
    }
    assert_ptr_equal(lookup(*state, 1), flows[1]);
    drop(*state, flows[3]);                     /* From the middle, */
    assert_ptr_equal(lookup(*state, 1), flows[1]);
    drop(*state, flows[1]);                     /* the front, */
    assert_ptr_equal(lookup(*state, 1), flows[0]);
    drop(*state, flows[2]);                     /* the end. */
    drop(*state, flows[0]);
    assert_ptr_equal(lookup(*state, 1), flows[4]);
    drop(*state, flows[4]);
    assert_null(lookup(*state, 1));
}

static void
test_a_flow_in_the_middle_of_its_key_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct flow *high = add(f, 1, UINT64_MAX, 9), *low;

    add(f, 1, UINT64_MAX, 5);
    low = add(f, 1, UINT64_MAX, 1);
    struct flow *new = add(f, 1, UINT64_MAX, 5);
    assert_int_equal(f->table.n_flows, 3);
    drop(f, high);
    assert_ptr_equal(lookup(f, 1), new);
    drop(f, new);
    assert_ptr_equal(lookup(f, 1), low);
}

static void
test_a_wide_mask_of_higher_priority_wins_over_an_exact_one(void **state)
{
    struct flow *exact = add(*state, 1, UINT64_MAX, 10);
    struct flow *wide = add(*state, 0, 0, 20);

    assert_ptr_equal(lookup(*state, 1), wide);
    drop(*state, wide);
    assert_ptr_equal(lookup(*state, 1), exact);
    assert_null(lookup(*state, 2));
}

static void
test_the_miss_entry_is_found_when_nothing_else_is(void **state)
{
    struct flow *miss = add(*state, 0, 0, 0);

    add(*state, 1, UINT64_MAX, 1);
    assert_true(flow_is_miss(miss));
    assert_ptr_equal(lookup(*state, 2), miss);
}

static void
test_a_mask_that_nothing_uses_any_more_goes(void **state)
{
    struct fixture *f = *state;
    struct table_stats stats;

    for (unsigned i = 0; i < 100; i++) {
        drop(f, add(f, 1, UINT64_MAX << i % 64, 1));
    }
    table_stats(&f->table, &stats);
    assert_int_equal(stats.n_masks, 0);
    assert_int_equal(stats.n_flows, 0);
}

static const char *
implementation(struct fixture *f)
{
    static struct table_stats stats;

    table_stats(&f->table, &stats);
    return stats.implementation;
}

/* Up to 'most' flows are a few; the mask of each is that of the one before, shorter by 'shift' bits. */
static void
check_few(struct fixture *f, unsigned most, unsigned shift)
{
    struct flow *flows[9];

    for (unsigned i = 0; i <= most; i++) {
        flows[i] = add(f, (uint64_t)i << 32, UINT64_MAX << i * shift, 1);
        assert_string_equal(implementation(f), i < most ? "few" : "tuple");
        assert_ptr_equal(lookup(f, (uint64_t)i << 32), flows[i]);
    }
    drop(f, flows[0]);
    assert_string_equal(implementation(f), "few");
    for (unsigned i = 0; i <= most; i++) {
        assert_ptr_equal(lookup(f, (uint64_t)i << 32), i ? flows[i] : NULL);
    }
    for (unsigned i = 1; i <= most; i++) {
        drop(f, flows[i]);
    }
}

static void
test_a_few_flows_have_an_implementation_of_their_own(void **state)
{
    check_few(*state, 3, 0);
    check_few(*state, 8, 1);
}

static void
test_a_flow_gives_back_its_match_and_arguments(void **state)
{
    struct fixture *f = *state;
    const struct flow_key key = { .word[W_L4] = 0x1234, .word[W_CT] = 7 };
    const struct flow_key mask = { .word[W_L4] = 0xff00, .word[W_CT] = UINT64_MAX };
    struct flow_key got_key, got_mask;
    struct flow *flow = flow_new(table_mask(&f->table, &mask), &key, "0123456789", 10), *old;

    assert_int_equal(table_insert(&f->table, flow, &old), 0);
    flow_match(flow, &got_key, &got_mask);
    assert_memory_equal(&got_mask, &mask, sizeof mask);
    assert_int_equal(got_key.word[W_L4], 0x1200);
    assert_int_equal(got_key.word[W_CT], 7);
    assert_memory_equal(flow_args(flow), "0123456789", 10);
}

/* --- Equal hashes (M10) ------------------------------------------------------------------------- */

enum { N_BIRTHDAY = 1 << 19 };

struct hashed {
    uint32_t hash;              /* Its last bits: bucket and tag. */
    uint64_t value;
};

static int
by_hash(const void *a_, const void *b_)
{
    const struct hashed *a = a_, *b = b_;

    return a->hash < b->hash ? -1 : a->hash > b->hash;
}

/* Values of W_ETH_DST by the hash that they have under an exact mask. */
static struct hashed *
hash_values(struct fixture *f, unsigned n)
{
    const struct flow_key bits = { .word[W_ETH_DST] = UINT64_MAX };
    struct hashed *values = calloc(n, sizeof *values);
    const struct flow_mask *mask = table_mask(&f->table, &bits);

    for (unsigned i = 0; i < n; i++) {
        const struct flow_key key = { .word[W_ETH_DST] = i * UINT64_C(0x10001) };
        values[i] = (struct hashed) { (uint32_t)flow_mask_hash(mask, &key), key.word[W_ETH_DST] };
    }
    return values;
}

static void
test_two_keys_with_the_same_tag_in_one_bucket_are_told_apart(void **state)
{
    struct hashed *values = hash_values(*state, N_BIRTHDAY);
    unsigned n_pairs = 0;

    qsort(values, N_BIRTHDAY, sizeof *values, by_hash);
    for (unsigned i = 1; i < N_BIRTHDAY; i++) {
        if (values[i].hash != values[i - 1].hash) {
            continue;
        }
        struct flow *one = add(*state, values[i - 1].value, UINT64_MAX, 1);
        assert_null(lookup(*state, values[i].value));
        struct flow *other = add(*state, values[i].value, UINT64_MAX, 1);
        assert_ptr_equal(lookup(*state, values[i - 1].value), one);
        assert_ptr_equal(lookup(*state, values[i].value), other);
        drop(*state, one);
        assert_null(lookup(*state, values[i - 1].value));
        assert_ptr_equal(lookup(*state, values[i].value), other);
        n_pairs++;
    }
    assert_true(n_pairs > 10);
    free(values);
}

static void
test_many_keys_in_one_slot_are_all_found(void **state)
{
    enum { N_VALUES = 1 << 18, SLOTS = 1 << 12 };
    struct hashed *values = hash_values(*state, N_VALUES);
    struct flow *flows[N_VALUES / SLOTS * 4];
    uint64_t keys[N_VALUES / SLOTS * 4];
    unsigned n = 0;

    for (unsigned i = 0; i < N_VALUES && n < sizeof flows / sizeof flows[0]; i++) {
        if (values[i].hash % SLOTS == 5) {
            keys[n] = values[i].value;
            flows[n++] = add(*state, values[i].value, UINT64_MAX, 1);
        }
    }
    assert_true(n > 20);
    for (unsigned gone = 0; gone < n; gone++) {
        for (unsigned i = 0; i < n; i++) {
            assert_ptr_equal(lookup(*state, keys[i]), i < gone ? NULL : flows[i]);
        }
        drop(*state, flows[gone]);
    }
    free(values);
}

/* A key whose hash, all of it, is the same for every 'i': the second word makes up for the first. */
static struct flow_key
crafted_key(struct fixture *f, unsigned i)
{
    struct flow_key key = { .word[W_ETH_DST] = i };

    key.word[W_L4] = hash_word(f->table.record->seed, i) ^ 4711;
    return key;
}

static struct flow *
add_key(struct fixture *f, const struct flow_key *key, const struct flow_key *mask,
        uint16_t priority)
{
    struct flow *flow = flow_for(&f->table, key, mask, priority), *old;

    assert_int_equal(table_insert(&f->table, flow, &old), 0);
    assert_null(old);
    return flow;
}

static const struct flow *
lookup_key(struct fixture *f, const struct flow_key *key)
{
    const struct flow *found[1];

    table_lookup(&f->table, &key, 1, found);
    return found[0];
}

static void
test_keys_whose_hashes_no_split_separates_are_found_and_take_no_more_memory(void **state)
{
    enum { N = 2000 };
    const struct flow_key mask = { .word[W_ETH_DST] = UINT64_MAX, .word[W_L4] = UINT64_MAX };
    struct fixture *f = *state;
    struct flow *flows[N];
    struct table_stats stats;

    for (unsigned i = 0; i < N; i++) {
        const struct flow_key key = crafted_key(f, i);
        flows[i] = add_key(f, &key, &mask, 1);
        assert_true(flow_hash(flows[i], flows[i]->mask) == flow_hash(flows[0], flows[0]->mask));
    }
    table_stats(&f->table, &stats);
    assert_true(stats.memory < N * 40);
    for (unsigned i = 0; i < N; i++) {
        const struct flow_key key = crafted_key(f, i), other = crafted_key(f, i + N);
        assert_ptr_equal(lookup_key(f, &key), flows[i]);
        assert_null(lookup_key(f, &other));
        drop(f, flows[i]);
        assert_null(lookup_key(f, &key));
    }
}

/* --- Growing and shrinking ---------------------------------------------------------------------- */

enum { N_MANY = 100000 };

static size_t
memory_of(struct fixture *f)
{
    struct table_stats stats;

    table_stats(&f->table, &stats);
    return stats.memory;
}

static bool
remove_odd(struct flow *flow, void *f_)
{
    struct fixture *f = f_;

    if (flow->words[0] % 1000) {
        drop(f, flow);
    }
    return true;
}

static void
check_many(struct fixture *f, struct flow *const flows[])
{
    for (unsigned i = 0; i < N_MANY; i++) {
        assert_ptr_equal(lookup(f, i), flows[i]);
        assert_null(lookup(f, N_MANY + i));
    }
}

static void
test_a_table_grows_and_shrinks_and_loses_nothing(void **state)
{
    struct fixture *f = *state;
    struct flow **flows = calloc(N_MANY, sizeof *flows);
    size_t empty = memory_of(f);

    for (unsigned i = 0; i < N_MANY; i++) {
        flows[i] = add(f, i, UINT64_MAX, 1);
    }
    check_many(f, flows);
    size_t full = memory_of(f);
    assert_true(full < N_MANY * 20);
    for (unsigned i = 0; i < N_MANY; i++) {
        if (i % 1000) {
            drop(f, flows[i]);
            flows[i] = NULL;
        }
    }
    check_many(f, flows);
    assert_true(memory_of(f) < empty + full / 50);
    for (unsigned i = 0; i < N_MANY; i++) {
        flows[i] = flows[i] ? flows[i] : add(f, i, UINT64_MAX, 1);
    }
    table_each(&f->table, remove_odd, f);
    for (unsigned i = 0; i < N_MANY; i++) {
        flows[i] = i % 1000 ? NULL : flows[i];
    }
    check_many(f, flows);
    assert_true(memory_of(f) < empty + full / 50);
    free(flows);
}

static void
test_coming_and_going_does_not_fill_a_table_with_what_is_gone(void **state)
{
    struct fixture *f = *state;
    struct table_stats before, stats;

    add(f, UINT64_MAX, UINT64_MAX, 1);
    table_stats(&f->table, &before);
    for (uint64_t i = 0; i < 100000; i++) {
        drop(f, add(f, i, UINT64_MAX, 1));
        epoch_reclaim(&f->epoch);
    }
    table_stats(&f->table, &stats);
    assert_true(stats.memory < before.memory + 4096);
    assert_null(lookup(f, 5));
}

int
main(void)
{
#define T(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_tables_agree_with_the_list),
        T(test_a_table_without_flows_matches_nothing),
        T(test_of_one_key_the_highest_priority_shows_and_then_the_next),
        T(test_a_flow_in_the_middle_of_its_key_is_replaced),
        T(test_a_wide_mask_of_higher_priority_wins_over_an_exact_one),
        T(test_the_miss_entry_is_found_when_nothing_else_is),
        T(test_a_mask_that_nothing_uses_any_more_goes),
        T(test_a_few_flows_have_an_implementation_of_their_own),
        T(test_a_flow_gives_back_its_match_and_arguments),
        T(test_two_keys_with_the_same_tag_in_one_bucket_are_told_apart),
        T(test_many_keys_in_one_slot_are_all_found),
        T(test_keys_whose_hashes_no_split_separates_are_found_and_take_no_more_memory),
        T(test_a_table_grows_and_shrinks_and_loses_nothing),
        T(test_coming_and_going_does_not_fill_a_table_with_what_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
