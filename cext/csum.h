#ifndef RAICHO_CSUM_H
#define RAICHO_CSUM_H

/* Internet checksums (RFC 1071), their incremental update (RFC 1624), and the
 * CRC32c of SCTP (RFC 9260).  Sums are kept as 32-bit partial sums of 16-bit
 * words in network order as they lie in memory. */

#include <stddef.h>
#include <stdint.h>

#include "packet.h"

/* Adds 'n' bytes to a partial sum. An odd last byte is padded with 0. */
uint32_t csum_add(uint32_t sum, const void *data, size_t n);

/* Folds a partial sum and inverts it: the value as it is stored. */
uint16_t csum_fold(uint32_t sum);

/* The checksum at 'at' (2 bytes) after 'n' bytes (even) it covers changed
 * from 'old' to 'new'; RFC 1624 equation 3. */
void csum_update(uint8_t *at, const void *old, const void *new, size_t n);

/* The same for UDP: 0 (no checksum) stays, a result of 0 becomes 0xffff. */
void csum_update_udp(uint8_t *at, const void *old, const void *new, size_t n);

/* CRC32c as SCTP stores it. 'data' is the whole SCTP packet; its checksum
 * field (bytes 8-11) is taken as 0. */
uint32_t csum_sctp(const uint8_t *data, size_t n);

/* The checksum of a transport header that begins at offset p->l4, computed
 * from scratch over the IP payload with its pseudo header, and stored. Does
 * nothing without p->l4 or for fragments. */
void csum_transport(struct packet *p);

#endif
