"""Where zebra connects, and says all that it has, and then every change."""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from .events import Event
from .fpm import BadFrame, Framer
from .namespace import inside

Place = tuple[str, str, int]  # namespace, address, port

log = logging.getLogger(__name__)


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.create_server((address, port), family=family, backlog=4)
    listening.setblocking(False)
    return listening


class Listener(NamedTuple):
    """Who hears a zebra."""

    on_event: Callable[[Event], None]
    on_turn: Callable[[], None]  # after the events that came together
    on_link: Callable[[bool], None]  # it has come, or gone


class FpmServer:
    """Listen in a namespace.  One zebra at a time is heard, the last that came."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.listeners: list[Listener] = []
        self.session: Session | None = None

    async def open(self, namespace: str, address: str, port: int) -> None:
        """Begin to listen; OSError if that cannot be done."""
        listening = inside(namespace, lambda: _listen(address, port))
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Session(self), sock=listening)

    def close(self) -> None:
        """Listen no more, and let zebra go."""
        self._server.close()
        self.hear_anew()

    def hear_anew(self) -> None:
        """Let zebra go, without a word of it: it comes back and says all again."""
        session, self.session = self.session, None
        if session:
            session.end()

    def on_link(self, is_there: bool) -> None:
        """Tell that zebra has come, or gone."""
        for listener in self.listeners:
            listener.on_link(is_there)

    def on_events(self, events: list[Event]) -> None:
        """Tell what zebra has said."""
        for listener in self.listeners:
            for event in events:
                listener.on_event(event)
            listener.on_turn()


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
        self._server.on_events(events)

    def end(self) -> None:
        """Close the connection."""
        self._transport.abort()


class FpmServers:
    """Where zebra is awaited; routers that are VRFs of one zebra share the place."""

    def __init__(self) -> None:
        self._servers: dict[Place, FpmServer] = {}

    async def join(self, place: Place, listener: Listener) -> FpmServer:
        """Listen at a place, or hear who is there already; OSError if that cannot be done."""
        server = self._servers.get(place)
        if server is None:
            server = FpmServer()
            await server.open(*place)
            self._servers[place] = server
        server.listeners.append(listener)
        server.hear_anew()
        return server

    def leave(self, place: Place, listener: Listener) -> None:
        """Hear it no more, and listen no more where nobody hears."""
        server = self._servers[place]
        server.listeners.remove(listener)
        if not server.listeners:
            self._servers.pop(place).close()
