"""raicho between two hosts on veth pairs: small frames a second, a stream of TCP, a round trip.

Hosts are on one core, what is between them on another. Each kind of port is measured beside a bare
loop over the same sockets, and beside the peers that are asked for; all are there at the same time,
each with hosts of its own, and who has no turn stands still.
"""

import statistics
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from . import carriers, cores, goals
from .carriers import Carrier, Programs
from .compiler import compiled, with_core
from .harness import Row, in_turn, short
from .needs import require

MODES = goals.MODES
USUAL = "adaptive"


class Kind(NamedTuple):
    """A kind of port: raicho on it, and what else is on such sockets."""

    raicho: type[Carrier]
    beside: Mapping[str, type[Carrier]]


class Peer(NamedTuple):
    """What a peer needs of the host."""

    programs: tuple[str, ...]
    packages: tuple[str, ...]


KINDS = {
    "af_packet": Kind(
        carriers.RaichoPacket,
        {
            "bare": carriers.Bare,
            "ovs": carriers.Ovs,
            "testpmd": carriers.Testpmd,
            "bridge": carriers.Bridge,
        },
    ),
    "af_xdp": Kind(
        carriers.RaichoXdp,
        {"bare": carriers.BareXdp, "ovs": carriers.OvsXdp, "bridge": carriers.Bridge},
    ),
    "af_xdp generic": Kind(
        carriers.RaichoXdpGeneric,
        {"bare": carriers.BareXdpGeneric, "ovs": carriers.OvsXdpGeneric, "bridge": carriers.Bridge},
    ),
}
ALWAYS = "bare"
PEERS = {
    "ovs": Peer(
        ("ovs-vswitchd", "ovsdb-server", "ovs-vsctl", "ovs-ofctl"), ("openvswitch-switch",)
    ),
    "testpmd": Peer(("dpdk-testpmd",), ("dpdk-dev", "librte-net-af-packet23")),
    "bridge": Peer((), ()),
}
NEEDED = ("ip", "nsenter", "unshare", "taskset", "ethtool", "iperf3")
PACKAGES = ("iproute2", "util-linux", "ethtool", "iperf3")

Carriers = Mapping[str, Carrier]


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=1.0, help="of one run (default 1)")
    parser.add_argument(
        "--pings", type=int, default=5_000, help="datagrams of one run (default 5000)"
    )
    more = "only this one; may be repeated"
    parser.add_argument("--kind", choices=KINDS, action="append", help=more)
    parser.add_argument("--measure", choices=MEASURES, action="append", help=more)
    more = "measure this too, run by run; may be repeated"
    parser.add_argument("--peer", choices=PEERS, action="append", default=[], help=more)


def rows(options: Namespace) -> Iterator[Row]:
    """Measure the kinds of port one after the other."""
    require("ports", NEEDED, PACKAGES)
    for peer in options.peer:
        require(peer, *PEERS[peer])
    with ExitStack() as stack:
        stack.enter_context(cores.first())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rcb")))
        programs = Programs(compiled("traffic.c", folder), compiled("bare.c", folder, *with_core()))
        for kind in options.kind or KINDS:
            yield from measure(kind, programs, options)


def measure(kind: str, programs: Programs, options: Namespace) -> Iterator[Row]:
    """Start raicho on one kind of port and what stands beside it; measure all there is."""
    with ExitStack() as stack:
        raicho = stack.enter_context(KINDS[kind].raicho(programs))
        beside = {
            name: stack.enter_context(start(programs))
            for name, start in KINDS[kind].beside.items()
            if name == ALWAYS or name in options.peer
        }
        for name in options.measure or MEASURES:
            yield from MEASURES[name](kind, raicho, beside, options)


def small_frames(kind: str, raicho: Carrier, beside: Carriers, options: Namespace) -> Iterator[Row]:
    """As many frames of 64 bytes as go through, by the clock and by the CPU time they took."""
    raicho.use("poll")
    peers = {name: peer for name, peer in beside.items() if peer.pid is not None}
    once = [partial(each.delivered, options.seconds) for each in (raicho, *peers.values())]
    found = in_turn(once[0], once[1:], options.runs)
    for name, (own, other) in zip(peers, found, strict=True):
        yield row(
            *(f"{kind}, 64 bytes", "packets/s", [run.rate for run in own]),
            *(name, [run.rate for run in other]),
        )
        yield row(
            *(f"{kind}, 64 bytes by CPU time", "packets/s", [run.efficiency for run in own]),
            *(name, [run.efficiency for run in other]),
        )


def stream(kind: str, raicho: Carrier, beside: Carriers, options: Namespace) -> Iterator[Row]:
    """One connection of TCP."""
    raicho.use(USUAL)
    once = [partial(each.stream, options.seconds) for each in (raicho, *beside.values())]
    found = in_turn(once[0], once[1:], options.runs, warm_up=0)
    for name, (own, other) in zip(beside, found, strict=True):
        yield row(f"{kind}, TCP", "bit/s", own, name, other)


def round_trips(kind: str, raicho: Carrier, beside: Carriers, options: Namespace) -> Iterator[Row]:
    """A small datagram there and back, in each mode of the worker."""
    for mode in MODES:
        raicho.use(mode)
        once = [partial(each.round_trip, options.pings) for each in (raicho, *beside.values())]
        found = in_turn(once[0], once[1:], options.runs, warm_up=0)
        for field, what in (("p50", "round trip"), ("p99", "round trip of 99 in 100")):
            values = [[[getattr(run, field) for run in side] for side in pair] for pair in found]
            others = (
                f"{name} {short(statistics.median(other)):g}"
                for name, (_, other) in zip(beside, values, strict=True)
            )
            own, peer = (
                [statistics.median(runs) for runs in zip(*side, strict=True)]
                for side in zip(*values, strict=True)
            )
            yield row(
                *(f"{kind}, {what}, {mode}", "us", own, goals.ALL_PEERS, peer),
                note=", ".join(others),
                more_is_better=False,
            )


def row(
    name: str,
    unit: str,
    own: list[float],
    peer: str,
    peer_runs: list[float],
    note: str | None = None,
    more_is_better: bool = True,
) -> Row:
    """Make a row with the goal of its name and peer."""
    goal = goals.PORTS.get(name, {}).get(peer)
    return Row(name, unit, own, peer, peer_runs, goal, more_is_better, note)


Measure = Callable[[str, Carrier, Carriers, Namespace], Iterator[Row]]
MEASURES: dict[str, Measure] = {"rate": small_frames, "tcp": stream, "udp": round_trips}
