/* Neighbour discovery: RFC 4861 and RFC 4862, with the section named. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "nd.h"
#include "neighbour_rig.h"
#include "plain_sum.h"

enum {
    ICMP_AT = ETH_SIZE + IPV6_SIZE,
    OPTION_SOURCE = 1, OPTION_TARGET = 2,
    R = 0x80, S = 0x40, O = 0x20,
};

static const struct ip_address nowhere = { { 0, 0 } };
static const struct ip_address all_nodes = { { UINT64_C(0xff02) << 48, 1 } };
static const struct ip_address all_routers = { { UINT64_C(0xff02) << 48, 2 } };

/* --- Messages from a host ------------------------------------------------------------------------------ */

static void
begin(struct frame *f, unsigned type, struct ip_address from, struct ip_address to)
{
    f->len = 0;
    frame_add48(f, RIG_MAC);
    frame_add48(f, RIG_HOST_MAC);
    frame_add16(f, ETH_TYPE_IPV6);
    frame_ipv6(f, IP_PROTO_ICMPV6);
    f->data[f->ip + 7] = 255;
    ip_write(IP_V6, &from, f->data + f->ip + 8);
    ip_write(IP_V6, &to, f->data + f->ip + 24);
    frame_icmp(f, type, 0, 0);
    frame_add32(f, 0);
}

static void
add_address(struct frame *f, struct ip_address address)
{
    f->len += 16;
    ip_write(IP_V6, &address, f->data + f->len - 16);
}

static void
finish(struct frame *f)
{
    uint16_t n = (uint16_t)(f->len - ICMP_AT);

    frame_end(f);
    put_be16(f->data + ICMP_AT + ICMP_CSUM, 0);
    put_be16(f->data + ICMP_AT + ICMP_CSUM,
             (uint16_t)~plain_sum(plain_pseudo(f->data + ETH_SIZE, IP_PROTO_ICMPV6, n),
                                  f->data + ICMP_AT, n));
}

static void
receive(struct neighbour_rig *rig, struct frame *f)
{
    finish(f);
    nd_receive(&rig->neighbours, &rig->link, f->data, f->len, rig->now);
}

static void
solicit(struct frame *f, struct ip_address from, struct ip_address to, struct ip_address target)
{
    begin(f, ND_SOLICITATION, from, to);
    add_address(f, target);
}

static void
advertise(struct frame *f, unsigned flags, struct ip_address to, struct ip_address target)
{
    begin(f, ND_ADVERTISEMENT, target, to);
    f->data[ICMP_AT + 4] = (uint8_t)flags;
    add_address(f, target);
}

/* The last frame, after the checks that each of ours has to pass. */
static const uint8_t *
sent(struct neighbour_rig *rig, unsigned type, struct ip_address to, uint64_t mac)
{
    struct frame *f = rig_sent(rig, 0);
    const uint8_t *ip = f->data + ETH_SIZE;
    struct ip_address destination = ip_read(IP_V6, ip + 24);

    assert_true(rig->n_sent > 0);
    assert_true(nd_is_message(f->data, f->len));
    assert_int_equal(get_be16(ip + 4) + IPV6_SIZE + ETH_SIZE, f->len);
    assert_int_equal(ip[7], 255);
    assert_true(plain_transport_good(f->data, ETH_SIZE, ICMP_AT));
    assert_int_equal(ip[IPV6_SIZE], type);
    assert_true(ip_equal(&destination, &to));
    assert_true(get_be48(f->data) == mac);
    assert_true(get_be48(f->data + 6) == RIG_MAC);
    return ip + IPV6_SIZE;
}

static struct ip_address
group_of(struct ip_address address)
{
    return (struct ip_address) {
        { UINT64_C(0xff02) << 48, UINT64_C(0x1ff000000) | (address.word[1] & 0xffffff) },
    };
}

static bool
has_option(const uint8_t *at, unsigned type, uint64_t mac)
{
    return at[0] == type && at[1] == 1 && get_be48(at + 2) == mac;
}

/* --- 7.2.2, 7.2.4: questions and answers ----------------------------------------------------------------- */

static void
who_is_unknown_is_asked_for_in_its_solicited_node_group(void **state)
{
    struct neighbour_rig *rig = *state;
    struct ip_address target = rig_v6(9), from = rig_link_local(1);

    rig_send_to(rig, IP_V6, 9, 1);

    const uint8_t *icmp = sent(rig, ND_SOLICITATION, group_of(target), 0x3333ff000009);
    struct ip_address asked = ip_read(IP_V6, icmp + 8);
    struct ip_address source = ip_read(IP_V6, icmp - IPV6_SIZE + 8);

    assert_true(ip_equal(&asked, &target));
    assert_true(ip_equal(&source, &from));
    assert_true(has_option(icmp + 24, OPTION_SOURCE, RIG_MAC));
}

static void
a_question_for_us_is_answered_and_its_sender_known(void **state)
{
    struct neighbour_rig *rig = *state;
    struct frame f;

    solicit(&f, rig_v6(9), group_of(rig_v6(1)), rig_v6(1));
    frame_nd_option(&f, OPTION_SOURCE, 1, RIG_OTHER_MAC);
    receive(rig, &f);

    const uint8_t *icmp = sent(rig, ND_ADVERTISEMENT, rig_v6(9), RIG_OTHER_MAC);

    assert_int_equal(icmp[4], R | S | O);
    assert_true(has_option(icmp + 24, OPTION_TARGET, RIG_MAC));
    assert_int_equal(rig_find(rig, IP_V6, 9)->state, NEIGHBOUR_STALE);
    assert_true(rig_find(rig, IP_V6, 9)->mac == RIG_OTHER_MAC);
}

/* 7.2.4: a question to ourselves may come without the option. */
static void
without_an_option_the_answer_goes_where_the_question_came_from(void **state)
{
    struct neighbour_rig *rig = *state;
    struct frame f;

    solicit(&f, rig_v6(9), rig_v6(1), rig_v6(1));
    receive(rig, &f);
    sent(rig, ND_ADVERTISEMENT, rig_v6(9), RIG_HOST_MAC);
    assert_int_equal(rig->neighbours.n, 0);
}

static void
a_question_for_another_is_not_answered_and_teaches_nothing(void **state)
{
    struct neighbour_rig *rig = *state;
    struct frame f;

    solicit(&f, rig_v6(9), group_of(rig_v6(77)), rig_v6(77));
    frame_nd_option(&f, OPTION_SOURCE, 1, RIG_HOST_MAC);
    receive(rig, &f);
    assert_int_equal(rig->n_sent + rig->neighbours.n, 0);
    assert_int_equal(rig->neighbours.counters.ignored, 0);
}

/* 7.2.8 */
static void
for_who_is_behind_us_the_answer_does_not_override(void **state)
{
    struct neighbour_rig *rig = *state;
    struct frame f;

    solicit(&f, rig_v6(9), group_of(rig_v6(200)), rig_v6(200));
    receive(rig, &f);
    assert_int_equal(sent(rig, ND_ADVERTISEMENT, rig_v6(9), RIG_HOST_MAC)[4], R | S);
}

/* 7.2.5; the states are test_neighbour.c's. */
static void
an_answer_makes_it_reachable_and_an_unasked_one_stale(void **state)
{
    struct neighbour_rig *rig = *state;
    struct frame f;

    rig_send_to(rig, IP_V6, 9, 1);
    rig_send_to(rig, IP_V6, 10, 1);
    advertise(&f, S | O, rig_link_local(1), rig_v6(9));
    frame_nd_option(&f, OPTION_TARGET, 1, RIG_OTHER_MAC);
    receive(rig, &f);
    assert_int_equal(rig_find(rig, IP_V6, 9)->state, NEIGHBOUR_REACHABLE);
    assert_true(rig_find(rig, IP_V6, 9)->mac == RIG_OTHER_MAC);
    advertise(&f, O, all_nodes, rig_v6(10));
    frame_nd_option(&f, OPTION_TARGET, 1, RIG_HOST_MAC);
    receive(rig, &f);
    assert_int_equal(rig_find(rig, IP_V6, 10)->state, NEIGHBOUR_STALE);
}

static void
an_answer_without_an_option_confirms_who_is_known(void **state)
{
    struct neighbour_rig *rig = *state;
    struct frame f;

    rig_hear(rig, IP_V6, 9, RIG_HOST_MAC);
    advertise(&f, S, rig_link_local(1), rig_v6(9));
    receive(rig, &f);
    assert_int_equal(rig_find(rig, IP_V6, 9)->state, NEIGHBOUR_REACHABLE);
}

/* 7.2.6 */
static void
we_announce_an_address_to_all_nodes(void **state)
{
    struct neighbour_rig *rig = *state;
    struct ip_address address = rig_v6(1);

    nd_announce(&rig->neighbours, &rig->link, &address);

    const uint8_t *icmp = sent(rig, ND_ADVERTISEMENT, all_nodes, 0x333300000001);

    assert_int_equal(icmp[4], R | O);
    assert_true(has_option(icmp + 24, OPTION_TARGET, RIG_MAC));
}

/* --- RFC 4862, 5.4: duplicate addresses ------------------------------------------------------------------- */

static void
who_wants_our_address_is_told_by_all_that_it_is_taken(void **state)
{
    struct neighbour_rig *rig = *state;
    struct frame f;

    solicit(&f, nowhere, group_of(rig_v6(1)), rig_v6(1));
    receive(rig, &f);
    assert_int_equal(sent(rig, ND_ADVERTISEMENT, all_nodes, 0x333300000001)[4], R | O);
    assert_int_equal(rig->neighbours.n, 0);
}

static void
who_wants_the_address_of_a_host_behind_us_may_be_that_host(void **state)
{
    struct neighbour_rig *rig = *state;
    struct frame f;

    solicit(&f, nowhere, group_of(rig_v6(200)), rig_v6(200));
    receive(rig, &f);
    assert_int_equal(rig->n_sent, 0);
}

static void
who_uses_our_address_is_told_of(void **state)
{
    struct neighbour_rig *rig = *state;
    struct frame f;

    advertise(&f, O, all_nodes, rig_v6(1));
    frame_nd_option(&f, OPTION_TARGET, 1, RIG_OTHER_MAC);
    receive(rig, &f);
    solicit(&f, rig_v6(1), group_of(rig_link_local(1)), rig_link_local(1));
    frame_nd_option(&f, OPTION_SOURCE, 1, RIG_OTHER_MAC);
    receive(rig, &f);
    assert_int_equal(rig->n_conflicts, 2);
    assert_true(rig->conflict_mac == RIG_OTHER_MAC);
    assert_int_equal(rig->neighbours.n, 0);
}

/* --- 6.1, 7.1: what is not believed ------------------------------------------------------------------------ */

/* A change to a message that is good without it. */
struct damage {
    unsigned at;                        /* Offset in the frame. */
    uint8_t value;
};

static void
assert_ignored(struct neighbour_rig *rig, struct frame *f, bool sum_is_right)
{
    uint64_t before = rig->neighbours.counters.ignored;

    if (sum_is_right) {
        finish(f);
    }
    nd_receive(&rig->neighbours, &rig->link, f->data, f->len, rig->now);
    assert_int_equal(rig->neighbours.counters.ignored, before + 1);
    assert_int_equal(rig->n_sent + rig->neighbours.n + rig->n_conflicts, 0);
}

static void
a_message_that_came_through_a_router_or_is_damaged_is_not_believed(void **state)
{
    static const struct damage damages[] = {
        { ETH_SIZE + 7, 254 },          /* The hop limit. */
        { ICMP_AT + 1, 1 },             /* The code. */
        { ETH_SIZE + 8, 0xff },         /* A source that is a group. */
        { ICMP_AT + 8, 0xff },          /* A target that is a group. */
        { ICMP_AT + 25, 0 },            /* An option without a length. */
        { ICMP_AT + 25, 2 },            /* An option longer than the message. */
    };
    struct frame f;

    for (unsigned i = 0; i < sizeof damages / sizeof *damages; i++) {
        solicit(&f, rig_v6(9), rig_v6(1), rig_v6(1));
        frame_nd_option(&f, OPTION_SOURCE, 1, RIG_HOST_MAC);
        f.data[damages[i].at] = damages[i].value;
        assert_ignored(*state, &f, true);
    }
    solicit(&f, rig_v6(9), rig_v6(1), rig_v6(1));
    finish(&f);
    f.data[ICMP_AT + ICMP_CSUM] ^= 1;
    assert_ignored(*state, &f, false);
}

static void
a_message_that_is_too_short_is_not_believed(void **state)
{
    struct frame f;

    solicit(&f, rig_v6(9), rig_v6(1), rig_v6(1));
    finish(&f);
    for (size_t whole = f.len; f.len > 0;) {
        f.len--;
        if (f.len >= ICMP_AT) {
            assert_ignored(*state, &f, true);
        }
        put_be16(f.data + ETH_SIZE + 4, (uint16_t)(whole - ICMP_AT));   /* Longer than the frame. */
        assert_ignored(*state, &f, false);
    }
}

/* 7.1.1 */
static void
a_question_from_nowhere_is_only_to_a_group_and_without_an_address(void **state)
{
    struct frame f;

    solicit(&f, nowhere, rig_v6(1), rig_v6(1));
    assert_ignored(*state, &f, true);
    solicit(&f, nowhere, group_of(rig_v6(1)), rig_v6(1));
    frame_nd_option(&f, OPTION_SOURCE, 1, RIG_HOST_MAC);
    assert_ignored(*state, &f, true);
}

/* 7.1.2 */
static void
an_answer_to_all_is_not_one_that_was_asked_for(void **state)
{
    struct frame f;

    advertise(&f, S, all_nodes, rig_v6(9));
    assert_ignored(*state, &f, true);
}

/* 6.1.1, 6.1.2 */
static void
routers_advertise_from_their_link_and_nobody_solicits_them_from_nowhere_with_an_address(void **state)
{
    struct frame f;

    begin(&f, ND_ROUTER_ADVERTISEMENT, rig_v6(9), all_nodes);
    frame_add32(&f, 0);
    frame_add32(&f, 0);
    assert_ignored(*state, &f, true);
    begin(&f, ND_ROUTER_SOLICITATION, nowhere, all_routers);
    frame_nd_option(&f, OPTION_SOURCE, 1, RIG_HOST_MAC);
    assert_ignored(*state, &f, true);
}

/* 8.1: a router must not follow a redirect. */
static void
a_redirect_changes_nothing(void **state)
{
    struct neighbour_rig *rig = *state;
    struct frame f;

    rig_hear(rig, IP_V6, 9, RIG_HOST_MAC);
    begin(&f, ND_REDIRECT, rig_link_local(5), rig_v6(1));
    add_address(&f, rig_v6(9));
    add_address(&f, rig_v6(9));
    frame_nd_option(&f, OPTION_TARGET, 1, RIG_OTHER_MAC);
    receive(rig, &f);
    assert_true(rig_find(rig, IP_V6, 9)->mac == RIG_HOST_MAC);
    assert_int_equal(rig->neighbours.n, 1);
}

/* --- 6.2: what a router tells hosts ------------------------------------------------------------------------ */

static struct nd_router
some_router(void)
{
    return (struct nd_router) {
        .max_interval_ms = 600000, .min_interval_ms = 200000, .lifetime_s = 1800, .hop_limit = 64,
        .other = true, .reachable_ms = 30000, .retrans_ms = 1000, .mtu = 1500, .n_prefixes = 1,
        .prefixes = { {
            .prefix = { { { UINT64_C(0x20010db800000000), 0 } }, IP_V6, 64 },
            .valid_s = 86400, .preferred_s = 14400, .on_link = true, .autonomous = true,
        } },
    };
}

/* Lets time pass until a frame is sent; returns how long that took. */
static uint64_t
until_sent(struct neighbour_rig *rig, uint64_t at_most)
{
    unsigned before = rig->n_sent;
    uint64_t begin = rig->now;

    while (rig->n_sent == before) {
        rig->now += 10;
        nd_advance(&rig->neighbours, &rig->link, rig->now);
        assert_true(rig->now - begin <= at_most);
    }
    return rig->now - begin;
}

/* 4.2, 4.6.2, 4.6.4 */
static void
an_advertisement_says_what_is_configured(void **state)
{
    struct neighbour_rig *rig = *state;
    struct nd_router router = some_router();

    rig->link.router = &router;
    until_sent(rig, 510);

    const uint8_t *icmp = sent(rig, ND_ROUTER_ADVERTISEMENT, all_nodes, 0x333300000001);
    struct ip_address from = ip_read(IP_V6, icmp - IPV6_SIZE + 8);
    struct ip_address prefix = ip_read(IP_V6, icmp + 16 + 8 + 8 + 16);

    assert_true(rig_is(&from, rig_link_local(1)));
    assert_int_equal(icmp[4], 64);
    assert_int_equal(icmp[5], 0x40);
    assert_int_equal(get_be16(icmp + 6), 1800);
    assert_int_equal(get_be32(icmp + 8), 30000);
    assert_int_equal(get_be32(icmp + 12), 1000);
    assert_true(has_option(icmp + 16, OPTION_SOURCE, RIG_MAC));
    assert_int_equal(get_be32(icmp + 24 + 4), 1500);
    assert_int_equal(get_be32(icmp + 32), 0x030440c0);
    assert_int_equal(get_be32(icmp + 36), 86400);
    assert_int_equal(get_be32(icmp + 40), 14400);
    assert_true(ip_equal(&prefix, &router.prefixes[0].prefix.address));
}

/* 6.2.4 */
static void
the_first_three_come_soon_and_the_others_at_random_times(void **state)
{
    struct neighbour_rig *rig = *state;
    struct nd_router router = some_router();

    rig->link.router = &router;
    until_sent(rig, 510);
    until_sent(rig, 16000);
    until_sent(rig, 16000);
    for (unsigned i = 0; i < 4; i++) {
        assert_in_range(until_sent(rig, 600010), 200000, 600010);
    }
}

/* 6.2.6 */
static void
a_host_that_asks_is_answered_soon_but_all_not_too_often(void **state)
{
    struct neighbour_rig *rig = *state;
    struct nd_router router = some_router();
    struct frame f;

    rig->link.router = &router;
    for (unsigned i = 0; i < 3; i++) {
        until_sent(rig, 16000);
    }
    rig->now += 10000;
    for (unsigned i = 0; i < 2; i++) {
        begin(&f, ND_ROUTER_SOLICITATION, rig_link_local(9), all_routers);
        frame_nd_option(&f, OPTION_SOURCE, 1, RIG_HOST_MAC);
        receive(rig, &f);
        if (i == 0) {
            until_sent(rig, 510);
        } else {
            assert_in_range(until_sent(rig, 3510), 3000, 3510);
        }
    }
    assert_int_equal(rig->link.n, 1);           /* 6.2.6: and it is known then. */
}

static void
without_a_link_local_address_or_a_configuration_there_are_none(void **state)
{
    struct neighbour_rig *rig = *state;
    struct nd_router router = some_router();
    struct frame f;

    begin(&f, ND_ROUTER_SOLICITATION, rig_link_local(9), all_routers);
    receive(rig, &f);
    nd_advance(&rig->neighbours, &rig->link, rig->now + 10000);
    rig->link.router = &router;
    rig->has_addresses = false;
    nd_advance(&rig->neighbours, &rig->link, rig->now);
    nd_advance(&rig->neighbours, &rig->link, rig->now + 10000);
    assert_int_equal(rig->n_sent, 0);
}

/* 6.2.5 */
static void
a_router_that_stops_takes_its_lifetime_back(void **state)
{
    struct neighbour_rig *rig = *state;
    struct nd_router router = some_router();

    rig->link.router = &router;
    nd_retire(&rig->neighbours, &rig->link);
    assert_int_equal(get_be16(sent(rig, ND_ROUTER_ADVERTISEMENT, all_nodes, 0x333300000001) + 6), 0);
}

/* 6.2.7, 7.2.3 */
static void
another_router_is_known_by_its_advertisement(void **state)
{
    struct neighbour_rig *rig = *state;
    struct ip_address address = rig_link_local(9);
    struct frame f;

    begin(&f, ND_ROUTER_ADVERTISEMENT, address, all_nodes);
    frame_add32(&f, 0);
    frame_add32(&f, 0);
    frame_nd_option(&f, OPTION_SOURCE, 1, RIG_HOST_MAC);
    receive(rig, &f);
    assert_non_null(neighbour_find(&rig->neighbours, RIG_INTERFACE, IP_V6, &address));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(who_is_unknown_is_asked_for_in_its_solicited_node_group),
        RIG_TEST(a_question_for_us_is_answered_and_its_sender_known),
        RIG_TEST(without_an_option_the_answer_goes_where_the_question_came_from),
        RIG_TEST(a_question_for_another_is_not_answered_and_teaches_nothing),
        RIG_TEST(for_who_is_behind_us_the_answer_does_not_override),
        RIG_TEST(an_answer_makes_it_reachable_and_an_unasked_one_stale),
        RIG_TEST(an_answer_without_an_option_confirms_who_is_known),
        RIG_TEST(we_announce_an_address_to_all_nodes),
        RIG_TEST(who_wants_our_address_is_told_by_all_that_it_is_taken),
        RIG_TEST(who_wants_the_address_of_a_host_behind_us_may_be_that_host),
        RIG_TEST(who_uses_our_address_is_told_of),
        RIG_TEST(a_message_that_came_through_a_router_or_is_damaged_is_not_believed),
        RIG_TEST(a_message_that_is_too_short_is_not_believed),
        RIG_TEST(a_question_from_nowhere_is_only_to_a_group_and_without_an_address),
        RIG_TEST(an_answer_to_all_is_not_one_that_was_asked_for),
        RIG_TEST(routers_advertise_from_their_link_and_nobody_solicits_them_from_nowhere_with_an_address),
        RIG_TEST(a_redirect_changes_nothing),
        RIG_TEST(an_advertisement_says_what_is_configured),
        RIG_TEST(the_first_three_come_soon_and_the_others_at_random_times),
        RIG_TEST(a_host_that_asks_is_answered_soon_but_all_not_too_often),
        RIG_TEST(without_a_link_local_address_or_a_configuration_there_are_none),
        RIG_TEST(a_router_that_stops_takes_its_lifetime_back),
        RIG_TEST(another_router_is_known_by_its_advertisement),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
