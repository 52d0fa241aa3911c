"""What a killed dataplane has again: its configuration, every flow and every route, the same.

    h1 -- p1 [br0] p2 -- h2       [r] if1, whose side for the host is in a namespace: its kernel's
                                  routes are told by the routing component

Nobody but the components is asked for anything: there is no controller, and no routing daemon.
"""

import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

import pytest

from bench.peers.raicho import ask
from raicho.control.message import AddFlows, Get, Set
from raicho.control.openflow.plain import COUNTED

from .conftest import DEVICES, Site
from .lab import Namespace, wait_until
from .needs import needs
from .test_survival import kill_and_wait
from .test_ways import states

pytestmark = needs("ping")

ROUTER = "/raicho/router[name='r']"
PART = 5000  # flows of a request
FLOW_TABLES = 9
HOPS = 50  # gateways that routes of the configuration lead to

Flow = dict[str, Any]


def match_of(rng: random.Random, n: int) -> dict[str, Any]:
    """Return a match that no other *n* has, of one of several shapes."""
    v4, v6 = IPv4Address(0x0B000000 + n), IPv6Address((0x20010DB8 << 96) + n)
    shapes: list[dict[str, Any]] = [
        {"eth_type": 0x800, "ipv4_dst": str(v4)},
        {"eth_type": 0x800, "ipv4_src": f"{v4}/255.255.255.255", "in_port": 1 + n % 2},
        {"eth_type": 0x800, "ip_proto": 6, "ipv4_dst": str(v4), "tcp_dst": rng.randrange(1 << 16)},
        {"eth_type": 0x86DD, "ipv6_dst": str(v6)},
        {"eth_type": 0x806, "arp_tpa": str(v4), "arp_op": 1 + n % 2},
        {
            "eth_dst": (0x020000000000 + n).to_bytes(6, "big").hex(":"),
            "vlan_vid": 0x1000 | n % 4095,
        },
    ]
    return shapes[n % len(shapes)]


def instructions_of(n: int) -> list[dict[str, Any]]:
    out = {"output": {"port": 1 + n % 2}}
    queue = {"set_queue": {"queue_id": n % 5}}
    kinds: list[list[dict[str, Any]]] = [
        [{"apply_actions": {"actions": [out]}}],
        [{"apply_actions": {"actions": [queue, out]}}],
        [{"write_actions": {"actions": [out]}}],
        [{"goto_table": {"table_id": FLOW_TABLES}}],
        [],
    ]
    return kinds[n % len(kinds)]


def flows(rng: random.Random, count: int) -> Iterator[Flow]:
    """Yield flows of which each differs from all others, and those that carry the pings."""
    for n in range(count - 2):
        yield {
            "table": n % FLOW_TABLES,
            "cookie": rng.getrandbits(63),
            "priority": 2 + rng.randrange(60000),
            "match": match_of(rng, n),
            "instructions": instructions_of(n // 7),
        }
    for here, there in ((1, 2), (2, 1)):
        output = {"apply_actions": {"actions": [{"output": {"port": there}}]}}
        yield {"priority": 1, "match": {"in_port": here}, "instructions": [output]}


def routes(rng: random.Random, count: int) -> Iterator[str]:
    """Yield commands for ip-route(8), of which each makes another route.

    None has a device: with the side for the host, which dies too, the kernel forgets those.
    """
    for n in range(count):
        kind = rng.choice(("blackhole", "unreachable", "prohibit"))
        v4 = IPv4Network((0x64400000 + 4 * n, 30))
        v6 = IPv6Network(((0x20010DB8_00010000 << 64) + (n << 16), 112))
        yield f"route add {kind} {v6 if n % 3 == 0 else v4} metric {1 + rng.randrange(1000)}"


def static_routes() -> Iterator[Set]:
    """Yield routes of the configuration, by gateways."""
    for n in range(HOPS):
        prefix, hop = f"198.51.{n}.0/24", {"id": 1, "address": f"10.9.9.{2 + n}"}
        yield Set(f"{ROUTER}/route[prefix='{prefix}']", {"next-hop": [hop]})


@dataclass
class House:
    """A site with a bridge and a router, and the namespace of the router's host."""

    site: Site
    host: Namespace

    def configure(self) -> None:
        switch = self.site.switch
        switch.bridge(DEVICES, controller=False)
        addresses = ["10.9.9.1/24", "2001:db8:f::1/64"]
        interface = {"port": "n1", "host": True, "address": addresses}
        switch.commit(
            Set("/raicho/port[name='n1']", {"kind": "null"}),
            Set(f"{ROUTER}/host-namespace", self.host.name),
            Set(f"{ROUTER}/interface[name='if1']", interface),
            *static_routes(),
        )
        wait_until(lambda: "if1" in self.host.ip("-br", "link"), "the router's host side")

    def add_flows(self, rows: list[Flow]) -> None:
        for at in range(0, len(rows), PART):
            request = AddFlows("br0", rows[at : at + PART])
            added = ask(self.site.switch.run_dir, "openflow", request, timeout=120)
            assert added.faults == []

    def add_routes(self, lines: list[str], folder: Path) -> None:
        batch = folder / "routes"
        batch.write_text("\n".join((*lines, "")))
        self.host.run("ip", "-force", "-batch", str(batch), timeout=300)

    def flows(self) -> list[str]:
        """Return the flows that the dataplane holds, each as text, without what is counted."""
        rows = ask(self.site.switch.run_dir, "openflow", Get("/flows/br0"), timeout=120).data
        kept = ({name: row[name] for name in row if name not in COUNTED} for row in rows)
        return sorted(json.dumps(row, sort_keys=True) for row in kept)

    def count_flows(self) -> int:
        """Return how many flows the dataplane holds, which is soon told."""
        tables = ask(self.site.switch.run_dir, "openflow", Get("/tables/br0")).data
        return sum(table["active_count"] for table in tables)

    def routes(self) -> list[str]:
        """Return the routes that the dataplane holds, each with its next hops, as text."""
        rows = json.loads(self.site.switch.cli("show", "routes", "r", "--json"))
        return sorted(json.dumps(row, sort_keys=True) for row in rows)

    def configuration(self) -> tuple[Any, Any]:
        """Return what the dataplane holds of the configuration, and what it shows of it."""
        held = ask(self.site.switch.run_dir, "dataplane", Get("/config")).data
        return held["config"], states(self.site)["dataplane"]


@pytest.fixture
def house(site: Site) -> House:
    return House(site, site.lab.namespace("os", ipv6=True))


@pytest.mark.parametrize(
    "count", [10_000, pytest.param(100_000, marks=pytest.mark.soak)], ids="{:_d}".format
)
def test_a_killed_dataplane_has_all_of_it_again(house: House, count: int) -> None:
    """C13: configuration from the datastore, flows from the agent, routes from routing."""
    rng = random.Random(count)
    house.configure()
    house.add_flows(list(flows(rng, count)))
    house.add_routes(list(routes(rng, count)), house.site.folder)
    wait_until(lambda: len(house.routes()) >= count + HOPS, "all routes")
    wait_until(lambda: house.site.switch.copied() > 0, "a copy of the flows")
    house.site.wait_reachable()
    all_flows, all_routes, configuration = house.flows(), house.routes(), house.configuration()
    assert len(set(all_flows)) == count
    assert len(set(all_routes)) >= count + HOPS

    began = time.monotonic()
    kill_and_wait(house.site, "dataplane")
    configured = time.monotonic()
    house.site.wait_reachable()
    reached = time.monotonic()
    wait_until(lambda: house.count_flows() == count, "as many flows")
    filled = time.monotonic()
    wait_until(lambda: house.flows() == all_flows, "the same flows")
    wait_until(lambda: house.routes() == all_routes, "the same routes")
    compared = time.monotonic()
    wait_until(lambda: house.configuration() == configuration, "the same configuration")
    print(
        f"{count} flows and {count} routes, seconds from kill -9 until: ready "
        f"{configured - began:.1f}, the first ping {reached - began:.1f}, all flows there "
        f"{filled - began:.1f}, all flows and routes compared {compared - began:.1f}"
    )
