/* NAT64: packets.  See nat64.h. */

#include "nat64.h"

#include "csum.h"
#include "fragment.h"
#include "nat64_header.h"
#include "nat64_icmp.h"
#include "nat_private.h"
#include "offload.h"
#include "parse.h"

enum {
    ERROR_SIZE = 8,             /* Of an ICMP error, before the packet inside. */
    PORTS_SIZE = 8,             /* What the packet inside has to show of its transport. */
    ERROR_MAX_IPV4 = 576, ERROR_MAX_IPV6 = 1280,        /* RFC 1812, 4.3.2.3; RFC 4443, 2.4 (c). */
    EXTENSION_OFFSET = 5,       /* Behind the type: where ICMP says how long the packet inside is (RFC 4884). */
    ECHO = 8, ECHO_REPLY = 0, ECHO6 = 128, ECHO_REPLY6 = 129, LAST_ERROR6 = 4,
    GSO_TYPES = 0x7f,
};

/* What a packet is: its headers and what follows them, as far as it is there. */
struct view {
    struct nat64_header header;
    uint8_t *l4;
    uint32_t room;              /* Bytes from l4 to the end of the packet. */
    uint16_t ports[2];          /* Source first; both the id of a query. */
};

bool
nat64_is_on(const struct nat *nat)
{
    return setup_of(nat)->nat64.len;
}

bool
nat64_stands_for(const struct nat *nat, const struct ip_address *of, uint32_t *address)
{
    const struct ip_prefix *prefix = &setup_of(nat)->nat64;

    if (!prefix->len || !ip_matches(prefix, of)) {
        return false;
    }
    *address = nat64_extract(prefix, of);
    return true;
}

/* --- What a packet is ---------------------------------------------------------------------------------------- */

/* Reads 'n' bytes of packet; false: nobody may translate it. */
static bool
look(uint8_t *ip, size_t n, struct view *view)
{
    if (!nat64_read(ip, n, &view->header) || view->header.size > n) {
        return false;
    }
    view->l4 = ip + view->header.size;
    view->room = (uint32_t)(n - view->header.size);
    if (view->room > view->header.payload) {
        view->room = view->header.payload;
    }
    return true;
}

static bool
look_at(const struct packet *p, struct view *view)
{
    return p->l3 != NO_OFFSET && look(p->data + p->l3, p->len - p->l3, view)
           && view->room == view->header.payload;
}

/* Whether the message says of somebody that he asks, or answers. */
static bool
is_query(const struct view *view)
{
    uint8_t type = view->l4[0];

    return view->header.version == 6 ? type == ECHO6 || type == ECHO_REPLY6
                                     : type == ECHO || type == ECHO_REPLY;
}

static bool
is_error(const struct view *view)
{
    return view->header.proto == IP_PROTO_ICMPV4 && view->room >= ERROR_SIZE
           && (view->header.version == 6 ? view->l4[0] && view->l4[0] <= LAST_ERROR6
                                         : is_icmp_error(view->l4[0]));
}

/* Fills the ports; false: it has none, or not all of its first 8 bytes. */
static bool
read_ports(struct view *view)
{
    const struct nat64_header *header = &view->header;

    if (header->offset || view->room < PORTS_SIZE || header->proto == IP_PROTO_SCTP
        || ports_of(header->proto) == NAT_PROTOS) {
        return false;
    }
    if (header->proto == IP_PROTO_ICMPV4) {
        view->ports[0] = view->ports[1] = get_be16(view->l4 + ICMP_ID_AT);
        return is_query(view);
    }
    view->ports[0] = get_be16(view->l4);
    view->ports[1] = get_be16(view->l4 + 2);
    return true;
}

/* Of TCP; a header that is cut says nothing. */
static uint8_t
tcp_flags(const struct view *view)
{
    return view->header.proto == IP_PROTO_TCP && view->room > TCP_FLAGS_AT ? view->l4[TCP_FLAGS_AT] : 0;
}

static struct ip_address
source6(const struct view *view)
{
    return ip_read(IP_V6, view->header.ip + 8);
}

static struct ip_address
destination6(const struct view *view)
{
    return ip_read(IP_V6, view->header.ip + 24);
}

static uint32_t
source4(const struct view *view)
{
    return get_be32(view->header.ip + 12);
}

static uint32_t
destination4(const struct view *view)
{
    return get_be32(view->header.ip + 16);
}

static uint16_t
remote_port(const struct view *view, unsigned which)
{
    return view->header.proto == IP_PROTO_ICMPV4 ? 0 : view->ports[which];
}

uint32_t
nat64_length(const struct packet *p, bool *may_cut)
{
    struct nat64_header header;
    struct view view;

    *may_cut = true;
    if (!look_at(p, &view) || is_error(&view)) {
        return 0;                       /* It will be dropped, or say less. */
    }
    header = view.header;
    uint32_t size = header.version == 6 ? IPV4_SIZE : header.is_fragment ? IPV6_HEADERS_MAX : IPV6_SIZE;
    uint32_t payload = header.payload;

    if (p->offload.gso_type && p->offload.hdr_len > p->l3 + header.size) {
        uint32_t segment = p->offload.hdr_len - p->l3 - header.size + p->offload.gso_size;
        payload = segment < payload ? segment : payload;
    } else if (header.version == 4) {
        *may_cut = !header.whole;
        return size + payload;
    }
    *may_cut = header.version == 6 && (header.is_fragment || size + payload <= NAT64_MTU - NAT64_GROWTH);
    return size + payload;
}

/* --- New packets ------------------------------------------------------------------------------------------------- */

/* Puts a header in the place of those of 'old_size' bytes.  False: there is no room. */
static bool
put_header(struct packet *p, uint32_t old_size, const uint8_t *header, uint32_t size, uint16_t eth_type)
{
    int shift = (int)old_size - (int)size;
    struct offload *offload = &p->offload;

    if (shift < -(int)p->headroom || p->eth_type_at + 2 != p->l3) {
        return false;
    }
    memmove(p->data + shift, p->data, p->l3);
    p->data += shift;
    p->len -= (uint32_t)shift;
    p->headroom = (uint16_t)(p->headroom + shift);
    put_be16(p->data + p->eth_type_at, eth_type);
    memcpy(p->data + p->l3, header, size);
    offload->csum_start = (uint16_t)(offload->csum_start - shift);
    offload->hdr_len = (uint16_t)(offload->hdr_len - (offload->hdr_len ? shift : 0));
    if ((offload->gso_type & GSO_TYPES) == OFFLOAD_GSO_TCPV4) {
        offload->gso_type = (uint8_t)(OFFLOAD_GSO_TCPV6 | (offload->gso_type & OFFLOAD_GSO_ECN));
    } else if ((offload->gso_type & GSO_TYPES) == OFFLOAD_GSO_TCPV6) {
        offload->gso_type = (uint8_t)(OFFLOAD_GSO_TCPV4 | (offload->gso_type & OFFLOAD_GSO_ECN));
    }
    return true;
}

/* The checksum of what is at 'l4', after what 'old' and 'new' say; 'partial': only the pseudo header's sum is there. */
static void
change_sum(uint8_t *l4, uint32_t room, uint8_t proto, const struct nat64_summed *old,
           const struct nat64_summed *new, bool partial)
{
    unsigned at = proto == IP_PROTO_ICMPV4 ? ICMP_CSUM : proto == IP_PROTO_UDP ? UDP_CSUM : TCP_CSUM;

    if (at + 2u > room) {
        return;
    }
    if (partial) {
        csum_update_partial(l4 + at, old->bytes, new->bytes, sizeof old->bytes);
    } else if (proto == IP_PROTO_UDP) {
        csum_update_udp(l4 + at, old->bytes, new->bytes, sizeof old->bytes);
    } else {
        csum_update(l4 + at, old->bytes, new->bytes, sizeof old->bytes);
    }
}

/* Gives what is at l4 another port, or id and type. */
static void
put_port(const struct view *view, enum nat_direction direction, uint16_t port)
{
    uint8_t *l4 = view->l4;

    if (view->header.proto == IP_PROTO_ICMPV4) {
        put_be16(l4 + ICMP_ID_AT, port);
        l4[0] = view->header.version == 6 ? (l4[0] == ECHO6 ? ECHO : ECHO_REPLY)
                                          : (l4[0] == ECHO ? ECHO6 : ECHO_REPLY6);
    } else {
        put_be16(l4 + (direction == NAT_OUT ? 0 : 2), port);
    }
}

/* Changes the transport behind a header that is about to be replaced by 'header'. */
static void
change_transport(const struct view *view, const uint8_t *header, enum nat_direction direction, uint16_t port,
                 bool partial)
{
    const struct nat64_header *of = &view->header;
    struct nat64_summed old, new;

    nat64_summed(of->ip, of->proto, of->payload, view->l4, !partial, &old);
    put_port(view, direction, port);
    nat64_summed(header, of->proto, of->payload, view->l4, !partial, &new);
    change_sum(view->l4, view->room, of->proto, &old, &new, partial);
}

/* Whether the checksum at l4 is left to hardware. */
static bool
is_partial(const struct packet *p, const struct view *view)
{
    unsigned at = view->header.proto == IP_PROTO_UDP ? UDP_CSUM : TCP_CSUM;

    return p->offload.flags & OFFLOAD_NEEDS_CSUM
           && view->l4 + at == p->data + p->offload.csum_start + p->offload.csum_offset;
}

static uint16_t
next_id(struct nat *nat)
{
    return (uint16_t)atomic_fetch_add_explicit(&nat->next_id, 1, memory_order_relaxed);
}

static bool
drop(struct worker *worker, struct packet *p, enum drop_reason reason)
{
    worker_drop(worker, &p, 1, reason);
    return false;
}

/* Ends the translation to IPv4. */
static bool
become_ipv4(struct nat *nat, struct worker *worker, struct packet *p, const struct view *view,
            uint32_t source, uint32_t destination, const uint16_t *port)
{
    uint8_t header[IPV4_SIZE];

    nat64_write_ipv4(&view->header, source, destination, next_id(nat), header);
    if (port) {
        change_transport(view, header, NAT_OUT, *port, is_partial(p, view));
    }
    if (!put_header(p, view->header.size, header, sizeof header, ETH_TYPE_IPV4)) {
        return drop(worker, p, DROP_no_room);
    }
    parse_again(p);
    return true;
}

static bool
become_ipv6(struct worker *worker, struct packet *p, const struct view *view,
            const struct ip_address *source, const struct ip_address *destination, const uint16_t *port)
{
    uint8_t header[IPV6_HEADERS_MAX];
    unsigned size = nat64_write_ipv6(&view->header, source, destination, header);

    if (port) {
        change_transport(view, header, NAT_IN, *port, is_partial(p, view));
    }
    if (!put_header(p, view->header.size, header, size, ETH_TYPE_IPV6)) {
        return drop(worker, p, DROP_no_room);
    }
    parse_again(p);
    return true;
}

/* --- Errors ------------------------------------------------------------------------------------------------------- */

/* An error that is being translated. */
struct error {
    struct view outer, inner;
    struct nat64_message message;
    uint8_t *made;              /* The new packet. */
    uint32_t size;
};

static bool
read_error(const struct view *outer, struct error *error)
{
    const uint8_t *l4 = outer->l4;
    uint32_t n = outer->room - ERROR_SIZE, unit = outer->header.version == 6 ? 8 : 4;
    uint32_t said = l4[outer->header.version == 6 ? EXTENSION_OFFSET - 1 : EXTENSION_OFFSET] * unit;
    bool has_mtu = outer->header.version == 6 && l4[0] == 2;
    bool six = outer->header.version == 6;
    uint32_t sum = six ? csum_add_pseudo(0, outer->header.ip, IP_PROTO_ICMPV6, outer->room) : 0;

    error->outer = *outer;
    error->message = (struct nat64_message) { l4[0], l4[1], get_be32(l4 + 4) };
    if (said && said < n && !has_mtu && !(six && l4[0] == 4)) {
        n = said;                       /* What is behind says more of it, and is left behind (RFC 4884). */
    }
    return !csum_fold(csum_add(sum, l4, outer->room)) && look(outer->l4 + ERROR_SIZE, n, &error->inner)
           && error->inner.header.version == outer->header.version && read_ports(&error->inner);
}

/* Behind the header at 'made' of 'size' bytes: the message, the header 'inner', as much of the rest as 'most' lets
 * through; then the packet takes the place of 'p'. */
static bool
put_error(struct worker *worker, struct packet *p, struct error *error, uint8_t *made, uint32_t size,
          const uint8_t *inner, uint32_t inner_size, uint32_t most)
{
    bool six = made[0] >> 4 == 6;
    uint8_t *l4 = made + size;
    uint32_t n = ERROR_SIZE + inner_size, rest = most - size - n;

    rest = error->inner.room < rest ? error->inner.room : rest;
    l4[0] = error->message.type;
    l4[1] = error->message.code;
    memset(l4 + 2, 0, 2);
    put_be32(l4 + 4, error->message.value);
    memcpy(l4 + ERROR_SIZE, inner, inner_size);
    memcpy(l4 + n, error->inner.l4, rest);
    n += rest;
    if (six) {
        put_be16(made + 4, (uint16_t)n);
    } else {
        put_be16(made + 2, (uint16_t)(IPV4_SIZE + n));
        csum_ipv4(made);
    }

    uint32_t sum = six ? csum_add_pseudo(0, made, IP_PROTO_ICMPV6, n) : 0;
    uint16_t stored = csum_fold(csum_add(sum, l4, n));

    memcpy(l4 + ICMP_CSUM, &stored, sizeof stored);
    if (!put_header(p, p->len - p->l3, made, size + n, six ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4)) {
        return drop(worker, p, DROP_no_room);
    }
    memset(&p->offload, 0, sizeof p->offload);
    parse_again(p);
    return true;
}

/* From inside, about a packet that came in (RFC 6146, 3.5.1 and 3.6.1): its destination goes back to the one
 * outside, and who tells of it hides behind the same address. */
static bool
error_out(struct nat *nat, struct worker *worker, struct packet *p, const struct view *view,
          const struct nat64_mtus *mtus)
{
    const struct nat_setup *setup = setup_of(nat);
    uint8_t made[ERROR_MAX_IPV4], inner[IPV4_SIZE];
    uint64_t key[2], value, now_ms = worker->now_ms;
    struct error error;
    uint32_t number;

    if (!read_error(view, &error)
        || !nat64_message_to_ipv4(&error.message, mtus, error.inner.header.is_fragment)) {
        return drop(worker, p, DROP_nat_protocol);
    }
    struct ip_address host = destination6(&error.inner), remote = source6(&error.inner), to = destination6(view);

    if (!ip_matches(&setup->nat64, &remote) || !ip_matches(&setup->nat64, &to)
        || !nat64_host_find(&nat->hosts6, &host, now_ms, &number)) {
        return drop(worker, p, DROP_nat_no_session);
    }
    key[0] = endpoint6(number, error.inner.ports[1], error.inner.header.proto);
    key[1] = endpoint(nat64_extract(&setup->nat64, &remote), remote_port(&error.inner, 0), 0);
    if (!kv_get(&nat->sessions, key, now_ms, &value)) {
        return drop(worker, p, DROP_nat_no_session);
    }
    nat64_write_ipv4(&error.inner.header, address_of(key[1]), address_of(value), 0, inner);
    change_transport(&error.inner, inner, NAT_IN, port_of(value), false);
    nat64_write_ipv4(&view->header, address_of(value), nat64_extract(&setup->nat64, &to), next_id(nat),
                     made);
    return put_error(worker, p, &error, made, IPV4_SIZE, inner, sizeof inner, sizeof made);
}

/* From outside, about a packet that went out: its source goes back to the one inside, who gets the error.  Who
 * tells of it has an address behind the prefix. */
static bool
error_in(struct nat *nat, struct worker *worker, struct packet *p, const struct view *view,
         const struct nat64_target *target, const struct nat64_mtus *mtus)
{
    const struct ip_prefix *prefix = &setup_of(nat)->nat64;
    uint8_t made[ERROR_MAX_IPV6], inner[IPV6_HEADERS_MAX];
    uint64_t key[2], unused;
    struct error error;

    if (!read_error(view, &error)
        || !nat64_message_to_ipv6(&error.message, mtus, get_be16(error.inner.header.ip + 2))) {
        return drop(worker, p, DROP_nat_protocol);
    }
    key[0] = target->inside;
    key[1] = endpoint(destination4(&error.inner), remote_port(&error.inner, 1), 0);
    if (!kv_get(&nat->sessions, key, worker->now_ms, &unused)) {
        return drop(worker, p, DROP_nat_no_session);
    }
    struct ip_address remote = nat64_embed(prefix, address_of(key[1]));
    struct ip_address from = nat64_embed(prefix, source4(view));
    unsigned size = nat64_write_ipv6(&error.inner.header, &target->address, &remote, inner);

    change_transport(&error.inner, inner, NAT_OUT, port_of(key[0]), false);
    nat64_write_ipv6(&view->header, &from, &target->address, made);
    return put_error(worker, p, &error, made, IPV6_SIZE, inner, size, sizeof made);
}

/* --- Out ---------------------------------------------------------------------------------------------------------- */

static bool
get_session(struct nat *nat, const uint64_t key[2], uint64_t now_ms, uint64_t *value)
{
    bool found;

    kv_get_batch(&nat->sessions, key, 1, true, now_ms, value, &found);
    return found;
}

/* The session of a packet from inside, which is made if it is not there. */
static enum drop_reason
session_out(struct nat *nat, const struct view *view, uint64_t now_ms, uint64_t key[2], uint64_t *value)
{
    struct ip_address source = source6(view);
    enum drop_reason reason = NO_DROP;
    uint32_t number;

    if (nat64_host_find(&nat->hosts6, &source, now_ms, &number)) {
        key[0] = endpoint6(number, view->ports[0], view->header.proto);
        if (get_session(nat, key, now_ms, value)) {
            return NO_DROP;
        }
    }
    if (!nat64_host_take(&nat->hosts6, &source, setup_of(nat)->source_bits, now_ms, &number)) {
        return DROP_nat_full;
    }
    key[0] = endpoint6(number, view->ports[0], view->header.proto);
    if (!get_session(nat, key, now_ms, value)) {
        reason = nat_session_out(nat, setup_of(nat), key, tcp_flags(view), now_ms, value);
    }
    nat64_host_give(&nat->hosts6, number, now_ms);
    return reason;
}

static void
note_tcp(struct nat *nat, const struct view *view, const uint64_t key[2], uint64_t value, bool from_inside,
         uint64_t now_ms)
{
    uint8_t flags = tcp_flags(view);

    if (view->header.proto == IP_PROTO_TCP
        && (flags & (TCP_SYN | TCP_FIN | TCP_RST) || value & NAT_WATCHED)) {
        nat_session_tcp(nat, key, value, flags, from_inside, now_ms);
    }
}

/* A fragment of IPv6 on its way out: the third word is not 0, which tells it from those of IPv4. */
static void
fragment_key(const struct view *view, uint32_t destination, uint64_t key[NAT_FRAGMENT_WORDS])
{
    struct ip_address source = source6(view);

    key[0] = source.word[0];
    key[1] = source.word[1];
    key[2] = (uint64_t)destination << 32 | view->header.id;
    key[3] = view->header.proto;
}

/* A later fragment follows the first one. */
static bool
follow_out(struct nat *nat, struct worker *worker, struct packet *p, const struct view *view,
           uint32_t destination)
{
    uint64_t key[NAT_FRAGMENT_WORDS], addresses;

    fragment_key(view, destination, key);
    if (!kv_get(&nat->fragments, key, worker->now_ms, &addresses)) {
        nat_fragment_hold(nat, worker, p, key);
        return false;
    }
    return become_ipv4(nat, worker, p, view, (uint32_t)(addresses >> 32), destination, NULL);
}

bool
nat64_out(struct nat *nat, struct worker *worker, struct packet *p, uint32_t mtu, uint32_t from_mtu)
{
    const struct nat_setup *setup = setup_of(nat);
    const struct nat64_mtus mtus = { from_mtu, mtu };
    uint64_t key[2], value, now_ms = worker->now_ms;
    struct view view;

    if (!look_at(p, &view)) {
        return drop(worker, p, DROP_nat_protocol);
    }
    struct ip_address to = destination6(&view), from = source6(&view);
    uint32_t destination = nat64_extract(&setup->nat64, &to);

    /* A source behind the prefix is nobody (RFC 6146, section 3.5). */
    if (!nat64_may_embed(&setup->nat64, destination) || ip_matches(&setup->nat64, &from)) {
        return drop(worker, p, DROP_nat_protocol);
    }
    if (view.header.offset) {
        return follow_out(nat, worker, p, &view, destination);
    }
    if (is_error(&view) && !view.header.is_fragment) {
        return error_out(nat, worker, p, &view, &mtus);
    }
    if (!read_ports(&view) || (view.header.proto == IP_PROTO_ICMPV4 && view.header.more)) {
        return drop(worker, p, view.header.is_fragment ? DROP_nat_fragment : DROP_nat_protocol);
    }
    key[1] = endpoint(destination, remote_port(&view, 1), 0);
    enum drop_reason reason = session_out(nat, &view, now_ms, key, &value);
    if (reason != NO_DROP) {
        return drop(worker, p, reason);
    }
    note_tcp(nat, &view, key, value, true, now_ms);
    if (view.header.more) {
        uint64_t fragment[NAT_FRAGMENT_WORDS];
        fragment_key(&view, destination, fragment);
        nat_fragment_first(nat, fragment, (uint64_t)address_of(value) << 32 | destination, now_ms);
    }
    uint16_t port = port_of(value);

    return become_ipv4(nat, worker, p, &view, address_of(value), destination, &port);
}

/* --- In ----------------------------------------------------------------------------------------------------------- */

/* Who is behind an endpoint outside, if it has IPv6; 0: nobody like that. */
static uint64_t
behind6(const struct nat_setup *setup, uint32_t address, uint8_t proto, uint16_t port)
{
    const struct nat_row *row = row_of(setup, address);
    uint64_t inside = row ? *behind(row->ports, proto, port) : 0;

    return inside & NAT_V6 ? inside : 0;
}

static bool
set_target(const struct nat *nat, uint64_t inside, struct nat64_target *target)
{
    target->inside = inside & ~(uint64_t)NAT_STATIC;
    target->is_static = inside & NAT_STATIC;
    if (inside) {
        target->address = nat64_host_address(&nat->hosts6, address_of(inside));
    }
    return inside;
}

bool
nat64_turns(const struct nat *nat, const struct packet *p, uint32_t address, struct nat64_target *target)
{
    const struct nat_setup *setup = setup_of(nat);
    struct view view;

    *target = (struct nat64_target) { .inside = 0 };
    if (!row_of(setup, address) || !look_at(p, &view)) {
        return false;
    }
    if (view.header.offset || is_error(&view)) {
        return true;
    }
    return read_ports(&view) && view.header.proto != IP_PROTO_ICMPV4
           && set_target(nat, behind6(setup, address, view.header.proto, view.ports[1]), target);
}

bool
nat64_find(const struct nat *nat, const struct packet *p, uint64_t now_ms, struct nat64_target *target)
{
    const struct nat_setup *setup = setup_of(nat);
    uint64_t key[NAT_FRAGMENT_WORDS], value;
    struct view view, inner;

    if (!look_at(p, &view) || view.header.version != 4 || !row_of(setup, destination4(&view))) {
        return false;
    }
    if (view.header.offset) {
        nat_fragment_key(p, NAT_IN, key);
        return kv_get(&nat->fragments, key, now_ms, &value) && !(value >> 32)
               && set_target(nat, endpoint6((uint32_t)value, 0, view.header.proto), target);
    }
    if (is_error(&view)) {
        return look(view.l4 + ERROR_SIZE, view.room - ERROR_SIZE, &inner) && inner.header.version == 4
               && read_ports(&inner)
               && set_target(nat, behind6(setup, source4(&inner), inner.header.proto, inner.ports[0]), target);
    }
    return read_ports(&view) && !(view.header.proto == IP_PROTO_ICMPV4 && view.l4[0] == ECHO)
           && set_target(nat, behind6(setup, destination4(&view), view.header.proto, view.ports[1]), target);
}

/* Cuts a packet into pieces of at most 'mtu' bytes, which are copies; the packet is consumed.  Returns how many there
 * are; 0: none. */
static unsigned
cut(struct worker *worker, struct packet *p, uint32_t mtu, uint32_t id, struct packet **out, unsigned room)
{
    struct fragmentation plan;
    unsigned n = 0;

    if (fragment_plan(&plan, p->data + p->l3, p->len - p->l3, mtu, id) || plan.n > room) {
        drop(worker, p, DROP_nat_fragment);
        return 0;
    }
    for (; n < plan.n; n++) {
        struct packet *piece = worker_copy(worker, p);

        if (!piece) {                   /* Counted; the others are of no use. */
            packet_free(out, n);
            n = 0;
            break;
        }
        size_t len = piece->l3 + fragment_write(&plan, n, piece->data + piece->l3);
        piece->tailroom = (uint16_t)(piece->tailroom + (piece->len - len) < UINT16_MAX
                                     ? piece->tailroom + (piece->len - len) : UINT16_MAX);
        piece->len = (uint32_t)len;
        memset(&piece->offload, 0, sizeof piece->offload);
        parse_again(piece);
        out[n] = piece;
    }
    p->copied = true;
    worker_end(worker, &p, 1);
    return n;
}

/* A fragment, or the piece of one, which is short enough. */
static bool
fragment_in(struct nat *nat, struct worker *worker, struct packet *p, const struct nat64_target *target)
{
    struct ip_address source;
    struct view view;

    if (!look_at(p, &view)) {
        return drop(worker, p, DROP_nat_fragment);
    }
    source = nat64_embed(&setup_of(nat)->nat64, source4(&view));
    return become_ipv6(worker, p, &view, &source, &target->address, NULL);
}

/* Translates fragments that a long one was cut into; the ports of the first were seen to.  Returns how many
 * are left. */
static unsigned
fragments_in(struct nat *nat, struct worker *worker, struct packet **packets, unsigned n,
             const struct nat64_target *target)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < n; i++) {
        if (fragment_in(nat, worker, packets[i], target)) {
            packets[kept++] = packets[i];
        }
    }
    return kept;
}

/* A fragment that is not the last part of a whole: its addresses only, cut to what every link takes. */
static unsigned
follow_in(struct nat *nat, struct worker *worker, struct packet *p, const struct view *view,
          const struct nat64_target *target, struct packet **out, unsigned room)
{
    unsigned n = 1;

    out[0] = p;
    if (IPV6_HEADERS_MAX + view->header.payload > NAT64_MTU) {
        uint32_t mtu = NAT64_MTU - (IPV6_HEADERS_MAX - IPV4_SIZE);
        n = cut(worker, p, mtu, 0, out, room);
    }
    return fragments_in(nat, worker, out, n, target);
}

/* The session of a packet from outside. */
static enum drop_reason
session_in(struct nat *nat, const struct view *view, const struct nat64_target *target, uint64_t now_ms,
           uint64_t key[2], uint64_t *value)
{
    uint64_t outside = endpoint(destination4(view), view->ports[1], 0);

    key[0] = target->inside;
    key[1] = endpoint(source4(view), remote_port(view, 0), 0);
    return get_session(nat, key, now_ms, value)
        ? NO_DROP
        : nat_session_in(nat, setup_of(nat), key, outside, target->is_static, tcp_flags(view), now_ms, value);
}

/* The first fragment: the ports and the checksum here, where they are; then as the others. */
static unsigned
first_in(struct nat *nat, struct worker *worker, struct packet *p, struct view *view,
         const struct nat64_target *target, struct packet **out, unsigned room)
{
    uint64_t key[NAT_FRAGMENT_WORDS];
    struct ip_address source = nat64_embed(&setup_of(nat)->nat64, source4(view));
    uint8_t header[IPV6_HEADERS_MAX];
    bool unsummed = view->header.proto == IP_PROTO_UDP && !get_be16(view->l4 + UDP_CSUM);

    if (view->header.proto == IP_PROTO_ICMPV4 || unsummed) {
        drop(worker, p, DROP_nat_fragment);             /* Nobody knows the sum of the rest [RFC 7915, 1.2, 4.5]. */
        return 0;
    }
    nat_fragment_key(p, NAT_IN, key);
    nat_fragment_first(nat, key, address_of(target->inside), worker->now_ms);
    nat64_write_ipv6(&view->header, &source, &target->address, header);
    change_transport(view, header, NAT_IN, port_of(target->inside), false);
    return follow_in(nat, worker, p, view, target, out, room);
}

unsigned
nat64_in(struct nat *nat, struct worker *worker, struct packet *p, const struct nat64_target *target,
         uint32_t mtu, uint32_t from_mtu, struct packet **out, unsigned room)
{
    const struct nat64_mtus mtus = { from_mtu, mtu };
    uint64_t key[2], value, now_ms = worker->now_ms;
    struct view view;

    if (!room || !look_at(p, &view)) {
        drop(worker, p, DROP_nat_protocol);
        return 0;
    }
    if (view.header.offset) {
        return follow_in(nat, worker, p, &view, target, out, room);
    }
    if (is_error(&view)) {
        out[0] = p;
        return view.header.is_fragment ? drop(worker, p, DROP_nat_protocol)
                                       : error_in(nat, worker, p, &view, target, &mtus);
    }
    read_ports(&view);                  /* It has some: it was found by them. */
    enum drop_reason reason = session_in(nat, &view, target, now_ms, key, &value);
    if (reason != NO_DROP) {
        drop(worker, p, reason);
        return 0;
    }
    note_tcp(nat, &view, key, value, false, now_ms);
    if (view.header.is_fragment) {
        return first_in(nat, worker, p, &view, target, out, room);
    }
    if (view.header.proto == IP_PROTO_UDP && !get_be16(view.l4 + UDP_CSUM) && !is_partial(p, &view)) {
        csum_transport(p);              /* IPv6 has no datagram without one [RFC 7915, 4.5]. */
    }
    struct ip_address source = nat64_embed(&setup_of(nat)->nat64, source4(&view));
    uint16_t port = port_of(target->inside), id = get_be16(view.header.ip + 4);
    bool may_cut = !view.header.whole && !p->offload.gso_type;

    out[0] = p;
    if (!become_ipv6(worker, p, &view, &source, &target->address, &port)) {
        return 0;
    }
    if (!may_cut || p->len - p->l3 <= NAT64_MTU) {
        return 1;
    }
    offload_checksum(p);
    return cut(worker, p, NAT64_MTU, id, out, room);
}

/* --- Fragments that waited --------------------------------------------------------------------------------------- */

unsigned
nat64_release(struct nat *nat, struct worker *worker, struct packet **packets, unsigned n, unsigned room,
              enum nat_direction direction)
{
    return n && n < room && atomic_load_explicit(&nat->n_held, memory_order_relaxed)
        ? nat_fragment_release(nat, worker, packets, n, room, direction == NAT_OUT ? NAT_64 : NAT_46) : n;
}
