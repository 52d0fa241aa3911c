"""What programs send through a router: frames by an interface, and payloads that get a header here.

Payloads of the operations are the records of control/message/escalation.py.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

from .datapath import DONE
from .openflow import BAD_LEN, now_ms
from .routers import BAD_ROUTER, Open
from .switch import Switch

BAD_MESSAGE = 0xFFFE0005  # not OpenFlow's: it cannot be sent
# Length of an address (4 or 16), protocol, TTL, class, flags, where the checksum goes, source,
# destination, name of the interface or none.
MESSAGE = struct.Struct("!5BxH16s16s16s")
NAME = 16  # bytes of an interface's name
DONT_FRAGMENT, HAS_SOURCE = 1, 2  # flags


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


def answer(switch: Switch, op: str, name: str, payload: bytes) -> tuple[int, str]:
    """Do one of OPERATIONS through a router; return a code, and what is wrong."""
    there = switch.routers.open.get(name)
    if there is None:
        return BAD_ROUTER, f"no router {name!r}"
    try:
        OPERATIONS[op](there, payload)
    except struct.error as error:
        return BAD_LEN, f"{op}: {error}"
    except OSError as error:
        return BAD_MESSAGE, f"{op}: {error.strerror}"
    except (KeyError, ValueError) as error:
        return BAD_MESSAGE, f"{op}: {error.args[0]}"
    return DONE, ""


def _index(there: Open, name: bytes) -> int:
    """Return the number of an interface by its name, 0 of none."""
    text = name.rstrip(b"\0").decode(errors="replace")
    if not text:
        return 0
    if text not in there.interfaces:
        raise KeyError(f"there is no interface {text!r}")
    return there.interfaces[text].index


def _send_message(there: Open, payload: bytes) -> None:
    size, protocol, ttl, traffic_class, flags, checksum_at, source, destination, name = (
        MESSAGE.unpack_from(payload)
    )
    if size not in (4, 16):
        raise ValueError(f"an address has 4 or 16 bytes, not {size}")
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
    there.router.send_message(payload[MESSAGE.size :], message, now_ms())


def _send_frame(there: Open, payload: bytes) -> None:
    if len(payload) < NAME:
        raise struct.error(f"{len(payload)} bytes are no name of an interface and a frame")
    there.router.send_frame(_index(there, payload[:NAME]), payload[NAME:])


OPERATIONS: dict[str, Callable[[Open, bytes], None]] = {
    "send_message": _send_message,
    "send_frame": _send_frame,
}
