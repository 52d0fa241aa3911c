#ifndef RAICHO_ICMP_H
#define RAICHO_ICMP_H

/* ICMP that a router sends: errors for packets that it cannot forward, redirects, and echo replies.
 *
 * Packets are those of IP, without a link-layer header, version 4 or 6 by their first bits.
 *
 * Threads: the control thread's.
 *
 * Reference: RFC 792; RFC 1812, section 4.3; RFC 1191; RFC 4443; RFC 4861, section 8 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bucket.h"
#include "ip.h"

enum icmp_error {
    ICMP_NO_ROUTE,              /* Network unreachable. */
    ICMP_HOST_UNREACHABLE,      /* The next hop or host does not answer. */
    ICMP_PROHIBITED,            /* Administratively. */
    ICMP_NO_PROTOCOL,           /* To ourselves, a protocol we do not speak. */
    ICMP_NO_PORT,               /* To ourselves, nobody listens. */
    ICMP_TOO_BIG,               /* 'value' is the MTU of the next link. */
    ICMP_TTL_EXCEEDED,
    ICMP_REASSEMBLY_EXCEEDED,
    ICMP_PARAMETER,             /* 'value' is the offset of the byte that is wrong. */
    ICMP_REDIRECT,              /* icmp_redirect(). */
};

enum { ICMP_ERRORS = ICMP_REDIRECT + 1 };

/* Most bytes of a packet with an error (RFC 1812, 4.3.2.3; RFC 4443, 2.4 (c)). */
enum { ICMP_MAX_IPV4 = 576, ICMP_MAX_IPV6 = 1280, ICMP_MAX = ICMP_MAX_IPV6 };

/* How many errors of each kind go out for packets that came by one interface (RFC 1812, 4.3.2.8;
 * RFC 4443, 2.4 (f)).  All 0 but the rate is ready. */
struct icmp_limits {
    struct bucket_rate rate;
    struct rate_bucket buckets[ICMP_ERRORS];
};

struct icmp_counters {
    uint64_t sent[ICMP_ERRORS];
    uint64_t limited[ICMP_ERRORS];      /* Not sent, above the rate. */
    uint64_t forbidden[ICMP_ERRORS];    /* None may be sent for such a packet. */
};

struct icmp_cause {
    enum icmp_error error;
    uint32_t value;                     /* By the error. */
    const uint8_t *packet;              /* As it came. */
    size_t len;
    struct ip_address source;           /* Of the error: the interface's by which the packet came. */
    bool was_group;                     /* Multicast or broadcast of the link or of an IPv4 prefix. */
};

/* Writes the error for a packet, at most ICMP_MAX bytes.  Returns its length; 0: none may be sent
 * (RFC 1812, 4.3.2.7; RFC 4443, 2.4 (e)), or not now. */
size_t icmp_error(struct icmp_limits *limits, struct icmp_counters *counters,
                  const struct icmp_cause *cause, uint64_t now_ms, uint8_t *to);

/* Tells the sender of a packet of a better gateway on its own link, which is the packet's
 * destination itself if that is on the link.  'mac' is the gateway's, 0 if not known.  The cause's error is
 * ICMP_REDIRECT, its source for IPv6 our link-local address.  Else as icmp_error(). */
size_t icmp_redirect(struct icmp_limits *limits, struct icmp_counters *counters,
                     const struct icmp_cause *cause, const struct ip_address *gateway, uint64_t mac,
                     uint64_t now_ms, uint8_t *to);

/* Whether a whole packet is an echo request. */
bool icmp_is_echo(const uint8_t *packet, size_t len);

/* Writes the reply to an echo request, at most 'len' bytes, from 'source' (its destination, if that is
 * ours; an address of the interface for a group).  Options and extension headers do not come back.
 * Returns its length; 0: the request is damaged, or its source nobody. */
size_t icmp_echo_reply(const uint8_t *packet, size_t len, const struct ip_address *source, uint8_t *to);

#endif
