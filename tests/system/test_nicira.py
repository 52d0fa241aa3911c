"""What controllers of Open vSwitch use beyond OpenFlow 1.3, and bridges without a controller."""

import json

import pytest

from raicho.control.message import Set

from .conftest import ADDRESSES, DEVICES, Site
from .lab import wait_until
from .needs import needs
from .pinging import ping
from .switch import Controller
from .test_ofctl import Tool

pytestmark = needs("ping", "ovs-ofctl")

# As ovs-ofctl writes them; the learning switch of ovs-actions(7), in two tables.
FLOWS = [
    "learn(table=1,hard_timeout=60,NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],"
    "load:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15]),resubmit(,1),resubmit(,2)",
    "move:NXM_NX_REG0[]->NXM_NX_REG1[],output:NXM_NX_REG1[]",
    "load:0xaa->NXM_NX_REG3[8..15],push:NXM_NX_REG3[],pop:NXM_NX_REG4[],note:01.02.03.04.05.06",
    "set_field:0x1->tun_id,set_field:0x5->reg6,dec_ttl,controller(max_len=128)",
]


@pytest.fixture
def site(emptied_site: Site) -> Site:
    return emptied_site


def pinged(site: Site) -> None:
    for host, address in zip(site.hosts, reversed(ADDRESSES), strict=True):
        assert ping(host, address, "-c", "5", "-i", "0.05").lost == 0


def test_normal_forwards_as_a_learning_bridge(site: Site) -> None:
    ofctl = Tool(site)
    ofctl("add-flow", "actions=NORMAL")
    assert ofctl.flows() == ["actions=NORMAL"]
    pinged(site)
    rows = json.loads(site.switch.cli("show", "fdb", "--json"))
    assert {(row["bridge"], row["vlan"], row["number"]) for row in rows} == {
        ("br0", 0, 1),
        ("br0", 0, 2),
    }


def test_a_bridge_that_is_to_stand_alone_forwards_without_a_controller(site: Site) -> None:
    """K16: fail-standalone."""
    site.switch.bridge(DEVICES, controller=False)
    site.switch.commit(Set("/raicho/bridge[name='br0']/fail-mode", "standalone"))
    pinged(site)


def test_a_bridge_stands_alone_only_while_no_controller_is_there(site: Site) -> None:
    """F8: the controller's flows count while it is connected, and wait aside when it dies."""
    site.switch.bridge(DEVICES)
    site.switch.commit(Set("/raicho/bridge[name='br0']/fail-mode", "standalone"))
    pinged(site)
    assert json.loads(site.switch.cli("show", "flows", "--json")) == []
    controller = Controller(site.lab, site.place, site.folder)
    controller.wait_for_switch()
    site.wait_reachable()
    wait_until(lambda: len(json.loads(site.switch.cli("show", "flows", "--json"))) > 1, "flows")
    flows = json.loads(site.switch.cli("show", "flows", "--json"))
    assert sum(row["packets"] for row in flows) > 0
    controller.process.kill()
    controller.process.wait()
    pinged(site)


def test_a_switch_made_of_learn_and_resubmit_learns(site: Site) -> None:
    ofctl = Tool(site)
    ofctl("add-flow", f"actions={FLOWS[0]}")
    ofctl("add-flow", "table=2,priority=1,reg0=0,actions=flood")
    ofctl("add-flow", "table=2,priority=2,actions=output:NXM_NX_REG0[]")
    ofctl("add-flow", "table=2,priority=3,reg0=0,actions=flood")
    pinged(site)
    learned = [line for line in ofctl.flows() if line.startswith("table=1")]
    assert len(learned) == 2
    assert all("hard_timeout=60" in line and "vlan_tci=0x0000/0x0fff" in line for line in learned)


def test_actions_are_told_as_they_were_written(site: Site) -> None:
    ofctl = Tool(site)
    for number, actions in enumerate(FLOWS, 1):
        ofctl("add-flow", f"priority={number},ip,reg2=0x2/0xf,xreg4=0x7,actions={actions}")
    lines = [(int(line.partition("priority=")[2].split(",")[0]), line) for line in ofctl.flows()]
    shown = [line for _, line in sorted(lines)]
    told = [line.partition("actions=")[2] for line in shown]
    assert [actions.lower() for actions in told] == [
        actions.replace("(max_len=128)", ":128").lower() for actions in FLOWS
    ]
    assert all("reg2=0x2/0xf" in line and "reg9=0x7" in line for line in shown)
