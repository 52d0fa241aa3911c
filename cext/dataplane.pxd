# Declarations of dataplane.h for Cython.

from libc.stdint cimport uint32_t, uint64_t

from raicho.cext.buffer cimport buffer
from raicho.cext.epoch cimport epoch
from raicho.cext.stats cimport counter_ids, worker_counters

cdef extern from "dataplane.h" nogil:
    cdef enum:
        DATAPLANE_WORKERS
        DATAPLANE_BRIDGES
        DATAPLANE_NATS
        N_PIPELINES

    cdef enum pipeline:
        PIPELINE_openflow
        PIPELINE_template

    const char pipeline_names[N_PIPELINES][12]

    struct neighbour_counters:
        uint64_t solicits, suppressed, dropped, refused, evicted, failed, ignored, conflicts

    struct neighbours:
        neighbour_counters counters
        uint32_t n, n_waiting

    struct routing:
        buffer escalated
        neighbours neighbours

    struct dataplane:
        epoch epoch
        counter_ids counters
        routing routing
        worker_counters former

    struct bridge
    struct nat

    bridge *dataplane_bridge(const dataplane *, unsigned index)
    nat *dataplane_nat(const dataplane *, unsigned number)
    void dataplane_set_nat(dataplane *, unsigned number, nat *)
    int dataplane_open(dataplane *)
    void dataplane_close(dataplane *)
    void dataplane_tick(dataplane *, uint64_t now_ms)
    bint dataplane_barrier(dataplane *, unsigned timeout_ms)
