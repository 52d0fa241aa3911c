#ifndef RAICHO_GROUP_H
#define RAICHO_GROUP_H

/* Groups: several lists of actions under one number (OpenFlow 1.3.5, 5.6).
 *
 * Threads
 * =======
 * The control thread makes, modifies and retires; workers find a group by its
 * number and read its buckets through one atomic pointer, so a modify takes
 * effect in one step. */

#include <stdatomic.h>
#include <stdint.h>

#include "idmap.h"
#include "program.h"

enum group_type { GROUP_ALL, GROUP_SELECT, GROUP_INDIRECT, GROUP_FAST_FAILOVER };

enum {
    GROUP_MAX = 0xffffff00,     /* OFPG_MAX */
    GROUP_ALL_GROUPS = 0xfffffffc,
    GROUP_ANY = 0xffffffff,
    GROUP_DEPTH = 16,           /* Groups inside groups. */
};

struct bucket {
    const struct program *program;      /* Its actions, in the order of the action set, then done. */
    const uint8_t *args;                /* The bucket as sent (struct ofp_bucket). */
    uint16_t size;                      /* Its bytes. */
    uint16_t weight;
    uint32_t watch_port, watch_group;
    uint32_t counter;
};

/* What a worker sees of a group; replaced as a whole. */
struct buckets {
    uint8_t type;                       /* enum group_type */
    uint32_t n;
    uint32_t total_weight;
    uint8_t *wire;                      /* The buckets as sent, one after the other. */
    uint32_t wire_size;
    struct bucket bucket[];
};

struct group {
    uint32_t id;                        /* First, for idmap.h. */
    uint32_t counter;
    uint32_t refs;                      /* Group actions in flows and other groups. Control thread's. */
    uint64_t created_ms;
    _Atomic(struct buckets *) buckets;

    /* Control thread's, when it looks for loops: */
    uint64_t checked;                   /* The number of the search that 'height' is of. */
    unsigned height;                    /* Groups one after the other from here on. */
};

/* All 0 is an empty table. */
struct group_table {
    struct idmap map;
    uint64_t n_checks;          /* Searches for loops so far. */
};

/* Worker or control: null if there is no such group. */
static inline struct group *
group_find(const struct group_table *table, uint32_t id)
{
    return idmap_find(&table->map, id);
}

/* Control.  Returns 0 or ENOMEM (nothing changed). */
static inline int
group_insert(struct group_table *table, struct epoch *epoch, struct group *group)
{
    return idmap_insert(&table->map, epoch, group);
}

static inline void
group_remove(struct group_table *table, struct group *group)
{
    idmap_remove(&table->map, group);
}

#endif
