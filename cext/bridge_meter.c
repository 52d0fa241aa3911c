/* Meter-mods.
 *
 * Virtual meters are always there: one that nobody has set up lets everything through.  So modifying
 * it sets it up, deleting it by its number takes its bands away, and deleting all meters
 * leaves it.
 *
 * Reference: OpenFlow Switch Specification 1.3.5, sections 5.7, 7.3.4.4. */

#include <stdlib.h>

#include "bridge_private.h"

enum { OFPMC_ADD, OFPMC_MODIFY, OFPMC_DELETE, N_COMMANDS };

enum { METER_MOD_BANDS = 16, BAND_HEADER = 12 };

struct meter_mod {
    struct bridge *bridge;
    uint16_t command, flags;
    uint32_t id;
    const uint8_t *wire;            /* The bands. */
    size_t wire_size;
    uint64_t now_ms;
};

static struct bands *
meter_bands(const struct meter *meter)
{
    return atomic_load_explicit(&meter->bands, memory_order_relaxed);
}

/* --- Bands -------------------------------------------------------------------------------- */

void
bridge_release_bands(void *bands_, void *dataplane_)
{
    struct dataplane *dataplane = dataplane_;
    struct bands *bands = bands_;

    for (unsigned i = 0; i < bands->n; i++) {
        counter_release(&dataplane->counters, bands->band[i].counter);
    }
    free(bands);
}

/* Checks the frame of the first band in 'size' bytes. */
static uint32_t
check_band(const uint8_t *wire, size_t size)
{
    size_t length = size >= BAND_HEADER ? get_be16(wire + 2) : 0;

    if (length < BAND_HEADER || length % 8 || length > size) {
        return OFWIRE_OFPBRC_BAD_LEN;
    }
    unsigned type = get_be16(wire);
    if (type != BAND_DROP && type != BAND_DSCP_REMARK) {
        return OFWIRE_OFPMMFC_BAD_BAND;
    }
    return length == BAND_SIZE ? OFWIRE_OK : OFWIRE_OFPBRC_BAD_LEN;
}

static uint32_t
check_bands(const struct meter_mod *mod)
{
    for (size_t at = 0; at < mod->wire_size; at += BAND_SIZE) {
        uint32_t result = check_band(mod->wire + at, mod->wire_size - at);
        if (result != OFWIRE_OK) {
            return result;
        }
    }
    return mod->wire_size > BANDS_MAX * BAND_SIZE ? OFWIRE_OFPMMFC_OUT_OF_BANDS : OFWIRE_OK;
}

/* struct ofp_meter_band_*: type, len, rate at 4, burst_size 8, prec_level 12. */
static uint32_t
get_band(const struct meter_mod *mod, const uint8_t *wire, struct band *band)
{
    band->type = get_be16(wire);
    band->rate = get_be32(wire + 4);
    band->burst = get_be32(wire + 8);
    band->prec_level = band->type == BAND_DSCP_REMARK ? wire[12] : 0;
    if (!band->rate) {
        return OFWIRE_OFPMMFC_BAD_RATE;
    }
    if (mod->flags & METER_BURST && !band->burst) {
        return OFWIRE_OFPMMFC_BAD_BURST;        /* Nothing fits into such a bucket. */
    }
    if (band->type == BAND_DSCP_REMARK && !band->prec_level) {
        return OFWIRE_OFPMMFC_BAD_BAND_VALUE;   /* It would remark nothing. */
    }
    band->counter = counter_new(&mod->bridge->dataplane->counters);
    return band->counter == COUNTER_NONE ? OFWIRE_OFPMMFC_OUT_OF_BANDS : OFWIRE_OK;
}

static uint32_t
make_bands(const struct meter_mod *mod, struct bands **made)
{
    uint32_t result = check_bands(mod);

    if (result != OFWIRE_OK) {
        return result;
    }
    struct bands *bands = bands_new(mod->flags, mod->wire_size / BAND_SIZE);
    if (!bands) {
        return OFWIRE_OFPMMFC_OUT_OF_BANDS;
    }
    for (unsigned i = 0; i < bands->n && result == OFWIRE_OK; i++) {
        result = get_band(mod, mod->wire + i * BAND_SIZE, &bands->band[i]);
    }
    if (result != OFWIRE_OK) {
        bridge_release_bands(bands, mod->bridge->dataplane);
        return result;
    }
    bands_start(bands, mod->now_ms * 1000000);
    *made = bands;
    return OFWIRE_OK;
}

/* --- Adding and modifying ------------------------------------------------------------------- */

/* Makes a meter of 'bands' and puts it in. */
static uint32_t
put_meter(const struct meter_mod *mod, struct bands *bands)
{
    struct meter_table *table = &mod->bridge->meters;
    struct dataplane *dataplane = mod->bridge->dataplane;
    uint32_t counter = counter_new(&dataplane->counters);
    struct meter *meter = counter == COUNTER_NONE ? NULL : malloc(sizeof *meter);

    if (meter) {
        *meter = (struct meter) { .id = mod->id, .counter = counter, .created_ms = mod->now_ms };
        atomic_init(&meter->bands, bands);
    }
    if (!meter || !bridge_may_change(mod->bridge)
        || idmap_insert(&table->map, &dataplane->epoch, meter)) {
        counter_release(&dataplane->counters, counter);
        free(meter);
        return OFWIRE_OFPMMFC_OUT_OF_METERS;
    }
    bridge_changed(mod->bridge, (struct change) { CHANGE_METER, .after = meter });
    return OFWIRE_OK;
}

static uint32_t
meter_add(const struct meter_mod *mod)
{
    struct meter_table *table = &mod->bridge->meters;
    struct bands *bands;

    if (meter_find(table, mod->id)) {
        return OFWIRE_OFPMMFC_METER_EXISTS;
    }
    uint32_t result = make_bands(mod, &bands);
    if (result != OFWIRE_OK) {
        return result;
    }
    result = table->map.n < table->max ? put_meter(mod, bands) : OFWIRE_OFPMMFC_OUT_OF_METERS;
    if (result != OFWIRE_OK) {
        bridge_release_bands(bands, mod->bridge->dataplane);
    }
    return result;
}

/* The meter goes on counting; its bands begin anew. */
static uint32_t
meter_modify(const struct meter_mod *mod)
{
    struct meter *meter = meter_find(&mod->bridge->meters, mod->id);
    struct bands *bands, *old;

    if (!meter) {
        return meter_is_virtual(mod->id) ? meter_add(mod) : OFWIRE_OFPMMFC_UNKNOWN_METER;
    }
    uint32_t result = make_bands(mod, &bands);
    if (result != OFWIRE_OK) {
        return result;
    }
    if (!bridge_may_change(mod->bridge)) {
        bridge_release_bands(bands, mod->bridge->dataplane);
        return OFWIRE_OFPMMFC_OUT_OF_BANDS;
    }
    old = meter_bands(meter);
    atomic_store_explicit(&meter->bands, bands, memory_order_release);
    bridge_changed(mod->bridge, (struct change) { CHANGE_BANDS, old, bands, meter, 0 });
    return OFWIRE_OK;
}

/* --- Deleting ----------------------------------------------------------------------------------- */

static void
remove_user(struct bridge *bridge, struct flow *flow, void *mod_)
{
    const struct meter_mod *mod = mod_;

    /* Version 1.3 has no reason of its own for this; 1.4 has OFPRR_METER_DELETE. */
    bridge_remove_flow(bridge, flow, REMOVED_DELETE, mod->now_ms);
}

/* Takes out the flows that name meter 'id', or with METER_ALL any. */
static void
remove_users(const struct meter_mod *mod, uint32_t id)
{
    struct flow_filter users = {
        .table = OFPTT_ALL, .out_port = PORT_ANY, .out_group = GROUP_ANY, .meter = id,
    };

    bridge_filter_flows(mod->bridge, &users, remove_user, (void *) mod);
}

static void
retire_meter(struct bridge *bridge, struct meter *meter)
{
    if (bridge_may_change(bridge)) {
        idmap_remove(&bridge->meters.map, meter);
        bridge_changed(bridge, (struct change) { CHANGE_METER, .before = meter });
    }
}

static void
remove_real(void *meter_, void *bridge)
{
    struct meter *meter = meter_;

    if (!meter_is_virtual(meter->id)) {
        retire_meter(bridge, meter);
    }
}

static uint32_t
meter_delete(const struct meter_mod *mod)
{
    struct meter *meter = meter_find(&mod->bridge->meters, mod->id);

    if (mod->id == METER_ALL) {
        remove_users(mod, METER_ALL);
        idmap_each(&mod->bridge->meters.map, remove_real, mod->bridge);
    } else if (meter) {
        if (meter->n_flows) {
            remove_users(mod, meter->id);
        }
        retire_meter(mod->bridge, meter);
    }
    return OFWIRE_OK;
}

static void
remove_any(void *meter, void *bridge)
{
    retire_meter(bridge, meter);
}

void
bridge_close_meters(struct bridge *bridge)
{
    idmap_each(&bridge->meters.map, remove_any, bridge);
    idmap_close(&bridge->meters.map);
}

/* --- The message ----------------------------------------------------------------------------------- */

static bool
has_valid_id(const struct meter_mod *mod)
{
    return (mod->id && mod->id <= METER_MAX) || meter_is_virtual(mod->id)
           || (mod->command == OFPMC_DELETE && mod->id == METER_ALL);
}

/* A rate is in kbit/s unless it is in packets/s. */
static bool
has_valid_flags(const struct meter_mod *mod)
{
    enum { UNITS = METER_KBPS | METER_PKTPS };

    return mod->command == OFPMC_DELETE
           || (!(mod->flags & ~METER_FLAGS) && (mod->flags & UNITS) != UNITS);
}

/* struct ofp_meter_mod: command at 8, flags 10, meter_id 12, bands 16. */
uint32_t
bridge_meter_mod(struct bridge *bridge, const uint8_t *message, size_t size, uint64_t now_ms)
{
    static uint32_t (*const commands[N_COMMANDS])(const struct meter_mod *) = {
        [OFPMC_ADD] = meter_add, [OFPMC_MODIFY] = meter_modify, [OFPMC_DELETE] = meter_delete,
    };

    if (size < METER_MOD_BANDS) {
        return OFWIRE_OFPBRC_BAD_LEN;
    }
    const struct meter_mod mod = {
        .bridge = bridge, .command = get_be16(message + 8), .flags = get_be16(message + 10),
        .id = get_be32(message + 12), .wire = message + METER_MOD_BANDS,
        .wire_size = size - METER_MOD_BANDS, .now_ms = now_ms,
    };
    if (mod.command >= N_COMMANDS) {
        return OFWIRE_OFPMMFC_BAD_COMMAND;
    }
    if (!has_valid_id(&mod)) {
        return OFWIRE_OFPMMFC_INVALID_METER;
    }
    if (!has_valid_flags(&mod)) {
        return OFWIRE_OFPMMFC_BAD_FLAGS;
    }
    return commands[mod.command](&mod);
}
