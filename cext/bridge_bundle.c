/* Bundles: messages of which all are applied, or none.
 *
 * How
 * ===
 * Every change to a bridge ends in bridge_changed().  Outside of a bundle that lets go of what
 * was replaced.  In a bundle it is kept, in a log: when all messages have gone well, all of it is
 * let go of; when one fails, the log is undone from its end.  What was taken out is the very
 * thing that is put back, with its counters.  Workers stand still while that is done, so that what they
 * have seen taken out cannot come back under their hands.
 *
 * Cost
 * ====
 * A log entry of 40 bytes for each thing changed.
 *
 * Reference: ONF extension 230, "Bundles"; OpenFlow Switch Specification 1.4, section 6.8. */

#include <stdlib.h>

#include "bridge_private.h"
#include "worker.h"

struct bundle {
    struct change *changes;
    size_t n, size;
    bool failed;                        /* There was no memory for a change. */
};

/* --- Letting go, and putting back -------------------------------------------------------------- */

/* Repeats 'call' until there is memory for it: what was there before has to come back. */
#define UNTIL_DONE(BRIDGE, CALL)                                    \
    while (CALL) {                                                  \
        epoch_synchronize(&(BRIDGE)->dataplane->epoch);             \
    }

static void
keep_flow(struct bridge *bridge, const struct change *change)
{
    if (change->before) {
        dataplane_retire_flow(bridge->dataplane, change->before);
    }
}

/* Gives a flow that was taken out the table's mask again. */
static bool
find_mask(struct table *table, struct flow *flow)
{
    struct flow_key key, mask;

    flow_match(flow, &key, &mask);
    flow->mask = table_mask(table, &mask);
    return flow->mask;
}

static void
put_back_flow(struct bridge *bridge, struct flow *flow)
{
    struct table *table = &bridge->tables[flow->table].table;
    const struct flow_mask mask = *flow->mask;
    struct flow *replaced;

    flow->mask = &mask;
    UNTIL_DONE(bridge, !find_mask(table, flow) && (flow->mask = &mask));
    UNTIL_DONE(bridge, bridge_table_insert(bridge, flow, &replaced));
    bridge_count_flow(bridge, flow, 1);
    bridge_schedule_flow(bridge, flow);
}

static void
undo_flow(struct bridge *bridge, const struct change *change)
{
    struct flow *after = change->after, *before = change->before;

    if (after) {
        timer_stop(&bridge->wheel, &after->timer);
        bridge_count_flow(bridge, after, -1);
    }
    if (before) {
        put_back_flow(bridge, before);
    } else {
        bridge_table_remove(bridge, after);
    }
    if (after && before) {
        after->counter_moved = before->counter_moved;
        before->counter_moved = false;
    } else {
        bridge->n_flows += before ? 1 : -1;
    }
    if (after) {
        dataplane_retire_flow(bridge->dataplane, after);
    }
}

static void
retire_group(struct bridge *bridge, struct group *group)
{
    dataplane_retire_buckets(bridge->dataplane,
                             atomic_load_explicit(&group->buckets, memory_order_relaxed));
    dataplane_retire_counter(bridge->dataplane, group->counter);
    epoch_free(&bridge->dataplane->epoch, group);
}

static void
keep_group(struct bridge *bridge, const struct change *change)
{
    if (change->before) {
        retire_group(bridge, change->before);
    }
}

static void
undo_group(struct bridge *bridge, const struct change *change)
{
    struct group *group = change->before ? change->before : change->after;
    struct buckets *buckets = atomic_load_explicit(&group->buckets, memory_order_relaxed);

    if (change->before) {
        UNTIL_DONE(bridge, group_insert(&bridge->groups, &bridge->dataplane->epoch, group));
        bridge_count_chains(bridge, buckets, 1);
    } else {
        group_remove(&bridge->groups, group);
        bridge_count_chains(bridge, buckets, -1);
        retire_group(bridge, group);
    }
}

static void
keep_buckets(struct bridge *bridge, const struct change *change)
{
    dataplane_retire_buckets(bridge->dataplane, change->before);
}

static void
undo_buckets(struct bridge *bridge, const struct change *change)
{
    struct group *group = change->owner;

    bridge_count_chains(bridge, change->before, 1);
    bridge_count_chains(bridge, change->after, -1);
    atomic_store_explicit(&group->buckets, change->before, memory_order_release);
    dataplane_retire_buckets(bridge->dataplane, change->after);
}

static void
retire_bands(struct bridge *bridge, void *bands)
{
    epoch_retire(&bridge->dataplane->epoch, bands, bridge_release_bands, bridge->dataplane);
}

static void
retire_meter(struct bridge *bridge, struct meter *meter)
{
    retire_bands(bridge, atomic_load_explicit(&meter->bands, memory_order_relaxed));
    dataplane_retire_counter(bridge->dataplane, meter->counter);
    epoch_free(&bridge->dataplane->epoch, meter);
}

static void
keep_meter(struct bridge *bridge, const struct change *change)
{
    if (change->before) {
        retire_meter(bridge, change->before);
    }
}

static void
undo_meter(struct bridge *bridge, const struct change *change)
{
    struct idmap *meters = &bridge->meters.map;

    if (change->before) {
        UNTIL_DONE(bridge, idmap_insert(meters, &bridge->dataplane->epoch, change->before));
    } else {
        idmap_remove(meters, change->after);
        retire_meter(bridge, change->after);
    }
}

static void
keep_bands(struct bridge *bridge, const struct change *change)
{
    retire_bands(bridge, change->before);
}

static void
undo_bands(struct bridge *bridge, const struct change *change)
{
    struct meter *meter = change->owner;

    atomic_store_explicit(&meter->bands, (struct bands *) change->before, memory_order_release);
    retire_bands(bridge, change->after);
}

static void
keep_template(struct bridge *bridge, const struct change *change)
{
    if (change->before) {
        bridge_retire_template(change->before, bridge);
    }
}

static void
undo_template(struct bridge *bridge, const struct change *change)
{
    if (change->before) {
        UNTIL_DONE(bridge, idmap_insert(&bridge->templates, &bridge->dataplane->epoch,
                                        change->before));
    } else {
        idmap_remove(&bridge->templates, change->after);
        bridge_settle_starts(bridge);
        bridge_retire_template(change->after, bridge);
    }
}

static void
keep_version(struct bridge *bridge, const struct change *change)
{
    bridge_retire_version(bridge, change->before);
}

static void
undo_version(struct bridge *bridge, const struct change *change)
{
    bridge_set_version(bridge, change->owner, change->before);
    bridge_retire_version(bridge, change->after);
}

static void
keep_port(struct bridge *bridge, const struct change *change)
{
    (void) bridge;
    (void) change;
}

static void
undo_port(struct bridge *bridge, const struct change *change)
{
    struct attachment *attachment = change->owner;
    struct port *port = attachment->port;

    (void) bridge;
    if ((atomic_load(&attachment->config) ^ change->config) & PORT_DOWN && port->ops->set_admin) {
        port->ops->set_admin(port, !(change->config & PORT_DOWN));
    }
    atomic_store(&attachment->config, change->config);
}

static const struct change_ops {
    void (*keep)(struct bridge *, const struct change *);
    void (*undo)(struct bridge *, const struct change *);
} change_ops[] = {
    [CHANGE_FLOW] = { keep_flow, undo_flow },
    [CHANGE_GROUP] = { keep_group, undo_group },
    [CHANGE_BUCKETS] = { keep_buckets, undo_buckets },
    [CHANGE_METER] = { keep_meter, undo_meter },
    [CHANGE_BANDS] = { keep_bands, undo_bands },
    [CHANGE_PORT] = { keep_port, undo_port },
    [CHANGE_TEMPLATE] = { keep_template, undo_template },
    [CHANGE_VERSION] = { keep_version, undo_version },
};

/* --- The log --------------------------------------------------------------------------------------- */

bool
bridge_may_change(struct bridge *bridge)
{
    struct bundle *bundle = bridge->bundle;

    if (bundle && bundle->n == bundle->size) {
        size_t size = bundle->size ? bundle->size * 2 : 64;
        struct change *changes = realloc(bundle->changes, size * sizeof *changes);
        if (!changes) {
            bundle->failed = true;
            return false;
        }
        bundle->changes = changes;
        bundle->size = size;
    }
    return true;
}

void
bridge_changed(struct bridge *bridge, struct change change)
{
    struct bundle *bundle = bridge->bundle;

    if (bundle) {
        bundle->changes[bundle->n++] = change;
    } else {
        change_ops[change.kind].keep(bridge, &change);
    }
}

static void
keep_all(struct bridge *bridge, const struct bundle *bundle)
{
    for (size_t i = 0; i < bundle->n; i++) {
        change_ops[bundle->changes[i].kind].keep(bridge, &bundle->changes[i]);
    }
}

static void
undo_all(struct bridge *bridge, const struct bundle *bundle)
{
    for (size_t i = bundle->n; i-- > 0; ) {
        change_ops[bundle->changes[i].kind].undo(bridge, &bundle->changes[i]);
    }
}

/* --- Applying ----------------------------------------------------------------------------------------- */

static bool
may_be_bundled(uint8_t type)
{
    return type == OFPT_FLOW_MOD || type == OFPT_GROUP_MOD || type == OFPT_METER_MOD
           || type == OFPT_PORT_MOD || type == OFPT_PACKET_OUT || type == OFPT_EXPERIMENTER;
}

/* What is to be done with each message of a bundle. */
typedef uint32_t handle_message(struct bridge *, const uint8_t *, size_t, uint64_t now_ms);

static uint32_t
change_by(struct bridge *bridge, const uint8_t *message, size_t size, uint64_t now_ms)
{
    if (!may_be_bundled(message[1])) {
        return OFWIRE_OFPBRC_BAD_TYPE;
    }
    uint32_t result = message[1] == OFPT_PACKET_OUT ? OFWIRE_OK
                      : bridge_apply(bridge, message, size, now_ms);
    return result == OFWIRE_OK && bridge->bundle->failed ? OFWIRE_OFPBRC_EPERM : result;
}

static uint32_t
check_packet(struct bridge *bridge, const uint8_t *message, size_t size, uint64_t now_ms)
{
    (void) now_ms;
    return message[1] == OFPT_PACKET_OUT ? bridge_send_packet(bridge, message, size, false)
                                         : OFWIRE_OK;
}

static uint32_t
send_packet(struct bridge *bridge, const uint8_t *message, size_t size, uint64_t now_ms)
{
    (void) now_ms;
    return message[1] == OFPT_PACKET_OUT ? bridge_send_packet(bridge, message, size, true)
                                         : OFWIRE_OK;
}

/* Handles each message up to the first that fails, whose number goes to 'failed'. */
static uint32_t
handle_each(struct bridge *bridge, const uint8_t *messages, size_t size, handle_message *handle,
            uint32_t *failed, uint64_t now_ms)
{
    uint32_t result = OFWIRE_OK;

    for (size_t at = 0, length; at < size && result == OFWIRE_OK; at += length, (*failed)++) {
        length = size - at >= OFP_HEADER ? get_be16(messages + at + 2) : 0;
        if (length < OFP_HEADER || length > size - at) {
            return OFWIRE_OFPBRC_BAD_LEN;
        }
        result = handle(bridge, messages + at, length, now_ms);
    }
    *failed -= result != OFWIRE_OK;
    return result;
}

uint32_t
bridge_apply_bundle(struct bridge *bridge, const uint8_t *messages, size_t size, bool atomic,
                    uint32_t *failed, uint64_t now_ms)
{
    struct bundle bundle = { 0 };
    size_t events = bridge->events.len;
    uint32_t lost = bridge->events_lost;

    if (atomic) {
        dataplane_hold(bridge->dataplane);
    }
    bridge->bundle = &bundle;
    *failed = 0;
    uint32_t result = handle_each(bridge, messages, size, change_by, failed, now_ms);
    if (result == OFWIRE_OK) {
        *failed = 0;
        result = handle_each(bridge, messages, size, check_packet, failed, now_ms);
    }
    bridge->bundle = NULL;
    if (result == OFWIRE_OK) {
        keep_all(bridge, &bundle);
        handle_each(bridge, messages, size, send_packet, &(uint32_t) { 0 }, now_ms);
    } else {
        dataplane_hold(bridge->dataplane);
        undo_all(bridge, &bundle);
        bridge->events.len = events;
        bridge->events_lost = lost;
    }
    dataplane_release(bridge->dataplane);
    free(bundle.changes);
    return result;
}
