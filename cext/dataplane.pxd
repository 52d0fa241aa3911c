# Declarations of dataplane.h for Cython.

from libc.stdint cimport uint64_t

from raicho.cext.epoch cimport epoch
from raicho.cext.stats cimport counter_ids, worker_counters

cdef extern from "dataplane.h" nogil:
    cdef enum:
        DATAPLANE_WORKERS
        DATAPLANE_BRIDGES
        N_PIPELINES

    cdef enum pipeline:
        PIPELINE_openflow

    const char pipeline_names[N_PIPELINES][12]

    struct routing:
        pass

    struct dataplane:
        epoch epoch
        counter_ids counters
        routing routing
        worker_counters former

    struct bridge

    bridge *dataplane_bridge(const dataplane *, unsigned index)
    int dataplane_open(dataplane *)
    void dataplane_close(dataplane *)
    void dataplane_tick(dataplane *, uint64_t now_ms)
    bint dataplane_barrier(dataplane *, unsigned timeout_ms)
