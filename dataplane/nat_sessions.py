"""The bulk operations on sessions of a router's NAT: list them by pages, end them (docs/nat.md)."""

import struct
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from .nat import PROTOCOLS, TIMERS, Session
from .openflow import now_ms
from .operation import Operation, Refused, unpack
from .routers import Open

PAGE = struct.Struct("!QI")  # where to begin, how many at most
NEXT = struct.Struct("!Q")
RECORD = struct.Struct("!BBBxHHHxx4s4s16sI")
ENDED = struct.Struct("!I")
MOST = 4096  # sessions of a page

Answer = Sequence[bytes]


def _list(there: Open, payload: bytes) -> Answer:
    """List sessions, by pages."""
    position, limit = unpack(PAGE, payload)
    rows: list[Session] = []
    if there.translation:
        position, rows = there.translation.nat.sessions(position, min(limit, MOST), now_ms())
    else:
        position = 0
    return NEXT.pack(position), b"".join(map(_pack, rows))


def _pack(row: Session) -> bytes:
    return RECORD.pack(
        row.inside.version,
        PROTOCOLS[row.protocol],
        TIMERS[row.timer],
        row.inside_port,
        row.outside_port,
        row.remote_port,
        row.outside.packed,
        row.remote.packed,
        row.inside.packed,
        min(row.idle_ms // 1000, 0xFFFFFFFF),
    )


def _flush(there: Open, payload: bytes) -> Answer:
    """End the sessions of an address inside, or all."""
    if len(payload) not in (0, 4, 16):
        raise struct.error(f"{len(payload)} bytes are no address")
    inside = ip_address(payload) if payload else None
    if there.translation is None:
        raise Refused("the router has no NAT")
    return (ENDED.pack(there.translation.nat.flush(now_ms(), inside)),)


OPERATIONS: dict[str, Operation[Callable[[Open, bytes], Answer]]] = {
    "nat_sessions": Operation("nat/session", ("get", "bulk"), _list),
    "nat_flush": Operation("nat/session", ("del",), _flush),
}
