/* Keys and values: bounded, forgetful, and right while others write. */

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
        TEST(readers_see_whole_values_while_others_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
