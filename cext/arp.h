#ifndef RAICHO_ARP_H
#define RAICHO_ARP_H

/* ARP for IPv4 over Ethernet: questions asked, answered, and learned from.
 *
 * Frames have no VLAN tag: the owner of a link takes it off and puts it on.
 *
 * Threads: the control thread's.
 *
 * Reference: RFC 826; RFC 1027 (proxy); RFC 5227 (announcements, conflicts) */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "neighbour.h"

enum { ARP_REQUEST = 1, ARP_REPLY = 2 };
enum { ARP_FRAME_SIZE = 42 };

struct arp_packet {
    uint16_t op;
    uint32_t sender, target;
    uint64_t sender_mac, target_mac;    /* Low 48 bits. */
};

/* Reads what follows an Ethernet header.  False: not IPv4 over Ethernet, too short, or an operation
 * other than the two. */
bool arp_parse(const uint8_t *data, size_t len, struct arp_packet *packet);

/* Writes a frame of ARP_FRAME_SIZE bytes to 'destination' from the sender. */
void arp_build(uint8_t *frame, uint64_t destination, const struct arp_packet *packet);

/* Handles a frame with an Ethernet header and type ARP. */
void arp_receive(struct neighbours *neighbours, struct neighbour_link *link, const uint8_t *frame,
                 size_t len, uint64_t now_ms);

/* Asks for a neighbour: everybody, or itself (RFC 1122, 2.3.2.1).  False: the interface has no address
 * to ask from. */
bool arp_solicit(struct neighbours *neighbours, const struct neighbour *neighbour, bool unicast);

/* Says to everybody that an address is the interface's (RFC 5227, 2.3). */
void arp_announce(struct neighbours *neighbours, struct neighbour_link *link, uint32_t address);

#endif
