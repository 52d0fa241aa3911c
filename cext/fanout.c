/* Fanout: see fanout.h. */

#include "fanout.h"

#include <stdlib.h>

#include "bridge.h"

/* --- Who gets what ------------------------------------------------------------------------ */

/* What is asked about ports: whether they have members of the entry (null: of none), or routers. */
struct asking {
    const struct snoop *snoop;
    const struct snoop_entry *entry;
};

static bool
is_on(const struct snoop_entry *entry, uint32_t number)
{
    for (uint32_t i = 0; entry && i < entry->n; i++) {
        if (entry->ports[i].port == number) {
            return true;
        }
    }
    return false;
}

static bool
has_router(const struct attachment *port, unsigned vlan, const void *asking_)
{
    const struct asking *asking = asking_;
    const struct bridging *bridging = atomic_load_explicit(&port->bridging, memory_order_relaxed);
    const struct snoop_group routers = { .vlan = (uint16_t)vlan };

    if (bridging && bridging->router != ROUTER_LEARNED) {
        return bridging->router == ROUTER_ALWAYS;
    }
    return is_on(snoop_find(asking->snoop, &routers), port->number);
}

static bool
is_wanted(const struct attachment *port, unsigned vlan, const void *asking_)
{
    const struct asking *asking = asking_;

    return is_on(asking->entry, port->number) || has_router(port, vlan, asking);
}

/* --- Making ------------------------------------------------------------------------------- */

struct making {
    struct fanout *fanout;
    const struct snoop *snoop;
    const struct port_map *ports;
    bool failed;
};

static uint32_t
slot_of(const struct fanout *fanout, const struct snoop_group *group)
{
    uint32_t i = snoop_hash(group) & (fanout->n_slots - 1);

    while (fanout->groups[i].used && !snoop_equal(&fanout->groups[i].group, group)) {
        i = (i + 1) & (fanout->n_slots - 1);
    }
    return i;
}

static void
add_group(const struct snoop_entry *entry, void *making_)
{
    struct making *making = making_;
    struct fanout *fanout = making->fanout;
    const struct asking asking = { making->snoop, entry };

    if (!entry->group.family) {
        return;                 /* Routers. */
    }
    struct fanout_group *group = &fanout->groups[slot_of(fanout, &entry->group)];
    group->group = entry->group;
    group->used = true;
    for (unsigned isolated = 0; isolated < 2; isolated++) {
        struct egress *egress = egress_new(making->ports, entry->group.vlan, isolated, is_wanted,
                                           &asking);
        if (!egress) {
            making->failed = true;
            return;
        }
        egress->next = fanout->lists;
        fanout->lists = egress;
        group->to[isolated] = egress;
    }
}

static void
mark_routers(const struct snoop_entry *entry, void *steps)
{
    if (!entry->group.family) {
        vlan_add(steps, entry->group.vlan);
        vlan_add(steps, (entry->group.vlan + 1u) % VLANS);
    }
}

struct fanout *
fanout_new(const struct port_map *ports, const struct snoop *snoop, bool floods_unknown)
{
    const struct asking asking = { snoop, NULL };
    struct vlan_set steps = { { 0 } };
    uint32_t n_slots = 2;

    while (n_slots < snoop->n * 2) {
        n_slots *= 2;
    }
    struct fanout *fanout = calloc(1, sizeof *fanout + n_slots * sizeof fanout->groups[0]);
    if (!fanout) {
        return NULL;
    }
    fanout->n_slots = n_slots;
    fanout->floods_unknown = floods_unknown;
    snoop_each(snoop, mark_routers, &steps);
    fanout->routers = vlan_map_of(ports, &steps, has_router, &asking);
    struct making making = { fanout, snoop, ports, !fanout->routers };
    if (!making.failed) {
        snoop_each(snoop, add_group, &making);
    }
    if (making.failed) {
        fanout_free(fanout, NULL);
        return NULL;
    }
    return fanout;
}

void
fanout_free(void *fanout_, void *context)
{
    struct fanout *fanout = fanout_;

    if (fanout) {
        vlan_map_free(fanout->routers, context);
        egress_free(fanout->lists);
        free(fanout);
    }
}

const struct egress *
fanout_find(const struct fanout *fanout, const struct snoop_group *group, bool from_isolated)
{
    return fanout->groups[slot_of(fanout, group)].to[from_isolated];
}
