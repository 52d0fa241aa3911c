#ifndef RAICHO_FRAGMENT_H
#define RAICHO_FRAGMENT_H

/* Fragments made of an IP packet that is too long for a link: of any IPv4 packet that allows it, and of IPv6
 * packets of our own.
 *
 * A packet is looked at once; then each fragment is written into memory of the caller.
 *
 * Reference: RFC 791, sections 3.1 and 3.2; RFC 8200, section 4.5 */

#include <stddef.h>
#include <stdint.h>

enum { FRAGMENT_HEADER_MAX = 60 };

struct fragmentation {
    const uint8_t *packet;
    unsigned n;                         /* Fragments there will be. */
    uint32_t payload, end;              /* Where the part that is divided begins and ends. */
    uint32_t first_size, later_size;    /* Bytes of it in the first and in each later fragment. */
    uint8_t header_len;                 /* Of later fragments. */
    uint8_t header[FRAGMENT_HEADER_MAX];
    uint32_t id;                        /* Of IPv6. */
};

/* Plans the fragments of a packet, none longer than 'mtu'; one that is short enough stays as it is.
 * 'id' is that of IPv6 fragments, for which the packet must have no extension headers.  Returns 0, EMSGSIZE
 * (it must not be fragmented: its sender gets ICMP_TOO_BIG) or EINVAL (damaged, or an MTU that no
 * fragment fits). */
int fragment_plan(struct fragmentation *plan, const uint8_t *packet, size_t len, uint32_t mtu,
                  uint32_t id);

/* Writes fragment 'i', at most 'mtu' bytes; returns its length. */
size_t fragment_write(const struct fragmentation *plan, unsigned i, uint8_t *to);

#endif
