"""Two namespaces: the tester in one, the switch under test and the controller in the other.

      tester (A)                        target (B)
+--------------------+           +--------------------+
|  Open vSwitch 1 ---+-----------+--- 1  the switch   |
|               2 ---+-----------+--- 2  under test   |
|               3 ---+-----------+--- 3               |
+---------+----------+           +---------+----------+
          | Unix socket                    | 127.0.0.1
          +----------- the tool (B) -------+
"""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from system.lab import Lab

from . import load
from .environment import PYTHON, Files
from .openvswitch import OpenVswitch
from .results import NOT_RUN, Verdict
from .targets import Target

TARGET, TESTER = 1, 2  # datapath ids
PORTS = (1, 2, 3)
CONTROLLER_PORT = 6653
SILENCE = 240.0  # seconds without a verdict after which the tool counts as stuck
POLL = 0.1


class Site:
    """What stands for one run; the lab that it is given removes all of it."""

    def __init__(self, lab: Lab, folder: Path, kind: type[Target]) -> None:
        self.lab = lab
        self.folder = folder
        self.log = folder / "tool.log"
        self._verdicts = folder / "verdicts"
        self._here, self._there = lab.namespace("tester"), lab.namespace("target")
        for number in PORTS:
            lab.cable(self._here, f"a{number}", self._there, f"b{number}")
        self._tester = OpenVswitch(lab, self._here, folder / "tester")
        self.target = kind(lab, self._there, folder / "target")

    def run(
        self, files: Files, settle: float, load_seconds: float | None, timeout: float
    ) -> Iterator[Verdict]:
        """Start everything and yield the verdicts as they come: one for each case, run or not."""
        self._start(list(files), settle, load_seconds)
        missing = {(file, n) for file, count in files.items() for n in range(1, count + 1)}
        for verdict in self._follow(timeout):
            missing.discard((verdict.file, verdict.number))
            yield verdict
            if not missing:
                return
        for file, number in sorted(missing):
            yield Verdict(file, number, "", False, NOT_RUN)

    def _start(self, files: Sequence[str], settle: float, load_seconds: float | None) -> None:
        self._verdicts.touch()
        self._tester.start()
        meeting = self._tester.folder / "controller.sock"
        job = {
            "files": files,
            "verdicts": str(self._verdicts),
            "port": CONTROLLER_PORT,
            "socket": str(meeting),
            "target": TARGET,
            "tester": TESTER,
            "settle": settle,
            "sender": self._here.command(sys.executable, load.__file__, f"a{PORTS[0]}"),
            "load_seconds": load_seconds,
        }
        command = [str(PYTHON), "-m", "conformance.tool", json.dumps(job)]
        paths = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[1])}
        self._tool = self.lab.start(command, self.log, self._there, paths)
        self.target.start(TARGET, [f"b{number}" for number in PORTS], CONTROLLER_PORT)
        self._tester.bridge(TESTER, [f"a{number}" for number in PORTS], f"unix:{meeting}")

    def _follow(self, timeout: float) -> Iterator[Verdict]:
        """Yield verdicts until the tool ends, is silent for too long, or the time is over."""
        end = time.monotonic() + timeout
        with self._verdicts.open() as lines:
            heard = time.monotonic()
            while (now := time.monotonic()) < min(end, heard + SILENCE):
                ended = self._tool.poll() is not None
                line = lines.readline()
                if line.endswith("\n"):
                    heard = now
                    yield Verdict.read(line)
                elif ended:
                    return
                else:
                    lines.seek(lines.tell() - len(line))
                    time.sleep(POLL)
