/* timer.c: every timer expires in its tick, against a list that is searched from end to end. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "timer.h"

enum { N = 300 };

/* A timer and what it should do. */
struct item {
    struct timer timer;
    uint64_t due;               /* 0: not running. */
};

struct clock {
    struct timer_wheel wheel;
    struct item items[N];
    uint64_t last;              /* Tick of the last expiry. */
    unsigned n_expired, again;  /* 'again': restart so many times. */
};

static void
expire(struct timer *timer, void *clock_)
{
    struct clock *clock = clock_;
    struct item *item = (struct item *)timer;

    assert_false(timer_running(timer));
    assert_int_equal(clock->wheel.now, item->due);
    assert_true(clock->wheel.now >= clock->last);
    clock->last = clock->wheel.now;
    clock->n_expired++;
    item->due = 0;
    if (clock->again) {
        clock->again--;
        item->due = clock->wheel.now + 256;
        timer_start(&clock->wheel, timer, item->due);
    }
}

static int
set_up(void **state)
{
    struct clock *clock = calloc(1, sizeof *clock);

    timer_wheel_init(&clock->wheel, 1000);
    *state = clock;
    return 0;
}

static int
tear_down(void **state)
{
    free(*state);
    return 0;
}

static void
start(struct clock *clock, unsigned i, uint64_t due)
{
    timer_start(&clock->wheel, &clock->items[i].timer, due);
    clock->items[i].due = due > clock->wheel.now ? due : clock->wheel.now + 1;
}

static void
stop(struct clock *clock, unsigned i)
{
    timer_stop(&clock->wheel, &clock->items[i].timer);
    clock->items[i].due = 0;
}

/* Moves to 'now'; nothing that is due may be left, nothing else may be gone. */
static void
advance(struct clock *clock, uint64_t now)
{
    unsigned running = 0;

    timer_wheel_advance(&clock->wheel, now, expire, clock);
    assert_int_equal(clock->wheel.now, now);
    for (unsigned i = 0; i < N; i++) {
        assert_true(!clock->items[i].due || clock->items[i].due > now);
        assert_int_equal(timer_running(&clock->items[i].timer), clock->items[i].due != 0);
        running += clock->items[i].due != 0;
    }
    assert_int_equal(clock->wheel.n_running, running);
}

static void
test_a_timer_expires_in_its_tick_at_every_distance(void **state)
{
    static const uint64_t distances[] = {
        1, 2, 255, 256, 257, 511, 512, 65535, 65536, 65537, 65791, 65792, 1 << 20,
    };
    struct clock *clock = *state;

    for (unsigned phase = 0; phase < 520; phase += 13) {
        for (unsigned i = 0; i < sizeof distances / sizeof distances[0]; i++) {
            start(clock, i, clock->wheel.now + distances[i]);
        }
        advance(clock, clock->wheel.now + (1 << 20) + phase);
        assert_int_equal(clock->wheel.n_running, 0);
    }
}

static void
test_a_time_that_has_come_expires_at_the_next_tick(void **state)
{
    struct clock *clock = *state;

    start(clock, 0, 5);
    start(clock, 1, clock->wheel.now);
    assert_int_equal(clock->n_expired, 0);
    advance(clock, clock->wheel.now + 1);
    assert_int_equal(clock->n_expired, 2);
}

static void
test_a_time_beyond_the_wheel_waits_and_does_not_expire_early(void **state)
{
    struct clock *clock = *state;
    uint64_t due = clock->wheel.now + (UINT64_C(1) << 32) + 12345;

    start(clock, 0, due);
    for (unsigned i = 0; i < 40; i++) {
        advance(clock, clock->wheel.now + (1 << 17));
    }
    assert_int_equal(clock->n_expired, 0);
    assert_int_equal(clock->items[0].timer.expires, due);
    stop(clock, 0);
}

static void
test_an_expired_timer_may_start_itself_again(void **state)
{
    struct clock *clock = *state;

    clock->again = 10;
    start(clock, 0, clock->wheel.now + 1);
    advance(clock, clock->wheel.now + 1 + 10 * 256);
    assert_int_equal(clock->n_expired, 11);
}

static void
test_stopping_is_harmless_if_it_does_not_run(void **state)
{
    struct clock *clock = *state;

    stop(clock, 0);
    start(clock, 0, clock->wheel.now + 9);
    stop(clock, 0);
    stop(clock, 0);
    advance(clock, clock->wheel.now + 20);
    assert_int_equal(clock->n_expired, 0);
}

static void
test_a_wheel_without_timers_jumps(void **state)
{
    advance(*state, UINT64_C(1) << 60);
}

static uint32_t
draw(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 32);
}

static void
test_random_starts_stops_and_steps_agree_with_the_list(void **state)
{
    struct clock *clock = *state;
    uint64_t random = 1;

    for (unsigned step = 0; step < 20000; step++) {
        unsigned i = draw(&random) % N;
        uint64_t distance = draw(&random) >> draw(&random) % 32;

        stop(clock, i);
        if (draw(&random) % 4) {
            start(clock, i, clock->wheel.now + (distance & 0x3ffff));
        }
        if (draw(&random) % 8 == 0) {
            advance(clock, clock->wheel.now + draw(&random) % 700);
        }
    }
    assert_true(clock->n_expired > 1000);
    advance(clock, clock->wheel.now + 0x40000);
    assert_int_equal(clock->wheel.n_running, 0);
}

int
main(void)
{
#define T(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_a_timer_expires_in_its_tick_at_every_distance),
        T(test_a_time_that_has_come_expires_at_the_next_tick),
        T(test_a_time_beyond_the_wheel_waits_and_does_not_expire_early),
        T(test_an_expired_timer_may_start_itself_again),
        T(test_stopping_is_harmless_if_it_does_not_run),
        T(test_a_wheel_without_timers_jumps),
        T(test_random_starts_stops_and_steps_agree_with_the_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
