/* slab.c: objects that do not overlap, stay as they were filled, and whose memory is given back (K8). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "flows.h"
#include "scarce.h"
#include "slab.h"

enum { MANY = 4000, ROUNDS = 60000 };

struct object {
    uint8_t *data;                      /* Null: not there. */
    unsigned lines;
    uint8_t fill;
};

static struct object objects[MANY];

static void
make(struct slab *slab, struct random *random, struct object *object, unsigned lines)
{
    *object = (struct object) {
        .data = slab_alloc(slab, lines), .lines = lines, .fill = (uint8_t) draw(random, 256),
    };
    assert_non_null(object->data);
    assert_int_equal((uintptr_t) object->data % SLAB_LINE, 0);
    memset(object->data, object->fill, (size_t) lines * SLAB_LINE);
}

/* Nobody else wrote into it. */
static void
end(struct object *object)
{
    for (size_t i = 0; i < (size_t) object->lines * SLAB_LINE; i++) {
        assert_int_equal(object->data[i], object->fill);
    }
    slab_free(object->data);
    object->data = NULL;
}

static void
end_all(void)
{
    for (unsigned i = 0; i < MANY; i++) {
        if (objects[i].data) {
            end(&objects[i]);
        }
    }
}

/* Of few sizes, as tables have them, or of any. */
static void
come_and_go(uint32_t n_sizes)
{
    const size_t n_used = scarce.n_used;
    struct random random = { n_sizes };
    struct slab *slab = slab_open();

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct object *object = &objects[draw(&random, MANY)];
        if (object->data) {
            end(object);
        } else {
            make(slab, &random, object, 1 + draw(&random, n_sizes) * (SLAB_LINES - 1) / n_sizes);
        }
    }
    end_all();
    slab_close(slab);
    assert_int_equal(scarce.n_used, n_used);
}

static void
test_objects_of_few_sizes_come_and_go(void **state)
{
    (void) state;
    come_and_go(3);
}

static void
test_objects_of_any_size_come_and_go(void **state)
{
    (void) state;
    come_and_go(SLAB_LINES);
}

static void
test_the_largest_and_the_smallest_fit(void **state)
{
    struct random random = { 1 };
    struct slab *slab = slab_open();

    (void) state;
    for (unsigned i = 0; i < MANY; i++) {
        make(slab, &random, &objects[i], i % 2 ? 1 : SLAB_LINES);
    }
    end_all();
    slab_close(slab);
}

static void
test_memory_is_given_back_before_the_slab_closes(void **state)
{
    const size_t n_used = scarce.n_used;
    struct random random = { 1 };
    struct slab *slab = slab_open();
    size_t most;

    (void) state;
    for (unsigned i = 0; i < MANY; i++) {
        make(slab, &random, &objects[i], 30);
    }
    most = scarce.n_used - n_used;
    end_all();
    /* The slab, and a span that is kept for the next. */
    assert_true(most > 3);
    assert_in_range(scarce.n_used - n_used, 1, 3);
    slab_close(slab);
    assert_int_equal(scarce.n_used, n_used);
}

static void
test_a_closed_slab_goes_with_its_last_object(void **state)
{
    const size_t n_used = scarce.n_used;
    struct random random = { 1 };
    struct slab *slab = slab_open();

    (void) state;
    for (unsigned i = 0; i < MANY; i++) {
        make(slab, &random, &objects[i], 1 + i % 20);
    }
    slab_close(slab);
    assert_true(scarce.n_used > n_used);
    end_all();
    assert_int_equal(scarce.n_used, n_used);
}

/* Spans on their own, then in regions: each new one fails at every allocation that it makes. */
static void
test_without_memory_there_is_no_object_and_what_is_there_stays(void **state)
{
    const size_t n_used = scarce.n_used;
    struct random random = { 1 };
    unsigned n_failed = 0;
    struct slab *slab;

    (void) state;
    scarce_from(1);
    assert_null(slab_open());
    assert_true(scarce_end());
    slab = slab_open();
    for (unsigned i = 0; i < MANY / 4; i++) {
        for (unsigned nth = 1;; nth++) {
            const size_t before = scarce.n_used;
            scarce_from(nth);
            void *object = slab_alloc(slab, SLAB_LINES);
            if (!scarce_end()) {
                slab_free(object);
                break;
            }
            assert_null(object);
            assert_int_equal(scarce.n_used, before);
            n_failed++;
        }
        make(slab, &random, &objects[i], SLAB_LINES);
    }
    assert_true(n_failed > 8);
    end_all();
    slab_close(slab);
    assert_int_equal(scarce.n_used, n_used);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects_of_few_sizes_come_and_go),
        cmocka_unit_test(test_objects_of_any_size_come_and_go),
        cmocka_unit_test(test_the_largest_and_the_smallest_fit),
        cmocka_unit_test(test_memory_is_given_back_before_the_slab_closes),
        cmocka_unit_test(test_a_closed_slab_goes_with_its_last_object),
        cmocka_unit_test(test_without_memory_there_is_no_object_and_what_is_there_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
