"""Flows from plain values: the inverse of what the agent shows."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raicho.control.openflow.plain import BadFlow, flow_mod, packed_flow
from raicho.control.openflow.spec import actions as act
from raicho.control.openflow.spec import instructions as ins
from raicho.control.openflow.spec import own, unpack
from raicho.control.openflow.spec.flows import FlowStats
from raicho.control.openflow.spec.match import FIELDS, Field, Oxm, match
from raicho.control.openflow.text import flow_dict


def numbers(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, (1 << bits) - 1)


def oxms(row: Field) -> st.SearchStrategy[Oxm]:
    masks = st.none() | numbers(row.bits) if row.maskable else st.none()
    return st.builds(Oxm, st.just(row.name), numbers(row.bits), masks)


FIELD = st.sampled_from(FIELDS).flatmap(oxms)
ACTION = st.one_of(
    st.builds(act.Output, numbers(32), numbers(16)),
    st.builds(act.PushVlan, numbers(16)),
    st.builds(act.PopVlan),
    st.builds(act.DecNwTtl),
    st.builds(act.Group, numbers(32)),
    st.builds(act.SetQueue, numbers(32)),
    st.builds(act.SetField, FIELD),
    st.builds(act.ActionExperimenter, numbers(32), st.binary(max_size=16)),
    st.builds(act.ActionExperimenter, st.just(own.RAICHO), st.binary(max_size=16)),
    st.builds(own.Nat, numbers(8), numbers(32)).map(own.sent),
    st.builds(own.Route, numbers(32)).map(own.sent),
)
ACTIONS = st.lists(ACTION, max_size=4).map(tuple)
INSTRUCTION = st.one_of(
    st.builds(ins.ApplyActions, ACTIONS),
    st.builds(ins.WriteActions, ACTIONS),
    st.builds(ins.GotoTable, numbers(8)),
    st.builds(ins.WriteMetadata, numbers(64), numbers(64)),
    st.builds(ins.Meter, numbers(32)),
)
ENTRY = st.builds(
    FlowStats,
    table_id=numbers(8),
    priority=numbers(16),
    cookie=numbers(64),
    idle_timeout=numbers(16),
    hard_timeout=numbers(16),
    flags=numbers(5),
    match=st.lists(FIELD, max_size=5, unique_by=lambda oxm: oxm.name).map(tuple),
    instructions=st.lists(INSTRUCTION, max_size=3).map(tuple),
)


@given(ENTRY)
def test_a_flow_that_is_shown_can_be_added_again(entry: FlowStats) -> None:
    mod = flow_mod(json.loads(json.dumps(flow_dict(entry))))
    for name in ("table_id", "priority", "cookie", "idle_timeout", "hard_timeout", "flags"):
        assert getattr(mod, name) == getattr(entry, name)
    assert mod.match == entry.match
    assert mod.instructions == entry.instructions


def test_people_write_less() -> None:
    row = {
        "match": {"in_port": 1, "eth_type": "0x800", "ipv4_dst": "10.0.0.0/8"},
        "instructions": [{"apply_actions": {"actions": [{"output": {"port": "flood"}}]}}],
    }
    mod, _ = unpack(packed_flow(row))
    assert mod.match == match(in_port=1, eth_type=0x800, ipv4_dst=(0x0A000000, 0xFF000000))
    assert mod.instructions == (ins.ApplyActions((act.Output(0xFFFFFFFB),)),)
    assert mod.priority == 0x8000


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"tabel": 1}, "no part of a flow is called tabel; did you mean table"),
        ({"table": "one"}, "'one' is no number"),
        ({"table": 300}, "does not fit"),
        ({"flags": ["loud"]}, "no flag is called LOUD"),
        ({"match": {"eth_scr": 1}}, "did you mean eth_src"),
        ({"match": {"eth_src": "aa"}}, "'aa' is no MAC address"),
        ({"match": {"ipv4_src": "10.0.0.300"}}, "10.0.0.300"),
        ({"match": {"ipv4_src": "10.0.0.0/33"}}, "longer than 32 bits"),
        ({"match": {"in_port": "1/1"}}, "in_port takes no mask"),
        ({"instructions": [{"jump": {}}]}, "no instruction is called jump"),
        ({"instructions": ["drop"]}, "is no instruction"),
        ({"instructions": [{"goto_table": {}}]}, "goto_table: Missing"),
        (
            {"instructions": [{"apply_actions": {"actions": [{"outptu": {}}]}}]},
            "no action is called outptu; did you mean output",
        ),
        (
            {"instructions": [{"apply_actions": {"actions": [{"set_field": {"field": {}}}]}}]},
            "set_field sets one field",
        ),
    ],
)
def test_what_is_wrong_is_named(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadFlow, match=reason):
        packed_flow(row)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
NAMES = st.sampled_from(["table", "match", "instructions", "flags", "cookie", "x"])


@given(st.dictionaries(NAMES, JSON, max_size=3))
def test_whatever_comes_in_is_read_or_refused(row: dict[str, Any]) -> None:
    try:
        packed_flow(row)
    except BadFlow as bad:
        assert str(bad)
