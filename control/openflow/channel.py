"""The asyncio end of an OpenFlow session: sockets and timers, no protocol.

A Channel drives one Session over whatever transport the loop gives it; who
makes channels is in reach.py, the transports are in transport.py.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Protocol

from ..message.exhaustion import end_if_exhausted
from .answers import Answer
from .asking import Post
from .session import Session

LINGER = 5.0  # seconds for the last bytes to leave
HIGH_WATER = 1 << 18  # unsent bytes above which a controller is not read

log = logging.getLogger(__name__)


class Owner(Protocol):
    """Who has channels: told of each that comes, is ready to be used, and goes."""

    def joined(self, channel: "Channel") -> None: ...
    def ready(self, channel: "Channel") -> None: ...
    def left(self, channel: "Channel") -> None: ...


class Channel(asyncio.Protocol):
    """Drive one session from the running loop; ask the dataplane by *post*."""

    def __init__(
        self,
        name: str,
        make: Callable[[float], Session],
        post: Post,
        owner: Owner,
        level: int = logging.INFO,
    ) -> None:
        self.name = name
        self._level = level  # of what is logged about an ordinary end
        self.peer = ""
        self.gone = asyncio.Event()
        self._owner = owner
        self._post = post
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._choked = False
        self._ready = False

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the controller."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER)
        names = (transport.get_extra_info(name) for name in ("peername", "sockname"))
        self.peer = next(filter(None, map(written, names)), "")
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
        self.session.close(str(exc) if exc else "the connection was closed")
        log.log(self._level, "%s %s: %s", self.name, self.peer, self.session.closed)
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
        if self.session.up and not self._ready:
            self._ready = True
            self._owner.ready(self)
        for ticket, ask in self.session.asks():
            self._post(ask, partial(self._answered, ticket))
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
        """Look at the session when its deadline passes; a timer that is early is left as it is."""
        deadline = self.session.deadline
        if self._timer and self._timer.when() <= deadline:
            return
        if self._timer:
            self._timer.cancel()
        self._timer = None if deadline == math.inf else self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.session.tick(self._loop.time())
        self.flush()

    def _answered(self, ticket: int, answer: Answer) -> None:
        """Take an answer; where that fails it takes the channel down, and nothing else."""
        try:
            self.session.answer(ticket, answer)
            self.flush()
        except Exception as error:  # other channels go on
            end_if_exhausted(error)
            log.exception("%s %s: a request failed", self.name, self.peer)
            self.close("a request failed")


def written(address: object) -> str:
    """Write an address as people do."""
    if isinstance(address, tuple) and len(address) >= 2:
        host, port = address[0], address[1]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    return str(address or "")
