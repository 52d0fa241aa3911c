# Declarations of mac.h for Cython.

from libc.stddef cimport size_t
from libc.stdint cimport uint16_t, uint32_t, uint64_t

cdef extern from "mac.h" nogil:
    struct mac_table:
        pass

    struct mac_entry:
        uint64_t address
        uint64_t age_ms
        uint32_t port
        uint16_t vlan

    size_t mac_flush(mac_table *, uint32_t port, uint64_t now_ms)
    void mac_each(mac_table *, uint64_t now_ms, void (*visit)(const mac_entry *, void *) noexcept,
                  void *context)
