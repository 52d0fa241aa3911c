/* Timing wheel: see timer.h. */

#include "timer.h"

#include <stddef.h>

enum { SLOT_BITS = 8, SLOT_MASK = TIMER_SLOTS - 1 };

void
timer_wheel_init(struct timer_wheel *wheel, uint64_t now)
{
    *wheel = (struct timer_wheel) { .now = now };
}

static void
push(struct timer **slot, struct timer *timer)
{
    timer->next = *slot;
    timer->link = slot;
    if (timer->next) {
        timer->next->link = &timer->next;
    }
    *slot = timer;
}

/* The slot for a time on the lowest level that reaches that far.  Times beyond
 * the wheel wait in the last slot of the highest level and are put again. */
static struct timer **
slot_for(struct timer_wheel *wheel, uint64_t expires)
{
    uint64_t distance = expires - wheel->now;

    for (unsigned level = 0; level < TIMER_LEVELS; level++) {
        unsigned shift = level * SLOT_BITS;
        if (distance >> shift < TIMER_SLOTS) {
            return &wheel->slots[level][expires >> shift & SLOT_MASK];
        }
    }
    unsigned shift = (TIMER_LEVELS - 1) * SLOT_BITS;
    return &wheel->slots[TIMER_LEVELS - 1][((wheel->now >> shift) + SLOT_MASK) & SLOT_MASK];
}

void
timer_start(struct timer_wheel *wheel, struct timer *timer, uint64_t expires)
{
    timer->expires = expires > wheel->now ? expires : wheel->now + 1;
    push(slot_for(wheel, timer->expires), timer);
    wheel->n_running++;
}

void
timer_stop(struct timer_wheel *wheel, struct timer *timer)
{
    if (!timer->link) {
        return;
    }
    *timer->link = timer->next;
    if (timer->next) {
        timer->next->link = timer->link;
    }
    timer->link = NULL;
    wheel->n_running--;
}

/* Moves the timers of a slot down to where they belong now. */
static void
cascade(struct timer_wheel *wheel, struct timer **slot)
{
    struct timer *timer = *slot;

    *slot = NULL;
    while (timer) {
        struct timer *next = timer->next;
        push(slot_for(wheel, timer->expires), timer);
        timer = next;
    }
}

/* At the turn of a level the next slot of the level above comes down; the
 * highest first, so that a timer can fall more than one level. */
static void
turn(struct timer_wheel *wheel)
{
    for (unsigned level = TIMER_LEVELS - 1; level > 0; level--) {
        unsigned shift = level * SLOT_BITS;
        if (!(wheel->now & ((UINT64_C(1) << shift) - 1))) {
            cascade(wheel, &wheel->slots[level][wheel->now >> shift & SLOT_MASK]);
        }
    }
}

static void
expire_slot(struct timer_wheel *wheel, struct timer **slot,
            void (*expire)(struct timer *, void *), void *context)
{
    while (*slot) {
        struct timer *timer = *slot;
        timer_stop(wheel, timer);
        expire(timer, context);
    }
}

void
timer_wheel_advance(struct timer_wheel *wheel, uint64_t now,
                    void (*expire)(struct timer *, void *), void *context)
{
    while (wheel->now < now) {
        if (!wheel->n_running) {
            wheel->now = now;
            return;
        }
        wheel->now++;
        turn(wheel);
        expire_slot(wheel, &wheel->slots[0][wheel->now & SLOT_MASK], expire, context);
    }
}
