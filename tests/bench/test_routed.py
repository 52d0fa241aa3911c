"""raicho and the kernel as routers on the same veth pairs: both route, both translate, in turn."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from system.natted import ASK, ECHO
from system.needs import needs

from bench import routed
from bench.compiler import compiled
from bench.wires import ROUTED, Wires

Measure = Callable[..., list[dict[str, Any]]]
pytestmark = needs("ethtool", "iperf3", "taskset", "nft")
HOST, ROUTER = ROUTED.addresses["left"], ROUTED.routers["right"]
SEEN = {"route": HOST, "nat": ROUTER}  # by the right host, as the address of the left one
KIND = routed.KINDS["veth, af_packet"]


@pytest.fixture
def wires() -> Iterator[Wires]:
    with tempfile.TemporaryDirectory(prefix="rcb") as folder:
        traffic = compiled("traffic.c", Path(folder))
        with closing(Wires(traffic, KIND.offloads, ROUTED)) as made:
            yield made


@pytest.mark.parametrize(
    ("words", "peer"),
    [
        (("route", "--case", "veth, af_packet"), "kernel"),
        (("nat", "--kind", "veth, af_xdp"), "nftables"),
    ],
)
def test_rows_for_each_figure_and_way_of_the_kernel(
    measure: Measure, words: tuple[str, ...], peer: str
) -> None:
    found = measure(*words)
    figures = [[figure.what for figure in each.figures] for each in routed.MEASURES]
    assert [(row["name"], row["peer"]) for row in found] == [
        (f"{words[-1]}: {what}", beside)
        for group in figures
        for beside in (peer, f"{peer}, steered")
        for what in group
    ]
    assert all(row["value"] > 0 and row["peer_value"] > 0 for row in found)


@pytest.mark.parametrize("way", SEEN)
def test_both_translate_where_they_are_to_and_nowhere_else(wires: Wires, way: str) -> None:
    right = ROUTED.addresses["right"]
    wires.processes.start(wires.command("right", sys.executable, "-c", ECHO, right), {})
    wires.processes.wait(lambda: "listening" in wires.processes.log.read_text(), "a server")
    rules = routed.PEERS[way].rules
    routers: tuple[routed.Router, ...] = (
        partial(routed.raicho, way=way, kind=KIND, mode="adaptive"),
        partial(routed.kernel, rules=rules, steered=False),
        partial(routed.kernel, rules=rules, steered=True),
    )
    for router in routers:
        with router(wires):
            said = wires.run("left", sys.executable, "-c", ASK, right, "1")
        assert said.split() == [SEEN[way], "1"]
