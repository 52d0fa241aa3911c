"""Flow entries as people and programs read them."""

import json

import pytest

from raicho.control.openflow.spec import actions as act
from raicho.control.openflow.spec import families, own, unpack
from raicho.control.openflow.spec import instructions as ins
from raicho.control.openflow.spec.flows import FlowStats
from raicho.control.openflow.spec.match import FIELDS, Oxm, RawOxm, match
from raicho.control.openflow.spec.ports import PortNo
from raicho.control.openflow.text import (
    ACTION_WORDS,
    FORMS,
    INSTRUCTION_WORDS,
    MATCH_NAMES,
    OWN_WORDS,
    SET_NAMES,
    flow_dict,
    format_flow,
    format_instructions,
    format_match,
    item_dict,
)

ENTRY = FlowStats(
    table_id=1,
    duration_sec=12,
    duration_nsec=345_678_901,
    priority=100,
    idle_timeout=10,
    flags=1,
    cookie=0x2A,
    packet_count=3,
    byte_count=180,
    match=match(
        in_port=1, eth_type=0x0800, ip_proto=6, ipv4_dst=(0x0A000000, 0xFF000000), tcp_dst=80
    ),
    instructions=(
        ins.ApplyActions((act.SetField(Oxm("eth_src", 1)), act.Output(2))),
        ins.GotoTable(2),
    ),
)


def test_an_entry_reads_like_dump_flows() -> None:
    assert format_flow(ENTRY) == (
        "cookie=0x2a, duration=12.345s, table=1, n_packets=3, n_bytes=180, idle_timeout=10, "
        "send_flow_rem priority=100,tcp,in_port=1,nw_dst=10.0.0.0/8,tp_dst=80 "
        "actions=set_field:00:00:00:00:00:01->eth_src,output:2,goto_table:2"
    )


def test_an_entry_is_plain_values() -> None:
    found = flow_dict(ENTRY)
    assert json.loads(json.dumps(found)) == found
    assert found["match"] == {
        "in_port": "1",
        "eth_type": "0x800",
        "ip_proto": 6,
        "ipv4_dst": "10.0.0.0/8",
        "tcp_dst": 80,
    }
    assert found["instructions"] == [
        {
            "apply_actions": {
                "actions": [
                    {"set_field": {"field": {"eth_src": "00:00:00:00:00:01"}}},
                    {"output": {"port": 2, "max_len": 65535}},
                ]
            }
        },
        {"goto_table": {"table_id": 2}},
    ]
    assert (found["duration"], found["flags"]) == (12.346, ["send_flow_rem"])


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, ""),
        ({"vlan_vid": 0x1000 | 10, "vlan_pcp": 3}, "dl_vlan=10,dl_vlan_pcp=3"),
        ({"vlan_vid": (0x1000, 0x1000)}, "vlan_tci=0x1000/0x1000"),
        ({"vlan_vid": 0}, "vlan_tci=0x0000/0x1fff"),
        ({"eth_type": 0x88CC}, "dl_type=0x88cc"),
        ({"eth_type": 0x0806, "arp_op": 1}, "arp,arp_op=1"),
        ({"eth_type": 0x0800, "ip_proto": 47}, "ip,nw_proto=47"),
        ({"eth_type": 0x86DD, "ipv6_src": 1}, "ipv6,ipv6_src=::1"),
        ({"eth_dst": (1 << 40, 1 << 40)}, "dl_dst=01:00:00:00:00:00/01:00:00:00:00:00"),
        ({"ipv4_src": (1, 5)}, "nw_src=0.0.0.1/0.0.0.5"),
        ({"ip_dscp": 46}, "nw_tos=184"),
        ({"metadata": (1, 0xFF)}, "metadata=0x1/0xff"),
        ({"in_port": PortNo.LOCAL}, "in_port=LOCAL"),
        ({"eth_type": 0x86DD, "ip_proto": 58, "icmpv6_type": 135}, "icmp6,icmp_type=135"),
    ],
)
def test_matches_read_as_people_write_them(fields: dict[str, int], text: str) -> None:
    assert format_match(match(**fields)) == text


def test_foreign_fields_are_shown_by_number() -> None:
    assert format_match((RawOxm(1, 0, b"\0\1", b"\xff\xff"),)) == "oxm.1.0=0001/ffff"
    assert format_match((RawOxm(0xFFFF, 2, b"\1", None, 0x4F4E4600),)) == "oxm.ffff.4f4e4600.2=01"


@pytest.mark.parametrize(
    ("instructions", "text"),
    [
        ((), "drop"),
        ((ins.ApplyActions(),), "drop"),
        ((ins.Meter(1), ins.ApplyActions((act.Output(PortNo.FLOOD),))), "meter:1,FLOOD"),
        ((ins.WriteActions((act.Group(3),)),), "write_actions(group:3)"),
        ((ins.ClearActions(), ins.WriteMetadata(1, 255)), "clear_actions,write_metadata:0x1/0xff"),
        ((ins.ApplyActions((act.Output(PortNo.CONTROLLER, 128),)),), "CONTROLLER:128"),
        ((ins.ApplyActions((act.PushVlan(), act.PopVlan())),), "push_vlan:0x8100,pop_vlan"),
        ((ins.ApplyActions((own.sent(own.Route(7)),)),), "route:7"),
        ((ins.ApplyActions((own.sent(own.Nat(1, 3)),)),), "nat:in:3"),
        (
            (ins.ApplyActions((act.ActionExperimenter(own.RAICHO, b"\0\x02\0\1\0\0\0\7"),)),),
            "experimenter(0x524348,0002000100000007)",
        ),
    ],
)
def test_instructions_read_as_people_write_them(
    instructions: tuple[ins.Instruction, ...], text: str
) -> None:
    assert format_instructions(instructions) == text


def test_nothing_of_the_specification_is_without_words() -> None:
    assert set(ACTION_WORDS) == {each.cls for each in families.ACTIONS.codes.values()}
    assert set(OWN_WORDS) == set(own.SUBTYPES.values())
    known = {each.cls for each in families.INSTRUCTIONS.codes.values()} - {ins.ApplyActions}
    assert set(INSTRUCTION_WORDS) == known
    names = {field.name for field in FIELDS}
    assert {*MATCH_NAMES, *SET_NAMES} <= names
    assert {field.form for field in FIELDS} <= set(FORMS)


def test_values_beyond_a_field_are_shown_all_the_same() -> None:
    wide = Oxm("eth_src", 1 << 60)
    assert format_match((wide,)) == f"dl_src={1 << 60:#x}"


def test_every_capture_can_be_shown(captures: dict[str, bytes]) -> None:
    for data in captures.values():
        message, _ = unpack(data)
        json.dumps(item_dict(message))
        if data[1] == 14:
            format_match(message.match)
            format_instructions(message.instructions)
