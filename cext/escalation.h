#ifndef RAICHO_ESCALATION_H
#define RAICHO_ESCALATION_H

/* Escalation: packets of a router that programs beside the dataplane want to see.
 *
 * What
 * ====
 * A subscription says what a packet is (an Ethernet type, a protocol, a port) and why the router has it in
 * its hands (it is to us, nothing leads to where it goes, ...).  Whoever subscribed gets a copy; what becomes
 * of the packet itself does not change, except that nobody is told that a protocol or a port is not served
 * here when somebody serves it.
 *
 * How
 * ===
 * The control thread compares what workers send it anyway.  ROUTE_SEEN is the exception: whatever enters the
 * router, wherever it goes.  For that workers have a list of what to look for, which is there only while
 * somebody subscribes; without one a vector of packets pays for reading a pointer.
 *
 * Copies wait in one buffer, which is to be taken after every punt or few; each subscription has a rate of its
 * own, and what is above it, or finds no room in the buffer, is counted.  Nothing waits for a reader.
 *
 * Threads: the control thread's, but for escalation_watch(). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bucket.h"
#include "buffer.h"
#include "key.h"

struct interface;
struct packet;
struct router;
struct router_interface;
struct worker;

enum {
    ESCALATIONS_MAX = 64,               /* Subscriptions at a router. */
    ESCALATED_BYTES = 4 << 20,          /* Copies that wait in the buffer. */
};

/* What to look for; all of it must be so.  0 is anything. */
struct escalation_match {
    uint32_t reasons;                   /* 1 << (enum route_reason - ROUTE_LOCAL), one or several. */
    uint16_t eth_type;                  /* Behind VLAN tags. */
    uint16_t port;                      /* Either end's; the protocol is TCP, UDP or SCTP then. */
    uint8_t protocol;                   /* Of IP. */
};

struct escalation {
    struct escalation *next;            /* Of its router. */
    uint32_t id;                        /* In the whole dataplane; not 0. */
    struct escalation_match match;
    struct bucket_rate rate;
    struct rate_bucket bucket;
    uint64_t sent, dropped;             /* Copies. */
};

/* What workers look for. */
struct escalation_watch {
    uint32_t n;
    struct escalation_match at[];
};

/* A copy in the buffer, followed by the next at a multiple of 8 bytes.  Host order. */
struct escalated {
    uint64_t dropped;                   /* Copies of the subscription so far. */
    uint32_t id;                        /* Of the subscription. */
    uint32_t interface;                 /* By which it came. */
    uint32_t len;                       /* Bytes of frame: without a tag, all of it. */
    uint8_t reason;                     /* enum route_reason */
    uint8_t frame[];
};

/* Subscribes at most 'per_second' copies.  Returns 0 and the id, or EINVAL (a match that cannot be, no rate),
 * ENOSPC (ESCALATIONS_MAX) or ENOMEM. */
int escalation_add(struct router *router, const struct escalation_match *match, uint32_t per_second,
                   uint32_t *id);

/* Returns 0, ENOENT, or ENOMEM (then it stays). */
int escalation_remove(struct router *router, uint32_t id);

/* Lets go of all of a router, which no worker uses any more. */
void escalation_close(struct router *router);

/* Copies a frame without a tag for those who subscribed; returns whether there was any, in or above its rate. */
bool escalation_tell(const struct router_interface *own, unsigned reason, const uint8_t *frame, size_t len,
                     uint64_t now_ms);

/* Worker.  Sends copies of those packets to the control thread that are looked for. */
void escalation_watch(struct worker *worker, const struct interface *from,
                      const struct escalation_watch *watch, struct packet *const *packets, unsigned n);

#endif
