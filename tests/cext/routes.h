#ifndef TEST_ROUTES_H
#define TEST_ROUTES_H

/* Random prefixes that lie within each other and side by side, and addresses at their edges. */

#include <stdbool.h>
#include <stdint.h>

#include "ip.h"

static inline uint32_t
draw(uint64_t *random, uint32_t n)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return (uint32_t) ((*random * UINT64_C(0x2545f4914f6cdd1d) >> 32) % n);
}

static inline bool
same_prefix(const struct ip_prefix *a, const struct ip_prefix *b)
{
    return a->family == b->family && a->len == b->len && ip_equal(&a->address, &b->address);
}

static inline struct ip_prefix
cut_prefix(uint8_t family, const struct ip_address *address, unsigned len)
{
    const struct ip_address mask = ip_mask(family, (uint8_t) len);

    return (struct ip_prefix) {
        { { address->word[0] & mask.word[0], address->word[1] & mask.word[1] } }, family,
        (uint8_t) len,
    };
}

/* Of few values in each byte, of any length. */
static inline void
draw_prefix(uint64_t *random, uint8_t family, struct ip_prefix *prefix)
{
    static const uint8_t values[] = { 0, 0, 1, 0x5a, 0x80, 0xff };
    const unsigned n = ip_bits(family) / 8, varied = draw(random, n);
    uint8_t bytes[16] = { 0 };

    for (unsigned i = 0; i < n; i++) {
        bytes[i] = i == varied ? draw(random, 256) : values[draw(random, sizeof values)];
    }
    const struct ip_address address = ip_read(family, bytes);
    *prefix = cut_prefix(family, &address, draw(random, ip_bits(family) + 1));
}

/* The first of a prefix, the last, one before or behind it, or one of it; as an address of 'family'. */
static inline struct ip_address
address_near(uint64_t *random, const struct ip_prefix *prefix, uint8_t family)
{
    const struct ip_address mask = ip_mask(prefix->family, prefix->len);
    const uint64_t inside = draw(random, 2) ? (uint64_t) draw(random, UINT32_MAX) << 32
                                              | draw(random, UINT32_MAX)
                                            : UINT64_MAX * draw(random, 2);
    struct ip_address address = { { prefix->address.word[0] | (inside & ~mask.word[0]),
                                    prefix->address.word[1] | (inside & ~mask.word[1]) } };

    address.word[1] += draw(random, 4) ? 0 : draw(random, 2) ? 1 : UINT64_MAX;
    return family == IP_V4 ? ip_from_v4((uint32_t) address.word[1]) : address;
}

#endif
