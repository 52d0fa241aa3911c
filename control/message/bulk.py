"""Bulk: batches of bytes between two components, in order, for volatile state.

A message is a header frame (msgpack) and payload frames that only the two ends
understand.  Requests of a sender are handled one after the other and answered
in that order.  Nothing is repeated: after a time-out the caller does not know
what was applied and synchronises again.  The server may push events to a peer;
they are dropped when the peer does not keep up, and the caller is told.
"""

import asyncio
import itertools
import logging
import uuid
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import zmq

from .codes import BAD_REQUEST_BAD_TYPE, BAD_REQUEST_EPERM, SERVER_ERROR
from .drain import Drain, open_socket
from .envelope import VERSION, Message
from .exhaustion import end_if_exhausted
from .failure import CallError, Code, Failure
from .keys import READER, may_read

DONE = 0xFFFFFFFF  # the code of a request that was carried out
CLIENT_WINDOW, SERVER_WINDOW = 64, 256  # requests of a peer in the air, and waiting
SEND_RETRY = 0.002  # seconds until a reply to a peer that is full is tried again

log = logging.getLogger(__name__)


class BulkRequest(Message, frozen=True):
    """What to do with the payload, and to which bridge."""

    op: str
    bridge: str = ""
    id: int = 0  # filled in by the client
    version: int = VERSION


class BulkReply(Message, frozen=True):
    """How it went: DONE, or an error type << 16 | code."""

    code: int = DONE
    text: str = ""
    id: int = 0  # filled in by the server


class BulkEvent(Message, frozen=True):
    """Something that a peer asked to be told."""

    kind: str
    bridge: str = ""


Frames = Sequence[bytes]
Handler = Callable[[bytes, BulkRequest, list[bytes]], Awaitable[tuple[BulkReply, Frames]]]
EventHandler = Callable[[BulkEvent, list[bytes]], None]
Tap = Callable[[bool, bytes, Message, Frames], None]  # whether sent, peer, header, payload
_Reply = asyncio.Future[tuple[BulkReply, list[bytes]]]

_encoder = msgspec.msgpack.Encoder()
_requests = msgspec.msgpack.Decoder(BulkRequest)
_answers = msgspec.msgpack.Decoder(BulkReply | BulkEvent)


class _Peer:
    """Requests of one sender that wait, and who works on them."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[BulkRequest, list[bytes]]] = deque()
        self.worker: asyncio.Task[None] | None = None
        self.owes = False  # a reply waits for room; events must not overtake it


class BulkServer:
    """Answer batches at *endpoint*; make it inside a running loop.

    *on_gone* hears of a peer that a reply or an event could not reach.
    """

    def __init__(
        self,
        context: zmq.SyncContext,
        endpoint: str,
        handler: Handler,
        *,
        on_gone: Callable[[bytes], None] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.counters: Counter[str] = Counter()
        self.tap: Tap | None = None  # hears all that is said
        self._handler = handler
        self._on_gone = on_gone
        self._peers: dict[bytes, _Peer] = {}
        socket = open_socket(
            context, zmq.ROUTER, domain="bulk", ROUTER_MANDATORY=1, ROUTER_HANDOVER=1
        )
        try:
            socket.bind(endpoint)
        except zmq.ZMQError:
            socket.close()
            raise
        self._drain = Drain(socket, self._receive)

    def push(self, peer: bytes, event: BulkEvent, frames: Frames) -> bool:
        """Send an event unasked; return False if it had to be dropped."""
        known = self._peers.get(peer)
        sent = not (known and known.owes) and self._send(peer, event, frames)
        self.counters["pushed" if sent else "dropped"] += 1
        if sent:
            self._tell(True, peer, event, frames)
        return bool(sent)

    def close(self) -> None:
        """Stop answering."""
        self._drain.close()
        for peer in self._peers.values():
            if peer.worker:
                peer.worker.cancel()

    def _receive(self, frames: list[bytes]) -> None:
        name, *rest = frames
        try:
            request = _requests.decode(rest[0])
        except (IndexError, ValueError, RecursionError) as error:
            self.counters["malformed"] += 1
            log.debug("dropped a batch of %s: %s", name.hex(), error)
            return
        self._tell(False, name, request, rest[1:])
        if self._drain.user == READER and not may_read(request.op, b"".join(rest[1:])):
            self.counters["refused"] += 1
            text = f"role {READER} may not change anything"
            refusal = BulkReply(BAD_REQUEST_EPERM, text, request.id)
            self._tell(True, name, refusal, ())
            self._send(name, refusal, ())
            return
        peer = self._peers.setdefault(name, _Peer())
        if len(peer.waiting) >= SERVER_WINDOW:
            self.counters["overrun"] += 1
            return
        peer.waiting.append((request, rest[1:]))
        if peer.worker is None:
            peer.worker = asyncio.create_task(self._work(name, peer))

    async def _work(self, name: bytes, peer: _Peer) -> None:
        try:
            while peer.waiting:
                request, frames = peer.waiting.popleft()
                reply, payload = await self._answer(name, request, frames)
                reply = msgspec.structs.replace(reply, id=request.id)
                await self._deliver(name, peer, reply, payload)
        finally:
            peer.worker = None
            self._peers.pop(name, None)

    async def _answer(
        self, name: bytes, request: BulkRequest, frames: list[bytes]
    ) -> tuple[BulkReply, Frames]:
        self.counters["requests"] += 1
        if request.version != VERSION:
            return BulkReply(BAD_REQUEST_BAD_TYPE, f"version {request.version}"), ()
        try:
            return await self._handler(name, request, frames)
        except CallError as error:
            return BulkReply(SERVER_ERROR, str(error)), ()
        except Exception as error:  # the peer is told; the server must outlive it
            end_if_exhausted(error)
            self.counters["internal"] += 1
            log.exception("%s failed", request.op)
            return BulkReply(SERVER_ERROR, f"{type(error).__name__}: {error}"), ()

    async def _deliver(self, name: bytes, peer: _Peer, reply: BulkReply, payload: Frames) -> None:
        self._tell(True, name, reply, payload)
        while (sent := self._send(name, reply, payload)) is False:
            peer.owes = True
            await asyncio.sleep(SEND_RETRY)
        peer.owes = False
        self.counters["replies" if sent else "unreachable"] += 1

    def _send(self, name: bytes, header: Message, payload: Frames) -> bool | None:
        """Return True if sent, False if the peer is full, None if it is gone."""
        try:
            self._drain.send([name, _encoder.encode(header), *payload])
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH and not self._drain.socket.closed:
                raise
            if self._on_gone:
                self._on_gone(name)
            return None
        return True

    def _tell(self, sent: bool, name: bytes, header: Message, payload: Frames) -> None:
        if self.tap:
            self.tap(sent, name, header, payload)


class BulkClient:
    """Send batches to *endpoint*; make it inside a running loop.

    *on_event* gets what the server pushes, *on_link* hears when the server
    comes and goes.  Requests that wait when it goes fail as UNAVAILABLE.
    """

    def __init__(
        self,
        context: zmq.SyncContext,
        endpoint: str,
        *,
        on_event: EventHandler | None = None,
        on_link: Callable[[bool], None] | None = None,
        window: int = CLIENT_WINDOW,
    ) -> None:
        self.endpoint = endpoint
        self.counters: Counter[str] = Counter()
        self.up = False
        self._on_event = on_event
        self._on_link = on_link
        self._ids = itertools.count(1)
        self._most = window
        self._queued = 0
        self._losses = 0  # how often the server went away
        self._window = asyncio.Semaphore(window)
        self._turn = asyncio.Lock()
        self._waiting: dict[int, _Reply] = {}
        socket = open_socket(context, zmq.DEALER, ROUTING_ID=b"b" + uuid.uuid4().bytes, IMMEDIATE=1)
        watched = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        self._monitor = Drain(socket.get_monitor_socket(watched), self._link_changed)
        socket.connect(endpoint)
        self._drain = Drain(socket, self._receive)

    async def request(
        self, request: BulkRequest, *frames: bytes, timeout: float = 5.0
    ) -> tuple[BulkReply, list[bytes]]:
        """Return the reply and its payload; raise CallError if there is none."""
        ident, losses = next(self._ids), self._losses
        header = _encoder.encode(msgspec.structs.replace(request, id=ident))
        try:
            if self._leaves_at_once([header, *frames]):
                return await self._reply(ident, timeout)
            self._queued += 1  # and whoever comes after it queues too
            try:
                async with asyncio.timeout(timeout), self._window:
                    if losses != self._losses:  # it waited for a server that is gone
                        raise CallError(Failure(Code.UNAVAILABLE, f"{self.endpoint} went away"))
                    return await self._exchange(ident, [header, *frames])
            finally:
                self._queued -= 1
        except TimeoutError:
            reason = f"no reply to {request.op} from {self.endpoint} within {timeout:g} s"
            raise CallError(Failure(Code.TIMEOUT, reason)) from None

    def _leaves_at_once(self, frames: list[bytes]) -> bool:
        """Send if nobody waits to and there is room; otherwise the request has to queue."""
        if self._queued or self._drain.socket.closed or len(self._waiting) >= self._most:
            return False
        return self._sent(frames)

    async def _reply(self, ident: int, timeout: float) -> tuple[BulkReply, list[bytes]]:
        """Wait for the reply to a request that was sent."""
        loop = asyncio.get_running_loop()
        future: _Reply = loop.create_future()
        self._waiting[ident] = future
        expiry = loop.call_later(timeout, _expire, future)
        try:
            return await future
        finally:
            expiry.cancel()
            del self._waiting[ident]

    def close(self) -> None:
        """Close the socket; requests that wait fail as UNAVAILABLE."""
        if not self._drain.socket.closed:
            self._drain.socket.disable_monitor()
            self._monitor.close()
            self._drain.close()
            self._fail_all("was closed")

    async def _exchange(self, ident: int, frames: list[bytes]) -> tuple[BulkReply, list[bytes]]:
        if self._drain.socket.closed:
            raise CallError(Failure(Code.UNAVAILABLE, f"{self.endpoint} was closed"))
        future: _Reply = asyncio.get_running_loop().create_future()
        self._waiting[ident] = future
        try:
            async with self._turn:  # in order, also while there is no room
                while not future.done() and not self._sent(frames):
                    await asyncio.wait([future], timeout=SEND_RETRY)
            return await future
        finally:
            del self._waiting[ident]

    def _sent(self, frames: list[bytes]) -> bool:
        try:
            self._drain.send(frames)
        except zmq.Again:
            return False
        return True

    def _receive(self, frames: list[bytes]) -> None:
        try:
            header = _answers.decode(frames[0])
        except (ValueError, RecursionError):
            self.counters["malformed"] += 1
            return
        if isinstance(header, BulkEvent):
            self._deliver(header, frames[1:])
        elif (future := self._waiting.get(header.id)) and not future.done():
            future.set_result((header, frames[1:]))

    def _deliver(self, event: BulkEvent, frames: list[bytes]) -> None:
        self.counters["events"] += 1
        if self._on_event:
            try:
                self._on_event(event, frames)
            except Exception as error:  # one event must not cost the others
                end_if_exhausted(error)
                self.counters["failed"] += 1
                log.exception("the handler of %s failed", event.kind)

    def _link_changed(self, frames: list[bytes]) -> None:
        up = int.from_bytes(frames[0][:2], "little") == zmq.EVENT_HANDSHAKE_SUCCEEDED
        if up == self.up:
            return
        self.up = up
        if not up:
            self._losses += 1
            self._fail_all("went away")
        if self._on_link:
            self._on_link(up)

    def _fail_all(self, what: str) -> None:
        failure = Failure(Code.UNAVAILABLE, f"{self.endpoint} {what}")
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(CallError(failure))


def _expire(future: _Reply) -> None:
    if not future.done():
        future.set_exception(TimeoutError())
