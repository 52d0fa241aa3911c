"""How much memory this process may have: a soft RLIMIT_DATA, which the kernel enforces.

It counts what is private and writable (heap, stacks of threads), and neither the rings that
are shared with the kernel nor huge pages.  The limit is soft, so that it can be
raised again.  A commit may be about anything: only a limit that it changes is
judged and set, as what is in use may be more than a limit by now.
"""

import logging
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MIB = 1 << 20
IN_USE = re.compile(r"^VmData:\s+(\d+) kB$", re.MULTILINE)  # in KiB
FIRST, HARD = resource.getrlimit(resource.RLIMIT_DATA)  # what this process began with

_taken: int | None = None  # the limit that was configured last, in MiB

log = logging.getLogger(__name__)


def in_use() -> int:
    """Return the bytes that count against a limit (proc(5), status: VmData)."""
    found = IN_USE.search(Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) << 10


def limit() -> int | None:
    """Return the limit in MiB, None if there is none."""
    soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return None if soft == resource.RLIM_INFINITY else soft // MIB


def limit_in(config: dict[str, Any], identity: str) -> int | None:
    """Find the limit of *identity* in a configuration tree, in MiB."""
    tree = config.get("raicho", config)
    rows = (row for row in tree.get("process", []) if row.get("name") == identity)
    return next((row.get("memory-limit") for row in rows), None)


def objection(wanted: int | None) -> str | None:
    """Say why the limit cannot become *wanted* MiB, None if it can or was that before."""
    if wanted is None or wanted == _taken:
        return None
    if wanted * MIB < (used := in_use()):
        return f"{wanted} MiB is less than it has in use, {used / MIB:.0f} MiB"
    if HARD != resource.RLIM_INFINITY and wanted * MIB > HARD:
        return f"{wanted} MiB is more than the process may be given, {HARD // MIB} MiB"
    return None


def take(wanted: int | None) -> None:
    """Let the limit be *wanted* MiB; without, or where it cannot be, the first one."""
    global _taken
    if wanted == _taken:
        return
    reason, _taken = objection(wanted), wanted
    if reason:
        log.error("no limit of memory is set: %s", reason)
        wanted = None
    _set(FIRST if wanted is None else wanted * MIB)


@contextmanager
def as_at_first() -> Iterator[None]:
    """Be without the limit for a while: a process that is started inherits none of it."""
    soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
    _set(FIRST)
    try:
        yield
    finally:
        _set(soft)


def _set(soft: int) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (soft, HARD))
