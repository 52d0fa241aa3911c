"""Messages of rtnetlink(7), written.  Numbers are in the byte order of the host."""

import struct
from collections.abc import Iterable

REQUEST, ACK, DUMP = 0x1, 0x4, 0x300  # flags
REPLACE, CREATE = 0x100, 0x400
GET_LINK, GET_ROUTE, NEW_NEIGHBOUR, DEL_NEIGHBOUR, GET_NEIGHBOUR = 18, 26, 28, 29, 30
NDA_DST, NDA_LLADDR = 1, 2
REACHABLE = 0x02  # NUD_*
EXTERNALLY_LEARNED = 0x10  # NTF_*: not the kernel's to age
FAMILIES = {4: 2, 16: 10}  # AF_INET, AF_INET6, by the bytes of an address

_HEADER = struct.Struct("=IHHII")

Attribute = tuple[int, bytes]


def message(
    kind: int, flags: int, sequence: int, body: bytes, attributes: Iterable[Attribute] = ()
) -> bytes:
    """Return a message: a fixed part, and attributes by type."""
    content = body + b"".join(_attribute(*each) for each in attributes)
    return _HEADER.pack(_HEADER.size + len(content), kind, flags, sequence, 0) + content


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def dump(kind: int, sequence: int) -> bytes:
    """Return a request for all there is of a kind, of all families."""
    return message(kind, REQUEST | DUMP, sequence, bytes(16))


def neighbour(sequence: int, removed: bool, interface: int, where: bytes, mac: bytes) -> bytes:
    """Return a request that the kernel know a neighbour that others found, or forget it."""
    flags = REQUEST | ACK | (0 if removed else CREATE | REPLACE)
    family = FAMILIES[len(where)]
    body = struct.pack("=BxxxiHBB", family, interface, REACHABLE, EXTERNALLY_LEARNED, 0)
    attributes = [(NDA_DST, where), *([] if removed else [(NDA_LLADDR, mac)])]
    return message(DEL_NEIGHBOUR if removed else NEW_NEIGHBOUR, flags, sequence, body, attributes)
