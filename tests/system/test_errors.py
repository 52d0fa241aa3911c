"""Every error of OpenFlow 1.3.5 that a message can provoke, over TCP; nothing changes by it.

PROVOKED is the table: what is wrong, the message, type and code. NOT_PROVOKED gives the reason for
each of the others; together they are all that the specification has.
"""

import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from raicho.control.openflow.spec.errors import (
    CODES,
    BadAction,
    BadInstruction,
    BadMatch,
    BadRequest,
    FlowModFailed,
    GroupModFailed,
    HelloFailed,
    MeterModFailed,
    PortModFailed,
    QueueOpFailed,
    RoleRequestFailed,
    SwitchConfigFailed,
    TableFeaturesFailed,
    TableModFailed,
    describe,
    reason,
)

from .headless import ERROR, HELLO, MULTIPART_REPLY, Headless, Peer, message

ECHO, EXPERIMENTER, SET_CONFIG, PACKET_OUT, FLOW_MOD, GROUP_MOD = 2, 4, 9, 13, 14, 15
PORT_MOD, TABLE_MOD, MULTIPART, QUEUE_CONFIG, ROLE, METER_MOD = 16, 17, 18, 22, 24, 29
ADD, MODIFY, DELETE = 0, 1, 2
ANY, ALL, NO_BUFFER = 0xFFFFFFFF, 0xFF, 0xFFFFFFFF
FLOW, TABLE_FEATURES, MORE = 1, 12, 1
DEPTH = 16  # of groups in groups
MAX_FLOWS = 3  # of the bridge: what stands in BASE
NARROW, GONE = 7, 9  # tables: one that can little, one that is not there
XID = 0x1234
ONF, NICIRA, RAICHO = 0x4F4E4600, 0x2320, 0x00524348
MASTER, SLAVE = 2, 3


# --- Messages ---------------------------------------------------------------------------


def oxm(field: int, value: str, masked: bool = False, cls: int = 0x8000) -> bytes:
    """Pack a field of a match, value (and mask) in hexadecimal."""
    data = bytes.fromhex(value)
    return struct.pack("!HBB", cls, field << 1 | masked, len(data)) + data


def match(*fields: bytes, kind: int = 1) -> bytes:
    data = b"".join(fields)
    return padded(struct.pack("!HH", kind, 4 + len(data)) + data)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def action(kind: int, body: str = "00000000") -> bytes:
    data = bytes.fromhex(body)
    return struct.pack("!HH", kind, 4 + len(data)) + data


def output(port: int) -> bytes:
    return action(0, f"{port:08x}" + "ffff" + "00" * 6)


def group(number: int) -> bytes:
    return action(22, f"{number:08x}")


def set_field(field: bytes) -> bytes:
    data = padded(bytes(4) + field)
    return struct.pack("!HH", 25, len(data)) + data[4:]


def apply(*actions: bytes) -> bytes:
    return instruction(4, bytes(4) + b"".join(actions))


def write(*actions: bytes) -> bytes:
    return instruction(3, bytes(4) + b"".join(actions))


def instruction(kind: int, body: bytes) -> bytes:
    return struct.pack("!HH", kind, 4 + len(body)) + body


def metadata(value: int, mask: int) -> bytes:
    return instruction(2, struct.pack("!4xQQ", value, mask))


def flow_mod(
    *instructions: bytes,
    match: bytes = match(),
    table: int = 0,
    command: int = ADD,
    priority: int = 1,
    buffer: int = NO_BUFFER,
    flags: int = 0,
) -> bytes:
    body = struct.pack(
        *("!QQBBHHHIIIH2x", 0, 0, table, command, 0, 0),
        *(priority, buffer, ANY, ANY, flags),
    )
    return message(FLOW_MOD, body + match + b"".join(instructions), XID)


def flow(*actions: bytes, fields: bytes = match()) -> bytes:
    """A flow that applies actions."""
    return flow_mod(apply(*actions), match=fields)


def matching(*fields: bytes) -> bytes:
    return flow_mod(match=match(*fields))


def bucket(*actions: bytes, weight: int = 0, port: int = ANY, watch: int = ANY) -> bytes:
    data = b"".join(actions)
    return struct.pack("!HHII4x", 16 + len(data), weight, port, watch) + data


def group_mod(number: int, *buckets: bytes, command: int = ADD, kind: int = 0) -> bytes:
    head = struct.pack("!HBxI", command, kind, number)
    return message(GROUP_MOD, head + b"".join(buckets), XID)


def band(kind: int = 1, rate: int = 1000, burst: int = 100, level: int = 1) -> bytes:
    return struct.pack("!HHIIB3x", kind, 16, rate, burst, level)


def meter_mod(number: int, *bands: bytes, command: int = ADD, flags: int = 1) -> bytes:
    return message(METER_MOD, struct.pack("!HHI", command, flags, number) + b"".join(bands), XID)


def packet_out(
    actions: bytes = output(1), frame: bytes = bytes(60), port: int = 1, buffer: int = NO_BUFFER
) -> bytes:
    head = struct.pack("!IIH6x", buffer, port, len(actions))
    return message(PACKET_OUT, head + actions + frame, XID)


def port_mod(port: int = 1, mac: bytes = bytes(6), config: int = 0, mask: int = 0) -> bytes:
    return message(PORT_MOD, struct.pack("!I4x6s2xIII4x", port, mac, config, mask, 0), XID)


def multipart(kind: int, body: bytes = b"", flags: int = 0) -> bytes:
    return message(MULTIPART, struct.pack("!HH4x", kind, flags) + body, XID)


def role(wanted: int, generation: int) -> bytes:
    return message(ROLE, struct.pack("!I4xQ", wanted, generation), XID)


def features(*tables: bytes) -> bytes:
    return multipart(TABLE_FEATURES, b"".join(tables))


def table(number: int, *properties: bytes, write: int = 0, size: int = 0) -> bytes:
    body = b"".join(map(padded, properties))
    head = struct.pack(*("!HB5x32sQQII", size or 64 + len(body), number, b"", 0, write, 0, 1000))
    return head + body


ETH_IPV4, ETH_ARP = oxm(5, "0800"), oxm(5, "0806")
IP_TCP = oxm(10, "06")

BASE = [
    group_mod(100, bucket(output(1))),
    *(group_mod(100 + i, bucket(group(99 + i))) for i in range(1, DEPTH)),
    group_mod(1, bucket(output(1))),
    group_mod(2, bucket(group(1)), kind=2),
    meter_mod(1, band()),
    flow_mod(apply(output(1)), match=match(ETH_IPV4), priority=10),
    flow_mod(apply(group(2)), instruction(6, struct.pack("!I", 1)), priority=0),
    flow_mod(apply(output(2)), match=match(oxm(0, "00000002")), table=3, priority=5),
]


class Case(NamedTuple):
    """What is wrong, and what it gets."""

    message: bytes
    error: IntEnum


# --- The table ----------------------------------------------------------------------------

PROVOKED: dict[str, Case] = {
    "a version that is not spoken": Case(
        message(ECHO, b"", XID, version=9), BadRequest.BAD_VERSION
    ),
    "a type that does not exist": Case(message(99, b"abc", XID), BadRequest.BAD_TYPE),
    "a multipart type that does not exist": Case(multipart(77), BadRequest.BAD_MULTIPART),
    "an experimenter that is not known": Case(
        message(EXPERIMENTER, struct.pack("!II", 0xABCDEF, 1), XID), BadRequest.BAD_EXPERIMENTER
    ),
    "an experimenter's type that is not known": Case(
        message(EXPERIMENTER, struct.pack("!II", ONF, 9999), XID), BadRequest.BAD_EXP_TYPE
    ),
    "a flow-mod cut short": Case(message(FLOW_MOD, bytes(20), XID), BadRequest.BAD_LEN),
    "a multipart request cut short": Case(message(MULTIPART, bytes(4), XID), BadRequest.BAD_LEN),
    "a flow request cut short": Case(multipart(FLOW, bytes(8)), BadRequest.BAD_LEN),
    "a packet-out from a buffer": Case(packet_out(buffer=5), BadRequest.BUFFER_UNKNOWN),
    "a flow-mod with a buffer": Case(
        flow_mod(apply(output(1)), buffer=5), BadRequest.BUFFER_UNKNOWN
    ),
    "a packet-out from a port that is not there": Case(packet_out(port=99), BadRequest.BAD_PORT),
    "statistics of a port that is not there": Case(
        multipart(4, struct.pack("!I4x", 99)), BadRequest.BAD_PORT
    ),
    "a packet-out without a whole header": Case(packet_out(frame=bytes(10)), BadRequest.BAD_PACKET),
    # Actions.
    "an action that does not exist": Case(flow(action(999)), BadAction.BAD_TYPE),
    "an action of a wrong length": Case(flow(action(22, "00000001" + "00" * 8)), BadAction.BAD_LEN),
    "an action longer than the message": Case(
        flow_mod(instruction(4, bytes(4) + struct.pack("!HHI", 22, 64, 1))), BadAction.BAD_LEN
    ),
    "an experimenter's action": Case(flow(action(0xFFFF, "00abcdef")), BadAction.BAD_EXPERIMENTER),
    "an experimenter's action of an unknown type": Case(
        flow(action(0xFFFF, f"{NICIRA:08x}" + "03e7" + "00" * 6)), BadAction.BAD_EXP_TYPE
    ),
    "an output to port 0": Case(flow(output(0)), BadAction.BAD_OUT_PORT),
    "a packet-out to OFPP_ANY": Case(packet_out(output(ANY)), BadAction.BAD_OUT_PORT),
    "a push-vlan of another type": Case(flow(action(17, "12340000")), BadAction.BAD_ARGUMENT),
    "a push-mpls of another type": Case(flow(action(19, "08000000")), BadAction.BAD_ARGUMENT),
    "a flow-mod with too much in it": Case(flow(*[output(1)] * 4060), BadAction.TOO_MANY),
    "too many actions in the set": Case(flow_mod(write(*[output(1)] * 300)), BadAction.TOO_MANY),
    "a queue that cannot be": Case(flow(action(21, "00010000")), BadAction.BAD_QUEUE),
    "a group that is not there": Case(flow(group(77)), BadAction.BAD_OUT_GROUP),
    "a field set that the match does not allow": Case(
        flow(set_field(oxm(11, "0a000001")), fields=match(ETH_ARP)), BadAction.MATCH_INCONSISTENT
    ),
    "a field that cannot be set": Case(flow(set_field(oxm(0, "00000001"))), BadAction.BAD_SET_TYPE),
    "a field that does not exist, set": Case(
        flow(set_field(oxm(100, "00000001"))), BadAction.BAD_SET_TYPE
    ),
    "a field set with too many bytes": Case(
        flow(set_field(oxm(3, "0000000000000000"))), BadAction.BAD_SET_LEN
    ),
    "a field set to what does not fit": Case(
        flow(set_field(oxm(7, "0f")), fields=match(oxm(6, "1001"))), BadAction.BAD_SET_ARGUMENT
    ),
    # Instructions.
    "an instruction that does not exist": Case(
        flow_mod(instruction(99, bytes(4))), BadInstruction.UNKNOWN_INST
    ),
    "an instruction that the table lacks": Case(
        flow_mod(instruction(5, bytes(4)), table=NARROW), BadInstruction.UNSUP_INST
    ),
    "a goto back": Case(
        flow_mod(instruction(1, struct.pack("!B3x", 2)), table=3), BadInstruction.BAD_TABLE_ID
    ),
    "a goto to OFPTT_ALL": Case(
        flow_mod(instruction(1, struct.pack("!B3x", 255))), BadInstruction.BAD_TABLE_ID
    ),
    "metadata beyond those of the table": Case(
        flow_mod(metadata(0x100, 0xFF), table=NARROW), BadInstruction.UNSUP_METADATA
    ),
    "a metadata mask beyond that of the table": Case(
        flow_mod(metadata(0, 0xFF00), table=NARROW), BadInstruction.UNSUP_METADATA_MASK
    ),
    "an experimenter's instruction": Case(
        flow_mod(instruction(0xFFFF, struct.pack("!I", 1))), BadInstruction.BAD_EXPERIMENTER
    ),
    "a type of an experimenter's instruction that is not known": Case(
        flow_mod(instruction(0xFFFF, struct.pack("!IH2xI", RAICHO, 9, 1))),
        BadInstruction.BAD_EXP_TYPE,
    ),
    "an instruction of a wrong length": Case(
        flow_mod(instruction(1, bytes(12))), BadInstruction.BAD_LEN
    ),
    # Matches.
    "a match of the kind of OpenFlow 1.1": Case(flow_mod(match=match(kind=0)), BadMatch.BAD_TYPE),
    "a match longer than the message": Case(
        flow_mod(match=struct.pack("!HH4x", 1, 200)), BadMatch.BAD_LEN
    ),
    "a field of a wrong length": Case(matching(oxm(5, "080000")), BadMatch.BAD_LEN),
    "bits in a value that its mask takes away": Case(
        matching(ETH_IPV4, oxm(11, "0a000001ff000000", True)), BadMatch.BAD_WILDCARDS
    ),
    "a field that does not exist": Case(matching(oxm(100, "00000001")), BadMatch.BAD_FIELD),
    "a field of a class that does not exist": Case(
        matching(oxm(1, "00000001", cls=0x7777)), BadMatch.BAD_FIELD
    ),
    "a value that its field does not have": Case(
        matching(oxm(6, "1001"), oxm(7, "08")), BadMatch.BAD_VALUE
    ),
    "a mask on a field that has none": Case(matching(oxm(5, "0800ffff", True)), BadMatch.BAD_MASK),
    "a field without what it needs": Case(matching(oxm(11, "0a000001")), BadMatch.BAD_PREREQ),
    "TCP ports of UDP": Case(
        matching(ETH_IPV4, oxm(10, "11"), oxm(13, "0050")), BadMatch.BAD_PREREQ
    ),
    "a field twice": Case(matching(ETH_IPV4, ETH_IPV4), BadMatch.DUP_FIELD),
    # Flow-mods.
    "one flow too many": Case(flow(output(1)), FlowModFailed.TABLE_FULL),
    "a flow in all tables": Case(flow_mod(apply(output(1)), table=ALL), FlowModFailed.BAD_TABLE_ID),
    "a flow in a table that was taken away": Case(
        flow_mod(apply(output(1)), table=GONE), FlowModFailed.BAD_TABLE_ID
    ),
    "a flow that overlaps another": Case(
        flow_mod(apply(output(1)), match=match(oxm(0, "00000001")), priority=10, flags=2),
        FlowModFailed.OVERLAP,
    ),
    "a command of flow-mod that does not exist": Case(
        flow_mod(command=9), FlowModFailed.BAD_COMMAND
    ),
    "flags of flow-mod that do not exist": Case(flow_mod(flags=0x80), FlowModFailed.BAD_FLAGS),
    # Groups.
    "a group that is there already": Case(
        group_mod(1, bucket(output(2))), GroupModFailed.GROUP_EXISTS
    ),
    "an indirect group with two buckets": Case(
        group_mod(9, bucket(output(1)), bucket(output(2)), kind=2), GroupModFailed.INVALID_GROUP
    ),
    "a group with the number of all": Case(
        group_mod(0xFFFFFFFC, bucket(output(1))), GroupModFailed.INVALID_GROUP
    ),
    "a chain of groups that is too long": Case(
        group_mod(200, bucket(group(100 + DEPTH - 1))), GroupModFailed.CHAINING_UNSUPPORTED
    ),
    "a group that leads to itself": Case(
        group_mod(1, bucket(group(2)), command=MODIFY), GroupModFailed.LOOP
    ),
    "a change of a group that is not there": Case(
        group_mod(9, bucket(output(1)), command=MODIFY), GroupModFailed.UNKNOWN_GROUP
    ),
    "a group deleted that another leads to": Case(
        group_mod(1, command=DELETE), GroupModFailed.CHAINED_GROUP
    ),
    "a kind of group that does not exist": Case(
        group_mod(9, bucket(output(1)), kind=9), GroupModFailed.BAD_TYPE
    ),
    "a command of group-mod that does not exist": Case(
        group_mod(9, command=7), GroupModFailed.BAD_COMMAND
    ),
    "a bucket shorter than its head": Case(
        group_mod(9, struct.pack("!HH12x", 8, 0)), GroupModFailed.BAD_BUCKET
    ),
    "a bucket that watches nothing": Case(
        group_mod(9, bucket(output(1)), kind=3), GroupModFailed.BAD_WATCH
    ),
    # Ports, tables, queues, configuration.
    "a port that is not there": Case(port_mod(99), PortModFailed.BAD_PORT),
    "a port with another address": Case(port_mod(mac=b"abcdef"), PortModFailed.BAD_HW_ADDR),
    "a port configured as none can be": Case(b"", PortModFailed.BAD_CONFIG),
    "a table configured as none can be": Case(
        message(TABLE_MOD, struct.pack("!B3xI", 0, 0xF0), XID), TableModFailed.BAD_CONFIG
    ),
    "a table that was taken away, configured": Case(
        message(TABLE_MOD, struct.pack("!B3xI", GONE, 0), XID), TableModFailed.BAD_TABLE
    ),
    "queues of a port that is not there": Case(
        message(QUEUE_CONFIG, struct.pack("!I4x", 99), XID), QueueOpFailed.BAD_PORT
    ),
    "statistics of a queue that is not there": Case(
        multipart(5, struct.pack("!II", 1, 55)), QueueOpFailed.BAD_QUEUE
    ),
    "flags of a configuration that do not exist": Case(
        message(SET_CONFIG, struct.pack("!HH", 0xF0, 128), XID), SwitchConfigFailed.BAD_FLAGS
    ),
    "a role that does not exist": Case(role(9, 0), RoleRequestFailed.BAD_ROLE),
    # Meters.
    "a meter that is there already": Case(meter_mod(1, band()), MeterModFailed.METER_EXISTS),
    "a meter with the number 0": Case(meter_mod(0, band()), MeterModFailed.INVALID_METER),
    "a change of a meter that is not there": Case(
        meter_mod(9, band(), command=MODIFY), MeterModFailed.UNKNOWN_METER
    ),
    "a flow through a meter that is not there": Case(
        flow_mod(instruction(6, struct.pack("!I", 9))), MeterModFailed.UNKNOWN_METER
    ),
    "a command of meter-mod that does not exist": Case(
        meter_mod(9, band(), command=7), MeterModFailed.BAD_COMMAND
    ),
    "flags of meter-mod that do not exist": Case(
        meter_mod(9, band(), flags=0x80), MeterModFailed.BAD_FLAGS
    ),
    "a band without a rate": Case(meter_mod(9, band(rate=0)), MeterModFailed.BAD_RATE),
    "a band with a burst of nothing": Case(
        meter_mod(9, band(burst=0), flags=5), MeterModFailed.BAD_BURST
    ),
    "a kind of band that does not exist": Case(meter_mod(9, band(kind=9)), MeterModFailed.BAD_BAND),
    "a remark by nothing": Case(meter_mod(9, band(kind=2, level=0)), MeterModFailed.BAD_BAND_VALUE),
    "too many bands": Case(meter_mod(9, *[band()] * 17), MeterModFailed.OUT_OF_BANDS),
    # Table features.
    "features of a table that does not exist": Case(
        features(table(255)), TableFeaturesFailed.BAD_TABLE
    ),
    "a table property that does not exist": Case(
        features(table(0, struct.pack("!HH", 99, 4))), TableFeaturesFailed.BAD_TYPE
    ),
    "features shorter than they say": Case(
        features(table(0, size=200)), TableFeaturesFailed.BAD_LEN
    ),
    "a table that can what the switch cannot": Case(
        features(table(0, struct.pack("!HHHH", 0, 8, 77, 4))), TableFeaturesFailed.BAD_ARGUMENT
    ),
}

# Provoked by tests of their own below: they need more than one message on a fresh connection.
ALONE = (
    HelloFailed.INCOMPATIBLE,
    BadRequest.IS_SLAVE,
    BadRequest.MULTIPART_BUFFER_OVERFLOW,
    RoleRequestFailed.STALE,
)

OPTIONAL = "raicho can what a switch need not, so there is nothing to refuse"
NO_RIGHTS = "no message needs rights that a controller can lack; only a slave is refused"
MANY = "the limit is that of memory"
UNKNOWN = "every reason has a code of its own"
NOT_PROVOKED: tuple[tuple[IntEnum, str], ...] = (
    (HelloFailed.EPERM, NO_RIGHTS),
    (BadRequest.EPERM, "said when the dataplane is away; test_agent.py has it"),
    (BadRequest.BUFFER_EMPTY, "there are no packet buffers: every one is BUFFER_UNKNOWN"),
    (BadRequest.BAD_TABLE_ID, "requests for a table that is not there are about no flows"),
    (BadAction.EPERM, NO_RIGHTS),
    (BadAction.UNSUPPORTED_ORDER, "actions run in any order"),
    (BadAction.BAD_TAG, "tags are BAD_ARGUMENT, as the specification's text has it"),
    (BadInstruction.EPERM, NO_RIGHTS),
    (BadMatch.BAD_TAG, "that is of matches before OXM"),
    (BadMatch.BAD_DL_ADDR_MASK, OPTIONAL),
    (BadMatch.BAD_NW_ADDR_MASK, OPTIONAL),
    (BadMatch.EPERM, NO_RIGHTS),
    (FlowModFailed.UNKNOWN, UNKNOWN),
    (FlowModFailed.EPERM, NO_RIGHTS),
    (FlowModFailed.BAD_TIMEOUT, OPTIONAL),
    (GroupModFailed.WEIGHT_UNSUPPORTED, OPTIONAL),
    (GroupModFailed.OUT_OF_GROUPS, MANY),
    (GroupModFailed.OUT_OF_BUCKETS, MANY),
    (GroupModFailed.WATCH_UNSUPPORTED, OPTIONAL),
    (GroupModFailed.EPERM, NO_RIGHTS),
    (PortModFailed.BAD_ADVERTISE, "what is advertised is left to the kernel, and ignored"),
    (PortModFailed.EPERM, "said when the kernel refuses; a memory port has none"),
    (TableModFailed.EPERM, NO_RIGHTS),
    (QueueOpFailed.EPERM, NO_RIGHTS),
    (SwitchConfigFailed.BAD_LEN, "a set-config of a wrong length is BAD_REQUEST/BAD_LEN"),
    (SwitchConfigFailed.EPERM, NO_RIGHTS),
    (RoleRequestFailed.UNSUP, OPTIONAL),
    (MeterModFailed.UNKNOWN, UNKNOWN),
    (MeterModFailed.OUT_OF_METERS, "2^20 meters; the C tests have it"),
    (TableFeaturesFailed.BAD_METADATA, OPTIONAL),
    (TableFeaturesFailed.EPERM, "said when there is no memory"),
)


# --- The switch -----------------------------------------------------------------------------


def narrowed(switch: Peer) -> list[bytes]:
    """Write a request that makes table NARROW narrow and takes table GONE away."""
    kept = []
    for entry in entries(switch.multipart(TABLE_FEATURES)):
        if entry[2] == NARROW:
            kept.append(narrow_table())
        elif entry[2] != GONE:
            kept.append(entry)
    parts: list[bytes] = [b""]
    for entry in kept:
        if len(parts[-1]) + len(entry) > 60_000:
            parts.append(b"")
        parts[-1] += entry
    last = len(parts) - 1
    return [multipart(TABLE_FEATURES, part, MORE * (i < last)) for i, part in enumerate(parts)]


def narrow_table() -> bytes:
    """A table that may match all IPv4, apply an output, and write eight bits of metadata."""
    some_fields = b"".join(struct.pack("!HBB", 0x8000, f << 1, n) for f, n in ((0, 4), (5, 2)))
    return table(
        NARROW,
        struct.pack("!HHHHHH", 0, 12, 4, 4, 2, 4),
        struct.pack("!HH", 2, 4),
        struct.pack("!HH", 4, 4),
        struct.pack("!HHHH", 6, 8, 0, 4),
        struct.pack("!HH", 8, 4 + len(some_fields)) + some_fields,
        struct.pack("!HH", 10, 4 + len(some_fields)) + some_fields,
        struct.pack("!HH", 12, 4),
        struct.pack("!HH", 14, 4),
        write=0xFF,
    )


def entries(data: bytes) -> Iterator[bytes]:
    """Cut a body into entries that begin with their length."""
    while data:
        size = int.from_bytes(data[:2], "big")
        assert 0 < size <= len(data)
        yield data[:size]
        data = data[size:]


def without(at: int, size: int) -> Callable[[bytes], bytes]:
    """Blank out what time changes."""
    return lambda entry: entry[:at] + bytes(size) + entry[at + size :]


def state(switch: Peer) -> dict[str, Any]:
    """Return all that a message could have changed."""
    any_flow = struct.pack("!B3xII4xQQHH4x", ALL, ANY, ANY, 0, 0, 1, 4)
    flows = switch.multipart(FLOW, any_flow)
    return {
        "flows": sorted(map(without(4, 8), entries(flows))),
        "groups": switch.multipart(7),
        "meters": switch.multipart(10, struct.pack("!I4x", ANY)),
        "tables": switch.multipart(TABLE_FEATURES),
        "ports": switch.multipart(13),
        "configuration": switch.exchange(message(7)),
    }


@pytest.fixture(scope="module")
def headless() -> Iterator[Headless]:
    """A switch with three ports in which BASE stands."""
    folder = Path(tempfile.mkdtemp(prefix="rch"))
    headless = Headless(folder)
    try:
        headless.start([1, 2, 3], max_flows=MAX_FLOWS)
        with headless.connect() as switch:
            assert switch.exchange(b"".join(BASE)) == []
            done = switch.exchange(b"".join(narrowed(switch)))
            assert {reply[1] for reply in done} == {MULTIPART_REPLY}
        yield headless
    finally:
        headless.close()
        print(headless.log.read_text())
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def switch(headless: Headless) -> Iterator[Peer]:
    """A connection, and the assertion that nothing has changed when it is over."""
    with headless.connect() as switch:
        before = state(switch)
        yield switch
    with headless.connect() as again:
        after = state(again)
    assert {name: value for name, value in after.items() if value != before[name]} == {}


def check(found: list[bytes], wanted: IntEnum, about: bytes) -> None:
    """Assert that there is one error, the right one, with the message in it."""
    assert [each[1] for each in found] == [ERROR]
    (error,) = found
    assert describe(*struct.unpack_from("!HH", error, 8)) == describe(*reason(wanted))
    assert error[4:8] == about[4:8]
    assert error[12:76] == about[:64]


def made(case: str, switch: Peer) -> bytes:
    """Return the message of a case; some are made of what the switch says."""
    if case == "a port configured as none can be":
        mac = switch.multipart(13)[8:14]
        return port_mod(mac=mac, config=0x100, mask=0x100)
    return PROVOKED[case].message


# --- Tests ----------------------------------------------------------------------------------


def test_every_error_of_the_specification_is_provoked_or_excused() -> None:
    every = {reason(code) for codes in CODES.values() for code in codes}
    provoked = {reason(case.error) for case in PROVOKED.values()} | set(map(reason, ALONE))
    excused = {reason(code) for code, _ in NOT_PROVOKED}
    assert provoked & excused == set()
    assert sorted(describe(*each) for each in every - provoked - excused) == []


@pytest.mark.parametrize("case", PROVOKED)
def test_a_wrong_message_gets_its_error_and_changes_nothing(case: str, switch: Peer) -> None:
    """K16: type, code, the first 64 bytes, and the state before and after."""
    about = made(case, switch)
    check(switch.exchange(about), PROVOKED[case].error, about)


def test_a_hello_without_a_common_version_is_refused(headless: Headless, switch: Peer) -> None:
    """HELLO_FAILED carries words, and the connection ends."""
    bitmap = struct.pack("!HHI", 1, 8, 1 << 9)
    with headless.connect(hello=message(HELLO, bitmap, XID, version=9)) as stranger:
        error = stranger.read()
        assert (error[1], struct.unpack_from("!HH", error, 8)) == (
            ERROR,
            reason(HelloFailed.INCOMPATIBLE),
        )
        assert error[12:].isascii()
        assert stranger.read() == b""


SLAVES = {
    "flow-mod": flow_mod(apply(output(1))),
    "group-mod": group_mod(9, bucket(output(1))),
    "meter-mod": meter_mod(9, band()),
    "port-mod": port_mod(),
    "table-mod": message(TABLE_MOD, struct.pack("!B3xI", 0, 0), XID),
    "packet-out": packet_out(),
    "set-config": message(SET_CONFIG, struct.pack("!HH", 0, 64), XID),
    "table features": features(narrow_table()),
}


@pytest.mark.parametrize("kind", SLAVES)
def test_a_slave_may_change_nothing(kind: str, headless: Headless, switch: Peer) -> None:
    with headless.connect() as slave:
        (granted,) = slave.exchange(role(SLAVE, 1 << 40))
        assert granted[1] == ROLE + 1
        check(slave.exchange(SLAVES[kind]), BadRequest.IS_SLAVE, SLAVES[kind])


def test_an_old_generation_is_stale(headless: Headless, switch: Peer) -> None:
    with headless.connect() as master:
        master.exchange(role(MASTER, 1 << 40))
        about = role(MASTER, (1 << 40) - 1)
        check(master.exchange(about), RoleRequestFailed.STALE, about)


def test_parts_without_an_end_overflow(switch: Peer) -> None:
    part = multipart(TABLE_FEATURES, table(0) * 900, MORE)
    found: list[bytes] = []
    for _ in range(40):
        found += switch.exchange(part)
        if found:
            break
    check(found, BadRequest.MULTIPART_BUFFER_OVERFLOW, part)
