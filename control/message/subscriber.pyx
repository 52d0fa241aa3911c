"""The receiver of events: compiled, because each event of a busy topic passes here."""

import asyncio
import inspect
import logging
import sys
from collections import Counter, deque

cimport cython

import msgspec
import zmq

from .drain import Drain, open_socket
from .envelope import VERSION
from .events import BACKLOG, Batch, Gap
from .exhaustion import end_if_exhausted

log = logging.getLogger(__name__)

cdef object _decode = msgspec.msgpack.Decoder(Batch).decode
cdef object _version = VERSION


@cython.freelist(256)
@cython.final
@cython.no_gc
cdef class Event:
    # See subscriber.pyi.

    cdef readonly str source, incarnation, topic
    cdef readonly long long sequence
    cdef readonly double time
    cdef readonly object body

    def __repr__(self):
        return f"Event({self.topic!r}, {self.source!r}, {self.sequence}, {self.body!r})"


cdef class _Seen:
    """The last event that was handled of a source and topic."""

    cdef str incarnation
    cdef long long sequence

    def __init__(self, str incarnation, long long sequence):
        self.incarnation = incarnation
        self.sequence = sequence


cdef class Subscriber:
    # See subscriber.pyi.

    cdef readonly object counters
    cdef object handler, on_gap, drain
    cdef object waiting         # what was seen before, event: what handle() takes
    cdef Py_ssize_t backlog
    cdef dict seen              # by source and topic
    cdef object task            # while a handler is awaited

    def __init__(self, context, endpoint, topics, handler, *, on_gap=None, backlog=BACKLOG):
        self.counters = Counter()
        self.handler = handler
        self.on_gap = on_gap
        self.backlog = backlog
        self.waiting = deque()
        self.seen = {}
        socket = open_socket(context, zmq.SUB)
        for topic in topics:
            socket.setsockopt(zmq.SUBSCRIBE, topic.encode())
        socket.connect(endpoint)
        self.drain = Drain(socket, self._receive)

    def close(self):
        self.drain.close()
        if self.task is not None:
            self.task.cancel()

    def _receive(self, list frames):
        cdef str topic, source, incarnation
        cdef list items
        cdef tuple item
        cdef _Seen seen
        cdef Event event
        cdef long long number

        try:
            name, data = frames
            topic, batch = name.decode(), _decode(data)
            if batch.version != _version:
                raise ValueError(f"version {batch.version}, this component speaks {VERSION}")
        except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            self.counters["malformed"] += 1
            log.debug("dropped a message: %s", error)
            return
        source, incarnation = batch.source, batch.incarnation
        number, items = batch.first, batch.events
        seen = self.line(source, topic, incarnation, number)
        self.counters["received"] += len(items)
        for number, item in enumerate(items, number):
            event = Event.__new__(Event)
            event.source, event.incarnation, event.topic = source, incarnation, topic
            event.sequence, event.time, event.body = number, item[0], item[1]
            if self.task is None:
                work = self.handle(seen, event)
                if work is not None:
                    self.task = asyncio.create_task(self._work_off(work))
            elif len(self.waiting) < self.backlog:
                self.waiting.append((seen, event))
            else:
                self.counters["dropped"] += 1

    async def _work_off(self, work):
        """Await what a handler has begun, then handle the events that came meanwhile."""
        while True:
            if work is not None:
                try:
                    await work
                except Exception:  # one event must not cost the others
                    self.failed("a handler")
            if not self.waiting:
                break
            seen, event = self.waiting.popleft()
            work = self.handle(seen, event)
        self.task = None

    cdef _Seen line(self, str source, str topic, str incarnation, long long number):
        """Return what was seen of a source and topic, of which *number* comes now."""
        cdef _Seen seen = self.seen.get((source, topic))

        if seen is None:        # joined late: whoever subscribes begins with a snapshot
            seen = self.seen[source, topic] = _Seen(incarnation, number - 1)
        return seen

    cdef handle(self, _Seen seen, Event event):
        """Give an event to the handler; return what is left to await."""
        if event.sequence != seen.sequence + 1 or event.incarnation != seen.incarnation:
            self.look_for_a_gap(seen, event)
        seen.sequence = event.sequence
        try:
            work = self.handler(event)
        except Exception:       # as in _work_off
            self.failed(f"the handler of {event.topic}")
            return None
        return work if work is not None and inspect.isawaitable(work) else None

    cdef look_for_a_gap(self, _Seen seen, Event event):
        """Tell what is missing before an event."""
        cdef long long missed

        if event.incarnation != seen.incarnation:
            seen.incarnation, seen.sequence = event.incarnation, 0
        missed = event.sequence - seen.sequence - 1
        if missed <= 0:
            return
        self.counters["missed"] += missed
        if self.on_gap is not None:
            try:
                self.on_gap(Gap(event.source, event.topic, missed))
            except Exception:   # as in _work_off
                self.failed(f"the gap handler of {event.topic}")

    cdef failed(self, what):
        end_if_exhausted(sys.exception())
        self.counters["failed"] += 1
        log.exception("%s failed", what)
