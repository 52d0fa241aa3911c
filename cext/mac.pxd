# Declarations of mac.h for Cython.

from libc.stddef cimport size_t
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from raicho.cext.epoch cimport epoch

cdef extern from "mac.h" nogil:
    cdef enum:
        MAC_ANY_VLAN

    struct mac_table:
        pass

    struct mac_fixed:
        uint64_t address
        uint32_t port
        uint16_t vlan

    struct mac_entry:
        uint64_t address
        uint64_t age_ms
        uint32_t port
        uint16_t vlan
        bint fixed

    int mac_configure(mac_table *, epoch *, uint32_t max, uint64_t ageing_ms, uint64_t now_ms)
    int mac_fix(mac_table *, epoch *, const mac_fixed *, uint32_t n)
    size_t mac_flush(mac_table *, uint32_t port, uint16_t vlan, uint64_t now_ms)
    void mac_each(mac_table *, uint64_t now_ms, void (*visit)(const mac_entry *, void *) noexcept,
                  void *context)
