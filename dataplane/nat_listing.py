"""The bulk operation that lists the sessions of a router's NAT, by pages (docs/nat.md)."""

import struct
from collections.abc import Sequence

from .datapath import DONE
from .nat import PROTOCOLS, TIMERS, Session
from .openflow import BAD_LEN, now_ms
from .routers import BAD_ROUTER
from .switch import Switch

OPERATION = "nat_sessions"
PAGE = struct.Struct("!QI")  # where to begin, how many at most
NEXT = struct.Struct("!Q")
RECORD = struct.Struct("!BBBxHHHxx4s4s16sI")
MOST = 4096  # sessions of a page


def answer(switch: Switch, name: str, payload: bytes) -> tuple[int, str, Sequence[bytes]]:
    """Return a code, what is wrong, and frames: where to go on (0: end), records."""
    there = switch.routers.open.get(name)
    if there is None:
        return BAD_ROUTER, f"no router {name!r}", ()
    try:
        position, limit = PAGE.unpack(payload)
    except struct.error as error:
        return BAD_LEN, f"{OPERATION}: {error}", ()
    rows: list[Session] = []
    if there.translation:
        position, rows = there.translation.nat.sessions(position, min(limit, MOST), now_ms())
    else:
        position = 0
    return DONE, "", (NEXT.pack(position), b"".join(map(_pack, rows)))


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
