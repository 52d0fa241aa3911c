/* ICMP: see icmp.h. */

#include "icmp.h"

#include <string.h>

#include "bytes.h"
#include "csum.h"
#include "extension.h"
#include "headers.h"

enum {
    TTL = 64,
    ND_HOP_LIMIT = 255,                 /* Of redirects (RFC 4861, 8.1). */
    TOS_CONTROL = 0xc0,                 /* Precedence 6 (RFC 1812, 4.3.2.5). */
    DONT_FRAGMENT = 0x4000,
    HEADER = 8,                         /* Of ICMP, with the word that depends on the type. */

    ECHO_REPLY_V4 = 0, ECHO_V4 = 8, ECHO_V6 = 128, ECHO_REPLY_V6 = 129,
    REDIRECT_V6 = 137,

    TARGET_LINK_ADDRESS = 2, REDIRECTED_HEADER = 4, OPTION_UNIT = 8,
};

/* How each error is said. */
static const struct {
    uint8_t v4_type, v4_code, v6_type, v6_code;
    bool for_group;                     /* Of IPv6, also for what was sent to many. */
} errors[ICMP_ERRORS] = {
    [ICMP_NO_ROUTE]            = { 3, 0, 1, 0, false },
    [ICMP_HOST_UNREACHABLE]    = { 3, 1, 1, 3, false },
    [ICMP_PROHIBITED]          = { 3, 13, 1, 1, false },
    [ICMP_NO_PROTOCOL]         = { 3, 2, 4, 1, false },
    [ICMP_NO_PORT]             = { 3, 3, 1, 4, false },
    [ICMP_TOO_BIG]             = { 3, 4, 2, 0, true },
    [ICMP_TTL_EXCEEDED]        = { 11, 0, 3, 0, false },
    [ICMP_REASSEMBLY_EXCEEDED] = { 11, 1, 3, 1, false },
    [ICMP_PARAMETER]           = { 12, 0, 4, 0, false },
    [ICMP_REDIRECT]            = { 5, 1, REDIRECT_V6, 0, false },
};

/* --- For which packets none is sent --------------------------------------------------------------- */

static bool
is_error_v4(uint8_t type)
{
    static const uint8_t types[] = { 3, 4, 5, 11, 12 };         /* RFC 1122, 3.2.2 */

    return memchr(types, type, sizeof types);
}

/* Whether an address is that of one host, which can be told something. */
static bool
is_host_v4(uint32_t address)
{
    return address >> 24 && address >> 24 != 127 && address >> 28 < 14;
}

static bool
is_host_v6(const struct ip_address *address)
{
    return address->word[0] >> 56 != 0xff && (address->word[0] || address->word[1] > 1);
}

/* RFC 1812, 4.3.2.7.  'len' is that of the whole packet. */
static bool
may_tell_v4(const struct icmp_cause *cause, size_t len)
{
    const uint8_t *ip = cause->packet;
    size_t header = (ip[0] & 15) * 4u;
    bool is_later = get_be16(ip + 6) & 0x1fff;

    return header >= IPV4_SIZE && header <= len && !cause->was_group && !is_later
           && get_be32(ip + 16) >> 28 < 14 && is_host_v4(get_be32(ip + 12))
           && !(ip[9] == IP_PROTO_ICMPV4 && (len == header || is_error_v4(ip[header])));
}

/* RFC 4443, 2.4 (e).  A later fragment of ICMP may be an error's. */
static bool
may_tell_v6(const struct icmp_cause *cause, size_t len)
{
    const uint8_t *ip = cause->packet;
    struct ip_address from = ip_read(IP_V6, ip + 8);
    struct extension_chain chain = extension_walk(ip, len);
    bool is_later = chain.named_at && get_be16(ip + chain.fragment + 2) & 0xfff8;

    if (((cause->was_group || ip[24] == 0xff) && !errors[cause->error].for_group)
        || !is_host_v6(&from) || !chain.is_whole) {
        return false;
    }
    return chain.proto != IP_PROTO_ICMPV6
           || (!is_later && chain.payload < len && ip[chain.payload] >= ECHO_V6
               && ip[chain.payload] != REDIRECT_V6);
}

/* The bytes of a packet that its header tells of, at most what there is; 0: it has no whole header. */
static size_t
packet_len(const uint8_t *packet, size_t len)
{
    bool is_v4 = len && packet[0] >> 4 == 4;
    size_t total;

    if (len < (is_v4 ? IPV4_SIZE : IPV6_SIZE) || (!is_v4 && packet[0] >> 4 != 6)) {
        return 0;
    }
    total = is_v4 ? get_be16(packet + 2) : (size_t)IPV6_SIZE + get_be16(packet + 4);
    return total < len ? total : len;
}

/* Whether an error may be sent for a packet of 'len' bytes, now. */
static bool
may_tell(struct icmp_limits *limits, struct icmp_counters *counters, const struct icmp_cause *cause,
         size_t len, uint64_t now_ms)
{
    if (!len || !(cause->packet[0] >> 4 == 4 ? may_tell_v4(cause, len) : may_tell_v6(cause, len))) {
        counters->forbidden[cause->error]++;
        return false;
    }
    if (!bucket_take(&limits->buckets[cause->error], &limits->rate, now_ms)) {
        counters->limited[cause->error]++;
        return false;
    }
    counters->sent[cause->error]++;
    return true;
}

/* --- Headers -------------------------------------------------------------------------------------- */

static void
put_ipv4(uint8_t *to, uint8_t tos, uint16_t id, uint16_t fragment, uint32_t from, uint32_t dest)
{
    memset(to, 0, IPV4_SIZE);
    to[0] = 0x45;
    to[1] = tos;
    put_be16(to + 4, id);
    put_be16(to + 6, fragment);
    to[8] = TTL;
    to[9] = IP_PROTO_ICMPV4;
    put_be32(to + 12, from);
    put_be32(to + 16, dest);
}

static void
put_ipv6(uint8_t *to, uint8_t hop_limit, const struct ip_address *from, const uint8_t *dest)
{
    memset(to, 0, IPV6_SIZE);
    to[0] = 0x60;
    to[6] = IP_PROTO_ICMPV6;
    to[7] = hop_limit;
    ip_write(IP_V6, from, to + 8);
    memcpy(to + 24, dest, 16);
}

/* Fills in lengths and checksums when 'n' bytes of ICMP are there; returns the length of it all. */
static size_t
finish(uint8_t *to, size_t n)
{
    bool is_v4 = to[0] >> 4 == 4;
    uint8_t *icmp = to + (is_v4 ? IPV4_SIZE : IPV6_SIZE);
    uint32_t sum = is_v4 ? 0 : csum_add_pseudo(0, to, IP_PROTO_ICMPV6, (uint32_t)n);
    uint16_t stored;

    memset(icmp + ICMP_CSUM, 0, 2);
    stored = csum_fold(csum_add(sum, icmp, n));
    memcpy(icmp + ICMP_CSUM, &stored, sizeof stored);
    if (is_v4) {
        put_be16(to + 2, (uint16_t)(IPV4_SIZE + n));
        csum_ipv4(to);
    } else {
        put_be16(to + 4, (uint16_t)n);
    }
    return (size_t)(icmp - to) + n;
}

/* Begins an error for a packet; returns where its second word is. */
static uint8_t *
begin_v4(uint8_t *to, const struct icmp_cause *cause)
{
    uint8_t *icmp = to + IPV4_SIZE;

    put_ipv4(to, TOS_CONTROL, 0, DONT_FRAGMENT, (uint32_t)cause->source.word[1],
             get_be32(cause->packet + 12));
    icmp[0] = errors[cause->error].v4_type;
    icmp[1] = errors[cause->error].v4_code;
    put_be32(icmp + 4, 0);
    return icmp + 4;
}

static uint8_t *
begin_v6(uint8_t *to, const struct icmp_cause *cause)
{
    uint8_t *icmp = to + IPV6_SIZE;

    put_ipv6(to, cause->error == ICMP_REDIRECT ? ND_HOP_LIMIT : TTL, &cause->source,
             cause->packet + 8);
    icmp[0] = errors[cause->error].v6_type;
    icmp[1] = errors[cause->error].v6_code;
    put_be32(icmp + 4, 0);
    return icmp + 4;
}

/* --- Errors --------------------------------------------------------------------------------------- */

static size_t
error_v4(const struct icmp_cause *cause, size_t len, uint8_t *to)
{
    size_t room = ICMP_MAX_IPV4 - IPV4_SIZE - HEADER, n = len < room ? len : room;
    uint8_t *word = begin_v4(to, cause);

    if (cause->error == ICMP_TOO_BIG) {
        put_be16(word + 2, (uint16_t)(cause->value < UINT16_MAX ? cause->value : UINT16_MAX));
    } else if (cause->error == ICMP_PARAMETER) {
        word[0] = (uint8_t)cause->value;
    }
    memcpy(word + 4, cause->packet, n);
    return finish(to, HEADER + n);
}

static size_t
error_v6(const struct icmp_cause *cause, size_t len, uint8_t *to)
{
    size_t room = ICMP_MAX_IPV6 - IPV6_SIZE - HEADER, n = len < room ? len : room;
    uint8_t *word = begin_v6(to, cause);

    put_be32(word, cause->value);
    memcpy(word + 4, cause->packet, n);
    return finish(to, HEADER + n);
}

size_t
icmp_error(struct icmp_limits *limits, struct icmp_counters *counters,
           const struct icmp_cause *cause, uint64_t now_ms, uint8_t *to)
{
    size_t len = packet_len(cause->packet, cause->len);

    if (!may_tell(limits, counters, cause, len, now_ms)) {
        return 0;
    }
    return cause->packet[0] >> 4 == 4 ? error_v4(cause, len, to) : error_v6(cause, len, to);
}

/* RFC 4861, 4.5 and 4.6.3: target, destination, the target's MAC address, as much of the packet as fits. */
static size_t
redirect_v6(const struct icmp_cause *cause, const struct ip_address *gateway, uint64_t mac,
            size_t len, uint8_t *to)
{
    uint8_t *at = begin_v6(to, cause) + 4;

    ip_write(IP_V6, gateway, at);
    memcpy(at + 16, cause->packet + 24, 16);
    at += 32;
    if (mac) {
        at[0] = TARGET_LINK_ADDRESS;
        at[1] = 1;
        put_be48(at + 2, mac);
        at += OPTION_UNIT;
    }
    size_t room = (ICMP_MAX_IPV6 - (size_t)(at - to) - OPTION_UNIT) & ~(size_t)(OPTION_UNIT - 1);
    size_t n = len < room ? len : room, units = (n + OPTION_UNIT - 1) / OPTION_UNIT + 1;

    memset(at, 0, units * OPTION_UNIT);
    at[0] = REDIRECTED_HEADER;
    at[1] = (uint8_t)units;
    memcpy(at + OPTION_UNIT, cause->packet, n);
    return finish(to, (size_t)(at - to) - IPV6_SIZE + units * OPTION_UNIT);
}

size_t
icmp_redirect(struct icmp_limits *limits, struct icmp_counters *counters,
              const struct icmp_cause *cause, const struct ip_address *gateway, uint64_t mac,
              uint64_t now_ms, uint8_t *to)
{
    size_t len = packet_len(cause->packet, cause->len);

    if (!may_tell(limits, counters, cause, len, now_ms)) {
        return 0;
    }
    if (cause->packet[0] >> 4 == 6) {
        return redirect_v6(cause, gateway, mac, len, to);
    }
    size_t n = error_v4(cause, len, to) - IPV4_SIZE;

    put_be32(to + IPV4_SIZE + 4, (uint32_t)gateway->word[1]);
    return finish(to, n);
}

/* --- Echo ----------------------------------------------------------------------------------------- */

/* Where ICMP begins in a whole packet; 0: it has none. */
static size_t
icmp_at(const uint8_t *packet, size_t len)
{
    if (packet[0] >> 4 == 4) {
        size_t header = (packet[0] & 15) * 4u;
        return packet[9] == IP_PROTO_ICMPV4 && header >= IPV4_SIZE && !(get_be16(packet + 6) & 0x3fff)
               && header + HEADER <= len ? header : 0;
    }
    struct extension_chain chain = extension_walk(packet, len);

    return chain.is_whole && chain.proto == IP_PROTO_ICMPV6 && !chain.named_at
           && chain.payload + HEADER <= len ? chain.payload : 0;
}

bool
icmp_is_echo(const uint8_t *packet, size_t len)
{
    size_t at = packet_len(packet, len) ? icmp_at(packet, packet_len(packet, len)) : 0;

    return at && packet[at] == (packet[0] >> 4 == 4 ? ECHO_V4 : ECHO_V6);
}

/* The identification comes back, by which fragments of replies to one host differ as its requests do. */
static size_t
reply_v4(const uint8_t *packet, size_t at, size_t n, const struct ip_address *source, uint8_t *to)
{
    uint32_t asker = get_be32(packet + 12);

    if (!is_host_v4(asker) || csum_fold(csum_add(0, packet + at, n))) {
        return 0;
    }
    put_ipv4(to, packet[1], get_be16(packet + 4), 0, (uint32_t)source->word[1], asker);
    memcpy(to + IPV4_SIZE, packet + at, n);
    to[IPV4_SIZE] = ECHO_REPLY_V4;
    return finish(to, n);
}

static size_t
reply_v6(const uint8_t *packet, size_t at, size_t n, const struct ip_address *source, uint8_t *to)
{
    struct ip_address asker = ip_read(IP_V6, packet + 8);
    uint32_t sum = csum_add_pseudo(0, packet, IP_PROTO_ICMPV6, (uint32_t)n);

    if (!is_host_v6(&asker) || csum_fold(csum_add(sum, packet + at, n))) {
        return 0;
    }
    put_ipv6(to, TTL, source, packet + 8);
    to[0] |= packet[0] & 0x0f;          /* The traffic class. */
    to[1] |= packet[1] & 0xf0;
    memcpy(to + IPV6_SIZE, packet + at, n);
    to[IPV6_SIZE] = ECHO_REPLY_V6;
    return finish(to, n);
}

size_t
icmp_echo_reply(const uint8_t *packet, size_t len, const struct ip_address *source, uint8_t *to)
{
    if (!icmp_is_echo(packet, len)) {
        return 0;
    }
    len = packet_len(packet, len);

    size_t at = icmp_at(packet, len);

    return packet[0] >> 4 == 4 ? reply_v4(packet, at, len - at, source, to)
                               : reply_v6(packet, at, len - at, source, to);
}
