"""Patch ports join bridges."""

from typing import Any

import pytest

from raicho.dataplane.config import BadConfig, read

from .conftest import FRAME

A = {"kind": "patch", "device": "b"}
B = {"kind": "patch", "device": "a"}
PAIR = {"a": A, "b": B}
ENDS = {"p1": "memory", "p2": "memory"}


def join(rig: Any, **workers: int) -> None:
    """Lead from p1 in br0 to p2 in br1, and back."""
    ports = {name: {**row, "worker": workers.get(name, 0)} for name, row in PAIR.items()}
    ids = tuple({"id": worker} for worker in set(workers.values()))
    rig.configure(ENDS | ports, workers=ids, br0={"p1": 1, "a": 2}, br1={"b": 1, "p2": 2})
    for bridge in ("br0", "br1"):
        rig.flow(2, bridge=bridge, in_port=1)
        rig.flow(1, bridge=bridge, in_port=2)


@pytest.mark.parametrize("workers", [{}, {"b": 4}, {"a": 4}, {"a": 4, "b": 5}], ids=str)
def test_packets_pass_from_bridge_to_bridge(rig: Any, workers: dict[str, int]) -> None:
    join(rig, **workers)
    for here, there, out, back in (("p1", "p2", "a", "b"), ("p2", "p1", "b", "a")):
        rig.put(here)
        rig.turn()
        rig.turn()
        assert rig.take(there) == [FRAME]
        counted = rig.port(out).counters(), rig.port(back).counters()
        assert counted[0]["tx_packets"] == counted[1]["rx_packets"] == 1
    totals = rig.totals()
    assert totals["received"] == totals["sent"] == 4
    assert totals["dropped"] == 0


def test_a_packet_that_two_bridges_flood_to_each_other_comes_to_an_end(rig: Any) -> None:
    """Two cables make a circle."""
    more = {"c": {"kind": "patch", "device": "d"}, "d": {"kind": "patch", "device": "c"}}
    standalone = {"fail-mode": "standalone"}
    br0 = {"p1": 1, "a": 2, "c": 3} | standalone
    rig.configure(ENDS | PAIR | more, br0=br0, br1={"p2": 1, "b": 2, "d": 3} | standalone)
    rig.put("p1")
    for _ in range(10):
        rig.turn()
    before = rig.totals()
    rig.turn()
    assert rig.totals() == before
    counted = [rig.port(name).counters() for name in "abcd"]
    assert sum(each["tx_packets"] for each in counted) == 2 * 16
    assert sum(each["rx_packets"] for each in counted) == 2 * 16
    assert sum(each["tx_dropped"] for each in counted) == 2
    assert before["dropped"] == 2
    assert set(rig.take("p2")) == {FRAME}


def test_the_link_of_both_ends_goes_with_either(rig: Any) -> None:
    join(rig)
    assert rig.port("a").link().up
    bridges = {"br0": {"p1": 1, "a": 2}, "br1": {"b": 1, "p2": 2}}
    rig.configure(ENDS | {"a": A, "b": B | {"enabled": False}}, **bridges)
    assert not rig.port("a").link().up
    assert {change.port for change in rig.switch.look_at_virtual_links()} >= {"a"}
    rig.put("p1")
    rig.turn()
    assert rig.take("p2") == []
    rig.configure(ENDS | PAIR, **bridges)
    rig.switch.look_at_virtual_links()
    rig.put("p1")
    rig.turn()
    assert rig.take("p2") == [FRAME]


WRONG = {
    "no such port": ({"a": A}, "there is no port b to be the peer of a"),
    "itself": ({"a": A | {"device": "a"}}, "port a cannot be its own peer"),
    "another kind": ({"a": A, "b": "memory"}, "port b is of kind memory, a peer is of kind patch"),
    "another's peer": (
        {"a": A, "b": B | {"device": "c"}, "c": {"kind": "patch", "device": "b"}},
        "the peer of port b is c, not a",
    ),
}


@pytest.mark.parametrize(("ports", "reason"), WRONG.values(), ids=WRONG)
def test_a_peer_must_be_a_patch_port_that_names_this_one(
    make_tree: Any, ports: dict[str, Any], reason: str
) -> None:
    with pytest.raises(BadConfig) as refused:
        read(make_tree(ports))
    assert str(refused.value) == f"/raicho/port[name='a']/device: {reason}"


def test_ports_that_are_no_patches_are_not_joined(rig: Any) -> None:
    join(rig)
    with pytest.raises(ValueError, match="not both of kind patch"):
        rig.port("a").join(rig.port("p1"))
    with pytest.raises(OSError, match="another peer"):
        rig.port("a").join(rig.port("b"))
