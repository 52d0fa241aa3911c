#ifndef RAICHO_ROUTE_NAT64_H
#define RAICHO_ROUTE_NAT64_H

/* NAT64 between a packet's interface and its route (nat64.h): what leaves one family for the other. */

#include <stdbool.h>
#include <stdint.h>

struct interface;
struct packet;
struct worker;

/* Packets on their way from a family to the other. */
struct crossing {
    struct packet **packets;            /* That came; those that stay are left, in order. */
    unsigned n;
    struct packet **crossed;            /* Those that go on in the other family, in order. */
    unsigned n_crossed, room;
};

/* Whether the NAT of an interface has a prefix. */
bool route_nat64_is_on(const struct worker *worker, const struct interface *from);

/* From an inside interface: IPv6 packets whose destination stands for an IPv4 address.  Those that cannot go on,
 * because their route leads nowhere outside, they are too long, or their hop limit is used up, are the control
 * thread's as they came: so their sender hears of it.  Those for hosts with IPv6 behind an address outside of the NAT
 * turn back (RFC 6146, section 3.8): they are IPv6 again, and come behind those that stay, where there must be room
 * for PACKET_VECTOR in all. */
void route_nat64_out(struct worker *worker, const struct interface *from, struct crossing *crossing);

/* From an outside interface: IPv4 packets for hosts with IPv6. */
void route_nat64_in(struct worker *worker, const struct interface *from, struct crossing *crossing);

#endif
