"""The threads of a peer: which one carries packets, and the CPU time it has had."""

from pathlib import Path


def thread(pid: int, name: str) -> Path | None:
    """Find the folder in /proc of the thread whose name begins so."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().startswith(name):
            return task
    return None


def cpu_seconds(task: Path) -> float:
    """Read the CPU time of a thread."""
    return int((task / "schedstat").read_text().split()[0]) / 1e9
