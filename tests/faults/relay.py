"""A relay between the clients of a control endpoint and its server, which a test can bend."""

from collections.abc import Callable
from typing import Any

import msgspec
import zmq

from raicho.control.message import Failure, Kind
from raicho.control.message.drain import Drain, open_socket
from raicho.control.message.envelope import pack, unpack


class Passing(msgspec.Struct, frozen=True):
    """A control message on its way: *number* counts those that have come to a relay."""

    number: int
    whose: str  # server
    kind: Kind
    message: list[Any]  # name and fields
    request: list[Any]  # that it is, or answers

    @property
    def is_request(self) -> bool:
        """Whether it goes to the server."""
        return self.kind is Kind.REQUEST

    @property
    def asked(self) -> str:
        """The type of the request."""
        return str(self.request[0])

    @property
    def txid(self) -> str:
        """The first field of the request: of the phases, the transaction."""
        return str(self.request[1])


Fate = int | Failure  # how many copies go on, or what is answered in the server's place
Rule = Callable[[Passing], Fate]


def untouched(passing: Passing) -> Fate:
    """Let a message pass, once."""
    return 1


class Relay:
    """Pass messages between *near*, where clients come, and *far*, where the server is.

    Each client is a peer of its own to the server.  Nothing waits: what cannot go
    on is lost, and the client sends it again.  *passed* is what went on, in order.
    """

    def __init__(self, context: zmq.SyncContext, whose: str, near: str, far: str) -> None:
        self.rule: Rule = untouched
        self.passed: list[Passing] = []
        self._context, self._whose, self._far = context, whose, far
        self._count = 0
        front = open_socket(context, zmq.ROUTER, ROUTER_HANDOVER=1)
        front.bind(near)
        self._front = Drain(front, self._forth)
        self._backs: dict[bytes, Drain] = {}
        self._requests: dict[tuple[bytes, int], list[Any]] = {}

    def close(self) -> None:
        """Stop relaying."""
        for end in (self._front, *self._backs.values()):
            end.close()

    def _forth(self, frames: list[bytes]) -> None:
        peer, frame = frames
        fate = self._judge(peer, frame)
        if isinstance(fate, Failure):
            self._front.send([peer, pack(Kind.ERROR, unpack([frame]).id, fate)])
        else:
            for _ in range(fate):
                self._back(peer).send([frame])

    def _answer(self, peer: bytes, frame: bytes) -> None:
        fate = self._judge(peer, frame)
        assert isinstance(fate, int), "an answer can only pass or not"
        for _ in range(fate):
            self._front.send([peer, frame])

    def _judge(self, peer: bytes, frame: bytes) -> Fate:
        envelope = unpack([frame])
        message = msgspec.msgpack.decode(envelope.body)
        if envelope.kind is Kind.REQUEST:
            self._requests[peer, envelope.id] = message
        self._count += 1
        request = self._requests[peer, envelope.id]
        passing = Passing(self._count, self._whose, envelope.kind, message, request)
        fate = self.rule(passing)
        if isinstance(fate, int) and fate > 0:
            self.passed.append(passing)
        return fate

    def _back(self, peer: bytes) -> Drain:
        if peer not in self._backs:
            socket = open_socket(self._context, zmq.DEALER, ROUTING_ID=peer)
            socket.connect(self._far)
            self._backs[peer] = Drain(socket, lambda frames: self._answer(peer, frames[0]))
        return self._backs[peer]
