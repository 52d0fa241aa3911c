"""What `ports` puts between two hosts: raicho, bare loops, and the switches it is compared with.

Each has networks of its own and stands still while others are measured, so that all of them are
there in one call.
"""

import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple, Self

from .cores import measured, others
from .peers.hugepages import HugePages
from .peers.ovs import OpenVswitch
from .peers.processes import awake
from .peers.raicho import TREE
from .peers.testpmd import HUGE_PAGES, N_PACKETS
from .wires import DEVICES, MIDDLE, Delivered, RoundTrip, Wires, pinned

ROOT = Path(__file__).parents[1]
SETTLE = 0.05  # seconds after a change of mode
ANY_PORT = 9  # of a controller that nobody is: the rules come by ovs-ofctl


class Programs(NamedTuple):
    """The C programs of this benchmark, compiled."""

    traffic: Path
    bare: Path


class Carrier(ABC):
    """Something between two hosts; `with` starts and ends it, and then it stands still."""

    OFFLOADS = False  # whether it takes what hosts leave to devices

    def __init__(self, programs: Programs) -> None:
        self.programs = programs
        self.wires = Wires(programs.traffic, self.OFFLOADS)
        self.pid: int | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
            with self.running():
                self.wires.wait_joined()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @abstractmethod
    def start(self) -> None:
        """Join the two interfaces in the middle."""

    def close(self) -> None:
        """End it and its networks."""
        self.wires.close()

    def use(self, mode: str) -> None:  # noqa: B027 - most have one way
        """Choose how it waits for packets, if it has several ways."""

    def running(self) -> AbstractContextManager[None]:
        """For `with`: let it run, and stand still afterwards."""
        return awake(self.pid) if self.pid is not None else nullcontext()

    def delivered(self, seconds: float) -> Delivered:
        assert self.pid is not None, "the kernel has no CPU time of its own"
        with self.running():
            return self.wires.delivered(seconds, self.pid)

    def stream(self, seconds: float) -> float:
        with self.running():
            return self.wires.stream(seconds)

    def round_trip(self, count: int) -> RoundTrip:
        with self.running():
            return self.wires.round_trip(count)

    def spawn(self, says: str, *words: str, core: int) -> None:
        """Start a process in the middle that says when it is there; keep where it is written to."""
        command = self.wires.command(MIDDLE, *pinned(core), *words)
        self.pid, self.input = self.wires.processes.converse(command)
        log = self.wires.processes.log
        self.wires.processes.wait(lambda: says in log.read_text(errors="replace"), words[0])


def raicho(way: str, kind: str, xdp_mode: str) -> list[str]:
    """Make the command line of raicho between the two interfaces."""
    path = os.pathsep.join([str(TREE), str(ROOT), *sys.path])
    words = ("-m", "bench.carrier", way, str(measured()), kind, xdp_mode, *DEVICES)
    return ["env", f"PYTHONPATH={path}", sys.executable, *words]


class Raicho(Carrier):
    """raicho on ports of one kind."""

    KIND, XDP_MODE = "af_packet", "auto"

    def start(self) -> None:
        self.spawn("ready", *raicho("switch", self.KIND, self.XDP_MODE), core=min(others()))

    def use(self, mode: str) -> None:
        self.input.write(f"{mode}\n".encode())
        self.input.flush()
        with self.running():
            time.sleep(SETTLE)


class RaichoPacket(Raicho):
    OFFLOADS = True


class RaichoXdp(Raicho):
    KIND, XDP_MODE = "af_xdp", "native"


class RaichoXdpGeneric(RaichoXdp):
    XDP_MODE = "generic"


class Bare(Carrier):
    """A loop that looks at no frame."""

    WAY = "packet"

    def start(self) -> None:
        words = (str(self.programs.bare), self.WAY, *DEVICES)
        self.spawn("forwarding", *words, core=measured())


class BareXdp(Bare):
    WAY = "native"


class BareXdpGeneric(Bare):
    WAY = "generic"


class Bridge(Carrier):
    """The kernel's own; what it does is in nobody's CPU time."""

    OFFLOADS = True

    def start(self) -> None:
        ip = ("ip", "link")
        self.wires.run(MIDDLE, *ip, "add", "br0", "type", "bridge")
        # Where the module is not there, neither is what it would do to frames.
        quiet = (
            "for f in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e $f ] || echo 0 > $f; done"
        )
        self.wires.run(MIDDLE, "sh", "-c", quiet)
        for device in DEVICES:
            self.wires.run(MIDDLE, *ip, "set", device, "master", "br0")
        self.wires.run(MIDDLE, *ip, "set", "br0", "up")


class OvsSwitch(OpenVswitch):
    """Open vSwitch in another network."""

    def __init__(self, enter: Sequence[str], options: Mapping[str, str]) -> None:
        super().__init__()
        self.ENTER, self.OPTIONS = enter, options

    def carry(self, kind: Sequence[str]) -> int:
        """Join the two interfaces by rules; return the process that carries."""
        socket = f"unix:{self._folder}/bench.mgmt"
        for number, device in enumerate(DEVICES, 1):
            interface = ("interface", device, f"ofport_request={number}", *kind)
            self._set("add-port", "bench", device, "--", "set", *interface)
            rule = f"in_port={number},actions=output:{3 - number}"
            words = ("ovs-ofctl", "-O", "OpenFlow13", "add-flow", socket, rule)
            subprocess.run(words, check=True)
        return self._switch


class Ovs(Carrier):
    """Open vSwitch in userspace on interfaces of the kernel: its main thread carries."""

    KIND: Sequence[str] = ()

    def start(self) -> None:
        enter = self.wires.command(MIDDLE, *pinned(self.core()))
        self._switch = OvsSwitch(enter, self.options())
        self._switch.start(ANY_PORT)
        self.pid = self._switch.carry(self.KIND)

    def core(self) -> int:
        return measured()

    def options(self) -> dict[str, str]:
        return {}

    def close(self) -> None:
        if switch := getattr(self, "_switch", None):
            switch.close()
        super().close()


class OvsXdp(Ovs):
    """The same on XDP sockets, for which it has a thread of its own."""

    KIND = ("type=afxdp", "options:xdp-mode=native")

    def core(self) -> int:
        return min(others())

    def options(self) -> dict[str, str]:
        return {"pmd-cpu-mask": hex(1 << measured())}


class OvsXdpGeneric(OvsXdp):
    KIND = ("type=afxdp", "options:xdp-mode=generic")


class Testpmd(Carrier):
    """DPDK's testpmd on net_af_packet."""

    def start(self) -> None:
        self._pages = HugePages(HUGE_PAGES)
        lcores = f"{min(others())},{measured()}"
        vdevs = [f"--vdev=net_af_packet{i},iface={name}" for i, name in enumerate(DEVICES)]
        self.spawn(
            *(
                "Press enter",
                "stdbuf",
                "-oL",
                "dpdk-testpmd",
                "-l",
                lcores,
                "--main-lcore",
                str(min(others())),
            ),
            *("--in-memory", "--no-pci", *vdevs, "--", "--auto-start", "--forward-mode=io"),
            *("--nb-cores=1", "--no-mlockall", f"--total-num-mbufs={N_PACKETS}"),
            core=min(others()),
        )

    def close(self) -> None:
        super().close()
        if pages := getattr(self, "_pages", None):
            pages.close()
