"""The stream of zebra's forwarding plane manager: messages of rtnetlink, each in a frame.

A frame is a version, a type, its size in network byte order (these four bytes included), and the
message.  Only type 1, netlink, is spoken.

Reference: FRRouting, fpm/fpm.h
"""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport uint8_t

from .netlink cimport Tally, take

cdef enum:
    HEADER = 4
    VERSION = 1
    NETLINK = 1
    SMALLEST = 20               # The headers of the frame and of the message.


class BadFrame(ValueError):
    pass


cdef class Framer:
    cdef bytes rest

    def __cinit__(self):
        self.rest = b""

    def feed(self, bytes data not None, list events not None, counters):
        cdef Tally tally
        cdef Py_ssize_t done

        tally.ignored, tally.malformed, tally.route = 0, 0, NULL
        data = self.rest + data
        try:
            done = frames(<const uint8_t *>PyBytes_AS_STRING(data), len(data), events, &tally)
        finally:
            counters["ignored"] += tally.ignored
            counters["malformed"] += tally.malformed
        self.rest = data[done:]


cdef Py_ssize_t frames(const uint8_t *at, Py_ssize_t size, list events, Tally *tally) except -1:
    """Take the frames that are whole; return their size."""
    cdef Py_ssize_t done = 0, one

    while size - done >= HEADER:
        one = at[done + 2] << 8 | at[done + 3]
        if at[done] != VERSION or at[done + 1] != NETLINK:
            raise BadFrame(
                f"version {at[done]}, type {at[done + 1]} where 1, 1 (netlink) is spoken")
        if one < SMALLEST:
            raise BadFrame(f"a frame of {one} bytes cannot hold a message")
        if size - done < one:
            break
        take(at + done + HEADER, one - HEADER, events, tally)
        done += one
    return done
