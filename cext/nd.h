#ifndef RAICHO_ND_H
#define RAICHO_ND_H

/* Neighbour discovery for IPv6: questions asked, answered, and learned from; and the router's
 * part of it, advertisements to hosts.
 *
 * What does not pass the checks of RFC 4861 (6.1, 7.1) is counted and not believed: a hop limit other than
 * 255 means that it came through a router.  Redirects and other routers' advertisements teach no routes here.
 *
 * Frames have no VLAN tag: the owner of a link takes it off and puts it on.
 *
 * Threads: the control thread's.
 *
 * Reference: RFC 4861; RFC 4862, section 5.4 (duplicate addresses) */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "neighbour.h"

enum nd_type {
    ND_ROUTER_SOLICITATION = 133, ND_ROUTER_ADVERTISEMENT = 134, ND_REDIRECT = 137,
};

enum { ND_PREFIXES_MAX = 16 };

struct nd_prefix {
    struct ip_prefix prefix;
    uint32_t valid_s, preferred_s;
    bool on_link, autonomous;
};

/* What a link's hosts are told (RFC 4861, 6.2.1). */
struct nd_router {
    uint32_t max_interval_ms;           /* Between advertisements; RFC: 4 to 1800 s. */
    uint32_t min_interval_ms;
    uint16_t lifetime_s;                /* As a default router; 0: it is none. */
    uint8_t hop_limit;                  /* For hosts to use; 0: it does not say. */
    bool managed, other;                /* Addresses, or other things, by DHCPv6. */
    uint32_t reachable_ms, retrans_ms;  /* 0: it does not say. */
    uint32_t mtu;                       /* 0: it does not say. */
    unsigned n_prefixes;
    struct nd_prefix prefixes[ND_PREFIXES_MAX];

    /* Kept here; 0 at first. */
    uint64_t due_ms;                    /* When the next one is sent; 0: not known yet. */
    uint64_t sent_ms;                   /* When the last one was. */
    uint8_t n_sent;                     /* Up to the number of initial ones. */
};

/* Whether a frame with an Ethernet header is a message of neighbour discovery. */
bool nd_is_message(const uint8_t *frame, size_t len);

/* Handles such a frame. */
void nd_receive(struct neighbours *neighbours, struct neighbour_link *link, const uint8_t *frame,
                size_t len, uint64_t now_ms);

/* Asks for a neighbour: those of its solicited-node group, or itself.  False: the interface has no
 * address to ask from. */
bool nd_solicit(struct neighbours *neighbours, const struct neighbour *neighbour, bool unicast);

/* Asks whether somebody has an address that the interface is to get (RFC 4862, 5.4.2). */
void nd_probe(struct neighbours *neighbours, struct neighbour_link *link, const struct ip_address *address);

/* Says to everybody that an address is the interface's (RFC 4861, 7.2.6). */
void nd_announce(struct neighbours *neighbours, struct neighbour_link *link,
                 const struct ip_address *address);

/* Sends the advertisement of a link that is due; nothing if link->router is null. */
void nd_advance(struct neighbours *neighbours, struct neighbour_link *link, uint64_t now_ms);

/* Takes the advertised lifetime back, when the interface stops being a router's (RFC 4861, 6.2.5). */
void nd_retire(struct neighbours *neighbours, struct neighbour_link *link);

#endif
