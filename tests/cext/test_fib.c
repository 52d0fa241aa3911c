/* FIB (P4): the longest prefix against a linear search, through random changes; what is bounded; what is
 * given back. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fib.h"
#include "routes.h"

enum { MODEL = 600, LOOKUPS = 200 };

struct model {
    struct epoch epoch;
    struct fib fib;
    uint64_t random;
    unsigned n;
    struct route {
        struct ip_prefix prefix;
        uint32_t value;
    } routes[MODEL];
};

static int
set_up(void **state)
{
    struct model *model = aligned_alloc(64, (sizeof *model + 63) & ~(size_t) 63);

    memset(model, 0, sizeof *model);
    model->random = 1;
    epoch_init(&model->epoch);
    fib_open(&model->fib, &model->epoch);
    *state = model;
    return 0;
}

static int
tear_down(void **state)
{
    struct model *model = *state;

    fib_close(&model->fib);
    epoch_close(&model->epoch);
    free(model);
    return 0;
}

/* --- The linear search -------------------------------------------------------------------------- */

static uint32_t
list_lookup(const struct model *model, uint8_t family, const struct ip_address *address)
{
    const struct route *best = NULL;

    for (unsigned i = 0; i < model->n; i++) {
        const struct route *route = &model->routes[i];
        if (route->prefix.family == family && ip_matches(&route->prefix, address)
            && (!best || route->prefix.len > best->prefix.len)) {
            best = route;
        }
    }
    return best ? best->value : 0;
}

static struct route *
list_find(struct model *model, const struct ip_prefix *prefix)
{
    for (unsigned i = 0; i < model->n; i++) {
        if (same_prefix(&model->routes[i].prefix, prefix)) {
            return &model->routes[i];
        }
    }
    return NULL;
}

/* One at the edge of a prefix, or beside it, or anywhere. */
static struct ip_address
draw_address(struct model *model, uint8_t family)
{
    struct ip_prefix prefix;

    if (!model->n || draw(&model->random, 10) == 0) {
        draw_prefix(&model->random, family, &prefix);
    } else {
        prefix = model->routes[draw(&model->random, model->n)].prefix;
    }
    return address_near(&model->random, &prefix, family);
}

static void
check_lookups(struct model *model)
{
    uint32_t ipv4[LOOKUPS], values[LOOKUPS];
    struct ip_address ipv6[LOOKUPS];
    const unsigned n = 1 + draw(&model->random, LOOKUPS);

    for (unsigned i = 0; i < n; i++) {
        ipv4[i] = (uint32_t) draw_address(model, IP_V4).word[1];
        ipv6[i] = draw_address(model, IP_V6);
    }
    fib_lookup_ipv4(&model->fib, ipv4, n, values);
    for (unsigned i = 0; i < n; i++) {
        const struct ip_address address = ip_from_v4(ipv4[i]);
        assert_int_equal(values[i], list_lookup(model, IP_V4, &address));
    }
    fib_lookup_ipv6(&model->fib, ipv6, n, values);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(values[i], list_lookup(model, IP_V6, &ipv6[i]));
    }
}

static void
check_counts(const struct model *model)
{
    size_t n_ipv4 = 0;

    for (unsigned i = 0; i < model->n; i++) {
        n_ipv4 += model->routes[i].prefix.family == IP_V4;
    }
    assert_int_equal(model->fib.ipv4.n_prefixes, n_ipv4);
    assert_int_equal(model->fib.ipv6.n_prefixes, model->n - n_ipv4);
}

static void
put(struct model *model, const struct ip_prefix *prefix, uint32_t value)
{
    struct route *route = list_find(model, prefix);

    assert_int_equal(fib_get(&model->fib, prefix), route ? route->value : 0);
    assert_int_equal(fib_put(&model->fib, prefix, value), 0);
    assert_int_equal(fib_get(&model->fib, prefix), value);
    if (!route) {
        route = &model->routes[model->n++];
        route->prefix = *prefix;
    }
    route->value = value;
}

static void
take_out(struct model *model, unsigned i)
{
    const struct route route = model->routes[i];

    assert_int_equal(fib_remove(&model->fib, &route.prefix), route.value);
    assert_int_equal(fib_get(&model->fib, &route.prefix), 0);
    assert_int_equal(fib_remove(&model->fib, &route.prefix), 0);
    model->routes[i] = model->routes[--model->n];
}

static void
change(struct model *model, unsigned wanted)
{
    struct ip_prefix prefix;

    if (model->n && (model->n == MODEL || draw(&model->random, 2 * wanted) < model->n)) {
        take_out(model, draw(&model->random, model->n));
        return;
    }
    draw_prefix(&model->random, draw(&model->random, 2) ? IP_V4 : IP_V6, &prefix);
    put(model, &prefix, 1 + draw(&model->random, FIB_MAX_VALUE));
}

/* --- Tests -------------------------------------------------------------------------------------- */

static void
test_lookups_agree_with_a_linear_search_through_random_changes(void **state)
{
    struct model *model = *state;

    for (unsigned round = 0; round < 200; round++) {
        for (unsigned i = 0; i < 100; i++) {
            change(model, round % 40 < 20 ? MODEL / 2 : 20);
        }
        epoch_advance(&model->epoch);
        epoch_reclaim(&model->epoch);
        check_lookups(model);
        check_counts(model);
    }
    while (model->n) {
        take_out(model, draw(&model->random, model->n));
    }
    check_lookups(model);
    check_counts(model);
}

/* A longer prefix keeps its addresses whatever is done to the shorter ones, and the other way round. */
static void
test_all_lengths_of_one_address_in_any_order(void **state)
{
    struct model *model = *state;
    const struct ip_address of[] = { ip_from_v4(0xc0a8a55a),
                                     { { 0x20010db8a55a5aa5, 0x123456789abcdef0 } } };

    for (unsigned i = 0; i < 2; i++) {
        const uint8_t family = i ? IP_V6 : IP_V4;
        const unsigned bits = ip_bits(family);
        for (unsigned j = 0; j <= bits; j++) {
            struct ip_prefix prefix = cut_prefix(family, &of[i], (j * 5 + 3) % (bits + 1));
            put(model, &prefix, 100 + prefix.len);
            check_lookups(model);
        }
        for (unsigned j = 0; j <= bits; j++) {
            struct ip_prefix prefix = cut_prefix(family, &of[i], (j * 7 + 1) % (bits + 1));
            take_out(model, (unsigned) (list_find(model, &prefix) - model->routes));
            check_lookups(model);
        }
    }
    assert_int_equal(model->n, 0);
}

static void
test_what_is_no_prefix_or_no_value_changes_nothing(void **state)
{
    struct model *model = *state;
    const struct ip_prefix bad[] = {
        { ip_from_v4(1), IP_V4, 24 }, { ip_from_v4(0), IP_V4, 33 }, { ip_from_v4(0), 5, 8 },
        { { { 1, 0 } }, IP_V4, 32 }, { { { 0, 1 } }, IP_V6, 127 }, { { { 0, 0 } }, IP_V6, 129 },
    };
    const struct ip_prefix good = { ip_from_v4(0x0a000000), IP_V4, 8 };

    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(fib_put(&model->fib, &bad[i], 1), EINVAL);
        assert_int_equal(fib_get(&model->fib, &bad[i]), 0);
        assert_int_equal(fib_remove(&model->fib, &bad[i]), 0);
    }
    assert_int_equal(fib_put(&model->fib, &good, 0), EINVAL);
    assert_int_equal(fib_put(&model->fib, &good, FIB_MAX_VALUE + 1u), EINVAL);
    assert_int_equal(fib_put(&model->fib, &good, FIB_MAX_VALUE), 0);
    assert_int_equal(fib_get(&model->fib, &good), FIB_MAX_VALUE);
    assert_int_equal(fib_memory(&model->fib) > 0, 1);
}

static void
test_an_empty_one_and_a_default_route_take_no_memory(void **state)
{
    struct model *model = *state;

    put(model, &(struct ip_prefix) { .family = IP_V4 }, 7);
    put(model, &(struct ip_prefix) { .family = IP_V6 }, 8);
    check_lookups(model);
    assert_int_equal(fib_memory(&model->fib), 0);
}

/* Nodes come back when no reader can see them any more, and are used again. */
static void
test_memory_does_not_grow_by_routes_that_come_and_go(void **state)
{
    struct model *model = *state;
    size_t before = 0;

    for (unsigned round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < 3000; i++) {
            const struct ip_prefix host = { ip_from_v4(i << 13), IP_V4, 32 };
            assert_int_equal(fib_put(&model->fib, &host, 1 + i), 0);
        }
        before = before ? before : fib_memory(&model->fib);
        assert_int_equal(fib_memory(&model->fib), before);
        for (uint32_t i = 0; i < 3000; i++) {
            const struct ip_prefix host = { ip_from_v4(i << 13), IP_V4, 32 };
            assert_int_equal(fib_remove(&model->fib, &host), 1 + i);
        }
        assert_int_equal(model->fib.ipv4.n_prefixes, 0);
        epoch_advance(&model->epoch);
        epoch_reclaim(&model->epoch);
    }
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lookups_agree_with_a_linear_search_through_random_changes),
        TEST(test_all_lengths_of_one_address_in_any_order),
        TEST(test_what_is_no_prefix_or_no_value_changes_nothing),
        TEST(test_an_empty_one_and_a_default_route_take_no_memory),
        TEST(test_memory_does_not_grow_by_routes_that_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
