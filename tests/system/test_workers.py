"""Workers, and whom they serve, change under traffic; what they do can be watched."""

import json

import pytest

from raicho.control.message import Delete, Set

from .conftest import ADDRESSES, DEVICES, Site
from .lab import wait_until
from .needs import needs
from .pinging import Pinging

pytestmark = needs("ping")

RAICHO = "/raicho"
BRIDGE = f"{RAICHO}/bridge[name='br0']"
WORKER = f"{RAICHO}/worker[id='1']"
PORTS = [f"{RAICHO}/port[name='{name}']" for name in DEVICES]


def _alone(site: Site) -> None:
    """Let the bridge learn by itself, and wait until the hosts reach each other."""
    site.switch.bridge(DEVICES, controller=False)
    site.switch.commit(Set(f"{BRIDGE}/fail-mode", "standalone"))
    site.wait_reachable()


@pytest.mark.parametrize("queues", [1, 3])
def test_no_ping_is_lost_while_ports_and_workers_change(site: Site, queues: int) -> None:
    """F3: workers come and go, ports and their queues change hands, and the sockets stay open."""
    site.switch.bridge(DEVICES, controller=False)
    site.switch.commit(*(Set(f"{port}/device-queues", queues) for port in PORTS))
    _alone(site)
    last = f"{PORTS[1]}/lane[queue='{queues - 1}']"
    with Pinging(site.hosts[0], ADDRESSES[1], every=0.001) as pings:
        for turn in range(3):
            site.switch.commit(Set(WORKER, {"cpu": 0}), Set(f"{PORTS[0]}/worker", 1))
            site.switch.commit(Set(last, {"worker": 1}), Set(f"{PORTS[0]}/worker", 0))
            site.switch.commit(Delete(f"{WORKER}/cpu"), Set(f"{PORTS[0]}/worker", 1))
            site.switch.commit(Set(f"{WORKER}/mode", ("poll", "interrupt", "adaptive")[turn]))
            site.switch.commit(Delete(last), Set(f"{PORTS[0]}/worker", 0), Delete(WORKER))
    assert pings.counted.sent > 0
    assert pings.counted.lost == 0


def test_what_the_workers_do_can_be_watched(site: Site) -> None:
    """K11: cycles by stage, batches and drops, as text and as JSON."""
    _alone(site)
    with Pinging(site.hosts[0], ADDRESSES[1]):
        told = json.loads(site.switch.cli("top", "--once", "--json"))
    (worker,) = told["workers"]
    assert worker["received"] > 0
    assert set(worker["cycles"]) >= {"receive", "lookup", "actions", "transmit"}
    assert [port["name"] for port in told["ports"]] == list(DEVICES)
    assert "cycles a packet" in site.switch.cli("top", "--once")
    (row,) = json.loads(site.switch.cli("show", "workers", "--json"))
    assert row["received"] == row["totals"]["received"] > 0
    assert row["port"] == list(DEVICES)
    assert "ADAPTIVE" in site.switch.cli("show", "workers").upper()


def test_the_tables_say_what_they_are_and_what_a_lookup_costs(site: Site) -> None:
    site.controlled()
    with Pinging(site.hosts[0], ADDRESSES[1]):
        wait_until(lambda: _costs(site) != [], "a lookup to be measured")
    text = site.switch.cli("show", "tables", "br0")
    assert "IMPLEMENTATION" in text
    assert site.switch.cli("show", "tables", "br1") == "no table is in use\n"


def _costs(site: Site) -> list[float]:
    rows = json.loads(site.switch.cli("show", "tables", "--json"))
    return [row["cycles"] for row in rows if row["cycles"]]
