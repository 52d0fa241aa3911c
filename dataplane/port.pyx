"""Ports: the Python face of cext/port.h."""

from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport strlen, memcpy

from raicho.cext.port cimport (
    offload,
    port,
    port_config,
    port_kind,
    port_link,
    port_memory_loop,
    port_memory_put,
    port_memory_take,
)

import os

DEF WHY_SIZE = 256
DEF FRAME_SIZE = 65600


cdef class Port:
    # The worker that owns it reads .handle without the GIL; see port.pxd.

    def __cinit__(self, str kind not None, str name not None, str device not None="", *,
                  unsigned mtu=0, unsigned ring_len=0):
        cdef port_config config
        cdef char why[WHY_SIZE]
        cdef int error
        encoded_name, encoded_device = name.encode(), os.fsencode(device)

        self.name, self.kind, self.device = name, kind, device
        self.handle = <port *> calloc(1, sizeof(port))
        if self.handle is NULL:
            raise MemoryError
        self.handle.ops = port_kind(kind.encode())
        if self.handle.ops is NULL:
            raise ValueError(f"no such kind of port: {kind!r}")
        if len(encoded_name) >= sizeof(self.handle.name):
            raise ValueError(f"the name of a port has at most 63 bytes, {name!r} has more")
        if len(encoded_device) >= sizeof(config.device):
            raise ValueError(f"the device of a port has at most 255 bytes, {device!r} has more")
        memcpy(self.handle.name, <const char *> encoded_name, len(encoded_name) + 1)
        memcpy(config.device, <const char *> encoded_device, len(encoded_device) + 1)
        config.mtu, config.ring_len = mtu, ring_len
        why[0] = 0
        error = self.handle.ops.open(self.handle, &config, why, WHY_SIZE)
        if error:
            reason = why[:strlen(why)].decode(errors="replace")
            raise OSError(error, reason or os.strerror(error))
        self.opened = True

    def __dealloc__(self):
        self.close()
        free(self.handle)

    def close(self):
        if self.opened:
            self.opened = False
            self.handle.ops.close(self.handle)

    def link(self):
        cdef port_link link
        cdef int error = self.handle.ops.link(self.handle, &link)

        if error:
            raise OSError(error, f"{self.name}: {os.strerror(error)}")
        return Link(bool(link.up), bool(link.admin_up), link.speed, bytes(link.mac[:6]), link.mtu)

    def set_admin(self, bint up):
        cdef int error

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


class Link:
    __slots__ = ("admin_up", "mac", "mtu", "speed", "up")

    def __init__(self, up, admin_up, speed, mac, mtu):
        self.up, self.admin_up, self.speed, self.mac, self.mtu = up, admin_up, speed, mac, mtu

    def __repr__(self):
        return f"Link({self.up}, {self.admin_up}, {self.speed}, {self.mac.hex(':')}, {self.mtu})"


cdef class MemoryPort(Port):
    def __cinit__(self, *args, **kwargs):
        if self.kind != "memory":
            raise ValueError("a memory port is of kind 'memory'")

    def put(self, const uint8_t[::1] frame not None):
        cdef int error = port_memory_put(self.handle, &frame[0] if frame.shape[0] else NULL,
                                         frame.shape[0], NULL)
        if error:
            raise OSError(error, f"{self.name}: {os.strerror(error)}")

    def take(self):
        cdef uint8_t frame[FRAME_SIZE]
        cdef offload left
        cdef size_t n = port_memory_take(self.handle, frame, FRAME_SIZE, &left)

        return frame[:n] if n else None

    def loop(self, list frames not None):
        cdef size_t n = len(frames), i
        cdef const uint8_t **starts = <const uint8_t **> calloc(n + 1, sizeof(uint8_t *))
        cdef size_t *sizes = <size_t *> calloc(n + 1, sizeof(size_t))
        cdef int error

        if starts is NULL or sizes is NULL:
            free(starts)
            free(sizes)
            raise MemoryError
        for i in range(n):
            starts[i] = <const uint8_t *> <const char *> frames[i]
            sizes[i] = len(frames[i])
        error = port_memory_loop(self.handle, starts, sizes, n)
        free(starts)
        free(sizes)
        if error:
            raise OSError(error, os.strerror(error))
