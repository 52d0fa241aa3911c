/* Pushing and popping tags: VLAN, MPLS, PBB.
 *
 * To pop what a packet does not have is no change.  A packet without room for another tag
 * is dropped. */

#include "bytes.h"
#include "headers.h"
#include "pool.h"
#include "program.h"
#include "rewrite.h"

enum {
    TYPE_AT = 4,                /* The Ethernet type in an action. */
    ADDRESSES_SIZE = 12,        /* Bytes of both Ethernet addresses. */
    PBB_SIZE = 18,              /* Ethernet header and the I-TAG without the customer's addresses. */
};

/* Moves an offset together with the bytes it points to. */
static void
move_offset(uint16_t *offset, int n)
{
    if (*offset != NO_OFFSET) {
        *offset = (uint16_t)(*offset + n);
    }
}

/* Moves all of them.  A longer frame may have headers that are too far for an offset
 * on one side of the change only. */
static void
move_offsets(struct packet *p, int n)
{
    if (p->len >= NO_OFFSET) {
        p->stale |= STALE_LAYOUT;
        return;
    }
    move_offset(&p->eth_type_at, n);
    move_offset(&p->l2_5, n);
    move_offset(&p->l3, n);
    move_offset(&p->l4, n);
}

/* Makes room of 'n' bytes behind the first 'keep'. */
static bool
insert(struct packet *p, unsigned keep, unsigned n)
{
    if (!packet_push(p, n)) {
        return false;
    }
    memmove(p->data, p->data + n, keep);
    rewrite_move_offload(p, (int)n);
    p->stale |= STALE_KEY;
    return true;
}

/* Takes 'n' bytes out behind the first 'keep'. */
static void
take(struct packet *p, unsigned keep, unsigned n)
{
    memmove(p->data + n, p->data, keep);
    packet_pull(p, n);
    rewrite_move_offload(p, -(int)n);
    p->stale |= STALE_KEY;
}

/* What an action does to one packet.  Returns false if there is no room. */
typedef bool change(struct packet *, const uint8_t *action);

/* Does it to each packet. */
static inline unsigned
each(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n,
     change *change)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < n; i++) {
        struct packet *p = packets[i];

        rewrite_begin(p);
        if (change(p, insn_args(insn, p))) {
            packets[kept++] = p;
        } else {
            worker_drop(worker, &p, 1, DROP_no_room);
        }
    }
    return kept;
}

/* --- VLAN ------------------------------------------------------------------------------ */

bool
packet_tag(struct packet *p, uint16_t type, uint16_t control)
{
    if (p->eth_type_at == NO_OFFSET) {
        return true;
    }
    if (!insert(p, ADDRESSES_SIZE, VLAN_SIZE)) {
        return false;
    }
    put_be16(p->data + ETH_TYPE_AT, type);
    put_be16(p->data + ETH_SIZE, control);
    move_offsets(p, VLAN_SIZE);
    return true;
}

void
packet_untag(struct packet *p)
{
    if (has_tag(p)) {
        take(p, ADDRESSES_SIZE, VLAN_SIZE);
        move_offsets(p, -VLAN_SIZE);
    }
}

static bool
push_vlan(struct packet *p, const uint8_t *action)
{
    uint16_t control = has_tag(p) ? get_be16(p->data + ETH_SIZE) & 0xefff : 0;

    return packet_tag(p, get_be16(action + TYPE_AT), control);
}

static bool
pop_vlan(struct packet *p, const uint8_t *action)
{
    (void)action;
    packet_untag(p);
    return true;
}

/* --- MPLS -------------------------------------------------------------------------------- */

/* Returns the shim that goes in front of the one there is, or of IP. */
static uint32_t
new_shim(const struct packet *p)
{
    enum { LABEL_TC_TTL = 0xfffffeff, BOTTOM = 0x100 };

    if (has_mpls(p)) {
        return get_be32(p->data + p->l2_5) & LABEL_TC_TTL;
    }
    switch (ip_version(p)) {
    case 4:
        return BOTTOM | p->data[p->l3 + 8];
    case 6:
        return BOTTOM | p->data[p->l3 + 7];
    default:
        return BOTTOM;
    }
}

static bool
push_mpls(struct packet *p, const uint8_t *action)
{
    uint32_t at = p->eth_type_at + 2u, shim = new_shim(p);

    if (p->eth_type_at == NO_OFFSET || at >= NO_OFFSET) {
        return true;
    }
    if (!insert(p, at, MPLS_SIZE)) {
        return false;
    }
    memcpy(p->data + p->eth_type_at, action + TYPE_AT, 2);
    put_be32(p->data + at, shim);
    p->l2_5 = (uint16_t)at;
    p->l3 = p->l4 = NO_OFFSET;
    return true;
}

static bool
pop_mpls(struct packet *p, const uint8_t *action)
{
    if (has_mpls(p)) {
        take(p, p->l2_5, MPLS_SIZE);
        memcpy(p->data + p->eth_type_at, action + TYPE_AT, 2);
        p->stale |= STALE_LAYOUT;
    }
    return true;
}

/* --- PBB ---------------------------------------------------------------------------------- */

static bool
push_pbb(struct packet *p, const uint8_t *action)
{
    uint32_t pcp = has_tag(p) ? p->data[ETH_SIZE] >> 5 : 0;
    uint32_t isid = has_itag(p) ? get_be32(p->data + p->l2_5) & 0xffffff : 0;

    if (p->eth_type_at == NO_OFFSET) {
        return true;
    }
    if (!insert(p, 0, PBB_SIZE)) {
        return false;
    }
    memcpy(p->data, p->data + PBB_SIZE, ADDRESSES_SIZE);
    memcpy(p->data + ETH_TYPE_AT, action + TYPE_AT, 2);
    put_be32(p->data + ETH_SIZE, pcp << 29 | isid);
    p->eth_type_at = ETH_TYPE_AT;
    p->l2_5 = ETH_SIZE;
    p->l3 = p->l4 = NO_OFFSET;
    return true;
}

/* The customer's addresses become the frame's, if a type is behind them.  Tags of the backbone
 * stay: they are pop_vlan's. */
static bool
pop_pbb(struct packet *p, const uint8_t *action)
{
    (void)action;
    if (has_itag(p) && p->len >= p->l2_5 + ITAG_SIZE + 2u) {
        memcpy(p->data, p->data + p->l2_5 + 4, ADDRESSES_SIZE);
        take(p, p->eth_type_at, PBB_SIZE);
        p->stale |= STALE_LAYOUT;
    }
    return true;
}

/* --- The instructions ------------------------------------------------------------------------ */

/* struct ofp_action_push or _pop_mpls: type, len, ethertype; or only type and len. */
#define OP(CHANGE)                                                                                \
    unsigned op_##CHANGE(struct worker *worker, const struct insn *insn, struct packet **packets, \
                         unsigned n)                                                              \
    {                                                                                             \
        return each(worker, insn, packets, n, CHANGE);                                            \
    }

OP(push_vlan)
OP(pop_vlan)
OP(push_mpls)
OP(pop_mpls)
OP(push_pbb)
OP(pop_pbb)
