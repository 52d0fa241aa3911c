"""Messages in and out of ZeroMQ sockets by libzmq's own calls, many of them at a time.

pyzmq takes a call from Python for each frame and makes an object of it, which costs more than
what libzmq does with it.  Its wheels bring a libzmq of their own that nothing can be linked with,
so the calls are found by name in what is loaded already.  Nothing here waits.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.errno cimport EAGAIN, EINTR, ENOTSOCK
from libc.string cimport memcpy

import ctypes

import zmq
from zmq.backend.cython import _zmq

cdef enum:
    DONTWAIT = 1            # zmq.h
    SNDMORE = 2
    PROPERTY_MORE = 1
    EVENTS = 15
    POLLIN = 1
    KEPT = 1 << 16          # bytes that a call returns: they are in the cache when somebody looks
    MOST = 1 << 20          # bytes that a call sends on; the last message may go beyond both

cdef struct message:        # zmq_msg_t: its size and alignment are libzmq's promise
    void *words[8]

ctypedef int (*init_call)(message *) noexcept nogil
ctypedef int (*init_size_call)(message *, size_t) noexcept nogil
ctypedef int (*move_call)(message *, void *, int) noexcept nogil
ctypedef void *(*data_call)(message *) noexcept nogil
ctypedef size_t (*size_call)(const message *) noexcept nogil
ctypedef int (*get_call)(const message *, int) noexcept nogil
ctypedef const char *(*gets_call)(const message *, const char *) noexcept nogil
ctypedef int (*option_call)(void *, int, void *, size_t *) noexcept nogil
ctypedef int (*errno_call)() noexcept nogil

cdef size_t _address(name) except 0:
    return ctypes.cast(getattr(_library, name), ctypes.c_void_p).value


_library = ctypes.CDLL(_zmq.__file__)       # and so what it is linked with
cdef init_call msg_init = <init_call> _address("zmq_msg_init")
cdef init_size_call msg_init_size = <init_size_call> _address("zmq_msg_init_size")
cdef init_call msg_close = <init_call> _address("zmq_msg_close")
cdef move_call msg_recv = <move_call> _address("zmq_msg_recv")
cdef move_call msg_send = <move_call> _address("zmq_msg_send")
cdef data_call msg_data = <data_call> _address("zmq_msg_data")
cdef size_call msg_size = <size_call> _address("zmq_msg_size")
cdef get_call msg_get = <get_call> _address("zmq_msg_get")
cdef gets_call msg_gets = <gets_call> _address("zmq_msg_gets")
cdef option_call socket_option = <option_call> _address("zmq_getsockopt")
cdef errno_call last_errno = <errno_call> _address("zmq_errno")


cdef bytes _bytes(message *frame):
    return PyBytes_FromStringAndSize(<char *> msg_data(frame), msg_size(frame))


cdef int _make(message *frame, data) except -1:
    """Make a frame of bytes."""
    if not isinstance(data, bytes):
        raise TypeError(f"a frame is bytes, not {type(data).__name__}")
    if msg_init_size(frame, PyBytes_GET_SIZE(data)):
        raise MemoryError
    memcpy(msg_data(frame), PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
    return 0


cdef int _fail(int error) except -1:
    if error == EAGAIN:
        raise zmq.Again(error)
    raise zmq.ZMQError(error)


cdef class RawSocket:
    # See raw.pyi.

    cdef readonly object socket
    cdef readonly bint dry
    cdef void *handle

    def __init__(self, socket):
        self.socket = socket
        self.handle = <void *> <size_t> socket.underlying

    def receive(self, int budget, bint with_user=False):
        cdef list messages = [], frames
        cdef size_t taken = 0
        cdef message frame
        cdef const char *user

        self._check()
        msg_init(&frame)
        try:
            while len(messages) < budget and taken < KEPT and self._next(&frame):
                frames = [_bytes(&frame)]
                taken += msg_size(&frame)
                while msg_get(&frame, PROPERTY_MORE):
                    if not self._next(&frame):
                        _fail(EAGAIN)           # libzmq hands on whole messages only
                    frames.append(_bytes(&frame))
                    taken += msg_size(&frame)
                if with_user:
                    user = msg_gets(&frame, b"User-Id")
                    frames.append(<bytes> user if user is not NULL else b"")
                messages.append(frames)
        finally:
            msg_close(&frame)
        return messages

    def send(self, frames):
        cdef list whole = list(frames)
        cdef Py_ssize_t n = len(whole), n_made = 0, i
        cdef message *parts

        self._check()
        parts = <message *> PyMem_Malloc(n * sizeof(message))
        if parts is NULL:
            raise MemoryError
        try:
            for data in whole:  # before the first leaves: the next message would end a half one
                _make(&parts[n_made], data)
                n_made += 1
            for i in range(n):
                self._pass_on(&parts[i], DONTWAIT | SNDMORE if i < n - 1 else DONTWAIT)
        finally:
            for i in range(n_made):
                msg_close(&parts[i])
            PyMem_Free(parts)

    def waits(self):
        cdef int events = 0
        cdef size_t size = sizeof(events)

        self._check()
        while socket_option(self.handle, EVENTS, &events, &size) < 0:
            if last_errno() != EINTR:
                _fail(last_errno())
        return bool(events & POLLIN)

    def forward(self, RawSocket target not None, dict counts not None, look, int every, int budget):
        cdef message head, body
        cdef int n_messages = 0, n_malformed = 0
        cdef size_t n_bytes = 0
        cdef bytes name

        self._check()
        target._check()
        msg_init(&head)
        msg_init(&body)
        try:
            while n_messages + n_malformed < budget and n_bytes < MOST and self._next(&head):
                if not self._is_second_and_last(&head, &body):
                    n_malformed += 1
                    continue
                n_messages += 1
                n_bytes += msg_size(&body)
                name = _bytes(&head)
                count = counts.get(name)
                if count is None or not count % every:
                    look(name, _bytes(&body))
                    count = counts.get(name)
                if count is not None:
                    counts[name] = count + 1
                target._pass_on(&head, DONTWAIT | SNDMORE)
                target._pass_on(&body, DONTWAIT)
        finally:
            msg_close(&head)
            msg_close(&body)
        return n_messages, n_bytes, n_malformed

    cdef int _check(self) except -1:
        """Its memory is gone when it is closed."""
        return _fail(ENOTSOCK) if self.socket.closed else 0

    cdef bint _next(self, message *frame) except -1:
        """Take in the next frame; return False if there is none."""
        cdef int error

        self.dry = False
        while msg_recv(frame, self.handle, DONTWAIT) < 0:
            error = last_errno()
            if error == EAGAIN:
                self.dry = True
                return False
            if error != EINTR:
                _fail(error)
        return True

    cdef bint _is_second_and_last(self, message *head, message *body) except -1:
        """Take in what follows a first frame; return whether it is one frame."""
        cdef int n_more = 0

        if msg_get(head, PROPERTY_MORE):
            n_more = 1
            while self._next(body) and msg_get(body, PROPERTY_MORE):
                n_more += 1
        return n_more == 1

    cdef int _pass_on(self, message *frame, int flags) except -1:
        """Send a frame, which is empty after that."""
        cdef int error

        while msg_send(frame, self.handle, flags) < 0:
            error = last_errno()
            if error != EINTR:
                _fail(error)
        return 0
