"""The parts that decide may die: no packet is lost, and each part comes back."""

import pytest

from bench.peers.raicho import ask
from raicho.control.message import Get

from .conftest import ADDRESSES, DEVICES, Site
from .lab import wait_until
from .needs import needs
from .pinging import Pinging, wait_more
from .switch import MODULES

pytestmark = needs("ping")


def kill_and_wait(site: Site, identity: str) -> None:
    """Kill a component; return when a new process of it is ready, and an alert has said why."""
    killed = site.switch.kill(identity)
    wait_until(lambda: site.switch.pid(identity) not in (None, killed), f"a new {identity}")
    site.switch.wait_ready(identity)
    alerts = ask(site.switch.run_dir, "supervisor", Get("/alerts")).data
    assert [identity, "was killed by SIGKILL", killed] in alerts


@pytest.mark.parametrize("identity", ["openflow", "bus", "datastore", "statesync", "routing"])
def test_a_killed_component_comes_back_and_no_ping_is_lost(site: Site, identity: str) -> None:
    """G7, C12, C13: the supervisor starts it again; forwarding goes on all the time."""
    controller = site.controlled()
    others = {name: pid for name, pid in site.switch.pids().items() if name != identity}
    with Pinging(site.hosts[0], ADDRESSES[1]) as pings:
        wait_more(pings)
        kill_and_wait(site, identity)
        if identity == "openflow":
            controller.wait_for_switch(2)
        wait_more(pings)
    assert pings.counted.lost == 0
    now = {name: pid for name, pid in site.switch.pids().items() if name != identity}
    assert now == others


def test_a_killed_supervisor_leaves_the_others_running_and_can_be_started_again(
    site: Site,
) -> None:
    """G7: started again by hand, it takes over what runs."""
    site.controlled()
    before = site.switch.pids()
    with Pinging(site.hosts[0], ADDRESSES[1]) as pings:
        wait_more(pings)
        site.switch.kill("supervisor")
        wait_more(pings)
        del before["supervisor"]
        assert {name: site.switch.pid(name) for name in before} == before
        site.switch.up()
        wait_more(pings)
        assert site.switch.pid("dataplane") == before["dataplane"]
    assert pings.counted.lost == 0


def test_all_deaths_one_after_the_other_lose_no_ping(site: Site) -> None:
    """G2, G7: the run of all of them together, as an operator's bad day."""
    site.controlled()
    with Pinging(site.hosts[0], ADDRESSES[1]) as pings:
        for identity in ("openflow", "bus", "datastore", "statesync", "routing"):
            kill_and_wait(site, identity)
        site.switch.kill("supervisor")
        site.switch.up()
        wait_more(pings)
    assert pings.counted.lost == 0


def test_a_dataplane_started_again_forwards_with_its_configuration(site: Site) -> None:
    """C13: configuration from the datastore, flows from the agent's memory."""
    site.controlled()
    kill_and_wait(site, "dataplane")
    site.wait_reachable()


def test_a_dataplane_started_again_needs_no_controller(site: Site) -> None:
    """C13: the controller is gone for good, the flows that it set are there."""
    controller = site.controlled()
    flows = site.switch.flows()
    controller.process.kill()
    wait_until(lambda: site.switch.copied() > 0, "a copy of the flows")
    kill_and_wait(site, "dataplane")
    site.wait_reachable()
    assert site.switch.flows() == flows


def test_the_configuration_survives_the_end_of_everything(site: Site) -> None:
    """K2: what was committed is there after a new start."""
    site.switch.bridge(DEVICES)
    before = site.switch.configuration()
    site.switch.process.terminate()
    site.switch.process.wait(30)
    wait_until(lambda: not any(site.switch.pids().values()), "all to end")
    site.switch.up()
    assert site.switch.configuration() == before
    assert set(site.switch.pids()) == set(MODULES)
