/* Templates on the wire.
 *
 * Reference: docs/templates.md */

#include "ofwire_private.h"

#include "bytes.h"

enum {
    EXP_TEMPLATE_MOD = 1, INSTRUCTION_TEMPLATE = 1,     /* Types of the experimenter's. */
    INSTRUCTION_EXPERIMENTER = 0xffff, INSTRUCTION_APPLY = 4, ACTIONS_AT = 8,
};

/* struct rch_template_mod: experimenter at 8, exp_type 12, command 16, template_id 20, parameters 24,
 * name 32, instructions 64. */
enum { MOD_NAME = 32, MOD_INSTRUCTIONS = 64, EXPERIMENTER_BODY = 16 };

/* struct rch_instruction_template: type, len 2, experimenter 4, exp_type 8, pad, template_id 12,
 * arguments 16. */
enum { USE_ARGUMENTS = 16 };

uint32_t
ofwire_get_template_mod(const uint8_t *message, size_t size, struct of_template_mod *mod)
{
    if (size < EXPERIMENTER_BODY) {
        return OFWIRE_OFPBRC_BAD_LEN;
    }
    if (get_be32(message + 8) != RAICHO) {
        return OFWIRE_OFPBRC_BAD_EXPERIMENTER;
    }
    if (get_be32(message + 12) != EXP_TEMPLATE_MOD) {
        return OFWIRE_OFPBRC_BAD_EXP_TYPE;
    }
    if (size < MOD_INSTRUCTIONS) {
        return OFWIRE_OFPBRC_BAD_LEN;
    }
    *mod = (struct of_template_mod) {
        .command = get_be16(message + 16), .id = get_be32(message + 20),
        .parameters = get_be64(message + 24), .name = (const char *)message + MOD_NAME,
        .instructions = message + MOD_INSTRUCTIONS, .size = size - MOD_INSTRUCTIONS,
    };
    if (mod->command > TEMPLATE_DELETE) {
        return OFWIRE_TEMPLATE(BAD_COMMAND);
    }
    if (mod->id == TEMPLATE_ALL && mod->command != TEMPLATE_DELETE) {
        return OFWIRE_TEMPLATE(BAD_ID);
    }
    return mod->size > TEMPLATE_SIZE ? OFWIRE_OFPBAC_TOO_MANY : OFWIRE_OK;
}

/* --- Items ------------------------------------------------------------------------------------- */

/* What looking for parameters works on. */
struct search {
    uint64_t parameters;        /* Of the items that are still to come. */
    struct hole *holes;
    unsigned n;
    uint16_t from;              /* Where the next argument begins. */
};

static void
see_item(struct search *search, size_t at, size_t size)
{
    if (search->parameters & 1) {
        search->holes[search->n++] = (struct hole) { (uint16_t)at, (uint16_t)size, search->from };
        search->from = (uint16_t)(search->from + size);
    }
    search->parameters >>= 1;
}

uint32_t
ofwire_get_holes(const uint8_t *instructions, size_t size, uint64_t parameters,
                 struct hole holes[TEMPLATE_ITEMS], unsigned *n)
{
    struct search search = { .parameters = parameters, .holes = holes };

    for (size_t at = 0, end; at < size; at = end) {
        end = at + get_be16(instructions + at + 2);
        if (get_be16(instructions + at) != INSTRUCTION_APPLY) {
            see_item(&search, at, end - at);
            continue;
        }
        for (size_t action = at + ACTIONS_AT, len; action < end; action += len) {
            len = get_be16(instructions + action + 2);
            see_item(&search, action, len);
        }
    }
    *n = search.n;
    return search.parameters ? OFWIRE_TEMPLATE(BAD_PARAMETERS) : OFWIRE_OK;
}

/* --- Entries ----------------------------------------------------------------------------------- */

static bool
names_template(const uint8_t *data, size_t size)
{
    return size >= 8 && get_be16(data) == INSTRUCTION_EXPERIMENTER && get_be32(data + 4) == RAICHO;
}

uint32_t
ofwire_get_template_use(const uint8_t *data, size_t size, struct of_template_use *use)
{
    *use = (struct of_template_use) { .found = names_template(data, size) };
    if (!use->found) {
        return OFWIRE_OK;
    }
    size_t len = get_be16(data + 2);
    if (len < USE_ARGUMENTS || len % 8 || len > size) {
        return OFWIRE_OFPBIC_BAD_LEN;
    }
    if (get_be16(data + 8) != INSTRUCTION_TEMPLATE) {
        return OFWIRE_OFPBIC_BAD_EXP_TYPE;
    }
    if (len != size) {
        return OFWIRE_OFPBIC_UNSUP_INST;
    }
    use->id = get_be32(data + 12);
    use->args = data + USE_ARGUMENTS;
    use->size = len - USE_ARGUMENTS;
    return OFWIRE_OK;
}
