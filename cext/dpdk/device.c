/* Devices of DPDK and their lanes: see device.h. */

#include "device.h"

#include <errno.h>
#include <rte_mempool.h>
#include <stdlib.h>
#include <string.h>

#include "dpdk.h"
#include "port_private.h"

/* All of the process. 'closed' are lanes of which packets are still on their way. */
static struct {
    struct device *devices;
    struct lane *closed;
} all;

/* --- Letting go --------------------------------------------------------------------------- */

static void
forget_device(struct device *device)
{
    for (struct device **at = &all.devices; *at; at = &(*at)->next) {
        if (*at == device) {
            *at = device->next;
            break;
        }
    }
    rte_mempool_free(device->buffers);
    free(device->open);
    free(device);
}

static bool
all_came_back(const struct lane *lane)
{
    return __atomic_load_n(&lane->pool.n_free, __ATOMIC_ACQUIRE) == lane->pool.n_slots;
}

/* Frees a lane; the buffers of its packets have to be back. */
static void
free_lane(struct lane *lane)
{
    lane_settle(lane);
    lane->device->n_lanes--;
    pool_close(&lane->pool);
    free(lane);
}

/* Frees what nobody uses any more.  Packets of a closed port may wait long in a queue of another
 * one, so this is done when there is an occasion. */
static void
collect(void)
{
    for (struct lane **at = &all.closed; *at;) {
        struct lane *lane = *at;
        if (all_came_back(lane)) {
            *at = lane->next;
            free_lane(lane);
        } else {
            at = &lane->next;
        }
    }
    for (struct device *device = all.devices, *next; device; device = next) {
        next = device->next;
        if (!device->n_lanes && rte_mempool_full(device->buffers)) {
            forget_device(device);
        }
    }
}

void
device_close_lane(struct lane *lane)
{
    struct device *device = lane->device;

    device->open[lane->queue] = NULL;
    lane->next = all.closed;
    all.closed = lane;
    if (!--device->n_open) {
        device_detach(device);
    }
    collect();
}

/* --- Opening ------------------------------------------------------------------------------ */

/* Whether two devargs name the same device. */
static bool
same_name(const char *a, const char *b)
{
    return device_name_size(a) == device_name_size(b) && !memcmp(a, b, device_name_size(a));
}

static struct device *
find_open(const char *args)
{
    struct device *device = all.devices;

    while (device && !(device->n_open && same_name(device->args, args))) {
        device = device->next;
    }
    return device;
}

static int
open_device(const struct port_config *config, struct device **opened, char *why, size_t why_size)
{
    struct device *device = calloc(1, sizeof *device);
    uint32_t n_queues = config->n_queues ? config->n_queues : 1;
    int error = ENOMEM;

    if (device && (device->open = calloc(n_queues, sizeof *device->open))) {
        snprintf(device->args, sizeof device->args, "%s", config->device);
        device->n_queues = n_queues;
        error = device_attach(device, config, why, why_size);
    }
    if (error) {
        if (device) {
            rte_mempool_free(device->buffers);
            free(device->open);
        }
        free(device);
        return error;
    }
    device->next = all.devices;
    *opened = all.devices = device;
    return 0;
}

static int
open_lane(struct device *device, uint32_t queue, struct lane **lane)
{
    struct lane *new = calloc(1, sizeof *new);

    if (!new || pool_open_lent(&new->pool, LANE_PACKETS, &port_dpdk_ops)) {
        free(new);
        return ENOMEM;
    }
    new->credit = new->pool.n_free;
    new->device_id = device->id;
    new->queue = queue;
    new->max_frame = device->max_frame;
    new->device = device;
    device->open[queue] = new;
    device->n_open++;
    device->n_lanes++;
    *lane = new;
    return 0;
}

/* Whether an open device has the lane, and nobody else does.  What it could never
 * have is told first: who asks may be about to close it. */
static int
check_lane(const struct device *device, const struct port_config *config, char *why,
           size_t why_size)
{
    uint32_t n_queues = config->n_queues ? config->n_queues : 1;
    int error = device_check(device, config, why, why_size);

    if (!error && (device->n_queues != n_queues || device->open[config->queue])) {
        return port_refuse(why, why_size, EBUSY, "\"%s\" is in use by another port already",
                           config->device);
    }
    return error;
}

int
device_open_lane(const struct port_config *config, struct lane **lane, char *why, size_t why_size)
{
    int error;

    collect();
    if (config->queue && config->queue >= config->n_queues) {
        return port_refuse(why, why_size, EINVAL, "there is no queue %u of %u", config->queue,
                           config->n_queues);
    }
    struct device *device = find_open(config->device);
    error = device ? check_lane(device, config, why, why_size)
                   : open_device(config, &device, why, why_size);
    if (error) {
        return error;
    }
    error = open_lane(device, config->queue, lane);
    if (error && !device->n_open) {
        device_detach(device);
        collect();
    }
    return error;
}

