/* NAT: packets.  See nat.h.
 *
 * A vector goes through in passes, so that what is waited for in memory is waited for together: what each
 * packet is, who is behind its port outside, its session, its new header.  What is not a whole TCP, UDP or
 * ICMP query packet is seen to on the way, one by one. */

#include "nat_private.h"

#include "offload.h"
#include "rewrite.h"

enum { ICMP_QUERY_SIZE = 8 };

/* --- New headers ------------------------------------------------------------------------------------------ */

/* SCTP sums its packet and no pseudo header. */
static void
change_sctp(struct packet *p, unsigned port_at, uint16_t old_port, uint16_t new_port)
{
    const struct offload *offload = &p->offload;
    bool partial = offload->flags & OFFLOAD_NEEDS_CSUM && p->l4 == offload->csum_start;

    if (!partial) {
        csum_update_sctp(p->data + p->l4, get_be16(p->data + p->l3 + 2) - (size_t)(p->l4 - p->l3), port_at, old_port,
                         new_port);
    }
}

static void
change_transport(struct packet *p, uint8_t proto, uint32_t address_change, uint32_t port_change)
{
    uint8_t *l4 = p->data + p->l4;

    if (proto == IP_PROTO_ICMPV4) {
        add_change(l4 + ICMP_CSUM, port_change);
        return;
    }

    uint8_t *csum = l4 + (proto == IP_PROTO_TCP ? TCP_CSUM : UDP_CSUM);

    if (p->offload.flags & OFFLOAD_NEEDS_CSUM
        && csum - p->data == p->offload.csum_start + p->offload.csum_offset) {
        /* Only the sum of the pseudo header yet, and not inverted. */
        uint16_t sum;
        memcpy(&sum, csum, sizeof sum);
        uint32_t wide = sum + address_change;
        wide = (wide & 0xffff) + (wide >> 16);
        sum = (uint16_t)(wide + (wide >> 16));
        memcpy(csum, &sum, sizeof sum);
    } else if (proto == IP_PROTO_TCP) {
        add_change(csum, address_change + port_change);
    } else if (csum[0] | csum[1]) {
        add_change(csum, address_change + port_change);
        if (!(csum[0] | csum[1])) {
            memset(csum, 0xff, 2);
        }
    }
}

void
nat_rewrite(struct packet *p, enum nat_direction direction, uint32_t address, uint16_t port,
            uint8_t proto)
{
    struct flow_key *key = &packet_walk(p)->key;
    uint8_t *ip = p->data + p->l3, *at = ip + (direction == NAT_OUT ? 12 : 16);
    uint32_t old, new;

    put_be32(&new, address);
    memcpy(&old, at, sizeof old);
    memcpy(at, &new, sizeof new);

    uint32_t change = changed32(old, new);

    add_change(ip + IPV4_CSUM, change);
    key->word[W_IPV4] = direction == NAT_OUT
        ? (uint64_t)address << 32 | (uint32_t)key->word[W_IPV4]
        : (key->word[W_IPV4] & ~(uint64_t)UINT32_MAX) | address;
    if (!proto) {
        return;
    }

    unsigned port_at = proto == IP_PROTO_ICMPV4 ? ICMP_ID_AT : direction == NAT_OUT ? 0 : 2;
    uint16_t old_port, new_port;

    put_be16(&new_port, port);
    memcpy(&old_port, p->data + p->l4 + port_at, sizeof old_port);
    memcpy(p->data + p->l4 + port_at, &new_port, sizeof new_port);
    if (proto == IP_PROTO_SCTP) {
        change_sctp(p, port_at, old_port, new_port);
    } else {
        change_transport(p, proto, change, changed16(old_port, new_port));
    }
    if (proto != IP_PROTO_ICMPV4) {
        unsigned shift = direction == NAT_OUT ? 48 : 32;
        key->word[W_L4] = (key->word[W_L4] & ~(UINT64_C(0xffff) << shift)) | (uint64_t)port << shift;
    }
}

/* The address only, with what the transport's checksum says of it. */
static void
rewrite_address(struct packet *p, enum nat_direction direction, uint32_t address)
{
    const struct flow_key *key = &packet_walk(p)->key;
    uint8_t proto = (uint8_t)(key->word[W_L4] >> 24);
    bool summed = p->l4 != NO_OFFSET && (proto == IP_PROTO_TCP || proto == IP_PROTO_UDP);
    unsigned shift = direction == NAT_OUT ? 48 : 32;

    nat_rewrite(p, direction, address, (uint16_t)(key->word[W_L4] >> shift), summed ? proto : 0);
}

/* --- What a packet is ----------------------------------------------------------------------------------------- */

static uint32_t
source_of(const struct packet *p)
{
    return (uint32_t)(packet_walk(p)->key.word[W_IPV4] >> 32);
}

static uint32_t
destination_of(const struct packet *p)
{
    return (uint32_t)packet_walk(p)->key.word[W_IPV4];
}

static uint8_t
proto_of(const struct packet *p)
{
    return (uint8_t)(packet_walk(p)->key.word[W_L4] >> 24);
}

static unsigned
fragment_of(const struct packet *p)
{
    return packet_walk(p)->key.word[W_L4] & (FRAG_ANY | FRAG_LATER);
}

/* Whether an ICMP message has an id: echo, timestamp, information, address mask. */
static bool
is_query(const struct packet *p)
{
    const uint8_t *ip = p->data + p->l3;
    uint8_t type = p->data[p->l4];

    return (type == 0 || type == 8 || (type >= 13 && type <= 18))
           && get_be16(ip + 2) >= p->l4 - p->l3 + ICMP_QUERY_SIZE;
}

/* Whether an ICMP query asks; those from outside are for nobody inside. */
static bool
is_request(const struct packet *p)
{
    uint8_t type = p->data[p->l4];

    return proto_of(p) == IP_PROTO_ICMPV4 && (type == 8 || (type > 12 && type & 1));
}

/* Whether it is a whole TCP or UDP packet, as most are. */
static inline bool
is_plain(const struct packet *p)
{
    uint64_t word = packet_walk(p)->key.word[W_L4];
    uint8_t proto = (uint8_t)(word >> 24);

    return (proto == IP_PROTO_TCP || proto == IP_PROTO_UDP) && p->l4 != NO_OFFSET
           && !(word & FRAG_ANY);
}

/* The ports of a whole packet, source first; false: it has none. */
static inline bool
read_ports(const struct packet *p, uint16_t ports[2])
{
    uint64_t word = packet_walk(p)->key.word[W_L4];

    if (p->l4 == NO_OFFSET) {
        return false;
    }
    if (proto_of(p) == IP_PROTO_ICMPV4) {
        if (!is_query(p)) {
            return false;
        }
        ports[0] = ports[1] = get_be16(p->data + p->l4 + ICMP_ID_AT);
        return true;
    }
    ports[0] = (uint16_t)(word >> 48);
    ports[1] = (uint16_t)(word >> 32);
    return ports_of(proto_of(p)) < NAT_PROTOS;
}

static uint8_t
tcp_flags(const struct packet *p)
{
    return proto_of(p) == IP_PROTO_TCP ? p->data[p->l4 + TCP_FLAGS_AT] : 0;
}

/* --- A vector on its way ---------------------------------------------------------------------------------------- */

struct batch {
    struct nat *nat;
    const struct nat_setup *setup;
    struct worker *worker;
    enum nat_direction direction;
    struct packet **packets;            /* Null: it has gone. */
    unsigned n;                         /* Those that need a session: */
    uint16_t index[PACKET_VECTOR];      /* their places, */
    uint64_t keys[PACKET_VECTOR][2];    /* their sessions, */
    uint64_t values[PACKET_VECTOR];     /* and what these say. */
    uint64_t outside[PACKET_VECTOR];    /* From outside: where they came to; then whether it is forwarded. */
    const _Atomic uint64_t *behind[PACKET_VECTOR];
    bool found[PACKET_VECTOR];
};

static void
drop(struct batch *b, unsigned at, enum drop_reason reason)
{
    worker_drop(b->worker, &b->packets[at], 1, reason);
    b->packets[at] = NULL;
}

/* A packet to an outside address that nobody inside has to do with; 'row' is null if it came from inside. */
static void
leave(struct batch *b, unsigned at, const struct nat_row *row, enum drop_reason reason)
{
    if (!row || !row->shared) {
        drop(b, at, reason);
    }
}

static unsigned translate(struct nat *nat, struct worker *worker, struct packet **packets, unsigned n,
                          enum nat_direction direction);

/* The first fragment: as a packet of its own; the later ones follow it. */
static void
translate_first(struct batch *b, unsigned at)
{
    uint64_t key[NAT_FRAGMENT_WORDS];

    nat_fragment_key(b->packets[at], b->direction, key);
    packet_walk(b->packets[at])->key.word[W_L4] &= ~(uint64_t)FRAG_ANY;
    if (!translate(b->nat, b->worker, &b->packets[at], 1, b->direction)) {
        b->packets[at] = NULL;
        return;
    }
    packet_walk(b->packets[at])->key.word[W_L4] |= FRAG_ANY;
    nat_fragment_first(b->nat, key, packet_walk(b->packets[at])->key.word[W_IPV4], b->worker->now_ms);
}

static void
translate_later(struct batch *b, unsigned at)
{
    uint64_t key[NAT_FRAGMENT_WORDS];

    nat_fragment_key(b->packets[at], b->direction, key);
    if (!nat_fragment_later(b->nat, b->packets[at], key, b->worker->now_ms)) {
        nat_fragment_hold(b->nat, b->worker, b->packets[at], key);
        b->packets[at] = NULL;
    }
}

/* What needs no session of its own, or cannot have one.  Returns false if it needs one. */
static bool
is_special(struct batch *b, unsigned at, const struct nat_row *row)
{
    struct packet *p = b->packets[at];
    uint16_t ports[2] = { 0 };

    if (fragment_of(p) && proto_of(p) == IP_PROTO_SCTP) {
        leave(b, at, row, DROP_nat_fragment);       /* How long all of it is, which is summed, is not known. */
    } else if (fragment_of(p) & FRAG_LATER) {
        translate_later(b, at);
    } else if (p->l4 != NO_OFFSET && proto_of(p) == IP_PROTO_ICMPV4
               && is_icmp_error(p->data[p->l4])) {
        enum drop_reason reason = nat_icmp_error(b->nat, b->setup, p, b->direction,
                                                 b->worker->now_ms);
        if (reason != NO_DROP) {
            leave(b, at, row, reason);
        }
    } else if (!read_ports(p, ports)) {
        leave(b, at, row, fragment_of(p) ? DROP_nat_fragment : DROP_nat_protocol);
    } else if (fragment_of(p)) {
        translate_first(b, at);
    } else {
        return false;
    }
    return true;
}

static void
want_session(struct batch *b, unsigned at, uint64_t outside, const _Atomic uint64_t *behind)
{
    b->index[b->n] = (uint16_t)at;
    b->outside[b->n] = outside;
    b->behind[b->n++] = behind;
}

/* --- From inside -------------------------------------------------------------------------------------------------- */

static void
look_out(struct batch *b, unsigned at)
{
    struct packet *p = b->packets[at];
    uint32_t host = host_of(b->nat, b->setup, source_of(p), NAT_OUT);
    uint8_t proto = proto_of(p);
    uint16_t ports[2] = { 0 };

    if (host && !(p->l4 != NO_OFFSET && proto == IP_PROTO_ICMPV4 && is_icmp_error(p->data[p->l4]))) {
        rewrite_address(p, NAT_OUT, host);
    } else if (is_plain(p) || !is_special(b, at, NULL)) {
        read_ports(p, ports);
        b->keys[b->n][0] = endpoint(source_of(p), ports[0], proto);
        b->keys[b->n][1] = endpoint(destination_of(p), proto == IP_PROTO_ICMPV4 ? 0 : ports[1], 0);
        want_session(b, at, 0, NULL);
    }
}

/* --- From outside ------------------------------------------------------------------------------------------------- */

static void
look_in(struct batch *b, unsigned at)
{
    struct packet *p = b->packets[at];
    const struct nat_row *row = row_of(b->setup, destination_of(p));
    uint32_t host = row ? 0 : host_of(b->nat, b->setup, destination_of(p), NAT_IN);
    uint8_t proto = proto_of(p);
    uint16_t ports[2] = { 0 };

    if (host && !(p->l4 != NO_OFFSET && proto == IP_PROTO_ICMPV4 && is_icmp_error(p->data[p->l4]))) {
        rewrite_address(p, NAT_IN, host);
    } else if ((row || host) && (is_plain(p) || !is_special(b, at, row))) {
        if (is_request(p)) {
            leave(b, at, row, DROP_nat_no_session);
            return;
        }
        read_ports(p, ports);
        b->keys[b->n][1] = endpoint(source_of(p), proto == IP_PROTO_ICMPV4 ? 0 : ports[0], 0);

        const _Atomic uint64_t *inside = behind(row->ports, proto, ports[1]);

        __builtin_prefetch((const void *)inside);
        want_session(b, at, endpoint(destination_of(p), ports[1], 0), inside);
    }
}

/* Sees who is behind the ports; packets to nobody go, and those to IPv6 do not get here (route_nat64.h). */
static void
look_behind(struct batch *b)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < b->n; i++) {
        unsigned at = b->index[i];
        uint64_t inside = atomic_load_explicit(b->behind[i], memory_order_acquire);

        if (!inside || inside & NAT_V6) {
            leave(b, at, row_of(b->setup, address_of(b->outside[i])), DROP_nat_no_session);
            continue;
        }
        b->index[kept] = (uint16_t)at;
        b->keys[kept][0] = inside & ~(uint64_t)NAT_STATIC;
        b->keys[kept][1] = b->keys[i][1];
        b->outside[kept++] = b->outside[i] | (inside & NAT_STATIC);
    }
    b->n = kept;
}

/* --- Both ---------------------------------------------------------------------------------------------------------- */

/* Makes a session, unless a packet before in the vector has done so. */
static enum drop_reason
begin(struct batch *b, unsigned i)
{
    uint8_t flags = tcp_flags(b->packets[b->index[i]]);
    uint64_t now_ms = b->worker->now_ms, *value = &b->values[i];

    if (kv_get(&b->nat->sessions, b->keys[i], now_ms, value)) {
        return NO_DROP;
    }
    return b->direction == NAT_OUT
        ? nat_session_out(b->nat, b->setup, b->keys[i], flags, now_ms, value)
        : nat_session_in(b->nat, b->setup, b->keys[i], b->outside[i], b->outside[i] & NAT_STATIC,
                         flags, now_ms, value);
}

/* The session of one packet is known: its new header. */
static void
go(struct batch *b, unsigned i)
{
    struct packet *p = b->packets[b->index[i]];
    uint8_t proto = (uint8_t)b->keys[i][0], flags = tcp_flags(p);
    uint64_t to = b->direction == NAT_OUT ? b->values[i] : b->keys[i][0];

    /* Only these change what is known of a connection, and what follows them. */
    if (proto == IP_PROTO_TCP
        && (flags & (TCP_SYN | TCP_FIN | TCP_RST) || b->values[i] & NAT_WATCHED)) {
        nat_session_tcp(b->nat, b->keys[i], b->values[i], flags, b->direction == NAT_OUT,
                        b->worker->now_ms);
    }
    nat_rewrite(p, b->direction, address_of(to), port_of(to), proto);
}

static void
finish(struct batch *b)
{
    kv_get_batch(&b->nat->sessions, b->keys[0], b->n, true, b->worker->now_ms, b->values, b->found);
    for (unsigned i = 0; i < b->n; i++) {
        if (!b->found[i]) {
            nat_session_prefetch(b->nat, b->setup, b->keys[i], b->worker->now_ms);
        }
    }
    for (unsigned i = 0; i < b->n; i++) {
        enum drop_reason reason = b->found[i] ? NO_DROP : begin(b, i);

        if (reason == NO_DROP) {
            go(b, i);
        } else {
            drop(b, b->index[i], reason);
        }
    }
}

static unsigned
close_gaps(struct packet **packets, unsigned n)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < n; i++) {
        if (packets[i]) {
            packets[kept++] = packets[i];
        }
    }
    return kept;
}

/* Takes packets in again that went out to an address of the NAT itself [RFC 4787, REQ-9]. */
static void
turn_back(struct batch *b, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = b->packets[i];

        if (p && ip_version(p) == 4 && nat_is_outside(b->nat, destination_of(p))
            && !(fragment_of(p) & FRAG_LATER)
            && !translate(b->nat, b->worker, &b->packets[i], 1, NAT_IN)) {
            b->packets[i] = NULL;
        }
    }
}

static unsigned
translate(struct nat *nat, struct worker *worker, struct packet **packets, unsigned n,
          enum nat_direction direction)
{
    struct batch b;             /* Its long arrays are not cleared. */

    b.nat = nat;
    b.setup = setup_of(nat);
    b.worker = worker;
    b.direction = direction;
    b.packets = packets;
    b.n = 0;
    b.keys[0][0] = 0;           /* For the compiler, which does not see that n says what is there. */
    for (unsigned i = 0; i < n; i++) {
        packet_refresh(packets[i]);
        if (ip_version(packets[i]) == 4) {
            (direction == NAT_OUT ? look_out : look_in)(&b, i);
        }
    }
    if (direction == NAT_IN) {
        look_behind(&b);
    }
    finish(&b);
    if (direction == NAT_OUT) {
        turn_back(&b, n);
    }
    return close_gaps(packets, n);
}

unsigned
nat_translate(struct nat *nat, struct worker *worker, struct packet **packets, unsigned n,
              unsigned room, enum nat_direction direction)
{
    n = translate(nat, worker, packets, n, direction);
    if (n && n < room && atomic_load_explicit(&nat->n_held, memory_order_relaxed)) {
        n = nat_fragment_release(nat, worker, packets, n, room, direction);
    }
    return n;
}
