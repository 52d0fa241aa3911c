/* NAT under ThreadSanitizer (P5): workers begin and use sessions of the same few endpoints of both families, from
 * both sides, while the control thread lets them end, changes the configuration and reads the log.  What comes in
 * goes to an endpoint that sends from that port outside. */

#include <pthread.h>
#include <sched.h>

#include "epoch.h"
#include "nat64.h"
#include "parse.h"
#include "rig.h"

enum { N = 2, STEPS = 6000, VECTOR = 8, ROOM = 120, OUTSIDE = 0x0b000001, REMOTE = 0x08080808,
       INSIDE = 0x0a000001, HOSTS = 5, MTU = 1500 };

/* Of hosts with IPv6, which have no address behind it. */
static const struct ip_prefix prefix = { { { UINT64_C(0x20010db800640000), 0 } }, IP_V6, 96 };
static const struct ip_address host6 = { { UINT64_C(0x20010db800010000), 1 } };

static struct epoch epoch;
static struct nat *nat;
static _Atomic uint64_t now = 1000000;
static _Atomic unsigned n_running = N;

/* Ends a frame with UDP, and makes a packet of it. */
static struct packet *
finish(struct worker *worker, struct frame *f, uint16_t sport, uint16_t dport)
{
    struct packet *p;

    frame_udp(f, 10);
    put_be16(f->data + f->len - 10 - UDP_SIZE, sport);
    put_be16(f->data + f->len - 10 - UDP_SIZE + 2, dport);
    frame_end(f);
    CHECK(pool_get(&worker->small, &p, 1) == 1);
    memcpy(p->data, f->data, f->len);
    p->len = (uint32_t)f->len;
    p->copied = false;
    parse_vector(&p, 1);
    return p;
}

static struct packet *
packet(struct worker *worker, uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport)
{
    struct frame f;

    frame_eth(&f, ETH_TYPE_IPV4);
    frame_ipv4(&f, IP_PROTO_UDP, 0, 0);
    put_be32(f.data + f.ip + 12, src);
    put_be32(f.data + f.ip + 16, dst);
    return finish(worker, &f, sport, dport);
}

/* Of a host to who stands behind the prefix. */
static struct packet *
packet6(struct worker *worker, uint32_t host, uint32_t dst, uint16_t sport, uint16_t dport)
{
    struct frame f;

    frame_eth(&f, ETH_TYPE_IPV6);
    frame_ipv6(&f, IP_PROTO_UDP);
    ip_write(IP_V6, &host6, f.data + f.ip + 8);
    ip_write(IP_V6, &prefix.address, f.data + f.ip + 24);
    f.data[f.ip + 23] = (uint8_t)(f.data[f.ip + 23] + host);
    put_be32(f.data + f.ip + 36, dst);
    return finish(worker, &f, sport, dport);
}

static uint32_t
word_at(const struct packet *p, unsigned at)
{
    return get_be32(p->data + p->l3 + at);
}

static void
step(struct worker *worker, uint32_t *random)
{
    struct packet *packets[VECTOR];
    uint16_t outside[VECTOR];
    unsigned n;

    worker->now_ms = now;
    for (unsigned i = 0; i < VECTOR; i++) {
        *random = *random * 1664525 + 1013904223;
        packets[i] = packet(worker, INSIDE + (*random >> 10) % HOSTS, REMOTE + (*random >> 20) % 3,
                            (uint16_t)(5000 + (*random >> 14) % 5), 53);
    }
    n = nat_translate(nat, worker, packets, VECTOR, VECTOR, NAT_OUT);
    for (unsigned i = 0; i < n; i++) {
        CHECK(word_at(packets[i], 12) == OUTSIDE);
        outside[i] = get_be16(packets[i]->data + packets[i]->l4);
    }
    packet_free(packets, n);
    for (unsigned i = 0; i < n; i++) {
        packets[i] = packet(worker, REMOTE + i % 4, OUTSIDE, 53, outside[i]);
    }
    n = nat_translate(nat, worker, packets, n, VECTOR, NAT_IN);
    for (unsigned i = 0; i < n; i++) {
        CHECK(word_at(packets[i], 16) - INSIDE < HOSTS);
    }
    packet_free(packets, n);
}

/* Brings a packet to a host with IPv6, if one sends from where it goes. */
static void
bring(struct worker *worker, struct packet *p)
{
    struct nat64_target target;
    struct packet *out[1];

    if (!nat64_find(nat, p, worker->now_ms, &target)) {
        packet_free(&p, 1);
    } else if (nat64_in(nat, worker, p, &target, MTU, MTU, out, 1)) {
        struct ip_address to = ip_read(IP_V6, out[0]->data + out[0]->l3 + 24);
        CHECK(to.word[0] == host6.word[0] && to.word[1] - host6.word[1] < HOSTS);
        packet_free(out, 1);
    }
}

/* The same of IPv6: out and in, and to what another one sends from, which turns back. */
static void
step6(struct worker *worker, uint32_t *random)
{
    uint16_t outside = 0;

    for (unsigned i = 0; i < VECTOR; i++) {
        *random = *random * 1664525 + 1013904223;
        bool turns = outside && i % 2;
        struct packet *p = packet6(worker, (*random >> 10) % HOSTS, turns ? OUTSIDE : REMOTE + (*random >> 20) % 3,
                                   (uint16_t)(5000 + (*random >> 14) % 5), turns ? outside : 53);
        if (!nat64_out(nat, worker, p, MTU, MTU)) {
            continue;
        }
        CHECK(word_at(p, 12) == OUTSIDE);
        outside = get_be16(p->data + p->l4);
        if (turns) {
            bring(worker, p);
        } else {
            packet_free(&p, 1);
            bring(worker, packet(worker, REMOTE + i % 4, OUTSIDE, 53, outside));
        }
    }
}

static void *
work(void *number_)
{
    unsigned number = *(unsigned *)number_;
    struct worker *worker = aligned_alloc(64, (sizeof *worker + 63) & ~(size_t)63);
    uint32_t random = number + 1;

    CHECK(worker);
    memset(worker, 0, sizeof *worker);
    worker->id = number;
    CHECK(!pool_open(&worker->small, 64, PACKET_SMALL));
    for (unsigned i = 0; i < STEPS; i++) {
        epoch_quiesce(&epoch, number);
        step(worker, &random);
        step6(worker, &random);
    }
    epoch_offline(&epoch, number);
    CHECK(worker->small.n_free == worker->small.n_slots);
    pool_close(&worker->small);
    free(worker);
    n_running--;
    return NULL;
}

static void
configure(unsigned i)
{
    const struct nat_pool pool = { OUTSIDE, OUTSIDE, 1024, 65535, false };
    const struct nat_forward forward = { OUTSIDE, { { 0, INSIDE } }, 5001, 5002, IP_PROTO_UDP, false };
    char why[128];

    CHECK(!nat_configure(nat, &(const struct nat_config) {
        .pools = &pool, .n_pools = 1, .forwards = &forward, .n_forwards = i % 2,
        .max_per_source = i % 3 * 10, .filtering = i % 2 ? NAT_OPEN : NAT_BY_ADDRESS, .logs = i % 3 != 2,
        .timers = { [NAT_TIMER_udp] = 1 + i % 3 }, .nat64 = i % 7 == 6 ? (struct ip_prefix) { .len = 0 } : prefix,
        .source_bits = i % 5 ? 0 : 128,
    }, now, why, sizeof why));
}

int
main(void)
{
    unsigned numbers[N] = { 0, 1 };
    struct nat_counts counts;
    struct nat_event event;
    pthread_t threads[N];

    epoch_init(&epoch);
    CHECK((nat = nat_open(&epoch, ROOM, 64)));
    configure(0);
    for (unsigned i = 0; i < N; i++) {
        CHECK(!pthread_create(&threads[i], NULL, work, &numbers[i]));
    }
    for (unsigned i = 0; n_running; i++) {
        now += 100;
        nat_tick(nat, now, 100);
        if (i % 50 == 0) {
            configure(i / 50);
        }
        while (nat_event(nat, &event)) {
            CHECK(event.outside == OUTSIDE);
        }
        sched_yield();
    }
    for (unsigned i = 0; i < N; i++) {
        pthread_join(threads[i], NULL);
    }
    configure(0);
    nat_tick(nat, now + 1000000, SIZE_MAX);
    nat_counts(nat, &counts);
    CHECK(!counts.sessions && !counts.mappings && !counts.sources);
    CHECK(counts.created == counts.ended && counts.created);
    nat_close(nat);
    epoch_close(&epoch);
    return 0;
}
