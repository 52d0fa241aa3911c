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

BATCH = 64  # events in a message
BACKLOG = 10_000  # events that wait for a subscriber's handler

log = logging.getLogger(__name__)


if TYPE_CHECKING:
    Body = Message | dict[str, Any]
else:  # what msgspec can tell apart
    Body = Union[(*MESSAGES, dict[str, Any])]


class Wire(msgspec.Struct, frozen=True, array_like=True):
    """An event as it travels; the topic is the frame in front of it."""

    version: int
    source: str
    incarnation: str
    sequence: int
    time: float  # Unix seconds
    body: Body


class Event(Wire, frozen=True):
    """An event as a subscriber gets it."""

    topic: str


class Gap(msgspec.Struct, frozen=True):
    """Events of a topic that a subscriber did not get."""

    source: str
    topic: str
    missed: int


Handler = Callable[[Event], Awaitable[None] | None]
GapHandler = Callable[[Gap], None]

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Wire])


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
        self._sequence: Counter[str] = Counter()
        self._batches: dict[str, list[Wire]] = {}
        self._flush_soon: asyncio.Handle | None = None
        self._socket = open_socket(context, zmq.PUB)
        self._socket.connect(endpoint)

    def publish(self, topic: str, body: Message | dict[str, Any]) -> int:
        """Send an event at the end of this turn of the loop; return its number."""
        raw: Any = msgspec.Raw(_encoder.encode(body))  # fails here, not in the loop
        self._sequence[topic] = sequence = self._sequence[topic] + 1
        event = Wire(VERSION, self.source, self._incarnation, sequence, self._clock(), raw)
        batch = self._batches.setdefault(topic, [])
        batch.append(event)
        self.counters["published"] += 1
        if len(batch) >= BATCH:
            self.flush()
        elif self._flush_soon is None:
            self._flush_soon = asyncio.get_running_loop().call_soon(self.flush)
        return sequence

    def flush(self) -> None:
        """Send what waits."""
        if self._flush_soon:
            self._flush_soon.cancel()
            self._flush_soon = None
        batches, self._batches = self._batches, {}
        for topic, events in batches.items():
            self._send(topic, events)

    def close(self) -> None:
        """Send what waits and close the socket, without waiting for it to leave."""
        if not self._socket.closed:
            self.flush()
            self._socket.close(linger=100)

    def _send(self, topic: str, events: list[Wire]) -> None:
        try:
            self._socket.send_multipart([topic.encode(), _encoder.encode(events)], zmq.NOBLOCK)
        except zmq.Again:
            self.counters["dropped"] += len(events)


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
        self._wake = asyncio.Event()
        self._last: dict[tuple[str, str], tuple[str, int]] = {}
        socket = open_socket(context, zmq.SUB)
        for topic in topics:
            socket.setsockopt(zmq.SUBSCRIBE, topic.encode())
        socket.connect(endpoint)
        self._drain = Drain(socket, self._receive)
        self._task = asyncio.create_task(self._dispatch())

    def close(self) -> None:
        """Stop receiving; events that wait are forgotten."""
        self._drain.close()
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
            if event.version != VERSION:
                self.counters["malformed"] += 1
            elif len(self._waiting) >= self._backlog:
                self.counters["dropped"] += 1
            else:
                self._waiting.append(_received(event, name))
        self._wake.set()

    async def _dispatch(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                event = self._waiting.popleft()
                self._look_for_a_gap(event)
                await self._handle(event)

    async def _handle(self, event: Event) -> None:
        self.counters["received"] += 1
        try:
            result = self._handler(event)
            if inspect.isawaitable(result):
                await result
        except Exception:  # one event must not cost the others
            self.counters["failed"] += 1
            log.exception("the handler of %s failed", event.topic)

    def _look_for_a_gap(self, event: Event) -> None:
        key = event.source, event.topic
        known = self._last.get(key)
        self._last[key] = event.incarnation, event.sequence
        if known is None:
            return  # joined late: whoever subscribes begins with a snapshot
        incarnation, last = known
        expected = last + 1 if incarnation == event.incarnation else 1
        missed = event.sequence - expected
        if missed <= 0:
            return
        self.counters["missed"] += missed
        if self._on_gap:
            try:
                self._on_gap(Gap(event.source, event.topic, missed))
            except Exception:  # as in _handle
                self.counters["failed"] += 1
                log.exception("the gap handler of %s failed", event.topic)


def _received(event: Wire, topic: str) -> Event:
    return Event(
        event.version,
        event.source,
        event.incarnation,
        event.sequence,
        event.time,
        event.body,
        topic,
    )
