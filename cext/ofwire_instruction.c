/* Instructions of flow entries on the wire -> programs: one row for each type, in the order in which
 * they are carried out, however they were sent. */

#include "ofwire_private.h"

#include <string.h>

#include "bytes.h"

enum {
    INSTRUCTION_MIN = 8,        /* Bytes of the shortest instruction; all are a multiple. */
    INSTRUCTION_EXPERIMENTER = 0xffff,
    ACTIONS_AT = 8,             /* In those that have actions. */
};

#define BAD_INSTRUCTION(CODE) OFWIRE_ERROR(OFPET_BAD_INSTRUCTION, OFPBIC_##CODE)

/* What decoding instructions works on. */
struct decoder {
    const struct of_scope *scope;
    struct of_known known;
    const uint8_t *base;
    struct insn_list *list;
};

/* A type of instruction. */
struct instruction_row {
    uint16_t type;
    uint8_t size;               /* Its bytes. */
    bool longer;                /* May be longer. */
    uint8_t op;
    uint32_t (*add)(struct decoder *, struct insn);
};

static uint32_t
add_plain(struct decoder *d, struct insn insn)
{
    return insn_list_add(d->list, insn);
}

static uint32_t
add_meter(struct decoder *d, struct insn insn)
{
    uint32_t id = get_be32(d->base + insn.at + 4);

    if (meter_is_virtual(id)
        || !(d->scope->in_template || meter_find(&d->scope->bridge->meters, id))) {
        return OFWIRE_OFPMMFC_UNKNOWN_METER;
    }
    return insn_list_add(d->list, insn);
}

static uint32_t
add_apply(struct decoder *d, struct insn insn)
{
    return ofwire_add_actions(d->scope, &d->known, d->base, d->base + insn.at + ACTIONS_AT,
                              insn.size - (size_t) ACTIONS_AT, d->list);
}

/* Makes a program of its own of the actions in 'insn'. */
static uint32_t
intern_set(struct decoder *d, const struct insn *insn, struct insn_list *set)
{
    uint32_t error = ofwire_add_action_set(d->scope, &d->known, d->base,
                                           d->base + insn->at + ACTIONS_AT,
                                           insn->size - (size_t) ACTIONS_AT, set);

    if (error == OFWIRE_OK) {
        error = insn_list_add(set, (struct insn) { .op = OP_done });
    }
    if (error != OFWIRE_OK) {
        return error;
    }
    d->list->write = program_intern(&d->scope->bridge->dataplane->programs, set->insns, set->n);
    return d->list->write ? OFWIRE_OK : OFWIRE_ERROR(OFPET_BAD_ACTION, OFPBAC_TOO_MANY);
}

static uint32_t
add_write(struct decoder *d, struct insn insn)
{
    struct insn_list set = { 0 };
    uint32_t error = intern_set(d, &insn, &set);

    insn_list_close(&set);
    insn.sub = d->list->write;
    return error == OFWIRE_OK ? insn_list_add(d->list, insn) : error;
}

static uint32_t
add_goto(struct decoder *d, struct insn insn)
{
    uint8_t table = d->base[insn.at + 4];
    bool forward = d->scope->in_template || table > d->scope->table;    /* It is in none yet. */

    if (!forward || table >= BRIDGE_TABLES) {
        return BAD_INSTRUCTION(BAD_TABLE_ID);
    }
    return insn_list_add(d->list, insn);
}

static const struct instruction_row rows[] = {
    { 6, 8,  false, OP_meter,          add_meter },
    { 4, 8,  true,  OP_done,           add_apply },   /* Its actions stand for it. */
    { 5, 8,  false, OP_clear_actions,  add_plain },
    { 3, 8,  true,  OP_write_actions,  add_write },
    { 2, 24, false, OP_write_metadata, add_plain },
    { 1, 8,  false, OP_goto_table,     add_goto },
};

enum { N_ROWS = sizeof rows / sizeof *rows };

/* Returns the row of a type, or N_ROWS. */
static unsigned
row_of(uint16_t type)
{
    unsigned row = 0;

    while (row < N_ROWS && rows[row].type != type) {
        row++;
    }
    return row;
}

/* What is wrong with an instruction that has no row; one that names a template stands alone. */
static uint32_t
refusal(const uint8_t *instruction)
{
    if (get_be16(instruction) != INSTRUCTION_EXPERIMENTER) {
        return BAD_INSTRUCTION(UNKNOWN_INST);
    }
    return get_be32(instruction + 4) == RAICHO ? BAD_INSTRUCTION(UNSUP_INST)
                                               : BAD_INSTRUCTION(BAD_EXPERIMENTER);
}

/* Finds the instruction of every row: insns[row].size is 0 where there is none. */
static uint32_t
find_all(const uint8_t *data, size_t size, struct insn insns[N_ROWS])
{
    for (size_t at = 0, len; at < size; at += len) {
        if (size - at < INSTRUCTION_MIN) {
            return BAD_INSTRUCTION(BAD_LEN);
        }

        uint16_t type = get_be16(data + at);
        unsigned row = row_of(type);

        len = get_be16(data + at + 2);
        if (len < INSTRUCTION_MIN || len % 8 || len > size - at) {
            return BAD_INSTRUCTION(BAD_LEN);
        }
        if (row == N_ROWS) {
            return refusal(data + at);
        }
        if (rows[row].longer ? len < rows[row].size : len != rows[row].size) {
            return BAD_INSTRUCTION(BAD_LEN);
        }
        if (insns[row].size) {
            return BAD_INSTRUCTION(DUP_INST);
        }
        insns[row] = (struct insn) { .op = rows[row].op, .at = (uint16_t)at,
                                     .size = (uint16_t)len };
    }
    return OFWIRE_OK;
}

static uint32_t
add_all(struct decoder *d, const struct insn insns[N_ROWS])
{
    for (unsigned row = 0; row < N_ROWS; row++) {
        uint32_t error = insns[row].size ? rows[row].add(d, insns[row]) : OFWIRE_OK;

        if (error != OFWIRE_OK) {
            return error;
        }
    }
    if (insns[N_ROWS - 1].size) {
        return OFWIRE_OK;       /* The goto ends it. */
    }
    return insn_list_add(d->list, (struct insn) { .op = OP_action_set });
}

uint32_t
ofwire_get_instructions(const struct of_scope *scope, const uint8_t *data, size_t size,
                        struct insn_list *list)
{
    struct decoder d = { .scope = scope, .base = data, .list = list };
    struct insn insns[N_ROWS] = { { 0 } };
    uint32_t error = find_all(data, size, insns);

    list->n = 0;
    list->write = NULL;
    if (error != OFWIRE_OK) {
        return error;
    }
    ofwire_known_from(&d.known, scope);
    error = add_all(&d, insns);
    if (error != OFWIRE_OK && list->write) {
        program_release(&scope->bridge->dataplane->programs, list->write);
        list->write = NULL;
    }
    return error;
}
