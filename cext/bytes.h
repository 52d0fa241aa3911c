#ifndef RAICHO_BYTES_H
#define RAICHO_BYTES_H

/* Big-endian integers at any address, aligned or not. */

#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BYTES_SWAP(BITS, VALUE) __builtin_bswap##BITS(VALUE)
#else
#define BYTES_SWAP(BITS, VALUE) (VALUE)
#endif

static inline uint16_t
get_be16(const void *from)
{
    uint16_t value;

    memcpy(&value, from, sizeof value);
    return BYTES_SWAP(16, value);
}

static inline uint32_t
get_be32(const void *from)
{
    uint32_t value;

    memcpy(&value, from, sizeof value);
    return BYTES_SWAP(32, value);
}

static inline uint64_t
get_be64(const void *from)
{
    uint64_t value;

    memcpy(&value, from, sizeof value);
    return BYTES_SWAP(64, value);
}

/* Reads 6 bytes, not 8. */
static inline uint64_t
get_be48(const void *from)
{
    return (uint64_t)get_be32(from) << 16 | get_be16((const uint8_t *)from + 4);
}

static inline void
put_be16(void *to, uint16_t value)
{
    value = BYTES_SWAP(16, value);
    memcpy(to, &value, sizeof value);
}

static inline void
put_be32(void *to, uint32_t value)
{
    value = BYTES_SWAP(32, value);
    memcpy(to, &value, sizeof value);
}

static inline void
put_be64(void *to, uint64_t value)
{
    value = BYTES_SWAP(64, value);
    memcpy(to, &value, sizeof value);
}

/* Writes the low 48 bits of 'value' to 6 bytes. */
static inline void
put_be48(void *to, uint64_t value)
{
    put_be32(to, (uint32_t)(value >> 16));
    put_be16((uint8_t *)to + 4, (uint16_t)value);
}

#endif
