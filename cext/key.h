#ifndef RAICHO_KEY_H
#define RAICHO_KEY_H

/* Flow key: everything a table can see of a packet, as 64-bit words.
 *
 * What
 * ====
 * Values are in host order at fixed places (see FIELDS in field.h).  A mask
 * has the same shape.  A lookup reads only the words in which its mask has a
 * bit: see struct flow_mask in table.h.
 *
 * Bits that are in no OXM field of OpenFlow 1.3 have their place too: the IP
 * TTL, fragment state and TCP flags, the registers that controllers with
 * Nicira's extensions use (reg0 is the high half of W_REG0, reg1 the low
 * half), connection state.  Reserved bits are 0. */

#include <stdint.h>

enum key_word {
    W_PORT,             /* in_port:32, in_phy_port:32 */
    W_METADATA,
    W_TUNNEL_ID,
    W_ETH_DST,          /* eth_dst:48, eth_type:16 */
    W_ETH_SRC,          /* eth_src:48, vlan_pcp:3, vlan_vid:13 with OFPVID_PRESENT */
    W_IPV4,             /* ipv4_src:32, ipv4_dst:32; or arp_spa, arp_tpa */
    W_L4,               /* l4_src:16, l4_dst:16, ip_proto:8, dscp:6, ecn:2, ttl:8, frag:8;
                         * ICMP type and code, and arp_op, in place of the ports */
    W_IPV6,             /* flabel:20, 0:3, exthdr:9, 0:4, tcp_flags:12, 0:16 */
    W_MPLS,             /* label:20, tc:3, bos:1, ttl:8, pbb_isid:24, pbb_uca:1, 0:7 */
    W_IPV6_SRC,
    W_IPV6_SRC_LOW,
    W_IPV6_DST,
    W_IPV6_DST_LOW,
    W_ND_TARGET,
    W_ND_TARGET_LOW,
    W_LL_SRC,           /* arp_sha or nd_sll:48, 0:16 */
    W_LL_DST,           /* arp_tha or nd_tll:48, 0:16 */
    W_TUN_IPV4,         /* tun_src:32, tun_dst:32 */
    W_REG0, W_REG1, W_REG2, W_REG3, W_REG4, W_REG5, W_REG6, W_REG7,
    W_CT,               /* ct_state:16, ct_zone:16, ct_mark:32 */
    N_KEY_WORDS,

    /* The words before this one fill a cache line; IPv4 and its like have nothing in the others. */
    W_WIDE = W_MPLS,

    /* Words that come from the bytes of the packet; the others come from
     * where it has been, and survive a change of its headers. */
    W_HEADERS_FIRST = W_ETH_DST,
    W_HEADERS_LAST = W_LL_DST,
};

_Static_assert(W_WIDE == 8, "the words of usual packets fill a cache line");

struct flow_key {
    uint64_t word[N_KEY_WORDS];
};

/* Values of the frag bits in W_L4; a later fragment has both. */
enum {
    FRAG_NO = 0,
    FRAG_ANY = 1,       /* Any fragment. */
    FRAG_LATER = 2,     /* Not the first one: has no L4 header. */
};

enum {
    VID_PRESENT = 0x1000,       /* OFPVID_PRESENT: there is a tag. */
};

/* Values of ipv6_exthdr (OpenFlow's OFPIEH_*). */
enum {
    EXTHDR_NONEXT = 1,          /* "No next header". */
    EXTHDR_ESP = 2,
    EXTHDR_AUTH = 4,
    EXTHDR_DEST = 8,            /* Destination options. */
    EXTHDR_FRAG = 16,
    EXTHDR_ROUTER = 32,
    EXTHDR_HOP = 64,            /* Hop-by-hop options, as the first header. */
    EXTHDR_UNREP = 128,         /* A header is repeated that should not be. */
    EXTHDR_UNSEQ = 256,         /* Not in the order of RFC 2460, section 4.1. */
};

#endif
