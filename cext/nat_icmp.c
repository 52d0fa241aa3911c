/* NAT: ICMP errors, with the packet inside of them (RFC 5508, sections 4 and 5).
 *
 * The packet inside is one that the NAT has translated on its way: it is given back what it was.  No session
 * is begun, prolonged or ended by an error (REQ-6).  The checksum is checked before (REQ-3), and made anew. */

#include "nat_private.h"

#include "rewrite.h"

enum { ERROR_SIZE = 8, INNER_PORTS = 8 };

/* The packet inside an error. */
struct inner {
    uint8_t *ip, *l4;
    uint32_t room;              /* Bytes from l4 on. */
    uint32_t source, destination;
    uint16_t ports[2];          /* Source first; both the id of a query. */
    uint8_t proto;
};

/* False: it is not one that a NAT can have translated. */
static bool
read_inner(const struct packet *p, struct inner *inner)
{
    uint32_t end = p->l3 + get_be16(p->data + p->l3 + 2), at = p->l4 + ERROR_SIZE;

    if (at + IPV4_SIZE > end) {
        return false;
    }
    uint8_t *ip = p->data + at;
    uint32_t header = (ip[0] & 15u) * 4;

    if (ip[0] >> 4 != 4 || header < IPV4_SIZE || at + header + INNER_PORTS > end
        || get_be16(ip + 6) & 0x1fff || ports_of(ip[9]) == NAT_PROTOS) {
        return false;
    }
    *inner = (struct inner) {
        .ip = ip, .l4 = ip + header, .room = end - at - header, .proto = ip[9],
        .source = get_be32(ip + 12), .destination = get_be32(ip + 16),
    };
    if (inner->proto == IP_PROTO_ICMPV4) {
        inner->ports[0] = inner->ports[1] = get_be16(inner->l4 + ICMP_ID_AT);
        return !is_icmp_error(inner->l4[0]);
    }
    inner->ports[0] = get_be16(inner->l4);
    inner->ports[1] = get_be16(inner->l4 + 2);
    return true;
}

static bool
is_sound(const struct packet *p)
{
    uint32_t n = get_be16(p->data + p->l3 + 2) - (uint32_t)(p->l4 - p->l3);

    return !csum_fold(csum_add(0, p->data + p->l4, n));
}

/* Gives the packet inside another source (NAT_OUT) or destination, and port. */
static void
rewrite_inner(struct inner *inner, enum nat_direction direction, uint32_t address, uint16_t port)
{
    uint8_t *at = inner->ip + (direction == NAT_OUT ? 12 : 16);
    bool icmp = inner->proto == IP_PROTO_ICMPV4;
    uint8_t *port_at = inner->l4 + (icmp ? ICMP_ID_AT : direction == NAT_OUT ? 0 : 2);
    unsigned csum = icmp ? ICMP_CSUM : inner->proto == IP_PROTO_UDP ? UDP_CSUM : TCP_CSUM;
    uint8_t new[6], old[6];

    put_be32(new, address);
    put_be16(new + 4, port);
    memcpy(old, at, 4);
    memcpy(old + 4, port_at, 2);
    if (inner->proto != IP_PROTO_SCTP && csum + 2 <= inner->room) {     /* Of SCTP all of the packet is summed. */
        if (icmp) {
            csum_update(inner->l4 + csum, old + 4, new + 4, 2);
        } else if (inner->proto == IP_PROTO_UDP) {
            csum_update_udp(inner->l4 + csum, old, new, sizeof new);
        } else {
            csum_update(inner->l4 + csum, old, new, sizeof new);
        }
    }
    csum_update(inner->ip + IPV4_CSUM, old, new, 4);
    memcpy(at, new, 4);
    memcpy(port_at, new + 4, 2);
}

/* From inside (REQ-5): the packet came from outside, so its destination goes back to the one outside; and who
 * tells of it hides behind the same address, unless it has one of its own. */
static enum drop_reason
error_out(struct nat *nat, const struct nat_setup *setup, struct packet *p, struct inner *inner,
          uint64_t now_ms)
{
    uint32_t source = (uint32_t)(packet_walk(p)->key.word[W_IPV4] >> 32);
    uint32_t host = host_of(nat, setup, inner->destination, NAT_OUT);
    uint32_t own = host_of(nat, setup, source, NAT_OUT);
    uint64_t key[2], value = endpoint(host, inner->ports[1], 0);

    key[0] = endpoint(inner->destination, inner->ports[1], inner->proto);
    key[1] = endpoint(inner->source, inner->proto == IP_PROTO_ICMPV4 ? 0 : inner->ports[0], 0);
    if (!host && !kv_get(&nat->sessions, key, now_ms, &value)) {
        return DROP_nat_no_session;
    }
    rewrite_inner(inner, NAT_IN, address_of(value), port_of(value));
    nat_rewrite(p, NAT_OUT, own ? own : address_of(value), 0, 0);
    return NO_DROP;
}

/* From outside (REQ-4): the packet went out, so its source goes back to the one inside, who gets the error. */
static enum drop_reason
error_in(struct nat *nat, const struct nat_setup *setup, struct packet *p, struct inner *inner,
         uint64_t now_ms)
{
    const struct nat_row *row = row_of(setup, inner->source);
    uint32_t host = row ? 0 : host_of(nat, setup, inner->source, NAT_IN);
    uint64_t key[2], unused;

    key[0] = row ? *behind(row->ports, inner->proto, inner->ports[0]) & ~(uint64_t)NAT_STATIC
                 : endpoint(host, inner->ports[0], inner->proto);
    key[1] = endpoint(inner->destination,
                      inner->proto == IP_PROTO_ICMPV4 ? 0 : inner->ports[1], 0);
    if (!host && (!row || key[0] & NAT_V6 || !kv_get(&nat->sessions, key, now_ms, &unused))) {
        return DROP_nat_no_session;
    }
    rewrite_inner(inner, NAT_OUT, address_of(key[0]), port_of(key[0]));
    nat_rewrite(p, NAT_IN, address_of(key[0]), 0, 0);
    return NO_DROP;
}

enum drop_reason
nat_icmp_error(struct nat *nat, const struct nat_setup *setup, struct packet *p,
               enum nat_direction direction, uint64_t now_ms)
{
    enum drop_reason reason;
    struct inner inner;

    if (packet_walk(p)->key.word[W_L4] & FRAG_ANY || !read_inner(p, &inner) || !is_sound(p)) {
        return DROP_nat_protocol;
    }
    reason = (direction == NAT_OUT ? error_out : error_in)(nat, setup, p, &inner, now_ms);
    if (reason == NO_DROP) {
        csum_transport(p);
    }
    return reason;
}
