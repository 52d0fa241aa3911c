"""The benchmark of routes: each of its cases fills a table and finds every address in it."""

import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from system.needs import missing

from bench import compiler, forwarding, route

Measure = Callable[..., list[dict[str, Any]]]
SMALL = (route.Case(4, 1_000), route.Case(4, 20_000), route.Case(6, 5_000))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rcb") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def raicho(folder: Path) -> route.Table:
    return route.table(folder, "raicho", compiler.with_core())


def options(seconds: float = 0.01, runs: int = 1, seed: int = 1) -> Namespace:
    return Namespace(seconds=seconds, runs=runs, seed=seed)


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_every_address_meets_a_prefix_and_every_change_is_seen(
    raicho: route.Table, case: route.Case
) -> None:
    found = raicho.run(case, options())
    assert found.implementation == "fib"
    assert min(found.lookup, found.puts, found.change, found.size) > 0
    assert found.worst >= found.change


def test_the_floor_takes_the_same_prefixes(folder: Path) -> None:
    floor = route.table(folder, "floor", ())
    assert floor.run(SMALL[1], options()).lookup > 0
    with pytest.raises(RuntimeError, match="no table"):
        floor.run(SMALL[2], options())


@pytest.mark.parametrize("family", [4, 6])
def test_a_router_forwards_every_packet(raicho: route.Table, family: int) -> None:
    routes = forwarding.draw(raicho.program, family, 1_000, seed=1)
    with forwarding.RouterRig(routes) as rig:
        assert rig.rate(0.05) > 0
        assert rig.lost() == 0


def test_the_floor_forwards_every_packet(raicho: route.Table) -> None:
    routes = forwarding.draw(raicho.program, 4, 1_000, seed=1)
    with forwarding.RouteFloor(routes) as floor:
        assert floor.rate(0.05) > 0


def test_rows_with_their_goals_and_what_is_beside_them(measure: Measure) -> None:
    found = measure("route", "--seconds", "0.02", "--case", "1,000 IPv4")
    assert {row["unit"]: row.get("peer") for row in found if row["unit"] != "ns"} == {
        "puts/s": None,
        "bytes": "floor DIR-24-8",
    }
    assert {row["name"] for row in found if row.get("peer") and row["unit"] == "ns"} == {
        "1,000 IPv4: lookup"
    }
    assert {row["name"] for row in found if "goal" in row} == {
        "1,000 IPv4: puts",
        "1,000 IPv4: worst change",
    }


@pytest.mark.soak  # DPDK is not among the packages of every test run
def test_the_tables_of_dpdk_get_the_same_prefixes(measure: Measure) -> None:
    if reason := missing("dpdk-testpmd", "pkg-config"):
        pytest.skip(reason)
    cases = ("--case", "1,000 IPv4", "--case", "200,000 IPv6")
    found = measure("route", "--seconds", "0.02", "--peer", "dpdk", *cases)
    peers = [row.get("peer") for row in found if row["name"].endswith("lookup")]
    assert peers == ["floor DIR-24-8", "dpdk rte_fib", "dpdk rte_fib6"]
