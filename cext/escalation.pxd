# Declarations of escalation.h for Cython.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from raicho.cext.router cimport router

cdef extern from "bridge.h" nogil:
    cdef enum:
        ROUTE_LOCAL
        ROUTE_RESOLVE
        ROUTE_TTL
        ROUTE_TOO_BIG
        ROUTE_NO_ROUTE
        ROUTE_UNREACHABLE
        ROUTE_PROHIBIT
        ROUTE_SEEN

cdef extern from "bucket.h" nogil:
    struct bucket_rate:
        uint32_t per_second

cdef extern from "escalation.h" nogil:
    struct escalation_match:
        uint32_t reasons
        uint16_t eth_type
        uint16_t port
        uint8_t protocol

    struct escalation:
        escalation *next
        uint32_t id
        escalation_match match
        bucket_rate rate
        uint64_t sent
        uint64_t dropped

    struct escalated:
        uint64_t dropped
        uint32_t id
        uint32_t interface
        uint32_t len
        uint8_t reason
        uint8_t frame[0]

    int escalation_add(router *, const escalation_match *, uint32_t per_second, uint32_t *id)
    int escalation_remove(router *, uint32_t id)
