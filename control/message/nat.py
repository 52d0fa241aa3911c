"""The NAT of a router: its sessions, port forwards that programs set, and the client for both.

The operations go to the bulk endpoint of the dataplane as those of routes.py do; records and pages
are described in docs/nat.md.
"""

import struct
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address
from typing import ClassVar

import msgspec

from .routes import BATCH, KEPT, PUT, Kept, RouteClient, cut, family_of

_FORWARD = struct.Struct("!BBBBHH4s4x16s")
_SESSION = struct.Struct("!BBBxHHHxx4s4s16sI")
_PAGE = struct.Struct("!QI")
TCP, UDP, SCTP = 6, 17, 132  # protocols of forwards


class Forward(msgspec.Struct, frozen=True):
    """What comes to an endpoint outside goes to one inside; addresses are 4 or 16 bytes."""

    protocol: int  # TCP, UDP or SCTP
    outside: bytes
    outside_port: int
    inside: bytes
    inside_port: int
    source: int = 0  # only in answers: STATIC is the configuration, OPERATOR a program


class Session(msgspec.Struct, frozen=True):
    """What is said between an endpoint inside and a remote one, and as whom."""

    protocol: int
    inside: bytes
    inside_port: int  # of ICMP the id
    remote: bytes
    remote_port: int
    outside: bytes = bytes(4)  # from here on: only in answers
    outside_port: int = 0
    timer: int = 0
    idle: int = 0  # seconds since a packet


def pack_forward(forward: Forward, op: int = PUT) -> bytes:
    """Return the record of a forward; to remove it, only protocol and endpoint outside matter."""
    version = family_of(forward.inside)
    ports = forward.outside_port, forward.inside_port
    return _FORWARD.pack(op, 0, forward.protocol, version, *ports, forward.outside, forward.inside)


def unpack_forwards(data: bytes) -> Iterator[Forward]:
    """Read records of forwards; struct.error if they are none."""
    for _, source, protocol, version, *ports, outside, inside in _FORWARD.iter_unpack(data):
        yield Forward(protocol, outside, ports[0], cut(version, inside), ports[1], source)


def pack_session(session: Session) -> bytes:
    """Return the record of a session, by which it is ended."""
    version = family_of(session.inside)
    ports = session.inside_port, session.outside_port, session.remote_port
    addresses = session.outside, session.remote, session.inside
    return _SESSION.pack(version, session.protocol, session.timer, *ports, *addresses, session.idle)


def unpack_sessions(data: bytes) -> Iterator[Session]:
    """Read records of sessions; struct.error if they are none."""
    for version, protocol, timer, *ports, outside, remote, inside, idle in _SESSION.iter_unpack(
        data
    ):
        ends = cut(version, inside), ports[0], remote, ports[2]
        yield Session(protocol, *ends, outside, ports[1], timer, idle)


def _forward_name(record: bytes) -> str:
    protocol, port, outside = record[2], int.from_bytes(record[4:6]), ip_address(record[8:12])
    return f"forward of protocol {protocol} from {outside} port {port}"


def _session_name(record: bytes) -> str:
    inside, port = ip_address(cut(record[0], record[20:36])), int.from_bytes(record[4:6])
    return f"session of protocol {record[1]} of {inside} port {port}"


class NatClient(RouteClient):
    """The API of one router, with its NAT.  CallError: a request failed as a whole.

    `carry_out` does `forward_mod`, and `nat_end` with the records of sessions.
    """

    kept: ClassVar[dict[str, Kept]] = {
        **KEPT,
        "forward_mod": Kept(lambda record: record[2:3] + record[4:6] + record[8:12], _forward_name),
        "nat_end": Kept(
            lambda record: record[:2] + record[4:6] + record[8:10] + record[16:36], _session_name
        ),
    }

    async def forwards(self) -> list[Forward]:
        """Return all port forwards, those of the configuration too."""
        return [each async for page in self._listed("forwards") for each in unpack_forwards(page)]

    async def sessions(self) -> list[Session]:
        """Return all sessions."""
        pages = self._listed("nat_sessions")
        return [each async for page in pages for each in unpack_sessions(page)]

    async def flush(self, inside: bytes = b"") -> int:
        """End the sessions of an address inside, or all; return how many."""
        return int.from_bytes((await self._request("nat_flush", inside))[0])

    async def _listed(self, op: str) -> AsyncIterator[bytes]:
        position = 0
        while True:
            head, records = await self._request(op, _PAGE.pack(position, BATCH), 2)
            yield records
            if not (position := int.from_bytes(head)):
                return
