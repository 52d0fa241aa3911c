/* Set-field: one row for each field says where it lies and how it is written.
 *
 * A field that the packet does not have is not set.  The checksums that cover it are changed by
 * as much as the field was, so that what was wrong stays wrong; only SCTP's is
 * computed anew. */

#include "bytes.h"
#include "field.h"
#include "headers.h"
#include "program.h"
#include "rewrite.h"

enum { VALUE_AT = 8 };          /* The value in a set-field: behind its header and that of the OXM. */

/* How one field is written. */
struct setter {
    void (*set)(struct packet *, const struct setter *, const uint8_t *value);
    uint8_t stale;              /* STALE_* bits behind it. */
    uint8_t at;                 /* Place in its header. */
    uint8_t size;               /* Bytes of it, where only these count. */
    uint8_t proto;              /* IP protocol or ND type of its header. */
    uint8_t shift;              /* For bits of a byte or word: the least one, */
    uint32_t mask;              /* and all of them. */
};

static const struct setter setters[N_FIELDS];

/* The bits of 'old' with those of the setter replaced. */
static uint32_t
with_bits(const struct setter *s, uint32_t old, const uint8_t *value)
{
    unsigned size = field_table[s - setters].size;
    uint32_t bits = 0;

    for (unsigned i = 0; i < size; i++) {
        bits = bits << 8 | value[i];
    }
    return (old & ~s->mask) | (bits << s->shift & s->mask);
}

/* --- The transport checksum ------------------------------------------------------ */

/* Where it lies; 0: there is none that can be changed a bit. */
static const uint8_t csum_at[256] = {
    [IP_PROTO_TCP] = TCP_CSUM,
    [IP_PROTO_UDP] = UDP_CSUM,
    [IP_PROTO_ICMPV4] = ICMP_CSUM,
    [IP_PROTO_ICMPV6] = ICMP_CSUM,
};

static uint8_t
ip_proto(const struct packet *p)
{
    return (uint8_t)(packet_walk(p)->key.word[W_L4] >> 24);
}

static bool
has_transport(const struct packet *p, uint8_t proto)
{
    return p->l4 != NO_OFFSET && ip_proto(p) == proto;
}

static uint8_t *
transport_csum(const struct packet *p)
{
    uint8_t at = p->l4 != NO_OFFSET ? csum_at[ip_proto(p)] : 0;

    return at ? p->data + p->l4 + at : NULL;
}

/* Whether the checksum at 'at' is only the sum of the pseudo header yet. */
static bool
is_partial(const struct packet *p, const uint8_t *at)
{
    return p->offload.flags & OFFLOAD_NEEDS_CSUM
           && at - p->data == p->offload.csum_start + p->offload.csum_offset;
}

static void
update(const struct packet *p, uint8_t *csum, const void *old, const void *new, size_t n)
{
    if (ip_proto(p) == IP_PROTO_UDP) {
        csum_update_udp(csum, old, new, n);
    } else {
        csum_update(csum, old, new, n);
    }
}

/* What the pseudo header has of 'old' becomes 'new'. */
static void
update_pseudo(const struct packet *p, const void *old, const void *new, size_t n)
{
    uint8_t *csum = transport_csum(p);

    if (!csum || ip_proto(p) == IP_PROTO_ICMPV4 || !memcmp(old, new, n)) {
        return;
    }
    if (is_partial(p, csum)) {
        csum_update_partial(csum, old, new, n);
    } else {
        update(p, csum, old, new, n);
    }
}

/* Changes 'n' bytes (even) at 'at', an even number of bytes into the transport header. */
static void
rewrite_transport(const struct packet *p, uint8_t *at, const void *new, size_t n)
{
    uint8_t *csum = transport_csum(p);

    if (!memcmp(at, new, n)) {
        return;
    }
    if (csum && !is_partial(p, csum)) {
        update(p, csum, at, new, n);
    }
    memcpy(at, new, n);
}

/* Returns the offset behind the IP payload. */
static uint32_t
ip_end(const struct packet *p)
{
    const uint8_t *ip = p->data + p->l3;

    return p->l3 + (ip_version(p) == 4 ? get_be16(ip + 2) : IPV6_SIZE + get_be16(ip + 4));
}

/* --- Ethernet, VLAN, MPLS, PBB ------------------------------------------------------ */

static void
set_ethernet(struct packet *p, const struct setter *s, const uint8_t *value)
{
    if (p->len >= ETH_SIZE) {
        memcpy(p->data + s->at, value, 6);
    }
}

static void
set_eth_type(struct packet *p, const struct setter *s, const uint8_t *value)
{
    (void)s;
    if (p->eth_type_at != NO_OFFSET) {
        memcpy(p->data + p->eth_type_at, value, 2);
    }
}

static void
set_tag(struct packet *p, const struct setter *s, const uint8_t *value)
{
    uint8_t *control = p->data + ETH_SIZE;

    if (has_tag(p)) {
        put_be16(control, (uint16_t)with_bits(s, get_be16(control), value));
    }
}

static void
set_shim(struct packet *p, const struct setter *s, const uint8_t *value)
{
    if (has_mpls(p)) {
        put_be32(p->data + p->l2_5, with_bits(s, get_be32(p->data + p->l2_5), value));
    }
}

static void
set_itag(struct packet *p, const struct setter *s, const uint8_t *value)
{
    if (has_itag(p)) {
        put_be32(p->data + p->l2_5, with_bits(s, get_be32(p->data + p->l2_5), value));
    }
}

/* --- ARP and IP ---------------------------------------------------------------------- */

static void
set_arp(struct packet *p, const struct setter *s, const uint8_t *value)
{
    if (has_arp(p)) {
        memcpy(p->data + p->l3 + s->at, value, s->size);
    }
}

/* The byte that is type of service in IPv4 and traffic class in IPv6. */
static void
set_tos(struct packet *p, const struct setter *s, const uint8_t *value)
{
    uint8_t *ip = p->data + p->l3;

    if (ip_version(p) == 4) {
        const uint8_t new[2] = { ip[0], (uint8_t)with_bits(s, ip[1], value) };

        rewrite_ipv4(ip, 0, new, sizeof new);
    } else if (ip_version(p) == 6) {
        uint16_t first = get_be16(ip);
        uint32_t tos = with_bits(s, first >> 4 & 0xff, value);

        put_be16(ip, (uint16_t)((first & 0xf00f) | tos << 4));
    }
}

/* The time to live, in IPv6 the hop limit. */
static void
set_ttl(struct packet *p, const struct setter *s, const uint8_t *value)
{
    uint8_t *ip = p->data + p->l3;

    (void)s;
    if (ip_version(p) == 4) {
        rewrite_ipv4(ip, 8, (const uint8_t[]){ *value, ip[9] }, 2);
    } else if (ip_version(p) == 6) {
        ip[7] = *value;
    }
}

static void
set_flow_label(struct packet *p, const struct setter *s, const uint8_t *value)
{
    uint8_t *ip = p->data + p->l3;

    if (ip_version(p) == 6) {
        put_be32(ip, with_bits(s, get_be32(ip), value));
    }
}

static void
set_ipv4_address(struct packet *p, const struct setter *s, const uint8_t *value)
{
    uint8_t *ip = p->data + p->l3;

    if (ip_version(p) == 4) {
        update_pseudo(p, ip + s->at, value, 4);
        rewrite_ipv4(ip, s->at, value, 4);
    }
}

/* What the extension headers of an IPv6 packet say. */
struct chain {
    uint32_t proto_at;          /* The last next-header byte that can be reached. */
    bool routed;                /* A routing header has addresses still to visit. */
};

/* Returns the size of an extension header that others can follow and of which 'room' bytes are
 * there; 0 if it is another kind of header, or cut. */
static uint32_t
extension_size(uint8_t proto, const uint8_t *header, uint32_t room)
{
    uint32_t size = 0;

    if (room < 8) {
        return 0;
    }
    switch (proto) {
    case IP_PROTO_HOP:
    case IP_PROTO_ROUTER:
    case IP_PROTO_DEST:
        size = (header[1] + 1u) * 8;
        break;
    case IP_PROTO_AUTH:
        size = (header[1] + 2u) * 4;
        break;
    case IP_PROTO_FRAG:
        size = 8;
    }
    return size <= room ? size : 0;
}

/* Walks as far as parse() does (parse.h). */
static struct chain
walk_chain(const struct packet *p)
{
    enum { MAX_EXTENSIONS = 16 };
    struct chain chain = { p->l3 + 6u, false };
    uint32_t at = p->l3 + IPV6_SIZE, end = ip_end(p);

    for (unsigned i = 0; i < MAX_EXTENSIONS && at < NO_OFFSET; i++) {
        const uint8_t *header = p->data + at;
        uint8_t proto = p->data[chain.proto_at];
        uint32_t size = extension_size(proto, header, end - at);

        if (!size) {
            break;
        }
        chain.routed |= proto == IP_PROTO_ROUTER && header[3];
        chain.proto_at = at;
        at += size;
        if (proto == IP_PROTO_FRAG && get_be16(header + 2) & 0xfff8) {
            break;
        }
    }
    return chain;
}

/* A destination to be replaced on the way is not in the pseudo header (RFC 8200, 8.1). */
static void
set_ipv6_address(struct packet *p, const struct setter *s, const uint8_t *value)
{
    enum { DESTINATION_AT = 24 };
    uint8_t *address = p->data + p->l3 + s->at;

    if (ip_version(p) != 6) {
        return;
    }
    if (s->at != DESTINATION_AT || !walk_chain(p).routed) {
        update_pseudo(p, address, value, 16);
    }
    memcpy(address, value, 16);
}

/* The transport header stays what it was; the checksum in it covers the new number. */
static void
set_ip_proto(struct packet *p, const struct setter *s, const uint8_t *value)
{
    unsigned version = ip_version(p);
    uint8_t *ip = p->data + p->l3;

    (void)s;
    if (version != 4 && version != 6) {
        return;
    }

    uint8_t *at = version == 4 ? ip + 9 : p->data + walk_chain(p).proto_at;

    update_pseudo(p, (const uint8_t[]){ 0, *at }, (const uint8_t[]){ 0, *value }, 2);
    if (version == 4) {
        rewrite_ipv4(ip, 8, (const uint8_t[]){ ip[8], *value }, 2);
    } else {
        *at = *value;
    }
}

/* --- Transport ------------------------------------------------------------------------- */

static void
set_port(struct packet *p, const struct setter *s, const uint8_t *value)
{
    if (has_transport(p, s->proto)) {
        rewrite_transport(p, p->data + p->l4 + s->at, value, 2);
    }
}

/* Its checksum needs the whole packet. */
static void
set_sctp_port(struct packet *p, const struct setter *s, const uint8_t *value)
{
    if (!has_transport(p, IP_PROTO_SCTP)) {
        return;
    }

    uint8_t *sctp = p->data + p->l4;

    memcpy(sctp + s->at, value, 2);
    if (!is_partial(p, sctp + SCTP_CSUM) && !(packet_walk(p)->key.word[W_L4] & FRAG_ANY)) {
        uint32_t crc = csum_sctp(sctp, ip_end(p) - p->l4);

        memcpy(sctp + SCTP_CSUM, &crc, sizeof crc);
    }
}

static void
set_icmp(struct packet *p, const struct setter *s, const uint8_t *value)
{
    if (has_transport(p, s->proto)) {
        uint8_t *icmp = p->data + p->l4, new[2] = { icmp[0], icmp[1] };

        new[s->at] = *value;
        rewrite_transport(p, icmp, new, sizeof new);
    }
}

/* Returns the neighbour message at l4, if it is one and whole. */
static uint8_t *
nd_message(const struct packet *p)
{
    if (!has_transport(p, IP_PROTO_ICMPV6) || ip_end(p) - p->l4 < ND_SIZE) {
        return NULL;
    }

    uint8_t *nd = p->data + p->l4;

    return (nd[0] == ND_SOLICITATION || nd[0] == ND_ADVERTISEMENT) && !nd[1] ? nd : NULL;
}

static void
set_nd_target(struct packet *p, const struct setter *s, const uint8_t *value)
{
    uint8_t *nd = nd_message(p);

    if (nd) {
        rewrite_transport(p, nd + s->at, value, 16);
    }
}

/* The first link-layer address option of the right kind and of 8 bytes. */
static void
set_nd_option(struct packet *p, const struct setter *s, const uint8_t *value)
{
    uint8_t *nd = nd_message(p);
    uint8_t kind = s->proto == ND_SOLICITATION ? 1 : 2;

    if (!nd || nd[0] != s->proto) {
        return;
    }

    const uint8_t *end = p->data + ip_end(p);
    unsigned size;

    for (uint8_t *option = nd + ND_SIZE; end - option >= 8; option += size) {
        size = option[1] * 8u;
        if (!size || end - option < size) {
            return;
        }
        if (option[0] == kind && size == 8) {
            rewrite_transport(p, option + 2, value, 6);
            return;
        }
    }
}

/* --- Not in the packet ------------------------------------------------------------------- */

static void
set_key(struct packet *p, const struct setter *s, const uint8_t *value)
{
    struct walk *walk = packet_walk(p);
    enum field field = (enum field)(s - setters);

    field_put(&walk->key, field, value);
    walk->wide |= field_table[field].word >= W_WIDE;
}

/* Only Nicira's actions do this. */
static void
set_in_port(struct packet *p, const struct setter *s, const uint8_t *value)
{
    set_key(p, s, value);
    p->in_port = get_be32(value);
}

/* --- All of them -------------------------------------------------------------------------- */

#define PLAIN(SET, AT, SIZE) { SET, STALE_KEY, AT, SIZE, 0, 0, 0 }
#define BITS(SET, SHIFT, MASK) { SET, STALE_KEY, 0, 0, 0, SHIFT, MASK }
#define INSIDE(SET, PROTO, AT) { SET, STALE_KEY, AT, 0, PROTO, 0, 0 }
#define ONLY_IN_KEY { set_key, 0, 0, 0, 0, 0, 0 }
#define CHANGES_LAYOUT(SET) { SET, STALE_KEY | STALE_LAYOUT, 0, 0, 0, 0, 0 }

static const struct setter setters[N_FIELDS] = {
    [FIELD_eth_dst]        = PLAIN(set_ethernet, 0, 6),
    [FIELD_eth_src]        = PLAIN(set_ethernet, 6, 6),
    [FIELD_eth_type]       = CHANGES_LAYOUT(set_eth_type),
    [FIELD_vlan_vid]       = BITS(set_tag, 0, 0x0fff),
    [FIELD_vlan_pcp]       = BITS(set_tag, 13, 0xe000),
    [FIELD_ip_dscp]        = BITS(set_tos, 2, 0xfc),
    [FIELD_ip_ecn]         = BITS(set_tos, 0, 0x03),
    [FIELD_ip_proto]       = CHANGES_LAYOUT(set_ip_proto),
    [FIELD_ipv4_src]       = PLAIN(set_ipv4_address, 12, 4),
    [FIELD_ipv4_dst]       = PLAIN(set_ipv4_address, 16, 4),
    [FIELD_tcp_src]        = INSIDE(set_port, IP_PROTO_TCP, 0),
    [FIELD_tcp_dst]        = INSIDE(set_port, IP_PROTO_TCP, 2),
    [FIELD_udp_src]        = INSIDE(set_port, IP_PROTO_UDP, 0),
    [FIELD_udp_dst]        = INSIDE(set_port, IP_PROTO_UDP, 2),
    [FIELD_sctp_src]       = INSIDE(set_sctp_port, IP_PROTO_SCTP, 0),
    [FIELD_sctp_dst]       = INSIDE(set_sctp_port, IP_PROTO_SCTP, 2),
    [FIELD_icmpv4_type]    = INSIDE(set_icmp, IP_PROTO_ICMPV4, 0),
    [FIELD_icmpv4_code]    = INSIDE(set_icmp, IP_PROTO_ICMPV4, 1),
    [FIELD_arp_op]         = PLAIN(set_arp, 6, 2),
    [FIELD_arp_spa]        = PLAIN(set_arp, 14, 4),
    [FIELD_arp_tpa]        = PLAIN(set_arp, 24, 4),
    [FIELD_arp_sha]        = PLAIN(set_arp, 8, 6),
    [FIELD_arp_tha]        = PLAIN(set_arp, 18, 6),
    [FIELD_ipv6_src]       = PLAIN(set_ipv6_address, 8, 16),
    [FIELD_ipv6_dst]       = PLAIN(set_ipv6_address, 24, 16),
    [FIELD_ipv6_flabel]    = BITS(set_flow_label, 0, 0xfffff),
    [FIELD_icmpv6_type]    = INSIDE(set_icmp, IP_PROTO_ICMPV6, 0),
    [FIELD_icmpv6_code]    = INSIDE(set_icmp, IP_PROTO_ICMPV6, 1),
    [FIELD_ipv6_nd_target] = PLAIN(set_nd_target, 8, 16),
    [FIELD_ipv6_nd_sll]    = INSIDE(set_nd_option, ND_SOLICITATION, 0),
    [FIELD_ipv6_nd_tll]    = INSIDE(set_nd_option, ND_ADVERTISEMENT, 0),
    [FIELD_mpls_label]     = BITS(set_shim, 12, 0xfffff000),
    [FIELD_mpls_tc]        = BITS(set_shim, 9, 0x0e00),
    [FIELD_mpls_bos]       = BITS(set_shim, 8, 0x0100),
    [FIELD_pbb_isid]       = BITS(set_itag, 0, 0x00ffffff),
    [FIELD_pbb_uca]        = BITS(set_itag, 27, 0x08000000),
    [FIELD_nw_ttl]         = PLAIN(set_ttl, 0, 1),
    [FIELD_mpls_ttl]       = BITS(set_shim, 0, 0x000000ff),
    [FIELD_in_port]        = { set_in_port, 0, 0, 0, 0, 0, 0 },
    [FIELD_metadata]       = ONLY_IN_KEY,
    [FIELD_tunnel_id]      = ONLY_IN_KEY,
    [FIELD_tun_ipv4_src]   = ONLY_IN_KEY,
    [FIELD_tun_ipv4_dst]   = ONLY_IN_KEY,
    [FIELD_reg0 ... FIELD_reg15]   = ONLY_IN_KEY,
    [FIELD_xreg0 ... FIELD_xreg7]  = ONLY_IN_KEY,
    [FIELD_xxreg0 ... FIELD_xxreg3] = ONLY_IN_KEY,
};

bool
packet_can_set(enum field field)
{
    return setters[field].set;
}

void
packet_set_field(struct packet *packet, enum field field, const uint8_t *value)
{
    const struct setter *setter = &setters[field];

    rewrite_begin(packet);
    setter->set(packet, setter, value);
    packet->stale |= setter->stale;
}

/* struct ofp_action_set_field: type, len, OXM. */
unsigned
op_set_field(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    (void)worker;
    for (unsigned i = 0; i < n; i++) {
        packet_set_field(packets[i], insn->field, insn_args(insn, packets[i]) + VALUE_AT);
    }
    return n;
}
