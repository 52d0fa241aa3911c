"""The facts about this machine that explain a number."""

import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

from .compiler import compiled
from .needs import find

# Debian's packages of the peers, and a program of each.
PEERS = {
    "openvswitch-switch": "ovs-vswitchd",
    "openvswitch-switch-dpdk": "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk",
    "dpdk-dev": "dpdk-testpmd",
}

# What says its version, and how it is asked.
VERSIONS = {
    "gcc": ("gcc", "-dumpfullversion"),
    "Open vSwitch": ("ovs-vswitchd", "--version"),
    "DPDK": ("pkg-config", "--modversion", "libdpdk"),
    "iperf3": ("iperf3", "--version"),
}


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


def core_to_core() -> int | str:
    """Measure how long a cache line takes from one core to another and back."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return "one core"
    with tempfile.TemporaryDirectory(prefix="rcb") as folder:
        try:
            probe = compiled("placement.c", Path(folder), "-pthread")
            command = [str(probe), str(cores[0]), str(cores[-1])]
            return int(subprocess.run(command, capture_output=True, check=True, timeout=10).stdout)
        except (RuntimeError, OSError, subprocess.SubprocessError):
            return "unknown"


def absent() -> str:
    """Name the Debian packages that peers need and that are not there."""
    packages = [name for name, program in PEERS.items() if find(program) is None]
    return " ".join(packages) or "none"


def versions() -> dict[str, object]:
    """Name the versions of what is compared with and built by, as far as it is there."""
    found = {}
    for name, (program, *words) in VERSIONS.items():
        if path := find(program):
            said = subprocess.run([path, *words], capture_output=True, text=True).stdout
            if version := re.search(r"\d+(\.\d+)+", said):
                found[name] = version[0]
    return dict(found)


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
        "core_to_core_ns": core_to_core(),
        "missing": absent(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "spin_ms": _spin(),
    }
