"""Hosts at the two ends of a path of labels: P4 with the kernel and scapy as the other side.

    h1 -- [p1 in a1] -- [a2 mid b1] -- [b2 out p2] -- h2

The routers in and mid are of one switch, out is of another.  Towards h2 a label is pushed,
swapped, and ends at out; back it is pushed and, for the last router, popped (RFC 3031, 3.16).
"""

import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from scapy.contrib.mpls import MPLS
from scapy.layers.l2 import Ether

from raicho.control.message import Set

from .lab import Lab, Namespace, wait_until
from .needs import needs
from .pinging import ping, reached
from .routed import v4, v6
from .switch import Switch, environment
from .test_router import SERVER
from .transferring import RECEIVE, SEND

pytestmark = needs("ping")

ETH_P_MPLS = 0x8847
TCP_BYTES = 4 << 20
#: Nets: 1 h1 and in, 2 in and mid, 3 mid and out, 4 out and h2.
INTERFACES = {
    "in": {"p1": (1, 1), "a1": (2, 1)},
    "mid": {"a2": (2, 2), "b1": (3, 2)},
    "out": {"b2": (3, 3), "p2": (4, 1)},
}


class Path3:
    """The two switches and the two hosts."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.places = tuple(lab.namespace(name) for name in ("sw1", "sw2"))
        self.hosts = tuple(lab.namespace(f"h{net}", ipv6=True) for net in (1, 4))
        first, second = self.places
        lab.cable(self.hosts[0], "eth0", first, "p1")
        lab.cable(first, "a1", first, "a2")
        lab.cable(first, "b1", second, "b2")
        lab.cable(self.hosts[1], "eth0", second, "p2")
        self._address(self.hosts[0], 1)
        self._address(self.hosts[1], 4)
        self.switches = tuple(self._switch(i, place) for i, place in enumerate(self.places))

    def _address(self, host: Namespace, net: int) -> None:
        host.ip("address", "add", f"{v4(net, 2)}/24", "dev", "eth0")
        host.ip("address", "add", f"{v6(net, 2)}/64", "dev", "eth0", "nodad")
        host.ip("route", "add", "default", "via", v4(net, 1))
        host.ip("-6", "route", "add", "default", "via", v6(net, 1))

    def _switch(self, number: int, place: Namespace) -> Switch:
        folder = self.folder / str(number)
        folder.mkdir()
        switch = Switch(self.lab, place, folder)
        switch.up()
        return switch

    def configure(self, ttl: str) -> None:
        """Push, and what ends, by the configuration; what is in the middle by hand, over that."""
        self.switches[0].commit(
            *_router("in", ttl), *_router("mid", ttl), *_pushes("in", 4, 2, 2, 100)
        )
        ends = Set("/raicho/router[name='out']/label[label='200']", {"ends-here": True})
        self.switches[1].commit(*_router("out", ttl), *_pushes("out", 1, 3, 2, 300), ends)
        cli = self.switches[0].cli
        cli("route", "add", "mid", "label:100", "--via", f"{v4(3, 3)}@b1+200")
        cli("route", "add", "mid", "label:300", "--via", f"{v4(2, 1)}@a2+3")

    def watch(self, place: int, device: str) -> Path:
        log = self.folder / f"{device}.log"
        command = [sys.executable, "-m", "system.watching", device, hex(ETH_P_MPLS)]
        self.lab.start(command, log, self.places[place], environment())
        wait_until(lambda: "ready" in log.read_text(), "the watcher to listen")
        return log


def _router(name: str, ttl: str) -> Iterator[Set]:
    for device, (net, host) in INTERFACES[name].items():
        yield Set(f"/raicho/port[name='{device}']", {"kind": "af_packet", "device": device})
        value = {"port": device, "address": [f"{v4(net, host)}/24", f"{v6(net, host)}/64"]}
        yield Set(f"/raicho/router[name='{name}']/interface[name='{device}']", value)
    yield Set(f"/raicho/router[name='{name}']/label-ttl", ttl)


def _pushes(name: str, net: int, link: int, host: int, label: int) -> Iterator[Set]:
    """Routes to a net of hosts behind a label: IPv6 by the same neighbour as IPv4."""
    device = next(each for each, (of, _) in INTERFACES[name].items() if of == link)
    hop = {"id": 1, "address": v4(link, host), "interface": device, "label": [label]}
    for prefix in (f"{v4(net, 0)}/24", f"{v6(net, 0)}/64"):
        yield Set(f"/raicho/router[name='{name}']/route[prefix='{prefix}']", {"next-hop": [hop]})


def labels(log: Path) -> set[tuple[int, int, int]]:
    """Return label, bottom and time to live of what was seen."""
    frames = (bytes.fromhex(line) for line in log.read_text().split()[1:])
    shims = (Ether(frame)[MPLS] for frame in frames if len(frame) >= 18)
    return {(shim.label, shim.s, shim.ttl) for shim in shims}


@pytest.fixture
def path(folder: Path) -> Iterator[Path3]:
    with Lab() as lab:
        found = Path3(lab, folder)
        yield found
        for switch in found.switches:
            print(switch.log.read_text())


#: By model: what h1 sees of the time to live of h2, and what labels have on the way there.
TTLS = {"uniform": (61, 63, 62), "pipe": (62, 255, 254)}


@pytest.mark.parametrize("ttl", TTLS)
def test_packets_go_by_labels_there_and_back(path: Path3, ttl: str) -> None:
    """RFC 3031, 3.10 to 3.16; RFC 3443, 3.1 to 3.3."""
    path.configure(ttl)
    one, two = path.watch(0, "a2"), path.watch(1, "b2")
    for to in (v4(4, 2), v6(4, 2)):
        wait_until(partial(reached, path.hosts[0], to), to)
        counted = ping(path.hosts[0], to, "-c", "10", "-i", "0.01")
        assert (counted.sent, counted.lost) == (10, 0), to
    back, first, second = TTLS[ttl]
    answer = path.hosts[0].run("ping", "-c", "1", v4(4, 2))
    assert f"ttl={back}" in answer
    wait_until(lambda: labels(one) and labels(two), "labels to be seen")
    assert labels(one) == {(100, 1, first)}
    assert labels(two) == {(200, 1, second)}
    shown = path.switches[0].cli("show", "routes", "mid")
    assert re.search(r"label:100 .*operator.* label 200", shown)
    path.switches[0].cli("route", "remove", "mid", "label:100")
    assert ping(path.hosts[0], v4(4, 2), "-c", "2", "-i", "0.1").answered == 0
    path.switches[0].cli("route", "add", "mid", "label:100", "--pop")
    path.switches[0].cli("route", "add", "mid", f"{v4(4, 0)}/24", "--via", f"{v4(3, 3)}@b1")
    assert reached(path.hosts[0], v4(4, 2))


def test_tcp_finds_what_fits_behind_labels(path: Path3) -> None:
    """RFC 3032, 3.5: path MTU discovery hears of the labels; offloads stay right."""
    path.configure("uniform")
    to = v4(4, 2)
    wait_until(partial(reached, path.hosts[0], to), to)
    log = path.folder / "received"
    receive = RECEIVE.replace("create_server((sys.argv[1], 9000))", SERVER)
    receiver = path.lab.start(
        [sys.executable, "-c", receive, to], log, path.hosts[1], environment()
    )
    wait_until(lambda: "listening" in log.read_text(), "the receiver to listen")
    path.hosts[0].run(sys.executable, "-c", SEND, to, str(TCP_BYTES), timeout=120)
    receiver.wait(60)
    assert log.read_text().split()[1] == str(TCP_BYTES)
    assert "mtu 1496" in path.hosts[0].ip("route", "get", to)
