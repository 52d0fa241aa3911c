"""T8: whoever is on another host finds all of a switch by one endpoint of the datastore."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from raicho.control.component import holder
from raicho.control.message.keys import OPERATOR, READER, allow, create

from .conftest import short_folder
from .lab import Lab, Namespace, wait_until
from .needs import needs
from .switch import MODULES, environment

pytestmark = needs()

ADDRESS, PORT = "10.8.0.1", 7000
BOOTSTRAP = f"tcp://{ADDRESS}:{PORT}"
COMMAND = (sys.executable, "-m", "raicho.control.cli")


@dataclass
class Distance:
    """A switch that listens to a network, and another host that has keys and nothing else of it."""

    lab: Lab
    folder: Path
    far: Namespace

    def environment(self, who: str) -> dict[str, str]:
        return environment() | {
            "RAICHO_DATASTORE": BOOTSTRAP,
            "RAICHO_KEYS": str(self.folder / who),
            "RAICHO_RUN_DIR": str(self.folder / "nowhere"),
        }

    def raicho(self, *argv: str, who: str = "operator") -> Any:
        """Run a command on the other host; return what it says in JSON, or its error."""
        done = subprocess.run(
            self.far.command(*COMMAND, *argv, "--json"),
            env=self.environment(who),
            capture_output=True,
            text=True,
            timeout=60,
        )
        text = done.stderr.splitlines()[-1] if done.returncode else done.stdout or "null"
        return json.loads(text)

    def is_up(self) -> bool:
        rows = self.raicho("status")
        return isinstance(rows, list) and all(row["state"] == "ready" for row in rows)


@pytest.fixture(scope="module")
def distance() -> Iterator[Distance]:
    with short_folder() as folder, Lab() as lab:
        place, far = lab.namespace("sw"), lab.namespace("far")
        lab.cable(place, "eth0", far, "eth0")
        place.ip("address", "add", f"{ADDRESS}/24", "dev", "eth0")
        far.ip("address", "add", "10.8.0.2/24", "dev", "eth0")
        create(folder / "switch")
        for name, role in (("operator", OPERATOR), ("reader", READER)):
            allow(folder / "switch", folder / name, name, role)
        argv = ["up", "--run-dir", str(folder / "run"), "--data", str(folder / "config.db")]
        argv += ["--listen", BOOTSTRAP, "--keys", str(folder / "switch")]
        lab.start([*COMMAND, *argv], folder / "log", place, environment())
        found = Distance(lab, folder, far)
        wait_until(found.is_up, "all to be ready, as the other host sees it")
        yield found
        print((folder / "log").read_text())


def test_all_components_are_seen(distance: Distance) -> None:
    rows = distance.raicho("status")
    assert {row["component"] for row in rows} == MODULES.keys()
    assert distance.raicho("ping", "supervisor")["component"] == "supervisor"
    apis = distance.raicho("api")
    assert {row["component"] for row in apis} == MODULES.keys()


def test_configuration_routes_and_roles(distance: Distance) -> None:
    """Control and bulk: a commit, a route that no datastore sees; one who reads changes nothing."""
    distance.raicho("port", "add", "n1", "--kind", "null")
    interface = '{"port": "n1", "address": ["10.0.1.1/24"]}'
    distance.raicho("config", "set", "/raicho/router[name='r']/interface[name='if1']", interface)
    distance.raicho("route", "add", "r", "198.51.100.0/24", "--via", "10.0.1.9@if1")
    rows = distance.raicho("show", "routes", "r", who="reader")
    assert "198.51.100.0/24" in {row["prefix"] for row in rows}
    error = distance.raicho("port", "add", "n2", "--kind", "null", who="reader")["error"]
    assert error["code"] == "REFUSED"


def test_events_are_heard(distance: Distance) -> None:
    """The bus, and every other endpoint, by an address of the network."""
    log = distance.folder / "distant"
    argv = [sys.executable, "-m", "system.distant", BOOTSTRAP, str(distance.folder / "reader")]
    listener = distance.lab.start(argv, log, distance.far, environment())
    wait_until(lambda: "listening" in log.read_text(), "a subscription")
    distance.raicho("port", "add", "n3", "--kind", "null")
    assert listener.wait(60) == 0, log.read_text()
    told = json.loads(log.read_text().splitlines()[-1])
    assert (told["topic"], told["source"]) == ("config.committed", "datastore")
    places = [endpoint.rpartition(":") for endpoint in told["found"].values()]
    assert {address for address, _, _ in places} == {f"tcp://{ADDRESS}"}
    assert len({port for _, _, port in places}) == len(places)


def test_who_was_killed_is_found_again_at_the_same_place(distance: Distance) -> None:
    run_dir = distance.folder / "run"
    before = holder(run_dir, "dataplane")
    assert before
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: holder(run_dir, "dataplane") not in (None, before), "another dataplane")
    wait_until(distance.is_up, "all to be ready again")
    assert isinstance(distance.raicho("show", "routes", "r"), list)
