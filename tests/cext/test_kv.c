/* Keys and values: bounded, forgetful, and right while others write (P5). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <pthread.h>

#include "kv.h"

enum { NOW = 1000, TTL = 800, ROOM = 2000 };

static int
open_kv(void **state, bool forgets)
{
    const struct kv_config config = {
        .key_words = 2, .value_words = 3, .forgets = forgets, .max_entries = ROOM, .ttl_ms = TTL,
    };
    struct kv *kv = malloc(sizeof *kv);

    *state = kv;
    return kv_open(kv, &config);
}

static int
set_up(void **state)
{
    return open_kv(state, false);
}

static int
set_up_forgetful(void **state)
{
    return open_kv(state, true);
}

static int
tear_down(void **state)
{
    kv_close(*state);
    free(*state);
    return 0;
}

static enum kv_result
put(struct kv *kv, uint64_t number, uint64_t value, uint64_t now)
{
    const uint64_t key[2] = { number, ~number }, values[3] = { value, value + 1, value + 2 };

    return kv_put(kv, key, values, now);
}

/* The value; 0 if there is none. */
static uint64_t
get(struct kv *kv, uint64_t number, uint64_t now)
{
    const uint64_t key[2] = { number, ~number };
    uint64_t values[3] = { 0 };

    if (!kv_get(kv, key, now, values)) {
        return 0;
    }
    assert_true(values[1] == values[0] + 1 && values[2] == values[0] + 2);
    return values[0];
}

static bool
count(const struct kv_entry *entry, void *n)
{
    (void)entry;
    ++*(size_t *)n;
    return true;
}

static bool
remove_even(const struct kv_entry *entry, void *unused)
{
    (void)unused;
    return entry->key[0] & 1;
}

static void
what_is_put_is_got_until_it_is_too_old(void **state)
{
    assert_int_equal(put(*state, 7, 70, NOW), KV_NEW);
    assert_int_equal(get(*state, 7, NOW + TTL - 1), 70);
    assert_int_equal(get(*state, 7, NOW + TTL), 0);
    assert_int_equal(get(*state, 8, NOW), 0);
}

static void
a_put_refreshes_and_changes(void **state)
{
    put(*state, 7, 70, NOW);
    assert_int_equal(put(*state, 7, 70, NOW + TTL / 2), KV_SAME);
    assert_int_equal(get(*state, 7, NOW + TTL), 70);
    assert_int_equal(put(*state, 7, 71, NOW + TTL), KV_CHANGED);
    assert_int_equal(get(*state, 7, NOW + TTL), 71);
}

static void
what_is_removed_is_gone(void **state)
{
    const uint64_t key[2] = { 7, ~UINT64_C(7) };

    assert_false(kv_remove(*state, key, NOW));
    put(*state, 7, 70, NOW);
    assert_true(kv_remove(*state, key, NOW));
    assert_int_equal(get(*state, 7, NOW), 0);
    assert_int_equal(put(*state, 7, 70, NOW), KV_NEW);
}

static void
it_holds_what_it_was_made_for_and_refuses_in_the_end(void **state)
{
    struct kv *kv = *state;
    size_t n = 0, kept = 0;

    for (uint64_t i = 1; i <= ROOM; i++) {
        assert_int_equal(put(kv, i, i, NOW), KV_NEW);
    }
    for (uint64_t i = 1; i <= ROOM; i++) {
        assert_true(get(kv, i, NOW) == i);
    }
    for (uint64_t i = ROOM + 1; i <= 20 * ROOM; i++) {
        kept += put(kv, i, i, NOW) == KV_NEW;
    }
    assert_true(kept < 19 * ROOM);
    assert_int_equal(kv_each(kv, NOW, count, &n), ROOM + kept);
    assert_int_equal(n, ROOM + kept);
    assert_int_equal(put(kv, 5, 6, NOW), KV_CHANGED);   /* What is there can change. */
    assert_int_equal(put(kv, ROOM * 30, 6, NOW + TTL), KV_NEW);
}

static void
a_forgetful_one_forgets_the_oldest(void **state)
{
    for (uint64_t i = 1; i <= 20 * ROOM; i++) {
        assert_int_equal(put(*state, i, i, NOW + i / ROOM), KV_NEW);
        assert_true(get(*state, i, NOW + 20) == i);
    }
}

static void
entries_are_visited_and_removed_on_the_way(void **state)
{
    size_t n = 0;

    for (uint64_t i = 1; i <= 100; i++) {
        put(*state, i, i, NOW);
    }
    assert_int_equal(kv_each(*state, NOW, remove_even, NULL), 100);
    assert_int_equal(kv_each(*state, NOW, count, &n), 50);
    assert_int_equal(kv_each(*state, NOW + TTL, count, &n), 0);
    assert_int_equal(get(*state, 3, NOW), 3);
    assert_int_equal(get(*state, 4, NOW), 0);
}

static void
what_does_not_fit_is_counted(void **state)
{
    struct kv *kv = *state;
    size_t refused = 0;

    for (uint64_t i = 1; i <= 4 * ROOM; i++) {
        refused += put(kv, i, i, NOW) == KV_FULL;
    }
    assert_true(refused > 2 * ROOM && refused <= 3 * ROOM);
    assert_int_equal(kv->n_refused, refused);
    assert_int_equal(kv_count(kv), 4 * ROOM - refused);
}

static void
an_entry_is_inserted_once(void **state)
{
    const uint64_t key[2] = { 7, ~UINT64_C(7) };
    uint64_t values[3] = { 1, 2, 3 }, others[3] = { 4, 5, 6 };

    assert_int_equal(kv_insert(*state, key, values, 0, NOW), KV_NEW);
    assert_int_equal(kv_insert(*state, key, others, 0, NOW), KV_SAME);
    assert_memory_equal(others, values, sizeof values);
    memcpy(others, (uint64_t[3]) { 4, 5, 6 }, sizeof others);
    assert_int_equal(kv_insert(*state, key, others, 0, NOW + TTL), KV_REVIVED);
    assert_memory_equal(others, values, sizeof values);
    assert_int_equal(get(*state, 7, NOW + TTL), 4);
}

static void
lifetimes_differ_and_a_fixed_one_is_not_prolonged(void **state)
{
    const uint64_t keys[3][2] = { { 1 }, { 2 }, { 3 } };
    uint64_t values[3][3] = { { 0 } };
    bool found[3];

    kv_set_ttl(*state, 1, TTL / 2, false);
    kv_set_ttl(*state, 2, TTL / 2, true);
    kv_set_ttl(*state, 3, 0, false);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(kv_insert(*state, keys[i], values[i], i + 1, NOW), KV_NEW);
    }
    kv_get_batch(*state, keys[0], 3, true, NOW + TTL / 2 - 1, values[0], found);
    assert_true(found[0] && found[1] && found[2]);
    kv_get_batch(*state, keys[0], 3, false, NOW + TTL / 2 + 1, values[0], found);
    assert_true(found[0] && !found[1] && found[2]);
    kv_get_batch(*state, keys[0], 3, false, NOW + 100 * TTL, values[0], found);
    assert_true(!found[0] && !found[1] && found[2]);
}

static void
a_value_is_swapped_if_it_is_the_old_one(void **state)
{
    const uint64_t key[2] = { 7, ~UINT64_C(7) };
    const uint64_t old[3] = { 70, 71, 72 }, new[3] = { 80, 81, 82 };

    kv_set_ttl(*state, 1, 3 * TTL, false);
    assert_false(kv_swap(*state, key, old, new, 1, NOW));
    put(*state, 7, 70, NOW);
    assert_true(kv_swap(*state, key, old, new, 1, NOW));
    assert_false(kv_swap(*state, key, old, new, 1, NOW));
    assert_int_equal(get(*state, 7, NOW + 2 * TTL), 80);        /* With its new lifetime. */
    assert_false(kv_remove_if(*state, key, old, NOW));
    assert_true(kv_remove_if(*state, key, new, NOW));
    assert_int_equal(get(*state, 7, NOW), 0);
}

/* --- Expiry ------------------------------------------------------------------------------------------- */

static void
note(const struct kv_entry *entry, void *seen)
{
    assert_int_equal(((uint8_t *)seen)[entry->key[0]]++, 0);
    assert_int_equal(entry->value[0], entry->key[0]);
}

/* Within a tick of their time, each once, and not those that were refreshed. */
static void
what_is_over_is_told_of_once(void **state)
{
    static uint8_t seen[ROOM + 1];
    const uint64_t end = NOW + TTL + KV_TICK_MS;

    memset(seen, 0, sizeof seen);
    for (uint64_t i = 1; i <= ROOM; i++) {
        put(*state, i, i, NOW);
    }
    assert_int_equal(kv_expire(*state, NOW + TTL - 1, SIZE_MAX, note, seen), 0);
    for (uint64_t i = 1; i <= ROOM; i += 2) {
        put(*state, i, i, NOW + TTL - 1);
    }
    assert_int_equal(kv_expire(*state, end, SIZE_MAX, note, seen), ROOM / 2);
    for (uint64_t i = 1; i <= ROOM; i++) {
        assert_int_equal(seen[i], i % 2 == 0);
        assert_int_equal(get(*state, i, end), i % 2 ? i : 0);
    }
    assert_int_equal(kv_expire(*state, end + TTL, SIZE_MAX, note, seen), ROOM / 2);
    assert_int_equal(kv_count(*state), 0);
}

/* However many entries are over at once, a call ends soon, and the next ones do the rest. */
static void
expiry_goes_on_where_it_was_left(void **state)
{
    size_t n = 0;

    for (uint64_t i = 1; i <= ROOM; i++) {
        put(*state, i, i, NOW);
    }
    for (unsigned i = 0; n < ROOM; i++) {
        size_t some = kv_expire(*state, NOW + 2 * TTL, 100, NULL, NULL);
        assert_true(some && some < 200);
        n += some;
    }
    assert_int_equal(n, ROOM);
}

/* Its owner has to hear of an entry that is over before its place is taken. */
static void
an_owned_table_is_full_until_it_has_told(void **unused)
{
    const struct kv_config config = {
        .key_words = 1, .value_words = 1, .owned = true, .max_entries = 10, .ttl_ms = TTL,
    };
    struct kv kv;
    uint64_t key = 0, n = 0;

    (void)unused;
    assert_int_equal(kv_open(&kv, &config), 0);
    for (; kv_put(&kv, &key, &key, NOW) == KV_NEW; key++) {
        n++;
    }
    assert_true(n >= 10);
    assert_int_equal(kv_put(&kv, &key, &key, NOW + 10 * TTL), KV_FULL);
    assert_int_equal(kv_expire(&kv, NOW + 10 * TTL, SIZE_MAX, NULL, NULL), n);
    assert_int_equal(kv_put(&kv, &key, &key, NOW + 10 * TTL), KV_NEW);
    kv_close(&kv);
}

/* --- Against a plain array ------------------------------------------------------------------------------- */

enum { MODEL_KEYS = 3000, MODEL_STEPS = 300000 };

struct model {
    struct { uint64_t value, end, life; } entry[MODEL_KEYS];     /* End 0: there is none. */
};

static uint32_t
draw(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static void
forget(const struct kv_entry *entry, void *model_)
{
    struct model *model = model_;

    assert_true(model->entry[entry->key[0]].end);
    assert_int_equal(model->entry[entry->key[0]].value, entry->value[0]);
    model->entry[entry->key[0]].end = 0;
}

static void
random_steps_do_what_a_plain_array_does(void **unused)
{
    const struct kv_config config = {
        .key_words = 2, .value_words = 1, .owned = true, .max_entries = MODEL_KEYS, .ttl_ms = 900,
    };
    static const uint64_t ttl[] = { 900, 70000, 5000 };
    struct model *model = calloc(1, sizeof *model);
    struct kv kv;
    uint64_t now = NOW;
    uint32_t state = 1;

    (void)unused;
    assert_int_equal(kv_open(&kv, &config), 0);
    kv_set_ttl(&kv, 1, ttl[1], true);
    kv_set_ttl(&kv, 2, ttl[2], true);
    for (unsigned step = 0; step < MODEL_STEPS; step++) {
        uint32_t i = draw(&state) % MODEL_KEYS, life = draw(&state) % 3, what = draw(&state) % 16;
        uint64_t key[2] = { i, i % 7 }, new = draw(&state), value = new, old = 0;
        bool there;

        now += draw(&state) % 4 == 0;
        there = model->entry[i].end > now;
        if (what < 8) {
            enum kv_result wanted = there ? KV_SAME : model->entry[i].end ? KV_REVIVED : KV_NEW;
            assert_int_equal(kv_insert(&kv, key, &value, life, now), wanted);
            if (wanted != KV_NEW) {
                assert_int_equal(value, model->entry[i].value);
                value = new;
            }
            if (there) {
                continue;
            }
        } else if (what < 10) {
            old = model->entry[i].value ^ (what & 1);
            bool good = there && what == 8;
            assert_int_equal(kv_swap(&kv, key, &old, &value, life, now), good);
            if (!good) {
                continue;
            }
        } else if (what < 12) {
            assert_int_equal(kv_remove(&kv, key, now), there);
            model->entry[i].end = there ? 0 : model->entry[i].end;
            continue;
        } else if (what == 12 && step % 64 == 0) {
            kv_expire(&kv, now, draw(&state) % 50, forget, model);
            continue;
        } else {
            assert_int_equal(kv_get(&kv, key, now, &value), there);
            assert_true(!there || value == model->entry[i].value);
            continue;
        }
        model->entry[i].value = value;
        model->entry[i].end = now + ttl[life];
    }
    now += 200000;
    kv_expire(&kv, now, SIZE_MAX, forget, model);
    for (unsigned i = 0; i < MODEL_KEYS; i++) {
        assert_int_equal(model->entry[i].end, 0);
    }
    kv_close(&kv);
    free(model);
}

static void
a_batch_finds_what_single_lookups_find(void **state)
{
    enum { N = 200 };
    uint64_t keys[N][2], values[N][3];
    bool found[N];

    for (uint64_t i = 0; i < N; i++) {
        keys[i][0] = i;
        keys[i][1] = ~i;
        if (i % 3) {
            put(*state, i, i * 10 + 1, NOW);
        }
    }
    kv_get_batch(*state, keys[0], N, false, NOW, values[0], found);
    for (uint64_t i = 0; i < N; i++) {
        assert_int_equal(found[i], i % 3 != 0);
        assert_true(!found[i] || (values[i][0] == i * 10 + 1 && values[i][2] == i * 10 + 3));
    }
}

static void *
write_for_a_while(void *kv)
{
    for (uint64_t i = 0; i < 200000; i++) {
        put(kv, i % 64 + 1, i % 7 + 1, NOW);
    }
    return NULL;
}

static void
readers_see_whole_values_while_others_write(void **state)
{
    pthread_t writers[2];

    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&writers[i], NULL, write_for_a_while, *state), 0);
    }
    for (uint64_t i = 0; i < 200000; i++) {
        assert_true(get(*state, i % 64 + 1, NOW) < 8);
    }
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(writers[i], NULL);
    }
    size_t n = 0;
    assert_int_equal(kv_each(*state, NOW, count, &n), 64);      /* Nothing is there twice. */
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_put_is_got_until_it_is_too_old),
        TEST(a_put_refreshes_and_changes),
        TEST(what_is_removed_is_gone),
        TEST(it_holds_what_it_was_made_for_and_refuses_in_the_end),
        cmocka_unit_test_setup_teardown(a_forgetful_one_forgets_the_oldest, set_up_forgetful,
                                        tear_down),
        TEST(entries_are_visited_and_removed_on_the_way),
        TEST(what_does_not_fit_is_counted),
        TEST(an_entry_is_inserted_once),
        TEST(lifetimes_differ_and_a_fixed_one_is_not_prolonged),
        TEST(a_value_is_swapped_if_it_is_the_old_one),
        TEST(what_is_over_is_told_of_once),
        TEST(expiry_goes_on_where_it_was_left),
        cmocka_unit_test(an_owned_table_is_full_until_it_has_told),
        cmocka_unit_test(random_steps_do_what_a_plain_array_does),
        TEST(a_batch_finds_what_single_lookups_find),
        TEST(readers_see_whole_values_while_others_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
