#ifndef RAICHO_XDP_CHECKSUM_H
#define RAICHO_XDP_CHECKSUM_H

/* Frames whose checksum their sender left to do, found out from their bytes.
 *
 * How
 * ===
 * A sender on a virtual interface leaves the checksum of TCP, UDP and SCTP to a device that is
 * not there.  An XDP socket gets the frame without being told so.  But what stands in
 * the place of the checksum tells: the sum over the pseudo header, or for SCTP 0.  A finished
 * checksum is that by chance once in 65536 frames (2^32 for SCTP); doing it again gives
 * it again, so nothing is lost then but time.
 *
 * Cost: two cache lines of the frame. */

#include "packet.h"

/* Sets 'offload' to "checksum to be done" where it is.  Looks behind up to two VLAN tags; not behind
 * IPv6 extension headers, and not into fragments. */
void xdp_checksum_find(struct packet *p);

#endif
