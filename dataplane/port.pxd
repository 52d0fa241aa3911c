from raicho.cext.port cimport port


cdef class Port:
    cdef port *handle
    cdef bint opened
    cdef readonly str name, kind, device
