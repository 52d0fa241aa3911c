"""The benchmark of tables alone: each of its cases fills a table and finds every packet in it."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from system.needs import missing

from bench import compiler, tables

Measure = Callable[..., list[dict[str, Any]]]
SMALL = [name for name, case in tables.CASES.items() if case.rules <= 10_000]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rcb") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def raicho(folder: Path) -> tables.Filler:
    return tables.filler(folder, "raicho", compiler.with_core())


def options(seconds: float = 0.01, runs: int = 1, seed: int = 1) -> Any:
    return tables.Namespace(seconds=seconds, runs=runs, seed=seed)


@pytest.mark.parametrize("name", SMALL)
def test_every_case_fills_a_table_and_every_packet_meets_a_rule(
    raicho: tables.Filler, name: str
) -> None:
    case = tables.CASES[name]
    found = raicho.run(case, options())
    assert 0.5 * case.rules < found.rules <= case.rules
    assert min(found.lookup, found.inserts, found.worst) > 0
    assert found.size >= 64


@pytest.mark.parametrize(
    ("name", "implementation"),
    [("3 exact", "few"), ("10,000 exact", "tuple"), ("10,000 prefix", "prefix")],
)
def test_the_table_says_what_it_is_made_of(
    raicho: tables.Filler, name: str, implementation: str
) -> None:
    assert raicho.run(tables.CASES[name], options()).implementation == implementation


def test_a_shape_that_is_not_there_is_refused(raicho: tables.Filler) -> None:
    with pytest.raises(RuntimeError, match="no rules of shape round"):
        raicho.run(tables.Case("round", 10), options())


def test_another_seed_draws_other_rules(raicho: tables.Filler) -> None:
    case = tables.Case("prefix", 5_000)
    first, again, other = (raicho.run(case, options(seed=seed)).rules for seed in (1, 1, 2))
    assert first == again != other


def test_a_row_for_each_number_with_the_implementation_beside_it(measure: Measure) -> None:
    found = measure("tables", "--seconds", "0.02", "--case", "1,000 exact")
    assert [row["unit"] for row in found] == ["ns", "inserts/s", "ns", "bytes"]
    assert {row["note"] for row in found} == {"tuple"}
    assert all("peer" not in row for row in found)


@pytest.mark.soak  # DPDK is not among the packages of every test run
def test_the_tables_of_dpdk_get_the_same_rules(measure: Measure) -> None:
    if reason := missing("dpdk-testpmd", "pkg-config"):
        pytest.skip(reason)
    shapes = ("1,000 exact", "1,000 prefix", "10,000 rules in 5 masks")
    found = measure(
        "tables",
        "--seconds",
        "0.02",
        "--peer",
        "dpdk",
        *(word for name in shapes for word in ("--case", name)),
    )
    peers = [row.get("peer") for row in found if row["name"].endswith("lookup")]
    assert peers == ["dpdk rte_hash", "dpdk rte_fib", None]
    assert all(row["peer_value"] > 0 for row in found if "peer" in row)
