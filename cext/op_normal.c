/* Normal: forwarding as a learning bridge does (OFPP_NORMAL).
 *
 * The VLAN of a packet is that of its outermost tag, 0 without one; every port is in every VLAN.
 *
 * Reference: IEEE 802.1Q-2018, 8.6 */

#include "bridge.h"
#include "bytes.h"
#include "headers.h"
#include "mac.h"
#include "worker.h"

/* 01-80-c2-00-00-00 to -0f: for the next bridge, not for what is behind it. */
static bool
is_reserved(uint64_t address)
{
    return address >> 4 == 0x0180c200000;
}

/* A port that is not there (a packet-out can name one) is nothing to learn. */
static void
learn(struct worker *worker, struct bridge *bridge, const struct packet *packet, uint16_t vlan)
{
    if (bridge_port(bridge, packet->in_port)) {
        mac_learn(&bridge->macs, vlan, get_be48(packet->data + 6), packet->in_port,
                  worker->now_ms);
    }
}

void
worker_normal(struct worker *worker, struct packet *packet)
{
    struct walk *walk = packet_walk(packet);
    struct bridge *bridge = walk->bridge;

    packet_refresh(packet);
    if (packet->len < ETH_SIZE || is_reserved(get_be48(packet->data))) {
        worker_drop(worker, &packet, 1, DROP_reserved);
        return;
    }

    uint16_t vlan = walk->key.word[W_ETH_SRC] & 0xfff;

    learn(worker, bridge, packet, vlan);
    uint32_t port = mac_lookup(&bridge->macs, vlan, get_be48(packet->data), worker->now_ms);
    worker_output(worker, packet, port ? port : PORT_FLOOD, 0);
}
