"""Agents are configuration: which of them run is decided while packets go on (F5)."""

from typing import Any

import pytest

from bench.peers.raicho import ask
from raicho.control.message import CallError, Get, Set
from raicho.control.supervisor.services import SERVICES

from .conftest import ADDRESSES, Site
from .lab import wait_until
from .needs import needs
from .pinging import Pinging, wait_more

pytestmark = needs("ping")

OPENFLOW = "/raicho/agent[name='openflow']/enabled"
AGENTS = [service.identity for service in SERVICES if service.is_agent]


def component(site: Site, identity: str) -> dict[str, Any]:
    rows = ask(site.switch.run_dir, "supervisor", Get("/components")).data
    return {row["component"]: dict(row) for row in rows}[identity]


def wait_disabled(site: Site, identity: str) -> None:
    wait_until(lambda: component(site, identity)["state"] == "disabled", f"no {identity}")
    assert site.switch.pid(identity) is None
    enabled = ask(
        site.switch.run_dir, "supervisor", Get(f"/raicho/agent[name='{identity}']/enabled")
    )
    assert enabled.data is False


def test_an_agent_is_disabled_and_enabled_at_run_time(site: Site) -> None:
    """F5: what it has put into the dataplane stays, and its end is no alert."""
    controller = site.controlled()
    flows = site.switch.flows()
    others = {name: pid for name, pid in site.switch.pids().items() if name != "openflow"}
    with Pinging(site.hosts[0], ADDRESSES[1]) as pings:
        wait_more(pings)
        site.switch.commit(Set(OPENFLOW, False))
        wait_disabled(site, "openflow")
        wait_more(pings)
        site.switch.commit(Set(OPENFLOW, True))
        site.switch.wait_ready("openflow")
        controller.wait_for_switch(2)
        wait_more(pings)
    assert pings.counted.lost == 0
    assert site.switch.flows() == flows
    assert {name: site.switch.pid(name) for name in others} == others
    assert component(site, "openflow")["last_alert"] is None
    assert ask(site.switch.run_dir, "supervisor", Get("/alerts")).data == []


@pytest.mark.parametrize("is_killed", [False, True], ids=["all", "supervisor"])
def test_a_disabled_agent_stays_so(site: Site, is_killed: bool) -> None:
    """F5: when all is started again, or only the supervisor was killed."""
    for agent in AGENTS:
        site.switch.commit(Set(f"/raicho/agent[name='{agent}']/enabled", False))
        wait_disabled(site, agent)
    if is_killed:
        site.switch.kill("supervisor")
    else:
        site.switch.process.terminate()
        site.switch.process.wait(30)
        wait_until(lambda: not any(site.switch.pids().values()), "all to end")
    site.switch.up(without=AGENTS)
    for agent in AGENTS:
        wait_disabled(site, agent)
        assert component(site, agent)["restarts"] == 0
    site.switch.commit(Set(OPENFLOW, True))
    site.switch.wait_ready("openflow")


def test_what_is_no_agent_is_refused(site: Site) -> None:
    """F5: the switch cannot do without the others."""
    with pytest.raises(CallError, match="openflow"):
        site.switch.commit(Set("/raicho/agent[name='dataplane']/enabled", False))
