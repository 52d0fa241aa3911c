"""The benchmark of ports: frames, streams and round trips go through each that can be here."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from system.needs import missing, needs

from bench import goals, ports
from bench.compiler import compiled, with_core

Measure = Callable[..., list[dict[str, Any]]]
pytestmark = needs("ethtool", "iperf3", "taskset")
ROUND_TRIPS = ("round trip", "round trip of 99 in 100")
SHORT = ("--seconds", "0.1", "--pings", "50")


@pytest.fixture(scope="module")
def programs() -> Iterator[ports.Programs]:
    with tempfile.TemporaryDirectory(prefix="rcb") as name:
        folder = Path(name)
        yield ports.Programs(
            compiled("traffic.c", folder), compiled("bare.c", folder, *with_core())
        )


@pytest.mark.parametrize("kind", ports.KINDS)
def test_raicho_and_the_bare_loop_carry_all_there_is(measure: Measure, kind: str) -> None:
    found = measure("ports", *SHORT, "--kind", kind)
    assert [row["name"].removeprefix(f"{kind}, ") for row in found] == [
        *("64 bytes", "64 bytes by CPU time", "TCP"),
        *(f"{what}, {mode}" for mode in ports.MODES for what in ROUND_TRIPS),
    ]
    assert all(row["value"] > 0 and row["peer_value"] > 0 for row in found)
    assert found[0]["goal"] == "0.9x"


def test_the_kernel_bridge_is_beside_raicho_for_tcp(measure: Measure) -> None:
    words = ("--kind", "af_packet", "--measure", "tcp", "--peer", "bridge")
    found = measure("ports", *SHORT, *words)
    assert [(row["peer"], row.get("goal")) for row in found] == [("bare", None), ("bridge", "0.9x")]


def test_hosts_that_nothing_joins_do_not_hear_each_other(programs: ports.Programs) -> None:
    wires = ports.carriers.Wires(programs.traffic, offloads=True)
    try:
        with pytest.raises(RuntimeError, match="did not come back"):
            wires.round_trip(5)
    finally:
        wires.close()


def test_every_goal_is_of_a_row_that_there_is() -> None:
    assert set(goals.KINDS) == set(ports.KINDS)
    assert {name.partition(",")[0] for name in goals.PORTS} == set(ports.KINDS)
    beside = {name for kind in ports.KINDS.values() for name in kind.beside}
    named = {peer for goal in goals.PORTS.values() for peer in goal}
    assert named <= {*beside, goals.ALL_PEERS}


@pytest.mark.soak  # Open vSwitch and DPDK are not among the packages of every test run
@pytest.mark.parametrize("kind", ports.KINDS)
def test_every_peer_carries_what_raicho_does(measure: Measure, kind: str) -> None:
    if reason := missing("ovs-vswitchd", "dpdk-testpmd"):
        pytest.skip(reason)
    peers = [word for peer in ports.PEERS for word in ("--peer", peer)]
    found = measure("ports", *SHORT, "--kind", kind, *peers)
    assert all(row["peer_value"] > 0 for row in found)
    assert {row["peer"] for row in found} == {*ports.KINDS[kind].beside, goals.ALL_PEERS}
