"""Templates between a controller and the dataplane: messages, errors, bundles and views."""

import asyncio
import struct
from typing import Any

import pytest

from raicho.control.openflow import framing
from raicho.control.openflow.answers import Answer, Ask
from raicho.control.openflow.bundles import ADD, CONTROL, ONF, Do
from raicho.control.openflow.session import Session, Shared
from raicho.control.openflow.spec import pack, pack_part, templates, unpack, unpack_part
from raicho.control.openflow.spec.actions import DecNwTtl, Output, SetField
from raicho.control.openflow.spec.errors import BadRequest, reason
from raicho.control.openflow.spec.instructions import ApplyActions, GotoTable, WriteActions
from raicho.control.openflow.spec.match import Oxm
from raicho.control.openflow.spec.messages import (
    Error,
    Experimenter,
    FlowMod,
    Hello,
    MultipartRequest,
    Role,
    RoleRequest,
)
from raicho.control.openflow.spec.templates import (
    RAICHO,
    TemplateCommand,
    TemplateFailed,
    TemplateMod,
    TemplatesReply,
    TemplateStats,
)
from raicho.control.openflow.views import VIEWS, look

INSTRUCTIONS = (
    ApplyActions((SetField(Oxm("eth_src", 2)), DecNwTtl(), Output(1))),
    GotoTable(4),
)
MOD = TemplateMod(TemplateCommand.ADD, 7, 1 << 2, "edge", INSTRUCTIONS)
IN_USE = 0xFFFF << 16 | TemplateFailed.IN_USE


class Talk:
    """A controller that has greeted."""

    def __init__(self) -> None:
        self.session = Session(Shared(), 0)
        self.session.receive(pack(Hello()), 0)
        self.session.to_send()

    def say(self, *messages: Any, xid: int = 1) -> list[tuple[int, Ask]]:
        self.session.receive(b"".join(pack(message, xid) for message in messages), 0)
        return self.session.asks()

    def heard(self) -> list[Any]:
        data = self.session.to_send()
        found, _ = framing.scan(data, 4, bytes(256))
        return [unpack(data[start:stop])[0] for _, start, stop, _ in found]


@pytest.fixture
def talk() -> Talk:
    return Talk()


def test_a_definition_lies_on_the_wire_as_documented() -> None:
    """P6."""
    data = pack(templates.message(MOD), 5)
    assert struct.unpack_from("!BBHIII", data) == (4, 4, len(data), 5, RAICHO, 1)
    assert struct.unpack_from("!HxxIQ32s", data, 16) == (0, 7, 4, b"edge".ljust(32, b"\0"))
    assert data[64:] == b"".join(map(pack_part, INSTRUCTIONS))
    message, _ = unpack(data)
    assert unpack_part(TemplateMod, message.data) == MOD


def test_the_instruction_of_an_entry_holds_the_arguments_as_they_are() -> None:
    data = pack_part(templates.use(7, Output(3), GotoTable(5)))
    assert struct.unpack_from("!HHIHHI", data) == (0xFFFF, 16 + 16 + 8, RAICHO, 1, 0, 7)
    assert data[16:] == pack_part(Output(3)) + pack_part(GotoTable(5))


def test_items_are_the_applied_actions_and_the_other_instructions() -> None:
    write = WriteActions((Output(2), DecNwTtl()))
    assert list(templates.items((*INSTRUCTIONS, write))) == [
        *INSTRUCTIONS[0].actions,
        GotoTable(4),
        write,
    ]


def test_templates_and_flows_go_to_the_dataplane_in_order(talk: Talk) -> None:
    flow = FlowMod(instructions=(templates.use(7, Output(2)),))
    define = templates.message(MOD)
    [(_, ask)] = talk.say(define, flow, define)
    assert ask == Ask("apply", pack(define, 1) + pack(flow, 1) + pack(define, 1))


def test_an_error_of_the_dataplane_says_whose_it_is(talk: Talk) -> None:
    about = templates.message(MOD)
    [(ticket, _)] = talk.say(about)
    talk.session.answer(ticket, Answer(framing.DONE, (struct.pack("<I", IN_USE),)))
    [error] = talk.heard()
    assert isinstance(error, Error)
    assert (error.type, error.code) == (0xFFFF, TemplateFailed.IN_USE)
    assert error.data == RAICHO.to_bytes(4, "big") + pack(about, 1)[:64]


def test_a_slave_may_define_nothing(talk: Talk) -> None:
    talk.say(RoleRequest(Role.SLAVE, 1))
    talk.heard()
    assert talk.say(templates.message(MOD)) == []
    [error] = talk.heard()
    assert (error.type, error.code) == reason(BadRequest.IS_SLAVE)


def bundled(message: bytes) -> Experimenter:
    return Experimenter(ONF, ADD, struct.pack("!I2xH", 1, 0) + message)


def test_a_bundle_may_hold_templates(talk: Talk) -> None:
    define = pack(templates.message(MOD), 1)
    commit = Experimenter(ONF, CONTROL, struct.pack("!IHH", 1, Do.COMMIT, 0))
    [(ticket, ask)] = talk.say(bundled(define), commit)
    assert ask == Ask("bundle", bytes(4) + define)
    talk.session.answer(ticket, Answer(framing.DONE, (struct.pack("=II", 0, IN_USE),)))
    one, whole = talk.heard()
    assert (one.type, one.code, one.data[:4]) == (0xFFFF, 4, RAICHO.to_bytes(4, "big"))
    assert (whole.code, whole.data[:4]) == (2313, ONF.to_bytes(4, "big"))


def test_a_bundle_may_not_hold_what_others_define(talk: Talk) -> None:
    assert talk.say(bundled(pack(Experimenter(0x2320, 1, bytes(8)), 1))) == []
    [error] = talk.heard()
    assert error.code == 2310  # MSG_UNSUP


def test_a_request_for_templates_is_passed_on(talk: Talk) -> None:
    [(_, ask)] = talk.say(MultipartRequest(0, templates.request(7)))
    body = struct.pack("!IIII", RAICHO, 1, 7, 0)
    assert ask == Ask("multipart", b"\xff\xff\0\0" + body)


def test_the_view_says_what_an_entry_takes() -> None:
    stats = TemplateStats(7, 5, "edge", 10, 16, 700, 1280, 350, 320, INSTRUCTIONS)

    async def ask(bridge: str, ask: Ask) -> Answer:
        assert (bridge, ask.payload[:2]) == ("br0", b"\xff\xff")
        empty = TemplateStats(8)
        return Answer(framing.DONE, (pack_part(TemplatesReply(templates=(stats, empty))),))

    one, other = asyncio.run(look(VIEWS["templates"], "br0", ask))
    each = ("flow_bytes_each", "index_bytes_each", "counter_bytes_each")
    assert [one[name] for name in each] == [128, 35, 32]
    assert (one["parameters"], one["name"], one["bridge"]) == ([0, 2], "edge", "br0")
    assert one["text"] == "set_field:00:00:00:00:00:02->eth_src,dec_ttl,output:1,goto_table:4"
    assert [other[name] for name in each] == [None] * 3
