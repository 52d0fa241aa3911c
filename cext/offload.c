/* Checksums and segments that a sender left to do. */

#include "offload.h"

#include <string.h>

#include "bytes.h"
#include "csum.h"
#include "headers.h"
#include "pool.h"

/* Writes the sum over everything from 'start' on to 'at', which holds the sum
 * of the pseudo header. */
static void
complete_sum(const struct packet *p, uint32_t start, uint32_t at)
{
    uint16_t sum = csum_fold(csum_add(0, p->data + start, p->len - start));

    if (!sum) {
        sum = 0xffff;           /* The same number, and not UDP's "no checksum". */
    }
    memcpy(p->data + at, &sum, sizeof sum);
}

/* The same for SCTP: nothing else keeps its sum there. */
static void
complete_sctp(const struct packet *p, uint32_t start)
{
    uint32_t crc = csum_sctp(p->data + start, p->len - start);

    memcpy(p->data + start + SCTP_CSUM, &crc, sizeof crc);
}

void
offload_checksum(struct packet *p)
{
    uint32_t start = p->offload.csum_start, offset = p->offload.csum_offset;

    if (!(p->offload.flags & OFFLOAD_NEEDS_CSUM)) {
        return;
    }
    p->offload.flags &= ~OFFLOAD_NEEDS_CSUM;
    if (start + offset + 2 > p->len) {
        return;
    }
    if (offset != SCTP_CSUM) {
        complete_sum(p, start, start + offset);
    } else if (p->len - start >= SCTP_SIZE) {
        complete_sctp(p, start);
    }
}

/* --- Segmentation. --- */

/* What is to be cut, and where. */
struct cut {
    uint32_t ip, l4;            /* Offsets of the headers. */
    uint32_t headers;           /* Bytes of headers that each segment repeats. */
    uint32_t payload;           /* Bytes behind them. */
    uint32_t size;              /* Bytes of payload per segment. */
    uint8_t version;            /* Of IP. */
    uint8_t proto;              /* IP_PROTO_TCP or _UDP. */
    uint8_t csum;               /* Offset of the checksum in that header. */
};

/* Returns the offset of the Ethernet type behind VLAN tags; above p->len if the frame ends before. */
static uint32_t
find_type(const struct packet *p)
{
    uint32_t at = ETH_TYPE_AT;

    while (at + 2 <= p->len && is_vlan_type(get_be16(p->data + at))) {
        at += VLAN_SIZE;
    }
    return at + 2 <= p->len ? at : UINT32_MAX;
}

bool
offload_has_labels(const struct packet *p)
{
    uint32_t at = find_type(p);

    return at != UINT32_MAX && is_mpls_type(get_be16(p->data + at));
}

/* Returns the offset behind the Ethernet header, VLAN tags and MPLS shims;
 * above p->len if the frame ends before. */
static uint32_t
find_ip(const struct packet *p)
{
    uint32_t at = find_type(p);

    if (at == UINT32_MAX) {
        return UINT32_MAX;
    }

    bool mpls = is_mpls_type(get_be16(p->data + at));

    for (at += 2; mpls && at + MPLS_SIZE <= p->len; at += MPLS_SIZE) {
        mpls = !(p->data[at + 2] & 1);          /* The last one says so. */
    }
    return mpls ? UINT32_MAX : at;
}

/* A kind of segmentation: the row of its gso_type. */
struct kind {
    uint8_t version;            /* 0: either. */
    uint8_t proto;              /* 0: unknown. */
    uint8_t size;               /* Bytes of the least header. */
    uint8_t csum;
};

static const struct kind kinds[] = {
    [OFFLOAD_GSO_TCPV4]  = { 4, IP_PROTO_TCP, TCP_SIZE, TCP_CSUM },
    [OFFLOAD_GSO_TCPV6]  = { 6, IP_PROTO_TCP, TCP_SIZE, TCP_CSUM },
    [OFFLOAD_GSO_UDP_L4] = { 0, IP_PROTO_UDP, UDP_SIZE, UDP_CSUM },
};

/* Returns whether the IP and transport headers that 'c' tells of are there. */
static bool
headers_fit(const struct packet *p, const struct cut *c, const struct kind *kind)
{
    if (c->ip >= p->len || c->l4 >= NO_OFFSET || c->l4 + kind->size > p->len) {
        return false;
    }

    const uint8_t *ip = p->data + c->ip;
    uint32_t header = (ip[0] & 15) * 4u;

    if (ip[0] >> 4 == 4) {
        return kind->version != 6 && header >= IPV4_SIZE && c->ip + header == c->l4;
    }
    return ip[0] >> 4 == 6 && kind->version != 4 && c->ip + IPV6_SIZE <= c->l4;
}

/* Fills 'c'; returns false for what cannot be cut. */
static bool
plan(const struct packet *p, struct cut *c)
{
    unsigned type = p->offload.gso_type & ~OFFLOAD_GSO_ECN;
    const struct kind *kind = &kinds[type < sizeof kinds / sizeof *kinds ? type : 0];
    bool told = p->offload.flags & OFFLOAD_NEEDS_CSUM;

    *c = (struct cut){
        .ip = find_ip(p), .l4 = told ? p->offload.csum_start : p->l4,
        .size = p->offload.gso_size, .proto = kind->proto, .csum = kind->csum,
    };
    if (!kind->proto || !c->size || !headers_fit(p, c, kind)) {
        return false;
    }
    c->version = p->data[c->ip] >> 4;
    c->headers = c->l4 + (c->proto == IP_PROTO_TCP ? (p->data[c->l4 + 12] >> 4) * 4u : UDP_SIZE);
    if (c->headers < c->l4 + kind->size || c->headers > p->len) {
        return false;
    }
    c->payload = p->len - c->headers;
    return true;
}

/* Sets the lengths in the IP header, and IPv4's identification and checksum. */
static void
write_ip(struct packet *s, const struct cut *c, unsigned i)
{
    uint8_t *ip = s->data + c->ip;

    if (c->version == 6) {
        put_be16(ip + 4, (uint16_t)(s->len - c->ip - IPV6_SIZE));
        return;
    }
    put_be16(ip + 2, (uint16_t)(s->len - c->ip));
    put_be16(ip + 4, (uint16_t)(get_be16(ip + 4) + i));
    csum_ipv4(ip);
}

/* Sets sequence number and flags: CWR belongs to the first segment only, FIN
 * and PSH to the last. */
static void
write_tcp(uint8_t *tcp, const struct cut *c, unsigned i, bool last)
{
    enum { FIN = 0x01, PSH = 0x08, CWR = 0x80 };

    put_be32(tcp + 4, get_be32(tcp + 4) + i * c->size);
    if (i > 0) {
        tcp[13] &= ~CWR;
    }
    if (!last) {
        tcp[13] &= ~(FIN | PSH);
    }
}

static void
write_l4(struct packet *s, const struct cut *c, unsigned i, bool last)
{
    uint8_t *l4 = s->data + c->l4;
    uint32_t n = s->len - c->l4;

    if (c->proto == IP_PROTO_TCP) {
        write_tcp(l4, c, i, last);
    } else {
        put_be16(l4 + 4, (uint16_t)n);
    }
    put_be16(l4 + c->csum, 0);

    uint16_t sum = csum_fold(csum_add(csum_add_pseudo(0, s->data + c->ip, c->proto, n), l4, n));

    if (!sum) {
        sum = 0xffff;
    }
    memcpy(l4 + c->csum, &sum, sizeof sum);
}

/* Fills 's', a new packet, with segment 'i'. */
static void
write_segment(const struct packet *p, const struct cut *c, struct packet *s, unsigned i)
{
    uint32_t from = i * c->size, left = c->payload - from;
    uint32_t n = left < c->size ? left : c->size;

    memcpy(s->data, p->data, c->headers);
    memcpy(s->data + c->headers, p->data + c->headers + from, n);
    packet_set_len(s, c->headers + n);
    s->l2_5 = p->l2_5;
    s->l3 = p->l3;
    s->l4 = p->l4;
    s->eth_type_at = p->eth_type_at;
    s->in_port = p->in_port;
    s->out_queue = p->out_queue;
    s->hops = p->hops;
    write_ip(s, c, i);
    write_l4(s, c, i, from + n == c->payload);
}

unsigned
offload_segment(struct packet *p, struct pool *small, struct pool *large,
                struct packet *out[], unsigned limit)
{
    struct cut c;

    if (!plan(p, &c)) {
        return 0;
    }

    uint32_t n = c.payload ? (c.payload + c.size - 1) / c.size : 1;
    uint32_t most = c.headers + (c.payload < c.size ? c.payload : c.size);
    struct pool *pool = small && most <= small->size ? small : large;

    if (n > limit || !pool || most > pool->size || pool->n_free < n) {
        return 0;
    }
    pool_get(pool, out, n);
    for (unsigned i = 0; i < n; i++) {
        write_segment(p, &c, out[i], i);
    }
    return n;
}

uint32_t
offload_segments(const struct packet *p)
{
    struct cut c;

    if (!p->offload.gso_type || !plan(p, &c) || c.payload <= c.size) {
        return 1;
    }
    return (c.payload + c.size - 1) / c.size;
}
