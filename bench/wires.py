"""Two hosts and what is between them, each in a network of its own, joined by veth pairs.

A network lives as long as a process that sleeps in it, and that one dies with the benchmark:
nothing has a name, and nothing is left behind.
"""

import json
import math
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from .cores import others
from .peers.processes import Processes
from .peers.threads import cpu_seconds

HOSTS = ("left", "right")
MIDDLE = "middle"
DEVICES = ("in0", "out0")  # in the middle, towards the left and the right host
HOST_DEVICE = "eth0"
ECHO_PORT, IPERF_PORT = 7777, 5201
LIMIT = 60.0  # seconds for a program that does not end
SETTLE = 0.2  # seconds before a rate counts
LISTENS = f":{IPERF_PORT:04X} "


class Layout(NamedTuple):
    """Addresses of the hosts by their names, and of their routers, if they have any.

    Small frames are sent to an address that is nobody's.
    """

    addresses: Mapping[str, str]
    routers: Mapping[str, str]
    nobody: str


ONE_LINK = Layout({"left": "10.1.0.1", "right": "10.1.0.2"}, {}, "10.1.0.9")
ROUTED = Layout(
    {"left": "10.1.0.1", "right": "10.2.0.1"},
    {"left": "10.1.0.254", "right": "10.2.0.254"},
    "10.2.0.9",
)
PREFIX = 24  # bits of a link
ROUTER_MACS = {"left": bytes.fromhex("020000000001"), "right": bytes.fromhex("020000000003")}
NOBODY_MAC = bytes.fromhex("020000000009")


class Delivered(NamedTuple):
    """What came out at the other side in a second, and for a second of CPU of who carried it."""

    rate: float
    efficiency: float


class RoundTrip(NamedTuple):
    """Microseconds there and back."""

    p50: float
    p99: float


def pinned(core: int) -> list[str]:
    """Return the words before a command that keep it on a core."""
    return ["taskset", "--cpu-list", str(core)]


def cpu_time(pid: int | None) -> float:
    """Return the CPU time of all threads of a process; NaN if it is none."""
    if pid is None:
        return math.nan
    return sum(map(cpu_seconds, Path(f"/proc/{pid}/task").iterdir()))


class Wires:
    """The networks, with their addresses and no switch."""

    def __init__(self, traffic: Path, offloads: bool, layout: Layout = ONE_LINK) -> None:
        """Make them; without offloads hosts send TCP and UDP with their checksums done."""
        self.processes = Processes()
        self.layout = layout
        self._traffic = str(traffic)
        self._networks: dict[str, int] = {}
        try:
            for place in (*HOSTS, MIDDLE):
                self._add_network(place)
            for host, device in zip(HOSTS, DEVICES, strict=True):
                self._cable(host, device, offloads)
            self._echo = self._in("right", *self._beside(), self._traffic, "echo", str(ECHO_PORT))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End what runs in them; they go with it."""
        self.processes.close()

    def command(self, place: str, *words: str) -> list[str]:
        """Make the command line that runs a program in one of the networks."""
        return ["nsenter", f"--net=/proc/{self._networks[place]}/ns/net", "--", *words]

    def run(self, place: str, *words: str) -> str:
        """Run a program in one of the networks to its end; return what it printed."""
        command = self.command(place, *words)
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def delivered(self, seconds: float, carrier: int | None) -> Delivered:
        """Let the left host send small frames as fast as it can; measure what the right one gets.

        'carrier' is the process between them; None is the kernel, whose CPU time nobody knows.
        """
        flow = (self.layout.addresses["left"], self.layout.nobody)
        with self._meanwhile("left", self._traffic, "send", HOST_DEVICE, *flow):
            time.sleep(SETTLE)
            before, spent, start = self._received(), cpu_time(carrier), time.monotonic()
            time.sleep(seconds)
            count = self._received() - before
            wall = time.monotonic() - start
            spent = cpu_time(carrier) - spent
        if not count:
            raise RuntimeError(f"no frame came through:\n{self.processes.log.read_text()}")
        return Delivered(count / wall, count / spent)

    def stream(self, seconds: float) -> float:
        """Send by one connection of TCP from left to right; return bits a second.

        A second is the least: of half of one, iperf3 makes none, and that is for ever.
        """
        server = ("iperf3", "--server", "--one-off", "--port", str(IPERF_PORT))
        client = (
            *("iperf3", "--client", self.layout.addresses["right"], "--json"),
            *("--time", str(max(1, round(seconds)))),
        )
        with self._meanwhile("right", *server):
            self.processes.wait(self._listens, "iperf3")
            said = json.loads(self.run("left", *self._beside(), *client))
        if "sum_received" not in said["end"]:
            raise RuntimeError(f"iperf3: {said.get('error', 'no figure at its end')}")
        return float(said["end"]["sum_received"]["bits_per_second"])

    def round_trip(self, count: int) -> RoundTrip:
        """Send so many datagrams from left to right and back, one after the other."""
        words = ("ping", self.layout.addresses["right"], str(ECHO_PORT), str(count))
        said = self.run("left", *self._beside(), self._traffic, *words)
        p50, p99 = (float(number) / 1e3 for number in said.split())
        return RoundTrip(p50, p99)

    def wait_joined(self) -> None:
        """Wait until the hosts hear each other."""

        def joined() -> bool:
            try:
                self.round_trip(1)
            except RuntimeError:
                return False
            return True

        self.processes.wait(joined, "way from host to host")

    def _add_network(self, place: str) -> None:
        pid = self.processes.start(["unshare", "--net", "sleep", "infinity"], {})
        own = os.readlink("/proc/self/ns/net")

        def apart() -> bool:
            try:
                return os.readlink(f"/proc/{pid}/ns/net") != own
            except OSError:
                return False

        self.processes.wait(apart, "network")
        self._networks[place] = pid
        quiet = "for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > $f; done"
        self.run(place, "sh", "-c", f"{quiet}; ip link set lo up")

    def _cable(self, host: str, device: str, offloads: bool) -> None:
        here, there = str(self._networks[host]), str(self._networks[MIDDLE])
        self.run(
            host,
            *("ip", "link", "add", HOST_DEVICE, "netns", here, "type", "veth"),
            *("peer", "name", device, "netns", there),
        )
        self.run(MIDDLE, "ip", "link", "set", device, "up")
        self.run(host, "ip", "link", "set", HOST_DEVICE, "up")
        address = f"{self.layout.addresses[host]}/{PREFIX}"
        self.run(host, "ip", "address", "add", address, "dev", HOST_DEVICE)
        if router := self.layout.routers.get(host):
            self.run(host, "ip", "route", "add", "default", "via", router)
        if not offloads:
            self.run(host, "ethtool", "-K", HOST_DEVICE, "tx", "off")

    @contextmanager
    def _meanwhile(self, place: str, *words: str) -> Iterator[None]:
        command = self.command(place, *self._beside(), *words)
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            yield
            if process.poll():
                assert process.stderr
                raise RuntimeError(f"{' '.join(words)} ended: {process.stderr.read()}")
        finally:
            process.kill()
            process.communicate()

    def _received(self) -> int:
        for line in Path(f"/proc/{self._echo}/net/dev").read_text().splitlines():
            name, _, numbers = line.partition(":")
            if name.strip() == HOST_DEVICE:
                return int(numbers.split()[1])
        raise RuntimeError(f"no {HOST_DEVICE} at the right host")

    def _listens(self) -> bool:
        sockets = (Path(f"/proc/{self._echo}/net/{kind}") for kind in ("tcp", "tcp6"))
        return any(LISTENS in file.read_text() for file in sockets if file.exists())

    def _in(self, place: str, *words: str) -> int:
        return self.processes.start(self.command(place, *words), {})

    @staticmethod
    def _beside() -> Sequence[str]:
        return pinned(min(others()))
