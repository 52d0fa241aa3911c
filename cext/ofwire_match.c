/* Matches on the wire: OXM fields <-> a key and its mask. */

#include "ofwire_private.h"

#include <string.h>

#include "bytes.h"

enum {
    MATCH_HEADER = 4,           /* struct ofp_match before its fields. */
    MATCH_OXM = 1,              /* OFPMT_OXM */
    OXM_HEADER = 4,             /* Class, field and has-mask bit, size. */
    OXM_MAX = 2 * 16,           /* Bytes of the longest value with its mask. */
    EXPERIMENTER_SIZE = 4,      /* Bytes of its number, in front of the value. */
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
    uint8_t wide[8];                    /* The value, if it was sent under a narrow name. */
};

static size_t
padded(size_t size)
{
    return (size + ROUND - 1) & ~(size_t)(ROUND - 1);
}

/* Finds what the field at 'data' is called; 'at' gets the offset of its value. */
static uint32_t
read_name(const uint8_t *data, size_t size, struct field_name *name, size_t *at)
{
    if (size < OXM_HEADER || size - OXM_HEADER < data[3]) {
        return BAD_MATCH(BAD_LEN);
    }

    uint32_t oxm_class = get_be16(data);

    *at = OXM_HEADER;
    if (oxm_class == OXM_EXPERIMENTER) {
        if (data[3] < EXPERIMENTER_SIZE) {
            return BAD_MATCH(BAD_LEN);
        }
        oxm_class = get_be32(data + OXM_HEADER);
        *at += EXPERIMENTER_SIZE;
    }
    return field_by_name(oxm_class, data[2] >> 1, name) ? OFWIRE_OK : BAD_MATCH(BAD_FIELD);
}

/* Finds the parts of the field at 'data'. */
static uint32_t
read_oxm(const uint8_t *data, size_t size, struct oxm *oxm)
{
    struct field_name name;
    size_t at;
    uint32_t error = read_name(data, size, &name, &at);

    if (error != OFWIRE_OK) {
        return error;
    }
    oxm->field = name.field;
    oxm->has_mask = data[2] & 1;
    oxm->value = data + at;
    oxm->mask = oxm->has_mask ? oxm->value + name.size : all_ones;
    oxm->size = OXM_HEADER + (size_t)data[3];
    if (oxm->has_mask && !field_table[name.field].maskable) {
        return BAD_MATCH(BAD_MASK);
    }
    if (oxm->size - at != (size_t)name.size << oxm->has_mask) {
        return BAD_MATCH(BAD_LEN);
    }
    if (field_is_narrow(&name)) {
        if (!field_widen(&name, oxm->value, oxm->wide)) {
            return BAD_MATCH(BAD_VALUE);
        }
        oxm->value = oxm->wide;
    }
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

    return !(mask & VID_PRESENT) || value & VID_PRESENT || !(value & (VID_PRESENT - 1));
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
    if ((oxm->field == FIELD_vlan_vid || oxm->field == FIELD_vlan_tci) && !vlan_makes_sense(oxm)) {
        return BAD_MATCH(BAD_VALUE);
    }
    return OFWIRE_OK;
}

/* Puts a field in; false if bits of it are matched already, under another name. */
static bool
put_bits(struct of_match *match, const struct oxm *oxm)
{
    uint64_t value[2], mask[2];
    unsigned word = field_table[oxm->field].word, n = field_table[oxm->field].bits > 64 ? 2 : 1;

    field_words(oxm->field, oxm->value, value);
    field_words(oxm->field, oxm->mask, mask);
    for (unsigned i = 0; i < n; i++) {
        if (match->mask.word[word + i] & mask[i]) {
            return false;
        }
        match->key.word[word + i] |= value[i];
        match->mask.word[word + i] |= mask[i];
    }
    return true;
}

/* Adds a field to the match. */
static uint32_t
add_field(struct of_match *match, const struct oxm *oxm)
{
    uint32_t error = check_bits(oxm);

    if (error != OFWIRE_OK) {
        return error;
    }
    if (!field_needs_met(oxm->field, &match->key, &match->mask)) {
        return BAD_MATCH(BAD_PREREQ);
    }
    return put_bits(match, oxm) ? OFWIRE_OK : BAD_MATCH(DUP_FIELD);
}

/* Decodes the fields in 'size' bytes. */
static uint32_t
read_fields(const uint8_t *data, size_t size, struct of_match *match)
{
    bool seen[N_FIELDS] = { false };
    struct oxm oxm;

    for (; size; data += oxm.size, size -= oxm.size) {
        uint32_t error = read_oxm(data, size, &oxm);

        if (error == OFWIRE_OK) {
            error = seen[oxm.field] ? BAD_MATCH(DUP_FIELD) : add_field(match, &oxm);
        }
        if (error != OFWIRE_OK) {
            return error;
        }
        seen[oxm.field] = true;
    }
    return OFWIRE_OK;
}

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

/* What a match has to say of a field: words as in its key. */
struct told {
    enum field field;
    bool exact;
    uint64_t value[2], mask[2];
};

/* Finds what bits of 'field' are 'left' to tell.  False if there are none, if the field cannot tell
 * them, or if packets that match have another field in its place. */
static bool
find_told(enum field field, const struct flow_key *key, const struct flow_key *mask,
          const struct flow_key *left, struct told *told)
{
    unsigned word = field_table[field].word, n = field_table[field].bits > 64 ? 2 : 1;
    uint64_t any = 0;

    *told = (struct told) { .field = field, .exact = true };
    for (unsigned i = 0; i < n; i++) {
        uint64_t all = field_word_mask(field, i);

        told->mask[i] = left->word[word + i] & all;
        told->value[i] = key->word[word + i] & told->mask[i];
        told->exact &= told->mask[i] == all;
        any |= told->mask[i];
    }
    return any && (told->exact || field_table[field].maskable) && field_needs_met(field, key, mask);
}

/* Tells it: then its bits are not 'left' any more. */
static void
put_told(struct buffer *out, const struct told *told, struct flow_key *left)
{
    const struct field_info *info = &field_table[told->field];
    uint8_t oxm[OXM_HEADER + OXM_MAX];

    for (unsigned i = 0; i < (info->bits > 64 ? 2 : 1); i++) {
        left->word[info->word + i] &= ~told->mask[i];
    }
    field_value(told->field, told->value, oxm + OXM_HEADER);
    field_value(told->field, told->mask, oxm + OXM_HEADER + info->size);
    put_be16(oxm, info->oxm_class);
    oxm[2] = (uint8_t)(info->oxm_field << 1 | !told->exact);
    oxm[3] = (uint8_t)(info->size << !told->exact);
    buffer_add(out, oxm, OXM_HEADER + (size_t)oxm[3]);
}

/* Whether a word of the field has bits that are left to tell: a quick no for almost all fields. */
static bool
is_left(enum field field, const struct flow_key *left)
{
    const struct field_info *info = &field_table[field];

    return left->word[info->word] || (info->bits > 64 && left->word[info->word + 1]);
}

void
ofwire_put_match(struct buffer *out, const struct flow_key *key, const struct flow_key *mask)
{
    size_t start = out->len;
    struct flow_key left = *mask;

    buffer_put(out, MATCH_HEADER);
    for (unsigned field = 0; field < N_FIELDS; field++) {
        struct told told;

        if (is_left(field, &left) && find_told(field, key, mask, &left, &told)) {
            put_told(out, &told, &left);
        }
    }

    size_t len = out->len - start;

    buffer_put(out, padded(len) - len);
    if (!out->failed) {
        put_be16(out->data + start, MATCH_OXM);
        put_be16(out->data + start + 2, (uint16_t)len);
    }
}
