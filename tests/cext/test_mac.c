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

struct macs {
    struct mac_table table;     /* First: what tests pass on. */
    struct epoch epoch;
};

static int
set_up(void **state)
{
    struct macs *macs = aligned_alloc(64, (sizeof *macs + 63) & ~(size_t)63);

    epoch_init(&macs->epoch);
    *state = macs;
    return mac_open(&macs->table);
}

static int
tear_down(void **state)
{
    struct macs *macs = *state;

    epoch_close(&macs->epoch);
    mac_close(&macs->table);
    free(macs);
    return 0;
}

#define EPOCH (&((struct macs *)*state)->epoch)

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
    assert_int_equal(mac_flush(*state, 0, MAC_ANY_VLAN, NOW), 0);
}

static void
ports_are_flushed_apart_or_together(void **state)
{
    for (unsigned i = 0; i < 30; i++) {
        mac_learn(*state, 0, 0x100 + i, 1 + i % 3, NOW);
    }
    assert_int_equal(mac_flush(*state, 2, MAC_ANY_VLAN, NOW), 10);
    assert_int_equal(mac_lookup(*state, 0, 0x101, NOW), 0);
    assert_int_equal(mac_lookup(*state, 0, 0x100, NOW), 1);
    assert_int_equal(mac_flush(*state, 0, MAC_ANY_VLAN, NOW), 20);
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

static void
vlans_are_flushed_apart(void **state)
{
    mac_learn(*state, 7, 0x22, 3, NOW);
    mac_learn(*state, 8, 0x22, 3, NOW);
    mac_learn(*state, 8, 0x24, 4, NOW);
    assert_int_equal(mac_flush(*state, 3, 8, NOW), 1);
    assert_int_equal(mac_lookup(*state, 8, 0x22, NOW), 0);
    assert_int_equal(mac_lookup(*state, 7, 0x22, NOW), 3);
    assert_int_equal(mac_flush(*state, 0, 8, NOW), 1);
    assert_int_equal(mac_lookup(*state, 7, 0x22, NOW), 3);
}

static void
what_learning_changes_is_told(void **state)
{
    assert_int_equal(mac_learn(*state, 0, 0x22, 3, NOW), MAC_NEW);
    assert_int_equal(mac_learn(*state, 0, 0x22, 3, NOW), MAC_KNOWN);
    assert_int_equal(mac_learn(*state, 0, 0x22, 4, NOW), MAC_MOVED);
    assert_int_equal(mac_learn(*state, 0, 0x010000000022, 4, NOW), MAC_KNOWN);
    assert_int_equal(mac_learn(*state, 0, 0x22, 4, NOW + MAC_AGEING_MS), MAC_NEW);
}

static void
fixed_addresses_stay_where_they_are(void **state)
{
    const struct mac_fixed fixed[] = { { 0x22, 5, 7 }, { 0x24, MAC_BLOCKED, 0 } };

    mac_learn(*state, 7, 0x22, 3, NOW);
    assert_int_equal(mac_fix(*state, EPOCH, fixed, 2), 0);
    assert_int_equal(mac_lookup(*state, 7, 0x22, NOW), 5);
    assert_int_equal(mac_learn(*state, 7, 0x22, 3, NOW), MAC_KNOWN);
    assert_int_equal(mac_lookup(*state, 7, 0x22, NOW + 10 * MAC_AGEING_MS), 5);
    assert_int_equal(mac_lookup(*state, 8, 0x22, NOW), 0);
    assert_true(mac_lookup(*state, 0, 0x24, NOW) == MAC_BLOCKED);
    assert_int_equal(mac_learn(*state, 0, 0x24, 3, NOW), MAC_REFUSED);
    assert_int_equal(mac_flush(*state, 0, MAC_ANY_VLAN, NOW), 0);
    assert_int_equal(mac_fix(*state, EPOCH, NULL, 0), 0);
    assert_int_equal(mac_lookup(*state, 7, 0x22, NOW), 0);
}

static void
many_fixed_addresses_are_found(void **state)
{
    enum { N = 1000 };
    struct mac_fixed fixed[N];

    for (unsigned i = 0; i < N; i++) {
        fixed[i] = (struct mac_fixed) { 0x1000 + i * 2, 1 + i % 9, (uint16_t)(i % 4096) };
    }
    assert_int_equal(mac_fix(*state, EPOCH, fixed, N), 0);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(mac_lookup(*state, (uint16_t)(i % 4096), 0x1000 + i * 2, NOW), 1 + i % 9);
        assert_int_equal(mac_lookup(*state, (uint16_t)(i % 4096), 0x1001 + i * 2, NOW), 0);
    }
}

static void
another_size_and_age_keep_what_was_learned(void **state)
{
    enum { MANY = 30000 };

    mac_learn(*state, 0, 0x22, 3, NOW);
    assert_int_equal(mac_configure(*state, EPOCH, MANY, 5000, NOW + 1), 0);
    assert_int_equal(mac_lookup(*state, 0, 0x22, NOW + 4999), 3);
    assert_int_equal(mac_lookup(*state, 0, 0x22, NOW + 5000), 0);
    for (unsigned i = 0; i < MANY; i++) {
        mac_learn(*state, 0, 0x1000 + i, 4, NOW + 1);
    }
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(mac_lookup(*state, 0, 0x1000 + i, NOW + 1), 4);
    }
    assert_int_equal(mac_configure(*state, EPOCH, MANY, 1000, NOW + 1), 0);
    assert_int_equal(mac_lookup(*state, 0, 0x1000, NOW + 1001), 0);
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
        TEST(vlans_are_flushed_apart),
        TEST(what_learning_changes_is_told),
        TEST(fixed_addresses_stay_where_they_are),
        TEST(many_fixed_addresses_are_found),
        TEST(another_size_and_age_keep_what_was_learned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
