"""Just enough of OpenFlow 1.3 to write flows: FLOW_MODs as bytes, one by one or by the million.

Written from the specification and independent of raicho's own codec, so that a benchmark cannot
inherit an error from what it measures.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

VERSION, FLOW_MOD, ADD = 4, 14, 0
GOTO_TABLE, APPLY_ACTIONS = 1, 4
OUTPUT, DEC_NW_TTL, SET_FIELD = 0, 24, 25
EXPERIMENTER, RAICHO = 4, 0x00524348
ANY, NO_BUFFER = 0xFFFFFFFF, 0xFFFFFFFF
HEADER_SIZE = 48  # of a FLOW_MOD, before its match

# name -> (OXM field, size in bytes)
FIELDS = {
    "in_port": (0, 4),
    "eth_dst": (3, 6),
    "eth_src": (4, 6),
    "eth_type": (5, 2),
    "vlan_vid": (6, 2),
    "ip_proto": (10, 1),
    "ipv4_src": (11, 4),
    "ipv4_dst": (12, 4),
    "udp_src": (15, 2),
    "udp_dst": (16, 2),
}


def pad8(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def oxm(name: str, value: int, mask: int | None = None) -> bytes:
    """Pack one match field."""
    field, size = FIELDS[name]
    body = value.to_bytes(size)
    if mask is not None:
        body += mask.to_bytes(size)
    return struct.pack("!HBB", 0x8000, field << 1 | (mask is not None), len(body)) + body


def match(fields: Mapping[str, int | tuple[int, int]]) -> bytes:
    """Pack a match; a value may come with its mask."""
    body = b"".join(
        oxm(name, *value) if isinstance(value, tuple) else oxm(name, value)
        for name, value in fields.items()
    )
    return pad8(struct.pack("!HH", 1, 4 + len(body)) + body)


def output(port: int) -> bytes:
    return struct.pack("!HHIH6x", OUTPUT, 16, port, 0xFFFF)


def dec_ttl() -> bytes:
    return struct.pack("!HH4x", DEC_NW_TTL, 8)


def set_field(name: str, value: int) -> bytes:
    body = oxm(name, value)
    size = len(pad8(bytes(4) + body))
    return pad8(struct.pack("!HH", SET_FIELD, size) + body)


def apply(*actions: bytes) -> bytes:
    body = b"".join(actions)
    return struct.pack("!HH4x", APPLY_ACTIONS, 8 + len(body)) + body


def goto(table: int) -> bytes:
    return struct.pack("!HHB3x", GOTO_TABLE, 8, table)


def template(number: int, parameters: int, *instructions: bytes) -> bytes:
    """Pack the message of raicho's that defines a template; a bit of 'parameters' for each item."""
    body = struct.pack("!IIH2xIQ32s", RAICHO, 1, ADD, number, parameters, b"") + b"".join(
        instructions
    )
    return struct.pack("!BBHI", VERSION, EXPERIMENTER, 8 + len(body), 0) + body


def use(number: int, *arguments: bytes) -> bytes:
    """Pack the instruction of an entry of a template."""
    body = b"".join(arguments)
    return struct.pack("!HHIH2xI", 0xFFFF, 16 + len(body), RAICHO, 1, number) + body


def flow_mod(
    fields: Mapping[str, int | tuple[int, int]],
    *instructions: bytes,
    table: int = 0,
    priority: int = 0,
    command: int = ADD,
) -> bytes:
    """Pack a whole FLOW_MOD message."""
    body = match(fields) + b"".join(instructions)
    header = struct.pack("!BBHI", VERSION, FLOW_MOD, HEADER_SIZE + len(body), 0)
    fixed = struct.pack(
        "!QQBBHHHIIIH2x", 0, 0, table, command, 0, 0, priority, NO_BUFFER, ANY, ANY, 0
    )
    return header + fixed + body


def sized(message: bytes) -> bytes:
    """Write into a message how long it is."""
    return message[:2] + len(message).to_bytes(2) + message[4:]


def split(messages: bytes) -> Iterator[bytes]:
    """Cut messages apart."""
    while messages:
        size = int.from_bytes(messages[2:4])
        yield messages[:size]
        messages = messages[size:]


def cut(flow_mod: bytes) -> tuple[bytes, bytes]:
    """Cut a FLOW_MOD into what is before its instructions, and these."""
    size = int.from_bytes(flow_mod[HEADER_SIZE + 2 : HEADER_SIZE + 4])
    at = HEADER_SIZE + (size + 7) // 8 * 8
    return flow_mod[:at], flow_mod[at:]


def many(template: bytes, columns: Mapping[int, tuple[int, NDArray[Any]]]) -> bytes:
    """Repeat a message; 'columns' maps an offset to (size, the value for each copy)."""
    return stamp(template, columns).tobytes()


def stamp(template: bytes, columns: Mapping[int, tuple[int, NDArray[Any]]]) -> Bytes:
    """Lay out copies of 'template' as rows and write big-endian columns into them."""
    count = len(next(iter(columns.values()))[1])
    rows = np.tile(np.frombuffer(template, np.uint8), (count, 1))
    for offset, (size, values) in columns.items():
        wide = values.astype(">u8").view(np.uint8).reshape(count, 8)
        rows[:, offset : offset + size] = wide[:, 8 - size :]
    return rows


def value_offset(fields: Mapping[str, int], name: str) -> int:
    """Find where the value of an unmasked field stands in a FLOW_MOD with these fields."""
    at = HEADER_SIZE + 4
    for field in fields:
        at += 4
        if field == name:
            return at
        at += FIELDS[field][1]
    raise KeyError(name)
