from raicho.cext.worker cimport worker

from .datapath cimport Dataplane


cdef class Worker:
    cdef object __weakref__
    cdef worker *handle         # NULL once it is closed.
    cdef Dataplane dataplane
    cdef readonly unsigned id
    cdef bint running
    cdef unsigned n_lanes       # Queues of ports that it polls.

    cdef void _close(self) noexcept
    cdef worker *_open(self) except NULL
