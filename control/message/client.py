"""The calling end of a control socket."""

import asyncio
import itertools
import time
import uuid
from collections.abc import Callable, Iterable
from typing import TypeVar, cast

import zmq

from . import catalogue
from .drain import Drain, open_socket
from .envelope import VERSION, Kind, Malformed, Message, Request, pack, unpack
from .failure import CallError, Code, Failure

FIRST_RETRY, LAST_RETRY = 0.25, 2.0  # seconds between repetitions of a request
CONNECT_RETRY = 0.02  # seconds until a socket without a peer is tried again

R = TypeVar("R")


class ControlClient:
    """Send requests to one endpoint; make it inside a running loop.

    A request that gets no reply is sent again under the same id, which the
    server applies once.  A peer that is not there is waited for until the
    time-out.  At most *window* requests are in the air.
    """

    def __init__(
        self,
        context: zmq.SyncContext,
        endpoint: str,
        *,
        window: int = 256,
        retry: float = FIRST_RETRY,
        extra: Iterable[type[Message]] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.endpoint = endpoint
        self.malformed = 0
        self.repeated = 0
        self._clock = clock
        self._retry = retry
        self._decoder = catalogue.decoder(extra)
        self._ids = itertools.count(1)
        self._window = asyncio.Semaphore(window)
        self._turn = asyncio.Lock()
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        identity = b"c" + uuid.uuid4().bytes
        socket = open_socket(context, zmq.DEALER, ROUTING_ID=identity, IMMEDIATE=1)
        socket.connect(endpoint)
        self._drain = Drain(socket, self._receive)

    async def call(self, request: Request[R], timeout: float = 5.0) -> R:
        """Return the reply to *request*, or raise CallError."""
        ident = next(self._ids)
        frame = pack(Kind.REQUEST, ident, request, round((self._clock() + timeout) * 1000))
        try:
            async with asyncio.timeout(timeout), self._window:
                reply = await self._exchange(ident, frame)
        except TimeoutError:
            name = type(request).__name__
            reason = f"no reply to {name} from {self.endpoint} within {timeout:g} s"
            raise CallError(Failure(Code.TIMEOUT, reason)) from None
        if isinstance(reply, Failure):
            raise CallError(reply)
        return cast(R, reply)

    def close(self) -> None:
        """Close the socket; calls that wait fail as UNAVAILABLE."""
        self._drain.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_result(Failure(Code.UNAVAILABLE, f"{self.endpoint} was closed"))

    async def _exchange(self, ident: int, frame: bytes) -> Message:
        if self._drain.socket.closed:
            return Failure(Code.UNAVAILABLE, f"{self.endpoint} was closed")
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[ident] = future
        pause = self._retry
        try:
            async with self._turn:  # in order, also while there is nobody to send to
                while not future.done() and not self._sent(frame):
                    await asyncio.wait([future], timeout=CONNECT_RETRY)
            while not future.done():
                await asyncio.wait([future], timeout=pause)
                pause = min(2 * pause, LAST_RETRY)
                if not future.done() and self._sent(frame):
                    self.repeated += 1
            return future.result()
        finally:
            del self._waiting[ident]

    def _sent(self, frame: bytes) -> bool:
        try:
            self._drain.send([frame])
        except zmq.Again:
            return False
        return True

    def _receive(self, frames: list[bytes]) -> None:
        try:
            envelope = unpack(frames)
            if envelope.version != VERSION or envelope.kind is Kind.REQUEST:
                raise Malformed("neither reply nor error of this version")
            reply = self._decoder.decode(envelope.body)
        except (ValueError, RecursionError):  # Malformed, and what msgspec raises
            self.malformed += 1
            return
        future = self._waiting.get(envelope.id)
        if future and not future.done():
            future.set_result(reply)
