/* linkwatch.c: what the kernel tells of interfaces. */

#include "veth.h"

#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include <net/if.h>
#include <unistd.h>

#include "linkwatch.h"

struct fixture {
    struct linkwatch watch;
    int index;                  /* Of "one", whose peer is "two". */
};

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    ip("link add one type veth peer name two");
    ip("link set one up");
    ip("link set two up");
    f->index = (int)if_nametoindex("one");
    assert_int_equal(linkwatch_open(&f->watch), 0);
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    linkwatch_close(&f->watch);
    free(f);
    if (if_nametoindex("one")) {
        ip("link del one");
    }
    return 0;
}

/* Takes events until one about 'index' says all that 'wanted' does. */
static bool
hear(struct linkwatch *watch, int index, bool admin_up, bool up, bool gone,
     struct link_event *event)
{
    while (wait_readable(watch->fd)) {
        while (!linkwatch_next(watch, event)) {
            if (event->index == index && event->admin_up == admin_up && event->up == up
                && event->gone == gone) {
                return true;
            }
        }
    }
    return false;
}

static void
test_an_interface_that_is_set_down_and_up_is_told(void **state)
{
    struct fixture *f = *state;
    struct link_event event;

    ip("link set one down");
    assert_true(hear(&f->watch, f->index, false, false, false, &event));
    assert_string_equal(event.name, "one");
    ip("link set one up");
    assert_true(hear(&f->watch, f->index, true, true, false, &event));
}

static void
test_carrier_that_is_lost_is_told_as_not_up(void **state)
{
    struct fixture *f = *state;
    struct link_event event;

    ip("link set two down");
    assert_true(hear(&f->watch, f->index, true, false, false, &event));
    ip("link set two up");
    assert_true(hear(&f->watch, f->index, true, true, false, &event));
}

static void
test_an_interface_that_is_removed_is_gone(void **state)
{
    struct fixture *f = *state;
    struct link_event event;

    ip("link del one");
    assert_true(hear(&f->watch, f->index, false, false, true, &event));
    assert_string_equal(event.name, "one");
}

static void
test_an_interface_that_is_added_is_told_by_name(void **state)
{
    struct fixture *f = *state;
    struct link_event event;

    ip("link add three type veth peer name four");
    assert_true(hear(&f->watch, (int)if_nametoindex("three"), false, false, false, &event));
    assert_string_equal(event.name, "three");
    ip("link del three");
}

static void
test_an_interface_that_is_renamed_keeps_its_index(void **state)
{
    struct fixture *f = *state;
    struct link_event event;

    ip("link set one down");
    ip("link set one name uno");
    do {
        assert_true(hear(&f->watch, f->index, false, false, false, &event));
    } while (strcmp(event.name, "uno"));
    ip("link set uno name one");
}

static void
test_an_interface_that_leaves_a_bridge_is_not_gone(void **state)
{
    struct fixture *f = *state;
    struct link_event event;

    ip("link add bridge type bridge");
    ip("link set one master bridge");
    ip("link set one nomaster");
    ip("link set one alias marker");
    while (is_readable(f->watch.fd)) {
        while (!linkwatch_next(&f->watch, &event)) {
            assert_false(event.index == f->index && event.gone);
        }
    }
    ip("link del bridge");
}

static void
test_events_that_were_lost_are_owned_up_to(void **state)
{
    struct fixture *f = *state;
    struct link_event event;
    int error, least = 1;

    assert_int_equal(setsockopt(f->watch.fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof least), 0);
    for (int i = 0; i < 4; i++) {
        ip("link set one alias name%d", i);
    }
    do {
        error = linkwatch_next(&f->watch, &event);
    } while (!error);
    assert_int_equal(error, ENOBUFS);
    do {
        error = linkwatch_next(&f->watch, &event);
    } while (!error);
    assert_int_equal(error, EAGAIN);
}

int
main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(test_##NAME, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_interface_that_is_set_down_and_up_is_told),
        TEST(carrier_that_is_lost_is_told_as_not_up),
        TEST(an_interface_that_is_removed_is_gone),
        TEST(an_interface_that_is_added_is_told_by_name),
        TEST(an_interface_that_is_renamed_keeps_its_index),
        TEST(an_interface_that_leaves_a_bridge_is_not_gone),
        TEST(events_that_were_lost_are_owned_up_to),
    };

    return enter_namespace() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
