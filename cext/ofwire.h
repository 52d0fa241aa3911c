#ifndef RAICHO_OFWIRE_H
#define RAICHO_OFWIRE_H

/* OpenFlow 1.3 bytes <-> table entries.
 *
 * What
 * ====
 * Decoding checks everything once: lengths, types, prerequisites, duplicates,
 * ports, groups, tables.  What is behind it has nothing left to check.  The
 * arguments of the programs it makes are the bytes of the message themselves.
 *
 * Every function returns OFWIRE_OK or an error of the specification, (type << 16) | code.
 *
 * Reference: OpenFlow Switch Specification 1.3.5, sections 7.2, 7.3, 7.4.4. */

#include <stddef.h>
#include <stdint.h>

#include "bridge.h"
#include "field.h"
#include "program.h"
#include "subfield.h"
#include "template.h"

#define OFWIRE_OK 0xffffffffu
#define OFWIRE_ERROR(TYPE, CODE) ((uint32_t) (TYPE) << 16 | (CODE))

/* Error types and the codes used here (OFPET_*, OFPB?C_*): see ofwire_errors.h. */
#include "ofwire_errors.h"

/* The same as results: OFWIRE_OFPFMFC_TABLE_FULL and so on. */
enum ofwire_error {
#define X(TYPE, CODE, NAME) OFWIRE_##NAME = TYPE << 16 | CODE,
    OFP_ERRORS(X)
#undef X
};

/* A match: the fields, and which bits of them count. */
struct of_match {
    struct flow_key key;        /* 0 where the mask is 0. */
    struct flow_key mask;
};

/* Decodes a struct ofp_match of type OFPMT_OXM with its padding; 'used' gets its padded size. */
uint32_t ofwire_get_match(const uint8_t *data, size_t size, struct of_match *match, size_t *used);

/* Appends the same, padded; fields in the order of field_table, exact ones without mask. */
void ofwire_put_match(struct buffer *out, const struct flow_key *key, const struct flow_key *mask);

/* Reads the OXM header of a field and checks that bits 'at' to 'at' + 'n' - 1 are in it. */
uint32_t ofwire_get_subfield(const uint8_t *header, unsigned at, unsigned n, struct subfield *sub);

/* The port that a number from a field names: one of 16 bits may be a reserved port of OpenFlow 1.0. */
uint32_t ofwire_port(unsigned __int128 number);

/* The experimenter of raicho's own messages and instructions: the letters RCH, which as an OUI are a
 * locally administered one, so they are nobody else's. */
enum { RAICHO = 0x00524348 };

/* Errors of that experimenter, as results: type OFPET_EXPERIMENTER. */
enum template_error {
    TEMPLATE_BAD_COMMAND = 1, TEMPLATE_EXISTS, TEMPLATE_UNKNOWN, TEMPLATE_IN_USE,
    TEMPLATE_BAD_PARAMETERS, TEMPLATE_BAD_ARGUMENTS, TEMPLATE_BAD_ID, TEMPLATE_NO_MEMORY,
};
#define OFWIRE_TEMPLATE(CODE) OFWIRE_ERROR(0xffff, TEMPLATE_##CODE)

enum { TEMPLATE_ALL = 0xffffffff };     /* Not the number of a template. */

/* Commands of a template-mod. */
enum { TEMPLATE_ADD, TEMPLATE_MODIFY, TEMPLATE_DELETE };

/* struct rch_template_mod: an experimenter's message of type EXP_TEMPLATE_MOD. */
struct of_template_mod {
    uint16_t command;
    uint32_t id;
    uint64_t parameters;                /* A bit for each item of the instructions. */
    const char *name;                   /* TEMPLATE_NAME bytes. */
    const uint8_t *instructions;
    size_t size;
};

uint32_t ofwire_get_template_mod(const uint8_t *message, size_t size, struct of_template_mod *mod);

/* Finds the items of instructions, which have been decoded well, that are 'parameters'; 'n' gets how
 * many there are.  Returns OFWIRE_OK or TEMPLATE_BAD_PARAMETERS: there are not so many items. */
uint32_t ofwire_get_holes(const uint8_t *instructions, size_t size, uint64_t parameters,
                          struct hole holes[TEMPLATE_ITEMS], unsigned *n);

/* struct rch_instruction_template: the instructions of an entry are those of a template. */
struct of_template_use {
    bool found;
    uint32_t id;
    const uint8_t *args;
    size_t size;
};

/* Looks whether instructions, not decoded yet, are that one; if so they are checked. */
uint32_t ofwire_get_template_use(const uint8_t *data, size_t size, struct of_template_use *use);

/* A list of instructions that grows; the write-actions' list apart. */
struct insn_list {
    struct insn *insns;
    unsigned n, size;
    const struct program *write;        /* Interned sub-program of a write-actions, or null. */
};

void insn_list_close(struct insn_list *list);

/* Where the actions stand: what they may refer to and must agree with. */
struct of_scope {
    struct bridge *bridge;
    const struct of_match *match;       /* What packets that get here have in common; null: nothing
                                         * is known (packet-out, buckets), prerequisites of set-field
                                         * are not checked. */
    uint8_t table;                      /* Of the flow entry; 0xff for none. */
    bool in_packet_out;                 /* OFPP_TABLE is allowed. */
    bool in_template;                   /* Groups and meters need not be there. */
};

/* Decodes a flow entry's instructions (all of 'size' bytes at 'data') into 'list'; offsets in insn.at
 * count from 'data'.  The program ends in goto_table or action_set. */
uint32_t ofwire_get_instructions(const struct of_scope *scope, const uint8_t *data, size_t size,
                                 struct insn_list *list);

/* Decodes an action list for apply: in order, then done.  Offsets count from 'base' <= data. */
uint32_t ofwire_get_actions(const struct of_scope *scope, const uint8_t *base, const uint8_t *data,
                            size_t size, struct insn_list *list);

/* Decodes an action list as an action set: sorted in the order of the set, later ones replacing
 * earlier ones of their kind, insn.order saying where they stood; then done. */
uint32_t ofwire_get_action_set(const struct of_scope *scope, const uint8_t *base,
                               const uint8_t *data, size_t size, struct insn_list *list);

#endif
