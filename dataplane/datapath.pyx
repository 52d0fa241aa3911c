"""Workers, bridges and what they share: the Python face of cext/dataplane.h.

All of it belongs to one thread, the control thread, apart from Worker.run().
"""

from libc.errno cimport EEXIST, EINVAL
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy

from raicho.cext.dataplane cimport (
    BRIDGE_TABLES,
    LINK_DOWN,
    LINK_LIVE,
    N_DROP_REASONS,
    PORT_DOWN,
    WORKER_ADAPTIVE,
    WORKER_POLL,
    attachment,
    bridge,
    bridge_apply_all,
    bridge_attach,
    bridge_close,
    bridge_detach,
    bridge_multipart,
    bridge_open,
    bridge_packet_in,
    bridge_port,
    bridge_port_status,
    buffer,
    buffer_close,
    dataplane,
    dataplane_barrier,
    dataplane_close,
    dataplane_open,
    dataplane_tick,
    drop_table,
    get_table_stats,
    punt,
    table_stats,
    worker,
    worker_close,
    worker_open,
    worker_punt_consume,
    worker_punt_peek,
    worker_round,
    worker_run,
    worker_stop,
)

from .port cimport Port


cdef extern from "stdlib.h" nogil:
    void *aligned_alloc(size_t alignment, size_t size)


import os

DONE = 0xFFFFFFFF
HEADER = 8
EVENT_KINDS = {11: "flow_removed", 12: "port_status"}

DROP_REASONS = {
    drop_table[i].name.decode(): drop_table[i].text.decode() for i in range(N_DROP_REASONS)
}


class OpenFlowError(Exception):
    def __init__(self, code):
        super().__init__(f"OpenFlow error {code >> 16}/{code & 0xFFFF}")
        self.code = code


cdef class Dataplane:
    cdef dataplane *handle
    cdef object workers, bridges

    def __cinit__(self):
        self.handle = <dataplane *> aligned_alloc(64, (sizeof(dataplane) + 63) // 64 * 64)
        if self.handle is NULL or dataplane_open(self.handle):
            raise MemoryError
        self.workers, self.bridges = {}, {}

    def __dealloc__(self):
        if self.handle is not NULL:
            dataplane_close(self.handle)
            free(self.handle)

    def tick(self, uint64_t now_ms):
        dataplane_tick(self.handle, now_ms)

    def barrier(self, unsigned timeout_ms=1000):
        cdef bint passed
        with nogil:
            passed = dataplane_barrier(self.handle, timeout_ms)
        return passed

    def add_worker(self, unsigned id, *, uint32_t packets=0):
        return Worker(self, id, packets)

    def add_bridge(self, str name not None, uint64_t datapath_id, uint64_t now_ms):
        return Bridge(self, name, datapath_id, now_ms)


cdef class Worker:
    cdef worker *handle
    cdef Dataplane dataplane
    cdef readonly unsigned id

    def __cinit__(self, Dataplane dataplane not None, unsigned id, uint32_t packets):
        self.dataplane, self.id = dataplane, id
        self.handle = worker_open(dataplane.handle, id, packets)
        if self.handle is NULL:
            raise ValueError(f"worker {id}: the number is taken or too high, or memory is short")

    def close(self):
        if self.handle is not NULL:
            worker_close(self.handle)
            self.handle = NULL

    def run(self):
        with nogil:
            worker_run(self.handle)

    def stop(self):
        worker_stop(self.handle)

    def round(self):
        cdef unsigned n
        with nogil:
            n = worker_round(self.handle)
        return n

    def rounds(self, uint64_t packets):
        cdef uint64_t done = 0
        with nogil:
            while done < packets:
                done += worker_round(self.handle)
        return done

    @property
    def polling(self):
        return self.handle.mode == WORKER_POLL

    @polling.setter
    def polling(self, bint polling):
        self.handle.mode = WORKER_POLL if polling else WORKER_ADAPTIVE

    def punt_fd(self):
        return self.handle.punt_fd

    def punts(self, unsigned limit=256):
        cdef buffer out
        cdef punt *packet
        cdef unsigned n = 0
        cdef dict messages = {}

        while n < limit:
            packet = worker_punt_peek(self.handle)
            if packet is NULL:
                break
            out = buffer(data=NULL, len=0, size=0, failed=False)
            bridge_packet_in(packet, &out)
            if out.len:
                messages.setdefault(packet.bridge, []).append(out.data[:out.len])
            buffer_close(&out)
            worker_punt_consume(self.handle)
            n += 1
        return messages

    def totals(self):
        totals = &self.handle.totals
        return {
            "received": totals.received, "injected": totals.injected, "copied": totals.copied,
            "sent": totals.sent, "punted": totals.punted, "consumed": totals.consumed,
            "drops": {
                drop_table[i].name.decode(): totals.drops[i] for i in range(N_DROP_REASONS)
            },
        }


cdef class Bridge:
    cdef bridge *handle
    cdef Dataplane dataplane
    cdef readonly str name
    cdef readonly unsigned index
    cdef dict ports

    def __cinit__(self, Dataplane dataplane not None, str name not None, uint64_t datapath_id,
                  uint64_t now_ms):
        self.dataplane, self.name, self.ports = dataplane, name, {}
        self.handle = bridge_open(dataplane.handle, name.encode(), datapath_id, now_ms)
        if self.handle is NULL:
            raise MemoryError
        self.index = self.handle.index

    def close(self):
        if self.handle is not NULL:
            for number in list(self.ports):
                self.detach(number)
            bridge_close(self.handle)
            self.handle = NULL

    @property
    def datapath_id(self):
        return self.handle.datapath_id

    @datapath_id.setter
    def datapath_id(self, uint64_t datapath_id):
        self.handle.datapath_id = datapath_id

    @property
    def max_flows(self):
        return self.handle.max_flows

    @max_flows.setter
    def max_flows(self, uint32_t max_flows):
        self.handle.max_flows = max_flows

    @property
    def frag_mode(self):
        return self.handle.frag_mode

    @frag_mode.setter
    def frag_mode(self, uint32_t frag_mode):
        self.handle.frag_mode = frag_mode

    @property
    def miss_send_len(self):
        return self.handle.miss_send_len

    @miss_send_len.setter
    def miss_send_len(self, uint16_t miss_send_len):
        self.handle.miss_send_len = miss_send_len

    def attach(self, Port port not None, uint32_t number, unsigned worker, uint64_t now_ms):
        cdef attachment *attached
        cdef int error = bridge_attach(self.handle, port.handle, number, worker, now_ms, &attached)

        if error == EEXIST:
            raise ValueError(f"bridge {self.name}: port number {number} is taken")
        if error == EINVAL:
            raise ValueError(
                f"bridge {self.name}: port number {number} is not in 1..0xffffff00, "
                f"or there is no worker {worker}")
        if error:
            raise OSError(error, os.strerror(error))
        self.ports[number] = port
        self._note_link(attached, port)
        bridge_port_status(self.handle, attached, 0)

    def detach(self, uint32_t number):
        attached = bridge_port(self.handle, number)
        if attached is NULL:
            raise KeyError(f"bridge {self.name}: no port {number}")
        bridge_port_status(self.handle, attached, 1)
        bridge_detach(self.handle, attached)
        del self.ports[number]

    cdef bint _note_link(self, attachment *attached, Port port) except -1:
        cdef uint32_t old = attached.state

        try:
            link = port.link()
        except OSError:
            attached.state = LINK_DOWN
        else:
            attached.state = LINK_LIVE if link.up else LINK_DOWN
            attached.speed = link.speed
            memcpy(attached.mac, <const char *> link.mac, 6)
        return attached.state != old

    def has_port(self, uint32_t number):
        return number in self.ports

    def refresh_link(self, uint32_t number):
        attached = bridge_port(self.handle, number)
        if attached is NULL:
            raise KeyError(f"bridge {self.name}: no port {number}")
        changed = self._note_link(attached, self.ports[number])
        if changed:
            bridge_port_status(self.handle, attached, 2)
        return changed

    def set_enabled(self, uint32_t number, bint enabled):
        attached = bridge_port(self.handle, number)
        if attached is NULL:
            raise KeyError(f"bridge {self.name}: no port {number}")
        config = attached.config & ~<uint32_t> PORT_DOWN | (0 if enabled else PORT_DOWN)
        if config != attached.config:
            attached.config = config
            bridge_port_status(self.handle, attached, 2)

    def port_state(self, uint32_t number):
        attached = bridge_port(self.handle, number)
        if attached is NULL:
            raise KeyError(f"bridge {self.name}: no port {number}")
        return {
            "number": attached.number, "config": attached.config, "state": attached.state,
            "speed": attached.speed, "mac": bytes(attached.mac[:6]), "worker": attached.worker,
        }

    def apply(self, const uint8_t[::1] messages not None, uint64_t now_ms):
        cdef size_t size = messages.shape[0], n, most = size // HEADER
        cdef bytearray results = bytearray(4 * (most + 1))
        cdef uint8_t[::1] view = results

        n = bridge_apply_all(self.handle, &messages[0] if size else NULL, size,
                             <uint32_t *> &view[0], most, now_ms)
        del view
        return bytes(results[:4 * n])

    def multipart(self, unsigned kind, const uint8_t[::1] body not None, uint64_t now_ms):
        cdef buffer out, ends
        cdef uint32_t result
        cdef list parts = []
        cdef size_t begin = 0, i
        cdef uint8_t nothing = 0

        out = buffer(data=NULL, len=0, size=0, failed=False)
        ends = buffer(data=NULL, len=0, size=0, failed=False)
        try:
            result = bridge_multipart(self.handle, kind,
                                      &body[0] if body.shape[0] else &nothing, body.shape[0],
                                      &out, &ends, now_ms)
            if out.failed or ends.failed:
                raise MemoryError
            if result != DONE:
                raise OpenFlowError(result)
            for i in range(ends.len // 4):
                end = (<uint32_t *> ends.data)[i]
                parts.append(out.data[begin:end] if end > begin else b"")
                begin = end
        finally:
            buffer_close(&out)
            buffer_close(&ends)
        return parts

    def events(self):
        cdef const uint8_t *data = self.handle.events.data
        cdef size_t size = self.handle.events.len, begin = 0, end = 0
        cdef list runs = []

        while end < size:
            begin = end
            while end < size and data[end + 1] == data[begin + 1]:
                end += data[end + 2] << 8 | data[end + 3]
            runs.append((EVENT_KINDS[data[begin + 1]], data[begin:end]))
        self.handle.events.len = 0
        return runs

    @property
    def events_lost(self):
        return self.handle.events_lost

    def tables(self):
        cdef table_stats stats
        cdef list rows = []

        for i in range(BRIDGE_TABLES):
            if self.handle.tables[i].table.n_flows:
                get_table_stats(&self.handle.tables[i].table, &stats)
                rows.append({
                    "table": i, "implementation": stats.implementation.decode(),
                    "flows": stats.n_flows, "masks": stats.n_masks, "memory": stats.memory,
                })
        return rows

    @property
    def n_flows(self):
        return self.handle.n_flows
