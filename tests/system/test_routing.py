r"""P0: three routers with FRRouting on the host side of each, and hosts that know nothing of it.

    h1 -- r1 ------ r3 -- h3
            \      /
             \    /
               r2

OSPF tells of the links between routers, BGP between loopbacks of the networks of hosts, IPv4 and
IPv6.  Router i has the address .i on the links; links are named after their two ends.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench.peers.raicho import ask
from raicho.control.message import Alert, Get, Set

from .conftest import short_folder
from .frr import Frr
from .hearing import Hearing
from .lab import Lab, Namespace, wait_until
from .needs import needs
from .pinging import Pinging, ping, reached, wait_more
from .streaming import Streaming
from .switch import MODULES, Switch, environment
from .transferring import RECEIVE, SEND

pytestmark = [pytest.mark.soak, needs("ping", "vtysh", "bgpd")]

PARTS = ("bus", "datastore", "dataplane", "routing")
LINKS = ((1, 2), (2, 3), (1, 3))
HOSTS = (1, 3)
TCP_BYTES = 8 << 20
AS = 65000
RESTART_TIME = 120  # seconds, where configuration does not say otherwise


def interfaces(router: int) -> list[str]:
    """Return the names of the interfaces of a router: lXY to routers, hX to its host."""
    links = [f"l{a}{b}" for a, b in LINKS if router in (a, b)]
    return links + [f"h{router}"] * (router in HOSTS)


def net(interface: str) -> tuple[str, str]:
    """Return the beginnings of the addresses on a link, IPv4 and IPv6."""
    number = interface[1:]
    return f"10.{number}.0.", f"2001:db8:{number}::"


def addresses(interface: str, host: int) -> list[str]:
    v4, v6 = net(interface)
    return [f"{v4}{host}/24", f"{v6}{host}/64"]


class Router:
    """A switch with a router, and the namespace in which FRRouting sees its interfaces."""

    def __init__(self, lab: Lab, number: int, folder: Path) -> None:
        self.number = number
        self.place = lab.namespace(f"r{number}")
        self.os = lab.namespace(f"os{number}", ipv6=True)
        self.folder = folder / f"r{number}"
        self.folder.mkdir()
        self.lab = lab
        self.switch = Switch(lab, self.place, self.folder)
        self.frr = Frr(lab, self.os, folder / f"frr{number}")

    def start_part(self, name: str) -> None:
        """Start a component; what is left out of the switch has no part in this."""
        arguments = ["--run-dir", str(self.switch.run_dir)]
        if name == "datastore":
            arguments += ["--data", str(self.switch.data)]
        argv = [sys.executable, "-m", MODULES[name], *arguments]
        self.lab.start(argv, self.folder / "log", self.place, environment())

    def wait_ready(self, name: str) -> None:
        wait_until(lambda: self.switch.ready(name), f"{name} of r{self.number}", 120)

    def start(self) -> None:
        """Configure the switch, and start the daemons on the interfaces that appear."""
        for name in PARTS:
            self.wait_ready(name)
        ops = [Set("/raicho/router[name='r']/host-namespace", self.os.name)]
        for name in interfaces(self.number):
            host = self.number
            ops.append(Set(f"/raicho/port[name='{name}']", {"kind": "af_packet", "device": name}))
            mac = f"02:00:00:00:0{host}:{name[1:]:0>2}"
            value = {"port": name, "host": True, "mac": mac, "address": addresses(name, host)}
            ops.append(Set(f"/raicho/router[name='r']/interface[name='{name}']", value))
        self.switch.commit(*ops)
        self.os.ip("address", "add", f"10.255.0.{self.number}/32", "dev", "lo")
        self.os.ip("address", "add", f"2001:db8:ff::{self.number}/128", "dev", "lo")
        self.start_zebra()
        self.frr.start("ospfd", *_ospf(self.number))
        self.frr.start("ospf6d", *_ospf(self.number, "ipv6", "ospf6"))
        self.frr.start("bgpd", *_bgp(self.number))

    def start_zebra(self) -> None:
        self.frr.start("zebra", "fpm address 127.0.0.1 port 2620")

    def by_zebra(self) -> list[str]:
        """Return the prefixes whose routes zebra has told of."""
        rows = json.loads(self.switch.cli("show", "routes", "r", "--json"))
        return [row["prefix"] for row in rows if row["source"] == "fpm"]

    def routing(self) -> dict[str, Any]:
        """Return the state of the routing component."""
        state: dict[str, Any] = ask(self.switch.run_dir, "routing", Get("/router[name='r']")).data
        return state


def _ospf(number: int, family: str = "ip", protocol: str = "ospf") -> list[str]:
    """Return the configuration of ospfd, or with other names of ospf6d."""
    own = f"{family} {protocol}"
    lines = [
        f"router {protocol}",
        f" {protocol} router-id 10.255.0.{number}",
        " timers throttle spf 10 50 500",
        "exit",  # ospf6d has another "interface" in there
    ]
    for name in interfaces(number):
        if name[0] == "l":
            lines += [
                f"interface {name}",
                f" {own} area 0.0.0.0",
                f" {own} hello-interval 1",
                f" {own} dead-interval 4",
                f" {own} network point-to-point",
            ]
    return [*lines, "interface lo", f" {own} area 0.0.0.0"]


def _bgp(number: int) -> list[str]:
    lines = [
        f"router bgp {AS}",
        f" bgp router-id 10.255.0.{number}",
        " no bgp default ipv4-unicast",
        " no bgp network import-check",  # or a zebra that dies takes them back from the others
    ]
    families: dict[str, list[str]] = {"ipv4": [], "ipv6": []}
    for other in {1, 2, 3} - {number}:
        for family, peer in (("ipv4", f"10.255.0.{other}"), ("ipv6", f"2001:db8:ff::{other}")):
            lines += [
                f" neighbor {peer} remote-as {AS}",
                f" neighbor {peer} update-source lo",
                f" neighbor {peer} timers connect 1",
            ]
            families[family].append(f"  neighbor {peer} activate")
    if number in HOSTS:
        v4, v6 = net(f"h{number}")
        families["ipv4"].append(f"  network {v4}0/24")
        families["ipv6"].append(f"  network {v6}/64")
    for family, more in families.items():
        lines += [f" address-family {family} unicast", *more, " exit-address-family"]
    return lines


class Triangle:
    """The three, and two hosts."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.routers = {number: Router(lab, number, folder) for number in (1, 2, 3)}
        for a, b in LINKS:
            lab.cable(self.routers[a].place, f"l{a}{b}", self.routers[b].place, f"l{a}{b}")
        self.hosts = {number: self._host(number) for number in HOSTS}
        for router in self.routers.values():
            for name in PARTS:
                router.start_part(name)
        for router in self.routers.values():
            router.start()

    def _host(self, number: int) -> Namespace:
        host, name = self.lab.namespace(f"h{number}", ipv6=True), f"h{number}"
        self.lab.cable(host, "eth0", self.routers[number].place, name)
        for address in addresses(name, 100):
            host.ip("address", "add", address, "dev", "eth0", *(["nodad"] * (":" in address)))
        for version, first in zip(("-4", "-6"), net(name), strict=True):
            host.ip(version, "route", "add", "default", "via", f"{first}{number}")
        return host

    def far(self) -> list[str]:
        """Return the addresses of h3."""
        return [f"{first}100" for first in net("h3")]

    def streams(self, running: ExitStack) -> None:
        """Keep a connection to h3 going for each family; all that is sent must arrive."""
        for to in self.far():
            ends = self.hosts[1], self.hosts[3]
            running.enter_context(Streaming(self.lab, self.folder, *ends, to))

    def wait_reachable(self, patience: float = 60) -> None:
        for to in self.far():
            wait_until(partial(reached, self.hosts[1], to), to, patience)

    def wait_told(self) -> None:
        """Wait until hosts reach each other; an error has all that the routers know."""
        try:
            self.wait_reachable(120)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.says()}") from None

    def says(self) -> str:
        """Return what the routers know, for whoever looks for a mistake."""
        return "\n".join(
            f"r{number}: {router.routing()}\n{router.switch.cli('show', 'routes')}"
            f"{router.frr.show('show ip route', 'show ipv6 route')}{router.os.ip('address')}"
            for number, router in self.routers.items()
        )


@pytest.fixture(scope="module")
def triangle() -> Iterator[Triangle]:
    with short_folder() as folder, Lab() as lab:
        os.chmod(folder, 0o755)
        triangle = Triangle(lab, folder)
        triangle.wait_told()
        yield triangle


def test_hosts_reach_each_other_through_three_routers(triangle: Triangle) -> None:
    """P0: ping, IPv4 and IPv6."""
    for to in triangle.far():
        counted = ping(triangle.hosts[1], to, "-c", "20", "-i", "0.05")
        assert (counted.sent, counted.lost) == (20, 0), to
    table = triangle.routers[1].switch.cli("show", "routes", "r")
    assert "10.3.0.0/24" in table
    assert "fpm" in table


@pytest.mark.parametrize("version", [0, 1])
def test_tcp_goes_across(triangle: Triangle, version: int) -> None:
    """P0: TCP, IPv4 and IPv6."""
    to = triangle.far()[version]
    log = triangle.folder / f"received{version}"
    family = "family=socket.AF_INET6" if version else "family=socket.AF_INET"
    receive = RECEIVE.replace("(sys.argv[1], 9000)", f"(sys.argv[1], 9000), {family}")
    argv = [sys.executable, "-c", receive, to]
    receiver = triangle.lab.start(argv, log, triangle.hosts[3], environment())
    wait_until(lambda: "listening" in log.read_text(), "the receiver to listen")
    triangle.hosts[1].run(sys.executable, "-c", SEND, to, str(TCP_BYTES), timeout=120)
    receiver.wait(60)
    assert log.read_text().split()[1] == str(TCP_BYTES)


@pytest.mark.parametrize("version", [0, 1])
def test_a_killed_adapter_loses_no_packet(triangle: Triangle, version: int) -> None:
    """P0, F10: kill -9; zebra tells the next one all again."""
    router = triangle.routers[1]
    with Pinging(triangle.hosts[1], triangle.far()[version]) as pings:
        wait_until(lambda: pings.counted.sent >= 50, "pings", 60)
        router.switch.kill("routing")
        router.start_part("routing")
        router.wait_ready("routing")
        wait_until(lambda: router.routing()["zebra"] != "awaited", "zebra to come back", 30)
        target = pings.counted.sent + 100
        wait_until(lambda: pings.counted.sent >= target, "more pings", 60)
    assert pings.counted.lost == 0


def test_a_link_that_goes_down_is_routed_around(triangle: Triangle) -> None:
    """P0: by r2, and back when the link is there again; ping and TCP, IPv4 and IPv6.

    The connections are those of before.
    """
    ends = [triangle.routers[number].place for number in (1, 3)]
    with ExitStack() as streams:
        triangle.streams(streams)
        ends[0].ip("link", "set", "l13", "down")
        try:
            triangle.wait_told()
            check_the_way_around(triangle)
        finally:
            ends[0].ip("link", "set", "l13", "up")
        triangle.wait_reachable()


def check_the_way_around(triangle: Triangle) -> None:
    for to in triangle.far():
        assert ping(triangle.hosts[1], to, "-c", "5", "-i", "0.1").lost == 0
    for to, middle in zip(triangle.far(), ("10.12.0.2", "2001:db8:12::2"), strict=True):
        told = triangle.hosts[1].run("ping", "-c", "1", "-t", "2", "-W", "2", to, check=False)
        assert re.search(rf"From {middle}\b.* (Time to live exceeded|Time exceeded)", told), told


def test_a_killed_zebra_loses_no_packet(triangle: Triangle) -> None:
    """P0, F10: its routes stay until it had time to come back, and then to tell them again.

    Ping and TCP, IPv4 and IPv6; an alert says so on the bus.  bgpd tells another zebra nothing
    again until it is started again itself, as watchfrr does, so only the next test comes after it.
    """
    router, gone = triangle.routers[1], f"zebra has gone; its routes stay for {RESTART_TIME} s"
    with Hearing(router.switch.run_dir, "alert.") as hearing, ExitStack() as running:
        triangle.streams(running)
        pings = [
            running.enter_context(Pinging(triangle.hosts[1], to, 0.02)) for to in triangle.far()
        ]
        wait_all(pings, 25)
        router.frr.kill("zebra")
        wait_until(lambda: router.routing()["zebra"] == "awaited", "zebra to be missed", 30)
        wait_alert(hearing, gone)
        wait_all(pings, 100)
        router.start_zebra()
        wait_until(lambda: router.routing()["zebra"] == "resending", "zebra to be back", 30)
        wait_all(pings, 50)
    assert [each.counted.lost for each in pings] == [0, 0]


def test_a_zebra_that_does_not_come_back_loses_its_routes(triangle: Triangle) -> None:
    """F10: when its time is over, and not before an alert that it has gone; another one then."""
    router = triangle.routers[1]
    with Hearing(router.switch.run_dir, "alert.") as hearing:
        router.switch.commit(Set("/raicho/router[name='r']/routing/restart-time", 1))
        wait_until(lambda: router.routing()["zebra"] == "resending", "zebra to be back", 30)
        assert router.by_zebra()
        router.frr.kill("zebra")
        wait_alert(hearing, "zebra has gone; its routes stay for 1 s")
        wait_alert(hearing, "routes were withdrawn that zebra had told of")
        wait_until(lambda: not router.by_zebra(), "the routes of zebra to go", 30)
    for to in triangle.far():
        assert not reached(triangle.hosts[1], to)


def wait_all(pings: list[Pinging], count: int) -> None:
    for each in pings:
        wait_more(each, count)


def wait_alert(hearing: Hearing, cause: str) -> None:
    """Wait for an alert of the routing component."""

    def causes() -> list[str]:
        bodies = [event.body for _, event in hearing.of("alert.routing")]
        return [body.cause for body in bodies if isinstance(body, Alert)]

    wait_until(lambda: any(cause in each for each in causes()), f"an alert: {cause}", 60)
