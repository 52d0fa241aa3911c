"""The sender of events: compiled, because each event of a busy source passes here."""

import asyncio
import time
import uuid
from collections import Counter

import msgspec
import zmq

from .drain import open_socket
from .envelope import VERSION
from .events import BATCH
from .raw import RawSocket

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize

cdef extern from "Python.h":
    int PyFloat_Pack8(double value, char *to, int little_endian) except -1

cdef object _encoder = msgspec.msgpack.Encoder()
cdef object _encode = _encoder.encode, _encode_into = _encoder.encode_into
cdef int _most = BATCH

cdef enum:
    HEAD = 10                   # bytes in front of the body of an event


cdef int _begin(bytearray data, double when) except -1:
    """Append what an event begins with: an array of two, the first of which is its time."""
    cdef Py_ssize_t size = PyByteArray_GET_SIZE(data)
    cdef char *head

    PyByteArray_Resize(data, size + HEAD)
    head = PyByteArray_AS_STRING(data) + size
    head[0], head[1] = <char> 0x92, <char> 0xcb
    return PyFloat_Pack8(when, head + 2, False)


cdef class _Line:
    """The events of a topic that wait to be sent, encoded one after the other."""

    cdef bytes topic
    cdef long long sequence     # of the last
    cdef int count
    cdef bytearray data

    def __init__(self, str topic):
        self.topic = topic.encode()
        self.data = bytearray()

    cdef bytes take(self, bytes head):
        """Return them as a message that begins with *head*, and begin anew."""
        cdef bytes first = _encode(self.sequence - self.count + 1), size, message

        size = bytes((0x90 | self.count,)) if self.count < 16 else b"\xdc" + self.count.to_bytes(2)
        message = b"".join((head, first, size, self.data))
        self.count = 0
        self.data.clear()
        return message


cdef class Publisher:
    # See publisher.pyi.

    cdef readonly str source
    cdef readonly object counters
    cdef object clock, socket, raw
    cdef bytes head             # what all messages begin with
    cdef dict lines             # by topic
    cdef list waiting           # lines with events
    cdef bint flushes_soon

    def __init__(self, context, endpoint, str source, *, clock=time.time):
        self.source = source
        self.counters = Counter()
        self.clock = clock
        self.head = b"\x95" + b"".join(map(_encode, (VERSION, source, uuid.uuid4().hex[:12])))
        self.lines = {}
        self.waiting = []
        self.socket = open_socket(context, zmq.PUB, XPUB_NODROP=1)  # so that it says what it drops
        self.socket.connect(endpoint)
        self.raw = RawSocket(self.socket)

    def publish(self, str topic not None, body):
        cdef _Line line = self.lines.get(topic)
        cdef Py_ssize_t size

        if line is None:
            line = self.lines[topic] = _Line(topic)
        size = len(line.data)
        try:
            _begin(line.data, self.clock())
            _encode_into(body, line.data, -1)
        except BaseException:
            del line.data[size:]
            raise
        line.sequence += 1
        line.count += 1
        if line.count == 1:
            self.waiting.append(line)
            if not self.flushes_soon:
                self.flushes_soon = True
                asyncio.get_running_loop().call_soon(self._end_turn)
        elif line.count == _most:
            self.flush()
        return line.sequence

    cpdef flush(self):
        cdef list waiting = self.waiting
        cdef _Line line

        self.waiting = []
        for line in waiting:
            self.send(line)

    def close(self):
        if not self.socket.closed:
            self.flush()
            self.socket.close(linger=100)

    def _end_turn(self):
        self.flushes_soon = False
        self.flush()

    cdef send(self, _Line line):
        cdef int count = line.count

        try:
            self.raw.send((line.topic, line.take(self.head)))
        except zmq.Again:
            self.counters["dropped"] += count
        self.counters["published"] += count
