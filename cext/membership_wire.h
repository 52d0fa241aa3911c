#ifndef RAICHO_MEMBERSHIP_WIRE_H
#define RAICHO_MEMBERSHIP_WIRE_H

/* IGMP and MLD: who wants which groups, and who asks, as bytes of an IP packet.
 *
 * Both protocols say the same things.  A version is that of IGMP: MLDv1 is 2, MLDv2 is 3.
 *
 * Reference: RFC 1112 (IGMPv1), RFC 2236, RFC 3376; RFC 2710 (MLDv1), RFC 3810 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ip.h"

/* What a report says of a group (RFC 3376, 4.2.12; RFC 3810, 5.2.12).  A report of an older version is
 * IS_EXCLUDE without sources, a leave TO_INCLUDE. */
enum membership_change {
    MEMBERSHIP_IS_INCLUDE = 1, MEMBERSHIP_IS_EXCLUDE, MEMBERSHIP_TO_INCLUDE, MEMBERSHIP_TO_EXCLUDE,
    MEMBERSHIP_ALLOW, MEMBERSHIP_BLOCK,
};

enum { MEMBERSHIP_QUERY_MAX = 1280 /* Bytes of a query that is sent. */ };

struct membership_message {
    uint8_t family;                     /* enum ip_family */
    uint8_t version;                    /* 1 to 3 */
    bool is_query;
    struct ip_address from;

    /* Of a query. */
    struct ip_address group;            /* 0: of all groups. */
    uint32_t response_ms;               /* Within which hosts answer. */
    bool is_suppressed;                 /* Routers' timers are not to be lowered. */
    uint8_t robustness;                 /* 0: not said. */
    uint32_t interval_ms;               /* Between queries for all groups; 0: not said. */
    uint16_t n_sources;
    const uint8_t *sources;             /* Addresses one after the other. */

    /* Of a report: what membership_next() has still to read. */
    uint16_t n_records;
    const uint8_t *records, *end;
};

struct membership_record {
    uint8_t change;                     /* enum membership_change */
    struct ip_address group;
    uint16_t n_sources;
    const uint8_t *sources;
};

/* Reads an IP packet.  False: it is none of IGMP or MLD, or does not pass the checks of the RFCs: checksum,
 * lengths, a hop limit of 1, for MLD a link-local source and the hop-by-hop option "router alert". */
bool membership_parse(const uint8_t *packet, size_t len, struct membership_message *message);

/* The next record of a report; false at the end.  Records of an unknown kind, or of what is no group, are passed
 * over. */
bool membership_next(struct membership_message *message, struct membership_record *record);

/* Source 'i' of a query or record. */
static inline struct ip_address
membership_source(uint8_t family, const uint8_t *sources, unsigned i)
{
    return ip_read(family, sources + (family == IP_V4 ? 4 : 16) * (size_t)i);
}

struct membership_query {
    uint8_t family, version;            /* 2 or 3 */
    struct ip_address from, group;      /* Group 0: all. */
    uint32_t response_ms, interval_ms;
    uint8_t robustness;
    unsigned n_sources;
    const struct ip_address *sources;
};

/* Writes the IP packet of a query with as many of its sources as fit; returns its length.  It goes to the MAC
 * address of the group it is sent to (RFC 1112, 6.4; RFC 2464, 7). */
size_t membership_build(uint8_t *to, const struct membership_query *query);

#endif
