#ifndef RAICHO_METER_H
#define RAICHO_METER_H

/* Meters: what happens to packets above a rate (OpenFlow 1.3.5, section 5.7).
 *
 * What
 * ====
 * A meter has bands, each with a rate.  Of the bands whose rate a packet exceeds, the
 * one with the highest rate acts on it.  Packets count in a meter as what the network
 * sees: one that is to be segmented counts as its segments.
 *
 * How
 * ===
 * Each band has a token bucket, kept as the time at which it will be full again [1].
 * A packet takes its tokens by moving that time on; it exceeds the rate if the
 * bucket has not enough.  A packet of more than half of the bucket takes what is there as
 * soon as that is half, and the bucket owes the rest: else a bucket too small for its
 * packets would hold them all back.  So over any time t at most
 * rate * t + bucket + one packet pass, and a load above the rate gets all of it.
 *
 * Bands are asked from the highest rate down, and a packet that one acts on takes nothing
 * from those below: with a remark below a drop this is the marker of RFC 2698.
 *
 * Cost
 * ====
 * One compare-and-swap, 10 ns, for each band and run of packets through the same meter, and
 * 2 ns for each packet and band.  64 bytes for a meter and for each of its bands.
 *
 * Threads
 * =======
 * The control thread makes, modifies and retires.  Workers find a meter by its number, read its
 * bands through one atomic pointer, and share the buckets: if another worker
 * was faster, the packets are judged again by what it left.  Nobody waits.
 *
 * [1] The virtual scheduling algorithm of ITU-T I.371, annex A (GCRA). */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "idmap.h"

enum {
    METER_MAX = 0xffff0000,             /* OFPM_MAX */
    METER_SLOWPATH = 0xfffffffd,
    METER_CONTROLLER = 0xfffffffe,
    METER_ALL = 0xffffffff,

    METERS_MAX = 1 << 20,               /* Of a bridge. */
    BANDS_MAX = 16,                     /* Of a meter. */
};

/* OFPMF_*; OFPMBT_*. */
enum { METER_KBPS = 1, METER_PKTPS = 2, METER_BURST = 4, METER_STATS = 8, METER_FLAGS = 15 };
enum { BAND_DROP = 1, BAND_DSCP_REMARK = 2 };

enum { BAND_NONE = 0xff };              /* A verdict: no band acts. */

struct band {
    _Alignas(64) _Atomic uint64_t full; /* When the bucket is full again, in ticks. */
    uint64_t price;                     /* Ticks for a token, with a fraction. */
    uint64_t depth;                     /* Ticks in which an empty bucket is filled. */
    uint32_t rate, burst;               /* As they were sent. */
    uint32_t counter;
    uint8_t type;                       /* BAND_DROP or BAND_DSCP_REMARK. */
    uint8_t prec_level;                 /* Of a remark. */
};

/* What a worker sees of a meter; replaced as a whole. */
struct bands {
    uint16_t flags;                     /* METER_* */
    uint8_t n;
    uint8_t by_rate[BANDS_MAX];         /* The bands from the highest rate down. */
    struct band band[];                 /* In the order in which they were sent. */
};

struct meter {
    uint32_t id;                        /* First, for idmap.h. */
    uint32_t counter;                   /* Of all that came. */
    uint32_t n_flows;                   /* That name it. Control thread's. */
    uint64_t created_ms;
    _Atomic(struct bands *) bands;
};

/* All 0 but 'max' is an empty table. */
struct meter_table {
    struct idmap map;
    uint32_t max;                       /* Meters it takes. */
};

/* Worker or control: null if there is no such meter. */
static inline struct meter *
meter_find(const struct meter_table *table, uint32_t id)
{
    return idmap_find(&table->map, id);
}

/* Virtual meters are not for flows: they meter what goes to the slow path or to controllers. */
static inline bool
meter_is_virtual(uint32_t id)
{
    return id == METER_SLOWPATH || id == METER_CONTROLLER;
}

/* Control.  Returns bands that have only their number and flags yet, or null. */
struct bands *bands_new(uint16_t flags, unsigned n);

/* Control.  To be called when rate and burst of each band are there: makes their buckets, full at
 * 'now_ns'. */
void bands_start(struct bands *bands, uint64_t now_ns);

/* Worker.  Says for each of 'n' packets, which count 'tokens' (bytes, or packets with METER_PKTPS),
 * which of the bands acts on it, or BAND_NONE. */
void bands_judge(struct bands *bands, uint64_t now_ns, const uint32_t *tokens, unsigned n,
                 uint8_t *verdicts);

/* The DSCP whose drop precedence within its class of assured forwarding (RFC 2597) is 'by' levels
 * higher, or as high as there is; other DSCPs stay. */
uint8_t dscp_raise(uint8_t dscp, uint8_t by);

#endif
