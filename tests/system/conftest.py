"""Two hosts, a switch between them and a controller: what system tests start from."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from raicho.control.message import Delete

from .lab import Lab, Namespace, wait_until
from .needs import missing
from .pinging import ping
from .switch import Controller, Switch

ADDRESSES = ("10.9.0.1", "10.9.0.2")
DEVICES = ("p1", "p2")


@dataclass
class Site:
    """What stands: hosts h1 and h2, each on a cable to the namespace of the switch."""

    lab: Lab
    hosts: tuple[Namespace, Namespace]
    place: Namespace
    switch: Switch
    folder: Path

    def controlled(self, *kinds: str) -> Controller:
        """Start the controller and configure the bridge; return when pings go through."""
        controller = Controller(self.lab, self.place, self.folder)
        self.switch.bridge(DEVICES, kinds=kinds)
        controller.wait_for_switch()
        self.wait_reachable()
        return controller

    def wait_reachable(self) -> None:
        wait_until(lambda: ping(self.hosts[0], ADDRESSES[1], "-c", "1").answered, "the first ping")


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder with a short name: the path of a socket has little room."""
    path = Path(tempfile.mkdtemp(prefix="rch"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def standing(folder: Path) -> Iterator[Site]:
    """A switch that runs without any configuration yet."""
    if reason := missing("ping"):
        pytest.skip(reason)
    with Lab() as lab:
        place, h1, h2 = (lab.namespace(name) for name in ("sw", "h1", "h2"))
        for host, device, address in zip((h1, h2), DEVICES, ADDRESSES, strict=True):
            lab.cable(host, "eth0", place, device)
            host.ip("address", "add", f"{address}/24", "dev", "eth0")
        switch = Switch(lab, place, folder)
        switch.up()
        yield Site(lab, (h1, h2), place, switch, folder)
        print(switch.log.read_text())  # pytest shows it where the test failed


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as path:
        yield path


@pytest.fixture
def site(folder: Path) -> Iterator[Site]:
    with standing(folder) as found:
        yield found


@pytest.fixture(scope="module")
def lasting_site() -> Iterator[Site]:
    with short_folder() as path, standing(path) as found:
        yield found


@pytest.fixture
def emptied_site(lasting_site: Site) -> Iterator[Site]:
    """One switch for all tests of a module, each of which finds it without configuration."""
    yield lasting_site
    lasting_site.switch.commit(Delete("/"))
