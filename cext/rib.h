#ifndef RAICHO_RIB_H
#define RAICHO_RIB_H

/* RIB: what routes are known, from which source, and which one of each prefix is the best.
 *
 * What
 * ====
 * A route is a prefix, a source (a protocol, a person, the kernel) and what that source says:
 * distance, metric, and 'via', a number of the source's own for what comes next.  A source has at
 * most one route to a prefix.  The best one has the lowest distance, then the lowest metric, then the
 * lowest source; who made the RIB is told when it changes, and may refuse.
 *
 * How
 * ===
 * Routes are in an array; those of a prefix are chained, the best one first, and that one is found by a
 * hash of the prefix.  The routes of a source are in a list from the one that was put longest ago
 * to the newest, so that a sweep begins with those that were not put again, and stops where they
 * end.
 *
 * Cost
 * ====
 * A change reads a few lines.  56 bytes a route, 16 to 32 of the hash; when that doubles, a change
 * takes some nanoseconds for each prefix that there is.  Memory is kept for later routes.
 *
 * Threads
 * =======
 * The control thread's alone.
 *
 * Reference: RFC 1812 5.2.4 (route lookup, preference), RFC 8349 (administrative distance). */

#include <stddef.h>
#include <stdint.h>

#include "ip.h"

enum { RIB_SOURCES = 256 };         /* Source 0 is none. */

struct rib_route {
    struct ip_prefix prefix;
    uint8_t source;                 /* 0: this is no route. */
    uint8_t distance;               /* The lower is the better, */
    uint32_t metric;                /* and of equal distances the lower one here. */
    uint32_t via;                   /* What comes next, by a number of this source. */
};

struct rib_ops {
    /* The best route of a prefix becomes another, or says something else than before: 'old' is null for
     * a prefix that had none, 'new' for one that has none any more.  Returns 0, or an error: then
     * the RIB stays as it was; when 'new' is null or 'old' leaves another to take its place, it
     * must not fail.  Must not change the RIB. */
    int (*best_changed)(const struct rib_route *old, const struct rib_route *new, void *context);

    /* A route is there no more, or its source has put it again, with the same or something else in it.
     * 'route' is how it was.  Called for every one, best or not, when that is certain; may be null. */
    void (*removed)(const struct rib_route *route, void *context);
    void *context;
};

struct rib_source {
    uint32_t oldest, newest;        /* Routes, from the one put longest ago on. */
    uint32_t n;                     /* How many. */
    uint32_t generation;            /* Of those put since rib_begin(). */
};

struct rib_node;

struct rib {
    struct rib_ops ops;
    struct rib_node *nodes;         /* Routes and what chains them; 0 is none. */
    uint32_t n_nodes, max_nodes;    /* Ever used, and room. */
    uint32_t free;                  /* Nodes that came back. */
    uint64_t *slots;                /* Hash:32, node of the best route:32; 0: free. */
    uint8_t log_slots;              /* 0: there are none. */
    uint32_t n_prefixes, n_routes;
    struct rib_source sources[RIB_SOURCES];
};

/* An empty RIB. */
void rib_open(struct rib *rib, const struct rib_ops *ops);

/* Tells nobody. */
void rib_close(struct rib *rib);

/* Puts a route, in the place of the one that its source has to this prefix.  Returns 0, EINVAL (no valid
 * prefix, source 0), ENOMEM, or what ops.best_changed returned. */
int rib_put(struct rib *rib, const struct rib_route *route);

/* Asks the cache for where a prefix would be found: who has many to change says so some of them ahead. */
void rib_prefetch(const struct rib *rib, const struct ip_prefix *prefix);

/* Takes the route of a source to a prefix out.  Returns 0 or ENOENT. */
int rib_remove(struct rib *rib, const struct ip_prefix *prefix, uint8_t source);

/* The route of a source to exactly this prefix; source 0: the best one.  Null if there is none.  Valid
 * until the next change. */
const struct rib_route *rib_get(const struct rib *rib, const struct ip_prefix *prefix,
                                uint8_t source);

/* From now on all routes of a source are in doubt until they are put again. */
void rib_begin(struct rib *rib, uint8_t source);

/* Takes out up to 'limit' routes that are in doubt.  Returns how many; fewer than 'limit': there are no
 * more. */
uint32_t rib_sweep(struct rib *rib, uint8_t source, uint32_t limit);

/* The next route of a source, or of all (0), in no order that means anything; null at the end.  '*cursor'
 * is 0 at first, and may be kept while the RIB changes: routes that stay are seen once, those that
 * come or go meanwhile at most once. */
const struct rib_route *rib_next(const struct rib *rib, uint8_t source, uint32_t *cursor);

/* Bytes that it has asked for. */
size_t rib_memory(const struct rib *rib);

#endif
