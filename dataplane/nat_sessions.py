"""The bulk operations on sessions of a router's NAT: list them by pages, end them (docs/nat.md)."""

import struct
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, ip_address

from .nat import PROTOCOLS, TIMERS, Session
from .openflow import now_ms
from .operation import BadLength, Operation, Refused, unpack, whole
from .routers import Open
from .translation import BAD, GONE, Translation

PAGE = struct.Struct("!QI")  # where to begin, how many at most
NEXT = struct.Struct("!Q")
RECORD = struct.Struct("!BBBxHHHxx4s4s16sI")
ENDED = struct.Struct("!I")
MOST = 4096  # sessions of a page
SIZES = {4: 4, 6: 16}  # of addresses by version

Answer = Sequence[bytes]

_NAMES = {number: name for name, number in PROTOCOLS.items()}


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


def _end(there: Open, payload: bytes) -> Answer:
    """End sessions, as they are listed."""
    nat, now = translation_of(there).nat, now_ms()
    codes = []
    for record in RECORD.iter_unpack(whole(payload, RECORD.size)):
        version, protocol, _, inside_port, _, remote_port, _, remote, inside, _ = record
        if version not in SIZES or protocol not in _NAMES:
            codes.append(BAD)
            continue
        host = ip_address(inside[: SIZES[version]])
        ends = host, inside_port, IPv4Address(remote), remote_port
        codes.append(0 if nat.end(now, _NAMES[protocol], *ends) else GONE)
    return (struct.pack(f"!{len(codes)}I", *codes),)


def _flush(there: Open, payload: bytes) -> Answer:
    """End the sessions of an address inside, or all."""
    if len(payload) not in (0, 4, 16):
        raise BadLength(f"{len(payload)} bytes are no address")
    inside = ip_address(payload) if payload else None
    return (ENDED.pack(translation_of(there).nat.flush(now_ms(), inside)),)


def translation_of(there: Open) -> Translation:
    """Return the NAT of a router; raise Refused if it has none."""
    if there.translation is None:
        raise Refused("the router has no NAT")
    return there.translation


OPERATIONS: dict[str, Operation[Callable[[Open, bytes], Answer]]] = {
    "nat_sessions": Operation("nat/session", ("get", "bulk"), _list),
    "nat_end": Operation("nat/session", ("del", "bulk"), _end),
    "nat_flush": Operation("nat/session", ("del",), _flush),
}
