"""Ports: the Python face of cext/port.h."""

from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, strlen

from raicho.cext.port cimport (
    PACKET_LARGE,
    PORT_NAME_MAX,
    offload,
    port,
    port_config,
    port_kind,
    port_link,
    port_memory_loop,
    port_memory_put,
    port_memory_take,
    port_ops,
)

import os
from typing import NamedTuple

cdef enum:
    WHY_SIZE = 256


class Link(NamedTuple):
    up: bool
    admin_up: bool
    speed: int
    mac: bytes
    mtu: int


cdef class Kind:
    def __cinit__(self, str name=None):
        if name is not None:
            self.ops = port_kind(name.encode())
            if self.ops is NULL:
                raise ValueError(f"no such kind of port: {name!r}")

    @property
    def name(self):
        return self.ops.kind.decode()


cdef Kind kind_of(const port_ops *ops):
    cdef Kind kind = Kind.__new__(Kind)

    kind.ops = ops
    return kind


cdef class Port:
    # The worker that owns it uses .handle without the GIL; see port.pxd.

    def __cinit__(self, kind not None, str name not None, str device not None="", *,
                  unsigned mtu=0, unsigned ring_len=0, unsigned queue=0, unsigned n_queues=1):
        cdef port_config config
        cdef Kind opened = kind if isinstance(kind, Kind) else Kind(kind)

        self.name, self.kind, self.device = name, opened.name, device
        self.handle = <port *> calloc(1, sizeof(port))
        if self.handle is NULL:
            raise MemoryError
        self.handle.ops = opened.ops
        _copy(self.handle.name, PORT_NAME_MAX, name.encode(), "name")
        _copy(config.device, sizeof(config.device), os.fsencode(device), "device")
        config.mtu, config.ring_len = mtu, ring_len
        config.queue, config.n_queues = queue, n_queues
        self._open(&config)

    def __dealloc__(self):
        # A bridge holds the ports in it: this one is in none.
        if self.opened:
            self.handle.ops.close(self.handle)
        free(self.handle)

    cdef int _open(self, const port_config *config) except -1:
        cdef char why[WHY_SIZE]
        cdef int error

        why[0] = 0
        error = self.handle.ops.open(self.handle, config, why, WHY_SIZE)
        if error:
            reason = why[:strlen(why)].decode(errors="replace")
            raise OSError(error, reason or os.strerror(error))
        self.opened = True

    cdef int check_open(self) except -1:
        if not self.opened:
            raise ValueError(f"port {self.name} is closed")

    def close(self):
        if self.n_bridges:
            raise RuntimeError(f"port {self.name} is in a bridge")
        if self.opened:
            self.opened = False
            self.handle.ops.close(self.handle)

    def link(self):
        cdef port_link link

        self.check_open()
        error = self.handle.ops.link(self.handle, &link)
        if error:
            raise OSError(error, f"{self.name}: {os.strerror(error)}")
        return Link(bool(link.up), bool(link.admin_up), link.speed, bytes(link.mac[:6]), link.mtu)

    def set_admin(self, bint up):
        self.check_open()
        if self.handle.ops.set_admin is NULL:
            return
        error = self.handle.ops.set_admin(self.handle, up)
        if error:
            raise OSError(error, f"{self.name}: {os.strerror(error)}")

    def counters(self):
        counters = &self.handle.counters
        return {
            "rx_packets": counters.rx_packets, "rx_bytes": counters.rx_bytes,
            "tx_packets": counters.tx_packets, "tx_bytes": counters.tx_bytes,
            "rx_dropped": counters.rx_dropped, "tx_dropped": counters.tx_dropped,
            "rx_errors": counters.rx_errors, "tx_errors": counters.tx_errors,
        }


cdef int _copy(char *to, size_t size, bytes text, str what) except -1:
    if len(text) >= size:
        raise ValueError(f"the {what} of a port has at most {size - 1} bytes, {text!r} has more")
    if b"\0" in text:
        raise ValueError(f"the {what} of a port has no zero byte, {text!r} has one")
    memcpy(to, <const char *> text, len(text) + 1)


cdef class MemoryPort(Port):
    def __cinit__(self, *args, **kwargs):
        if self.kind != "memory":
            raise ValueError("a memory port is of kind 'memory'")

    def put(self, const uint8_t[::1] frame not None):
        self.check_open()
        error = port_memory_put(self.handle, &frame[0] if frame.shape[0] else NULL,
                                frame.shape[0], NULL)
        if error:
            raise OSError(error, f"{self.name}: {os.strerror(error)}")

    def take(self):
        cdef uint8_t frame[PACKET_LARGE]
        cdef offload left

        self.check_open()
        n = port_memory_take(self.handle, frame, PACKET_LARGE, &left)
        return frame[:n] if n else None

    def loop(self, list frames not None):
        cdef size_t n = len(frames), i
        cdef const uint8_t **starts = NULL
        cdef size_t *sizes = NULL

        self.check_open()
        try:
            starts = <const uint8_t **> calloc(n + 1, sizeof(uint8_t *))
            sizes = <size_t *> calloc(n + 1, sizeof(size_t))
            if starts is NULL or sizes is NULL:
                raise MemoryError
            for i in range(n):
                starts[i] = <const uint8_t *> <const char *> (<bytes?> frames[i])
                sizes[i] = len(frames[i])
            error = port_memory_loop(self.handle, starts, sizes, n)
        finally:
            free(starts)
            free(sizes)
        if error:
            raise OSError(error, os.strerror(error))
