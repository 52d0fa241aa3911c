"""What programs send through a router: frames by an interface, and payloads that get a header here.

Payloads of the operations are the records of control/message/escalation.py.
"""

import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

from .openflow import now_ms
from .operation import BadLength, NoSuch, Operation, Refused
from .routers import Open

# Length of an address (4 or 16), protocol, TTL, class, flags, where the checksum goes, source,
# destination, name of the interface or none.
MESSAGE = struct.Struct("!5BxH16s16s16s")
NAME = 16  # bytes of an interface's name
DONT_FRAGMENT, HAS_SOURCE = 1, 2  # flags


Answer = Sequence[bytes]


class Message(NamedTuple):
    """What the header is made of."""

    protocol: int
    ttl: int
    traffic_class: int
    dont_fragment: bool
    checksum_at: int
    interface: int
    source: bytes
    destination: bytes


def _index(there: Open, name: bytes) -> int:
    """Return the number of an interface by its name, 0 of none."""
    text = name.rstrip(b"\0").decode(errors="replace")
    if not text:
        return 0
    if text not in there.interfaces:
        raise NoSuch(f"there is no interface {text!r}")
    return there.interfaces[text].index


def _send_message(there: Open, payload: bytes) -> Answer:
    """Send a payload behind a header that is made here, by a route or to a link."""
    if len(payload) < MESSAGE.size:
        raise BadLength(f"{len(payload)} bytes are no head of {MESSAGE.size} and a payload")
    size, protocol, ttl, traffic_class, flags, checksum_at, source, destination, name = (
        MESSAGE.unpack_from(payload)
    )
    if size not in (4, 16):
        raise Refused(f"an address has 4 or 16 bytes, not {size}")
    message = Message(
        protocol,
        ttl,
        traffic_class,
        bool(flags & DONT_FRAGMENT),
        checksum_at,
        _index(there, name),
        source[:size] if flags & HAS_SOURCE else b"",
        destination[:size],
    )
    try:
        there.router.send_message(payload[MESSAGE.size :], message, now_ms())
    except OSError as error:  # the core's: no route, no address, too long
        raise Refused(error.strerror) from error
    return ()


def _send_frame(there: Open, payload: bytes) -> Answer:
    """Send a frame by an interface, as it is."""
    if len(payload) < NAME:
        raise BadLength(f"{len(payload)} bytes are no name of an interface and a frame")
    index = _index(there, payload[:NAME])
    if not index:
        raise Refused("a frame leaves by an interface, and none is named")
    try:
        there.router.send_frame(index, payload[NAME:])
    except OSError as error:
        raise Refused(error.strerror) from error
    except ValueError as error:  # its length
        raise Refused(str(error)) from error
    return ()


OPERATIONS: dict[str, Operation[Callable[[Open, bytes], Answer]]] = {
    "send_message": Operation("packet", ("send",), _send_message),
    "send_frame": Operation("packet", ("send",), _send_frame),
}
