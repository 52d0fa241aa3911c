#ifndef TEST_PLAIN_SUM_H
#define TEST_PLAIN_SUM_H

/* Checksums made the plain way, to check the fast ones against. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "headers.h"

/* Adds 'n' bytes to a one's complement sum of 16-bit words, in host order. */
static inline uint16_t
plain_sum(uint16_t start, const uint8_t *data, size_t n)
{
    uint32_t sum = start;

    for (size_t i = 0; i < n; i++) {
        sum += i % 2 ? data[i] : (uint32_t)data[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

static inline uint32_t
plain_crc32c(const uint8_t *data, size_t n)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < n; i++) {
        crc ^= data[i];
        for (unsigned bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
        }
    }
    return ~crc;
}

/* The sum of a pseudo header. */
static inline uint16_t
plain_pseudo(const uint8_t *ip, uint8_t proto, uint16_t n)
{
    uint8_t tail[4] = { 0, proto, n >> 8, n & 0xff };
    uint16_t sum = plain_sum(0, tail, sizeof tail);

    return ip[0] >> 4 == 4 ? plain_sum(sum, ip + 12, 8) : plain_sum(sum, ip + 8, 32);
}

/* Returns the protocol that an IPv6 packet without AH ends with. */
static inline uint8_t
plain_proto(const uint8_t *ip, size_t n)
{
    uint8_t proto = ip[6];

    for (size_t at = IPV6_SIZE; at < n;) {
        size_t size = proto == IP_PROTO_FRAG ? 8 : 8 * (ip[at + 1] + 1u);

        proto = ip[at];
        at += size;
    }
    return proto;
}

/* Whether the checksum of the transport header at 'l4' is right. */
static inline bool
plain_transport_good(uint8_t *frame, size_t l3, size_t l4)
{
    uint8_t *ip = frame + l3;
    bool v4 = ip[0] >> 4 == 4;
    uint8_t proto = v4 ? ip[9] : plain_proto(ip, l4 - l3);
    size_t end = l3 + (v4 ? get_be16(ip + 2) : get_be16(ip + 4) + IPV6_SIZE);
    uint16_t pseudo = proto == 1 ? 0 : plain_pseudo(ip, proto, (uint16_t)(end - l4));

    if (proto == IP_PROTO_SCTP) {
        uint32_t stored = __builtin_bswap32(get_be32(frame + l4 + SCTP_CSUM));

        put_be32(frame + l4 + SCTP_CSUM, 0);

        uint32_t crc = plain_crc32c(frame + l4, end - l4);

        put_be32(frame + l4 + SCTP_CSUM, __builtin_bswap32(stored));
        return stored == crc;
    }
    return plain_sum(pseudo, frame + l4, end - l4) == 0xffff;
}

#endif
