# Declarations of vlan.h for Cython.

from libc.stdint cimport uint8_t, uint16_t, uint32_t

cdef extern from "vlan.h" nogil:
    cdef enum:
        VLANS

    struct vlan_set:
        pass

    cdef enum vlan_mode:
        VLAN_TRUNK
        VLAN_ACCESS
        VLAN_NATIVE_TAGGED
        VLAN_NATIVE_UNTAGGED

    cdef enum bridging_router:
        ROUTER_LEARNED
        ROUTER_ALWAYS
        ROUTER_NEVER

    struct bridging:
        vlan_set vlans
        uint16_t vlan
        uint8_t mode
        bint isolated
        uint32_t max_macs
        uint8_t router
        bint leaves_at_once

    void vlan_add(vlan_set *, unsigned vlan)
