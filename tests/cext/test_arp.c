/* ARP: RFC 826, RFC 1027 (proxy), RFC 5227 (announcements, conflicts), with the section named. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arp.h"
#include "neighbour_rig.h"

#define BROADCAST UINT64_C(0xffffffffffff)

enum { ROUTER = 0x0a000001, HOST = 0x0a000009, PROXIED = 0x0a0000c8, NOBODY = 0x0a000063 };

/* A frame from the host, or whoever has that MAC address. */
static void
receive(struct neighbour_rig *rig, unsigned op, uint64_t mac, uint32_t sender, uint64_t target_mac,
        uint32_t target)
{
    struct frame f;

    frame_eth(&f, ETH_TYPE_ARP);
    frame_add48(&f, 0x000108000604);
    frame_add16(&f, op);
    frame_add48(&f, mac);
    frame_add32(&f, sender);
    frame_add48(&f, target_mac);
    frame_add32(&f, target);
    arp_receive(&rig->neighbours, &rig->link, f.data, f.len, rig->now);
}

static struct arp_packet
sent(struct neighbour_rig *rig, uint64_t destination)
{
    const struct frame *frame = rig_sent(rig, 0);
    struct arp_packet packet;

    assert_true(rig->n_sent > 0);
    assert_int_equal(frame->len, ARP_FRAME_SIZE);
    assert_true(get_be48(frame->data) == destination);
    assert_true(get_be48(frame->data + 6) == RIG_MAC);
    assert_int_equal(get_be16(frame->data + 12), ETH_TYPE_ARP);
    assert_true(arp_parse(frame->data + ETH_SIZE, frame->len - ETH_SIZE, &packet));
    assert_true(packet.sender_mac == RIG_MAC);
    return packet;
}

static unsigned
state_of_host(const struct neighbour_rig *rig)
{
    return rig_find(rig, IP_V4, 9) ? rig_find(rig, IP_V4, 9)->state : NEIGHBOUR_STATES;
}

/* --- RFC 826, packet format -------------------------------------------------------------------------- */

static void
bytes_are_those_of_the_rfc(void **state)
{
    static const uint8_t expected[ARP_FRAME_SIZE] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0xaa, 0x08, 0x06,
        0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 0xaa, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 9,
    };

    rig_send_to(*state, IP_V4, 9, 1);
    assert_memory_equal(rig_sent(*state, 0)->data, expected, sizeof expected);
}

static void
what_is_not_ipv4_over_ethernet_or_too_short_is_ignored(void **state)
{
    static const uint8_t offsets[] = { 12, 15, 17, 18, 19, 21 };      /* Type, hardware ... operation. */
    struct neighbour_rig *rig = *state;
    struct frame f;

    for (unsigned i = 0; i < sizeof offsets; i++) {
        frame_eth(&f, ETH_TYPE_ARP);
        frame_arp(&f, ARP_REQUEST);
        f.data[offsets[i]] ^= 0x40;
        arp_receive(&rig->neighbours, &rig->link, f.data, f.len, rig->now);
    }
    frame_eth(&f, ETH_TYPE_ARP);
    frame_arp(&f, ARP_REQUEST);
    for (size_t len = 0; len < f.len; len++) {
        arp_receive(&rig->neighbours, &rig->link, f.data, len, rig->now);
    }
    assert_int_equal(rig->neighbours.counters.ignored, sizeof offsets + f.len);
    assert_int_equal(rig->n_sent + rig->neighbours.n, 0);
}

static void
senders_that_cannot_be_hosts_are_ignored(void **state)
{
    struct neighbour_rig *rig = *state;

    receive(rig, ARP_REQUEST, RIG_HOST_MAC | UINT64_C(1) << 40, HOST, 0, ROUTER);
    receive(rig, ARP_REQUEST, 0, HOST, 0, ROUTER);
    receive(rig, ARP_REQUEST, RIG_HOST_MAC, 0xe0000001, 0, ROUTER);
    receive(rig, ARP_REQUEST, RIG_HOST_MAC, UINT32_MAX, 0, ROUTER);
    receive(rig, ARP_REQUEST, RIG_HOST_MAC, 0x7f000001, 0, ROUTER);
    assert_int_equal(rig->neighbours.counters.ignored, 5);
    assert_int_equal(rig->n_sent + rig->neighbours.n, 0);
}

/* --- RFC 826, packet reception ------------------------------------------------------------------------ */

static void
a_question_for_us_is_answered_and_its_sender_known(void **state)
{
    struct neighbour_rig *rig = *state;

    receive(rig, ARP_REQUEST, RIG_HOST_MAC, HOST, 0, ROUTER);

    struct arp_packet reply = sent(rig, RIG_HOST_MAC);

    assert_int_equal(reply.op, ARP_REPLY);
    assert_int_equal(reply.sender, ROUTER);
    assert_int_equal(reply.target, HOST);
    assert_true(reply.target_mac == RIG_HOST_MAC);
    assert_int_equal(state_of_host(rig), NEIGHBOUR_STALE);
    assert_true(rig_find(rig, IP_V4, 9)->mac == RIG_HOST_MAC);
}

static void
a_question_for_another_makes_no_neighbour_but_changes_one(void **state)
{
    struct neighbour_rig *rig = *state;

    receive(rig, ARP_REQUEST, RIG_HOST_MAC, HOST, 0, NOBODY);
    assert_int_equal(rig->n_sent + rig->neighbours.n, 0);
    receive(rig, ARP_REQUEST, RIG_HOST_MAC, HOST, 0, ROUTER);
    receive(rig, ARP_REQUEST, RIG_OTHER_MAC, HOST, 0, NOBODY);
    assert_true(rig_find(rig, IP_V4, 9)->mac == RIG_OTHER_MAC);
    assert_int_equal(rig->n_sent, 1);
}

static void
an_answer_to_us_makes_it_reachable(void **state)
{
    struct neighbour_rig *rig = *state;

    rig_send_to(rig, IP_V4, 9, 1);

    struct arp_packet request = sent(rig, BROADCAST);

    assert_int_equal(request.op, ARP_REQUEST);
    assert_int_equal(request.sender, ROUTER);
    assert_int_equal(request.target, HOST);
    receive(rig, ARP_REPLY, RIG_HOST_MAC, HOST, RIG_MAC, ROUTER);
    assert_int_equal(state_of_host(rig), NEIGHBOUR_REACHABLE);
}

static void
an_answer_that_nobody_wanted_makes_no_neighbour(void **state)
{
    struct neighbour_rig *rig = *state;

    receive(rig, ARP_REPLY, RIG_HOST_MAC, HOST, RIG_MAC, ROUTER);
    assert_int_equal(rig->neighbours.n, 0);
}

static void
our_own_frames_that_come_back_are_passed_over(void **state)
{
    struct neighbour_rig *rig = *state;

    receive(rig, ARP_REQUEST, RIG_MAC, ROUTER, 0, ROUTER);
    receive(rig, ARP_REQUEST, RIG_MAC, HOST, 0, ROUTER);
    assert_int_equal(rig->n_sent + rig->neighbours.n + rig->n_conflicts, 0);
}

/* RFC 1122, 2.3.2.1 (2) */
static void
a_known_neighbour_is_asked_itself(void **state)
{
    struct neighbour_rig *rig = *state;

    receive(rig, ARP_REQUEST, RIG_HOST_MAC, HOST, 0, ROUTER);
    rig_send_to(rig, IP_V4, 9, 1);
    rig_pass(rig, neighbour_defaults.delay_ms);
    assert_int_equal(sent(rig, RIG_HOST_MAC).op, ARP_REQUEST);
    receive(rig, ARP_REPLY, RIG_HOST_MAC, HOST, RIG_MAC, ROUTER);
    assert_int_equal(state_of_host(rig), NEIGHBOUR_REACHABLE);
}

/* --- Gratuitous ARP: RFC 5227, 3 --------------------------------------------------------------------- */

static void
an_announcement_changes_a_neighbour_but_makes_none(void **state)
{
    struct neighbour_rig *rig = *state;

    receive(rig, ARP_REQUEST, RIG_OTHER_MAC, HOST, 0, HOST);
    assert_int_equal(rig->neighbours.n, 0);
    receive(rig, ARP_REQUEST, RIG_HOST_MAC, HOST, 0, ROUTER);
    receive(rig, ARP_REQUEST, RIG_OTHER_MAC, HOST, 0, HOST);
    assert_true(rig_find(rig, IP_V4, 9)->mac == RIG_OTHER_MAC);
    receive(rig, ARP_REPLY, RIG_HOST_MAC, HOST, RIG_HOST_MAC, HOST);    /* The same as a reply. */
    assert_true(rig_find(rig, IP_V4, 9)->mac == RIG_HOST_MAC);
    assert_int_equal(rig->n_sent, 1);
}

static void
we_announce_an_address_with_sender_and_target_the_same(void **state)
{
    struct neighbour_rig *rig = *state;

    arp_announce(&rig->neighbours, &rig->link, ROUTER);

    struct arp_packet packet = sent(rig, BROADCAST);

    assert_int_equal(packet.op, ARP_REQUEST);
    assert_int_equal(packet.sender, ROUTER);
    assert_int_equal(packet.target, ROUTER);
    assert_true(packet.target_mac == 0);
}

/* --- RFC 5227, 2.1 and 2.4: probes and conflicts -------------------------------------------------------- */

static void
a_probe_for_our_address_is_answered_and_teaches_nothing(void **state)
{
    struct neighbour_rig *rig = *state;

    receive(rig, ARP_REQUEST, RIG_HOST_MAC, 0, 0, ROUTER);
    assert_int_equal(sent(rig, RIG_HOST_MAC).sender, ROUTER);
    assert_int_equal(rig->neighbours.n, 0);
}

static void
who_uses_our_address_is_told_of_and_it_is_defended_once_in_ten_seconds(void **state)
{
    struct neighbour_rig *rig = *state;

    for (unsigned i = 0; i < 3; i++) {
        receive(rig, ARP_REQUEST, RIG_OTHER_MAC, ROUTER, 0, ROUTER);
        receive(rig, ARP_REPLY, RIG_OTHER_MAC, ROUTER, RIG_MAC, HOST);
    }
    assert_int_equal(rig->n_conflicts, 6);
    assert_int_equal(rig->neighbours.counters.conflicts, 6);
    assert_true(rig->conflict_mac == RIG_OTHER_MAC);
    assert_int_equal(rig->n_sent, 1);
    assert_int_equal(sent(rig, BROADCAST).target, ROUTER);
    assert_int_equal(rig->neighbours.n, 0);
    rig->now += 10000;
    receive(rig, ARP_REQUEST, RIG_OTHER_MAC, ROUTER, 0, ROUTER);
    assert_int_equal(rig->n_sent, 2);
}

/* --- RFC 1027 ------------------------------------------------------------------------------------------- */

static void
a_question_for_who_is_behind_us_is_answered_with_our_address(void **state)
{
    struct neighbour_rig *rig = *state;

    receive(rig, ARP_REQUEST, RIG_HOST_MAC, HOST, 0, PROXIED);
    assert_int_equal(sent(rig, RIG_HOST_MAC).sender, PROXIED);
    assert_int_equal(rig->neighbours.n, 0);
}

static void
probes_and_announcements_of_who_is_behind_us_are_not_answered(void **state)
{
    struct neighbour_rig *rig = *state;

    receive(rig, ARP_REQUEST, RIG_HOST_MAC, 0, 0, PROXIED);
    receive(rig, ARP_REQUEST, RIG_HOST_MAC, PROXIED, 0, PROXIED);
    assert_int_equal(rig->n_sent + rig->n_conflicts, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(bytes_are_those_of_the_rfc),
        RIG_TEST(what_is_not_ipv4_over_ethernet_or_too_short_is_ignored),
        RIG_TEST(senders_that_cannot_be_hosts_are_ignored),
        RIG_TEST(a_question_for_us_is_answered_and_its_sender_known),
        RIG_TEST(a_question_for_another_makes_no_neighbour_but_changes_one),
        RIG_TEST(an_answer_to_us_makes_it_reachable),
        RIG_TEST(an_answer_that_nobody_wanted_makes_no_neighbour),
        RIG_TEST(our_own_frames_that_come_back_are_passed_over),
        RIG_TEST(a_known_neighbour_is_asked_itself),
        RIG_TEST(an_announcement_changes_a_neighbour_but_makes_none),
        RIG_TEST(we_announce_an_address_with_sender_and_target_the_same),
        RIG_TEST(a_probe_for_our_address_is_answered_and_teaches_nothing),
        RIG_TEST(who_uses_our_address_is_told_of_and_it_is_defended_once_in_ten_seconds),
        RIG_TEST(a_question_for_who_is_behind_us_is_answered_with_our_address),
        RIG_TEST(probes_and_announcements_of_who_is_behind_us_are_not_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
