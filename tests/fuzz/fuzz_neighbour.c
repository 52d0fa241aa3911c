/* Invariant: whatever frames come in whatever order, with time in between, neighbours and fragments stay within
 * their bounds, every frame that goes out is one of ours, and in the end nothing is left over.
 *
 * The input is a list of frames, each with its length (u16, big-endian, with the time that passes before it in
 * the upper five bits, in steps of 400 ms). */

#include <stdlib.h>

#include "arp.h"
#include "driver.h"
#include "fragment.h"
#include "icmp.h"
#include "nd.h"
#include "neighbour_rig.h"
#include "plain_sum.h"
#include "reassembly.h"

enum { LENGTH = 0x7ff, STEP_MS = 400, MAX_ON_LINK = 16, MAX_BYTES = 1 << 16, MTU = 576 };

static void
must(int good)
{
    if (!good) {
        abort();
    }
}

struct fuzzed {
    struct neighbour_rig *rig;
    struct reassembly reassembly;
    struct icmp_limits limits;
    struct icmp_counters counters;
};

static struct fuzzed fuzzed;

/* What a router does with a packet it cannot deliver: an error of each kind, and a redirect. */
static void
complain(const uint8_t *packet, size_t len)
{
    uint8_t out[ICMP_MAX];
    struct icmp_cause cause = { .packet = packet, .len = len, .value = 1280 };
    struct ip_address gateway = rig_v6(9);

    cause.source = rig_address(len && packet[0] >> 4 == 4 ? IP_V4 : IP_V6, 1);
    for (unsigned error = 0; error < ICMP_ERRORS; error++) {
        cause.error = error;
        must(icmp_error(&fuzzed.limits, &fuzzed.counters, &cause, fuzzed.rig->now, out)
             <= ICMP_MAX);
    }
    must(icmp_redirect(&fuzzed.limits, &fuzzed.counters, &cause, &gateway, RIG_HOST_MAC,
                       fuzzed.rig->now, out) <= ICMP_MAX);
}

/* Fragments that a packet is divided into are the packet again. */
static void
divide(const uint8_t *packet, size_t len)
{
    struct fragmentation plan;
    uint8_t out[LENGTH];
    size_t sum = 0;

    if (fragment_plan(&plan, packet, len, MTU, 1)) {
        return;
    }
    for (unsigned i = 0; i < plan.n; i++) {
        size_t n = fragment_write(&plan, i, out), header = plan.n == 1 ? plan.payload
            : out[0] >> 4 == 4 ? (out[0] & 15) * 4u : IPV6_SIZE + 8;

        must(n <= MTU && n >= header);
        sum += n - header;
    }
    must(sum == plan.end - plan.payload);
}

static void
to_us(const uint8_t *packet, size_t len)
{
    struct reassembly_output whole;
    struct ip_address source = rig_address(len && packet[0] >> 4 == 4 ? IP_V4 : IP_V6, 1);
    uint8_t *out;

    if (reassembly_needed(packet, len)) {
        if (reassembly_add(&fuzzed.reassembly, RIG_INTERFACE, packet, len, fuzzed.rig->now, &whole)
            != REASSEMBLY_WHOLE) {
            return;
        }
        packet = whole.packet;
        len = whole.len;
    }
    out = malloc(len ? len : 1);
    must(out && icmp_echo_reply(packet, len, &source, out) <= len);
    free(out);
}

static void
expired(void *context, uint32_t interface, const uint8_t *packet, size_t len)
{
    (void)context;
    (void)interface;
    complain(packet, len);
}

/* Makes the checksum of a message right, which hardly any would have else. */
static void
sum(uint8_t *ip, size_t len)
{
    uint8_t *icmp = ip + IPV6_SIZE;
    size_t n = get_be16(ip + 4);

    if (n >= 4 && n <= len - IPV6_SIZE) {
        put_be16(icmp + ICMP_CSUM, 0);
        put_be16(icmp + ICMP_CSUM,
                 (uint16_t)~plain_sum(plain_pseudo(ip, IP_PROTO_ICMPV6, (uint16_t)n), icmp, n));
    }
}

static void
receive(uint8_t *frame, size_t len)
{
    struct neighbour_rig *rig = fuzzed.rig;
    uint8_t *ip = len > ETH_SIZE ? frame + ETH_SIZE : NULL;

    arp_receive(&rig->neighbours, &rig->link, frame, len, rig->now);
    if (nd_is_message(frame, len)) {
        nd_receive(&rig->neighbours, &rig->link, frame, len, rig->now);
        sum(frame + ETH_SIZE, len - ETH_SIZE);
        nd_receive(&rig->neighbours, &rig->link, frame, len, rig->now);
    }
    if (ip) {
        complain(ip, len - ETH_SIZE);
        divide(ip, len - ETH_SIZE);
        to_us(ip, len - ETH_SIZE);
        rig_send_to(rig, ip[0] % 2 ? IP_V4 : IP_V6, ip[len - ETH_SIZE - 1], 1);
    }
    must(rig->link.n <= MAX_ON_LINK && rig->neighbours.n == rig->link.n);
    must(fuzzed.reassembly.n_bytes <= MAX_BYTES);
    must(!rig->n_sent || get_be48(rig_sent(rig, 0)->data + 6) == RIG_MAC);
}

/* What is for reassembly is made once: it takes longer than an input. */
static void
prepare(void)
{
    struct neighbour_config config = neighbour_defaults;
    struct reassembly_config fragments = reassembly_defaults;

    config.max_on_link = MAX_ON_LINK;
    fragments.max_bytes = MAX_BYTES;
    fragments.max_packets = 4;
    fuzzed.rig = rig_open(&config);
    if (!fuzzed.reassembly.whole) {
        must(!reassembly_open(&fuzzed.reassembly, &fragments, expired, NULL, 1, RIG_START));
    }
    timer_wheel_init(&fuzzed.reassembly.wheel, RIG_START / 10);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    prepare();
    while (size >= 2) {
        uint16_t head = get_be16(data);
        size_t len = head & LENGTH;
        uint8_t *frame;

        data += 2;
        size -= 2;
        len = len < size ? len : size;
        frame = malloc(len + 1);        /* Of its own, so that no byte behind it is read. */
        must(frame != NULL);
        frame = realloc(frame, len ? len : 1);
        memcpy(frame, data, len);
        fuzzed.rig->now += (head >> 11) * (uint64_t)STEP_MS;
        neighbours_advance(&fuzzed.rig->neighbours, fuzzed.rig->now);
        reassembly_advance(&fuzzed.reassembly, fuzzed.rig->now);
        receive(frame, len);
        free(frame);
        data += len;
        size -= len;
    }
    reassembly_advance(&fuzzed.reassembly, fuzzed.rig->now + reassembly_defaults.timeout_ms + 10);
    must(!fuzzed.reassembly.n_packets && !fuzzed.reassembly.n_bytes);
    rig_close(fuzzed.rig);
    return 0;
}

/* --- Seeds: each sample alone, and conversations ------------------------------------------------------- */

struct seed {
    uint8_t *data;
    size_t len;
};

static void
add_frame(struct seed *seed, const struct frame *f, unsigned steps)
{
    put_be16(seed->data + seed->len, (uint16_t)(steps << 11 | f->len));
    memcpy(seed->data + seed->len + 2, f->data, f->len);
    seed->len += 2 + f->len;
}

/* The fragments of a packet of 1000 bytes, from the last on. */
static void
add_fragments(struct seed *seed, bool is_v4)
{
    struct frame whole = { .len = 0 }, f;
    struct fragmentation plan;

    if (is_v4) {
        frame_ipv4(&whole, IP_PROTO_ICMPV4, 0, 0);
    } else {
        frame_ipv6(&whole, IP_PROTO_ICMPV6);
    }
    frame_icmp(&whole, is_v4 ? 8 : 128, 0, 1000 - whole.len);
    put_be16(whole.data + (is_v4 ? 2 : 4), (uint16_t)(whole.len - (is_v4 ? 0 : IPV6_SIZE)));
    must(!fragment_plan(&plan, whole.data, whole.len, MTU, 1));
    for (unsigned i = plan.n; i-- > 0;) {
        frame_eth(&f, is_v4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
        f.len += fragment_write(&plan, i, f.data + f.len);
        add_frame(seed, &f, 1);
    }
}

/* Packets to a host that answers at last, by ARP or neighbour discovery. */
static void
add_resolution(struct seed *seed, bool is_v4)
{
    struct ip_address host = rig_address(is_v4 ? IP_V4 : IP_V6, 9);
    struct frame f;

    for (unsigned i = 0; i < 3; i++) {
        frame_eth(&f, is_v4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
        if (is_v4) {
            frame_ipv4(&f, IP_PROTO_UDP, 0, 0);
        } else {
            frame_ipv6(&f, IP_PROTO_UDP);
        }
        frame_udp(&f, 1);
        f.data[f.len - 1] = 9;
        frame_end(&f);
        add_frame(seed, &f, 2);
    }
    frame_eth(&f, is_v4 ? ETH_TYPE_ARP : ETH_TYPE_IPV6);
    if (is_v4) {
        frame_arp(&f, ARP_REPLY);
        put_be32(f.data + ETH_SIZE + 14, 0x0a000009);
        put_be48(f.data + ETH_SIZE + 18, RIG_MAC);
        put_be32(f.data + ETH_SIZE + 24, 0x0a000001);
    } else {
        frame_ipv6(&f, IP_PROTO_ICMPV6);
        f.data[f.ip + 7] = 255;
        frame_nd(&f, ND_ADVERTISEMENT);
        ip_write(IP_V6, &host, f.data + f.len - 16);
        f.data[f.len - 20] = 0x60;
        frame_nd_option(&f, 2, 1, RIG_HOST_MAC);
        frame_end(&f);
    }
    add_frame(seed, &f, 1);
}

size_t
fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    static void (*const conversations[])(struct seed *, bool) = { add_fragments, add_resolution };
    enum { N = 2 * sizeof conversations / sizeof *conversations };
    struct seed seed = { buf, 0 };
    struct frame f;

    if (i >= N_SAMPLES + N || cap < 4096) {
        return 0;
    }
    if (i < N_SAMPLES) {
        frame_sample(&f, i);
        add_frame(&seed, &f, 0);
    } else {
        conversations[(i - N_SAMPLES) / 2](&seed, i % 2);
    }
    return seed.len;
}
