# Declarations of bridge.h for Cython.

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from raicho.cext.buffer cimport buffer
from raicho.cext.dataplane cimport dataplane, pipeline
from raicho.cext.mac cimport mac_table
from raicho.cext.snoop cimport snoop
from raicho.cext.port cimport port
from raicho.cext.queue cimport queue_config
from raicho.cext.table cimport table
from raicho.cext.vlan cimport bridging
from raicho.cext.worker cimport punt

cdef extern from "bridge.h" nogil:
    cdef enum:
        BRIDGE_TABLES
        PORT_DOWN
        LINK_DOWN
        LINK_LIVE
        PUNT_SNOOPED

    struct flow_table:
        table table
        uint32_t lookups
        uint32_t matches

    struct lane:
        port *port
        uint8_t worker

    struct lane_config:
        port *port
        unsigned worker

    struct attachment:
        uint32_t number
        uint32_t config
        uint32_t state
        uint32_t speed
        uint8_t mac[6]
        uint32_t n_lanes
        lane *lanes

    struct bridge:
        dataplane *dataplane
        uint64_t datapath_id
        uint32_t index
        uint32_t frag_mode
        uint16_t miss_send_len
        uint32_t max_flows
        uint32_t n_flows
        uint64_t flows_refused
        flow_table tables[BRIDGE_TABLES]
        mac_table macs
        uint32_t macs_learned
        uint32_t macs_moved
        uint32_t macs_refused
        bint standalone
        buffer events
        uint32_t events_lost

    bridge *bridge_open(dataplane *, const char *name, uint64_t datapath_id, uint64_t now_ms)
    void bridge_close(bridge *)
    struct joining:
        pipeline pipeline
        uint32_t template_id
        const bridging *bridging
        uint32_t config

    int bridge_attach_lanes(bridge *, const lane_config *, uint32_t n, uint32_t number,
                            const joining *, uint64_t now_ms, attachment **)
    struct multicast:
        bint snoops
        bint querier
        bint floods_unknown
        uint32_t max_groups

    int bridge_set_multicast(bridge *, const multicast *)
    const snoop *bridge_snooped(const bridge *)
    void bridge_hear(dataplane *, const punt *, uint64_t now_ms)
    void bridge_set_pipeline(attachment *, pipeline)
    void bridge_set_template(attachment *, uint32_t id)
    bint bridge_is_closed(const attachment *)
    int bridge_set_bridging(attachment *, const bridging *)
    int bridge_move_lane(lane *, unsigned worker)
    void bridge_detach(bridge *, attachment *)
    int bridge_set_queues(attachment *, const queue_config *, uint32_t n, uint64_t rate,
                          uint64_t now_ms)
    uint32_t bridge_queue_config(bridge *, uint32_t number, buffer *)
    attachment *bridge_port(const bridge *, uint32_t number)
    uint32_t bridge_apply_bundle(bridge *, const uint8_t *, size_t, bint atomic, uint32_t *failed,
                                 uint64_t now_ms)
    size_t bridge_apply_all(bridge *, const uint8_t *, size_t, uint32_t *results, size_t max,
                            uint64_t now_ms)
    uint32_t bridge_multipart(bridge *, uint16_t type, const uint8_t *body, size_t size,
                              buffer *out, buffer *ends, uint64_t now_ms)
    void bridge_packet_in(const punt *, buffer *)
    void bridge_port_status(bridge *, const attachment *, uint8_t reason)
