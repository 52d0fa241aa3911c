# Declarations of stats.h for Cython.

from libc.stdint cimport uint32_t, uint64_t

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

    struct counter_ids:
        pass

    struct counter_sum:
        uint64_t packets
        uint64_t bytes

    counter_sum counter_read(const counter_ids *, uint32_t)
