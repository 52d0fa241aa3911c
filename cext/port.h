#ifndef RAICHO_PORT_H
#define RAICHO_PORT_H

/* Ports: where packets come in and go out.
 *
 * What
 * ====
 * A kind of port is one file, port_<kind>.c, that fills in a struct port_ops.
 * To add a kind, write the file and add its row to PORT_KINDS.  A kind that needs
 * what not every host has is in none of them: it comes from an extension module
 * of its own (cext/dpdk/, dataplane/dpdk.pyx), which gives its struct port_ops.
 *
 * Threads
 * =======
 * The control thread opens and closes; receive() and transmit() are called
 * only by the worker that owns the port, so they need no lock.  Counters are
 * written by that worker and read by the control thread (relaxed atomics).
 * link(), bind() and unbind() are called by the control thread; it binds a port before a worker
 * owns it, and unbinds it when none does any more. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"
#include "pool.h"

/* X(name): there is a 'const struct port_ops port_<name>_ops'. */
#define PORT_KINDS(X) X(af_packet) X(af_xdp) X(tap) X(patch) X(memory) X(pcap) X(null)

/* Counters of a port, as OpenFlow's ofp_port_stats. */
struct port_counters {
    _Atomic uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
    _Atomic uint64_t rx_dropped;        /* Lost before us: ring or socket full, no buffer. */
    _Atomic uint64_t tx_dropped;        /* We had to drop: queue full, too long, link down. */
    _Atomic uint64_t rx_errors, tx_errors;
};

/* Adds to a counter that has one writer. */
static inline void
counter_bump(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter,
        atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

enum {
    PORT_NAME_MAX = 64,
    PORT_WHY_MAX = 256,         /* Room for the sentence that something failed with. */
    PORT_HOW_MAX = 32,
    PORT_TAKES_CSUM = 1,        /* Port capabilities: takes packets whose checksum is */
    PORT_TAKES_GSO = 2,         /* left to do, or that are to be segmented. */
};

/* How af_xdp gets at its frames. */
enum port_xdp_mode {
    PORT_XDP_AUTO,              /* The first of the others that works. */
    PORT_XDP_ZERO_COPY,         /* The device itself writes to and reads from packets. */
    PORT_XDP_NATIVE,            /* The driver copies. */
    PORT_XDP_GENERIC,           /* The kernel copies, above any driver. */
};

/* What a port is opened with. */
struct port_config {
    char device[256];           /* Interface name; file names for pcap ("in:FILE,out:FILE"). */
    uint32_t mtu;               /* Bytes of payload behind the Ethernet header; 0: leave. */
    uint32_t ring_len;          /* Packets in flight, power of two; 0: the kind's default. */
    uint32_t queue, n_queues;   /* Which of how many queues of the device, each opened as a port of
                                 * its own; n_queues 0 or 1: the whole device. */
    struct port *sibling;       /* An open port of the same kind on another queue of the device, or
                                 * null: kinds that have one thing for all queues share it. */
    enum port_xdp_mode xdp_mode;
};

/* Link state as the control thread sees it. */
struct port_link {
    bool up;                    /* Carrier, and the interface is administratively up. */
    bool admin_up;
    uint32_t speed;             /* Mbit/s; 0 unknown. */
    uint8_t mac[6];
    uint32_t mtu;
};

struct port {
    const struct port_ops *ops;
    void *state;                /* The kind's own. */
    uint32_t capabilities;      /* PORT_TAKES_*. */
    int fd;                     /* For poll(2) before a worker sleeps; -1: must be polled. */
    char name[PORT_NAME_MAX];
    struct port_counters counters;
    char how[PORT_HOW_MAX];     /* How it works, for people; empty if there is but one way. */
    char why[PORT_WHY_MAX];     /* The sentence that bind() failed with. */
    uint8_t apart[64];          /* Ports in a row, which several workers use, share no cache line. */
};

struct port_ops {
    char kind[16];

    /* Opens 'port' (name set, rest zero) on config->device.  Returns 0 or a positive
     * errno value and a sentence in 'why' that names what was wrong; on
     * failure there is nothing to close. */
    int (*open)(struct port *port, const struct port_config *config, char *why, size_t why_size);

    /* Moves up to 'limit' (<= PACKET_VECTOR) packets into 'packets', which the
     * caller then owns.  Takes small packets from 'small', and for frames that
     * do not fit, large ones from 'large'.  Fills data, len, offload; not in_port.  Counts
     * rx_*.  Never waits.  Returns how many. */
    unsigned (*receive)(struct port *port, struct pool *small, struct pool *large,
                        struct packet **packets, unsigned limit);

    /* Sends 'n' packets and owns all of them from then on: those it cannot
     * send are counted in tx_dropped and freed.  Counts tx_*.  Packets that ask for
     * more than 'capabilities' never get here.  Never waits.  Returns how many went out. */
    unsigned (*transmit)(struct port *port, struct packet **packets, unsigned n);

    /* Reports the link.  Returns 0 or a positive errno value (ENODEV: the device is gone). */
    int (*link)(struct port *port, struct port_link *link);

    /* Sets the link administratively up or down (OFPPC_PORT_DOWN).  May be null. */
    int (*set_admin)(struct port *port, bool up);

    /* Lets go of the device. */
    void (*close)(struct port *port);

    /* Makes an open port ready to receive into packets of 'small', those of the worker that is
     * about to own it, and unbinds it again, with no packet of the pool left in it.  While
     * unbind() runs the worker must not touch the pool.  Both or none may be null.  Returns 0 or a
     * positive errno value and a sentence; on failure nothing has changed. */
    int (*bind)(struct port *port, struct pool *small, char *why, size_t why_size);
    void (*unbind)(struct port *port);
};

/* Finds a kind by name; null if there is none. */
const struct port_ops *port_kind(const char *name);

/* --- Patch ports (port_patch.c). --- */

/* Joins two patch ports that are joined to none.  'fresh' must not be in use yet.  Control thread.
 * Returns 0 or EBUSY. */
int port_patch_join(struct port *port, struct port *fresh);

/* --- The memory port's other side, for tests and benchmarks (port_memory.c). --- */

/* Puts a frame on the wire towards the port.  Returns 0, ENOBUFS (the ring is
 * full) or EMSGSIZE.  'offload' may be null.  One thread at a time. */
int port_memory_put(struct port *port, const uint8_t *frame, size_t len,
                    const struct offload *offload);

/* Takes a frame that the port has sent.  Returns its length, 0 if there is none; copies
 * at most 'size' bytes. One thread at a time. */
size_t port_memory_take(struct port *port, uint8_t *frame, size_t size, struct offload *offload);

/* Loop mode for benchmarks: receive() delivers the 'n' given frames over and
 * over again without end, and transmit() drops what it gets after counting.  The frames
 * are copied.  n = 0 ends it. Returns 0 or ENOMEM. */
int port_memory_loop(struct port *port, const uint8_t *const frames[], const size_t lens[], size_t n);

#endif
