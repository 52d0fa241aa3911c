#ifndef RAICHO_REWRITE_H
#define RAICHO_REWRITE_H

/* Changing the headers of a packet: what the instructions that do so share.
 *
 * What
 * ====
 * The offsets of a packet, and the protocol in its key where it has a transport
 * header, are as parse() would find them in its bytes now; unless packet->stale
 * has STALE_LAYOUT.  So instructions can follow each other without parsing in
 * between, and rewrite_begin() parses where they cannot. */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "bytes.h"
#include "csum.h"
#include "field.h"
#include "headers.h"
#include "offload.h"
#include "packet.h"
#include "worker.h"

/* Values of packet->stale. */
enum {
    STALE_KEY = 1,              /* The key must be filled again before a lookup. */
    STALE_LAYOUT = 2,           /* The offsets are wrong too. */
};

enum { IPV4_CSUM = 10 };        /* Where the checksum lies in an IPv4 header. */

/* Sets a field to a value as on the wire (op_set_field.c); only one that is packet_can_set(). */
void packet_set_field(struct packet *packet, enum field field, const uint8_t *value);

/* Whether anything at all can write the field: those that set-field may, in_port and metadata. */
bool packet_can_set(enum field field);

/* Puts another VLAN tag in front, and takes the outermost one out, if there is one (op_tag.c).  The first
 * returns false, and changes nothing, if there is no room. */
bool packet_tag(struct packet *packet, uint16_t type, uint16_t control);
void packet_untag(struct packet *packet);

/* To be called before anything is asked below, and before a tag comes or goes. */
static inline void
rewrite_begin(struct packet *p)
{
    if (p->stale & STALE_LAYOUT) {
        packet_refresh(p);
    }
}

/* Whether there is a whole VLAN tag. */
static inline bool
has_tag(const struct packet *p)
{
    return p->len >= ETH_SIZE + VLAN_SIZE && is_vlan_type(get_be16(p->data + ETH_TYPE_AT));
}

static inline bool
has_mpls(const struct packet *p)
{
    return p->l2_5 != NO_OFFSET && is_mpls_type(get_be16(p->data + p->eth_type_at));
}

static inline bool
has_itag(const struct packet *p)
{
    return p->l2_5 != NO_OFFSET && get_be16(p->data + p->eth_type_at) == ETH_TYPE_PBB;
}

/* Notes that the headers grew ('n' > 0) or shrank in front of what is left to hardware. */
static inline void
rewrite_move_offload(struct packet *p, int n)
{
    if (p->offload.flags & OFFLOAD_NEEDS_CSUM && p->offload.csum_start + n >= 0) {
        p->offload.csum_start = (uint16_t) (p->offload.csum_start + n);
    }
    if (p->offload.gso_type && p->offload.hdr_len + n >= 0) {
        p->offload.hdr_len = (uint16_t) (p->offload.hdr_len + n);
    }
}

/* Returns the version of the IP header at l3, or 0. */
static inline unsigned
ip_version(const struct packet *p)
{
    return p->l3 != NO_OFFSET ? p->data[p->l3] >> 4 : 0;        /* ARP begins with a 0. */
}

static inline bool
has_arp(const struct packet *p)
{
    return p->l3 != NO_OFFSET && p->data[p->l3] == 0;
}

/* Changes the two bytes at 'at' (even) in the IPv4 header at 'ip' to what 'new' has in memory. */
static inline void
rewrite_ipv4_word(uint8_t *ip, unsigned at, uint16_t new)
{
    uint16_t old;

    memcpy(&old, ip + at, sizeof old);
    if (old != new) {
        csum_update_word(ip + IPV4_CSUM, old, new);
        memcpy(ip + at, &new, sizeof new);
    }
}

/* Changes 'n' bytes (even) at 'at' (even) in the IPv4 header at 'ip'. */
static inline void
rewrite_ipv4(uint8_t *ip, unsigned at, const void *new, size_t n)
{
    if (memcmp(ip + at, new, n)) {
        csum_update(ip + IPV4_CSUM, ip + at, new, n);
        memcpy(ip + at, new, n);
    }
}

static inline uint8_t
rewrite_ttl(const uint8_t *ip)
{
    return ip[0] >> 4 == 4 ? ip[8] : ip[7];
}

static inline void
rewrite_set_ttl(uint8_t *ip, uint8_t ttl)
{
    if (ip[0] >> 4 == 4) {
        uint16_t ttl_proto;

        memcpy(&ttl_proto, (const uint8_t[]){ ttl, ip[9] }, sizeof ttl_proto);
        rewrite_ipv4_word(ip, 8, ttl_proto);
    } else {
        ip[7] = ttl;
    }
}

#endif
