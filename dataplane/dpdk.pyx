"""Ports on DPDK devices: the Python face of cext/dpdk/, an extension that not every host has."""

from raicho.cext.port cimport port_ops

from .port cimport kind_of

cdef extern from "dpdk/dpdk.h" nogil:
    const port_ops port_dpdk_ops

KIND = kind_of(&port_dpdk_ops)
