#ifndef RAICHO_OFFLOAD_H
#define RAICHO_OFFLOAD_H

/* Completing in software what a sender left to hardware, for ports that
 * cannot take it on. */

#include "packet.h"

/* Computes the checksum that offload.flags asks for, stores it and clears the
 * flag.  Offsets outside the frame clear the flag and change nothing else. */
void offload_checksum(struct packet *p);

/* Cuts a TCP (IPv4, IPv6) or UDP (USO) packet with a gso_type into packets of at most
 * gso_size bytes of payload each, with their lengths, IP identification, sequence
 * numbers, flags and checksums right; packets come from 'small' (or 'large' if a segment does
 * not fit).  Returns how many of 'out' were filled; 0 if it could not (unknown
 * type, no packets): nothing was taken then.  'p' stays the caller's. 'limit' is the room in 'out'. */
unsigned offload_segment(struct packet *p, struct pool *small, struct pool *large,
                         struct packet *out[], unsigned limit);

#endif
