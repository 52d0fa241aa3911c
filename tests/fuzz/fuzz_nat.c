/* Whatever packets come, from inside and from outside, whole or in pieces: no crash, no byte read or
 * written behind a frame; headers stay sums of themselves; every packet is accounted for; and when all
 * sessions have ended, no port and no mapping is left.
 *
 * An input is a run of records: a byte that says what it is (0 out, 1 in, 2 time goes by, 3 another
 * configuration; 4 more: it goes to the port that somebody went out by), two bytes of length, and that many
 * bytes. */

#include "driver.h"

#include "../cext/plain_sum.h"
#include "../cext/rig.h"
#include "nat64.h"
#include "parse.h"

enum { HEADER = 3, ROOM = 50, PACKETS = 128, OUTSIDE = 0x0a000002, INSIDE = 0x0a000001 };

static const struct ip_prefix prefix = { { { UINT64_C(0x20010db800640000), 0 } }, IP_V6, 96 };

struct nat_fuzz {
    struct epoch epoch;
    struct nat *nat;
    struct worker *worker;
    uint16_t port;              /* The last one outside. */
};

static void
configure(struct nat_fuzz *fuzz, unsigned which)
{
    const struct nat_pool pool = { OUTSIDE, OUTSIDE, 1024, 1100, which & 1 };
    const struct nat_forward forward = { OUTSIDE, { { 0, INSIDE } }, 53, 2000, IP_PROTO_UDP, false };
    const struct nat_host host = { OUTSIDE + 1, INSIDE + 7 };
    char why[128];

    CHECK(!nat_configure(fuzz->nat, &(const struct nat_config) {
        .pools = &pool, .n_pools = 1, .forwards = &forward, .n_forwards = which >> 1 & 1,
        .hosts = &host, .n_hosts = which >> 2 & 1, .filtering = which % 3,
        .strict_tcp = which >> 3 & 1, .max_per_source = which >> 4 & 7, .block = which & 128 ? 64 : 0,
        .logs = which & 1,
        .nat64 = which & 2 ? prefix : (struct ip_prefix) { .len = 0 },
    }, fuzz->worker->now_ms, why, sizeof why));
}

static struct nat_fuzz *
the_nat(void)
{
    static struct nat_fuzz *fuzz;

    if (!fuzz) {
        CHECK((fuzz = aligned_alloc(64, (sizeof *fuzz + 63) & ~(size_t)63)));
        epoch_init(&fuzz->epoch);
        CHECK((fuzz->worker = aligned_alloc(64, (sizeof *fuzz->worker + 63) & ~(size_t)63)));
        memset(fuzz->worker, 0, sizeof *fuzz->worker);
        fuzz->worker->now_ms = 1000000;
        CHECK(!pool_open(&fuzz->worker->small, PACKETS, PACKET_SMALL));
        CHECK((fuzz->nat = nat_open(&fuzz->epoch, ROOM, 16)));
    }
    return fuzz;
}

static bool
has_good_header(const struct packet *p)
{
    const uint8_t *ip = p->data + p->l3;

    return p->l3 != NO_OFFSET && ip[0] >> 4 == 4 && plain_sum(0, ip, (ip[0] & 15) * 4u) == 0xffff;
}

/* Takes a packet of IPv6 back inside; returns how many go on. */
static unsigned
turn_back(struct nat_fuzz *fuzz, struct packet *p, struct nat64_target *target, struct packet **out)
{
    if (!nat64_out(fuzz->nat, fuzz->worker, p, UINT16_MAX, 1500)) {
        return 0;
    }
    if (!nat64_find(fuzz->nat, p, fuzz->worker->now_ms, target)) {
        packet_free(&p, 1);
        return 0;
    }
    return nat64_in(fuzz->nat, fuzz->worker, p, target, 1500, 1500, out, PACKET_VECTOR);
}

/* IPv6 from inside, and IPv4 for whom it came from, cross; the others are left. */
static unsigned
cross(struct nat_fuzz *fuzz, enum nat_direction direction, struct packet **packets, bool *crossed)
{
    struct packet *p = packets[0], *out[PACKET_VECTOR];
    const uint64_t *word = packet_walk(p)->key.word;
    const struct ip_address to = { { word[W_IPV6_DST], word[W_IPV6_DST_LOW] } };
    struct nat64_target target;
    unsigned n = 1, version = direction == NAT_OUT ? 4 : 6;
    uint32_t address;
    bool may_cut;

    nat64_length(p, &may_cut);
    *crossed = direction == NAT_OUT
        ? p->l3 != NO_OFFSET && p->data[p->l3] >> 4 == 6 && nat64_stands_for(fuzz->nat, &to, &address)
        : nat64_is_on(fuzz->nat) && nat64_find(fuzz->nat, p, fuzz->worker->now_ms, &target);
    if (!*crossed) {
        return n;
    }
    if (direction == NAT_OUT && nat64_turns(fuzz->nat, p, address, &target)) {
        version = 6;
        n = turn_back(fuzz, p, &target, out);
    } else if (direction == NAT_OUT) {
        out[0] = p;
        n = nat64_out(fuzz->nat, fuzz->worker, p, 1400, 1500);
    } else {
        n = nat64_in(fuzz->nat, fuzz->worker, p, &target, 1500, 1400, out, PACKET_VECTOR);
    }
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *ip = out[i]->data + out[i]->l3;

        CHECK(out[i]->l3 != NO_OFFSET && ip[0] >> 4 == version);
        CHECK(version == 6 || plain_sum(0, ip, IPV4_SIZE) == 0xffff);
    }
    n = nat64_release(fuzz->nat, fuzz->worker, out, n, PACKET_VECTOR, direction);
    memcpy(packets, out, n * sizeof *packets);
    return n;
}

static bool
is_v6(const struct packet *p)
{
    return p->l3 != NO_OFFSET && p->data[p->l3] >> 4 == 6 && p->len >= p->l3 + 40u;
}

/* Sends IPv6 behind the prefix. */
static void
aim_behind(struct packet *p)
{
    if (is_v6(p)) {
        put_be64(p->data + p->l3 + 24, prefix.address.word[0]);
        put_be32(p->data + p->l3 + 32, 0);
        parse_again(p);
    }
}

/* Sends a packet to somebody who is there. */
static void
aim(const struct nat_fuzz *fuzz, struct packet *p)
{
    if (p->l3 != NO_OFFSET && p->l4 != NO_OFFSET && p->len >= p->l4 + 4u) {
        put_be32(p->data + p->l3 + (is_v6(p) ? 36 : 16), OUTSIDE);
        put_be16(p->data + p->l4 + 2, fuzz->port);
        parse_again(p);
    }
}

/* A frame that ends where its memory ends, so that no byte behind it is read unnoticed. */
static void
try_packet(struct nat_fuzz *fuzz, enum nat_direction direction, bool aimed, const uint8_t *data, size_t size)
{
    struct packet *packets[PACKET_VECTOR];
    uint8_t *frame = malloc(PACKET_HEADROOM + size), *own;
    bool crossed;

    if (size > PACKET_SMALL || pool_get(&fuzz->worker->small, packets, 1) != 1) {
        free(frame);
        return;
    }
    own = packets[0]->data;
    memcpy(frame + PACKET_HEADROOM, data, size);
    packets[0]->data = frame + PACKET_HEADROOM;
    packets[0]->headroom = PACKET_HEADROOM;
    packets[0]->len = (uint32_t)size;
    packets[0]->copied = false;
    memset(&packets[0]->offload, 0, sizeof packets[0]->offload);
    parse_vector(packets, 1);

    aim_behind(packets[0]);
    if (aimed) {
        aim(fuzz, packets[0]);
    }
    bool good = has_good_header(packets[0]);
    struct packet *first = packets[0];
    unsigned n = cross(fuzz, direction, packets, &crossed);

    if (!crossed) {
        n = nat_translate(fuzz->nat, fuzz->worker, packets, 1, PACKET_VECTOR, direction);
    }
    for (unsigned i = 0; !crossed && i < n; i++) {
        CHECK(packets[i] != first || !good || has_good_header(first));
    }
    for (unsigned i = 0; i < n && direction == NAT_OUT; i++) {
        bool has_port = packets[i]->l4 != NO_OFFSET && packets[i]->len >= packets[i]->l4 + 2u;
        fuzz->port = has_port ? get_be16(packets[i]->data + packets[i]->l4) : fuzz->port;
    }
    first->data = own;
    packet_free(packets, n);
    free(frame);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nat_fuzz *fuzz = the_nat();
    struct nat_counts counts;
    struct nat_session session;
    struct nat_event event;

    configure(fuzz, 0);
    while (size >= HEADER) {
        size_t len = (size_t)data[1] << 8 | data[2];
        len = len < size - HEADER ? len : size - HEADER;
        if (data[0] % 4 < 2) {
            try_packet(fuzz, data[0] % 2 ? NAT_IN : NAT_OUT, data[0] % 8 > 3, data + HEADER, len);
        } else if (data[0] % 4 == 2) {
            fuzz->worker->now_ms += len ? data[HEADER] * 1000u : 10;
            nat_tick(fuzz->nat, fuzz->worker->now_ms, SIZE_MAX);
        } else {
            configure(fuzz, len ? data[HEADER] : 0);
        }
        data += HEADER + len;
        size -= HEADER + len;
    }
    configure(fuzz, 0);
    for (uint64_t position = 0; nat_next(fuzz->nat, &position, fuzz->worker->now_ms, &session); position = 0) {
        CHECK(nat_end(fuzz->nat, &session, fuzz->worker->now_ms));
    }
    fuzz->worker->now_ms += 10000000;
    nat_tick(fuzz->nat, fuzz->worker->now_ms, SIZE_MAX);
    nat_counts(fuzz->nat, &counts);
    CHECK(!counts.sessions && !counts.mappings && !counts.sources && counts.created == counts.ended);
    CHECK(fuzz->worker->small.n_free == fuzz->worker->small.n_slots);
    while (nat_event(fuzz->nat, &event)) {
        continue;
    }
    return 0;
}

/* --- Seeds --------------------------------------------------------------------------------------------- */

static void
add_record(struct frame *f, unsigned kind, const void *data, size_t n)
{
    frame_add8(f, kind);
    frame_add16(f, (unsigned)n);
    frame_add(f, data, n);
}

/* An error about a packet from outside, and one about an answer. */
static void
add_error(struct frame *f, unsigned direction)
{
    struct frame error, inner;

    frame_sample(&inner, SAMPLE_udp);
    frame_eth(&error, ETH_TYPE_IPV4);
    frame_ipv4(&error, IP_PROTO_ICMPV4, 0, 0);
    frame_icmp(&error, 3, 1, 0);
    frame_add32(&error, 0);
    frame_add(&error, inner.data + inner.ip, IPV4_SIZE + UDP_SIZE);
    frame_end(&error);
    add_record(f, direction, error.data, error.len);
}

size_t
fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    struct frame f = { .len = 0 }, sample;
    uint8_t byte = i < 2 * N_SAMPLES ? (uint8_t)(i * 5) : 2;        /* With a prefix. */

    if (i >= 3 * N_SAMPLES) {
        return 0;
    }
    add_record(&f, 3, &byte, 1);
    frame_sample(&sample, i % N_SAMPLES);
    add_record(&f, 0, sample.data, sample.len);
    add_record(&f, 4, sample.data, sample.len);
    add_error(&f, i % 2);
    frame_sample(&sample, (i + 5) % N_SAMPLES);
    add_record(&f, 1, sample.data, sample.len);
    if (sample.ip && sample.len < 200) {        /* The same as pieces. */
        put_be16(sample.data + sample.ip + 6, 0x2000 * (i % 3 == 0) + i % 3);
        add_record(&f, i % 2, sample.data, sample.len);
        put_be16(sample.data + sample.ip + 6, 0x2000);
        add_record(&f, i % 2, sample.data, sample.len);
    }
    byte = 2;
    add_record(&f, 3, &byte, 1);
    frame_sample(&sample, i % N_SAMPLES);
    if (sample.ip && sample.data[sample.ip] >> 4 == 6) {         /* Somebody who is not behind the prefix. */
        sample.data[sample.ip + 15] = 7;
        add_record(&f, 0, sample.data, sample.len);
        frame_sample(&sample, i / N_SAMPLES % 2 ? SAMPLE_tcp : SAMPLE_udp);
        add_record(&f, 5, sample.data, sample.len);
    }
    add_record(&f, 2, &byte, 1);
    CHECK(f.len <= cap);
    memcpy(buf, f.data, f.len);
    return f.len;
}
