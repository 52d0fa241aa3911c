/* Without memory a route is refused as if it had never been tried (P4).  Each is tried with its first
 * allocation failing, with its second, and so on until none fails; after each try RIB and FIB are compared
 * with a list. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>

#include "fib.h"
#include "rib.h"
#include "routes.h"
#include "scarce.h"

enum { ROUTES = 400, LOOKUPS = 20, SOURCE = 1 };

struct model {
    struct epoch epoch;
    struct fib fib;
    struct rib rib;
    uint64_t random;
    unsigned n;
    struct rib_route routes[ROUTES];
};

static int
best_changed(const struct rib_route *old, const struct rib_route *new, void *model_)
{
    struct model *model = model_;

    return new ? fib_put(&model->fib, &new->prefix, new->via)
               : fib_remove(&model->fib, &old->prefix) != old->via;
}

static uint32_t
list_lookup(const struct model *model, uint8_t family, const struct ip_address *address)
{
    const struct rib_route *best = NULL;

    for (unsigned i = 0; i < model->n; i++) {
        const struct rib_route *route = &model->routes[i];
        if (route->prefix.family == family && ip_matches(&route->prefix, address)
            && (!best || route->prefix.len > best->prefix.len)) {
            best = route;
        }
    }
    return best ? best->via : 0;
}

static void
check(struct model *model, const struct ip_prefix *about)
{
    assert_int_equal(model->rib.n_routes, model->n);
    assert_int_equal(model->fib.ipv4.n_prefixes + model->fib.ipv6.n_prefixes, model->n);
    for (unsigned i = 0; i < LOOKUPS; i++) {
        const struct ip_prefix *prefix = i && model->n
            ? &model->routes[draw(&model->random, model->n)].prefix : about;
        const struct ip_address address = address_near(&model->random, prefix, prefix->family);
        assert_int_equal(fib_lookup(&model->fib, prefix->family, &address),
                         list_lookup(model, prefix->family, &address));
    }
}

static struct rib_route
draw_route(struct model *model)
{
    struct rib_route route = { .source = SOURCE, .via = 1 + model->n };

    do {
        draw_prefix(&model->random, draw(&model->random, 2) ? IP_V4 : IP_V6, &route.prefix);
    } while (rib_get(&model->rib, &route.prefix, SOURCE));
    return route;
}

/* Returns how many tries have failed. */
static unsigned
put_at_last(struct model *model)
{
    const struct rib_route route = draw_route(model);

    for (unsigned nth = 1;; nth++) {
        scarce_from(nth);
        int error = rib_put(&model->rib, &route);
        scarce_end();
        if (!error) {
            model->routes[model->n++] = route;
            check(model, &route.prefix);
            return nth - 1;
        }
        assert_int_equal(error, ENOMEM);
        assert_true(scarce.failed);
        check(model, &route.prefix);
    }
}

/* That cannot fail. */
static void
take_out(struct model *model, unsigned i)
{
    const struct ip_prefix prefix = model->routes[i].prefix;

    scarce_from(1 + draw(&model->random, 3));
    assert_int_equal(rib_remove(&model->rib, &prefix, SOURCE), 0);
    scarce_end();
    model->routes[i] = model->routes[--model->n];
    check(model, &prefix);
}

static void
test_a_route_without_memory_has_not_been_tried(void **state)
{
    static struct model model;
    const size_t n_used = scarce.n_used;
    unsigned n_failed = 0;

    (void) state;
    model.random = 1;
    epoch_init(&model.epoch);
    fib_open(&model.fib, &model.epoch);
    rib_open(&model.rib, &(const struct rib_ops) { .best_changed = best_changed, .context = &model });
    for (unsigned i = 1; i <= ROUTES; i++) {
        n_failed += put_at_last(&model);
        if (i % 7 == 0) {
            take_out(&model, draw(&model.random, model.n));
        }
    }
    assert_true(n_failed >= 8);         /* Trees, chunks, routes, slots. */
    while (model.n) {
        take_out(&model, draw(&model.random, model.n));
    }
    rib_close(&model.rib);
    fib_close(&model.fib);
    epoch_close(&model.epoch);
    assert_int_equal(scarce.n_used, n_used);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_route_without_memory_has_not_been_tried),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
