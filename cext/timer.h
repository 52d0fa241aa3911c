#ifndef RAICHO_TIMER_H
#define RAICHO_TIMER_H

/* Timing wheel: things that are to happen later.
 *
 * How
 * ===
 * Hierarchical wheel [1] of four levels of 256 slots, one tick a slot on the lowest level.
 * A timer lies in the slot of its time on the level of its distance, and moves
 * down as its time comes near.
 *
 * Cost
 * ====
 * Start and stop are a few stores.  advance() costs the ticks that passed plus
 * the timers that expire or move.  Nothing scans.
 *
 * Threads: none; one owner.
 *
 * [1] G. Varghese, T. Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987. */

#include <stdbool.h>
#include <stdint.h>

struct timer {
    struct timer *next, **link;     /* 'link' points at what points here; null if not running. */
    uint64_t expires;               /* Tick. */
};

enum { TIMER_LEVELS = 4, TIMER_SLOTS = 256 };

struct timer_wheel {
    uint64_t now;                   /* Tick up to which everything has expired. */
    uint64_t n_running;
    struct timer *slots[TIMER_LEVELS][TIMER_SLOTS];
};

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now);

/* Starts a stopped timer (a zeroed one is stopped).  A time that has come already expires at the next tick. */
void timer_start(struct timer_wheel *wheel, struct timer *timer, uint64_t expires);

/* Stops it; harmless if it is not running. */
void timer_stop(struct timer_wheel *wheel, struct timer *timer);

static inline bool
timer_running(const struct timer *timer)
{
    return timer->link;
}

/* Moves the wheel to 'now' and calls expire(timer, context) for each timer whose time
 * has come, in the order of their ticks, after stopping it; expire() may start and stop timers,
 * also the one it is given. */
void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now,
                         void (*expire)(struct timer *, void *), void *context);

#endif
