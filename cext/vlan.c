/* VLANs of a bridge: see vlan.h. */

#include "vlan.h"

#include <errno.h>
#include <stdlib.h>

#include "bridge.h"

static const struct bridging *
bridging_of(const struct attachment *attachment)
{
    return atomic_load_explicit(&attachment->bridging, memory_order_relaxed);
}

/* --- Lists ---------------------------------------------------------------------------- */

static bool
is_isolated(const struct attachment *attachment)
{
    const struct bridging *bridging = bridging_of(attachment);

    return bridging && bridging->isolated;
}

/* Appends the ports that take frames of the VLAN with or without a tag. */
static void
append(struct egress *egress, const struct port_map *ports, unsigned vlan, bool from_isolated,
       bool untagged, egress_wants *wants, const void *context)
{
    for (uint32_t i = 0; i < ports->n; i++) {
        struct attachment *to = ports->list[i];

        if (vlan_reaches(bridging_of(to), vlan)
            && vlan_untagged(bridging_of(to), vlan) == untagged
            && !(from_isolated && is_isolated(to)) && (!wants || wants(to, vlan, context))) {
            egress->to[egress->n++] = to;
        }
    }
}

struct egress *
egress_new(const struct port_map *ports, unsigned vlan, bool from_isolated,
           egress_wants *wants, const void *context)
{
    struct egress *egress = malloc(sizeof *egress + ports->n * sizeof egress->to[0]);

    if (!egress) {
        return NULL;
    }
    egress->next = NULL;
    egress->n = 0;
    append(egress, ports, vlan, from_isolated, true, wants, context);
    egress->n_untagged = egress->n;
    append(egress, ports, vlan, from_isolated, false, wants, context);
    return egress;
}

void
egress_free(struct egress *egress)
{
    while (egress) {
        struct egress *next = egress->next;

        free(egress);
        egress = next;
    }
}

/* --- Maps ----------------------------------------------------------------------------- */

/* Where the ports of a VLAN may be others than those of the one before. */
static void
mark_steps(const struct bridging *port, struct vlan_set *steps)
{
    uint64_t before = 0;

    for (unsigned i = 0; i < VLANS / 64; i++) {
        uint64_t bits = port->vlans.bits[i];

        steps->bits[i] |= bits ^ (bits << 1 | before);
        before = bits >> 63;
    }
    if (port->mode == VLAN_NATIVE_UNTAGGED) {
        vlan_add(steps, port->vlan);
        vlan_add(steps, (port->vlan + 1u) % VLANS);
    }
}

static int
fill_map(struct vlan_map *map, const struct port_map *ports, const struct vlan_set *steps,
         bool from_isolated, egress_wants *wants, const void *context)
{
    const struct egress **to = map->to[from_isolated];

    for (unsigned vlan = 0; vlan < VLANS; vlan++) {
        if (vlan && !vlan_in(steps, vlan)) {
            to[vlan] = to[vlan - 1];
            continue;
        }
        struct egress *egress = egress_new(ports, vlan, from_isolated, wants, context);
        if (!egress) {
            return ENOMEM;
        }
        egress->next = map->lists;
        map->lists = egress;
        to[vlan] = egress;
    }
    return 0;
}

struct vlan_map *
vlan_map_of(const struct port_map *ports, const struct vlan_set *steps, egress_wants *wants,
            const void *context)
{
    struct vlan_map *map = calloc(1, sizeof *map);
    struct vlan_set all = *steps;

    vlan_add(&all, 1);          /* VLAN 0 has no tags. */
    for (uint32_t i = 0; i < ports->n; i++) {
        if (bridging_of(ports->list[i])) {
            mark_steps(bridging_of(ports->list[i]), &all);
        }
    }
    if (!map || fill_map(map, ports, &all, false, wants, context)
        || fill_map(map, ports, &all, true, wants, context)) {
        vlan_map_free(map, NULL);
        return NULL;
    }
    return map;
}

int
vlan_map_new(const struct port_map *ports, struct vlan_map **map)
{
    const struct vlan_set none = { { 0 } };
    bool plain = true;

    for (uint32_t i = 0; i < ports->n; i++) {
        plain &= !bridging_of(ports->list[i]);
    }
    *map = plain ? NULL : vlan_map_of(ports, &none, NULL, NULL);
    return plain || *map ? 0 : ENOMEM;
}

void
vlan_map_free(void *map_, void *context)
{
    struct vlan_map *map = map_;

    (void)context;
    if (map) {
        egress_free(map->lists);
        free(map);
    }
}
