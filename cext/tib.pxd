# Declarations of tib.h and tib_wire.h for Cython.

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t

from raicho.cext.buffer cimport buffer

cdef extern from "tib.h" nogil:
    struct tib:
        uint32_t n

    void tib_begin(tib *, uint8_t source)
    uint32_t tib_sweep(tib *, uint8_t source)

cdef extern from "tib_wire.h" nogil:
    cdef enum:
        TREE_RECORD

    struct router:
        pass

    size_t router_tree_mod(router *, const uint8_t *, size_t, uint8_t *results, size_t max)
    void router_list_trees(router *, uint8_t source, uint32_t *cursor, uint32_t limit, buffer *)
