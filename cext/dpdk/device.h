#ifndef RAICHO_DPDK_DEVICE_H
#define RAICHO_DPDK_DEVICE_H

/* Devices: attached and started with the first of their lanes, and let go of with the last.
 *
 * Threads
 * =======
 * The control thread's. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lane.h"
#include "port.h"

enum {
    DEVICE_ARGS = sizeof(((struct port_config *)0)->device),
    LANE_PACKETS = 2048,        /* Most packets of a lane that are with us at a time. */
};

struct device {
    struct device *next;
    char args[DEVICE_ARGS];
    uint16_t id;                        /* DPDK's number. */
    uint16_t n_queues;
    uint32_t max_frame;                 /* Bytes of the longest frame it sends. */
    bool started, admin_up;
    struct rte_device *hardware;
    struct rte_mempool *buffers;
    struct lane **open;                 /* By queue; null: nobody has it. */
    unsigned n_lanes;                   /* That are open, or not yet free. */
    unsigned n_open;
    uint64_t lost, broken;              /* What was counted before. */
};

/* Opens the lane that 'config' names, and its device if that is not open yet; sets 'lane'.
 * Returns 0, or a positive errno value and a sentence in 'why'. */
int device_open_lane(const struct port_config *config, struct lane **lane, char *why,
                     size_t why_size);

/* Closes a lane, which no worker uses any more. */
void device_close_lane(struct lane *lane);

/* --- What DPDK does for it (attach.c) ------------------------------------------------------- */

/* Attaches and starts a device, of which 'args' and 'n_queues' are set.  Returns 0, or a positive
 * errno value and a sentence in 'why'; then it has no buffers. */
int device_attach(struct device *device, const struct port_config *config, char *why,
                  size_t why_size);

/* Whether a device can have these queues and this MTU: 0, or EINVAL and a sentence in 'why'. */
int device_check(const struct device *device, const struct port_config *config, char *why,
                 size_t why_size);

/* Takes a device away from DPDK.  Its buffers stay: some may be elsewhere. */
void device_detach(struct device *device);

/* Adds to 'counters' what the device lost and what was broken, since the last time. */
int device_count(struct device *device, struct port_counters *counters);

/* Reports the link, or sets it: as port_ops say. */
int device_link(struct device *device, struct port_link *link);
int device_set_admin(struct device *device, bool up);

/* How much of devargs is the name of the device. */
static inline size_t
device_name_size(const char *args)
{
    return strcspn(args, ",");
}

#endif
