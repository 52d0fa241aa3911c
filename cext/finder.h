#ifndef RAICHO_FINDER_H
#define RAICHO_FINDER_H

/* Finders: implementations of lookups, each for tables of a certain shape.
 *
 * What
 * ====
 * A finder holds, of every match in the table, the entry with the highest priority; the others can
 * never be found, and it hears nothing of them.  The record of the table (tuple.h) is the finder that
 * fits every shape.  To add one, fill in a struct finder_ops and give it a row in table.c.
 *
 * How
 * ===
 * table.c opens a finder that fits better than the one in use, and fills it from the record in
 * slices while it tells it of every change; until then the other one answers.  With one store it is
 * put to use.  A finder that cannot take a change, for whatever reason, is closed: the record, which
 * was changed before, takes over.
 *
 * Threads
 * =======
 * One writer (the control thread).  Lookups run at the same time without locks, and see each change
 * whole or not at all.  close() runs when the last reader has left. */

#include <stdbool.h>
#include <stdint.h>

#include "epoch.h"
#include "key.h"

struct finder;
struct finder_ops;
struct flow;
struct flow_mask;
struct table_stats;
struct tuple;

typedef void finder_lookup(const struct finder *, const struct flow_key *const keys[], unsigned n,
                           const struct flow *found[]);

/* The state of a finder begins with this. */
struct finder {
    finder_lookup *lookup;      /* What its open() finds best on this machine. */
    const struct finder_ops *ops;
};

/* What a table holds. */
struct table_shape {
    uint32_t n_flows, n_masks;
    uint32_t n_open;                        /* Masks that addresses say nothing of, see prune.h. */
    const struct tuple *record;             /* For shape_mask(). */
};

/* One of the masks in use, 0 to n_masks - 1, and how many flows have it. */
const struct flow_mask *shape_mask(const struct table_shape *shape, uint32_t i, uint32_t *n_flows);

struct finder_ops {
    char name[16];

    /* Whether it would be quicker than what comes after it in the list of table.c.  'in_use': it is
     * there already; to change costs something, so it should let go later than it takes hold.  One
     * that is in use, or changed to at once, is asked with every change, the others now and then. */
    bool (*fits)(const struct table_shape *shape, bool in_use);

    /* Whether it is changed to with the very flow-mod that makes it fit: it holds FEW entries. */
    bool at_once;

    /* An empty one for a table of this shape; null without memory. */
    struct finder *(*open)(const struct table_shape *shape, struct epoch *epoch);
    void (*close)(struct finder *);

    /* Puts 'flow' in, in the place of the entry with the same match if it has one, which stays
     * readable.  A positive errno: cannot; then it is closed. */
    int (*insert)(struct finder *, struct flow *flow);

    /* Takes 'flow' out, if it has it.  A positive errno: cannot; then it is closed. */
    int (*remove)(struct finder *, const struct flow *flow);

    /* Adds what it takes to stats->memory; may make stats->implementation more precise. */
    void (*stats)(const struct finder *, struct table_stats *stats);
};

/* Those of table.c, in the order in which they are asked. */
extern const struct finder_ops finder_few, finder_prefix, finder_merged;

enum { FEW = 8 /* Most entries of finder_few. */ };

/* The highest priority in a finder_few; 0 if it is empty. */
uint16_t few_top(const struct finder *few);

#endif
