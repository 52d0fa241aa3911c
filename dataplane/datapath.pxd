from raicho.cext.dataplane cimport dataplane


cdef class Dataplane:
    cdef object __weakref__
    cdef dataplane *handle
    cdef unsigned n_barriers    # Threads that wait in barrier().
    cdef object workers         # Worker by id; it holds none of them.
