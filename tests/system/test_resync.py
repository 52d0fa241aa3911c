"""A full table from BGP into the dataplane, and again after the adapter was killed.

    host -- r -- peer       100 000 routes from the peer's bgpd, by ours, zebra and its FPM

The soak prints how fast zebra sends to somebody who only reads, and how fast the same arrives in
the dataplane; `pytest -s` shows it.
"""

import os
import socket
import sys
import time
from collections.abc import Callable, Generator, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from bench.peers.raicho import ask
from raicho.control.message import CallError, Get, Set
from raicho.control.routing.namespace import inside

from .conftest import short_folder
from .frr import Frr
from .lab import Lab, Namespace, wait_until
from .needs import needs
from .pinging import Pinging, reached
from .switch import MODULES, Switch, environment

pytestmark = [pytest.mark.soak, needs("ping", "vtysh", "bgpd")]

ROUTES = 100_000
FIRST = int(ip_address("100.64.0.0"))
FAR = str(ip_address(FIRST + 1))  # in one of the routes
LOOK = 0.01  # seconds between looks
PATIENCE = 180.0
QUIET = 5.0  # seconds without a byte: zebra has said all
FEW = 100  # routes; those of the links are there always
ROUTER = "/raicho/router[name='r']"


def bgp(own: int, peer: str, theirs: int, *more: str) -> list[str]:
    return [
        f"router bgp {own}",
        "no bgp ebgp-requires-policy",
        f"neighbor {peer} remote-as {theirs}",
        f"neighbor {peer} timers connect 1",
        "address-family ipv4 unicast",
        *more,
        "exit-address-family",
    ]


class House:
    """The three, FRRouting beside the router and in the peer; nothing tells the dataplane yet."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.place, self.os = lab.namespace("r"), lab.namespace("os")
        self.host, self.peer = lab.namespace("h"), lab.namespace("p")
        for number, (name, other) in enumerate((("lan", self.host), ("wan", self.peer)), 1):
            lab.cable(self.place, name, other, "eth0")
            other.ip("address", "add", f"10.0.{number}.2/24", "dev", "eth0")
        self.host.ip("route", "add", "default", "via", "10.0.1.1")
        self.peer.ip("route", "add", "default", "via", "10.0.2.1")
        self.switch = Switch(lab, self.place, folder)
        for part in ("datastore", "dataplane"):
            self.start_part(part)
        self.switch.commit(Set(f"{ROUTER}/host-namespace", self.os.name), *self._interfaces())
        self.frr, self.speaker = (
            Frr(lab, space, folder / space.name[-2:]) for space in (self.os, self.peer)
        )

    def _interfaces(self) -> Iterator[Set]:
        for number, name in enumerate(("lan", "wan"), 1):
            yield Set(f"/raicho/port[name='{name}']", {"kind": "af_packet", "device": name})
            value = {"port": name, "host": True, "address": [f"10.0.{number}.1/24"]}
            yield Set(f"{ROUTER}/interface[name='{name}']", value)

    def start_part(self, name: str) -> None:
        arguments = ["--run-dir", str(self.switch.run_dir)]
        if name == "datastore":
            arguments += ["--data", str(self.switch.data)]
        argv = [sys.executable, "-m", MODULES[name], *arguments]
        self.lab.start(argv, self.folder / "log", self.place, environment())
        wait_until(lambda: self.switch.ready(name), name, PATIENCE)

    def announce(self) -> None:
        """Let the peer have the routes, and both speak BGP."""
        batch = self.folder / "batch"
        prefixes = (f"{ip_address(FIRST + 4 * i)}/30" for i in range(ROUTES))
        batch.write_text("".join(f"route add {prefix} dev lo\n" for prefix in prefixes))
        self.peer.ip("-batch", str(batch))
        self.peer.ip("address", "add", f"{FAR}/32", "dev", "lo")
        self.speaker.start("zebra")
        self.speak()
        self.frr.start("zebra", "fpm address 127.0.0.1 port 2620")
        self.frr.start("bgpd", *bgp(65001, "10.0.2.2", 65002))

    def speak(self) -> None:
        """Let the peer tell its routes by BGP."""
        self.speaker.start("bgpd", *bgp(65002, "10.0.2.1", 65001, "redistribute kernel"))

    def routing(self) -> dict[str, Any]:
        """Return the state of the adapter; nothing if there is none."""
        try:
            found: dict[str, Any] = ask(self.switch.run_dir, "routing", Get(ROUTER), 10).data
        except CallError:
            return {}
        return found

    def has_zebra(self) -> bool:
        return bool(self.routing().get("zebra", "awaited") != "awaited")

    def has_none(self) -> bool:
        return 0 < self.told() < FEW

    def has_some(self) -> bool:
        return self.told() > FEW

    def told(self) -> int:
        """Return how many of zebra's routes the adapter has told the dataplane."""
        state = self.routing()
        return int(state["routes"]["fpm"]) if state and not state["waiting"]["fpm"] else 0

    def has_all(self) -> bool:
        return self.told() >= ROUTES


@pytest.fixture(scope="module")
def full() -> Iterator[House]:
    with short_folder() as folder, Lab() as lab:
        os.chmod(folder, 0o755)
        yield House(lab, folder)


def until(condition: Callable[[], bool], what: str) -> float:
    """Return when a condition has come true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(LOOK)
    return time.monotonic()


def read_all(space: Namespace) -> Generator[tuple[float, int]]:
    """Yield for each connection of zebra how long it told its routes, and how many bytes they were.

    Who only reads: nobody could be told faster.
    """
    with inside(space.name, lambda: socket.create_server(("127.0.0.1", 2620))) as server:
        server.settimeout(PATIENCE)
        while True:
            connection, _ = server.accept()
            with connection:
                yield read(connection)


def read(connection: socket.socket) -> tuple[float, int]:
    connection.settimeout(PATIENCE)
    n, first, last = 0, 0.0, 0.0
    while True:
        try:
            data = connection.recv(1 << 20)
        except TimeoutError:
            return last - first, n
        last = time.monotonic()
        first = first or last
        n += len(data)
        if n >= ROUTES * 50:  # bytes of a route at least
            connection.settimeout(QUIET)


def tell(what: str, seconds: float) -> None:
    print(f"{what}: {seconds:.2f} s, {ROUTES / seconds:,.0f} routes/s")


def test_a_full_table_arrives_as_fast_as_zebra_sends_and_again(full: House) -> None:
    """F10, K18: no packet is lost while the adapter is away, nor when all is told again."""
    full.announce()
    readings = read_all(full.os)
    tell("from BGP, by zebra to who only reads", next(readings)[0])
    tell("again, when who reads has connected again", next(readings)[0])
    readings.close()

    full.start_part("routing")
    begin = until(full.has_zebra, "zebra")
    tell("from zebra's connection until the dataplane has all", until(full.has_all, "all") - begin)
    wait_until(lambda: reached(full.host, FAR), "a ping", 60)

    full.speaker.kill("bgpd")
    until(full.has_none, "none by BGP")
    full.speak()
    begin = until(full.has_some, "some")
    tell("from BGP into the dataplane", until(full.has_all, "all by BGP") - begin)

    wait_until(lambda: reached(full.host, FAR), "a ping", 60)
    with Pinging(full.host, FAR) as pings:
        wait_until(lambda: pings.counted.sent >= 50, "pings", 60)
        full.switch.kill("routing")
        killed = time.monotonic()
        full.start_part("routing")
        begin = until(full.has_zebra, "zebra again")
        end = until(full.has_all, "all again")
        target = pings.counted.sent + 100
        wait_until(lambda: pings.counted.sent >= target, "more pings", 60)
    tell("after kill -9 of the adapter, from zebra's connection", end - begin)
    print(f"from kill -9: {end - killed:.2f} s; {pings.counted.sent} pings, none lost")
    assert pings.counted.lost == 0
