#ifndef RAICHO_FANOUT_H
#define RAICHO_FANOUT_H

/* Fanout: where the frames of multicast groups leave a bridge that snoops, worked out from membership.
 *
 * Threads: the control thread makes it from what it knows, and replaces it as a whole; workers read. */

#include <stdbool.h>
#include <stdint.h>

#include "snoop.h"
#include "vlan.h"

struct fanout_group {
    struct snoop_group group;
    bool used;
    const struct egress *to[2];         /* Members and routers; [1]: from isolated ports. */
};

struct fanout {
    struct egress *lists;
    struct vlan_map *routers;           /* Ports with routers, where reports go. */
    bool floods_unknown;                /* What nobody has joined goes to all, not just to routers. */
    uint32_t n_slots;                   /* A power of two, at least half of them not used. */
    struct fanout_group groups[];
};

/* Returns null without memory. */
struct fanout *fanout_new(const struct port_map *ports, const struct snoop *snoop,
                          bool floods_unknown);

/* For epoch_retire(), too. */
void fanout_free(void *fanout, void *context);

/* The ports that get a frame of a group; null: nobody has joined. */
const struct egress *fanout_find(const struct fanout *fanout, const struct snoop_group *group,
                                 bool from_isolated);

#endif
