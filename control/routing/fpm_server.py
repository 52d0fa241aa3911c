"""Where zebra connects, and says all that it has, and then every change."""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable

from .events import Event
from .fpm import BadFrame, Framer
from .namespace import inside

log = logging.getLogger(__name__)


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.create_server((address, port), family=family, backlog=4)
    listening.setblocking(False)
    return listening


class FpmServer:
    """Listen in a namespace.  One zebra at a time is heard, the last that came."""

    def __init__(
        self,
        on_event: Callable[[Event], None],
        on_turn: Callable[[], None],
        on_link: Callable[[bool], None],
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.on_event, self.on_turn, self.on_link = on_event, on_turn, on_link
        self.session: Session | None = None

    async def open(self, namespace: str, address: str, port: int) -> None:
        """Begin to listen; OSError if that cannot be done."""
        listening = inside(namespace, lambda: _listen(address, port))
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Session(self), sock=listening)

    def close(self) -> None:
        """Listen no more, and let zebra go."""
        self._server.close()
        session, self.session = self.session, None
        if session:
            session.end()


class Session(asyncio.Protocol):
    """A connection of zebra."""

    def __init__(self, server: FpmServer) -> None:
        self._server = server
        self._framer = Framer()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the place of an earlier connection, which zebra has given up."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        earlier, self._server.session = self._server.session, self
        if earlier:
            earlier.end()
        self._server.counters["connections"] += 1
        self._server.on_link(True)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell of it, unless another has come or nobody listens any more."""
        if self._server.session is self:
            self._server.session = None
            self._server.on_link(False)

    def data_received(self, data: bytes) -> None:
        """Take what has come; a stream of something else ends."""
        if self._server.session is not self:
            return
        counters = self._server.counters
        events: list[Event] = []
        try:
            self._framer.feed(data, events, counters)
        except BadFrame as error:
            counters["broken"] += 1
            log.warning("the connection of zebra ends: %s", error)
            self._transport.abort()
        counters["events"] += len(events)
        for event in events:
            self._server.on_event(event)
        self._server.on_turn()

    def end(self) -> None:
        """Close the connection."""
        self._transport.abort()
