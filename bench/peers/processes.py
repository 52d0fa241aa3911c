"""Processes that end with the benchmark, however it ends, and a network of their own for them."""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
PATIENCE = 30.0  # seconds for something to be there, or to be gone

_libc = ctypes.CDLL(None, use_errno=True)


def _die_with(parent: int) -> None:
    """Ask the kernel for our end when the benchmark's comes; runs in the child."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class Processes:
    """Processes with one folder and one log."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rcb"))  # short: a socket's path has little room
        self.log = self.folder / "log"
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Start a process; return its PID."""
        return self._start(command, environment, subprocess.DEVNULL).pid

    def converse(self, command: Sequence[str]) -> tuple[int, IO[bytes]]:
        """Start a process that takes commands; return its PID and where they are written."""
        process = self._start(command, {}, subprocess.PIPE)
        assert process.stdin
        return process.pid, process.stdin

    def _start(
        self, command: Sequence[str], environment: Mapping[str, str], stdin: int
    ) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=stdin,
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
                preexec_fn=partial(_die_with, os.getpid()),
            )
        self._started.append(process)
        return process

    def wait(self, true: Callable[[], object], what: str) -> None:
        """Wait for something; if it does not come, show what the processes wrote."""
        end = time.monotonic() + PATIENCE
        while not true():
            if time.monotonic() > end or any(p.poll() is not None for p in self._started):
                raise RuntimeError(f"no {what}:\n{self.log.read_text()}")
            time.sleep(0.02)

    def kill(self, pid: int) -> None:
        """Kill one that was started here, and forget it."""
        process = next(process for process in self._started if process.pid == pid)
        process.kill()
        process.wait()
        self._started.remove(process)

    def close(self) -> None:
        """End them, the last one first, and remove the folder."""
        for process in reversed(self._started):
            if process.stdin:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
            process.terminate()
            process.send_signal(signal.SIGCONT)  # one that is stopped does not hear the other
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._started.clear()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def awake(pid: int) -> Iterator[None]:
    """Let a process run that otherwise stands still while others are measured."""
    os.kill(pid, signal.SIGCONT)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGSTOP)


def resident(pid: int) -> int:
    """Return the bytes of memory that a process has."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "VmRSS":
            return int(value.split()[0]) * 1024
    raise RuntimeError(f"process {pid} says no VmRSS")


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU that a process has used, with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def enter_own_network() -> None:
    """Move this process, and all that it starts from now on, into a network namespace."""
    if _libc.unshare(CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, f"{os.strerror(error)}: a peer needs root")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
