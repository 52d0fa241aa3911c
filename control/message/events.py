"""Events: one publisher, any number of subscribers, nothing resent.

A message is two frames, the topic and those events of it which one turn of the
event loop brought, behind what they have in common.  Each publisher numbers its
events per topic from 1, and says which start of it (incarnation) counts, so that
a subscriber sees what it missed and asks the datastore for a snapshot.
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


class Item(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an event has of its own."""

    time: float  # Unix seconds
    body: Body


class Batch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Events as they travel; the topic is the frame in front of them."""

    version: int
    source: str
    incarnation: str
    first: int  # number of the first; the others follow it without a gap
    events: list[Item]


class _Written(Batch, frozen=True, gc=False):
    """The same, when the events are bytes already."""

    events: msgspec.Raw  # type: ignore[assignment]  # another type on purpose


class Event(msgspec.Struct, frozen=True, gc=False):
    """An event as a subscriber gets it."""

    source: str
    incarnation: str
    sequence: int
    time: float  # Unix seconds
    topic: str
    body: Body


class Gap(msgspec.Struct, frozen=True):
    """Events of a topic that a subscriber did not get."""

    source: str
    topic: str
    missed: int


Handler = Callable[[Event], Awaitable[None] | None]
GapHandler = Callable[[Gap], None]

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Batch)


class _Line:
    """The events of a topic that wait to be sent, encoded one after the other."""

    __slots__ = ("count", "data", "sequence", "topic")

    def __init__(self, topic: str) -> None:
        self.topic = topic.encode()
        self.sequence = 0
        self.count = 0
        self.data = bytearray()

    def take(self, source: str, incarnation: str) -> bytes:
        """Return them as a message, and begin anew."""
        head = bytes([0x90 | self.count]) if self.count < 16 else b"\xdc" + self.count.to_bytes(2)
        events = msgspec.Raw(head + self.data)
        first = self.sequence - self.count + 1
        self.count = 0
        self.data.clear()
        return _encoder.encode(_Written(VERSION, source, incarnation, first, events))


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
        size = len(line.data)
        try:
            _encoder.encode_into(Item(self._clock(), body), line.data, -1)
        except BaseException:
            del line.data[size:]
            raise
        line.sequence += 1
        line.count += 1
        if line.count == 1:
            self._waiting.append(line)
            if not self._flushes_soon:
                self._flushes_soon = True
                asyncio.get_running_loop().call_soon(self._end_turn)
        elif line.count == BATCH:
            self.flush()
        return line.sequence

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
            self._raw.send((line.topic, line.take(self.source, self._incarnation)))
        except zmq.Again:
            self.counters["dropped"] += count
        self.counters["published"] += count


class _Seen:
    """The last event that was seen of a source and topic."""

    __slots__ = ("incarnation", "sequence")

    def __init__(self, incarnation: str, sequence: int) -> None:
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
        self._seen: dict[tuple[str, str], _Seen] = {}  # by source and topic
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
            topic, data = frames
            name, batch = topic.decode(), _decoder.decode(data)
            if batch.version != VERSION:
                raise ValueError(f"version {batch.version}, this component speaks {VERSION}")
        except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            self.counters["malformed"] += 1
            log.debug("dropped a message: %s", error)
            return
        source, incarnation = batch.source, batch.incarnation
        events = [
            Event(source, incarnation, number, item.time, name, item.body)
            for number, item in enumerate(batch.events, batch.first)
        ]
        self.counters["received"] += len(events)
        if events and self._task is None and (work := self._hand_on(events)) is not None:
            self._task = asyncio.create_task(self._work_off(work))
        for event in events:
            if len(self._waiting) < self._backlog:
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
            work = self._hand_on([self._waiting.popleft()])
        self._task = None

    async def _guard(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception:  # one event must not cost the others
            self._failed("a handler")

    def _hand_on(self, events: list[Event]) -> Awaitable[None] | None:
        """Give events that follow one another to the handler, and take them off the list.

        Stop at one of which something is left to await, and return that.
        """
        seen, handler = self._follow(events[0]), self._handler
        for event in events:
            try:
                work = handler(event)
            except Exception:  # as in _guard
                self._failed(f"the handler of {event.topic}")
                continue
            if work is not None and inspect.isawaitable(work):
                break
        else:
            work = None
        del events[: event.sequence - seen.sequence + 1]
        seen.sequence = event.sequence
        return work

    def _follow(self, event: Event) -> _Seen:
        """Note the next event of its line, and tell what is missing before it."""
        key = event.source, event.topic
        seen = self._seen.get(key)
        if seen is None:  # joined late: whoever subscribes begins with a snapshot
            seen = self._seen[key] = _Seen(event.incarnation, event.sequence - 1)
        elif event.incarnation != seen.incarnation:
            seen.incarnation, seen.sequence = event.incarnation, 0
        missed = event.sequence - seen.sequence - 1
        seen.sequence = event.sequence
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
