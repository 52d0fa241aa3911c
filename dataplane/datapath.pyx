"""What bridges and workers share: the Python face of cext/dataplane.h."""

cimport cython
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free

from raicho.cext.dataplane cimport (
    DATAPLANE_BRIDGES,
    DATAPLANE_WORKERS,
    dataplane,
    dataplane_barrier,
    dataplane_close,
    dataplane_open,
    dataplane_tick,
    neighbours,
)
from raicho.cext.escalation cimport ROUTE_LOCAL, escalated
from raicho.cext.ofwire cimport OFWIRE_OK
from raicho.cext.plugin cimport plugin, plugin_close, plugin_open, plugin_take
from raicho.cext.router cimport interface, interface_at


cdef extern from "stdlib.h" nogil:
    void *aligned_alloc(size_t alignment, size_t size)


from weakref import WeakValueDictionary

DONE = OFWIRE_OK
MAX_BRIDGES = DATAPLANE_BRIDGES
MAX_WORKERS = DATAPLANE_WORKERS


# Workers and bridges hold the dataplane, bridges hold the workers and ports they use, and
# nothing points back.  So they go in the right order; `no_gc` keeps the collector from
# clearing these references before __dealloc__ has used them.

@cython.no_gc
cdef class Dataplane:
    # Workers read .handle without the GIL; see datapath.pxd.

    def __cinit__(self):
        self.handle = <dataplane *> aligned_alloc(64, (sizeof(dataplane) + 63) // 64 * 64)
        if self.handle is NULL:
            raise MemoryError
        if dataplane_open(self.handle):
            free(self.handle)
            self.handle = NULL
            raise MemoryError
        self.workers = WeakValueDictionary()

    def __dealloc__(self):
        if self.handle is not NULL:
            dataplane_close(self.handle)
            free(self.handle)

    def tick(self, uint64_t now_ms):
        dataplane_tick(self.handle, now_ms)

    def neighbours(self):
        cdef const neighbours *table = &self.handle.routing.neighbours

        return {"neighbours": table.n, "waiting": table.n_waiting, **dict(table.counters)}

    def escalated(self):
        waiting = &self.handle.routing.escalated
        cdef const escalated *each
        cdef const interface *came_by
        cdef size_t at = 0
        cdef list copies = []

        while at < waiting.len:
            each = <const escalated *> (waiting.data + at)
            came_by = interface_at(&self.handle.routing, each.interface)
            if came_by is not NULL:     # It may have gone meanwhile.
                copies.append((each.id, each.reason - ROUTE_LOCAL, came_by.name.decode(),
                               each.dropped, each.frame[:each.len]))
            at += (sizeof(escalated) + each.len + 7) // 8 * 8
        waiting.len = 0
        return copies

    def barrier(self, unsigned timeout_ms=1000):
        cdef bint passed

        self.n_barriers += 1    # Keeps workers from being closed meanwhile.
        with nogil:
            passed = dataplane_barrier(self.handle, timeout_ms)
        self.n_barriers -= 1
        return passed

    def add_worker(self, unsigned id, *, uint32_t packets=0):
        from .worker import Worker  # which needs this module

        return Worker(self, id, packets)

    def add_bridge(self, str name not None, uint64_t datapath_id, uint64_t now_ms):
        from .bridge import Bridge  # which needs this module

        return Bridge(self, name, datapath_id, now_ms)

    def add_router(self, str name not None):
        from .router import Router  # which needs this module

        return Router(self, name)


cdef class Plugin:
    cdef plugin *handle
    cdef Dataplane within
    cdef readonly str path
    cdef readonly tuple instructions

    def __init__(self, Dataplane within not None, str path not None):
        cdef char why[256]

        self.within, self.path = within, path
        self.handle = plugin_open(within.handle, path.encode(), why, sizeof(why))
        if self.handle is NULL:
            raise ValueError(why.decode(errors="replace"))
        self.instructions = tuple(
            (self.handle.symbol.instructions[i].name.decode(errors="replace"),
             self.handle.symbol.instructions[i].subtype,
             self.handle.symbol.instructions[i].args_size)
            for i in range(self.handle.symbol.n))

    def __dealloc__(self):
        if self.handle is not NULL:
            plugin_close(self.handle)

    def take(self):
        if self.handle is not NULL:
            plugin_take(self.within.handle, self.handle)
            self.handle = NULL

    def close(self):
        if self.handle is not NULL:
            plugin_close(self.handle)
            self.handle = NULL
