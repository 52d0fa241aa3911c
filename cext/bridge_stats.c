/* Multipart replies: flows, aggregate, tables, ports, groups; meters are in bridge_meter_stats.c,
 * queues in bridge_queue.c.
 *
 * Reference: OpenFlow Switch Specification 1.3.5, section 7.3.5. */

#include <string.h>

#include "bridge_private.h"

enum {
    OFPMP_FLOW = 1, OFPMP_AGGREGATE = 2, OFPMP_TABLE = 3, OFPMP_PORT_STATS = 4, OFPMP_QUEUE = 5,
    OFPMP_GROUP = 6, OFPMP_GROUP_DESC = 7, OFPMP_GROUP_FEATURES = 8, OFPMP_METER = 9,
    OFPMP_METER_CONFIG = 10, OFPMP_METER_FEATURES = 11, OFPMP_TABLE_FEATURES = 12,
    OFPMP_PORT_DESC = 13, OFPMP_EXPERIMENTER = 0xffff,
};

void
reply_end_part(struct reply *reply)
{
    uint32_t end = reply->out->len;

    buffer_add(reply->ends, &end, sizeof end);
    reply->part = reply->out->len;
}

void
reply_end_entry(struct reply *reply, size_t begin)
{
    if (reply->out->len - reply->part > PART_MAX && begin > reply->part) {
        uint32_t end = begin;
        buffer_add(reply->ends, &end, sizeof end);
        reply->part = begin;
    }
}

struct counter_sum
reply_counter(const struct reply *reply, uint32_t counter)
{
    return counter_read(&reply->bridge->dataplane->counters, counter);
}

/* --- Flows -------------------------------------------------------------------------------- */

enum { FLOW_REQUEST = 40, FLOW_ENTRY = 48 };

/* struct ofp_flow_stats_request: table_id, pad, out_port 4, out_group 8, pad, cookie 16,
 * cookie_mask 24, match 32. */
static uint32_t
get_filter(const struct reply *reply, struct flow_filter *filter)
{
    size_t used;

    if (reply->size < FLOW_REQUEST) {
        return OFWIRE_OFPBRC_BAD_LEN;
    }
    *filter = (struct flow_filter) {
        .table = reply->body[0], .out_port = get_be32(reply->body + 4),
        .out_group = get_be32(reply->body + 8), .cookie = get_be64(reply->body + 16),
        .cookie_mask = get_be64(reply->body + 24),
    };
    return ofwire_get_match(reply->body + 32, reply->size - 32, &filter->match, &used);
}

static void
put_flow(const struct flow *flow, struct reply *reply)
{
    struct counter_sum sum = reply_counter(reply, flow->counter);
    size_t begin = reply->out->len;
    struct flow_key key, mask;
    uint8_t *at = buffer_put(reply->out, FLOW_ENTRY);

    if (!at) {
        return;
    }
    at[2] = flow->table;
    put_duration(at + 4, flow->created_ms, reply->now_ms);
    put_be16(at + 12, flow->priority);
    put_be16(at + 14, flow->idle_timeout);
    put_be16(at + 16, flow->hard_timeout);
    put_be16(at + 18, flow->flags);
    put_be64(at + 24, flow->cookie);
    put_be64(at + 32, sum.packets);
    put_be64(at + 40, sum.bytes);
    flow_match(flow, &key, &mask);
    ofwire_put_match(reply->out, &key, &mask);
    struct instructions what = bridge_flow_instructions(flow);
    buffer_add(reply->out, what.bytes, what.size);
    put_be16(reply->out->data + begin, reply->out->len - begin);
    reply_end_entry(reply, begin);
}

static void
add_flow(const struct flow *flow, struct reply *reply)
{
    struct counter_sum sum = reply_counter(reply, flow->counter);

    reply->packets += sum.packets;
    reply->bytes += sum.bytes;
    reply->flows++;
}

/* Puts off what is done with a flow until its counters have come from memory. */
static void
see_flow(struct bridge *bridge, struct flow *flow, void *reply_)
{
    struct reply *reply = reply_;
    const struct flow **place = &reply->ahead[reply->n_seen++ % REPLY_AHEAD];

    if (*place) {
        reply->tell(*place, reply);
    }
    counter_prefetch(&bridge->dataplane->counters, flow->counter);
    *place = flow;
}

/* Calls 'tell' for each flow that the request asks for, in any order. */
static uint32_t
tell_flows(struct reply *reply, void (*tell)(const struct flow *, struct reply *))
{
    struct flow_filter filter;
    uint32_t result = get_filter(reply, &filter);

    if (result != OFWIRE_OK) {
        return result;
    }
    reply->tell = tell;
    bridge_filter_flows(reply->bridge, &filter, see_flow, reply);
    for (unsigned i = 0; i < REPLY_AHEAD; i++) {
        const struct flow *flow = reply->ahead[(reply->n_seen + i) % REPLY_AHEAD];
        if (flow) {
            tell(flow, reply);
        }
    }
    return OFWIRE_OK;
}

static uint32_t
reply_flows(struct reply *reply)
{
    return tell_flows(reply, put_flow);
}

static uint32_t
reply_aggregate(struct reply *reply)
{
    uint32_t result = tell_flows(reply, add_flow);

    if (result != OFWIRE_OK) {
        return result;
    }
    uint8_t *at = buffer_put(reply->out, 24);
    if (at) {
        put_be64(at, reply->packets);
        put_be64(at + 8, reply->bytes);
        put_be32(at + 16, reply->flows);
    }
    return OFWIRE_OK;
}

/* --- Tables ---------------------------------------------------------------------------------- */

static uint32_t
reply_tables(struct reply *reply)
{
    for (unsigned id = 0; id < BRIDGE_TABLES; id++) {
        if (!bridge_has_table(reply->bridge, id)) {
            continue;
        }
        const struct flow_table *table = &reply->bridge->tables[id];
        size_t begin = reply->out->len;
        uint8_t *at = buffer_put(reply->out, 24);
        if (at) {
            at[0] = id;
            put_be32(at + 4, table->table.n_flows);
            put_be64(at + 8, reply_counter(reply, table->lookups).packets);
            put_be64(at + 16, reply_counter(reply, table->matches).packets);
        }
        reply_end_entry(reply, begin);
    }
    return OFWIRE_OK;
}

/* --- Ports ------------------------------------------------------------------------------------ */

/* Where the counters of a port are in the order of a struct ofp_port_stats. */
static const size_t port_counters[] = {
    offsetof(struct port_counters, rx_packets), offsetof(struct port_counters, tx_packets),
    offsetof(struct port_counters, rx_bytes), offsetof(struct port_counters, tx_bytes),
    offsetof(struct port_counters, rx_dropped), offsetof(struct port_counters, tx_dropped),
    offsetof(struct port_counters, rx_errors), offsetof(struct port_counters, tx_errors),
};

/* A counter of a port: what its lanes have counted. */
static uint64_t
sum_lanes(const struct attachment *attachment, size_t offset)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < attachment->n_lanes; i++) {
        const char *counters = (const char *) &attachment->lanes[i].port->counters;
        sum += atomic_load_explicit((const _Atomic uint64_t *) (counters + offset),
                                    memory_order_relaxed);
    }
    return sum;
}

static void
put_port_stats(struct reply *reply, const struct attachment *attachment)
{
    size_t begin = reply->out->len;
    uint8_t *at = buffer_put(reply->out, 112);

    if (!at) {
        return;
    }
    put_be32(at, attachment->number);
    for (unsigned i = 0; i < sizeof port_counters / sizeof port_counters[0]; i++) {
        put_be64(at + 8 + 8 * i, sum_lanes(attachment, port_counters[i]));
    }
    put_duration(at + 104, attachment->created_ms, reply->now_ms);
    reply_end_entry(reply, begin);
}

static uint32_t
reply_port_stats(struct reply *reply)
{
    if (reply->size != 8) {
        return OFWIRE_OFPBRC_BAD_LEN;
    }
    const struct port_map *map = atomic_load(&reply->bridge->ports);
    uint32_t number = get_be32(reply->body);
    if (number != PORT_ANY && !bridge_port(reply->bridge, number)) {
        return OFWIRE_OFPBRC_BAD_PORT;
    }
    for (uint32_t i = 0; i < map->n; i++) {
        if (number == PORT_ANY || number == map->list[i]->number) {
            put_port_stats(reply, map->list[i]);
        }
    }
    return OFWIRE_OK;
}

static uint32_t
reply_port_desc(struct reply *reply)
{
    const struct port_map *map = atomic_load(&reply->bridge->ports);

    for (uint32_t i = 0; i < map->n; i++) {
        size_t begin = reply->out->len;
        uint8_t *at = buffer_put(reply->out, OFP_PORT_SIZE);
        if (at) {
            put_port(at, map->list[i]);
        }
        reply_end_entry(reply, begin);
    }
    return OFWIRE_OK;
}

/* --- Groups ------------------------------------------------------------------------------------- */

/* struct ofp_group_stats: length, ref_count at 8, packets 16, bytes 24, duration 32, buckets 40. */
static void
put_group_stats(void *group_, void *reply_)
{
    const struct group *group = group_;
    struct reply *reply = reply_;
    const struct buckets *buckets = atomic_load(&group->buckets);
    struct counter_sum sum = reply_counter(reply, group->counter);
    size_t begin = reply->out->len, size = 40 + 16 * buckets->n;
    uint8_t *at = buffer_put(reply->out, size);

    if (!at) {
        return;
    }
    put_be16(at, size);
    put_be32(at + 4, group->id);
    put_be32(at + 8, group->refs);
    put_be64(at + 16, sum.packets);
    put_be64(at + 24, sum.bytes);
    put_duration(at + 32, group->created_ms, reply->now_ms);
    for (uint32_t i = 0; i < buckets->n; i++) {
        sum = reply_counter(reply, buckets->bucket[i].counter);
        put_be64(at + 40 + 16 * i, sum.packets);
        put_be64(at + 48 + 16 * i, sum.bytes);
    }
    reply_end_entry(reply, begin);
}

static uint32_t
reply_group_stats(struct reply *reply)
{
    if (reply->size != 8) {
        return OFWIRE_OFPBRC_BAD_LEN;
    }
    uint32_t id = get_be32(reply->body);
    struct group *group = group_find(&reply->bridge->groups, id);
    if (id == GROUP_ALL_GROUPS) {
        idmap_each(&reply->bridge->groups.map, put_group_stats, reply);
    } else if (group) {
        put_group_stats(group, reply);
    } else {
        return OFWIRE_OFPGMFC_UNKNOWN_GROUP;
    }
    return OFWIRE_OK;
}

static void
put_group_desc(void *group_, void *reply_)
{
    const struct group *group = group_;
    struct reply *reply = reply_;
    const struct buckets *buckets = atomic_load(&group->buckets);
    size_t begin = reply->out->len;
    uint8_t *at = buffer_put(reply->out, 8);

    if (!at) {
        return;
    }
    put_be16(at, 8 + buckets->wire_size);
    at[2] = buckets->type;
    put_be32(at + 4, group->id);
    buffer_add(reply->out, buckets->wire, buckets->wire_size);
    reply_end_entry(reply, begin);
}

static uint32_t
reply_group_desc(struct reply *reply)
{
    idmap_each(&reply->bridge->groups.map, put_group_desc, reply);
    return OFWIRE_OK;
}

/* struct ofp_group_features: types, capabilities 4, max_groups[4] 8, actions[4] 24. */
static uint32_t
reply_group_features(struct reply *reply)
{
    enum { SELECT_WEIGHT = 1, SELECT_LIVENESS = 2, CHAINING = 4, CHAINING_CHECKS = 8 };
    uint8_t *at = buffer_put(reply->out, 40);
    uint32_t actions = 0;

    for (unsigned op = 0; op < OP_goto_table; op++) {
        actions |= UINT32_C(1) << op_table[op].type;
    }
    for (unsigned type = 0; type < 4 && at; type++) {
        put_be32(at + 8 + 4 * type, GROUP_MAX);
        put_be32(at + 24 + 4 * type, actions);
    }
    if (at) {
        put_be32(at, 0xf);
        put_be32(at + 4, SELECT_WEIGHT | SELECT_LIVENESS | CHAINING | CHAINING_CHECKS);
    }
    return OFWIRE_OK;
}

/* --- All kinds ------------------------------------------------------------------------------------ */

struct replier {
    uint16_t type;
    uint32_t (*reply)(struct reply *);
};

static const struct replier repliers[] = {
    { OFPMP_FLOW, reply_flows },
    { OFPMP_AGGREGATE, reply_aggregate },
    { OFPMP_TABLE, reply_tables },
    { OFPMP_PORT_STATS, reply_port_stats },
    { OFPMP_PORT_DESC, reply_port_desc },
    { OFPMP_QUEUE, reply_queue_stats },
    { OFPMP_GROUP, reply_group_stats },
    { OFPMP_GROUP_DESC, reply_group_desc },
    { OFPMP_GROUP_FEATURES, reply_group_features },
    { OFPMP_METER, reply_meter_stats },
    { OFPMP_METER_CONFIG, reply_meter_config },
    { OFPMP_METER_FEATURES, reply_meter_features },
    { OFPMP_TABLE_FEATURES, reply_table_features },
    { OFPMP_EXPERIMENTER, reply_templates },
};

uint32_t
bridge_multipart(struct bridge *bridge, uint16_t type, const uint8_t *body, size_t size,
                 struct buffer *out, struct buffer *ends, uint64_t now_ms)
{
    struct reply reply = {
        .bridge = bridge, .body = body, .size = size, .out = out, .ends = ends, .now_ms = now_ms,
    };

    for (size_t i = 0; i < sizeof repliers / sizeof repliers[0]; i++) {
        if (repliers[i].type == type) {
            uint32_t result = repliers[i].reply(&reply);
            reply_end_part(&reply);
            return result;
        }
    }
    return OFWIRE_OFPBRC_BAD_MULTIPART;
}
