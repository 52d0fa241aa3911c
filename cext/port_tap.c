/* The tap port: a network interface of Linux whose other end is this port.
 *
 * How
 * ===
 * What the host sends on the interface is received here, and the other way round, one frame to a
 * system call, behind a virtio-net header.  The kernel leaves checksums and segmentation to do
 * (TUNSETOFFLOAD), so that TCP comes and goes in frames of 64 KiB.
 *
 * An interface that is not there is made, set up, and goes with the port.  One that was there
 * (persistent) stays.  Several queues are several descriptors of the same interface.
 *
 * A frame is received into a small packet; what does not fit there goes on in a large one, which the
 * beginning is then copied to.
 *
 * Reference: Documentation/networking/tuntap.rst of Linux. */

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "netdevice.h"
#include "port_private.h"

struct tap {
    int fd;                     /* As port->fd, which is -1 once the interface is gone. */
    int control;                /* A socket, for netdevice.h. */
    int index;                  /* Of the interface. */
    uint8_t rest[PACKET_LARGE]; /* Where frames end for which there is no large packet. */
};

/* --- Open and close ------------------------------------------------------ */

/* Whether the kernel takes the name as it is. */
static bool
is_name(const char *name)
{
    return name[0] && !strpbrk(name, "%/: ") && strcmp(name, ".") && strcmp(name, "..");
}

/* Joins the descriptor to the interface, which it makes if there is none. */
static int
attach(int fd, const char *name, bool many)
{
    struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};

    if (many) {
        ifr.ifr_flags |= IFF_MULTI_QUEUE;
    }
    memcpy(ifr.ifr_name, name, strlen(name));
    return ioctl(fd, TUNSETIFF, &ifr) ? errno : 0;
}

static int
attach_any(int fd, const struct port_config *config)
{
    bool many = config->n_queues > 1;
    int error = attach(fd, config->device, many);

    /* One that was made for several queues may be used with one. */
    return error == EINVAL && !many ? attach(fd, config->device, true) : error;
}

static int
set_offloads(int fd)
{
    int size = sizeof(struct offload);
    unsigned long offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

    return ioctl(fd, TUNSETVNETHDRSZ, &size) || ioctl(fd, TUNSETOFFLOAD, offloads) ? errno : 0;
}

static const char *
hint(int error)
{
    switch (error) {
    case EPERM:
        return " (needs CAP_NET_ADMIN)";
    case EBUSY:
        return " (another program has it open)";
    case EINVAL:
        return " (it is no tap, or was made for another number of queues)";
    default:
        return "";
    }
}

/* Makes the interface what the configuration says.  'created': it was not there before. */
static int
adjust(struct tap *tap, const struct port_config *config, bool created)
{
    int error = netdevice_find(tap->control, config->device, &tap->index);

    if (!error) {
        error = set_offloads(tap->fd);
    }
    if (!error && config->mtu) {
        error = netdevice_set_mtu(tap->control, tap->index, config->mtu);
    }
    return error || !created ? error : netdevice_set_up(tap->control, tap->index, true);
}

static int
set_up(struct tap *tap, const struct port_config *config, char *why, size_t why_size)
{
    const char *name = config->device;
    int index, error = netdevice_find(tap->control, name, &index);
    bool created = error == ENODEV;

    if (error == ENAMETOOLONG) {
        return port_refuse(why, why_size, error, "\"%s\" is too long for an interface name", name);
    }
    if (!is_name(name)) {
        return port_refuse(why, why_size, EINVAL, "\"%s\" is no name for an interface", name);
    }
    tap->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tap->fd < 0) {
        return port_refuse(why, why_size, errno, "cannot open /dev/net/tun: %s", strerror(errno));
    }
    error = attach_any(tap->fd, config);
    if (error) {
        return port_refuse(why, why_size, error, "cannot use \"%s\" as a tap: %s%s", name,
                           strerror(error), hint(error));
    }
    error = adjust(tap, config, created);
    return error ? port_refuse(why, why_size, error, "cannot set \"%s\" up: %s", name,
                               strerror(error)) : 0;
}

static void
let_go(struct tap *tap)
{
    if (tap->fd >= 0) {
        close(tap->fd);
    }
    if (tap->control >= 0) {
        close(tap->control);
    }
    free(tap);
}

static int
tap_open(struct port *port, const struct port_config *config, char *why, size_t why_size)
{
    struct tap *tap = calloc(1, sizeof *tap);
    int error;

    if (!tap) {
        return port_refuse(why, why_size, ENOMEM, "no memory");
    }
    tap->fd = -1;
    tap->control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    error = tap->control < 0 ? port_refuse(why, why_size, errno, "no socket: %s", strerror(errno))
                             : set_up(tap, config, why, why_size);
    if (error) {
        let_go(tap);
        return error;
    }
    port->state = tap;
    port->fd = tap->fd;
    port->capabilities = PORT_TAKES_CSUM | PORT_TAKES_GSO;
    return 0;
}

static void
tap_close(struct port *port)
{
    let_go(port->state);
    port->state = NULL;
    port->fd = -1;
}

/* --- Receive ------------------------------------------------------------- */

/* Reads a frame into 'p', and what does not fit there into 'rest' behind as many bytes.  Returns the
 * bytes of the frame, 0 if there is none, or -1 if it cannot be used. */
static ssize_t
read_frame(struct port *port, struct packet *p, uint8_t *rest)
{
    struct tap *tap = port->state;
    size_t size = p->pool->size;
    struct iovec parts[3] = {
        {&p->offload, sizeof p->offload}, {p->data, size}, {rest + size, PACKET_LARGE - size},
    };
    ssize_t n = readv(tap->fd, parts, 3);

    if (n < 0) {
        if (errno == EBADFD) {
            port->fd = -1;      /* The interface is gone: it would wake the worker without end. */
        }
        return 0;
    }
    n -= (ssize_t)sizeof p->offload;
    return n > 0 && n <= PACKET_LARGE ? n : -1;
}

/* Makes a frame of 'len' bytes a packet: in '*p', or begun there and gone on in '*spare', which then
 * is used up.  Returns null if there is no room; '*p' then is still there. */
static struct packet *
gather(struct packet **p, struct packet **spare, size_t len)
{
    struct packet *whole = *p;

    if (len > (*p)->pool->size) {
        whole = *spare;
        if (!whole) {
            return NULL;
        }
        memcpy(whole->data, (*p)->data, (*p)->pool->size);
        whole->offload = (*p)->offload;
        *spare = NULL;
    } else {
        *p = NULL;
    }
    packet_set_len(whole, (uint32_t)len);
    return whole;
}

static unsigned
receive_all(struct port *port, struct pool *small, struct pool *large, struct packet **packets,
            unsigned limit)
{
    struct tap *tap = port->state;
    struct packet *p = NULL, *spare = NULL;
    unsigned n = 0;
    ssize_t len = 1;

    while (n < limit && len && (p || pool_get(small, &p, 1))) {
        if (!spare && !pool_get(large, &spare, 1)) {
            spare = NULL;
        }
        len = read_frame(port, p, spare ? spare->data : tap->rest);
        if (len < 0) {
            counter_bump(&port->counters.rx_errors, 1);
        } else if (len && !(packets[n] = gather(&p, &spare, (size_t)len))) {
            counter_bump(&port->counters.rx_dropped, 1);
        } else {
            n += len > 0;
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        struct packet *left = i ? p : spare;
        packet_free(&left, left != NULL);
    }
    return n;
}

static unsigned
tap_receive(struct port *port, struct pool *small, struct pool *large, struct packet **packets,
            unsigned limit)
{
    unsigned n = receive_all(port, small, large, packets, limit);

    if (n) {
        counter_bump(&port->counters.rx_packets, n);
        counter_bump(&port->counters.rx_bytes, packets_size(packets, n));
    }
    return n;
}

/* --- Transmit ------------------------------------------------------------ */

static bool
send_frame(struct port *port, struct packet *p)
{
    struct tap *tap = port->state;
    struct iovec parts[2] = {{&p->offload, sizeof p->offload}, {p->data, p->len}};

    tidy_offload(p);
    if (writev(tap->fd, parts, 2) >= 0) {
        return true;
    }
    counter_bump(&port->counters.tx_errors, errno == EINVAL);
    return false;
}

static unsigned
tap_transmit(struct port *port, struct packet **packets, unsigned n)
{
    unsigned n_sent = 0;
    uint64_t bytes = 0;

    for (unsigned i = 0; i < n; i++) {
        if (send_frame(port, packets[i])) {
            n_sent++;
            bytes += packets[i]->len;
        }
    }
    counter_bump(&port->counters.tx_packets, n_sent);
    counter_bump(&port->counters.tx_bytes, bytes);
    counter_bump(&port->counters.tx_dropped, n - n_sent);
    packet_free(packets, n);
    return n_sent;
}

/* --- Link ---------------------------------------------------------------- */

static int
tap_link(struct port *port, struct port_link *link)
{
    const struct tap *tap = port->state;

    return netdevice_link(tap->control, tap->index, link);
}

static int
tap_set_admin(struct port *port, bool up)
{
    const struct tap *tap = port->state;

    return netdevice_set_up(tap->control, tap->index, up);
}

extern const struct port_ops port_tap_ops;
const struct port_ops port_tap_ops = {
    .kind = "tap",
    .open = tap_open,
    .receive = tap_receive,
    .transmit = tap_transmit,
    .link = tap_link,
    .set_admin = tap_set_admin,
    .close = tap_close,
};
