"""How long a killed dataplane is missed: from `kill -9` to the first packet forwarded again.

Everything runs as an operator has it, with a supervisor, a controller that stays connected, and
two cables into a network namespace. One frame is sent over and over, which matches the last of
the flows; the first that arrives of those sent after the death ends the run.
"""

import os
import signal
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from raicho.control.component import holder
from raicho.control.message import CallError, CommitSession, Edit, Op, Set, Stats

from .cables import lay
from .controller import Controller
from .harness import Goal, Row, sample
from .peers.processes import Processes, enter_own_network
from .peers.raicho import TREE, ask, is_ready
from .standing import Standing
from .workload import IN_PORT, OUT_PORT, exact_rules, frames_of, random_flows

COUNTS = {1: None, 100_000: Goal(value=2.0)}
COMPONENTS = ("bus", "datastore", "dataplane", "openflow")
CABLES = {"rb-in": IN_PORT, "rb-out": OUT_PORT}
INTERVAL = 0.001  # seconds between frames
LIMIT = 60.0  # seconds after which it does not come back
SEQUENCE = 48  # where in the frame its number stands, of which tables know nothing


class Site(Standing):
    """A switch with so many flows, and both ends of its cables."""

    def __init__(self, count: int, seed: int) -> None:
        super().__init__()
        self._controller = self._closing.enter_context(Controller())
        self._processes = Processes()
        self._closing.callback(self._processes.close)
        self._run = self._processes.folder / "run"
        flows = random_flows(np.random.default_rng(seed), count)
        self._rules = exact_rules(flows)
        self._frame = frames_of(flows)[-1].tobytes()
        self._count, self._sent = count, 0

    def _set_up(self) -> None:
        self._source, self._sink = (lay(name, self._closing) for name in CABLES)
        self._start()
        self._configure()
        self._controller.accept()
        self._controller.write(self._rules)
        self._wait(self._is_copied, "copy of the flows")

    def outage(self) -> float:
        """Kill the dataplane; return the seconds until it forwards again."""
        self._until_forwarded(self._sent)
        pid = holder(self._run, "dataplane")
        assert pid is not None, "no dataplane runs"
        begin = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        while holder(self._run, "dataplane") == pid:
            time.sleep(INTERVAL)
        self._until_forwarded(self._sent)
        took = time.perf_counter() - begin
        self._wait(self._is_filled, "dataplane with all flows")
        self._wait(self._is_copied, "copy of the flows")
        self._replace_supervisor()
        return took

    def _replace_supervisor(self) -> None:
        """Let another one take over, which does not know of the death: it would wait longer."""
        pid = holder(self._run, "supervisor")
        assert pid is not None, "no supervisor runs"
        self._processes.kill(pid)
        self._supervise()
        self._wait(partial(is_ready, self._run, "supervisor"), "supervisor that is ready")

    def _until_forwarded(self, first: int) -> None:
        """Send frames until one of those from number *first* on arrives."""
        deadline = time.perf_counter() + LIMIT
        while True:
            frame = self._frame[:SEQUENCE] + self._sent.to_bytes(8)
            self._source.send(frame + self._frame[SEQUENCE + 8 :])
            self._sent += 1
            time.sleep(INTERVAL)
            if any(number >= first for number in self._arrived()):
                return
            if time.perf_counter() > deadline:
                raise RuntimeError(f"no packet came:\n{self._processes.log.read_text()}")

    def _arrived(self) -> Iterator[int]:
        try:
            while frame := self._sink.recv(2048):
                if frame[:SEQUENCE] == self._frame[:SEQUENCE]:  # the host sends on it too
                    yield int.from_bytes(frame[SEQUENCE : SEQUENCE + 8])
        except BlockingIOError:
            return

    def _supervise(self) -> None:
        command = [sys.executable, "-m", "raicho.control.supervisor", "--run-dir", str(self._run)]
        paths = {"PYTHONPATH": os.pathsep.join([str(TREE), *sys.path])}
        self._processes.start([*command, "--data", str(self._run / "config.db")], paths)

    def _start(self) -> None:
        self._supervise()
        for name in COMPONENTS:
            self._wait(partial(is_ready, self._run, name), f"{name} that is ready")

    def _configure(self) -> None:
        bridge = "/raicho/bridge[name='bench']"
        where = {"address": "127.0.0.1", "port": self._controller.port, "inactivity-probe": 0}
        ops: list[Op] = [Set(f"{bridge}/controller[name='c']", where)]
        for name, number in CABLES.items():
            ops.append(Set(f"/raicho/port[name='{name}']", {"kind": "af_packet", "device": name}))
            ops.append(Set(f"{bridge}/port[name='{name}']/number", number))
        ask(self._run, "datastore", Edit("bench", ops))
        ask(self._run, "datastore", CommitSession("bench"), 20)

    def _wait(self, true: Callable[[], bool], what: str) -> None:
        self._processes.wait(true, what)

    def _is_filled(self) -> bool:
        """Tell whether the dataplane has all flows."""
        try:
            bridges = ask(self._run, "dataplane", Stats(["bridges"]), 1).data["bridges"]
        except CallError:
            return False
        return bool(bridges.get("bench", {}).get("flows") == self._count)

    def _is_copied(self) -> bool:
        """Tell whether the agent has the flows in its copy, and no changes beside it."""
        try:
            sizes = ask(self._run, "openflow", Stats(["openflow"])).data["openflow"]["copied"]
        except CallError:
            return False
        return bool(sizes["bench"]["copy"] >= len(self._rules) and not sizes["bench"]["journal"])


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--flows", type=int, choices=COUNTS, action="append", help="only so many; repeatable"
    )


def rows(options: Namespace) -> Iterator[Row]:
    """Kill the dataplane over and over."""
    enter_own_network()
    for count, goal in COUNTS.items():
        if not options.flows or count in options.flows:
            with Site(count, options.seed) as site:
                runs = sample(site.outage, options.runs)
            name = f"missed after kill -9, {count:,} flows"
            yield Row(name, "s", runs, goal=goal, more_is_better=False)
