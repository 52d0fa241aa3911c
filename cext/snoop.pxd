# Declarations of snoop.h for Cython.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "snoop.h" nogil:
    struct ip_address:
        uint64_t word[2]

    struct snoop_group:
        ip_address address
        uint16_t vlan
        uint8_t family

    struct snoop_port:
        uint32_t port
        uint64_t until_ms

    struct snoop_entry:
        snoop_group group
        uint32_t n
        snoop_port *ports

    struct snoop:
        uint32_t n
        uint64_t refused
        uint64_t malformed

    void snoop_each(const snoop *, void (*visit)(const snoop_entry *, void *) noexcept,
                    void *context)
