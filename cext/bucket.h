#ifndef RAICHO_BUCKET_H
#define RAICHO_BUCKET_H

/* Token bucket of the control thread: how often something may be done.
 *
 * How
 * ===
 * Kept as the time at which the bucket will be full again (ITU-T I.371, annex A).  Meters (meter.h) are
 * the same for workers. */

#include <stdbool.h>
#include <stdint.h>

struct bucket_rate {
    uint32_t per_second;        /* Tokens; 0: no limit. */
    uint32_t burst;             /* Tokens in a full bucket, at least 1. */
};

/* All 0 is full. */
struct rate_bucket {
    uint64_t full_us;
};

/* Takes a token, if there is one. */
static inline bool
bucket_take(struct rate_bucket *bucket, const struct bucket_rate *rate, uint64_t now_ms)
{
    if (!rate->per_second) {
        return true;
    }
    uint64_t now = now_ms * 1000, price = 1000000 / rate->per_second;
    uint64_t full = (bucket->full_us > now ? bucket->full_us : now) + price;

    if (full > now + price * rate->burst) {
        return false;
    }
    bucket->full_us = full;
    return true;
}

#endif
