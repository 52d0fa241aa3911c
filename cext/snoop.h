#ifndef RAICHO_SNOOP_H
#define RAICHO_SNOOP_H

/* Snoop: which ports of a bridge want which multicast groups, from what hosts and routers say.
 *
 * What
 * ====
 * IGMP and MLD messages go in with the VLAN and port that they came by; what comes out is, by VLAN and
 * group, the ports with members, and by VLAN the ports with routers.  Sources are not told apart: a
 * report about a group with any sources joins it (RFC 4541, section 3).  membership.h keeps sources too, for who
 * routes.
 *
 * How
 * ===
 * A state machine without I/O that reads no clock.  A port is a member until its time is over,
 * which every report begins anew; a query about the group shortens it, and so does leaving where the
 * port wants that at once.  As the querier it asks in the VLANs it is told of, unless another one
 * with an address is heard.
 *
 * Cost: a message is a hash lookup and the ports of its group.  Time is looked at when the next thing
 * is due.
 *
 * Threads: none; one owner.
 *
 * Reference: RFC 4541; RFC 2236, 3376 (IGMP), 2710, 3810 (MLD); times of RFC 3376, section 8 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "headers.h"
#include "ip.h"
#include "membership_wire.h"

enum {
    SNOOP_QUERY_MS = 125000,            /* Between queries of the querier. */
    SNOOP_ANSWER_MS = 10000,            /* That hosts have for their answer. */
    SNOOP_LEAVE_MS = 1000,              /* The same when somebody has left. */
    SNOOP_ROBUSTNESS = 2,               /* Messages, one of which may be lost. */
    SNOOP_MS = SNOOP_ROBUSTNESS * SNOOP_QUERY_MS + SNOOP_ANSWER_MS,
    SNOOP_ROUTER_MS = SNOOP_ROBUSTNESS * SNOOP_QUERY_MS + SNOOP_ANSWER_MS / 2,
    SNOOP_QUERY_MAX = ETH_SIZE + MEMBERSHIP_QUERY_MAX,  /* Bytes of a query as a frame. */
};

/* What a frame is to who snoops. */
enum snoop_kind {
    SNOOP_DATA,                 /* Nothing that members or routers say. */
    SNOOP_QUERY,
    SNOOP_REPORT,               /* Joins or leaves. */
    SNOOP_ROUTER,               /* A router speaks to others (PIM). */
};

struct snoop_group {
    struct ip_address address;
    uint16_t vlan;
    uint8_t family;             /* enum ip_family */
};

static inline bool
snoop_equal(const struct snoop_group *a, const struct snoop_group *b)
{
    return a->vlan == b->vlan && a->family == b->family && ip_equal(&a->address, &b->address);
}

struct snoop_port {
    uint32_t port;
    uint64_t until_ms;          /* UINT64_MAX: for good. */
};

/* Ports with members of a group, or with routers: then 'family' is 0 and the address too. */
struct snoop_entry {
    struct snoop_entry *next;   /* In its chain. */
    struct snoop_group group;
    uint32_t n, max;
    struct snoop_port *ports;
};

enum {
    SNOOP_CHAINS = 1024,
    SNOOP_LEFT = 64,                    /* Who leaves when there are more waits for the next report of others. */
};

struct snoop {
    struct snoop_entry *chains[SNOOP_CHAINS];
    uint32_t n, max;            /* Groups there are, and may be. */
    uint64_t changes;           /* Goes up when another port is, or is no longer, on an entry. */
    uint64_t due_ms;            /* When the first port's time may be over; UINT64_MAX: none. */
    uint64_t refused;           /* Reports that found no room. */
    uint64_t malformed;         /* Messages that say nothing for sure. */
    bool querier;
    uint64_t others_ms[2];      /* Until when another querier is heard: IPv4, IPv6. */
    uint64_t query_ms;          /* When to ask next. */
    unsigned startup;           /* Queries still to come soon. */
    unsigned n_left;
    struct snoop_group left[SNOOP_LEFT];        /* Groups to ask about, since somebody left. */
};

void snoop_open(struct snoop *snoop, uint32_t max_groups);
void snoop_close(struct snoop *snoop);

/* What an IP packet is; one that membership_parse() does not take is data. */
enum snoop_kind snoop_kind(const uint8_t *packet, size_t len);

/* Takes a message in.  'leaves_at_once': who leaves on this port is alone there. */
void snoop_hear(struct snoop *snoop, uint16_t vlan, uint32_t port, bool leaves_at_once,
                const uint8_t *packet, size_t len, uint64_t now_ms);

/* A port has a router, until a time (UINT64_MAX: for good; 0: no longer). */
void snoop_set_router(struct snoop *snoop, uint16_t vlan, uint32_t port, uint64_t until_ms);

/* Forgets a port, or those whose time is over. */
void snoop_forget(struct snoop *snoop, uint32_t port);
void snoop_advance(struct snoop *snoop, uint64_t now_ms);

/* Whether to ask now, of members of any group; in that case it counts as done. */
bool snoop_asks(struct snoop *snoop, uint64_t now_ms);

/* Writes a query about a group, all of them if its address is 0, as a whole frame from 'mac'.  Returns its size;
 * 0: another querier asks. */
size_t snoop_query(const struct snoop *snoop, const struct snoop_group *group, uint64_t mac,
                   uint64_t now_ms, uint8_t frame[SNOOP_QUERY_MAX]);

uint32_t snoop_hash(const struct snoop_group *group);

/* Null: nobody. */
const struct snoop_entry *snoop_find(const struct snoop *snoop, const struct snoop_group *group);

void snoop_each(const struct snoop *snoop, void (*visit)(const struct snoop_entry *, void *),
                void *context);

/* Addresses of frames to many that no host joins: 224.0.0.0/24, ff02::1 and what does not leave a host (RFC
 * 4541, sections 2.1.2 and 3), and broadcasts. */
bool snoop_is_for_all(uint8_t family, const struct ip_address *address);

#endif
