/* NAT64: headers and addresses.  See nat64_header.h. */

#include "nat64_header.h"

#include <string.h>

#include "bytes.h"
#include "csum.h"
#include "extension.h"

enum {
    DONT_FRAGMENT = 0x4000, MORE_FRAGMENTS = 0x2000, OFFSET = 0x1fff,
    OPTION_END = 0, OPTION_NOTHING = 1, LOOSE_ROUTE = 131, STRICT_ROUTE = 137,
    FREE_TO_FRAGMENT = 1260,    /* Bytes of IPv4 up to which IPv6 would not fragment (RFC 7915, 5.1). */
};

/* --- Reading ------------------------------------------------------------------------------------------------ */

/* Whether IPv4 options name routers to go by still (RFC 7915, 4.1). */
static bool
has_route(const uint8_t *ip, uint32_t size)
{
    for (uint32_t at = IPV4_SIZE; at < size && ip[at] != OPTION_END; ) {
        uint32_t len = ip[at] == OPTION_NOTHING ? 1 : at + 2 < size ? ip[at + 1] : 0;

        if (!len || (len == 1 && ip[at] != OPTION_NOTHING)) {
            return true;                /* Damaged: who knows what it says. */
        }
        if ((ip[at] == LOOSE_ROUTE || ip[at] == STRICT_ROUTE) && ip[at + 2] <= len) {
            return true;
        }
        at += len;
    }
    return false;
}

static bool
read_ipv4(const uint8_t *ip, size_t room, struct nat64_header *header)
{
    uint32_t size = (ip[0] & 15) * 4u, total = get_be16(ip + 2);
    uint16_t fragment = get_be16(ip + 6);

    *header = (struct nat64_header) {
        .ip = ip, .version = 4, .proto = ip[9], .size = size, .payload = total - size,
        .is_fragment = fragment & (MORE_FRAGMENTS | OFFSET), .more = fragment & MORE_FRAGMENTS,
        .whole = fragment & DONT_FRAGMENT, .offset = fragment & OFFSET, .id = get_be16(ip + 4),
    };
    return size >= IPV4_SIZE && size <= room && total >= size && !has_route(ip, size);
}

static bool
read_ipv6(const uint8_t *ip, size_t room, struct nat64_header *header)
{
    uint32_t total = IPV6_SIZE + get_be16(ip + 4);
    uint8_t proto = ip[6];

    *header = (struct nat64_header) { .ip = ip, .version = 6, .size = IPV6_SIZE, .whole = true };
    while (!header->offset) {
        static const uint8_t none[2];
        bool is_there = header->size + 2 <= room;
        size_t size = extension_size(proto, is_there ? ip + header->size : none);
        const uint8_t *at = ip + header->size;

        if (!size) {
            break;
        }
        if (!is_there || header->size + size > room || proto == IP_PROTO_AUTH
            || (proto == IP_PROTO_ROUTER && at[3]) || (proto == IP_PROTO_FRAG && header->is_fragment)) {
            return false;
        }
        if (proto == IP_PROTO_FRAG) {
            header->is_fragment = true;
            header->offset = get_be16(at + 2) >> 3;
            header->more = get_be16(at + 2) & 1;
            header->id = get_be32(at + 4);
        }
        proto = at[0];
        header->size += (uint32_t)size;
    }
    header->proto = proto == IP_PROTO_ICMPV6 ? IP_PROTO_ICMPV4 : proto;
    header->payload = total - header->size;
    return header->size <= total && proto != IP_PROTO_ICMPV4;
}

bool
nat64_read(const uint8_t *ip, size_t room, struct nat64_header *header)
{
    if (room >= IPV4_SIZE && ip[0] >> 4 == 4) {
        return read_ipv4(ip, room, header) && header->proto != IP_PROTO_ICMPV6;
    }
    return room >= IPV6_SIZE && ip[0] >> 4 == 6 && read_ipv6(ip, room, header);
}

/* --- Writing ------------------------------------------------------------------------------------------------- */

unsigned
nat64_write_ipv4(const struct nat64_header *of, uint32_t source, uint32_t destination, uint16_t id,
                 uint8_t to[IPV4_SIZE])
{
    uint32_t total = IPV4_SIZE + of->payload;
    bool whole = !of->is_fragment && total > FREE_TO_FRAGMENT;

    to[0] = 0x45;
    to[1] = (uint8_t)(get_be16(of->ip) >> 4);
    put_be16(to + 2, (uint16_t)total);
    put_be16(to + 4, of->is_fragment ? (uint16_t)of->id : whole ? 0 : id);
    put_be16(to + 6, whole ? DONT_FRAGMENT : (of->more ? MORE_FRAGMENTS : 0) | of->offset);
    to[8] = of->ip[7];
    to[9] = of->proto;
    put_be32(to + 12, source);
    put_be32(to + 16, destination);
    csum_ipv4(to);
    return IPV4_SIZE;
}

unsigned
nat64_write_ipv6(const struct nat64_header *of, const struct ip_address *source,
                 const struct ip_address *destination, uint8_t to[IPV6_HEADERS_MAX])
{
    uint8_t proto = of->proto == IP_PROTO_ICMPV4 ? IP_PROTO_ICMPV6 : of->proto, *fragment = to + IPV6_SIZE;
    uint32_t extra = of->is_fragment ? IPV6_HEADERS_MAX - IPV6_SIZE : 0;

    put_be32(to, 6u << 28 | (uint32_t)of->ip[1] << 20);
    put_be16(to + 4, (uint16_t)(of->payload + extra));
    to[6] = of->is_fragment ? IP_PROTO_FRAG : proto;
    to[7] = of->ip[8];
    ip_write(IP_V6, source, to + 8);
    ip_write(IP_V6, destination, to + 24);
    if (of->is_fragment) {
        fragment[0] = proto;
        fragment[1] = 0;
        put_be16(fragment + 2, (uint16_t)(of->offset << 3 | of->more));
        put_be32(fragment + 4, of->id);
    }
    return IPV6_SIZE + extra;
}

/* ICMPv6 has a pseudo header, ICMP none; of those of TCP and UDP only the addresses change. */
void
nat64_summed(const uint8_t *ip, uint8_t proto, uint32_t payload, const uint8_t *l4, bool ports,
             struct nat64_summed *summed)
{
    bool icmp = proto == IP_PROTO_ICMPV4, six = ip[0] >> 4 == 6;
    uint8_t *to = summed->bytes;

    memset(to, 0, sizeof summed->bytes);
    if (six) {
        memcpy(to, ip + 8, 32);
    } else if (!icmp) {
        memcpy(to, ip + 12, 8);
    }
    if (six && icmp) {
        put_be32(to + 32, payload);
        to[39] = IP_PROTO_ICMPV6;
    }
    if (ports) {
        memcpy(to + 40, l4, icmp ? 2 : 4);
        memcpy(to + 44, l4 + 4, icmp ? 2 : 0);
    }
}

/* --- Addresses --------------------------------------------------------------------------------------------------- */

/* The byte of an IPv6 address that has byte 'i' of an IPv4 address. */
static unsigned
place_of(const struct ip_prefix *prefix, unsigned i)
{
    unsigned at = prefix->len / 8 + i;

    return prefix->len < 96 && at >= 8 ? at + 1 : at;
}

bool
nat64_prefix_is_valid(const struct ip_prefix *prefix)
{
    static const uint8_t lens[] = { 32, 40, 48, 56, 64, 96 };

    return prefix->family == IP_V6 && memchr(lens, prefix->len, sizeof lens)
           && ip_prefix_is_valid(prefix) && !(prefix->address.word[1] >> 56);
}

struct ip_address
nat64_embed(const struct ip_prefix *prefix, uint32_t address)
{
    uint8_t bytes[16];

    ip_write(IP_V6, &prefix->address, bytes);
    for (unsigned i = 0; i < 4; i++) {
        bytes[place_of(prefix, i)] = (uint8_t)(address >> (24 - 8 * i));
    }
    return ip_read(IP_V6, bytes);
}

uint32_t
nat64_extract(const struct ip_prefix *prefix, const struct ip_address *address)
{
    uint8_t bytes[16];
    uint32_t found = 0;

    ip_write(IP_V6, address, bytes);
    for (unsigned i = 0; i < 4; i++) {
        found = found << 8 | bytes[place_of(prefix, i)];
    }
    return found;
}

/* Addresses that are somebody's here and somebody else's elsewhere, or nobody's (RFC 6890). */
static const struct {
    uint32_t address;
    uint8_t len;
} local_prefixes[] = {
    { 0x00000000, 8 },  { 0x0a000000, 8 },  { 0x64400000, 10 }, { 0x7f000000, 8 },  { 0xa9fe0000, 16 },
    { 0xac100000, 12 }, { 0xc0000000, 24 }, { 0xc0000200, 24 }, { 0xc0a80000, 16 }, { 0xc6120000, 15 },
    { 0xc6336400, 24 }, { 0xcb007100, 24 }, { 0xe0000000, 4 },  { 0xf0000000, 4 },
};

bool
nat64_may_embed(const struct ip_prefix *prefix, uint32_t address)
{
    bool well_known = prefix->len == 96 && prefix->address.word[0] == UINT64_C(0x0064ff9b) << 32
                      && !prefix->address.word[1];

    for (unsigned i = 0; well_known && i < sizeof local_prefixes / sizeof local_prefixes[0]; i++) {
        if ((address ^ local_prefixes[i].address) >> (32 - local_prefixes[i].len) == 0) {
            return false;
        }
    }
    return address != 0 && address >> 28 < 14 && address >> 24 != 127;
}
