/* Attaching devices to DPDK, and what is asked of them: see device.h. */

#include <errno.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

#include "device.h"
#include "eal.h"
#include "port_private.h"

enum {
    DESCRIPTORS = 512,          /* Of a queue, in each direction. */
    LANE_SPARE = 1536,          /* Buffers of a lane in caches and in queues of other devices. */
    BUFFER_CACHE = 256,         /* Buffers a thread keeps for itself. */
    TAGS_SIZE = 8,              /* Two VLAN tags, which no MTU counts. */
};

/* --- Detaching ---------------------------------------------------------------------------- */

/* What still lies in it would not find back to its pool.  Few devices hold that
 * much; one that makes its own frames never ends. */
static void
drain(const struct device *device)
{
    enum { BURST = 64, MOST = 4096 / BURST };
    struct rte_mbuf *buffers[BURST];

    for (uint16_t queue = 0; queue < device->n_queues; queue++) {
        for (unsigned i = 0, n = 1; n && i < MOST; i++) {
            n = rte_eth_rx_burst(device->id, queue, buffers, BURST);
            rte_pktmbuf_free_bulk(buffers, n);
        }
    }
}

void
device_detach(struct device *device)
{
    if (device->started) {
        drain(device);
        rte_eth_dev_stop(device->id);
    }
    rte_eth_dev_close(device->id);
    if (device->hardware) {
        rte_dev_remove(device->hardware);
    }
    device->hardware = NULL;
    device->started = false;
}

/* --- Attaching ---------------------------------------------------------------------------- */

/* The number of the device that was attached by 'args'.  Most have the name by which they are
 * attached; a card with several ports has numbers behind it. */
static int
find_id(const char *args, uint16_t *id)
{
    char name[DEVICE_ARGS];
    struct rte_dev_iterator iterator;

    snprintf(name, sizeof name, "%.*s", (int)device_name_size(args), args);
    if (!rte_eth_dev_get_port_by_name(name, id)) {
        return 0;
    }
    if (rte_eth_iterator_init(&iterator, args)) {
        return ENODEV;
    }
    *id = rte_eth_iterator_next(&iterator);
    rte_eth_iterator_cleanup(&iterator);
    return *id == RTE_MAX_ETHPORTS ? ENODEV : 0;
}

static int
probe(struct device *device, char *why, size_t why_size)
{
    if (!find_id(device->args, &device->id)) {
        return port_refuse(why, why_size, EBUSY, "\"%s\" is in use in this process already",
                           device->args);
    }
    eal_listen();
    if (rte_dev_probe(device->args) || find_id(device->args, &device->id)) {
        return port_refuse(why, why_size, ENODEV, "DPDK has no device \"%s\"%s%s", device->args,
                           *eal_complaint() ? ": " : "", eal_complaint());
    }
    return 0;
}

/* --- Setting up --------------------------------------------------------------------------- */

static uint16_t
least(uint16_t a, uint16_t b)
{
    return a < b ? a : b;
}

/* What is asked of a device, as far as it can do it. */
static struct rte_eth_conf
conf_for(const struct rte_eth_dev_info *info, uint16_t n_queues, uint32_t mtu)
{
    struct rte_eth_conf conf = {
        .rxmode.mtu = mtu ? mtu : least(RTE_ETHER_MTU, info->max_mtu),
        .rxmode.offloads = info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER,
        .txmode.offloads = info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS,
    };

    if (n_queues > 1 && info->flow_type_rss_offloads) {
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf = info->flow_type_rss_offloads
            & (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);
    }
    return conf;
}

static int
check_limits(const char *args, const struct rte_eth_dev_info *info,
             const struct port_config *config, char *why, size_t why_size)
{
    uint16_t most = least(info->max_rx_queues, info->max_tx_queues);

    if (config->n_queues > most) {
        return port_refuse(why, why_size, EINVAL, "\"%s\" has at most %u queues, not %u", args,
                           most, config->n_queues);
    }
    if (config->mtu && (config->mtu < info->min_mtu || config->mtu > info->max_mtu)) {
        return port_refuse(why, why_size, EINVAL, "\"%s\" takes an MTU of %u to %u, not %u", args,
                           info->min_mtu, info->max_mtu, config->mtu);
    }
    return 0;
}

int
device_check(const struct device *device, const struct port_config *config, char *why,
             size_t why_size)
{
    struct rte_eth_dev_info info;

    return rte_eth_dev_info_get(device->id, &info)
           ? 0 : check_limits(config->device, &info, config, why, why_size);
}

static int
open_buffers(struct device *device, uint32_t n_descriptors)
{
    uint32_t n = device->n_queues * (LANE_PACKETS + LANE_SPARE + n_descriptors);
    char name[RTE_MEMPOOL_NAMESIZE];

    /* A device that is gone can have buffers when the next one has its number. */
    snprintf(name, sizeof name, "raicho %p", (void *)device);
    device->buffers = rte_pktmbuf_pool_create(name, n, BUFFER_CACHE, BUFFER_PRIVATE,
                                              RTE_MBUF_DEFAULT_BUF_SIZE,
                                              rte_eth_dev_socket_id(device->id));
    return device->buffers ? 0 : rte_errno;
}

static int
set_up_queues(struct device *device, uint16_t n_rx, uint16_t n_tx)
{
    int error = 0;
    int socket = rte_eth_dev_socket_id(device->id);

    for (uint16_t i = 0; i < device->n_queues && !error; i++) {
        error = rte_eth_rx_queue_setup(device->id, i, n_rx, socket, NULL, device->buffers);
        if (!error) {
            error = rte_eth_tx_queue_setup(device->id, i, n_tx, socket, NULL);
        }
    }
    return -error;
}

static int
start(struct device *device, const struct rte_eth_dev_info *info, const struct port_config *config)
{
    struct rte_eth_conf conf = conf_for(info, device->n_queues, config->mtu);
    uint16_t n_rx = config->ring_len ? least(config->ring_len, UINT16_MAX / 2) : DESCRIPTORS;
    uint16_t n_tx = n_rx;
    int error = -rte_eth_dev_configure(device->id, device->n_queues, device->n_queues, &conf);

    if (error || (error = -rte_eth_dev_adjust_nb_rx_tx_desc(device->id, &n_rx, &n_tx))
        || (error = open_buffers(device, n_rx + n_tx))
        || (error = set_up_queues(device, n_rx, n_tx))
        || (error = -rte_eth_dev_start(device->id))) {
        return error;
    }
    device->started = device->admin_up = true;
    rte_eth_promiscuous_enable(device->id);     /* One that cannot hears everything anyway. */
    return 0;
}

/* A frame that needs several buffers can go out only where the device takes them. */
static void
note_max_frame(struct device *device, const struct rte_eth_dev_info *info)
{
    uint16_t mtu = RTE_ETHER_MTU;

    rte_eth_dev_get_mtu(device->id, &mtu);
    device->max_frame = mtu + RTE_ETHER_HDR_LEN + TAGS_SIZE;
    if (!(info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS)
        && device->max_frame > RTE_MBUF_DEFAULT_DATAROOM) {
        device->max_frame = RTE_MBUF_DEFAULT_DATAROOM;
    }
}

static int
set_up(struct device *device, const struct port_config *config, char *why, size_t why_size)
{
    struct rte_eth_dev_info info;
    int error = -rte_eth_dev_info_get(device->id, &info);

    if (!error) {
        device->hardware = info.device;
        error = check_limits(device->args, &info, config, why, why_size);
        if (error) {
            return error;
        }
        eal_listen();
        error = start(device, &info, config);
    }
    if (error) {
        const char *said = *eal_complaint() ? eal_complaint() : strerror(error);
        return port_refuse(why, why_size, error, "\"%s\" does not start: %s", device->args, said);
    }
    note_max_frame(device, &info);
    return 0;
}

int
device_attach(struct device *device, const struct port_config *config, char *why, size_t why_size)
{
    int error = probe(device, why, why_size);

    if (error) {
        return error;
    }
    error = set_up(device, config, why, why_size);
    if (error) {
        device_detach(device);
    }
    return error;
}

/* --- Asking ------------------------------------------------------------------------------- */

int
device_count(struct device *device, struct port_counters *counters)
{
    struct rte_eth_stats stats;

    if (rte_eth_stats_get(device->id, &stats)) {
        return ENODEV;
    }
    uint64_t lost = stats.imissed + stats.rx_nombuf;
    atomic_fetch_add_explicit(&counters->rx_dropped, lost - device->lost, memory_order_relaxed);
    atomic_fetch_add_explicit(&counters->rx_errors, stats.ierrors - device->broken,
                              memory_order_relaxed);
    device->lost = lost;
    device->broken = stats.ierrors;
    return 0;
}

int
device_link(struct device *device, struct port_link *link)
{
    struct rte_eth_link now;
    struct rte_ether_addr mac;
    uint16_t mtu;

    if (rte_eth_dev_is_removed(device->id) || rte_eth_link_get_nowait(device->id, &now)
        || rte_eth_macaddr_get(device->id, &mac) || rte_eth_dev_get_mtu(device->id, &mtu)) {
        return ENODEV;
    }
    *link = (struct port_link){
        .up = now.link_status && device->admin_up,
        .admin_up = device->admin_up,
        .speed = now.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : now.link_speed,
        .mtu = mtu,
    };
    memcpy(link->mac, mac.addr_bytes, sizeof link->mac);
    return 0;
}

/* A virtual device has no link to set: it is enough that the bridge knows. */
int
device_set_admin(struct device *device, bool up)
{
    int error = up ? -rte_eth_dev_set_link_up(device->id) : -rte_eth_dev_set_link_down(device->id);

    if (error && error != ENOTSUP) {
        return error;
    }
    device->admin_up = up;
    return 0;
}
