"""What a lab makes goes away again, however its owner ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .lab import Lab, alive, run, sweep, wait_until
from .needs import needs

pytestmark = needs()

ABANDONED = """
import os, signal
from pathlib import Path
from system.lab import Lab
lab = Lab().__enter__()
space = lab.namespace("lost")
lab.start(["sleep", "1000"], Path("/dev/null"), inside=space)
print(space.name, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def _namespaces() -> str:
    return run("ip", "netns", "list")


def test_a_failure_inside_leaves_nothing_behind() -> None:
    with pytest.raises(ZeroDivisionError), Lab() as lab:
        name = lab.namespace("a").name
        assert name in _namespaces()
        raise ZeroDivisionError
    assert name not in _namespaces()


def test_processes_in_a_namespace_end_with_it(tmp_path: Path) -> None:
    with Lab() as lab:
        space = lab.namespace("a")
        log = tmp_path / "log"
        process = lab.start(["sleep", "1000"], log, inside=space)
        wait_until(lambda: process.pid in space.pids(), "sleep to start")
    assert not alive(process.pid)


def test_the_next_lab_removes_what_a_killed_one_left() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ABANDONED],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == -signal.SIGKILL
    name = done.stdout.strip()
    assert name in _namespaces()
    sweep()
    assert name not in _namespaces()


def test_two_namespaces_joined_by_a_cable_reach_each_other() -> None:
    with Lab() as lab:
        a, b = lab.namespace("a"), lab.namespace("b")
        lab.cable(a, "eth0", b, "eth0")
        a.ip("address", "add", "10.0.0.1/24", "dev", "eth0")
        b.ip("address", "add", "10.0.0.2/24", "dev", "eth0")
        assert " 0% packet loss" in a.run("ping", "-c", "1", "-W", "5", "10.0.0.2")
