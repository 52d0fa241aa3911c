# Declarations of router.h, router_wire.h and interface.h for Cython.

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from raicho.cext.buffer cimport buffer
from raicho.cext.dataplane cimport bridge, dataplane, routing
from raicho.cext.tib cimport tib
from raicho.cext.worker cimport punt

cdef extern from "interface.h" nogil:
    cdef enum:
        INTERFACE_NAME
        REVERSE_PATH_OFF
        REVERSE_PATH_LOOSE
        REVERSE_PATH_STRICT
        NAT_SIDE_NONE
        NAT_SIDE_INSIDE
        NAT_SIDE_OUTSIDE

    struct interface:
        uint64_t mac
        uint32_t received, sent
        uint16_t vlan
        uint16_t mtu
        bint up
        char name[INTERFACE_NAME]

cdef extern from "routing.h" nogil:
    const interface *interface_at(const routing *, uint32_t index)

cdef extern from "ip.h" nogil:
    cdef enum:
        IP_V4
        IP_V6
        IP_LABEL
        IP_LABEL_LEN

    struct ip_address:
        uint64_t word[2]

    struct ip_prefix:
        ip_address address
        uint8_t family
        uint8_t len

    ip_address ip_read(uint8_t family, const uint8_t *)
    void ip_write(uint8_t family, const ip_address *, uint8_t *)

cdef extern from "lib.h" nogil:
    struct lib:
        uint32_t n

cdef extern from "rib.h" nogil:
    cdef enum:
        RIB_SOURCES

    struct rib_source:
        uint32_t n

    struct rib:
        uint32_t n_prefixes
        uint32_t n_routes
        rib_source *sources

cdef extern from "nd.h" nogil:
    struct nd_prefix:
        ip_prefix prefix
        uint32_t valid_s, preferred_s
        bint on_link, autonomous

    struct nd_router:
        uint32_t max_interval_ms
        uint32_t min_interval_ms
        uint16_t lifetime_s
        uint8_t hop_limit
        bint managed, other
        uint32_t mtu
        unsigned n_prefixes
        nd_prefix prefixes[16]

cdef extern from "router.h" nogil:
    cdef enum:
        ROUTE_STATIC
        ROUTER_NAME_MAX

    struct interface_config:
        const char *name
        bridge *bridge
        uint32_t port
        uint16_t vlan
        uint16_t mtu
        uint64_t mac
        uint8_t reverse_path
        uint8_t nat_side
        uint8_t nat
        uint16_t number
        bint up
        bint proxy_arp
        bint redirects
        bint detects

    cdef enum:
        ROUTER_MEMBERS_MAX
        NEXT_HOP_LABELS
        NEXT_HOP_GATEWAY
        NEXT_HOP_LINK
        NEXT_HOP_BLACKHOLE
        NEXT_HOP_UNREACHABLE
        NEXT_HOP_PROHIBIT
        NEXT_HOP_RECURSIVE
        NEXT_HOP_LOCAL

    struct next_hop:
        uint8_t kind
        uint8_t family
        uint16_t weight
        uint32_t interface
        ip_address gateway
        uint8_t n_labels
        uint32_t labels[4]

    struct escalation

    struct router:
        dataplane *dataplane
        rib rib
        tib tib
        lib lib
        uint32_t n_groups
        uint64_t n_refused, members_refused
        escalation *escalations

    void router_set_pipe(router *, bint pipe)
    router *router_open(dataplane *, const char *name)
    void router_close(router *)
    int router_add_interface(router *, const interface_config *, uint32_t *index)
    int router_set_interface(router *, uint32_t index, const interface_config *)
    void router_remove_interface(router *, uint32_t index)
    int router_add_address(router *, uint32_t index, const ip_prefix *)
    int router_remove_address(router *, uint32_t index, const ip_prefix *)
    const ip_prefix *router_duplicate(const router *, uint32_t index, unsigned *i)
    int router_set_advertised(router *, uint32_t index, const nd_router *)
    int router_put_group(router *, uint8_t source, uint32_t id, const next_hop *, uint32_t n)
    int router_remove_group(router *, uint8_t source, uint32_t id)
    int router_put_route(router *, uint8_t source, const ip_prefix *, uint8_t distance,
                         uint32_t metric, uint32_t group)
    int router_remove_route(router *, uint8_t source, const ip_prefix *)
    int router_set_listening(router *, uint32_t index, bint listens, uint64_t now_ms)
    void router_begin(router *, uint8_t source)
    uint32_t router_sweep(router *, uint8_t source)
    void router_punt(dataplane *, const punt *, uint64_t now_ms)

    struct router_message:
        uint8_t family
        uint8_t protocol
        uint8_t ttl
        uint8_t traffic_class
        bint dont_fragment
        bint has_source
        uint16_t checksum_at
        uint32_t interface
        ip_address source
        ip_address destination

    int router_send_message(router *, const router_message *, const uint8_t *, size_t,
                            uint64_t now_ms)
    void router_send(dataplane *, uint32_t interface, const uint8_t *, size_t)
    void router_set_host(router *, uint32_t index, int descriptor)
    void router_read_host(router *, uint32_t index)

cdef extern from "router_wire.h" nogil:
    cdef enum:
        ROUTE_RECORD
        NEIGHBOUR_RECORD

    size_t router_route_mod(router *, const uint8_t *, size_t, uint8_t *results)
    size_t router_next_hop_mod(router *, const uint8_t *, size_t, uint8_t *results, size_t max)
    size_t router_neighbour_mod(router *, const uint8_t *, size_t, uint8_t *results,
                                uint64_t now_ms)
    void router_list_routes(router *, uint8_t source, uint32_t *cursor, uint32_t limit, buffer *)
    void router_list_groups(router *, uint8_t source, uint32_t *place, uint32_t limit, buffer *)
    void router_list_neighbours(router *, uint64_t now_ms, uint32_t *cursor, uint32_t limit,
                                buffer *)
