/* One pass over the headers of a frame; see parse.h for what is read how. */

#include "parse.h"

#include <string.h>

#include "bytes.h"
#include "headers.h"

enum {
    AHEAD = 4,                  /* Packets between a prefetch and its use. */
    MAX_EXTENSIONS = 16,        /* IPv6 extension headers that are walked. */
};

/* Bytes of the least header of each transport protocol; 0 if it is unknown. */
static const uint8_t l4_size[256] = {
    [IP_PROTO_TCP] = TCP_SIZE,
    [IP_PROTO_UDP] = UDP_SIZE,
    [IP_PROTO_SCTP] = SCTP_SIZE,
    [IP_PROTO_ICMPV4] = ICMP_SIZE,
    [IP_PROTO_ICMPV6] = ICMP_SIZE,
};

/* --- Transport. --- */

/* What is known of an IP payload while it is read. */
struct payload {
    uint32_t at, end;           /* Offsets of the next header and of the end. */
    uint8_t proto;              /* The next header. */
    uint8_t frag;               /* FRAG_*. */
    uint16_t exthdr;            /* EXTHDR_*. */
};

/* Returns whether 'size' bytes of header lie at the start of 'rest'. */
static inline bool
is_whole(const struct payload *rest, uint32_t size)
{
    return rest->end - rest->at >= size && rest->at < NO_OFFSET;
}

/* Reads the transport header and returns its part of W_L4. */
static inline uint64_t
read_l4(struct packet *p, struct flow_key *key, const struct payload *rest, uint8_t other_icmp)
{
    const uint8_t *l4 = p->data + rest->at;
    uint32_t size = l4_size[rest->proto];

    if (!size || rest->proto == other_icmp || rest->frag & FRAG_LATER || !is_whole(rest, size)) {
        return 0;
    }
    p->l4 = (uint16_t)rest->at;
    if (size == ICMP_SIZE) {
        return (uint64_t)l4[0] << 48 | (uint64_t)l4[1] << 32;
    }
    if (size == TCP_SIZE) {
        key->word[W_IPV6] |= (uint64_t)(get_be16(l4 + 12) & 0xfff) << 16;
    }
    return (uint64_t)get_be32(l4) << 32;
}

/* Returns W_L4 without its ports. */
static inline uint64_t
ip_word(const struct payload *rest, uint8_t tos, uint8_t ttl)
{
    return (uint64_t)rest->proto << 24 | (uint64_t)tos << 16 | (uint64_t)ttl << 8 | rest->frag;
}

/* --- IPv4 and ARP. --- */

static inline uint8_t
ipv4_frag(uint16_t flags_offset)
{
    if (!(flags_offset & 0x3fff)) {
        return FRAG_NO;
    }
    return flags_offset & 0x1fff ? FRAG_ANY | FRAG_LATER : FRAG_ANY;
}

static inline void
read_ipv4(struct packet *p, struct flow_key *key, uint32_t at)
{
    const uint8_t *ip = p->data + at;
    uint32_t room = p->len - at;

    if (room < IPV4_SIZE) {
        return;
    }

    uint32_t size = (ip[0] & 15) * 4, total = get_be16(ip + 2);

    if (ip[0] >> 4 != 4 || size < IPV4_SIZE || total < size || total > room) {
        return;
    }

    struct payload rest = {
        .at = at + size, .end = at + total, .proto = ip[9], .frag = ipv4_frag(get_be16(ip + 6)),
    };

    p->l3 = (uint16_t)at;
    key->word[W_IPV4] = get_be64(ip + 12);
    key->word[W_L4] = read_l4(p, key, &rest, IP_PROTO_ICMPV6) | ip_word(&rest, ip[1], ip[8]);
}

static void
read_arp(struct packet *p, struct flow_key *key, uint32_t at)
{
    const uint8_t *arp = p->data + at;

    if (p->len - at < ARP_SIZE || get_be48(arp) != 0x000108000604) {
        return;
    }
    p->l3 = (uint16_t)at;
    key->word[W_L4] = (uint64_t)get_be16(arp + 6) << 48;
    key->word[W_LL_SRC] = get_be48(arp + 8) << 16;
    key->word[W_LL_DST] = get_be48(arp + 18) << 16;
    key->word[W_IPV4] = (uint64_t)get_be32(arp + 14) << 32 | get_be32(arp + 24);
}

/* --- IPv6. --- */

/* A kind of extension header: the row of its bit in ipv6_exthdr. */
struct extension {
    uint8_t proto;
    uint8_t unit;               /* Its length is (second byte + plus) * unit; */
    uint8_t plus;               /* 0: it has none, and ends the chain. */
    uint8_t place;              /* Its place in the preferred order. */
    uint8_t last_place;         /* The same for its second time. */
    uint8_t most;               /* Times it may be there. */
};

enum { N_EXTENSIONS = 7 };

static const struct extension extensions[N_EXTENSIONS] = {
    { IP_PROTO_NONEXT, 0, 0, 7, 7, 1 },
    { IP_PROTO_ESP,    0, 0, 5, 5, 1 },
    { IP_PROTO_AUTH,   4, 2, 4, 4, 1 },
    { IP_PROTO_DEST,   8, 1, 1, 6, 2 },
    { IP_PROTO_FRAG,   8, 1, 3, 3, 1 },
    { IP_PROTO_ROUTER, 8, 1, 2, 2, 1 },
    { IP_PROTO_HOP,    8, 1, 0, 0, 1 },
};

/* Which row of 'extensions', plus one; 0 if it is no extension header. */
static const uint8_t extension_row[256] = {
    [IP_PROTO_NONEXT] = 1, [IP_PROTO_ESP] = 2,    [IP_PROTO_AUTH] = 3, [IP_PROTO_DEST] = 4,
    [IP_PROTO_FRAG] = 5,   [IP_PROTO_ROUTER] = 6, [IP_PROTO_HOP] = 7,
};

/* What the headers walked so far leave for the next ones. */
struct order {
    uint8_t times[N_EXTENSIONS];
    uint8_t n;                  /* Headers so far. */
    uint8_t place;              /* First place that is still free. */
};

/* Returns the bits of ipv6_exthdr that one more header of kind 'row' sets. */
static uint16_t
order_bits(struct order *order, unsigned row)
{
    const struct extension *x = &extensions[row];
    uint8_t place = x->place >= order->place ? x->place : x->last_place;
    uint16_t bits = x->proto != IP_PROTO_HOP || !order->n ? 1 << row : 0;

    if (++order->times[row] > x->most) {
        bits |= EXTHDR_UNREP;
    }
    if (place < order->place) {
        bits |= EXTHDR_UNSEQ;
    } else {
        order->place = place + 1;
    }
    order->n++;
    return bits;
}

static uint8_t
ipv6_frag(uint16_t offset_more)
{
    if (!(offset_more & 0xfff9)) {
        return FRAG_NO;
    }
    return offset_more & 0xfff8 ? FRAG_ANY | FRAG_LATER : FRAG_ANY;
}

/* Walks the extension headers: moves 'rest' on to what is behind them. */
static void
walk_extensions(const uint8_t *data, struct payload *rest)
{
    struct order order = { .n = 0 };

    for (unsigned i = 0; i < MAX_EXTENSIONS && !(rest->frag & FRAG_LATER); i++) {
        unsigned row = extension_row[rest->proto];
        const uint8_t *header = data + rest->at;

        if (!row) {
            return;
        }

        const struct extension *x = &extensions[row - 1];
        uint32_t size = 8;

        if (x->plus && !is_whole(rest, size)) {
            return;
        }
        if (x->plus && rest->proto != IP_PROTO_FRAG) {
            size = (header[1] + x->plus) * x->unit;
        }
        if (x->plus && !is_whole(rest, size)) {
            return;
        }
        rest->exthdr |= order_bits(&order, row - 1);
        if (!x->plus) {
            return;
        }
        if (rest->proto == IP_PROTO_FRAG) {
            rest->frag |= ipv6_frag(get_be16(header + 2));
        }
        rest->proto = header[0];
        rest->at += size;
    }
}

/* Reads the link-layer address option of a whole neighbour solicitation (its
 * source) or advertisement (its target). */
static void
read_nd_option(const struct packet *p, struct flow_key *key, struct payload rest, uint8_t type)
{
    bool solicit = type == ND_SOLICITATION;

    for (rest.at += ND_SIZE; rest.end - rest.at >= 8;) {
        const uint8_t *option = p->data + rest.at;
        uint32_t size = option[1] * 8;

        if (!size || size > rest.end - rest.at) {
            return;
        }
        if (option[0] == (solicit ? 1 : 2) && size == 8) {
            key->word[solicit ? W_LL_SRC : W_LL_DST] = get_be48(option + 2) << 16;
            return;
        }
        rest.at += size;
    }
}

static void
read_nd(const struct packet *p, struct flow_key *key, const struct payload *rest)
{
    const uint8_t *nd = p->data + rest->at;

    if ((nd[0] != ND_SOLICITATION && nd[0] != ND_ADVERTISEMENT) || nd[1]
        || rest->end - rest->at < ND_SIZE) {
        return;
    }
    key->word[W_ND_TARGET] = get_be64(nd + 8);
    key->word[W_ND_TARGET_LOW] = get_be64(nd + 16);
    read_nd_option(p, key, *rest, nd[0]);
}

static inline void
read_ipv6(struct packet *p, struct flow_key *key, uint32_t at)
{
    const uint8_t *ip = p->data + at;
    uint32_t room = p->len - at;

    if (room < IPV6_SIZE || ip[0] >> 4 != 6 || get_be16(ip + 4) > room - IPV6_SIZE) {
        return;
    }

    uint32_t first = get_be32(ip);
    struct payload rest = { .at = at + IPV6_SIZE, .proto = ip[6] };

    rest.end = rest.at + get_be16(ip + 4);
    p->l3 = (uint16_t)at;
    for (unsigned i = 0; i < 4; i++) {
        key->word[W_IPV6_SRC + i] = get_be64(ip + 8 + 8 * i);
    }
    if (extension_row[rest.proto]) {
        walk_extensions(p->data, &rest);
    }
    key->word[W_IPV6] = (uint64_t)(first & 0xfffff) << 44 | (uint64_t)rest.exthdr << 32;
    key->word[W_L4] = read_l4(p, key, &rest, IP_PROTO_ICMPV4)
                      | ip_word(&rest, first >> 20 & 0xff, ip[7]);
    if (rest.proto == IP_PROTO_ICMPV6 && p->l4 != NO_OFFSET) {
        read_nd(p, key, &rest);
    }
}

/* --- Ethernet and what lies between it and IP. --- */

/* Returns whether a whole VLAN tag begins with the type at 'at'. */
static inline bool
is_tag(const struct packet *p, uint32_t at)
{
    return is_vlan_type(get_be16(p->data + at)) && p->len - at >= 2 + VLAN_SIZE;
}

/* Skips VLAN tags; 'at' is where the first one's type is.  Returns where the
 * type behind them is, and the first tag's part of W_ETH_SRC in 'tag'. */
static uint32_t
skip_tags(const struct packet *p, uint32_t at, uint64_t *tag)
{
    if (is_tag(p, at)) {
        uint16_t control = get_be16(p->data + at + 2);

        *tag = (control & 0xe000) | VID_PRESENT | (control & 0x0fff);
    }
    while (is_tag(p, at)) {
        at += VLAN_SIZE;
    }
    return at;
}

/* Returns the offset of SNAP's type, or 'at', that of the length, without SNAP. */
static uint32_t
skip_llc(const struct packet *p, uint32_t at)
{
    const uint8_t *llc = p->data + at + 2;

    if (p->len - at - 2 < LLC_SNAP_SIZE || get_be48(llc) != 0xaaaa03000000) {
        return at;
    }
    return get_be16(llc + 6) < ETH_TYPE_MIN ? at : at + LLC_SNAP_SIZE;
}

static void
read_mpls(struct packet *p, struct flow_key *key, uint32_t at)
{
    if (p->len - at >= MPLS_SIZE) {
        p->l2_5 = (uint16_t)at;
        key->word[W_MPLS] = (uint64_t)get_be32(p->data + at) << 32;
    }
}

static void
read_pbb(struct packet *p, struct flow_key *key, uint32_t at)
{
    if (p->len - at >= ITAG_SIZE) {
        uint32_t tag = get_be32(p->data + at);

        p->l2_5 = (uint16_t)at;
        key->word[W_MPLS] = (uint64_t)(tag & 0xffffff) << 8 | (tag >> 27 & 1) << 7;
    }
}

/* Reads what is behind the Ethernet type.  Returns whether it may have filled words from W_WIDE on. */
static inline bool
read_payload(struct packet *p, struct flow_key *key, uint16_t type, uint32_t at)
{
    if (at >= NO_OFFSET) {
        return false;
    }
    switch (type) {
    case ETH_TYPE_IPV4:
        read_ipv4(p, key, at);
        return false;
    case ETH_TYPE_IPV6:
        read_ipv6(p, key, at);
        return true;
    case ETH_TYPE_ARP:
        read_arp(p, key, at);
        return true;
    case ETH_TYPE_MPLS:
    case ETH_TYPE_MPLS_MULTICAST:
        read_mpls(p, key, at);
        return true;
    case ETH_TYPE_PBB:
        read_pbb(p, key, at);
        return true;
    }
    return false;
}

/* Fills a key whose header words are 0.  Returns whether words from W_WIDE on may not be 0 now. */
static inline bool
read_frame(struct packet *p, struct flow_key *key)
{
    const uint8_t *data = p->data;
    uint32_t at = ETH_TYPE_AT;
    uint64_t tag = 0;

    p->l2_5 = p->l3 = p->l4 = p->eth_type_at = NO_OFFSET;
    p->stale = false;
    if (p->len < ETH_SIZE) {
        return false;
    }

    uint16_t type = get_be16(data + at);

    if (is_vlan_type(type)) {
        at = skip_tags(p, at, &tag);
        type = get_be16(data + at);
    }
    if (type < ETH_TYPE_MIN) {
        uint32_t snap = skip_llc(p, at);

        type = snap != at ? get_be16(data + snap) : ETH_TYPE_NONE;
        at = snap;
    }
    p->eth_type_at = at < NO_OFFSET ? (uint16_t)at : NO_OFFSET;
    key->word[W_ETH_DST] = (get_be64(data) & ~UINT64_C(0xffff)) | type;
    key->word[W_ETH_SRC] = (get_be64(data + 6) & ~UINT64_C(0xffff)) | tag;
    return read_payload(p, key, type, at + 2);
}

/* What a frame with an IP header at 'l3' is, whose type is just before it: both of its offsets, and the
 * words of the key that have nothing to do with IP. */
static inline __attribute__((always_inline)) void
note_usual(struct packet *p, struct flow_key *key, uint16_t type, uint32_t l3, uint32_t l4,
           uint64_t tag)
{
    p->l2_5 = NO_OFFSET;
    p->l3 = (uint16_t)l3;
    p->l4 = (uint16_t)l4;
    p->eth_type_at = (uint16_t)(l3 - 2);
    p->stale = false;
    key->word[W_PORT] = (uint64_t)p->in_port << 32 | p->in_port;
    key->word[W_METADATA] = 0;
    key->word[W_TUNNEL_ID] = 0;
    key->word[W_ETH_DST] = (get_be64(p->data) & ~UINT64_C(0xffff)) | type;
    key->word[W_ETH_SRC] = (get_be64(p->data + 6) & ~UINT64_C(0xffff)) | tag;
}

/* The TCP flags of a header at 'l4', where the key has them. */
static inline uint64_t
tcp_flags_word(const uint8_t *l4, bool tcp)
{
    return tcp ? (uint64_t)(get_be16(l4 + 12) & 0xfff) << 16 : 0;
}

/* Fills the first line of the key with IPv4 without options and whole TCP or UDP in it, whose Ethernet
 * type is at 'type_at' behind 'tag', as read_frame() would.  Returns false, and nothing has changed, if it
 * is something else. */
static inline __attribute__((always_inline)) bool
read_plain_ipv4(struct packet *p, struct flow_key *key, uint32_t type_at, uint64_t tag)
{
    const uint32_t l3 = type_at + 2, l4 = l3 + IPV4_SIZE;
    const uint8_t *data = p->data, *ip = data + l3;

    if (p->len < l4 + UDP_SIZE || get_be16(data + type_at) != ETH_TYPE_IPV4 || ip[0] != 0x45
        || get_be16(ip + 6) & 0x3fff) {
        return false;
    }

    uint32_t total = get_be16(ip + 2);
    bool tcp = ip[9] == IP_PROTO_TCP;

    if (!(tcp || ip[9] == IP_PROTO_UDP) || total < IPV4_SIZE + (uint32_t)l4_size[ip[9]]
        || total > p->len - l3) {
        return false;
    }
    note_usual(p, key, ETH_TYPE_IPV4, l3, l4, tag);
    key->word[W_IPV4] = get_be64(ip + 12);
    key->word[W_L4] = (uint64_t)get_be32(data + l4) << 32 | (uint32_t)ip[9] << 24
                      | (uint32_t)ip[1] << 16 | (uint32_t)ip[8] << 8;
    key->word[W_IPV6] = tcp_flags_word(data + l4, tcp);
    return true;
}

/* The same for IPv6 without extension headers.  Of the words from W_WIDE on it fills the addresses. */
static inline __attribute__((always_inline)) bool
read_plain_ipv6(struct packet *p, struct flow_key *key, uint32_t type_at, uint64_t tag)
{
    const uint32_t l3 = type_at + 2, l4 = l3 + IPV6_SIZE;
    const uint8_t *data = p->data, *ip = data + l3;

    if (p->len < l4 + UDP_SIZE || get_be16(data + type_at) != ETH_TYPE_IPV6 || ip[0] >> 4 != 6) {
        return false;
    }

    uint32_t payload = get_be16(ip + 4), first = get_be32(ip);
    bool tcp = ip[6] == IP_PROTO_TCP;

    if (!(tcp || ip[6] == IP_PROTO_UDP) || payload < l4_size[ip[6]] || payload > p->len - l4) {
        return false;
    }
    note_usual(p, key, ETH_TYPE_IPV6, l3, l4, tag);
    key->word[W_IPV4] = 0;
    key->word[W_L4] = (uint64_t)get_be32(data + l4) << 32 | (uint32_t)ip[6] << 24
                      | (first >> 4 & 0xff0000) | (uint32_t)ip[7] << 8;
    key->word[W_IPV6] = (uint64_t)(first & 0xfffff) << 44 | tcp_flags_word(data + l4, tcp);
    for (unsigned i = 0; i < 4; i++) {
        key->word[W_IPV6_SRC + i] = get_be64(ip + 8 + 8 * i);
    }
    return true;
}

static inline __attribute__((always_inline)) bool
read_plain(struct packet *p, struct walk *walk, uint32_t type_at, uint64_t tag)
{
    return read_plain_ipv4(p, &walk->key, type_at, tag)
           || (walk->wide = read_plain_ipv6(p, &walk->key, type_at, tag));
}

/* Does the frames that most are, with one VLAN tag or none; the others return false.  For each of the
 * two there is a copy of the code in which offsets are constants. */
static inline bool
read_usual(struct packet *p, struct walk *walk)
{
    const uint8_t *data = p->data;

    if (p->len < ETH_SIZE + VLAN_SIZE || get_be16(data + ETH_TYPE_AT) != ETH_TYPE_VLAN) {
        return read_plain(p, walk, ETH_TYPE_AT, 0);
    }
    return read_plain(p, walk, ETH_TYPE_AT + VLAN_SIZE,
                      get_be16(data + ETH_TYPE_AT + 2) | VID_PRESENT);
}

/* Clears words of a key, in pieces that compilers make plain stores of: for the
 * whole, gcc makes a "rep stos", which takes longer than all the rest. */
static inline void
clear_words(uint64_t *word, unsigned n)
{
    enum { PIECE = 8 };

    for (; n >= PIECE; n -= PIECE, word += PIECE) {
        memset(word, 0, PIECE * sizeof *word);
    }
    memset(word, 0, n * sizeof *word);
}

void
parse(struct packet *p, struct flow_key *key)
{
    clear_words(&key->word[W_HEADERS_FIRST], W_HEADERS_LAST - W_HEADERS_FIRST + 1);
    read_frame(p, key);
}

void
parse_again(struct packet *p)
{
    struct walk *walk = packet_walk(p);
    unsigned last = walk->wide ? W_HEADERS_LAST : W_WIDE - 1;

    clear_words(&walk->key.word[W_HEADERS_FIRST], last - W_HEADERS_FIRST + 1);
    walk->wide |= read_frame(p, &walk->key);
}

/* With IPv4, usual packets fill the first line of the key only, and only that is cleared after them. */
void
parse_vector(struct packet *const packets[], unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = packets[i];
        struct walk *walk = packet_walk(p);

        if (i + AHEAD < n) {
            __builtin_prefetch(packets[i + AHEAD]->data);
        }
        if (walk->wide) {
            clear_words(walk->key.word + W_WIDE, N_KEY_WORDS - W_WIDE);
            walk->wide = false;
        }
        if (read_usual(p, walk)) {
            continue;
        }
        clear_words(walk->key.word, W_WIDE);
        walk->key.word[W_PORT] = (uint64_t)p->in_port << 32 | p->in_port;
        walk->wide = read_frame(p, &walk->key);
    }
}
