"""All benchmarks in one go, and what they say written into docs/performance.md, with plots.

Figures stand between two marks for each benchmark; the report replaces what is between those of the
ones that ran, and keeps every other word of the page. A benchmark that fails leaves its figures as
they were, and the report says so at its end.
"""

import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from . import machine, page, plot
from .harness import Row
from .registry import BENCHMARKS, load

ROOT = Path(__file__).parents[1]
PAGE = "performance.md"


class Chapter(NamedTuple):
    """How a benchmark is called for the report, and how when only the report is tried."""

    arguments: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()


ONE_FLOW = ("--workload", "1 rule, 1 flow", "--seconds", "0.05")
CHAPTERS = {  # those that are called with any arguments
    "pipeline": Chapter(("--peer", "ovs-dpdk"), ONE_FLOW),
    "templates": Chapter((), ("--seconds", "0.02")),
    "workers": Chapter((), ONE_FLOW),
    "tables": Chapter(("--peer", "dpdk"), ("--case", "1,000 exact", "--seconds", "0.02")),
    "kv": Chapter(("--peer", "dpdk"), ("--entries", "1000", "--seconds", "0.02")),
    "route": Chapter(
        ("--peer", "dpdk", "--peer", "kernel"), ("--case", "1,000 IPv4", "--seconds", "0.02")
    ),
    "nat": Chapter(("--peer", "kernel"), ("--sessions", "1000", "--seconds", "0.02")),
    "ports": Chapter(
        ("--peer", "ovs", "--peer", "testpmd", "--peer", "bridge", "--pings", "2000"),
        ("--kind", "af_packet", "--measure", "rate", "--seconds", "0.1"),
    ),
    "control": Chapter(("--peer", "ovs"), ("--scale", "0.005")),
    "bus": Chapter((), ("--seconds", "0.1")),
    "restart": Chapter((), ("--flows", "1")),
    "datastore": Chapter((), ("--rows", "1000", "--times", "20")),
    "running": Chapter((), ("--flows", "1000", "--times", "5", "--seconds", "0.1", "--turns", "1")),
    "resync": Chapter(("--peer", "zebra"), ("--routes", "1000")),
}
ALL = tuple(name for name in BENCHMARKS if name != "report")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--only", choices=ALL, action="append", help="only this benchmark; may be repeated"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small and without peers: it tries the report itself"
    )
    parser.add_argument(
        "--folder", type=Path, help="where the page is (default docs, with --quick build/report)"
    )


def rows(options: Namespace) -> Iterator[Row]:
    """Run the benchmarks, tell how far they are on standard error, and write the page."""
    folder = options.folder or ROOT / ("build/report" if options.quick else "docs")
    failed: dict[str, str] = {}
    facts = {**machine.facts(), **machine.versions()}
    for name in options.only or ALL:
        begin = time.monotonic()
        _tell(f"{name} ...")
        found: list[Row] = []
        try:
            for row in measured(name, options):
                found.append(row)
                yield row
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            failed[name] = str(error)
            _tell(f"{name} failed: {error}")
            continue
        spent = time.monotonic() - begin
        run = page.Run(name, found, facts, options.runs, options.seed, spent)
        write(folder, run)
        _tell(f"{name}: {len(found)} rows in {spent:.0f} s, written to {folder / PAGE}")
    if failed:
        raise RuntimeError(f"no figures of {', '.join(failed)}: {'; '.join(failed.values())}")


def measured(name: str, options: Namespace) -> Iterator[Row]:
    """Run one benchmark as its own command would."""
    module = load(name)
    parser = ArgumentParser()
    module.add_arguments(parser)
    chapter = CHAPTERS.get(name, Chapter())
    chosen = parser.parse_args(chapter.quick if options.quick else chapter.arguments)
    chosen.runs, chosen.seed = options.runs, options.seed
    yield from module.rows(chosen)


def write(folder: Path, run: page.Run) -> None:
    """Put the figures of one benchmark on the page, and its plot beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    file, picture = folder / PAGE, folder / "figures" / f"{run.name}.svg"
    drawn = plot.ratios(run.rows)
    if drawn:
        picture.parent.mkdir(exist_ok=True)
        picture.write_text(drawn)
    text = file.read_text() if file.exists() else "# Performance\n"
    file.write_text(page.replaced(text, run, picture.relative_to(folder) if drawn else None))


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
