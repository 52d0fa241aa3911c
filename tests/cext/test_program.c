/* program.c: one program for each shape, its references, and which instruction is the last. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "program.h"

static int
set_up(void **state)
{
    *state = calloc(1, sizeof(struct program_store));
    return program_store_open(*state);
}

static int
tear_down(void **state)
{
    struct program_store *store = *state;

    assert_int_equal(store->n_programs, 0);
    program_store_close(store);
    free(store);
    return 0;
}

static const struct insn output = { .op = OP_output, .at = 8, .size = 16 };
static const struct insn done = { .op = OP_done };

static const struct program *
intern(struct program_store *store, struct insn first, struct insn last)
{
    return program_intern(store, (const struct insn[]) { first, last }, 2);
}

static void
test_entries_of_one_shape_share_a_program(void **state)
{
    const struct program *one = intern(*state, output, done), *two = intern(*state, output, done);

    assert_ptr_equal(one, two);
    assert_int_equal(one->refs, 2);
    program_release(*state, one);
    assert_int_equal(two->refs, 1);
    program_release(*state, two);
}

static void
test_each_part_of_an_instruction_is_part_of_the_shape(void **state)
{
    const struct insn others[] = {
        { .op = OP_group, .at = 8, .size = 16 },
        { .op = OP_output, .at = 16, .size = 16 },
        { .op = OP_output, .at = 8, .size = 24 },
        { .op = OP_output, .at = 8, .size = 16, .field = 1 },
        { .op = OP_output, .at = 8, .size = 16, .order = 1 },
    };
    const struct program *one = intern(*state, output, done);

    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++) {
        const struct program *other = intern(*state, others[i], done);
        assert_ptr_not_equal(one, other);
        program_release(*state, other);
    }
    program_release(*state, one);
}

static void
test_flags_are_not_part_of_the_shape(void **state)
{
    struct insn flagged = output;
    const struct program *one = intern(*state, output, done);

    flagged.flags = 0xff;
    assert_ptr_equal(intern(*state, flagged, done), one);
    program_release(*state, one);
    program_release(*state, one);
}

static void
test_the_last_instruction_before_the_end_may_keep_the_packet(void **state)
{
    const struct insn insns[] = { output, output, done };
    const struct program *program = program_intern(*state, insns, 3);

    assert_int_equal(program->insns[0].flags, 0);
    assert_int_equal(program->insns[1].flags, INSN_LAST);
    assert_int_equal(program->insns[2].flags, 0);
    program_release(*state, program);
}

static void
test_in_front_of_a_goto_nothing_may_keep_the_packet(void **state)
{
    const struct program *program = intern(*state, output, (struct insn) { .op = OP_goto_table });

    assert_int_equal(program->insns[0].flags, 0);
    program_release(*state, program);
}

static void
test_a_program_takes_over_the_reference_to_its_sub(void **state)
{
    struct insn write = { .op = OP_write_actions, .at = 0, .size = 24 };
    const struct insn end = { .op = OP_action_set };
    struct program_store *store = *state;

    write.sub = intern(store, output, done);
    const struct program *one = intern(store, write, end);
    assert_int_equal(write.sub->refs, 1);
    write.sub = intern(store, output, done);            /* The same sub again, */
    assert_int_equal(write.sub->refs, 2);
    assert_ptr_equal(intern(store, write, end), one);   /* the same program: */
    assert_int_equal(write.sub->refs, 1);               /* refers to it once. */
    program_release(store, one);
    assert_int_equal(store->n_programs, 2);
    program_release(store, one);
    assert_int_equal(store->n_programs, 0);
}

static void
test_a_store_grows_with_its_programs(void **state)
{
    enum { N = 3000 };
    const struct program *programs[N];
    struct program_store *store = *state;

    for (unsigned i = 0; i < N; i++) {
        programs[i] = intern(store, (struct insn) { .op = OP_output, .at = (uint16_t)(i * 8) }, done);
    }
    assert_int_equal(store->n_programs, N);
    assert_true(store->n_buckets >= N);
    for (unsigned i = 0; i < N; i++) {
        const struct insn same = { .op = OP_output, .at = (uint16_t)(i * 8) };
        assert_ptr_equal(intern(store, same, done), programs[i]);
        program_release(store, programs[i]);
        program_release(store, programs[i]);
    }
}

/* Several instructions may have one type: those that are not OpenFlow's have 0. */
static void
test_the_table_of_instructions_has_a_function_for_each(void **state)
{
    (void)state;
    for (unsigned op = 0; op < N_OPS; op++) {
        assert_non_null(op_table[op].run);
        assert_true(op_table[op].name[0]);
        if (op < OP_goto_table) {
            assert_true(op_table[op].order < SET_RESUBMIT && op_table[op].order != SET_LIST);
        } else {                /* What write-actions may not have, though buckets may. */
            assert_true(op_table[op].order >= SET_RESUBMIT || op_table[op].order == SET_LIST);
        }
    }
}

int
main(void)
{
#define T(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_entries_of_one_shape_share_a_program),
        T(test_each_part_of_an_instruction_is_part_of_the_shape),
        T(test_flags_are_not_part_of_the_shape),
        T(test_the_last_instruction_before_the_end_may_keep_the_packet),
        T(test_in_front_of_a_goto_nothing_may_keep_the_packet),
        T(test_a_program_takes_over_the_reference_to_its_sub),
        T(test_a_store_grows_with_its_programs),
        T(test_the_table_of_instructions_has_a_function_for_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
