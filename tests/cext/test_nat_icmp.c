/* NAT: ICMP errors with the packet inside of them, both ways (RFC 5508, sections 4 and 5). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nat_rig.h"

enum { TCP = IP_PROTO_TCP, UDP = IP_PROTO_UDP, ICMP = IP_PROTO_ICMPV4 };
enum { UNREACHABLE = 0x0301, SYN = 2, PING = 0x0800 };

#define ROUTER IP(203, 0, 113, 1)       /* On the way, outside. */
#define GATEWAY IP(10, 0, 9, 1)         /* On the way, inside. */

/* An error about the packet 'of', of which 'n' bytes from its IP header on come with it. */
static struct packet *
error_about(struct nat_rig *rig, uint32_t src, uint32_t dst, const struct packet *of, size_t n)
{
    struct frame f;

    frame_eth(&f, ETH_TYPE_IPV4);
    frame_ipv4(&f, ICMP, 0, 0);
    set_addresses(&f, src, dst);
    frame_icmp(&f, UNREACHABLE >> 8, UNREACHABLE & 0xff, 0);
    frame_add32(&f, 0);
    frame_add(&f, of->data + of->l3, n);
    put_be16(f.data + f.ip + 2, (uint16_t)(f.len - f.ip));
    return nat_rig_packet(rig, &f, true);
}

/* The packet inside the last one, as it was sent. */
static struct tuple
inside_of(const struct packet *p)
{
    const uint8_t *ip = p->data + p->l4 + 8, *l4 = ip + IPV4_SIZE;
    bool icmp = ip[9] == ICMP;

    return (struct tuple) {
        .proto = ip[9], .src = get_be32(ip + 12), .dst = get_be32(ip + 16),
        .sport = get_be16(icmp ? l4 + 4 : l4), .dport = get_be16(icmp ? l4 : l4 + 2),
    };
}

/* Sends an error and checks it: its checksum, that of the header inside, and where all of it goes. */
static void
check_error(struct nat_rig *rig, enum nat_direction direction, struct packet *error,
            const struct tuple *outer, const struct tuple *inner)
{
    assert_true(nat_rig_send(rig, direction, error));

    struct tuple inside = inside_of(rig->p), t = read_tuple(rig->p);

    assert_int_equal(plain_sum(0, rig->p->data + rig->p->l4 + 8, IPV4_SIZE), 0xffff);
    assert_true(is_summed_right(rig->p));
    assert_int_equal(t.src, outer->src);
    assert_int_equal(t.dst, outer->dst);
    assert_int_equal(inside.src, inner->src);
    assert_int_equal(inside.dst, inner->dst);
    assert_int_equal(inside.sport, inner->sport);
    assert_int_equal(inside.dport, inner->dport);
}

/* A whole packet inside has its own checksum right, too. */
static void
check_inner_sum(const struct nat_rig *rig)
{
    uint8_t *data = rig->p->data;
    size_t l3 = rig->p->l4 + 8u;

    assert_true(plain_transport_good(data, l3, l3 + IPV4_SIZE));
}

/* REQ-4: from outside, about a packet that went out. */
static void
an_error_from_outside_reaches_who_sent_the_packet(void **state)
{
    const struct tuple sent[] = {
        { UDP, INSIDE2, REMOTE, 5000, 53, 0 }, { TCP, INSIDE2, REMOTE, 5000, 80, SYN },
        { ICMP, INSIDE2, REMOTE, 77, PING, 0 },
    };
    struct nat_rig *rig = *state;

    for (unsigned i = 0; i < 3; i++) {
        struct tuple other = sent[i];
        other.src = INSIDE;
        assert_true(nat_rig_try(rig, NAT_OUT, &other));          /* So that the port is another one. */
        for (unsigned whole = 0; whole < 2; whole++) {
            assert_true(nat_rig_try(rig, NAT_OUT, &sent[i]));
            size_t n = whole ? rig->p->len - rig->p->l3 : IPV4_SIZE + 8u;
            struct packet *error = error_about(rig, ROUTER, OUTSIDE, rig->p, n);
            check_error(rig, NAT_IN, error, TUPLE(ICMP, ROUTER, INSIDE2), &sent[i]);
            if (whole) {
                check_inner_sum(rig);
            }
        }
    }
}

/* REQ-5: from inside, about a packet that came in; who tells of it hides as its receiver does. */
static void
an_error_from_inside_reaches_who_sent_the_packet(void **state)
{
    struct nat_rig *rig = *state;

    OUT(UDP, INSIDE, REMOTE, 5000, 53);
    OUT(UDP, INSIDE2, REMOTE, 5000, 53);
    uint16_t port = read_tuple(rig->p).sport;
    for (unsigned whole = 0; whole < 2; whole++) {
        IN(UDP, REMOTE, OUTSIDE, 53, port);
        size_t n = whole ? rig->p->len - rig->p->l3 : IPV4_SIZE + 8u;
        struct packet *error = error_about(rig, GATEWAY, REMOTE, rig->p, n);
        check_error(rig, NAT_OUT, error, TUPLE(ICMP, OUTSIDE, REMOTE),
                    TUPLE(UDP, REMOTE, OUTSIDE, 53, port));
        if (whole) {
            check_inner_sum(rig);
        }
    }
}

/* REQ-5: who has an address of its own tells under that. */
static void
hosts_of_their_own_get_and_send_errors(void **state)
{
    struct nat_rig *rig = *state;
    const struct nat_host host = { IP(192, 0, 2, 50), INSIDE };

    CONFIG(.hosts = &host, .n_hosts = 1);
    OUT(UDP, INSIDE, REMOTE, 5000, 53);
    check_error(rig, NAT_IN, error_about(rig, ROUTER, host.outside, rig->p, 28),
                TUPLE(ICMP, ROUTER, INSIDE), TUPLE(UDP, INSIDE, REMOTE, 5000, 53));
    IN(UDP, REMOTE, host.outside, 53, 5000);
    check_error(rig, NAT_OUT, error_about(rig, INSIDE, REMOTE, rig->p, 28),
                TUPLE(ICMP, host.outside, REMOTE), TUPLE(UDP, REMOTE, host.outside, 53, 5000));
}

/* REQ-7 of RFC 5508 for errors of hairpins: as the packet, so its error. */
static void
an_error_comes_back_through_a_hairpin(void **state)
{
    struct nat_rig *rig = *state;

    OUT(UDP, INSIDE, REMOTE, 5000, 53);
    OUT(UDP, INSIDE2, OUTSIDE, 6000, 5000);
    IS(UDP, OUTSIDE, INSIDE, 6000, 5000);
    check_error(rig, NAT_OUT, error_about(rig, INSIDE, OUTSIDE, rig->p, 28),
                TUPLE(ICMP, OUTSIDE, INSIDE2), TUPLE(UDP, INSIDE2, OUTSIDE, 6000, 5000));
}

/* REQ-4 and REQ-5, a: without a mapping it is dropped. */
static void
an_error_about_nothing_is_dropped(void **state)
{
    struct nat_rig *rig = *state;
    struct frame f = frame_of(TUPLE(UDP, OUTSIDE, REMOTE, 5000, 53), 20);
    struct packet *of = nat_rig_packet(rig, &f, true);

    assert_false(nat_rig_send(rig, NAT_IN, error_about(rig, ROUTER, OUTSIDE, of, 28)));
    assert_int_equal(rig->reason, DROP_nat_no_session);
    assert_false(nat_rig_send(rig, NAT_OUT, error_about(rig, INSIDE, REMOTE, of, 28)));
    assert_int_equal(rig->reason, DROP_nat_no_session);
    packet_free(&of, 1);
}

/* REQ-3: neither one whose checksum is wrong, nor what says too little. */
static void
an_error_that_is_broken_is_dropped(void **state)
{
    struct nat_rig *rig = *state;

    OUT(UDP, INSIDE, REMOTE, 5000, 53);
    struct packet *of = rig->p;
    rig->p = NULL;
    for (unsigned broken = 0; broken < 4; broken++) {
        struct packet *error = error_about(rig, ROUTER, OUTSIDE, of, broken == 1 ? 24 : 28);
        uint8_t *inner = error->data + error->l4 + 8;
        if (broken == 2) {
            put_be16(inner + 6, 5);             /* A later fragment. */
            csum_transport(error);
        } else if (broken == 3) {
            inner[9] = 47;
            csum_transport(error);
        } else if (broken == 0) {
            error->data[error->l4 + ICMP_CSUM] ^= 1;
        }
        assert_false(nat_rig_send(rig, NAT_IN, error));
        assert_int_equal(rig->reason, DROP_nat_protocol);
    }
    packet_free(&of, 1);
}

/* REQ-6; RFC 4787, REQ-12; RFC 5382, REQ-10: an error neither prolongs a session nor ends it. */
static void
an_error_changes_no_session(void **state)
{
    struct nat_rig *rig = *state;

    OUT(UDP, INSIDE, REMOTE, 5000, 53);
    nat_rig_wait(rig, 250);
    struct frame f = frame_of(TUPLE(UDP, OUTSIDE, REMOTE, 5000, 53), 20);
    struct packet *of = nat_rig_packet(rig, &f, true);
    assert_true(nat_rig_send(rig, NAT_IN, error_about(rig, ROUTER, OUTSIDE, of, 28)));
    packet_free(&of, 1);
    nat_rig_wait(rig, 49);
    assert_int_equal(counts_of(rig).sessions, 1);
    nat_rig_wait(rig, 3);
    assert_int_equal(counts_of(rig).sessions, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_error_from_outside_reaches_who_sent_the_packet),
        TEST(an_error_from_inside_reaches_who_sent_the_packet),
        TEST(hosts_of_their_own_get_and_send_errors),
        TEST(an_error_comes_back_through_a_hairpin),
        TEST(an_error_about_nothing_is_dropped),
        TEST(an_error_that_is_broken_is_dropped),
        TEST(an_error_changes_no_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
