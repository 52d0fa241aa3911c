"""DPDK's testpmd from a pcap file to null: what the ports take, with no switch between them."""

import re
import time
from collections.abc import Callable

from .. import pcap
from ..cores import others
from ..openflow import Bytes
from .hugepages import HugePages
from .processes import Processes, awake
from .threads import cpu_seconds, thread

HUGE_PAGES = 384
N_PACKETS = 262_144
_SENT = re.compile(r"NIC statistics for port 1 .*?TX-packets: (\d+)", re.DOTALL)


def sent(log: str) -> list[int]:
    """Read all the counts of what port 1 has sent that testpmd has printed."""
    return [int(found[1]) for found in _SENT.finditer(log)]


class Testpmd:
    """One core that receives from port 0 and sends by port 1."""

    def __init__(self, frames: Bytes, core: int) -> None:
        self._processes = Processes()
        self._pages: HugePages | None = None
        self._asked = 0
        try:
            self._pages = HugePages(HUGE_PAGES)
            self._start(frames, core)
        except BaseException:
            self.close()
            raise

    def _start(self, frames: Bytes, core: int) -> None:
        file = self._processes.folder / "frames.pcap"
        pcap.write(file, frames)
        self._pid, self._input = self._processes.converse(command(str(file), core))
        self._processes.wait(lambda: thread(self._pid, f"rte-worker-{core}"), "core of testpmd")
        self._task = thread(self._pid, f"rte-worker-{core}")
        self._ask()
        time.sleep(0.5)
        with awake(self._pid):
            pass

    def rate(self, seconds: float, meanwhile: Callable[[float], None] = time.sleep) -> float:
        """Return packets per second of the CPU time of its forwarding thread."""
        with awake(self._pid):
            time.sleep(0.05)
            first, began = self._now()
            meanwhile(seconds)
            last, ended = self._now()
        return (last - first) / (ended - began)

    def close(self) -> None:
        """End it and give the pages back."""
        self._processes.close()
        if self._pages:
            self._pages.close()

    def _now(self) -> tuple[int, float]:
        assert self._task
        before = cpu_seconds(self._task)
        count = self._ask()
        return count, (before + cpu_seconds(self._task)) / 2

    def _ask(self) -> int:
        self._asked += 1
        self._input.write(b"show port stats 1\n")
        self._input.flush()
        self._processes.wait(lambda: len(self._found()) >= self._asked, "answer of testpmd")
        return self._found()[-1]

    def _found(self) -> list[int]:
        return sent(self._processes.log.read_text(errors="replace"))


def command(file: str, core: int) -> list[str]:
    """Write the command line: a port that repeats a file, a port that only swallows."""
    return [
        *("stdbuf", "-oL"),  # or its answers stay in a buffer
        *("dpdk-testpmd", "-l", f"{min(others())},{core}", "--main-lcore", str(min(others()))),
        *("--in-memory", "--no-pci", "--vdev", f"net_pcap0,rx_pcap={file},infinite_rx=1"),
        *("--vdev", "net_null0,no-rx=1", "--", "-i", "--auto-start", "--forward-mode=io"),
        *("--nb-cores=1", "--no-mlockall", f"--total-num-mbufs={N_PACKETS}"),
    ]
