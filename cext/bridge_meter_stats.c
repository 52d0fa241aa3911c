/* Multipart replies about meters.
 *
 * Reference: OpenFlow Switch Specification 1.3.5, sections 7.3.5.12 to 7.3.5.14. */

#include "bridge_private.h"

enum { METER_STATS_BANDS = 40, BAND_STATS_SIZE = 16 };

static const struct bands *
meter_bands(const struct meter *meter)
{
    return atomic_load_explicit(&meter->bands, memory_order_relaxed);
}

/* struct ofp_meter_multipart_request: meter_id, pad. */
static uint32_t
reply_each(struct reply *reply, void (*put)(void *meter, void *reply))
{
    if (reply->size != 8) {
        return OFWIRE_OFPBRC_BAD_LEN;
    }
    uint32_t id = get_be32(reply->body);
    struct meter *meter = meter_find(&reply->bridge->meters, id);
    if (id == METER_ALL) {
        idmap_each(&reply->bridge->meters.map, put, reply);
    } else if (meter) {
        put(meter, reply);
    } else {
        return OFWIRE_OFPMMFC_UNKNOWN_METER;
    }
    return OFWIRE_OK;
}

/* struct ofp_meter_stats: meter_id, len at 4, flow_count 12, packets 16, bytes 24,
 * duration 32, bands 40.  Meters count without OFPMF_STATS too: it costs next to nothing. */
static void
put_stats(void *meter_, void *reply_)
{
    const struct meter *meter = meter_;
    struct reply *reply = reply_;
    const struct bands *bands = meter_bands(meter);
    struct counter_sum sum = reply_counter(reply, meter->counter);
    size_t begin = reply->out->len, size = METER_STATS_BANDS + BAND_STATS_SIZE * bands->n;
    uint8_t *at = buffer_put(reply->out, size);

    if (!at) {
        return;
    }
    put_be32(at, meter->id);
    put_be16(at + 4, size);
    put_be32(at + 12, meter->n_flows);
    put_be64(at + 16, sum.packets);
    put_be64(at + 24, sum.bytes);
    put_duration(at + 32, meter->created_ms, reply->now_ms);
    at += METER_STATS_BANDS;
    for (unsigned i = 0; i < bands->n; i++, at += BAND_STATS_SIZE) {
        sum = reply_counter(reply, bands->band[i].counter);
        put_be64(at, sum.packets);
        put_be64(at + 8, sum.bytes);
    }
    reply_end_entry(reply, begin);
}

uint32_t
reply_meter_stats(struct reply *reply)
{
    return reply_each(reply, put_stats);
}

/* struct ofp_meter_config: length, flags 2, meter_id 4, bands 8. */
static void
put_config(void *meter_, void *reply_)
{
    const struct meter *meter = meter_;
    struct reply *reply = reply_;
    const struct bands *bands = meter_bands(meter);
    size_t begin = reply->out->len, size = 8 + BAND_SIZE * bands->n;
    uint8_t *at = buffer_put(reply->out, size);

    if (!at) {
        return;
    }
    put_be16(at, size);
    put_be16(at + 2, bands->flags);
    put_be32(at + 4, meter->id);
    at += 8;
    for (unsigned i = 0; i < bands->n; i++, at += BAND_SIZE) {
        const struct band *band = &bands->band[i];
        put_be16(at, band->type);
        put_be16(at + 2, BAND_SIZE);
        put_be32(at + 4, band->rate);
        put_be32(at + 8, band->burst);
        at[12] = band->prec_level;
    }
    reply_end_entry(reply, begin);
}

uint32_t
reply_meter_config(struct reply *reply)
{
    return reply_each(reply, put_config);
}

/* struct ofp_meter_features: max_meter, band_types 4, capabilities 8, max_bands 12, max_color 13
 * (meters are blind to colours). */
uint32_t
reply_meter_features(struct reply *reply)
{
    uint8_t *at = buffer_put(reply->out, 16);

    if (at) {
        put_be32(at, reply->bridge->meters.max);
        put_be32(at + 4, 1 << BAND_DROP | 1 << BAND_DSCP_REMARK);
        put_be32(at + 8, METER_FLAGS);
        at[12] = BANDS_MAX;
    }
    return OFWIRE_OK;
}
