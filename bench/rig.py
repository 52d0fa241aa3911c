"""raicho between two memory ports: what `pipeline` measures.

The port that receives delivers the frames of a workload over and over (each is copied into a
packet); the one that transmits counts and drops. Between two turns its worker stands still, so that
it takes nothing from what is measured beside it.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from raicho.dataplane.datapath import Dataplane
from raicho.dataplane.port import MemoryPort, Port

from .churn import Churn
from .cores import pin
from .workload import IN_PORT, OUT_PORT, Workload

DONE = b"\xff\xff\xff\xff"
SETTLING = 200  # ticks after the rules were written: what tables do in the background is done


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class Rig:
    """One worker that polls, one bridge with two ports, and a workload in them."""

    name = "raicho"

    def __init__(self, workload: Workload, core: int | None = None) -> None:
        self._core = core
        self._churn = Churn(workload.churn, self._change)
        self._dataplane = Dataplane()
        self._worker = self._dataplane.add_worker(0)
        self._worker.mode = "poll"
        self._bridge = self._dataplane.add_bridge("bench", 1, _now_ms())
        self._in, self._out = MemoryPort("memory", "in"), Port("null", "out")
        self._in.loop([frame.tobytes() for frame in workload.frames])
        self._write(workload.rules)
        for _ in range(SETTLING):
            self._dataplane.tick(_now_ms())
        self._bridge.attach(self._out, OUT_PORT, 0, _now_ms())
        self._bridge.attach(self._in, IN_PORT, 0, _now_ms())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._bridge.close()
        self._worker.close()
        self._in.close()
        self._out.close()

    def rate(self, seconds: float) -> float:
        """Return packets per second of the worker's CPU time.

        It runs for so long once the first packet has gone out, or been dropped: on a machine with
        other work its thread may get no time at first.
        """
        with self._running() as thread:
            assert thread.ident is not None
            clock = time.pthread_getcpuclockid(thread.ident)
            self._until_one_is_through()
            packets, spent = self._out.counters()["tx_packets"], time.clock_gettime(clock)
            self._churn.run(seconds)
            self._until_one_is_through()
            packets = self._out.counters()["tx_packets"] - packets
            return packets / (time.clock_gettime(clock) - spent)

    def _until_one_is_through(self) -> None:
        before = self._through()
        while self._through() == before:
            time.sleep(0.001)

    def _through(self) -> int:
        return self._out.counters()["tx_packets"] + self.lost()

    def lost(self) -> int:
        """Count what was received and did not leave: a rate of dropped packets says nothing."""
        return sum(self._worker.totals()["drops"].values())

    def multipart(self, kind: int, body: bytes) -> list[bytes]:
        """Ask the bridge; return the bodies of the parts of its answer."""
        return self._bridge.multipart(kind, body, _now_ms())

    @contextmanager
    def _running(self) -> Iterator[threading.Thread]:
        ready = threading.Event()

        def run() -> None:
            pin(self._core)
            ready.set()
            self._worker.run()

        thread = threading.Thread(target=run)
        thread.start()
        ready.wait()
        try:
            yield thread
        finally:
            while thread.is_alive():  # a worker that has not begun yet does not hear it
                self._worker.stop()
                thread.join(0.01)

    def _change(self, messages: bytes) -> None:
        self._write(messages)
        self._dataplane.tick(_now_ms())

    def _write(self, messages: bytes) -> None:
        results = self._bridge.apply(messages, _now_ms())
        if wrong := len(results) // 4 - results.count(DONE):
            raise RuntimeError(f"{wrong} of {len(results) // 4} flow-mods were refused")
