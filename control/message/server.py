"""The answering end of a control socket.

Requests of one peer are handled one after the other, in order; those of
different peers at the same time.  A request id is applied once: the reply is
remembered, and a repetition gets it again.  What is remembered is bounded in
peers, in requests and in bytes, and an id older than that is refused rather
than applied a second time.  Nothing that arrives ends the server.
"""

import asyncio
import logging
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
import zmq

from . import catalogue
from .drain import Drain, open_socket
from .envelope import VERSION, Envelope, Kind, Malformed, Message, Request, pack, unpack
from .exhaustion import end_if_exhausted
from .failure import CallError, Code, Failure
from .keys import READER, READS

Handler = Callable[[bytes, Request[Any]], Awaitable[Message]]
Tap = Callable[[bool, bytes, bytes], None]  # whether sent, peer, frame

MAX_PEERS = 1024
MAX_REMEMBERED = 1024  # requests of a peer
MAX_REMEMBERED_BYTES = 1 << 20  # of replies to a peer, the last one excepted
WINDOW = 512  # requests of a peer that wait; an honest client has half as many

log = logging.getLogger(__name__)


class _Peer:
    """What the server knows of one client."""

    def __init__(self) -> None:
        self.waiting: deque[Envelope] = deque()
        self.replies: OrderedDict[int, bytes | None] = OrderedDict()  # None: under way
        self.size = 0  # bytes of the replies
        self.forgotten = -1  # the highest id that is no longer in replies
        self.worker: asyncio.Task[None] | None = None

    def finish(self, ident: int, reply: bytes) -> None:
        self.replies[ident] = reply
        self.size += len(reply)
        while self._is_too_much() and self._oldest_is_done(ident):
            oldest, old = self.replies.popitem(last=False)
            self.size -= len(old or b"")
            self.forgotten = max(self.forgotten, oldest)

    def _is_too_much(self) -> bool:
        return len(self.replies) > MAX_REMEMBERED or self.size > MAX_REMEMBERED_BYTES

    def _oldest_is_done(self, newest: int) -> bool:
        oldest = next(iter(self.replies))
        return oldest != newest and self.replies[oldest] is not None


class ControlServer:
    """Answer requests at *endpoint*, and *also* at others, by *handler*; needs a running loop."""

    def __init__(
        self,
        context: zmq.SyncContext,
        endpoint: str,
        handler: Handler,
        *,
        also: Iterable[str] = (),
        extra: Iterable[type[Message]] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.endpoint = endpoint
        self.counters: Counter[str] = Counter()
        self.tap: Tap | None = None  # hears all that is said
        self._handler = handler
        self._clock = clock
        self._decoder = catalogue.decoder(extra)
        self._peers: OrderedDict[bytes, _Peer] = OrderedDict()
        socket = open_socket(
            context, zmq.ROUTER, domain="control", ROUTER_MANDATORY=1, ROUTER_HANDOVER=1
        )
        try:
            for address in (endpoint, *also):
                socket.bind(address)
        except zmq.ZMQError:
            socket.close()
            raise
        self._drain = Drain(socket, self._receive)

    def close(self) -> None:
        """Stop answering; a request under way is cancelled."""
        self._drain.close()
        for peer in self._peers.values():
            if peer.worker:
                peer.worker.cancel()

    def _receive(self, frames: list[bytes]) -> None:
        name, *rest = frames
        try:
            envelope = unpack(rest)
            if envelope.kind is not Kind.REQUEST and envelope.version == VERSION:
                raise Malformed(f"{envelope.kind.name} where a request belongs")
        except Malformed as error:
            self.counters["malformed"] += 1
            log.debug("dropped a message of %s: %s", name.hex(), error)
            return
        if self.tap:
            self.tap(False, name, rest[0])
        if self._drain.user == READER and not self._is_read(envelope):
            self._refuse(name, envelope.id, Code.REFUSED, f"role {READER} may not change anything")
            return
        self._accept(name, self._peer(name), envelope)

    def _is_read(self, envelope: Envelope) -> bool:
        """Tell whether a request changes nothing; one that cannot be read does not."""
        try:
            return isinstance(self._decoder.decode(envelope.body), READS)
        except (ValueError, RecursionError):
            return True

    def _accept(self, name: bytes, peer: _Peer, envelope: Envelope) -> None:
        ident = envelope.id
        if ident in peer.replies:
            self.counters["repeated"] += 1
            reply = peer.replies[ident]
            if reply is not None:
                self._send(name, reply)
        elif ident <= peer.forgotten:
            self._refuse(name, ident, Code.CONFLICT, f"request id {ident} is too old to repeat")
        elif envelope.version != VERSION:
            reason = f"message set version {envelope.version}, this component speaks {VERSION}"
            self._refuse(name, ident, Code.UNSUPPORTED, reason)
        elif len(peer.waiting) >= WINDOW:
            self._refuse(name, ident, Code.UNAVAILABLE, f"{WINDOW} requests of yours wait already")
        else:
            peer.replies[ident] = None
            peer.waiting.append(envelope)
            if peer.worker is None:
                peer.worker = asyncio.create_task(self._work(name, peer))

    async def _work(self, name: bytes, peer: _Peer) -> None:
        try:
            while peer.waiting:
                envelope = peer.waiting.popleft()
                frame = await self._answer(name, envelope)
                peer.finish(envelope.id, frame)
                self._send(name, frame)
        finally:
            peer.worker = None

    async def _answer(self, name: bytes, envelope: Envelope) -> bytes:
        self.counters["requests"] += 1
        try:
            reply = await self._handle(name, envelope)
            kind = Kind.ERROR if isinstance(reply, Failure) else Kind.REPLY
            return pack(kind, envelope.id, reply)
        except Exception as error:  # the peer is told; the server must outlive it
            end_if_exhausted(error)
            self.counters["internal"] += 1
            log.exception("a request of %s failed", name.hex())
            failure = Failure(Code.INTERNAL, f"{type(error).__name__}: {error}")
            return pack(Kind.ERROR, envelope.id, failure)

    async def _handle(self, name: bytes, envelope: Envelope) -> Message:
        if envelope.deadline_ms is not None and envelope.deadline_ms < self._clock() * 1000:
            self.counters["late"] += 1
            return Failure(Code.TIMEOUT, "the request came after its deadline and was not applied")
        try:
            request = self._decoder.decode(envelope.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return self._unreadable(error)
        if not isinstance(request, Request):
            self.counters["malformed"] += 1
            return Failure(Code.INVALID, f"{type(request).__name__} is no request")
        try:
            return await self._handler(name, request)
        except CallError as error:
            self.counters["failures"] += 1
            return error.failure

    def _unreadable(self, error: Exception) -> Failure:
        self.counters["malformed"] += 1
        unknown = isinstance(error, msgspec.ValidationError) and "Invalid value" in str(error)
        code = Code.UNSUPPORTED if unknown else Code.INVALID
        return Failure(code, f"the request cannot be read: {error}")

    def _refuse(self, name: bytes, ident: int, code: Code, reason: str) -> None:
        self.counters["refused"] += 1
        self._send(name, pack(Kind.ERROR, ident, Failure(code, reason)))

    def _send(self, name: bytes, frame: bytes) -> None:
        if self.tap:
            self.tap(True, name, frame)
        try:
            self._drain.send([name, frame])
        except zmq.Again:  # the client asks again, and the reply is remembered
            self.counters["full"] += 1
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH and not self._drain.socket.closed:
                raise
            self.counters["unreachable"] += 1

    def _peer(self, name: bytes) -> _Peer:
        peer = self._peers.get(name)
        if peer is None:
            peer = self._peers[name] = _Peer()
            self._forget_an_idle_peer()
        self._peers.move_to_end(name)
        return peer

    def _forget_an_idle_peer(self) -> None:
        if len(self._peers) <= MAX_PEERS:
            return
        idle = (name for name, peer in self._peers.items() if peer.worker is None)
        oldest = next(idle, None)
        if oldest is not None:
            del self._peers[oldest]
