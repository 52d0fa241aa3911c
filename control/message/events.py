"""Events: one publisher, any number of subscribers, nothing resent.

A message is two frames, the topic and an array of the events of that topic
which one turn of the event loop brought.  Each publisher numbers its events
per topic from 1, and says which start of it (incarnation) counts, so that a
subscriber sees what it missed and asks the datastore for a snapshot.
"""

import asyncio
import inspect
import logging
import time
import uuid
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Union

import msgspec
import zmq

from .catalogue import MESSAGES
from .drain import Drain, open_socket
from .envelope import VERSION, Message
from .raw import RawSocket

BATCH = 256  # events in a message
BACKLOG = 10_000  # events that wait for a subscriber's handler

log = logging.getLogger(__name__)


if TYPE_CHECKING:
    Body = Message | dict[str, Any]
else:  # what msgspec can tell apart
    Body = Union[(*MESSAGES, dict[str, Any])]


class Wire(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An event as it travels; the topic is the frame in front of it."""

    version: int
    source: str
    incarnation: str
    sequence: int
    time: float  # Unix seconds
    body: Body


class Event(Wire, frozen=True, gc=False):
    """An event as a subscriber gets it."""

    topic: str = ""  # filled in from its frame


class Gap(msgspec.Struct, frozen=True):
    """Events of a topic that a subscriber did not get."""

    source: str
    topic: str
    missed: int


Handler = Callable[[Event], Awaitable[None] | None]
GapHandler = Callable[[Gap], None]

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Event])
_name: Callable[[Event, str, str], None] = msgspec.structs.force_setattr


class _Line:
    """The events of a topic that wait to be sent, encoded one after the other."""

    __slots__ = ("count", "data", "sequence", "topic")

    def __init__(self, topic: str) -> None:
        self.topic = topic.encode()
        self.sequence = 0
        self.count = 0
        self.data = bytearray()

    def take(self) -> bytes:
        """Return them as a msgpack array, and begin anew."""
        head = bytes([0x90 | self.count]) if self.count < 16 else b"\xdc" + self.count.to_bytes(2)
        batch = head + self.data
        self.count = 0
        self.data.clear()
        return batch


class Publisher:
    """Send events to *endpoint*, where the bus listens; never wait for anybody."""

    def __init__(
        self,
        context: zmq.SyncContext,
        endpoint: str,
        source: str,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.source = source
        self.counters: Counter[str] = Counter()
        self._clock = clock
        self._incarnation = uuid.uuid4().hex[:12]
        self._lines: dict[str, _Line] = {}
        self._waiting: list[_Line] = []
        self._flushes_soon = False
        self._socket = open_socket(context, zmq.PUB, XPUB_NODROP=1)  # so that it says what it drops
        self._socket.connect(endpoint)
        self._raw = RawSocket(self._socket)

    def publish(self, topic: str, body: Message | dict[str, Any]) -> int:
        """Send an event at the end of this turn of the loop; return its number."""
        line = self._lines.get(topic)
        if line is None:
            line = self._lines[topic] = _Line(topic)
        number, size = line.sequence + 1, len(line.data)
        event = Wire(VERSION, self.source, self._incarnation, number, self._clock(), body)
        try:
            _encoder.encode_into(event, line.data, -1)
        except BaseException:
            del line.data[size:]
            raise
        line.sequence = number
        line.count += 1
        if line.count == 1:
            self._waiting.append(line)
            if not self._flushes_soon:
                self._flushes_soon = True
                asyncio.get_running_loop().call_soon(self._end_turn)
        elif line.count == BATCH:
            self.flush()
        return number

    def flush(self) -> None:
        """Send what waits."""
        waiting, self._waiting = self._waiting, []
        for line in waiting:
            self._send(line)

    def close(self) -> None:
        """Send what waits and close the socket, without waiting for it to leave."""
        if not self._socket.closed:
            self.flush()
            self._socket.close(linger=100)

    def _end_turn(self) -> None:
        self._flushes_soon = False
        self.flush()

    def _send(self, line: _Line) -> None:
        count = line.count
        try:
            self._raw.send((line.topic, line.take()))
        except zmq.Again:
            self.counters["dropped"] += count
        self.counters["published"] += count


class _Seen:
    """The last event that was seen of a source and topic."""

    __slots__ = ("incarnation", "sequence", "source", "topic")

    def __init__(self, source: str, topic: str, incarnation: str, sequence: int) -> None:
        self.source = source
        self.topic = topic
        self.incarnation = incarnation
        self.sequence = sequence


class Subscriber:
    """Receive the events of *topics* (prefixes) and hand them on, one at a time.

    The handler may be a coroutine function.  A slow one delays nobody else:
    events wait in a bounded queue, and those beyond it are dropped, counted
    and seen as a gap.  An exception of a handler is logged and counted.
    """

    def __init__(
        self,
        context: zmq.SyncContext,
        endpoint: str,
        topics: Iterable[str],
        handler: Handler,
        *,
        on_gap: GapHandler | None = None,
        backlog: int = BACKLOG,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._handler = handler
        self._on_gap = on_gap
        self._backlog = backlog
        self._waiting: deque[Event] = deque()
        self._lines: dict[tuple[str, str], _Seen] = {}
        self._seen = _Seen("", "", "", 0)  # the line of the last event
        self._task: asyncio.Task[None] | None = None  # while a handler is awaited
        socket = open_socket(context, zmq.SUB)
        for topic in topics:
            socket.setsockopt(zmq.SUBSCRIBE, topic.encode())
        socket.connect(endpoint)
        self._drain = Drain(socket, self._receive)

    def close(self) -> None:
        """Stop receiving; events that wait are forgotten."""
        self._drain.close()
        if self._task:
            self._task.cancel()

    def _receive(self, frames: list[bytes]) -> None:
        try:
            topic, batch = frames
            name, events = topic.decode(), _decoder.decode(batch)
        except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            self.counters["malformed"] += 1
            log.debug("dropped a message: %s", error)
            return
        for event in events:
            _name(event, "topic", name)
            if event.version != VERSION:
                self.counters["malformed"] += 1
            elif self._task is None:
                if (work := self._handle(event)) is not None:
                    self._task = asyncio.create_task(self._work_off(work))
            elif len(self._waiting) < self._backlog:
                self._waiting.append(event)
            else:
                self.counters["dropped"] += 1

    async def _work_off(self, work: Awaitable[None] | None) -> None:
        """Await what a handler has begun, then handle the events that came meanwhile."""
        while True:
            if work is not None:
                await self._guard(work)
            if not self._waiting:
                break
            work = self._handle(self._waiting.popleft())
        self._task = None

    async def _guard(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception:  # one event must not cost the others
            self._failed("a handler")

    def _handle(self, event: Event) -> Awaitable[None] | None:
        """Give an event to the handler; return what is left to await."""
        seen = self._seen
        if not (
            event.sequence == seen.sequence + 1
            and event.incarnation == seen.incarnation
            and event.topic == seen.topic
            and event.source == seen.source
        ):
            seen = self._seen = self._look_for_a_gap(event)
        seen.sequence = event.sequence
        self.counters["received"] += 1
        try:
            work = self._handler(event)
        except Exception:  # as in _guard
            self._failed(f"the handler of {event.topic}")
            return None
        return work if work is not None and inspect.isawaitable(work) else None

    def _look_for_a_gap(self, event: Event) -> _Seen:
        """Return what was seen of the event's line before it, and tell what is missing."""
        key = event.source, event.topic
        seen = self._lines.get(key)
        if seen is None:  # joined late: whoever subscribes begins with a snapshot
            seen = self._lines[key] = _Seen(*key, event.incarnation, event.sequence)
            return seen
        expected = seen.sequence + 1 if seen.incarnation == event.incarnation else 1
        seen.incarnation = event.incarnation
        missed = event.sequence - expected
        if missed > 0:
            self.counters["missed"] += missed
            self._tell(Gap(event.source, event.topic, missed))
        return seen

    def _tell(self, gap: Gap) -> None:
        if self._on_gap:
            try:
                self._on_gap(gap)
            except Exception:  # as in _guard
                self._failed(f"the gap handler of {gap.topic}")

    def _failed(self, what: str) -> None:
        self.counters["failed"] += 1
        log.exception("%s failed", what)
