"""Packets of routers for programs that speak a protocol, and packets that they send.

The operations go to the bulk endpoint of the dataplane, with the name of the router in the place
of the bridge.  Numbers are in network byte order.

    subscribe     16 bytes: reasons, copies a second, Ethernet type, port, protocol, each 0 for any;
                  answered by the subscription's id, 4 bytes
    unsubscribe   the id

Copies come as events of kind `escalated`, each a msgpack array of `Escalated`.  Who does not keep
up with his rate loses some, and each copy says how many so far; nothing is kept for who is away.
"""

import enum
import struct
from collections.abc import Collection

import msgspec

from .bulk import DONE, BulkRequest
from .failure import CallError, Code, Failure
from .routes import Ask

ESCALATED = "escalated"  # the kind of the event
_SUBSCRIPTION = struct.Struct("!IIHHB3x")


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

    async def _request(self, op: str, payload: bytes) -> list[bytes]:
        reply, frames = await self._ask(BulkRequest(op, self.router), payload)
        if reply.code != DONE:
            reason = reply.text or f"error {reply.code:#x}"
            raise CallError(Failure(Code.REFUSED, f"{op} at router {self.router}: {reason}"))
        return frames


_copies: msgspec.msgpack.Decoder[list[Escalated]] = msgspec.msgpack.Decoder(list[Escalated])


def unpack(frames: list[bytes]) -> list[Escalated]:
    """Read the copies in the frames of an event; ValueError if they are none."""
    return [each for frame in frames for each in _copies.decode(frame)]
