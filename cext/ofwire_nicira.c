/* Actions of Nicira's extensions on the wire -> instructions: one row for each subtype.
 *
 * Reference: ovs-actions(7) */

#include "ofwire_private.h"

#include "bytes.h"
#include "learn.h"
#include "rewrite.h"

enum { SUBTYPE_AT = 8, ARGS_AT = 10 };

#define BAD_ACTION(CODE) OFWIRE_ERROR(OFPET_BAD_ACTION, OFPBAC_##CODE)

/* --- Subfields ---------------------------------------------------------------------------------- */

uint32_t
ofwire_get_subfield(const uint8_t *header, unsigned at, unsigned n, struct subfield *sub)
{
    struct field_name name;

    if (!field_by_name(get_be16(header), header[2] >> 1, &name) || header[2] & 1 || name.shift) {
        return BAD_ACTION(BAD_SET_TYPE);
    }
    if (header[3] != name.size || !n || at >= name.bits || n > name.bits - at) {
        return BAD_ACTION(BAD_SET_LEN);
    }
    *sub = (struct subfield) { name.field, (uint8_t)at, (uint8_t)n };
    return OFWIRE_OK;
}

uint32_t
ofwire_port(unsigned __int128 number)
{
    uint32_t port = number > UINT32_MAX ? 0 : (uint32_t)number;

    return port >= 0xff00 && port <= UINT16_MAX ? port | 0xffff0000 : port;
}

static uint32_t
writable(const uint8_t *header, unsigned at, unsigned n, struct insn *insn)
{
    struct subfield sub = { 0 };
    uint32_t error = ofwire_get_subfield(header, at, n, &sub);

    if (error == OFWIRE_OK && !packet_can_set(sub.field)) {
        error = BAD_ACTION(BAD_SET_ARGUMENT);
    }
    insn->field = sub.field;
    return error;
}

/* --- Do the arguments make sense? --------------------------------------------------------------- */

static uint32_t
check_load(const struct of_scope *scope, const uint8_t *action, struct insn *insn)
{
    unsigned bits = get_be16(action + ARGS_AT), n = (bits & 63) + 1;
    uint32_t error = writable(action + 12, bits >> 6, n, insn);

    (void)scope;
    if (error == OFWIRE_OK && n < 64 && get_be64(action + 16) >> n) {
        error = BAD_ACTION(BAD_ARGUMENT);
    }
    return error;
}

static uint32_t
check_load2(const struct of_scope *scope, const uint8_t *action, struct insn *insn)
{
    enum { OXM_AT = 16, VALUE_AT = 20 };
    const uint8_t *oxm = action + OXM_AT;
    struct field_name name;
    unsigned masked = oxm[2] & 1;

    (void)scope;
    if (!field_by_name(get_be16(oxm), oxm[2] >> 1, &name) || field_is_narrow(&name)) {
        return BAD_ACTION(BAD_SET_TYPE);
    }
    if (oxm[3] != name.size << masked || insn->size != (VALUE_AT + oxm[3] + 7u) / 8 * 8) {
        return BAD_ACTION(BAD_SET_LEN);
    }
    if (!packet_can_set(name.field) || !ofwire_value_fits(name.field, action + VALUE_AT)
        || (masked && !ofwire_value_fits(name.field, action + VALUE_AT + name.size))) {
        return BAD_ACTION(BAD_SET_ARGUMENT);
    }
    insn->field = name.field;
    return OFWIRE_OK;
}

static uint32_t
check_move(const struct of_scope *scope, const uint8_t *action, struct insn *insn)
{
    unsigned n = get_be16(action + ARGS_AT);
    struct subfield from = { 0 };
    uint32_t error = ofwire_get_subfield(action + 16, get_be16(action + 12), n, &from);

    (void)scope;
    if (error == OFWIRE_OK) {
        insn->source = from.field;
        error = writable(action + 20, get_be16(action + 14), n, insn);
    }
    return error;
}

static uint32_t
check_push(const struct of_scope *scope, const uint8_t *action, struct insn *insn)
{
    struct subfield sub = { 0 };
    uint32_t error = ofwire_get_subfield(action + 12, get_be16(action + ARGS_AT),
                                         get_be16(action + 16), &sub);

    (void)scope;
    insn->field = insn->source = sub.field;
    return error;
}

static uint32_t
check_pop(const struct of_scope *scope, const uint8_t *action, struct insn *insn)
{
    (void)scope;
    return writable(action + 12, get_be16(action + ARGS_AT), get_be16(action + 16), insn);
}

static uint32_t
check_output_reg(const struct of_scope *scope, const uint8_t *action, struct insn *insn)
{
    unsigned bits = get_be16(action + ARGS_AT);
    struct subfield sub = { 0 };
    uint32_t error = ofwire_get_subfield(action + 12, bits >> 6, (bits & 63) + 1, &sub);

    (void)scope;
    insn->field = insn->source = sub.field;
    return error;
}

static uint32_t
check_resubmit(const struct of_scope *scope, const uint8_t *action, struct insn *insn)
{
    (void)scope, (void)action, (void)insn;
    return OFWIRE_OK;           /* There are all tables, and no port is one that is not there. */
}

/* A field can be matched or loaded only if those before it have what it needs. */
static uint32_t
check_learn_target(const struct learn_spec *spec, struct of_match *match)
{
    enum field field = spec->to.field;
    bool whole = spec->to.n == field_table[field].bits || field == FIELD_in_port;

    if (!field_needs_met(field, &match->key, &match->mask)) {
        return BAD_ACTION(MATCH_INCONSISTENT);
    }
    if (spec->target == LEARN_LOAD) {
        return packet_can_set(field) ? OFWIRE_OK : BAD_ACTION(BAD_SET_ARGUMENT);
    }
    subfield_put(&match->mask, spec->to, ~(unsigned __int128)0);
    if (spec->value) {
        subfield_put(&match->key, spec->to, learn_bits(spec, NULL));
    }
    return whole || field_table[field].maskable ? OFWIRE_OK : BAD_ACTION(BAD_SET_LEN);
}

static uint32_t
check_learn(const struct of_scope *scope, const uint8_t *action, struct insn *insn)
{
    enum { FLAGS_AT = 24, TABLE_AT = 26, FLAGS_KNOWN = 1, KEY_MAX = 1024 };
    struct learn_specs specs = learn_specs(action, insn->size);
    struct of_match match = { 0 };
    struct learn_spec spec;

    (void)scope;
    if (get_be16(action + FLAGS_AT) & ~FLAGS_KNOWN || action[TABLE_AT] >= BRIDGE_TABLES
        || insn->size > KEY_MAX) {
        return BAD_ACTION(BAD_ARGUMENT);
    }
    while (learn_next(&specs, &spec)) {
        uint32_t error = spec.target == LEARN_OUTPUT ? OFWIRE_OK
                                                     : check_learn_target(&spec, &match);
        if (error != OFWIRE_OK) {
            return error;
        }
    }
    return specs.error;
}

/* --- Can it be done to packets like these? ------------------------------------------------------- */

static bool
has(const struct of_known *known, enum field field)
{
    return !known->anything || field_needs_met(field, &known->match.key, &known->match.mask);
}

/* What was written is not known any more. */
static bool
follow_write(struct of_known *known, const uint8_t *action, const struct insn *insn)
{
    static const uint8_t zeros[16];

    (void)action;
    if (!has(known, insn->field)) {
        return false;
    }
    field_put(&known->match.key, insn->field, zeros);
    field_put(&known->match.mask, insn->field, zeros);
    return true;
}

static bool
follow_move(struct of_known *known, const uint8_t *action, const struct insn *insn)
{
    return has(known, insn->source) && follow_write(known, action, insn);
}

static bool
follow_read(struct of_known *known, const uint8_t *action, const struct insn *insn)
{
    (void)action;
    return has(known, insn->source);
}

/* Other tables may do anything to it. */
static bool
follow_resubmit(struct of_known *known, const uint8_t *action, const struct insn *insn)
{
    (void)action, (void)insn;
    known->anything = false;
    return true;
}

/* --- The actions ---------------------------------------------------------------------------------- */

static const struct action_row rows[] = {
    [1]  = { 16, false, OP_resubmit,   check_resubmit,   follow_resubmit },
    [5]  = { 16, false, OP_pop_queue,  NULL,             NULL },
    [6]  = { 24, false, OP_reg_move,   check_move,       follow_move },
    [7]  = { 24, false, OP_reg_load,   check_load,       follow_write },
    [8]  = { 16, true,  OP_note,       NULL,             NULL },
    [14] = { 16, false, OP_resubmit,   check_resubmit,   follow_resubmit },
    [15] = { 24, false, OP_output_reg, check_output_reg, follow_read },
    [16] = { 32, true,  OP_learn,      check_learn,      NULL },
    [18] = { 16, false, OP_dec_nw_ttl, NULL,             NULL },
    [20] = { 16, false, OP_controller, NULL,             NULL },
    [21] = { 16, true,  OP_dec_nw_ttl, NULL,             NULL },       /* With controller ids. */
    [27] = { 24, false, OP_stack_push, check_push,       follow_read },
    [28] = { 24, false, OP_stack_pop,  check_pop,        follow_write },
    [33] = { 24, true,  OP_reg_load2,  check_load2,      follow_write },
};

const struct action_row *
ofwire_nicira_row(const uint8_t *action)
{
    unsigned subtype = get_be16(action + SUBTYPE_AT);

    return subtype < sizeof rows / sizeof *rows && rows[subtype].size ? &rows[subtype] : NULL;
}
