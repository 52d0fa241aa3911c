"""Changes under traffic: what was not changed goes on as it was."""

from raicho.control.message import Delete, Set

from .conftest import ADDRESSES, Site
from .lab import wait_until
from .needs import needs
from .pinging import Pinging
from .switch import Controller

pytestmark = needs("ping")

BRIDGE = "/raicho/bridge[name='br0']"


def _flows(site: Site) -> int:
    return site.switch.cli("show", "flows").count("priority=10")


def test_attributes_of_a_bridge_change_under_traffic_and_its_flows_stay(site: Site) -> None:
    """M2, T6: a commit applies the difference and nothing else."""
    site.controlled()
    wait_until(lambda: _flows(site) == 2, "both flows")
    with Pinging(site.hosts[0], ADDRESSES[1]) as pings:
        site.switch.commit(Set(f"{BRIDGE}/max-flows", 1000))
        site.switch.commit(
            Set("/raicho/port[name='extra']", {"kind": "null"}),
            Set(f"{BRIDGE}/port[name='extra']/number", 7),
        )
        site.switch.commit(Delete(f"{BRIDGE}/port[name='extra']"))
        site.switch.commit(Delete(f"{BRIDGE}/max-flows"))
    assert pings.counted.sent > 0
    assert pings.counted.lost == 0
    assert _flows(site) == 2


def test_a_controller_that_comes_again_finds_the_flows_and_no_ping_is_lost(site: Site) -> None:
    """M16: a lost connection touches no flow of a secure bridge."""
    controller = site.controlled()
    wait_until(lambda: _flows(site) == 2, "both flows")
    with Pinging(site.hosts[0], ADDRESSES[1]) as pings:
        controller.process.kill()
        controller.process.wait()
        before = len(controller.events("switch"))
        again = Controller(site.lab, site.place, site.folder)
        again.wait_for_switch(before + 1)
    assert pings.counted.sent > 0
    assert pings.counted.lost == 0
    assert _flows(site) == 2


def test_a_cable_that_is_pulled_and_put_back_is_seen_by_the_switch(site: Site) -> None:
    """C8: link state reaches the ports of the bridge."""
    site.controlled()
    site.hosts[1].ip("link", "set", "eth0", "down")
    tool = ("ovs-ofctl", "-O", "OpenFlow13", "--no-names", "dump-ports-desc", "tcp:127.0.0.1:6654")

    def down() -> bool:
        return "LINK_DOWN" in site.place.run(*tool)

    wait_until(down, "the link to be seen as down")
    site.hosts[1].ip("link", "set", "eth0", "up")
    wait_until(lambda: not down(), "the link to be seen as up")
    site.wait_reachable()
