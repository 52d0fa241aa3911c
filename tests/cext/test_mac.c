/* MAC addresses by VLAN: learned, moved, aged, flushed. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mac.h"

enum { NOW = 1000 };

static int
set_up(void **state)
{
    *state = malloc(sizeof(struct mac_table));
    return mac_open(*state);
}

static int
tear_down(void **state)
{
    mac_close(*state);
    free(*state);
    return 0;
}

static void
an_address_is_known_by_vlan(void **state)
{
    mac_learn(*state, 5, 0x22, 3, NOW);
    assert_int_equal(mac_lookup(*state, 5, 0x22, NOW), 3);
    assert_int_equal(mac_lookup(*state, 0, 0x22, NOW), 0);
    assert_int_equal(mac_lookup(*state, 5, 0x23, NOW), 0);
}

static void
an_address_moves_and_ages(void **state)
{
    mac_learn(*state, 0, 0x22, 3, NOW);
    mac_learn(*state, 0, 0x22, 4, NOW + 1);
    assert_int_equal(mac_lookup(*state, 0, 0x22, NOW + MAC_AGEING_MS), 4);
    assert_int_equal(mac_lookup(*state, 0, 0x22, NOW + 1 + MAC_AGEING_MS), 0);
}

static void
group_addresses_are_not_learned(void **state)
{
    mac_learn(*state, 0, 0x010000000001, 3, NOW);
    assert_int_equal(mac_lookup(*state, 0, 0x010000000001, NOW), 0);
    assert_int_equal(mac_flush(*state, 0, NOW), 0);
}

static void
ports_are_flushed_apart_or_together(void **state)
{
    for (unsigned i = 0; i < 30; i++) {
        mac_learn(*state, 0, 0x100 + i, 1 + i % 3, NOW);
    }
    assert_int_equal(mac_flush(*state, 2, NOW), 10);
    assert_int_equal(mac_lookup(*state, 0, 0x101, NOW), 0);
    assert_int_equal(mac_lookup(*state, 0, 0x100, NOW), 1);
    assert_int_equal(mac_flush(*state, 0, NOW), 20);
    assert_int_equal(mac_lookup(*state, 0, 0x100, NOW), 0);
}

static void
see(const struct mac_entry *entry, void *seen)
{
    *(struct mac_entry *)seen = *entry;
}

static void
entries_are_shown(void **state)
{
    struct mac_entry seen = { 0 };

    mac_learn(*state, 100, 0x0200000000ab, 7, NOW);
    mac_each(*state, NOW + 2000, see, &seen);
    assert_true(seen.address == 0x0200000000ab);
    assert_int_equal(seen.vlan, 100);
    assert_int_equal(seen.port, 7);
    assert_int_equal(seen.age_ms, 2000);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_address_is_known_by_vlan),
        TEST(an_address_moves_and_ages),
        TEST(group_addresses_are_not_learned),
        TEST(ports_are_flushed_apart_or_together),
        TEST(entries_are_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
