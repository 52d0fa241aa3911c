/* Matches on the wire: OXM fields <-> a key and its mask. */

#include "ofwire_private.h"

#include <string.h>

#include "bytes.h"

enum {
    MATCH_HEADER = 4,           /* struct ofp_match before its fields. */
    MATCH_OXM = 1,              /* OFPMT_OXM */
    OXM_HEADER = 4,             /* Class, field and has-mask bit, size. */
    OXM_MAX = 2 * 16,           /* Bytes of the longest value with its mask. */
    ROUND = 8,                  /* Matches are padded to a multiple of this. */
};

#define BAD_MATCH(CODE) OFWIRE_ERROR(OFPET_BAD_MATCH, OFPBMC_##CODE)

static const uint8_t all_ones[16] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
};

/* One field of a match. */
struct oxm {
    enum field field;
    bool has_mask;
    const uint8_t *value, *mask;        /* 'mask' is all ones if it is not sent. */
    size_t size;                        /* Bytes it takes, its header included. */
};

static size_t
padded(size_t size)
{
    return (size + ROUND - 1) & ~(size_t)(ROUND - 1);
}

/* Finds the parts of the field at 'data'. */
static uint32_t
read_oxm(const uint8_t *data, size_t size, struct oxm *oxm)
{
    if (size < OXM_HEADER || size - OXM_HEADER < data[3]) {
        return BAD_MATCH(BAD_LEN);
    }

    int field = field_by_oxm(get_be16(data), data[2] >> 1);

    if (field < 0) {
        return BAD_MATCH(BAD_FIELD);
    }
    oxm->field = (enum field)field;
    oxm->has_mask = data[2] & 1;
    if (oxm->has_mask && !field_table[field].maskable) {
        return BAD_MATCH(BAD_MASK);
    }
    if (data[3] != field_table[field].size << oxm->has_mask) {
        return BAD_MATCH(BAD_LEN);
    }
    oxm->value = data + OXM_HEADER;
    oxm->mask = oxm->has_mask ? oxm->value + field_table[field].size : all_ones;
    oxm->size = OXM_HEADER + data[3];
    return OFWIRE_OK;
}

bool
ofwire_value_fits(enum field field, const uint8_t *value)
{
    unsigned spare = field_table[field].size * 8u - field_table[field].bits;

    for (; spare >= 8; spare -= 8) {
        if (*value++) {
            return false;
        }
    }
    return !(*value & ~(0xffu >> spare));
}

/* A VLAN number is only one with OFPVID_PRESENT; without it nothing else could match. */
static bool
vlan_makes_sense(const struct oxm *oxm)
{
    uint16_t value = get_be16(oxm->value), mask = get_be16(oxm->mask);

    return !(mask & VID_PRESENT) || value & VID_PRESENT || !value;
}

static uint32_t
check_bits(const struct oxm *oxm)
{
    if (!ofwire_value_fits(oxm->field, oxm->value)) {
        return BAD_MATCH(BAD_VALUE);
    }
    if (oxm->has_mask && !ofwire_value_fits(oxm->field, oxm->mask)) {
        return BAD_MATCH(BAD_MASK);
    }
    for (unsigned i = 0; i < field_table[oxm->field].size; i++) {
        if (oxm->value[i] & ~oxm->mask[i]) {
            return BAD_MATCH(BAD_WILDCARDS);
        }
    }
    if (oxm->field == FIELD_vlan_vid && !vlan_makes_sense(oxm)) {
        return BAD_MATCH(BAD_VALUE);
    }
    return OFWIRE_OK;
}

/* Decodes the fields in 'size' bytes. */
static uint32_t
read_fields(const uint8_t *data, size_t size, struct of_match *match)
{
    uint64_t seen = 0;
    struct oxm oxm;

    for (; size; data += oxm.size, size -= oxm.size) {
        uint32_t error = read_oxm(data, size, &oxm);

        if (error == OFWIRE_OK && seen >> oxm.field & 1) {
            error = BAD_MATCH(DUP_FIELD);
        }
        if (error == OFWIRE_OK) {
            error = check_bits(&oxm);
        }
        if (error == OFWIRE_OK && !field_needs_met(oxm.field, &match->key, &match->mask)) {
            error = BAD_MATCH(BAD_PREREQ);
        }
        if (error != OFWIRE_OK) {
            return error;
        }
        seen |= UINT64_C(1) << oxm.field;
        field_put(&match->key, oxm.field, oxm.value);
        field_put(&match->mask, oxm.field, oxm.mask);
    }
    return OFWIRE_OK;
}

_Static_assert(N_FIELDS <= 64, "the fields seen are bits of one word");

uint32_t
ofwire_get_match(const uint8_t *data, size_t size, struct of_match *match, size_t *used)
{
    *match = (struct of_match) { 0 };
    if (size < MATCH_HEADER) {
        return BAD_MATCH(BAD_LEN);
    }
    if (get_be16(data) != MATCH_OXM) {
        return BAD_MATCH(BAD_TYPE);
    }

    size_t len = get_be16(data + 2);

    if (len < MATCH_HEADER || padded(len) > size) {
        return BAD_MATCH(BAD_LEN);
    }
    *used = padded(len);
    return read_fields(data + MATCH_HEADER, len - MATCH_HEADER, match);
}

/* Whether the match looks at bits of 'field'. */
static bool
is_matched(enum field field, const struct flow_key *key, const struct flow_key *mask)
{
    const uint64_t *word = &mask->word[field_table[field].word];
    uint64_t low = field_word_mask(field, 1);

    return (word[0] & field_word_mask(field, 0) || (low && word[1] & low))
           && field_needs_met(field, key, mask);
}

/* Whether all bits of 'field' are set in 'mask'. */
static bool
is_exact(enum field field, const struct flow_key *mask)
{
    const uint64_t *word = &mask->word[field_table[field].word];
    uint64_t all = field_word_mask(field, 0), low = field_word_mask(field, 1);

    return (word[0] & all) == all && (!low || (word[1] & low) == low);
}

static void
put_field(struct buffer *out, enum field field, const struct flow_key *key,
          const struct flow_key *mask)
{
    const struct field_info *info = &field_table[field];
    uint8_t oxm[OXM_HEADER + OXM_MAX];
    bool has_mask = !is_exact(field, mask);

    field_get(key, field, oxm + OXM_HEADER);
    field_get(mask, field, oxm + OXM_HEADER + info->size);
    put_be16(oxm, info->oxm_class);
    oxm[2] = (uint8_t)(info->oxm_field << 1 | has_mask);
    oxm[3] = (uint8_t)(info->size << has_mask);
    buffer_add(out, oxm, OXM_HEADER + (size_t)oxm[3]);
}

void
ofwire_put_match(struct buffer *out, const struct flow_key *key, const struct flow_key *mask)
{
    size_t start = out->len;

    buffer_put(out, MATCH_HEADER);
    for (unsigned field = 0; field < N_FIELDS; field++) {
        if (is_matched(field, key, mask)) {
            put_field(out, field, key, mask);
        }
    }

    size_t len = out->len - start;

    buffer_put(out, padded(len) - len);
    if (!out->failed) {
        put_be16(out->data + start, MATCH_OXM);
        put_be16(out->data + start + 2, (uint16_t)len);
    }
}
