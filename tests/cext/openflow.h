#ifndef TEST_OPENFLOW_H
#define TEST_OPENFLOW_H

/* OpenFlow structures built piece by piece, in the same buffers as frames: matches, actions,
 * instructions.  Each of_begin_*() returns where the structure begins, for of_end*(). */

#include "field.h"
#include "packets.h"

enum { OXM_MASKED = 1 };

/* Fills in the length of the structure that began at 'start', at 2 bytes into it. */
static inline void
of_end(struct frame *f, size_t start)
{
    put_be16(f->data + start + 2, (uint16_t)(f->len - start));
}

static inline void
of_pad(struct frame *f, size_t start)
{
    while ((f->len - start) % 8) {
        frame_add8(f, 0);
    }
}

/* Adds the value of a field of at most 64 bits. */
static inline void
of_value(struct frame *f, enum field field, uint64_t number)
{
    uint8_t bytes[16] = { 0 };

    put_be64(bytes + 8, number);
    frame_add(f, bytes + 16 - field_table[field].size, field_table[field].size);
}

static inline void
of_oxm(struct frame *f, enum field field, uint64_t number)
{
    frame_add16(f, field_table[field].oxm_class);
    frame_add8(f, field_table[field].oxm_field << 1);
    frame_add8(f, field_table[field].size);
    of_value(f, field, number);
}

static inline void
of_oxm_masked(struct frame *f, enum field field, uint64_t number, uint64_t mask)
{
    frame_add16(f, field_table[field].oxm_class);
    frame_add8(f, field_table[field].oxm_field << 1 | OXM_MASKED);
    frame_add8(f, field_table[field].size * 2u);
    of_value(f, field, number);
    of_value(f, field, mask);
}

static inline size_t
of_begin_match(struct frame *f)
{
    size_t start = f->len;

    frame_add32(f, 1 << 16);
    return start;
}

static inline void
of_end_match(struct frame *f, size_t start)
{
    of_end(f, start);
    of_pad(f, start);
}

/* Adds an action, or an instruction, of 8 bytes with a 32-bit argument. */
static inline void
of_short(struct frame *f, unsigned type, uint32_t argument)
{
    frame_add16(f, type);
    frame_add16(f, 8);
    frame_add32(f, argument);
}

static inline void
of_output(struct frame *f, uint32_t port)
{
    frame_add32(f, 16);
    frame_add32(f, port);
    frame_add32(f, 0xffff0000);
    frame_add32(f, 0);
}

static inline void
of_set_field(struct frame *f, enum field field, uint64_t number)
{
    size_t start = f->len;

    frame_add32(f, 25 << 16);
    of_oxm(f, field, number);
    of_pad(f, start);
    of_end(f, start);
}

/* An instruction that has actions. */
static inline size_t
of_begin_actions(struct frame *f, unsigned type)
{
    size_t start = f->len;

    frame_add32(f, type << 16);
    frame_add32(f, 0);
    return start;
}

static inline void
of_metadata(struct frame *f, uint64_t value, uint64_t mask)
{
    frame_add32(f, 2 << 16 | 24);
    frame_add32(f, 0);
    frame_add32(f, (uint32_t)(value >> 32));
    frame_add32(f, (uint32_t)value);
    frame_add32(f, (uint32_t)(mask >> 32));
    frame_add32(f, (uint32_t)mask);
}

#endif
