"""What tests of the control plane share: a ZeroMQ context, processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from raicho.control.component import holder

TREE = str(Path(__file__).parents[2] / "build/tree")


@pytest.fixture
def context() -> Iterator[zmq.SyncContext]:
    """Give a context that closes what a test leaves open."""
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


class Processes:
    """Start components as processes in *run_dir*; end them all, however a test ends."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, module: str, *arguments: str | Path, **environment: str) -> int:
        """Start a component and return its PID."""
        command = [sys.executable, "-m", module, "--run-dir", self.run_dir, *arguments]
        process = subprocess.Popen(command, env=self.environment(**environment))
        self._started.append(process)
        return process.pid

    def environment(self, **more: str) -> dict[str, str]:
        """Return an environment in which this checkout is imported."""
        paths = [*more.pop("path", "").split(":"), TREE, os.environ.get("PYTHONPATH", "")]
        return {**os.environ, "PYTHONPATH": ":".join(filter(None, paths)), **more}

    def kill(self, pid: int) -> None:
        """Kill -9 one that was started here, and reap it."""
        process = next(process for process in self._started if process.pid == pid)
        process.kill()
        process.wait()

    def wait(self, pid: int) -> int:
        """Return the exit code of one that was started here."""
        process = next(process for process in self._started if process.pid == pid)
        return process.wait(20)

    def end(self) -> None:
        """Kill all that hold an identity in the run directory, and all that were started."""
        for process in reversed(self._started):  # a supervisor would start the others again
            process.kill()
            process.wait()
        for file in self.run_dir.glob("*.pid"):
            if pid := holder(self.run_dir, file.stem):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Give a way to start components."""
    processes = Processes(tmp_path / "run")
    yield processes
    processes.end()


@pytest.fixture(scope="module")
def lasting_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Give a way to start components that all tests of a module share."""
    processes = Processes(tmp_path_factory.mktemp("shared") / "run")
    yield processes
    processes.end()
