"""What another switch was configured with: two hosts reach each other through it."""

import json
from pathlib import Path

import pytest

from .conftest import ADDRESSES, Site
from .lab import wait_until
from .needs import needs
from .pinging import ping
from .switch import Controller

pytestmark = needs("ping")

CONFIGURATION = """\
channel channel01 create -dst-addr 127.0.0.1 -dst-port 6653 -protocol tcp
controller controller01 create -channel channel01 -role equal -connection-type main
interface interface01 create -type ethernet-rawsock -device p1
interface interface02 create -type ethernet-rawsock -device p2
port port01 create -interface interface01
port port02 create -interface interface02
bridge bridge01 create -dpid 0xab -port port01 1 -port port02 2 -controller controller01
bridge bridge01 enable
"""
FLOWS = """\
flow bridge01 add priority=10 in_port=1 dl_type=0x806 apply_actions=output:2
flow bridge01 add priority=10 in_port=2 dl_type=0x806 apply_actions=output:1
flow bridge01 add priority=20 in_port=1,dl_type=0x800,nw_dst=10.9.0.2 goto_table=1
flow bridge01 add priority=20 in_port=2,dl_type=0x800,nw_dst=10.9.0.1 apply_actions=output:1
flow bridge01 add table=1 priority=5 dl_type=0x800,nw_proto=1 write_actions=dec_nw_ttl,output:2
"""


@pytest.fixture
def site(emptied_site: Site) -> Site:
    return emptied_site


def write(folder: Path, text: str) -> str:
    file = folder / "lagopus.dsl"
    file.write_text(text)
    return str(file)


def flows(site: Site) -> list[str]:
    return [row["text"] for row in json.loads(site.switch.cli("show", "flows", "--json"))]


def test_an_import_makes_a_switch_that_forwards(site: Site) -> None:
    """Ports, bridge, controller and flows; a controller connects, and hosts reach each other."""
    controller = Controller(site.lab, site.place, site.folder)
    file = write(site.folder, CONFIGURATION + FLOWS)
    told = site.switch.cli("config", "import-lagopus", file)
    assert "5 flows" in told
    assert len([flow for flow in flows(site) if "priority=20" in flow]) == 2
    assert ping(site.hosts[0], ADDRESSES[1], "-c", "3").lost == 0
    controller.wait_for_switch()
    assert controller.events("switch")[0]["datapath_id"] == 0xAB
    (bridge,) = site.switch.configuration()["bridge"]
    assert [port["name"] for port in bridge["port"]] == ["port01", "port02"]
    kept, imported = json.loads(site.switch.cli("config", "history", "--json", "--limit", "2"))
    assert imported["comment"] == f"import {file}"
    assert "confirmed" in kept["comment"]
    controller.process.kill()


def test_a_dry_run_of_an_import_adds_no_flow(site: Site) -> None:
    """M4, T5: and leaves every component as it was."""
    site.switch.cli("config", "import-lagopus", write(site.folder, CONFIGURATION))
    before, revision = flows(site), site.switch.revision()
    file = write(site.folder, FLOWS + "bridge bridge02 create")
    told = site.switch.cli("config", "import-lagopus", file, "--dry-run")
    assert "+ /raicho/bridge[name='bridge02']" in told
    assert "could be committed" in told
    assert (flows(site), site.switch.revision()) == (before, revision)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("lamp lamp01 create", "lagopus.dsl:14: 'lamp' is none of"),
        ("flow bridge01 add in_prot=1 apply_actions=output:2", ":14: no match field is called"),
        ("flow bridge09 add in_port=1 apply_actions=output:2", ":14: there is no bridge bridge09"),
        ("flow bridge01 add goto_table=0", ":14: the dataplane answers BAD_INSTRUCTION"),
        (
            "flow bridge01 add tcp_dst=80 apply_actions=output:2",
            ":14: the dataplane answers BAD_MA",
        ),
        ("interface interface01 config -mtu 5", ":14: /raicho/port[name='port01']/mtu: 5 is out"),
        ("interface interface02 config -device none9", ":14: /raicho/port[name='port02']/device:"),
    ],
)
def test_an_import_that_is_refused_changes_nothing(site: Site, line: str, told: str) -> None:
    """F15: by whoever refuses it, the reader, the schema, the dataplane or its tables."""
    before = site.switch.configuration()
    file = write(site.folder, CONFIGURATION + FLOWS + line)
    assert told in site.switch.cli("config", "import-lagopus", file, check=False)
    assert site.switch.configuration() == before
    assert json.loads(site.switch.cli("show", "ports", "--json")) == []


def test_imported_flows_are_there_when_the_dataplane_was_started_again(site: Site) -> None:
    """C13: like those of a controller, from the agent's memory."""
    site.switch.cli("config", "import-lagopus", write(site.folder, CONFIGURATION + FLOWS))
    before = len(flows(site))
    site.switch.kill("dataplane")
    site.switch.wait_ready("dataplane")
    wait_until(lambda: len(flows_if_any(site)) == before, "the flows")
    site.wait_reachable()


def flows_if_any(site: Site) -> list[str]:
    """Return the flows; none while they cannot be had."""
    shown = site.switch.cli("show", "flows", "--json", check=False)
    return json.loads(shown) if shown.startswith("[") else []
