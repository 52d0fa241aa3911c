#ifndef RAICHO_IP_H
#define RAICHO_IP_H

/* IP addresses and prefixes, of both families, as 64-bit words in host order.
 *
 * An IPv4 address is the low 32 bits of word[1]; all other bits of it are 0.  A prefix has no bits
 * behind its length.
 *
 * What leads somewhere by an MPLS label is a route too.  Its "prefix" is the label, a number in word[1], and
 * always of length 20.
 *
 * Reference: RFC 4632 (IPv4 prefixes), RFC 4291 (IPv6) */

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"

enum ip_family { IP_V4 = 4, IP_V6 = 6, IP_LABEL = 20 };

enum { IP_LABEL_LEN = 20 };

struct ip_address {
    uint64_t word[2];
};

struct ip_prefix {
    struct ip_address address;
    uint8_t family;             /* enum ip_family */
    uint8_t len;                /* Bits, at most ip_bits(family). */
};

static inline unsigned
ip_bits(uint8_t family)
{
    return family == IP_V4 ? 32 : 128;
}

static inline bool
ip_equal(const struct ip_address *a, const struct ip_address *b)
{
    return a->word[0] == b->word[0] && a->word[1] == b->word[1];
}

static inline struct ip_address
ip_from_v4(uint32_t address)
{
    return (struct ip_address) { { 0, address } };
}

/* From the 4 or, of IPv6, 16 bytes of a header, in network order. */
static inline struct ip_address
ip_read(uint8_t family, const uint8_t *at)
{
    return family == IP_V6 ? (struct ip_address) { { get_be64(at), get_be64(at + 8) } }
                           : ip_from_v4(get_be32(at));
}

/* To 4 or 16 bytes in network order. */
static inline void
ip_write(uint8_t family, const struct ip_address *address, uint8_t *at)
{
    if (family != IP_V6) {
        put_be32(at, (uint32_t) address->word[1]);
    } else {
        put_be64(at, address->word[0]);
        put_be64(at + 8, address->word[1]);
    }
}

/* The mask of the first 'len' bits, as an address of that family. */
static inline struct ip_address
ip_mask(uint8_t family, uint8_t len)
{
    if (family == IP_V4) {
        return ip_from_v4(len ? UINT32_MAX << (32 - len) : 0);
    }
    return (struct ip_address) { {
        len >= 64 ? UINT64_MAX : len ? UINT64_MAX << (64 - len) : 0,
        len > 64 ? UINT64_MAX << (128 - len) : 0,
    } };
}

/* The address of frames to a group, by the last 32 bits of its own (RFC 1112, section 6.4; RFC 2464, section 7). */
static inline uint64_t
ip_group_mac(uint8_t family, uint32_t last)
{
    return family == IP_V4 ? 0x01005e000000 | (last & 0x7fffff) : 0x333300000000 | last;
}

static inline bool
ip_matches(const struct ip_prefix *prefix, const struct ip_address *address)
{
    struct ip_address mask = ip_mask(prefix->family, prefix->len);

    return !((address->word[0] ^ prefix->address.word[0]) & mask.word[0])
           && !((address->word[1] ^ prefix->address.word[1]) & mask.word[1]);
}

/* Whether no bit is set behind the length, and length and family make sense. */
static inline bool
ip_prefix_is_valid(const struct ip_prefix *prefix)
{
    if (prefix->family == IP_LABEL) {
        return prefix->len == IP_LABEL_LEN && !prefix->address.word[0]
               && prefix->address.word[1] >> IP_LABEL_LEN == 0;
    }
    if ((prefix->family != IP_V4 && prefix->family != IP_V6) || prefix->len > ip_bits(prefix->family)) {
        return false;
    }
    struct ip_address mask = ip_mask(prefix->family, prefix->len);

    return !(prefix->address.word[0] & ~mask.word[0]) && !(prefix->address.word[1] & ~mask.word[1]);
}

#endif
