"""Ports of kind af_xdp in the switch as it runs."""

import pytest

from raicho.control.message import CallError, Set

from .conftest import ADDRESSES, Site
from .needs import needs
from .pinging import ping
from .test_forwarding import FLOOD
from .transferring import transfer

TCP_BYTES = 16 << 20
KINDS = (("af_xdp", "af_xdp"), ("af_xdp", "af_packet"), ("af_packet", "af_xdp"))

pytestmark = needs("ping")


def test_a_flood_of_pings_through_xdp_ports_loses_none(site: Site) -> None:
    """K7: 100 000 pings, each an answer."""
    site.controlled("af_xdp", "af_xdp")
    counted = ping(site.hosts[0], ADDRESSES[1], "-f", "-c", str(FLOOD), timeout=300)
    assert (counted.sent, counted.answered) == (FLOOD, FLOOD)
    assert site.switch.cli("show", "ports").count("native, copy") == 2


@pytest.mark.parametrize("kinds", KINDS, ids="-".join)
def test_tcp_goes_through_with_the_checksums_that_hosts_leave_to_devices(
    site: Site, kinds: tuple[str, str]
) -> None:
    """K9: nothing has been changed with ethtool."""
    site.controlled(*kinds)
    transfer(site, TCP_BYTES)


def test_an_xdp_port_that_cannot_be_is_refused_and_nothing_changes(site: Site) -> None:
    """T1: what is wrong is said, and the switch goes on."""
    site.controlled("af_xdp", "af_xdp")
    port = "/raicho/port[name='p1']"
    with pytest.raises(CallError, match='no interface "absent0"'):
        site.switch.commit(Set(f"{port}/device", "absent0"))
    with pytest.raises(CallError, match="it may be set only where"):
        site.switch.commit(Set("/raicho/port[name='n']", {"kind": "null", "xdp-mode": "native"}))
    counted = ping(site.hosts[0], ADDRESSES[1], "-c", "5", "-i", "0.01")
    assert counted.answered == 5


def test_the_mode_of_an_xdp_port_can_be_changed(site: Site) -> None:
    site.controlled("af_xdp", "af_xdp")
    site.switch.commit(Set("/raicho/port[name='p1']/xdp-mode", "generic"))
    site.wait_reachable()
    shown = site.switch.cli("show", "ports")
    assert (shown.count("native, copy"), shown.count("generic, copy")) == (1, 1)


def test_an_xdp_port_can_move_to_another_worker_and_back(site: Site) -> None:
    site.controlled("af_xdp", "af_xdp")
    for worker in (1, 0):
        site.switch.commit(
            Set("/raicho/worker[id='1']", {}), Set("/raicho/port[name='p1']/worker", worker)
        )
        site.wait_reachable()
        counted = ping(site.hosts[0], ADDRESSES[1], "-c", "500", "-f")
        assert (counted.sent, counted.answered) == (500, 500)
