# Declarations of field.h for Cython.

from libc.stdint cimport uint8_t, uint16_t

cdef extern from "field.h" nogil:
    cdef enum:
        N_FIELDS

    struct field_info:
        char name[16]
        uint16_t oxm_class
        uint8_t oxm_field
        uint8_t bits
        uint8_t size
        bint maskable
        bint settable
        uint8_t word
        uint8_t shift
        uint8_t needs

    const field_info *field_table
