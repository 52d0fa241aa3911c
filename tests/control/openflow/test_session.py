"""What a controller gets for what it says, with the dataplane played by the test."""

import struct
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from raicho.control.openflow import framing
from raicho.control.openflow.answers import AWAY, Answer, Ask
from raicho.control.openflow.session import (
    APPLIED,
    HANDLERS,
    MAX_BACKLOG,
    MAX_PARTS,
    PACKET_IN_BACKLOG,
    Description,
    Session,
    Shared,
)
from raicho.control.openflow.spec import MessageType, pack, pack_part, unpack
from raicho.control.openflow.spec.errors import (
    BadRequest,
    FlowModFailed,
    RoleRequestFailed,
    SwitchConfigFailed,
    reason,
)
from raicho.control.openflow.spec.messages import (
    BarrierReply,
    BarrierRequest,
    EchoReply,
    EchoRequest,
    Error,
    Experimenter,
    FeaturesReply,
    FeaturesRequest,
    FlowMod,
    FlowRemoved,
    GetAsyncReply,
    GetAsyncRequest,
    GetConfigReply,
    GetConfigRequest,
    GroupMod,
    Hello,
    MeterMod,
    MultipartReply,
    MultipartRequest,
    PacketIn,
    PacketOut,
    PortMod,
    PortStatus,
    QueueGetConfigReply,
    QueueGetConfigRequest,
    Role,
    RoleReply,
    RoleRequest,
    SetAsync,
    SetConfig,
    TableMod,
)
from raicho.control.openflow.spec.multipart import (
    DescReply,
    DescRequest,
    ExperimenterRequest,
    FlowReply,
    FlowRequest,
    PortDescReply,
    PortDescRequest,
    TableFeaturesRequest,
)
from raicho.control.openflow.spec.ports import Port
from raicho.control.openflow.spec.tables import TableFeatures

DONE = Answer(framing.DONE)
PORT = Port(1, b"\2\0\0\0\0\1", "veth0")
WRITES = [
    PacketOut(),
    FlowMod(),
    GroupMod(0, 0, 1),
    PortMod(1, bytes(6)),
    TableMod(0),
    MeterMod(0, 1, 1),
]


def code(why: Any) -> int:
    kind, number = reason(why)
    return kind << 16 | number


def results(*codes: int) -> Answer:
    return Answer(framing.DONE, (struct.pack(f"<{len(codes)}I", *codes),))


class Talk:
    """A session with a controller that has greeted, and the messages between them."""

    def __init__(self, shared: Shared | None = None) -> None:
        self.session = Session(shared or Shared(), 0)
        self.session.receive(pack(Hello(), 1), 0)
        self.heard()

    def say(self, *messages: Any, xid: int = 1) -> list[tuple[int, Ask]]:
        """Say messages, numbered from *xid*; return what the dataplane is asked."""
        data = b"".join(pack(message, xid + i) for i, message in enumerate(messages))
        self.session.receive(data, 0)
        return self.session.asks()

    def heard(self) -> list[Any]:
        """Return what the controller hears, as (xid, message)."""
        data = self.session.to_send()
        found, end = framing.scan(data, 4, bytes(256))
        assert end == len(data)
        return [unpack(data[start:stop])[::-1] for _, start, stop, _ in found]

    def errors(self) -> list[tuple[int, int]]:
        """Return (xid, code) of what the controller hears: errors only."""
        return [(xid, error.type << 16 | error.code) for xid, error in self.heard()]


def test_messages_for_the_tables_are_asked_together() -> None:
    talk = Talk()
    data = b"".join(pack(message, i) for i, message in enumerate(WRITES))
    talk.session.receive(data[:30], 0)
    talk.session.receive(data[30:], 0)
    assert talk.session.asks() == [(0, Ask("apply", data))]
    assert talk.heard() == []


def test_only_what_fails_is_answered() -> None:
    talk = Talk()
    talk.say(FlowMod(), FlowMod(), PacketOut())
    talk.session.answer(0, results(framing.DONE, code(FlowModFailed.OVERLAP), framing.DONE))
    assert talk.heard() == [(2, Error(5, 3, pack(FlowMod(), 2)))]


def test_replies_leave_in_the_order_of_the_requests() -> None:
    """A barrier is answered after the errors of everything before it."""
    talk = Talk()
    asked = talk.say(FlowMod(), BarrierRequest(), FlowMod(), MultipartRequest(0, DescRequest()))
    assert [ask.op for _, ask in asked] == ["apply", "barrier", "apply"]
    talk.session.answer(2, results(code(FlowModFailed.TABLE_FULL)))
    talk.session.answer(1, DONE)
    assert talk.heard() == []
    talk.session.answer(0, results(code(FlowModFailed.BAD_COMMAND)))
    kinds = [(xid, type(message)) for xid, message in talk.heard()]
    assert kinds == [(1, Error), (2, BarrierReply), (3, Error), (4, MultipartReply)]


def test_an_echo_does_not_wait() -> None:
    talk = Talk()
    talk.say(BarrierRequest(), EchoRequest(b"x"))
    assert talk.heard() == [(2, EchoReply(b"x"))]


def test_features_are_those_of_the_dataplane() -> None:
    talk = Talk()
    assert talk.say(FeaturesRequest()) == [(0, Ask("features", b""))]
    known = {"datapath_id": 7, "n_buffers": 0, "n_tables": 254, "capabilities": 0x4F}
    talk.session.answer(0, Answer(framing.DONE, (msgspec.msgpack.encode(known),)))
    wanted = FeaturesReply(datapath_id=7, n_tables=254, capabilities=0x4F)
    assert talk.heard() == [(1, wanted)]
    talk.say(FeaturesRequest())
    talk.session.answer(1, Answer(AWAY))
    assert talk.heard() == [(1, wanted)], "known features outlive the dataplane"


@pytest.mark.parametrize(
    "message",
    [
        FeaturesRequest(),
        GetConfigRequest(),
        SetConfig(),
        BarrierRequest(),
        FlowMod(),
        MultipartRequest(0, FlowRequest()),
        QueueGetConfigRequest(1),
    ],
    ids=lambda message: type(message).__name__,
)
def test_without_a_dataplane_everything_gets_an_error(message: Any) -> None:
    """Never silence: BAD_REQUEST/EPERM, and the connection stays."""
    talk = Talk()
    [(ticket, _)] = talk.say(message, xid=9)
    talk.session.answer(ticket, Answer(AWAY))
    assert talk.errors() == [(9, code(BadRequest.EPERM))]
    assert talk.session.closed is None


def test_an_answer_without_its_results_is_a_failure() -> None:
    talk = Talk()
    talk.say(FlowMod(), FlowMod())
    talk.session.answer(0, results(framing.DONE))
    assert talk.errors() == [(2, code(BadRequest.EPERM))]


def test_config_goes_to_the_dataplane_and_back() -> None:
    talk = Talk()
    [(_, ask), (_, get)] = talk.say(SetConfig(1, 0xFFFF), GetConfigRequest())
    assert ask == Ask("config", bytes.fromhex("0001ffff"))
    assert get == Ask("get_config", b"")
    talk.session.answer(0, DONE)
    talk.session.answer(1, Answer(framing.DONE, (bytes.fromhex("0001ffff"),)))
    assert talk.heard() == [(2, GetConfigReply(1, 0xFFFF))]


def test_config_with_flags_that_do_not_exist_is_refused() -> None:
    talk = Talk()
    assert talk.say(SetConfig(8)) == []
    assert talk.errors() == [(1, code(SwitchConfigFailed.BAD_FLAGS))]


def test_desc_is_answered_by_the_agent() -> None:
    talk = Talk(Shared(Description(serial="s" * 40, datapath="br0")))
    assert talk.say(MultipartRequest(0, DescRequest())) == []
    wanted = DescReply("raicho", "Linux", "raicho", "s" * 31, "br0")
    assert talk.heard() == [(1, MultipartReply(0, wanted))]


def test_a_long_reply_is_split_where_the_dataplane_split_it() -> None:
    talk = Talk()
    [(_, ask)] = talk.say(MultipartRequest(0, PortDescRequest()))
    assert ask == Ask("multipart", bytes.fromhex("000d0000"))
    part = pack_part(PortDescReply((PORT,)))
    talk.session.answer(0, Answer(framing.DONE, (part, part)))
    wanted = PortDescReply((PORT,))
    assert talk.heard() == [(1, MultipartReply(1, wanted)), (1, MultipartReply(0, wanted))]


def test_an_empty_reply_is_a_reply() -> None:
    talk = Talk()
    [(_, ask)] = talk.say(MultipartRequest(0, FlowRequest()))
    assert ask.payload == bytes.fromhex("00010000") + pack_part(FlowRequest())
    talk.session.answer(0, DONE)
    assert talk.heard() == [(1, MultipartReply(0, FlowReply()))]


def test_the_error_of_the_dataplane_is_the_answer() -> None:
    talk = Talk()
    talk.say(MultipartRequest(0, PortDescRequest()))
    talk.session.answer(0, Answer(code(BadRequest.BAD_MULTIPART)))
    assert talk.errors() == [(1, code(BadRequest.BAD_MULTIPART))]


def test_parts_of_a_request_are_put_together() -> None:
    talk = Talk()
    table = TableFeatures(0, "first")
    first = pack(MultipartRequest(1, TableFeaturesRequest((table,))), 5)
    last = pack(MultipartRequest(0, TableFeaturesRequest((table,))), 5)
    talk.session.receive(first, 0)
    assert talk.session.asks() == []
    talk.session.receive(last, 0)
    [(_, ask)] = talk.session.asks()
    assert ask.payload == bytes.fromhex("000c0000") + pack_part(table) * 2


def test_parts_are_bounded() -> None:
    talk = Talk()
    part = MultipartRequest(1, ExperimenterRequest(1, 2, bytes(60_000)))
    for _ in range(MAX_PARTS // 60_008):
        talk.say(part)
        assert talk.heard() == []
    talk.say(part)
    assert talk.errors() == [(1, code(BadRequest.MULTIPART_BUFFER_OVERFLOW))]


def test_queues_are_asked_for() -> None:
    talk = Talk()
    assert talk.say(QueueGetConfigRequest(3)) == [(0, Ask("queue_config", b"\0\0\0\3\0\0\0\0"))]
    talk.session.answer(0, DONE)
    assert talk.heard() == [(1, QueueGetConfigReply(3))]


@pytest.mark.parametrize("kind", sorted(set(range(40)) - {0, 1, 2, 3} - set(APPLIED)))
def test_what_a_switch_does_not_take_is_an_error(kind: int) -> None:
    """K16: types of replies, and types that do not exist; nothing is ignored."""
    requests = {4, 5, 7, 9, 18, 20, 22, 24, 26, 28}
    talk = Talk()
    talk.session.receive(struct.pack("!BBHI", 4, kind, 9, 77) + b"x", 0)
    wanted = BadRequest.BAD_LEN if kind in requests else BadRequest.BAD_TYPE
    assert talk.errors() == [(77, code(wanted))]


def test_an_experimenter_is_not_known() -> None:
    talk = Talk()
    talk.say(Experimenter(0x2320, 10))
    assert talk.errors() == [(1, code(BadRequest.BAD_EXPERIMENTER))]


def test_an_error_is_not_answered() -> None:
    talk = Talk()
    talk.say(Error(1, 1, b"what"))
    talk.session.receive(struct.pack("!BBHI", 4, 1, 9, 77) + b"x", 0)
    assert talk.heard() == []


# Roles and who hears what.


def test_a_controller_begins_as_equal() -> None:
    talk = Talk()
    talk.say(RoleRequest(Role.NOCHANGE))
    assert talk.heard() == [(1, RoleReply(Role.EQUAL, 0xFFFFFFFFFFFFFFFF))]


def test_a_new_master_demotes_the_old_one() -> None:
    """M7, F8: its writes get IS_SLAVE."""
    shared = Shared()
    old, new = Talk(shared), Talk(shared)
    old.say(RoleRequest(Role.MASTER, 5))
    assert old.heard() == [(1, RoleReply(Role.MASTER, 5))]
    new.say(RoleRequest(Role.MASTER, 6))
    assert new.heard() == [(1, RoleReply(Role.MASTER, 6))]
    assert old.say(*WRITES) == []
    assert old.errors() == [(i + 1, code(BadRequest.IS_SLAVE)) for i in range(len(WRITES))]
    assert [ask.op for _, ask in new.say(*WRITES)] == ["apply"]


def test_a_slave_may_read_and_not_write() -> None:
    """F8: table features with a body and the configuration count as writes."""
    talk = Talk()
    talk.say(RoleRequest(Role.SLAVE, 1))
    talk.heard()
    talk.say(SetConfig(), MultipartRequest(0, TableFeaturesRequest((TableFeatures(0),))))
    assert talk.errors() == [(i, code(BadRequest.IS_SLAVE)) for i in (1, 2)]
    reads = talk.say(
        MultipartRequest(0, TableFeaturesRequest()), MultipartRequest(0, FlowRequest())
    )
    assert [ask.op for _, ask in reads] == ["multipart", "multipart"]


@pytest.mark.parametrize(
    ("role", "generation", "wanted"),
    [
        (Role.MASTER, 4, RoleRequestFailed.STALE),
        (Role.SLAVE, 4, RoleRequestFailed.STALE),
        (Role.MASTER, 5 + (1 << 63), RoleRequestFailed.STALE),
        (4, 9, RoleRequestFailed.BAD_ROLE),
        (Role.MASTER, 5, None),
        (Role.SLAVE, 4 + (1 << 63), None),
        (Role.EQUAL, 0, None),
    ],
)
def test_generations_only_move_on(role: int, generation: int, wanted: Any) -> None:
    """F8: older ones are stale, by distance, so that they may wrap round."""
    talk = Talk()
    talk.say(RoleRequest(Role.MASTER, 5), RoleRequest(role, generation))
    (_, answer) = talk.heard()[1]
    if wanted is not None:
        assert (answer.type, answer.code) == reason(wanted)
    else:
        assert answer.role == role


def test_a_master_that_goes_leaves_no_master() -> None:
    shared = Shared()
    talk = Talk(shared)
    talk.say(RoleRequest(Role.MASTER, 1))
    talk.session.close("bye")
    assert shared.roles.master is None
    assert shared.roles.generation == 1


ASYNC: dict[str, Callable[[int], Any]] = {
    "packet_in": lambda why: PacketIn(reason=why),
    "port_status": lambda why: PortStatus(why, PORT),
    "flow_removed": lambda why: FlowRemoved(reason=why),
}


def reasons_heard(talk: Talk, kind: str) -> list[int]:
    talk.session.push(kind, b"".join(pack(ASYNC[kind](why)) for why in range(4)))
    return [message.reason for _, message in talk.heard()]


def test_an_equal_hears_everything_but_invalid_ttl() -> None:
    talk = Talk()
    assert reasons_heard(talk, "packet_in") == [0, 1]
    assert reasons_heard(talk, "port_status") == [0, 1, 2]
    assert reasons_heard(talk, "flow_removed") == [0, 1, 2, 3]


def test_a_slave_hears_port_status_only() -> None:
    """M9: by default."""
    talk = Talk()
    talk.say(RoleRequest(Role.SLAVE, 1))
    talk.heard()
    assert reasons_heard(talk, "packet_in") == []
    assert reasons_heard(talk, "port_status") == [0, 1, 2]
    assert reasons_heard(talk, "flow_removed") == []


def test_a_controller_says_what_it_wants_to_hear() -> None:
    talk = Talk()
    talk.say(SetAsync(0b100, 0b001, 0, 0b010, 0b1000, 0), GetAsyncRequest())
    assert talk.heard() == [(2, GetAsyncReply(0b100, 0b001, 0, 0b010, 0b1000, 0))]
    assert reasons_heard(talk, "packet_in") == [2]
    assert reasons_heard(talk, "port_status") == []
    assert reasons_heard(talk, "flow_removed") == [3]
    talk.say(RoleRequest(Role.SLAVE, 1))
    talk.heard()
    assert reasons_heard(talk, "packet_in") == [0]
    assert reasons_heard(talk, "port_status") == [1]


def test_nobody_hears_anything_before_the_greeting() -> None:
    session = Session(Shared(), 0)
    session.to_send()
    session.push("packet_in", pack(PacketIn()))
    assert session.to_send() == b""


def test_a_slow_controller_loses_packet_ins_and_they_are_counted() -> None:
    """K17: nothing else is lost, and memory stays bounded."""
    talk = Talk()
    talk.session.push("packet_in", pack(PacketIn()) * 3, PACKET_IN_BACKLOG + 1)
    talk.session.push("port_status", pack(PortStatus(0, PORT)), PACKET_IN_BACKLOG + 1)
    assert [type(message) for _, message in talk.heard()] == [PortStatus]
    assert talk.session.counters["packet_in_dropped"] == 3


def test_a_controller_that_never_reads_is_given_up() -> None:
    talk = Talk()
    talk.session.push("port_status", pack(PortStatus(0, PORT)), MAX_BACKLOG + 1)
    assert talk.session.closed == f"the controller leaves {MAX_BACKLOG + 1} bytes unread"


def test_a_busy_session_asks_not_to_be_fed() -> None:
    talk = Talk()
    for _ in range(300):
        talk.say(BarrierRequest())
    assert talk.session.busy
    for ticket in range(300):
        talk.session.answer(ticket, DONE)
    assert not talk.session.busy
    assert len(talk.heard()) == 300


def test_answers_after_the_end_mean_nothing() -> None:
    talk = Talk()
    talk.say(BarrierRequest())
    talk.session.receive(bytes(8), 0)
    talk.session.receive(b"\4\0\0\0\0\0\0\0", 0)
    assert talk.session.closed == "message shorter than its header"
    talk.session.answer(0, DONE)
    talk.session.push("port_status", pack(PortStatus(0, PORT)))
    assert talk.session.asks() == []


def test_a_hundred_thousand_flow_mods_are_a_few_requests() -> None:
    """T7: a stream in pieces of 64 KiB costs a few Python calls, and one error each at most."""
    talk = Talk()
    data = pack(FlowMod(), 1) * 100_000
    for at in range(0, len(data), 1 << 16):
        talk.session.receive(data[at : at + (1 << 16)], 0)
    asked = talk.session.asks()
    assert len(asked) < 10
    assert b"".join(ask.payload for _, ask in asked) == data
    for ticket, ask in asked:
        talk.session.answer(ticket, results(*[framing.DONE] * framing.count(ask.payload)))
    assert talk.heard() == []


def test_every_type_is_handled_one_way() -> None:
    assert not set(HANDLERS) & set(APPLIED)
    assert set(HANDLERS) | set(APPLIED) <= set(MessageType)
