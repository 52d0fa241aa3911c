# Declarations of table.h for Cython.

from libc.stddef cimport size_t
from libc.stdint cimport uint32_t

cdef extern from "table.h" nogil:
    struct table:
        uint32_t n_flows

    struct table_stats:
        char implementation[16]
        uint32_t n_flows
        uint32_t n_masks
        size_t memory

    void get_table_stats "table_stats"(const table *, table_stats *)
