/* NAT64: hosts and their numbers, state of TCP, what is left to hardware, room that runs out (P5).  Headers are held to a
 * model of RFC 7915 in tests/dataplane/test_nat64.py. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nat64.h"
#include "nat_private.h"
#include "nat_rig.h"
#include "offload.h"

enum { TCP = IP_PROTO_TCP, UDP = IP_PROTO_UDP, FIN = 1, SYN = 2, RST = 4, ACK = 16, MTU = 1500 };

static const struct ip_prefix prefix = { { { UINT64_C(0x20010db800640000), 0 } }, IP_V6, 96 };

#define HOST(I) ((struct ip_address) { { UINT64_C(0x20010db800010000), (I) } })
#define WITH_PREFIX(...) CONFIG(.nat64 = prefix, __VA_ARGS__)

static struct packet *
packet6(struct nat_rig *rig, uint64_t host, uint8_t proto, uint16_t port, uint8_t flags, size_t payload)
{
    struct ip_address source = HOST(host), destination = prefix.address;
    struct frame f;
    size_t l4;

    destination.word[1] = REMOTE;
    frame_eth(&f, ETH_TYPE_IPV6);
    frame_ipv6(&f, proto);
    ip_write(IP_V6, &source, f.data + f.ip + 8);
    ip_write(IP_V6, &destination, f.data + f.ip + 24);
    l4 = f.len;
    if (proto == TCP) {
        frame_tcp(&f, payload);
        f.data[l4 + TCP_FLAGS_AT] = flags;
    } else {
        frame_udp(&f, payload);
    }
    put_be16(f.data + l4, port);
    frame_end(&f);

    struct packet *p = nat_rig_packet(rig, &f, false);

    csum_transport(p);
    return p;
}

/* Sends a packet from inside; whether it came out.  It is in rig->p then. */
static bool
out6(struct nat_rig *rig, struct packet *p)
{
    struct worker_counters before = rig->worker->totals;

    nat_rig_forget(rig);
    bool came = nat64_out(rig->nat, rig->worker, p, MTU, MTU);
    rig->reason = reason_of(&before, &rig->worker->totals);
    rig->p = came ? p : NULL;
    if (came) {
        check_packet(p);
    }
    return came;
}

#define OUT6(HOST_, PROTO, PORT, FLAGS) assert_true(out6(rig, packet6(rig, HOST_, PROTO, PORT, FLAGS, 20)))
#define REFUSED6(REASON, HOST_, PORT)                                           \
    do {                                                                        \
        assert_false(out6(rig, packet6(rig, HOST_, UDP, PORT, 0, 20)));         \
        assert_int_equal(rig->reason, DROP_nat_##REASON);                       \
    } while (0)

/* Answers the last packet; whether the answer reached a host with IPv6. */
static bool
in6(struct nat_rig *rig, uint16_t port, uint8_t proto, uint8_t flags)
{
    const struct tuple t = { proto, REMOTE, OUTSIDE, proto == TCP ? 80 : 53, port, flags };
    struct worker_counters before = rig->worker->totals;
    struct frame f = frame_of(&t, 20);
    struct packet *p = nat_rig_packet(rig, &f, true), *out[4];
    struct nat64_target target;

    nat_rig_forget(rig);
    if (!nat64_find(rig->nat, p, rig->worker->now_ms, &target)) {
        packet_free(&p, 1);
        return false;
    }
    unsigned n = nat64_in(rig->nat, rig->worker, p, &target, MTU, MTU, out, 4);
    rig->reason = reason_of(&before, &rig->worker->totals);
    assert_true(n <= 1);
    if (n) {
        rig->p = out[0];
        assert_true(plain_transport_good(out[0]->data, out[0]->l3, out[0]->l4));
    }
    return n;
}

static struct ip_address
receiver(const struct nat_rig *rig)
{
    return ip_read(IP_V6, rig->p->data + rig->p->l3 + 24);
}

/* RFC 6146, 3.5.2: the mapping of an endpoint inside does not depend on who that is. */
static void
hosts_of_both_families_share_ports(void **state)
{
    struct nat_rig *rig = *state;
    uint16_t ports[3];

    WITH_PREFIX();
    OUT(UDP, INSIDE, REMOTE, 5000, 53);
    ports[0] = read_tuple(rig->p).sport;
    for (uint64_t host = 1; host < 3; host++) {
        OUT6(host, UDP, 5000, 0);
        ports[host] = read_tuple(rig->p).sport;
        assert_true(is_summed_right(rig->p));
    }
    assert_int_not_equal(ports[0], ports[1]);
    assert_int_not_equal(ports[1], ports[2]);
    for (uint64_t host = 1; host < 3; host++) {
        struct ip_address wanted = HOST(host);

        assert_true(in6(rig, ports[host], UDP, 0));
        struct ip_address got = receiver(rig);
        assert_true(ip_equal(&got, &wanted));
        assert_int_equal(get_be16(rig->p->data + rig->p->l4 + 2), 5000);
    }
    assert_false(in6(rig, ports[0], UDP, 0));           /* Not for IPv6, */
    IN(UDP, REMOTE, OUTSIDE, 53, ports[0]);
    IS(UDP, REMOTE, INSIDE, 53, 5000);
    REFUSED(no_session, NAT_IN, UDP, REMOTE, OUTSIDE, 53, ports[1]);    /* and not for IPv4. */
}

/* RFC 6146, 3.5.2.2: as in IPv4. */
static void
connections_have_the_timers_of_ipv4(void **state)
{
    struct nat_rig *rig = *state;
    struct nat_session session;
    const uint8_t timers[] = { NAT_TIMER_tcp_transitory, NAT_TIMER_tcp_established, NAT_TIMER_tcp_established,
                               NAT_TIMER_tcp_closed };

    WITH_PREFIX(.strict_tcp = true);
    assert_false(out6(rig, packet6(rig, 1, TCP, 5000, ACK, 20)));
    assert_int_equal(rig->reason, DROP_nat_no_session);
    assert_int_equal(counts_of(rig).sessions, 0);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t position = 0;

        assert_true(i % 2 ? in6(rig, 5000, TCP, i == 1 ? SYN | ACK : FIN | ACK)
                          : out6(rig, packet6(rig, 1, TCP, 5000, i ? FIN | ACK : SYN, 20)));
        assert_true(nat_next(rig->nat, &position, rig->worker->now_ms, &session));
        assert_int_equal(session.timer, timers[i]);
        assert_true(session.inside_v6);
        assert_int_equal(session.inside.word[1], 1);
    }
    nat_rig_wait(rig, 242);
    assert_int_equal(counts_of(rig).sessions, 0);
    assert_false(in6(rig, 5000, TCP, ACK));
}

/* A host keeps its number while it has sessions, and numbers come back: none is left over (nat_tear_down() and the
 * table of hosts). */
static void
numbers_come_back(void **state)
{
    struct nat_rig *rig = *state;

    WITH_PREFIX(.max_per_source = 2, .source_bits = 128);
    for (unsigned turn = 0; turn < 10; turn++) {
        for (uint64_t host = 0; host < NAT_ROOM / 2; host++) {
            OUT6(host, UDP, 5000, 0);
            OUT6(host, UDP, 5001, 0);
        }
        REFUSED6(full, 7000, 5000);
        assert_int_equal(counts_of(rig).sessions, NAT_ROOM);
        assert_int_equal(kv_count(&rig->nat->hosts6.numbers), NAT_ROOM / 2);
        const struct ip_prefix one = { HOST(turn), IP_V6, 128 };
        assert_int_equal(nat_flush(rig->nat, &one, rig->worker->now_ms), 2);
        OUT6(turn, UDP, 5000, 0);
        OUT6(turn, UDP, 5001, 0);
        REFUSED6(full, turn, 5002);
        nat_rig_wait(rig, 302);
        assert_int_equal(kv_count(&rig->nat->hosts6.numbers), 0);
    }
    OUT6(1, UDP, 5000, 0);
    OUT6(1, UDP, 5001, 0);
    REFUSED6(limit, 1, 5002);
    WITH_PREFIX(.block = 64);
    OUT6(1, UDP, 5000, 0);
    uint16_t port = read_tuple(rig->p).sport;
    OUT6(1, UDP, 5001, 0);
    assert_int_equal(read_tuple(rig->p).sport / 64, port / 64);
    CONFIG();
    assert_int_equal(counts_of(rig).sessions, 0);
    assert_int_equal(kv_count(&rig->nat->hosts6.numbers), 0);
}

/* RFC 6888, REQ-4, and RFC 4291, 2.5.4: a host may use any address of its link, so that these count together.  Who has
 * sessions counts as when the first one began. */
static void
a_limit_is_that_of_a_prefix(void **state)
{
    struct nat_rig *rig = *state;

    WITH_PREFIX(.max_per_source = 2);
    OUT6(1, UDP, 5000, 0);
    OUT6(2, UDP, 5000, 0);
    REFUSED6(limit, 3, 5000);
    OUT(UDP, INSIDE, REMOTE, 5000, 53);                         /* Of IPv4 each address is one, */
    OUT(UDP, INSIDE2, REMOTE, 5000, 53);
    assert_int_equal(counts_of(rig).sources, 3);
    WITH_PREFIX(.max_per_source = 2, .source_bits = 127);       /* 2 and 3 are one, 4 and 5 the next. */
    REFUSED6(limit, 2, 5001);
    OUT6(3, UDP, 5000, 0);
    OUT6(3, UDP, 5001, 0);
    REFUSED6(limit, 3, 5002);
    OUT6(4, UDP, 5000, 0);
    OUT6(5, UDP, 5000, 0);
    REFUSED6(limit, 4, 5001);
    nat_flush(rig->nat, NULL, rig->worker->now_ms);
    assert_int_equal(counts_of(rig).sources, 0);
    assert_int_equal(kv_count(&rig->nat->hosts6.numbers), 0);
    OUT6(2, UDP, 5000, 0);
    OUT6(3, UDP, 5000, 0);
    REFUSED6(limit, 2, 5001);
}

/* RFC 6146, 3.1 and 3.5.1.1: entries that an administrator puts into the table of bindings.  Whoever it is may come in. */
static void
a_port_is_forwarded_to_a_host_with_ipv6(void **state)
{
    struct nat_rig *rig = *state;
    const struct nat_forward web[] = { { OUTSIDE, HOST(7), 80, 8080, TCP, true },
                                       { OUTSIDE, HOST(7), 53, 5353, UDP, true } };
    const struct ip_address wanted = HOST(7);

    WITH_PREFIX(.forwards = web, .n_forwards = 2, .filtering = NAT_BY_ENDPOINT, .logs = true);
    assert_int_equal(counts_of(rig).mappings, 2);
    assert_int_equal(kv_count(&rig->nat->hosts6.numbers), 1);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(in6(rig, web[i].outside_port, web[i].proto, SYN));
        struct ip_address got = receiver(rig);
        assert_true(ip_equal(&got, &wanted));
        assert_int_equal(get_be16(rig->p->data + rig->p->l4 + 2), web[i].inside_port);
        OUT6(7, web[i].proto, web[i].inside_port, SYN | ACK);
        assert_int_equal(read_tuple(rig->p).sport, web[i].outside_port);
    }
    WITH_PREFIX(.forwards = web, .n_forwards = 1, .filtering = NAT_BY_ENDPOINT);
    nat_rig_wait(rig, 302);
    assert_false(in6(rig, 53, UDP, 0));                         /* It lived as long as its session. */
    assert_int_equal(counts_of(rig).mappings, 1);
    assert_int_equal(kv_count(&rig->nat->hosts6.numbers), 1);
    nat_flush(rig->nat, NULL, rig->worker->now_ms);
    assert_true(in6(rig, 80, TCP, SYN));                        /* The other one is always there. */
    CONFIG();
    assert_int_equal(kv_count(&rig->nat->hosts6.numbers), 0);
}

/* A forward needs a host that has an address outside. */
static void
a_wrong_forward_is_refused(void **state)
{
    struct nat_rig *rig = *state;
    const struct nat_forward wrong[] = {
        { OUTSIDE, HOST(7), 80, 8080, TCP, true }, { OUTSIDE, prefix.address, 80, 8080, TCP, true },
        { OUTSIDE, { { UINT64_C(0xff02) << 48, 1 } }, 80, 8080, TCP, true },
        { OUTSIDE, { { 0, 0 } }, 80, 8080, TCP, true }, { OUTSIDE, HOST(7), 80, 8080, TCP, false },
    };
    char why[256];

    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct nat_config config = { .pools = &one_pool, .n_pools = 1, .forwards = &wrong[i], .n_forwards = 1 };

        config.nat64 = i ? prefix : (struct ip_prefix) { .len = 0 };
        assert_int_not_equal(nat_configure(rig->nat, &config, rig->worker->now_ms, why, sizeof why), 0);
        assert_non_null(strstr(why, "takes a prefix for NAT64"));
        assert_int_equal(counts_of(rig).mappings, 0);
    }
}

/* Only the sum of the pseudo header is there, and segments are of the other family then. */
static void
what_is_left_to_hardware_stays_right(void **state)
{
    struct nat_rig *rig = *state;

    WITH_PREFIX();
    for (unsigned turn = 0; turn < 2; turn++) {
        struct packet *p = packet6(rig, 1, turn ? UDP : TCP, 5000, SYN, 20);
        uint8_t *l4 = p->data + p->l4;
        unsigned csum = turn ? UDP_CSUM : TCP_CSUM;
        uint16_t n = (uint16_t)(p->len - p->l4);

        put_be16(l4 + csum, plain_pseudo(p->data + p->l3, turn ? UDP : TCP, n));
        p->offload = (struct offload) {
            .flags = OFFLOAD_NEEDS_CSUM, .csum_start = p->l4, .csum_offset = (uint16_t)csum,
            .gso_type = turn ? 0 : OFFLOAD_GSO_TCPV6 | OFFLOAD_GSO_ECN, .gso_size = turn ? 0 : 1000,
            .hdr_len = turn ? 0 : (uint16_t)(p->l4 + TCP_SIZE),
        };
        assert_true(out6(rig, p));
        assert_int_equal(p->offload.csum_start, p->l4);
        if (!turn) {
            assert_int_equal(p->offload.gso_type, OFFLOAD_GSO_TCPV4 | OFFLOAD_GSO_ECN);
            assert_int_equal(p->offload.hdr_len, p->l4 + TCP_SIZE);
        }
        offload_checksum(p);
        assert_true(is_summed_right(p));
    }
}

/* RFC 6888, section 4, for hosts with IPv6. */
static void
their_mappings_are_logged(void **state)
{
    struct nat_rig *rig = *state;
    struct nat_event event;

    WITH_PREFIX(.logs = true);
    OUT6(9, UDP, 5000, 0);
    nat_flush(rig->nat, NULL, rig->worker->now_ms);
    for (unsigned i = 0; i < 2; i++) {
        struct ip_address wanted = HOST(9);

        assert_true(nat_event(rig->nat, &event));
        assert_int_equal(event.created, !i);
        assert_true(event.inside_v6 && ip_equal(&event.inside, &wanted));
        assert_int_equal(event.inside_port, 5000);
    }
}

/* A packet without room in front of it is dropped, and so is one without a prefix to go to. */
static void
what_has_no_room_is_dropped(void **state)
{
    struct nat_rig *rig = *state;
    const struct tuple t = { UDP, REMOTE, OUTSIDE, 53, 5000, 0 };
    struct nat64_target target;
    struct packet *out[1];
    struct frame f = frame_of(&t, 20);

    WITH_PREFIX();
    OUT6(1, UDP, 5000, 0);
    struct packet *p = nat_rig_packet(rig, &f, true);
    p->headroom = 19;
    assert_true(nat64_find(rig->nat, p, rig->worker->now_ms, &target));
    assert_int_equal(nat64_in(rig->nat, rig->worker, p, &target, MTU, MTU, out, 1), 0);
    assert_int_equal(rig->worker->totals.drops[DROP_no_room], 1);
    p = nat_rig_packet(rig, &f, true);
    p->headroom = 20;
    assert_int_equal(nat64_in(rig->nat, rig->worker, p, &target, MTU, MTU, out, 1), 1);
    packet_free(out, 1);
}

static void
a_wrong_prefix_is_refused(void **state)
{
    struct nat_rig *rig = *state;
    const struct ip_prefix wrong[] = {
        { { { 0, 0 } }, IP_V6, 95 }, { { { 0, 1 } }, IP_V6, 96 }, { { { 1, 0 } }, IP_V6, 32 },
        { { { 0, UINT64_C(1) << 56 } }, IP_V6, 96 }, { { { 0, 0 } }, IP_V4, 32 },
    };
    char why[256];

    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const struct nat_config config = { .pools = &one_pool, .n_pools = 1, .nat64 = wrong[i] };

        assert_int_not_equal(nat_configure(rig->nat, &config, rig->worker->now_ms, why, sizeof why), 0);
        assert_non_null(strstr(why, "32, 40, 48, 56, 64 or 96 bits"));
    }
    assert_false(nat64_is_on(rig->nat));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hosts_of_both_families_share_ports),
        TEST(connections_have_the_timers_of_ipv4),
        TEST(numbers_come_back),
        TEST(a_limit_is_that_of_a_prefix),
        TEST(a_port_is_forwarded_to_a_host_with_ipv6),
        TEST(a_wrong_forward_is_refused),
        TEST(what_is_left_to_hardware_stays_right),
        TEST(their_mappings_are_logged),
        TEST(what_has_no_room_is_dropped),
        TEST(a_wrong_prefix_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
