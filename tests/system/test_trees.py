"""Multicast between hosts whose kernels are its sender and its receivers: P4 (TIB), P1.

RFC 7761, section 4.2; RFC 1112, sections 6 and 7: sockets that send to a group and join it.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from raicho.control.message import Delete, Set

from .lab import Lab, wait_until
from .routed import Routed, stand, v4, v6
from .switch import environment

GROUPS = ("239.1.1.1", "ff0e::1:1")
HOPS = 8  # that the sender lets a packet take
ENOUGH = 20  # packets

SEND = """
import socket, sys, time
group, text = sys.argv[1:3]
interface = socket.if_nametoindex("eth0")
if ":" in group:
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, interface)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 8)
else:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    member = bytes(8) + interface.to_bytes(4, "little")
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, member)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 8)
if len(sys.argv) > 3:
    s.bind((sys.argv[3], 0))
while True:
    s.sendto(text.encode(), (group, 5000))
    time.sleep(0.01)
"""
RECEIVE = """
import socket, sys
group = sys.argv[1]
index = socket.if_nametoindex("eth0").to_bytes(4, "little")
if ":" in group:
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    level, join = socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP
    s.setsockopt(level, socket.IPV6_RECVHOPLIMIT, 1)
    member = socket.inet_pton(socket.AF_INET6, group) + index
else:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    level, join = socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP
    s.setsockopt(level, 12, 1)  # IP_RECVTTL of <linux/in.h>
    member = socket.inet_aton(group) + bytes(4) + index
s.bind((group, 5000))
if len(sys.argv) > 2:
    def address(text):  # struct sockaddr_storage
        if ":" in text:
            packed = bytes(6) + socket.inet_pton(socket.AF_INET6, text)
        else:
            packed = bytes(2) + socket.inet_aton(text)
        return (int(s.family).to_bytes(2, "little") + packed).ljust(128, bytes(1))
    join = 46  # MCAST_JOIN_SOURCE_GROUP (RFC 3678, 5.1)
    member = index + bytes(4) + address(group) + address(sys.argv[2])
s.setsockopt(level, join, member)
print("joined", flush=True)
while True:
    data, rest, _, sender = s.recvmsg(100, 100)
    print(data.decode(), int.from_bytes(rest[0][2], "little"), sender[0], flush=True)
"""


class Trees:
    """A sender on link 1, receivers on links 2 and 3."""

    def __init__(self, routed: Routed, group: str) -> None:
        self.routed, self.group = routed, group
        self.path = f"/raicho/router[name='r']/tree[group='{group}'][source='*']"
        self.receivers, self.logs = {}, {}
        for i in range(1, len(routed.hosts)):
            self.receivers[i], self.logs[i] = self._start(i, RECEIVE, f"received{i}")
        for log in self.logs.values():
            wait_until(partial(_has, log, "joined"), "the receivers to join")

    def _start(
        self, host: int, script: str, name: str, *more: str
    ) -> tuple[subprocess.Popen[bytes], Path]:
        log = self.routed.folder / name
        argv = [sys.executable, "-c", script, self.group, *more]
        return self.routed.lab.start(argv, log, self.routed.hosts[host], environment()), log

    def send(self, text: str, *source: str, host: int = 0) -> None:
        """Send packets with this text from now on."""
        self._start(host, SEND, f"sent-{text}", text, *source)

    def want(self, host: int, source: str) -> None:
        """Let a host want nothing of the group but what a source sends."""
        self.receivers[host].kill()
        self.receivers[host].wait()
        self.receivers[host], self.logs[host] = self._start(host, RECEIVE, "source", source)
        wait_until(partial(_has, self.logs[host], "joined"), "the receiver to join")

    def outgoing(self) -> dict[str, list[str]]:
        """Return by which interfaces packets leave, by source."""
        rows = json.loads(self.routed.switch.cli("show", "trees", "--json"))
        return {row["source"]: sorted(row["outgoing-interface"]) for row in rows}

    def set(self, *outgoing: str, **more: str) -> None:
        leaves = {name.replace("_", "-"): value for name, value in more.items()}
        value = {"outgoing-interface": list(outgoing), **leaves}
        self.routed.switch.commit(Set(self.path, value))

    def heard(self, host: int, text: str) -> list[str]:
        """Return what a receiver says of packets with this text."""
        return [line for line in self.logs[host].read_text().splitlines() if text in line]

    def wait_heard(self, host: int, text: str) -> None:
        wait_until(lambda: len(self.heard(host, text)) >= ENOUGH, f"packets {text} at {host}")

    def shown(self) -> dict[str, Any]:
        (row,) = json.loads(self.routed.switch.cli("show", "trees", "--json"))
        return dict(row)


def _has(log: Path, text: str) -> bool:
    return text in log.read_text()


@pytest.fixture(params=GROUPS)
def trees(request: pytest.FixtureRequest, folder: Path) -> Iterator[Trees]:
    with Lab() as lab:
        routed = stand(lab, folder, links=3)
        routed.configure()
        yield Trees(routed, request.param)
        print(routed.switch.log.read_text())


def test_members_on_several_links_hear_the_sender(trees: Trees) -> None:
    trees.set("if2", "if3")
    trees.send("first")
    for host in (1, 2):
        trees.wait_heard(host, "first")
        _, hops, sender = trees.heard(host, "first")[0].split()
        assert int(hops) == HOPS - 1
        assert sender in ("10.7.1.2", "2001:db8:1::2")
    trees.set("if2")
    trees.send("second")
    trees.wait_heard(1, "second")
    assert trees.heard(2, "second") == []
    shown = trees.shown()
    assert shown["packets"] >= 2 * ENOUGH
    assert shown["strayed"] == 0
    trees.routed.switch.commit(Delete(trees.path))
    assert json.loads(trees.routed.switch.cli("show", "trees", "--json")) == []


def test_who_sends_by_another_interface_is_not_heard(trees: Trees) -> None:
    """RFC 7761, 4.2: packets of a tree come by its incoming interface."""
    trees.set("if1", "if3", incoming_interface="if1")
    trees.send("astray", host=1)
    wait_until(lambda: trees.shown()["strayed"] >= ENOUGH, "strayed packets to be counted")
    trees.send("first")
    trees.wait_heard(2, "first")
    assert trees.heard(2, "astray") == []


def test_who_joins_is_heard_of(trees: Trees) -> None:
    """RFC 3376, RFC 3810: the kernel as a host that joins and leaves; no tree is configured."""
    for i in (2, 3):
        name = f"/raicho/router[name='r']/interface[name='if{i}']/multicast"
        trees.routed.switch.commit(Set(name, value=True))
    trees.send("first")
    for host in (1, 2):
        trees.wait_heard(host, "first")
    assert sorted(trees.shown()["outgoing-interface"]) == ["if2", "if3"]
    trees.receivers[1].kill()
    wait_until(lambda: trees.shown()["outgoing-interface"] == ["if3"], "the host to be gone")
    trees.send("second")
    trees.wait_heard(2, "second")


def test_who_wants_one_source_hears_that_one_only(trees: Trees) -> None:
    """RFC 9776, RFC 9777: the kernel as a host that names a source (RFC 3678)."""
    two, three = (v6(1, 2), v6(1, 3)) if ":" in trees.group else (v4(1, 2), v4(1, 3))
    nodad = ("nodad",) if ":" in trees.group else ()
    trees.routed.hosts[0].ip("address", "add", three, "dev", "eth0", *nodad)
    trees.want(2, three)
    for i in (2, 3):
        name = f"/raicho/router[name='r']/interface[name='if{i}']/multicast"
        trees.routed.switch.commit(Set(name, value=True))
    trees.send("other", two)
    trees.send("wanted", three)
    trees.wait_heard(1, "other")
    for host in (1, 2):
        trees.wait_heard(host, "wanted")
    assert trees.outgoing() == {"*": ["if2"], three: ["if2", "if3"]}
    assert trees.heard(2, "other") == []
    trees.receivers[2].kill()
    wait_until(lambda: trees.outgoing() == {"*": ["if2"]}, "the host to be gone")


def test_nobody_hears_it_without_a_tree(trees: Trees) -> None:
    trees.set("if2")
    trees.send("first")
    trees.wait_heard(1, "first")
    assert trees.heard(2, "first") == []
