/* idmap.c: things by number, against an array. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "idmap.h"

enum { N_THINGS = 500, N_STEPS = 50000 };

struct thing {
    uint32_t id;
    unsigned visits;
};

struct fixture {
    struct epoch epoch;
    struct idmap map;
    struct thing things[N_THINGS];
    bool in[N_THINGS];
};

/* Numbers that are near each other, far from each other, and equal in their low bits. */
static uint32_t
id_of(unsigned i)
{
    return i < 100 ? i : i < 200 ? i << 20 : i * 2654435761u;
}

static int
set_up(void **state)
{
    struct fixture *f = aligned_alloc(64, (sizeof *f + 63) & ~(size_t) 63);

    memset(f, 0, sizeof *f);
    epoch_init(&f->epoch);
    for (unsigned i = 0; i < N_THINGS; i++) {
        f->things[i].id = id_of(i);
    }
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    idmap_close(&f->map);
    epoch_close(&f->epoch);
    free(f);
    return 0;
}

static void
toggle(struct fixture *f, unsigned i)
{
    if (f->in[i]) {
        idmap_remove(&f->map, &f->things[i]);
    } else {
        assert_int_equal(idmap_insert(&f->map, &f->epoch, &f->things[i]), 0);
    }
    f->in[i] = !f->in[i];
}

static void
check(const struct fixture *f)
{
    unsigned n = 0;

    for (unsigned i = 0; i < N_THINGS; i++) {
        assert_ptr_equal(idmap_find(&f->map, f->things[i].id), f->in[i] ? &f->things[i] : NULL);
        n += f->in[i];
    }
    assert_int_equal(f->map.n, n);
    assert_null(idmap_find(&f->map, UINT32_MAX));
}

static void
what_is_in_is_found_and_nothing_else(void **state)
{
    struct fixture *f = *state;

    check(f);
    srand(11);
    for (unsigned step = 0; step < N_STEPS; step++) {
        toggle(f, (unsigned) rand() % N_THINGS);
        if (step % 500 == 0) {
            check(f);
            epoch_reclaim(&f->epoch);
        }
    }
    check(f);
}

static void
remove_odd(void *thing_, void *fixture)
{
    struct thing *thing = thing_;
    struct fixture *f = fixture;

    thing->visits++;
    if ((thing - f->things) % 2) {
        toggle(f, thing - f->things);
    }
}

static void
each_is_visited_once_and_may_be_removed(void **state)
{
    struct fixture *f = *state;

    idmap_each(&f->map, remove_odd, f);                 /* Empty: none. */
    for (unsigned i = 0; i < N_THINGS; i++) {
        toggle(f, i);
    }
    idmap_each(&f->map, remove_odd, f);
    for (unsigned i = 0; i < N_THINGS; i++) {
        assert_int_equal(f->things[i].visits, 1);
        assert_int_equal(f->in[i], i % 2 == 0);
    }
    check(f);
}

static void
visits_go_on_where_they_ended_while_others_come_and_go(void **state)
{
    struct fixture *f = *state;
    struct thing *thing;
    uint64_t cursor = 0;

    assert_null(idmap_next(&f->map, &cursor));
    for (unsigned i = 0; i < N_THINGS; i += 5) {
        toggle(f, i);
    }
    srand(12);
    while ((thing = idmap_next(&f->map, &cursor))) {
        thing->visits++;
        for (unsigned i = 0; i < 20; i++) {             /* The slots are replaced meanwhile. */
            unsigned other = (unsigned) rand() % N_THINGS;
            if (other % 5) {
                toggle(f, other);
            }
        }
    }
    for (unsigned i = 0; i < N_THINGS; i++) {
        assert_in_range(f->things[i].visits, i % 5 == 0, 1);
    }
    assert_null(idmap_next(&f->map, &cursor));
}

/* Against the order of hashes: numbers that share slots, at the end of the slots too. */
static void
all_are_visited_in_one_order_however_many_slots_there_are(void **state)
{
    struct fixture *f = *state;
    const struct thing *order[N_THINGS], *thing;
    unsigned n = 0;

    for (unsigned i = 0; i < N_THINGS; i++) {
        toggle(f, i);
    }
    for (uint64_t cursor = 0; (thing = idmap_next(&f->map, &cursor)); n++) {
        order[n] = thing;
    }
    assert_int_equal(n, N_THINGS);
    for (unsigned left = N_THINGS; left > 1; left /= 2) {
        struct idmap few = { NULL };
        uint64_t cursor = 0;

        for (unsigned i = 0; i < left; i++) {
            assert_int_equal(idmap_insert(&few, &f->epoch, (void *) order[i * (N_THINGS / left)]), 0);
        }
        for (unsigned i = 0; i < left; i++) {
            assert_ptr_equal(idmap_next(&few, &cursor), order[i * (N_THINGS / left)]);
        }
        assert_null(idmap_next(&few, &cursor));
        idmap_close(&few);
        epoch_reclaim(&f->epoch);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_in_is_found_and_nothing_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_is_visited_once_and_may_be_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(visits_go_on_where_they_ended_while_others_come_and_go, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(all_are_visited_in_one_order_however_many_slots_there_are, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
