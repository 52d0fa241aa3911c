"""A control group of the kernel for each component, cgroups(7) version 1 or 2.

Which limits a group has is set by who gave us the folder that they are made in.
"""

from pathlib import Path

PROCESSES = "cgroup.procs"
KILLS = ("memory.events", "memory.oom_control")  # of version 2, and 1


class Group:
    """The group of one component, which is made if it is not there; OSError: it cannot be."""

    def __init__(self, parent: Path, name: str) -> None:
        if not (parent / PROCESSES).exists():
            raise OSError(f"{parent} is no control group: there is no {PROCESSES} in it")
        self._path = parent / name
        self._path.mkdir(exist_ok=True)

    def take(self, pid: int) -> None:
        """Move a process into the group; what it starts is in it too."""
        (self._path / PROCESSES).write_text(str(pid))

    def kills(self) -> int:
        """Return how often the kernel has killed in it because it had no memory left."""
        for name in KILLS:
            if (file := self._path / name).exists():
                rows = (line.split() for line in file.read_text().splitlines())
                return next((int(row[1]) for row in rows if row[0] == "oom_kill"), 0)
        return 0
