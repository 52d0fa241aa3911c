"""Open vSwitch's own tool talks OpenFlow to the switch and is understood."""

import re
from pathlib import Path

import pytest

from .conftest import ADDRESSES, DEVICES, Site
from .lab import wait_until
from .needs import needs
from .pinging import ping

pytestmark = needs("ping", "ovs-ofctl")

BRIDGE = "br0"
FRAME = "50540000000a505400000009080045000014000000004001000001020304010203040000"


class Tool:
    """ovs-ofctl, which finds the bridge by its name as it finds those of Open vSwitch."""

    def __init__(self, site: Site) -> None:
        self.site = site
        site.switch.bridge(DEVICES, controller=False)
        wait_until((site.switch.run_dir / f"{BRIDGE}.mgmt").exists, "the socket of the bridge")

    def __call__(self, command: str, *arguments: str, check: bool = True) -> str:
        options, _, name = command.rpartition(" ")
        return self.run("-O", "OpenFlow13", *options.split(), name, BRIDGE, *arguments, check=check)

    def run(self, *argv: str, check: bool = True) -> str:
        place = f"OVS_RUNDIR={self.site.switch.run_dir}"
        return self.site.place.run("env", place, "ovs-ofctl", *argv, check=check)

    def file(self, *lines: str) -> str:
        """Write a file that the tool reads."""
        path = Path(self.site.folder, "lines")
        path.write_text("".join(f"{line}\n" for line in lines))
        return str(path)

    def flows(self) -> list[str]:
        """Return the flows as they are written, without their statistics."""
        shown = self("--no-stats dump-flows", "--sort=priority")
        return [line.strip() for line in shown.splitlines()]


@pytest.fixture
def ofctl(emptied_site: Site) -> Tool:
    return Tool(emptied_site)


def test_flows_written_by_ofctl_forward_and_count_each_packet(ofctl: Tool) -> None:
    """M13: what the switch counts is what was sent."""
    hosts = ofctl.site.hosts
    ofctl("add-flow", "priority=5,in_port=1,actions=output:2")
    ofctl("add-flow", "priority=5,in_port=2,actions=output:1")
    assert ping(hosts[0], ADDRESSES[1], "-c", "10", "-i", "0.01").lost == 0
    flows = ofctl("dump-flows")
    assert len(re.findall(r"n_packets=\d+", flows)) == 2, flows
    ofctl("add-flow", "table=0,priority=9,icmp,in_port=1,actions=output:2")
    assert ping(hosts[0], ADDRESSES[1], "-c", "10", "-i", "0.01").lost == 0
    assert re.search(r"n_packets=10,.*priority=9", ofctl("dump-flows"))


def test_ofctl_is_told_what_the_switch_is(ofctl: Tool) -> None:
    shown = ofctl("show")
    assert "n_tables:255, n_buffers:0" in shown
    assert "frags=normal miss_send_len=128" in shown
    ports = [("1", "p1"), ("2", "p2")]
    assert re.findall(r" (\d)\((\w+)\)", shown) == ports
    assert re.findall(r" (\d)\((\w+)\)", ofctl("dump-ports-desc")) == ports
    description = ofctl("dump-desc")
    assert "Manufacturer: raicho" in description
    assert f"DP Description: {BRIDGE}" in description
    assert re.search(r"port +(1|\"?p1\"?): rx pkts=\d+", ofctl("dump-ports", "1"))
    assert "2 ports" in ofctl("dump-ports")


def test_ofctl_reaches_the_bridge_by_the_path_of_its_socket(ofctl: Tool) -> None:
    path = f"unix:{ofctl.site.switch.run_dir}/{BRIDGE}.mgmt"
    assert "n_tables:255" in ofctl.run("-O", "OpenFlow13", "show", path)


def test_ofctl_reads_255_tables_and_what_they_can(ofctl: Tool) -> None:
    tables = ofctl("dump-tables")
    assert "table 0:" in tables
    assert "tables 1...254: ditto" in tables
    features = ofctl("dump-table-features")
    assert 'table 0 ("table0")' in features
    assert "next tables: 1-254" in features
    assert "instructions: meter apply_actions clear_actions write_actions" in features
    for field in ("in_port_oxm", "ipv6_{src,dst,label}", "icmpv6_{type,code}", "mpls_{label,tc"):
        assert field in features


def test_ofctl_names_a_table(ofctl: Tool) -> None:
    """The tool reads the features of all tables and writes them back with the name in them."""
    ofctl("mod-table", "3", "name:acl")
    assert 'table 3 ("acl")' in ofctl("dump-table-features")
    ofctl("add-flow", "table=acl,priority=1,in_port=1,actions=drop")
    assert "table=acl" in ofctl("--names dump-flows")


def test_ofctl_adds_changes_and_deletes_flows(ofctl: Tool) -> None:
    ofctl("add-flow", "cookie=7,priority=5,in_port=1,ip,actions=output:2")
    ofctl("add-flow", "priority=6,in_port=1,tcp,tcp_dst=80,actions=dec_ttl,output:2")
    ofctl("mod-flows", "tcp,actions=set_field:10.0.0.9->ip_dst,output:2")
    assert ofctl.flows() == [
        "cookie=0x7, priority=5,ip,in_port=1 actions=output:2",
        "priority=6,tcp,in_port=1,tp_dst=80 actions=set_field:10.0.0.9->ip_dst,output:2",
    ]
    assert "flow_count=2" in ofctl("dump-aggregate")
    assert "flow_count=1" in ofctl("dump-aggregate", "cookie=7/-1")
    ofctl("del-flows", "cookie=7/-1")
    assert len(ofctl.flows()) == 1
    ofctl("del-flows")
    assert ofctl.flows() == []


@pytest.mark.parametrize("bundle", ["", "--bundle "])
def test_ofctl_replaces_flows_by_those_of_a_file(ofctl: Tool, bundle: str) -> None:
    ofctl("add-flow", "priority=9,in_port=2,actions=output:1")
    wanted = [f"priority={n},in_port=1,ip,nw_dst=10.0.0.{n},actions=output:2" for n in range(1, 9)]
    file = ofctl.file(*wanted)
    differences = ofctl("diff-flows", file, check=False)
    assert len(re.findall(r"^\+", differences, re.M)) == 8
    assert re.search(r"^-priority=9,in_port=2", differences, re.M)
    ofctl(bundle + "replace-flows", file)
    assert ofctl("diff-flows", file) == ""
    assert len(ofctl.flows()) == 8
    ofctl(bundle + "add-flows", ofctl.file("priority=77,in_port=2,actions=output:1"))
    assert len(ofctl.flows()) == 9


def test_a_bundle_is_applied_as_a_whole(ofctl: Tool) -> None:
    """K16: flows, groups and packets of a bundle, or nothing of it."""
    flow, group = "flow add priority=3,in_port=1,actions=output:2", "group add group_id=9,type=all"
    packet = f"packet-out in_port=controller,packet={FRAME},actions=output:2"
    ofctl("bundle", ofctl.file(flow, group, packet))
    assert "group_id=9" in ofctl("dump-groups")
    wait_until(lambda: "tx pkts=1" in ofctl("dump-ports", "2"), "the packet to go out")
    refused = ofctl("bundle", ofctl.file("flow delete", group), check=False)
    assert "Error OFPGMFC_GROUP_EXISTS for: OFPT_GROUP_MOD" in refused
    assert "Error OFPBFC_MSG_FAILED for: ONFT_BUNDLE_CONTROL" in refused
    assert ofctl.flows() == ["priority=3,in_port=1 actions=output:2"]


def test_ofctl_keeps_groups(ofctl: Tool) -> None:
    ofctl("add-group", "group_id=1,type=all,bucket=output:1,bucket=output:2")
    ofctl("mod-group", "group_id=1,type=select,bucket=weight:3,output:1,bucket=weight:2,output:2")
    groups = ofctl("dump-groups")
    assert "group_id=1,type=select,bucket=weight:3,actions=output:1,bucket=weight:2" in groups
    assert re.search(
        r"group_id=1,.*ref_count=0,.*bucket1:packet_count=0", ofctl("dump-group-stats")
    )
    features = ofctl("dump-group-features")
    assert "Types:  0xf" in features
    assert "Capabilities:  0xf" in features
    ofctl("del-groups")
    assert "group_id" not in ofctl("dump-groups")


def test_ofctl_keeps_meters(ofctl: Tool) -> None:
    ofctl("add-meter", "meter=1,kbps,band=type=drop,rate=1000")
    ofctl("mod-meter", "meter=1,kbps,band=type=drop,rate=2000")
    assert re.search(r"meter=1 kbps bands=\s*type=drop rate=2000", ofctl("dump-meters"))
    ofctl("add-flow", "in_port=1,actions=meter:1,output:2")
    assert re.search(r"meter:1 flow_count:1 ", ofctl("meter-stats"))
    assert "band_types: drop dscp_remark" in ofctl("meter-features")
    ofctl("del-meters")
    assert ofctl.flows() == []


def test_ofctl_changes_ports_and_fragments(ofctl: Tool) -> None:
    ofctl("mod-port", "p1", "no-forward")
    assert re.search(r"1\(p1\).*\n +config: +NO_FWD", ofctl("show"))
    ofctl("mod-port", "1", "forward")
    assert "NO_FWD" not in ofctl("show")
    assert ofctl("get-frags").strip() == "normal"
    ofctl("set-frags", "drop")
    assert ofctl("get-frags").strip() == "drop"


def test_ofctl_sends_packets_and_hears_them(ofctl: Tool) -> None:
    ofctl("packet-out", f"in_port=controller packet={FRAME} actions=output:1")
    wait_until(lambda: "tx pkts=1" in ofctl("dump-ports", "1"), "the packet to go out")
    ofctl("add-flow", "in_port=1,actions=controller:60")
    place, log = f"OVS_RUNDIR={ofctl.site.switch.run_dir}", ofctl.site.folder / "monitor"
    argv = ["env", place, "ovs-ofctl", "-O", "OpenFlow13", "monitor", BRIDGE, "65534"]
    ofctl.site.lab.start(argv, log, ofctl.site.place)

    def heard() -> bool:
        ping(ofctl.site.hosts[0], ADDRESSES[1], "-c", "1", "-W", "1")
        return bool(re.search(r"OFPT_PACKET_IN.*in_port=1.*\(via action\)", log.read_text()))

    wait_until(heard, "a packet-in")


def test_ofctl_speaks_1_0_where_nobody_tells_it_otherwise(ofctl: Tool) -> None:
    """F9: the same tables, in the words of 1.0."""

    def run(command: str, *arguments: str, check: bool = True) -> str:
        return ofctl.run(*command.split(), BRIDGE, *arguments, check=check)

    assert re.findall(r" (\d)\((\w+)\)", run("show")) == [("1", "p1"), ("2", "p2")]
    run("add-flow", "cookie=3,priority=7,in_port=1,ip,nw_dst=10.0.0.0/8,actions=output:2")
    run("add-flow", "priority=8,tcp,tp_dst=80,dl_vlan=5,actions=strip_vlan,mod_tp_dst:81,flood")
    run("--strict mod-flows", "priority=9,in_port=2,actions=output:1")
    run("mod-flows", "in_port=2,actions=in_port")
    flows = run("--no-stats dump-flows", "--sort=priority")
    assert [line.strip() for line in flows.splitlines()] == [
        "cookie=0x3, priority=7,ip,in_port=1,nw_dst=10.0.0.0/8 actions=output:2",
        "priority=8,tcp,dl_vlan=5,tp_dst=80 actions=strip_vlan,mod_tp_dst:81,FLOOD",
        "priority=9,in_port=2 actions=IN_PORT",
    ]
    assert "set_field:81->tcp_dst,FLOOD" in ofctl("dump-flows")
    assert "flow_count=3" in run("dump-aggregate")
    assert "OFPFMFC_OVERLAP" in run(
        "add-flow", "priority=9,check_overlap,tcp,actions=drop", check=False
    )
    run("replace-flows", ofctl.file("priority=1,in_port=1,actions=output:2"))
    assert "flow_count=1" in run("dump-aggregate")


def test_ofctl_asks_for_queues(ofctl: Tool) -> None:
    assert "0 queues" in ofctl("queue-stats")
    assert "OFPT_QUEUE_GET_CONFIG_REPLY" in ofctl("queue-get-config", "1")
