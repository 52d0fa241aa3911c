"""Ports of OpenFlow 1.0: numbers of 16 bits, and descriptions."""

import struct

from ..spec.ports import Port, PortNo

MAX = 0xFF00
IN_PORT, CONTROLLER, NONE = 0xFFF8, 0xFFFD, 0xFFFF
_PORT = struct.Struct("!H6s16sIIIIII")
STP = 2 | 8  # bits of the configuration that say nothing to a switch without a spanning tree


def number_of(port: int) -> int:
    """Return the number of a 1.0 port in 1.3."""
    return port if port < MAX else 0xFFFF0000 | port


def old_number(port: int) -> int | None:
    """Return the number of a port in 1.0; None if it has none there."""
    if port < MAX:
        return port
    return port & 0xFFFF if port >= PortNo.IN_PORT else None


def features_of(bits: int) -> int:
    """Return the bits of speeds and media as 1.0 counts them."""
    return bits & 0x7F | bits >> 4 & 0xF80


def pack_port(port: Port) -> bytes:
    """Return a port as 1.0 describes it; nothing if it has no number there."""
    number = old_number(port.port_no)
    if number is None:
        return b""
    speeds = map(features_of, (port.curr, port.advertised, port.supported, port.peer))
    name = port.name.encode()[:15]
    return _PORT.pack(number, port.hw_addr, name, port.config, port.state & 1, *speeds)
