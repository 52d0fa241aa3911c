"""The switch that the oracle judges: a bridge with memory ports in this process."""

import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from raicho.dataplane.bridging import BLOCKED, Bridging
from raicho.dataplane.datapath import Dataplane
from raicho.dataplane.port import MemoryPort

from .bridging import Fixed, Port

FLOW, ALL_TABLES, ANY = 1, 0xFF, 0xFFFFFFFF


def _entries(data: bytes) -> Iterator[bytes]:
    while data:
        size = int.from_bytes(data[:2])
        yield data[:size]
        data = data[size:]


def _ranges(vlans: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Write VLANs as ranges."""
    runs = groupby(enumerate(sorted(vlans)), lambda each: each[1] - each[0])
    found = [[vlan for _, vlan in run] for _, run in runs]
    return tuple((run[0], run[-1]) for run in found)


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

    def bridge(
        self,
        ports: Mapping[int, Port],
        fixed: Fixed,
        pipelines: Mapping[int, str],
        afresh: bool = True,
    ) -> None:
        """Let the ports take part in NORMAL; *afresh*: nothing was learned."""
        for number, port in ports.items():
            how = Bridging(port.mode, port.vlan, _ranges(port.vlans), port.isolated)
            self._bridge.set_bridging(number, how)
            self._bridge.set_pipeline(number, pipelines[number])
        rows = [(vlan, mac, at or BLOCKED) for (vlan, mac), at in fixed.items()]
        self._bridge.set_macs(1000, 300_000, rows, now_ms())
        if afresh:
            self._bridge.flush_fdb(0, now_ms())

    def apply(self, messages: bytes) -> list[int]:
        """Apply concatenated OpenFlow messages; return one code each, 0xffffffff if done."""
        codes = self._bridge.apply(messages, now_ms())
        self._dataplane.tick(now_ms())
        return memoryview(codes).cast("I").tolist()

    def flows(self) -> list[bytes]:
        """Return the statistics of all entries, without how long they have been there."""
        about = struct.pack("!B3xII4xQQHH4x", ALL_TABLES, ANY, ANY, 0, 0, 1, 4)
        data = b"".join(self._bridge.multipart(FLOW, about, now_ms()))
        return sorted(each[:4] + bytes(8) + each[12:] for each in _entries(data))

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
