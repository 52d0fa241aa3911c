"""Workers: the Python face of cext/worker.h."""

cimport cython
from libc.stdint cimport uint32_t, uint64_t
from posix.unistd cimport usleep

from raicho.cext.bridge cimport PUNT_SNOOPED, bridge_hear, bridge_packet_in
from raicho.cext.buffer cimport buffer, buffer_close
from raicho.cext.dataplane cimport DATAPLANE_WORKERS
from raicho.cext.epoch cimport epoch, epoch_offline, epoch_quiesce
from raicho.cext.profile cimport N_STAGES, PROFILE_SIZES, profile, stage_table
from raicho.cext.router cimport router_punt
from raicho.cext.stats cimport N_DROP_REASONS, drop_table, worker_counters
from raicho.cext.worker cimport (
    CACHE_ALWAYS,
    CACHE_MEASURED,
    CACHE_NEVER,
    ROUTE_LOCAL,
    SPIN_US as C_SPIN_US,
    WORKER_ADAPTIVE,
    WORKER_INTERRUPT,
    WORKER_POLL,
    punt,
    worker,
    worker_close,
    worker_open,
    worker_punt_consume,
    worker_punt_peek,
    worker_round,
    worker_run,
    worker_stop,
    worker_wake,
)

from .datapath cimport Dataplane

import os
from time import monotonic_ns

SPIN_US = C_SPIN_US
STAGES = {stage_table[i].name.decode(): stage_table[i].text.decode() for i in range(N_STAGES)}
DROP_REASONS = {
    drop_table[i].name.decode(): drop_table[i].text.decode() for i in range(N_DROP_REASONS)
}


MODES = {"adaptive": WORKER_ADAPTIVE, "poll": WORKER_POLL, "interrupt": WORKER_INTERRUPT}
CACHING = {"measured": CACHE_MEASURED, "always": CACHE_ALWAYS, "never": CACHE_NEVER}


@cython.no_gc
cdef class Worker:
    # Its thread uses .handle without the GIL; see worker.pxd.

    def __cinit__(self, Dataplane dataplane not None, unsigned id, uint32_t packets=0):
        self.dataplane, self.id = dataplane, id
        if id >= DATAPLANE_WORKERS:
            raise ValueError(f"worker {id}: the highest is {DATAPLANE_WORKERS - 1}")
        if id in dataplane.workers and (<Worker> dataplane.workers[id]).handle is not NULL:
            raise ValueError(f"worker {id}: the number is taken")
        self.handle = worker_open(dataplane.handle, id, packets)
        if self.handle is NULL:
            raise MemoryError
        dataplane.workers[id] = self

    def __dealloc__(self):
        # Whoever runs it, and every bridge whose ports it polls, holds it: nobody is left.
        if self.handle is not NULL:
            self._close()

    def close(self):
        if self.running or self.n_lanes:
            why = "still runs" if self.running else f"polls {self.n_lanes} queues of ports"
            raise RuntimeError(f"worker {self.id} {why}")
        if self.handle is not NULL:
            self._close()

    cdef void _close(self) noexcept:
        while self.dataplane.n_barriers:
            with nogil:
                usleep(100)
        worker_close(self.handle)
        self.handle = NULL

    cdef worker *_open(self) except NULL:
        if self.handle is NULL:
            raise ValueError(f"worker {self.id} is closed")
        return self.handle

    def run(self):
        cdef worker *handle = self._open()

        if self.running:
            raise RuntimeError(f"worker {self.id} runs already")
        self.running = True
        with nogil:
            worker_run(handle)
        self.running = False

    def stop(self):
        worker_stop(self._open())

    def round(self):
        return self.rounds(1, at_most=1)

    def rounds(self, uint64_t packets, *, uint64_t at_most=0):
        cdef worker *handle = self._open()
        cdef epoch *readers = &self.dataplane.handle.epoch
        cdef uint64_t done = 0, n_rounds = 0

        if self.running:
            raise RuntimeError(f"worker {self.id} has a thread of its own")
        self.running = True
        with nogil:
            epoch_quiesce(readers, handle.id)     # From here on memory is kept for it.
            while done < packets and (not at_most or n_rounds < at_most):
                done += worker_round(handle)
                n_rounds += 1
            epoch_offline(readers, handle.id)
        self.running = False
        return done

    @property
    def mode(self):
        return _name(MODES, self._open().mode)

    @mode.setter
    def mode(self, str mode not None):
        self._open().mode = _number(MODES, mode, "mode")
        worker_wake(self.handle)

    @property
    def spin(self):
        return self._open().spin_us

    @spin.setter
    def spin(self, uint32_t spin):
        self._open().spin_us = spin

    @property
    def measuring(self):
        return not self._open().profile.off

    @measuring.setter
    def measuring(self, bint measuring):
        self._open().profile.off = not measuring

    @property
    def caching(self):
        return _name(CACHING, self._open().cache.mode)

    @caching.setter
    def caching(self, str caching not None):
        self._open().cache.mode = _number(CACHING, caching, "caching")

    def cache(self):
        counters = &self._open().cache
        return {"hits": counters.hits, "misses": counters.misses, "inserts": counters.inserts}

    def punt_fd(self):
        return self._open().punt_fd

    def punts(self, unsigned limit=256):
        cdef worker *handle = self._open()
        cdef buffer out
        cdef punt *packet
        cdef dict messages = {}
        cdef uint64_t now_ms

        now_ms = monotonic_ns() // 1000000
        _unsignal(handle.punt_fd)
        for _ in range(limit):
            packet = worker_punt_peek(handle)
            if packet is NULL:
                return messages
            out = buffer(data=NULL, len=0, size=0, failed=False)
            if packet.reason >= ROUTE_LOCAL:
                router_punt(handle.dataplane, packet, now_ms)
            elif packet.reason == PUNT_SNOOPED:
                bridge_hear(handle.dataplane, packet, now_ms)
            else:
                bridge_packet_in(packet, &out)
            if out.len:
                messages.setdefault(packet.bridge, []).append(out.data[:out.len])
            buffer_close(&out)
            worker_punt_consume(handle)
        if worker_punt_peek(handle) is not NULL:
            os.eventfd_write(handle.punt_fd, 1)     # The rest, after what else waits.
        return messages

    def profile(self):
        cdef const profile *told = &self._open().profile

        return {
            "packets": told.packets,
            "cycles": {stage_table[i].name.decode(): told.cycles[i] for i in range(N_STAGES)},
            "batches": {str(1 << i): told.batches[i] for i in range(PROFILE_SIZES)},
            "cache": self.cache(), "handovers": told.handovers,
            "rounds": told.rounds, "idle_rounds": told.idle_rounds,
            "sleeps": told.sleeps, "asleep_ns": told.asleep_ns,
        }

    def totals(self):
        return _totals(&self._open().totals)


def former_totals(Dataplane dataplane not None):
    return _totals(&dataplane.handle.former)


cdef dict _totals(const worker_counters *totals):
    return {
        "received": totals.received, "injected": totals.injected, "copied": totals.copied,
        "sent": totals.sent, "punted": totals.punted, "consumed": totals.consumed,
        "drops": {drop_table[i].name.decode(): totals.drops[i] for i in range(N_DROP_REASONS)},
    }


def _name(table, number):
    return next(name for name, value in table.items() if value == number)


def _number(table, name, what):
    if name not in table:
        raise ValueError(f"{what} {name!r}: it is one of {', '.join(table)}")
    return table[name]


cdef _unsignal(int fd):
    try:
        os.eventfd_read(fd)
    except BlockingIOError:
        pass    # It was not readable.
