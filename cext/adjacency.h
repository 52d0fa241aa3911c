#ifndef RAICHO_ADJACENCY_H
#define RAICHO_ADJACENCY_H

/* Adjacencies: what becomes of a packet whose route has been found.
 *
 * What
 * ====
 * The value of a route is the id of an adjacency.  Behind the id is a pointer to what cannot change:
 * the bytes of the header to put in front and the port to leave by, or that the packet is for us, or that
 * nobody knows yet where it goes.  To change what becomes of all packets of all routes that name an id
 * is to store another pointer.  Several ids may share one adjacency.
 *
 * Id 0 is that of packets without a route; it stands for NO_ROUTE until it is published as another.
 *
 * Cost
 * ====
 * A packet reads a pointer and one cache line; through a group two of each.
 *
 * Threads: one writer (the control thread); workers read.
 *
 * Reference: RFC 1812, section 5.2.4 (next hops), 5.3.12 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "epoch.h"

struct attachment;
struct bridge;
struct neighbour;

enum adjacency_kind {
    ADJACENCY_NO_ROUTE,         /* Unreachable: no route (RFC 1812, 5.2.7.1). */
    ADJACENCY_REWRITE,          /* Out by a port behind another header. */
    ADJACENCY_BRIDGE,           /* The same into a bridge. */
    ADJACENCY_LINK,             /* To a host on the link that has no adjacency yet. */
    ADJACENCY_INCOMPLETE,       /* To a neighbour whose address is being asked for. */
    ADJACENCY_LOCAL,            /* To us. */
    ADJACENCY_GROUP,            /* One of several, by the flow. */
    ADJACENCY_BLACKHOLE,        /* Dropped without a word. */
    ADJACENCY_UNREACHABLE,      /* Host unreachable. */
    ADJACENCY_PROHIBIT,         /* Administratively prohibited. */
    ADJACENCY_PUSH,             /* Labels in front, then by another one (push.h). */
};

enum {
    ADJACENCY_HEADER = 32,      /* Bytes of header: Ethernet, a VLAN tag; labels are those of a push. */
    ADJACENCY_LABELS = 4,       /* Of a push. */
    ADJACENCY_PAGE = 1024,      /* Ids in a page. */
    ADJACENCY_PAGES = 4096,
    ADJACENCY_MAX = ADJACENCY_PAGE * ADJACENCY_PAGES,
};

struct adjacency {
    uint8_t kind;               /* enum adjacency_kind */
    uint8_t header_len;         /* Bytes, the Ethernet type included. */
    uint16_t mtu;               /* Bytes of network-layer packet that the link takes. */
    uint32_t interface;         /* By which it leaves; 0: none. */
    uint32_t counter;           /* Packets and bytes that took it; its time of use is the neighbour's. */
    uint32_t refs;              /* Ids that stand for it.  Control thread's. */
    union {
        struct {
            union {
                struct attachment *to;          /* REWRITE */
                struct bridge *bridge;          /* BRIDGE */
            };
            struct neighbour *neighbour;        /* These two, and INCOMPLETE.  Control thread's. */
            uint8_t header[ADJACENCY_HEADER];
        };
        struct {
            uint32_t n_buckets;                 /* GROUP: a power of two. */
            uint32_t *buckets;                  /* Ids, none of them a group; behind this. */
        };
        struct {
            uint32_t under;                     /* PUSH: the id by which it goes on. */
            uint8_t n_labels;
            uint32_t labels[ADJACENCY_LABELS];  /* The innermost first. */
        };
    };
};

_Static_assert(sizeof(struct adjacency) <= 64, "an adjacency is one cache line");

struct adjacency_page {
    _Atomic(struct adjacency *) at[ADJACENCY_PAGE];
};

struct adjacency_table {
    struct epoch *epoch;
    _Atomic(struct adjacency_page *) pages[ADJACENCY_PAGES];
    uint32_t n_used;            /* Ids handed out so far. */
    uint32_t n;                 /* Ids in use. */
    uint32_t *free;             /* Ids given back. */
    uint32_t n_free, max_free;
};

/* Returns 0 or ENOMEM. */
int adjacency_table_open(struct adjacency_table *table, struct epoch *epoch);

/* Readers gone, and nothing retired any more. */
void adjacency_table_close(struct adjacency_table *table);

/* A new adjacency for a group of 'n_buckets', or with 0 for anything else; null without memory.  It is
 * the caller's until it is published. */
struct adjacency *adjacency_make(enum adjacency_kind kind, uint32_t n_buckets);

/* Frees one that was never published. */
void adjacency_drop(struct adjacency *adjacency);

/* Returns a new id that stands for 'adjacency', or 0 without memory or ids. */
uint32_t adjacency_new(struct adjacency_table *table, struct adjacency *adjacency);

/* From now on 'id' stands for 'adjacency'. */
void adjacency_publish(struct adjacency_table *table, uint32_t id, struct adjacency *adjacency);

/* Gives an id back that no route names any more.  It is not handed out again until the
 * readers have passed. */
void adjacency_free(struct adjacency_table *table, uint32_t id);

/* Reader or writer; 'id' was handed out. */
static inline struct adjacency *
adjacency_at(const struct adjacency_table *table, uint32_t id)
{
    struct adjacency_page *page = atomic_load_explicit(&table->pages[id / ADJACENCY_PAGE],
                                                       memory_order_relaxed);

    return atomic_load_explicit(&page->at[id % ADJACENCY_PAGE], memory_order_acquire);
}

#endif
