"""Who subscribed to which packets of routers, and what goes to whom.

Peers of the bulk endpoint subscribe with the records of control/message/escalation.py.  The
component itself is one of them, for the events that it publishes.  Subscriptions end with their
peer or their router.
"""

import errno
import struct
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any, NamedTuple

from .datapath import Dataplane
from .operation import Full, NoSuch, Operation, Refused, Reply, reply, unpack
from .router import REASONS, Router
from .routers import Open

SUBSCRIPTION = struct.Struct("!IIHHB3x")  # reasons, rate, Ethernet type, port, protocol
BUS = b""  # the peer that stands for events; no other has an empty name
EVENTS = {  # by reason
    REASONS["resolve"]: "neighbour-miss",
    REASONS["no-route"]: "route-miss",
    REASONS["ttl"]: "ttl-expired",
}
EVENT_RATE = 10  # events a second of each kind at a router

NO_ROOM = (errno.ENOSPC, errno.ENOMEM)
ETH_IPV4, ETH_IPV6 = b"\x08\x00", b"\x86\xdd"

ID = struct.Struct("!I")


class Copy(NamedTuple):
    """A packet as a peer gets it; fields are in the order of the wire."""

    id: int
    reason: int
    interface: str
    port: str
    vlan: int
    dropped: int  # copies of this subscription so far, as above its rate
    frame: bytes


def ends(frame: bytes) -> tuple[str, str]:
    """Return source and destination of the IP packet in a frame without a tag."""
    kind, ip = frame[12:14], frame[14:]
    if kind == ETH_IPV4 and len(ip) >= 20:
        return str(IPv4Address(ip[12:16])), str(IPv4Address(ip[16:20]))
    if kind == ETH_IPV6 and len(ip) >= 40:
        return str(IPv6Address(ip[8:24])), str(IPv6Address(ip[24:40]))
    return "", ""


class _Owner(NamedTuple):
    """Whose a subscription is."""

    peer: bytes
    router: str


class Escalations:
    """The subscriptions at *routers*, by name."""

    def __init__(self, dataplane: Dataplane, routers: Mapping[str, Open]) -> None:
        self._dataplane = dataplane
        self._routers = routers
        self._owners: dict[int, _Owner] = {}
        self._lost: defaultdict[int, int] = defaultdict(int)  # copies that could not be sent
        self._known: dict[str, Router] = {}  # those that have the subscriptions for events

    def settle(self) -> None:
        """Follow routers that came or went."""
        there = {name: each.router for name, each in self._routers.items()}
        known = {name for name, router in self._known.items() if there.get(name) is router}
        for id, owner in list(self._owners.items()):
            if owner.router not in known:
                self._drop(id)
        for name in there.keys() - known:
            for reason in EVENTS:
                id = there[name].subscribe(1 << reason, EVENT_RATE)
                self._owners[id] = _Owner(BUS, name)
        self._known = there

    def answer(self, op: str, peer: bytes, router: str, payload: bytes) -> Reply:
        """Do one of OPERATIONS for a peer; return a code, what is wrong, and frames."""
        return reply(op, lambda: OPERATIONS[op].run(self, self._owner(peer, router), payload))

    def _owner(self, peer: bytes, router: str) -> _Owner:
        if router not in self._known:
            raise NoSuch(f"no router {router!r}")
        return _Owner(peer, router)

    def _subscribe(self, owner: _Owner, payload: bytes) -> Sequence[bytes]:
        """Have packets copied from now on."""
        reasons, rate, eth_type, port, protocol = unpack(SUBSCRIPTION, payload)
        router = self._known[owner.router]
        try:
            id = router.subscribe(reasons, rate, eth_type=eth_type, protocol=protocol, port=port)
        except OSError as error:
            raise (Full if error.errno in NO_ROOM else Refused)(error.strerror) from error
        self._owners[id] = owner
        return (ID.pack(id),)

    def _unsubscribe(self, owner: _Owner, payload: bytes) -> Sequence[bytes]:
        """End a subscription."""
        self._end(owner, *unpack(ID, payload))
        return ()

    def _end(self, owner: _Owner, id: int) -> None:
        if self._owners.get(id) != owner:
            raise NoSuch(f"{id} is no subscription of yours at router {owner.router}")
        self._known[owner.router].unsubscribe(id)
        self._drop(id)

    def _drop(self, id: int) -> None:
        del self._owners[id]
        self._lost.pop(id, None)

    def forget(self, peer: bytes) -> None:
        """End the subscriptions of a peer that is gone."""
        for id, owner in list(self._owners.items()):
            if owner.peer == peer:
                self._end(owner, id)

    def take(self) -> Iterator[tuple[bytes, str, list[Copy]]]:
        """Take the copies that wait, by peer and router."""
        told: defaultdict[_Owner, list[Copy]] = defaultdict(list)
        for id, reason, name, dropped, frame in self._dataplane.escalated():
            if owner := self._owners.get(id):
                at = self._routers[owner.router].interfaces[name].config
                where = name, at.port or at.bridge, at.vlan
                told[owner].append(Copy(id, reason, *where, dropped + self._lost[id], frame))
        for owner, copies in told.items():
            yield *owner, copies

    def lose(self, copies: list[Copy]) -> None:
        """Count copies that could not be sent."""
        for copy in copies:
            if copy.id in self._owners:
                self._lost[copy.id] += 1

    def rows(self, router: str) -> list[dict[str, Any]]:
        """Return the subscriptions at a router as rows of state."""
        rows = self._known[router].subscriptions()
        return [row | {"dropped": row["dropped"] + self._lost[row["id"]]} for row in rows]


OPERATIONS: dict[str, Operation[Callable[[Escalations, _Owner, bytes], Sequence[bytes]]]] = {
    "subscribe": Operation("packet", ("add",), Escalations._subscribe),
    "unsubscribe": Operation("packet", ("del",), Escalations._unsubscribe),
}
