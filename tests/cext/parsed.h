#ifndef TEST_PARSED_H
#define TEST_PARSED_H

/* A frame, what the parser made of it, and how to look at that. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "field.h"
#include "packets.h"
#include "parse.h"

/* A frame that is parsed. */
struct parsed {
    struct frame frame;
    struct packet p;
    struct flow_key key;
};

static inline void
parse_bytes(struct parsed *t, uint8_t *data, size_t len)
{
    memset(&t->p, 0x5a, sizeof t->p);           /* Whatever was there before. */
    memset(&t->key, 0xa5, sizeof t->key);
    t->p.data = data;
    t->p.len = (uint32_t)len;
    parse(&t->p, &t->key);
}

static inline void
parse_frame(struct parsed *t)
{
    frame_end(&t->frame);
    parse_bytes(t, t->frame.data, t->frame.len);
}

static inline void
parse_sample(struct parsed *t, enum sample sample)
{
    frame_sample(&t->frame, sample);
    parse_bytes(t, t->frame.data, t->frame.len);
}

/* Returns a field of up to 64 bits. */
static inline uint64_t
value(const struct parsed *t, enum field field)
{
    uint8_t bytes[8] = { 0 };

    field_get(&t->key, field, bytes + 8 - field_table[field].size);
    return get_be64(bytes);
}

static inline unsigned
ttl(const struct parsed *t)
{
    return t->key.word[W_L4] >> 8 & 0xff;
}

static inline unsigned
frag(const struct parsed *t)
{
    return t->key.word[W_L4] & 0xff;
}

#define assert_field(T, FIELD, VALUE) assert_int_equal(value(T, FIELD_##FIELD), VALUE)

static inline void
assert_offsets(const struct parsed *t, unsigned type_at, unsigned l2_5, unsigned l3, unsigned l4)
{
    assert_int_equal(t->p.eth_type_at, type_at);
    assert_int_equal(t->p.l2_5, l2_5);
    assert_int_equal(t->p.l3, l3);
    assert_int_equal(t->p.l4, l4);
}

/* Checks that no header word has a bit, but for those of 'but' (a bit set of words). */
static inline void
assert_zero_but(const struct parsed *t, uint32_t but)
{
    for (unsigned w = W_HEADERS_FIRST; w <= W_HEADERS_LAST; w++) {
        if (!(but >> w & 1)) {
            assert_int_equal(t->key.word[w], 0);
        }
    }
}

enum { ETH_WORDS = 1 << W_ETH_DST | 1 << W_ETH_SRC };

#endif
