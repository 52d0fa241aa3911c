"""A running raicho in a lab: its processes, its configuration, its hosts."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from bench.peers.raicho import ask
from raicho.control.component import holder
from raicho.control.message import (
    CallError,
    CommitResult,
    CommitSession,
    Delete,
    Edit,
    Get,
    GetConfig,
    Info,
    Information,
    Set,
    Stats,
)

from .lab import Lab, Namespace, alive, wait_until

ROOT = Path(__file__).parents[2]
MODULES = {
    "bus": "raicho.control.bus",
    "datastore": "raicho.control.datastore",
    "dataplane": "raicho.dataplane",
    "openflow": "raicho.control.openflow",
    "statesync": "raicho.control.statesync",
    "routing": "raicho.control.routing",
    "supervisor": "raicho.control.supervisor",
}
CONTROLLER_PORT = 6653


def environment() -> dict[str, str]:
    """Make child processes use this checkout, whatever is installed."""
    tree = os.pathsep.join((str(ROOT / "build" / "tree"), str(ROOT / "tests")))
    return {**os.environ, "PYTHONPATH": tree, "PYTHONUNBUFFERED": "1"}


class Switch:
    """The processes of one raicho, started by `raicho up` inside a namespace.

    The run directory is short: the path of a socket has little room.
    """

    def __init__(self, lab: Lab, inside: Namespace, folder: Path) -> None:
        self.lab = lab
        self.inside = inside
        self.run_dir = folder / "run"
        self.data = folder / "config.db"
        self.log = folder / "log"

    def up(self, without: Collection[str] = ()) -> None:
        """Start it in the foreground of a process of the lab and wait until all is ready."""
        argv = ["up", "--run-dir", str(self.run_dir), "--data", str(self.data)]
        self.process = self.lab.start(_raicho(argv), self.log, self.inside, environment())
        for identity in MODULES.keys() - set(without):
            self.wait_ready(identity)

    def cli(self, *argv: str, check: bool = True) -> str:
        """Run the command line as a user would, from outside the namespace."""
        done = subprocess.run(
            _raicho([*argv]),
            env={**environment(), "RAICHO_RUN_DIR": str(self.run_dir)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if check and done.returncode:
            raise RuntimeError(f"raicho {' '.join(argv)}: {done.stderr.strip()}")
        return done.stdout if check else done.stdout + done.stderr

    def pid(self, identity: str) -> int | None:
        return holder(self.run_dir, identity)

    def pids(self) -> dict[str, int | None]:
        return {identity: self.pid(identity) for identity in MODULES}

    def kill(self, identity: str) -> int:
        """Kill -9 a component and return the PID that it had."""
        pid = self.pid(identity)
        assert pid is not None, f"{identity} does not run"
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not alive(pid), f"{identity} to die")
        return pid

    def information(self, identity: str) -> Information | None:
        """Ask a component how it is; None if it does not answer."""
        try:
            return ask(self.run_dir, identity, Info(), timeout=5)
        except CallError:
            return None

    def ready(self, identity: str) -> bool:
        found = self.information(identity)
        return found is not None and found.state == "ready"

    def wait_ready(self, identity: str) -> None:
        try:
            wait_until(lambda: self.ready(identity), f"{identity} to be ready")
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.log.read_text()}") from None

    # Configuration, through the datastore as every face does it.

    def commit(self, *ops: Set | Delete, session: str = "test") -> CommitResult:
        """Change the configuration in one transaction, or raise CallError."""
        ask(self.run_dir, "datastore", Edit(session, list(ops)))
        return ask(self.run_dir, "datastore", CommitSession(session), timeout=20)

    def configuration(self) -> Any:
        return ask(self.run_dir, "datastore", GetConfig("/raicho")).data

    def revision(self) -> int:
        return ask(self.run_dir, "datastore", GetConfig("/raicho")).revision

    # What the agent knows.

    def flows(self) -> list[str]:
        """Describe the flows, without what is counted."""
        rows = ask(self.run_dir, "openflow", Get("/flows")).data
        return sorted(row["text"].partition("priority")[2] for row in rows)

    def copied(self) -> int:
        """Return the bytes of the agent's copy of br0, 0 while it is not of the last change."""
        sizes = ask(self.run_dir, "openflow", Stats(["openflow"])).data["openflow"]["copied"]
        return 0 if sizes["br0"]["journal"] else int(sizes["br0"]["copy"])

    def bridge(
        self, devices: Sequence[str], controller: bool = True, kinds: Sequence[str] = ()
    ) -> None:
        """Make the bridge br0 with one port for each device, numbered from 1.

        *kinds* are those of the first ports, the others are of kind af_packet.
        """
        self.commit(*_bridge(devices, controller, kinds))


def _raicho(argv: list[str]) -> list[str]:
    return [sys.executable, "-m", "raicho.control.cli", *argv]


def _bridge(devices: Sequence[str], controller: bool, kinds: Sequence[str]) -> list[Set | Delete]:
    ops: list[Set | Delete] = []
    for number, (device, kind) in enumerate(zip_longest(devices, kinds, fillvalue="af_packet"), 1):
        ops.append(Set(f"/raicho/port[name='{device}']", {"kind": kind, "device": device}))
        ops.append(Set(f"/raicho/bridge[name='br0']/port[name='{device}']/number", number))
    listen = {"address": "127.0.0.1", "port": CONTROLLER_PORT + 1}
    ops.append(Set("/raicho/bridge[name='br0']/listen[name='local']", listen))
    if controller:
        where = {"address": "127.0.0.1", "port": CONTROLLER_PORT, "max-backoff": 1}
        ops.append(Set("/raicho/bridge[name='br0']/controller[name='c1']", where))
    return ops


class Controller:
    """The learning switch on os-ken, beside the switch; its log is what it saw."""

    def __init__(self, lab: Lab, inside: Namespace, folder: Path) -> None:
        self.log = folder / "controller.log"
        argv = [sys.executable, "-m", "system.demo.controller", "--port", str(CONTROLLER_PORT)]
        self.process = lab.start(argv, self.log, inside, environment())

    def events(self, kind: str) -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines()
        seen = [json.loads(line) for line in lines if line.startswith("{")]
        return [event for event in seen if event["event"] == kind]

    def wait_for_switch(self, times: int = 1) -> None:
        wait_until(lambda: len(self.events("switch")) >= times, "the switch to connect")
