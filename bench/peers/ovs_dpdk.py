"""Open vSwitch with DPDK: one PMD on the measured core, frames from a pcap file, output to null.

Packets are divided by the CPU time of the PMD's own thread, as raicho's are by its worker's. While
others are measured the whole process stands still.
"""

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from .. import pcap
from ..cores import others
from ..openflow import Bytes
from ..workload import IN_PORT, OUT_PORT
from . import unixctl
from .hugepages import HugePages
from .ovs import OpenVswitch, configure
from .processes import PATIENCE, awake
from .threads import cpu_seconds, thread

HUGE_PAGES = 768  # for the 262144 packets that it makes for all ports together
MOST_FRAMES = 200_000  # that a port which repeats them can hold of those
SETTLE = 0.1  # seconds that it runs before it is measured
STEADY = 1e-5  # misses for each packet under which it counts as warm
ROOM = 1.5  # what it allows itself of flows, for each that it has, before it is warm for good
MOST_FLOWS = 200_000  # that it ever allows itself
LOOK = 0.3  # seconds between two looks at whether it is

# Its caches in front of the flows: the exact match cache (an entry made for 1 packet in 20), the
# signature cache, none.
CACHES = {
    "EMC": {"emc-insert-inv-prob": "20", "smc-enable": "false"},
    "SMC": {"emc-insert-inv-prob": "0", "smc-enable": "true"},
    "no cache": {"emc-insert-inv-prob": "0", "smc-enable": "false"},
}

_LOOKUPS = re.compile(r"lookups: hit:(\d+) missed:(\d+)")
_FLOWS = re.compile(r"flows\s*: \(current (\d+)\).*\(limit (\d+)\)")
_SENT = re.compile(r"port \d+: out \(.*?TX packets:(\d+)", re.DOTALL)


class Counters(NamedTuple):
    """What `dpctl/show -s` says."""

    hits: int
    misses: int
    sent: int


def counters(text: str) -> Counters:
    """Read the lookups of the datapath and what has left by the port called out."""
    lookups, sent = _LOOKUPS.search(text), _SENT.search(text)
    if not lookups or not sent:
        raise RuntimeError(f"dpctl/show says no lookups, or nothing of the port out:\n{text}")
    return Counters(int(lookups[1]), int(lookups[2]), int(sent[1]))


def miss_share(before: Counters, now: Counters) -> float:
    """Say how many of the packets between two looks met no flow of the datapath."""
    misses = now.misses - before.misses
    return misses / max(1, now.hits - before.hits + misses)


def has_room(text: str) -> bool:
    """Tell from `upcall/show` whether the datapath may have clearly more flows than it has.

    The limit climbs slowly, and sinks when the process stood still for over a second: a switch
    whose flows just fit would throw them out for that.
    """
    found = _FLOWS.search(text)
    if not found:
        raise RuntimeError(f"upcall/show says no limit of flows:\n{text}")
    return int(found[2]) >= min(MOST_FLOWS, ROOM * int(found[1]))


class OvsDpdk(OpenVswitch):
    """The switch; frames are fed to it when its rules are there."""

    PROGRAM = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"

    def __init__(self, core: int) -> None:
        super().__init__()
        self.OPTIONS = {
            "dpdk-init": "true",
            "dpdk-extra": "--in-memory --no-pci",
            "dpdk-lcore-mask": hex(1 << min(others())),
            "pmd-cpu-mask": hex(1 << core),
        }
        self._core = core
        self._file = self._folder / "frames.pcap"
        self._inputs = 0
        self._limit: float = 0  # packets that the input has
        self._began = 0  # how many had left when it came
        self._pages: HugePages | None = None
        self.missed = 0.0  # of the packets of the last rate, the share that met no flow

    def start(self, port: int) -> None:
        """Start it with huge pages of its own."""
        self._pages = HugePages(HUGE_PAGES)
        super().start(port)

    def close(self) -> None:
        """End it and give the pages back."""
        super().close()
        if self._pages:
            self._pages.close()

    def feed(self, frames: Bytes, repeat: bool = True) -> None:
        """Send the frames into it, over and over or once."""
        if repeat and len(frames) > MOST_FRAMES:
            raise ValueError(f"{len(frames)} frames: a port that repeats them holds {MOST_FRAMES}")
        pcap.write(self._file, frames)
        self._limit = float("inf") if repeat else len(frames)
        self._set(*self._port("out", OUT_PORT, "net_null0,no-rx=1"))
        self._attach(repeat)

    def feed_again(self) -> None:
        """Forget what the flows of the datapath know, and send the frames once more."""
        self._set("del-port", "bench", "in")
        self._ask("dpctl/del-flows", "netdev@ovs-netdev")
        self._attach(repeat=False)

    def running(self) -> AbstractContextManager[None]:
        """For `with`: let it run, and stand still afterwards."""
        return awake(self._switch)

    def use(self, caches: str) -> None:
        """Choose the caches for what comes."""
        self._set(*configure(CACHES[caches]))

    def warm_up(self, at_most: float) -> float:
        """Run until packets meet flows of the datapath and those may stay; return the seconds.

        A switch that is not warm by 'at_most' is left as it is: `missed` tells after the next rate.
        """
        start, before = time.monotonic(), self._counters()
        while (spent := time.monotonic() - start) < at_most:
            time.sleep(LOOK)
            now = self._counters()
            steady = now.hits > before.hits and miss_share(before, now) <= STEADY
            if steady and has_room(self._ask("upcall/show")):
                break
            before = now
        return spent

    def rate(self, seconds: float, meanwhile: Callable[[float], None] = time.sleep) -> float:
        """Return packets per second of the PMD's CPU time."""
        meanwhile(SETTLE)
        before = self._counters()
        found = self._measure(seconds, meanwhile)
        self.missed = miss_share(before, self._counters())
        return found

    def first_rate(self, seconds: float) -> float:
        """The same from the first packets of the input on, for as long as it lasts."""
        end = time.monotonic() + PATIENCE
        while self._counters().sent == self._began and time.monotonic() < end:
            time.sleep(0.001)
        return self._measure(seconds, time.sleep)

    def _measure(self, seconds: float, meanwhile: Callable[[float], None]) -> float:
        task = thread(self._switch, f"pmd-c{self._core:02}")
        if task is None:
            raise RuntimeError(f"no PMD on core {self._core}")
        end, step = time.monotonic() + seconds, seconds if self._limit == float("inf") else 0.005
        (first, began) = (last, now) = self._now(task)
        while time.monotonic() < end and last - self._began < 0.8 * self._limit:
            meanwhile(step)
            last, now = self._now(task)
        if last == first:
            raise RuntimeError(f"it forwards nothing:\n{self._processes.log.read_text()}")
        return (last - first) / (now - began)

    def _now(self, task: Path) -> tuple[int, float]:
        """Read the packets and the CPU time: asking takes a moment, so the time is its middle."""
        before = cpu_seconds(task)
        sent = self._counters().sent
        return sent, (before + cpu_seconds(task)) / 2

    def _counters(self) -> Counters:
        return counters(self._ask("dpctl/show", "-s", "netdev@ovs-netdev"))

    def _ask(self, method: str, *arguments: str) -> str:
        return unixctl.ask(self._folder / "switch.ctl", method, *arguments)

    def _attach(self, repeat: bool) -> None:
        self._began = self._counters().sent
        self._inputs += 1
        device = f"net_pcap{self._inputs},rx_pcap={self._file},infinite_rx={int(repeat)}"
        self._set(*self._port("in", IN_PORT, device))

    @staticmethod
    def _port(name: str, number: int, device: str) -> list[str]:
        interface = ["type=dpdk", f"ofport_request={number}", f'options:dpdk-devargs="{device}"']
        return ["add-port", "bench", name, "--", "set", "interface", name, *interface]
