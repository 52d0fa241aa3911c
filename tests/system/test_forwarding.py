"""Hosts behind the switch reach each other under a controller that nobody here wrote."""

import hashlib
import random
import sys

from .conftest import ADDRESSES, DEVICES, Site
from .lab import wait_until
from .needs import needs
from .pinging import ping
from .switch import environment

FLOOD = 100_000
TCP_BYTES = 64 << 20

RECEIVE = """
import hashlib, socket, sys
server = socket.create_server((sys.argv[1], 9000))
print("listening", flush=True)
connection, _ = server.accept()
digest, size = hashlib.sha256(), 0
while data := connection.recv(1 << 16):
    digest.update(data)
    size += len(data)
print(size, digest.hexdigest(), flush=True)
"""
SEND = """
import random, socket, sys
data = random.Random(0).randbytes(1 << 20)
with socket.create_connection((sys.argv[1], 9000)) as connection:
    for _ in range(int(sys.argv[2]) >> 20):
        connection.sendall(data)
"""

pytestmark = needs("ping")


def test_hosts_reach_each_other_both_ways_under_the_controller(site: Site) -> None:
    controller = site.controlled()
    for host, address in zip(site.hosts, reversed(ADDRESSES), strict=True):
        counted = ping(host, address, "-c", "20", "-i", "0.01")
        assert (counted.sent, counted.lost) == (20, 0)
    assert controller.events("error") == []


def test_a_flood_of_pings_loses_none(site: Site) -> None:
    """K7: 100 000 pings, each an answer."""
    site.controlled()
    counted = ping(site.hosts[0], ADDRESSES[1], "-f", "-c", str(FLOOD), timeout=300)
    assert (counted.sent, counted.answered) == (FLOOD, FLOOD)


def test_tcp_goes_through_unharmed_with_the_offloads_of_the_devices_on(site: Site) -> None:
    """K9: what the sender left to hardware is carried through or completed."""
    site.controlled()
    h1, h2 = site.hosts
    log = site.folder / "received"
    receiver = site.lab.start([sys.executable, "-c", RECEIVE, ADDRESSES[1]], log, h2, environment())
    wait_until(lambda: "listening" in log.read_text(), "the receiver to listen")
    h1.run(sys.executable, "-c", SEND, ADDRESSES[1], str(TCP_BYTES), timeout=120)
    receiver.wait(60)
    data = random.Random(0).randbytes(1 << 20)
    digest = hashlib.sha256()
    for _ in range(TCP_BYTES >> 20):
        digest.update(data)
    assert log.read_text().split()[1:] == [str(TCP_BYTES), digest.hexdigest()]


def test_without_flows_a_secure_bridge_forwards_nothing(site: Site) -> None:
    site.switch.bridge(DEVICES, controller=False)
    assert ping(site.hosts[0], ADDRESSES[1], "-c", "2", "-i", "0.2", "-w", "3").answered == 0
