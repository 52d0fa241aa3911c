"""Hosts reach each other through bridges that are joined, and the host of the switch by a tap."""

from raicho.control.message import Set

from .conftest import ADDRESSES, DEVICES, Site
from .lab import wait_until
from .needs import needs
from .pinging import ping, reached
from .test_forwarding import TCP_BYTES
from .transferring import transfer

pytestmark = needs("ping")

TAP_ADDRESS = "10.9.0.9"


def _port(name: str, bridge: str, number: int, **leaves: str) -> list[Set]:
    where = f"/raicho/bridge[name='{bridge}']"
    return [
        Set(f"/raicho/port[name='{name}']", leaves),
        Set(f"{where}/port[name='{name}']/number", number),
        Set(f"{where}/fail-mode", "standalone"),
    ]


def test_the_host_of_the_switch_reaches_others_by_a_tap(site: Site) -> None:
    """K9: ping, and TCP in large frames between a tap and a veth."""
    ops = [
        op
        for i, d in enumerate(DEVICES, 1)
        for op in _port(d, "br0", i, kind="af_packet", device=d)
    ]
    site.switch.commit(*ops, *_port("t", "br0", 3, kind="tap", device="tap1"))
    site.place.ip("address", "add", f"{TAP_ADDRESS}/24", "dev", "tap1")
    wait_until(lambda: reached(site.place, ADDRESSES[1]), "the first ping")
    counted = ping(site.hosts[0], TAP_ADDRESS, "-c", "20", "-i", "0.01")
    assert (counted.sent, counted.lost) == (20, 0)
    transfer(site, TCP_BYTES, site.place)


def test_hosts_in_two_bridges_reach_each_other_by_patch_ports(site: Site) -> None:
    site.switch.commit(
        *_port("p1", "br0", 1, kind="af_packet", device="p1"),
        *_port("a", "br0", 2, kind="patch", device="b"),
        *_port("b", "br1", 1, kind="patch", device="a"),
        *_port("p2", "br1", 2, kind="af_packet", device="p2"),
    )
    wait_until(lambda: reached(site.hosts[0], ADDRESSES[1]), "the first ping")
    for host, address in zip(site.hosts, reversed(ADDRESSES), strict=True):
        counted = ping(host, address, "-c", "20", "-i", "0.01")
        assert (counted.sent, counted.lost) == (20, 0)
