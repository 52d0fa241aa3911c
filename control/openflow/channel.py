"""The asyncio end of an OpenFlow session: sockets and timers, no protocol.

A Channel drives one Session.  A Dialer keeps one to an address, a Listener
makes one for each controller that connects.  Both open what *Opener* and the
loop give them; another transport (TLS, a Unix socket) is another opener.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Protocol

from .answers import Answer, Ask
from .backoff import Backoff
from .session import Session

CONNECT_TIMEOUT = 10.0  # seconds
BIND_RETRY = 5.0  # longest pause between attempts to listen
LINGER = 5.0  # seconds for the last bytes to leave
HIGH_WATER = 1 << 18  # unsent bytes above which a controller is not read

log = logging.getLogger(__name__)

Asker = Callable[[Ask], Awaitable[Answer]]


class Owner(Protocol):
    """Who has channels: told of each that comes and goes."""

    def joined(self, channel: "Channel") -> None: ...
    def left(self, channel: "Channel") -> None: ...


class Channel(asyncio.Protocol):
    """Drive one session from the running loop; ask the dataplane by *ask*."""

    def __init__(
        self, name: str, make: Callable[[float], Session], ask: Asker, owner: Owner
    ) -> None:
        self.name = name
        self.peer = ""
        self.gone = asyncio.Event()
        self._owner = owner
        self._ask = ask
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._asking: set[asyncio.Task[None]] = set()
        self._choked = False

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the controller."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER)
        self.peer = _written(transport.get_extra_info("peername"))
        self.session = self._make(self._loop.time())
        self._owner.joined(self)
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Hand bytes to the session."""
        self.session.receive(data, self._loop.time())
        self.flush()

    def pause_writing(self) -> None:
        """Stop reading a controller that does not read."""
        self._choked = True
        self._throttle()

    def resume_writing(self) -> None:
        """Read again."""
        self._choked = False
        self._throttle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        if self._timer:
            self._timer.cancel()
        for task in self._asking:
            task.cancel()
        self.session.close(str(exc) if exc else "the connection was closed")
        log.info("%s %s: %s", self.name, self.peer, self.session.closed)
        self._owner.left(self)
        self.gone.set()

    # What the owner calls.

    def push(self, kind: str, data: bytes) -> None:
        """Pass on asynchronous messages."""
        if self._transport is None or self.gone.is_set():
            return
        self.session.push(kind, data, self._transport.get_write_buffer_size())
        self.flush()

    def close(self, why: str) -> None:
        """End the session and the connection."""
        if self._transport is not None and not self.gone.is_set():
            self.session.close(why)
            self.flush()

    def flush(self) -> None:
        """Do what the session wants done: write, ask, wait, close."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if data := self.session.to_send():
            transport.write(data)
        for ticket, ask in self.session.asks():
            task = self._loop.create_task(self._carry(ticket, ask))
            self._asking.add(task)
            task.add_done_callback(self._carried)
        if self.session.closed is not None:
            self._hang_up(transport)
            return
        self._throttle()
        self._set_timer()

    def _hang_up(self, transport: asyncio.Transport) -> None:
        """Close; at once where the controller leaves too much unread."""
        if transport.get_write_buffer_size() > HIGH_WATER:
            transport.abort()
            return
        transport.close()
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(LINGER, transport.abort)

    def _throttle(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._choked or self.session.busy:
            transport.pause_reading()
        else:
            transport.resume_reading()

    def _set_timer(self) -> None:
        deadline = self.session.deadline
        if self._timer and self._timer.when() == deadline and not self._timer.cancelled():
            return
        if self._timer:
            self._timer.cancel()
        self._timer = None if deadline == math.inf else self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.session.tick(self._loop.time())
        self.flush()

    async def _carry(self, ticket: int, ask: Ask) -> None:
        self.session.answer(ticket, await self._ask(ask))
        self.flush()

    def _carried(self, task: asyncio.Task[None]) -> None:
        """A failed request takes the channel down, and nothing else."""
        self._asking.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("%s %s: a request failed", self.name, self.peer, exc_info=error)
            self.close("a request failed")


Opener = Callable[[Callable[[], Channel]], Awaitable[Channel]]


class Dialer:
    """Keep a channel to one address: connect, wait for its end, pause, connect again."""

    def __init__(self, opener: Opener, factory: Callable[[], Channel], max_backoff: float) -> None:
        self._opener = opener
        self._factory = factory
        self._backoff = Backoff(max_backoff)
        self._channel: Channel | None = None
        self.trouble = ""  # why there is no connection
        self._task = asyncio.create_task(self._dial())

    async def close(self) -> None:
        """Hang up and stay so."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._channel:
            self._channel.close("no longer configured")

    async def _dial(self) -> None:
        while True:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    self._channel = await self._opener(self._factory)
            except (OSError, TimeoutError) as error:
                self._failed(str(error) or "timed out")
            else:
                await self._talk(self._channel)
            await asyncio.sleep(self._backoff.failed())

    async def _talk(self, channel: Channel) -> None:
        self.trouble = ""
        await channel.gone.wait()
        if channel.session.up:
            self._backoff.succeeded()
        self.trouble = channel.session.closed or ""
        self._channel = None

    def _failed(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("%s", trouble)
        self.trouble = trouble


def tcp(host: str, port: int) -> Opener:
    """Return what opens a TCP connection to a controller."""

    async def dial(factory: Callable[[], Channel]) -> Channel:
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_connection(factory, host, port)
        return channel

    return dial


class Listener:
    """Make a channel for each controller that connects; if it cannot bind, say so and retry."""

    def __init__(self, host: str, port: int, factory: Callable[[], Channel]) -> None:
        self._host, self._port = host, port
        self._factory = factory
        self._backoff = Backoff(BIND_RETRY)
        self._server: asyncio.Server | None = None
        self.trouble = ""
        self.bound = asyncio.Event()
        self._task = asyncio.create_task(self._bind())

    @property
    def port(self) -> int:
        """The port that is bound, once *bound* is set."""
        if self._server is None:
            return self._port
        number: int = self._server.sockets[0].getsockname()[1]
        return number

    async def close(self) -> None:
        """Stop listening; the owner closes the channels."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._server:
            self._server.close()

    async def _bind(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                self._server = await loop.create_server(self._factory, self._host, self._port)
            except OSError as error:
                if str(error) != self.trouble:
                    log.error("cannot listen on %s:%d: %s", self._host, self._port, error)
                self.trouble = str(error)
                await asyncio.sleep(self._backoff.failed())
                continue
            self.trouble = ""
            self.bound.set()
            return


def _written(address: object) -> str:
    """Write an address as people do."""
    if isinstance(address, tuple) and len(address) >= 2:
        host, port = address[0], address[1]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    return str(address or "")
