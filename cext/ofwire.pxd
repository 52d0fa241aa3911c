# Declarations of ofwire.h for Cython.

from libc.stdint cimport uint32_t

cdef extern from "ofwire.h" nogil:
    const uint32_t OFWIRE_OK
