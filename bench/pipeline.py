"""How many packets a second one worker carries, from receive to transmit, between memory ports.

Packets are divided by the CPU time of the thread that carries them, so that a busy machine changes
the figure less than wall time would. Everything that is compared takes turns with raicho on one
core, with the same rules and the same frames.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

from . import cores, goals
from .harness import Pairs, Row, alternate, sample, short
from .needs import require
from .opponents import ALWAYS, KINDS, NOTHING, PEERS, cold
from .peers.ovs_dpdk import CACHES
from .peers.processes import enter_own_network
from .rig import Rig
from .workload import WORKLOADS, Workload, make

UNIT = "packets/s"
CHILLED = "100k exact rules, 100k flows"  # measured again from the first packet on


class Turn(NamedTuple):
    """One way in which one opponent is measured."""

    opponent: str
    way: str
    rate: Callable[[float], float]
    faults: Mapping[str, str] = NOTHING  # of its opponent, as they come

    @property
    def name(self) -> str:
        return f"{self.opponent} {self.way}".strip()


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=0.5, help="of one run (default 0.5)")
    parser.add_argument(
        "--first", type=float, default=3.0, help="seconds that count as the first (default 3)"
    )
    parser.add_argument(
        "--workload", choices=WORKLOADS, action="append", help="only this one; may be repeated"
    )
    more = "measure this too, run by run (needs root); may be repeated"
    parser.add_argument("--peer", choices=PEERS, action="append", default=[], help=more)


def rows(options: Namespace) -> Iterator[Row]:
    """Measure the workloads one after the other."""
    for peer in options.peer:
        require(peer, KINDS[peer].programs, KINDS[peer].packages)
    if options.peer:
        enter_own_network()
    with cores.first():
        for name in options.workload or WORKLOADS:
            workload = make(name, options.seed)
            yield from measure(workload, options)
            if name == CHILLED and "ovs-dpdk" in options.peer:
                yield first_seconds(workload, options)


def measure(workload: Workload, options: Namespace) -> Iterator[Row]:
    """Let raicho and its opponents take turns on one workload; a row for each opponent."""
    core = cores.measured()
    with ExitStack() as stack:
        rig = stack.enter_context(Rig(workload, core))
        turns: list[Turn] = []
        for name in (*ALWAYS, *options.peer):
            if KINDS[name].takes(workload):
                opponent = stack.enter_context(KINDS[name].start(workload, core))
                turns += [
                    Turn(name, way, rate, opponent.faults) for way, rate in opponent.turns.items()
                ]
        own = partial(rig.rate, options.seconds)
        if turns:
            peers = [partial(turn.rate, options.seconds) for turn in turns]
            pairs = alternate(own, peers, options.runs)
        else:
            values = sample(own, options.runs)
        if lost := rig.lost():
            raise RuntimeError(f"{workload.name}: {lost} packets were dropped")
    if turns:
        yield from best_rows(workload.name, turns, pairs)
    else:
        yield Row(workload.name, UNIT, values)


def best_rows(name: str, turns: list[Turn], pairs: list[Pairs]) -> Iterator[Row]:
    """Make a row for each opponent of the way in which it was best."""
    for opponent in dict.fromkeys(turn.opponent for turn in turns):
        ways = [(t, p) for t, p in zip(turns, pairs, strict=True) if t.opponent == opponent]
        best, found = max(ways, key=lambda way: way[1].best)
        others = [f"{t.way} {short(p.best):,}" for t, p in ways if t is not best]
        goal = goals.PIPELINE.get(name, {}).get(opponent)
        faults = ", ".join(f"{t.way}: {t.faults[t.way]}" for t, _ in ways if t.way in t.faults)
        note = ", ".join(others) or None
        yield Row(
            *(name, UNIT, found.own, best.name, found.peer, goal), note=note, fault=faults or None
        )


def first_seconds(workload: Workload, options: Namespace) -> Row:
    """Start both anew for every run and count from the first packet on."""
    core = cores.measured()
    turns = [Turn("ovs-dpdk", way, partial(cold, workload, core, way)) for way in CACHES]

    def own() -> float:
        with Rig(workload, core) as rig:
            return rig.rate(options.first)

    peers = [partial(turn.rate, options.first) for turn in turns]
    pairs = alternate(own, peers, max(1, options.runs // 3), warm_up=0)
    (row,) = best_rows(goals.COLD, turns, pairs)
    return row
