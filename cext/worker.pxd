# Declarations of worker.h for Cython.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from raicho.cext.dataplane cimport dataplane
from raicho.cext.profile cimport profile
from raicho.cext.stats cimport worker_counters

cdef extern from "worker.h" nogil:
    cdef enum:
        WORKER_ADAPTIVE
        WORKER_POLL
        WORKER_INTERRUPT
        SPIN_US

    cdef enum:
        ROUTE_LOCAL

    struct punt:
        uint32_t bridge
        uint32_t len
        uint8_t reason

    cdef enum:
        CACHE_MEASURED
        CACHE_ALWAYS
        CACHE_NEVER

    struct cache:
        uint32_t mode
        uint64_t hits
        uint64_t misses
        uint64_t inserts

    struct worker:
        unsigned id
        dataplane *dataplane
        cache cache
        worker_counters totals
        profile profile
        int punt_fd
        uint32_t mode
        uint32_t spin_us

    worker *worker_open(dataplane *, unsigned id, uint32_t n_packets)
    void worker_close(worker *)
    void worker_run(worker *)
    void worker_stop(worker *)
    unsigned worker_round(worker *)
    void worker_wake(worker *)
    punt *worker_punt_peek(worker *)
    void worker_punt_consume(worker *)
