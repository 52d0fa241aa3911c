#ifndef RAICHO_SUBFIELD_H
#define RAICHO_SUBFIELD_H

/* Subfields: some bits of a match field, as actions of Nicira's extensions name them.
 *
 * What
 * ====
 * Bits 'at' to 'at' + 'n' - 1 of a field, the least significant one being 0.  Reading one gives a
 * number, whatever the field is; a field that the packet does not have reads as 0.
 *
 * Reference: ovs-actions(7), "load", "move" */

#include "field.h"

struct packet;

struct subfield {
    uint8_t field;              /* An enum field. */
    uint8_t at;
    uint8_t n;                  /* Bits; at least 1. */
};

/* Whether 'field' is in packets like 'key'. */
bool subfield_is_there(enum field field, const struct flow_key *key);

/* Returns the bits in 'key'. */
unsigned __int128 subfield_of_key(const struct flow_key *key, struct subfield sub);

/* Returns the bits in 'packet', whose key is brought up to date first. */
unsigned __int128 subfield_read(struct packet *packet, struct subfield sub);

/* Writes them, as a set-field does: what the packet does not have is not written. */
void subfield_write(struct packet *packet, struct subfield sub, unsigned __int128 value);

/* Writes them to a key, as to that of a match. */
void subfield_put(struct flow_key *key, struct subfield sub, unsigned __int128 value);

#endif
