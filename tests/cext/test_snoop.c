/* Who has joined which multicast groups: IGMP and MLD as heard by who snoops (RFC 4541). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "csum.h"
#include "headers.h"
#include "snoop.h"

enum { NOW = 1000000, VLAN = 7, MAX_GROUPS = 8 };

#define MAC UINT64_C(0x020000000005)

#define GROUP UINT32_C(0xef010203)      /* 239.1.2.3 */
#define ROUTER UINT32_C(0x0a000001)

struct bytes {
    size_t len;
    uint8_t data[256];
};

static int
set_up(void **state)
{
    struct snoop *snoop = malloc(sizeof *snoop);

    snoop_open(snoop, MAX_GROUPS);
    *state = snoop;
    return 0;
}

static int
tear_down(void **state)
{
    snoop_close(*state);
    free(*state);
    return 0;
}

/* An IPv4 packet with 'n' bytes of IGMP, whose checksum is filled in. */
static struct bytes
igmp(uint32_t source, uint32_t to, const uint8_t *message, size_t n)
{
    struct bytes b = { .len = IPV4_SIZE + n };
    uint8_t *at = b.data + IPV4_SIZE;

    b.data[0] = 0x45;
    put_be16(b.data + 2, (uint16_t)b.len);
    b.data[8] = 1;
    b.data[9] = 2;
    put_be32(b.data + 12, source);
    put_be32(b.data + 16, to);
    memcpy(at, message, n);
    put_be16(at + 2, 0);
    uint16_t sum = csum_fold(csum_add(0, at, n));
    memcpy(at + 2, &sum, 2);
    csum_ipv4(b.data);
    return b;
}

/* A message of eight bytes about a group. */
static struct bytes
igmp_about(uint8_t type, uint8_t code, uint32_t source, uint32_t group)
{
    uint8_t message[8] = { type, code };

    put_be32(message + 4, group);
    return igmp(source, group ? group : 0xe0000001, message, sizeof message);
}

/* A report of IGMPv3 with one record. */
static struct bytes
igmp_3(uint8_t kind, uint32_t group, unsigned n_sources)
{
    uint8_t message[64] = { 0x22, 0, 0, 0, 0, 0, 0, 1, kind, 0, 0, (uint8_t)n_sources };

    put_be32(message + 12, group);
    return igmp(0x0a000009, 0xe0000016, message, 16 + n_sources * 4);
}

/* An IPv6 packet with 'n' bytes of MLD behind a router alert. */
static struct bytes
mld(const uint8_t *message, size_t n)
{
    struct bytes b = { .len = IPV6_SIZE + 8 + n };
    static const uint8_t alert[8] = { 58, 0, 5, 2, 0, 0, 1, 0 };
    uint8_t *at = b.data + IPV6_SIZE + 8;

    b.data[0] = 0x60;
    put_be16(b.data + 4, (uint16_t)(8 + n));
    b.data[7] = 1;
    put_be16(b.data + 8, 0xfe80);
    b.data[23] = 9;
    put_be16(b.data + 24, 0xff02);
    b.data[39] = 0x16;
    memcpy(b.data + IPV6_SIZE, alert, sizeof alert);
    memcpy(at, message, n);
    put_be16(at + 2, 0);
    uint16_t sum = csum_fold(csum_add(csum_add_pseudo(0, b.data, 58, (uint32_t)n), at, n));
    memcpy(at + 2, &sum, 2);
    return b;
}

static void
hear_as(void **state, unsigned port, bool leaves_at_once, struct bytes b, uint64_t now_ms)
{
    /* Where a byte too far is seen by the sanitizer. */
    uint8_t *copy = malloc(b.len);

    memcpy(copy, b.data, b.len);
    snoop_hear(*state, VLAN, port, leaves_at_once, copy, b.len, now_ms);
    free(copy);
}

#define HEAR(PORT, BYTES, AT) hear_as(state, PORT, false, BYTES, NOW + (AT))

/* The ports with members of a group, or with routers (family 0), as decimal digits. */
static unsigned
ports_of(void **state, uint8_t family, struct ip_address address)
{
    const struct snoop_group group = { address, VLAN, family };
    const struct snoop_entry *entry = snoop_find(*state, &group);
    unsigned digits = 0;

    for (uint32_t i = 0; entry && i < entry->n; i++) {
        digits = digits * 10 + entry->ports[i].port;
    }
    return digits;
}

#define MEMBERS() ports_of(state, IP_V4, ip_from_v4(GROUP))
#define ROUTERS() ports_of(state, 0, ip_from_v4(0))

static void
advance(void **state, uint64_t ms)
{
    snoop_advance(*state, NOW + ms);
}

static void
reports_join_for_a_time(void **state)
{
    HEAR(1, igmp_about(0x16, 0, 9, GROUP), 0);
    HEAR(2, igmp_about(0x12, 0, 9, GROUP), 1000);
    assert_int_equal(MEMBERS(), 12);
    advance(state, SNOOP_MS - 1);
    assert_int_equal(MEMBERS(), 12);
    advance(state, SNOOP_MS);
    assert_int_equal(MEMBERS(), 2);
    HEAR(2, igmp_about(0x16, 0, 9, GROUP), SNOOP_MS);
    advance(state, 2 * SNOOP_MS - 1);
    assert_int_equal(MEMBERS(), 2);
    advance(state, 2 * SNOOP_MS);
    assert_int_equal(MEMBERS(), 0);
}

/* RFC 3376, section 4.2.12: what each kind of record says. */
static void
records_of_version_3_join_and_leave(void **state)
{
    static const struct {
        uint8_t kind;
        unsigned n_sources;
        bool joins;
    } cases[] = {
        { 1, 0, false }, { 1, 2, true }, { 2, 0, true }, { 2, 1, true }, { 3, 1, true },
        { 4, 0, true }, { 5, 1, true }, { 6, 1, false },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        HEAR(1, igmp_3(cases[i].kind, GROUP, cases[i].n_sources), 0);
        assert_int_equal(MEMBERS(), cases[i].joins);
        snoop_forget(*state, 1);
    }
    HEAR(1, igmp_3(4, GROUP, 0), 0);
    hear_as(state, 1, true, igmp_3(3, GROUP, 0), NOW);
    assert_int_equal(MEMBERS(), 0);
}

static void
a_leave_waits_for_the_querier_unless_the_port_is_one_hosts(void **state)
{
    HEAR(1, igmp_about(0x16, 0, 9, GROUP), 0);
    HEAR(2, igmp_about(0x16, 0, 9, GROUP), 0);
    HEAR(1, igmp_about(0x17, 0, 9, GROUP), 10);
    advance(state, 60000);
    assert_int_equal(MEMBERS(), 12);
    hear_as(state, 1, true, igmp_about(0x17, 0, 9, GROUP), NOW + 60000);
    assert_int_equal(MEMBERS(), 2);
}

/* RFC 4541, section 2.1.1: who does not answer a query about the group is gone. */
static void
a_query_about_a_group_shortens_it(void **state)
{
    HEAR(1, igmp_about(0x16, 0, 9, GROUP), 0);
    HEAR(2, igmp_about(0x16, 0, 9, GROUP), 0);
    HEAR(4, igmp_about(0x11, 10, ROUTER, GROUP), 100);
    HEAR(2, igmp_about(0x16, 0, 9, GROUP), 500);
    advance(state, 100 + 2000 - 1);
    assert_int_equal(MEMBERS(), 12);
    advance(state, 100 + 2000);
    assert_int_equal(MEMBERS(), 2);
}

static void
queries_with_an_address_and_pim_tell_of_routers(void **state)
{
    struct bytes pim = igmp_about(0x20, 0, ROUTER, 0);

    HEAR(3, igmp_about(0x11, 100, 0, 0), 0);
    assert_int_equal(ROUTERS(), 0);
    HEAR(4, igmp_about(0x11, 100, ROUTER, 0), 0);
    assert_int_equal(ROUTERS(), 4);
    pim.data[9] = 103;
    HEAR(5, pim, 0);
    assert_int_equal(ROUTERS(), 45);
    advance(state, SNOOP_ROUTER_MS);
    assert_int_equal(ROUTERS(), 0);
}

static void
groups_of_the_link_are_not_joined(void **state)
{
    HEAR(1, igmp_about(0x16, 0, 9, 0xe00000fb), 0);
    HEAR(1, igmp_about(0x16, 0, 9, 0x0a000001), 0);
    assert_int_equal(((struct snoop *)*state)->n, 0);
}

static void
what_is_cut_or_has_a_wrong_sum_says_nothing(void **state)
{
    struct snoop *snoop = *state;
    struct bytes wrong = igmp_about(0x16, 0, 9, GROUP), whole = igmp_3(2, GROUP, 3);
    uint64_t malformed = 0;

    wrong.data[IPV4_SIZE + 7] ^= 1;
    HEAR(1, wrong, 0);
    assert_int_equal(snoop->malformed, ++malformed);
    for (size_t len = 0; len < whole.len; len++) {
        struct bytes cut = whole;
        cut.len = len;
        HEAR(1, cut, 0);
        assert_int_equal(snoop->malformed, ++malformed);
    }
    assert_int_equal(snoop->n, 0);
}

static void
mld_is_told_apart(void **state)
{
    static const uint8_t group[16] = { 0xff, 0x05, [15] = 0x42 };
    uint8_t done[24] = { 132 }, report[28] = { 143, 0, 0, 0, 0, 0, 0, 1, 4 };
    const struct ip_address address = ip_read(IP_V6, group);

    memcpy(done + 8, group, 16);
    memcpy(report + 12, group, 16);
    hear_as(state, 1, true, mld(report, sizeof report), NOW);
    assert_int_equal(ports_of(state, IP_V6, address), 1);
    struct bytes routed = mld(report, sizeof report);
    routed.data[7] = 64;                        /* Not from this link. */
    hear_as(state, 2, true, routed, NOW);
    assert_int_equal(ports_of(state, IP_V6, address), 1);
    hear_as(state, 1, true, mld(done, sizeof done), NOW);
    assert_int_equal(ports_of(state, IP_V6, address), 0);
}

static void
there_is_room_for_so_many_groups(void **state)
{
    struct snoop *snoop = *state;

    for (unsigned i = 0; i < MAX_GROUPS + 3; i++) {
        HEAR(1, igmp_about(0x16, 0, 9, GROUP + i), 0);
    }
    assert_int_equal(snoop->n, MAX_GROUPS);
    assert_int_equal(snoop->refused, 3);
    snoop_forget(snoop, 1);
    assert_int_equal(snoop->n, 0);
}

/* What the querier sends is a query to who hears it, and another querier silences it. */
static void
the_querier_asks_unless_another_does(void **state)
{
    struct snoop *snoop = *state, other;
    uint8_t frame[SNOOP_QUERY_MAX];

    assert_false(snoop_asks(snoop, NOW));
    snoop->querier = true;
    assert_true(snoop_asks(snoop, NOW));
    assert_false(snoop_asks(snoop, NOW + SNOOP_QUERY_MS / 4 - 1));
    assert_true(snoop_asks(snoop, NOW + SNOOP_QUERY_MS / 4));
    snoop_open(&other, MAX_GROUPS);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t family = i ? IP_V6 : IP_V4;
        const struct snoop_group all = { .vlan = VLAN, .family = family };
        size_t size = snoop_query(snoop, &all, MAC, NOW, frame);
        assert_int_equal(snoop_kind(frame + ETH_SIZE, size - ETH_SIZE), SNOOP_QUERY);
        snoop_hear(&other, VLAN, 4, false, frame + ETH_SIZE, size - ETH_SIZE, NOW);
    }
    assert_int_equal(other.malformed, 0);
    assert_int_equal(other.others_ms[0], 0);            /* It has no address. */
    assert_int_equal(other.others_ms[1], NOW + SNOOP_ROUTER_MS);
    snoop_close(&other);
    const struct snoop_group all = { .vlan = VLAN, .family = IP_V4 };
    HEAR(4, igmp_about(0x11, 100, ROUTER, 0), 0);
    assert_int_equal(snoop_query(snoop, &all, MAC, NOW, frame), 0);
    assert_int_not_equal(snoop_query(snoop, &all, MAC, NOW + SNOOP_ROUTER_MS, frame),
                         0);
}

static void
the_querier_asks_about_a_group_that_was_left(void **state)
{
    struct snoop *snoop = *state, other;
    uint8_t frame[SNOOP_QUERY_MAX];

    snoop->querier = true;
    snoop_open(&other, MAX_GROUPS);
    HEAR(1, igmp_about(0x16, 0, 9, GROUP), 0);
    HEAR(1, igmp_about(0x17, 0, 9, GROUP), 0);
    assert_int_equal(snoop->n_left, 1);
    size_t size = snoop_query(snoop, &snoop->left[0], MAC, NOW, frame);
    struct bytes report = igmp_about(0x16, 0, 9, GROUP);
    snoop_hear(&other, VLAN, 1, false, report.data, report.len, NOW);
    snoop_hear(&other, VLAN, 4, false, frame + ETH_SIZE, size - ETH_SIZE, NOW);
    snoop_advance(&other, NOW + 2000);
    assert_int_equal(other.n, 0);
    snoop_close(&other);
    advance(state, 2000);
    assert_int_equal(MEMBERS(), 0);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reports_join_for_a_time),
        TEST(records_of_version_3_join_and_leave),
        TEST(a_leave_waits_for_the_querier_unless_the_port_is_one_hosts),
        TEST(a_query_about_a_group_shortens_it),
        TEST(queries_with_an_address_and_pim_tell_of_routers),
        TEST(groups_of_the_link_are_not_joined),
        TEST(what_is_cut_or_has_a_wrong_sum_says_nothing),
        TEST(mld_is_told_apart),
        TEST(there_is_room_for_so_many_groups),
        TEST(the_querier_asks_unless_another_does),
        TEST(the_querier_asks_about_a_group_that_was_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
