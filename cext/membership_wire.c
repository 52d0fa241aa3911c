/* IGMP and MLD as bytes: see membership_wire.h. */

#include "membership_wire.h"

#include <string.h>

#include "bytes.h"
#include "csum.h"
#include "extension.h"
#include "headers.h"

enum {
    TOS_CONTROL = 0xc0,                 /* RFC 3376, 4 */
    ROUTER_ALERT_V4 = 0x94, ROUTER_ALERT_V6 = 5,

    IGMP_SIZE = 8, IGMP_QUERY_SIZE = 12, MLD_SIZE = 24, MLD_QUERY_SIZE = 28,

    IGMP_QUERY = 0x11, IGMP_REPORT_1 = 0x12, IGMP_REPORT_2 = 0x16, IGMP_LEAVE = 0x17,
    IGMP_REPORT_3 = 0x22,
    MLD_QUERY = 130, MLD_REPORT_1 = 131, MLD_DONE = 132, MLD_REPORT_2 = 143,

    SUPPRESS = 8, ROBUSTNESS = 7,       /* Of a byte. */
    QUERY_TENTH_MS = 100,               /* IGMP counts in tenths of seconds. */
};

/* Messages that tell of one group, or of many in records. */
static const struct {
    uint8_t family, type, version, change;      /* Change 0: records. */
} reports[] = {
    { IP_V4, IGMP_REPORT_1, 1, MEMBERSHIP_IS_EXCLUDE },
    { IP_V4, IGMP_REPORT_2, 2, MEMBERSHIP_IS_EXCLUDE },
    { IP_V4, IGMP_LEAVE, 2, MEMBERSHIP_TO_INCLUDE },
    { IP_V4, IGMP_REPORT_3, 3, 0 },
    { IP_V6, MLD_REPORT_1, 2, MEMBERSHIP_IS_EXCLUDE },
    { IP_V6, MLD_DONE, 2, MEMBERSHIP_TO_INCLUDE },
    { IP_V6, MLD_REPORT_2, 3, 0 },
};

static size_t
address_size(uint8_t family)
{
    return family == IP_V4 ? 4 : 16;
}

static bool
is_group(uint8_t family, const struct ip_address *address)
{
    return family == IP_V4 ? address->word[1] >> 28 == 14 : address->word[0] >> 56 == 0xff;
}

/* --- Numbers with an exponent (RFC 3376, 4.1.1; RFC 3810, 5.1.3): 'bits' of them are the mantissa -------- */

static uint32_t
expand(uint32_t code, unsigned bits)
{
    uint32_t mantissa = code & ((1u << bits) - 1), exponent = code >> bits & 7;

    return code >> (bits + 3) ? (mantissa | 1u << bits) << (exponent + 3) : code;
}

/* The code of the greatest number that is not greater. */
static uint32_t
compress(uint32_t value, unsigned bits)
{
    uint32_t exponent = 0;

    if (value < 1u << (bits + 3)) {
        return value;
    }
    while (exponent < 7 && value >> (exponent + 3) >= 2u << bits) {
        exponent++;
    }
    value >>= exponent + 3;
    value = value < 2u << bits ? value : (2u << bits) - 1;
    return 1u << (bits + 3) | exponent << bits | (value & ((1u << bits) - 1));
}

/* --- Reading -------------------------------------------------------------------------------------- */

/* What is in the IP packet. */
struct body {
    const uint8_t *at;
    size_t n;
};

static bool
find_igmp(const uint8_t *ip, size_t len, struct body *body)
{
    size_t header = (ip[0] & 15) * 4u, total = get_be16(ip + 2);

    if (header < IPV4_SIZE || total < header + IGMP_SIZE || total > len || ip[9] != IP_PROTO_IGMP
        || ip[8] != 1 || get_be16(ip + 6) & 0x3fff) {
        return false;
    }
    *body = (struct body) { ip + header, total - header };
    return !csum_fold(csum_add(0, body->at, body->n));
}

/* Whether the hop-by-hop options have that for routers (RFC 2711). */
static bool
has_router_alert(const uint8_t *options, size_t size)
{
    for (size_t at = 2; at + 2 <= size; at += options[at] ? 2u + options[at + 1] : 1) {
        if (options[at] == ROUTER_ALERT_V6 && options[at + 1] == 2) {
            return true;
        }
    }
    return false;
}

static bool
find_mld(const uint8_t *ip, size_t len, struct body *body)
{
    size_t total = IPV6_SIZE + (size_t)get_be16(ip + 4);
    struct extension_chain chain;
    uint64_t from = get_be64(ip + 8);

    if (total > len || ip[6] != IP_PROTO_HOP || ip[7] != 1) {
        return false;
    }
    chain = extension_walk(ip, total);
    if (!chain.is_whole || chain.proto != IP_PROTO_ICMPV6 || chain.named_at
        || chain.payload + 8 > total
        || !has_router_alert(ip + IPV6_SIZE, 8 * (ip[IPV6_SIZE + 1] + 1u))) {
        return false;
    }
    *body = (struct body) { ip + chain.payload, total - chain.payload };

    /* Who has no address yet may report from nowhere (RFC 3810, 5.2.13). */
    bool is_from_link = from >> 54 == 0xfe80 >> 6
                        || (!from && !get_be64(ip + 16) && body->at[0] != MLD_QUERY);
    uint32_t sum = csum_add_pseudo(0, ip, IP_PROTO_ICMPV6, (uint32_t)body->n);

    return is_from_link && !csum_fold(csum_add(sum, body->at, body->n));
}

/* The part that queries of version 3 of both protocols have alike: flags, interval, sources. */
static bool
read_query_tail(const uint8_t *tail, size_t n, struct membership_message *message)
{
    message->version = 3;
    message->is_suppressed = tail[0] & SUPPRESS;
    message->robustness = tail[0] & ROBUSTNESS;
    message->interval_ms = expand(tail[1], 4) * 1000;
    message->n_sources = get_be16(tail + 2);
    message->sources = tail + 4;
    return message->n_sources * address_size(message->family) <= n - 4;
}

static bool
read_igmp_query(const struct body *body, struct membership_message *message)
{
    message->group = ip_read(IP_V4, body->at + 4);
    message->version = body->at[1] ? 2 : 1;
    message->response_ms = (body->at[1] ? body->at[1] : 100) * QUERY_TENTH_MS;
    if (body->n < IGMP_QUERY_SIZE) {
        return body->n == IGMP_SIZE;
    }
    message->response_ms = expand(body->at[1], 4) * QUERY_TENTH_MS;
    return read_query_tail(body->at + IGMP_SIZE, body->n - IGMP_SIZE, message);
}

static bool
read_mld_query(const struct body *body, struct membership_message *message)
{
    if (body->n < MLD_SIZE) {
        return false;
    }
    message->group = ip_read(IP_V6, body->at + 8);
    message->version = 2;
    message->response_ms = get_be16(body->at + 4);
    if (body->n < MLD_QUERY_SIZE) {
        return body->n == MLD_SIZE;
    }
    message->response_ms = expand(get_be16(body->at + 4), 12);
    return read_query_tail(body->at + MLD_SIZE, body->n - MLD_SIZE, message);
}

static bool
read_query(const struct body *body, struct membership_message *message)
{
    bool is_good = message->family == IP_V4 ? read_igmp_query(body, message)
                                            : read_mld_query(body, message);

    message->is_query = true;
    return is_good && ((!message->group.word[0] && !message->group.word[1])
                       || is_group(message->family, &message->group));
}

/* An old report is the only record of itself: the bytes from its type on, of which the group is read. */
static bool
read_report(const struct body *body, struct membership_message *message)
{
    bool is_v4 = message->family == IP_V4;

    for (unsigned i = 0; i < sizeof reports / sizeof *reports; i++) {
        if (reports[i].family != message->family || reports[i].type != body->at[0]) {
            continue;
        }
        message->version = reports[i].version;
        message->end = body->at + body->n;
        message->records = reports[i].change ? body->at : body->at + 8;
        message->n_records = reports[i].change ? 1 : get_be16(body->at + 6);
        return !reports[i].change || body->n >= (is_v4 ? IGMP_SIZE : MLD_SIZE);
    }
    return false;
}

bool
membership_parse(const uint8_t *packet, size_t len, struct membership_message *message)
{
    bool is_v4 = len >= IPV4_SIZE && packet[0] >> 4 == 4;
    bool is_v6 = len >= IPV6_SIZE && packet[0] >> 4 == 6;
    struct body body;

    if (!(is_v4 && find_igmp(packet, len, &body)) && !(is_v6 && find_mld(packet, len, &body))) {
        return false;
    }
    *message = (struct membership_message) {
        .family = is_v4 ? IP_V4 : IP_V6,
        .from = is_v4 ? ip_read(IP_V4, packet + 12) : ip_read(IP_V6, packet + 8),
    };
    return body.at[0] == (is_v4 ? IGMP_QUERY : MLD_QUERY) ? read_query(&body, message)
                                                         : read_report(&body, message);
}

static uint8_t
change_of(uint8_t family, uint8_t type)
{
    for (unsigned i = 0; i < sizeof reports / sizeof *reports; i++) {
        if (reports[i].family == family && reports[i].type == type) {
            return reports[i].change;
        }
    }
    return 0;
}

/* Reads a record and goes on to the next: kind, auxiliary words, sources, group, the sources themselves. */
static bool
take_record(struct membership_message *message, struct membership_record *record)
{
    size_t address = address_size(message->family), size;
    const uint8_t *at = message->records;

    if (message->version < 3) {
        *record = (struct membership_record) {
            .change = change_of(message->family, at[0]),
            .group = ip_read(message->family, at + (message->family == IP_V4 ? 4 : 8)),
        };
        return true;
    }
    if ((size_t)(message->end - at) < 4 + address) {
        return false;
    }
    size = 4 + address + get_be16(at + 2) * address + at[1] * 4u;
    if (size > (size_t)(message->end - at)) {
        return false;
    }
    *record = (struct membership_record) {
        .change = at[0], .group = ip_read(message->family, at + 4), .n_sources = get_be16(at + 2),
        .sources = at + 4 + address,
    };
    message->records += size;
    return true;
}

bool
membership_next(struct membership_message *message, struct membership_record *record)
{
    while (message->n_records && take_record(message, record)) {
        message->n_records--;
        if (record->change >= MEMBERSHIP_IS_INCLUDE && record->change <= MEMBERSHIP_BLOCK
            && is_group(message->family, &record->group)) {
            return true;
        }
    }
    message->n_records = 0;
    return false;
}

/* --- Writing -------------------------------------------------------------------------------------- */

/* Flags, interval and sources; returns their length. */
static size_t
put_tail(uint8_t *to, size_t room, const struct membership_query *query)
{
    size_t address = address_size(query->family), n = (room - 4) / address;

    n = query->n_sources < n ? query->n_sources : n;
    to[0] = query->robustness & ROBUSTNESS;
    to[1] = (uint8_t)compress(query->interval_ms / 1000, 4);
    put_be16(to + 2, (uint16_t)n);
    for (size_t i = 0; i < n; i++) {
        ip_write(query->family, &query->sources[i], to + 4 + i * address);
    }
    return 4 + n * address;
}

/* RFC 2236, 2; RFC 3376, 4: with the option "router alert". */
static size_t
build_igmp(uint8_t *to, const struct membership_query *query)
{
    enum { ALL_HOSTS = 0xe0000001, HEADER = IPV4_SIZE + 4, ROOM = 576 - HEADER - IGMP_SIZE };
    uint32_t group = (uint32_t)query->group.word[1], tenths = query->response_ms / QUERY_TENTH_MS;
    uint8_t *igmp = to + HEADER;
    size_t n = IGMP_SIZE;
    uint16_t sum;

    memset(to, 0, HEADER + IGMP_SIZE);
    to[0] = 0x46;
    to[1] = TOS_CONTROL;
    to[8] = 1;
    to[9] = IP_PROTO_IGMP;
    put_be32(to + 12, (uint32_t)query->from.word[1]);
    put_be32(to + 16, group ? group : ALL_HOSTS);
    to[20] = ROUTER_ALERT_V4;
    to[21] = 4;
    igmp[0] = IGMP_QUERY;
    igmp[1] = (uint8_t)(query->version == 3 ? compress(tenths, 4) : tenths < 255 ? tenths : 255);
    put_be32(igmp + 4, group);
    n += query->version == 3 ? put_tail(igmp + IGMP_SIZE, ROOM, query) : 0;
    sum = csum_fold(csum_add(0, igmp, n));
    memcpy(igmp + 2, &sum, sizeof sum);
    put_be16(to + 2, (uint16_t)(HEADER + n));
    csum_ipv4(to);
    return HEADER + n;
}

/* RFC 2710, 3; RFC 3810, 5.1. */
static size_t
build_mld(uint8_t *to, const struct membership_query *query)
{
    enum { HEADER = IPV6_SIZE + 8, ROOM = MEMBERSHIP_QUERY_MAX - HEADER - MLD_SIZE };
    static const uint8_t options[8] = { IP_PROTO_ICMPV6, 0, ROUTER_ALERT_V6, 2, 0, 0, 1, 0 };
    static const struct ip_address all_nodes = { { UINT64_C(0xff02) << 48, 1 } };
    bool is_general = !query->group.word[0];
    uint8_t *mld = to + HEADER;
    size_t n = MLD_SIZE;
    uint16_t sum;

    memset(to, 0, HEADER + MLD_SIZE);
    to[0] = 0x60;
    to[6] = IP_PROTO_HOP;
    to[7] = 1;
    ip_write(IP_V6, &query->from, to + 8);
    ip_write(IP_V6, is_general ? &all_nodes : &query->group, to + 24);
    memcpy(to + IPV6_SIZE, options, sizeof options);
    mld[0] = MLD_QUERY;
    put_be16(mld + 4, (uint16_t)(query->version == 3 ? compress(query->response_ms, 12)
                                 : query->response_ms < UINT16_MAX ? query->response_ms
                                                                   : UINT16_MAX));
    ip_write(IP_V6, &query->group, mld + 8);
    n += query->version == 3 ? put_tail(mld + MLD_SIZE, ROOM, query) : 0;
    put_be16(to + 4, (uint16_t)(sizeof options + n));
    sum = csum_fold(csum_add(csum_add_pseudo(0, to, IP_PROTO_ICMPV6, (uint32_t)n), mld, n));
    memcpy(mld + ICMP_CSUM, &sum, sizeof sum);
    return HEADER + n;
}

size_t
membership_build(uint8_t *to, const struct membership_query *query)
{
    return query->family == IP_V4 ? build_igmp(to, query) : build_mld(to, query);
}
