"""A full table told again to a routing component that was killed: until the dataplane has it all.

A router runs between two cables, with the side of its host in a namespace of its own. The component
is killed and started again; zebra's part is a stream that is written as fast as it is taken, and
with `--peer zebra` that of the real one, beside somebody who only reads it. Frames to one of the
routes go on all the time, and those that do not arrive are counted.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from raicho.control.message import CallError, CommitSession, Edit, Get, Op, Set
from raicho.control.routing.namespace import inside

from . import goals, zebra
from .cables import lay
from .harness import Row, in_turn, sample
from .needs import require
from .peers.processes import Processes, enter_own_network
from .peers.raicho import TREE, ask, is_ready
from .standing import Standing
from .workload import ROUTER, Flows, frames_of

ROUTES = 100_000
LAN, WAN = "rb-lan", "rb-wan"
ADDRESSES = {LAN: "10.0.1.1/24", WAN: "10.0.2.1/24"}
MAC = {name: (ROUTER + 2 * i).to_bytes(6).hex(":") for i, name in enumerate(ADDRESSES)}
NEIGHBOUR = "10.0.2.2"
SOURCE = 0x0A000102  # 10.0.1.2
PATH = "/raicho/router[name='r']"
COMPONENTS = ("control.datastore", "dataplane")
LOOK = 0.01  # seconds between looks
INTERVAL = 0.001  # seconds between frames
SEQUENCE = 48  # where in the frame its number stands, of which tables know nothing
LIMIT = 60.0  # seconds after which not all comes
LATE = 1.0  # seconds after which a frame does not come any more


class Again(NamedTuple):
    """Seconds from zebra's connection, and from the death, until the dataplane has all."""

    connected: float
    killed: float


class Frames:
    """Frames that go on to one of the routes."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self._source, self._sink = source, sink
        destination = np.array([zebra.FIRST + 1], np.uint64)
        port = np.array([9], np.uint64)
        flow = Flows(np.array([SOURCE], np.uint64), destination, port, port)
        self._frame = frames_of(flow)[0].tobytes()
        self._sent = 0

    def through(self) -> bool:
        """Send one; return whether any has arrived."""
        self._send()
        time.sleep(INTERVAL)
        return any(self._arrived())

    def go_on(self, done: threading.Event) -> int:
        """Send until *done*; return how many did not arrive."""
        first = self._sent
        here: set[int] = set()
        while not done.wait(INTERVAL):
            self._send()
            here.update(self._arrived())
        end = time.monotonic() + LATE
        wanted = set(range(first, self._sent))
        while not wanted <= here and time.monotonic() < end:
            time.sleep(INTERVAL)
            here.update(self._arrived())
        return len(wanted - here)

    def _send(self) -> None:
        number = self._sent.to_bytes(8)
        self._source.send(self._frame[:SEQUENCE] + number + self._frame[SEQUENCE + 8 :])
        self._sent += 1

    def _arrived(self) -> Iterator[int]:
        try:
            while frame := self._sink.recv(2048):
                if frame[26:34] == self._frame[26:34]:  # both addresses: others are there too
                    yield int.from_bytes(frame[SEQUENCE : SEQUENCE + 8])
        except BlockingIOError:
            return


class Site(Standing):
    """A router that has so many routes from a stream, and frames to one of them."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.namespace = f"rcb{os.getpid()}"
        self.processes = Processes()
        self._closing.callback(self.processes.close)
        self._run = self.processes.folder / "run"
        self._count = count
        self._pid = 0  # of the component
        self._connection: socket.socket | None = None
        self.lost: list[int] = []  # frames, by run

    def _set_up(self) -> None:
        subprocess.run(["ip", "netns", "add", self.namespace], check=True)
        self._closing.callback(
            subprocess.run, ["ip", "netns", "delete", self.namespace], check=True
        )
        subprocess.run(["ip", "-n", self.namespace, "link", "set", "lo", "up"], check=True)
        ends = {name: lay(name, self._closing) for name in ADDRESSES}
        address = ["ip", "address", "add", f"{NEIGHBOUR}/24", "dev", f"{WAN}-x"]
        subprocess.run(address, check=True)
        for module in COMPONENTS:
            self._start(module)
        for module in COMPONENTS:
            name = module.rpartition(".")[2]
            self.processes.wait(partial(is_ready, self._run, name), f"{name} that is ready")
        self._configure()
        interface = inside(self.namespace, partial(socket.if_nametoindex, WAN))
        self._said = zebra.stream(self._count, interface, NEIGHBOUR)
        self._start("control.routing")
        self._be_zebra()
        self._frames = Frames(ends[LAN], ends[WAN])
        self.processes.wait(self._frames.through, "frame")

    def by_stream(self) -> Again:
        """Kill the component, and be zebra for the next one."""
        return self._again(self._be_zebra)

    def by_zebra(self) -> float:
        """Kill the component, and let zebra find the next one; return seconds from then on."""
        return self._again(self._wait_for_zebra).connected

    def start_zebra(self) -> None:
        """Let there be zebra with the same routes."""
        zebra.start(self.processes, self.namespace, self._count, WAN, NEIGHBOUR)

    def only_read(self) -> float:
        """Return the seconds that zebra needs for who only reads, in the place of the component."""
        self._kill()
        return zebra.read(self.namespace, self._count)

    def _again(self, until_all: Callable[[], float]) -> Again:
        done = threading.Event()
        lost: list[int] = []
        frames = threading.Thread(target=lambda: lost.append(self._frames.go_on(done)))
        frames.start()
        try:
            begin = time.perf_counter()
            self._kill()
            self._start("control.routing")
            connected = until_all()
            end = time.perf_counter()
        finally:
            done.set()
            frames.join()
        self.lost += lost
        return Again(end - connected, end - begin)

    def _be_zebra(self) -> float:
        """Tell all; return when the component had taken the connection."""
        self.processes.wait(self._hears, "component that hears zebra")
        assert self._connection
        with closing(self._connection) as connection:
            begin = time.perf_counter()
            connection.sendall(self._said)
            self._wait(self._has_all)
        return begin

    def _hears(self) -> bool:
        try:
            self._connection = zebra.connect(self.namespace)
        except OSError:
            return False
        return True

    def _wait_for_zebra(self) -> float:
        self._wait(lambda: self._state().get("zebra", "awaited") != "awaited")
        begin = time.perf_counter()
        self._wait(self._has_all)
        return begin

    def _has_all(self) -> bool:
        state = self._state()
        return bool(state) and state["routes"]["fpm"] >= self._count and not state["waiting"]["fpm"]

    def _state(self) -> dict[str, Any]:
        """Return the state of the component; nothing if there is none."""
        try:
            found: dict[str, Any] = ask(self._run, "routing", Get(PATH), 5).data
        except CallError:
            return {}
        return found

    def _wait(self, true: Callable[[], bool]) -> None:
        """Look more often than others do: this is what is measured."""
        deadline = time.monotonic() + LIMIT
        while not true():
            if time.monotonic() > deadline:
                raise RuntimeError(f"not all routes came:\n{self.processes.log.read_text()}")
            time.sleep(LOOK)

    def _kill(self) -> None:
        if self._pid:
            self.processes.kill(self._pid)
            self._pid = 0

    def _start(self, module: str) -> None:
        command = [sys.executable, "-m", f"raicho.{module}", "--run-dir", str(self._run)]
        if module == "control.datastore":
            command += ["--data", str(self.processes.folder / "config.db")]
        paths = {"PYTHONPATH": os.pathsep.join([str(TREE), *sys.path])}
        self._pid = self.processes.start(command, paths)

    def _configure(self) -> None:
        ops: list[Op] = [
            Set(f"{PATH}/host-namespace", self.namespace),
            Set(f"{PATH}/routing/kernel-routes", "none"),  # zebra tells of them
        ]
        for name, address in ADDRESSES.items():
            ops.append(Set(f"/raicho/port[name='{name}']", {"kind": "af_packet", "device": name}))
            interface = {"port": name, "mac": MAC[name], "host": True, "address": [address]}
            ops.append(Set(f"{PATH}/interface[name='{name}']", interface))
        ask(self._run, "datastore", Edit("bench", ops))
        ask(self._run, "datastore", CommitSession("bench"), 20)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--routes", type=int, default=ROUTES, help=f"how many (default {ROUTES})")
    more = "measure with the real one too"
    parser.add_argument("--peer", choices=("zebra",), action="append", default=[], help=more)


def rows(options: Namespace) -> Iterator[Row]:
    """Kill the component over and over."""
    require("resync", ("ip", "nsenter"), ("iproute2", "util-linux"))
    if options.peer:
        require("zebra", (zebra.PROGRAM,), ("frr",))
    enter_own_network()
    with Site(options.routes) as site:
        found = sample(site.by_stream, options.runs)
        yield row(options, "stream", [each.connected for each in found])
        name = f"{options.routes:,} routes from kill -9 on"
        yield Row(name, "s", [each.killed for each in found], more_is_better=False)
        if options.peer:
            site.start_zebra()
            ((again, paces),) = in_turn(site.by_zebra, [site.only_read], options.runs)
            yield row(options, "zebra", again, paces)
        lost = [float(each) for each in site.lost]
        yield Row("packets lost", "packets", lost, goal=goals.RESYNC["lost"], more_is_better=False)


def row(options: Namespace, whose: str, runs: list[float], paces: Sequence[float] = ()) -> Row:
    """Make the row of a table that was told again, beside the pace of who tells it."""
    return Row(
        f"{options.routes:,} routes again, by {whose}",
        "s",
        runs,
        peer="who only reads" if paces else None,
        peer_runs=paces,
        goal=goals.RESYNC["again"] if options.routes == ROUTES else None,
        more_is_better=False,
    )
