"""Whatever is malformed gets the error that the specification has for it."""

import struct

import pytest

from raicho.control.openflow.errors import RemoteError
from raicho.control.openflow.spec import pack, unpack
from raicho.control.openflow.spec.errors import (
    BadAction,
    BadInstruction,
    BadMatch,
    BadRequest,
    GroupModFailed,
    MeterModFailed,
    TableFeaturesFailed,
    reason,
)
from raicho.control.openflow.spec.messages import FlowMod, GroupMod, PacketOut

NO_MATCH = bytes.fromhex("0001000400000000")


def message(kind: int, body: bytes = b"") -> bytes:
    return struct.pack("!BBHI", 4, kind, 8 + len(body), 7) + body


def flow_mod(match: bytes = NO_MATCH, instructions: bytes = b"") -> bytes:
    return message(14, pack(FlowMod())[8:48] + match + instructions)


def match(*oxms: str) -> bytes:
    body = bytes.fromhex("".join(oxms))
    return struct.pack("!HH", 1, 4 + len(body)) + body + bytes(-(4 + len(body)) % 8)


def apply_actions(actions: str) -> bytes:
    body = bytes.fromhex(actions)
    return struct.pack("!HH4x", 4, 8 + len(body)) + body


def group_mod(buckets: str) -> bytes:
    return message(15, pack(GroupMod(0, 0, 1))[8:] + bytes.fromhex(buckets))


def meter_mod(bands: str) -> bytes:
    return message(29, bytes.fromhex("0000000100000001" + bands))


def multipart(kind: int, body: str = "") -> bytes:
    return message(18, struct.pack("!HH4x", kind, 0) + bytes.fromhex(body))


def table_features(properties: str) -> bytes:
    tail = bytes.fromhex(properties)
    return multipart(12, (struct.pack("!HB5x56x", 64 + len(tail), 0) + tail).hex())


def packet_out(actions_len: int, rest: bytes = b"") -> bytes:
    return message(13, struct.pack("!IIH6x", 0xFFFFFFFF, 1, actions_len) + rest)


CASES = {
    "a type that does not exist": (message(30), BadRequest.BAD_TYPE),
    "a request with something behind it": (message(5, b"1234"), BadRequest.BAD_LEN),
    "a request that is too short": (message(9, b"12"), BadRequest.BAD_LEN),
    "a role request cut short": (message(24, bytes(8)), BadRequest.BAD_LEN),
    "a flow-mod without a match": (message(14, bytes(40)), BadMatch.BAD_LEN),
    "a flow-mod cut short": (message(14, bytes(39)), BadRequest.BAD_LEN),
    "a match of the deprecated type": (flow_mod(bytes(8)), BadMatch.BAD_TYPE),
    "a match longer than the message": (
        flow_mod(bytes.fromhex("0001000900000000")),
        BadMatch.BAD_LEN,
    ),
    "a match shorter than its header": (
        flow_mod(bytes.fromhex("0001000300000000")),
        BadMatch.BAD_LEN,
    ),
    "a field that does not exist": (flow_mod(match("80005004 00000000")), BadMatch.BAD_FIELD),
    "a field that is too short": (flow_mod(match("80000002 0001")), BadMatch.BAD_LEN),
    "a field that is too long": (flow_mod(match("80000a03 080000")), BadMatch.BAD_LEN),
    "a mask that is not there": (flow_mod(match("80001704 0a000001")), BadMatch.BAD_LEN),
    "a field that does not end": (flow_mod(match("80000004 0000")), BadMatch.BAD_LEN),
    "half an OXM header": (flow_mod(match("8000")), BadMatch.BAD_LEN),
    "an experimenter field without its id": (flow_mod(match("ffff0002 0000")), BadMatch.BAD_LEN),
    "a Nicira field with half a mask": (flow_mod(match("00010103 000000")), BadMatch.BAD_LEN),
    "an instruction that does not exist": (
        flow_mod(instructions=bytes.fromhex("0009000800000000")),
        BadInstruction.UNKNOWN_INST,
    ),
    "an instruction of no length": (
        flow_mod(instructions=bytes.fromhex("0001000000000000")),
        BadInstruction.BAD_LEN,
    ),
    "an instruction longer than the message": (
        flow_mod(instructions=bytes.fromhex("0004001000000000")),
        BadInstruction.BAD_LEN,
    ),
    "a goto-table that is too long": (
        flow_mod(instructions=bytes.fromhex("00010010000000000000000000000000")),
        BadInstruction.BAD_LEN,
    ),
    "an instruction that is no multiple of 8": (
        flow_mod(instructions=bytes.fromhex("0001000c0000000000000000")),
        BadInstruction.BAD_LEN,
    ),
    "an action that does not exist": (
        flow_mod(instructions=apply_actions("0001000800000000")),
        BadAction.BAD_TYPE,
    ),
    "an action of no length": (
        flow_mod(instructions=apply_actions("0012000000000000")),
        BadAction.BAD_LEN,
    ),
    "an output that is too short": (
        flow_mod(instructions=apply_actions("0000000800000001")),
        BadAction.BAD_LEN,
    ),
    "an action longer than its instruction": (
        flow_mod(instructions=apply_actions("0012001000000000")),
        BadAction.BAD_LEN,
    ),
    "a set-field of a field that does not exist": (
        flow_mod(instructions=apply_actions("00190010800050040000000000000000")),
        BadAction.BAD_SET_TYPE,
    ),
    "a set-field with a value that is too long": (
        flow_mod(instructions=apply_actions("0019001080000a040000000000000000")),
        BadAction.BAD_SET_LEN,
    ),
    "a set-field with too much padding": (
        flow_mod(instructions=apply_actions("0019001880000a02080000000000000000000000")[:-4]),
        BadInstruction.BAD_LEN,
    ),
    "a bucket of no length": (group_mod("00" * 16), GroupModFailed.BAD_BUCKET),
    "a bucket longer than the message": (group_mod("0018" + "00" * 14), GroupModFailed.BAD_BUCKET),
    "a bucket shorter than its head": (group_mod("0008" + "00" * 14), GroupModFailed.BAD_BUCKET),
    "a band that does not exist": (
        meter_mod("0009001000000000" + "00" * 8),
        MeterModFailed.BAD_BAND,
    ),
    "a band that is too short": (meter_mod("0001000800000000"), BadRequest.BAD_LEN),
    "a multipart type that does not exist": (multipart(77), BadRequest.BAD_MULTIPART),
    "a multipart request cut short": (message(18, bytes(4)), BadRequest.BAD_LEN),
    "a desc request with a body": (multipart(0, "00" * 8), BadRequest.BAD_LEN),
    "a flow request without its match": (multipart(1, "00" * 32), BadMatch.BAD_LEN),
    "a port-stats request cut short": (multipart(4, "0000"), BadRequest.BAD_LEN),
    "a table property that does not exist": (
        table_features("0009000400000000"),
        TableFeaturesFailed.BAD_TYPE,
    ),
    "a table property of no length": (
        table_features("0000000000000000"),
        TableFeaturesFailed.BAD_LEN,
    ),
    "a table property without its padding": (
        table_features("00020004"),
        TableFeaturesFailed.BAD_LEN,
    ),
    "a table with half an OXM id": (
        table_features("0008000680000000"),
        TableFeaturesFailed.BAD_LEN,
    ),
    "actions longer than the packet-out": (packet_out(8), BadRequest.BAD_LEN),
    "actions cut by their length": (
        packet_out(8, bytes.fromhex("00000010000000010000000000000000")),
        BadAction.BAD_LEN,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_gets_its_error(case: str) -> None:
    """K16: the right type and code."""
    data, wanted = CASES[case]
    with pytest.raises(RemoteError) as caught:
        unpack(data)
    assert caught.value.reason == reason(wanted)
    assert 0 <= caught.value.offset <= len(data)


@pytest.mark.parametrize("size", range(8))
def test_less_than_a_header_is_refused(size: int) -> None:
    with pytest.raises(RemoteError, match=f"message of {size} bytes"):
        unpack(bytes(size))


def test_a_message_that_lies_about_its_length_is_refused() -> None:
    data = bytearray(pack(PacketOut()))
    data[3] += 8
    with pytest.raises(RemoteError, match="24 bytes says 32"):
        unpack(data)


def test_every_cut_of_every_capture_is_refused_or_understood(captures: dict[str, bytes]) -> None:
    """A message cut anywhere, and its length with it, never reads past its end."""
    for data in captures.values():
        for size in range(8, min(len(data), 400)):
            cut = data[:2] + size.to_bytes(2, "big") + data[4:size]
            try:
                message, xid = unpack(cut)
            except RemoteError as error:
                assert error.offset <= size
            else:
                assert len(pack(message, xid)) == size
