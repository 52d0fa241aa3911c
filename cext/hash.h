#ifndef RAICHO_HASH_H
#define RAICHO_HASH_H

/* Hashing of 64-bit words: multiply and fold, a word a step. */

#include <stdint.h>

static inline uint64_t
hash_word(uint64_t hash, uint64_t word)
{
    unsigned __int128 product = (unsigned __int128) (hash ^ word ^ 0xa0761d6478bd642fu)
                                * 0xe7037ed1a0b428dbu;
    return (uint64_t) product ^ (uint64_t) (product >> 64);
}

static inline uint32_t
hash_finish(uint64_t hash)
{
    return (uint32_t) (hash ^ hash >> 32);
}

#endif
