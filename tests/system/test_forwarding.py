"""Hosts behind the switch reach each other under a controller that nobody here wrote."""

from .conftest import ADDRESSES, DEVICES, Site
from .needs import needs
from .pinging import ping
from .transferring import transfer

FLOOD = 100_000
TCP_BYTES = 64 << 20

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
    transfer(site, TCP_BYTES)


def test_without_flows_a_secure_bridge_forwards_nothing(site: Site) -> None:
    site.switch.bridge(DEVICES, controller=False)
    assert ping(site.hosts[0], ADDRESSES[1], "-c", "2", "-i", "0.2", "-w", "3").answered == 0
