"""Ports: the Python face of cext/port.h."""

from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset, strlen

from raicho.cext.port cimport (
    PACKET_LARGE,
    PORT_NAME_MAX,
    PORT_XDP_AUTO,
    PORT_XDP_GENERIC,
    PORT_XDP_NATIVE,
    PORT_XDP_ZERO_COPY,
    offload,
    port,
    port_config,
    port_counters,
    port_kind,
    port_link,
    port_memory_loop,
    port_memory_put,
    port_memory_take,
    port_ops,
    port_patch_join,
)

import os
from typing import NamedTuple

cdef enum:
    WHY_SIZE = 256

MAX_QUEUES = 64
XDP_MODES = {
    "auto": PORT_XDP_AUTO, "zero-copy": PORT_XDP_ZERO_COPY, "native": PORT_XDP_NATIVE,
    "generic": PORT_XDP_GENERIC,
}


class Link(NamedTuple):
    up: bool
    admin_up: bool
    speed: int
    mac: bytes
    mtu: int


class NoQueue(OSError):
    pass


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
    # The workers that own its queues use .handle without the GIL; see port.pxd.

    def __cinit__(self, kind not None, str name not None, str device not None="", *,
                  unsigned mtu=0, unsigned ring_len=0, unsigned queues=1,
                  str xdp_mode not None="auto"):
        cdef port_config config
        cdef Kind opened = kind if isinstance(kind, Kind) else Kind(kind)

        self.name, self.kind, self.device, self.queues = name, opened.name, device, queues
        if not 1 <= queues <= MAX_QUEUES:
            raise ValueError(f"a port has 1 to {MAX_QUEUES} queues, not {queues}")
        self.handle = <port *> calloc(queues, sizeof(port))
        if self.handle is NULL:
            raise MemoryError
        for i in range(queues):
            self.handle[i].ops = opened.ops
            _copy(self.handle[i].name, PORT_NAME_MAX, name.encode(), "name")
        memset(&config, 0, sizeof(config))
        _copy(config.device, sizeof(config.device), os.fsencode(device), "device")
        config.mtu, config.ring_len, config.n_queues = mtu, ring_len, queues
        config.xdp_mode = XDP_MODES[xdp_mode]
        try:
            self._open(&config)
        except BaseException:
            self._close()
            raise

    def __dealloc__(self):
        # A bridge holds the ports in it: this one is in none.
        self._close()
        free(self.handle)

    cdef int _open(self, port_config *config) except -1:
        cdef char why[WHY_SIZE]
        cdef int error

        for queue in range(self.queues):
            why[0] = 0
            config.queue = queue
            config.sibling = self.handle if queue else NULL
            error = self.handle.ops.open(&self.handle[queue], config, why, WHY_SIZE)
            if error:
                reason = why[:strlen(why)].decode(errors="replace") or os.strerror(error)
                if queue:
                    raise NoQueue(error, f"queue {queue} of {self.queues}: {reason}")
                raise OSError(error, reason)
            self.n_open += 1

    cdef void _close(self) noexcept:
        while self.n_open:
            self.n_open -= 1
            self.handle.ops.close(&self.handle[self.n_open])

    cdef int check_open(self) except -1:
        if not self.n_open:
            raise ValueError(f"port {self.name} is closed")

    cdef port *_queue(self, unsigned queue) except NULL:
        self.check_open()
        if queue >= self.queues:
            raise IndexError(f"port {self.name} has no queue {queue}, only {self.queues}")
        return &self.handle[queue]

    def close(self):
        if self.n_bridges:
            raise RuntimeError(f"port {self.name} is in a bridge")
        self._close()

    def link(self):
        cdef port_link link

        self.check_open()
        for i in reversed(range(self.queues)):  # Each takes over what its device has lost.
            error = self.handle.ops.link(&self.handle[i], &link)
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

    def join(self, Port fresh not None):
        self.check_open()
        fresh.check_open()
        if not self.kind == fresh.kind == "patch":
            raise ValueError(f"ports {self.name} and {fresh.name} are not both of kind patch")
        error = port_patch_join(self.handle, fresh.handle)
        if error:
            raise OSError(error, f"port {self.name} or {fresh.name} has another peer")

    @property
    def how(self):
        return self.handle.how.decode()

    def counters(self):
        cdef dict sums = dict.fromkeys(
            ("rx_packets", "rx_bytes", "tx_packets", "tx_bytes",
             "rx_dropped", "tx_dropped", "rx_errors", "tx_errors"), 0)

        for i in range(self.queues):
            _add_counters(sums, &self.handle[i].counters)
        return sums


cdef _add_counters(dict sums, const port_counters *counters):
    sums["rx_packets"] += counters.rx_packets
    sums["rx_bytes"] += counters.rx_bytes
    sums["tx_packets"] += counters.tx_packets
    sums["tx_bytes"] += counters.tx_bytes
    sums["rx_dropped"] += counters.rx_dropped
    sums["tx_dropped"] += counters.tx_dropped
    sums["rx_errors"] += counters.rx_errors
    sums["tx_errors"] += counters.tx_errors


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

    def put(self, const uint8_t[::1] frame not None, unsigned queue=0):
        error = port_memory_put(self._queue(queue), &frame[0] if frame.shape[0] else NULL,
                                frame.shape[0], NULL)
        if error:
            raise OSError(error, f"{self.name}: {os.strerror(error)}")

    def take(self, unsigned queue=0):
        cdef uint8_t frame[PACKET_LARGE]
        cdef offload left

        n = port_memory_take(self._queue(queue), frame, PACKET_LARGE, &left)
        return frame[:n] if n else None

    def loop(self, list frames not None, unsigned queue=0):
        cdef size_t n = len(frames), i
        cdef const uint8_t **starts = NULL
        cdef size_t *sizes = NULL
        cdef port *handle = self._queue(queue)

        try:
            starts = <const uint8_t **> calloc(n + 1, sizeof(uint8_t *))
            sizes = <size_t *> calloc(n + 1, sizeof(size_t))
            if starts is NULL or sizes is NULL:
                raise MemoryError
            for i in range(n):
                starts[i] = <const uint8_t *> <const char *> (<bytes?> frames[i])
                sizes[i] = len(frames[i])
            error = port_memory_loop(handle, starts, sizes, n)
        finally:
            free(starts)
            free(sizes)
        if error:
            raise OSError(error, os.strerror(error))
