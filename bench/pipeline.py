"""How many packets a second one worker carries, from receive to transmit, between memory ports.

The port that receives delivers the frames of a workload over and over (each is copied into a
packet); the one that transmits counts and drops. Packets are divided by the CPU time of the
worker's own thread, so that a busy machine changes the figure less than wall time would.
"""

import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from functools import partial
from typing import Self

from raicho.dataplane.datapath import Dataplane
from raicho.dataplane.port import MemoryPort, Port

from .harness import Row, sample
from .workload import IN_PORT, OUT_PORT, WORKLOADS, Workload, make

UNIT = "packets/s"
DONE = b"\xff\xff\xff\xff"
CHURN_RATE = 10_000  # flow-mods per second
TICK = 0.01  # seconds between two batches of them


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class Rig:
    """One worker that polls, one bridge with two ports, and a workload in them."""

    def __init__(self, workload: Workload) -> None:
        self._churn = workload.churn
        self._next = 0  # of the churn
        self._dataplane = Dataplane()
        self._worker = self._dataplane.add_worker(0)
        self._worker.mode = "poll"
        self._bridge = self._dataplane.add_bridge("bench", 1, _now_ms())
        self._in, self._out = MemoryPort("memory", "in"), Port("null", "out")
        self._in.loop([frame.tobytes() for frame in workload.frames])
        self._write(workload.rules)
        self._bridge.attach(self._out, OUT_PORT, 0, _now_ms())
        self._bridge.attach(self._in, IN_PORT, 0, _now_ms())
        self._thread = threading.Thread(target=self._worker.run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._worker.stop()
        self._thread.join()
        self._bridge.close()
        self._worker.close()
        self._in.close()
        self._out.close()

    def rate(self, seconds: float) -> float:
        """Let it run for so long; return packets per second of the worker's CPU time."""
        assert self._thread.ident is not None
        clock = time.pthread_getcpuclockid(self._thread.ident)
        packets, spent = self._out.counters()["tx_packets"], time.clock_gettime(clock)
        self._pass(seconds)
        packets = self._out.counters()["tx_packets"] - packets
        spent = time.clock_gettime(clock) - spent
        return packets / spent

    def lost(self) -> int:
        """Count what was received and did not leave: a rate of dropped packets says nothing."""
        return sum(self._worker.totals()["drops"].values())

    def _pass(self, seconds: float) -> None:
        """Sleep, or write the flow-mods of the workload at their rate."""
        end = time.monotonic() + seconds
        if not self._churn:
            time.sleep(seconds)
        while self._churn and (now := time.monotonic()) < end:
            self._change(round(CHURN_RATE * TICK))
            time.sleep(max(0.0, now + TICK - time.monotonic()))

    def _change(self, count: int) -> None:
        chosen = [self._churn[(self._next + i) % len(self._churn)] for i in range(count)]
        self._next += count
        self._write(b"".join(chosen))
        self._dataplane.tick(_now_ms())

    def _write(self, messages: bytes) -> None:
        results = self._bridge.apply(messages, _now_ms())
        if wrong := len(results) // 4 - results.count(DONE):
            raise RuntimeError(f"{wrong} of {len(results) // 4} flow-mods were refused")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=0.5, help="of one run (default 0.5)")
    parser.add_argument(
        "--workload", choices=WORKLOADS, action="append", help="only this one; may be repeated"
    )


def rows(options: Namespace) -> Iterator[Row]:
    """Measure the workloads one after the other."""
    for name in options.workload or WORKLOADS:
        with Rig(make(name, options.seed)) as rig:
            values = sample(partial(rig.rate, options.seconds), options.runs)
            if lost := rig.lost():
                raise RuntimeError(f"{name}: {lost} packets were dropped")
        yield Row(name, UNIT, values)
