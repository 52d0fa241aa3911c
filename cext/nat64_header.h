#ifndef RAICHO_NAT64_HEADER_H
#define RAICHO_NAT64_HEADER_H

/* NAT64: one header in the place of another (RFC 7915, sections 4.1 and 5.1), and addresses in addresses (RFC 6052).
 * No state, and nothing of sessions. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "headers.h"
#include "ip.h"

enum { IPV6_HEADERS_MAX = IPV6_SIZE + 8 /* With a fragment header. */ };

/* What the headers of an IP packet say, whatever its version. */
struct nat64_header {
    const uint8_t *ip;
    uint8_t version;            /* 4 or 6 */
    uint8_t proto;              /* In IPv4's numbers: ICMPv6 is ICMP. */
    bool is_fragment, more;     /* Fragments: whether there are more behind it, */
    bool whole;                 /* IPv4: it must not be fragmented. */
    uint16_t offset;            /* in units of 8 bytes, */
    uint32_t id;                /* and which belong together. */
    uint32_t size;              /* Bytes of headers, */
    uint32_t payload;           /* and of what is behind them, in the packet as it was sent. */
};

/* Reads the headers of 'room' bytes of packet; false: they are cut, or such that no translator may take
 * (a route that is not at its end, an option that says one). */
bool nat64_read(const uint8_t *ip, size_t room, struct nat64_header *header);

/* Writes the header that the other version has instead; returns its size.  'id' is for an IPv4 packet which
 * may be fragmented. */
unsigned nat64_write_ipv4(const struct nat64_header *of, uint32_t source, uint32_t destination, uint16_t id,
                          uint8_t to[IPV4_SIZE]);
unsigned nat64_write_ipv6(const struct nat64_header *of, const struct ip_address *source,
                          const struct ip_address *destination, uint8_t to[IPV6_HEADERS_MAX]);

/* What of a packet its transport's checksum covers and the translation changes: the pseudo header, ports or
 * type, code and id. */
struct nat64_summed {
    uint8_t bytes[IPV6_SIZE + 8];
};

/* 'l4' has at least 8 bytes, and is to be as it is in a packet behind the header at 'ip'; without 'ports' only the
 * pseudo header counts. */
void nat64_summed(const uint8_t *ip, uint8_t proto, uint32_t payload, const uint8_t *l4, bool ports,
                  struct nat64_summed *summed);

/* --- Addresses (RFC 6052, section 2.2) -------------------------------------------------------------------- */

/* Whether a prefix can have IPv4 addresses behind it: 32, 40, 48, 56, 64 or 96 bits, no bits behind them, and bits
 * 64 to 71 are 0. */
bool nat64_prefix_is_valid(const struct ip_prefix *prefix);

struct ip_address nat64_embed(const struct ip_prefix *prefix, uint32_t address);
uint32_t nat64_extract(const struct ip_prefix *prefix, const struct ip_address *address);

/* Whether an IPv4 address may stand behind the prefix: behind the well-known one 64:ff9b::/96 only those that
 * are the same everywhere (RFC 6052, section 3.1). */
bool nat64_may_embed(const struct ip_prefix *prefix, uint32_t address);

#endif
