"""One process per identity, and who it is: a locked file with the PID in it.

The kernel lets go of the lock when the process ends, however it ends, so a
file that is left behind says nothing and a held one never lies.  Without this
a second copy would take over the first one's ipc sockets without a word.
"""

import fcntl
import os
import time
from pathlib import Path

PATIENCE = 1.0  # seconds for a holder that does not say who it is
PAUSE = 0.001  # seconds between attempts


class AlreadyRunning(Exception):
    """Another process has the identity."""


def path_of(run_dir: Path, identity: str) -> Path:
    """Return the file that *identity* locks."""
    return run_dir / f"{identity}.pid"


class Lock:
    """Hold *identity* for the life of this object or process."""

    def __init__(self, run_dir: Path, identity: str) -> None:
        self._fd = os.open(path_of(run_dir, identity), os.O_RDWR | os.O_CREAT, 0o600)
        last = time.monotonic() + PATIENCE
        while not self._is_taken():
            pid = holder(run_dir, identity)  # None if somebody only looks, or comes or goes
            if pid or time.monotonic() > last:
                os.close(self._fd)
                who = f", as {pid}" if pid else ""
                raise AlreadyRunning(f"{identity} runs already in {run_dir}{who}")
            time.sleep(PAUSE)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)

    def _is_taken(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Let another process have the identity."""
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1


def holder(run_dir: Path, identity: str) -> int | None:
    """Return the PID of the process that has *identity*.

    None if there is none, or one that has just begun or is about to end.
    """
    try:
        fd = os.open(path_of(run_dir, identity), os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.pread(fd, 32, 0).strip() or b"0") or None
    finally:
        os.close(fd)
    return None


def running(run_dir: Path) -> list[str]:
    """Name what runs in a run directory."""
    names = (file.stem for file in sorted(run_dir.glob("*.pid")))
    return [name for name in names if holder(run_dir, name) is not None]
