#ifndef RAICHO_NAT64_ICMP_H
#define RAICHO_NAT64_ICMP_H

/* NAT64: what an ICMP message says, in the other version (RFC 7915, sections 4.2 and 5.2). */

#include <stdbool.h>
#include <stdint.h>

/* What stands in front of the packet inside an error, or of a query's data. */
struct nat64_message {
    uint8_t type, code;
    uint32_t value;             /* The second word: MTU, pointer; else nothing. */
};

/* MTUs that an error's own must not exceed: of the link that it comes by, and that it leaves by. */
struct nat64_mtus {
    uint32_t from, to;
};

/* Each translates a message in place; false: the other version has none like it.  'inner' is the total length of the
 * IPv4 packet inside, for routers that say no MTU (RFC 1191, section 7); 'fragment' says whether that of
 * IPv6 has a fragment header. */
bool nat64_message_to_ipv6(struct nat64_message *message, const struct nat64_mtus *mtus, uint32_t inner);
bool nat64_message_to_ipv4(struct nat64_message *message, const struct nat64_mtus *mtus, bool fragment);

#endif
