from raicho.cext.port cimport port, port_config, port_ops


cdef class Kind:
    cdef const port_ops *ops


cdef class Port:
    cdef port *handle           # One for each queue of the device.
    cdef readonly unsigned queues
    cdef unsigned n_open        # Of these; 0 once it is closed.
    cdef unsigned n_bridges     # That it is in: 0 or 1.
    cdef readonly str name, kind, device

    cdef int _open(self, port_config *config) except -1
    cdef void _close(self) noexcept
    cdef int check_open(self) except -1
    cdef port *_queue(self, unsigned queue) except NULL


cdef Kind kind_of(const port_ops *ops)
