"""Keys and values alone: lookups, inserts and changes a second, bytes an entry.

Each run is a process that draws keys from the seed, fills a store and looks up batches of 256 in it
(bench/kv.c). DPDK's rte_hash gets the same keys.
"""

import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from . import cores, goals
from .compiler import HERE, compiled, with_core, with_package
from .harness import Row, in_turn
from .needs import require
from .peers.hugepages import HugePages
from .tables import DPDK_PACKAGES, HUGE_PAGES

SIZES = (1_000, 100_000, 1_000_000)


class Found(NamedTuple):
    """What a run says: a second each, and the memory of an entry in bytes."""

    lookups: float
    inserts: float
    changes: float
    size: float


FIGURES = {  # field: unit, whether more is better
    "lookups": ("lookups/s", True),
    "inserts": ("inserts/s", True),
    "changes": ("changes/s", True),
    "size": ("bytes", False),
}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=0.5, help="of lookups (default 0.5)")
    parser.add_argument(
        "--entries", type=int, action="append", help="this many only; may be repeated"
    )
    more = "measure this too, run by run (needs root)"
    parser.add_argument("--peer", choices=["dpdk"], action="append", default=[], help=more)


def run(program: Path, entries: int, options: Namespace) -> Found:
    """Fill a store on the measured core and look up in it."""
    said = cores.run(program, entries, options.seed, options.seconds)
    return Found(*map(float, said.split()[-4:]))


def rows(options: Namespace) -> Iterator[Row]:
    """Measure the sizes one after the other, raicho's store before the peer's."""
    with ExitStack() as stack:
        stack.enter_context(cores.first())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rcb")))
        programs = [compiled("kv.c", folder, str(HERE / "kv_raicho.c"), *with_core())]
        if options.peer:
            require("dpdk", ["pkg-config"], DPDK_PACKAGES)
            flags = with_package("libdpdk", DPDK_PACKAGES)
            (folder / "dpdk").mkdir()
            programs.append(compiled("kv.c", folder / "dpdk", str(HERE / "kv_dpdk.c"), *flags))
            stack.callback(HugePages(HUGE_PAGES).close)
        for entries in options.entries or SIZES:
            yield from measure(programs, entries, options)


def measure(programs: list[Path], entries: int, options: Namespace) -> Iterator[Row]:
    """Make a row for each number of one size."""
    once = [partial(run, program, entries, options) for program in programs]
    if once[1:]:
        ((own, peer),) = in_turn(once[0], once[1:], options.runs, warm_up=0)
    else:
        own, peer = [once[0]() for _ in range(options.runs)], []
    for field, (unit, more_is_better) in FIGURES.items():
        name = f"{entries:,} entries: {field}"
        yield Row(
            *(name, unit, [getattr(found, field) for found in own]),
            peer="dpdk rte_hash" if peer else None,
            peer_runs=[getattr(found, field) for found in peer],
            goal=goals.KV.get(name),
            more_is_better=more_is_better,
        )
