/* ARP: see arp.h. */

#include "arp.h"

#include "bytes.h"
#include "headers.h"
#include "mac.h"

enum {
    DEFEND_INTERVAL_MS = 10000,         /* RFC 5227, 1.1 */
};

#define ETHERNET_IPV4 UINT64_C(0x000108000604)  /* Hardware, protocol, and their lengths. */
#define BROADCAST UINT64_C(0xffffffffffff)

bool
arp_parse(const uint8_t *data, size_t len, struct arp_packet *packet)
{
    if (len < ARP_SIZE || get_be48(data) != ETHERNET_IPV4) {
        return false;
    }
    *packet = (struct arp_packet) {
        .op = get_be16(data + 6),
        .sender_mac = get_be48(data + 8), .sender = get_be32(data + 14),
        .target_mac = get_be48(data + 18), .target = get_be32(data + 24),
    };
    return packet->op == ARP_REQUEST || packet->op == ARP_REPLY;
}

void
arp_build(uint8_t *frame, uint64_t destination, const struct arp_packet *packet)
{
    uint8_t *data = frame + ETH_SIZE;

    put_be48(frame, destination);
    put_be48(frame + 6, packet->sender_mac);
    put_be16(frame + ETH_TYPE_AT, ETH_TYPE_ARP);
    put_be48(data, ETHERNET_IPV4);
    put_be16(data + 6, packet->op);
    put_be48(data + 8, packet->sender_mac);
    put_be32(data + 14, packet->sender);
    put_be48(data + 18, packet->target_mac);
    put_be32(data + 24, packet->target);
}

static void
send(struct neighbours *neighbours, struct neighbour_link *link, uint64_t destination,
     const struct arp_packet *packet)
{
    uint8_t frame[ARP_FRAME_SIZE];

    arp_build(frame, destination, packet);
    neighbours->owner->send(neighbours->context, link, frame, sizeof frame);
}

bool
arp_solicit(struct neighbours *neighbours, const struct neighbour *neighbour, bool unicast)
{
    struct neighbour_link *link = neighbour->link;
    struct ip_address source;

    if (!neighbours->owner->source(neighbours->context, link, IP_V4, &neighbour->address, &source)) {
        return false;
    }
    const struct arp_packet request = {
        .op = ARP_REQUEST, .sender_mac = link->mac, .sender = (uint32_t)source.word[1],
        .target = (uint32_t)neighbour->address.word[1],
    };
    send(neighbours, link, unicast ? neighbour->mac : BROADCAST, &request);
    return true;
}

void
arp_announce(struct neighbours *neighbours, struct neighbour_link *link, uint32_t address)
{
    const struct arp_packet request = {
        .op = ARP_REQUEST, .sender_mac = link->mac, .sender = address, .target = address,
    };

    send(neighbours, link, BROADCAST, &request);
}

static enum neighbour_role
role_of(struct neighbours *neighbours, struct neighbour_link *link, uint32_t address)
{
    const struct ip_address asked = ip_from_v4(address);

    return neighbours->owner->answers_for(neighbours->context, link, IP_V4, &asked);
}

/* Whether an address can be a host's; 0 is that of a probe (RFC 5227, 2.1.1). */
static bool
is_host(uint32_t address)
{
    return address >> 24 != 127 && address >> 28 < 14 && (address >> 24 || !address);
}

/* Somebody says that an address of ours is his.  It is said again whose it is, but not for ever (RFC 5227,
 * 2.4 (b)). */
static void
defend(struct neighbours *neighbours, struct neighbour_link *link, const struct arp_packet *packet,
       uint64_t now_ms)
{
    const struct ip_address address = ip_from_v4(packet->sender);

    neighbour_conflict(neighbours, link, IP_V4, &address, packet->sender_mac);
    if (!link->defended_ms || now_ms - link->defended_ms >= DEFEND_INTERVAL_MS) {
        link->defended_ms = now_ms;
        arp_announce(neighbours, link, packet->sender);
    }
}

/* What the sender says of itself: to us it makes a neighbour, else only changes one (RFC 826). */
static void
learn(struct neighbours *neighbours, struct neighbour_link *link, const struct arp_packet *packet,
      bool to_us, uint64_t now_ms)
{
    const struct ip_address sender = ip_from_v4(packet->sender);
    bool answers = packet->op == ARP_REPLY && to_us && packet->target_mac == link->mac;

    if (to_us && !answers) {
        neighbour_heard(neighbours, link, IP_V4, &sender, packet->sender_mac, now_ms);
    } else {
        neighbour_answered(neighbours, link, IP_V4, &sender, packet->sender_mac,
                           answers ? NEIGHBOUR_OVERRIDE | NEIGHBOUR_SOLICITED : NEIGHBOUR_OVERRIDE,
                           now_ms);
    }
}

/* A probe is not answered for others: the host that they are may be the one that asks. */
static bool
is_answered(const struct arp_packet *packet, enum neighbour_role role)
{
    return packet->op == ARP_REQUEST && packet->sender != packet->target
           && (role == NEIGHBOUR_OWN || (role == NEIGHBOUR_PROXY && packet->sender));
}

static void
answer(struct neighbours *neighbours, struct neighbour_link *link, const struct arp_packet *packet)
{
    const struct arp_packet reply = {
        .op = ARP_REPLY, .sender_mac = link->mac, .sender = packet->target,
        .target_mac = packet->sender_mac, .target = packet->sender,
    };

    send(neighbours, link, packet->sender_mac, &reply);
}

void
arp_receive(struct neighbours *neighbours, struct neighbour_link *link, const uint8_t *frame,
            size_t len, uint64_t now_ms)
{
    struct arp_packet packet;

    if (len < ETH_SIZE || get_be16(frame + ETH_TYPE_AT) != ETH_TYPE_ARP
        || !arp_parse(frame + ETH_SIZE, len - ETH_SIZE, &packet) || mac_is_group(packet.sender_mac)
        || !packet.sender_mac || !is_host(packet.sender)) {
        neighbours->counters.ignored++;
        return;
    }
    if (packet.sender_mac == link->mac) {
        return;                         /* It is our own. */
    }
    if (packet.sender && role_of(neighbours, link, packet.sender) == NEIGHBOUR_OWN) {
        defend(neighbours, link, &packet, now_ms);
        return;
    }

    enum neighbour_role role = role_of(neighbours, link, packet.target);

    if (packet.sender) {
        learn(neighbours, link, &packet, role == NEIGHBOUR_OWN, now_ms);
    }
    if (is_answered(&packet, role)) {
        answer(neighbours, link, &packet);
    }
}
