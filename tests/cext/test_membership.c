/* Membership: RFC 2236, RFC 3376, RFC 3810, RFC 4541, with the section named.  MLD is the same machine, so most
 * cases run over both. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "membership.h"
#include "membership_packets.h"

enum { START = 1000000, GROUP = 7, PORT = 3, OTHER_PORT = 4, QUERIES = 8 };

struct rig {
    struct membership membership;
    uint64_t now;
    unsigned n_sent, n_changed;
    struct {
        uint32_t port;
        uint8_t packet[MEMBERSHIP_QUERY_MAX];
        size_t len;
    } sent[QUERIES];                    /* At their number modulo QUERIES. */
};

static void
note_sent(void *rig_, uint32_t port, uint8_t family, const uint8_t *packet, size_t len)
{
    struct rig *rig = rig_;
    unsigned i = rig->n_sent++ % QUERIES;

    assert_int_equal(packet[0] >> 4, family);
    rig->sent[i].port = port;
    rig->sent[i].len = len;
    memcpy(rig->sent[i].packet, packet, len);
}

static void
note_changed(void *rig, uint8_t family, const struct ip_address *group)
{
    (void)family;
    (void)group;
    ((struct rig *)rig)->n_changed++;
}

static const struct membership_owner owner = { note_sent, note_changed };

static struct ip_address
own_address(uint8_t family)
{
    return family == IP_V4 ? ip_from_v4(0x0a000005)
                           : (struct ip_address) { { UINT64_C(0xfe80) << 48, 5 } };
}

static int
open_rig(void **state, bool is_querier)
{
    struct membership_config config = membership_defaults;
    struct rig *rig = calloc(1, sizeof *rig);

    *state = rig;
    config.is_querier = is_querier;
    rig->now = START;
    membership_open(&rig->membership, &config, &owner, rig, START);
    for (uint8_t family = IP_V4; family <= IP_V6; family += 2) {
        struct ip_address source = own_address(family);
        membership_set_source(&rig->membership, family, &source);
    }
    return 0;
}

static int
set_up(void **state)
{
    return open_rig(state, false);
}

static int
set_up_querier(void **state)
{
    return open_rig(state, true);
}

static int
tear_down(void **state)
{
    struct rig *rig = *state;

    membership_close(&rig->membership);
    assert_int_equal(rig->membership.n_members + rig->membership.wheel.n_running, 0);
    free(rig);
    return 0;
}

static void
pass(struct rig *rig, uint64_t ms)
{
    for (uint64_t end = rig->now + ms; rig->now < end;) {
        rig->now += 10;
        membership_advance(&rig->membership, rig->now);
    }
}

static enum membership_verdict
receive(struct rig *rig, uint32_t port, struct frame *f)
{
    membership_finish(f);
    return membership_receive(&rig->membership, port, f->data, f->len, rig->now);
}

/* A report of version 3 of sources whose bits are set. */
static void
report(struct rig *rig, uint32_t port, uint8_t family, uint8_t change, unsigned sources)
{
    struct frame f;

    membership_report(&f, family);
    membership_add_record(&f, family, change, membership_group_at(family, GROUP), 0);
    put_be16(f.data + (family == IP_V4 ? MEMBERSHIP_V4_AT : MEMBERSHIP_V6_AT) + 10,
             (uint16_t)__builtin_popcount(sources));
    for (unsigned i = 0; i < 8; i++) {
        if (sources >> i & 1) {
            membership_add_address(&f, family, membership_source_at(family, i));
        }
    }
    assert_int_equal(receive(rig, port, &f), MEMBERSHIP_REPORT);
}

static void
old_message(struct rig *rig, uint32_t port, uint8_t family, uint8_t type)
{
    struct frame f;

    membership_old(&f, family, type, membership_group_at(family, GROUP));
    assert_int_equal(receive(rig, port, &f), MEMBERSHIP_REPORT);
}

/* A query of somebody else, for a group (0: all), from the last byte of an address. */
static void
query(struct rig *rig, uint32_t port, uint8_t family, unsigned from, unsigned group)
{
    struct membership_query message = {
        .family = family, .version = 3, .robustness = 2, .interval_ms = 60000,
        .response_ms = group ? 1000 : 10000,
    };
    uint8_t packet[MEMBERSHIP_QUERY_MAX];
    size_t n;

    message.from = own_address(family);
    message.from.word[1] = (message.from.word[1] & ~UINT64_C(0xff)) | from;
    message.group = group ? membership_group_at(family, group) : (struct ip_address) { { 0, 0 } };
    n = membership_build(packet, &message);
    assert_int_equal(membership_receive(&rig->membership, port, packet, n, rig->now),
                     MEMBERSHIP_QUERY);
}

static const struct membership_member *
member_of(const struct rig *rig, uint8_t family, uint32_t port)
{
    struct ip_address address = membership_group_at(family, GROUP);
    const struct membership_group *group = membership_find(&rig->membership, family, &address);
    const struct membership_member *member = group ? group->members : NULL;

    while (member && member->port != port) {
        member = member->next;
    }
    return member;
}

static bool
wants(const struct rig *rig, uint32_t port, uint8_t family, unsigned source)
{
    struct ip_address group = membership_group_at(family, GROUP);
    struct ip_address from = membership_source_at(family, source);

    return membership_wants(&rig->membership, port, family, &group, &from);
}

/* --- RFC 3376, 6.4: the table of states and changes, all of it for sets of four sources ------------------ */

enum { SETS = 16 };

/* The state in terms of the RFC: INCLUDE(x), or EXCLUDE(x, y); and what is asked for. */
struct sets {
    bool exclude;
    unsigned x, y;
    unsigned asked;                     /* Q(G, ...) */
    bool asked_group;                   /* Q(G) */
    bool restarted;                     /* Group timer = GMI. */
};

static struct sets
table(bool exclude, unsigned x, unsigned y, unsigned change, unsigned b)
{
    switch (change + (exclude ? 10 : 0)) {
    case MEMBERSHIP_IS_INCLUDE:
    case MEMBERSHIP_ALLOW:
        return (struct sets) { false, x | b, 0, 0, false, false };
    case MEMBERSHIP_BLOCK:
        return (struct sets) { false, x, 0, x & b, false, false };
    case MEMBERSHIP_IS_EXCLUDE:
        return (struct sets) { true, x & b, b & ~x, 0, false, true };
    case MEMBERSHIP_TO_EXCLUDE:
        return (struct sets) { true, x & b, b & ~x, x & b, false, true };
    case MEMBERSHIP_TO_INCLUDE:
        return (struct sets) { false, x | b, 0, x & ~b, false, false };
    case 10 + MEMBERSHIP_IS_INCLUDE:
    case 10 + MEMBERSHIP_ALLOW:
        return (struct sets) { true, x | b, y & ~b, 0, false, false };
    case 10 + MEMBERSHIP_IS_EXCLUDE:
        return (struct sets) { true, b & ~y, y & b, 0, false, true };
    case 10 + MEMBERSHIP_BLOCK:
        return (struct sets) { true, x | (b & ~y), y, b & ~y, false, false };
    case 10 + MEMBERSHIP_TO_EXCLUDE:
        return (struct sets) { true, b & ~y, y & b, b & ~y, false, true };
    default:                            /* TO_INCLUDE */
        return (struct sets) { true, x | b, y & ~b, x & ~b, true, false };
    }
}

/* The sources of the queries that were sent for the group since; 'group' is set by one without. */
static unsigned
sources_asked(const struct rig *rig, unsigned since, bool *group)
{
    unsigned sources = 0;

    *group = false;
    for (unsigned i = since; i < rig->n_sent; i++) {
        struct membership_message message;

        assert_true(membership_parse(rig->sent[i % QUERIES].packet, rig->sent[i % QUERIES].len,
                                     &message));
        assert_int_equal(rig->sent[i % QUERIES].port, PORT);
        for (unsigned j = 0; j < message.n_sources; j++) {
            struct ip_address source = membership_source(message.family, message.sources, j);
            sources |= 1u << (source.word[1] & 0xff);
        }
        *group |= !message.n_sources;
    }
    return sources;
}

static void
check(struct rig *rig, uint8_t family, const struct sets *expected, unsigned since)
{
    const struct membership_member *member = member_of(rig, family, PORT);
    uint64_t whole = rig->now + 2 * 125000 + 10000, soon = rig->now + 2 * 1000;
    unsigned x = 0, y = 0;
    bool group;

    assert_int_equal(member != NULL, expected->exclude || expected->x);
    for (unsigned i = 0; member && i < member->n_sources; i++) {
        unsigned bit = 1u << (member->sources[i].address.word[1] & 0xff);

        *(member->sources[i].due_ms ? &x : &y) |= bit;
        if (expected->asked & bit) {
            assert_true(member->sources[i].due_ms <= soon);
        }
    }
    assert_int_equal(x, member ? expected->x : 0);
    assert_int_equal(y, member ? expected->y : 0);
    assert_int_equal(member && member->is_exclude, expected->exclude);
    assert_true(!expected->restarted || member->due_ms == whole);
    assert_true(!expected->asked_group || member->due_ms <= soon);
    assert_int_equal(sources_asked(rig, since, &group), expected->asked);
    assert_int_equal(group, expected->asked_group);
}

static void
check_change(struct rig *rig, uint8_t family, bool exclude, unsigned x, unsigned y)
{
    for (unsigned change = MEMBERSHIP_IS_INCLUDE; change <= MEMBERSHIP_BLOCK; change++) {
        for (unsigned b = 0; b < SETS; b++) {
            struct sets expected = table(exclude, x, y, change, b);
            unsigned since;

            if (exclude) {
                report(rig, PORT, family, MEMBERSHIP_IS_EXCLUDE, y);
                report(rig, PORT, family, MEMBERSHIP_ALLOW, x);
            } else {
                report(rig, PORT, family, MEMBERSHIP_IS_INCLUDE, x);
            }
            rig->now += 10;
            since = rig->n_sent;
            report(rig, PORT, family, change, b);
            check(rig, family, &expected, since);
            membership_remove_port(&rig->membership, PORT);
        }
    }
}

static void
every_change_does_what_the_table_of_the_rfc_says(void **state)
{
    struct rig *rig = *state;

    for (uint8_t family = IP_V4; family <= IP_V6; family += 2) {
        for (unsigned x = 0; x < SETS; x++) {
            check_change(rig, family, false, x, 0);
            for (unsigned y = 0; y < SETS; y++) {
                if (!(x & y)) {
                    check_change(rig, family, true, x, y);
                }
            }
        }
    }
}

/* --- RFC 3376, 6.2 to 6.6: timers --------------------------------------------------------------------------- */

static void
a_member_that_does_not_report_again_is_none_after_its_time(void **state)
{
    struct rig *rig = *state;
    unsigned changed;

    for (uint8_t family = IP_V4; family <= IP_V6; family += 2) {
        report(rig, PORT, family, MEMBERSHIP_IS_EXCLUDE, 0);
        report(rig, OTHER_PORT, family, MEMBERSHIP_IS_INCLUDE, 3);
        pass(rig, 2 * 125000 + 10000 - 10);
        assert_non_null(member_of(rig, family, PORT));
        assert_non_null(member_of(rig, family, OTHER_PORT));
        changed = rig->n_changed;
        pass(rig, 10);
        assert_null(member_of(rig, family, PORT));
        assert_null(member_of(rig, family, OTHER_PORT));
        assert_int_equal(rig->n_changed, changed + 2);
    }
}

/* 6.5: of EXCLUDE, a source whose time is over is not wanted; 6.2.2: when the group's is, those wanted are left. */
static void
exclude_becomes_include_of_what_is_still_wanted(void **state)
{
    struct rig *rig = *state;

    report(rig, PORT, IP_V4, MEMBERSHIP_IS_EXCLUDE, 0x4);
    pass(rig, 100000);
    report(rig, PORT, IP_V4, MEMBERSHIP_ALLOW, 0x1);
    pass(rig, 160000);
    assert_non_null(member_of(rig, IP_V4, PORT));
    assert_false(member_of(rig, IP_V4, PORT)->is_exclude);
    assert_int_equal(member_of(rig, IP_V4, PORT)->n_sources, 1);
    report(rig, PORT, IP_V4, MEMBERSHIP_TO_EXCLUDE, 0x1);
    pass(rig, 100000);
    report(rig, PORT, IP_V4, MEMBERSHIP_IS_EXCLUDE, 0x1);
    pass(rig, 5000);
    assert_int_equal(member_of(rig, IP_V4, PORT)->sources[0].due_ms, 0);
    assert_true(member_of(rig, IP_V4, PORT)->is_exclude);
}

/* 6.6.3.1: asked Last Member Query Count times, and gone after Last Member Query Time. */
static void
after_a_leave_it_is_asked_twice_and_gone_after_two_seconds(void **state)
{
    struct rig *rig = *state;

    for (uint8_t family = IP_V4; family <= IP_V6; family += 2) {
        struct membership_message message;
        unsigned before;

        old_message(rig, PORT, family, family == IP_V4 ? 0x16 : 131);
        pass(rig, 1000);
        before = rig->n_sent;
        old_message(rig, PORT, family, family == IP_V4 ? 0x17 : 132);
        assert_int_equal(rig->n_sent, before + 1);
        assert_true(membership_parse(rig->sent[before % QUERIES].packet,
                                     rig->sent[before % QUERIES].len, &message));
        assert_int_equal(message.version, 2);
        assert_int_equal(message.response_ms, 1000);
        pass(rig, 1990);
        assert_int_equal(rig->n_sent, before + 2);
        assert_non_null(member_of(rig, family, PORT));
        pass(rig, 10);
        assert_null(member_of(rig, family, PORT));
    }
}

static void
another_host_that_answers_keeps_the_group(void **state)
{
    struct rig *rig = *state;
    unsigned before;

    report(rig, PORT, IP_V4, MEMBERSHIP_IS_EXCLUDE, 0);
    report(rig, PORT, IP_V4, MEMBERSHIP_TO_INCLUDE, 0);
    pass(rig, 500);
    report(rig, PORT, IP_V4, MEMBERSHIP_IS_EXCLUDE, 0);
    before = rig->n_sent;
    pass(rig, 10000);
    assert_non_null(member_of(rig, IP_V4, PORT));
    assert_int_equal(rig->n_sent, before);
}

/* --- RFC 3376, 7.3.2: hosts of older versions ------------------------------------------------------------------ */

static void
while_an_older_host_is_there_newer_ones_do_not_end_what_it_wants(void **state)
{
    struct rig *rig = *state;

    old_message(rig, PORT, IP_V4, 0x16);
    report(rig, PORT, IP_V4, MEMBERSHIP_BLOCK, 0x3);
    report(rig, PORT, IP_V4, MEMBERSHIP_TO_EXCLUDE, 0x3);
    assert_int_equal(member_of(rig, IP_V4, PORT)->n_sources, 0);
    old_message(rig, PORT, IP_V4, 0x12);
    old_message(rig, PORT, IP_V4, 0x17);        /* Version 1 knows no leaving. */
    assert_int_equal(rig->n_sent, 0);
    pass(rig, 100000);
    report(rig, PORT, IP_V4, MEMBERSHIP_IS_EXCLUDE, 0);
    pass(rig, 160000);                          /* Now they are gone. */
    report(rig, PORT, IP_V4, MEMBERSHIP_TO_EXCLUDE, 0x3);
    assert_int_equal(member_of(rig, IP_V4, PORT)->n_sources, 2);
}

/* --- RFC 3376, 6.6.2, 8.6: who asks --------------------------------------------------------------------------- */

static void
a_querier_asks_soon_twice_and_then_every_interval(void **state)
{
    struct rig *rig = *state;
    struct membership_message message;

    pass(rig, 10);
    assert_int_equal(rig->n_sent, 2);           /* IPv4 and IPv6. */
    assert_true(membership_parse(rig->sent[0].packet, rig->sent[0].len, &message));
    assert_int_equal(rig->sent[0].port, MEMBERSHIP_ALL_PORTS);
    assert_true(message.is_query && message.group.word[1] == 0 && message.version == 3);
    pass(rig, 125000 / 4);
    assert_int_equal(rig->n_sent, 4);
    pass(rig, 124990);
    assert_int_equal(rig->n_sent, 4);
    pass(rig, 10);
    assert_int_equal(rig->n_sent, 6);
}

static void
the_lowest_address_asks_and_the_others_wait_until_it_is_gone(void **state)
{
    struct rig *rig = *state;

    pass(rig, 40000);
    assert_int_equal(rig->n_sent, 4);
    query(rig, OTHER_PORT, IP_V4, 9, 0);        /* Higher than ours: 5. */
    query(rig, OTHER_PORT, IP_V4, 2, 0);
    pass(rig, 2 * 60000 + 5000 - 10);
    assert_int_equal(rig->n_sent, 5);           /* IPv6 only. */
    pass(rig, 20);
    assert_int_equal(rig->n_sent, 6);
}

static void
who_is_none_never_asks(void **state)
{
    struct rig *rig = *state;

    report(rig, PORT, IP_V4, MEMBERSHIP_IS_EXCLUDE, 0);
    report(rig, PORT, IP_V4, MEMBERSHIP_TO_INCLUDE, 0);
    pass(rig, 200000);
    assert_int_equal(rig->n_sent, 0);
}

static void
without_an_address_of_its_own_nobody_asks_by_mld(void **state)
{
    struct rig *rig = *state;
    struct ip_address none = { { 0, 0 } };

    membership_set_source(&rig->membership, IP_V6, &none);
    pass(rig, 10);
    assert_int_equal(rig->n_sent, 1);
    assert_int_equal(rig->sent[0].packet[0] >> 4, 4);
}

/* 6.6.1: others lower their timers when the querier asks for a group. */
static void
what_the_querier_asks_for_ends_soon_if_nobody_answers(void **state)
{
    struct rig *rig = *state;

    for (uint8_t family = IP_V4; family <= IP_V6; family += 2) {
        report(rig, PORT, family, MEMBERSHIP_IS_EXCLUDE, 0);
        report(rig, OTHER_PORT, family, MEMBERSHIP_IS_EXCLUDE, 0);
        query(rig, 1, family, 2, GROUP);
        report(rig, OTHER_PORT, family, MEMBERSHIP_IS_EXCLUDE, 0);
        pass(rig, 2000);
        assert_null(member_of(rig, family, PORT));
        assert_non_null(member_of(rig, family, OTHER_PORT));
    }
}

/* 4.1.6, 4.1.7: members live as long as the querier says. */
static void
times_are_those_of_the_querier(void **state)
{
    struct rig *rig = *state;

    query(rig, 1, IP_V4, 2, 0);
    report(rig, PORT, IP_V4, MEMBERSHIP_IS_EXCLUDE, 0);
    pass(rig, 2 * 60000 + 10000 - 10);
    assert_non_null(member_of(rig, IP_V4, PORT));
    pass(rig, 10);
    assert_null(member_of(rig, IP_V4, PORT));
}

/* --- RFC 4541, 2.1: what a bridge makes of it ------------------------------------------------------------------- */

static void
ports_get_what_they_want_when_it_is_known_and_all_before(void **state)
{
    struct rig *rig = *state;
    struct ip_address control = ip_from_v4(0xe0000005), from = membership_source_at(IP_V4, 0);

    report(rig, PORT, IP_V4, MEMBERSHIP_IS_EXCLUDE, 0x2);
    assert_true(wants(rig, OTHER_PORT, IP_V4, 0));
    query(rig, 1, IP_V4, 2, 0);
    pass(rig, 9990);
    assert_true(wants(rig, OTHER_PORT, IP_V4, 0));
    pass(rig, 10);
    assert_true(membership_is_known(&rig->membership, IP_V4));
    assert_false(membership_is_known(&rig->membership, IP_V6));
    assert_false(wants(rig, OTHER_PORT, IP_V4, 0));
    assert_true(wants(rig, PORT, IP_V4, 0));
    assert_false(wants(rig, PORT, IP_V4, 1));
    assert_true(membership_wants(&rig->membership, OTHER_PORT, IP_V4, &control, &from));
    pass(rig, 2 * 60000 + 5000);                /* Nobody asks any more. */
    assert_true(wants(rig, OTHER_PORT, IP_V4, 0));
}

static void
ports_of_routers_get_all_and_are_forgotten(void **state)
{
    struct rig *rig = *state;
    unsigned changed = rig->n_changed;

    query(rig, 9, IP_V4, 2, 0);
    assert_int_equal(rig->n_changed, changed + 1);
    pass(rig, 11000);
    query(rig, 8, IP_V4, 1, 0);
    assert_true(wants(rig, 9, IP_V4, 0));
    assert_true(wants(rig, 8, IP_V4, 0));
    assert_false(membership_has_router(&rig->membership, 9, IP_V6));
    pass(rig, 2 * 60000 + 5000 - 11000);
    assert_false(membership_has_router(&rig->membership, 9, IP_V4));
    assert_true(membership_has_router(&rig->membership, 8, IP_V4));
}

static void
a_port_that_goes_takes_its_groups_along(void **state)
{
    struct rig *rig = *state;

    report(rig, PORT, IP_V4, MEMBERSHIP_IS_EXCLUDE, 0);
    report(rig, OTHER_PORT, IP_V4, MEMBERSHIP_IS_EXCLUDE, 0);
    query(rig, PORT, IP_V4, 2, 0);
    membership_remove_port(&rig->membership, PORT);
    assert_null(member_of(rig, IP_V4, PORT));
    assert_non_null(member_of(rig, IP_V4, OTHER_PORT));
    assert_false(membership_has_router(&rig->membership, PORT, IP_V4));
}

static void
groups_that_go_everywhere_are_not_kept(void **state)
{
    static const struct ip_address groups[] = {
        { { 0, 0xe0000001 } }, { { 0, 0xe00000fb } }, { { UINT64_C(0xff02) << 48, 1 } },
        { { UINT64_C(0xff01) << 48, 9 } },
    };
    struct rig *rig = *state;
    struct frame f;

    for (unsigned i = 0; i < 4; i++) {
        uint8_t family = i < 2 ? IP_V4 : IP_V6;

        membership_report(&f, family);
        membership_add_record(&f, family, MEMBERSHIP_IS_EXCLUDE, groups[i], 0);
        receive(rig, PORT, &f);
    }
    assert_int_equal(rig->membership.n_members, 0);
}

/* --- Bounds ----------------------------------------------------------------------------------------------------- */

static void
members_are_bounded_and_a_leave_makes_none(void **state)
{
    struct rig *rig = *state;
    struct frame f;

    for (unsigned i = 0; i < 5000; i++) {
        membership_report(&f, IP_V4);
        membership_add_record(&f, IP_V4, MEMBERSHIP_TO_INCLUDE, membership_group_at(IP_V4, i), 0);
        membership_add_record(&f, IP_V4, MEMBERSHIP_BLOCK, membership_group_at(IP_V4, i), 2);
        if (i >= 100) {
            membership_add_record(&f, IP_V4, MEMBERSHIP_IS_EXCLUDE, membership_group_at(IP_V4, i), 0);
        }
        receive(rig, PORT, &f);
        assert_int_equal(rig->membership.n_members,
                         i < 100 ? 0 : i - 99 < 4096 ? i - 99 : 4096);
    }
    assert_int_equal(rig->membership.counters.refused, 4900 - 4096);
}

static void
who_wants_more_sources_than_there_is_room_for_wants_all(void **state)
{
    struct rig *rig = *state;
    struct frame f;

    membership_report(&f, IP_V4);
    membership_add_record(&f, IP_V4, MEMBERSHIP_ALLOW, membership_group_at(IP_V4, GROUP), 65);
    receive(rig, PORT, &f);
    assert_true(member_of(rig, IP_V4, PORT)->is_exclude);
    assert_int_equal(member_of(rig, IP_V4, PORT)->n_sources, 0);
    assert_int_equal(rig->membership.counters.widened, 1);
}

static void
what_is_no_message_changes_nothing(void **state)
{
    struct rig *rig = *state;
    struct frame f = { .len = 0 };

    frame_ipv4(&f, IP_PROTO_UDP, 0, 0);
    frame_udp(&f, 8);
    put_be16(f.data + 2, (uint16_t)f.len);
    assert_int_equal(membership_receive(&rig->membership, PORT, f.data, f.len, rig->now),
                     MEMBERSHIP_OTHER);
    assert_int_equal(rig->membership.counters.ignored, 1);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)
#define QUERIER(NAME) cmocka_unit_test_setup_teardown(NAME, set_up_querier, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        QUERIER(every_change_does_what_the_table_of_the_rfc_says),
        TEST(a_member_that_does_not_report_again_is_none_after_its_time),
        TEST(exclude_becomes_include_of_what_is_still_wanted),
        QUERIER(after_a_leave_it_is_asked_twice_and_gone_after_two_seconds),
        QUERIER(another_host_that_answers_keeps_the_group),
        QUERIER(while_an_older_host_is_there_newer_ones_do_not_end_what_it_wants),
        QUERIER(a_querier_asks_soon_twice_and_then_every_interval),
        QUERIER(the_lowest_address_asks_and_the_others_wait_until_it_is_gone),
        TEST(who_is_none_never_asks),
        QUERIER(without_an_address_of_its_own_nobody_asks_by_mld),
        TEST(what_the_querier_asks_for_ends_soon_if_nobody_answers),
        TEST(times_are_those_of_the_querier),
        TEST(ports_get_what_they_want_when_it_is_known_and_all_before),
        TEST(ports_of_routers_get_all_and_are_forgotten),
        TEST(a_port_that_goes_takes_its_groups_along),
        TEST(groups_that_go_everywhere_are_not_kept),
        TEST(members_are_bounded_and_a_leave_makes_none),
        TEST(who_wants_more_sources_than_there_is_room_for_wants_all),
        TEST(what_is_no_message_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
