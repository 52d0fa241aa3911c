"""Routes: a lookup, puts a second, a single change, bytes a prefix; and a router that forwards.

Each run of a table is a process that draws prefixes as the internet has them from the seed, fills
a table, and looks up batches of 256 addresses of these prefixes (bench/route.c): raicho's RIB with
the FIB that follows it, then the plainest table in C for IPv4 (the floor), then DPDK's rte_fib and
rte_fib6 if they are wanted, all with the same prefixes and addresses.

Forwarding is one worker between memory ports with a full table, beside the floor: packets that are
copied, checked, looked up by DIR-24-8 and rewritten. IPv6 is beside the floor with IPv4.

With `--peer kernel`, raicho routes between two hosts on veth pairs, in turn with the kernel
(bench/routed.py).
"""

import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from . import cores, goals, routed
from .compiler import HERE, compiled, with_core, with_package
from .forwarding import RouteFloor, RouterRig, draw
from .harness import Row, alternate, in_turn
from .needs import require
from .peers.hugepages import HugePages
from .tables import DPDK_PACKAGES, HUGE_PAGES

FLOOR = "floor"


class Case(NamedTuple):
    """So many prefixes of a family."""

    family: int
    prefixes: int

    @property
    def name(self) -> str:
        return f"{self.prefixes:,} IPv{self.family}"


class Found(NamedTuple):
    """What a run says; times are nanoseconds."""

    implementation: str
    lookup: float
    puts: float
    change: float
    worst: float
    size: float


class Figure(NamedTuple):
    """One of the numbers of a run, and what it is called."""

    field: str
    what: str
    unit: str
    more_is_better: bool = False


CASES = {case.name: case for case in (Case(4, 1_000), Case(4, 1_000_000), Case(6, 200_000))}
FORWARDING = {
    "forwarding IPv4": CASES["1,000,000 IPv4"],
    "forwarding IPv6": CASES["200,000 IPv6"],
}
FIGURES = (
    Figure("lookup", "lookup", "ns"),
    Figure("puts", "puts", "puts/s", more_is_better=True),
    Figure("change", "change until it is seen", "ns"),
    Figure("worst", "worst change", "ns"),
    Figure("size", "memory of a prefix", "bytes"),
)
FLOOR_FIGURES = ("lookup", "size")  # it takes nothing out: its changes say nothing


class Table(NamedTuple):
    """A program that measures somebody's table."""

    program: Path

    def run(self, case: Case, options: Namespace) -> Found:
        """Fill a table and look up in it, on the measured core."""
        arguments = (case.family, case.prefixes, options.seed, options.seconds)
        name, *numbers = cores.run(self.program, *arguments).split()[-6:]
        return Found(name, *map(float, numbers))


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=0.3, help="of one run (default 0.3)")
    parser.add_argument(
        "--case",
        choices=(*CASES, *FORWARDING, *routed.KINDS),
        action="append",
        help="only this one; may be repeated",
    )
    more = "measure this too, run by run (needs root); may be repeated"
    parser.add_argument(
        "--peer", choices=("dpdk", "kernel"), action="append", default=[], help=more
    )


def rows(options: Namespace) -> Iterator[Row]:
    """Fill the tables, one case after the other, raicho's before each of a peer."""
    with ExitStack() as stack:
        stack.enter_context(cores.first())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rcb")))
        raicho = table(folder, "raicho", with_core())
        peers = {FLOOR: table(folder, FLOOR, ())}
        if "dpdk" in options.peer:
            require("dpdk", ["pkg-config"], DPDK_PACKAGES)
            peers["dpdk"] = table(folder, "dpdk", with_package("libdpdk", DPDK_PACKAGES))
            stack.callback(HugePages(HUGE_PAGES).close)
        between_hosts = routed.KINDS if "kernel" in options.peer else ()
        for name in options.case or (*CASES, *FORWARDING, *between_hosts):
            if name in routed.KINDS:
                yield from routed.rows("route", name, options)
                continue
            if name in FORWARDING:
                yield forward(name, raicho, options)
                continue
            case = CASES[name]
            beside = {
                whose: peer for whose, peer in peers.items() if case.family == 4 or whose != FLOOR
            }
            yield from measure(case, raicho, beside, options)


def table(folder: Path, whose: str, flags: Sequence[str]) -> Table:
    """Compile the program with the table of somebody."""
    own = folder / whose
    own.mkdir()
    return Table(compiled("route.c", own, str(HERE / f"route_{whose}.c"), *flags))


def measure(
    case: Case, raicho: Table, peers: dict[str, Table], options: Namespace
) -> Iterator[Row]:
    """Let raicho and the peers fill their tables in turn; a row for each number and peer."""
    once = [partial(table.run, case, options) for table in (raicho, *peers.values())]
    found = in_turn(once[0], once[1:], options.runs, warm_up=0)
    left = dict.fromkeys(FIGURES)
    for name, (own, peer) in zip(peers, found, strict=True):
        for figure in FIGURES:
            if name != FLOOR or figure.field in FLOOR_FIGURES:
                left.pop(figure, None)
                yield row_of(case, figure, own, f"{name} {peer[0].implementation}", peer)
    own = found[0][0] if found else [once[0]() for _ in range(options.runs)]
    for figure in left:
        yield row_of(case, figure, own, None, [])


def row_of(
    case: Case, figure: Figure, own: Sequence[Found], name: str | None, peer: Sequence[Found]
) -> Row:
    """Make the row of a figure beside a peer, or none."""
    return Row(
        f"{case.name}: {figure.what}",
        figure.unit,
        [getattr(found, figure.field) for found in own],
        peer=name,
        peer_runs=[getattr(found, figure.field) for found in peer],
        goal=goals.ROUTE.get(figure.field),
        more_is_better=figure.more_is_better,
        note=own[0].implementation,
    )


def forward(name: str, raicho: Table, options: Namespace) -> Row:
    """Let a router and the floor forward in turn."""
    ipv4, own = FORWARDING["forwarding IPv4"], FORWARDING[name]
    floor_routes = draw(raicho.program, ipv4.family, ipv4.prefixes, options.seed)
    routes = draw(raicho.program, own.family, own.prefixes, options.seed)
    core = cores.measured()
    with RouteFloor(floor_routes, core) as floor, RouterRig(routes, core) as rig:
        once = partial(rig.rate, options.seconds), [partial(floor.rate, options.seconds)]
        (pairs,) = alternate(*once, options.runs)
        if lost := rig.lost():
            raise RuntimeError(f"{name}: {lost} packets were dropped")
    peer = f"{FLOOR} IPv4"
    return Row(
        f"{own.name}: forwarding", "packets/s", pairs.own, peer, pairs.peer, goals.ROUTE[name]
    )
