#ifndef TEST_PACKETS_H
#define TEST_PACKETS_H

/* Frames for tests, built layer by layer: frame_eth(), frame_tag(), frame_ipv4(),
 * frame_tcp(), ... and frame_end(), which fills in the IP lengths.  SAMPLES is one of
 * each kind. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bytes.h"
#include "headers.h"

struct frame {
    size_t len;
    size_t ip;                  /* Where the last IP header is; 0: none. */
    uint8_t data[4096];
};

static inline void
frame_add(struct frame *f, const void *data, size_t n)
{
    memcpy(f->data + f->len, data, n);
    f->len += n;
}

/* Adds 'n' bytes that differ from each other. */
static inline void
frame_payload(struct frame *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        f->data[f->len++] = (uint8_t)(i * 7 + 1);
    }
}

static inline void
frame_add8(struct frame *f, unsigned value)
{
    f->data[f->len++] = (uint8_t)value;
}

static inline void
frame_add16(struct frame *f, unsigned value)
{
    put_be16(f->data + f->len, (uint16_t)value);
    f->len += 2;
}

static inline void
frame_add32(struct frame *f, uint32_t value)
{
    put_be32(f->data + f->len, value);
    f->len += 4;
}

static inline void
frame_add48(struct frame *f, uint64_t value)
{
    put_be48(f->data + f->len, value);
    f->len += 6;
}

#define TEST_ETH_DST UINT64_C(0x020000000002)
#define TEST_ETH_SRC UINT64_C(0x020000000001)

/* Begins a frame. */
static inline void
frame_eth(struct frame *f, unsigned type)
{
    f->len = f->ip = 0;
    frame_add48(f, TEST_ETH_DST);
    frame_add48(f, TEST_ETH_SRC);
    frame_add16(f, type);
}

/* Adds the rest of a VLAN tag whose type is there already, and the next type. */
static inline void
frame_tag(struct frame *f, unsigned control, unsigned type)
{
    frame_add16(f, control);
    frame_add16(f, type);
}

static inline void
frame_snap(struct frame *f, unsigned type)
{
    frame_add48(f, 0xaaaa03000000);
    frame_add16(f, type);
}

static inline void
frame_mpls(struct frame *f, uint32_t label, unsigned tc, unsigned bos, unsigned ttl)
{
    frame_add32(f, label << 12 | tc << 9 | bos << 8 | ttl);
}

static inline void
frame_itag(struct frame *f, uint32_t isid, unsigned uca)
{
    frame_add32(f, uca << 27 | isid);
    frame_add48(f, 0x0a0000000002);
    frame_add48(f, 0x0a0000000001);
}

static inline void
frame_arp(struct frame *f, unsigned op)
{
    frame_add48(f, 0x000108000604);
    frame_add16(f, op);
    frame_add48(f, TEST_ETH_SRC);
    frame_add32(f, 0x0a000001);
    frame_add48(f, TEST_ETH_DST);
    frame_add32(f, 0x0a000002);
}

/* 10.0.0.1 > 10.0.0.2, DSCP 10, ECN 1, TTL 64; 'fragment' has the flags and offset,
 * 'options' the bytes of options. */
static inline void
frame_ipv4(struct frame *f, unsigned proto, unsigned fragment, unsigned options)
{
    f->ip = f->len;
    frame_add8(f, 0x45 + options / 4);
    frame_add8(f, 10 << 2 | 1);
    frame_add16(f, 0);
    frame_add16(f, 0x1234);
    frame_add16(f, fragment);
    frame_add8(f, 64);
    frame_add8(f, proto);
    frame_add16(f, 0);
    frame_add32(f, 0x0a000001);
    frame_add32(f, 0x0a000002);
    for (unsigned i = 0; i < options; i++) {
        frame_add8(f, 1);       /* No operation. */
    }
}

/* 2001:db8::1 > 2001:db8::2, DSCP 10, ECN 1, flow label 0x12345, hop limit 63. */
static inline void
frame_ipv6(struct frame *f, unsigned next)
{
    f->ip = f->len;
    frame_add32(f, UINT32_C(6) << 28 | (10 << 2 | 1) << 20 | 0x12345);
    frame_add16(f, 0);
    frame_add8(f, next);
    frame_add8(f, 63);
    for (unsigned i = 1; i <= 2; i++) {
        frame_add32(f, 0x20010db8);
        frame_add32(f, 0);
        frame_add32(f, 0);
        frame_add32(f, i);
    }
}

/* An extension header of 8 + 'more' bytes ('more' a multiple of 8; of 4 for AH). */
static inline void
frame_extension(struct frame *f, unsigned proto, unsigned next, unsigned more)
{
    frame_add8(f, next);
    frame_add8(f, proto == IP_PROTO_AUTH ? more / 4 : more / 8);
    for (unsigned i = 0; i < 6 + more; i++) {
        frame_add8(f, 0);
    }
}

static inline void
frame_fragment(struct frame *f, unsigned next, unsigned offset_more)
{
    frame_add8(f, next);
    frame_add8(f, 0);
    frame_add16(f, offset_more);
    frame_add32(f, 0x12345678);
}

/* Ports 1000 > 80, ACK and PSH. */
static inline void
frame_tcp(struct frame *f, size_t payload)
{
    frame_add16(f, 1000);
    frame_add16(f, 80);
    frame_add32(f, 0x01020304);
    frame_add32(f, 0x05060708);
    frame_add16(f, 0x5018);
    frame_add16(f, 1024);
    frame_add32(f, 0);
    frame_payload(f, payload);
}

static inline void
frame_udp(struct frame *f, size_t payload)
{
    frame_add16(f, 2000);
    frame_add16(f, 53);
    frame_add16(f, 8 + (unsigned)payload);
    frame_add16(f, 0);
    frame_payload(f, payload);
}

static inline void
frame_sctp(struct frame *f, size_t payload)
{
    frame_add16(f, 3000);
    frame_add16(f, 2905);
    frame_add32(f, 0xdeadbeef);
    frame_add32(f, 0);
    frame_payload(f, payload);
}

static inline void
frame_icmp(struct frame *f, unsigned type, unsigned code, size_t payload)
{
    frame_add8(f, type);
    frame_add8(f, code);
    frame_add16(f, 0);
    frame_payload(f, payload);
}

/* A neighbour message for fe80::1234 without options. */
static inline void
frame_nd(struct frame *f, unsigned type)
{
    frame_icmp(f, type, 0, 0);
    frame_add32(f, 0);
    frame_add32(f, 0xfe800000);
    frame_add32(f, 0);
    frame_add32(f, 0);
    frame_add32(f, 0x1234);
}

static inline void
frame_nd_option(struct frame *f, unsigned type, unsigned units, uint64_t address)
{
    frame_add8(f, type);
    frame_add8(f, units);
    frame_add48(f, address);
    for (unsigned i = 1; i < units; i++) {
        frame_add32(f, 0);
        frame_add32(f, 0);
    }
}

/* Fills in the length of the last IP header. */
static inline void
frame_end(struct frame *f)
{
    uint8_t *ip = f->data + f->ip;
    size_t n = f->len - f->ip;

    if (!f->ip) {
        return;
    }
    put_be16(ip[0] >> 4 == 4 ? ip + 2 : ip + 4, (uint16_t)(ip[0] >> 4 == 4 ? n : n - IPV6_SIZE));
}

/* --- One of each kind: S(name, how to build it). --- */

#define IN_IPV4(PROTO, REST) frame_eth(f, ETH_TYPE_IPV4); frame_ipv4(f, PROTO, 0, 0); REST
#define IN_IPV6(PROTO, REST) frame_eth(f, ETH_TYPE_IPV6); frame_ipv6(f, PROTO); REST

#define SAMPLES(S)                                                                      \
    S(unknown, frame_eth(f, 0x9999); frame_payload(f, 46))                              \
    S(llc, frame_eth(f, 46); frame_payload(f, 46))                                      \
    S(snap, frame_eth(f, 46); frame_snap(f, ETH_TYPE_ARP); frame_arp(f, 1))             \
    S(arp, frame_eth(f, ETH_TYPE_ARP); frame_arp(f, 1))                                 \
    S(vlan, frame_eth(f, ETH_TYPE_VLAN); frame_tag(f, 0xb064, ETH_TYPE_ARP); frame_arp(f, 2)) \
    S(qinq, frame_eth(f, ETH_TYPE_SVLAN); frame_tag(f, 0x2005, ETH_TYPE_VLAN);          \
            frame_tag(f, 0x4006, ETH_TYPE_IPV4); frame_ipv4(f, 17, 0, 0); frame_udp(f, 10)) \
    S(mpls, frame_eth(f, ETH_TYPE_MPLS); frame_mpls(f, 0xabcde, 5, 0, 61);              \
            frame_mpls(f, 2, 0, 1, 60); frame_ipv4(f, 6, 0, 0); frame_tcp(f, 0))        \
    S(pbb, frame_eth(f, ETH_TYPE_PBB); frame_itag(f, 0x123456, 1); frame_add16(f, 0x9999)) \
    S(tcp, IN_IPV4(IP_PROTO_TCP, frame_tcp(f, 20)))                                     \
    S(udp, IN_IPV4(IP_PROTO_UDP, frame_udp(f, 20)))                                     \
    S(sctp, IN_IPV4(IP_PROTO_SCTP, frame_sctp(f, 16)))                                  \
    S(icmp, IN_IPV4(IP_PROTO_ICMPV4, frame_icmp(f, 8, 3, 20)))                          \
    S(gre, IN_IPV4(47, frame_payload(f, 20)))                                           \
    S(options, frame_eth(f, ETH_TYPE_IPV4); frame_ipv4(f, 6, 0, 40); frame_tcp(f, 20))  \
    S(first, frame_eth(f, ETH_TYPE_IPV4); frame_ipv4(f, 17, 0x2000, 0); frame_udp(f, 20)) \
    S(later, frame_eth(f, ETH_TYPE_IPV4); frame_ipv4(f, 17, 0x0003, 0); frame_udp(f, 20)) \
    S(tcp6, IN_IPV6(IP_PROTO_TCP, frame_tcp(f, 20)))                                    \
    S(udp6, IN_IPV6(IP_PROTO_UDP, frame_udp(f, 20)))                                    \
    S(sctp6, IN_IPV6(IP_PROTO_SCTP, frame_sctp(f, 16)))                                 \
    S(icmp6, IN_IPV6(IP_PROTO_ICMPV6, frame_icmp(f, 128, 0, 20)))                       \
    S(solicit, IN_IPV6(58, frame_nd(f, 135); frame_nd_option(f, 14, 2, 9);              \
                       frame_nd_option(f, 1, 1, TEST_ETH_SRC)))                         \
    S(advert, IN_IPV6(58, frame_nd(f, 136); frame_nd_option(f, 2, 1, TEST_ETH_SRC)))    \
    S(first6, IN_IPV6(44, frame_fragment(f, 17, 0x0001); frame_udp(f, 20)))             \
    S(later6, IN_IPV6(44, frame_fragment(f, 17, 0x0010); frame_udp(f, 20)))             \
    S(atomic6, IN_IPV6(44, frame_fragment(f, 17, 0); frame_udp(f, 20)))                 \
    S(esp6, IN_IPV6(50, frame_payload(f, 30)))                                          \
    S(none6, IN_IPV6(59, frame_payload(f, 3)))                                          \
    S(chain6, IN_IPV6(0, frame_extension(f, 0, 60, 8); frame_extension(f, 60, 43, 0);   \
                      frame_extension(f, 43, 44, 16); frame_fragment(f, 51, 1);         \
                      frame_extension(f, 51, 60, 4); frame_extension(f, 60, 6, 0);      \
                      frame_tcp(f, 8)))                                                 \
    S(jumble6, IN_IPV6(43, frame_extension(f, 43, 0, 0); frame_extension(f, 0, 43, 0);  \
                       frame_extension(f, 43, 58, 0); frame_icmp(f, 1, 2, 8)))

enum sample {
#define S(NAME, ...) SAMPLE_##NAME,
    SAMPLES(S)
#undef S
    N_SAMPLES
};

/* Builds one sample. */
static inline void
frame_sample(struct frame *f, enum sample sample)
{
    switch (sample) {
#define S(NAME, ...) case SAMPLE_##NAME: __VA_ARGS__; break;
    SAMPLES(S)
#undef S
    case N_SAMPLES:
        break;
    }
    frame_end(f);
}

#endif
