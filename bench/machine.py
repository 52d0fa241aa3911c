"""The facts about this machine that explain a number."""

import os
import platform
import sys
import time
from importlib import metadata
from pathlib import Path


def _field(path: str, key: str) -> str:
    """Read one `key: value` line of a file in /proc."""
    try:
        for line in Path(path).read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    except OSError:
        pass
    return "unknown"


def _version() -> str:
    try:
        return metadata.version("raicho")
    except metadata.PackageNotFoundError:
        return "not installed"


def _spin(rounds: int = 5) -> float:
    """Time a fixed piece of work; its best says how fast this core is at this moment."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        sum(range(200_000))
        best = min(best, time.process_time() - start)
    return round(best * 1e3, 3)


def facts() -> dict[str, object]:
    """Describe the machine as it is now: what it has, what runs, how busy it is."""
    cores = os.sched_getaffinity(0)
    return {
        "cpu": _field("/proc/cpuinfo", "model name"),
        "arch": platform.machine(),
        "cores": len(cores),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "python": sys.version.split()[0],
        "raicho": _version(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "spin_ms": _spin(),
    }
