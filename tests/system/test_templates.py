"""Templates from a controller at one end to the command line at the other (P6)."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raicho.control.openflow.spec import pack, pack_part, templates, unpack, unpack_part
from raicho.control.openflow.spec.actions import DecNwTtl, Group, Output
from raicho.control.openflow.spec.errors import BadAction, reason
from raicho.control.openflow.spec.flows import FlowCommand
from raicho.control.openflow.spec.instructions import ApplyActions, GotoTable
from raicho.control.openflow.spec.match import match
from raicho.control.openflow.spec.messages import FlowMod
from raicho.control.openflow.spec.multipart import FlowReply, FlowRequest
from raicho.control.openflow.spec.templates import (
    RAICHO,
    TemplateCommand,
    TemplateFailed,
    TemplateMod,
)

from .headless import Headless, Peer
from .switch import environment

THE_ID = 7
MOD = TemplateMod(
    TemplateCommand.ADD, THE_ID, 1 << 1, "routed", (ApplyActions((DecNwTtl(), Output(1))),)
)
FLOW, EXPERIMENTER = 1, 0xFFFF


@pytest.fixture(scope="module")
def headless() -> Iterator[Headless]:
    folder = Path(tempfile.mkdtemp(prefix="rch"))
    headless = Headless(folder)
    try:
        headless.start([1, 2, 3])
        yield headless
    finally:
        headless.close()
        print(headless.log.read_text())
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def switch(headless: Headless) -> Iterator[Peer]:
    """A connection to a bridge without flows and templates."""
    with headless.connect() as switch:
        yield switch
        nothing = TemplateMod(TemplateCommand.DELETE, templates.ALL)
        delete = FlowMod(command=FlowCommand.DELETE, table_id=0xFF)
        assert switch.exchange(pack(delete) + pack(templates.message(nothing))) == []


def flow(address: int, *arguments: Any) -> bytes:
    return pack(
        FlowMod(
            match=match(eth_type=0x0800, ipv4_dst=address),
            instructions=(templates.use(THE_ID, *arguments),),
        )
    )


def define(mod: TemplateMod) -> bytes:
    return pack(templates.message(mod))


def shown(switch: Peer) -> list[tuple[Any, ...]]:
    reply = unpack_part(FlowReply, switch.multipart(FLOW, pack_part(FlowRequest())))
    return sorted((each.instructions for each in reply.flows), key=str)


def cli(headless: Headless, *words: str) -> str:
    command = [sys.executable, "-m", "raicho.control.cli", *words]
    where = ["--run-dir", str(headless.run_dir)]
    done = subprocess.run(
        [*command, *where], env=environment(), capture_output=True, text=True, timeout=60
    )
    return done.stdout or done.stderr


def test_a_controller_defines_uses_and_changes_a_template(switch: Peer) -> None:
    assert switch.exchange(define(MOD) + flow(1, Output(2)) + flow(2, Output(3))) == []
    assert shown(switch) == [
        (ApplyActions((DecNwTtl(), Output(2))),),
        (ApplyActions((DecNwTtl(), Output(3))),),
    ]
    other = TemplateMod(
        TemplateCommand.MODIFY, THE_ID, 1, "", (ApplyActions((Output(1),)), GotoTable(5))
    )
    assert switch.exchange(define(other)) == []
    assert shown(switch) == [
        (ApplyActions((Output(2),)), GotoTable(5)),
        (ApplyActions((Output(3),)), GotoTable(5)),
    ]


def test_what_is_refused_says_why(switch: Peer) -> None:
    wrong = TemplateMod(TemplateCommand.MODIFY, THE_ID, 0, "", (ApplyActions((Group(9),)),))
    free = TemplateMod(TemplateCommand.DELETE, THE_ID)
    assert switch.exchange(define(MOD) + flow(1, Output(2))) == []
    before = shown(switch)
    found = switch.exchange(define(MOD) + flow(2, Group(9)) + define(wrong) + define(free))
    errors = [unpack(each)[0] for each in found]
    assert [(each.type, each.code) for each in errors] == [
        (EXPERIMENTER, TemplateFailed.EXISTS),
        (EXPERIMENTER, TemplateFailed.BAD_ARGUMENTS),
        (EXPERIMENTER, TemplateFailed.BAD_ARGUMENTS),
        (EXPERIMENTER, TemplateFailed.IN_USE),
    ]
    assert {each.data[:4] for each in errors} == {RAICHO.to_bytes(4, "big")}
    assert shown(switch) == before


def test_a_group_that_is_not_there_is_refused_to_the_entry(switch: Peer) -> None:
    mod = TemplateMod(TemplateCommand.ADD, THE_ID, 0, "", (ApplyActions((Group(9),)),))
    [found] = switch.exchange(define(mod) + flow(1))
    error, _ = unpack(found)
    assert (error.type, error.code) == reason(BadAction.BAD_OUT_GROUP)


def test_the_command_line_tells_what_an_entry_takes(headless: Headless, switch: Peer) -> None:
    assert switch.exchange(define(MOD) + flow(1, Output(2)) + flow(2, Output(3))) == []
    [row] = json.loads(cli(headless, "template", "list", "--json"))
    assert (row["bridge"], row["template_id"], row["name"]) == ("br0", THE_ID, "routed")
    assert (row["flow_count"], row["arguments_size"], row["parameters"]) == (2, 16, [1])
    assert row["flow_bytes_each"] <= 128
    assert row["index_bytes_each"] > 0
    assert row["counter_bytes_each"] > 0
    assert row["text"] == "dec_ttl,output:1"
    assert "dec_ttl,output:1" in cli(headless, "template", "show", "br0", str(THE_ID))
    assert "br0 has no template 8" in cli(headless, "template", "show", "br0", "8")
