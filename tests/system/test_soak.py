"""A minute of deaths under traffic: `make soak`."""

import itertools
import time

import pytest

from .conftest import ADDRESSES, Site
from .needs import needs
from .pinging import Pinging
from .test_survival import kill_and_wait

pytestmark = [needs("ping"), pytest.mark.soak]

SECONDS = 60


def test_a_minute_of_deaths_in_turn_loses_no_ping(site: Site) -> None:
    """G2: any control component may be killed at any time, forwarding loses nothing."""
    site.controlled()
    end = time.monotonic() + SECONDS
    deaths = 0
    with Pinging(site.hosts[0], ADDRESSES[1]) as pings:
        for identity in itertools.cycle(("openflow", "bus", "datastore")):
            if time.monotonic() > end:
                break
            kill_and_wait(site, identity)
            deaths += 1
    print(f"{deaths} deaths, {pings.counted.sent} pings, {pings.counted.lost} lost")
    assert pings.counted.lost == 0
