/* RIB (P4): best routes, and the FIB that follows them, against a plain model through 1 000 000 random
 * updates; mark and sweep; pages; refusals. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fib.h"
#include "rib.h"
#include "routes.h"

enum {
    PREFIXES = 3000,
    SOURCES = 6,                    /* 1 to 5. */
    LOOKUPS = 32,
#ifdef __SANITIZE_ADDRESS__
    UPDATES = 100000,
#else
    UPDATES = 1000000,
#endif
};

/* Routes of a prefix by source: distance, metric, via; via 0: none. */
struct model_route {
    uint8_t distance;
    uint32_t metric, via;
    unsigned round;                 /* In which it was put, for sweeps. */
};

struct model {
    struct epoch epoch;
    struct fib fib;
    struct rib rib;
    uint64_t random;
    int refusal;                    /* What the next change of a best route is answered. */
    unsigned n_told, n_removed;
    struct ip_prefix prefixes[PREFIXES];
    struct model_route routes[PREFIXES][SOURCES];
    unsigned rounds[SOURCES];
};

/* --- RIB to FIB ------------------------------------------------------------------------------- */

static int
best_changed(const struct rib_route *old, const struct rib_route *new, void *model_)
{
    struct model *model = model_;
    const struct ip_prefix *prefix = old ? &old->prefix : &new->prefix;

    if (model->refusal) {
        return model->refusal;
    }
    model->n_told++;
    assert_int_equal(fib_get(&model->fib, prefix), old ? old->via : 0);
    if (!new) {
        assert_int_equal(fib_remove(&model->fib, prefix), old->via);
        return 0;
    }
    assert_true(!old || same_prefix(&old->prefix, &new->prefix));
    return fib_put(&model->fib, prefix, new->via);
}

static void
removed(const struct rib_route *route, void *model_)
{
    struct model *model = model_;

    assert_int_not_equal(route->source, 0);
    model->n_removed++;
}

static bool
is_known(const struct model *model, unsigned n, const struct ip_prefix *prefix)
{
    for (unsigned i = 0; i < n; i++) {
        if (same_prefix(&model->prefixes[i], prefix)) {
            return true;
        }
    }
    return false;
}

static int
set_up(void **state)
{
    struct model *model = aligned_alloc(64, (sizeof *model + 63) & ~(size_t) 63);

    memset(model, 0, sizeof *model);
    model->random = 1;
    epoch_init(&model->epoch);
    fib_open(&model->fib, &model->epoch);
    rib_open(&model->rib, &(const struct rib_ops) { best_changed, removed, model });
    for (unsigned i = 0; i < PREFIXES; i++) {
        do {
            draw_prefix(&model->random, i % 2 ? IP_V4 : IP_V6, &model->prefixes[i]);
        } while (is_known(model, i, &model->prefixes[i]));
    }
    *state = model;
    return 0;
}

static int
tear_down(void **state)
{
    struct model *model = *state;

    rib_close(&model->rib);
    fib_close(&model->fib);
    epoch_close(&model->epoch);
    free(model);
    return 0;
}

/* --- The model -------------------------------------------------------------------------------- */

/* The source of the best route; 0: none. */
static unsigned
model_best(const struct model *model, unsigned i)
{
    unsigned best = 0;

    for (unsigned source = 1; source < SOURCES; source++) {
        const struct model_route *a = &model->routes[i][source], *b = &model->routes[i][best];
        if (a->via && (!best || a->distance < b->distance
                       || (a->distance == b->distance && a->metric < b->metric))) {
            best = source;
        }
    }
    return best;
}

static unsigned
model_count(const struct model *model, unsigned source)
{
    unsigned n = 0;

    for (unsigned i = 0; i < PREFIXES; i++) {
        n += model->routes[i][source].via != 0;
    }
    return n;
}

static uint32_t
model_lookup(const struct model *model, uint8_t family, const struct ip_address *address)
{
    uint32_t value = 0;
    int len = -1;

    for (unsigned i = 0; i < PREFIXES; i++) {
        const struct ip_prefix *prefix = &model->prefixes[i];
        if (prefix->family == family && prefix->len > len && ip_matches(prefix, address)
            && model_best(model, i)) {
            value = model->routes[i][model_best(model, i)].via;
            len = prefix->len;
        }
    }
    return value;
}

static void
check_route(const struct model *model, unsigned i)
{
    const struct rib_route *best = rib_get(&model->rib, &model->prefixes[i], 0);
    const unsigned source = model_best(model, i);
    const struct model_route *route = &model->routes[i][source];

    assert_int_equal(best ? best->source : 0, source);
    if (best) {
        assert_true(best->distance == route->distance && best->metric == route->metric
                    && best->via == route->via);
    }
    assert_int_equal(fib_get(&model->fib, &model->prefixes[i]), best ? best->via : 0);
}

static void
check_lookups(struct model *model)
{
    for (unsigned i = 0; i < LOOKUPS; i++) {
        const struct ip_prefix *prefix = &model->prefixes[draw(&model->random, PREFIXES)];
        const struct ip_address address = address_near(&model->random, prefix, prefix->family);
        assert_int_equal(fib_lookup(&model->fib, prefix->family, &address),
                         model_lookup(model, prefix->family, &address));
    }
}

static void
check_all(struct model *model)
{
    unsigned n_prefixes = 0, n_routes = 0;

    for (unsigned i = 0; i < PREFIXES; i++) {
        check_route(model, i);
        n_prefixes += model_best(model, i) != 0;
    }
    for (unsigned source = 1; source < SOURCES; source++) {
        assert_int_equal(model->rib.sources[source].n, model_count(model, source));
        n_routes += model->rib.sources[source].n;
    }
    assert_int_equal(model->rib.n_prefixes, n_prefixes);
    assert_int_equal(model->rib.n_routes, n_routes);
    assert_int_equal(model->fib.ipv4.n_prefixes + model->fib.ipv6.n_prefixes, n_prefixes);
    check_lookups(model);
}

/* --- Changes ---------------------------------------------------------------------------------- */

static struct rib_route
route_of(const struct model *model, unsigned i, unsigned source, const struct model_route *said)
{
    return (struct rib_route) { model->prefixes[i], (uint8_t) source, said->distance, said->metric,
                                said->via };
}

static void
put(struct model *model, unsigned i, unsigned source, const struct model_route *said)
{
    const struct rib_route route = route_of(model, i, source, said);
    const unsigned n_removed = model->n_removed + (model->routes[i][source].via != 0);

    assert_int_equal(rib_put(&model->rib, &route), 0);
    assert_int_equal(model->n_removed, n_removed);
    model->routes[i][source] = *said;
    model->routes[i][source].round = model->rounds[source];
}

static void
put_any(struct model *model)
{
    const struct model_route said = {
        .distance = draw(&model->random, 3), .metric = draw(&model->random, 3),
        .via = 1 + draw(&model->random, 50),
    };
    const unsigned i = draw(&model->random, PREFIXES);

    put(model, i, 1 + draw(&model->random, SOURCES - 1), &said);
    check_route(model, i);
}

static void
remove_any(struct model *model)
{
    const unsigned i = draw(&model->random, PREFIXES), source = 1 + draw(&model->random, SOURCES - 1);
    const bool there = model->routes[i][source].via;
    const unsigned n_removed = model->n_removed + there;

    assert_int_equal(rib_remove(&model->rib, &model->prefixes[i], source), there ? 0 : ENOENT);
    assert_int_equal(model->n_removed, n_removed);
    model->routes[i][source].via = 0;
    check_route(model, i);
}

static void
sweep(struct model *model, unsigned source)
{
    unsigned n = 0, swept;

    for (unsigned i = 0; i < PREFIXES; i++) {
        struct model_route *route = &model->routes[i][source];
        n += route->via && route->round != model->rounds[source];
        route->via = route->round == model->rounds[source] ? route->via : 0;
    }
    do {
        swept = rib_sweep(&model->rib, source, 100);
        n -= swept;
    } while (swept == 100);
    assert_int_equal(n, 0);
}

/* --- Tests ------------------------------------------------------------------------------------ */

static void
test_rib_and_fib_agree_with_a_model_through_random_updates(void **state)
{
    struct model *model = *state;

    for (unsigned i = 1; i <= UPDATES; i++) {
        const unsigned what = draw(&model->random, 10000);
        if (what == 0) {
            const unsigned source = 1 + draw(&model->random, SOURCES - 1);
            rib_begin(&model->rib, source);
            model->rounds[source]++;
        } else if (what == 1) {
            sweep(model, 1 + draw(&model->random, SOURCES - 1));
        } else if (what < (i / 100000 % 2 ? 7000 : 4500)) {
            remove_any(model);
        } else {
            put_any(model);
        }
        if (i % 20000 == 0) {
            check_all(model);
            epoch_advance(&model->epoch);
            epoch_reclaim(&model->epoch);
        }
    }
    assert_true(model->n_told > UPDATES / 10);
    for (unsigned source = 1; source < SOURCES; source++) {
        rib_begin(&model->rib, source);
        model->rounds[source]++;
        sweep(model, source);
    }
    check_all(model);
    assert_int_equal(model->rib.n_routes, 0);
}

static void
test_a_sweep_takes_what_was_not_put_again_and_nothing_else(void **state)
{
    struct model *model = *state;
    const struct model_route said = { .distance = 1, .via = 5 };

    for (unsigned i = 0; i < 300; i++) {
        put(model, i, 1 + i % 3, &said);
    }
    rib_begin(&model->rib, 2);
    assert_int_equal(model->rib.sources[2].n, 100);
    model->rounds[2]++;
    for (unsigned i = 1; i < 300; i += 6) {
        put(model, i, 2, &said);                        /* Half of them. */
    }
    put(model, 500, 2, &said);
    const unsigned told = model->n_told;
    sweep(model, 2);
    assert_int_equal(model->n_told - told, 50);
    assert_int_equal(model->rib.sources[2].n, 51);
    assert_int_equal(model->rib.sources[1].n, 100);
    assert_int_equal(rib_sweep(&model->rib, 1, 10), 0);     /* Nobody began. */
    check_all(model);
}

/* A refusal leaves everything as it was. */
static void
test_a_change_that_is_refused_has_not_been(void **state)
{
    struct model *model = *state;
    const struct model_route first = { .distance = 5, .via = 5 };

    put(model, 0, 3, &first);
    model->refusal = ENOMEM;
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned source = 1; source < SOURCES; source++) {
            const struct model_route said = { .distance = 1, .via = 6 };
            const struct rib_route route = route_of(model, i, source, &said);
            assert_int_equal(rib_put(&model->rib, &route), ENOMEM);
            check_route(model, 0);
            check_route(model, 1);
        }
    }
    assert_int_equal(model->n_removed, 0);
    const struct model_route worse = { .distance = 6, .via = 7 };
    put(model, 0, 4, &worse);                           /* Nobody is asked. */
    put(model, 0, 3, &first);
    model->refusal = 0;
    check_all(model);
}

static void
test_what_is_no_route_is_refused(void **state)
{
    struct model *model = *state;
    const struct rib_route bad[] = {
        { .prefix = { ip_from_v4(1), IP_V4, 24 }, .source = 1 },
        { .prefix = { ip_from_v4(0), IP_V4, 24 }, .source = 0 },
        { .prefix = { ip_from_v4(0), 0, 0 }, .source = 1 },
    };

    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(rib_put(&model->rib, &bad[i]), EINVAL);
    }
    assert_int_equal(rib_remove(&model->rib, &model->prefixes[0], 1), ENOENT);
    assert_null(rib_get(&model->rib, &model->prefixes[0], 0));
    assert_int_equal(rib_memory(&model->rib), 0);
}

/* Pages while routes come and go: those that stay are seen once. */
static void
test_pages_show_each_route_that_stays_once(void **state)
{
    struct model *model = *state;
    const struct model_route said = { .distance = 1, .via = 5 };
    static unsigned seen[PREFIXES];
    uint32_t cursor = 0;

    memset(seen, 0, sizeof seen);
    for (unsigned i = 0; i < PREFIXES; i++) {
        const struct model_route own = { .distance = 1, .via = 1 + i };
        put(model, i, 1 + i % 2, &own);
    }
    for (unsigned i = 0;; i++) {
        const struct rib_route *route = rib_next(&model->rib, 1, &cursor);
        if (!route) {
            break;
        }
        assert_int_equal(route->source, 1);
        seen[route->via - 1]++;
        if (i % 10 == 0 && i + 1 < PREFIXES / 2) {      /* One that comes; and the other source's go. */
            put(model, 2 * i, 3, &said);
            rib_remove(&model->rib, &model->prefixes[2 * i + 1], 2);
            model->routes[2 * i + 1][2].via = 0;
        }
    }
    for (unsigned i = 0; i < PREFIXES; i++) {
        assert_int_equal(seen[i], i % 2 == 0);
    }
    unsigned n = 0;
    for (cursor = 0; rib_next(&model->rib, 0, &cursor); n++) {
    }
    assert_int_equal(n, model->rib.n_routes);
    cursor = 0;
    assert_null(rib_next(&model->rib, 9, &cursor));
    check_all(model);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rib_and_fib_agree_with_a_model_through_random_updates),
        TEST(test_a_sweep_takes_what_was_not_put_again_and_nothing_else),
        TEST(test_a_change_that_is_refused_has_not_been),
        TEST(test_what_is_no_route_is_refused),
        TEST(test_pages_show_each_route_that_stays_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
