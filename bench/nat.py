"""NAT alone: packets of many sessions that are there, from both sides, and new sessions a second.

One thread copies frames of 60 bytes into packets, parses and translates them, 256 at a time
(bench/nat.c), each frame a UDP session of its own in random order. In turn with it run the plain C
pipeline (bench/floor.c), which looks up as many flows in one table and rewrites headers, and the
same loop without the translation.

With `--peer kernel`, raicho translates between two hosts on veth pairs, in turn with nftables
(bench/routed.py).
"""

import ctypes
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Self

import numpy as np

from . import cores, goals, routed
from .compiler import compiled, with_core
from .floor import Floor
from .harness import Row, alternate, sample
from .openflow import Bytes
from .workload import Flows, frames_of

SIZES = (1_000, 100_000, 1_000_000)
OUTSIDE = 0xC0000200  # 192.0.2.0
INSIDE = 0x0A000000  # 10.0.0.0
DIRECTIONS = {"out": 0, "in": 1}


def sessions(count: int, seed: int) -> Bytes:
    """Make the first packet of so many sessions: four ports of each address inside."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(count).astype(np.uint64)
    remote = rng.integers(1 << 24, 223 << 24, count, dtype=np.uint64)
    ports = np.full(count, 53, dtype=np.uint64)
    return frames_of(Flows(INSIDE + order // 4, remote, 10_000 + order % 4, ports))


class Bench:
    """The sessions of frames in bench/nat.c."""

    def __init__(self, frames: Bytes, core: int | None) -> None:
        self._core = core
        self._closing = ExitStack()
        folder = self._closing.enter_context(tempfile.TemporaryDirectory(prefix="rcb"))
        path = compiled("nat.c", Path(folder), "-shared", "-fPIC", *with_core())
        self._library = ctypes.CDLL(str(path))
        self._library.nat_bench_open.restype = ctypes.c_void_p
        self._library.nat_bench_rate.restype = ctypes.c_double
        self._library.nat_bench_new.restype = ctypes.c_double
        n, size = (ctypes.c_size_t(side) for side in frames.shape)
        data = frames.ctypes.data_as(ctypes.c_void_p)
        handle = self._library.nat_bench_open(data, n, size, ctypes.c_uint32(OUTSIDE))
        if not handle:
            self._closing.close()
            raise MemoryError(f"no NAT for {len(frames)} sessions")
        self._handle = ctypes.c_void_p(handle)
        self._closing.callback(self._library.nat_bench_close, self._handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._closing.close()

    def rate(self, direction: int, with_nat: bool, seconds: float) -> float:
        """Return packets per second of the CPU time of a thread on the measured core."""
        arguments = (ctypes.c_uint(direction), ctypes.c_bool(with_nat), ctypes.c_double(seconds))
        return self._measured(partial(self._library.nat_bench_rate, self._handle, *arguments))

    def new(self) -> float:
        """Return sessions per second, when all begin anew."""
        return self._measured(partial(self._library.nat_bench_new, self._handle))

    def _measured(self, call: Callable[[], float]) -> float:
        found: list[float] = []

        def run() -> None:
            cores.pin(self._core)
            found.append(call())

        thread = Thread(target=run)
        thread.start()
        thread.join()
        if not found or not found[0]:
            raise RuntimeError("the NAT dropped packets")
        return found[0]


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=0.5, help="of one run (default 0.5)")
    parser.add_argument(
        "--sessions", type=int, action="append", help="this many only; may be repeated"
    )
    parser.add_argument(
        "--peer", choices=("kernel",), action="append", default=[], help="measure this too"
    )
    parser.add_argument(
        "--kind", choices=routed.KINDS, action="append", help="only so, and only beside the kernel"
    )


def rows(options: Namespace) -> Iterator[Row]:
    """Measure the sizes one after the other, and then the kinds of ports."""
    core = cores.measured()
    with cores.first():
        for count in () if options.kind else options.sessions or SIZES:
            frames = sessions(count, options.seed)
            with Bench(frames, core) as bench, Floor(frames, core) as floor:
                yield from measure(f"{count:,} sessions", bench, floor, options)
        for name in options.kind or (routed.KINDS if options.peer else ()):
            yield from routed.rows("nat", name, options)


def measure(name: str, bench: Bench, floor: Floor, options: Namespace) -> Iterator[Row]:
    """Let the NAT and what it is compared with take turns; a row for each."""
    for way, direction in DIRECTIONS.items():
        own = partial(bench.rate, direction, True, options.seconds)
        peers = {
            "floor": partial(floor.rate, options.seconds),
            "without NAT": partial(bench.rate, direction, False, options.seconds),
        }
        found = alternate(own, list(peers.values()), options.runs)
        for peer, pairs in zip(peers, found, strict=True):
            row = f"{name}, {way}"
            goal = goals.NAT.get(row, {}).get(peer)
            yield Row(row, "packets/s", pairs.own, peer, pairs.peer, goal)
    goal = goals.NAT.get(f"{name}, new", {}).get("")
    yield Row(f"{name}, new", "sessions/s", sample(bench.new, options.runs), goal=goal)
