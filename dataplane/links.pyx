"""Link changes as the kernel tells them: the Python face of cext/linkwatch.h."""

from libc.errno cimport EAGAIN, ENOBUFS

from raicho.cext.linkwatch cimport (
    link_event,
    linkwatch,
    linkwatch_close,
    linkwatch_next,
    linkwatch_open,
)

import os
import socket
from typing import NamedTuple

cdef enum:
    ROOM = 4 << 20      # Bytes of events that may wait: some thousand of them.


class LinkEvent(NamedTuple):
    ifindex: int
    name: str
    up: bool
    admin_up: bool
    gone: bool


class EventsLost(Exception):
    pass


cdef class LinkWatch:
    cdef linkwatch watch
    cdef bint opened

    def __cinit__(self):
        cdef int error = linkwatch_open(&self.watch)

        if error:
            raise OSError(error, f"cannot watch links: {os.strerror(error)}")
        self.opened = True
        _make_room(self.watch.fd)

    def __dealloc__(self):
        self.close()

    def close(self):
        if self.opened:
            self.opened = False
            linkwatch_close(&self.watch)

    def fileno(self):
        self._check_open()
        return self.watch.fd

    cdef int _check_open(self) except -1:
        if not self.opened:
            raise ValueError("the watch is closed")

    def next(self):
        cdef link_event event

        self._check_open()
        error = linkwatch_next(&self.watch, &event)

        if error == EAGAIN:
            return None
        if error == ENOBUFS:
            raise EventsLost
        if error:
            raise OSError(error, os.strerror(error))
        name = event.name.decode(errors="replace")
        return LinkEvent(event.index, name, bool(event.up), bool(event.admin_up), bool(event.gone))


cdef _make_room(int fd):
    force = getattr(socket, "SO_RCVBUFFORCE", 33)
    with socket.socket(fileno=os.dup(fd)) as kernel:
        try:
            kernel.setsockopt(socket.SOL_SOCKET, force, ROOM)
        except PermissionError:     # As much as the system lets us have.
            kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
