"""Open vSwitch's own tool talks OpenFlow 1.3 to the switch and is understood."""

import re

from .conftest import ADDRESSES, DEVICES, Site
from .needs import needs
from .pinging import ping
from .switch import CONTROLLER_PORT

pytestmark = needs("ping", "ovs-ofctl")


def _ofctl(site: Site, command: str, *arguments: str) -> str:
    target = f"tcp:127.0.0.1:{CONTROLLER_PORT + 1}"
    # Names of tables would make it ask for table features first.
    tool = ("ovs-ofctl", "-O", "OpenFlow13", "--no-names")
    return site.place.run(*tool, command, target, *arguments)


def test_flows_written_by_ofctl_forward_and_count_each_packet(site: Site) -> None:
    """M13: what the switch counts is what was sent."""
    site.switch.bridge(DEVICES, controller=False)
    _ofctl(site, "add-flow", "priority=5,in_port=1,actions=output:2")
    _ofctl(site, "add-flow", "priority=5,in_port=2,actions=output:1")
    assert ping(site.hosts[0], ADDRESSES[1], "-c", "10", "-i", "0.01").lost == 0
    flows = _ofctl(site, "dump-flows")
    assert len(re.findall(r"n_packets=\d+", flows)) == 2, flows
    _ofctl(site, "add-flow", "table=0,priority=9,icmp,in_port=1,actions=output:2")
    assert ping(site.hosts[0], ADDRESSES[1], "-c", "10", "-i", "0.01").lost == 0
    assert re.search(r"n_packets=10,.*priority=9", _ofctl(site, "dump-flows"))


def test_ofctl_deletes_what_it_added(site: Site) -> None:
    site.switch.bridge(DEVICES, controller=False)
    _ofctl(site, "add-flow", "priority=5,in_port=1,actions=output:2")
    _ofctl(site, "del-flows")
    assert "in_port=1" not in _ofctl(site, "dump-flows")


def test_ofctl_sees_the_ports_with_their_names_and_numbers(site: Site) -> None:
    site.switch.bridge(DEVICES, controller=False)
    shown = _ofctl(site, "show")
    assert re.findall(r" (\d)\((\w+)\)", shown) == [("1", "p1"), ("2", "p2")], shown
    assert "port  1:" in _ofctl(site, "dump-ports", "1").replace('"p1"', " 1")
