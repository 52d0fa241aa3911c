#ifndef TEST_RIG_TEST_H
#define TEST_RIG_TEST_H

/* Tests of cmocka that have a rig each: RIG names it, TEST() lists one, TEST_AFTER() one that sets up more. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rig.h"

#define RIG struct rig *rig = *state

static inline int
rig_set_up(void **state)
{
    *state = rig_new();
    return 0;
}

static inline int
rig_tear_down(void **state)
{
    rig_free(*state);
    return 0;
}

#define TEST_AFTER(SET_UP, NAME) cmocka_unit_test_setup_teardown(NAME, SET_UP, rig_tear_down)
#define TEST(NAME) TEST_AFTER(rig_set_up, NAME)

#endif
