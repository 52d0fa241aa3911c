r"""G6: keepalived decides who is master, the bus tells of it, and a standby takes over.

h1 --- (lan1) --- a --- (lan2) --- h2
          \                /
           +------ b -----+
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.peers.raicho import ask
from raicho.control.message import GetHistory, Set
from raicho.control.message.vrrp import VrrpMoved

from .conftest import short_folder
from .hearing import Hearing
from .keepalived import GROUP, Keepalived
from .lab import Lab, Namespace, wait_until
from .needs import needs
from .pinging import ping, reached
from .routed import v4
from .switch import MODULES, Switch

pytestmark = needs("ping", "keepalived")

LANS, VIRTUAL = (1, 2), 254
PRIORITY = {"a": 150, "b": 100}
SET_BY_HAND = "198.51.100.0/24"


@dataclass
class Member:
    """One of the two: a switch, the host's side of its router, and keepalived."""

    name: str
    place: Namespace
    os: Namespace
    switch: Switch
    keepalived: Keepalived

    def kill(self) -> None:
        """Let all of it die at once, as with its host."""
        for identity in ("supervisor", *(MODULES.keys() - {"supervisor"})):
            if self.switch.pid(identity) is not None:
                self.switch.kill(identity)
        self.keepalived.kill()

    def history(self) -> set[str]:
        """Return the transactions that its datastore knows."""
        known = ask(self.switch.run_dir, "datastore", GetHistory()).revisions
        return {each.txid for each in known}

    def shown(self) -> Any:
        return json.loads(self.switch.cli("show", "vrrp", "--json"))


class Pair:
    """Both of them, on two links that each have a host."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.a, self.b = (self._member(name) for name in PRIORITY)
        lab.cable(self.a.place, "ha", self.b.place, "ha")
        for number, member in enumerate((self.a, self.b), 1):
            member.place.ip("address", "add", f"10.66.0.{number}/24", "dev", "ha")
        wire = lab.namespace("wire")
        self.hosts = tuple(self._lan(wire, net) for net in LANS)

    def _member(self, name: str) -> Member:
        place, os = self.lab.namespace(name), self.lab.namespace(f"os{name}")
        folder = self.folder / name
        folder.mkdir()
        switch = Switch(self.lab, place, folder)
        switch.up()
        keepalived = Keepalived(
            self.lab, folder / "keepalived", switch.run_dir, priority=PRIORITY[name]
        )
        return Member(name, place, os, switch, keepalived)

    def _lan(self, wire: Namespace, net: int) -> Namespace:
        host = self.lab.namespace(f"h{net}")
        ends = {"h": (host, "eth0"), "a": (self.a.place, f"p{net}"), "b": (self.b.place, f"p{net}")}
        wire.ip("link", "add", f"lan{net}", "type", "bridge", "mcast_snooping", "0")
        wire.ip("link", "set", f"lan{net}", "up")
        for name, (place, device) in ends.items():
            self.lab.cable(wire, f"{name}{net}", place, device)
            wire.ip("link", "set", f"{name}{net}", "master", f"lan{net}")
        host.ip("address", "add", f"{v4(net, 2)}/24", "dev", "eth0")
        host.ip("route", "add", "default", "via", v4(net, VIRTUAL))
        return host


@pytest.fixture
def pair() -> Iterator[Pair]:
    with short_folder() as folder, Lab() as lab:
        pair = Pair(lab, folder)
        yield pair
        for member in (pair.a, pair.b):
            print(member.switch.log.read_text(), member.keepalived.log())


def configuration(own: int, host_side: str = "") -> list[Set]:
    """A router between the links; with a host's side, that is where keepalived sees it."""
    ops = [Set("/raicho/router[name='r']/host-namespace", host_side)] if host_side else []
    for net in LANS:
        port = {"kind": "af_packet", "device": f"p{net}"}
        interface = {
            "port": f"p{net}",
            "host": bool(host_side),
            "mac": f"02:00:00:00:0{net}:{own:02x}",
            "address": [f"{v4(net, own)}/24"],
        }
        ops.append(Set(f"/raicho/port[name='p{net}']", port))
        ops.append(Set(f"/raicho/router[name='r']/interface[name='lan{net}']", interface))
    return ops


def wait_state(hearing: Hearing, state: str, names: set[str]) -> list[VrrpMoved]:
    """Wait until all of these instances are in a state; return all that was heard of them."""

    def told() -> list[VrrpMoved]:
        bodies = [event.body for _, event in hearing.of("vrrp.instance")]
        return [body for body in bodies if isinstance(body, VrrpMoved)]

    def states() -> dict[str, str]:
        return {body.name: body.new for body in told()}

    wait_until(lambda: states() == dict.fromkeys(names, state), f"all to be {state}", 60)
    return told()


def test_a_gateway_moves_to_the_other_router(pair: Pair) -> None:
    """G6: the events of both, and the packets by whoever is master."""
    names = {f"lan{net}" for net in LANS}
    addresses = {f"lan{net}": v4(net, VIRTUAL) for net in LANS}
    hearings = [Hearing(member.switch.run_dir, "vrrp.") for member in (pair.a, pair.b)]
    with hearings[0], hearings[1]:
        for own, member, hearing, state in (
            (1, pair.a, hearings[0], "MASTER"),
            (3, pair.b, hearings[1], "BACKUP"),
        ):
            member.switch.commit(*configuration(own, member.os.name))
            member.keepalived.start(member.os, addresses)
            wait_state(hearing, state, names)
        host = pair.hosts[0]
        wait_until(lambda: reached(host, v4(2, 2)), "the other host")
        pair.a.kill()
        told = wait_state(hearings[1], "MASTER", names)
    first = {body.name: body.old for body in reversed(told)}
    assert first == dict.fromkeys(names, "INIT")
    assert ("BACKUP", "MASTER") in {(body.old, body.new) for body in told}
    assert {body.priority for body in told} == {PRIORITY["b"]}
    groups = [event.body for _, event in hearings[1].of("vrrp.group")]
    last = groups[-1]
    assert isinstance(last, VrrpMoved)
    assert (last.kind, last.name, last.new) == ("group", GROUP, "MASTER")
    rows = {(row["kind"], row["name"], row["state"]) for row in pair.b.shown()}
    assert rows == {("instance", name, "MASTER") for name in names} | {("group", GROUP, "MASTER")}
    wait_until(lambda: reached(host, v4(2, 2)), "the other host, by the other router")
    assert ping(host, v4(2, 2), "-c", "20", "-i", "0.05").lost == 0


def test_a_standby_takes_over_with_what_was_exported(pair: Pair) -> None:
    """G6: cold: it holds nothing until it is master, and then all of it by one transaction.

    Only configuration is exported: no route that somebody set, and not who changed what.
    """
    a, b = pair.a, pair.b
    addresses, saved = {"ha": "10.66.0.100/24"}, pair.folder / "saved.json"
    with Hearing(a.switch.run_dir, "vrrp.") as hearing:
        a.switch.commit(*configuration(VIRTUAL))
        a.switch.cli("route", "add", "r", SET_BY_HAND, "--via", v4(2, 2))
        a.switch.cli("config", "save", str(saved))
        a.keepalived.start(a.place, addresses)
        wait_state(hearing, "MASTER", {"ha"})
    host = pair.hosts[0]
    wait_until(lambda: reached(host, v4(2, 2)), "the other host")
    before = b.switch.revision()
    with Hearing(b.switch.run_dir, "vrrp.", "config.") as hearing:
        b.keepalived.start(b.place, addresses)
        wait_state(hearing, "BACKUP", {"ha"})
        whole, history = a.switch.configuration(), a.history()
        assert SET_BY_HAND in a.switch.cli("show", "routes", "r")
        a.kill()
        wait_state(hearing, "MASTER", {"ha"})
        b.switch.cli("config", "load", str(saved))
        hearing.wait("config.committed")
        assert len(hearing.of("config.committed")) == 1
    assert b.switch.revision() == before + 1
    assert b.switch.configuration() == whole
    again = pair.folder / "again.json"
    b.switch.cli("config", "save", str(again))
    assert again.read_text() == saved.read_text()
    assert SET_BY_HAND not in b.switch.cli("show", "routes", "r")
    assert history
    assert not history & b.history()
    wait_until(lambda: reached(host, v4(2, 2)), "the other host, by the standby")
    assert ping(host, v4(2, 2), "-c", "20", "-i", "0.05").lost == 0
