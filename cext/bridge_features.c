/* Table features: see bridge_features.h.  First what flows may be, then reading and writing it. */

#include "bridge_features.h"

#include <stdlib.h>
#include <string.h>

#include "bridge_private.h"

enum {
    FEATURES_HEAD = 64,             /* Bytes of a struct ofp_table_features before its properties. */
    PROPERTY_HEAD = 4, OXM_HEADER = 4, ACTION_MIN = 8, ACTIONS_AT = 8, MATCH_HEADER = 4,
    INSTRUCTION_GOTO = 1, INSTRUCTION_METADATA = 2, INSTRUCTION_WRITE = 3, INSTRUCTION_APPLY = 4,
    ACTION_SET_FIELD = 25,
    EXPERIMENTER = 0xffff, EXPERIMENTER_BIT = 255, NICIRA = 0x2320,
};

/* What the members of a set are. */
enum members { NOTHING, INSTRUCTIONS, TABLES, ACTIONS, FIELDS_ };

static const uint8_t members_of[N_PROPERTIES] = {
    INSTRUCTIONS, INSTRUCTIONS, TABLES, TABLES, ACTIONS, ACTIONS, ACTIONS, ACTIONS,
    FIELDS_, NOTHING, FIELDS_, NOTHING, FIELDS_, FIELDS_, FIELDS_, FIELDS_,
};

_Static_assert(N_FIELDS <= 256, "fields are members of a struct feature_set");

/* --- Sets ------------------------------------------------------------------------------------ */

static void
set_add(struct feature_set *set, unsigned number)
{
    set->words[number / 64] |= UINT64_C(1) << number % 64;
}

static bool
set_has(const struct feature_set *set, unsigned number)
{
    return set->words[number / 64] >> number % 64 & 1;
}

static bool
set_equal(const struct feature_set *a, const struct feature_set *b)
{
    return !memcmp(a, b, sizeof *a);
}

/* --- What the switch can ------------------------------------------------------------------------ */

static void
add_ops(struct table_features *features)
{
    for (unsigned op = 0; op < OP_goto_table; op++) {
        set_add(&features->sets[TABLE_WRITE_ACTIONS], op_table[op].type);
        set_add(&features->sets[TABLE_APPLY_ACTIONS], op_table[op].type);
    }
    set_add(&features->sets[TABLE_WRITE_ACTIONS], EXPERIMENTER_BIT);
    set_add(&features->sets[TABLE_APPLY_ACTIONS], EXPERIMENTER_BIT);
    for (unsigned op = OP_goto_table; op <= OP_meter; op++) {
        set_add(&features->sets[TABLE_INSTRUCTIONS], op_table[op].type);
    }
    set_add(&features->sets[TABLE_INSTRUCTIONS], INSTRUCTION_APPLY);
}

static void
add_fields(struct table_features *features)
{
    for (unsigned field = 0; field < N_FIELDS; field++) {
        set_add(&features->sets[TABLE_MATCH], field);
        set_add(&features->sets[TABLE_WILDCARDS], field);
        if (field_table[field].maskable) {
            set_add(&features->masked, field);
        }
        if (field_table[field].settable) {
            set_add(&features->sets[TABLE_WRITE_SETFIELD], field);
            set_add(&features->sets[TABLE_APPLY_SETFIELD], field);
        }
    }
}

/* Features of the miss entry are those of flows, until somebody says otherwise. */
static void
copy_to_miss(struct table_features *features, const bool given[N_PROPERTIES])
{
    for (unsigned i = 0; i < N_PROPERTIES; i += 2) {
        if (!given[i + TABLE_MISS]) {
            features->sets[i + TABLE_MISS] = features->sets[i];
        }
    }
}

/* All that table 'id' can be. */
static struct table_features
all_features(unsigned id)
{
    static const bool given[N_PROPERTIES];
    struct table_features features = { .metadata_match = UINT64_MAX, .metadata_write = UINT64_MAX };

    memcpy(features.name, "table", 5);
    for (unsigned at = 5, unit = id < 10 ? 1 : id < 100 ? 10 : 100; unit; unit /= 10) {
        features.name[at++] = '0' + id / unit % 10;
    }
    add_ops(&features);
    add_fields(&features);
    for (unsigned next = id + 1; next < BRIDGE_TABLES; next++) {
        set_add(&features.sets[TABLE_NEXT], next);
    }
    copy_to_miss(&features, given);
    return features;
}

static struct table_features
features_of(const struct bridge *bridge, unsigned id)
{
    return bridge->tables[id].features ? *bridge->tables[id].features : all_features(id);
}

bool
bridge_has_table(const struct bridge *bridge, unsigned id)
{
    return !bridge->tables[id].features || !bridge->tables[id].features->removed;
}

/* --- May a flow be like this? ------------------------------------------------------------------- */

/* Whether the value of a field on the wire, and its mask if it has one, keep within 'bits'. */
static bool
within(const uint8_t *oxm, uint64_t bits)
{
    uint64_t mask = oxm[2] & 1 ? get_be64(oxm + OXM_HEADER + 8) : UINT64_MAX;

    return !(mask & ~bits);
}

static uint32_t
check_match(const struct table_features *features, const uint8_t *match)
{
    const struct feature_set *wildcards = &features->sets[TABLE_WILDCARDS];
    const uint8_t *end = match + get_be16(match + 2);
    struct feature_set missing = features->sets[TABLE_MATCH];

    for (const uint8_t *oxm = match + MATCH_HEADER; oxm < end; oxm += OXM_HEADER + oxm[3]) {
        int field = field_by_oxm(get_be16(oxm), oxm[2] >> 1);
        if (field < 0) {
            continue;                   /* Another name of a field. */
        }
        if (!set_has(&features->sets[TABLE_MATCH], field)) {
            return OFWIRE_OFPBMC_BAD_FIELD;
        }
        if ((oxm[2] & 1 && !set_has(&features->masked, field))
            || (field == FIELD_metadata && !within(oxm, features->metadata_match))) {
            return OFWIRE_OFPBMC_BAD_MASK;
        }
        missing.words[field / 64] &= ~(UINT64_C(1) << field % 64);
    }
    for (unsigned i = 0; i < 4; i++) {
        if (missing.words[i] & ~wildcards->words[i]) {
            return OFWIRE_OFPBMC_BAD_WILDCARDS;
        }
    }
    return OFWIRE_OK;
}

static uint32_t
check_actions(const struct table_features *features, unsigned actions, unsigned fields,
              const uint8_t *data, size_t size)
{
    for (size_t at = 0; at + ACTION_MIN <= size; at += get_be16(data + at + 2)) {
        unsigned type = get_be16(data + at);
        if (!set_has(&features->sets[actions], type == EXPERIMENTER ? EXPERIMENTER_BIT : type)) {
            return OFWIRE_OFPBAC_BAD_TYPE;
        }
        int field = type == ACTION_SET_FIELD
                    ? field_by_oxm(get_be16(data + at + 4), data[at + 6] >> 1) : -1;
        if (field >= 0 && !set_has(&features->sets[fields], field)) {
            return OFWIRE_OFPBAC_BAD_SET_TYPE;
        }
    }
    return OFWIRE_OK;
}

/* Instruction write-metadata: value at 8, mask 16. */
static uint32_t
check_metadata(const struct table_features *features, const uint8_t *instruction)
{
    if (get_be64(instruction + 16) & ~features->metadata_write) {
        return OFWIRE_OFPBIC_UNSUP_METADATA_MASK;
    }
    return get_be64(instruction + 8) & ~features->metadata_write ? OFWIRE_OFPBIC_UNSUP_METADATA
                                                                 : OFWIRE_OK;
}

static uint32_t
check_instruction(const struct table_features *features, unsigned miss, const uint8_t *data)
{
    unsigned type = get_be16(data);
    size_t size = get_be16(data + 2) - (size_t) ACTIONS_AT;

    if (!set_has(&features->sets[TABLE_INSTRUCTIONS + miss], type)) {
        return OFWIRE_OFPBIC_UNSUP_INST;
    }
    switch (type) {
    case INSTRUCTION_GOTO:
        return set_has(&features->sets[TABLE_NEXT + miss], data[4]) ? OFWIRE_OK
                                                                    : OFWIRE_OFPBIC_BAD_TABLE_ID;
    case INSTRUCTION_METADATA:
        return check_metadata(features, data);
    case INSTRUCTION_WRITE:
        return check_actions(features, TABLE_WRITE_ACTIONS + miss, TABLE_WRITE_SETFIELD + miss,
                             data + ACTIONS_AT, size);
    case INSTRUCTION_APPLY:
        return check_actions(features, TABLE_APPLY_ACTIONS + miss, TABLE_APPLY_SETFIELD + miss,
                             data + ACTIONS_AT, size);
    default:
        return OFWIRE_OK;
    }
}

static uint32_t
check_flow(const struct table_features *features, unsigned miss, const uint8_t *match,
           const uint8_t *instructions, size_t size)
{
    uint32_t result = match && !miss ? check_match(features, match) : OFWIRE_OK;

    for (size_t at = 0; at < size && result == OFWIRE_OK; at += get_be16(instructions + at + 2)) {
        result = check_instruction(features, miss, instructions + at);
    }
    return result;
}

uint32_t
bridge_check_features(const struct bridge *bridge, unsigned table, bool miss,
                      const uint8_t *match, const uint8_t *instructions, size_t size)
{
    const struct table_features *features = bridge->tables[table].features;

    if (!features) {
        return OFWIRE_OK;
    }
    return features->removed ? OFWIRE_OFPFMFC_BAD_TABLE_ID
                             : check_flow(features, miss, match, instructions, size);
}

/* --- Reading -------------------------------------------------------------------------------------- */

/* The header of a field; the length with a mask is that of both. */
static void
put_field_id(struct buffer *out, unsigned field, bool masked)
{
    const struct field_info *info = &field_table[field];
    uint8_t id[OXM_HEADER];

    put_be16(id, info->oxm_class);
    id[2] = (uint8_t) (info->oxm_field << 1 | masked);
    id[3] = (uint8_t) (info->size << masked);
    buffer_add(out, id, sizeof id);
}

/* The header of an action or instruction; an experimenter's is Nicira's. */
static void
put_type_id(struct buffer *out, unsigned number)
{
    bool named = number == EXPERIMENTER_BIT;
    uint8_t id[8];

    put_be16(id, named ? EXPERIMENTER : number);
    put_be16(id + 2, named ? 8 : 4);
    put_be32(id + 4, NICIRA);
    buffer_add(out, id, named ? 8 : 4);
}

static void
put_member(struct buffer *out, const struct table_features *features, unsigned property,
           unsigned number)
{
    const uint8_t table = number;

    switch (members_of[property]) {
    case TABLES:
        buffer_add(out, &table, 1);
        break;
    case FIELDS_:
        put_field_id(out, number,
                     property == TABLE_MATCH && set_has(&features->masked, number));
        break;
    default:
        put_type_id(out, number);
    }
}

static void
put_property(struct buffer *out, const struct table_features *features, unsigned property)
{
    size_t begin = out->len;

    buffer_put(out, PROPERTY_HEAD);
    for (unsigned number = 0; number < 256; number++) {
        if (set_has(&features->sets[property], number)) {
            put_member(out, features, property, number);
        }
    }
    size_t size = out->len - begin;
    buffer_put(out, -size % 8);
    if (!out->failed) {
        put_be16(out->data + begin, property);
        put_be16(out->data + begin + 2, size);
    }
}

/* struct ofp_table_features: length, table_id at 2, name 8, metadata_match 40, metadata_write 48,
 * config 56, max_entries 60. */
static void
put_features(struct reply *reply, unsigned id)
{
    const struct table_features features = features_of(reply->bridge, id);
    struct buffer *out = reply->out;
    size_t begin = out->len;
    uint8_t *at = buffer_put(out, FEATURES_HEAD);
    uint32_t max = reply->bridge->max_flows;

    if (!at) {
        return;
    }
    at[2] = id;
    memcpy(at + 8, features.name, sizeof features.name);
    put_be64(at + 40, features.metadata_match);
    put_be64(at + 48, features.metadata_write);
    put_be32(at + 56, reply->bridge->tables[id].config);
    put_be32(at + 60, max ? max : UINT32_MAX);
    for (unsigned i = 0; i < N_PROPERTIES; i++) {
        bool same = i & TABLE_MISS && set_equal(&features.sets[i], &features.sets[i - 1]);
        if (members_of[i] != NOTHING && !same) {
            put_property(out, &features, i);
        }
    }
    if (!out->failed) {
        put_be16(out->data + begin, out->len - begin);
    }
    reply_end_entry(reply, begin);
}

/* --- Writing -------------------------------------------------------------------------------------- */

/* Reads one member at 'data' into 'number', and whether a field has its mask bit; 'used' gets its size. */
static uint32_t
get_member(unsigned members, const uint8_t *data, size_t size, unsigned *number, bool *masked,
           size_t *used)
{
    *used = members == TABLES ? 1 : 4;
    if (size < *used) {
        return OFWIRE_OFPTFFC_BAD_LEN;
    }
    unsigned type = members == TABLES ? data[0] : get_be16(data);
    *masked = false;
    *number = type;
    if (members == FIELDS_) {
        int field = field_by_oxm(type, data[2] >> 1);
        if (field < 0) {
            return OFWIRE_OFPTFFC_BAD_ARGUMENT;
        }
        *masked = data[2] & 1;
        *number = field;
        return OFWIRE_OK;
    }
    if (members != TABLES && type == EXPERIMENTER) {
        *used = 8;
        *number = EXPERIMENTER_BIT;
        return size < 8 ? OFWIRE_OFPTFFC_BAD_LEN : OFWIRE_OK;
    }
    return type < EXPERIMENTER_BIT ? OFWIRE_OK : OFWIRE_OFPTFFC_BAD_ARGUMENT;
}

/* Reads the members of a property; each must be one of 'all'. */
static uint32_t
get_members(struct table_features *features, const struct table_features *all, unsigned property,
            const uint8_t *data, size_t size)
{
    unsigned number;
    bool masked;

    for (size_t used; size; data += used, size -= used) {
        uint32_t result = get_member(members_of[property], data, size, &number, &masked, &used);
        if (result != OFWIRE_OK) {
            return result;
        }
        if (!set_has(&all->sets[property], number)
            || (masked && !set_has(&all->masked, number))) {
            return OFWIRE_OFPTFFC_BAD_ARGUMENT;
        }
        set_add(&features->sets[property], number);
        if (masked && property == TABLE_MATCH) {
            set_add(&features->masked, number);
        }
    }
    return OFWIRE_OK;
}

static uint32_t
get_properties(struct table_features *features, const struct table_features *all,
               const uint8_t *data, size_t size)
{
    bool given[N_PROPERTIES] = { false };

    for (size_t used; size; data += used, size -= used) {
        size_t length = size >= PROPERTY_HEAD ? get_be16(data + 2) : 0;
        used = (length + 7) / 8 * 8;
        if (length < PROPERTY_HEAD || used > size) {
            return OFWIRE_OFPTFFC_BAD_LEN;
        }
        unsigned property = get_be16(data);
        if (property >= N_PROPERTIES || members_of[property] == NOTHING || given[property]) {
            return OFWIRE_OFPTFFC_BAD_TYPE;
        }
        given[property] = true;
        uint32_t result = get_members(features, all, property, data + PROPERTY_HEAD,
                                      length - PROPERTY_HEAD);
        if (result != OFWIRE_OK) {
            return result;
        }
    }
    copy_to_miss(features, given);
    return OFWIRE_OK;
}

/* Reads what one table is to be like into 'wanted[id]'. */
static uint32_t
get_features(const uint8_t *data, size_t size, struct table_features *wanted[BRIDGE_TABLES])
{
    unsigned id = data[2];

    if (id >= BRIDGE_TABLES || wanted[id]) {
        return OFWIRE_OFPTFFC_BAD_TABLE;
    }
    if (get_be32(data + 56) & ~3u) {
        return OFWIRE_OFPTFFC_BAD_ARGUMENT;
    }
    wanted[id] = calloc(1, sizeof *wanted[id]);
    if (!wanted[id]) {
        return OFWIRE_OFPTFFC_EPERM;
    }
    const struct table_features all = all_features(id);
    memcpy(wanted[id]->name, data + 8, sizeof wanted[id]->name - 1);
    wanted[id]->metadata_match = get_be64(data + 40);
    wanted[id]->metadata_write = get_be64(data + 48);
    return get_properties(wanted[id], &all, data + FEATURES_HEAD, size - FEATURES_HEAD);
}

static uint32_t
get_all(const uint8_t *data, size_t size, struct table_features *wanted[BRIDGE_TABLES])
{
    for (size_t used; size; data += used, size -= used) {
        used = size >= FEATURES_HEAD ? get_be16(data) : 0;
        if (used < FEATURES_HEAD || used % 8 || used > size) {
            return OFWIRE_OFPTFFC_BAD_LEN;
        }
        uint32_t result = get_features(data, used, wanted);
        if (result != OFWIRE_OK) {
            return result;
        }
    }
    return wanted[0] ? OFWIRE_OK : OFWIRE_OFPTFFC_BAD_TABLE;    /* Packets begin there. */
}

/* Tables that are not asked for are no part of the pipeline; and no table leads to them. */
static uint32_t
remove_others(struct table_features *wanted[BRIDGE_TABLES])
{
    struct feature_set removed = { { 0 } };

    for (unsigned id = 0; id < BRIDGE_TABLES; id++) {
        if (!wanted[id]) {
            wanted[id] = calloc(1, sizeof *wanted[id]);
            if (!wanted[id]) {
                return OFWIRE_OFPTFFC_EPERM;
            }
            wanted[id]->removed = true;
            set_add(&removed, id);
        }
    }
    for (unsigned id = 0; id < BRIDGE_TABLES; id++) {
        for (unsigned i = 0; i < 4; i++) {
            wanted[id]->sets[TABLE_NEXT].words[i] &= ~removed.words[i];
            wanted[id]->sets[TABLE_NEXT + TABLE_MISS].words[i] &= ~removed.words[i];
        }
    }
    return OFWIRE_OK;
}

struct weeding {
    struct bridge *bridge;
    uint64_t now_ms;
};

/* Takes out a flow that its table may no longer have. */
static bool
weed(struct flow *flow, void *weeding_)
{
    const struct weeding *weeding = weeding_;
    struct buffer match = { 0 };
    struct instructions what = bridge_flow_instructions(flow);
    struct flow_key key, mask;

    flow_match(flow, &key, &mask);
    ofwire_put_match(&match, &key, &mask);
    if (match.failed
        || bridge_check_features(weeding->bridge, flow->table, flow_is_miss(flow), match.data,
                                 what.bytes, what.size) != OFWIRE_OK) {
        bridge_remove_flow(weeding->bridge, flow, REMOVED_DELETE, weeding->now_ms);
    }
    buffer_close(&match);
    return true;
}

static void
use_features(struct bridge *bridge, struct table_features *wanted[BRIDGE_TABLES], uint64_t now_ms)
{
    struct weeding weeding = { bridge, now_ms };

    bridge_close_features(bridge);
    for (unsigned id = 0; id < BRIDGE_TABLES; id++) {
        bridge->tables[id].features = wanted[id];
    }
    for (unsigned id = 0; id < BRIDGE_TABLES; id++) {
        if (bridge->tables[id].table.n_flows) {
            table_each(&bridge->tables[id].table, weed, &weeding);
        }
    }
}

void
bridge_close_features(struct bridge *bridge)
{
    for (unsigned id = 0; id < BRIDGE_TABLES; id++) {
        free(bridge->tables[id].features);
        bridge->tables[id].features = NULL;
    }
}

static uint32_t
write_features(struct reply *reply)
{
    struct table_features *wanted[BRIDGE_TABLES] = { NULL };
    uint32_t result = get_all(reply->body, reply->size, wanted);

    if (result == OFWIRE_OK) {
        result = remove_others(wanted);
    }
    if (result == OFWIRE_OK) {
        use_features(reply->bridge, wanted, reply->now_ms);
        return OFWIRE_OK;
    }
    for (unsigned id = 0; id < BRIDGE_TABLES; id++) {
        free(wanted[id]);
    }
    return result;
}

uint32_t
reply_table_features(struct reply *reply)
{
    uint32_t result = reply->size ? write_features(reply) : OFWIRE_OK;

    for (unsigned id = 0; id < BRIDGE_TABLES && result == OFWIRE_OK; id++) {
        if (bridge_has_table(reply->bridge, id)) {
            put_features(reply, id);
        }
    }
    return result;
}
