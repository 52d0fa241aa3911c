/* Packets on their way to controllers, as OpenFlow messages.
 *
 * Reference: OpenFlow Switch Specification 1.3.5, section 7.4.1. */

#include "bridge_private.h"
#include "worker.h"

enum { OFPT_PACKET_IN = 10, PACKET_IN_MATCH = 24 };

/* The fields of the pipeline that the packet had. */
static void
punt_match(const struct punt *punt, struct of_match *match)
{
    *match = (struct of_match) { 0 };
    match->key.word[W_PORT] = (uint64_t) punt->in_port << 32;
    match->mask.word[W_PORT] = (uint64_t) UINT32_MAX << 32;
    match->key.word[W_METADATA] = punt->metadata;
    match->mask.word[W_METADATA] = punt->metadata ? UINT64_MAX : 0;
    match->key.word[W_TUNNEL_ID] = punt->tunnel_id;
    match->mask.word[W_TUNNEL_ID] = punt->tunnel_id ? UINT64_MAX : 0;
}

/* struct ofp_packet_in: buffer_id at 8, total_len 12, reason 14, table_id 15, cookie 16,
 * match 24, two bytes of padding, the frame.  There are no buffers, so it is the whole frame,
 * whatever length was asked for. */
void
bridge_packet_in(const struct punt *punt, struct buffer *out)
{
    size_t begin = out->len;
    struct of_match match;
    uint8_t *at = buffer_put(out, PACKET_IN_MATCH);

    if (!at) {
        return;
    }
    at[0] = OFP_VERSION;
    at[1] = OFPT_PACKET_IN;
    put_be32(at + 8, OFP_NO_BUFFER);
    put_be16(at + 12, punt->len < UINT16_MAX ? punt->len : UINT16_MAX);
    at[14] = punt->reason;
    at[15] = punt->table;
    put_be64(at + 16, punt->cookie);
    punt_match(punt, &match);
    ofwire_put_match(out, &match.key, &match.mask);
    buffer_put(out, 2);
    size_t room = UINT16_MAX - (out->len - begin);
    buffer_add(out, punt->frame, punt->len < room ? punt->len : room);
    if (out->failed) {
        out->len = begin;
        return;
    }
    put_be16(out->data + begin + 2, out->len - begin);
}
