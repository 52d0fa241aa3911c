"""OpenFlow 1.0 on the same tables: each message there and back."""

import random
import struct
from typing import Any

import msgspec
import pytest

from raicho.control.openflow import framing
from raicho.control.openflow.answers import Answer, Ask
from raicho.control.openflow.session import Session, Shared
from raicho.control.openflow.spec import pack, pack_part, unpack
from raicho.control.openflow.spec.actions import Output, PopVlan, PushVlan, SetField, SetQueue
from raicho.control.openflow.spec.errors import (
    BadAction,
    BadMatch,
    BadRequest,
    FlowModFailed,
    MeterModFailed,
    reason,
)
from raicho.control.openflow.spec.flows import FlowStats
from raicho.control.openflow.spec.instructions import ApplyActions
from raicho.control.openflow.spec.match import Oxm, match
from raicho.control.openflow.spec.messages import FlowRemoved, PacketIn, PortStatus
from raicho.control.openflow.spec.multipart import AggregateReply, FlowReply, PortDescReply
from raicho.control.openflow.spec.ports import Port
from raicho.control.openflow.v10.actions import pack_instructions, unpack_actions
from raicho.control.openflow.v10.errors import old_error
from raicho.control.openflow.v10.match import ALL, SIZE, pack_match, unpack_match

ANY = struct.pack("!I36x", ALL)
HELLO = struct.pack("!BBHI", 1, 0, 8, 0)


def message(kind: int, body: bytes = b"", xid: int = 7) -> bytes:
    return struct.pack("!BBHI", 1, kind, 8 + len(body), xid) + body


def flow_mod(match_: bytes = ANY, command: int = 0, actions: bytes = b"", flags: int = 0) -> bytes:
    fixed = struct.pack("!QHHHHIHH", 5, command, 1, 2, 3, 0xFFFFFFFF, 0xFFFF, flags)
    return message(14, match_ + fixed + actions)


class Talk:
    """A controller that greets with 1.0, and the dataplane's part played by the test."""

    def __init__(self) -> None:
        self.session = Session(Shared(), 0)
        self.session.receive(HELLO, 0)
        self.session.to_send()

    def say(self, *data: bytes) -> list[tuple[int, Ask]]:
        self.session.receive(b"".join(data), 0)
        return self.session.asks()

    def heard(self) -> list[tuple[int, int, bytes]]:
        """Return type, xid and body of each message."""
        data = self.session.to_send()
        found, end = framing.scan(data, 1, bytes(256))
        assert end == len(data)
        whole = [data[start:stop] for _, start, stop, _ in found]
        return [(m[1], int.from_bytes(m[4:8], "big"), m[8:]) for m in whole]


@pytest.fixture
def talk() -> Talk:
    return Talk()


def asked(ask: Ask) -> Any:
    return unpack(ask.payload)[0]


# Matches.


def random_match(rng: random.Random) -> bytes:
    """Return a 1.0 match that uses only what its own fields allow."""
    kind = rng.choice((0x0800, 0x0806, 0x86DD))
    wild = rng.getrandbits(22) & ~(63 << 8 | 63 << 14)
    wild |= rng.randrange(33) << 8 | rng.randrange(33) << 14
    proto = rng.choice((1, 6, 17))
    if kind == 0x86DD:
        wild |= 0x20 | 0xC0 | 32 << 8 | 32 << 14 | 1 << 21
    if kind == 0x0806:
        wild |= 0xC0 | 1 << 21
    vid = rng.choice((0xFFFF, rng.randrange(0x1000)))
    if wild & 0x10:
        wild |= 0xE0 | 32 << 8 | 32 << 14 | 1 << 21
    if wild & 0x20:
        wild |= 0xC0
    if wild & 2 or vid == 0xFFFF:
        wild |= 1 << 20
    wild = wild & ~(63 << 8) | min(wild >> 8 & 63, 32) << 8
    wild = wild & ~(63 << 14) | min(wild >> 14 & 63, 32) << 14
    src, dst = (rng.getrandbits(32) >> (wild >> at & 63) << (wild >> at & 63) for at in (8, 14))
    tp = [rng.randrange(256 if proto == 1 else 65536) for _ in range(2)]
    return struct.pack(
        *("!IH6s6sHBxHBB2xIIHH", wild, 0 if wild & 1 else rng.randrange(1, 0xFF00)),
        *(bytes(6) if wild & 4 else rng.randbytes(6), bytes(6) if wild & 8 else rng.randbytes(6)),
        *(0 if wild & 2 else vid, 0 if wild & 1 << 20 else rng.randrange(8)),
        *(0 if wild & 16 else kind, 0 if wild & 1 << 21 else rng.randrange(64) << 2),
        *(
            0 if wild & 32 else proto,
            src,
            dst,
            *(0 if wild & b else v for b, v in zip((64, 128), tp, strict=True)),
        ),
    )


@pytest.mark.parametrize("seed", range(300))
def test_a_match_survives_the_way_there_and_back(seed: int) -> None:
    old = random_match(random.Random(seed))
    assert pack_match(unpack_match(old)) == old


def test_fields_whose_needs_are_not_met_match_anything() -> None:
    ports_only = struct.pack("!I32xHH", ALL & ~0xC0, 80, 81)
    assert unpack_match(ports_only) == ()


def test_a_priority_of_any_vlan_needs_a_tag() -> None:
    old = struct.pack("!I14xHB19x", ALL & ~(1 << 20), 0, 5)
    assert unpack_match(old) == (Oxm("vlan_vid", 0x1000, 0x1000), Oxm("vlan_pcp", 5))


def test_what_1_0_has_no_words_for_is_left_out_of_a_match() -> None:
    assert pack_match(match(eth_type=0x86DD, ipv6_dst=1)) == pack_match(match(eth_type=0x86DD))


# Actions.

TCP = match(in_port=1, eth_type=0x0800, ip_proto=6)
TAGGED = match(vlan_vid=0x1005)


@pytest.mark.parametrize(
    ("old", "known", "new"),
    [
        ("0000 0008 0002 0040", (), (Output(2, 0x40),)),
        ("0000 0008 fffd ffff", (), (Output(0xFFFFFFFD),)),
        ("0001 0008 0005 0000", TAGGED, (SetField(Oxm("vlan_vid", 0x1005)),)),
        ("0002 0008 0300 0000", TAGGED, (SetField(Oxm("vlan_pcp", 3)),)),
        ("0003 0008 0000 0000", TAGGED, (PopVlan(),)),
        (
            "0004 0010 0102 0304 0506 0000 0000 0000",
            (),
            (SetField(Oxm("eth_src", 0x010203040506)),),
        ),
        (
            "0005 0010 0102 0304 0506 0000 0000 0000",
            (),
            (SetField(Oxm("eth_dst", 0x010203040506)),),
        ),
        ("0006 0008 0a00 0001", TCP, (SetField(Oxm("ipv4_src", 0x0A000001)),)),
        ("0007 0008 0a00 0001", TCP, (SetField(Oxm("ipv4_dst", 0x0A000001)),)),
        ("0008 0008 b800 0000", TCP, (SetField(Oxm("ip_dscp", 46)),)),
        ("0009 0008 0050 0000", TCP, (SetField(Oxm("tcp_src", 80)),)),
        ("000a 0008 0050 0000", TCP, (SetField(Oxm("tcp_dst", 80)),)),
        ("000b 0010 0002 0000 0000 0000 0000 0007", (), (SetQueue(7), Output(2), SetQueue(0))),
    ],
)
def test_an_action_has_its_like_and_comes_back(old: str, known: Any, new: Any) -> None:
    data = bytes.fromhex(old)
    assert unpack_actions(data, known) == new
    assert pack_instructions((ApplyActions(new),)) == data


def test_a_packet_without_a_tag_gets_one() -> None:
    twice = bytes.fromhex("0001 0008 0005 0000 0002 0008 0300 0000")
    pushed = (PushVlan(), SetField(Oxm("vlan_vid", 0x1005)), SetField(Oxm("vlan_pcp", 3)))
    assert unpack_actions(twice, ()) == pushed
    assert pack_instructions((ApplyActions(pushed),)) == twice


@pytest.mark.parametrize(
    ("actions", "code"),
    [
        ("0000 0004", BadAction.BAD_LEN),
        ("0000 0010 0000 0000", BadAction.BAD_LEN),
        ("0000 0010 0001 0000 0000 0000 0000 0000", BadAction.BAD_LEN),
        ("000c 0008 0000 0000", BadAction.BAD_TYPE),
        ("0001 0008 1000 0000", BadAction.BAD_ARGUMENT),
        ("0006 0008 0a00 0001", BadAction.BAD_ARGUMENT),
        ("0009 0008 0050 0000", BadAction.BAD_ARGUMENT),
    ],
)
def test_each_mistake_in_an_action_has_its_error(talk: Talk, actions: str, code: BadAction) -> None:
    said = flow_mod(actions=bytes.fromhex(actions))
    assert talk.say(said) == []
    [(kind, xid, body)] = talk.heard()
    assert (kind, xid, body) == (1, 7, struct.pack("!HH", 2, code) + said[:64])


# Messages.


def test_a_flow_mod_goes_to_the_first_table(talk: Talk) -> None:
    [(_, ask)] = talk.say(flow_mod(actions=bytes.fromhex("0000 0008 0002 0000"), flags=3))
    mod = asked(ask)
    assert ask.op == "apply"
    assert (mod.table_id, mod.cookie, mod.idle_timeout, mod.hard_timeout) == (0, 5, 1, 2)
    assert (mod.priority, mod.flags, mod.instructions) == (3, 3, (ApplyActions((Output(2, 0),)),))


@pytest.mark.parametrize("command", [3, 4])
def test_a_delete_is_about_all_tables_and_all_cookies(talk: Talk, command: int) -> None:
    [(_, ask)] = talk.say(flow_mod(command=command))
    assert (asked(ask).table_id, asked(ask).cookie_mask, asked(ask).instructions) == (0xFF, 0, ())


@pytest.mark.parametrize("command", [1, 2])
def test_a_modify_adds_what_is_not_there(talk: Talk, command: int) -> None:
    """In 1.0; so it is an operation of its own."""
    [(_, ask)] = talk.say(flow_mod(command=command))
    assert (ask.op, asked(ask).command) == ("modify", command)


def test_an_error_of_the_dataplane_shows_what_the_controller_said(talk: Talk) -> None:
    said = flow_mod()
    [(ticket, _)] = talk.say(said)
    kind, code = reason(FlowModFailed.OVERLAP)
    talk.session.answer(ticket, Answer(framing.DONE, (struct.pack("<I", kind << 16 | code),)))
    assert talk.heard() == [(1, 7, struct.pack("!HH", 3, 1) + said[:64])]


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (flow_mod(command=5), (3, 4)),
        (flow_mod(flags=4), (3, 0)),
        (flow_mod(flags=8), (3, 5)),
        (message(14, ANY), (1, 6)),
        (message(4, bytes(8)), (1, 3)),
        (message(16, struct.pack("!HH", 0xFFFF, 0) + bytes(8)), (1, 3)),
        (message(16, struct.pack("!HH", 77, 0)), (1, 2)),
        (message(16, struct.pack("!HH", 1, 0)), (1, 6)),
        (message(16, b""), (1, 6)),
        (message(9, b"\0"), (1, 6)),
        (message(9, b"\0\7\0\0"), (1, 5)),
        (message(13, b""), (1, 6)),
        (message(13, struct.pack("!IHH", 0, 1, 9)), (2, 1)),
        (message(15, b""), (1, 6)),
        (message(18, b"\0"), (1, 6)),
        (message(20, b""), (1, 6)),
        (message(24, b""), (1, 1)),
        (message(6, b""), (1, 1)),
    ],
)
def test_each_mistake_has_its_error(talk: Talk, said: bytes, wanted: tuple[int, int]) -> None:
    assert talk.say(said) == []
    assert talk.heard() == [(1, 7, struct.pack("!HH", *wanted) + said[:64])]


def test_the_features_come_with_the_ports(talk: Talk) -> None:
    (first, _), (second, _) = talk.say(message(5))
    known = {"datapath_id": 42, "n_buffers": 0, "n_tables": 255, "capabilities": 0x4F}
    talk.session.answer(first, Answer(framing.DONE, (msgspec.msgpack.encode(known),)))
    assert talk.heard() == []
    ports = PortDescReply(
        (Port(3, b"\2\0\0\0\0\3", "p3", 1, 5, 0x840), Port(70000, bytes(6), "far"))
    )
    talk.session.answer(second, Answer(framing.DONE, (pack_part(ports),)))
    [(kind, xid, body)] = talk.heard()
    assert (kind, xid) == (6, 7)
    assert struct.unpack_from("!QIB3xII", body) == (42, 0, 255, 0x47, 0xFFF)
    assert struct.unpack("!H6s16sIIIIII", body[24:]) == (
        *(3, b"\2\0\0\0\0\3", b"p3".ljust(16, b"\0"), 1, 1),
        *(0x40 | 0x80, 0, 0, 0),
    )


def test_flow_statistics_are_cut_anew(talk: Talk) -> None:
    [(ticket, ask)] = talk.say(message(16, struct.pack("!HH", 1, 0) + ANY + b"\xff\0\xff\xff"))
    assert ask.payload[:4] == b"\0\1\0\0"
    flow = FlowStats(priority=9, packet_count=3, match=TCP)
    part = pack_part(FlowReply((flow,) * 800))
    talk.session.answer(ticket, Answer(framing.DONE, (part, part)))
    heard = talk.heard()
    assert [int.from_bytes(body[2:4], "big") for _, _, body in heard] == [1, 1, 1, 0]
    assert sum(len(body) - 4 for _, _, body in heard) == 1600 * 88
    entry = heard[0][2][4:92]
    assert entry[4 : 4 + SIZE] == pack_match(TCP)
    assert struct.unpack_from("!HHH", entry, 52) == (9, 0, 0)


def test_an_aggregate_is_the_same(talk: Talk) -> None:
    [(ticket, _)] = talk.say(message(16, struct.pack("!HH", 2, 0) + ANY + b"\xff\0\xff\xff"))
    talk.session.answer(ticket, Answer(framing.DONE, (pack_part(AggregateReply(1, 2, 3)),)))
    assert talk.heard() == [(17, 7, struct.pack("!HHQQI4x", 2, 0, 1, 2, 3))]


def test_a_barrier_has_its_number(talk: Talk) -> None:
    [(ticket, ask)] = talk.say(message(18))
    assert ask.op == "barrier"
    talk.session.answer(ticket, Answer(framing.DONE))
    assert talk.heard() == [(19, 7, b"")]


def test_asynchronous_messages_are_told(talk: Talk) -> None:
    packet = PacketIn(0xFFFFFFFF, 60, 1, 4, 9, match(in_port=3), b"frame")
    talk.session.push("packet_in", pack(packet))
    assert talk.heard() == [(10, 0, struct.pack("!IHHBx", 0xFFFFFFFF, 60, 3, 1) + b"frame")]
    talk.session.push("flow_removed", pack(FlowRemoved(5, 6, 3, 0, 1, 2, 3, 4, 7, 8, TCP)))
    [(kind, _, body)] = talk.heard()
    assert (kind, body[:SIZE]) == (11, pack_match(TCP))
    assert struct.unpack("!QHBxIIH2xQQ", body[SIZE:]) == (5, 6, 2, 1, 2, 3, 7, 8)
    talk.session.push("port_status", pack(PortStatus(2, Port(3, bytes(6), "p3"))))
    assert [(kind, len(body)) for kind, _, body in talk.heard()] == [(12, 56)]


def test_a_packet_of_a_port_without_a_number_is_not_told(talk: Talk) -> None:
    talk.session.push("packet_in", pack(PacketIn(match=match(in_port=70000))))
    assert talk.heard() == []


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (BadMatch.BAD_FIELD, (3, 5)),
        (BadRequest.IS_SLAVE, (1, 5)),
        (BadAction.BAD_SET_TYPE, (2, 5)),
        (MeterModFailed.UNKNOWN_METER, (1, 5)),
        (FlowModFailed.TABLE_FULL, (3, 0)),
    ],
)
def test_errors_have_the_numbers_of_1_0(new: Any, old: tuple[int, int]) -> None:
    assert old_error(*reason(new)) == old


def test_echoes_and_errors_are_those_of_the_connection(talk: Talk) -> None:
    talk.say(message(2, b"ping"))
    assert talk.heard() == [(3, 7, b"ping")]
    talk.say(message(1, bytes(4)))
    assert talk.heard() == []
