"""Tables alone: nanoseconds a lookup, inserts a second, the worst insert, bytes a rule.

Each run is a process that draws rules and packets from the seed, fills a table and looks up batches
of 256 in it (bench/tables.c). What raicho's table is made of it says itself. DPDK's rte_hash and
rte_fib get the same rules and packets; they have no priorities and no wildcards, and the rows that
need those have no peer.
"""

import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from . import cores
from .compiler import HERE, compiled, with_core, with_package
from .harness import Row, in_turn
from .needs import require
from .peers.hugepages import HugePages

DPDK_PACKAGES = ("libdpdk-dev", "pkg-config")
HUGE_PAGES = 1024  # of 2 MiB, while DPDK fills its tables
FEW = 1_000  # rules, under which filling a table is too short to be timed


class Case(NamedTuple):
    """Rules of a shape that bench/tables.c knows, and how many masks they have."""

    shape: str
    rules: int
    masks: int = 1

    @property
    def name(self) -> str:
        masks = f"rules in {self.masks} mask{'s' * (self.masks > 1)}"
        what = masks if self.shape == "masks" else self.shape
        return f"{self.rules:,} {what}"


class Found(NamedTuple):
    """What a run says."""

    implementation: str
    rules: float
    lookup: float
    inserts: float
    worst: float
    size: float


class Figure(NamedTuple):
    """One of the numbers of a run, and what it is called."""

    field: str
    what: str
    unit: str
    more_is_better: bool = False


CASES = {
    case.name: case
    for case in (
        *(Case("exact", size) for size in (3, 8, 100, 1_000, 10_000, 100_000, 1_000_000)),
        *(Case("prefix", size) for size in (1_000, 10_000, 100_000, 1_000_000)),
        *(Case("masks", 10_000, masks) for masks in (1, 5, 20, 49, 64, 200)),
        *(Case("masks", size, 49) for size in (1_000, 100_000)),
    )
}
LOOKUP = Figure("lookup", "lookup", "ns")
FILLING = (
    Figure("inserts", "inserts", "inserts/s", more_is_better=True),
    Figure("worst", "worst insert", "ns"),
    Figure("size", "memory of a rule", "bytes"),
)
TAKES = {"dpdk": ("exact", "prefix")}  # which shapes a peer has a table for


class Filler(NamedTuple):
    """A program that measures one table."""

    program: Path

    def run(self, case: Case, options: Namespace) -> Found:
        """Fill a table and look up in it, on the measured core."""
        arguments = (case.shape, case.rules, case.masks, options.seed, options.seconds)
        name, *numbers = cores.run(self.program, *arguments).split()[-6:]
        return Found(name, *map(float, numbers))


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=0.3, help="of one run (default 0.3)")
    parser.add_argument(
        "--case", choices=CASES, action="append", help="only this one; may be repeated"
    )
    more = "measure this too, run by run (needs root); may be repeated"
    parser.add_argument("--peer", choices=TAKES, action="append", default=[], help=more)


def rows(options: Namespace) -> Iterator[Row]:
    """Fill the tables, one case after the other, raicho's before each of a peer."""
    with ExitStack() as stack:
        stack.enter_context(cores.first())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rcb")))
        raicho = filler(folder, "raicho", with_core())
        peers = {}
        if "dpdk" in options.peer:
            require("dpdk", ["pkg-config"], DPDK_PACKAGES)
            peers["dpdk"] = filler(folder, "dpdk", with_package("libdpdk", DPDK_PACKAGES))
            stack.callback(HugePages(HUGE_PAGES).close)
        for case in map(CASES.__getitem__, options.case or CASES):
            beside = {name: peer for name, peer in peers.items() if case.shape in TAKES[name]}
            yield from measure(case, raicho, beside, options)


def filler(folder: Path, whose: str, flags: Sequence[str]) -> Filler:
    """Compile the program with the tables of somebody."""
    own = folder / whose
    own.mkdir()
    return Filler(compiled("tables.c", own, str(HERE / f"tables_{whose}.c"), *flags))


def measure(
    case: Case, raicho: Filler, peers: dict[str, Filler], options: Namespace
) -> Iterator[Row]:
    """Let raicho and the peers fill their tables in turn; a row for each number and peer."""
    figures = [LOOKUP, *(FILLING if case.rules >= FEW else ())]
    if not peers:
        own = [raicho.run(case, options) for _ in range(options.runs)]
        yield from rows_of(case, figures, own, None, [])
        return
    once = [partial(filler.run, case, options) for filler in (raicho, *peers.values())]
    found = in_turn(once[0], once[1:], options.runs, warm_up=0)
    for name, (own, peer) in zip(peers, found, strict=True):
        yield from rows_of(case, figures, own, name, peer)


def rows_of(
    case: Case,
    figures: Sequence[Figure],
    own: Sequence[Found],
    name: str | None,
    peer: Sequence[Found],
) -> Iterator[Row]:
    """Make the rows of one case beside one peer, or none."""
    for figure in figures:
        yield Row(
            f"{case.name}: {figure.what}",
            figure.unit,
            [getattr(found, figure.field) for found in own],
            peer=f"{name} {peer[0].implementation}" if peer else None,
            peer_runs=[getattr(found, figure.field) for found in peer],
            more_is_better=figure.more_is_better,
            note=own[0].implementation,
        )
