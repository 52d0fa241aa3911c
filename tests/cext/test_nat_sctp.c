/* NAT: SCTP, whose checksum is a CRC32c of all of its packet (RFC 9260, 6.8; RFC 3309; P5). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nat64.h"
#include "nat_rig.h"
#include "offload.h"

enum { SCTP = IP_PROTO_SCTP, ICMP = IP_PROTO_ICMPV4, UDP = IP_PROTO_UDP, PORT = 5000, PEER = 2905 };

static uint32_t
stored_crc(const struct packet *p)
{
    return get_be32(p->data + p->l4 + SCTP_CSUM);
}

/* Two hosts with the same port: the second one gets another outside.  OUT and IN check the sum. */
static void
ports_are_translated(void **state)
{
    struct nat_rig *rig = *state;

    OUT(SCTP, INSIDE, REMOTE, PORT, PEER);
    IS(SCTP, OUTSIDE, REMOTE, PORT, PEER);
    OUT(SCTP, INSIDE2, REMOTE, PORT, PEER);

    uint16_t port = read_tuple(rig->p).sport;

    assert_int_not_equal(port, PORT);
    IN(SCTP, REMOTE, OUTSIDE, PEER, PORT);
    IS(SCTP, REMOTE, INSIDE, PEER, PORT);
    IN(SCTP, REMOTE, OUTSIDE, PEER, port);
    IS(SCTP, REMOTE, INSIDE2, PEER, PORT);
    REFUSED(no_session, NAT_IN, SCTP, REMOTE, OUTSIDE, PEER, port + 2);
    assert_int_equal(counts_of(rig).sessions, 2);
}

/* Ports of other protocols are others. */
static void
ports_are_its_own(void **state)
{
    struct nat_rig *rig = *state;

    OUT(UDP, INSIDE2, REMOTE, PORT, PEER);
    OUT(SCTP, INSIDE, REMOTE, PORT, PEER);
    IS(SCTP, OUTSIDE, REMOTE, PORT, PEER);
    IN(UDP, REMOTE, OUTSIDE, PEER, PORT);
    IS(UDP, REMOTE, INSIDE2, PEER, PORT);
}

/* Of whatever length; what was wrong is as wrong as before (RFC 1624's rule, for a CRC). */
static void
a_wrong_sum_stays_wrong(void **state)
{
    struct nat_rig *rig = *state;

    OUT(SCTP, INSIDE, REMOTE, PORT, PEER);
    for (size_t payload = 0; payload < 1400; payload += 1 + payload / 5) {
        struct frame f = frame_of(TUPLE(SCTP, INSIDE2, REMOTE, PORT, PEER), payload);
        struct packet *p = nat_rig_packet(rig, &f, true);
        const uint32_t wrong = (uint32_t)payload * 0x01000193u;

        put_be32(p->data + p->l4 + SCTP_CSUM, stored_crc(p) ^ wrong);
        assert_true(nat_rig_send(rig, NAT_OUT, p));
        assert_int_not_equal(read_tuple(rig->p).sport, PORT);
        assert_int_equal(is_summed_right(rig->p), !wrong);
        put_be32(rig->p->data + rig->p->l4 + SCTP_CSUM, stored_crc(rig->p) ^ wrong);
        assert_true(is_summed_right(rig->p));
    }
}

static void
what_is_left_to_hardware_stays_so(void **state)
{
    struct nat_rig *rig = *state;
    struct frame f = frame_of(TUPLE(SCTP, INSIDE2, REMOTE, PORT, PEER), 100);

    OUT(SCTP, INSIDE, REMOTE, PORT, PEER);

    struct packet *p = nat_rig_packet(rig, &f, false);

    csum_ipv4(p->data + p->l3);
    p->offload = (struct offload) {
        .flags = OFFLOAD_NEEDS_CSUM, .csum_start = p->l4, .csum_offset = SCTP_CSUM,
    };
    assert_true(nat_rig_send(rig, NAT_OUT, p));
    assert_int_not_equal(read_tuple(rig->p).sport, PORT);
    assert_int_equal(stored_crc(rig->p), 0);
    offload_checksum(rig->p);
    assert_true(is_summed_right(rig->p));
}

/* RFC 4787, REQ-9: twice, and right. */
static void
it_turns_back(void **state)
{
    struct nat_rig *rig = *state;

    OUT(SCTP, INSIDE, REMOTE, PORT, PEER);
    OUT(SCTP, INSIDE2, OUTSIDE, PORT, PORT);

    struct tuple t = read_tuple(rig->p);

    assert_int_equal(t.src, OUTSIDE);
    assert_int_not_equal(t.sport, PORT);
    assert_int_equal(t.dst, INSIDE);
}

static void
forwards_and_hosts(void **state)
{
    struct nat_rig *rig = *state;
    const struct nat_forward forward = { OUTSIDE, { { 0, INSIDE } }, PEER, PORT, SCTP, false };
    const struct nat_host host = { OUTSIDE + 1, INSIDE2 };

    CONFIG(.forwards = &forward, .n_forwards = 1, .hosts = &host, .n_hosts = 1);
    IN(SCTP, REMOTE, OUTSIDE, 9, PEER);
    IS(SCTP, REMOTE, INSIDE, 9, PORT);
    OUT(SCTP, INSIDE, REMOTE, PORT, 9);
    IS(SCTP, OUTSIDE, REMOTE, PEER, 9);
    OUT(SCTP, INSIDE2, REMOTE, PORT, PEER);             /* The address is not summed. */
    IS(SCTP, OUTSIDE + 1, REMOTE, PORT, PEER);
    IN(SCTP, REMOTE, OUTSIDE + 1, PEER, PORT);
    IS(SCTP, REMOTE, INSIDE2, PEER, PORT);
}

/* The sum is of all of a packet, so a fragment's cannot be changed: none gets through, and each is counted. */
static void
fragments_are_dropped(void **state)
{
    struct nat_rig *rig = *state;
    static const uint16_t pieces[] = { 0x2000, 0x0008 };

    OUT(SCTP, INSIDE, REMOTE, PORT, PEER);
    for (unsigned i = 0; i < 2; i++) {
        struct frame f = frame_of(TUPLE(SCTP, INSIDE, REMOTE, PORT, PEER), 52);

        put_be16(f.data + f.ip + 6, pieces[i]);
        assert_false(nat_rig_send(rig, NAT_OUT, nat_rig_packet(rig, &f, false)));
        assert_int_equal(rig->reason, DROP_nat_fragment);
    }
}

/* RFC 5508, REQ-4: an error comes with the ports that the packet had, and leaves its sum. */
static void
errors_about_it(void **state)
{
    struct nat_rig *rig = *state;
    struct frame f;

    OUT(SCTP, INSIDE, REMOTE, PORT, PEER);
    OUT(SCTP, INSIDE2, REMOTE, PORT, PEER);

    const uint32_t crc = stored_crc(rig->p);

    frame_eth(&f, ETH_TYPE_IPV4);
    frame_ipv4(&f, ICMP, 0, 0);
    set_addresses(&f, REMOTE2, OUTSIDE);
    frame_icmp(&f, 3, 2, 0);
    frame_add32(&f, 0);
    frame_add(&f, rig->p->data + rig->p->l3, rig->p->len - rig->p->l3);
    put_be16(f.data + f.ip + 2, (uint16_t)(f.len - f.ip));
    assert_true(nat_rig_send(rig, NAT_IN, nat_rig_packet(rig, &f, true)));
    assert_true(is_summed_right(rig->p));
    assert_int_equal(read_tuple(rig->p).dst, INSIDE2);

    const uint8_t *inner = rig->p->data + rig->p->l4 + 8;

    assert_int_equal(get_be32(inner + 12), INSIDE2);
    assert_int_equal(get_be16(inner + IPV4_SIZE), PORT);
    assert_int_equal(get_be32(inner + IPV4_SIZE + SCTP_CSUM), crc);
}

/* RFC 9260, 8.3: heartbeats come every 30 seconds, so the timer of UDP will do. */
static void
it_has_the_timer_of_udp(void **state)
{
    struct nat_rig *rig = *state;
    struct nat_session session;
    uint64_t position = 0;

    OUT(SCTP, INSIDE, REMOTE, PORT, PEER);
    assert_true(nat_next(rig->nat, &position, rig->worker->now_ms, &session));
    assert_int_equal(session.proto, SCTP);
    assert_int_equal(session.timer, NAT_TIMER_udp);
}

/* RFC 6146 has TCP, UDP and ICMP. */
static void
not_between_families(void **state)
{
    struct nat_rig *rig = *state;
    const struct ip_prefix prefix = { { { UINT64_C(0x20010db800640000), 0 } }, IP_V6, 96 };
    const struct nat_forward forward = {
        OUTSIDE, { { UINT64_C(0x20010db800010000), 1 } }, PEER, PORT, SCTP, true,
    };
    struct worker_counters before;
    char why[256];
    struct frame f;

    CONFIG(.nat64 = prefix);
    frame_eth(&f, ETH_TYPE_IPV6);
    frame_ipv6(&f, SCTP);
    ip_write(IP_V6, &prefix.address, f.data + f.ip + 24);
    put_be32(f.data + f.ip + 36, REMOTE);
    frame_sctp(&f, 20);
    frame_end(&f);
    before = rig->worker->totals;
    assert_false(nat64_out(rig->nat, rig->worker, nat_rig_packet(rig, &f, false), 1500, 1500));
    assert_int_equal(reason_of(&before, &rig->worker->totals), DROP_nat_protocol);
    assert_int_not_equal(nat_configure(rig->nat, &(const struct nat_config) {
        .pools = &one_pool, .n_pools = 1, .nat64 = prefix, .forwards = &forward, .n_forwards = 1,
    }, rig->worker->now_ms, why, sizeof why), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ports_are_translated), TEST(ports_are_its_own), TEST(a_wrong_sum_stays_wrong),
        TEST(what_is_left_to_hardware_stays_so), TEST(it_turns_back), TEST(forwards_and_hosts),
        TEST(fragments_are_dropped), TEST(errors_about_it), TEST(it_has_the_timer_of_udp), TEST(not_between_families),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
