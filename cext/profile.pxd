# Declarations of profile.h for Cython.

from libc.stdint cimport uint64_t

cdef extern from "profile.h" nogil:
    cdef enum:
        N_STAGES
        PROFILE_SIZES

    struct stage_info:
        char name[16]
        char text[64]

    const stage_info *stage_table

    struct profile:
        bint off
        uint64_t packets
        uint64_t cycles[N_STAGES]
        uint64_t batches[PROFILE_SIZES]
        uint64_t handovers
        uint64_t sleeps
        uint64_t asleep_ns
        uint64_t rounds
        uint64_t idle_rounds
