"""Which core what is measured runs on, and that nothing waits behind others there.

The measured thread gets the last core that this process may use, everything else the rest.
"""

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")
FIRST = -18  # the nice value of the whole session; -20 would starve what counts the packets


def measured() -> int:
    """The core of the worker, the PMD, the floor: each has it while its turn is."""
    return max(os.sched_getaffinity(0))


def others() -> set[int]:
    """The cores for all the rest; the same one if there is no other."""
    return os.sched_getaffinity(0) - {measured()} or {measured()}


def pin(core: int | None) -> None:
    """Keep the calling thread on one core; None leaves it where it is."""
    if core is not None:
        os.sched_setaffinity(threading.get_native_id(), {core})


def run(program: Path, *arguments: object) -> str:
    """Run a program on the measured core and return what it prints; raise what it complains of."""
    done = subprocess.run(
        [str(program), *map(str, arguments)],
        capture_output=True,
        text=True,
        preexec_fn=partial(os.sched_setaffinity, 0, {measured()}),
    )
    if done.returncode:
        raise RuntimeError(f"{program}: {done.stderr.strip()}")
    return done.stdout


@contextlib.contextmanager
def first() -> Iterator[None]:
    """Let this session go before others, if the host allows that, and give it back afterwards.

    The nice value of a process counts only within its session, so it would change nothing.
    """
    try:
        before = AUTOGROUP.read_text().split()[-1]
        AUTOGROUP.write_text(str(FIRST))
    except (OSError, IndexError):
        yield
        return
    try:
        yield
    finally:
        AUTOGROUP.write_text(before)
