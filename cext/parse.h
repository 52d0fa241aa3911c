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
 * - VLAN tags (0x8100, 0x88a8, 0x9100) are skipped, any number of them; vlan_vid
 *   and vlan_pcp are the outermost tag's; eth_type is the type behind them all.
 * - A length below 0x600 is 802.3: eth_type is 0x05ff, or SNAP's type if the
 *   LLC header is aa-aa-03 and the OUI 0.
 * - MPLS: the outermost shim; nothing behind it.  PBB: the I-TAG; nothing behind.
 * - ARP only for Ethernet and IPv4.
 * - IPv4 needs version 4, a header length >= 20 within the frame, and a total
 *   length that is not shorter than the header nor longer than the frame
 *   holds (frames may be padded).  Fragments: later ones have no L4.
 * - IPv6: extension headers are walked up to 16 deep; ip_proto is the last
 *   next header reached; ipv6_exthdr has the OFPIEH_* bits; later fragments
 *   have no L4.  An extension header that is cut leaves ip_proto at its own number.
 * - L4 only if the minimal header is whole inside the IP payload: TCP 20, UDP 8,
 *   SCTP 12, ICMP 4, ICMPv6 4.  ND fields only for ICMPv6 135/136, code 0, whole
 *   messages; options of a length 0 end the walk.
 *
 * Cost
 * ====
 * One pass, no allocation; reads at most the headers.
 *
 * Threads: none. */

#include "packet.h"

/* Sets the offsets of 'p' and the header words (W_HEADERS_FIRST to
 * W_HEADERS_LAST) of 'key'; other words of the key are not touched. */
void parse(struct packet *p, struct flow_key *key);

/* Parses 'n' packets that were just received: clears their whole key, sets
 * in_port (and in_phy_port to the same), then as parse(). */
void parse_vector(struct packet *const packets[], unsigned n);

#endif
