/* Ports of kind dpdk: see dpdk.h. */

#include "dpdk.h"

#include <errno.h>
#include <rte_config.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include "device.h"
#include "eal.h"
#include "lane.h"
#include "port_private.h"

static int
dpdk_open(struct port *port, const struct port_config *config, char *why, size_t why_size)
{
    struct lane *lane;
    int error = eal_start(why, why_size);

    if (error || (error = device_open_lane(config, &lane, why, why_size))) {
        return error;
    }
    port->state = lane;
    port->fd = -1;
    return 0;
}

static void
dpdk_close(struct port *port)
{
    device_close_lane(port->state);
    port->state = NULL;
}

static int
dpdk_link(struct port *port, struct port_link *link)
{
    struct lane *lane = port->state;
    int error = device_count(lane->device, &port->counters);

    return error ? error : device_link(lane->device, link);
}

static int
dpdk_set_admin(struct port *port, bool up)
{
    struct lane *lane = port->state;

    return device_set_admin(lane->device, up);
}

/* --- Receiving ---------------------------------------------------------------------------- */

static struct packet *
wrap(struct lane *lane, struct rte_mbuf *buffer)
{
    struct packet *packet = packet_in(buffer);

    packet_lent(packet, &lane->pool, rte_pktmbuf_mtod(buffer, uint8_t *), buffer->pkt_len,
                rte_pktmbuf_headroom(buffer), rte_pktmbuf_tailroom(buffer));
    return packet;
}

/* A copy in one piece of a frame in several, or null; lets go of the frame. */
static struct packet *
join(struct rte_mbuf *buffer, struct pool *small, struct pool *large)
{
    struct packet *packet = packet_for(small, large, buffer->pkt_len);

    if (packet) {
        uint8_t *at = packet->data;
        for (const struct rte_mbuf *part = buffer; part; part = part->next) {
            memcpy(at, rte_pktmbuf_mtod(part, const uint8_t *), part->data_len);
            at += part->data_len;
        }
    }
    rte_pktmbuf_free(buffer);
    return packet;
}

static unsigned
dpdk_receive(struct port *port, struct pool *small, struct pool *large, struct packet **packets,
             unsigned limit)
{
    struct lane *lane = port->state;
    struct rte_mbuf *buffers[PACKET_VECTOR];
    unsigned n = 0, n_lent = 0, n_lost = 0;
    uint64_t size = 0;

    if (unlikely(rte_lcore_id() == LCORE_ID_ANY)) {
        eal_join();
    }
    lane_settle(lane);
    limit = limit < lane->pool.n_free ? limit : lane->pool.n_free;
    unsigned got = rte_eth_rx_burst(lane->device_id, lane->queue, buffers, limit);
    for (unsigned i = 0; i < got; i++) {
        bool whole = likely(buffers[i]->nb_segs == 1);
        struct packet *packet = whole ? wrap(lane, buffers[i]) : join(buffers[i], small, large);
        n_lent += whole;
        if (!packet) {
            n_lost++;
            continue;
        }
        size += packet->len;
        packets[n++] = packet;
    }
    if (got) {
        lane_lend(lane, n_lent);
        counter_bump(&port->counters.rx_packets, n);
        counter_bump(&port->counters.rx_bytes, size);
    }
    if (unlikely(n_lost)) {
        atomic_fetch_add_explicit(&port->counters.rx_dropped, n_lost, memory_order_relaxed);
    }
    return n;
}

/* --- Sending ------------------------------------------------------------------------------ */

/* The buffer that a packet lies in, which is a packet no more. */
static struct rte_mbuf *
unwrap(struct packet *packet)
{
    struct rte_mbuf *buffer = buffer_of(packet);

    buffer->data_off = (uint16_t)(packet->data - (uint8_t *)buffer->buf_addr);
    buffer->data_len = (uint16_t)packet->len;
    buffer->pkt_len = packet->len;
    buffer->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
    lane_forget(lane_of(packet));
    return buffer;
}

/* A frame in as many buffers as it needs, or null. */
static struct rte_mbuf *
copy(struct rte_mempool *pool, const uint8_t *data, uint32_t len)
{
    struct rte_mbuf *whole = rte_pktmbuf_alloc(pool), *part = whole;

    while (part) {
        uint16_t room = rte_pktmbuf_tailroom(part);
        uint16_t n = len < room ? (uint16_t)len : room;
        memcpy(rte_pktmbuf_append(part, n), data, n);
        if (part != whole) {
            rte_pktmbuf_chain(whole, part);
        }
        data += n;
        len -= n;
        if (!len) {
            return whole;
        }
        part = rte_pktmbuf_alloc(pool);
    }
    rte_pktmbuf_free(whole);
    return NULL;
}

/* Packets as buffers; returns how many, and frees those that do not become one. */
static unsigned
unwrap_all(struct lane *lane, struct packet **packets, unsigned n, struct rte_mbuf **buffers,
           uint64_t *size)
{
    struct rte_mempool *pool = lane->device->buffers;
    unsigned n_buffers = 0, n_others = 0;

    for (unsigned i = 0; i < n; i++) {
        struct packet *packet = packets[i];
        struct rte_mbuf *buffer = NULL;
        uint32_t len = packet->len;
        bool fits = likely(len <= lane->max_frame);
        if (fits && packet->pool->lender == &port_dpdk_ops) {
            buffer = unwrap(packet);
        } else {
            buffer = fits ? copy(pool, packet->data, len) : NULL;
            packets[n_others++] = packet;
        }
        if (buffer) {
            buffers[n_buffers++] = buffer;
            *size += len;
        }
    }
    packet_free(packets, n_others);
    return n_buffers;
}

static unsigned
dpdk_transmit(struct port *port, struct packet **packets, unsigned n)
{
    struct lane *lane = port->state;
    struct rte_mbuf *buffers[PACKET_VECTOR];
    uint64_t size = 0;

    if (unlikely(rte_lcore_id() == LCORE_ID_ANY)) {
        eal_join();
    }
    unsigned n_buffers = unwrap_all(lane, packets, n, buffers, &size);
    unsigned sent = rte_eth_tx_burst(lane->device_id, lane->queue, buffers, n_buffers);
    for (unsigned i = sent; i < n_buffers; i++) {
        size -= rte_pktmbuf_pkt_len(buffers[i]);
    }
    if (unlikely(sent < n_buffers)) {
        rte_pktmbuf_free_bulk(buffers + sent, n_buffers - sent);
    }
    counter_bump(&port->counters.tx_packets, sent);
    counter_bump(&port->counters.tx_bytes, size);
    counter_bump(&port->counters.tx_dropped, n - sent);
    return sent;
}

const struct port_ops port_dpdk_ops = {
    .kind = "dpdk",
    .open = dpdk_open,
    .receive = dpdk_receive,
    .transmit = dpdk_transmit,
    .link = dpdk_link,
    .set_admin = dpdk_set_admin,
    .close = dpdk_close,
};
