"""The actions of OpenFlow 1.0, and what they are in 1.3."""

import struct
from collections.abc import Callable, Iterable, Iterator

from ..errors import RemoteError
from ..spec.actions import (
    Action,
    ActionExperimenter,
    Output,
    PopVlan,
    PushVlan,
    SetField,
    SetQueue,
)
from ..spec.errors import BadAction, reason
from ..spec.instructions import ApplyActions, Instruction, WriteActions
from ..spec.match import VLAN_PRESENT, Match, Oxm
from .match import IPV4, TRANSPORT
from .ports import number_of, old_number

VENDOR = 0xFFFF


class Known:
    """What is known of the packets that an action list is for."""

    def __init__(self, match: Match) -> None:
        fields = {oxm.name: oxm.value for oxm in match if isinstance(oxm, Oxm)}
        self.tagged = bool(fields.get("vlan_vid", 0))
        self.ipv4 = fields.get("eth_type") == IPV4
        self.proto = fields.get("ip_proto", -1)


def unpack_actions(data: bytes, match: Match) -> tuple[Action, ...]:
    """Return 1.0 actions as those of 1.3, for packets that match; raise RemoteError."""
    return tuple(_unpack(data, Known(match)))


def _unpack(data: bytes, known: Known) -> Iterator[Action]:
    at = 0
    while at < len(data):
        if len(data) - at < 8:
            raise RemoteError("an action cut short", reason(BadAction.BAD_LEN))
        kind, size = struct.unpack_from("!HH", data, at)
        if size < 8 or size % 8 or at + size > len(data):
            raise RemoteError(f"an action of {size} bytes", reason(BadAction.BAD_LEN))
        body = data[at + 4 : at + size]
        if kind == VENDOR:
            yield ActionExperimenter(int.from_bytes(body[:4], "big"), body[4:])
        elif kind not in READERS:
            raise RemoteError(f"action {kind}", reason(BadAction.BAD_TYPE))
        elif size != READERS[kind][0]:
            raise RemoteError(f"action {kind} of {size} bytes", reason(BadAction.BAD_LEN))
        else:
            yield from READERS[kind][1](body, known)
        at += size


def _output(body: bytes, known: Known) -> Iterable[Action]:
    port, max_len = struct.unpack("!HH", body)
    return (Output(number_of(port), max_len),)


def _enqueue(body: bytes, known: Known) -> Iterable[Action]:
    """Use a queue for this output only."""
    port, queue = struct.unpack("!H6xI", body)
    return SetQueue(queue), Output(number_of(port)), SetQueue(0)


def _vlan(name: str, mask: int, flag: int) -> Callable[[bytes, Known], Iterable[Action]]:
    """Write into the tag; packets that are not known to have one get one."""

    def read(body: bytes, known: Known) -> Iterable[Action]:
        value = int.from_bytes(body[: 2 if flag else 1], "big")
        if value & ~mask:
            raise RemoteError(f"{name} {value}", reason(BadAction.BAD_ARGUMENT))
        push = () if known.tagged else (PushVlan(),)
        known.tagged = True
        return *push, SetField(Oxm(name, value | flag))

    return read


def _strip(body: bytes, known: Known) -> Iterable[Action]:
    known.tagged = False
    return (PopVlan(),)


def _mac(name: str) -> Callable[[bytes, Known], Iterable[Action]]:
    return lambda body, known: (SetField(Oxm(name, int.from_bytes(body[:6], "big"))),)


def _ip(name: str, size: int, shift: int = 0) -> Callable[[bytes, Known], Iterable[Action]]:
    def read(body: bytes, known: Known) -> Iterable[Action]:
        if not known.ipv4:
            raise RemoteError(f"{name} of what is not IP", reason(BadAction.BAD_ARGUMENT))
        return (SetField(Oxm(name, int.from_bytes(body[:size], "big") >> shift)),)

    return read


def _port(which: int) -> Callable[[bytes, Known], Iterable[Action]]:
    def read(body: bytes, known: Known) -> Iterable[Action]:
        if not known.ipv4 or known.proto not in (6, 17):
            raise RemoteError("a port of what is not TCP or UDP", reason(BadAction.BAD_ARGUMENT))
        name = TRANSPORT[known.proto][which]
        return (SetField(Oxm(name, int.from_bytes(body[:2], "big"))),)

    return read


#: By type: the size of the action, and what reads it.
READERS: dict[int, tuple[int, Callable[[bytes, Known], Iterable[Action]]]] = {
    0: (8, _output),
    1: (8, _vlan("vlan_vid", 0xFFF, VLAN_PRESENT)),
    2: (8, _vlan("vlan_pcp", 7, 0)),
    3: (8, _strip),
    4: (16, _mac("eth_src")),
    5: (16, _mac("eth_dst")),
    6: (8, _ip("ipv4_src", 4)),
    7: (8, _ip("ipv4_dst", 4)),
    8: (8, _ip("ip_dscp", 1, 2)),
    9: (8, _port(0)),
    10: (8, _port(1)),
    11: (16, _enqueue),
}

#: By field: the type in 1.0, the layout behind the header, and how the value is shifted or masked.
WRITERS: dict[str, tuple[int, str, Callable[[int], int | bytes]]] = {
    "vlan_vid": (1, "!HHH2x", lambda value: value & 0xFFF),
    "vlan_pcp": (2, "!HHB3x", int),
    "eth_src": (4, "!HH6s6x", lambda value: value.to_bytes(6, "big")),
    "eth_dst": (5, "!HH6s6x", lambda value: value.to_bytes(6, "big")),
    "ipv4_src": (6, "!HHI", int),
    "ipv4_dst": (7, "!HHI", int),
    "ip_dscp": (8, "!HHB3x", lambda value: value << 2),
    "tcp_src": (9, "!HHH2x", int),
    "tcp_dst": (10, "!HHH2x", int),
    "udp_src": (9, "!HHH2x", int),
    "udp_dst": (10, "!HHH2x", int),
}


def pack_instructions(instructions: Iterable[Instruction]) -> bytes:
    """Return what a flow does as 1.0 actions; what it has no words for is left out."""
    actions = (
        action
        for instruction in instructions
        if isinstance(instruction, ApplyActions | WriteActions)
        for action in instruction.actions
    )
    return b"".join(_pack(actions))


def _pack(actions: Iterable[Action]) -> Iterator[bytes]:
    queue = 0
    for action in actions:
        if isinstance(action, SetQueue):
            queue = action.queue_id
        elif isinstance(action, Output):
            port = old_number(action.port)
            if port is not None and queue:
                yield struct.pack("!HHH6xI", 11, 16, port, queue)
            elif port is not None:
                yield struct.pack("!HHHH", 0, 8, port, action.max_len)
        elif isinstance(action, PopVlan):
            yield struct.pack("!HH4x", 3, 8)
        elif isinstance(action, ActionExperimenter):
            size = 8 + len(action.data)
            yield struct.pack("!HHI", VENDOR, size, action.experimenter) + action.data
        elif isinstance(action, SetField) and isinstance(action.field, Oxm):
            yield from _pack_field(action.field)


def _pack_field(field: Oxm) -> Iterator[bytes]:
    if field.name in WRITERS:
        kind, layout, value = WRITERS[field.name]
        yield struct.pack(layout, kind, struct.calcsize(layout), value(field.value))
