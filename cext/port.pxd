# Declarations of port.h for Cython.

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "packet.h" nogil:
    cdef enum:
        PACKET_LARGE

    struct offload:
        uint8_t flags
        uint8_t gso_type
        uint16_t hdr_len
        uint16_t gso_size
        uint16_t csum_start
        uint16_t csum_offset

cdef extern from "port.h" nogil:
    struct port_counters:
        uint64_t rx_packets
        uint64_t rx_bytes
        uint64_t tx_packets
        uint64_t tx_bytes
        uint64_t rx_dropped
        uint64_t tx_dropped
        uint64_t rx_errors
        uint64_t tx_errors

    enum port_xdp_mode:
        PORT_XDP_AUTO
        PORT_XDP_ZERO_COPY
        PORT_XDP_NATIVE
        PORT_XDP_GENERIC

    struct port_config:
        char device[256]
        uint32_t mtu
        uint32_t ring_len
        uint32_t queue
        uint32_t n_queues
        port *sibling
        port_xdp_mode xdp_mode

    struct port_link:
        bint up
        bint admin_up
        uint32_t speed
        uint8_t mac[6]
        uint32_t mtu

    cdef enum:
        PORT_NAME_MAX

    struct port:
        const port_ops *ops
        uint32_t capabilities
        char name[64]
        port_counters counters
        char how[32]
        char why[256]

    struct port_ops:
        char kind[16]
        int (*open)(port *, const port_config *, char *, size_t)
        int (*link)(port *, port_link *)
        int (*set_admin)(port *, bint)
        void (*close)(port *)

    const port_ops *port_kind(const char *name)
    int port_patch_join(port *, port *)
    int port_memory_put(port *, const uint8_t *, size_t, const offload *)
    size_t port_memory_take(port *, uint8_t *, size_t, offload *)
    int port_memory_loop(port *, const uint8_t *const *, const size_t *, size_t)
