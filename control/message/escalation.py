"""Packets of routers for programs that speak a protocol, and packets that they send.

The operations go to the bulk endpoint of the dataplane, with the name of the router in the place
of the bridge.  Numbers are in network byte order.

    subscribe     16 bytes: reasons, copies a second, Ethernet type, port, protocol, each 0 for any;
                  answered by the subscription's id, 4 bytes
    unsubscribe   the id

    send_message  56 bytes of what the header is made of, and the payload
    send_frame    the name of an interface, 16 bytes, and a frame without a tag

Copies come as events of kind `escalated`, each a msgpack array of `Escalated`.  Who does not keep
up with his rate loses some, and each copy says how many so far; nothing is kept for who is away.
"""

import enum
import struct
from collections.abc import Collection
from ipaddress import ip_address

import msgspec

from .bulk import DONE, BulkRequest
from .codes import code_of
from .failure import CallError, Failure
from .routes import Ask

ESCALATED = "escalated"  # the kind of the event
NO_CHECKSUM = 0xFFFF
NAME = 16  # bytes of an interface's name
DONT_FRAGMENT, HAS_SOURCE = 1, 2  # flags of a message
_SUBSCRIPTION = struct.Struct("!IIHHB3x")
_MESSAGE = struct.Struct("!5BxH16s16s16s")


class Reason(enum.IntEnum):
    """Why a router has a packet in its hands."""

    LOCAL = 0  # to an address of the router, or to a group or all on the link
    RESOLVE = 1  # the next hop's link-layer address is not known
    TTL = 2  # its time to live is used up
    TOO_BIG = 3  # for the link by which it would leave
    NO_ROUTE = 4
    UNREACHABLE = 5  # its route says so
    PROHIBIT = 6  # its route says so
    SEEN = 7  # it entered the router, wherever it goes


class Subscription(msgspec.Struct, frozen=True):
    """Which packets to copy, and how many a second; 0 means any.

    A *port* is that of either end, and needs a *protocol* that has ports.
    """

    reasons: Collection[Reason] = (Reason.LOCAL,)
    rate: int = 1000
    eth_type: int = 0
    protocol: int = 0
    port: int = 0

    def pack(self) -> bytes:
        """Return the record; struct.error if a number does not fit."""
        reasons = sum(1 << reason for reason in set(self.reasons))
        return _SUBSCRIPTION.pack(reasons, self.rate, self.eth_type, self.port, self.protocol)


class Escalated(msgspec.Struct, frozen=True, array_like=True):
    """The copy of a packet."""

    subscription: int
    reason: Reason
    interface: str  # by which it came
    port: str  # the interface's; or the name of its bridge
    vlan: int  # of the interface; 0: none
    dropped: int  # copies of this subscription so far
    frame: bytes  # without that VLAN's tag


class Outgoing(msgspec.Struct, frozen=True):
    """A payload of IP, and what the header in front of it is made of.

    Without a *source* it is sent from the interface by which it leaves, without an *interface*
    where the route of its destination leads; with one to a group or a host on its link.  TTL 0 is
    64, or 1 to a group.  TCP, UDP, SCTP and ICMP get their checksums; *checksum_at* is where in the
    payload another protocol has its own, over a pseudo header too (RFC 3542, section 3.1).
    """

    destination: str
    protocol: int
    payload: bytes
    source: str = ""
    interface: str = ""
    ttl: int = 0
    traffic_class: int = 0
    dont_fragment: bool = False
    checksum_at: int = NO_CHECKSUM

    def pack(self) -> bytes:
        """Return the record and the payload; ValueError or struct.error if it cannot be."""
        to = ip_address(self.destination).packed
        source = ip_address(self.source).packed if self.source else b""
        if source and len(source) != len(to):
            raise ValueError(f"{self.source} and {self.destination} are not of one family")
        flags = DONT_FRAGMENT * self.dont_fragment | HAS_SOURCE * bool(source)
        head = (len(to), self.protocol, self.ttl, self.traffic_class, flags, self.checksum_at)
        return _MESSAGE.pack(*head, source, to, _name(self.interface)) + self.payload


def _name(interface: str) -> bytes:
    """Return the name of an interface as a record has it."""
    if len(encoded := interface.encode()) >= NAME:
        raise ValueError(f"interface {interface}: over {NAME - 1} bytes of name")
    return encoded.ljust(NAME, b"\0")


class EscalationClient:
    """The API of one router.  CallError: a request failed."""

    def __init__(self, ask: Ask, router: str) -> None:
        self.router = router
        self._ask = ask

    async def subscribe(self, subscription: Subscription) -> int:
        """Ask for copies from now on; return the id that they bear."""
        (answer,) = await self._request("subscribe", subscription.pack())
        return int.from_bytes(answer)

    async def unsubscribe(self, subscription: int) -> None:
        """End a subscription of this connection."""
        await self._request("unsubscribe", struct.pack("!I", subscription))

    async def send(self, outgoing: Outgoing) -> None:
        """Send a payload of IP."""
        await self._request("send_message", outgoing.pack())

    async def send_frame(self, interface: str, frame: bytes) -> None:
        """Send a frame by an interface, as it is; an interface on a VLAN adds its tag."""
        await self._request("send_frame", _name(interface) + frame)

    async def _request(self, op: str, payload: bytes) -> list[bytes]:
        reply, frames = await self._ask(BulkRequest(op, self.router), payload)
        if reply.code != DONE:
            reason = reply.text or f"error {reply.code:#x}"
            raise CallError(Failure(code_of(reply.code), f"{op} at router {self.router}: {reason}"))
        return frames


_copies: msgspec.msgpack.Decoder[list[Escalated]] = msgspec.msgpack.Decoder(list[Escalated])


def unpack(frames: list[bytes]) -> list[Escalated]:
    """Read the copies in the frames of an event; ValueError if they are none."""
    return [each for frame in frames for each in _copies.decode(frame)]
