"""Bridges that learn, and the hosts of the kernel around them: VLANs, programs, groups."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import zmq

from bench.peers.raicho import ask
from raicho.control.message import (
    DONE,
    BulkClient,
    BulkRequest,
    CallError,
    Delete,
    Lookup,
    Set,
)
from raicho.control.openflow.spec import Message, pack
from raicho.control.openflow.spec.actions import Output
from raicho.control.openflow.spec.instructions import ApplyActions
from raicho.control.openflow.spec.ports import PortNo
from raicho.control.openflow.spec.templates import TemplateCommand, TemplateMod, message

from .conftest import ADDRESSES, DEVICES, Site, short_folder, standing
from .lab import Namespace, wait_until
from .needs import needs
from .pinging import Pinging, ping, reached
from .switch import environment

pytestmark = needs("ping")

THIRD, THIRD_ADDRESS = "p3", "10.9.0.3"
BR0 = "/raicho/bridge[name='br0']"
GROUP = "239.1.2.3"
SEND = f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("{ADDRESSES[0]}"))
s.sendto(b"hello", ("{GROUP}", 9))
"""


def of(device: str, **leaves: object) -> Set:
    """Set leaves of a port of the bridge."""
    return Set(f"{BR0}/port[name='{device}']", {k.replace("_", "-"): v for k, v in leaves.items()})


def applied(site: Site, *messages: Message) -> list[int]:
    """Apply what a controller could send to the bridge; return a code each."""
    found = ask(site.switch.run_dir, "datastore", Lookup("dataplane.bulk"))

    async def apply() -> bytes:
        with zmq.Context() as context:
            bulk = BulkClient(context, found.endpoint)
            request = BulkRequest("apply", "br0")
            _, frames = await bulk.request(request, b"".join(map(pack, messages)))
            bulk.close()
        return frames[0]

    return list(memoryview(asyncio.run(apply())).cast("I"))


@pytest.fixture(scope="module")
def ground() -> Iterator[tuple[Site, Namespace]]:
    """One switch for all tests, and one more host than usual."""
    with short_folder() as folder, standing(folder) as site:
        host = site.lab.namespace("h3")
        site.lab.cable(host, "eth0", site.place, THIRD)
        yield site, host


@pytest.fixture
def site(ground: tuple[Site, Namespace]) -> Site:
    """A bridge that forwards by itself, and knows nothing yet."""
    found, _ = ground
    devices = (*DEVICES, THIRD)
    members = [{"name": device, "number": i} for i, device in enumerate(devices, 1)]
    bridge = {"name": "br0", "pipeline": "bridge", "port": members}
    ports = [{"name": device, "kind": "af_packet", "device": device} for device in devices]
    wanted = {"raicho": {"port": ports, "bridge": [bridge]}}
    found.switch.commit(Delete("/"), Set("/", wanted))
    return found


@pytest.fixture
def third(ground: tuple[Site, Namespace]) -> Namespace:
    site, host = ground
    host.ip("address", "flush", "dev", "eth0")
    for other in site.hosts:
        other.ip("neighbour", "flush", "all")  # it had the address on another device
    return host


def addressed(host: Namespace, device: str = "eth0") -> Namespace:
    host.ip("address", "add", f"{THIRD_ADDRESS}/24", "dev", device)
    host.ip("link", "set", device, "up")
    return host


def test_hosts_reach_each_other_in_their_vlan_only(site: Site, third: Namespace) -> None:
    """P1, K19: two access ports and a trunk, on which a host speaks with tags."""
    log = site.folder / "tagging.log"
    argv = [sys.executable, "-m", "system.tagging", "eth0", "tap0", "10"]
    tagging = site.lab.start(argv, log, third, environment())
    wait_until(lambda: "ready" in log.read_text(), "the host on the trunk", 60)
    addressed(third, "tap0")
    site.switch.commit(of("p1", vlan=10), of("p2", vlan=10), of("p3", trunk=["10", "20..29"]))
    for address in (ADDRESSES[1], THIRD_ADDRESS):
        wait_until(lambda a=address: reached(site.hosts[0], a), f"a ping to {address}")  # type: ignore[misc]
    rows = json.loads(site.switch.cli("show", "fdb", "--json"))
    assert {row["port"] for row in rows if row["vlan"] == 10} == {"p1", "p2", "p3"}
    assert {row["vlan"] for row in rows if not row["static"]} == {10}
    site.switch.commit(of("p2", vlan=20))
    assert ping(site.hosts[0], ADDRESSES[1], "-c", "3", "-i", "0.1", "-W", "1").answered == 0
    assert ping(site.hosts[0], THIRD_ADDRESS, "-c", "5", "-i", "0.05").lost == 0
    tagging.terminate()  # and the tap goes with it
    tagging.wait()


def test_isolated_hosts_reach_the_others(site: Site, third: Namespace) -> None:
    addressed(third)
    site.switch.commit(of("p1", isolated=True), of("p2", isolated=True))
    for host in site.hosts:
        wait_until(lambda h=host: reached(h, THIRD_ADDRESS), "a ping to the third host")  # type: ignore[misc]
    assert ping(site.hosts[0], ADDRESSES[1], "-c", "3", "-i", "0.1", "-W", "1").answered == 0


def test_the_pipeline_changes_under_traffic_and_nothing_is_lost(
    site: Site,
) -> None:
    """G9, F7, K10: in two phases, without a restart."""
    wait_until(lambda: reached(site.hosts[0], ADDRESSES[1]), "the first ping")
    site.switch.commit(Set(f"{BR0}/fail-mode", "standalone"))
    forward = ApplyActions((Output(PortNo.NORMAL),))
    define = TemplateMod(TemplateCommand.ADD, 7, 0, "mine", (forward,))
    assert applied(site, message(define)) == [DONE]
    with Pinging(site.hosts[0], ADDRESSES[1], every=0.002) as pinging:
        for i in range(20):
            site.switch.commit(of("p1", pipeline=("openflow", "bridge", "template:7")[i % 3]))
            bridge = ("bridge", "openflow")[i % 2]
            site.switch.commit(Set(f"{BR0}/pipeline", bridge))
    assert pinging.counted.sent > 500
    assert pinging.counted.lost == 0


def test_what_a_bridge_cannot_be_is_refused(site: Site) -> None:
    """F15: with the path and the reason, and nothing has changed."""
    before = site.switch.configuration()
    for op, words in [
        (of("p1", trunk=["20..10"]), ["port[name='p1']/trunk", "20..10 is no range of VLANs"]),
        (of("p1", vlan_mode="native-tagged"), ["need a vlan"]),
        (of("p1", vlan=7, trunk=["8"]), ["a port of vlan-mode access has one VLAN"]),
    ]:
        with pytest.raises(CallError) as refused:
            site.switch.commit(op, session=words[0])  # what is refused stays in its session
        assert all(word in str(refused.value) for word in words), refused.value
        assert site.switch.configuration() == before


def test_a_static_address_leads_to_its_port(site: Site) -> None:
    wait_until(lambda: reached(site.hosts[0], ADDRESSES[1]), "the first ping")
    link = json.loads(site.hosts[1].run("ip", "-j", "link", "show", "eth0"))
    where = f"{BR0}/static-mac[vlan='0'][mac='{link[0]['address']}']"
    site.switch.commit(Set(where, {"port": THIRD}))
    assert ping(site.hosts[0], ADDRESSES[1], "-c", "3", "-i", "0.1", "-W", "1").answered == 0
    site.switch.commit(Delete(where), Set(where, {}))
    assert ping(site.hosts[0], ADDRESSES[1], "-c", "3", "-i", "0.1", "-W", "1").answered == 0
    site.switch.commit(Delete(where))
    wait_until(lambda: reached(site.hosts[0], ADDRESSES[1]), "a ping that is learned again")


@dataclass
class Listener:
    """A host that may join the group, and sees what comes anyway."""

    process: "subprocess.Popen[str]"
    heard: int = 0

    @classmethod
    def on(cls, host: Namespace) -> "Listener":
        argv = host.command(sys.executable, "-m", "system.listening", "eth0", GROUP)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen(argv, env=environment(), text=True, **pipes)  # type: ignore[call-overload]
        assert process.stdout.readline() == "ready\n"
        return cls(process)

    def say(self, word: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def end(self) -> int:
        """End it; return how many datagrams it has heard."""
        self.process.terminate()
        return self.process.communicate()[0].count("heard")


def joined(site: Site) -> set[str]:
    rows = json.loads(site.switch.cli("show", "multicast", "--json"))
    return {port for row in rows if row["group"] == GROUP for port in row["port"]}


def test_a_group_goes_where_the_kernel_has_joined_it(site: Site, third: Namespace) -> None:
    """P1: IGMP snooping (RFC 4541), with the kernel's own reports."""
    addressed(third)
    site.switch.commit(
        Set(f"{BR0}/multicast", {"snooping": True, "unknown": "routers", "querier": True}),
        of("p2", fast_leave=True),
    )
    listeners = [Listener.on(host) for host in (site.hosts[1], third)]
    try:
        listeners[0].say("join")
        wait_until(lambda: joined(site) == {"p2"}, "the report of the host")
        for _ in range(5):
            site.hosts[0].run(sys.executable, "-c", SEND)
        listeners[0].say("leave")
        wait_until(lambda: joined(site) == set(), "the host to leave")
        site.hosts[0].run(sys.executable, "-c", SEND)
        time.sleep(0.5)  # for what should not come
    finally:
        heard = [listener.end() for listener in listeners]
    assert heard == [5, 0]
