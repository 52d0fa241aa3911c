/* Bridge: making it, and the ports in it.  See bridge.h. */

#include "bridge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge_private.h"
#include "worker.h"

/* --- Ports by number ---------------------------------------------------------- */

static struct port_map *
bridge_ports(const struct bridge *bridge)
{
    return atomic_load_explicit(&bridge->ports, memory_order_relaxed);
}

static uint32_t
slot_of(const struct port_map *map, uint32_t number)
{
    return number & (map->n_slots - 1);
}

struct attachment *
bridge_port(const struct bridge *bridge, uint32_t number)
{
    const struct port_map *map = atomic_load_explicit(&bridge->ports, memory_order_acquire);

    for (uint32_t i = slot_of(map, number);; i = (i + 1) & (map->n_slots - 1)) {
        struct attachment *attachment = map->slots[i];
        if (!attachment || attachment->number == number) {
            return attachment;
        }
    }
}

static void
index_ports(struct port_map *map)
{
    for (uint32_t i = 0; i < map->n; i++) {
        uint32_t slot = slot_of(map, map->list[i]->number);
        while (map->slots[slot]) {
            slot = (slot + 1) & (map->n_slots - 1);
        }
        map->slots[slot] = map->list[i];
    }
}

/* A map of the ports of 'old' and 'added', without 'removed'; null without memory. */
static struct port_map *
port_map_new(const struct port_map *old, struct attachment *added, const struct attachment *removed)
{
    uint32_t max = (old ? old->n : 0) + 1, n_slots = 4;

    while (n_slots < max * 2) {
        n_slots *= 2;
    }
    struct port_map *map = calloc(1, sizeof *map + (max + n_slots) * sizeof map->list[0]);
    if (!map) {
        return NULL;
    }
    map->n_slots = n_slots;
    map->slots = map->list + max;
    for (uint32_t i = 0; old && i < old->n; i++) {
        if (added && added->number < old->list[i]->number) {
            map->list[map->n++] = added;
            added = NULL;
        }
        if (old->list[i] != removed) {
            map->list[map->n++] = old->list[i];
        }
    }
    if (added) {
        map->list[map->n++] = added;
    }
    index_ports(map);
    return map;
}

/* Puts other ports, and where flooded frames go with them, in the place of those there are. */
static void
publish_ports(struct bridge *bridge, struct port_map *map, struct vlan_map *vlans)
{
    struct port_map *old = bridge_ports(bridge);

    atomic_store_explicit(&bridge->ports, map, memory_order_release);
    bridge_publish_vlans(bridge, vlans);
    bridge_publish_fanout(bridge);
    epoch_free(&bridge->dataplane->epoch, old);
}

/* --- Attaching ------------------------------------------------------------------ */

static int
publish_attachment(struct attachment *attachment)
{
    struct bridge *bridge = attachment->bridge;
    struct port_map *map = port_map_new(bridge_ports(bridge), attachment, NULL);
    struct vlan_map *vlans = NULL;
    int error = map ? vlan_map_new(map, &vlans) : ENOMEM;

    if (!error) {
        error = bridge_poll_lanes(attachment);
    }
    if (error) {
        vlan_map_free(vlans, NULL);
        free(map);
        return error;
    }
    publish_ports(bridge, map, vlans);
    return 0;
}

static int
begin(struct attachment *attachment, const struct joining *joining)
{
    struct bridging *bridging = NULL;

    if (joining->bridging && !(bridging = bridging_copy(joining->bridging))) {
        return ENOMEM;
    }
    atomic_init(&attachment->bridging, bridging);
    atomic_init(&attachment->config, joining->config);
    bridge_set_pipeline(attachment, joining->pipeline);
    if (joining->pipeline == PIPELINE_template) {
        bridge_set_template(attachment, joining->template_id);
    }
    return 0;
}

/* Readers gone. */
static void
free_attachment(struct attachment *attachment)
{
    const struct program *program = atomic_load_explicit(&attachment->program, memory_order_relaxed);

    if (program) {
        program_release(&attachment->bridge->dataplane->programs, program);
    }
    free(atomic_load_explicit(&attachment->bridging, memory_order_relaxed));
    free(atomic_load_explicit(&attachment->interfaces, memory_order_relaxed));
    free(attachment);
}

int
bridge_attach_lanes(struct bridge *bridge, const struct lane_config *lanes, uint32_t n,
                    uint32_t number, const struct joining *joining, uint64_t now_ms,
                    struct attachment **attached)
{
    if (!number || number > PORT_MAX || !bridge_lanes_have_workers(bridge, lanes, n)) {
        return EINVAL;
    }
    if (bridge_port(bridge, number)) {
        return EEXIST;
    }
    struct attachment *attachment = bridge_attachment_new(bridge, lanes, n);
    if (!attachment) {
        return ENOMEM;
    }
    attachment->number = number;
    attachment->created_ms = now_ms;
    int error = begin(attachment, joining);
    if (!error) {
        error = bridge_bind_lanes(attachment);
    }
    if (!error && (error = publish_attachment(attachment))) {
        bridge_unbind_lanes(attachment);
    }
    if (error) {
        epoch_synchronize(&bridge->dataplane->epoch);
        free_attachment(attachment);
        return error;
    }
    *attached = attachment;
    return 0;
}

int
bridge_attach(struct bridge *bridge, struct port *port, uint32_t number, unsigned worker,
              uint64_t now_ms, struct attachment **attached)
{
    return bridge_attach_lanes(bridge, &(const struct lane_config) { port, worker }, 1, number,
                               &(const struct joining) { 0 }, now_ms, attached);
}

void
bridge_detach(struct bridge *bridge, struct attachment *attachment)
{
    struct port_map *map;
    struct vlan_map *vlans;

    /* Taking a port out must not fail: without memory, wait for some. */
    while (!(map = port_map_new(bridge_ports(bridge), NULL, attachment))) {
        epoch_synchronize(&bridge->dataplane->epoch);
    }
    while (vlan_map_new(map, &vlans)) {
        epoch_synchronize(&bridge->dataplane->epoch);
    }
    bridge_leave_lanes(attachment);
    bridge_forget_member(bridge, attachment->number);
    publish_ports(bridge, map, vlans);
    struct queue_set *queues = bridge_leave_queues(attachment, NULL);
    epoch_synchronize(&bridge->dataplane->epoch);
    bridge_unbind_lanes(attachment);
    mac_flush(&bridge->macs, attachment->number, MAC_ANY_VLAN, 0);
    free(queues);
    free_attachment(attachment);
}

/* --- Making and closing -------------------------------------------------------------- */

static int
open_tables(struct bridge *bridge)
{
    struct dataplane *dataplane = bridge->dataplane;

    for (unsigned i = 0; i < BRIDGE_TABLES; i++) {
        struct flow_table *table = &bridge->tables[i];
        if (table_open(&table->table, &dataplane->epoch)) {
            return ENOMEM;
        }
        table->lookups = counter_new(&dataplane->counters);
        table->matches = counter_new(&dataplane->counters);
    }
    return 0;
}

static void
retire_flow(struct flow *flow, void *bridge_)
{
    struct bridge *bridge = bridge_;

    timer_stop(&bridge->wheel, &flow->timer);
    dataplane_retire_flow(bridge->dataplane, flow);
}

static void
retire_group(void *group_, void *bridge_)
{
    struct bridge *bridge = bridge_;
    struct group *group = group_;

    dataplane_retire_buckets(bridge->dataplane,
                             atomic_load_explicit(&group->buckets, memory_order_relaxed));
    dataplane_retire_counter(bridge->dataplane, group->counter);
    epoch_free(&bridge->dataplane->epoch, group);
}

static void
free_bridge(struct bridge *bridge)
{
    for (unsigned i = 0; i < BRIDGE_TABLES; i++) {
        struct flow_table *table = &bridge->tables[i];
        if (table->table.record) {
            table_close(&table->table, retire_flow, bridge);
        }
        dataplane_retire_counter(bridge->dataplane, table->lookups);
        dataplane_retire_counter(bridge->dataplane, table->matches);
    }
    idmap_each(&bridge->groups.map, retire_group, bridge);
    idmap_close(&bridge->groups.map);
    bridge_close_meters(bridge);
    bridge_close_templates(bridge);
    bridge_close_features(bridge);
    free(bridge_ports(bridge));
    mac_close(&bridge->macs);
    vlan_map_free(atomic_load_explicit(&bridge->vlans, memory_order_relaxed), NULL);
    bridge_release_mac_counters(bridge);
    free(atomic_load_explicit(&bridge->interfaces, memory_order_relaxed));
    bridge_close_snooping(bridge);
    buffer_close(&bridge->events);
    free(bridge);
}

/* An index that was not another's for as long as can be: rings may still have packets and requests
 * for that one. */
static int
find_index(struct dataplane *dataplane)
{
    for (unsigned i = 0; i < DATAPLANE_BRIDGES; i++) {
        unsigned index = dataplane->next_bridge++ % DATAPLANE_BRIDGES;
        if (!atomic_load_explicit(&dataplane->bridges[index], memory_order_relaxed)) {
            return (int) index;
        }
    }
    return -1;
}

struct bridge *
bridge_open(struct dataplane *dataplane, const char *name, uint64_t datapath_id, uint64_t now_ms)
{
    struct bridge *bridge = calloc(1, sizeof *bridge);
    int index = find_index(dataplane);

    if (!bridge || index < 0) {
        free(bridge);
        return NULL;
    }
    strncpy(bridge->name, name, sizeof bridge->name - 1);
    bridge->dataplane = dataplane;
    bridge_begin_generation(bridge);
    bridge->datapath_id = datapath_id;
    bridge->index = index;
    bridge->miss_send_len = 128;
    bridge->meters.max = METERS_MAX;
    timer_wheel_init(&bridge->wheel, now_ms / TICK_MS);
    atomic_init(&bridge->ports, port_map_new(NULL, NULL, NULL));
    bridge_take_mac_counters(bridge);
    if (!bridge_ports(bridge) || mac_open(&bridge->macs) || open_tables(bridge)) {
        free_bridge(bridge);
        return NULL;
    }
    atomic_store_explicit(&dataplane->bridges[index], bridge, memory_order_release);
    return bridge;
}

void
bridge_close(struct bridge *bridge)
{
    struct dataplane *dataplane = bridge->dataplane;

    atomic_store_explicit(&dataplane->bridges[bridge->index], NULL, memory_order_release);
    epoch_synchronize(&dataplane->epoch);
    free_bridge(bridge);
    epoch_reclaim(&dataplane->epoch);
}
