/* Checksums: RFC 1071, RFC 1624, and CRC32c. */

#include "csum.h"

#include <string.h>

#include "bytes.h"
#include "headers.h"

#ifdef __SSE4_2__
#include <nmmintrin.h>
#endif

uint32_t
csum_add(uint32_t sum, const void *data, size_t n)
{
    const uint8_t *at = data;
    uint64_t wide = sum;
    uint32_t word = 0;

    for (; n >= sizeof word; n -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        wide += word;
    }
    word = 0;
    memcpy(&word, at, n);
    wide += word;
    wide = (wide & UINT32_MAX) + (wide >> 32);
    return (uint32_t)(wide + (wide >> 32));
}

uint32_t
csum_add_pseudo(uint32_t sum, const uint8_t *ip, uint8_t proto, uint32_t n)
{
    uint8_t tail[8] = { 0 };

    put_be32(tail, n);
    tail[7] = proto;
    sum = csum_add(sum, tail, sizeof tail);
    return ip[0] >> 4 == 4 ? csum_add(sum, ip + 12, 8) : csum_add(sum, ip + 8, 32);
}

/* Folds a sum to 16 bits. */
static inline uint16_t
fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)(sum + (sum >> 16));
}

uint16_t
csum_fold(uint32_t sum)
{
    return (uint16_t)~fold(sum);
}

/* Returns the folded 'sum' after what it covers changed. */
static uint16_t
change(uint16_t sum, const void *old, const void *new, size_t n)
{
    return fold((uint32_t)sum + csum_fold(csum_add(0, old, n)) + fold(csum_add(0, new, n)));
}

void
csum_update_partial(uint8_t *at, const void *old, const void *new, size_t n)
{
    uint16_t sum;

    memcpy(&sum, at, sizeof sum);
    sum = change(sum, old, new, n);
    memcpy(at, &sum, sizeof sum);
}

void
csum_update(uint8_t *at, const void *old, const void *new, size_t n)
{
    uint16_t sum;

    memcpy(&sum, at, sizeof sum);
    sum = (uint16_t)~change((uint16_t)~sum, old, new, n);
    memcpy(at, &sum, sizeof sum);
}

void
csum_update_udp(uint8_t *at, const void *old, const void *new, size_t n)
{
    if (at[0] | at[1]) {
        csum_update(at, old, new, n);
        if (!(at[0] | at[1])) {
            memset(at, 0xff, 2);
        }
    }
}

/* --- CRC32c. --- */

#ifdef __SSE4_2__

static uint32_t
crc32c(uint32_t crc, const uint8_t *data, size_t n)
{
    uint64_t word, wide = crc;

    for (; n >= sizeof word; n -= sizeof word, data += sizeof word) {
        memcpy(&word, data, sizeof word);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    while (n-- > 0) {
        crc = _mm_crc32_u8(crc, *data++);
    }
    return crc;
}

#else

/* What four bits do to the reflected CRC with polynomial 0x1edc6f41. */
static const uint32_t nibbles[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

static uint32_t
crc32c(uint32_t crc, const uint8_t *data, size_t n)
{
    while (n-- > 0) {
        crc ^= *data++;
        crc = crc >> 4 ^ nibbles[crc & 15];
        crc = crc >> 4 ^ nibbles[crc & 15];
    }
    return crc;
}

#endif

/* With the low byte first. */
static uint32_t
as_stored(uint32_t crc)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap32(crc);
#else
    return crc;
#endif
}

uint32_t
csum_sctp(const uint8_t *data, size_t n)
{
    static const uint8_t zeros[4];
    uint32_t crc = UINT32_MAX;

    if (n < SCTP_SIZE) {
        return 0;
    }
    crc = crc32c(crc, data, SCTP_CSUM);
    crc = crc32c(crc, zeros, sizeof zeros);
    return as_stored(~crc32c(crc, data + SCTP_SIZE, n - SCTP_SIZE));
}

/* A CRC is linear: that of two packets differs by the CRC, begun with 0, of what they differ by. */
void
csum_update_sctp(uint8_t *sctp, size_t n, unsigned at, uint16_t old, uint16_t new)
{
    static const uint8_t zeros[64];
    uint16_t change = old ^ new;
    uint32_t crc, stored;

    if (!change || n < SCTP_SIZE) {
        return;
    }
    crc = crc32c(0, (const uint8_t *)&change, sizeof change);
    for (size_t left = n - at - sizeof change, step; left; left -= step) {
        step = left < sizeof zeros ? left : sizeof zeros;
        crc = crc32c(crc, zeros, step);
    }
    memcpy(&stored, sctp + SCTP_CSUM, sizeof stored);
    stored ^= as_stored(crc);
    memcpy(sctp + SCTP_CSUM, &stored, sizeof stored);
}

/* --- Whole headers. --- */

void
csum_ipv4(uint8_t *ip)
{
    uint16_t sum;

    memset(ip + 10, 0, 2);
    sum = csum_fold(csum_add(0, ip, (ip[0] & 15) * 4u));
    memcpy(ip + 10, &sum, sizeof sum);
}

/* What csum_transport() needs to know of an IP packet. */
struct payload {
    uint32_t at, size;          /* Offset from the frame, and bytes. */
    int proto;                  /* Its transport protocol; -1: not to be summed. */
};

static struct payload
ipv4_payload(const struct packet *p)
{
    const uint8_t *ip = p->data + p->l3;
    uint32_t header = p->l4 - p->l3, total = get_be16(ip + 2);
    bool good = total >= header && total <= p->len - p->l3 && !(get_be16(ip + 6) & 0x3fff);

    return (struct payload){ p->l4, total - header, good ? ip[9] : -1 };
}

/* Returns the next header number behind the extension header at 'header', or
 * -1 if the payload is not to be summed. */
static int
next_header(int proto, const uint8_t *header)
{
    bool fragment = proto == IP_PROTO_FRAG && get_be16(header + 2) & 0xfff9;
    bool on_the_way = proto == IP_PROTO_ROUTER && header[3];

    return fragment || on_the_way ? -1 : header[0];
}

static struct payload
ipv6_payload(const struct packet *p)
{
    const uint8_t *ip = p->data + p->l3;
    uint32_t at = p->l3 + IPV6_SIZE, end = at + get_be16(ip + 4);
    int proto = ip[6];

    while (at < p->l4 && proto >= 0) {
        const uint8_t *header = p->data + at;
        uint32_t units = header[1] + 1u;

        at += proto == IP_PROTO_FRAG ? 8 : proto == IP_PROTO_AUTH ? units * 4 + 4 : units * 8;
        proto = next_header(proto, header);
    }

    bool good = at == p->l4 && at <= end && end <= p->len;

    return (struct payload){ at, end - at, good ? proto : -1 };
}

/* Where a protocol keeps its checksum, and over what. */
struct transport {
    uint8_t size;               /* Bytes of its least header; 0: unknown. */
    uint8_t csum;               /* Offset of the checksum. */
    bool pseudo;                /* Whether a pseudo header counts. */
};

static const struct transport transports[256] = {
    [IP_PROTO_TCP]    = { TCP_SIZE, TCP_CSUM, true },
    [IP_PROTO_UDP]    = { UDP_SIZE, UDP_CSUM, true },
    [IP_PROTO_ICMPV4] = { ICMP_SIZE, ICMP_CSUM, false },
    [IP_PROTO_ICMPV6] = { ICMP_SIZE, ICMP_CSUM, true },
};

static void
sum_payload(struct packet *p, const struct payload *payload)
{
    const struct transport *t = &transports[payload->proto];
    uint8_t *l4 = p->data + payload->at;
    uint32_t sum = 0;

    if (!t->size || payload->size < t->size) {
        return;
    }
    if (t->pseudo) {
        sum = csum_add_pseudo(0, p->data + p->l3, (uint8_t)payload->proto, payload->size);
    }
    memset(l4 + t->csum, 0, 2);

    uint16_t stored = csum_fold(csum_add(sum, l4, payload->size));

    if (!stored && payload->proto == IP_PROTO_UDP) {
        stored = 0xffff;
    }
    memcpy(l4 + t->csum, &stored, sizeof stored);
}

void
csum_transport(struct packet *p)
{
    if (p->l3 == NO_OFFSET || p->l4 == NO_OFFSET) {
        return;
    }

    struct payload payload = p->data[p->l3] >> 4 == 4 ? ipv4_payload(p) : ipv6_payload(p);

    if (payload.proto == IP_PROTO_SCTP && payload.size >= SCTP_SIZE) {
        uint32_t crc = csum_sctp(p->data + payload.at, payload.size);

        memcpy(p->data + payload.at + SCTP_CSUM, &crc, sizeof crc);
    } else if (payload.proto >= 0) {
        sum_payload(p, &payload);
    }
}
