#ifndef RAICHO_OFWIRE_PRIVATE_H
#define RAICHO_OFWIRE_PRIVATE_H

/* What the files ofwire_*.c share. */

#include "ofwire.h"

/* What is known of every packet that gets to some place in a list of actions. */
struct of_known {
    struct of_match match;
    bool anything;              /* False: nothing is, so nothing can be inconsistent. */
};

/* A type of action. */
struct action_row {
    uint8_t size;               /* Its bytes; 0: there is no such action. */
    bool longer;                /* May be longer. */
    uint8_t op;
    /* Whether its arguments make sense by themselves; may fill in 'insn'. */
    uint32_t (*check)(const struct of_scope *, const uint8_t *action, struct insn *insn);
    /* What is known behind it.  False if it cannot be done to packets that are as 'known'. */
    bool (*follow)(struct of_known *known, const uint8_t *action, const struct insn *insn);
};

/* Returns the row of an action of Nicira's, of at least 16 bytes, or null. */
const struct action_row *ofwire_nicira_row(const uint8_t *action);

/* The same for one of raicho's own (ofwire_own.c). */
const struct action_row *ofwire_own_row(const uint8_t *action);

void ofwire_known_from(struct of_known *known, const struct of_scope *scope);

/* As ofwire_get_actions() and ofwire_get_action_set(), but append to 'list', begin with what is
 * 'known', leave in it what is known behind the actions, and add no "done". */
uint32_t ofwire_add_actions(const struct of_scope *scope, struct of_known *known,
                            const uint8_t *base, const uint8_t *data, size_t size,
                            struct insn_list *list);
uint32_t ofwire_add_action_set(const struct of_scope *scope, struct of_known *known,
                               const uint8_t *base, const uint8_t *data, size_t size,
                               struct insn_list *list);

/* Appends an instruction.  Returns OFWIRE_OK or, without memory, BAD_ACTION/TOO_MANY. */
uint32_t insn_list_add(struct insn_list *list, struct insn insn);

/* Whether no bit above the width of 'field' is set in its 'value' as sent. */
bool ofwire_value_fits(enum field field, const uint8_t *value);

#endif
