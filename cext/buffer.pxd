# Declarations of buffer.h for Cython.

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

cdef extern from "buffer.h" nogil:
    struct buffer:
        uint8_t *data
        size_t len, size
        bint failed

    void buffer_close(buffer *)
