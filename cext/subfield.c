/* Subfields: see subfield.h. */

#include "subfield.h"

#include "rewrite.h"

static unsigned __int128
low_bits(unsigned n)
{
    return n < 128 ? ((unsigned __int128)1 << n) - 1 : ~(unsigned __int128)0;
}

bool
subfield_is_there(enum field field, const struct flow_key *key)
{
    static const struct flow_key all = { { [0 ... N_KEY_WORDS - 1] = UINT64_MAX } };

    return field_table[field].needs == NEEDS_NONE || field_needs_met(field, key, &all);
}

/* Returns the whole field. */
static unsigned __int128
read_field(const struct flow_key *key, enum field field)
{
    const struct field_info *info = &field_table[field];
    const uint64_t *word = &key->word[info->word];

    if (info->bits > 64) {
        return (unsigned __int128)word[0] << 64 | word[1];
    }
    return (word[0] & field_word_mask(field, 0)) >> info->shift;
}

/* Writes a number as the bytes of a value of the field. */
static void
pack(enum field field, unsigned __int128 number, uint8_t value[16])
{
    for (unsigned i = field_table[field].size; i-- > 0; number >>= 8) {
        value[i] = (uint8_t)number;
    }
}

/* The field with the bits of 'sub' replaced. */
static unsigned __int128
with(const struct flow_key *key, struct subfield sub, unsigned __int128 value)
{
    unsigned __int128 bits = low_bits(sub.n) << sub.at;

    return (read_field(key, sub.field) & ~bits) | (value << sub.at & bits);
}

unsigned __int128
subfield_of_key(const struct flow_key *key, struct subfield sub)
{
    return subfield_is_there(sub.field, key) ? read_field(key, sub.field) >> sub.at & low_bits(sub.n)
                                             : 0;
}

unsigned __int128
subfield_read(struct packet *packet, struct subfield sub)
{
    packet_refresh(packet);
    return subfield_of_key(&packet_walk(packet)->key, sub);
}

void
subfield_write(struct packet *packet, struct subfield sub, unsigned __int128 value)
{
    uint8_t bytes[16];

    packet_refresh(packet);
    pack(sub.field, with(&packet_walk(packet)->key, sub, value), bytes);
    packet_set_field(packet, sub.field, bytes);
}

void
subfield_put(struct flow_key *key, struct subfield sub, unsigned __int128 value)
{
    uint8_t bytes[16];

    pack(sub.field, with(key, sub, value), bytes);
    field_put(key, sub.field, bytes);
}
