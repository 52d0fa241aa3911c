/* epoch.c: nothing is freed while a reader may see it, and everything is afterwards. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "epoch.h"

struct trace {
    struct epoch epoch;
    unsigned n;                 /* Released so far. */
    intptr_t order[64];
};

static void
release(void *pointer, void *trace_)
{
    struct trace *trace = trace_;

    trace->order[trace->n++] = (intptr_t)pointer;
}

static int
set_up(void **state)
{
    struct trace *trace = aligned_alloc(64, (sizeof *trace + 63) & ~(size_t)63);

    memset(trace, 0, sizeof *trace);
    epoch_init(&trace->epoch);
    *state = trace;
    return 0;
}

static int
tear_down(void **state)
{
    struct trace *trace = *state;

    epoch_close(&trace->epoch);
    free(trace);
    return 0;
}

static void
retire(struct trace *trace, intptr_t number)
{
    epoch_retire(&trace->epoch, (void *)number, release, trace);
}

static void
test_without_readers_all_is_freed_at_once(void **state)
{
    struct trace *trace = *state;

    retire(trace, 1);
    assert_int_equal(trace->n, 0);
    assert_int_equal(epoch_reclaim(&trace->epoch), 0);
    assert_int_equal(trace->n, 1);
}

static void
test_a_reader_that_has_not_moved_on_keeps_it(void **state)
{
    struct trace *trace = *state;

    epoch_quiesce(&trace->epoch, 3);
    retire(trace, 1);
    assert_int_equal(epoch_reclaim(&trace->epoch), 1);
    epoch_quiesce(&trace->epoch, 3);
    assert_int_equal(epoch_reclaim(&trace->epoch), 0);
    assert_int_equal(trace->n, 1);
}

static void
test_the_slowest_reader_decides(void **state)
{
    struct trace *trace = *state;

    epoch_quiesce(&trace->epoch, 0);
    epoch_quiesce(&trace->epoch, EPOCH_READERS - 1);
    retire(trace, 1);
    epoch_quiesce(&trace->epoch, 0);
    assert_int_equal(epoch_reclaim(&trace->epoch), 1);
    epoch_quiesce(&trace->epoch, EPOCH_READERS - 1);
    assert_int_equal(epoch_reclaim(&trace->epoch), 0);
}

static void
test_a_reader_that_sleeps_keeps_nothing(void **state)
{
    struct trace *trace = *state;

    epoch_quiesce(&trace->epoch, 5);
    retire(trace, 1);
    epoch_offline(&trace->epoch, 5);
    assert_int_equal(epoch_reclaim(&trace->epoch), 0);
}

static void
test_a_reader_that_wakes_up_later_keeps_only_what_is_retired_later(void **state)
{
    struct trace *trace = *state;

    epoch_quiesce(&trace->epoch, 1);
    retire(trace, 1);
    epoch_quiesce(&trace->epoch, 0);
    retire(trace, 2);
    epoch_offline(&trace->epoch, 1);
    assert_int_equal(epoch_reclaim(&trace->epoch), 1);
    assert_int_equal(trace->order[0], 1);
}

static void
test_things_are_freed_in_the_order_in_which_they_were_retired(void **state)
{
    struct trace *trace = *state;

    for (intptr_t i = 0; i < 10; i++) {
        retire(trace, i);
    }
    epoch_reclaim(&trace->epoch);
    for (intptr_t i = 0; i < 10; i++) {
        assert_int_equal(trace->order[i], i);
    }
}

static void
test_passed_is_about_the_number_that_advance_returned(void **state)
{
    struct trace *trace = *state;

    epoch_quiesce(&trace->epoch, 0);
    uint64_t number = epoch_advance(&trace->epoch);
    assert_false(epoch_passed(&trace->epoch, number));
    assert_true(epoch_passed(&trace->epoch, number - 1));
    epoch_quiesce(&trace->epoch, 0);
    assert_true(epoch_passed(&trace->epoch, number));
}

static void
test_closing_frees_what_is_left(void **state)
{
    struct trace *trace = *state;

    epoch_quiesce(&trace->epoch, 0);
    retire(trace, 1);
    epoch_free(&trace->epoch, malloc(100));     /* ASan sees whether it is freed. */
    epoch_free(&trace->epoch, NULL);
    epoch_close(&trace->epoch);
    assert_int_equal(trace->n, 1);
    assert_int_equal(trace->epoch.n_retired, 0);
}

int
main(void)
{
#define T(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_without_readers_all_is_freed_at_once),
        T(test_a_reader_that_has_not_moved_on_keeps_it),
        T(test_the_slowest_reader_decides),
        T(test_a_reader_that_sleeps_keeps_nothing),
        T(test_a_reader_that_wakes_up_later_keeps_only_what_is_retired_later),
        T(test_things_are_freed_in_the_order_in_which_they_were_retired),
        T(test_passed_is_about_the_number_that_advance_returned),
        T(test_closing_frees_what_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
