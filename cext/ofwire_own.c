/* raicho's own actions on the wire -> instructions: one row for each subtype.
 *
 * Reference: docs/openflow.md, "Actions of raicho's own" */

#include "ofwire_private.h"

#include "bytes.h"
#include "dataplane.h"
#include "plugin.h"

enum { SUBTYPE_AT = 8, DIRECTION_AT = 10, ARGS_AT = 10, NUMBER_AT = 12 };

#define BAD_ACTION(CODE) OFWIRE_ERROR(OFPET_BAD_ACTION, OFPBAC_##CODE)

/* struct rch_action_nat: subtype, direction, the NAT's number. */
static uint32_t
check_nat(const struct of_scope *scope, const uint8_t *action, struct insn *insn)
{
    bool fine = action[DIRECTION_AT] <= 1 && get_be32(action + NUMBER_AT) < DATAPLANE_NATS;

    (void)scope, (void)insn;
    return fine ? OFWIRE_OK : BAD_ACTION(BAD_ARGUMENT);
}

/* struct rch_action_route: subtype, pad[2], the interface's number. */
static uint32_t
check_route(const struct of_scope *scope, const uint8_t *action, struct insn *insn)
{
    uint32_t number = get_be32(action + NUMBER_AT);

    (void)scope, (void)insn;
    return number && number < INTERFACES_MAX ? OFWIRE_OK : BAD_ACTION(BAD_ARGUMENT);
}

/* struct rch_action_native: subtype, the arguments, zeros up to a multiple of 8. */
static uint32_t
check_native(const struct of_scope *scope, const uint8_t *action, struct insn *insn)
{
    insn->native = plugin_find(scope->bridge->dataplane, get_be16(action + SUBTYPE_AT));
    if (!insn->native) {
        return BAD_ACTION(BAD_EXP_TYPE);
    }
    if (insn->size != (ARGS_AT + insn->native->args_size + 7) / 8 * 8) {
        return BAD_ACTION(BAD_LEN);
    }
    return !insn->native->check || insn->native->check(action + ARGS_AT) ? OFWIRE_OK
                                                                          : BAD_ACTION(BAD_ARGUMENT);
}

static const struct action_row native = { 16, true, OP_native, check_native, NULL };

static const struct action_row rows[] = {
    [1] = { 16, false, OP_nat,      check_nat,   NULL },
    [2] = { 16, false, OP_route_as, check_route, NULL },
};

const struct action_row *
ofwire_own_row(const uint8_t *action)
{
    unsigned subtype = get_be16(action + SUBTYPE_AT);

    if (subtype >= RAICHO_SUBTYPES) {
        return &native;
    }
    return subtype < sizeof rows / sizeof *rows && rows[subtype].size ? &rows[subtype] : NULL;
}
