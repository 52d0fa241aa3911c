# Declarations of dataplane.h, bridge.h, worker.h, table.h, stats.h and buffer.h for Cython.

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from raicho.cext.port cimport port

cdef extern from "buffer.h" nogil:
    struct buffer:
        uint8_t *data
        size_t len, size
        bint failed

    void buffer_close(buffer *)

cdef extern from "stats.h" nogil:
    cdef enum:
        N_DROP_REASONS

    struct drop_info:
        char name[16]
        char text[64]

    const drop_info *drop_table

    struct worker_counters:
        uint64_t received
        uint64_t injected
        uint64_t copied
        uint64_t sent
        uint64_t punted
        uint64_t consumed
        uint64_t drops[N_DROP_REASONS]

cdef extern from "table.h" nogil:
    struct table:
        uint32_t n_flows

    struct table_stats:
        char implementation[16]
        uint32_t n_flows
        uint32_t n_masks
        size_t memory

    void get_table_stats "table_stats"(const table *, table_stats *)

cdef extern from "dataplane.h" nogil:
    cdef enum:
        TICK_MS
        DATAPLANE_WORKERS
        DATAPLANE_BRIDGES

    struct dataplane:
        pass

    int dataplane_open(dataplane *)
    void dataplane_close(dataplane *)
    void dataplane_tick(dataplane *, uint64_t now_ms)
    bint dataplane_barrier(dataplane *, unsigned timeout_ms)

cdef extern from "bridge.h" nogil:
    cdef enum:
        BRIDGE_TABLES
        PORT_DOWN
        LINK_DOWN
        LINK_LIVE

    struct flow_table:
        table table

    struct attachment:
        uint32_t number
        uint32_t config
        uint32_t state
        uint32_t speed
        uint8_t mac[6]
        uint8_t worker

    struct bridge:
        uint64_t datapath_id
        uint32_t index
        uint32_t frag_mode
        uint16_t miss_send_len
        uint32_t max_flows
        uint32_t n_flows
        flow_table tables[255]
        buffer events
        uint32_t events_lost

    bridge *bridge_open(dataplane *, const char *name, uint64_t datapath_id, uint64_t now_ms)
    void bridge_close(bridge *)
    int bridge_attach(bridge *, port *, uint32_t number, unsigned worker, uint64_t now_ms,
                      attachment **)
    void bridge_detach(bridge *, attachment *)
    attachment *bridge_port(const bridge *, uint32_t number)
    size_t bridge_apply_all(bridge *, const uint8_t *, size_t, uint32_t *results, size_t max,
                            uint64_t now_ms)
    uint32_t bridge_multipart(bridge *, uint16_t type, const uint8_t *body, size_t size,
                              buffer *out, buffer *ends, uint64_t now_ms)
    void bridge_packet_in(const punt *, buffer *)
    void bridge_port_status(bridge *, const attachment *, uint8_t reason)

cdef extern from "worker.h" nogil:
    cdef enum:
        WORKER_ADAPTIVE
        WORKER_POLL

    struct punt:
        uint32_t bridge
        uint32_t len
        uint8_t reason

    struct worker:
        unsigned id
        worker_counters totals
        int punt_fd
        uint32_t mode

    worker *worker_open(dataplane *, unsigned id, uint32_t n_packets)
    void worker_close(worker *)
    void worker_run(worker *)
    void worker_stop(worker *)
    unsigned worker_round(worker *)
    void worker_wake(worker *)
    punt *worker_punt_peek(worker *)
    void worker_punt_consume(worker *)
