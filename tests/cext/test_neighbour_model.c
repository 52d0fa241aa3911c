/* Neighbours against a plain model of their states (RFC 4861, 7.3.2 and appendix C), under events in any
 * order.  P4 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "neighbour_rig.h"

enum { HOSTS = 6, EVENTS = 200000 };

struct model {
    bool exists, asked;
    unsigned state, solicits, waiting, holds;
    uint64_t mac, changed, due;         /* Due 0: never. */
};

/* What has been seen from outside. */
struct totals {
    uint64_t sent, solicits, resolved, lost, removed, unreachable, dropped;
};

static void
model_enter(struct model *model, unsigned state, uint64_t now, uint64_t ms)
{
    model->state = state;
    model->solicits = 0;
    model->changed = now;
    model->due = ms ? now + ms : 0;
}

static void
model_solicit(struct model *model, struct totals *totals)
{
    model->solicits++;
    totals->solicits++;
    totals->sent++;
}

static bool
model_has_mac(const struct model *model)
{
    return model->state != NEIGHBOUR_INCOMPLETE && model->state != NEIGHBOUR_FAILED;
}

static void
model_remove(struct model *model, struct totals *totals)
{
    totals->dropped += model->waiting;
    totals->removed++;
    *model = (struct model) { .exists = false };
}

static void
model_ask(struct model *model, struct totals *totals, uint64_t now)
{
    model->asked = true;
    model_enter(model, NEIGHBOUR_INCOMPLETE, now, neighbour_defaults.retrans_ms);
    model_solicit(model, totals);
}

static void
model_get(struct model *model, uint64_t now)
{
    if (!model->exists) {
        *model = (struct model) { .exists = true };
        model_enter(model, NEIGHBOUR_INCOMPLETE, now, neighbour_defaults.failed_ms);
    }
}

static void
model_learn(struct model *model, struct totals *totals, uint64_t mac, unsigned state, uint64_t now)
{
    static const uint64_t times[NEIGHBOUR_STATES] = { [NEIGHBOUR_REACHABLE] = 1, [NEIGHBOUR_STALE] = 5000 };

    totals->resolved += !model_has_mac(model) || model->mac != mac;
    totals->sent += model->waiting;
    model->waiting = 0;
    model->mac = mac;
    model_enter(model, state, now, times[state]);
}

static void
model_send(struct model *model, struct totals *totals, uint64_t now)
{
    model_get(model, now);
    if ((model->state == NEIGHBOUR_INCOMPLETE && !model->asked)
        || (model->state == NEIGHBOUR_FAILED
            && now - model->changed >= neighbour_defaults.failed_ms)) {
        model_ask(model, totals, now);
    }
    if (model->state == NEIGHBOUR_FAILED) {
        totals->unreachable++;
    } else if (model->state == NEIGHBOUR_INCOMPLETE) {
        totals->dropped += model->waiting == 3;
        model->waiting += model->waiting < 3;
    } else {
        totals->sent++;
    }
    if (model->state == NEIGHBOUR_STALE) {
        model_enter(model, NEIGHBOUR_DELAY, now, neighbour_defaults.delay_ms);
    }
}

static void
model_heard(struct model *model, struct totals *totals, uint64_t mac, uint64_t now)
{
    model_get(model, now);
    if (model->state != NEIGHBOUR_PERMANENT && (!model_has_mac(model) || model->mac != mac)) {
        model_learn(model, totals, mac, NEIGHBOUR_STALE, now);
    }
}

/* The table of appendix C, row by row. */
static void
model_answered(struct model *model, struct totals *totals, uint64_t mac, unsigned flags, uint64_t now)
{
    bool solicited = flags & NEIGHBOUR_SOLICITED, override = flags & NEIGHBOUR_OVERRIDE;
    bool other = mac && mac != model->mac;

    if (!model->exists || model->state == NEIGHBOUR_PERMANENT) {
        return;
    }
    if (!model_has_mac(model)) {
        if (mac) {
            model_learn(model, totals, mac, solicited ? NEIGHBOUR_REACHABLE : NEIGHBOUR_STALE, now);
        }
    } else if (!override && other) {
        if (model->state == NEIGHBOUR_REACHABLE) {
            model_enter(model, NEIGHBOUR_STALE, now, neighbour_defaults.delay_ms);
        }
    } else if (solicited) {
        model_learn(model, totals, other ? mac : model->mac, NEIGHBOUR_REACHABLE, now);
    } else if (other) {
        model_learn(model, totals, mac, NEIGHBOUR_STALE, now);
    }
}

static void
model_expire(struct model *model, struct totals *totals, uint64_t used, uint64_t now)
{
    switch (model->state) {
    case NEIGHBOUR_INCOMPLETE:
        if (model->asked && (model->solicits == 3
                             || now - model->changed >= 16 * neighbour_defaults.retrans_ms)) {
            totals->unreachable += model->waiting;
            model->waiting = 0;
            model_enter(model, NEIGHBOUR_FAILED, now, neighbour_defaults.failed_ms);
        } else if (model->asked) {
            model_solicit(model, totals);
            model->due = now + neighbour_defaults.retrans_ms;
        } else if (!model->holds) {
            model_remove(model, totals);
        } else {
            model->due = 0;
        }
        break;
    case NEIGHBOUR_STALE:
        if (used > model->changed) {
            model_enter(model, NEIGHBOUR_DELAY, now, neighbour_defaults.delay_ms);
        } else if (!model->holds && now - model->changed >= neighbour_defaults.stale_ms) {
            model_remove(model, totals);
        } else {
            model->due = now + neighbour_defaults.delay_ms;
        }
        break;
    case NEIGHBOUR_DELAY:
        model_enter(model, NEIGHBOUR_PROBE, now, neighbour_defaults.retrans_ms);
        model_solicit(model, totals);
        break;
    case NEIGHBOUR_PROBE:
        if (model->solicits < 3) {
            model_solicit(model, totals);
            model->due = now + neighbour_defaults.retrans_ms;
        } else {
            totals->lost++;
            model_ask(model, totals, now);
        }
        break;
    case NEIGHBOUR_FAILED:
        model->due = 0;
        if (!model->holds) {
            model_remove(model, totals);
        }
        break;
    }
}

/* How long it is reachable is left to chance, within bounds: the model follows. */
static void
model_reachable(struct model *model, const struct neighbour *neighbour, uint64_t now)
{
    uint64_t base = neighbour_defaults.reachable_ms, age = now - model->changed;

    assert_non_null(neighbour);
    assert_true(neighbour->state == NEIGHBOUR_REACHABLE ? age <= base + base / 2 : age >= base / 2);
    if (neighbour->state != NEIGHBOUR_REACHABLE) {
        model_enter(model, NEIGHBOUR_STALE, now, neighbour_defaults.delay_ms);
    }
}

static void
model_pass(struct neighbour_rig *rig, struct model *models, struct totals *totals)
{
    for (unsigned i = 0; i < HOSTS; i++) {
        struct model *model = &models[i];

        if (model->state == NEIGHBOUR_REACHABLE) {
            model_reachable(model, rig_find(rig, i % 2 ? IP_V6 : IP_V4, i + 10), rig->now);
        } else if (model->exists && model->due && model->due <= rig->now) {
            model_expire(model, totals, rig->used_ms[i + 10], rig->now);
        }
    }
}

static void
model_release(struct model *model, uint64_t now)
{
    model->holds--;
    if (!model->holds && !model->due && model->state != NEIGHBOUR_PERMANENT) {
        model->due = now + neighbour_defaults.failed_ms;
    }
}

static void
model_forget(struct model *model, struct totals *totals, uint64_t now)
{
    if (!model->holds) {
        model_remove(model, totals);
        return;
    }
    totals->dropped += model->waiting;
    totals->lost += model_has_mac(model);
    model->waiting = 0;
    model->asked = false;
    model_enter(model, NEIGHBOUR_INCOMPLETE, now, neighbour_defaults.failed_ms);
}

static void
compare(const struct neighbour_rig *rig, const struct model *models, const struct totals *totals)
{
    for (unsigned i = 0; i < HOSTS; i++) {
        const struct neighbour *neighbour = rig_find(rig, i % 2 ? IP_V6 : IP_V4, i + 10);
        const struct model *model = &models[i];

        assert_int_equal(neighbour != NULL, model->exists);
        if (neighbour) {
            assert_int_equal(neighbour->state, model->state);
            assert_int_equal(neighbour->n_waiting, model->waiting);
            assert_true(!model_has_mac(model) || neighbour->mac == model->mac);
        }
    }
    assert_int_equal(rig->n_sent, totals->sent);
    assert_int_equal(rig->neighbours.counters.solicits, totals->solicits);
    assert_int_equal(rig->n_resolved, totals->resolved);
    assert_int_equal(rig->n_lost, totals->lost);
    assert_int_equal(rig->n_removed, totals->removed);
    assert_int_equal(rig->n_unreachable, totals->unreachable);
    assert_int_equal(rig->neighbours.counters.dropped, totals->dropped);
}

static uint32_t
draw(uint64_t *seed, uint32_t bound)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*seed >> 33) % bound);
}

/* One event, done to the rig and to the model. */
static void
happen(struct neighbour_rig *rig, struct model *models, struct totals *totals, uint64_t *seed)
{
    static const uint64_t steps[] = { 10, 500, 1000, 3000, 6000, 20000, 700000 };
    unsigned i = draw(seed, HOSTS), host = i + 10, flags = draw(seed, 4), event = draw(seed, 20);
    uint8_t family = i % 2 ? IP_V6 : IP_V4;
    struct neighbour *neighbour = rig_find(rig, family, host);
    struct model *model = &models[i];
    struct ip_address address = rig_address(family, host);
    uint64_t mac = draw(seed, 2) ? RIG_HOST_MAC : RIG_OTHER_MAC;

    if (event < 8) {
        rig->now += steps[draw(seed, event < 7 ? 5 : 7)];
        neighbours_advance(&rig->neighbours, rig->now);
        model_pass(rig, models, totals);
    } else if (event < 12) {
        rig_send_to(rig, family, host, 1);
        model_send(model, totals, rig->now);
    } else if (event < 13) {
        rig_hear(rig, family, host, mac);
        model_heard(model, totals, mac, rig->now);
    } else if (event < 16) {
        mac = draw(seed, 4) ? mac : 0;
        rig_answer(rig, family, host, mac, flags);
        model_answered(model, totals, mac, flags, rig->now);
    } else if (event < 17) {
        rig->used_ms[host] = rig->now;
    } else if (event < 18 && neighbour) {
        if (model->holds) {
            neighbour_release(&rig->neighbours, neighbour, rig->now);
            model_release(model, rig->now);
        } else {
            neighbour_hold(neighbour);
            model->holds++;
        }
    } else if (event < 19 && neighbour && draw(seed, 4) == 0) {
        neighbour_remove(&rig->neighbours, neighbour, rig->now);
        model_forget(model, totals, rig->now);
    } else if (event < 20 && draw(seed, 8) == 0) {
        neighbour_set(&rig->neighbours, &rig->link, family, &address, mac, rig->now);
        model_get(model, rig->now);
        model_learn(model, totals, mac, NEIGHBOUR_PERMANENT, rig->now);
    }
}

static void
events_in_any_order_do_what_a_plain_model_says(void **state)
{
    struct neighbour_rig *rig = rig_open(&neighbour_defaults);
    struct model models[HOSTS] = { { .exists = false } };
    struct totals totals = { 0 };
    uint64_t seed = 42;

    for (unsigned i = 0; i < EVENTS; i++) {
        happen(rig, models, &totals, &seed);
        compare(rig, models, &totals);
    }
    assert_true(totals.unreachable && totals.lost && totals.removed && totals.dropped);
    rig_close(rig);
    (void)state;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_in_any_order_do_what_a_plain_model_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
