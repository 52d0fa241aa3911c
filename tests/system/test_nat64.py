"""A client that has only IPv6, servers that have only IPv4, and the kernel on both sides (P5)."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Network
from pathlib import Path

import pytest
from oracle.nat64 import embed

from bench.peers.raicho import ask
from raicho.control.message import Get, Set

from .lab import Lab, Namespace, wait_until
from .natted import ASK, ECHO, FETCH, SERVE, counts, run, serve
from .needs import find, needs
from .pinging import ping
from .routed import Routed, stand, v4, v6

pytestmark = needs("ping")

ROUTER = "/raicho/router[name='r']"
PREFIX = IPv6Network("2001:db8:64::/96")
OUTSIDE = v4(2, 1)  # the router's own address there
NARROW = 1400  # bytes that the last link takes
FAR = v4(9, 2)


def six(address: str) -> str:
    """Return an IPv4 address as the client knows it."""
    return str(embed(PREFIX, IPv4Address(address)))


def prepare(found: Routed) -> Namespace:
    """Take one family from each host, and put a server behind the second, on a narrow link."""
    client, server = found.hosts
    client.ip("-4", "address", "flush", "dev", "eth0")
    server.ip("-6", "address", "flush", "dev", "eth0", "scope", "global")
    server.ip("route", "del", "default")
    far = found.lab.namespace("far")
    found.lab.cable(server, "eth1", far, "eth0")
    for space, device, host in ((server, "eth1", 1), (far, "eth0", 2)):
        space.ip("address", "add", f"{v4(9, host)}/24", "dev", device)
        space.ip("link", "set", device, "mtu", str(NARROW))
    far.ip("route", "add", "default", "via", v4(9, 1))
    server.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    return far


@pytest.fixture
def routed(folder: Path) -> Iterator[Routed]:
    """Host 0 is the client, host 1 a server and the router to host 2."""
    with Lab() as lab:
        found = stand(lab, folder)
        far = prepare(found)
        found.configure()
        found.switch.commit(
            Set(f"{ROUTER}/nat/pool[name='wan']/interface", "if2"),
            Set(f"{ROUTER}/nat/nat64/prefix", str(PREFIX)),
            Set(f"{ROUTER}/interface[name='if1']/nat", "inside"),
            Set(f"{ROUTER}/interface[name='if2']/nat", "outside"),
            Set(
                f"{ROUTER}/route[prefix='{v4(9, 0)}/24']",
                {"next-hop": [{"id": 1, "address": v4(2, 2)}]},
            ),
        )
        found.hosts = (*found.hosts, far)
        wait_until(lambda: ping(found.hosts[0], six(v4(2, 2)), "-c", "1").answered, "a ping", 60)
        yield found
        print(found.switch.log.read_text())


def test_web_pages_come_through(routed: Routed) -> None:
    """RFC 6146, 3.5.2: the server sees the outside address."""
    serve(routed, SERVE, v4(2, 2))
    url = f"http://[{six(v4(2, 2))}]:8080/"
    assert run(routed, FETCH, url, 20).split() == [OUTSIDE] * 20
    assert counts(routed)["sessions"] >= 20
    if find("curl"):
        assert routed.hosts[0].run("curl", "-sg", "--max-time", "20", url) == OUTSIDE


@pytest.mark.parametrize("size", [10, 1440, 4000])
def test_datagrams_come_through_whole_and_in_fragments(routed: Routed, size: int) -> None:
    """RFC 6146, 3.4; RFC 7915, 4.1: what no longer fits comes in more fragments."""
    serve(routed, ECHO, v4(2, 2))
    assert run(routed, ASK, six(v4(2, 2)), size).split() == [OUTSIDE, str(size)]


def test_pings_and_the_way_of_packets_come_through(routed: Routed) -> None:
    """RFC 6146, 3.5.3; RFC 7915, 4.2: each router on the way says that it is one."""
    client = routed.hosts[0]
    assert ping(client, six(v4(2, 2)), "-f", "-c", "1000", timeout=60).lost == 0
    for hops, router in enumerate((v6(1, 1), six(v4(2, 2))), 1):
        argv = ("ping", "-n", "-c", "1", "-W", "5", "-t", str(hops), six(FAR))
        text = client.run(*argv, check=False)
        assert re.search(rf"From {re.escape(router)}.*Time exceeded", text), text
    assert ping(client, six(FAR), "-c", "1", "-t", "3").lost == 0
    if find("traceroute"):
        text = client.run("traceroute", "-6", "-n", "-m", "4", six(FAR), timeout=60)
        assert [line.split()[1] for line in text.splitlines()[1:]] == [
            v6(1, 1),
            six(v4(2, 2)),
            six(FAR),
        ]


def test_a_forwarded_port_leads_to_a_host_that_has_only_ipv6(routed: Routed) -> None:
    """RFC 6146, 3.1: a binding that is always there; who comes in is behind the prefix."""
    serve(routed, ECHO.replace("AF_INET,", "AF_INET6,"), v6(1, 2), host=0)
    forward = {
        "protocol": "udp",
        "outside": OUTSIDE,
        "outside-port": 5353,
        "inside": v6(1, 2),
        "inside-port": 5353,
    }
    routed.switch.commit(Set(f"{ROUTER}/nat/forward[name='echo']", forward))
    assert run(routed, ASK, OUTSIDE, 10, host=1).split() == [six(v4(2, 2)), "10"]
    row = ask(routed.switch.run_dir, "dataplane", Get(ROUTER)).data
    assert row["nat"]["forward"][0]["inside"] == v6(1, 2)


def test_a_refusal_comes_through(routed: Routed) -> None:
    """RFC 7915, 4.2: nobody listens there, and the client's kernel hears it."""
    refused = """
import socket, sys
client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
client.connect((sys.argv[1], 9))
client.settimeout(10)
client.send(b"x")
try:
    client.recv(10)
except ConnectionRefusedError:
    print("refused")
"""
    assert run(routed, refused, six(v4(2, 2))).strip() == "refused"


def test_the_client_learns_how_much_the_narrow_link_takes(routed: Routed) -> None:
    """RFC 7915, 4.2: what a router of IPv4 says, and 20 bytes; RFC 8201 in the client's kernel."""
    client, to = routed.hosts[0], six(FAR)
    argv = ("ping", "-n", "-c", "1", "-W", "3", "-M", "do", "-s", "1430", to)
    client.run(*argv, check=False)
    shown = client.ip("-6", "route", "get", to)
    assert f"mtu {NARROW + 20}" in shown, shown
    fits = NARROW - 20 - 8
    assert ping(client, to, "-c", "1", "-M", "do", "-s", str(fits)).lost == 0
    serve(routed, ECHO, FAR, host=2)
    assert run(routed, ASK, to, 1430).split() == [OUTSIDE, "1430"]  # in two fragments


def test_a_server_learns_how_much_the_client_takes(routed: Routed) -> None:
    """RFC 7915, 5.1: too long for the link of IPv6, said in terms of IPv4."""
    serve(routed, ECHO, v4(2, 2))
    routed.switch.commit(Set(f"{ROUTER}/interface[name='if1']/mtu", 1300))
    ask = """
import socket, sys
client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
client.settimeout(1)
for _ in range(20):
    client.sendto(b"x" * 1240, (sys.argv[1], 5353))
    try:
        data, _ = client.recvfrom(65535)
    except TimeoutError:
        continue
    print(len(data) - data.index(b" ") - 1)
    break
"""
    assert run(routed, ask, six(v4(2, 2))).split() == ["1240"]
    routed.switch.commit(Set(f"{ROUTER}/interface[name='if1']/mtu", 1280))
    assert run(routed, ask, six(v4(2, 2))).split() == ["1240"]
    shown = routed.hosts[1].ip("route", "get", OUTSIDE)
    assert "mtu 1260" in shown, shown
