#ifndef RAICHO_TIB_H
#define RAICHO_TIB_H

/* TIB: the trees by which a router sends what goes to groups, by source and group.
 *
 * What
 * ====
 * A tree is that of a source and a group, (S,G), or of a group whatever the source, (*,G): the interface by
 * which its packets come, and those by which they leave.  A packet takes the tree of its source and group,
 * or else that of its group.  One that comes by another interface is not forwarded.
 *
 * Several may say something of the same tree (enum route_source).  Then packets leave by the interfaces
 * that any of them names, and come by the one that the first of them names, in the order of their numbers.
 * Where nobody names one it is the interface by which a route leads to the source.
 *
 * How
 * ===
 * A key/value table (kv.h) has a pointer for each tree to what workers see of it, which never changes:
 * another one takes its place as a whole.  There is none until the first tree is put.  Those of a group are
 * chained for the control thread.
 *
 * Threads: the control thread puts and removes; workers find.
 *
 * Reference: RFC 7761, section 4.2 (forwarding), 4.1 (state) */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ip.h"
#include "kv.h"

struct dataplane;

enum {
    TIB_TREES = 65536,          /* Trees of a router, about. */
    TIB_OUTGOING = 256,         /* Interfaces of a tree that one source names. */
    TIB_SOURCES = 256,
    TIB_CHAINS = 1024,
};

/* Of one family.  A source of 0 is any. */
struct tree_key {
    struct ip_address group, source;
};

/* A tree as workers see it. */
struct tree {
    struct tree_entry *entry;   /* The control thread's. */
    uint32_t taken, strayed;    /* Counters: packets that took it, and that came by another interface. */
    uint32_t incoming;          /* Interface; 0: by which a route leads to the source. */
    bool is_local;              /* We get a copy. */
    uint32_t n;
    uint32_t outgoing[];        /* Interfaces. */
};

/* What a source says of a tree. */
struct tree_share {
    struct tree_share *next;    /* Of the tree, by source. */
    uint8_t source;             /* enum route_source */
    bool is_marked;             /* It goes with the next sweep. */
    bool is_local;
    uint32_t incoming;          /* 0: it names none. */
    uint32_t n;
    uint32_t outgoing[];
};

/* A tree as the control thread knows it. */
struct tree_entry {
    struct tree_entry *next, **link;    /* In the chain of its group. */
    struct tree_key key;
    uint8_t family;
    uint32_t slot;              /* Its place in 'entries'. */
    struct tree *view;
    struct tree_share *shares;
};

/* All 0 but the dataplane and the owner is empty. */
struct tib {
    struct dataplane *dataplane;

    /* What a source says of a tree is another thing now.  May put and remove what other sources say. */
    void (*changed)(void *context, uint8_t source, uint8_t family, const struct tree_key *key);
    void *context;
    _Atomic(struct kv *) trees;         /* Keys are struct tree_key. */

    /* The control thread's: */
    struct tree_entry **entries;        /* Null: a free place. */
    uint32_t n_slots, n;
    uint32_t first_free;                /* No place before it is free. */
    uint32_t n_member_trees;            /* Of sources of which nobody but ROUTE_MEMBERSHIP says anything. */
    struct tree_entry *chains[TIB_CHAINS];      /* By group. */
};

/* No readers left, and nothing retired any more. */
void tib_close(struct tib *tib);

/* Says what a source says of a tree, in the place of what it said before.  'how' is copied; its 'next' does
 * not matter.  Returns 0 or ENOMEM (also: there are too many), in which case nothing has changed. */
int tib_put(struct tib *tib, uint8_t family, const struct tree_key *key, const struct tree_share *how);

/* Returns 0 or ENOENT. */
int tib_remove(struct tib *tib, uint8_t source, const struct tree_key *key);

/* Mark and sweep: after tib_begin() whatever a source does not put again goes with tib_sweep(), which returns
 * how many trees it said something of. */
void tib_begin(struct tib *tib, uint8_t source);
uint32_t tib_sweep(struct tib *tib, uint8_t source);

/* The entry at '*place' (0 at first) or behind it, and the next place; null: there are no more. */
const struct tree_entry *tib_next(const struct tib *tib, uint32_t *place);

/* The next tree of a group behind one, or the first one behind null; null: there are no more. */
struct tree_entry *tib_next_of_group(const struct tib *tib, const struct tree_entry *entry,
                                     const struct ip_address *group);

/* What all say of a tree, a list; null: nobody says anything. */
const struct tree_share *tib_shares(const struct tib *tib, const struct tree_key *key);

/* Whether a group is forwarded at all, rather than one of the link, or of less (RFC 5771, section 4; RFC 4291,
 * section 2.7). */
bool tib_is_routed(uint8_t family, const struct ip_address *group);

/* Reader: the tree of a source and group, or that of the group (RFC 7761, section 4.2); null: there is
 * neither. */
const struct tree *tib_find(const struct tib *tib, const struct tree_key *key);

#endif
