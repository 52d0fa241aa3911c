"""Each component starts alone and answers: no other process is needed for that."""

import os
import signal
import sys
from pathlib import Path

import pytest

from bench.peers.raicho import ask
from raicho.control.component import holder
from raicho.control.message import CallError, Ping

from .lab import Lab, wait_until
from .switch import MODULES, environment


@pytest.mark.parametrize("identity", MODULES)
def test_a_component_started_alone_answers_ping(identity: str, folder: Path) -> None:
    """G1, C1: its own entry point, its own control endpoint."""
    argv = [sys.executable, "-m", MODULES[identity], "--run-dir", str(folder / "run")]
    if identity in ("datastore", "supervisor"):
        argv += ["--data", str(folder / "config.db")]
    log = folder / "log"
    lab = Lab()
    try:
        process = lab.start(argv, log, env=environment())

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return bool(ask(folder / "run", identity, Ping(), timeout=1).instance)
            except CallError:
                return False

        wait_until(answers, f"{identity} to answer")
    finally:
        lab.close()
        for other in MODULES:  # the supervisor's children, should it not have ended them
            if pid := holder(folder / "run", other):
                os.kill(pid, signal.SIGKILL)
