#ifndef RAICHO_OFFLOAD_H
#define RAICHO_OFFLOAD_H

/* Completing in software what a sender left to hardware, for ports that
 * cannot take it on. */

#include "packet.h"

/* Values of offload.flags and offload.gso_type, as in <linux/virtio_net.h>. */
enum {
    OFFLOAD_NEEDS_CSUM = 1,
    OFFLOAD_DATA_VALID = 2,
    OFFLOAD_GSO_NONE = 0,
    OFFLOAD_GSO_TCPV4 = 1,
    OFFLOAD_GSO_UDP = 3,        /* Fragments of UDP; out of use, not cut here. */
    OFFLOAD_GSO_TCPV6 = 4,
    OFFLOAD_GSO_UDP_L4 = 5,     /* Many datagrams (USO). */
    OFFLOAD_GSO_ECN = 0x80,     /* A bit beside one of TCP's. */
};

/* Computes the checksum that offload.flags asks for, stores it and clears the
 * flag.  A place that is not in the frame clears the flag and changes nothing else.
 * csum_offset 8 is SCTP's CRC32c. */
void offload_checksum(struct packet *p);

/* Cuts a TCP (IPv4, IPv6) or UDP (USO) packet with a gso_type into packets of at
 * most gso_size bytes of payload each, with their lengths, IP identification,
 * sequence numbers, flags and checksums right.  The frame may have VLAN tags and MPLS
 * shims; its transport header is at offload.csum_start if the checksum is to
 * be done, else at p->l4.
 *
 * The packets come from 'small', or all from 'large' if a segment does not fit;
 * either may be null.  Offsets, in_port and out_queue are as in 'p'.
 *
 * Returns how many of 'out' were filled; 0 if it could not (unknown type,
 * headers that are not there, not enough packets, more than 'limit' segments):
 * nothing was taken then.  'p' stays the caller's, unchanged.  'limit' is the
 * room in 'out'. */
unsigned offload_segment(struct packet *p, struct pool *small, struct pool *large,
                         struct packet *out[], unsigned limit);

/* Whether labels are in front of what is to be cut: kernels cut there only if they know MPLS, and drop it
 * otherwise. */
bool offload_has_labels(const struct packet *p);

/* How many packets that would make; 1 for one that it could not cut or need not. */
uint32_t offload_segments(const struct packet *p);

#endif
