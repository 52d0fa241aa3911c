"""An OpenFlow connection that does no I/O: framing, versions, echo, probes, errors.

    events = conn.receive(data, now)    # bytes from the socket
    events = conn.tick(now)             # when conn.deadline passes
    conn.send(data)                     # whole messages of ours
    sock.write(conn.to_send())          # after any of the above

Time is an argument and bytes are arguments, so a test needs no clock, no
socket and no event loop; channel.py adds those for asyncio.  Nothing that the
peer sends is raised: it is answered with the error of the specification, and
where the end of a message cannot be found, the connection ends with Down.

What is kept of the input is at most one incomplete message (64 KiB).
"""

import enum
import math
from collections.abc import Iterable
from typing import NamedTuple

from . import framing
from .codec import unpack_elements
from .errors import LocalError, RemoteError
from .spec import MessageType, pack
from .spec.errors import BadRequest, HelloFailed, reason
from .spec.families import HELLO_ELEMENTS
from .spec.messages import EchoReply, EchoRequest, Error, Hello, VersionBitmap

HEADER = 8
GROUPED = 4  # the version that types are grouped by
COPIED = 64  # bytes of an offending message in the error about it
GREETING = 15.0  # seconds for the peer's hello
VERSIONS = (4,)


class State(enum.Enum):
    """Where a connection is."""

    HELLO = enum.auto()  # ours is sent, theirs is awaited
    READY = enum.auto()
    PROBED = enum.auto()  # READY, with an echo request in the air
    CLOSED = enum.auto()


class Up(NamedTuple):
    """The peer and we agree on a version."""

    version: int


class Run(NamedTuple):
    """Consecutive messages of the groupable types, headers included."""

    data: bytes
    messages: int


class Message(NamedTuple):
    """Any other message that the connection does not answer by itself, header included."""

    kind: int
    xid: int
    data: bytes


class Down(NamedTuple):
    """The last event: close the socket, once to_send() is written."""

    reason: str


Event = Up | Run | Message | Down


def group(kinds: Iterable[int]) -> bytes:
    """Return the table of groupable types that a connection takes."""
    table = bytearray(256)
    for kind in kinds:
        table[kind] = 1
    return bytes(table)


class Connection:
    """One side of an OpenFlow channel."""

    def __init__(
        self,
        now: float,
        *,
        versions: tuple[int, ...] = VERSIONS,
        probe: float = 15.0,
        groupable: bytes = bytes(256),
    ) -> None:
        """Greet the peer.  *probe* is how long it may be silent; 0 is for ever."""
        self.state = State.HELLO
        self.version = max(versions)
        self.deadline = now + GREETING
        self._versions = frozenset(versions)
        self._probe = probe if probe > 0 else math.inf
        self._groupable = groupable
        self._rest = b""
        self._out: list[bytes] = []
        self._xid = 0
        self._put(pack(Hello((VersionBitmap(bitmap(versions)),)), self._next_xid(), self.version))

    def to_send(self) -> bytes:
        """Return, and forget, the bytes that wait for the socket."""
        out, self._out = self._out, []
        return out[0] if len(out) == 1 else b"".join(out)

    def send(self, data: bytes) -> None:
        """Queue whole messages."""
        if self.state not in (State.READY, State.PROBED):
            raise LocalError(f"cannot send in {self.state.name}")
        self._put(data)

    def close(self, why: str) -> list[Event]:
        """End the connection from our side."""
        if self.state is State.CLOSED:
            return []
        self.state, self.deadline, self._rest = State.CLOSED, math.inf, b""
        return [Down(why)]

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take bytes from the peer, in pieces of any size."""
        if self.state is State.CLOSED:
            return []
        self._rest = self._rest + data if self._rest else bytes(data)
        events: list[Event] = []
        try:
            if self.state is State.HELLO:
                events += self._greet()
            if self.state in (State.READY, State.PROBED):
                self.state, self.deadline = State.READY, now + self._probe
                events += self._read()
        except RemoteError as error:
            self._complain(self._rest, error.reason, str(error).encode())
            events += self.close(str(error))
        return events

    def tick(self, now: float) -> list[Event]:
        """Give up a peer that does not greet; probe a silent one once, then give it up."""
        if now < self.deadline or self.state is State.CLOSED:
            return []
        if self.state is State.HELLO:
            return self.close("no hello from the peer")
        if self.state is State.PROBED:
            return self.close("the peer is silent")
        self._put(pack(EchoRequest(), self._next_xid(), self.version))
        self.state, self.deadline = State.PROBED, now + self._probe
        return []

    def _greet(self) -> list[Event]:
        """Wait for the peer's hello and settle the version."""
        if len(self._rest) < HEADER:
            return []
        theirs, kind = self._rest[0], self._rest[1]
        size = int.from_bytes(self._rest[2:4], "big")
        if kind not in (MessageType.HELLO, MessageType.ERROR):
            raise RemoteError(f"message {kind} before hello", reason(HelloFailed.INCOMPATIBLE))
        if size < HEADER:
            raise RemoteError(f"hello of {size} bytes", reason(BadRequest.BAD_LEN))
        if len(self._rest) < size:
            return []
        first, self._rest = self._rest[:size], self._rest[size:]
        if kind == MessageType.ERROR:
            return self.close("the peer refused the connection")
        version = negotiate(self._versions, theirs, offered(first[HEADER:]))
        if version is None:
            self._rest = first  # what the error shows
            wanted = ", ".join(map(str, sorted(self._versions)))
            text = f"version {theirs} does not include {wanted}"
            raise RemoteError(text, reason(HelloFailed.INCOMPATIBLE))
        self.state, self.version = State.READY, version
        return [Up(version)]

    def _read(self) -> list[Event]:
        """Cut what has arrived into messages and answer those that are ours to answer."""
        data = self._rest
        groupable = self._groupable if self.version == GROUPED else bytes(256)
        found, end = framing.scan(data, self.version, groupable)
        events: list[Event] = []
        for kind, start, stop, count in found:
            message = data[start:stop]
            if kind == framing.RUN:
                events.append(Run(message, count))
            elif kind == framing.BAD_SIZE:
                self._rest = data[start : start + HEADER]
                raise RemoteError("message shorter than its header", reason(BadRequest.BAD_LEN))
            elif kind == framing.BAD_VERSION:
                if message[1] not in (MessageType.ERROR, MessageType.HELLO):
                    self._complain(message, reason(BadRequest.BAD_VERSION))
            elif kind == MessageType.ECHO_REQUEST:
                xid = int.from_bytes(message[4:8], "big")
                self._put(pack(EchoReply(message[HEADER:]), xid, self.version))
            elif kind not in (MessageType.ECHO_REPLY, MessageType.HELLO):
                events.append(Message(kind, int.from_bytes(message[4:8], "big"), message))
        self._rest = data[end:]
        return events

    def _complain(self, message: bytes, why: tuple[int, int], text: bytes = b"") -> None:
        """Queue an error about *message*; HELLO_FAILED carries words instead of it."""
        xid = int.from_bytes(message[4:8], "big")
        data = text if why[0] == reason(HelloFailed.INCOMPATIBLE)[0] else message[:COPIED]
        self._put(pack(Error(*why, data), xid, self.version))

    def _put(self, data: bytes) -> None:
        self._out.append(data)

    def _next_xid(self) -> int:
        self._xid = self._xid + 1 & 0xFFFFFFFF
        return self._xid


def bitmap(versions: Iterable[int]) -> bytes:
    """Return the words of a version bitmap."""
    bits = 0
    for version in versions:
        bits |= 1 << version
    return b"".join(
        (bits >> shift & 0xFFFFFFFF).to_bytes(4, "big") for shift in range(0, bits.bit_length(), 32)
    )


def offered(elements: bytes) -> frozenset[int] | None:
    """Return the versions in the bitmap of a hello; None if there is none that can be read."""
    try:
        found = unpack_elements(HELLO_ELEMENTS, elements)
    except RemoteError:
        return None
    for element in found:
        if isinstance(element, VersionBitmap):
            words = [element.bitmap[i : i + 4] for i in range(0, len(element.bitmap), 4)]
            bits = sum(int.from_bytes(word, "big") << 32 * i for i, word in enumerate(words))
            return frozenset(v for v in range(bits.bit_length()) if bits >> v & 1)
    return None


def negotiate(ours: frozenset[int], theirs: int, bits: frozenset[int] | None) -> int | None:
    """Return the version to speak: the highest in both bitmaps, or else the lower header."""
    if bits is not None:
        return max(ours & bits, default=None)
    version = min(max(ours), theirs)
    return version if version in ours else None
