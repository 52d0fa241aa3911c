#ifndef TEST_MEMBERSHIP_PACKETS_H
#define TEST_MEMBERSHIP_PACKETS_H

/* IP packets of IGMP and MLD for tests: begun, records added, and finished with lengths and checksums. */

#include "ip.h"
#include "packets.h"
#include "plain_sum.h"

enum { MEMBERSHIP_V4_AT = IPV4_SIZE, MEMBERSHIP_V6_AT = IPV6_SIZE + 8 };

static inline struct ip_address
membership_group_at(uint8_t family, unsigned i)
{
    return family == IP_V4 ? ip_from_v4(0xe8000000 | i)
                           : (struct ip_address) { { UINT64_C(0xff0e) << 48, i } };
}

static inline struct ip_address
membership_source_at(uint8_t family, unsigned i)
{
    return family == IP_V4 ? ip_from_v4(0x0a000100 | i)
                           : (struct ip_address) { { UINT64_C(0x20010db800000000), 0x100 | i } };
}

/* The headers in front: TTL 1, for IPv6 a link-local source and the option router alert. */
static inline void
membership_begin(struct frame *f, uint8_t family)
{
    f->len = 0;
    if (family == IP_V4) {
        frame_ipv4(f, 2, 0, 0);
        f->data[8] = 1;
    } else {
        frame_ipv6(f, IP_PROTO_HOP);
        f->data[7] = 1;
        put_be64(f->data + 8, UINT64_C(0xfe80) << 48);
        frame_add32(f, 0x3a000502);
        frame_add32(f, 0x00000100);
    }
}

static inline void
membership_add_address(struct frame *f, uint8_t family, struct ip_address address)
{
    size_t size = family == IP_V4 ? 4 : 16;

    ip_write(family, &address, f->data + f->len);
    f->len += size;
}

/* A message of versions 1 and 2, or of a query of them. */
static inline void
membership_old(struct frame *f, uint8_t family, uint8_t type, struct ip_address group)
{
    membership_begin(f, family);
    frame_add32(f, (uint32_t)type << 24);
    if (family == IP_V6) {
        frame_add32(f, 0);
    }
    membership_add_address(f, family, group);
}

/* A report of version 3 without records yet. */
static inline void
membership_report(struct frame *f, uint8_t family)
{
    membership_begin(f, family);
    frame_add32(f, (uint32_t)(family == IP_V4 ? 0x22 : 143) << 24);
    frame_add32(f, 0);
}

static inline void
membership_add_record(struct frame *f, uint8_t family, uint8_t change, struct ip_address group,
                      unsigned n_sources)
{
    size_t at = family == IP_V4 ? MEMBERSHIP_V4_AT : MEMBERSHIP_V6_AT;

    put_be16(f->data + at + 6, (uint16_t)(get_be16(f->data + at + 6) + 1));
    frame_add32(f, (uint32_t)change << 24 | n_sources);
    membership_add_address(f, family, group);
    for (unsigned i = 0; i < n_sources; i++) {
        membership_add_address(f, family, membership_source_at(family, i));
    }
}

static inline void
membership_finish(struct frame *f)
{
    bool is_v4 = f->data[0] >> 4 == 4;
    size_t at = is_v4 ? MEMBERSHIP_V4_AT : MEMBERSHIP_V6_AT, n = f->len - at;

    put_be16(f->data + (is_v4 ? 2 : 4), (uint16_t)(is_v4 ? f->len : f->len - IPV6_SIZE));
    put_be16(f->data + at + 2, 0);
    put_be16(f->data + at + 2,
             (uint16_t)~plain_sum(is_v4 ? 0 : plain_pseudo(f->data, IP_PROTO_ICMPV6, (uint16_t)n),
                                  f->data + at, n));
}

#endif
