/* NAT: conversations, mappings, filters, timers, limits (P5, M18).  Each case names the section or the
 * requirement that it holds to: 4787 is UDP's, 5382 TCP's, 5508 ICMP's, all RFCs. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nat_rig.h"

enum { TCP = IP_PROTO_TCP, UDP = IP_PROTO_UDP, ICMP = IP_PROTO_ICMPV4 };
enum { FIN = 1, SYN = 2, RST = 4, ACK = 16, PING = 0x0800, PONG = 0 };

static const struct ip_prefix inside_prefix = { { { 0, INSIDE } }, IP_V4, 32 };
static const struct ip_prefix inside2_prefix = { { { 0, INSIDE2 } }, IP_V4, 32 };

/* --- Conversations ---------------------------------------------------------------------------------------- */

/* RFC 3022, 2.2 and 4.1: addresses and ports both ways. */
static void
udp_goes_out_and_its_answer_comes_back(void **state)
{
    struct nat_rig *rig = *state;

    OUT(UDP, INSIDE, REMOTE, 5000, 53);
    IS(UDP, OUTSIDE, REMOTE, 5000, 53);
    IN(UDP, REMOTE, OUTSIDE, 53, 5000);
    IS(UDP, REMOTE, INSIDE, 53, 5000);
    assert_int_equal(counts_of(rig).sessions, 1);
}

static void
tcp_goes_out_and_its_answer_comes_back(void **state)
{
    struct nat_rig *rig = *state;

    OUT(TCP, INSIDE, REMOTE, 5000, 80, SYN);
    IS(TCP, OUTSIDE, REMOTE, 5000, 80);
    IN(TCP, REMOTE, OUTSIDE, 80, 5000, SYN | ACK);
    IS(TCP, REMOTE, INSIDE, 80, 5000);
    OUT(TCP, INSIDE, REMOTE, 5000, 80, ACK);
    IS(TCP, OUTSIDE, REMOTE, 5000, 80);
}

/* RFC 5508, REQ-1: the id of a query is mapped as a port is. */
static void
a_ping_goes_out_and_its_answer_comes_back(void **state)
{
    struct nat_rig *rig = *state;

    OUT(ICMP, INSIDE, REMOTE, 77, PING);
    IS(ICMP, OUTSIDE, REMOTE, 77, PING);
    IN(ICMP, REMOTE, OUTSIDE, 77, PONG);
    IS(ICMP, REMOTE, INSIDE, 77, PONG);
    OUT(ICMP, INSIDE2, REMOTE, 77, PING);
    uint16_t other = read_tuple(rig->p).sport;
    assert_int_not_equal(other, 77);
    IN(ICMP, REMOTE, OUTSIDE, other, PONG);
    IS(ICMP, REMOTE, INSIDE2, 77, PONG);
}

static void
what_has_no_ports_is_refused(void **state)
{
    struct nat_rig *rig = *state;

    REFUSED(protocol, NAT_OUT, 47, INSIDE, REMOTE);
    REFUSED(protocol, NAT_IN, 47, REMOTE, OUTSIDE);
    REFUSED(protocol, NAT_OUT, ICMP, INSIDE, REMOTE, 1, 0x0500);        /* A redirect. */
}

static void
what_is_not_for_the_nat_is_left_alone(void **state)
{
    struct nat_rig *rig = *state;
    struct frame f;

    IN(UDP, REMOTE, IP(192, 0, 2, 9), 53, 5000);
    IS(UDP, REMOTE, IP(192, 0, 2, 9), 53, 5000);
    frame_sample(&f, SAMPLE_udp6);
    struct packet *p = nat_rig_packet(rig, &f, true), *packets[1] = { p };
    assert_int_equal(nat_translate(rig->nat, rig->worker, packets, 1, 1, NAT_OUT), 1);
    assert_memory_equal(p->data, f.data, ETH_SIZE + IPV6_SIZE);
    packet_free(&p, 1);
}

/* --- Mappings ------------------------------------------------------------------------------------------------ */

/* 4787, REQ-1; 5382, REQ-1: one endpoint inside is one outside, whoever it talks to. */
static void
a_mapping_does_not_depend_on_the_remote_endpoint(void **state)
{
    struct nat_rig *rig = *state;

    OUT(UDP, INSIDE2, REMOTE, 5000, 53);
    OUT(UDP, INSIDE, REMOTE, 5000, 53);
    uint16_t port = read_tuple(rig->p).sport;
    assert_int_not_equal(port, 5000);
    OUT(UDP, INSIDE, REMOTE2, 5000, 54);
    IS(UDP, OUTSIDE, REMOTE2, port, 54);
    OUT(UDP, INSIDE, REMOTE, 5000, 55);
    IS(UDP, OUTSIDE, REMOTE, port, 55);
    assert_int_equal(counts_of(rig).mappings, 2);
    assert_int_equal(counts_of(rig).sessions, 4);
}

/* 4787, REQ-3: no two endpoints inside share one outside. REQ-4: the parity of ports stays. */
static void
ports_are_not_shared_and_keep_their_parity(void **state)
{
    struct nat_rig *rig = *state;
    static bool taken[65536];

    memset(taken, 0, sizeof taken);
    for (unsigned i = 0; i < NAT_ROOM; i++) {
        OUT(UDP, INSIDE + i, REMOTE, (uint16_t)(6000 + i % 2), 53);
        uint16_t port = read_tuple(rig->p).sport;
        assert_false(taken[port]);
        assert_int_equal(port % 2, i % 2);
        assert_true(port >= 1024);
        taken[port] = true;
    }
}

/* 4787, REQ-2: an address inside is always behind the same one outside. */
static void
a_source_keeps_its_address_outside(void **state)
{
    struct nat_rig *rig = *state;
    const struct nat_pool pool = { OUTSIDE, OUTSIDE + 7, 1024, 65535, false };
    unsigned seen = 0;

    POOL(&pool);
    for (unsigned i = 0; i < 16; i++) {
        OUT(UDP, INSIDE + i, REMOTE, 7000, 53);
        uint32_t address = read_tuple(rig->p).src;
        for (uint16_t port = 7001; port < 7009; port++) {
            OUT(UDP, INSIDE + i, REMOTE, port, 53);
            assert_int_equal(read_tuple(rig->p).src, address);
        }
        seen |= 1u << (address - OUTSIDE);
    }
    assert_true(seen & (seen - 1));             /* Not all behind one. */
}

/* The port of one that has gone is another's, and what comes to it goes there. */
static void
a_port_is_used_again(void **state)
{
    struct nat_rig *rig = *state;
    const struct nat_pool pool = { OUTSIDE, OUTSIDE, 2000, 2000, false };

    POOL(&pool);
    OUT(UDP, INSIDE, REMOTE, 5000, 53);
    IS(UDP, OUTSIDE, REMOTE, 2000, 53);
    REFUSED(ports, NAT_OUT, UDP, INSIDE2, REMOTE, 5000, 53);
    IN(UDP, REMOTE, OUTSIDE, 53, 2000);
    IS(UDP, REMOTE, INSIDE, 53, 5000);
    nat_rig_wait(rig, 302);
    REFUSED(no_session, NAT_IN, UDP, REMOTE, OUTSIDE, 53, 2000);
    OUT(UDP, INSIDE2, REMOTE, 5000, 53);
    IN(UDP, REMOTE, OUTSIDE, 53, 2000);
    IS(UDP, REMOTE, INSIDE2, 53, 5000);
}

/* RFC 6888, REQ-9 (and RFC 7422): a block for each source says who it was, without a line for each session. */
static void
a_source_has_a_block_of_ports(void **state)
{
    struct nat_rig *rig = *state;
    const struct nat_pool pool = { OUTSIDE, OUTSIDE, 1024, 1024 + 2 * 64 - 1, false };
    uint16_t blocks[2] = { 0 };

    POOL(&pool, .block = 64);
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned port = 0; port < 64; port++) {
            OUT(UDP, INSIDE + i, REMOTE, (uint16_t)(9000 + port), 53);
            uint16_t block = read_tuple(rig->p).sport / 64;
            assert_true(!port || block == blocks[i]);
            blocks[i] = block;
        }
        REFUSED(ports, NAT_OUT, UDP, INSIDE + i, REMOTE, 9500, 53);
    }
    assert_int_not_equal(blocks[0], blocks[1]);
    REFUSED(ports, NAT_OUT, UDP, INSIDE + 2, REMOTE, 9000, 53);
    nat_flush(rig->nat, &inside_prefix, rig->worker->now_ms);
    OUT(UDP, INSIDE + 2, REMOTE, 9000, 53);
    assert_int_equal(read_tuple(rig->p).sport / 64, blocks[0]);
}

/* --- Who may come in -------------------------------------------------------------------------------------------- */

/* 4787, REQ-8; 5382, REQ-3: by default anybody. */
static void
anybody_may_send_to_a_mapping(void **state)
{
    struct nat_rig *rig = *state;

    OUT(UDP, INSIDE, REMOTE, 5000, 53);
    IN(UDP, REMOTE2, OUTSIDE, 99, 5000);
    IS(UDP, REMOTE2, INSIDE, 99, 5000);
    OUT(UDP, INSIDE, REMOTE2, 5000, 99);
    IS(UDP, OUTSIDE, REMOTE2, 5000, 99);
    assert_int_equal(counts_of(rig).sessions, 2);
    REFUSED(no_session, NAT_IN, UDP, REMOTE, OUTSIDE, 53, 5001);
    REFUSED(no_session, NAT_IN, TCP, REMOTE, OUTSIDE, 53, 5000, SYN);
}

/* 5382, REQ-2: both sides begin at once. */
static void
a_simultaneous_open_passes(void **state)
{
    struct nat_rig *rig = *state;

    OUT(TCP, INSIDE, REMOTE, 5000, 80, SYN);
    IN(TCP, REMOTE, OUTSIDE, 80, 5000, SYN);
    IS(TCP, REMOTE, INSIDE, 80, 5000);
    OUT(TCP, INSIDE, REMOTE, 5000, 80, SYN | ACK);
    IN(TCP, REMOTE, OUTSIDE, 80, 5000, ACK);
    nat_rig_wait(rig, 7400);
    IN(TCP, REMOTE, OUTSIDE, 80, 5000, ACK);
}

/* 4787, section 5: address-dependent filtering. */
static void
only_addresses_that_were_asked_may_come_in(void **state)
{
    struct nat_rig *rig = *state;

    CONFIG(.filtering = NAT_BY_ADDRESS);
    OUT(UDP, INSIDE, REMOTE, 5000, 53);
    OUT(UDP, INSIDE, REMOTE, 5000, 54);
    IN(UDP, REMOTE, OUTSIDE, 99, 5000);
    IS(UDP, REMOTE, INSIDE, 99, 5000);
    REFUSED(no_session, NAT_IN, UDP, REMOTE2, OUTSIDE, 53, 5000);
    nat_rig_wait(rig, 302);
    OUT(UDP, INSIDE, REMOTE2, 5000, 53);
    REFUSED(no_session, NAT_IN, UDP, REMOTE, OUTSIDE, 99, 5000);
}

/* 4787, section 5: address and port-dependent filtering. */
static void
only_endpoints_that_were_asked_may_come_in(void **state)
{
    struct nat_rig *rig = *state;

    CONFIG(.filtering = NAT_BY_ENDPOINT);
    OUT(UDP, INSIDE, REMOTE, 5000, 53);
    IN(UDP, REMOTE, OUTSIDE, 53, 5000);
    REFUSED(no_session, NAT_IN, UDP, REMOTE, OUTSIDE, 54, 5000);
}

/* An address that is the router's own too: what belongs to no mapping goes on to it. */
static void
what_nobody_inside_asked_for_is_left_to_who_shares_the_address(void **state)
{
    struct nat_rig *rig = *state;
    const struct nat_pool pool = { OUTSIDE, OUTSIDE, 1024, 65535, true };

    POOL(&pool);
    OUT(ICMP, INSIDE, REMOTE, 77, PING);
    IN(TCP, REMOTE, OUTSIDE, 999, 22, SYN);
    IS(TCP, REMOTE, OUTSIDE, 999, 22);
    IN(ICMP, REMOTE, OUTSIDE, 77, PING);        /* A ping to the router, with an id that is in use. */
    IS(ICMP, REMOTE, OUTSIDE, 77, PING);
    IN(ICMP, REMOTE, OUTSIDE, 77, PONG);
    IS(ICMP, REMOTE, INSIDE, 77, PONG);
    IN(47, REMOTE, OUTSIDE);
}

/* --- Hairpin, forwards, hosts ----------------------------------------------------------------------------------------- */

/* 4787, REQ-9; 5382, REQ-8: two hosts inside by their addresses outside, and they see these (a). */
static void
hosts_inside_reach_each_other_by_their_outside(void **state)
{
    struct nat_rig *rig = *state;

    OUT(UDP, INSIDE, REMOTE, 5000, 53);
    OUT(UDP, INSIDE2, OUTSIDE, 6000, 5000);
    IS(UDP, OUTSIDE, INSIDE, 6000, 5000);
    OUT(UDP, INSIDE, OUTSIDE, 5000, 6000);
    IS(UDP, OUTSIDE, INSIDE2, 5000, 6000);
    REFUSED(no_session, NAT_OUT, UDP, INSIDE, OUTSIDE, 5000, 6001);
    assert_true(nat_is_outside(rig->nat, OUTSIDE));
    assert_false(nat_is_outside(rig->nat, REMOTE));
}

static const struct nat_forward web = { OUTSIDE, { { 0, INSIDE } }, 80, 8080, TCP, false };

static void
a_forwarded_port_is_always_open(void **state)
{
    struct nat_rig *rig = *state;

    CONFIG(.forwards = &web, .n_forwards = 1, .filtering = NAT_BY_ENDPOINT);
    IN(TCP, REMOTE, OUTSIDE, 999, 80, SYN);
    IS(TCP, REMOTE, INSIDE, 999, 8080);
    OUT(TCP, INSIDE, REMOTE, 8080, 999, SYN | ACK);
    IS(TCP, OUTSIDE, REMOTE, 80, 999);
    nat_rig_wait(rig, 10000);
    assert_int_equal(counts_of(rig).sessions, 0);
    OUT(TCP, INSIDE2, OUTSIDE, 4000, 80, SYN);          /* From inside too. */
    IS(TCP, OUTSIDE, INSIDE, 4000, 8080);
    OUT(TCP, INSIDE, REMOTE, 8080, 99, SYN);            /* Its own mapping. */
    IS(TCP, OUTSIDE, REMOTE, 80, 99);
}

static void
two_ports_are_forwarded_to_one(void **state)
{
    struct nat_rig *rig = *state;
    const struct nat_forward both[] = { web, { OUTSIDE, { { 0, INSIDE } }, 81, 8080, TCP, false } };

    CONFIG(.forwards = both, .n_forwards = 2);
    IN(TCP, REMOTE, OUTSIDE, 999, 80, SYN);
    IN(TCP, REMOTE, OUTSIDE, 998, 81, SYN);
    IS(TCP, REMOTE, INSIDE, 998, 8080);
    OUT(TCP, INSIDE, REMOTE, 8080, 998, SYN | ACK);
    IS(TCP, OUTSIDE, REMOTE, 81, 998);
    CONFIG(.forwards = both, .n_forwards = 1);
    IN(TCP, REMOTE, OUTSIDE, 999, 80, ACK);
    REFUSED(no_session, NAT_IN, TCP, REMOTE, OUTSIDE, 997, 81, SYN);
}

/* A forward takes its port from who has it; taken back, its sessions go on. */
static void
forwards_come_and_go(void **state)
{
    struct nat_rig *rig = *state;
    const struct nat_forward forward = { OUTSIDE, { { 0, INSIDE } }, 5000, 8080, UDP, false };

    OUT(UDP, INSIDE2, REMOTE, 5000, 53);
    IS(UDP, OUTSIDE, REMOTE, 5000, 53);
    CONFIG(.forwards = &forward, .n_forwards = 1);
    assert_int_equal(counts_of(rig).sessions, 0);
    IN(UDP, REMOTE, OUTSIDE, 53, 5000);
    IS(UDP, REMOTE, INSIDE, 53, 8080);
    CONFIG();
    IN(UDP, REMOTE, OUTSIDE, 53, 5000);
    IS(UDP, REMOTE, INSIDE, 53, 8080);
    nat_rig_wait(rig, 302);
    REFUSED(no_session, NAT_IN, UDP, REMOTE, OUTSIDE, 53, 5000);
    OUT(UDP, INSIDE2, REMOTE, 5000, 53);
    IS(UDP, OUTSIDE, REMOTE, 5000, 53);
}

/* RFC 3022, 2.1: basic NAT, any protocol, ports as they are. */
static void
a_host_has_an_address_of_its_own(void **state)
{
    struct nat_rig *rig = *state;
    const struct nat_host host = { IP(192, 0, 2, 50), INSIDE };

    CONFIG(.hosts = &host, .n_hosts = 1);
    OUT(TCP, INSIDE, REMOTE, 22, 999, ACK);
    IS(TCP, IP(192, 0, 2, 50), REMOTE, 22, 999);
    IN(UDP, REMOTE, IP(192, 0, 2, 50), 53, 53);
    IS(UDP, REMOTE, INSIDE, 53, 53);
    IN(ICMP, REMOTE, IP(192, 0, 2, 50), 5, PING);
    IS(ICMP, REMOTE, INSIDE, 5, PING);
    OUT(47, INSIDE, REMOTE);
    assert_int_equal(read_tuple(rig->p).src, IP(192, 0, 2, 50));
    OUT(UDP, INSIDE2, IP(192, 0, 2, 50), 7000, 53);     /* By a hairpin. */
    IS(UDP, OUTSIDE, INSIDE, 7000, 53);
    assert_int_equal(counts_of(rig).sessions, 1);
    CONFIG();
    OUT(UDP, INSIDE, REMOTE, 7001, 53);
    IS(UDP, OUTSIDE, REMOTE, 7001, 53);
}

/* --- Timers ----------------------------------------------------------------------------------------------------------- */

/* 4787, REQ-5: not before two minutes, here five; REQ-6: what goes out prolongs it. */
static void
udp_lives_for_five_minutes(void **state)
{
    struct nat_rig *rig = *state;

    OUT(UDP, INSIDE, REMOTE, 5000, 53);
    nat_rig_wait(rig, 299);
    OUT(UDP, INSIDE, REMOTE, 5000, 53);
    nat_rig_wait(rig, 300);
    assert_int_equal(counts_of(rig).sessions, 1);
    nat_rig_wait(rig, 2);
    assert_int_equal(counts_of(rig).sessions, 0);
    assert_int_equal(counts_of(rig).mappings, 0);
}

/* 5508, REQ-2. */
static void
a_ping_lives_for_a_minute(void **state)
{
    struct nat_rig *rig = *state;

    OUT(ICMP, INSIDE, REMOTE, 5, PING);
    nat_rig_wait(rig, 60);
    IN(ICMP, REMOTE, OUTSIDE, 5, PONG);
    nat_rig_wait(rig, 62);
    REFUSED(no_session, NAT_IN, ICMP, REMOTE, OUTSIDE, 5, PONG);
}

static void
open_connection(struct nat_rig *rig)
{
    OUT(TCP, INSIDE, REMOTE, 5000, 80, SYN);
    IN(TCP, REMOTE, OUTSIDE, 80, 5000, SYN | ACK);
    OUT(TCP, INSIDE, REMOTE, 5000, 80, ACK);
}

/* 5382, REQ-5: 2 hours 4 minutes once it is open, 4 minutes before. */
static void
tcp_lives_as_long_as_its_state_says(void **state)
{
    struct nat_rig *rig = *state;

    OUT(TCP, INSIDE, REMOTE, 5000, 80, SYN);
    nat_rig_wait(rig, 240);
    assert_int_equal(counts_of(rig).sessions, 1);
    nat_rig_wait(rig, 2);
    assert_int_equal(counts_of(rig).sessions, 0);
    open_connection(rig);
    nat_rig_wait(rig, 7440);
    assert_int_equal(counts_of(rig).sessions, 1);
    nat_rig_wait(rig, 2);
    assert_int_equal(counts_of(rig).sessions, 0);
}

/* RFC 6146, 3.5.2.2: both FINs, and packets behind them do not prolong it. */
static void
a_closed_connection_goes_in_four_minutes(void **state)
{
    struct nat_rig *rig = *state;

    open_connection(rig);
    OUT(TCP, INSIDE, REMOTE, 5000, 80, FIN | ACK);
    nat_rig_wait(rig, 7000);
    assert_int_equal(counts_of(rig).sessions, 1);
    IN(TCP, REMOTE, OUTSIDE, 80, 5000, FIN | ACK);
    OUT(TCP, INSIDE, REMOTE, 5000, 80, ACK);
    nat_rig_wait(rig, 200);
    OUT(TCP, INSIDE, REMOTE, 5000, 80, ACK);
    nat_rig_wait(rig, 43);
    assert_int_equal(counts_of(rig).sessions, 0);
}

/* RFC 7857, 2: a RST alone does not end it; what comes behind makes it open again. */
static void
a_reset_connection_goes_in_four_minutes_unless_it_goes_on(void **state)
{
    struct nat_rig *rig = *state;

    open_connection(rig);
    IN(TCP, REMOTE, OUTSIDE, 80, 5000, RST);
    nat_rig_wait(rig, 100);
    OUT(TCP, INSIDE, REMOTE, 5000, 80, ACK);
    nat_rig_wait(rig, 7000);
    assert_int_equal(counts_of(rig).sessions, 1);
    OUT(TCP, INSIDE, REMOTE, 5000, 80, RST);
    nat_rig_wait(rig, 243);
    assert_int_equal(counts_of(rig).sessions, 0);
}

/* M18: the same ports again, when the first connection is closed but not forgotten. */
static void
the_same_ports_are_opened_again(void **state)
{
    struct nat_rig *rig = *state;

    open_connection(rig);
    OUT(TCP, INSIDE, REMOTE, 5000, 80, FIN | ACK);
    IN(TCP, REMOTE, OUTSIDE, 80, 5000, FIN | ACK);
    nat_rig_wait(rig, 100);
    open_connection(rig);
    nat_rig_wait(rig, 7000);
    assert_int_equal(counts_of(rig).sessions, 1);
}

/* M18: the same 5-tuple when the session is over, but nobody has cleared it away yet. */
static void
a_session_that_is_over_begins_anew(void **state)
{
    struct nat_rig *rig = *state;

    CONFIG(.max_per_source = 1);
    OUT(UDP, INSIDE, REMOTE, 5000, 53);
    rig->worker->now_ms += 400000;              /* Without a tick. */
    REFUSED(limit, NAT_OUT, UDP, INSIDE, REMOTE, 5001, 53);
    CONFIG();
    IN(UDP, REMOTE, OUTSIDE, 53, 5000);         /* The mapping is still there. */
    rig->worker->now_ms += 400000;
    OUT(UDP, INSIDE, REMOTE, 5000, 53);
    IS(UDP, OUTSIDE, REMOTE, 5000, 53);
    assert_int_equal(counts_of(rig).sessions, 1);
    assert_int_equal(counts_of(rig).created, 3);
    assert_int_equal(counts_of(rig).ended, 2);
    nat_rig_wait(rig, 302);
    assert_int_equal(counts_of(rig).mappings, 0);
}

static void
timers_can_be_changed(void **state)
{
    struct nat_rig *rig = *state;

    OUT(UDP, INSIDE, REMOTE, 5000, 53);
    CONFIG(.timers = { [NAT_TIMER_udp] = 120 });
    nat_rig_wait(rig, 120);
    assert_int_equal(counts_of(rig).sessions, 1);
    nat_rig_wait(rig, 70);                      /* It lay where its old time was. */
    assert_int_equal(counts_of(rig).sessions, 0);
}

/* RFC 6146, 3.5.2: only a SYN begins a connection, if that is wanted. */
static void
a_connection_is_picked_up_unless_that_is_forbidden(void **state)
{
    struct nat_rig *rig = *state;

    OUT(TCP, INSIDE, REMOTE, 5000, 80, ACK);
    IN(TCP, REMOTE, OUTSIDE, 80, 5000, ACK);
    nat_rig_wait(rig, 7000);
    assert_int_equal(counts_of(rig).sessions, 1);       /* Both sides live: it is open. */
    REFUSED(no_session, NAT_OUT, TCP, INSIDE, REMOTE, 5001, 80, RST);
    CONFIG(.strict_tcp = true);
    REFUSED(no_session, NAT_OUT, TCP, INSIDE, REMOTE, 5001, 80, ACK);
    REFUSED(no_session, NAT_IN, TCP, REMOTE2, OUTSIDE, 80, 5000, ACK);
    OUT(TCP, INSIDE, REMOTE, 5000, 80, ACK);
}

/* --- Limits ------------------------------------------------------------------------------------------------------------ */

/* P5, M18: a full table refuses new sessions, which it counts; old ones go on. */
static void
a_full_table_harms_nobody_who_is_in_it(void **state)
{
    struct nat_rig *rig = *state;

    for (unsigned i = 0; i < NAT_ROOM; i++) {
        OUT(UDP, INSIDE + i % 7, REMOTE, (uint16_t)(5000 + i), 53);
    }
    for (unsigned i = 0; i < 1000; i++) {
        REFUSED(full, NAT_OUT, UDP, INSIDE + i % 7, REMOTE, (uint16_t)(20000 + i), 53);
        REFUSED(full, NAT_IN, UDP, REMOTE2, OUTSIDE, (uint16_t)(i + 1), 5000);
    }
    assert_int_equal(rig->worker->totals.drops[DROP_nat_full], 2000);
    for (unsigned i = 0; i < NAT_ROOM; i++) {
        OUT(UDP, INSIDE + i % 7, REMOTE, (uint16_t)(5000 + i), 53);
        IN(UDP, REMOTE, OUTSIDE, 53, read_tuple(rig->p).sport);
        IS(UDP, REMOTE, INSIDE + i % 7, 53, (uint16_t)(5000 + i));
    }
    assert_int_equal(counts_of(rig).mappings, NAT_ROOM);
    nat_flush(rig->nat, &inside_prefix, rig->worker->now_ms);
    OUT(UDP, INSIDE, REMOTE, 30000, 53);
}

/* RFC 6888, REQ-4 and REQ-5: a source has a limit, and others are not touched by it. */
static void
a_source_has_a_limit(void **state)
{
    struct nat_rig *rig = *state;

    CONFIG(.max_per_source = 3);
    for (uint16_t i = 0; i < 3; i++) {
        OUT(UDP, INSIDE, REMOTE, 5000 + i, 53);
    }
    REFUSED(limit, NAT_OUT, UDP, INSIDE, REMOTE, 5003, 53);
    OUT(UDP, INSIDE, REMOTE, 5002, 53);
    OUT(UDP, INSIDE2, REMOTE, 5003, 53);
    assert_int_equal(counts_of(rig).sources, 2);
    nat_rig_wait(rig, 302);
    OUT(UDP, INSIDE, REMOTE, 5003, 53);
}

/* --- Checksums ------------------------------------------------------------------------------------------------------------ */

/* M18: a UDP checksum of 0 says that there is none (RFC 768), and stays so. */
static void
no_udp_checksum_stays_none(void **state)
{
    struct nat_rig *rig = *state;
    struct frame f = frame_of(TUPLE(UDP, INSIDE, REMOTE, 5000, 53), 20);

    f.data[ETH_SIZE + 10] = f.data[ETH_SIZE + 11] = 0;
    struct packet *p = nat_rig_packet(rig, &f, true);
    put_be16(p->data + p->l4 + UDP_CSUM, 0);
    assert_true(nat_rig_send(rig, NAT_OUT, p));
    IS(UDP, OUTSIDE, REMOTE, 5000, 53);
    assert_int_equal(get_be16(rig->p->data + rig->p->l4 + UDP_CSUM), 0);
}

/* A sum that comes out as 0 is sent as 0xffff: all values of a field of the payload make it one once. */
static void
a_udp_checksum_does_not_become_none(void **state)
{
    struct nat_rig *rig = *state;
    unsigned ones = 0;

    for (uint32_t i = 0; i <= UINT16_MAX; i++) {
        struct frame f = frame_of(TUPLE(UDP, INSIDE, REMOTE, 5000, 53), 4);
        put_be16(f.data + f.len - 2, (uint16_t)i);
        assert_true(nat_rig_send(rig, NAT_OUT, nat_rig_packet(rig, &f, true)));
        uint16_t sum = get_be16(rig->p->data + rig->p->l4 + UDP_CSUM);
        assert_true(sum && plain_transport_good(rig->p->data, rig->p->l3, rig->p->l4));
        ones += sum == UINT16_MAX;
    }
    assert_int_equal(ones, 1);
}

/* What is left to hardware is the sum of the pseudo header (virtio 1.2, 5.1.6.2). */
static void
a_checksum_left_to_hardware_stays_right(void **state)
{
    struct nat_rig *rig = *state;
    struct frame f = frame_of(TUPLE(TCP, INSIDE, REMOTE, 5000, 80, SYN), 20);
    struct packet *p = nat_rig_packet(rig, &f, true);
    uint8_t *ip = p->data + p->l3;

    put_be16(p->data + p->l4 + TCP_CSUM, plain_pseudo(ip, TCP, TCP_SIZE + 20));
    p->offload.flags = 1;
    p->offload.csum_start = p->l4;
    p->offload.csum_offset = TCP_CSUM;
    assert_true(nat_rig_send(rig, NAT_OUT, p));
    assert_int_equal(get_be16(rig->p->data + rig->p->l4 + TCP_CSUM),
                     plain_pseudo(rig->p->data + rig->p->l3, TCP, TCP_SIZE + 20));
}

/* --- Configuration, lists, events --------------------------------------------------------------------------------------------- */

/* Active connections go on through 100 commits. */
static void
sessions_go_on_through_another_configuration(void **state)
{
    struct nat_rig *rig = *state;
    const struct nat_pool pools[] = { one_pool, { OUTSIDE + 1, OUTSIDE + 3, 1024, 65535, false } };

    open_connection(rig);
    for (unsigned i = 0; i < 100; i++) {
        POOLS(pools, 1 + i % 2, .max_per_source = i, .filtering = i % 3);
        IN(TCP, REMOTE, OUTSIDE, 80, 5000, ACK);
        IS(TCP, REMOTE, INSIDE, 80, 5000);
    }
    POOL(pools + 1);
    assert_int_equal(counts_of(rig).sessions, 0);       /* Its address is no longer there. */
    IN(TCP, REMOTE, OUTSIDE, 80, 5000, ACK);
    IS(TCP, REMOTE, OUTSIDE, 80, 5000);
}

static void
a_wrong_configuration_says_what_is_wrong(void **state)
{
    struct nat_rig *rig = *state;
    const struct nat_pool backwards = { OUTSIDE, OUTSIDE - 1, 1024, 65535, false };
    const struct nat_pool twice[] = { one_pool, { OUTSIDE - 1, OUTSIDE, 1, 2, false } };
    const struct nat_pool large = { IP(192, 0, 0, 0), IP(192, 0, 8, 0), 1, 2, false };
    const struct nat_forward stray = { REMOTE, { { 0, INSIDE } }, 80, 80, TCP, false };
    const struct nat_host taken = { OUTSIDE, INSIDE };
    const struct { struct nat_config config; const char *says; } cases[] = {
        { { .pools = &backwards, .n_pools = 1 }, "pool 192.0.2.1 to 192.0.2.0" },
        { { .pools = twice, .n_pools = 2 }, "share addresses" },
        { { .pools = &large, .n_pools = 1 }, "2049 addresses in pools: there can be 1024" },
        { { .pools = &one_pool, .n_pools = 1, .forwards = &stray, .n_forwards = 1 },
          "forward of protocol 6 from 198.51.100.7 port 80" },
        { { .pools = &one_pool, .n_pools = 1, .hosts = &taken, .n_hosts = 1 }, "host 10.0.0.5" },
        { { .block = 100 }, "blocks of 100 ports" },
        { { .filtering = 3 }, "filtering 3" },
    };
    char why[256];

    OUT(UDP, INSIDE, REMOTE, 5000, 53);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_not_equal(nat_configure(rig->nat, &cases[i].config, rig->worker->now_ms, why,
                                           sizeof why), 0);
        assert_non_null(strstr(why, cases[i].says));
    }
    IN(UDP, REMOTE, OUTSIDE, 53, 5000);         /* Nothing has changed. */
}

static void
sessions_are_listed(void **state)
{
    struct nat_rig *rig = *state;
    struct nat_session session;
    uint64_t position = 0;
    unsigned n = 0;

    open_connection(rig);
    for (uint16_t i = 0; i < 50; i++) {
        OUT(UDP, INSIDE2, REMOTE, 6000 + i, 53);
    }
    rig->worker->now_ms += 5000;
    while (nat_next(rig->nat, &position, rig->worker->now_ms, &session)) {
        n++;
        assert_int_equal(session.remote, REMOTE);
        assert_int_equal(session.outside, OUTSIDE);
        assert_int_equal(session.idle_ms, 5000);
        if (session.proto == TCP) {
            assert_int_equal(session.timer, NAT_TIMER_tcp_established);
            assert_int_equal(session.inside.word[1], INSIDE);
            assert_int_equal(session.inside_port, 5000);
            assert_int_equal(session.remote_port, 80);
        }
    }
    assert_int_equal(n, 51);
    const struct nat_session other = { .inside.word[1] = INSIDE, .inside_port = 5001, .remote = REMOTE,
                                       .remote_port = 80, .proto = TCP };
    assert_false(nat_end(rig->nat, &other, rig->worker->now_ms));
    session = (struct nat_session) { .inside.word[1] = INSIDE2, .inside_port = 6007, .remote = REMOTE,
                                     .remote_port = 53, .proto = UDP };
    assert_true(nat_end(rig->nat, &session, rig->worker->now_ms));
    assert_false(nat_end(rig->nat, &session, rig->worker->now_ms));
    assert_int_equal(counts_of(rig).sessions, 50);
    OUT(UDP, INSIDE2, REMOTE, 6007, 53);
    assert_int_equal(nat_flush(rig->nat, &inside2_prefix, rig->worker->now_ms), 50);
    assert_int_equal(counts_of(rig).sessions, 1);
}

/* RFC 6888, section 4: what came when, behind which address; a log that is full is counted. */
static void
mappings_are_logged(void **state)
{
    struct nat_rig *rig = *state;
    struct nat_event event;

    OUT(UDP, INSIDE, REMOTE, 4000, 53);
    nat_flush(rig->nat, NULL, rig->worker->now_ms);
    assert_false(nat_event(rig->nat, &event));          /* Nobody wants it. */
    CONFIG(.logs = true);
    OUT(UDP, INSIDE, REMOTE, 5000, 53);
    OUT(UDP, INSIDE, REMOTE2, 5000, 53);
    assert_true(nat_event(rig->nat, &event));
    assert_true(event.created);
    assert_int_equal(event.inside.word[1], INSIDE);
    assert_int_equal(event.inside_port, 5000);
    assert_int_equal(event.outside, OUTSIDE);
    assert_int_equal(event.at_ms, rig->worker->now_ms);
    assert_false(nat_event(rig->nat, &event));
    nat_rig_wait(rig, 302);
    assert_true(nat_event(rig->nat, &event));
    assert_false(event.created);
    for (uint16_t i = 0; i < NAT_EVENTS + 10; i++) {
        OUT(UDP, INSIDE, REMOTE, 6000 + i, 53);
    }
    assert_int_equal(counts_of(rig).events_lost, 10);
    for (unsigned i = 0; i < NAT_EVENTS; i++) {
        assert_true(nat_event(rig->nat, &event));
        assert_int_equal(event.inside_port, 6000 + i);
    }
    assert_false(nat_event(rig->nat, &event));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(udp_goes_out_and_its_answer_comes_back),
        TEST(tcp_goes_out_and_its_answer_comes_back),
        TEST(a_ping_goes_out_and_its_answer_comes_back),
        TEST(what_has_no_ports_is_refused),
        TEST(what_is_not_for_the_nat_is_left_alone),
        TEST(a_mapping_does_not_depend_on_the_remote_endpoint),
        TEST(ports_are_not_shared_and_keep_their_parity),
        TEST(a_source_keeps_its_address_outside),
        TEST(a_port_is_used_again),
        TEST(a_source_has_a_block_of_ports),
        TEST(anybody_may_send_to_a_mapping),
        TEST(a_simultaneous_open_passes),
        TEST(only_addresses_that_were_asked_may_come_in),
        TEST(only_endpoints_that_were_asked_may_come_in),
        TEST(what_nobody_inside_asked_for_is_left_to_who_shares_the_address),
        TEST(hosts_inside_reach_each_other_by_their_outside),
        TEST(a_forwarded_port_is_always_open),
        TEST(two_ports_are_forwarded_to_one),
        TEST(forwards_come_and_go),
        TEST(a_host_has_an_address_of_its_own),
        TEST(udp_lives_for_five_minutes),
        TEST(a_ping_lives_for_a_minute),
        TEST(tcp_lives_as_long_as_its_state_says),
        TEST(a_closed_connection_goes_in_four_minutes),
        TEST(a_reset_connection_goes_in_four_minutes_unless_it_goes_on),
        TEST(the_same_ports_are_opened_again),
        TEST(a_session_that_is_over_begins_anew),
        TEST(timers_can_be_changed),
        TEST(a_connection_is_picked_up_unless_that_is_forbidden),
        TEST(a_full_table_harms_nobody_who_is_in_it),
        TEST(a_source_has_a_limit),
        TEST(no_udp_checksum_stays_none),
        TEST(a_udp_checksum_does_not_become_none),
        TEST(a_checksum_left_to_hardware_stays_right),
        TEST(sessions_go_on_through_another_configuration),
        TEST(a_wrong_configuration_says_what_is_wrong),
        TEST(sessions_are_listed),
        TEST(mappings_are_logged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
