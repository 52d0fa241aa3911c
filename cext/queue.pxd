# Declarations of queue.h for Cython.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from "queue.h" nogil:
    cdef enum:
        QUEUES_MAX

    struct queue_config:
        uint32_t id
        uint8_t priority
        uint64_t min_rate
        uint64_t max_rate
        uint32_t burst
        uint32_t limit
