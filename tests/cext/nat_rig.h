#ifndef TEST_NAT_RIG_H
#define TEST_NAT_RIG_H

/* A NAT, a worker, and packets that are built, sent through, and looked at.  Each that comes back must have
 * right checksums, and a key as a parser would fill it. */

#include <stdlib.h>

#include "csum.h"
#include "epoch.h"
#include "nat.h"
#include "packets.h"
#include "parse.h"
#include "plain_sum.h"
#include "pool.h"
#include "worker.h"

#define IP(A, B, C, D) ((uint32_t)(A) << 24 | (B) << 16 | (C) << 8 | (D))

enum { NAT_ROOM = 200, NAT_EVENTS = 64 };

#define INSIDE  IP(10, 0, 0, 5)
#define INSIDE2 IP(10, 0, 0, 6)
#define OUTSIDE IP(192, 0, 2, 1)
#define REMOTE  IP(198, 51, 100, 7)
#define REMOTE2 IP(198, 51, 100, 8)

struct nat_rig {
    struct epoch epoch;
    struct nat *nat;
    struct worker *worker;
    struct packet *p;           /* The last one, or null. */
    enum drop_reason reason;    /* Why it was dropped. */
    struct packet *more[PACKET_VECTOR];         /* Those that came with it. */
    unsigned n_more;
};

/* What a packet says; ICMP: the id in 'sport', type and code in 'dport'. */
struct tuple {
    uint8_t proto;
    uint32_t src, dst;
    uint16_t sport, dport;
    uint8_t flags;              /* Of TCP. */
};

static inline void
nat_rig_configure(struct nat_rig *rig, const struct nat_config *config)
{
    char why[256] = "";

    if (nat_configure(rig->nat, config, rig->worker->now_ms, why, sizeof why)) {
        fail_msg("%s", why);
    }
}

static const struct nat_pool one_pool = { OUTSIDE, OUTSIDE, 1024, 65535, false };

#define POOLS(POOLS_, N, ...) nat_rig_configure(rig, &(const struct nat_config) { \
    .pools = POOLS_, .n_pools = N, __VA_ARGS__ })
#define POOL(POOL_, ...) POOLS(POOL_, 1, __VA_ARGS__)
#define CONFIG(...) POOL(&one_pool, __VA_ARGS__)

static inline struct nat_rig *
nat_rig_open(uint32_t max_sessions)
{
    struct nat_rig *rig = aligned_alloc(64, (sizeof *rig + 63) & ~(size_t)63);

    memset(rig, 0, sizeof *rig);
    epoch_init(&rig->epoch);
    rig->worker = aligned_alloc(64, (sizeof *rig->worker + 63) & ~(size_t)63);
    memset(rig->worker, 0, sizeof *rig->worker);
    rig->worker->now_ms = 1000000;
    assert_int_equal(pool_open(&rig->worker->small, 128, PACKET_SMALL), 0);
    rig->nat = nat_open(&rig->epoch, max_sessions, NAT_EVENTS);
    assert_non_null(rig->nat);
    CONFIG();
    return rig;
}

static inline int
nat_set_up(void **state)
{
    *state = nat_rig_open(NAT_ROOM);
    return 0;
}

static inline void
nat_rig_forget(struct nat_rig *rig)
{
    if (rig->p) {
        packet_free(&rig->p, 1);
        rig->p = NULL;
    }
    packet_free(rig->more, rig->n_more);
    rig->n_more = 0;
}

/* Nothing is left of sessions whose time is over. */
static inline int
nat_tear_down(void **state)
{
    struct nat_rig *rig = *state;
    struct nat_counts counts;

    nat_rig_forget(rig);
    CONFIG();
    nat_flush(rig->nat, NULL, rig->worker->now_ms);
    nat_tick(rig->nat, rig->worker->now_ms + 100000000, SIZE_MAX);
    nat_counts(rig->nat, &counts);
    assert_int_equal(counts.sessions, 0);
    assert_int_equal(counts.mappings, 0);
    assert_int_equal(counts.sources, 0);
    assert_int_equal(counts.created, counts.ended);
    assert_int_equal(rig->worker->small.n_free, rig->worker->small.n_slots);
    nat_close(rig->nat);
    pool_close(&rig->worker->small);
    epoch_close(&rig->epoch);
    free(rig->worker);
    free(rig);
    return 0;
}

/* --- Packets ----------------------------------------------------------------------------------------------- */

static inline void
set_addresses(struct frame *f, uint32_t src, uint32_t dst)
{
    put_be32(f->data + f->ip + 12, src);
    put_be32(f->data + f->ip + 16, dst);
}

/* A frame with so many bytes of payload, whose checksums are still to be made. */
static inline struct frame
frame_of(const struct tuple *t, size_t payload)
{
    struct frame f;

    frame_eth(&f, ETH_TYPE_IPV4);
    frame_ipv4(&f, t->proto, 0, 0);
    set_addresses(&f, t->src, t->dst);

    size_t l4 = f.len;

    if (t->proto == IP_PROTO_TCP) {
        frame_tcp(&f, payload);
        f.data[l4 + 13] = t->flags;
    } else if (t->proto == IP_PROTO_UDP) {
        frame_udp(&f, payload);
    } else if (t->proto == IP_PROTO_SCTP) {
        frame_sctp(&f, payload);
    } else if (t->proto == IP_PROTO_ICMPV4) {
        frame_icmp(&f, t->dport >> 8, t->dport & 0xff, 4 + payload);
        put_be16(f.data + l4 + 4, t->sport);
    } else {
        frame_payload(&f, payload);
    }
    if (t->proto == IP_PROTO_TCP || t->proto == IP_PROTO_UDP || t->proto == IP_PROTO_SCTP) {
        put_be16(f.data + l4, t->sport);
        put_be16(f.data + l4 + 2, t->dport);
    }
    frame_end(&f);
    return f;
}

static inline struct packet *
nat_rig_packet(struct nat_rig *rig, const struct frame *f, bool sum)
{
    struct packet *p;

    assert_int_equal(pool_get(&rig->worker->small, &p, 1), 1);
    memcpy(p->data, f->data, f->len);
    p->len = (uint32_t)f->len;
    p->copied = false;
    memset(&p->offload, 0, sizeof p->offload);
    parse_vector(&p, 1);
    if (sum && p->l3 != NO_OFFSET && p->data[p->l3] >> 4 == 4) {
        csum_ipv4(p->data + p->l3);
        csum_transport(p);
    }
    return p;
}

static inline enum drop_reason
reason_of(const struct worker_counters *before, const struct worker_counters *after)
{
    for (unsigned i = 0; i < N_DROP_REASONS; i++) {
        if (before->drops[i] != after->drops[i]) {
            return (enum drop_reason)i;
        }
    }
    return N_DROP_REASONS;
}

static inline bool
is_whole(const struct packet *p)
{
    return !(get_be16(p->data + p->l3 + 6) & 0x3fff);
}

/* Its key is what a parser makes of it. */
static inline void
check_packet(const struct packet *p)
{
    struct packet fresh = *p;
    struct flow_key key = { { 0 } };

    assert_int_equal(plain_sum(0, p->data + p->l3, IPV4_SIZE), 0xffff);
    parse(&fresh, &key);
    assert_int_equal(fresh.l4, p->l4);
    assert_memory_equal(&key.word[W_HEADERS_FIRST], &packet_walk(p)->key.word[W_HEADERS_FIRST],
                        (W_HEADERS_LAST - W_HEADERS_FIRST + 1) * sizeof key.word[0]);
}

/* Whether the transport's checksum is right, or there is none. */
static inline bool
is_summed_right(const struct packet *p)
{
    const uint8_t *l4 = p->data + p->l4;
    uint8_t proto = p->data[p->l3 + 9];

    return (proto == IP_PROTO_UDP && !get_be16(l4 + UDP_CSUM))
           || plain_transport_good(p->data, p->l3, p->l4);
}

/* Sends a packet through; whether it came out.  It is in rig->p then, else rig->reason says why not. */
static inline bool
nat_rig_send(struct nat_rig *rig, enum nat_direction direction, struct packet *p)
{
    struct worker_counters before = rig->worker->totals;
    struct packet *packets[PACKET_VECTOR] = { p };

    nat_rig_forget(rig);
    unsigned n = nat_translate(rig->nat, rig->worker, packets, 1, PACKET_VECTOR, direction);
    rig->reason = reason_of(&before, &rig->worker->totals);
    for (unsigned i = 0; i < n; i++) {
        check_packet(packets[i]);
    }
    if (!n) {
        return false;
    }
    rig->p = packets[0];
    rig->n_more = n - 1;
    memcpy(rig->more, packets + 1, (n - 1) * sizeof *packets);
    return true;
}

static inline bool
nat_rig_try(struct nat_rig *rig, enum nat_direction direction, const struct tuple *t)
{
    struct frame f = frame_of(t, 20);
    bool came = nat_rig_send(rig, direction, nat_rig_packet(rig, &f, true));

    assert_true(!came || rig->p->l4 == NO_OFFSET || is_summed_right(rig->p));
    return came;
}

static inline struct tuple
read_tuple(const struct packet *p)
{
    const uint8_t *ip = p->data + p->l3, *l4 = p->data + p->l4;
    struct tuple t = { .proto = ip[9], .src = get_be32(ip + 12), .dst = get_be32(ip + 16) };

    if (p->l4 != NO_OFFSET && t.proto == IP_PROTO_ICMPV4) {
        t.sport = get_be16(l4 + 4);
        t.dport = get_be16(l4);
    } else if (p->l4 != NO_OFFSET) {
        t.sport = get_be16(l4);
        t.dport = get_be16(l4 + 2);
        t.flags = t.proto == IP_PROTO_TCP ? l4[13] : 0;
    }
    return t;
}

static inline void
assert_tuple(const struct nat_rig *rig, const struct tuple *wanted)
{
    struct tuple t;

    assert_non_null(rig->p);
    t = read_tuple(rig->p);
    assert_int_equal(t.src, wanted->src);
    assert_int_equal(t.dst, wanted->dst);
    assert_int_equal(t.sport, wanted->sport);
    assert_int_equal(t.dport, wanted->dport);
}

/* What is left out is 0. */
#define TUPLE(...) TUPLE_OF(__VA_ARGS__, 0, 0, 0, 0)
#define TUPLE_OF(PROTO, SRC, DST, SPORT, DPORT, FLAGS, ...)                     \
    (&(const struct tuple) { PROTO, SRC, DST, SPORT, DPORT, FLAGS })
#define OUT(...) assert_true(nat_rig_try(rig, NAT_OUT, TUPLE(__VA_ARGS__)))
#define IN(...) assert_true(nat_rig_try(rig, NAT_IN, TUPLE(__VA_ARGS__)))
#define IS(...) assert_tuple(rig, TUPLE(__VA_ARGS__))
#define REFUSED(REASON, DIRECTION, ...)                                         \
    do {                                                                        \
        assert_false(nat_rig_try(rig, DIRECTION, TUPLE(__VA_ARGS__)));          \
        assert_int_equal(rig->reason, DROP_nat_##REASON);                       \
    } while (0)

/* Time goes by, and sessions end with it. */
static inline void
nat_rig_wait(struct nat_rig *rig, uint64_t seconds)
{
    rig->worker->now_ms += seconds * 1000;
    nat_tick(rig->nat, rig->worker->now_ms, SIZE_MAX);
}

static inline struct nat_counts
counts_of(const struct nat_rig *rig)
{
    struct nat_counts counts;

    nat_counts(rig->nat, &counts);
    return counts;
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, nat_set_up, nat_tear_down)

#endif
