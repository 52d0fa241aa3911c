/* Whatever packets come, from inside and from outside, whole or in pieces: no crash, no byte read or
 * written behind a frame; headers stay sums of themselves; every packet is accounted for; and when all
 * sessions have ended, no port and no mapping is left.
 *
 * An input is a run of records: a byte that says what it is (0 out, 1 in, 2 time goes by, 3 another
 * configuration), two bytes of length, and that many bytes. */

#include "driver.h"

#include "../cext/plain_sum.h"
#include "../cext/rig.h"
#include "nat.h"
#include "parse.h"

enum { HEADER = 3, ROOM = 50, PACKETS = 128, OUTSIDE = 0x0a000002, INSIDE = 0x0a000001 };

struct nat_fuzz {
    struct epoch epoch;
    struct nat *nat;
    struct worker *worker;
};

static void
configure(struct nat_fuzz *fuzz, unsigned which)
{
    const struct nat_pool pool = { OUTSIDE, OUTSIDE, 1024, 1100, which & 1 };
    const struct nat_forward forward = { OUTSIDE, INSIDE, 53, 2000, IP_PROTO_UDP };
    const struct nat_host host = { OUTSIDE + 1, INSIDE + 7 };
    char why[128];

    CHECK(!nat_configure(fuzz->nat, &(const struct nat_config) {
        .pools = &pool, .n_pools = 1, .forwards = &forward, .n_forwards = which >> 1 & 1,
        .hosts = &host, .n_hosts = which >> 2 & 1, .filtering = which % 3,
        .strict_tcp = which >> 3 & 1, .max_per_source = which >> 4 & 7, .block = which & 128 ? 64 : 0,
        .logs = which & 1,
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

/* A frame that ends where its memory ends, so that no byte behind it is read unnoticed. */
static void
try_packet(struct nat_fuzz *fuzz, enum nat_direction direction, const uint8_t *data, size_t size)
{
    struct packet *packets[PACKET_VECTOR];
    uint8_t *frame = malloc(size ? size : 1), *own;

    if (size > PACKET_SMALL || pool_get(&fuzz->worker->small, packets, 1) != 1) {
        free(frame);
        return;
    }
    own = packets[0]->data;
    memcpy(frame, data, size);
    packets[0]->data = frame;
    packets[0]->len = (uint32_t)size;
    packets[0]->copied = false;
    memset(&packets[0]->offload, 0, sizeof packets[0]->offload);
    parse_vector(packets, 1);

    bool good = has_good_header(packets[0]);
    struct packet *first = packets[0];
    unsigned n = nat_translate(fuzz->nat, fuzz->worker, packets, 1, PACKET_VECTOR, direction);

    for (unsigned i = 0; i < n; i++) {
        CHECK(packets[i] != first || !good || has_good_header(first));
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
    struct nat_event event;

    configure(fuzz, 0);
    while (size >= HEADER) {
        size_t len = (size_t)data[1] << 8 | data[2];
        len = len < size - HEADER ? len : size - HEADER;
        if (data[0] % 4 < 2) {
            try_packet(fuzz, data[0] % 2 ? NAT_IN : NAT_OUT, data + HEADER, len);
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
    nat_flush(fuzz->nat, 0, fuzz->worker->now_ms);
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
    uint8_t byte = (uint8_t)(i * 5);

    if (i >= 3 * N_SAMPLES) {
        return 0;
    }
    add_record(&f, 3, &byte, 1);
    frame_sample(&sample, i % N_SAMPLES);
    add_record(&f, 0, sample.data, sample.len);
    add_error(&f, i % 2);
    frame_sample(&sample, (i + 5) % N_SAMPLES);
    add_record(&f, 1, sample.data, sample.len);
    if (sample.ip && sample.len < 200) {        /* The same as pieces. */
        put_be16(sample.data + sample.ip + 6, 0x2000 * (i % 3 == 0) + i % 3);
        add_record(&f, i % 2, sample.data, sample.len);
        put_be16(sample.data + sample.ip + 6, 0x2000);
        add_record(&f, i % 2, sample.data, sample.len);
    }
    add_record(&f, 2, &byte, 1);
    CHECK(f.len <= cap);
    memcpy(buf, f.data, f.len);
    return f.len;
}
