#ifndef RAICHO_CSUM_H
#define RAICHO_CSUM_H

/* Internet checksums (RFC 1071), their incremental update (RFC 1624), and the
 * CRC32c of SCTP (RFC 9260).  Sums are kept as 32-bit partial sums of 16-bit
 * words in network order as they lie in memory. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "packet.h"

/* Adds 'n' bytes to a partial sum.  An odd last byte is padded with 0. */
uint32_t csum_add(uint32_t sum, const void *data, size_t n);

/* Adds the pseudo header of 'n' bytes of payload of 'proto' behind the IPv4 or
 * IPv6 header at 'ip'. */
uint32_t csum_add_pseudo(uint32_t sum, const uint8_t *ip, uint8_t proto, uint32_t n);

/* Folds a partial sum and inverts it: the value as it is stored, so that
 * memcpy() puts it where it belongs. */
uint16_t csum_fold(uint32_t sum);

/* The checksum at 'at' (2 bytes) after 'n' bytes (even) it covers changed
 * from 'old' to 'new'; RFC 1624 equation 3. */
void csum_update(uint8_t *at, const void *old, const void *new, size_t n);

/* The same for one word, as numbers that lie in memory as words in network order do. */
static inline void
csum_update_word(uint8_t *at, uint16_t old, uint16_t new)
{
    uint16_t stored;

    memcpy(&stored, at, sizeof stored);

    uint32_t sum = (uint32_t)(uint16_t)~stored + (uint16_t)~old + new;

    sum = (sum & 0xffff) + (sum >> 16);
    stored = (uint16_t)~(sum + (sum >> 16));
    memcpy(at, &stored, sizeof stored);
}

/* The same for UDP: 0 (no checksum) stays, a result of 0 becomes 0xffff. */
void csum_update_udp(uint8_t *at, const void *old, const void *new, size_t n);

/* The same for a sum that was left to hardware (offload.flags has NEEDS_CSUM):
 * what is stored is the folded sum of the pseudo header, not inverted. */
void csum_update_partial(uint8_t *at, const void *old, const void *new, size_t n);

/* CRC32c as SCTP stores it: memcpy() puts it where it belongs.  'data' is the
 * whole SCTP packet; its checksum field (bytes 8-11) is taken as 0.  0 if there
 * is no whole header. */
uint32_t csum_sctp(const uint8_t *data, size_t n);

/* Changes the CRC32c of an SCTP packet of 'n' bytes, of which the header at 'sctp' has to be there, as much as a port
 * at 'at' (0 or 2) does that was 'old' and is 'new', as they are in memory: what was wrong stays wrong. */
void csum_update_sctp(uint8_t *sctp, size_t n, unsigned at, uint16_t old, uint16_t new);

/* Writes the checksum of the IPv4 header at 'ip'. */
void csum_ipv4(uint8_t *ip);

/* The checksum of a transport header that begins at offset p->l4, computed
 * from scratch over the IP payload with its pseudo header, and stored.  Does
 * nothing without p->l3 and p->l4, for fragments, for lengths that are wrong,
 * and where a routing header still has segments left (the last destination is
 * not in the IPv6 header then). */
void csum_transport(struct packet *p);

#endif
