"""Packets per second of several workers against one: the same tables, a queue of the ports each.

Runs with one and with all of them alternate, and each counts packets by the CPU time of its
workers, so that other work on the machine is not in it. What they take from each other,
caches and memory, is.
"""

import os
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Self

from raicho.dataplane.datapath import DONE, Dataplane
from raicho.dataplane.port import MemoryPort, Port

from .harness import Goal, Row
from .workload import IN_PORT, OUT_PORT, Workload, make

UNIT = "packets/s"
SETTLE = 0.1  # seconds before a run counts
SHARE = 0.95  # of what as many workers would do if they shared nothing
WORKLOADS = ("1 rule, 1 flow", "10k exact rules, 10k flows", "100k exact rules, 100k flows")


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class Rig:
    """Workers that poll, and a bridge whose two ports have a queue for each of them."""

    def __init__(self, workload: Workload, count: int) -> None:
        self._dataplane = Dataplane()
        self._workers = [self._dataplane.add_worker(i) for i in range(count)]
        for worker in self._workers:
            worker.mode = "poll"
        self._bridge = self._dataplane.add_bridge("bench", 1, _now_ms())
        self._in = MemoryPort("memory", "in", queues=count)
        self._out = Port("null", "out", queues=count)
        frames = [frame.tobytes() for frame in workload.frames]
        for i in range(count):
            self._in.loop(frames, i)
        results = self._bridge.apply(workload.rules, _now_ms())
        assert set(memoryview(results).cast("I")) == {DONE}, "flow-mods were refused"
        for number, port in ((OUT_PORT, self._out), (IN_PORT, self._in)):
            self._bridge.attach(port, number, range(count), _now_ms())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._bridge.close()
        for worker in self._workers:
            worker.close()
        self._in.close()
        self._out.close()

    def rate(self, count: int, seconds: float) -> float:
        """Let the first *count* workers run; return the sum of their packets a second."""
        workers = self._workers[:count]
        threads = [threading.Thread(target=worker.run) for worker in workers]
        for thread in threads:
            thread.start()
        time.sleep(SETTLE)
        before = [self._read(i, thread) for i, thread in enumerate(threads)]
        time.sleep(seconds)
        after = [self._read(i, thread) for i, thread in enumerate(threads)]
        for worker, thread in zip(workers, threads, strict=True):
            worker.stop()
            thread.join()
        return sum(
            (n - n_before) / (spent - spent_before)
            for (n_before, spent_before), (n, spent) in zip(before, after, strict=True)
        )

    def _read(self, worker: int, thread: threading.Thread) -> tuple[int, float]:
        """Return the packets that a worker has sent, and its CPU time."""
        assert thread.ident is not None
        clock = time.pthread_getcpuclockid(thread.ident)
        return self._workers[worker].totals()["sent"], time.clock_gettime(clock)


def add_arguments(parser: ArgumentParser) -> None:
    processors = len(os.sched_getaffinity(0))
    parser.add_argument("--seconds", type=float, default=0.5, help="of one run (default 0.5)")
    parser.add_argument(
        "--workers", type=int, default=processors, help=f"how many (default {processors})"
    )
    parser.add_argument(
        "--workload", choices=WORKLOADS, action="append", help="only this one; may be repeated"
    )


def rows(options: Namespace) -> Iterator[Row]:
    """Measure one worker and all of them by turns."""
    for name in options.workload or WORKLOADS:
        one: list[float] = []
        several: list[float] = []
        with Rig(make(name, options.seed), options.workers) as rig:
            for _ in range(options.runs):
                one.append(rig.rate(1, options.seconds))
                several.append(rig.rate(options.workers, options.seconds))
        yield Row(
            f"{options.workers} workers, {name}",
            UNIT,
            several,
            peer="1 worker",
            peer_runs=one,
            goal=Goal(options.workers * SHARE),
        )
