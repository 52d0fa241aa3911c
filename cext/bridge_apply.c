/* OpenFlow messages that change a bridge or send a packet; port-mod, table-mod and packet-out.
 *
 * Reference: OpenFlow Switch Specification 1.3.5, sections 7.3.3, 7.3.4.3, 7.3.7. */

#include <errno.h>
#include <string.h>

#include "bridge_private.h"
#include "worker.h"

void
put_duration(uint8_t *at, uint64_t since_ms, uint64_t now_ms)
{
    uint64_t ms = now_ms > since_ms ? now_ms - since_ms : 0;

    put_be32(at, ms / 1000);
    put_be32(at + 4, ms % 1000 * 1000000);
}

uint8_t *
event_put(struct bridge *bridge, uint8_t type, size_t size)
{
    uint8_t *at = bridge->events.len < EVENTS_MAX ? buffer_put(&bridge->events, size) : NULL;

    if (!at) {
        bridge->events.failed = false;
        bridge->events_lost++;
        return NULL;
    }
    at[0] = OFP_VERSION;
    at[1] = type;
    put_be16(at + 2, size);
    return at;
}

/* --- Ports ---------------------------------------------------------------------------------- */

/* OFPPF_* for a speed in Mbit/s; OTHER if it has no bit of its own. */
static uint32_t
speed_feature(uint32_t mbps)
{
    static const struct { uint32_t mbps, feature; } features[] = {
        { 10, 1 << 1 }, { 100, 1 << 3 }, { 1000, 1 << 5 }, { 10000, 1 << 6 },
        { 40000, 1 << 7 }, { 100000, 1 << 8 }, { 1000000, 1 << 9 },
    };

    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        if (features[i].mbps == mbps) {
            return features[i].feature;
        }
    }
    return mbps ? 1 << 10 : 0;
}

void
put_port(uint8_t *at, const struct attachment *attachment)
{
    put_be32(at, attachment->number);
    memcpy(at + 8, attachment->mac, 6);
    memcpy(at + 16, attachment->port->name, strnlen(attachment->port->name, 15));
    put_be32(at + 32, atomic_load(&attachment->config));
    put_be32(at + 36, atomic_load(&attachment->state));
    put_be32(at + 40, speed_feature(attachment->speed));
    put_be32(at + 56, attachment->speed * 1000);
    put_be32(at + 60, attachment->speed * 1000);
}

void
bridge_port_status(struct bridge *bridge, const struct attachment *attachment, uint8_t reason)
{
    uint8_t *at = event_put(bridge, OFPT_PORT_STATUS, 16 + OFP_PORT_SIZE);

    if (at) {
        at[8] = reason;
        put_port(at + 16, attachment);
    }
}

enum { CONFIG_KNOWN = PORT_DOWN | PORT_NO_RECV | PORT_NO_FWD | PORT_NO_PACKET_IN };

/* struct ofp_port_mod: port_no at 8, hw_addr 16, config 24, mask 28, advertise 32. */
static uint32_t
apply_port_mod(struct bridge *bridge, const uint8_t *message, size_t size, uint64_t now_ms)
{
    (void) now_ms;
    if (size != 40) {
        return OFWIRE_OFPBRC_BAD_LEN;
    }
    struct attachment *attachment = bridge_port(bridge, get_be32(message + 8));
    uint32_t config = get_be32(message + 24), mask = get_be32(message + 28);
    if (!attachment) {
        return OFWIRE_OFPPMFC_BAD_PORT;
    }
    if (memcmp(message + 16, attachment->mac, 6)) {
        return OFWIRE_OFPPMFC_BAD_HW_ADDR;
    }
    if ((config | mask) & ~CONFIG_KNOWN) {
        return OFWIRE_OFPPMFC_BAD_CONFIG;
    }
    uint32_t old = atomic_load(&attachment->config), new = (old & ~mask) | (config & mask);
    if (!bridge_may_change(bridge)) {
        return OFWIRE_OFPPMFC_EPERM;
    }
    if ((old ^ new) & PORT_DOWN && attachment->port->ops->set_admin
        && attachment->port->ops->set_admin(attachment->port, !(new & PORT_DOWN))) {
        return OFWIRE_OFPPMFC_EPERM;
    }
    atomic_store(&attachment->config, new);
    bridge_changed(bridge, (struct change) { CHANGE_PORT, .owner = attachment, .config = old });
    if (old != new) {
        bridge_port_status(bridge, attachment, 2);
    }
    return OFWIRE_OK;
}

/* --- Tables --------------------------------------------------------------------------------- */

/* struct ofp_table_mod: table_id at 8, config at 12.  Version 1.3 defines no
 * configuration but the two bits it deprecates. */
static uint32_t
apply_table_mod(struct bridge *bridge, const uint8_t *message, size_t size, uint64_t now_ms)
{
    (void) now_ms;
    if (size != 16) {
        return OFWIRE_OFPBRC_BAD_LEN;
    }
    unsigned table = message[8];
    uint32_t config = get_be32(message + 12);
    if (table < BRIDGE_TABLES && !bridge_has_table(bridge, table)) {
        return OFWIRE_OFPTMFC_BAD_TABLE;
    }
    if (config & ~3u) {
        return OFWIRE_OFPTMFC_BAD_CONFIG;
    }
    for (unsigned id = 0; id < BRIDGE_TABLES; id++) {
        if (table == OFPTT_ALL || table == id) {
            bridge->tables[id].config = config;
        }
    }
    return OFWIRE_OK;
}

/* --- Packet-out --------------------------------------------------------------------------------- */

enum { PACKET_OUT_ACTIONS = 24, FRAME_MIN = 14 };

/* The worker that sends packets of controllers: that of the port it says the packet came from,
 * else the first one; null if there is none. */
static struct worker *
sending_worker(const struct bridge *bridge, uint32_t in_port)
{
    const struct attachment *attachment = bridge_port(bridge, in_port);
    unsigned first = attachment ? attachment->lanes[0].worker : 0;
    struct worker *worker = NULL;

    for (unsigned i = first; i < DATAPLANE_WORKERS && !worker; i++) {
        worker = atomic_load(&bridge->dataplane->workers[i]);
    }
    return worker;
}

static bool
in_port_exists(const struct bridge *bridge, uint32_t in_port)
{
    return in_port == PORT_CONTROLLER || in_port == PORT_ANY || bridge_port(bridge, in_port);
}

static uint32_t
send_packet(struct bridge *bridge, const uint8_t *message, size_t size, size_t actions_size,
            uint32_t in_port, bool send)
{
    struct of_scope scope = { .bridge = bridge, .table = 0xff, .in_packet_out = true };
    const uint8_t *actions = message + PACKET_OUT_ACTIONS, *frame = actions + actions_size;
    struct program_store *programs = &bridge->dataplane->programs;
    struct insn_list list = { 0 };

    struct worker *worker = sending_worker(bridge, in_port);
    if (!worker) {
        return OFWIRE_OFPBRC_EPERM;     /* Without workers there is no port either. */
    }
    uint32_t result = ofwire_get_actions(&scope, actions, actions, actions_size, &list);
    if (result == OFWIRE_OK && send) {
        const struct program *program = program_intern(programs, list.insns, list.n);
        if (program && worker_inject(worker, bridge, program, actions, actions_size, in_port,
                                     frame, message + size - frame)) {
            program_release(programs, program);
        }
    }
    insn_list_close(&list);
    return result;
}

/* struct ofp_packet_out: buffer_id at 8, in_port 12, actions_len 16, actions 24, then the frame. */
uint32_t
bridge_send_packet(struct bridge *bridge, const uint8_t *message, size_t size, bool send)
{
    if (size < PACKET_OUT_ACTIONS) {
        return OFWIRE_OFPBRC_BAD_LEN;
    }
    size_t actions_size = get_be16(message + 16);
    uint32_t in_port = get_be32(message + 12);
    if (get_be32(message + 8) != OFP_NO_BUFFER) {
        return OFWIRE_OFPBRC_BUFFER_UNKNOWN;
    }
    if (actions_size > size - PACKET_OUT_ACTIONS) {
        return OFWIRE_OFPBRC_BAD_LEN;
    }
    if (size - PACKET_OUT_ACTIONS - actions_size < FRAME_MIN) {
        return OFWIRE_OFPBRC_BAD_PACKET;
    }
    if (!in_port_exists(bridge, in_port)) {
        return OFWIRE_OFPBRC_BAD_PORT;
    }
    return send_packet(bridge, message, size, actions_size, in_port, send);
}

uint32_t
bridge_packet_out(struct bridge *bridge, const uint8_t *message, size_t size, uint64_t now_ms)
{
    (void) now_ms;
    return bridge_send_packet(bridge, message, size, true);
}

/* --- All kinds ------------------------------------------------------------------------------------ */

struct handler {
    uint8_t type;
    uint32_t (*apply)(struct bridge *, const uint8_t *, size_t, uint64_t);
};

static const struct handler handlers[] = {
    { OFPT_FLOW_MOD, bridge_flow_mod },
    { OFPT_PACKET_OUT, bridge_packet_out },
    { OFPT_GROUP_MOD, bridge_group_mod },
    { OFPT_METER_MOD, bridge_meter_mod },
    { OFPT_EXPERIMENTER, bridge_template_mod },
    { OFPT_PORT_MOD, apply_port_mod },
    { OFPT_TABLE_MOD, apply_table_mod },
};

uint32_t
bridge_apply(struct bridge *bridge, const uint8_t *message, size_t size, uint64_t now_ms)
{
    if (size < OFP_HEADER || get_be16(message + 2) != size) {
        return OFWIRE_OFPBRC_BAD_LEN;
    }
    if (message[0] != OFP_VERSION) {
        return OFWIRE_OFPBRC_BAD_VERSION;
    }
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        if (handlers[i].type == message[1]) {
            return handlers[i].apply(bridge, message, size, now_ms);
        }
    }
    return OFWIRE_OFPBRC_BAD_TYPE;
}

size_t
bridge_apply_all(struct bridge *bridge, const uint8_t *messages, size_t size, uint32_t *results,
                 size_t max, uint64_t now_ms)
{
    size_t n = 0;

    for (size_t at = 0; n < max && size - at >= OFP_HEADER; n++) {
        size_t length = get_be16(messages + at + 2);
        if (length < OFP_HEADER || length > size - at) {
            break;
        }
        results[n] = bridge_apply(bridge, messages + at, length, now_ms);
        at += length;
    }
    return n;
}
