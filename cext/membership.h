#ifndef RAICHO_MEMBERSHIP_H
#define RAICHO_MEMBERSHIP_H

/* Membership: which ports of a link want which multicast groups, and from which sources.
 *
 * What
 * ====
 * A link is the VLAN of a bridge, or that of a router interface (which has one port).  What hosts report
 * (IGMP, MLD: membership_wire.h) is kept for each group and port as a router keeps it: the filter mode with
 * the sources that are wanted or not, and their timers (RFC 3376, section 6).  Ports that routers are behind are
 * found by their queries (RFC 4541).  On a link without a querier it can be the querier itself.
 *
 * Older hosts are heard too; while one is there, its group is treated as its version allows (section 7.3).
 *
 * It does no I/O: packets come in, queries go out through the owner, time is a parameter.
 *
 * Groups that are never left out (224.0.0.0/24, ff02::1, and scopes within a host) are not kept: their packets
 * go to all ports (RFC 4541, 2.1.2).  So do all while nobody asks on the link.
 *
 * Threads: the control thread's.  The owner publishes for workers what has changed.
 *
 * Reference: RFC 2236, RFC 3376, RFC 2710, RFC 3810, RFC 4541 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ip.h"
#include "membership_wire.h"
#include "timer.h"

enum {
    MEMBERSHIP_ALL_PORTS = 0,           /* No port has this number. */
    MEMBERSHIP_ROUTERS = 32,            /* Ports with routers that are remembered. */
    MEMBERSHIP_CHAINS = 64,
};

struct membership_config {
    bool is_querier;                    /* It asks, unless somebody with a lower address does. */
    uint8_t robustness;
    uint32_t interval_ms;               /* Between queries for all groups. */
    uint32_t response_ms;               /* Within which hosts answer them. */
    uint32_t last_member_ms;            /* Within which they answer those for a group. */
    uint32_t max_members;               /* Groups of ports, of both families. */
    uint16_t max_sources;               /* Of a member; with more it wants all. */
};

/* RFC 3376, section 8 */
extern const struct membership_config membership_defaults;

struct membership_member {
    struct membership_member *next;     /* Of the same group. */
    struct membership_group *group;
    struct timer timer;
    uint32_t port;
    bool is_exclude;                    /* All sources but those that are not wanted. */
    uint8_t n_queries;                  /* That are still to be sent for the group. */
    uint16_t n_sources;
    uint64_t due_ms;                    /* When it wants all no longer; of exclude. */
    uint64_t query_ms;                  /* When the next query goes out; 0: none does. */
    uint64_t older_ms[2];               /* Until when hosts of version 1 and 2 are there. */
    struct membership_source_state *sources;
};

/* A source that is wanted while its time is not over, and, of exclude, not wanted without a time. */
struct membership_source_state {
    struct ip_address address;
    uint64_t due_ms;                    /* 0: no time. */
    uint8_t n_queries;
};

struct membership_group {
    struct membership_group *next;      /* In its chain. */
    struct ip_address address;
    uint8_t family;
    struct membership_member *members;
};

/* Functions may read, but change nothing here. */
struct membership_owner {
    /* Sends the IP packet of a query to a port, or to all of them. */
    void (*send)(void *context, uint32_t port, uint8_t family, const uint8_t *packet, size_t len);

    /* Which ports get a group is, or may be, another set now; also because of routers (group 0: all groups). */
    void (*changed)(void *context, uint8_t family, const struct ip_address *group);
};

struct membership_counters {
    uint64_t reports, queries;          /* Received. */
    uint64_t ignored;                   /* Not valid. */
    uint64_t refused;                   /* Members for which there was no room. */
    uint64_t widened;                   /* Times that a member had too many sources. */
};

/* Who asks on the link, for each family. */
struct membership_asking {
    struct ip_address source;           /* Our own address; 0: any querier is preferred to us. */
    uint64_t due_ms;                    /* When we ask next; 0: not begun. */
    uint64_t other_until_ms;            /* Until when another one is there. */
    uint64_t known_ms;                  /* When the first answers are all there; 0: nobody asks. */
    bool is_known;
    uint8_t n_startup;                  /* Queries left that come soon after each other. */
    uint8_t robustness;                 /* As the querier says, if it is another one. */
    uint32_t interval_ms, response_ms;
};

struct membership {
    struct membership_config config;
    const struct membership_owner *owner;
    void *context;
    struct membership_counters counters;
    uint64_t now_ms;
    uint32_t n_members;
    struct membership_asking asking[2]; /* IPv4, IPv6 */
    struct {
        uint32_t port;                  /* 0: free. */
        uint8_t family;
        uint64_t until_ms;
    } routers[MEMBERSHIP_ROUTERS];
    struct timer_wheel wheel;
    struct membership_group *chains[MEMBERSHIP_CHAINS];
};

void membership_open(struct membership *membership, const struct membership_config *config,
                     const struct membership_owner *owner, void *context, uint64_t now_ms);
void membership_close(struct membership *membership);

/* Our own address on the link, from which we ask. */
void membership_set_source(struct membership *membership, uint8_t family,
                           const struct ip_address *source);

/* What a packet is, for who forwards it (RFC 4541, 2.1.1). */
enum membership_verdict {
    MEMBERSHIP_OTHER,                   /* No valid message: as any other packet. */
    MEMBERSHIP_REPORT,                  /* To the ports of routers only. */
    MEMBERSHIP_QUERY,                   /* To all ports. */
};

/* Handles an IP packet of IGMP or MLD that came by a port. */
enum membership_verdict membership_receive(struct membership *membership, uint32_t port,
                                           const uint8_t *packet, size_t len, uint64_t now_ms);

/* Whether somebody asks on the link, so that it is known who wants what.  Else nobody is left out. */
bool membership_is_known(const struct membership *membership, uint8_t family);

/* Whether a port gets what a source sends to a group.  Routers' ports get all. */
bool membership_wants(const struct membership *membership, uint32_t port, uint8_t family,
                      const struct ip_address *group, const struct ip_address *source);

/* Whether a member wants what a source sends (RFC 9776, section 6.3). */
bool membership_member_wants(const struct membership_member *member, const struct ip_address *source);

/* Null: no port wants the group from any source. */
const struct membership_group *membership_find(const struct membership *membership, uint8_t family,
                                               const struct ip_address *group);

bool membership_has_router(const struct membership *membership, uint32_t port, uint8_t family);

/* Calls visit for each group; it must not change any. */
void membership_each(const struct membership *membership,
                     void (*visit)(const struct membership_group *group, void *context),
                     void *context);

/* Forgets a port that is down or gone. */
void membership_remove_port(struct membership *membership, uint32_t port);

/* Does what is due.  To be called every few 10 ms. */
void membership_advance(struct membership *membership, uint64_t now_ms);

#endif
