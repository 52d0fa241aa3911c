from raicho.cext.port cimport port, port_config, port_ops


cdef class Kind:
    cdef const port_ops *ops


cdef class Port:
    cdef port *handle
    cdef bint opened
    cdef unsigned n_bridges     # That it is in: 0 or 1.
    cdef readonly str name, kind, device

    cdef int _open(self, const port_config *config) except -1
    cdef int check_open(self) except -1


cdef Kind kind_of(const port_ops *ops)
