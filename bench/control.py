"""How fast a controller is served: flow-mods, a dump, packets to and fro, memory of flows.

The controller is at the other end of a TCP connection on loopback. It writes bytes that were made
before and looks at no more than the headers of what comes back, so that the switch is what takes
the time. With --peer, the peer does the same work in alternation with raicho, run by run.
"""

import struct
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import numpy as np

from . import openflow as of
from .controller import Controller
from .harness import Goal, Row
from .peers import Peer
from .peers.ovs import OpenVswitch
from .peers.processes import enter_own_network
from .peers.raicho import Raicho
from .standing import Standing
from .workload import FRAME_SIZE, exact_rules, random_flows

PEERS: dict[str, type[Peer]] = {"ovs": OpenVswitch}
STEP = 100  # flow-mods before a barrier
DELETE = 3
ALL_TABLES, TO_CONTROLLER = 0xFF, 0xFFFFFFFD
OFPP_TABLE, PACKET_OUT = 0xFFFFFFF9, 13


class Site(Standing):
    """A switch, and a controller that it has connected to."""

    def __init__(self, kind: type[Peer]) -> None:
        super().__init__()
        self.controller = self._closing.enter_context(Controller())
        self.switch = kind()
        self._closing.callback(self.switch.close)

    def _set_up(self) -> None:
        self.switch.start(self.controller.port)
        self.controller.accept()

    def empty(self) -> None:
        """Take all flows out."""
        self.controller.write(of.flow_mod({}, table=ALL_TABLES, command=DELETE))


def rules(count: int, seed: int) -> bytes:
    """Write one flow-mod for each of so many flows, by their five addresses."""
    return exact_rules(random_flows(np.random.default_rng(seed), count))


def in_steps(messages: bytes, count: int) -> list[bytes]:
    """Cut flow-mods of one size into steps."""
    size = STEP * (len(messages) // count)
    return [messages[at : at + size] for at in range(0, len(messages), size)]


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def flow_mods(site: Site, seed: int, *, count: int) -> float:
    """Pipeline flow-mods with one barrier behind them; return how many a second."""
    messages = rules(count, seed)
    seconds = timed(lambda: site.controller.write(messages))
    site.empty()
    return count / seconds


def flow_mods_in_steps(site: Site, seed: int, *, count: int) -> float:
    """The same with a barrier behind every step, all of it pipelined."""
    steps = in_steps(rules(count, seed), count)
    seconds = timed(lambda: site.controller.write_in_steps(steps))
    site.empty()
    return count / seconds


def dump(site: Site, seed: int, *, count: int) -> float:
    """Return the milliseconds until the statistics of so many flows are here."""
    messages = rules(count, seed)
    site.controller.write(messages)
    came = 0

    def ask() -> None:
        nonlocal came
        came = site.controller.dump()

    seconds = timed(ask)
    site.empty()
    entry = len(messages) // count  # struct ofp_flow_stats is as long as a flow-mod
    if came != entry * count:
        raise RuntimeError(f"{came} bytes of statistics instead of {entry} for each flow")
    return seconds * 1e3


def packets(site: Site, seed: int, *, window: int, count: int) -> float:
    """Return how many packets a second go to the tables and come back from the miss entry."""
    to_controller = of.apply(of.output(TO_CONTROLLER))
    site.controller.write(of.flow_mod({}, to_controller))
    seconds = timed(lambda: site.controller.echo(packet_out(), window, count))
    site.empty()
    return count / seconds


def packet_out() -> bytes:
    """A packet of the controller that goes through the tables."""
    actions = of.output(OFPP_TABLE)
    fixed = struct.pack("!IIH6x", of.NO_BUFFER, TO_CONTROLLER, len(actions))
    frame = bytes.fromhex("020000000002 020000000001 88b5") + bytes(FRAME_SIZE - 14)
    body = fixed + actions + frame
    return struct.pack("!BBHI", of.VERSION, PACKET_OUT, 8 + len(body), 0) + body


def memory(site: Site, seed: int, *, count: int) -> float:
    """Return the bytes that each of so many flows takes of the process."""
    messages = rules(count, seed)
    before = site.switch.resident()
    site.controller.write(messages)
    grown = site.switch.resident() - before
    site.empty()
    return grown / count


class Line(NamedTuple):
    """One number: how it is measured, and whether that takes a switch of its own."""

    name: str
    unit: str
    measure: Callable[[Site, int], float]
    more_is_better: bool = True
    fresh: bool = False


def lines(scale: float) -> Iterator[Line]:
    """List what is measured; 'scale' makes all of it smaller, to try it out."""

    def scaled(count: int) -> int:
        return max(STEP, round(count * scale))

    for count, name in ((10_000, "10k"), (100_000, "100k")):
        for work, how in ((flow_mods, "1 barrier"), (flow_mods_in_steps, f"1 every {STEP}")):
            measure = partial(work, count=scaled(count))
            yield Line(f"{name} flow-mods, {how}", "flow-mods/s", measure)
    yield Line("dump of 100k flows", "ms", partial(dump, count=scaled(100_000)), False)
    for window in (1, 32):
        measure = partial(packets, window=window, count=scaled(20_000))
        yield Line(f"packet-out to packet-in, window {window}", "trips/s", measure)
    measure = partial(memory, count=scaled(1_000_000))
    yield Line("memory per flow at 1M", "bytes", measure, more_is_better=False, fresh=True)


def measure_fresh(
    line: Line, kinds: Sequence[type[Peer]], runs: int, seed: int
) -> list[list[float]]:
    """Start every switch anew for each run."""
    values: list[list[float]] = [[] for _ in kinds]
    for _ in range(runs):
        for kind, found in zip(kinds, values, strict=True):
            with Site(kind) as site:
                found.append(line.measure(site, seed))
    return values


def measure_in_turn(line: Line, sites: Sequence[Site], runs: int, seed: int) -> list[list[float]]:
    """Let the switches take turns; the first turn does not count."""
    values: list[list[float]] = [[] for _ in sites]
    for _ in range(runs + 1):
        for site, found in zip(sites, values, strict=True):
            found.append(line.measure(site, seed))
    return [found[1:] for found in values]


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--peer", choices=PEERS, help="measure this too, run by run (needs root)")
    parser.add_argument("--scale", type=float, default=1.0, help="of all counts (default 1)")
    parser.add_argument("--line", action="append", help="only lines with this in their name")


def rows(options: Namespace) -> Iterator[Row]:
    """Measure line by line."""
    kinds: list[type[Peer]] = [Raicho]
    if options.peer:
        enter_own_network()
        kinds.append(PEERS[options.peer])
    chosen = [
        line
        for line in lines(options.scale)
        if any(part in line.name for part in options.line or [""])
    ]
    with ExitStack() as stack:
        sites = [stack.enter_context(Site(kind)) for kind in kinds]
        for line in chosen:
            if not line.fresh:
                yield row(line, measure_in_turn(line, sites, options.runs, options.seed), options)
    for line in chosen:
        if line.fresh:
            yield row(line, measure_fresh(line, kinds, options.runs, options.seed), options)


def row(line: Line, values: list[list[float]], options: Namespace) -> Row:
    """Give the values of raicho and of the peer, if there is one, their form."""
    own, *others = values
    peer = others[0] if others else ()
    goal = Goal(1) if options.peer else None
    return Row(line.name, line.unit, own, options.peer, peer, goal, line.more_is_better)
