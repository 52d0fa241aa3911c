/* NAT: fragments in order and out of it (RFC 4787, REQ-14; M18). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nat_rig.h"

enum { UDP = IP_PROTO_UDP, N = 3, PIECE = 80 };

/* The pieces of one packet. */
static void
cut(const struct tuple *t, uint16_t id, struct frame pieces[N])
{
    struct frame whole = frame_of(t, N * PIECE - UDP_SIZE);
    uint8_t *ip = whole.data + ETH_SIZE, *udp = ip + IPV4_SIZE;
    uint16_t sum;

    put_be16(udp + UDP_CSUM, 0);
    sum = (uint16_t)~plain_sum(plain_pseudo(ip, UDP, N * PIECE), udp, N * PIECE);
    put_be16(udp + UDP_CSUM, sum);
    for (unsigned i = 0; i < N; i++) {
        struct frame *f = &pieces[i];

        memset(f, 0, sizeof *f);
        f->ip = ETH_SIZE;
        f->len = ETH_SIZE + IPV4_SIZE + PIECE;
        memcpy(f->data, whole.data, ETH_SIZE + IPV4_SIZE);
        memcpy(f->data + ETH_SIZE + IPV4_SIZE, udp + i * PIECE, PIECE);
        put_be16(f->data + ETH_SIZE + 2, IPV4_SIZE + PIECE);
        put_be16(f->data + ETH_SIZE + 4, id);
        put_be16(f->data + ETH_SIZE + 6, (uint16_t)((i + 1 < N) << 13 | i * PIECE / 8));
    }
}

static struct packet *
piece(struct nat_rig *rig, const struct frame *f)
{
    struct packet *p = nat_rig_packet(rig, f, false);

    csum_ipv4(p->data + p->l3);
    return p;
}

/* Puts what came out together; whether it is the packet 't' with its checksum right. */
static void
check_joined(struct packet *const pieces[N], const struct tuple *t)
{
    uint8_t payload[N * PIECE];

    for (unsigned i = 0; i < N; i++) {
        const uint8_t *ip = pieces[i]->data + pieces[i]->l3;
        assert_int_equal(get_be32(ip + 12), t->src);
        assert_int_equal(get_be32(ip + 16), t->dst);
        memcpy(payload + (get_be16(ip + 6) & 0x1fff) * 8, ip + IPV4_SIZE, PIECE);
    }
    assert_int_equal(get_be16(payload), t->sport);
    assert_int_equal(get_be16(payload + 2), t->dport);
    assert_int_equal(plain_sum(plain_pseudo(pieces[0]->data + pieces[0]->l3, UDP, N * PIECE), payload,
                               N * PIECE), 0xffff);
}

static void
send_in_order(struct nat_rig *rig, enum nat_direction direction, const struct tuple *t,
              uint16_t id, const struct tuple *wanted)
{
    struct frame frames[N];
    struct packet *came[N];

    cut(t, id, frames);
    for (unsigned i = 0; i < N; i++) {
        assert_true(nat_rig_send(rig, direction, piece(rig, &frames[i])));
        came[i] = rig->p;
        rig->p = NULL;
    }
    check_joined(came, wanted);
    packet_free(came, N);
}

static void
fragments_go_both_ways(void **state)
{
    struct nat_rig *rig = *state;

    OUT(UDP, INSIDE2, REMOTE, 5000, 53);
    send_in_order(rig, NAT_OUT, TUPLE(UDP, INSIDE, REMOTE, 4000, 53), 7,
                  TUPLE(UDP, OUTSIDE, REMOTE, 4000, 53));
    send_in_order(rig, NAT_IN, TUPLE(UDP, REMOTE, OUTSIDE, 53, 4000), 7,
                  TUPLE(UDP, REMOTE, INSIDE, 53, 4000));
    send_in_order(rig, NAT_IN, TUPLE(UDP, REMOTE, OUTSIDE, 53, 5000), 8,
                  TUPLE(UDP, REMOTE, INSIDE2, 53, 5000));
}

/* 4787, REQ-9: through a hairpin, too. */
static void
fragments_go_through_a_hairpin(void **state)
{
    struct nat_rig *rig = *state;

    OUT(UDP, INSIDE2, REMOTE, 5000, 53);
    send_in_order(rig, NAT_OUT, TUPLE(UDP, INSIDE, OUTSIDE, 4000, 5000), 7,
                  TUPLE(UDP, OUTSIDE, INSIDE2, 4000, 5000));
}

/* RFC 3022, 2.1: without ports there is nothing to wait for. */
static void
fragments_of_hosts_go_at_once(void **state)
{
    struct nat_rig *rig = *state;
    const struct nat_host host = { IP(192, 0, 2, 50), INSIDE };
    struct frame frames[N];

    CONFIG(.hosts = &host, .n_hosts = 1);
    send_in_order(rig, NAT_OUT, TUPLE(UDP, INSIDE, REMOTE, 4000, 53), 7,
                  TUPLE(UDP, host.outside, REMOTE, 4000, 53));
    cut(TUPLE(UDP, REMOTE, host.outside, 53, 4000), 9, frames);
    assert_true(nat_rig_send(rig, NAT_IN, piece(rig, &frames[2])));
    assert_int_equal(get_be32(rig->p->data + rig->p->l3 + 16), INSIDE);
}

/* REQ-14: what comes before the first one waits for it, and comes out behind it. */
static void
fragments_that_come_early_wait(void **state)
{
    struct nat_rig *rig = *state;
    struct frame frames[N];

    cut(TUPLE(UDP, INSIDE, REMOTE, 4000, 53), 7, frames);
    for (unsigned i = N - 1; i > 0; i--) {
        assert_false(nat_rig_send(rig, NAT_OUT, piece(rig, &frames[i])));
        assert_int_equal(rig->reason, N_DROP_REASONS);
    }
    assert_int_equal(counts_of(rig).held, 2);
    assert_true(nat_rig_send(rig, NAT_OUT, piece(rig, &frames[0])));
    assert_int_equal(rig->n_more, 2);
    assert_int_equal(counts_of(rig).held, 0);

    struct packet *came[N] = { rig->p, rig->more[0], rig->more[1] };

    check_joined(came, TUPLE(UDP, OUTSIDE, REMOTE, 4000, 53));
    const struct worker_counters *t = &rig->worker->totals;
    assert_int_equal(t->consumed, 2);
    assert_int_equal(t->copied, 2);
}

/* REQ-14, a: what waits is bounded, in number and in time; whole packets do not notice. */
static void
a_flood_of_fragments_harms_nobody(void **state)
{
    enum { HELD = 64 };
    struct nat_rig *rig = *state;
    struct frame frames[N];

    for (uint16_t id = 0; id < 1000; id++) {
        cut(TUPLE(UDP, INSIDE, REMOTE, 4000, 53), id, frames);
        assert_false(nat_rig_send(rig, NAT_OUT, piece(rig, &frames[1])));
        assert_int_equal(rig->reason, id < HELD ? N_DROP_REASONS : DROP_nat_fragment);
    }
    OUT(UDP, INSIDE, REMOTE, 4000, 53);
    nat_rig_wait(rig, 3);
    cut(TUPLE(UDP, INSIDE, REMOTE, 4000, 53), 2000, frames);
    assert_false(nat_rig_send(rig, NAT_OUT, piece(rig, &frames[1])));
    assert_int_equal(counts_of(rig).held, 1);
    assert_int_equal(counts_of(rig).fragments_lost, HELD);
}

/* The first one is too short for its ports: nothing can be done. */
static void
a_first_fragment_without_ports_is_dropped(void **state)
{
    struct nat_rig *rig = *state;
    struct frame f = frame_of(TUPLE(UDP, INSIDE, REMOTE, 4000, 53), 0);

    f.len -= 4;
    put_be16(f.data + ETH_SIZE + 2, IPV4_SIZE + 4);
    put_be16(f.data + ETH_SIZE + 6, 0x2000);
    assert_false(nat_rig_send(rig, NAT_OUT, piece(rig, &f)));
    assert_int_equal(rig->reason, DROP_nat_fragment);
}

/* What the first one was given is forgotten after a while. */
static void
a_fragment_that_comes_too_late_waits_in_vain(void **state)
{
    struct nat_rig *rig = *state;
    struct frame frames[N];

    cut(TUPLE(UDP, INSIDE, REMOTE, 4000, 53), 7, frames);
    assert_true(nat_rig_send(rig, NAT_OUT, piece(rig, &frames[0])));
    nat_rig_wait(rig, 31);
    assert_int_equal(counts_of(rig).fragments, 0);
    assert_false(nat_rig_send(rig, NAT_OUT, piece(rig, &frames[1])));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fragments_go_both_ways),
        TEST(fragments_go_through_a_hairpin),
        TEST(fragments_of_hosts_go_at_once),
        TEST(fragments_that_come_early_wait),
        TEST(a_flood_of_fragments_harms_nobody),
        TEST(a_first_fragment_without_ports_is_dropped),
        TEST(a_fragment_that_comes_too_late_waits_in_vain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
