#ifndef RAICHO_NAT64_H
#define RAICHO_NAT64_H

/* NAT64: hosts that have only IPv6 talk to those that have only IPv4 (RFC 6146).
 *
 * What
 * ====
 * An IPv4 address is to hosts inside an IPv6 address, behind a prefix [1].  What they send to such a one goes out as
 * IPv4 from an outside address of the NAT, and answers come back as IPv6.  Headers are translated as [2] says,
 * those of packets inside ICMP errors too.
 *
 * How
 * ===
 * A host inside has a number of 32 bits as long as it has sessions (nat64_host.c).  With that in the place of an
 * IPv4 address all the rest is that of IPv4: sessions, mappings, ports, limits, timers, the log (nat.h).  Other
 * headers are made in nat64_header.c and nat64_icmp.c, and what is between a route and them in route_nat64.c.
 *
 * Cost: one packet at a time; a lookup of the host more than in IPv4.
 *
 * Threads: any worker.
 *
 * [1] RFC 6052; [2] RFC 7915; RFC 6146 [3]. */

#include <stdbool.h>
#include <stdint.h>

#include "ip.h"
#include "nat.h"

struct packet;
struct worker;

enum {
    NAT64_MTU = 1280,           /* Bytes of IPv6 that every link takes [2, section 4.1]. */
    NAT64_GROWTH = 20,          /* Bytes that an IPv6 header has more than one of IPv4, */
    NAT64_FRAGMENT = 8,         /* and a fragment header. */
};

/* A packet from outside for a host with IPv6. */
struct nat64_target {
    uint64_t inside;            /* Its endpoint, as nat_private.h has it; a later fragment has no port. */
    struct ip_address address;
    bool is_static;             /* It is forwarded to. */
};

/* Whether a NAT translates to IPv6 at all. */
bool nat64_is_on(const struct nat *nat);

/* Whether an IPv6 address stands for an IPv4 address, which '*address' gets, in host order. */
bool nat64_stands_for(const struct nat *nat, const struct ip_address *of, uint32_t *address);

/* Whether a packet to such an address, which is one of the NAT's outside, is for a host with IPv6 inside [3, 3.8]: made
 * IPv4 and then IPv6 again it reaches that.  'target' gets who it is; nobody (inside 0) if only the packet that was
 * made can tell: of later fragments and errors. */
bool nat64_turns(const struct nat *nat, const struct packet *p, uint32_t address, struct nat64_target *target);

/* Makes an IPv6 packet to such an address IPv4.  Returns whether there still is one: it was dropped, or it is a
 * fragment that waits.  'mtu' are the bytes of IPv4 that its next link takes, 'from_mtu' those of IPv6 that
 * the link takes by which it came: an error that says less is corrected [2, section 5.2]. */
bool nat64_out(struct nat *nat, struct worker *worker, struct packet *p, uint32_t mtu, uint32_t from_mtu);

/* Whether an IPv4 packet from outside belongs to a mapping of a host with IPv6. */
bool nat64_find(const struct nat *nat, const struct packet *p, uint64_t now_ms, struct nat64_target *target);

/* Makes it IPv6, in as many pieces as it takes if it may be fragmented: they are put into 'out', which has
 * room for so many.  Returns how many; 0: it was dropped.  MTUs as in nat64_out(), of the other family. */
unsigned nat64_in(struct nat *nat, struct worker *worker, struct packet *p, const struct nat64_target *target,
                  uint32_t mtu, uint32_t from_mtu, struct packet **out, unsigned room);

/* Puts fragments that waited and can go on behind 'n' packets (at least one), as they came; returns how many there
 * are then. */
unsigned nat64_release(struct nat *nat, struct worker *worker, struct packet **packets, unsigned n,
                       unsigned room, enum nat_direction direction);

/* How long a packet will be in the other family, in bytes of network layer; of one that is cut by hardware, its
 * segments.  '*may_cut': it can be fragmented on the way, and so is never too long. */
uint32_t nat64_length(const struct packet *p, bool *may_cut);

#endif
