"""A router between two hosts on veth pairs: raicho, and the kernel on the very same ones.

Each is started for its turn and gone after it, so that nothing of it is in the way of the other.
Hosts are on one core with their interfaces, and so is what the kernel does between them, unless it
is told to give it to the core that is raicho's (receive packet steering): both are measured.
"""

import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from . import carriers, cores
from .compiler import compiled
from .harness import Row, in_turn
from .needs import require
from .wires import DEVICES, HOSTS, MIDDLE, NOBODY_MAC, PREFIX, ROUTED, ROUTER_MACS, Wires, pinned

Router = Callable[[Wires], AbstractContextManager[int | None]]
Runs = Sequence[Sequence[float]]

NEEDED = ("ip", "nsenter", "unshare", "taskset", "ethtool", "iperf3", "nft")
PACKAGES = ("iproute2", "util-linux", "ethtool", "iperf3", "nftables")
PINGS = 2_000  # datagrams of one run
SECONDS = 1.0  # of one run of frames
UNUSED_MAC = "02:00:00:00:00:0f"  # of the devices while the kernel is no router


class Kind(NamedTuple):
    """Ports of raicho, and whether hosts leave checksums and segments to devices there."""

    port: str
    xdp_mode: str
    offloads: bool


class Figure(NamedTuple):
    """One of the numbers of a measure."""

    what: str
    unit: str
    more_is_better: bool = True


class Measure(NamedTuple):
    """What is measured once a router is there, in which mode of raicho's worker."""

    mode: str
    once: Callable[[Wires, int | None], Sequence[float]]
    figures: Sequence[Figure]


class Peer(NamedTuple):
    """What the kernel is called, and what it does with packets that leave to the right."""

    name: str
    rules: str


KINDS = {
    "veth, af_packet": Kind("af_packet", "auto", offloads=True),
    "veth, af_xdp": Kind("af_xdp", "native", offloads=False),
}
MEASURES = (
    Measure(
        "poll",
        lambda wires, pid: (wires.delivered(SECONDS, pid).rate,),
        (Figure("64 bytes", "packets/s"),),
    ),
    Measure("adaptive", lambda wires, _: (wires.stream(SECONDS),), (Figure("TCP", "bit/s"),)),
    Measure(
        "adaptive",
        lambda wires, _: wires.round_trip(PINGS),
        (
            Figure("round trip", "us", more_is_better=False),
            Figure("round trip of 99 in 100", "us", more_is_better=False),
        ),
    ),
)
PEERS = {
    "route": Peer("kernel", ""),
    "nat": Peer(
        "nftables",
        "table ip bench { chain out { type nat hook postrouting priority srcnat;"
        f" oifname {DEVICES[1]} masquerade; }}; }}",
    ),
}


def rows(way: str, name: str, options: Namespace) -> Iterator[Row]:
    """Let raicho and the kernel take turns on veth pairs; a row for each figure."""
    require("kernel", NEEDED, PACKAGES)
    kind, peer = KINDS[name], PEERS[way]
    peers: dict[str, Router] = {
        peer.name: partial(kernel, rules=peer.rules, steered=False),
        f"{peer.name}, steered": partial(kernel, rules=peer.rules, steered=True),
    }
    with tempfile.TemporaryDirectory(prefix="rcb") as folder:
        traffic = compiled("traffic.c", Path(folder))
        with closing(Wires(traffic, kind.offloads, ROUTED)) as wires:
            for measure in MEASURES:
                own: Router = partial(raicho, way=way, kind=kind, mode=measure.mode)
                once = [partial(turn, wires, router, measure) for router in (own, *peers.values())]
                found = in_turn(once[0], once[1:], options.runs, warm_up=0)
                for beside, pair in zip(peers, found, strict=True):
                    yield from rows_of(name, measure, beside, *pair)


def rows_of(name: str, measure: Measure, peer: str, own: Runs, other: Runs) -> Iterator[Row]:
    """Make a row of each figure of a measure."""
    for at, (what, unit, more) in enumerate(measure.figures):
        runs, peer_runs = ([run[at] for run in side] for side in (own, other))
        yield Row(f"{name}: {what}", unit, runs, peer, peer_runs, more_is_better=more)


def turn(wires: Wires, router: Router, measure: Measure) -> Sequence[float]:
    """Start a router, measure once, and end it."""
    with router(wires) as pid:
        return measure.once(wires, pid)


@contextmanager
def raicho(wires: Wires, way: str, kind: Kind, mode: str) -> Iterator[int]:
    """Let raicho be the router, with its worker in a mode; give its process."""
    words = carriers.raicho(way, kind.port, kind.xdp_mode)
    pid, modes = wires.processes.converse(
        wires.command(MIDDLE, *pinned(min(cores.others())), *words)
    )
    try:
        modes.write(f"{mode}\n".encode())
        modes.flush()
        wires.wait_joined()
        yield pid
    finally:
        modes.close()
        wires.processes.kill(pid)


@contextmanager
def kernel(wires: Wires, rules: str, steered: bool) -> Iterator[None]:
    """Let the kernel be the router, on the core of who sends, or steered to that of raicho."""
    try:
        for host, device in zip(HOSTS, DEVICES, strict=True):
            address = f"{ROUTED.routers[host]}/{PREFIX}"
            wires.run(MIDDLE, *_device(device, ROUTER_MACS[host].hex(":")))
            wires.run(MIDDLE, "ip", "address", "add", address, "dev", device)
        nobody = ("to", ROUTED.nobody, "lladdr", NOBODY_MAC.hex(":"), "dev", DEVICES[1])
        wires.run(MIDDLE, "ip", "neighbour", "add", *nobody)
        wires.run(MIDDLE, "nft", rules)
        _steer(wires, 1 << cores.measured() if steered else 0)
        _forward(wires, 1)
        wires.wait_joined()
        yield
    finally:
        _forward(wires, 0)
        _steer(wires, 0)
        wires.run(MIDDLE, "nft", "flush", "ruleset")
        for device in DEVICES:
            wires.run(MIDDLE, "ip", "neighbour", "flush", "dev", device, "nud", "all")
            wires.run(MIDDLE, "ip", "address", "flush", "dev", device)
            wires.run(MIDDLE, *_device(device, UNUSED_MAC))


def _device(device: str, mac: str) -> tuple[str, ...]:
    return ("ip", "link", "set", device, "address", mac)


def _forward(wires: Wires, on: int) -> None:
    wires.run(MIDDLE, "sh", "-c", f"echo {on} > /proc/sys/net/ipv4/ip_forward")


def _steer(wires: Wires, cpus: int) -> None:
    """Choose the cores that take what comes; 0: that of who sends."""
    files = " ".join(f"/sys/class/net/{device}/queues/rx-0/rps_cpus" for device in DEVICES)
    script = f"mount -t sysfs none /sys; for f in {files}; do echo {cpus:x} > $f; done"
    wires.run(MIDDLE, "unshare", "--mount", "sh", "-ec", script)
