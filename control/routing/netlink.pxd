from libc.stdint cimport uint8_t


cdef struct Tally:
    int ignored
    int malformed
    const uint8_t *route        # The message that the last event says, if that is of routes.


cdef int take(const uint8_t *at, Py_ssize_t left, list events, Tally *tally) except -1
