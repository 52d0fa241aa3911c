"""Bulk: batches of bytes between two components, in order, for volatile state.

A message is a header frame (msgpack) and payload frames that only the two ends
understand.  Requests of a sender are handled one after the other and answered
in that order.  Nothing is repeated: after a time-out the caller does not know
what was applied and synchronises again.  The server may push events to a peer;
they are dropped when the peer does not keep up, and the caller is told.
"""

import asyncio
import inspect
import itertools
import logging
import uuid
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

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
CREATED = inspect.CORO_CREATED
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
Reply = tuple[BulkReply, Frames]
Handler = Callable[[bytes, BulkRequest, list[bytes]], Reply | Awaitable[Reply]]
Outcome = tuple[BulkReply, list[bytes]] | CallError  # of a request
EventHandler = Callable[[BulkEvent, list[bytes]], None]
Tap = Callable[[bool, bytes, Message, Frames], None]  # whether sent, peer, header, payload

_encoder = msgspec.msgpack.Encoder()
_requests = msgspec.msgpack.Decoder(BulkRequest)
_answers = msgspec.msgpack.Decoder(BulkReply | BulkEvent)


class _Peer:
    """A sender with a request that takes its time, and the requests that came meanwhile."""

    def __init__(self, begun: Reply | Awaitable[Reply]) -> None:
        self.begun = begun  # the answer, if it is there, or what the worker awaits for it
        self.owes = not inspect.isawaitable(begun)  # and events must not overtake it
        self.waiting: deque[tuple[BulkRequest, list[bytes]]] = deque()
        self.worker: asyncio.Task[None] | None = None

    def close(self) -> None:
        if self.worker:
            self.worker.cancel()
        if inspect.iscoroutine(self.begun) and inspect.getcoroutinestate(self.begun) == CREATED:
            self.begun.close()  # the worker will not come to it any more


class BulkServer:
    """Answer batches at *endpoint*, and *also* at others; make it inside a running loop.

    A handler that has to wait returns an awaitable.  *on_gone* hears of a peer that a reply
    or an event could not reach.
    """

    def __init__(
        self,
        context: zmq.SyncContext,
        endpoint: str,
        handler: Handler,
        *,
        also: Iterable[str] = (),
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
            for address in (endpoint, *also):
                socket.bind(address)
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
            peer.close()

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
        peer = self._peers.get(name)
        if peer is None:
            self._begin(name, request, rest[1:])
        elif len(peer.waiting) < SERVER_WINDOW:
            peer.waiting.append((request, rest[1:]))
        else:
            self.counters["overrun"] += 1

    def _begin(self, name: bytes, request: BulkRequest, frames: list[bytes]) -> None:
        """Answer a request of a peer of which none waits; what takes its time gets a task."""
        answer = self._carry_out(name, request, frames)
        if inspect.isawaitable(answer) or not self._deliver(name, request, answer):
            peer = self._peers[name] = _Peer(answer)
            peer.worker = asyncio.create_task(self._work(name, peer, request))

    async def _work(self, name: bytes, peer: _Peer, request: BulkRequest) -> None:
        """Answer the request that was begun, and those that come meanwhile."""
        try:
            while True:
                answer = peer.begun
                if inspect.isawaitable(answer):
                    answer = await self._end(request, answer)
                while not self._deliver(name, request, answer):
                    peer.owes = True
                    await asyncio.sleep(SEND_RETRY)
                peer.owes = False
                if not peer.waiting:
                    break
                request, frames = peer.waiting.popleft()
                peer.begun = self._carry_out(name, request, frames)
        finally:
            del self._peers[name]

    def _carry_out(
        self, name: bytes, request: BulkRequest, frames: list[bytes]
    ) -> Reply | Awaitable[Reply]:
        self.counters["requests"] += 1
        if request.version != VERSION:
            return BulkReply(BAD_REQUEST_BAD_TYPE, f"version {request.version}"), ()
        try:
            return self._handler(name, request, frames)
        except Exception as error:  # the peer is told; the server must outlive it
            return self._failed(request, error)

    async def _end(self, request: BulkRequest, answer: Awaitable[Reply]) -> Reply:
        try:
            return await answer
        except Exception as error:  # as in _carry_out
            return self._failed(request, error)

    def _failed(self, request: BulkRequest, error: Exception) -> Reply:
        """Answer with what went wrong."""
        if isinstance(error, CallError):
            return BulkReply(SERVER_ERROR, str(error)), ()
        end_if_exhausted(error)
        self.counters["internal"] += 1
        log.error("%s failed", request.op, exc_info=error)
        return BulkReply(SERVER_ERROR, f"{type(error).__name__}: {error}"), ()

    def _deliver(self, name: bytes, request: BulkRequest, answer: Reply) -> bool:
        """Send the reply to a request; return False if there is no room for it now."""
        try:
            sent = self._reply(name, request, answer)
        except Exception as error:  # what the handler gave cannot be sent
            sent = self._reply(name, request, self._failed(request, error))
        if sent is False:
            return False
        self.counters["replies" if sent else "unreachable"] += 1
        return True

    def _reply(self, name: bytes, request: BulkRequest, answer: Reply) -> bool | None:
        reply, payload = msgspec.structs.replace(answer[0], id=request.id), answer[1]
        sent = self._send(name, reply, payload)
        if sent is not False:
            self._tell(True, name, reply, payload)
        return sent

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


class _Asked(NamedTuple):
    """A request without a reply."""

    op: str
    timeout: float  # seconds
    deadline: float  # of the loop's clock
    done: Callable[[Outcome], None]


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
        self._window = window
        self._asked: dict[int, _Asked] = {}
        self._unsent: dict[int, list[bytes]] = {}  # of these, what waits for room, in order
        self._loop = asyncio.get_running_loop()
        self._retry: asyncio.TimerHandle | None = None  # to send
        self._alarm: asyncio.TimerHandle | None = None  # of the earliest deadline, or before it
        socket = open_socket(context, zmq.DEALER, ROUTING_ID=b"b" + uuid.uuid4().bytes, IMMEDIATE=1)
        watched = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        self._monitor = Drain(socket.get_monitor_socket(watched), self._link_changed)
        socket.connect(endpoint)
        self._drain = Drain(socket, self._receive)

    async def request(
        self, request: BulkRequest, *frames: bytes, timeout: float = 5.0
    ) -> tuple[BulkReply, list[bytes]]:
        """Return the reply and its payload; raise CallError if there is none."""
        future: asyncio.Future[tuple[BulkReply, list[bytes]]] = self._loop.create_future()
        ident = self.post(request, *frames, done=partial(_resolve, future), timeout=timeout)
        try:
            return await future
        finally:
            self._forget(ident)
            self._send_unsent()

    def post(
        self,
        request: BulkRequest,
        *frames: bytes,
        done: Callable[[Outcome], None],
        timeout: float = 5.0,
    ) -> int:
        """Send a request, or let it wait for room; *done* hears later, once, what came of it.

        Requests leave in the order in which this is called, which returns the id.
        """
        ident = next(self._ids)
        deadline = self._loop.time() + timeout
        parts = [_encoder.encode(msgspec.structs.replace(request, id=ident)), *frames]
        if self._drain.socket.closed:
            self._loop.call_soon(self._settle, ident, self._failure("was closed"))
        elif self._unsent or not self._has_room() or not self._sent(parts):
            self._unsent[ident] = parts
        self._asked[ident] = _Asked(request.op, timeout, deadline, done)
        self._set_alarm(deadline)
        if len(self._unsent) == 1:
            self._send_unsent()
        return ident

    def close(self) -> None:
        """Close the socket; requests that wait fail as UNAVAILABLE."""
        if not self._drain.socket.closed:
            self._drain.socket.disable_monitor()
            self._monitor.close()
            self._drain.close()
            self._fail_all("was closed")
            for timer in filter(None, (self._retry, self._alarm)):
                timer.cancel()
            self._retry = self._alarm = None

    def _has_room(self) -> bool:
        return len(self._asked) - len(self._unsent) < self._window

    def _send_unsent(self) -> None:
        """Send what waits, as far as there is room; where libzmq has none, try again soon."""
        if self._retry:
            self._retry.cancel()
            self._retry = None
        while self._unsent and self._has_room():
            ident = next(iter(self._unsent))
            if not self._sent(self._unsent[ident]):
                self._retry = self._loop.call_later(SEND_RETRY, self._send_unsent)
                break
            del self._unsent[ident]

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
        else:
            self._settle(header.id, (header, frames[1:]))
            self._send_unsent()

    def _settle(self, ident: int, outcome: Outcome) -> None:
        """Tell who asked what came of it."""
        if asked := self._forget(ident):
            try:
                asked.done(outcome)
            except Exception as error:  # one request must not cost the others
                end_if_exhausted(error)
                self.counters["failed"] += 1
                log.exception("what follows %s failed", asked.op)

    def _forget(self, ident: int) -> _Asked | None:
        self._unsent.pop(ident, None)
        return self._asked.pop(ident, None)

    def _set_alarm(self, deadline: float) -> None:
        """Look at deadlines then, or before; an alarm that is early costs less than a new one."""
        if self._alarm is None or deadline < self._alarm.when():
            if self._alarm:
                self._alarm.cancel()
            self._alarm = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._alarm = None
        now = self._loop.time()
        for ident, asked in list(self._asked.items()):
            if asked.deadline <= now:
                text = f"no reply to {asked.op} from {self.endpoint} within {asked.timeout:g} s"
                self._settle(ident, CallError(Failure(Code.TIMEOUT, text)))
        self._send_unsent()
        if self._asked:
            self._set_alarm(min(asked.deadline for asked in self._asked.values()))

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
            self._fail_all("went away")
        if self._on_link:
            self._on_link(up)

    def _fail_all(self, what: str) -> None:
        for ident in list(self._asked):
            self._settle(ident, self._failure(what))
        self._send_unsent()  # what those who heard of it have asked

    def _failure(self, what: str) -> CallError:
        return CallError(Failure(Code.UNAVAILABLE, f"{self.endpoint} {what}"))


def _resolve(future: asyncio.Future[tuple[BulkReply, list[bytes]]], outcome: Outcome) -> None:
    if future.done():
        return
    if isinstance(outcome, CallError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
