"""A minute of deaths under traffic: `make soak`."""

import itertools
import time

import pytest

from .conftest import ADDRESSES, Site
from .needs import needs
from .pinging import Pinging, wait_more
from .switch import MODULES
from .test_survival import kill_and_wait

pytestmark = [needs("ping"), pytest.mark.soak]

SECONDS = 60
CONTROL = [identity for identity in MODULES if identity not in ("dataplane", "supervisor")]


def kill_and_replace(site: Site, identity: str) -> None:
    """Kill a component; return when there is another, which the operator starts if need be."""
    if identity == "supervisor":
        site.switch.kill(identity)
        site.switch.up()
    else:
        kill_and_wait(site, identity)


@pytest.mark.parametrize("identity", [*CONTROL, "supervisor"])
def test_a_minute_around_a_death_loses_no_ping(site: Site, identity: str) -> None:
    """G2: any one control component is killed, and packets go on for a minute."""
    site.controlled()
    others = {name: pid for name, pid in site.switch.pids().items() if name != identity}
    end = time.monotonic() + SECONDS
    with Pinging(site.hosts[0], ADDRESSES[1]) as pings:
        wait_more(pings)
        kill_and_replace(site, identity)
        while time.monotonic() < end:
            wait_more(pings)
    print(f"{identity} killed: {pings.counted.sent} pings, {pings.counted.lost} lost")
    assert pings.counted.lost == 0
    assert {name: site.switch.pid(name) for name in others} == others


def test_a_minute_of_deaths_in_turn_loses_no_ping(site: Site) -> None:
    """G2: any control component may be killed at any time, forwarding loses nothing."""
    site.controlled()
    end = time.monotonic() + SECONDS
    deaths = 0
    with Pinging(site.hosts[0], ADDRESSES[1]) as pings:
        for identity in itertools.cycle(CONTROL):
            if time.monotonic() > end:
                break
            kill_and_wait(site, identity)
            deaths += 1
    print(f"{deaths} deaths, {pings.counted.sent} pings, {pings.counted.lost} lost")
    assert pings.counted.lost == 0
