#ifndef RAICHO_PUSH_H
#define RAICHO_PUSH_H

/* Pushes: adjacencies that put labels in front of a packet and then send it where another one leads.
 *
 * How
 * ===
 * A push names what is under it by its id, so that a neighbour may move, and a group change, without the
 * push being made anew.  Who puts the same labels over the same id shares one push.
 *
 * Cost
 * ====
 * A packet reads one line more for each push and group on its way.
 *
 * Threads: the control thread holds and releases; workers follow.
 *
 * Reference: RFC 3031, section 3.10 (NHLFE); RFC 3032, section 2.1 (label stack) */

#include <stdbool.h>
#include <stdint.h>

#include "adjacency.h"
#include "bytes.h"
#include "headers.h"

struct dataplane;

enum {
    LABEL_IPV4_NULL = 0,        /* Explicit null; RFC 3032, 2.1, and RFC 4182. */
    LABEL_IPV6_NULL = 2,
    LABEL_IMPLICIT_NULL = 3,    /* Never in a packet: to push it is to push nothing. */
    LABEL_BOTTOM = 0x100,       /* In a shim: it is the last one. */
    LABEL_WAY_MAX = 8,          /* Labels that a packet gets at once. */
    LABEL_TTL_OF_PIPES = 255,
};

struct push {
    uint32_t number;            /* First, for idmap.h: a hash of what follows. */
    uint32_t under;             /* Id of an adjacency. */
    uint32_t labels[ADJACENCY_LABELS];          /* The innermost first. */
    uint32_t n_labels;
    uint32_t id;                /* Of its own adjacency. */
    uint32_t refs;
};

/* A push of 'n' labels, the outermost first, none of them implicit null, over an adjacency; null without
 * memory. */
struct push *push_hold(struct dataplane *dataplane, uint32_t under, const uint32_t labels[], unsigned n);
void push_release(struct dataplane *dataplane, struct push *push);

/* Where an adjacency leads in the end, and what is put in front of a packet on the way there. */
struct label_way {
    const struct adjacency *by;         /* Neither a push nor a group. */
    uint32_t id;                        /* Its id. */
    unsigned n;
    uint32_t labels[LABEL_WAY_MAX];     /* The innermost first. */
};

/* Follows an adjacency for a flow's hash.  Returns false if it leads in a circle, or to more labels than
 * LABEL_WAY_MAX. */
bool label_way_find(const struct adjacency_table *table, uint32_t id, uint32_t hash,
                    struct label_way *way);

/* What new labels have besides their number. */
struct label_marks {
    uint8_t traffic_class;      /* 3 bits. */
    uint8_t ttl;                /* Of the innermost one. */
    uint8_t tunnel_ttl;         /* Of those around it. */
    bool bottom;                /* The innermost one is the last of the stack. */
};

/* Writes the labels of a way as shims, the outermost first.  Returns how many bytes these are. */
static inline unsigned
label_write(uint8_t *at, const struct label_way *way, const struct label_marks *marks)
{
    for (unsigned i = way->n; i-- > 0; at += MPLS_SIZE) {
        put_be32(at, way->labels[i] << 12 | marks->traffic_class << 9
                     | (!i && marks->bottom ? LABEL_BOTTOM : 0) | (i ? marks->tunnel_ttl : marks->ttl));
    }
    return way->n * MPLS_SIZE;
}

/* The traffic class for an IP packet: its precedence (RFC 3270, 4.2; RFC 5462). */
static inline uint8_t
label_class_of(const uint8_t *ip)
{
    return ip[0] >> 4 == 4 ? ip[1] >> 5 : (ip[0] & 15) >> 1;
}

#endif
