#ifndef RAICHO_FORWARD_H
#define RAICHO_FORWARD_H

/* Forward: what becomes of the bytes of a packet that a router sends on, to one (op_route.c) or to many
 * (op_tree.c).
 *
 * Reference: RFC 1812, section 5.3.1; RFC 8200, section 3 */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "bridge.h"
#include "bytes.h"
#include "headers.h"
#include "interface.h"
#include "worker.h"

/* Says to the control thread by which adjacency a packet was to leave, and by which interface it came. */
static inline uint64_t
forward_cookie(uint32_t adjacency, const struct interface *from)
{
    return (uint64_t) adjacency << 32 | from->index;
}

/* Puts another header, its Ethernet type left open, in the place of what is in front of the network layer.
 * Returns false if there is no room. */
static inline bool
forward_behind(struct packet *p, const uint8_t *header, uint8_t header_len, bool v6)
{
    int shift = (int) p->l3 - header_len;

    if (shift < -(int) p->headroom) {
        return false;
    }
    p->data += shift;
    p->len -= shift;
    p->headroom += shift;
    p->l3 = header_len;
    p->l4 -= p->l4 == NO_OFFSET ? 0 : shift;
    p->offload.csum_start -= shift;
    p->offload.hdr_len -= p->offload.hdr_len ? shift : 0;
    p->eth_type_at = header_len - 2;
    if (header_len == ETH_SIZE) {
        memcpy(p->data, header, ETH_SIZE);              /* A length that the compiler knows. */
    } else {
        memcpy(p->data, header, header_len);
    }
    put_be16(p->data + header_len - 2, v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4);
    return true;
}

/* Takes one from the time to live.  The checksum grows by what that loses (RFC 1624, with 0xffff as 0). */
static inline void
forward_count_down(uint8_t *ip, bool v6)
{
    if (v6) {
        ip[7]--;
        return;
    }
    uint32_t sum = get_be16(ip + 10) + 0x0100u;

    put_be16(ip + 8, get_be16(ip + 8) - 0x0100);
    put_be16(ip + 10, (uint16_t) (sum + (sum >= 0xffff)));
}

/* Bytes behind offset 'at' of the longest packet that will be on the link: a segment, if it is to be cut. */
static inline uint32_t
forward_length_behind(const struct packet *p, uint32_t at)
{
    uint32_t len = p->len - at;

    if (p->offload.gso_type && p->offload.hdr_len > at) {
        uint32_t segment = p->offload.hdr_len - at + (uint32_t) p->offload.gso_size;
        return segment < len ? segment : len;
    }
    return len;
}

static inline uint32_t
forward_length(const struct packet *p)
{
    return forward_length_behind(p, p->l3);
}

/* Cuts off what is behind the network layer's packet. */
static inline void
forward_cut(struct packet *p, uint32_t len)
{
    uint32_t tailroom = p->tailroom + (p->len - len);

    p->tailroom = tailroom < UINT16_MAX ? tailroom : UINT16_MAX;
    p->len = len;
}

/* Ethernet pads short frames; behind the network layer they end. */
static inline void
forward_trim(struct packet *p, bool v6)
{
    const uint8_t *ip = p->data + p->l3;
    uint32_t len = p->l3 + (v6 ? IPV6_SIZE + get_be16(ip + 4) : get_be16(ip + 2));

    if (p->len > len && !p->offload.gso_type && (!v6 || len > (uint32_t) p->l3 + IPV6_SIZE)) {
        forward_cut(p, len);
    }
}

/* Lets a whole frame of ours enter a bridge; takes it. */
static inline void
forward_to_bridge(struct worker *worker, struct packet *p, struct bridge *bridge)
{
    packet_walk(p)->bridge = bridge;
    p->in_port = PORT_LOCAL;
    parse_again(p);
    worker_normal(worker, p);
}

/* Lets a packet leave by an interface, counted, with the header of an adjacency in front; takes it. */
static inline void
forward_leave(struct worker *worker, const struct interface *to, const struct adjacency *by, struct packet *p)
{
    counter_add(&worker->counters, by->counter, 1, p->len, worker->now_ms);
    counter_add(&worker->counters, to->sent, 1, p->len, worker->now_ms);
    if (by->kind == ADJACENCY_BRIDGE) {
        forward_to_bridge(worker, p, by->bridge);
    } else {
        worker_send(worker, by->to, p);
    }
}

#endif
