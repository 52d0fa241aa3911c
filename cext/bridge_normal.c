/* What OFPP_NORMAL goes by: how the ports of a bridge take part, and the addresses behind them. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge_private.h"
#include "worker.h"

enum { MACS_COUNT_MS = 1000 };

/* --- Ports ---------------------------------------------------------------------------- */

struct bridging *
bridging_copy(const struct bridging *bridging)
{
    struct bridging *copy = malloc(sizeof *copy);

    if (copy) {
        *copy = *bridging;
    }
    return copy;
}

static struct bridging *
bridging_of(const struct attachment *attachment)
{
    return atomic_load_explicit(&attachment->bridging, memory_order_relaxed);
}

void
bridge_publish_vlans(struct bridge *bridge, struct vlan_map *vlans)
{
    struct vlan_map *old = atomic_load_explicit(&bridge->vlans, memory_order_relaxed);

    atomic_store_explicit(&bridge->vlans, vlans, memory_order_release);
    if (old) {
        epoch_retire(&bridge->dataplane->epoch, old, vlan_map_free, NULL);
    }
}

static bool
is_same(const struct bridging *a, const struct bridging *b)
{
    return a == b || (a && b && a->vlan == b->vlan && a->mode == b->mode
                      && a->isolated == b->isolated && a->max_macs == b->max_macs
                      && a->router == b->router && a->leaves_at_once == b->leaves_at_once
                      && !memcmp(&a->vlans, &b->vlans, sizeof a->vlans));
}

int
bridge_set_bridging(struct attachment *attachment, const struct bridging *bridging)
{
    struct bridge *bridge = attachment->bridge;
    struct bridging *old = bridging_of(attachment), *new = NULL;
    struct vlan_map *vlans;

    if (is_same(old, bridging)) {
        return 0;
    }
    if (bridging && !(new = bridging_copy(bridging))) {
        return ENOMEM;
    }
    atomic_store_explicit(&attachment->bridging, new, memory_order_release);
    if (vlan_map_new(atomic_load_explicit(&bridge->ports, memory_order_relaxed), &vlans)) {
        atomic_store_explicit(&attachment->bridging, old, memory_order_release);
        epoch_free(&bridge->dataplane->epoch, new);
        return ENOMEM;
    }
    bridge_publish_vlans(bridge, vlans);
    bridge_publish_fanout(bridge);
    epoch_free(&bridge->dataplane->epoch, old);
    mac_flush(&bridge->macs, attachment->number, MAC_ANY_VLAN, 0);
    return 0;
}

/* --- Addresses ------------------------------------------------------------------------ */

void
bridge_take_mac_counters(struct bridge *bridge)
{
    bridge->macs_learned = counter_new(&bridge->dataplane->counters);
    bridge->macs_moved = counter_new(&bridge->dataplane->counters);
    bridge->macs_refused = counter_new(&bridge->dataplane->counters);
}

void
bridge_release_mac_counters(struct bridge *bridge)
{
    dataplane_retire_counter(bridge->dataplane, bridge->macs_learned);
    dataplane_retire_counter(bridge->dataplane, bridge->macs_moved);
    dataplane_retire_counter(bridge->dataplane, bridge->macs_refused);
}

static uint32_t
place_of(const struct port_map *ports, uint32_t number)
{
    uint32_t low = 0, high = ports->n;

    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (ports->list[middle]->number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct counting {
    const struct port_map *ports;
    uint32_t *n;                /* By place in 'ports'. */
};

static void
count_one(const struct mac_entry *entry, void *counting_)
{
    struct counting *counting = counting_;
    uint32_t place = place_of(counting->ports, entry->port);

    if (!entry->fixed && place < counting->ports->n
        && counting->ports->list[place]->number == entry->port) {
        counting->n[place]++;
    }
}

static bool
has_limits(const struct port_map *ports)
{
    for (uint32_t i = 0; i < ports->n; i++) {
        const struct bridging *bridging = bridging_of(ports->list[i]);
        if (bridging && bridging->max_macs) {
            return true;
        }
    }
    return false;
}

/* Addresses age without anybody noticing, so what workers count only grows. */
void
bridge_count_macs(struct bridge *bridge, uint64_t now_ms)
{
    const struct port_map *ports = atomic_load_explicit(&bridge->ports, memory_order_relaxed);

    if (now_ms < bridge->macs_counted_ms + MACS_COUNT_MS || !has_limits(ports)) {
        return;
    }
    bridge->macs_counted_ms = now_ms;
    struct counting counting = { ports, calloc(ports->n, sizeof *counting.n) };
    if (!counting.n) {
        return;                 /* Without memory the old numbers stand. */
    }
    mac_each(&bridge->macs, now_ms, count_one, &counting);
    for (uint32_t i = 0; i < ports->n; i++) {
        atomic_store_explicit(&ports->list[i]->n_macs, counting.n[i], memory_order_relaxed);
    }
    free(counting.n);
}
