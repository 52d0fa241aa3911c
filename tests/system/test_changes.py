"""Changes under traffic: what was not changed goes on as it was."""

import json
import re
from ipaddress import IPv4Address
from typing import Any

from bench.peers.raicho import ask
from raicho.control.message import AddFlows, Delete, Get, Set

from .conftest import ADDRESSES, DEVICES, Site
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


COMMITS, FLOWS = 100, 1000


def _rows(site: Site) -> dict[int, Any]:
    rows = ask(site.switch.run_dir, "openflow", Get("/flows/br0"), timeout=20).data
    return {row["cookie"]: row for row in rows}


def _add_flows(site: Site) -> None:
    """Two flows that carry the pings, and many that do not."""
    flows: list[dict[str, Any]] = [
        {
            "cookie": n,
            "priority": 7,
            "match": {"eth_type": 0x800, "ipv4_dst": str(IPv4Address(0x0B000000 + n))},
            "instructions": [{"goto_table": {"table_id": 1 + n % 9}}],
        }
        for n in range(3, FLOWS + 1)
    ]
    for here, there in ((1, 2), (2, 1)):
        out = {"apply_actions": {"actions": [{"output": {"port": there}}]}}
        flows.append({"cookie": here, "match": {"in_port": here}, "instructions": [out]})
    added = ask(site.switch.run_dir, "openflow", AddFlows("br0", flows), timeout=30)
    assert added.faults == []


def _other_changes(n: int) -> list[Set | Delete]:
    """The changes of commit *n*; in turn each thing of the bridge that can change."""
    extra, controller = f"{BRIDGE}/port[name='extra']", f"{BRIDGE}/controller[name='away']"
    away = {"address": "127.0.0.1", "port": 9}
    turns: list[list[Set | Delete]] = [
        [Set(f"{BRIDGE}/max-flows", 2000 + n)],
        [Set("/raicho/port[name='extra']", {"kind": "null"}), Set(f"{extra}/number", 7)],
        [Set(f"{BRIDGE}/datapath-id", f"{n + 1:016x}")],
        [Set(controller, away)],
        [Set("/raicho/port[name='extra']/queue[id='1']/min-rate", 1000 + n)],
        [Set(f"{extra}/number", 8)],
        [Set(f"{controller}/max-backoff", 3)],
        [Delete(controller)],
        [Delete(extra), Delete("/raicho/port[name='extra']")],
        [Delete(f"{BRIDGE}/max-flows"), Delete(f"{BRIDGE}/datapath-id")],
    ]
    return turns[n % len(turns)]


def test_a_hundred_commits_leave_a_thousand_flows_and_a_ping_alone(site: Site) -> None:
    """T6, M2: nothing lost, nothing made again: every flow is as old as it was, and older."""
    site.switch.bridge(DEVICES, controller=False)
    _add_flows(site)
    site.wait_reachable()
    before, pids, revision = _rows(site), site.switch.pids(), site.switch.revision()
    assert len(before) == FLOWS
    with Pinging(site.hosts[0], ADDRESSES[1]) as pings:
        for n in range(COMMITS):
            site.switch.commit(*_other_changes(n))
    assert site.switch.revision() == revision + COMMITS
    assert pings.counted.sent > 0
    assert pings.counted.lost == 0
    after = _rows(site)
    lasting = ("priority", "table", "match", "instructions", "flags")
    for cookie, row in before.items():
        assert [after[cookie][name] for name in lasting] == [row[name] for name in lasting]
        assert after[cookie]["duration"] > row["duration"]
        assert after[cookie]["packets"] >= row["packets"]
    assert after.keys() == before.keys()
    assert after[1]["packets"] >= before[1]["packets"] + pings.counted.sent
    assert site.switch.pids() == pids


def _datapath_id(site: Site) -> str:
    """Ask the bridge itself, as a controller would."""
    tool = ("ovs-ofctl", "-O", "OpenFlow13", "show", "tcp:127.0.0.1:6654")
    found = re.search(r"dpid:([0-9a-f]{16})", site.place.run(*tool))
    assert found
    return found[1]


def test_a_datapath_id_that_is_rolled_back_is_what_it_was_everywhere(site: Site) -> None:
    """M3: by hand, by a confirmation that does not come, and under traffic."""
    site.switch.bridge(DEVICES, controller=False)
    _add_flows(site)
    site.wait_reachable()
    site.switch.commit(Set(f"{BRIDGE}/datapath-id", "00000000000000aa"))
    before, revision, flows = site.switch.configuration(), site.switch.revision(), _rows(site)
    with Pinging(site.hosts[0], ADDRESSES[1]) as pings:
        site.switch.commit(Set(f"{BRIDGE}/datapath-id", "00000000000000bb"))
        assert _datapath_id(site) == "00000000000000bb"
        site.switch.cli("config", "rollback", str(revision))
        assert _datapath_id(site) == "00000000000000aa"
        assert site.switch.configuration() == before

        edit = ("config", "set", f"{BRIDGE}/datapath-id", "0xcc", "--session", "candidate")
        site.switch.cli(*edit)
        site.switch.cli("commit", "--confirm", "6")
        assert _datapath_id(site) == "00000000000000cc"
        wait_until(lambda: site.switch.configuration() == before, "the time to be over")
        assert _datapath_id(site) == "00000000000000aa"
    assert pings.counted.sent > 0
    assert pings.counted.lost == 0
    assert _rows(site).keys() == flows.keys()


def test_a_commit_that_waits_goes_back_although_the_datastore_was_killed(site: Site) -> None:
    """D2: the deadline is on disk; flows and pings do not notice."""
    site.switch.bridge(DEVICES, controller=False)
    _add_flows(site)
    site.wait_reachable()
    before = site.switch.configuration()
    with Pinging(site.hosts[0], ADDRESSES[1]) as pings:
        site.switch.cli("config", "set", f"{BRIDGE}/max-flows", "5000", "--session", "candidate")
        site.switch.cli("commit", "--confirm", "3", "--comment", "a try")
        site.switch.kill("datastore")
        site.switch.wait_ready("datastore")
        wait_until(lambda: site.switch.configuration() == before, "the time to be over")
    undone, tried = json.loads(site.switch.cli("config", "history", "--json", "--limit", "2"))
    assert (undone["who"], tried["comment"]) == ("datastore", "a try")
    held = ask(site.switch.run_dir, "dataplane", Get("/bridge[name='br0']")).data
    assert held["max-flows"] is None
    assert pings.counted.sent > 0
    assert pings.counted.lost == 0
    assert len(_rows(site)) == FLOWS
