#ifndef RAICHO_BRIDGE_PRIVATE_H
#define RAICHO_BRIDGE_PRIVATE_H

/* What the files bridge_*.c share: OpenFlow messages as they lie in memory,
 * by the offsets of their members. */

#include "bridge.h"
#include "bytes.h"
#include "ofwire.h"

enum {
    OFP_VERSION = 4,
    OFP_HEADER = 8,

    OFPT_EXPERIMENTER = 4, OFPT_FLOW_REMOVED = 11, OFPT_PORT_STATUS = 12, OFPT_PACKET_OUT = 13, OFPT_FLOW_MOD = 14,
    OFPT_GROUP_MOD = 15, OFPT_PORT_MOD = 16, OFPT_TABLE_MOD = 17, OFPT_METER_MOD = 29,

    OFP_NO_BUFFER = 0xffffffff,
    OFPTT_ALL = 0xff,
    OFP_PORT_SIZE = 64,
    BAND_SIZE = 16,             /* Of a struct ofp_meter_band_drop or _dscp_remark. */

    EVENTS_MAX = 16 << 20,      /* Bytes of events that wait at most. */
    PART_MAX = 65000,           /* Bytes of a part of a multipart reply. */
};

enum flow_removed_reason { REMOVED_IDLE, REMOVED_HARD, REMOVED_DELETE, REMOVED_GROUP };

/* How long something has lived, as two 32-bit numbers of seconds and nanoseconds. */
void put_duration(uint8_t *at, uint64_t since_ms, uint64_t now_ms);

/* Fills a struct ofp_port (OFP_PORT_SIZE bytes, zeroed). */
void put_port(uint8_t *at, const struct attachment *attachment);

/* Begins a message of 'size' bytes in the events; null if they are full (counted). */
uint8_t *event_put(struct bridge *bridge, uint8_t type, size_t size);

/* --- Flows (bridge_flow.c) --- */

/* Which flows a request is about. */
struct flow_filter {
    uint8_t table;                      /* Or OFPTT_ALL. */
    bool strict;                        /* Exactly this match and priority. */
    uint16_t priority;
    uint32_t out_port, out_group;       /* Or ANY. */
    bool in_groups;                     /* Only those that name a group, whichever. */
    uint32_t meter;                     /* 0: with any or none; METER_ALL: with any. */
    uint64_t cookie, cookie_mask;
    struct of_match match;
};

/* Calls visit(flow, context) for each flow that the filter lets through; it may take the flow out. */
void bridge_filter_flows(struct bridge *bridge, const struct flow_filter *filter,
                         void (*visit)(struct bridge *, struct flow *, void *), void *context);

/* Makes what workers remember of the tables stale. */
static inline void
bridge_begin_generation(struct bridge *bridge)
{
    atomic_store_explicit(&bridge->generation, ++bridge->dataplane->generations,
                          memory_order_release);
}

/* table_insert() and table_remove() with the table of the flow; every other way past them would leave
 * workers with a past that they remember. */
int bridge_table_insert(struct bridge *bridge, struct flow *flow, struct flow **old);
void bridge_table_remove(struct bridge *bridge, struct flow *flow);

/* Takes a flow out of its table, tells controllers if it is to be told, and retires it. */
void bridge_remove_flow(struct bridge *bridge, struct flow *flow,
                        enum flow_removed_reason reason, uint64_t now_ms);

/* One handler for each kind of message; see bridge_apply(). */
uint32_t bridge_flow_mod(struct bridge *, const uint8_t *message, size_t size, uint64_t now_ms);
uint32_t bridge_group_mod(struct bridge *, const uint8_t *message, size_t size, uint64_t now_ms);
uint32_t bridge_meter_mod(struct bridge *, const uint8_t *message, size_t size, uint64_t now_ms);
uint32_t bridge_template_mod(struct bridge *, const uint8_t *message, size_t size, uint64_t now_ms);
uint32_t bridge_packet_out(struct bridge *, const uint8_t *message, size_t size, uint64_t now_ms);

/* The instructions of an entry: as they were sent, or as its template makes them of its arguments.
 * Those of a template stand until the next call for the same one. */
struct instructions {
    const struct program *program;      /* Its offsets count from 'bytes'. */
    const uint8_t *bytes;
    size_t size;
};

struct instructions bridge_flow_instructions(const struct flow *flow);

/* Adds 'by' to the reference counts of what a flow refers to: groups, a meter, a template. */
void bridge_count_flow(struct bridge *bridge, const struct flow *flow, int by);

/* Adds 'by' to the reference counts of the groups and the meter that a program names. */
void bridge_count_references(struct bridge *bridge, const struct program *program,
                             const uint8_t *args, int by);

/* Whether the program, or its write-actions, has an action 'op'. */
bool program_has(const struct program *program, enum op op);

/* Whether a group action of the program, or of its write-actions, names 'id'. */
bool program_uses_group(const struct program *program, const uint8_t *args, uint32_t id);

/* Sets the timer of a flow that has a timeout. */
void bridge_schedule_flow(struct bridge *bridge, struct flow *flow);

/* Adds 'by' to the reference counts of the groups that buckets name. */
void bridge_count_chains(struct bridge *bridge, const struct buckets *buckets, int by);

/* Frees bands that no worker sees; for epoch_retire(), the context is the dataplane. */
void bridge_release_bands(void *bands, void *dataplane);

/* Checks a packet-out, and sends the packet if 'send'. */
uint32_t bridge_send_packet(struct bridge *bridge, const uint8_t *message, size_t size, bool send);

/* --- Changes (bridge_bundle.c) --- */

enum change_kind {
    CHANGE_FLOW, CHANGE_GROUP, CHANGE_BUCKETS, CHANGE_METER, CHANGE_BANDS, CHANGE_PORT,
    CHANGE_TEMPLATE, CHANGE_VERSION,
};

/* What has been done to a bridge: 'after' took the place of 'before'; each may be null. */
struct change {
    enum change_kind kind;
    void *before, *after;
    void *owner;                        /* Of buckets the group, of bands the meter, of a version the
                                         * template. */
    uint32_t config;                    /* Of a port, before. */
};

/* Whether something may be changed now.  False: there is no memory to remember it by, and the
 * bundle will fail.  To be asked before every change. */
bool bridge_may_change(struct bridge *bridge);

/* Notes a change that has been made, with all counts and timers right.  Lets go of 'before', or
 * keeps it until the bundle is through. */
void bridge_changed(struct bridge *bridge, struct change change);

/* --- Templates (bridge_template.c) --- */

/* Null if there is no such template. */
static inline struct template *
template_find(const struct bridge *bridge, uint32_t id)
{
    return idmap_find(&bridge->templates, id);
}

/* What the features of a table ask of an entry besides its instructions. */
struct entry_kind {
    bool miss;                          /* It is the table-miss entry. */
    const uint8_t *match;               /* As bridge_check_features() has it. */
};

/* Whether an entry that is in 'scope' may have these arguments: what they make of the version is
 * checked as if it had been sent, and must be of the version's shape. */
uint32_t bridge_check_arguments(const struct of_scope *scope, const struct entry_kind *kind,
                                struct template_version *version, const uint8_t *args, size_t size);

/* Calls visit(bridge, flow, context) for each entry of a template until it returns false. */
void bridge_template_users(struct bridge *bridge, const struct template *template,
                           bool (*visit)(struct bridge *, struct flow *, void *), void *context);

/* Gives a template another version, and counts what its entries name anew. */
void bridge_set_version(struct bridge *bridge, struct template *template,
                        struct template_version *version);

/* Templates have come, changed or gone: ports that are to start in them do so or do not (bridge_start.c). */
void bridge_settle_starts(struct bridge *bridge);

/* How many ports have their packets start in a template. */
uint32_t bridge_count_starts(const struct bridge *bridge, const struct template *template);

/* Let go of what has been taken out.  The context of the second is the bridge. */
void bridge_retire_version(struct bridge *bridge, struct template_version *version);
void bridge_retire_template(void *template, void *bridge);

/* Lets go of all templates; their entries are retired already. */
void bridge_close_templates(struct bridge *bridge);

/* --- Lanes (bridge_lane.c) --- */

/* An attachment with its lanes, to be freed with free(3); null without memory. */
struct attachment *bridge_attachment_new(struct bridge *bridge, const struct lane_config *lanes,
                                         uint32_t n);

/* Whether there are lanes, and a worker for each. */
bool bridge_lanes_have_workers(const struct bridge *bridge, const struct lane_config *lanes,
                               uint32_t n);

/* Lets the workers begin to poll all lanes of a port, or none if there is no memory (ENOMEM); and
 * stop. */
int bridge_poll_lanes(struct attachment *attachment);
void bridge_leave_lanes(struct attachment *attachment);

/* Binds the ports of all lanes, where they are of a kind that is bound, to the packets of the workers that
 * are about to poll them, or none: then the first port says why.  And unbinds them, when nobody polls them. */
int bridge_bind_lanes(struct attachment *attachment);
void bridge_unbind_lanes(struct attachment *attachment);

/* Decides by which lanes the packets of each worker leave.  Nobody uses the port yet, or the workers
 * stand still. */
void bridge_route_lanes(struct attachment *attachment);

/* --- What OFPP_NORMAL goes by (bridge_normal.c) --- */

/* To be freed with free(3); null without memory. */
struct bridging *bridging_copy(const struct bridging *bridging);

/* Puts another map, or null, in the place of the bridge's. */
void bridge_publish_vlans(struct bridge *bridge, struct vlan_map *vlans);

void bridge_take_mac_counters(struct bridge *bridge);
void bridge_release_mac_counters(struct bridge *bridge);

/* --- Snooping (bridge_multicast.c) --- */

/* Works out anew where multicast groups go: ports have changed. */
void bridge_publish_fanout(struct bridge *bridge);

/* A port is gone. */
void bridge_forget_member(struct bridge *bridge, uint32_t port);

/* Readers gone. */
void bridge_close_snooping(struct bridge *bridge);

/* --- Queues (bridge_queue.c) --- */

/* Puts 'new' (or null) in the place of a port's queues; the worker lets go of the packets in queues
 * that do not stay.  Returns the old set, to be freed when the readers have passed, or null. */
struct queue_set *bridge_leave_queues(struct attachment *attachment, struct queue_set *new);

/* Lets go of all meters.  Readers gone. */
void bridge_close_meters(struct bridge *bridge);

/* --- Multipart replies (bridge_stats.c, bridge_meter_stats.c) --- */

enum { REPLY_AHEAD = 8 };

/* A reply that is being written. */
struct reply {
    struct bridge *bridge;
    const uint8_t *body;                /* Of the request. */
    size_t size;
    struct buffer *out, *ends;
    size_t part;                        /* Where the part that is being filled begins. */
    uint64_t now_ms;
    uint64_t packets, bytes;            /* Of an aggregate. */
    uint32_t flows;
    void (*tell)(const struct flow *, struct reply *);  /* What is done with a flow. */
    const struct flow *ahead[REPLY_AHEAD];  /* Flows whose counters are on their way here. */
    uint32_t n_seen;
};

/* What has been put since 'begin' is an entry: if the part is too long with it, the part ends
 * before it. */
void reply_end_entry(struct reply *reply, size_t begin);

/* The part ends here. */
void reply_end_part(struct reply *reply);

struct counter_sum reply_counter(const struct reply *reply, uint32_t counter);

/* One replier for each kind of request that is not in bridge_stats.c; see bridge_multipart(). */
uint32_t reply_meter_stats(struct reply *reply);
uint32_t reply_meter_config(struct reply *reply);
uint32_t reply_meter_features(struct reply *reply);
uint32_t reply_table_features(struct reply *reply);
uint32_t reply_queue_stats(struct reply *reply);
uint32_t reply_templates(struct reply *reply);

#endif
