/* Meters: see meter.h. */

#include "meter.h"

#include <stdlib.h>
#include <string.h>

/* A tick is 1/64 ns: fine enough for short packets at 400 Gbit/s, and the signed difference of
 * two times holds more than four years. */
enum { TICK_BITS = 6, PRICE_BITS = 10 };

#define TICKS(NS) ((uint64_t) (NS) << TICK_BITS)

enum {
    NS_PER_S = 1000000000,
    BYTES_PER_KILOBIT = 125,
    FULL_FRAME = 1518,
    DEFAULT_NS = 20 * 1000 * 1000,      /* What the bucket holds if nobody says: 2 % of a second. */
};

static const uint64_t max_depth = UINT64_C(1) << 60;

/* --- Buckets --------------------------------------------------------------------------- */

static uint64_t
cost_of(const struct band *band, uint64_t tokens)
{
    uint64_t cost;

    if (__builtin_mul_overflow(tokens, band->price, &cost)) {
        return max_depth;
    }
    return (cost >> PRICE_BITS) + (cost >> (PRICE_BITS - 1) & 1);
}

/* How much may be missing in the bucket when a packet of 'cost' comes. */
static uint64_t
tolerance(const struct band *band, uint64_t cost)
{
    uint64_t half = band->depth / 2;

    return cost < band->depth - half ? band->depth - cost : half;
}

/* Judges the packets that no band has taken yet by a bucket that is full at 'full'; returns when it
 * is full behind them.  May be repeated. */
static uint64_t
drain(const struct band *band, uint8_t number, uint64_t full, uint64_t now, const uint32_t *tokens,
      unsigned n, uint8_t *verdicts)
{
    if ((int64_t) (full - now) < 0) {
        full = now;
    }
    for (unsigned i = 0; i < n; i++) {
        if (verdicts[i] != BAND_NONE && verdicts[i] != number) {
            continue;
        }
        uint64_t cost = cost_of(band, tokens[i]);
        bool exceeds = full - now > tolerance(band, cost);
        verdicts[i] = exceeds ? number : BAND_NONE;
        full += exceeds ? 0 : cost;
    }
    return full;
}

void
bands_judge(struct bands *bands, uint64_t now_ns, const uint32_t *tokens, unsigned n,
            uint8_t *verdicts)
{
    memset(verdicts, BAND_NONE, n);
    for (unsigned i = 0; i < bands->n; i++) {
        uint8_t number = bands->by_rate[i];
        struct band *band = &bands->band[number];
        uint64_t full = atomic_load_explicit(&band->full, memory_order_relaxed), then;

        do {
            then = drain(band, number, full, TICKS(now_ns), tokens, n, verdicts);
        } while (then != full
                 && !atomic_compare_exchange_weak_explicit(&band->full, &full, then,
                                                           memory_order_relaxed,
                                                           memory_order_relaxed));
    }
}

/* --- Making -------------------------------------------------------------------------------- */

struct bands *
bands_new(uint16_t flags, unsigned n)
{
    struct bands *bands = NULL;
    size_t size = sizeof *bands + n * sizeof bands->band[0];

    bands = aligned_alloc(_Alignof(struct band), size);
    if (bands) {
        memset(bands, 0, size);
        bands->flags = flags;
        bands->n = n;
    }
    return bands;
}

/* A bucket holds what was asked for; or else two packets, but what comes in DEFAULT_NS if
 * that is more. */
static uint64_t
depth_of(const struct band *band, uint16_t flags)
{
    unsigned burst_unit = flags & METER_PKTPS ? 1 : BYTES_PER_KILOBIT;
    unsigned packet = flags & METER_PKTPS ? 1 : FULL_FRAME;
    uint64_t depth = cost_of(band, 2 * packet);

    if (flags & METER_BURST) {
        depth = cost_of(band, (uint64_t) band->burst * burst_unit);
    } else if (depth < TICKS(DEFAULT_NS)) {
        depth = TICKS(DEFAULT_NS);
    }
    return depth < max_depth ? depth : max_depth;
}

/* Moves the last of the first 'n' to its place among them; of equal rates the first stays first. */
static void
sort_last(struct bands *bands, unsigned n)
{
    uint8_t number = bands->by_rate[n - 1];

    for (; n > 1 && bands->band[bands->by_rate[n - 2]].rate < bands->band[number].rate; n--) {
        bands->by_rate[n - 1] = bands->by_rate[n - 2];
    }
    bands->by_rate[n - 1] = number;
}

void
bands_start(struct bands *bands, uint64_t now_ns)
{
    uint64_t second = bands->flags & METER_PKTPS ? TICKS(NS_PER_S)
                                                 : TICKS(NS_PER_S) / BYTES_PER_KILOBIT;

    for (unsigned i = 0; i < bands->n; i++) {
        struct band *band = &bands->band[i];

        band->price = ((second << PRICE_BITS) + band->rate / 2) / band->rate;
        band->depth = depth_of(band, bands->flags);
        atomic_init(&band->full, TICKS(now_ns));
        bands->by_rate[i] = i;
        sort_last(bands, i + 1);
    }
}

/* --- Remarking --------------------------------------------------------------------------------- */

/* AFxy is x:3, y:2, 0:1 with x from 1 to 4 and y from 1 to 3. */
uint8_t
dscp_raise(uint8_t dscp, uint8_t by)
{
    unsigned class = dscp >> 3, precedence = dscp >> 1 & 3;

    if (class < 1 || class > 4 || !precedence || dscp & 1) {
        return dscp;
    }
    precedence = by < 3 - precedence ? precedence + by : 3;
    return class << 3 | precedence << 1;
}
