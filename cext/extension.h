#ifndef RAICHO_EXTENSION_H
#define RAICHO_EXTENSION_H

/* The chain of IPv6 extension headers of a packet on the control thread, up to what they are in front of.
 *
 * It ends at a later fragment, as what follows there is no header, and at ESP.
 *
 * Reference: RFC 8200, section 4 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "headers.h"

struct extension_chain {
    uint8_t proto;              /* What follows the chain, or would in the first fragment. */
    size_t payload;             /* Offset of what follows. */
    size_t named_at;            /* Offset of the byte that names the fragment header; 0: there is none. */
    size_t fragment;            /* Offset of the fragment header. */
    bool is_whole;              /* The chain does not end before it should. */
};

enum { FRAGMENT_SIZE = 8 /* Bytes of a fragment header. */ };

/* The bytes of an extension header with those first two; 0: it is none. */
static inline size_t
extension_size(uint8_t proto, const uint8_t *header)
{
    switch (proto) {
    case IP_PROTO_HOP:
    case IP_PROTO_ROUTER:
    case IP_PROTO_DEST:
        return 8 * (header[1] + 1u);
    case IP_PROTO_AUTH:
        return 4 * (header[1] + 2u);
    case IP_PROTO_FRAG:
        return FRAGMENT_SIZE;
    default:
        return 0;
    }
}

/* Follows the chain of a packet of at least IPV6_SIZE bytes. */
static inline struct extension_chain
extension_walk(const uint8_t *packet, size_t len)
{
    struct extension_chain chain = { .proto = packet[6], .payload = IPV6_SIZE };
    size_t named_at = 6;

    for (;;) {
        static const uint8_t none[2];
        bool is_there = chain.payload + 2 <= len;
        size_t size = extension_size(chain.proto, is_there ? packet + chain.payload : none);

        if (!size || !is_there || chain.payload + size > len) {
            chain.is_whole = !size;
            return chain;
        }
        const uint8_t *header = packet + chain.payload;
        bool is_fragment = chain.proto == IP_PROTO_FRAG && !chain.named_at;

        if (is_fragment) {
            chain.named_at = named_at;
            chain.fragment = chain.payload;
        }
        named_at = chain.payload;
        chain.proto = header[0];
        chain.payload += size;
        if (is_fragment && get_be16(header + 2) & 0xfff8) {
            chain.is_whole = true;
            return chain;
        }
    }
}

#endif
