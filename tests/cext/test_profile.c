/* profile.c: which rounds are measured, and what becomes of the cycles. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "profile.h"

/* A round of 'n' packets; returns whether it was measured. */
static bool
go_round(struct profile *profile, unsigned n)
{
    profile_begin(profile);
    bool measured = profile->measuring;
    profile_enter(profile, STAGE_receive);
    profile_enter(profile, STAGE_lookup);
    profile_enter(profile, STAGE_actions);
    profile_end(profile, n);
    return measured;
}

static uint64_t
all_cycles(const struct profile *profile)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < N_STAGES; i++) {
        sum += atomic_load(&profile->cycles[i]);
    }
    return sum;
}

static void
test_one_round_of_eight_is_measured(void **state)
{
    struct profile profile = { 0 };
    unsigned n_measured = 0;

    (void) state;
    for (unsigned i = 0; i < 10 * PROFILE_EVERY; i++) {
        n_measured += go_round(&profile, 3);
    }
    assert_int_equal(n_measured, 10);
    assert_int_equal(atomic_load(&profile.packets), 30);
    assert_int_equal(atomic_load(&profile.rounds), 10 * PROFILE_EVERY);
}

static void
test_rounds_without_packets_are_not_in_it(void **state)
{
    struct profile profile = { 0 };

    (void) state;
    for (unsigned i = 0; i < 100; i++) {
        go_round(&profile, 0);
    }
    assert_int_equal(all_cycles(&profile), 0);
    assert_int_equal(atomic_load(&profile.packets), 0);
    assert_int_equal(atomic_load(&profile.idle_rounds), 100);
    assert_true(go_round(&profile, 1));                 /* The first that has one. */
}

static void
test_the_stages_share_the_whole_round(void **state)
{
    struct profile profile = { 0 };
    uint64_t begin = cycles_now();

    (void) state;
    go_round(&profile, 1);
    uint64_t end = cycles_now();
    assert_true(all_cycles(&profile) <= end - begin);
    assert_int_equal(atomic_load(&profile.cycles[STAGE_transmit]), 0);
    assert_int_equal(atomic_load(&profile.cycles[STAGE_parse]), 0);
}

static void
test_who_is_told_not_to_measures_nothing(void **state)
{
    struct profile profile = { .off = true };

    (void) state;
    for (unsigned i = 0; i < 2 * PROFILE_EVERY; i++) {
        assert_false(go_round(&profile, 1));
    }
    assert_int_equal(all_cycles(&profile), 0);
}

static void
test_batches_are_counted_by_size(void **state)
{
    static const unsigned sizes[] = { 1, 2, 3, 4, 7, 8, 255, 256 };
    static const unsigned expected[PROFILE_SIZES] = { 1, 2, 2, 1, 0, 0, 0, 1, 1 };
    struct profile profile = { 0 };

    (void) state;
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        profile_batch(&profile, sizes[i]);
    }
    for (unsigned i = 0; i < PROFILE_SIZES; i++) {
        assert_int_equal(atomic_load(&profile.batches[i]), expected[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_round_of_eight_is_measured),
        cmocka_unit_test(test_rounds_without_packets_are_not_in_it),
        cmocka_unit_test(test_the_stages_share_the_whole_round),
        cmocka_unit_test(test_who_is_told_not_to_measures_nothing),
        cmocka_unit_test(test_batches_are_counted_by_size),
    };

    return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
