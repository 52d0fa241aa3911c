"""The bulk operations on port forwards that programs set, beside those of the configuration.

They last as long as the NAT, and give way to the configuration (docs/nat.md).
"""

import struct
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, ip_address

from .nat import PROTOCOLS, Forward
from .nat_sessions import NEXT, PAGE, SIZES, translation_of
from .openflow import now_ms
from .operation import Operation, unpack, whole
from .routers import Open
from .translation import BAD

# Put or remove, whose it is, protocol, version, ports outside and inside, address outside, inside.
FORWARD = struct.Struct("!BBBBHH4s4x16s")
PUT, REMOVE = 1, 2
MOST = 4096  # forwards of a page

Answer = Sequence[bytes]

_NAMES = {number: name for name, number in PROTOCOLS.items()}


def _mod(there: Open, payload: bytes) -> Answer:
    """Put and remove port forwards."""
    translation = translation_of(there)
    records = FORWARD.iter_unpack(whole(payload, FORWARD.size))
    with translation.changing(now_ms()) as forwards:
        codes = [_one(*record, put=forwards.put, remove=forwards.remove) for record in records]
    return (struct.pack(f"!{len(codes)}I", *codes),)


def _one(
    op: int,
    source: int,
    protocol: int,
    version: int,
    outside_port: int,
    inside_port: int,
    outside: bytes,
    inside: bytes,
    *,
    put: Callable[[Forward], int],
    remove: Callable[[Forward], int],
) -> int:
    does = {PUT: put, REMOVE: remove}.get(op)
    if does is None or source or protocol not in _NAMES or version not in SIZES:
        return BAD
    host = ip_address(inside[: SIZES[version]])
    return does(Forward(_NAMES[protocol], IPv4Address(outside), outside_port, host, inside_port))


def _list(there: Open, payload: bytes) -> Answer:
    """List port forwards, by pages."""
    position, limit = unpack(PAGE, payload)
    rows = sorted(
        (_position(forward), forward, source)
        for forward, source in (there.translation.forwards() if there.translation else ())
    )
    rows = [row for row in rows if row[0] >= position]
    page = rows[: min(limit, MOST)]
    following = rows[len(page)][0] if len(page) < len(rows) else 0
    return NEXT.pack(following), b"".join(_pack(row, source) for _, row, source in page)


def _position(forward: Forward) -> int:
    """Return where a forward stands in the list, whatever comes and goes; not 0."""
    outside = int(forward.outside) << 16 | forward.outside_port
    return outside << 8 | PROTOCOLS[forward.protocol]


def _pack(forward: Forward, source: int) -> bytes:
    return FORWARD.pack(
        PUT,
        source,
        PROTOCOLS[forward.protocol],
        forward.inside.version,
        forward.outside_port,
        forward.inside_port,
        forward.outside.packed,
        forward.inside.packed,
    )


OPERATIONS: dict[str, Operation[Callable[[Open, bytes], Answer]]] = {
    "forward_mod": Operation("nat/forward", ("add", "del", "bulk"), _mod),
    "forwards": Operation("nat/forward", ("get", "bulk"), _list),
}
