"""Network namespaces, veth pairs and processes that always go away again.

A Lab names everything after the process that made it (`rch<pid>-<name>`), so that what a killed
run left behind can be told from what another run uses. Devices exist only inside namespaces of
the lab; nothing of the host's own network is read or changed.
"""

import atexit
import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from .needs import find

PREFIX = "rch"
NETNS = Path("/run/netns")  # where ip(8) keeps them
PATIENCE = 180.0  # seconds: the host may have much else to do
OWNED = re.compile(rf"{PREFIX}(\d+)-\S+")


class CommandError(RuntimeError):
    """A command of the lab failed; the text carries what it printed."""


def run(*argv: str, check: bool = True, timeout: float = 60) -> str:
    """Run a command to its end and return what it printed."""
    done = subprocess.run(
        [find(argv[0]) or argv[0], *argv[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    if check and done.returncode:
        raise CommandError(f"{' '.join(argv)} ended with {done.returncode}: {done.stdout.strip()}")
    return done.stdout


def wait_until(true: Callable[[], object], what: str, timeout: float = PATIENCE) -> None:
    """Wait for a condition; the text of the error says which one never came."""
    end = time.monotonic() + timeout
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout:g} s in vain for {what}")
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@dataclass(frozen=True)
class Namespace:
    """One network namespace of a lab."""

    name: str

    def command(self, *argv: str) -> list[str]:
        """Make the command line that runs 'argv' inside.

        `ip netns exec` would also mount /sys anew, which a plain chroot does not allow.
        """
        program = find(argv[0]) or argv[0]
        return [find("nsenter") or "nsenter", f"--net={NETNS}/{self.name}", program, *argv[1:]]

    def run(self, *argv: str, check: bool = True, timeout: float = 60) -> str:
        return run(*self.command(*argv), check=check, timeout=timeout)

    def ip(self, *argv: str) -> str:
        return self.run("ip", *argv)

    def pids(self) -> list[int]:
        return [int(pid) for pid in run("ip", "netns", "pids", self.name, check=False).split()]


@dataclass
class Lab:
    """Owns namespaces and processes; `close` removes all of them, in any state."""

    namespaces: dict[str, Namespace] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __enter__(self) -> Self:
        sweep()
        atexit.register(self.close)
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
        atexit.unregister(self.close)

    def namespace(self, name: str, ipv6: bool = False) -> Namespace:
        """Add a namespace; without IPv6 its devices send nothing on their own."""
        space = Namespace(f"{PREFIX}{os.getpid()}-{name}")
        run("ip", "netns", "add", space.name)
        self.namespaces[name] = space
        if not ipv6:
            for scope in ("all", "default"):
                setting = f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"
                space.run("sh", "-c", f"test ! -e {setting} || echo 1 > {setting}")
        space.ip("link", "set", "lo", "up")
        return space

    def cable(self, a: Namespace, a_device: str, b: Namespace, b_device: str) -> None:
        """Join two namespaces with a veth pair, both ends up."""
        run(
            *("ip", "link", "add", a_device, "netns", a.name),
            *("type", "veth", "peer", "name", b_device, "netns", b.name),
        )
        a.ip("link", "set", a_device, "up")
        b.ip("link", "set", b_device, "up")

    def start(
        self,
        argv: Sequence[str],
        log: Path,
        inside: Namespace | None = None,
        env: dict[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a process that ends with the lab; it writes to 'log'."""
        command = inside.command(*argv) if inside else list(argv)
        with log.open("ab") as out:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=env,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def close(self) -> None:
        """End the processes, then remove the namespaces with all that is in them."""
        for process in self.processes:
            _end(process)
        self.processes.clear()
        for space in self.namespaces.values():
            _remove(space)
        self.namespaces.clear()


def _end(process: subprocess.Popen[bytes], patience: float = 30) -> None:
    """Ask a process of ours to end, then make it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait(patience)


def _remove(space: Namespace) -> None:
    """Remove a namespace of a lab and whatever still runs inside."""
    for pid in space.pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    run("ip", "netns", "delete", space.name, check=False)


def _leftovers() -> Iterator[Namespace]:
    for line in run("ip", "netns", "list", check=False).splitlines():
        name = line.split()[0]
        owner = OWNED.fullmatch(name)
        if owner and not alive(int(owner[1])):
            yield Namespace(name)


def sweep() -> None:
    """Remove what labs of dead processes left behind."""
    for space in list(_leftovers()):
        _remove(space)
