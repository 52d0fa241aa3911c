"""Messages of rtnetlink as zebra and the kernel send them, for tests."""

import struct
from collections.abc import Iterable, Sequence

from raicho.control.routing.encode import Attribute, message

NEW, DEL = 0, 1
FAMILIES = {4: 2, 16: 10}


def u32(number: int) -> bytes:
    return struct.pack("=I", number)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def route(
    prefix: bytes,
    length: int,
    attributes: Iterable[Attribute] = (),
    *,
    op: int = NEW,
    kind: int = 1,
    table: int = 254,
    protocol: int = 186,
    flags: int = 0,
) -> bytes:
    """Return RTM_NEWROUTE or RTM_DELROUTE."""
    family = FAMILIES[len(prefix)]
    body = struct.pack("=BBBBBBBBI", family, length, 0, 0, table, protocol, 0, kind, flags)
    return message(24 + op, 0x501, 0, body, [(1, prefix), *attributes])


def stack(*labels: int) -> bytes:
    """Return entries of a label stack, the outermost first (RFC 3032)."""
    bottom = len(labels) - 1
    return b"".join((n << 12 | (i == bottom) << 8).to_bytes(4) for i, n in enumerate(labels))


def label_route(
    label: int,
    attributes: Iterable[Attribute] = (),
    *,
    op: int = NEW,
    kind: int = 1,
    length: int = 20,
) -> bytes:
    """Return RTM_NEWROUTE or RTM_DELROUTE of a label, as zebra writes it."""
    body = struct.pack("=BBBBBBBBI", 28, length, 0, 0, 254, 11, 0, kind, 0)
    return message(24 + op, 0x501, 0, body, [(1, stack(label)), *attributes])


def over(gateway: bytes) -> list[Attribute]:
    """Return the attribute of a next hop of any family."""
    return [(18, struct.pack("=H", FAMILIES[len(gateway)]) + gateway)]


def by(next_hop: int) -> list[Attribute]:
    """Return the attributes of a route by a next hop with an id."""
    return [(30, u32(next_hop))]


def next_hop(ident: int, attributes: Iterable[Attribute] = (), *, op: int = NEW) -> bytes:
    """Return RTM_NEWNEXTHOP or RTM_DELNEXTHOP."""
    return message(104 + op, 0x501, 0, bytes(8), [(1, u32(ident)), *attributes])


def through(interface: int, gateway: bytes) -> list[Attribute]:
    """Return the attributes of a next hop on the link of an interface."""
    return [(5, u32(interface)), (6, gateway)]


def group(members: Sequence[tuple[int, int]]) -> list[Attribute]:
    """Return the attributes of a group of ids with weights."""
    packed = [struct.pack("=IBBH", ident, weight - 1, 0, 0) for ident, weight in members]
    return [(2, b"".join(packed))]


def frame(payload: bytes) -> bytes:
    """Return the frame of FPM that carries a message."""
    return struct.pack(">BBH", 1, 1, 4 + len(payload)) + payload
