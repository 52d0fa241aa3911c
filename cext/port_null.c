/* The null port: receives nothing, counts what it is sent and drops it. */

#include <errno.h>
#include <sys/eventfd.h>

#include "port_private.h"

static int
null_open(struct port *port, const struct port_config *config, char *why, size_t why_size)
{
    (void)config;
    port->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);     /* Never readable. */
    if (port->fd < 0) {
        return port_refuse(why, why_size, errno, "no eventfd: %s", strerror(errno));
    }
    port->capabilities = PORT_TAKES_CSUM | PORT_TAKES_GSO;
    return 0;
}

static unsigned
null_receive(struct port *port, struct pool *small, struct pool *large, struct packet **packets,
             unsigned limit)
{
    (void)port, (void)small, (void)large, (void)packets, (void)limit;
    return 0;
}

static unsigned
null_transmit(struct port *port, struct packet **packets, unsigned n)
{
    counter_bump(&port->counters.tx_packets, n);
    counter_bump(&port->counters.tx_bytes, packets_size(packets, n));
    packet_free(packets, n);
    return n;
}

static int
null_link(struct port *port, struct port_link *link)
{
    virtual_link(port, true, link);
    return 0;
}

static void
null_close(struct port *port)
{
    close(port->fd);
    port->fd = -1;
}

extern const struct port_ops port_null_ops;
const struct port_ops port_null_ops = {
    .kind = "null",
    .open = null_open,
    .receive = null_receive,
    .transmit = null_transmit,
    .link = null_link,
    .close = null_close,
};
