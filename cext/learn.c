/* Learn: reading the specifications, and making flow-mods of them.  See learn.h; what workers do is
 * in op_learn.c. */

#include "learn.h"

#include <string.h>

#include "bridge_private.h"

/* struct nx_action_learn. */
enum {
    IDLE_AT = 10, HARD_AT = 12, PRIORITY_AT = 14, COOKIE_AT = 16, FLAGS_AT = 24, TABLE_AT = 26,
    SPECS_AT = 32,
};

/* The header of a specification. */
enum {
    SPEC_BITS = 0x7ff, SPEC_IMMEDIATE = 1 << 13, SPEC_TARGET_SHIFT = 11, SPEC_KNOWN = 0x3fff,
    SUBFIELD_SIZE = 6,          /* Header of the field, first bit. */
};

enum { APPLY_ACTIONS = 4, ACTION_EXPERIMENTER = 0xffff, NICIRA = 0x2320, NXAST_REG_LOAD = 7 };

/* --- Specifications ---------------------------------------------------------------------------- */

struct learn_specs
learn_specs(const uint8_t *action, size_t size)
{
    return (struct learn_specs) { action + SPECS_AT, action + size, OFWIRE_OK };
}

static bool
fail(struct learn_specs *specs, uint32_t error)
{
    specs->error = error;
    return false;
}

/* Reads a field and where its bits begin. */
static bool
take_subfield(struct learn_specs *specs, unsigned n, struct subfield *sub)
{
    const uint8_t *at = specs->at;

    if (specs->end - at < SUBFIELD_SIZE) {
        return fail(specs, OFWIRE_OFPBAC_BAD_LEN);
    }
    specs->at += SUBFIELD_SIZE;
    specs->error = ofwire_get_subfield(at, get_be16(at + 4), n, sub);
    return specs->error == OFWIRE_OK;
}

static bool
take_source(struct learn_specs *specs, bool immediate, unsigned n, struct learn_spec *spec)
{
    size_t size = (n + 15) / 16 * 2;

    spec->value = NULL;
    if (!immediate) {
        return take_subfield(specs, n, &spec->from);
    }
    if ((size_t)(specs->end - specs->at) < size) {
        return fail(specs, OFWIRE_OFPBAC_BAD_LEN);
    }
    spec->value = specs->at;
    spec->from.n = (uint8_t)n;
    specs->at += size;
    return true;
}

bool
learn_next(struct learn_specs *specs, struct learn_spec *spec)
{
    unsigned header = specs->end - specs->at >= 2 ? get_be16(specs->at) : 0;
    unsigned n = header & SPEC_BITS;

    if (!header) {
        return false;
    }
    specs->at += 2;
    spec->target = header >> SPEC_TARGET_SHIFT & 3;
    if (header & ~SPEC_KNOWN || spec->target > LEARN_OUTPUT || !n || n > 128) {
        return fail(specs, OFWIRE_OFPBAC_BAD_ARGUMENT);
    }
    return take_source(specs, header & SPEC_IMMEDIATE, n, spec)
           && (spec->target == LEARN_OUTPUT || take_subfield(specs, n, &spec->to));
}

unsigned __int128
learn_bits(const struct learn_spec *spec, const struct flow_key *key)
{
    unsigned __int128 bits = 0;

    if (!spec->value) {
        return subfield_of_key(key, spec->from);
    }
    for (unsigned i = 0; i < (spec->from.n + 15u) / 16 * 2; i++) {
        bits = bits << 8 | spec->value[i];
    }
    return bits;
}

/* --- Flow-mods ---------------------------------------------------------------------------------- */

static void
add_match(struct of_match *match, const struct learn_spec *spec, unsigned __int128 bits)
{
    struct subfield sub = spec->to;

    if (sub.field == FIELD_in_port) {
        bits = ofwire_port(bits);
        sub = (struct subfield) { FIELD_in_port, 0, 32 };
    }
    subfield_put(&match->key, sub, bits);
    subfield_put(&match->mask, sub, ~(unsigned __int128)0);
}

/* A load into registers or fields: struct nx_action_reg_load for 64 bits at a time. */
static void
put_load(struct buffer *out, struct subfield sub, unsigned __int128 bits)
{
    const struct field_info *info = &field_table[sub.field];

    for (unsigned n; sub.n; sub.n -= n, sub.at += n, bits >>= n) {
        uint8_t *at = buffer_put(out, 24);

        n = sub.n < 64 ? sub.n : 64;
        if (!at) {
            return;
        }
        put_be16(at, ACTION_EXPERIMENTER);
        put_be16(at + 2, 24);
        put_be32(at + 4, NICIRA);
        put_be16(at + 8, NXAST_REG_LOAD);
        put_be16(at + 10, (uint16_t)(sub.at << 6 | (n - 1)));
        put_be16(at + 12, info->oxm_class);
        at[14] = (uint8_t)(info->oxm_field << 1);
        at[15] = info->size;
        put_be64(at + 16, n < 64 ? (uint64_t)bits & ((UINT64_C(1) << n) - 1) : (uint64_t)bits);
    }
}

static void
put_output(struct buffer *out, uint32_t port)
{
    uint8_t *at = buffer_put(out, 16);

    if (at) {
        put_be16(at + 2, 16);
        put_be32(at + 4, port);
        put_be16(at + 8, UINT16_MAX);
    }
}

/* The part of a flow-mod in front of its match; an add. */
static void
put_head(struct buffer *out, const uint8_t *action)
{
    enum { SIZE = 48, SEND_FLOW_REM = 1 };
    uint8_t *at = buffer_put(out, SIZE);

    if (!at) {
        return;
    }
    at[0] = OFP_VERSION;
    at[1] = OFPT_FLOW_MOD;
    memcpy(at + 8, action + COOKIE_AT, 8);
    at[24] = action[TABLE_AT];
    memcpy(at + 26, action + IDLE_AT, 6);       /* Both timeouts and the priority. */
    put_be32(at + 32, OFP_NO_BUFFER);
    put_be32(at + 36, PORT_ANY);
    put_be32(at + 40, GROUP_ANY);
    put_be16(at + 44, get_be16(action + FLAGS_AT) & SEND_FLOW_REM);
}

static void
put_actions(struct buffer *out, const struct learn_request *request)
{
    struct learn_specs specs = learn_specs(request->action, request->size);
    struct learn_spec spec;
    size_t begin = out->len;

    buffer_put(out, 8);
    while (learn_next(&specs, &spec)) {
        unsigned __int128 bits = learn_bits(&spec, &request->key);

        if (spec.target == LEARN_LOAD) {
            put_load(out, spec.to, bits);
        } else if (spec.target == LEARN_OUTPUT) {
            put_output(out, ofwire_port(bits));
        }
    }
    if (!out->failed) {
        put_be16(out->data + begin, APPLY_ACTIONS);
        put_be16(out->data + begin + 2, (uint16_t)(out->len - begin));
    }
}

uint32_t
learn_apply(struct bridge *bridge, const struct learn_request *request, uint64_t now_ms)
{
    struct learn_specs specs = learn_specs(request->action, request->size);
    struct of_match match = { 0 };
    struct buffer out = { 0 };
    struct learn_spec spec;
    uint32_t result = OFWIRE_OFPFMFC_TABLE_FULL;

    while (learn_next(&specs, &spec)) {
        if (spec.target == LEARN_MATCH) {
            add_match(&match, &spec, learn_bits(&spec, &request->key));
        }
    }
    put_head(&out, request->action);
    ofwire_put_match(&out, &match.key, &match.mask);
    put_actions(&out, request);
    if (!out.failed) {
        put_be16(out.data + 2, (uint16_t)out.len);
        result = bridge_apply(bridge, out.data, out.len, now_ms);
    }
    buffer_close(&out);
    return result;
}
