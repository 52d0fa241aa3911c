"""Files in the language of Lagopus, read without a switch."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raicho.control.cli.lagopus import understand
from raicho.control.cli.lagopus.objects import OBJECTS
from raicho.control.datastore.library import library_of, shipped_modules
from raicho.control.datastore.path import parse_path
from raicho.control.datastore.tree import EMPTY, put, to_config
from raicho.control.datastore.validate import validate
from raicho.control.openflow.plain import packed_flow

ROOT = library_of(shipped_modules(), []).root

TEXT = """\
# A switch with two ports.
channel c1 create -dst-addr 192.0.2.1 -dst-port 6633 -local-addr 0.0.0.0 -local-port 0 -protocol tls
controller main create -channel c1 -role equal -connection-type main
controller aux create -channel c1 -connection-type auxiliary
interface i1 create -type ethernet-rawsock -device eth1 -port-number 0 -mtu 1400 -ip-addr 10.0.0.1
interface i2 create -type ethernet-dpdk-vdev -device net_tap0
queue slow create -type single-rate -id 1 -priority 3 -committed-burst-size 1500 \
-committed-information-rate 125000 -excess-burst-size 500
queue fast create -type two-rate -id 2 -committed-information-rate 1000 -peak-burst-size 3000 \
-peak-information-rate 2000
port p1 create -interface i1 -queue slow -queue fast
port p2 create -interface i2
port p3 create -interface i2
bridge br0 create -controller main -controller aux -port p1 1 -port p2 0x2 -dpid 42
bridge br0 config -fail-mode standalone -max-flows 1000 -mactable-ageing-time 300
bridge br0 enable
"""


def configured(text: str) -> Any:
    """Return what the datastore would hold, checked as it does."""
    script = understand(text)
    assert script.bad == []
    tree = EMPTY
    for place in script.edits:
        tree = put(ROOT, tree, parse_path(place.path), place.value)
    assert validate(ROOT, tree) == []
    return to_config(ROOT, tree)["raicho"]


def test_every_object_becomes_what_it_is_here() -> None:
    found = configured(TEXT)
    p1, p2, p3 = found["port"]
    assert p1 == {
        "name": "p1",
        "kind": "af_packet",
        "device": "eth1",
        "mtu": 1400,
        "queue": [
            {"id": 1, "min-rate": 1_000_000, "max-rate": 1_000_000, "priority": 3, "burst": 2000},
            {"id": 2, "min-rate": 8000, "max-rate": 16000, "burst": 3000},
        ],
    }
    assert p2 == {"name": "p2", "kind": "dpdk", "device": "net_tap0"}
    assert p3["enabled"] is False, "nothing has enabled it"
    assert found["bridge"] == [
        {
            "name": "br0",
            "datapath-id": "000000000000002a",
            "fail-mode": "standalone",
            "max-flows": 1000,
            "mac-ageing": 300,
            "port": [{"name": "p1", "number": 1}, {"name": "p2", "number": 2}],
            "controller": [
                {
                    "name": "main",
                    "address": "192.0.2.1",
                    "port": 6633,
                    "protocol": "tls",
                    "auxiliary-connections": 1,
                }
            ],
        }
    ]


def test_what_has_no_counterpart_is_told() -> None:
    notes = [(note.line, note.reason) for note in understand(TEXT).notes]
    assert notes == [
        (5, "-port-number 0 has no counterpart and is left out"),
        (5, "-ip-addr 10.0.0.1 has no counterpart and is left out"),
    ]
    (note,) = understand("channel c create -dst-addr 192.0.2.1").notes
    assert note == (1, "nothing uses channel c")


@pytest.mark.parametrize(
    ("words", "match", "instructions"),
    [
        (
            "in_port=1 dl_src=00:00:5e:00:53:01 dl_type=0x800 apply_actions=output:2",
            {"in_port": "1", "eth_src": "00:00:5e:00:53:01", "eth_type": "0x800"},
            [{"apply_actions": {"actions": [{"output": {"port": "2"}}]}}],
        ),
        (
            "vlan_vid=5,nw_src=10.0.0.0/8 write_actions=strip_vlan,dec_nw_ttl,group:7",
            {"vlan_vid": 0x1005, "ipv4_src": "10.0.0.0/8"},
            [
                {
                    "write_actions": {
                        "actions": [
                            {"pop_vlan": {}},
                            {"dec_nw_ttl": {}},
                            {"group": {"group_id": "7"}},
                        ]
                    }
                }
            ],
        ),
        (
            "tcp_dst=80 apply_actions=push_vlan:0x8100,vlan_vid:10,dl_dst:00:00:5e:00:53:02 "
            "goto_table=3",
            {"tcp_dst": "80"},
            [
                {
                    "apply_actions": {
                        "actions": [
                            {"push_vlan": {"ethertype": "0x8100"}},
                            {"set_field": {"field": {"vlan_vid": 0x100A}}},
                            {"set_field": {"field": {"eth_dst": "00:00:5e:00:53:02"}}},
                        ]
                    }
                },
                {"goto_table": {"table_id": 3}},
            ],
        ),
        ("nw_proto=6 clear_actions", {"ip_proto": "6"}, [{"clear_actions": {}}]),
    ],
)
def test_flows_get_the_names_of_the_specification(
    words: str, match: dict[str, Any], instructions: list[Any]
) -> None:
    """And the agent can read what comes out."""
    script = understand(f"flow br0 add priority=9 {words}")
    assert script.bad == []
    (flow,) = script.flows
    assert flow.flow == {"priority": 9, "match": match, "instructions": instructions}
    assert packed_flow(flow.flow)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("tap t1 create", "'tap' is none of channel, controller, interface, port, queue, bridge"),
        ("port p1 destroy", "write port NAME create|config|enable"),
        ("port", "write port NAME create|config|enable"),
        ("port p9 enable", "no port p9; `port p9 create` makes one"),
        ("port p0 create", "port p0 is there already, since line 1"),
        ("port p1 create -policer x", "port has no -policer; it has -interface, -queue"),
        ("port p1 create -interface", "-interface is followed by a value"),
        ("port p1 create -interface i9", "there is no interface i9"),
        ("bridge b create -port p0", "-port is followed by a name and a number"),
        ("bridge b create -dpid ten", "'ten' is no number"),
        ("bridge b create -fail-mode open", "'open' is none of secure, standalone"),
        ("interface i create -type gre", "is none of ethernet-dpdk-phy, ethernet-dpdk-vdev"),
        ('bridge "b create', "No closing quotation"),
        ("flow br0 del in_port=1", "`flow BRIDGE add MATCH... INSTRUCTION...` is understood"),
        ("flow br0 add in_port", "'in_port' is no match"),
        ("flow br0 add in_port=1 apply_actions=jump", "'jump' is no action; there are output"),
        ("flow br0 add in_port=1 apply_actions=output", "right is output:VALUE"),
        ("flow br0 add in_port=1 apply_actions=strip_vlan:1", "right is strip_vlan"),
        ("flow br0 add goto_table=x", "'x' is no number"),
    ],
)
def test_what_is_not_understood_is_named_by_its_line(line: str, reason: str) -> None:
    script = understand(f"port p0 create\n{line}\n")
    ((where, told),) = script.bad
    assert where == 2
    assert reason in told


def test_all_that_is_wrong_is_told_at_once() -> None:
    script = understand("lamp\nport p create\nport p create\nflow x\n")
    assert [bad.line for bad in script.bad] == [1, 3, 4]


def test_a_queue_without_a_number_and_an_auxiliary_alone_are_refused() -> None:
    lines = [
        "queue q create -id 1",
        "port p create -queue q",
        "channel c create -dst-addr 192.0.2.1",
        "controller a create -channel c -connection-type auxiliary",
        "bridge b create -controller a",
    ]
    assert [bad.line for bad in understand("\n".join(lines)).bad] == [1, 4]


def test_a_refused_path_has_the_line_that_set_it() -> None:
    script = understand(TEXT)
    for path, line in [
        ("/raicho/port[name='p1']/mtu", 5),
        ("/raicho/port[name='p1']/queue[id='1']/burst", 7),
        ("/raicho/port[name='p2']/worker", 10),
        ("/raicho/bridge[name='br0']/port[name='p2']/name", 12),
        ("/elsewhere", 1),
    ]:
        assert script.line_of(path) == line


WORDS = st.sampled_from(
    [*OBJECTS, *OBJECTS["bridge"], "create", "config", "enable", "x", "1", "flow", "add", "a=1"]
)


@given(st.lists(st.lists(WORDS, max_size=6).map(" ".join), max_size=6).map("\n".join))
def test_whatever_comes_in_is_understood_or_named(text: str) -> None:
    script = understand(text)
    assert all(1 <= bad.line <= text.count("\n") + 1 for bad in script.bad)
