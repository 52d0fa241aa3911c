#ifndef RAICHO_FIELD_H
#define RAICHO_FIELD_H

/* The match fields: one row per field, and everything else is derived.
 *
 * What
 * ====
 * FIELDS is the only list of match fields.  The OXM codec, the command line,
 * the set-field instruction and the tests iterate over 'field_table'.
 *
 * A row is F(name, class, number, bits, mask, set, word, shift, needs):
 *
 *   name    what users type, and the name in the OpenFlow specification
 *   class   OXM class: OXM_BASIC, or OXM_NXM0, OXM_NXM1, OXM_REGS of Nicira's extensions
 *   number  OXM field number in that class
 *   bits    width in bits; see OXM_SIZE for what it takes on the wire
 *   mask    MASK if single bits may be wildcarded, else EXACT
 *   set     SET if set-field may write it, else RO
 *   word    first word in struct flow_key that holds it (see key.h)
 *   shift   bit of its least significant bit in the last of its words
 *   needs   what must be matched too: a row of 'field_needs' (see below)
 *
 * Fields that can never be in one packet share their bits (a TCP port and an
 * ICMP type, an IPv4 address and one in ARP): what they need tells them apart.
 *
 * The rows from FIRST_VIEW on are views: other names for bits of the rows before them.
 *
 * ALIASES are names that are accepted beside those of the rows.
 *
 * To add a field, add a row here, and the line in parse.c that fills it.
 *
 * Reference: OpenFlow Switch Specification 1.3.5, section 7.2.3; ovs-fields(7) */

#include <stdbool.h>
#include <stdint.h>

#include "key.h"

enum {
    OXM_NXM0 = 0x0000,
    OXM_NXM1 = 0x0001,
    OXM_BASIC = 0x8000,
    OXM_REGS = 0x8001,          /* OFPXMC_PACKET_REGS of OpenFlow 1.5. */
    OXM_EXPERIMENTER = 0xffff,
    OXM_ONF = 0x4f4e4600,       /* ONF's experimenter number. */
};

/* Bytes that a value takes on the wire: whole bytes, and 4 for the two
 * fields of 20 bits (table 12 of the specification). */
#define OXM_SIZE(BITS) ((BITS) == 20 ? 4 : ((BITS) + 7) / 8)

#define FIELDS(F)                                                                   \
    F(in_port,        OXM_BASIC,  0,  32, EXACT, RO,  W_PORT,      32, NEEDS_NONE)     \
    F(in_phy_port,    OXM_BASIC,  1,  32, EXACT, RO,  W_PORT,       0, NEEDS_IN_PORT)  \
    F(metadata,       OXM_BASIC,  2,  64, MASK,  RO,  W_METADATA,   0, NEEDS_NONE)     \
    F(eth_dst,        OXM_BASIC,  3,  48, MASK,  SET, W_ETH_DST,   16, NEEDS_NONE)     \
    F(eth_src,        OXM_BASIC,  4,  48, MASK,  SET, W_ETH_SRC,   16, NEEDS_NONE)     \
    F(eth_type,       OXM_BASIC,  5,  16, EXACT, SET, W_ETH_DST,    0, NEEDS_NONE)     \
    F(vlan_vid,       OXM_BASIC,  6,  13, MASK,  SET, W_ETH_SRC,    0, NEEDS_NONE)     \
    F(vlan_pcp,       OXM_BASIC,  7,   3, EXACT, SET, W_ETH_SRC,   13, NEEDS_VLAN)     \
    F(ip_dscp,        OXM_BASIC,  8,   6, EXACT, SET, W_L4,        18, NEEDS_IP)       \
    F(ip_ecn,         OXM_BASIC,  9,   2, EXACT, SET, W_L4,        16, NEEDS_IP)       \
    F(ip_proto,       OXM_BASIC, 10,   8, EXACT, SET, W_L4,        24, NEEDS_IP)       \
    F(ipv4_src,       OXM_BASIC, 11,  32, MASK,  SET, W_IPV4,      32, NEEDS_IPV4)     \
    F(ipv4_dst,       OXM_BASIC, 12,  32, MASK,  SET, W_IPV4,       0, NEEDS_IPV4)     \
    F(tcp_src,        OXM_BASIC, 13,  16, EXACT, SET, W_L4,        48, NEEDS_TCP)      \
    F(tcp_dst,        OXM_BASIC, 14,  16, EXACT, SET, W_L4,        32, NEEDS_TCP)      \
    F(udp_src,        OXM_BASIC, 15,  16, EXACT, SET, W_L4,        48, NEEDS_UDP)      \
    F(udp_dst,        OXM_BASIC, 16,  16, EXACT, SET, W_L4,        32, NEEDS_UDP)      \
    F(sctp_src,       OXM_BASIC, 17,  16, EXACT, SET, W_L4,        48, NEEDS_SCTP)     \
    F(sctp_dst,       OXM_BASIC, 18,  16, EXACT, SET, W_L4,        32, NEEDS_SCTP)     \
    F(icmpv4_type,    OXM_BASIC, 19,   8, EXACT, SET, W_L4,        48, NEEDS_ICMPV4)   \
    F(icmpv4_code,    OXM_BASIC, 20,   8, EXACT, SET, W_L4,        32, NEEDS_ICMPV4)   \
    F(arp_op,         OXM_BASIC, 21,  16, EXACT, SET, W_L4,        48, NEEDS_ARP)      \
    F(arp_spa,        OXM_BASIC, 22,  32, MASK,  SET, W_IPV4,      32, NEEDS_ARP)      \
    F(arp_tpa,        OXM_BASIC, 23,  32, MASK,  SET, W_IPV4,       0, NEEDS_ARP)      \
    F(arp_sha,        OXM_BASIC, 24,  48, MASK,  SET, W_LL_SRC,    16, NEEDS_ARP)      \
    F(arp_tha,        OXM_BASIC, 25,  48, MASK,  SET, W_LL_DST,    16, NEEDS_ARP)      \
    F(ipv6_src,       OXM_BASIC, 26, 128, MASK,  SET, W_IPV6_SRC,   0, NEEDS_IPV6)     \
    F(ipv6_dst,       OXM_BASIC, 27, 128, MASK,  SET, W_IPV6_DST,   0, NEEDS_IPV6)     \
    F(ipv6_flabel,    OXM_BASIC, 28,  20, MASK,  SET, W_IPV6,      44, NEEDS_IPV6)     \
    F(icmpv6_type,    OXM_BASIC, 29,   8, EXACT, SET, W_L4,        48, NEEDS_ICMPV6)   \
    F(icmpv6_code,    OXM_BASIC, 30,   8, EXACT, SET, W_L4,        32, NEEDS_ICMPV6)   \
    F(ipv6_nd_target, OXM_BASIC, 31, 128, EXACT, SET, W_ND_TARGET,  0, NEEDS_ND)       \
    F(ipv6_nd_sll,    OXM_BASIC, 32,  48, EXACT, SET, W_LL_SRC,    16, NEEDS_ND_SOLICIT) \
    F(ipv6_nd_tll,    OXM_BASIC, 33,  48, EXACT, SET, W_LL_DST,    16, NEEDS_ND_ADVERT)  \
    F(mpls_label,     OXM_BASIC, 34,  20, EXACT, SET, W_MPLS,      44, NEEDS_MPLS)     \
    F(mpls_tc,        OXM_BASIC, 35,   3, EXACT, SET, W_MPLS,      41, NEEDS_MPLS)     \
    F(mpls_bos,       OXM_BASIC, 36,   1, EXACT, SET, W_MPLS,      40, NEEDS_MPLS)     \
    F(pbb_isid,       OXM_BASIC, 37,  24, MASK,  SET, W_MPLS,       8, NEEDS_PBB)      \
    F(tunnel_id,      OXM_BASIC, 38,  64, MASK,  SET, W_TUNNEL_ID,  0, NEEDS_NONE)     \
    F(ipv6_exthdr,    OXM_BASIC, 39,   9, MASK,  RO,  W_IPV6,      32, NEEDS_IPV6)     \
    F(pbb_uca,        OXM_BASIC, 41,   1, EXACT, SET, W_MPLS,       7, NEEDS_PBB)  \
    F(reg0,           OXM_NXM1,   0,  32, MASK,  SET, W_REG0,      32, NEEDS_NONE) \
    F(reg1,           OXM_NXM1,   1,  32, MASK,  SET, W_REG0,       0, NEEDS_NONE) \
    F(reg2,           OXM_NXM1,   2,  32, MASK,  SET, W_REG1,      32, NEEDS_NONE) \
    F(reg3,           OXM_NXM1,   3,  32, MASK,  SET, W_REG1,       0, NEEDS_NONE) \
    F(reg4,           OXM_NXM1,   4,  32, MASK,  SET, W_REG2,      32, NEEDS_NONE) \
    F(reg5,           OXM_NXM1,   5,  32, MASK,  SET, W_REG2,       0, NEEDS_NONE) \
    F(reg6,           OXM_NXM1,   6,  32, MASK,  SET, W_REG3,      32, NEEDS_NONE) \
    F(reg7,           OXM_NXM1,   7,  32, MASK,  SET, W_REG3,       0, NEEDS_NONE) \
    F(reg8,           OXM_NXM1,   8,  32, MASK,  SET, W_REG4,      32, NEEDS_NONE) \
    F(reg9,           OXM_NXM1,   9,  32, MASK,  SET, W_REG4,       0, NEEDS_NONE) \
    F(reg10,          OXM_NXM1,  10,  32, MASK,  SET, W_REG5,      32, NEEDS_NONE) \
    F(reg11,          OXM_NXM1,  11,  32, MASK,  SET, W_REG5,       0, NEEDS_NONE) \
    F(reg12,          OXM_NXM1,  12,  32, MASK,  SET, W_REG6,      32, NEEDS_NONE) \
    F(reg13,          OXM_NXM1,  13,  32, MASK,  SET, W_REG6,       0, NEEDS_NONE) \
    F(reg14,          OXM_NXM1,  14,  32, MASK,  SET, W_REG7,      32, NEEDS_NONE) \
    F(reg15,          OXM_NXM1,  15,  32, MASK,  SET, W_REG7,       0, NEEDS_NONE) \
    F(tun_ipv4_src,   OXM_NXM1,  31,  32, MASK,  SET, W_TUN_IPV4,  32, NEEDS_NONE) \
    F(tun_ipv4_dst,   OXM_NXM1,  32,  32, MASK,  SET, W_TUN_IPV4,   0, NEEDS_NONE) \
    F(ip_frag,        OXM_NXM1,  26,   2, MASK,  RO,  W_L4,         0, NEEDS_IP)   \
    F(nw_ttl,         OXM_NXM1,  29,   8, EXACT, SET, W_L4,         8, NEEDS_IP)   \
    F(mpls_ttl,       OXM_NXM1,  30,   8, EXACT, SET, W_MPLS,      32, NEEDS_MPLS) \
    F(tcp_flags,      OXM_NXM1,  34,  12, MASK,  RO,  W_IPV6,      16, NEEDS_TCP)  \
    F(vlan_tci,       OXM_NXM0,   4,  16, MASK,  RO,  W_ETH_SRC,    0, NEEDS_NONE) \
    F(xreg0,          OXM_REGS,   0,  64, MASK,  SET, W_REG0,       0, NEEDS_NONE) \
    F(xreg1,          OXM_REGS,   1,  64, MASK,  SET, W_REG1,       0, NEEDS_NONE) \
    F(xreg2,          OXM_REGS,   2,  64, MASK,  SET, W_REG2,       0, NEEDS_NONE) \
    F(xreg3,          OXM_REGS,   3,  64, MASK,  SET, W_REG3,       0, NEEDS_NONE) \
    F(xreg4,          OXM_REGS,   4,  64, MASK,  SET, W_REG4,       0, NEEDS_NONE) \
    F(xreg5,          OXM_REGS,   5,  64, MASK,  SET, W_REG5,       0, NEEDS_NONE) \
    F(xreg6,          OXM_REGS,   6,  64, MASK,  SET, W_REG6,       0, NEEDS_NONE) \
    F(xreg7,          OXM_REGS,   7,  64, MASK,  SET, W_REG7,       0, NEEDS_NONE) \
    F(xxreg0,         OXM_NXM1,  111, 128, MASK,  SET, W_REG0,       0, NEEDS_NONE)\
    F(xxreg1,         OXM_NXM1,  112, 128, MASK,  SET, W_REG2,       0, NEEDS_NONE)\
    F(xxreg2,         OXM_NXM1,  113, 128, MASK,  SET, W_REG4,       0, NEEDS_NONE)\
    F(xxreg3,         OXM_NXM1,  114, 128, MASK,  SET, W_REG6,       0, NEEDS_NONE)

enum field {
#define F(NAME, ...) FIELD_##NAME,
    FIELDS(F)
#undef F
    N_FIELDS,
    FIRST_VIEW = FIELD_vlan_tci,
};

/* Other names of fields, as controllers with Nicira's extensions send them: X(class, number, field,
 * bits, shift).  'class' is an OXM class or the number of an experimenter.  A value of 'bits' bits
 * is that of the field, shifted to the left by 'shift'; what is narrower than its field is
 * widened, see field_widen(). */
#define ALIASES(X)                                  \
    X(OXM_NXM0,    0, in_port,        16, 0)        \
    X(OXM_NXM0,    1, eth_dst,        48, 0)        \
    X(OXM_NXM0,    2, eth_src,        48, 0)        \
    X(OXM_NXM0,    3, eth_type,       16, 0)        \
    X(OXM_NXM0,    5, ip_dscp,         8, 2)        \
    X(OXM_NXM0,    6, ip_proto,        8, 0)        \
    X(OXM_NXM0,    7, ipv4_src,       32, 0)        \
    X(OXM_NXM0,    8, ipv4_dst,       32, 0)        \
    X(OXM_NXM0,    9, tcp_src,        16, 0)        \
    X(OXM_NXM0,   10, tcp_dst,        16, 0)        \
    X(OXM_NXM0,   11, udp_src,        16, 0)        \
    X(OXM_NXM0,   12, udp_dst,        16, 0)        \
    X(OXM_NXM0,   13, icmpv4_type,     8, 0)        \
    X(OXM_NXM0,   14, icmpv4_code,     8, 0)        \
    X(OXM_NXM0,   15, arp_op,         16, 0)        \
    X(OXM_NXM0,   16, arp_spa,        32, 0)        \
    X(OXM_NXM0,   17, arp_tpa,        32, 0)        \
    X(OXM_NXM1,   16, tunnel_id,      64, 0)        \
    X(OXM_NXM1,   17, arp_sha,        48, 0)        \
    X(OXM_NXM1,   18, arp_tha,        48, 0)        \
    X(OXM_NXM1,   19, ipv6_src,      128, 0)        \
    X(OXM_NXM1,   20, ipv6_dst,      128, 0)        \
    X(OXM_NXM1,   21, icmpv6_type,     8, 0)        \
    X(OXM_NXM1,   22, icmpv6_code,     8, 0)        \
    X(OXM_NXM1,   23, ipv6_nd_target, 128, 0)       \
    X(OXM_NXM1,   24, ipv6_nd_sll,    48, 0)        \
    X(OXM_NXM1,   25, ipv6_nd_tll,    48, 0)        \
    X(OXM_NXM1,   27, ipv6_flabel,    20, 0)        \
    X(OXM_NXM1,   28, ip_ecn,          2, 0)        \
    X(OXM_ONF,    42, tcp_flags,      12, 0)

/* What a class and a number on the wire mean. */
struct field_name {
    uint8_t field;              /* An enum field. */
    uint8_t bits;               /* Of a value under that name. */
    uint8_t size;               /* Its bytes. */
    uint8_t shift;
};

/* What a field needs before it may be matched or set.  Each is a list of
 * conditions on other fields, all of which must be met; a condition is met
 * if the field is matched exactly with one of two values.  NEEDS_VLAN is met
 * by a vlan_vid that has OFPVID_PRESENT. */
enum field_needs {
    NEEDS_NONE,
    NEEDS_IN_PORT,
    NEEDS_VLAN,
    NEEDS_IP,           /* eth_type 0x0800 or 0x86dd */
    NEEDS_IPV4,         /* eth_type 0x0800 */
    NEEDS_IPV6,         /* eth_type 0x86dd */
    NEEDS_ARP,          /* eth_type 0x0806 */
    NEEDS_MPLS,         /* eth_type 0x8847 or 0x8848 */
    NEEDS_PBB,          /* eth_type 0x88e7 */
    NEEDS_TCP,          /* NEEDS_IP, ip_proto 6 */
    NEEDS_UDP,          /* NEEDS_IP, ip_proto 17 */
    NEEDS_SCTP,         /* NEEDS_IP, ip_proto 132 */
    NEEDS_ICMPV4,       /* NEEDS_IPV4, ip_proto 1 */
    NEEDS_ICMPV6,       /* NEEDS_IPV6, ip_proto 58 */
    NEEDS_ND,           /* NEEDS_ICMPV6, icmpv6_type 135 or 136 */
    NEEDS_ND_SOLICIT,   /* NEEDS_ICMPV6, icmpv6_type 135 */
    NEEDS_ND_ADVERT,    /* NEEDS_ICMPV6, icmpv6_type 136 */
    N_NEEDS
};

struct field_info {
    char name[16];              /* As users type it. */
    uint16_t oxm_class;
    uint8_t oxm_field;
    uint8_t bits;               /* Width in bits. */
    uint8_t size;               /* Bytes on the wire. */
    bool maskable;
    bool settable;
    uint8_t word;               /* First word in struct flow_key. */
    uint8_t shift;
    uint8_t needs;              /* An enum field_needs. */
};

extern const struct field_info field_table[N_FIELDS];

/* Returns the field with that OXM class and number, or -1. */
int field_by_oxm(unsigned oxm_class, unsigned oxm_field);

/* The same for every name that is understood: also those in ALIASES.  Returns false if it is none. */
bool field_by_name(uint32_t oxm_class, unsigned oxm_field, struct field_name *name);

/* Whether values under 'name' are not those of the field itself: field_widen() makes them so. */
static inline bool
field_is_narrow(const struct field_name *name)
{
    return name->size != field_table[name->field].size || name->shift;
}

/* Writes the value of the field that 'value' under a narrow 'name' means; false if it means none.
 * A 16-bit port number of 0xff00 or more is the reserved port of OpenFlow 1.3 that ends in it. */
bool field_widen(const struct field_name *name, const uint8_t *value, uint8_t *wide);

/* Returns the bits of 'field' that one word of the key carries: a mask for
 * word field_table[field].word + i, i = 0 or 1; 0 if it has no such word. */
uint64_t field_word_mask(enum field field, unsigned i);

/* Writes 'size' bytes 'value' in network order (as on the wire) to the words
 * of 'field' in 'key', leaving the other bits of these words alone.  Bits
 * above the width of the field are ignored. */
void field_put(struct flow_key *key, enum field field, const uint8_t *value);

/* The reverse: writes field_table[field].size bytes. */
void field_get(const struct flow_key *key, enum field field, uint8_t *value);

/* The same from and to the words of the field alone: words[0] is that at field_table[field].word,
 * words[1] the next one, of fields that have two. */
void field_words(enum field field, const uint8_t *value, uint64_t words[2]);
void field_value(enum field field, const uint64_t *words, uint8_t *value);

/* Whether a match of 'key' under 'mask' has what 'field' needs. */
bool field_needs_met(enum field field, const struct flow_key *key,
                     const struct flow_key *mask);

#endif
