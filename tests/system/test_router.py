"""Hosts whose kernels know nothing of it are routed: P0, P1, P4, K18 by the other side."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.peers.raicho import ask
from raicho.control.message import AddFlows, CallError, Delete, Set

from .lab import Lab, wait_until
from .needs import needs
from .pinging import Pinging, ping, reached
from .routed import Routed, stand, v4, v6
from .switch import environment
from .transferring import RECEIVE, SEND

pytestmark = needs("ping")

BR0, STRANGER = "/raicho/bridge[name='br0']", "02:00:00:00:00:77"
TCP_BYTES = 32 << 20
COMMITS = 100


@pytest.fixture
def routed(folder: Path) -> Iterator[Routed]:
    with Lab() as lab:
        found = stand(lab, folder)
        yield found
        print(found.switch.log.read_text())


def test_hosts_reach_each_other_and_the_router(routed: Routed) -> None:
    """ARP (RFC 826) and neighbour discovery (RFC 4861) with the kernel as the other side."""
    routed.configure()
    routed.wait_reachable()
    for host, net in ((routed.hosts[0], 2), (routed.hosts[1], 1)):
        for to in (v4(net, 2), v6(net, 2), v4(1, 1), v6(2, 1)):
            counted = ping(host, to, "-c", "10", "-i", "0.01")
            assert (counted.sent, counted.lost) == (10, 0), to
    neighbours = routed.hosts[0].ip("neighbour", "show")
    assert re.search(
        rf"{re.escape(v4(1, 1))} dev eth0 lladdr \S+ \S*(REACHABLE|DELAY|STALE)", neighbours
    )


def test_a_flood_of_pings_loses_none(routed: Routed) -> None:
    routed.configure()
    routed.wait_reachable()
    for to in (v4(2, 2), v6(2, 2)):
        counted = ping(routed.hosts[0], to, "-f", "-c", "20000", timeout=120)
        assert counted.lost == 0, to


@pytest.mark.parametrize("to", [v4(2, 2), v6(2, 2)])
def test_tcp_goes_through_unharmed(routed: Routed, to: str) -> None:
    """Segmentation and checksums that the sender left to hardware stay right."""
    routed.configure()
    routed.wait_reachable()
    log = routed.folder / "received"
    receive = RECEIVE.replace("create_server((sys.argv[1], 9000))", SERVER)
    receiver = routed.lab.start(
        [sys.executable, "-c", receive, to], log, routed.hosts[1], environment()
    )
    wait_until(lambda: "listening" in log.read_text(), "the receiver to listen")
    routed.hosts[0].run(sys.executable, "-c", SEND, to, str(TCP_BYTES), timeout=120)
    receiver.wait(60)
    assert log.read_text().split()[1] == str(TCP_BYTES)


SERVER = (
    'create_server((sys.argv[1], 9000), family=socket.AF_INET6 if ":" in sys.argv[1]'
    " else socket.AF_INET)"
)


def test_errors_reach_the_sender(routed: Routed) -> None:
    """RFC 1812, 5.2.7 and 4.3.3; RFC 4443, 3: what the kernel makes of our messages."""
    routed.configure()
    routed.wait_reachable()
    host = routed.hosts[0]

    def told(*options: str) -> str:
        return host.run("ping", "-c", "1", "-W", "3", *options, check=False)

    assert "Time to live exceeded" in told("-t", "1", v4(2, 2))
    assert "Hop limit" in told("-t", "1", v6(2, 2))
    assert "Net Unreachable" in told("203.0.113.1")
    assert "No route" in told("2001:db8:99::1")
    assert "Host Unreachable" in told("-W", "9", v4(2, 77))


def test_the_path_mtu_is_found(routed: Routed) -> None:
    """RFC 1191, RFC 8201: a link with a smaller MTU behind the router."""
    routed.configure()
    second = "/raicho/router[name='r']/interface[name='if2']/mtu"
    routed.switch.commit(Set(second, 1300))
    routed.wait_reachable()
    for to in (v4(2, 2), v6(2, 2)):
        text = routed.hosts[0].run(
            "ping", "-c", "3", "-M", "do", "-s", "1400", "-W", "1", to, check=False
        )
        assert re.search(r"mtu\s*=\s*1300", text), text
        assert re.search(r"mtu 1300", routed.hosts[0].ip("route", "get", to))
    counted = ping(routed.hosts[0], v4(2, 2), "-c", "3", "-i", "0.05", "-M", "dont", "-s", "2000")
    assert counted.lost == 0


def test_commits_of_other_things_lose_no_packet(routed: Routed) -> None:
    """T6: a running ping through 100 commits."""
    routed.configure()
    routed.wait_reachable()
    with Pinging(routed.hosts[0], v4(2, 2)) as pings:
        for turn in range(COMMITS):
            prefix = f"198.51.{turn % 10}.0/24"
            route = f"/raicho/router[name='r']/route[prefix='{prefix}']"
            routed.switch.commit(Set(route, {"discard": "blackhole"}))
            if turn % 10 == 9:
                routed.switch.commit(Delete(route))
    assert pings.counted.sent > 50
    assert pings.counted.lost == 0


def test_static_routes_lead_on_and_go(routed: Routed) -> None:
    """C7, K19: a network behind a host."""
    routed.configure()
    routed.wait_reachable()
    h2 = routed.hosts[1]
    h2.ip("address", "add", "192.0.2.1/32", "dev", "lo")
    assert ping(routed.hosts[0], "192.0.2.1", "-c", "1", "-w", "1").answered == 0
    route = "/raicho/router[name='r']/route[prefix='192.0.2.0/24']"
    routed.switch.commit(Set(route, {"next-hop": [{"id": 1, "address": v4(2, 2)}]}))
    assert ping(routed.hosts[0], "192.0.2.1", "-c", "3", "-i", "0.1").lost == 0
    routed.switch.commit(Delete(route))
    assert ping(routed.hosts[0], "192.0.2.1", "-c", "1", "-w", "1").answered == 0


def test_a_dead_control_component_loses_no_packet(routed: Routed) -> None:
    """G2: routing goes on while the datastore is away."""
    routed.configure()
    routed.wait_reachable()
    with Pinging(routed.hosts[0], v6(2, 2)) as pings:
        wait_until(lambda: pings.counted.sent >= 50, "pings", 30)
        routed.switch.kill("datastore")
        wait_until(lambda: pings.counted.sent >= 150, "pings", 30)
    assert pings.counted.lost == 0


@pytest.mark.parametrize(
    ("leaves", "reason"),
    [
        ({"address": ["10.7.1.0/24"]}, "not the address of a host"),
        ({"address": ["10.7.2.9/24"]}, "has the prefix"),
        ({"mac": "01:00:00:00:00:01"}, "group"),
        ({"port": "p9"}, "p9"),
    ],
)
def test_what_cannot_be_is_refused(routed: Routed, leaves: dict[str, object], reason: str) -> None:
    """T5, M1."""
    routed.configure()
    before = routed.switch.configuration()
    with pytest.raises(CallError, match=reason):
        routed.switch.commit(
            *(
                Set(f"/raicho/router[name='r']/interface[name='if1']/{name}", value)
                for name, value in leaves.items()
            )
        )
    assert routed.switch.configuration() == before


def test_a_routing_daemon_has_interfaces_of_its_own(routed: Routed) -> None:
    """P0: the host's side of an interface, in a namespace: what the kernel there says goes out."""
    inside = routed.lab.namespace("os", ipv6=True)
    routed.switch.commit(Set("/raicho/router[name='r']/host-namespace", inside.name))
    routed.configure(host=True)
    routed.wait_reachable()
    assert v4(1, 1) in inside.ip("address", "show", "dev", "if1")
    assert ping(inside, v4(1, 2), "-c", "5", "-i", "0.05").lost == 0
    assert ping(inside, v6(1, 2), "-c", "5", "-i", "0.05").lost == 0
    assert ping(routed.hosts[1], v4(1, 1), "-c", "5", "-i", "0.05").answered >= 4
    routed.hosts[0].ip("link", "set", "eth0", "down")
    wait_until(lambda: "NO-CARRIER" in inside.ip("link", "show", "if1"), "the link to be down", 10)


def entry(action: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"instructions": [{"apply_actions": {"actions": [action]}}], **fields}


def test_flow_entries_choose_who_is_routed(folder: Path) -> None:
    """F7: what a host of a bridge sends to a stranger's address, an entry sends into the router."""
    with Lab() as lab:
        found = stand(lab, folder, 3)
        host, side = found.hosts[2], "/raicho/router[name='r']/interface[name='side']"
        found.configure()
        addresses = [f"{v4(3, 1)}/24", f"{v6(3, 1)}/64"]
        found.switch.commit(
            Delete("/raicho/router[name='r']/interface[name='if3']"),
            Set(f"{BR0}/port[name='p3']/number", 1),
            Set(side, {"bridge": "br0", "address": addresses, "number": 7}),
        )
        for to, version in ((v4(3, 1), "-4"), (v6(3, 1), "-6")):
            host.ip(version, "neighbour", "replace", to, "lladdr", STRANGER, "dev", "eth0")
        second = {"eth_type": 0x800, "ipv4_dst": f"{v4(2, 0)}/24"}
        second_v6 = {"eth_type": 0x86DD, "ipv6_dst": f"{v6(2, 0)}/64"}
        flows = [
            entry({"output": {"port": "NORMAL"}}, priority=1),
            entry({"route": {"interface": 7}}, priority=2, match=second),
            entry({"route": {"interface": 7}}, priority=2, match=second_v6),
        ]
        added = ask(found.switch.run_dir, "openflow", AddFlows("br0", flows), timeout=30)
        assert added.faults == []
        for to in (v4(2, 2), v6(2, 2)):
            wait_until(lambda to=to: reached(host, to), f"a ping to {to}")  # type: ignore[misc]
            assert ping(host, to, "-c", "20", "-i", "0.02").lost == 0
        assert not reached(host, v4(1, 2))
        assert sum("actions=route:7" in line for line in found.switch.flows()) == 2
        found.switch.commit(Delete(f"{side}/number"))
        assert not reached(host, v4(2, 2))
        print(found.switch.log.read_text())
