"""A process that may or may not be a child of ours, known by its descriptor."""

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ..component.memory import as_at_first
from ..message.exhaustion import EXIT_CODE
from .cgroup import Group

LIMIT = re.compile(r"^Max data size +(\d+) ", re.MULTILINE)  # the soft one, proc(5)
#: How a process may end that gets no memory: by itself, or by a library that takes it for given
#: (libzmq aborts).
WANT_OF_MEMORY = (EXIT_CODE, -signal.SIGABRT, -signal.SIGSEGV)


class Child:
    """Watch a process; *ended* is done when it is gone and says how."""

    def __init__(
        self,
        pid: int,
        process: subprocess.Popen[bytes] | None = None,
        group: Group | None = None,
    ) -> None:
        self.pid = pid
        self._group = group
        self._kills = group.kills() if group else 0
        self.adopted = process is None
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._pidfd = os.pidfd_open(pid)  # ProcessLookupError if it is gone already
        self._loop.add_reader(self._pidfd, self._gone)

    @classmethod
    def start(
        cls, command: Sequence[str], group: Group | None = None, oom_score: int = 0
    ) -> "Child":
        """Start a process in a session of its own, so that it outlives us."""
        with as_at_first():
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            if group:
                group.take(process.pid)
            if oom_score > int(
                Path("/proc/self/oom_score_adj").read_text()
            ):  # never less than ours
                Path(f"/proc/{process.pid}/oom_score_adj").write_text(str(oom_score))
            return cls(process.pid, process, group)
        except OSError:
            process.kill()
            process.wait()
            raise

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if the process is still there."""
        if not self.ended.done():
            signal.pidfd_send_signal(self._pidfd, number)

    def works(self) -> bool:
        """Tell whether its event loop has a processor, waits for one or for a disk (proc(5))."""
        try:
            stat = Path(f"/proc/{self.pid}/task/{self.pid}/stat").read_text()
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] in ("R", "D")

    async def stop(self, patience: float) -> None:
        """Ask the process to end, then make it."""
        self.send(signal.SIGTERM)
        self.send(signal.SIGCONT)  # a stopped process would not hear it
        await asyncio.wait([self.ended], timeout=patience)
        self.send(signal.SIGKILL)
        await self.ended

    def forget(self) -> None:
        """Stop watching."""
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def _gone(self) -> None:
        how = self._how()
        self.forget()
        self.ended.set_result(how)

    def _how(self) -> str:
        if self._process is None:
            return "ended"
        limit = _memory_limit(self.pid)  # it is not known any more once it was waited for
        code = self._process.wait()
        if code == -signal.SIGKILL and self._group and self._group.kills() > self._kills:
            return "was killed by the kernel: its group ran out of memory"
        if limit and code in WANT_OF_MEMORY:
            return f"{_cause(code)}; its limit is {limit} MiB"
        return _cause(code)


def _cause(code: int) -> str:
    if code == EXIT_CODE:
        return "ran out of memory"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name
        return f"was killed by signal {-code}"


def _memory_limit(pid: int) -> int | None:
    """Return the RLIMIT_DATA of a process in MiB, also of a zombie; None if it has none."""
    try:
        found = LIMIT.search(Path(f"/proc/{pid}/limits").read_text())
    except OSError:
        return None
    return int(found[1]) >> 20 if found else None
