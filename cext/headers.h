#ifndef RAICHO_HEADERS_H
#define RAICHO_HEADERS_H

/* Numbers found in packet headers, and how long headers are. */

#include <stdbool.h>
#include <stdint.h>

/* Ethernet types (IANA); below ETH_TYPE_MIN it is a length. */
enum eth_type {
    ETH_TYPE_NONE = 0x05ff,     /* OpenFlow's number for 802.3 without SNAP. */
    ETH_TYPE_MIN = 0x0600,
    ETH_TYPE_IPV4 = 0x0800,
    ETH_TYPE_ARP = 0x0806,
    ETH_TYPE_VLAN = 0x8100,
    ETH_TYPE_IPV6 = 0x86dd,
    ETH_TYPE_MPLS = 0x8847,
    ETH_TYPE_MPLS_MULTICAST = 0x8848,
    ETH_TYPE_SVLAN = 0x88a8,
    ETH_TYPE_PBB = 0x88e7,
    ETH_TYPE_QINQ = 0x9100,
};

/* IP protocols and IPv6 extension headers (IANA). */
enum ip_proto {
    IP_PROTO_HOP = 0,
    IP_PROTO_ICMPV4 = 1,
    IP_PROTO_IGMP = 2,
    IP_PROTO_TCP = 6,
    IP_PROTO_UDP = 17,
    IP_PROTO_ROUTER = 43,
    IP_PROTO_FRAG = 44,
    IP_PROTO_ESP = 50,
    IP_PROTO_AUTH = 51,
    IP_PROTO_ICMPV6 = 58,
    IP_PROTO_NONEXT = 59,
    IP_PROTO_DEST = 60,
    IP_PROTO_PIM = 103,
    IP_PROTO_SCTP = 132,
};

/* ICMPv6 types that have fields of their own (RFC 4861). */
enum {
    ND_SOLICITATION = 135,
    ND_ADVERTISEMENT = 136,
};

/* Bytes of the fixed part of each header. */
enum {
    ETH_SIZE = 14,
    ETH_TYPE_AT = 12,
    VLAN_SIZE = 4,
    LLC_SNAP_SIZE = 8,
    MPLS_SIZE = 4,
    ITAG_SIZE = 16,             /* PBB's I-TAG with the customer's addresses. */
    ARP_SIZE = 28,              /* For Ethernet and IPv4. */
    IPV4_SIZE = 20,
    IPV6_SIZE = 40,
    TCP_SIZE = 20,
    UDP_SIZE = 8,
    SCTP_SIZE = 12,
    ICMP_SIZE = 4,
    ND_SIZE = 24,               /* Neighbour solicitation or advertisement. */
};

/* Where the checksum lies in each transport header. */
enum {
    ICMP_CSUM = 2,
    UDP_CSUM = 6,
    SCTP_CSUM = 8,
    TCP_CSUM = 16,
};

static inline bool
is_vlan_type(uint16_t type)
{
    return type == ETH_TYPE_VLAN || type == ETH_TYPE_SVLAN || type == ETH_TYPE_QINQ;
}

static inline bool
is_mpls_type(uint16_t type)
{
    return type == ETH_TYPE_MPLS || type == ETH_TYPE_MPLS_MULTICAST;
}

#endif
