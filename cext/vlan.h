#ifndef RAICHO_VLAN_H
#define RAICHO_VLAN_H

/* VLANs of a bridge: which ports are in which, and where what is flooded goes.
 *
 * What
 * ====
 * A port without a struct bridging is in all VLANs, and frames name theirs by a tag: a trunk of
 * everything.  As long as all ports of a bridge are like that the bridge has no struct vlan_map.
 * VLAN 0 is that of frames that name none where no port gives them one; they leave as they came.
 *
 * How
 * ===
 * The ports that a flooded frame leaves by are worked out for every VLAN when a port
 * changes, without a tag first.  VLANs next to each other that have the same ports share a list.
 *
 * Cost
 * ====
 * To classify a frame is a bit test.  A new map costs its lists: ports by places where one VLAN has other
 * ports than the one before.
 *
 * Threads: the control thread makes them; workers read.
 *
 * Reference: IEEE 802.1Q-2018, 6.9, 8.6.2, 8.8; ovs-vswitchd.conf.db(5), "VLAN Configuration" */

#include <stdbool.h>
#include <stdint.h>

#include "key.h"

struct attachment;
struct port_map;

enum { VLANS = 4096, VLAN_NONE = VLANS };

struct vlan_set {
    uint64_t bits[VLANS / 64];
};

static inline bool
vlan_in(const struct vlan_set *set, unsigned vlan)
{
    return set->bits[vlan / 64] >> vlan % 64 & 1;
}

static inline void
vlan_add(struct vlan_set *set, unsigned vlan)
{
    set->bits[vlan / 64] |= UINT64_C(1) << vlan % 64;
}

/* As Open vSwitch's vlan_mode. */
enum vlan_mode {
    VLAN_TRUNK,                 /* Frames name their VLAN. */
    VLAN_ACCESS,                /* All frames are in one VLAN, and none names it. */
    VLAN_NATIVE_TAGGED,         /* A trunk on which frames that name none are in the native VLAN. */
    VLAN_NATIVE_UNTAGGED,       /* And those of the native VLAN leave without naming it. */
};

/* Whether a port leads to a multicast router. */
enum bridging_router { ROUTER_LEARNED, ROUTER_ALWAYS, ROUTER_NEVER };

/* How a port takes part in its bridge. */
struct bridging {
    struct vlan_set vlans;      /* That the port is in. */
    uint16_t vlan;              /* Of access, or the native one. */
    uint8_t mode;               /* enum vlan_mode */
    bool isolated;              /* Nothing passes between two such ports. */
    uint32_t max_macs;          /* Addresses that are learned behind it; 0: as the table has room. */
    uint8_t router;             /* enum bridging_router */
    bool leaves_at_once;        /* One host is there: when it leaves a multicast group, nobody is left. */
};

/* The VLAN of a frame with the tag in a key's W_ETH_SRC that comes in by a port; VLAN_NONE: it may
 * not come in. */
static inline unsigned
vlan_classify(const struct bridging *port, uint64_t eth_src_word)
{
    unsigned vlan = eth_src_word & 0xfff;       /* 0 too of a tag that only tells a priority. */

    if (!port) {
        return vlan;
    }
    if (vlan && port->mode == VLAN_ACCESS) {
        return VLAN_NONE;
    }
    vlan = vlan || port->mode == VLAN_TRUNK ? vlan : port->vlan;
    return vlan_in(&port->vlans, vlan) ? vlan : VLAN_NONE;
}

/* Whether frames of a VLAN leave by a port without a tag.  Those of VLAN 0 leave as they came. */
static inline bool
vlan_untagged(const struct bridging *port, unsigned vlan)
{
    return port && vlan && (port->mode == VLAN_ACCESS
                            || (port->mode == VLAN_NATIVE_UNTAGGED && vlan == port->vlan));
}

static inline bool
vlan_reaches(const struct bridging *port, unsigned vlan)
{
    return !port || vlan_in(&port->vlans, vlan);
}

static inline bool
vlan_isolates(const struct bridging *from, const struct bridging *to)
{
    return from && to && from->isolated && to->isolated;
}

/* Where a frame goes that goes to many: by number of port, those that take it without a tag first. */
struct egress {
    struct egress *next;        /* All that belong together. */
    uint32_t n, n_untagged;
    struct attachment *to[];
};

/* Whether a port is to be on a list for a VLAN. */
typedef bool egress_wants(const struct attachment *, unsigned vlan, const void *context);

/* A list of the ports in a VLAN, for frames from an isolated port or from others; null without memory.
 * 'wants' says which of them; null: all. */
struct egress *egress_new(const struct port_map *ports, unsigned vlan, bool from_isolated,
                          egress_wants *wants, const void *context);

/* Frees a chain of lists. */
void egress_free(struct egress *egress);

/* Where frames of a VLAN go, to all ports or those of some kind; replaced as a whole. */
struct vlan_map {
    struct egress *lists;
    const struct egress *to[2][VLANS];  /* [1]: from isolated ports. */
};

/* The map of all these ports into 'map'; null if none of them needs one.  Returns 0 or ENOMEM. */
int vlan_map_new(const struct port_map *ports, struct vlan_map **map);

/* The map of the ports of some kind, which may be others at 'steps' from one VLAN to the next.  Returns null
 * without memory. */
struct vlan_map *vlan_map_of(const struct port_map *ports, const struct vlan_set *steps,
                             egress_wants *wants, const void *context);

/* For epoch_retire(), too. */
void vlan_map_free(void *map, void *context);

#endif
