"""The switch that the oracle judges: a bridge with memory ports in this process."""

import time

from raicho.dataplane.datapath import Dataplane
from raicho.dataplane.port import MemoryPort


def now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class Subject:
    """A bridge with memory ports numbered from 1; packets move when `send` is called."""

    def __init__(self, n_ports: int, caching: str = "measured") -> None:
        self._dataplane = Dataplane()
        self._worker = self._dataplane.add_worker(0, packets=1024)
        self._worker.caching = caching
        self._bridge = self._dataplane.add_bridge("judged", 1, now_ms())
        self._ports = {n: MemoryPort("memory", f"p{n}") for n in range(1, n_ports + 1)}
        for number, port in self._ports.items():
            self._bridge.attach(port, number, 0, now_ms())

    @property
    def cache_hits(self) -> int:
        """Packets whose way through the tables was known."""
        return self._worker.cache()["hits"]

    def apply(self, messages: bytes) -> list[int]:
        """Apply concatenated OpenFlow messages; return one code each, 0xffffffff if done."""
        codes = self._bridge.apply(messages, now_ms())
        self._dataplane.tick(now_ms())
        return memoryview(codes).cast("I").tolist()

    def send(self, port: int, frame: bytes) -> tuple[list[tuple[int, bytes]], list[bytes]]:
        """Receive *frame* on *port*; return what left, as port and frame, and packet-ins."""
        self._ports[port].put(frame)
        self._worker.round()
        sent = []
        for number, each in self._ports.items():
            while left := each.take():
                sent.append((number, left))
        punted = self._worker.punts()
        return sent, punted.get(self._bridge.index, [])
