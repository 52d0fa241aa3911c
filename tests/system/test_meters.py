"""Meters, as Open vSwitch's own tool sets them up and reads them (K16)."""

import re

import pytest

from .conftest import ADDRESSES, DEVICES, Site
from .lab import CommandError
from .needs import needs
from .pinging import ping
from .switch import CONTROLLER_PORT

pytestmark = needs("ping", "ovs-ofctl")


@pytest.fixture
def site(emptied_site: Site) -> Site:
    return emptied_site


def _ofctl(site: Site, command: str, *arguments: str) -> str:
    target = f"tcp:127.0.0.1:{CONTROLLER_PORT + 1}"
    tool = ("ovs-ofctl", "-O", "OpenFlow13", "--no-names")
    return site.place.run(*tool, command, target, *arguments)


def _metered(site: Site, bands: str) -> None:
    """Send what comes from the first host through meter 1."""
    site.switch.bridge(DEVICES, controller=False)
    _ofctl(site, "add-meter", f"meter=1,{bands}")
    _ofctl(site, "add-flow", "priority=5,in_port=1,actions=meter:1,output:2")
    _ofctl(site, "add-flow", "priority=5,in_port=2,actions=output:1")


def test_what_a_meter_drops_and_lets_pass_is_all_that_came(site: Site) -> None:
    """A packet a second and five at once: of twenty in a fifth of a second, few pass."""
    _metered(site, "pktps,burst,stats,bands=type=drop,rate=1,burst_size=5")
    assert ping(site.hosts[0], ADDRESSES[1], "-c", "20", "-i", "0.01").lost > 0
    stats = _ofctl(site, "meter-stats", "meter=1")
    came, dropped = map(int, re.findall(r"(?:packet_in_count|packet_count):(\d+)", stats))
    flows = _ofctl(site, "dump-flows", "out_port=1")
    assert 0 < dropped < came, stats
    assert "flow_count:1" in stats
    assert int(re.findall(r"n_packets=(\d+)", flows)[0]) == came - dropped, flows + stats


def test_ofctl_reads_back_what_it_set(site: Site) -> None:
    _metered(site, "kbps,bands=type=drop,rate=10000")
    bands = "type=drop,rate=77,burst_size=99,type=dscp_remark,rate=5,burst_size=9,prec_level=1"
    _ofctl(site, "mod-meter", f"meter=1,kbps,burst,stats,bands={bands}")
    shown = _ofctl(site, "dump-meters")
    assert re.search(r"meter=1 kbps burst stats", shown), shown
    assert re.search(r"type=drop rate=77 burst_size=99", shown), shown
    assert re.search(r"type=dscp_remark rate=5 burst_size=9\s+prec_level=1", shown), shown
    features = _ofctl(site, "meter-features")
    assert re.search(r"drop dscp_remark", features), features
    assert re.search(r"kbps pktps burst stats", features), features


def test_a_meter_that_is_deleted_takes_its_flows_along(site: Site) -> None:
    _metered(site, "kbps,bands=type=drop,rate=10000")
    _ofctl(site, "add-meter", "meter=controller,pktps,bands=type=drop,rate=100")
    _ofctl(site, "del-meters")
    flows = _ofctl(site, "dump-flows")
    assert "in_port=1" not in flows
    assert "in_port=2" in flows
    assert "meter=controller" in _ofctl(site, "dump-meters")
    with pytest.raises(CommandError, match="UNKNOWN_METER"):
        _ofctl(site, "add-flow", "priority=5,in_port=1,actions=meter:1,output:2")
