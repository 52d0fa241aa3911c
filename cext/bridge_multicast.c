/* Snooping: who wants which multicast groups, heard from packets that workers copy, told to them as lists.
 *
 * Reference: RFC 4541 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge_private.h"
#include "fanout.h"
#include "headers.h"
#include "worker.h"

/* What the control thread knows of a bridge that snoops. */
struct snooping {
    struct snoop snoop;
    bool floods_unknown;
    uint64_t published;         /* Changes of membership that workers know of. */
};

static const struct port_map *
ports_of(const struct bridge *bridge)
{
    return atomic_load_explicit(&bridge->ports, memory_order_relaxed);
}

/* --- Telling workers ---------------------------------------------------------------------- */

static void
publish(struct bridge *bridge, struct fanout *fanout)
{
    struct fanout *old = atomic_load_explicit(&bridge->fanout, memory_order_relaxed);

    atomic_store_explicit(&bridge->fanout, fanout, memory_order_release);
    if (old) {
        epoch_retire(&bridge->dataplane->epoch, old, fanout_free, NULL);
    }
}

void
bridge_publish_fanout(struct bridge *bridge)
{
    struct snooping *snooping = bridge->snooping;
    struct fanout *fanout = NULL;

    if (snooping) {
        fanout = fanout_new(ports_of(bridge), &snooping->snoop, snooping->floods_unknown);
        snooping->published = fanout ? snooping->snoop.changes : UINT64_MAX;
    }
    publish(bridge, fanout);    /* Without memory all is flooded, until the next tick. */
}

/* --- Configuration ------------------------------------------------------------------------ */

void
bridge_close_snooping(struct bridge *bridge)
{
    fanout_free(atomic_load_explicit(&bridge->fanout, memory_order_relaxed), NULL);
    if (bridge->snooping) {
        snoop_close(&bridge->snooping->snoop);
        free(bridge->snooping);
    }
}

static int
begin(struct bridge *bridge)
{
    bridge->snooping = calloc(1, sizeof *bridge->snooping);
    if (!bridge->snooping) {
        return ENOMEM;
    }
    snoop_open(&bridge->snooping->snoop, 0);
    return 0;
}

static void
end(struct bridge *bridge)
{
    snoop_close(&bridge->snooping->snoop);
    free(bridge->snooping);
    bridge->snooping = NULL;
}

int
bridge_set_multicast(struct bridge *bridge, const struct multicast *multicast)
{
    if (!multicast->snoops) {
        if (bridge->snooping) {
            end(bridge);
            bridge_publish_fanout(bridge);
        }
        return 0;
    }
    if (!bridge->snooping && begin(bridge)) {
        return ENOMEM;
    }
    struct snooping *snooping = bridge->snooping;
    snooping->snoop.max = multicast->max_groups;
    snooping->snoop.querier = multicast->querier;
    snooping->floods_unknown = multicast->floods_unknown;
    bridge_publish_fanout(bridge);
    return 0;
}

const struct snoop *
bridge_snooped(const struct bridge *bridge)
{
    return bridge->snooping ? &bridge->snooping->snoop : NULL;
}

void
bridge_forget_member(struct bridge *bridge, uint32_t port)
{
    if (bridge->snooping) {
        snoop_forget(&bridge->snooping->snoop, port);
    }
}

/* --- Hearing ------------------------------------------------------------------------------ */

/* Where the IP header of a frame lies behind its tags; 0: it has none. */
static size_t
find_ip(const uint8_t *frame, size_t len)
{
    size_t at = ETH_TYPE_AT;

    while (len >= at + 2 + VLAN_SIZE && is_vlan_type(get_be16(frame + at))) {
        at += VLAN_SIZE;
    }
    uint16_t type = len >= at + 2 ? get_be16(frame + at) : 0;
    return type == ETH_TYPE_IPV4 || type == ETH_TYPE_IPV6 ? at + 2 : 0;
}

void
bridge_hear(struct dataplane *dataplane, const struct punt *punt, uint64_t now_ms)
{
    struct bridge *bridge = atomic_load_explicit(&dataplane->bridges[punt->bridge],
                                                 memory_order_relaxed);
    const struct attachment *from = bridge ? bridge_port(bridge, punt->in_port) : NULL;
    size_t at = find_ip(punt->frame, punt->len);

    if (from && bridge->snooping && at) {
        const struct bridging *how = atomic_load_explicit(&from->bridging, memory_order_relaxed);
        snoop_hear(&bridge->snooping->snoop, (uint16_t)punt->metadata, punt->in_port,
                   how && how->leaves_at_once, punt->frame + at, punt->len - at, now_ms);
    }
}

/* --- Asking ------------------------------------------------------------------------------- */

/* Sends a frame into a VLAN of the bridge, as one that its own host sends. */
static void
send_into(struct bridge *bridge, unsigned vlan, const uint8_t *frame, size_t size)
{
    struct worker *worker = atomic_load_explicit(&bridge->dataplane->workers[0],
                                                 memory_order_relaxed);
    const struct program *program = bridge->dataplane->pipelines[PIPELINE_bridge];
    uint8_t tagged[SNOOP_QUERY_MAX + VLAN_SIZE];
    size_t n_tag = vlan ? VLAN_SIZE : 0;

    memcpy(tagged, frame, ETH_TYPE_AT);
    put_be16(tagged + ETH_TYPE_AT, ETH_TYPE_VLAN);
    put_be16(tagged + ETH_SIZE, (uint16_t)vlan);
    memcpy(tagged + ETH_TYPE_AT + n_tag, frame + ETH_TYPE_AT, size - ETH_TYPE_AT);
    if (worker && worker_inject(worker, bridge, program_refer(program), "", 0, PORT_LOCAL, tagged,
                                size + n_tag)) {
        program_release(&bridge->dataplane->programs, program);
    }
}

static void
ask(struct bridge *bridge, const struct snoop_group *group, uint64_t now_ms)
{
    uint64_t mac = (bridge->datapath_id & 0xfcffffffffff) | 0x020000000000;
    uint8_t frame[SNOOP_QUERY_MAX];
    size_t size = snoop_query(&bridge->snooping->snoop, group, mac, now_ms, frame);
    if (size) {
        send_into(bridge, group->vlan, frame, size);
    }
}

/* The VLANs that ports of the bridge name, and VLAN 0 if some port is in all; a trunk of all VLANs names none. */
static struct vlan_set
asked_vlans(const struct bridge *bridge)
{
    const struct port_map *ports = ports_of(bridge);
    struct vlan_set vlans = { { 0 } };

    for (uint32_t i = 0; i < ports->n; i++) {
        const struct bridging *how = atomic_load_explicit(&ports->list[i]->bridging,
                                                          memory_order_relaxed);
        bool all = true;
        for (unsigned j = 0; how && j < VLANS / 64; j++) {
            all &= how->vlans.bits[j] == UINT64_MAX;
        }
        for (unsigned j = 0; how && !all && j < VLANS / 64; j++) {
            vlans.bits[j] |= how->vlans.bits[j];
        }
        if (all) {
            vlan_add(&vlans, how && how->mode != VLAN_TRUNK ? how->vlan : 0);
        }
    }
    return vlans;
}

static void
ask_all(struct bridge *bridge, uint64_t now_ms)
{
    struct vlan_set vlans = asked_vlans(bridge);

    for (unsigned vlan = 0; vlan < VLANS; vlan++) {
        if (vlan_in(&vlans, vlan)) {
            ask(bridge, &(const struct snoop_group) { .vlan = (uint16_t)vlan, .family = IP_V4 },
                now_ms);
            ask(bridge, &(const struct snoop_group) { .vlan = (uint16_t)vlan, .family = IP_V6 },
                now_ms);
        }
    }
}

void
bridge_snoop(struct bridge *bridge, uint64_t now_ms)
{
    struct snooping *snooping = bridge->snooping;

    if (!snooping) {
        return;
    }
    struct snoop *snoop = &snooping->snoop;
    snoop_advance(snoop, now_ms);
    if (snooping->published != snoop->changes) {
        bridge_publish_fanout(bridge);
    }
    if (snoop_asks(snoop, now_ms)) {
        ask_all(bridge, now_ms);
    }
    while (snoop->n_left) {
        ask(bridge, &snoop->left[--snoop->n_left], now_ms);
    }
}
