/* Checksums that were left to do: see xdp_checksum.h. */

#include "xdp_checksum.h"

#include "bytes.h"
#include "csum.h"
#include "headers.h"
#include "offload.h"

/* A transport header, and the IP header in front of it. */
struct transport {
    const uint8_t *ip;
    uint32_t at;                /* Offset in the frame. */
    uint32_t len;               /* Bytes up to the end of the frame. */
    uint8_t proto;
};

/* Offset of the IP header; 0 if there is none that we look for. */
static uint32_t
find_ip(const struct packet *p, uint16_t *type)
{
    uint32_t at = ETH_SIZE;

    if (p->len < ETH_SIZE + 2 * VLAN_SIZE + IPV4_SIZE) {
        return 0;               /* No room for a transport header, with tags or without. */
    }
    *type = get_be16(p->data + ETH_TYPE_AT);
    while (is_vlan_type(*type) && at < ETH_SIZE + 2 * VLAN_SIZE) {
        *type = get_be16(p->data + at + 2);
        at += VLAN_SIZE;
    }
    return at;
}

static bool
find_ipv4(const struct packet *p, uint32_t at, struct transport *transport)
{
    enum { FRAGMENT = 0x3fff };
    const uint8_t *ip = p->data + at;
    uint32_t header_len = (ip[0] & 15) * 4u, len = get_be16(ip + 2);

    *transport = (struct transport){ip, at + header_len, len - header_len, ip[9]};
    return ip[0] >> 4 == 4 && header_len >= IPV4_SIZE && len >= header_len
           && at + len == p->len && !(get_be16(ip + 6) & FRAGMENT);
}

static bool
find_ipv6(const struct packet *p, uint32_t at, struct transport *transport)
{
    const uint8_t *ip = p->data + at;

    if (p->len < at + IPV6_SIZE) {
        return false;
    }
    *transport = (struct transport){ip, at + IPV6_SIZE, get_be16(ip + 4), ip[6]};
    return ip[0] >> 4 == 6 && transport->at + transport->len == p->len;
}

static bool
is_left(const struct packet *p, const struct transport *transport, uint32_t offset)
{
    const uint8_t *stored = p->data + transport->at + offset;
    uint16_t sum;

    if (offset == SCTP_CSUM) {
        return !get_be32(stored);
    }
    sum = (uint16_t)~csum_fold(csum_add_pseudo(0, transport->ip, transport->proto, transport->len));
    return !memcmp(stored, &sum, sizeof sum);
}

static void
look(struct packet *p, const struct transport *transport, uint32_t header_size, uint16_t offset)
{
    if (transport->len >= header_size && is_left(p, transport, offset)) {
        p->offload.flags |= OFFLOAD_NEEDS_CSUM;
        p->offload.csum_start = (uint16_t)transport->at;
        p->offload.csum_offset = offset;
    }
}

void
xdp_checksum_find(struct packet *p)
{
    struct transport transport;
    uint16_t type;
    uint32_t at = find_ip(p, &type);

    if (!at || !(type == ETH_TYPE_IPV4 ? find_ipv4(p, at, &transport)
                 : type == ETH_TYPE_IPV6 && find_ipv6(p, at, &transport))) {
        return;
    }
    if (transport.proto == IP_PROTO_TCP) {
        look(p, &transport, TCP_SIZE, TCP_CSUM);
    } else if (transport.proto == IP_PROTO_UDP) {
        look(p, &transport, UDP_SIZE, UDP_CSUM);
    } else if (transport.proto == IP_PROTO_SCTP) {
        look(p, &transport, SCTP_SIZE, SCTP_CSUM);
    }
}
