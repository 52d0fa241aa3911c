#ifndef RAICHO_PARSE_H
#define RAICHO_PARSE_H

/* Parser: where the headers of a frame are, and its flow key.
 *
 * What
 * ====
 * Bounds are checked here, once; behind the parser every offset that is not
 * NO_OFFSET has its whole fixed header inside the frame.  A malformed or cut
 * header is not an error: what was understood before it is kept, the rest of
 * the key is 0 and its offsets are NO_OFFSET.
 *
 * How the layers are read
 * =======================
 * - Ethernet: 14 bytes, or there is nothing at all.
 * - VLAN tags (0x8100, 0x88a8, 0x9100) are skipped, any number of them; vlan_vid
 *   and vlan_pcp are the outermost tag's; eth_type is the type behind them all.
 *   A tag is whole if the type behind it is; a cut one is no tag, and eth_type
 *   is its own number.
 * - A length below 0x600 is 802.3: eth_type is 0x05ff, or SNAP's type if the
 *   LLC header is aa-aa-03 and the OUI 0 (8 bytes, whole) and the type is none
 *   below 0x600; eth_type_at is that type's place then.  Tags are not looked
 *   for behind it.
 * - MPLS: the outermost shim; nothing behind it.  PBB: the I-TAG (16 bytes, up to
 *   the customer's source address); nothing behind.
 * - ARP only for Ethernet and IPv4 (hardware type 1, protocol 0x0800, lengths 6, 4).
 * - IPv4 needs version 4, a header length >= 20 within the frame, and a total
 *   length that is not shorter than the header nor longer than the frame
 *   holds (frames may be padded).  Fragments: later ones have no L4.
 * - IPv6 needs version 6 and a payload length not longer than the frame holds;
 *   0 means no payload.  Extension headers (hop-by-hop, routing, fragment, AH,
 *   destination options) are walked up to 16 deep; ip_proto is the last next
 *   header reached.  An extension header that is cut leaves ip_proto at its own
 *   number.  Behind the header of a later fragment nothing is read, nor counted.
 * - ipv6_exthdr has the bit of each header walked, and of ESP or "no next header"
 *   if that ends the walk; a header that is cut, or the 17th, sets none.  HOP only
 *   if it is the first header.  UNREP: destination options more than twice, or
 *   another header more than once.  UNSEQ: the headers are not a subsequence of
 *   HOP, DEST, ROUTER, FRAG, AUTH, ESP, DEST.
 * - frag is FRAG_ANY for the first fragment, FRAG_ANY | FRAG_LATER for later ones;
 *   an IPv6 fragment header with offset 0 and no more to come is no fragment.
 * - L4 only if the minimal header is whole inside the IP payload: TCP 20, UDP 8,
 *   SCTP 12, ICMP 4 (only in IPv4), ICMPv6 4 (only in IPv6).
 * - ND fields only for ICMPv6 135/136, code 0, whole messages (24 bytes).  nd_sll
 *   is the first source link-layer address option of 8 bytes of a 135, nd_tll the
 *   first target one of a 136.  Options of a length 0, or cut, end the walk.
 * - A header at offset 65535 or beyond counts as cut.
 *
 * Cost
 * ====
 * One pass, no allocation; reads at most the headers.
 *
 * Threads: none. */

#include "packet.h"

/* Sets the offsets of 'p' and the header words (W_HEADERS_FIRST to
 * W_HEADERS_LAST) of 'key'; other words of the key are not touched.  The key
 * is no longer stale then. */
void parse(struct packet *p, struct flow_key *key);

/* The same with the packet's own key: the next lookup sees the packet as it is now. */
void parse_again(struct packet *p);

/* Parses 'n' packets that were just received: clears their whole key, sets
 * in_port (and in_phy_port to the same), then as parse(). */
void parse_vector(struct packet *const packets[], unsigned n);

#endif
