#ifndef RAICHO_BRIDGE_FEATURES_H
#define RAICHO_BRIDGE_FEATURES_H

/* What a flow table may be used for: all that the switch can, or what a controller has left of it.
 *
 * How
 * ===
 * A feature is a set of numbers: types of instructions or actions, tables, or fields (rows of
 * field_table).  There is one for each of the properties of a table, OFPTFPT_*, which the
 * specification counts up: even numbers are for flows, odd ones for the table-miss entry.  A table
 * that nobody has narrowed has no struct table_features, and costs nothing.
 *
 * Threads: the control thread's.
 *
 * Reference: OpenFlow Switch Specification 1.3.5, section 7.3.5.5. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bridge;

enum table_property {
    TABLE_INSTRUCTIONS = 0, TABLE_NEXT = 2, TABLE_WRITE_ACTIONS = 4, TABLE_APPLY_ACTIONS = 6,
    TABLE_MATCH = 8, TABLE_WILDCARDS = 10, TABLE_WRITE_SETFIELD = 12, TABLE_APPLY_SETFIELD = 14,
    N_PROPERTIES = 16,
    TABLE_MISS = 1,             /* Added to the number of a property. */
};

/* Numbers 0 to 255. */
struct feature_set {
    uint64_t words[4];
};

struct table_features {
    char name[32];
    uint64_t metadata_match, metadata_write;
    struct feature_set sets[N_PROPERTIES];
    struct feature_set masked;          /* Fields that may be matched with a mask. */
    bool removed;                       /* The table is no part of the pipeline. */
};

/* Whether table 'id' is part of the pipeline. */
bool bridge_has_table(const struct bridge *bridge, unsigned id);

/* Whether a flow may be what an add says: its match, whose struct ofp_match is 'match', and its
 * instructions.  All of that has been decoded well.  For a modify 'match' is null.  Returns OFWIRE_OK or
 * the error. */
uint32_t bridge_check_features(const struct bridge *bridge, unsigned table, bool miss,
                               const uint8_t *match, const uint8_t *instructions, size_t size);

/* Lets go of what the tables are narrowed to. */
void bridge_close_features(struct bridge *bridge);

#endif
