/* Normal: forwarding as a learning bridge does (OFPP_NORMAL).
 *
 * The VLAN of a packet is that of its outermost tag, or what the port that it came by makes of it
 * (vlan.h).
 *
 * Reference: IEEE 802.1Q-2018, 8.6; ovs-actions(7), "normal" */

#include "bridge.h"
#include "bytes.h"
#include "fanout.h"
#include "headers.h"
#include "mac.h"
#include "rewrite.h"
#include "vlan.h"
#include "worker.h"

/* A packet on its way through a bridge. */
struct passage {
    struct bridge *bridge;
    const struct vlan_map *vlans;       /* Null: all ports are in all VLANs. */
    struct attachment *from;            /* Null: none of the bridge's (a packet-out can name one). */
    const struct bridging *port;        /* How 'from' takes part. */
    uint16_t vlan;
};

/* 01-80-c2-00-00-00 to -0f: for the next bridge, not for what is behind it. */
static bool
is_reserved(uint64_t address)
{
    return address >> 4 == 0x0180c200000;
}

static const struct bridging *
bridging_of(const struct attachment *attachment)
{
    return attachment ? atomic_load_explicit(&attachment->bridging, memory_order_acquire) : NULL;
}

/* --- Learning ----------------------------------------------------------------------------- */

/* Whether one more address would be too many behind the port. */
static bool
is_full(const struct worker *worker, const struct passage *passage, uint64_t source)
{
    uint32_t max = passage->port ? passage->port->max_macs : 0;

    return max && atomic_load_explicit(&passage->from->n_macs, memory_order_relaxed) >= max
           && mac_lookup(&passage->bridge->macs, passage->vlan, source, worker->now_ms)
              != passage->from->number;
}

static void
count(struct worker *worker, uint32_t counter)
{
    counter_add(&worker->counters, counter, 1, 0, worker->now_ms);
}

static void
note_change(struct worker *worker, const struct passage *passage, enum mac_learned learned)
{
    atomic_fetch_add_explicit(&passage->from->n_macs, 1, memory_order_relaxed);
    count(worker, learned == MAC_NEW ? passage->bridge->macs_learned : passage->bridge->macs_moved);
}

/* Returns false for a frame from an address that is blocked. */
static bool
learn(struct worker *worker, const struct passage *passage, uint64_t source)
{
    struct bridge *bridge = passage->bridge;

    if (!passage->from) {
        return true;
    }
    if (is_full(worker, passage, source)) {
        count(worker, bridge->macs_refused);
        return true;
    }
    enum mac_learned learned = mac_learn(&bridge->macs, passage->vlan, source,
                                         passage->from->number, worker->now_ms);
    if (learned == MAC_NEW || learned == MAC_MOVED) {
        note_change(worker, passage, learned);
    }
    return learned != MAC_REFUSED;
}

/* --- Leaving ------------------------------------------------------------------------------ */

/* Lets a packet name its VLAN, or not; 'tagged' is whether its outermost tag is the bridge's affair, and becomes
 * what it is then.  Returns false if there is no room for a tag. */
static bool
dress(struct packet *packet, uint16_t vlan, bool untagged, bool *tagged)
{
    if (!vlan) {
        return true;
    }
    rewrite_begin(packet);
    bool was_tagged = *tagged;
    *tagged = !untagged;
    if (untagged && was_tagged) {
        packet_untag(packet);
    }
    if (untagged) {
        return true;
    }
    if (!was_tagged) {
        return packet_tag(packet, ETH_TYPE_VLAN, vlan);
    }
    uint16_t control = get_be16(packet->data + ETH_SIZE);
    if ((control & 0xfff) != vlan) {            /* It told but a priority. */
        put_be16(packet->data + ETH_SIZE, (control & 0xf000) | vlan);
        packet->stale |= STALE_KEY;
    }
    return true;
}

/* Sends a packet to all on a list but where it came from: copies, and itself to the last.  Those that
 * take it as it is come first, so it is changed once at most. */
static void
send_to_all(struct worker *worker, struct packet *packet, const struct egress *list, uint16_t vlan)
{
    bool tagged = has_tag(packet), last_untagged = false;
    uint32_t start = tagged ? list->n_untagged : 0;
    struct attachment *last = NULL;

    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t place = start + i < list->n ? start + i : start + i - list->n;
        struct attachment *to = list->to[place];

        if (to->number == packet->in_port || !attachment_forwards(to)) {
            continue;
        }
        if (last && !dress(packet, vlan, last_untagged, &tagged)) {
            worker_drop(worker, &packet, 1, DROP_no_room);
            return;
        }
        struct packet *copy = last ? worker_copy(worker, packet) : NULL;
        if (copy) {
            worker_send(worker, last, copy);
        }
        last = to;
        last_untagged = place < list->n_untagged;
    }
    if (!last) {
        worker_drop(worker, &packet, 1, DROP_no_port);
    } else if (!dress(packet, vlan, last_untagged, &tagged)) {
        worker_drop(worker, &packet, 1, DROP_no_room);
    } else {
        worker_send(worker, last, packet);
    }
}

static void
flood(struct worker *worker, struct packet *packet, const struct passage *passage)
{
    if (passage->vlans) {
        bool isolated = passage->port && passage->port->isolated;
        send_to_all(worker, packet, passage->vlans->to[isolated][passage->vlan], passage->vlan);
    } else {
        worker_output(worker, packet, PORT_FLOOD, 0);
    }
}

/* --- Multicast ---------------------------------------------------------------------------- */

/* The group that an IP packet goes to.  Returns false if it goes to none that hosts join. */
static bool
find_group(const struct packet *packet, uint16_t vlan, struct snoop_group *group)
{
    const struct flow_key *key = &packet_walk(packet)->key;
    uint16_t type = key->word[W_ETH_DST] & 0xffff;

    if (packet->l3 == NO_OFFSET || (type != ETH_TYPE_IPV4 && type != ETH_TYPE_IPV6)) {
        return false;
    }
    group->vlan = vlan;
    group->family = type == ETH_TYPE_IPV4 ? IP_V4 : IP_V6;
    group->address = type == ETH_TYPE_IPV4
                         ? ip_from_v4((uint32_t)key->word[W_IPV4])
                         : (struct ip_address) { { key->word[W_IPV6_DST],
                                                   key->word[W_IPV6_DST_LOW] } };
    return true;
}

/* Where a packet to a group goes; null: to all ports. */
static const struct egress *
find_members(struct worker *worker, const struct packet *packet, const struct passage *passage,
             const struct fanout *fanout)
{
    bool isolated = passage->port && passage->port->isolated;
    const struct egress *routers = fanout->routers->to[isolated][passage->vlan];
    struct snoop_group group;

    if (!find_group(packet, passage->vlan, &group)) {
        return NULL;
    }
    enum snoop_kind kind = snoop_kind(packet->data + packet->l3, packet->len - packet->l3);
    if (kind != SNOOP_DATA) {
        worker_snoop(worker, packet, passage->vlan);
    }
    if (kind == SNOOP_REPORT) {
        return routers;
    }
    if (kind != SNOOP_DATA || snoop_is_for_all(group.family, &group.address)) {
        return NULL;
    }
    const struct egress *members = fanout_find(fanout, &group, isolated);
    return members ? members : fanout->floods_unknown ? NULL : routers;
}

/* Sends a packet to a group address, or to one that is not known. */
static void
spread(struct worker *worker, struct packet *packet, const struct passage *passage,
       uint64_t destination)
{
    const struct fanout *fanout = atomic_load_explicit(&passage->bridge->fanout,
                                                       memory_order_acquire);
    const struct egress *members = fanout && mac_is_group(destination)
                                       ? find_members(worker, packet, passage, fanout) : NULL;

    if (members) {
        send_to_all(worker, packet, members, passage->vlan);
    } else {
        flood(worker, packet, passage);
    }
}

/* --- Forwarding --------------------------------------------------------------------------- */

/* Sends a packet to the port that its destination is behind. */
static void
forward(struct worker *worker, struct packet *packet, const struct passage *passage, uint32_t number)
{
    const struct bridging *to = passage->vlans ? bridging_of(bridge_port(passage->bridge, number))
                                               : NULL;
    bool tagged = has_tag(packet);

    if (!vlan_reaches(to, passage->vlan)) {
        worker_drop(worker, &packet, 1, DROP_vlan);
    } else if (vlan_isolates(passage->port, to)) {
        worker_drop(worker, &packet, 1, DROP_isolated);
    } else if (passage->vlans
               && !dress(packet, passage->vlan, vlan_untagged(to, passage->vlan), &tagged)) {
        worker_drop(worker, &packet, 1, DROP_no_room);
    } else {
        worker_output(worker, packet, number, 0);
    }
}

/* --- The bridge's own interfaces ---------------------------------------------------------- */

/* The interface of a router on the bridge in the VLAN of a packet that is not its own; null: none. */
static const struct interface *
own_interface(const struct packet *packet, const struct passage *passage)
{
    const struct interface_map *map = atomic_load_explicit(&passage->bridge->interfaces,
                                                           memory_order_acquire);

    return map && packet->in_port != PORT_LOCAL
               ? interface_find(map, passage->vlan ? VID_PRESENT | passage->vlan : 0) : NULL;
}

/* Lets the router have a packet to its own address, and then returns true, or a copy of one to a group. */
static bool
to_router(struct worker *worker, struct packet *packet, const struct interface *own,
          uint64_t destination)
{
    bool is_own = destination == own->mac;

    if (!own->up || !(is_own || mac_is_group(destination))) {
        return false;
    }
    struct packet *for_router = is_own ? packet : worker_copy(worker, packet);
    if (for_router) {
        worker_route(worker, own, &for_router, 1);
    }
    return is_own;
}

/* --- Coming in ---------------------------------------------------------------------------- */

/* Returns false for a packet that may not come in in its VLAN. */
static bool
admit(const struct packet *packet, struct passage *passage)
{
    const struct walk *walk = packet_walk(packet);

    passage->bridge = walk->bridge;
    passage->from = bridge_port(passage->bridge, packet->in_port);
    passage->vlans = atomic_load_explicit(&passage->bridge->vlans, memory_order_acquire);
    passage->port = passage->vlans ? bridging_of(passage->from) : NULL;

    unsigned vlan = vlan_classify(passage->port, walk->key.word[W_ETH_SRC]);

    passage->vlan = (uint16_t)vlan;
    return vlan != VLAN_NONE;
}

void
worker_normal(struct worker *worker, struct packet *packet)
{
    struct passage passage;

    packet_refresh(packet);
    if (packet->len < ETH_SIZE || is_reserved(get_be48(packet->data))) {
        worker_drop(worker, &packet, 1, DROP_reserved);
        return;
    }
    if (!admit(packet, &passage)) {
        worker_drop(worker, &packet, 1, DROP_vlan);
        return;
    }

    const struct mac_table *macs = &passage.bridge->macs;
    uint64_t source = get_be48(packet->data + 6), destination = get_be48(packet->data);

    bool blocked = !learn(worker, &passage, source);
    const struct interface *own = own_interface(packet, &passage);
    if (own && !blocked && to_router(worker, packet, own, destination)) {
        return;
    }
    uint32_t port = mac_lookup(macs, passage.vlan, destination, worker->now_ms);
    if (blocked || port == MAC_BLOCKED) {
        worker_drop(worker, &packet, 1, DROP_blocked);
    } else if (port) {
        forward(worker, packet, &passage, port);
    } else {
        spread(worker, packet, &passage, destination);
    }
}

unsigned
op_bridge(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    (void)insn;
    for (unsigned i = 0; i < n; i++) {
        worker_normal(worker, packets[i]);
    }
    return 0;
}
