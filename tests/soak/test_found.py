"""What streams have found, each by itself."""

import struct
from collections.abc import Iterator

import pytest
from oracle import actions as act
from oracle import wire
from oracle.match import Write

from .engine import Engine, entries
from .model import ALL_TABLES, ANY, Does, Flow, FlowMod, GroupMod, Mod
from .stream import pack
from .tables import FLOW, said


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(10) as engine:
        yield engine


def write(*actions: act.Action) -> Mod:
    """A flow that writes an action set."""
    does = Does(wire.pack_instruction(Write(actions)))
    return FlowMod(0, Flow(0, 1, {}, 0, 0, does))


def test_out_port_finds_the_output_that_a_group_in_the_same_set_goes_before(engine: Engine) -> None:
    engine.say(pack(GroupMod(0, 1), 1) + pack(write(act.Group(1), act.Output(4, 0)), 2))
    about = struct.pack("!B3xII4xQQHH4x", ALL_TABLES, 4, ANY, 0, 0, 1, 4)
    assert len(list(entries(engine.multipart(FLOW, about)))) == 1
    engine.say(pack(FlowMod(3, Flow(0, 0, {}, 0, 0, Does(b"")), out_port=4), 3))
    assert said(engine)["flows"] == {}
