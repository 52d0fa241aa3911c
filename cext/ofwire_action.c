/* Actions on the wire -> instructions: one row for each type of action. */

#include "ofwire_private.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "headers.h"

enum {
    ACTION_HEADER = 4,          /* Type and size. */
    ACTION_MIN = 8,             /* Bytes of the shortest action; all are a multiple. */
    ACTION_EXPERIMENTER = 0xffff,
    NICIRA = 0x2320,            /* Its experimenter number. */
    NICIRA_MIN = 16,
    OXM_AT = 4,                 /* In a set-field. */
    OXM_HEADER = 4,
    NO_TABLE = 0xff,            /* In a scope. */
    SET_MAX = 255,              /* Actions in an action set: insn.order is a byte. */
};

#define BAD_ACTION(CODE) OFWIRE_ERROR(OFPET_BAD_ACTION, OFPBAC_##CODE)

/* --- Do the arguments make sense? --------------------------------------------- */

static uint32_t
check_output(const struct of_scope *scope, const uint8_t *action, struct insn *insn)
{
    uint32_t port = get_be32(action + 4);
    bool fine = false;

    (void)insn;
    switch (port) {
    case PORT_IN_PORT:
    case PORT_NORMAL:
    case PORT_FLOOD:
    case PORT_ALL:
    case PORT_CONTROLLER:
        fine = true;
        break;
    case PORT_TABLE:
        fine = scope->in_packet_out;
        break;
    default:
        fine = port && port <= PORT_MAX;
    }
    return fine ? OFWIRE_OK : BAD_ACTION(BAD_OUT_PORT);
}

static uint32_t
check_group(const struct of_scope *scope, const uint8_t *action, struct insn *insn)
{
    (void)insn;
    uint32_t id = get_be32(action + 4);
    bool fine = scope->in_template ? id <= GROUP_MAX : group_find(&scope->bridge->groups, id) != NULL;

    return fine ? OFWIRE_OK : BAD_ACTION(BAD_OUT_GROUP);
}

static uint32_t
check_queue(const struct of_scope *scope, const uint8_t *action, struct insn *insn)
{
    (void)scope, (void)insn;
    return get_be32(action + 4) <= UINT16_MAX ? OFWIRE_OK : BAD_ACTION(BAD_QUEUE);
}

static uint32_t
check_push_vlan(const struct of_scope *scope, const uint8_t *action, struct insn *insn)
{
    uint16_t type = get_be16(action + 4);

    (void)scope, (void)insn;
    return type == ETH_TYPE_VLAN || type == ETH_TYPE_SVLAN ? OFWIRE_OK : BAD_ACTION(BAD_ARGUMENT);
}

static uint32_t
check_push_mpls(const struct of_scope *scope, const uint8_t *action, struct insn *insn)
{
    (void)scope, (void)insn;
    return is_mpls_type(get_be16(action + 4)) ? OFWIRE_OK : BAD_ACTION(BAD_ARGUMENT);
}

static uint32_t
check_push_pbb(const struct of_scope *scope, const uint8_t *action, struct insn *insn)
{
    (void)scope, (void)insn;
    return get_be16(action + 4) == ETH_TYPE_PBB ? OFWIRE_OK : BAD_ACTION(BAD_ARGUMENT);
}

static uint32_t
check_pop_mpls(const struct of_scope *scope, const uint8_t *action, struct insn *insn)
{
    (void)scope, (void)insn;
    return get_be16(action + 4) >= ETH_TYPE_MIN ? OFWIRE_OK : BAD_ACTION(BAD_ARGUMENT);
}

static uint32_t
check_set_field(const struct of_scope *scope, const uint8_t *action, struct insn *insn)
{
    const uint8_t *oxm = action + OXM_AT;
    bool has_mask = oxm[2] & 1;
    struct field_name name;

    (void)scope;
    if (!field_by_name(get_be16(oxm), oxm[2] >> 1, &name) || field_is_narrow(&name)
        || !field_table[name.field].settable || has_mask) {
        return BAD_ACTION(BAD_SET_TYPE);
    }

    unsigned field = name.field, size = name.size;

    if (oxm[3] != size || insn->size != (OXM_AT + OXM_HEADER + size + 7) / 8 * 8) {
        return BAD_ACTION(BAD_SET_LEN);
    }
    insn->field = (uint8_t)field;
    return ofwire_value_fits(field, oxm + OXM_HEADER) ? OFWIRE_OK : BAD_ACTION(BAD_SET_ARGUMENT);
}

/* --- Can it be done to packets like these, and what are they afterwards? ------- */

static void
know(struct of_known *known, enum field field, const uint8_t *value, const uint8_t *mask)
{
    field_put(&known->match.key, field, value);
    field_put(&known->match.mask, field, mask);
}

/* Behind push or pop the Ethernet type is the one in the action. */
static bool
follow_eth_type(struct of_known *known, const uint8_t *action, const struct insn *insn)
{
    (void)insn;
    know(known, FIELD_eth_type, action + 4, (const uint8_t[]) { 0xff, 0xff });
    return true;
}

static bool
follow_push_vlan(struct of_known *known, const uint8_t *action, const struct insn *insn)
{
    static const uint8_t present[2] = { VID_PRESENT >> 8, 0 };

    (void)action, (void)insn;
    know(known, FIELD_vlan_vid, present, present);
    return true;
}

/* There may be another tag. */
static bool
follow_pop_vlan(struct of_known *known, const uint8_t *action, const struct insn *insn)
{
    static const uint8_t zeros[2];

    (void)action, (void)insn;
    know(known, FIELD_vlan_vid, zeros, zeros);
    return true;
}

static bool
follow_push_pbb(struct of_known *known, const uint8_t *action, const struct insn *insn)
{
    return follow_pop_vlan(known, action, insn) && follow_eth_type(known, action, insn);
}

/* The customer's frame may be of any kind. */
static bool
follow_pop_pbb(struct of_known *known, const uint8_t *action, const struct insn *insn)
{
    (void)action, (void)insn;
    known->anything = false;
    return true;
}

static bool
follow_set_field(struct of_known *known, const uint8_t *action, const struct insn *insn)
{
    static const uint8_t ones[] = { 255, 255, 255, 255, 255, 255, 255, 255,
                                    255, 255, 255, 255, 255, 255, 255, 255 };

    if (known->anything && !field_needs_met(insn->field, &known->match.key, &known->match.mask)) {
        return false;
    }
    know(known, insn->field, action + OXM_AT + OXM_HEADER, ones);
    return true;
}

/* --- The actions ---------------------------------------------------------------- */

static const struct action_row rows[] = {
    [0]  = { 16, false, OP_output,       check_output,    NULL },
    [11] = { 8,  false, OP_copy_ttl_out, NULL,            NULL },
    [12] = { 8,  false, OP_copy_ttl_in,  NULL,            NULL },
    [15] = { 8,  false, OP_set_mpls_ttl, NULL,            NULL },
    [16] = { 8,  false, OP_dec_mpls_ttl, NULL,            NULL },
    [17] = { 8,  false, OP_push_vlan,    check_push_vlan, follow_push_vlan },
    [18] = { 8,  false, OP_pop_vlan,     NULL,            follow_pop_vlan },
    [19] = { 8,  false, OP_push_mpls,    check_push_mpls, follow_eth_type },
    [20] = { 8,  false, OP_pop_mpls,     check_pop_mpls,  follow_eth_type },
    [21] = { 8,  false, OP_set_queue,    check_queue,     NULL },
    [22] = { 8,  false, OP_group,        check_group,     NULL },
    [23] = { 8,  false, OP_set_nw_ttl,   NULL,            NULL },
    [24] = { 8,  false, OP_dec_nw_ttl,   NULL,            NULL },
    [25] = { 8,  true,  OP_set_field,    check_set_field, follow_set_field },
    [26] = { 8,  false, OP_push_pbb,     check_push_pbb,  follow_push_pbb },
    [27] = { 8,  false, OP_pop_pbb,      NULL,            follow_pop_pbb },
};

enum { N_ROWS = sizeof rows / sizeof *rows };

static const uint8_t set_order[N_OPS] = {
#define X(NAME, TYPE, ORDER, SIGHT) [OP_##NAME] = ORDER,
    OPS(X)
#undef X
};

/* Finds the row of an action of 'len' bytes. */
static uint32_t
find_row(const uint8_t *action, unsigned len, const struct action_row **row)
{
    unsigned type = get_be16(action);

    if (type != ACTION_EXPERIMENTER) {
        *row = type < N_ROWS && rows[type].size ? &rows[type] : NULL;
        return *row ? OFWIRE_OK : BAD_ACTION(BAD_TYPE);
    }
    if (get_be32(action + 4) != NICIRA && get_be32(action + 4) != RAICHO) {
        return BAD_ACTION(BAD_EXPERIMENTER);
    }
    if (len < NICIRA_MIN) {
        return BAD_ACTION(BAD_LEN);
    }
    *row = get_be32(action + 4) == NICIRA ? ofwire_nicira_row(action) : ofwire_own_row(action);
    return *row ? OFWIRE_OK : BAD_ACTION(BAD_EXP_TYPE);
}

/* Decodes the action at 'data'; insn->at is left to the caller. */
static uint32_t
read_action(const struct of_scope *scope, const uint8_t *data, size_t size, struct insn *insn)
{
    if (size < ACTION_MIN) {
        return BAD_ACTION(BAD_LEN);
    }

    unsigned len = get_be16(data + 2);
    const struct action_row *row;

    if (len < ACTION_MIN || len % 8 || len > size) {
        return BAD_ACTION(BAD_LEN);
    }

    uint32_t error = find_row(data, len, &row);

    if (error != OFWIRE_OK) {
        return error;
    }
    if (row->longer ? len < row->size : len != row->size) {
        return BAD_ACTION(BAD_LEN);
    }
    *insn = (struct insn) { .op = row->op, .size = (uint16_t)len };
    return row->check ? row->check(scope, data, insn) : OFWIRE_OK;
}

void
ofwire_known_from(struct of_known *known, const struct of_scope *scope)
{
    *known = (struct of_known) { .anything = scope->match };
    if (scope->match) {
        known->match = *scope->match;
    }
}

/* Whether what a set-field needs was there 'before' the list, whatever else comes first now. */
static bool
was_consistent(const struct of_known *before, const struct insn *insn)
{
    return before && insn->op == OP_set_field
           && field_needs_met(insn->field, &before->match.key, &before->match.mask);
}

/* Follows the instructions of 'list' from 'first' on.  'before' is null or what was known before
 * them: who writes an action set does not choose its order, so there a set-field may agree with
 * either. */
static uint32_t
follow(struct of_known *known, const struct of_known *before, const uint8_t *base,
       const struct insn_list *list, unsigned first)
{
    for (unsigned i = first; i < list->n; i++) {
        const struct insn *insn = &list->insns[i];
        const uint8_t *action = base + insn->at;
        const struct action_row *row = NULL;

        find_row(action, insn->size, &row);
        if (row->follow && !row->follow(known, action, insn) && !was_consistent(before, insn)) {
            return BAD_ACTION(MATCH_INCONSISTENT);
        }
    }
    return OFWIRE_OK;
}

uint32_t
ofwire_add_actions(const struct of_scope *scope, struct of_known *known, const uint8_t *base,
                   const uint8_t *data, size_t size, struct insn_list *list)
{
    unsigned first = list->n;
    struct insn insn;

    for (; size; data += insn.size, size -= insn.size) {
        uint32_t error = read_action(scope, data, size, &insn);

        if (error == OFWIRE_OK) {
            insn.at = (uint16_t)(data - base);
            error = insn_list_add(list, insn);
        }
        if (error != OFWIRE_OK) {
            return error;
        }
    }
    return follow(known, NULL, base, list, first);
}

/* Actions of the same rank take each other's place in an action set, but for those of SET_LIST. */
static unsigned
rank(const struct insn *insn)
{
    unsigned order = set_order[insn->op];

    return order == SET_LIST ? order << 16
                             : order << 16 | (unsigned)insn->op << 8 | insn->field;
}

/* Puts the last instruction of 'list' where it belongs among those from 'first' on. */
static void
settle(struct insn_list *list, unsigned first)
{
    struct insn insn = list->insns[--list->n];
    bool listed = set_order[insn.op] == SET_LIST;
    unsigned i = list->n;

    while (i > first && rank(&list->insns[i - 1]) >= rank(&insn) + listed) {
        i--;
    }
    if (listed || i == list->n || rank(&list->insns[i]) != rank(&insn)) {
        memmove(&list->insns[i + 1], &list->insns[i], (list->n - i) * sizeof insn);
        list->n++;
    }
    list->insns[i] = insn;
}

/* In an action set a group leaves nothing to an output, and any of them nothing to what is behind it. */
static void
drop_idle_output(struct insn_list *list, unsigned first)
{
    while (list->n >= first + 2 && set_order[list->insns[list->n - 2].op] >= SET_GROUP) {
        list->n--;
    }
}

/* Buckets may have what write-actions may not: there sets are not merged. */
static uint32_t
check_settable(const struct of_scope *scope, const struct insn *insn)
{
    unsigned order = set_order[insn->op];
    bool in_flow = scope->table != NO_TABLE;

    return order == SET_NEVER || (in_flow && (order == SET_LIST || order >= SET_RESUBMIT))
               ? BAD_ACTION(BAD_TYPE) : OFWIRE_OK;
}

uint32_t
ofwire_add_action_set(const struct of_scope *scope, struct of_known *known, const uint8_t *base,
                      const uint8_t *data, size_t size, struct insn_list *list)
{
    unsigned first = list->n;
    struct insn insn;

    for (unsigned order = 0; size; order++, data += insn.size, size -= insn.size) {
        uint32_t error = order < SET_MAX ? read_action(scope, data, size, &insn)
                                         : BAD_ACTION(TOO_MANY);

        if (error == OFWIRE_OK) {
            error = check_settable(scope, &insn);
        }
        if (error == OFWIRE_OK) {
            insn.at = (uint16_t)(data - base);
            insn.order = (uint8_t)order;
            error = insn_list_add(list, insn);
        }
        if (error != OFWIRE_OK) {
            return error;
        }
        settle(list, first);
    }
    drop_idle_output(list, first);
    struct of_known before = *known;
    return follow(known, &before, base, list, first);
}

/* --- Lists -------------------------------------------------------------------------- */

uint32_t
insn_list_add(struct insn_list *list, struct insn insn)
{
    if (list->n == list->size) {
        unsigned size = list->size ? list->size * 2 : 16;
        struct insn *insns = realloc(list->insns, size * sizeof *insns);

        if (!insns) {
            return BAD_ACTION(TOO_MANY);
        }
        list->insns = insns;
        list->size = size;
    }
    list->insns[list->n++] = insn;
    return OFWIRE_OK;
}

void
insn_list_close(struct insn_list *list)
{
    free(list->insns);
    *list = (struct insn_list) { 0 };
}

typedef uint32_t add_actions(const struct of_scope *, struct of_known *, const uint8_t *base,
                             const uint8_t *data, size_t size, struct insn_list *);

/* Decodes a list that is nothing but actions. */
static uint32_t
get_actions(add_actions *add, const struct of_scope *scope, const uint8_t *base,
            const uint8_t *data, size_t size, struct insn_list *list)
{
    struct of_known known;

    ofwire_known_from(&known, scope);
    list->n = 0;
    list->write = NULL;

    uint32_t error = add(scope, &known, base, data, size, list);

    return error == OFWIRE_OK ? insn_list_add(list, (struct insn) { .op = OP_done }) : error;
}

uint32_t
ofwire_get_actions(const struct of_scope *scope, const uint8_t *base, const uint8_t *data,
                   size_t size, struct insn_list *list)
{
    return get_actions(ofwire_add_actions, scope, base, data, size, list);
}

uint32_t
ofwire_get_action_set(const struct of_scope *scope, const uint8_t *base, const uint8_t *data,
                      size_t size, struct insn_list *list)
{
    return get_actions(ofwire_add_action_set, scope, base, data, size, list);
}
