"""The switches that can be judged. To add one, add a class and its row in TARGETS."""

import subprocess
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from system.lab import Lab, Namespace
from system.switch import ROOT, Switch

from . import openvswitch


class Target(Protocol):
    """A switch under test."""

    settle: float  # seconds from its barrier reply until the next packet meets the new tables
    log: Path

    def __init__(self, lab: Lab, inside: Namespace, folder: Path) -> None: ...

    def start(self, datapath_id: int, devices: Sequence[str], port: int) -> None:
        """Start it with its ports numbered from 1 and a controller at 127.0.0.1."""

    def version(self) -> str: ...


class Raicho:
    """The switch of this checkout, configured by its command line."""

    settle = 0.0

    def __init__(self, lab: Lab, inside: Namespace, folder: Path) -> None:
        folder.mkdir()
        self._switch = Switch(lab, inside, folder)
        self.log = self._switch.log

    def start(self, datapath_id: int, devices: Sequence[str], port: int) -> None:
        self._switch.up()
        self._cli("bridge", "add", "br0", "--datapath-id", f"{datapath_id:#x}")
        for number, device in enumerate(devices, 1):
            self._cli("port", "add", device, "--device", device)
            self._cli("bridge", "add-port", "br0", device, str(number))
        self._cli("bridge", "add-controller", "br0", "127.0.0.1", "--port", str(port))
        self._cli("config", "commit")

    def _cli(self, *argv: str) -> None:
        self._switch.cli(*argv, "--session", "conformance")

    def version(self) -> str:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        describe = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
        commit = subprocess.run(describe, capture_output=True, text=True).stdout.strip()
        return f"raicho {project['version']} {commit}".strip()


class Baseline:
    """Open vSwitch, which answers barriers before its caches follow."""

    settle = 0.25

    def __init__(self, lab: Lab, inside: Namespace, folder: Path) -> None:
        self._switch = openvswitch.OpenVswitch(lab, inside, folder)
        self.log = self._switch.log

    def start(self, datapath_id: int, devices: Sequence[str], port: int) -> None:
        self._switch.start()
        self._switch.bridge(datapath_id, devices, f"tcp:127.0.0.1:{port}")

    def version(self) -> str:
        return openvswitch.version()


TARGETS: dict[str, type[Target]] = {"raicho": Raicho, "ovs": Baseline}
