"""raicho: the real processes, as the supervisor would start them, in a folder of their own."""

import asyncio
import os
import sys
from pathlib import Path
from typing import TypeVar

import zmq

from raicho.control.message import (
    CallError,
    CommitSession,
    ControlClient,
    Edit,
    Info,
    Op,
    Request,
    Set,
)

from .processes import Processes, resident

TREE = Path(__file__).parents[2] / "build" / "tree"
R = TypeVar("R")


class Raicho:
    """The switch of this checkout, without a supervisor: nothing is to be restarted."""

    MODULES: tuple[str, ...] = ("control.bus", "control.datastore", "dataplane", "control.openflow")

    def __init__(self) -> None:
        self._processes = Processes()
        self._run = self._processes.folder
        self._pids: dict[str, int] = {}

    def start(self, port: int) -> None:
        """Start the components and give them a bridge with a controller."""
        for module in self.MODULES:
            name = module.rpartition(".")[2]
            data = ["--data", str(self._run / "config.db")] if name == "datastore" else []
            command = [sys.executable, "-m", f"raicho.{module}", "--run-dir", str(self._run), *data]
            paths = {"PYTHONPATH": os.pathsep.join([str(TREE), *sys.path])}
            self._pids[name] = self._processes.start(command, paths)
        self._processes.wait(lambda: all(map(self._ready, self._pids)), "component ready")
        where = {"address": "127.0.0.1", "port": port, "max-backoff": 1, "inactivity-probe": 0}
        bridge = "/raicho/bridge[name='bench']"
        self.commit(Set(f"{bridge}/controller[name='c']", where))

    @property
    def folder(self) -> Path:
        """Where the sockets of the components are."""
        return self._run

    def pid(self, name: str) -> int:
        """Return the process of a component."""
        return self._pids[name]

    def pids(self) -> list[int]:
        """Return the processes of all components."""
        return list(self._pids.values())

    def commit(self, *ops: Op) -> None:
        """Make edits current in one transaction."""
        self._ask("datastore", Edit("bench", list(ops)))
        self._ask("datastore", CommitSession("bench"), 20)

    def resident(self) -> int:
        """Return the bytes of memory of the dataplane."""
        return resident(self._pids["dataplane"])

    def close(self) -> None:
        """End the components."""
        self._processes.close()

    def _ready(self, name: str) -> bool:
        return is_ready(self._run, name)

    def _ask(self, name: str, request: Request[R], timeout: float = 20) -> R:
        return ask(self._run, name, request, timeout)


def ask(run_dir: Path, name: str, request: Request[R], timeout: float = 20) -> R:
    """Send a component a request; return its reply."""

    async def once() -> R:
        context = zmq.Context()
        client = ControlClient(context, f"ipc://{run_dir}/{name}.control")
        try:
            return await client.call(request, timeout)
        finally:
            client.close()
            context.destroy(linger=0)

    return asyncio.run(once())


def is_ready(run_dir: Path, name: str) -> bool:
    """Tell whether a component is there and at work."""
    try:
        return ask(run_dir, name, Info(), 1).state == "ready"
    except CallError:
        return False
