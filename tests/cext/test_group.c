/* group.h: groups by number against an array; stats.c: counters by id. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "group.h"
#include "stats.h"

enum { N_IDS = 400 };

struct fixture {
    struct epoch epoch;
    struct group_table table;
    struct group groups[N_IDS];
    bool in[N_IDS];
    unsigned n_visited;
};

/* Numbers that are near each other, far from each other, and equal in their low bits. */
static uint32_t
id_of(unsigned i)
{
    return i < 100 ? i : i < 200 ? i << 20 : i * 2654435761u % GROUP_MAX;
}

static int
set_up(void **state)
{
    struct fixture *f = aligned_alloc(64, (sizeof *f + 63) & ~(size_t)63);

    memset(f, 0, sizeof *f);
    epoch_init(&f->epoch);
    for (unsigned i = 0; i < N_IDS; i++) {
        f->groups[i].id = id_of(i);
    }
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    idmap_close(&f->table.map);
    epoch_close(&f->epoch);
    free(f);
    return 0;
}

static void
toggle(struct fixture *f, unsigned i)
{
    if (f->in[i]) {
        group_remove(&f->table, &f->groups[i]);
    } else {
        assert_int_equal(group_insert(&f->table, &f->epoch, &f->groups[i]), 0);
    }
    f->in[i] = !f->in[i];
}

static void
count(void *group_, void *f_)
{
    const struct group *group = group_;
    struct fixture *f = f_;

    assert_true(f->in[group - f->groups]);
    f->n_visited++;
}

static void
check_all(struct fixture *f)
{
    unsigned n = 0;

    for (unsigned i = 0; i < N_IDS; i++) {
        assert_ptr_equal(group_find(&f->table, id_of(i)), f->in[i] ? &f->groups[i] : NULL);
        n += f->in[i];
    }
    f->n_visited = 0;
    idmap_each(&f->table.map, count, f);
    assert_int_equal(f->n_visited, n);
    assert_int_equal(f->table.map.n, n);
}

static void
test_random_groups_come_and_go(void **state)
{
    struct fixture *f = *state;
    uint64_t random = 1;

    for (unsigned step = 0; step < 20000; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        toggle(f, (uint32_t)(random >> 33) % (step / 100 % 2 ? 10 : N_IDS));
        if (step % 100 == 0) {
            check_all(f);
            epoch_reclaim(&f->epoch);
        }
    }
    check_all(f);
}

static void
remove_visited(void *group_, void *f_)
{
    const struct group *group = group_;
    struct fixture *f = f_;

    toggle(f, group - f->groups);
}

static void
test_a_visitor_may_remove_what_it_is_given(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < N_IDS; i++) {
        toggle(f, i);
    }
    idmap_each(&f->table.map, remove_visited, f);
    check_all(f);
    assert_int_equal(f->table.map.n, 0);
}

/* --- Counters ------------------------------------------------------------------------------- */

static void
test_counters_are_summed_over_workers(void **state)
{
    struct counters *sets = calloc(2, sizeof *sets);
    struct counter_ids ids;

    (void)state;
    assert_int_equal(counter_ids_open(&ids), 0);
    uint32_t before = counter_new(&ids);
    assert_int_equal(counter_ids_add_set(&ids, &sets[0]), 0);
    assert_int_equal(counter_ids_add_set(&ids, &sets[1]), 0);
    uint32_t after = counter_new(&ids);
    counter_add(&sets[0], before, 1, 100, 7);
    counter_add(&sets[1], before, 2, 200, 5);
    counter_add(&sets[1], after, 3, 300, 9);
    struct counter_sum sum = counter_read(&ids, before);
    assert_int_equal(sum.packets, 3);
    assert_int_equal(sum.bytes, 300);
    assert_int_equal(sum.used, 7);
    assert_int_equal(counter_read(&ids, after).packets, 3);
    counter_ids_remove_set(&ids, &sets[0]);
    counter_ids_remove_set(&ids, &sets[1]);
    counter_ids_close(&ids);
    free(sets);
}

static void
test_what_a_worker_counted_stays_when_it_goes(void **state)
{
    struct counters *sets = calloc(3, sizeof *sets);
    struct counter_ids ids;

    (void)state;
    assert_int_equal(counter_ids_open(&ids), 0);
    uint32_t id = counter_new(&ids);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(counter_ids_add_set(&ids, &sets[i]), 0);
        counter_add(&sets[i], id, 1, 10, 5 - i);
    }
    for (unsigned i = 0; i < 3; i++) {
        counter_ids_remove_set(&ids, &sets[i]);
        struct counter_sum sum = counter_read(&ids, id);
        assert_int_equal(sum.packets, 3);
        assert_int_equal(sum.bytes, 30);
        assert_int_equal(sum.used, 5);
    }
    counter_release(&ids, id);
    assert_int_equal(counter_new(&ids), id);            /* Used again, and 0 again. */
    assert_int_equal(counter_read(&ids, id).packets, 0);
    counter_ids_close(&ids);
    free(sets);
}

static void
test_ids_span_pages_and_are_used_again(void **state)
{
    enum { N = 3 * COUNTER_PAGE };
    struct counters *set = calloc(1, sizeof *set);
    struct counter_ids ids;

    (void)state;
    assert_int_equal(counter_ids_open(&ids), 0);
    assert_int_equal(counter_ids_add_set(&ids, set), 0);
    for (unsigned i = 1; i < N; i++) {
        assert_int_equal(counter_new(&ids), i);
        counter_add(set, i, i, 0, 0);
    }
    for (unsigned i = 1; i < N; i++) {
        assert_int_equal(counter_read(&ids, i).packets, i);
        counter_release(&ids, i);
    }
    counter_release(&ids, COUNTER_NONE);
    assert_int_equal(ids.n_free, N - 1);
    assert_int_equal(counter_read(&ids, counter_new(&ids)).packets, 0);
    counter_ids_remove_set(&ids, set);
    counter_ids_close(&ids);
    free(set);
}

int
main(void)
{
#define T(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_random_groups_come_and_go),
        T(test_a_visitor_may_remove_what_it_is_given),
        cmocka_unit_test(test_counters_are_summed_over_workers),
        cmocka_unit_test(test_what_a_worker_counted_stays_when_it_goes),
        cmocka_unit_test(test_ids_span_pages_and_are_used_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
