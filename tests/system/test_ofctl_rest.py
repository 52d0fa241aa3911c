"""os-ken's ofctl_rest asks and changes everything that a switch has, in words (K17)."""

from collections.abc import Iterator
from typing import Any

import pytest

from raicho.control.message import Set

from .conftest import ADDRESSES, DEVICES, Site, short_folder, standing
from .lab import wait_until
from .needs import needs
from .pinging import ping, reached
from .rest import DATAPATH, Application

pytestmark = needs("ping")

QUEUE = {"id": 7, "min-rate": 1_000_000_000, "max-rate": 2_000_000_000}


class Words:
    """The application's interface: what a switch has, by its name."""

    def __init__(self, site: Site, application: Application) -> None:
        self.site = site
        self.application = application

    def get(self, what: str, *rest: object, body: Any = None) -> Any:
        """Return what the switch answered; with a body, to a filter."""
        path = "/".join(["/stats", what, str(DATAPATH), *map(str, rest)])
        answer = self.application("POST" if body else "GET", path, body)
        return answer[str(DATAPATH)]

    def change(self, what: str, **values: Any) -> None:
        """Change something, and wait until all before it is done."""
        self.application("POST", f"/stats/{what}", {"dpid": DATAPATH, **values})
        self.get("desc")  # an answer overtakes no change

    def flows(self, **selection: Any) -> list[tuple[int, dict[str, Any], list[Any]]]:
        """Return priority, match and actions of the flows."""
        rows = self.get("flow", body=selection or None)
        found = [(row["priority"], row["match"], row["actions"]) for row in rows]
        return sorted(found, key=lambda flow: -flow[0])


@pytest.fixture(scope="module")
def running() -> Iterator[Words]:
    with short_folder() as folder, standing(folder) as site:
        application = Application(site, "ofctl_rest")
        port = {"kind": "af_packet", "device": DEVICES[1], "queue": [QUEUE]}
        site.switch.commit(Set(f"/raicho/port[name='{DEVICES[1]}']", port))
        wait_until(
            lambda: application.listens() and application("GET", "/stats/switches") == [DATAPATH],
            "the switch to join",
        )
        yield Words(site, application)


@pytest.fixture
def words(running: Words) -> Iterator[Words]:
    """The same for all tests, without flows, groups and meters, and without complaints."""
    yield running
    running.application("DELETE", f"/stats/flowentry/clear/{DATAPATH}")
    for kind, rows in (("group", "groupdesc"), ("meter", "meterconfig")):
        for row in running.get(rows):
            key = f"{kind}_id"
            running.change(f"{kind}entry/delete", **{key: row[key]})
    assert running.application.errors() == []


def _reached(words: Words) -> bool:
    return reached(words.site.hosts[0], ADDRESSES[1])


def _connect(words: Words, actions: list[dict[str, Any]]) -> None:
    """Let host 1 send with these actions, host 2 straight back."""
    words.change("flowentry/add", priority=9, match={"in_port": 1}, actions=actions)
    back = [{"type": "OUTPUT", "port": 1}]
    words.change("flowentry/add", priority=8, match={"in_port": 2}, actions=back)


def test_what_the_switch_is_and_can(words: Words) -> None:
    assert set(words.get("desc")) == {"dp_desc", "hw_desc", "mfr_desc", "serial_num", "sw_desc"}
    ports = {port["port_no"]: port for port in words.get("portdesc")}
    assert {number: ports[number]["name"] for number in (1, 2)} == dict(enumerate(DEVICES, 1))
    assert len(words.get("table")) == 255
    (groups,) = words.get("groupfeatures")
    assert set(groups["types"]) == {"ALL", "SELECT", "INDIRECT", "FF"}
    assert {"SELECT_WEIGHT", "CHAINING"} <= set(groups["capabilities"])
    (meters,) = words.get("meterfeatures")
    assert set(meters["band_types"]) == {"DROP", "DSCP_REMARK"}
    assert set(meters["capabilities"]) == {"KBPS", "PKTPS", "BURST", "STATS"}


def test_features_of_all_tables_in_many_replies(words: Words) -> None:
    tables = words.get("tablefeatures")
    assert [table["table_id"] for table in tables] == [*range(254), "MAX"]
    kinds = {each["type"] for each in tables[0]["properties"]}
    assert {"MATCH", "INSTRUCTIONS", "NEXT_TABLES", "APPLY_ACTIONS", "WRITE_SETFIELD"} <= kinds


def test_flows_are_added_changed_selected_counted_and_deleted(words: Words) -> None:
    _connect(words, [{"type": "OUTPUT", "port": 2}])
    assert words.flows() == [
        (9, {"in_port": 1}, ["OUTPUT:2"]),
        (8, {"in_port": 2}, ["OUTPUT:1"]),
    ]
    assert ping(words.site.hosts[0], ADDRESSES[1], "-c", "10", "-i", "0.01").lost == 0
    (there,) = words.get("flow", body={"priority": 9})
    assert there["packet_count"] >= 10
    (sum_,) = words.get("aggregateflow")
    (selected,) = words.get("aggregateflow", body={"out_port": 2})
    assert (sum_["flow_count"], selected["flow_count"]) == (2, 1)
    assert selected["packet_count"] >= 10
    words.change("flowentry/modify_strict", priority=9, match={"in_port": 1}, actions=[])
    assert words.flows(match={"in_port": 1}) == [(9, {"in_port": 1}, [])]
    assert not _reached(words)
    words.change("flowentry/delete", match={"in_port": 1})
    assert [priority for priority, _, _ in words.flows()] == [8]


MATCHES: list[dict[str, Any]] = [
    {"dl_src": "0a:00:00:00:00:01", "dl_dst": "0a:00:00:00:00:00/ff:ff:ff:ff:ff:00"},
    {"dl_type": 0x0800, "nw_src": "10.0.0.0/255.255.255.0", "nw_proto": 6, "tp_dst": 80},
    {"dl_type": 0x0800, "nw_proto": 17, "tp_src": 53, "ip_dscp": 46},
    {"dl_type": 0x86DD, "ipv6_src": "fc00::1", "ipv6_dst": "fc00::/ffff::", "ipv6_flabel": 7},
    {"dl_type": 0x86DD, "nw_proto": 58, "icmpv6_type": 135, "ipv6_nd_target": "fc00::1"},
    {"dl_type": 0x0806, "arp_op": 1, "arp_spa": "10.0.0.1", "arp_sha": "0a:00:00:00:00:01"},
    {"dl_type": 0x8847, "mpls_label": 77, "mpls_tc": 3, "mpls_bos": 1},
    {"dl_type": 0x88E7, "pbb_isid": "4656/16777200"},
    {"dl_vlan": "100", "vlan_pcp": 3},
    {"dl_type": 0x0800, "nw_proto": 1, "icmpv4_type": 8, "icmpv4_code": 0},
    {"dl_type": 0x0800, "nw_proto": 132, "sctp_src": 1, "sctp_dst": 2},
    {"metadata": "1/255", "tunnel_id": 5, "in_port": 1},
]


def test_matches_come_back_as_they_were_written(words: Words) -> None:
    written = {}
    for priority, match in enumerate(MATCHES, 1):
        written[priority] = match
        words.change("flowentry/add", table_id=3, priority=priority, match=match)
    assert {priority: match for priority, match, _ in words.flows(table_id=3)} == written


ACTIONS: list[tuple[dict[str, Any], list[dict[str, Any]], list[Any]]] = [
    (
        {"dl_vlan": "5"},
        [
            {"type": "PUSH_VLAN", "ethertype": 0x88A8},
            {"type": "SET_FIELD", "field": "vlan_vid", "value": 4200},
            {"type": "POP_VLAN"},
            {"type": "OUTPUT", "port": "CONTROLLER"},
        ],
        ["PUSH_VLAN:34984", "SET_FIELD: {vlan_vid:4200}", "POP_VLAN", "OUTPUT:CONTROLLER"],
    ),
    (
        {"dl_type": 0x0800},
        [
            {"type": "DEC_NW_TTL"},
            {"type": "PUSH_MPLS", "ethertype": 0x8847},
            {"type": "COPY_TTL_OUT"},
            {"type": "SET_MPLS_TTL", "mpls_ttl": 9},
            {"type": "DEC_MPLS_TTL"},
            {"type": "POP_MPLS", "ethertype": 0x0800},
            {"type": "SET_NW_TTL", "nw_ttl": 64},
            {"type": "OUTPUT", "port": "FLOOD"},
        ],
        [
            *("DEC_NW_TTL", "PUSH_MPLS:34887", "COPY_TTL_OUT", "SET_MPLS_TTL:9", "DEC_MPLS_TTL"),
            *("POP_MPLS:2048", "SET_NW_TTL:64", "OUTPUT:FLOOD"),
        ],
    ),
    (
        {"in_port": 1},
        [{"type": "PUSH_PBB", "ethertype": 0x88E7}, {"type": "POP_PBB"}],
        ["PUSH_PBB:35047", "POP_PBB"],
    ),
    (
        {"in_port": 1},
        [
            {"type": "WRITE_ACTIONS", "actions": [{"type": "SET_QUEUE", "queue_id": 7}]},
            {"type": "WRITE_METADATA", "metadata": 1, "metadata_mask": 255},
            {"type": "GOTO_TABLE", "table_id": 9},
        ],
        [{"WRITE_ACTIONS": ["SET_QUEUE:7"]}, "WRITE_METADATA:0x1/0xff", "GOTO_TABLE:9"],
    ),
    ({"in_port": 2}, [{"type": "CLEAR_ACTIONS"}], ["CLEAR_ACTIONS"]),
]


def test_actions_come_back_as_they_were_written(words: Words) -> None:
    for priority, (match, actions, _) in enumerate(ACTIONS, 1):
        words.change("flowentry/add", table_id=4, priority=priority, match=match, actions=actions)
    shown = {priority: actions for priority, _, actions in words.flows(table_id=4)}
    assert shown == {priority: row[2] for priority, row in enumerate(ACTIONS, 1)}


def test_groups_are_added_used_changed_and_deleted(words: Words) -> None:
    """A flow goes with its group."""
    to_2 = {"weight": 1, "actions": [{"type": "OUTPUT", "port": 2}]}
    words.change("groupentry/add", group_id=5, type="SELECT", buckets=[to_2])
    watched = {"watch_port": 2, "actions": [{"type": "GROUP", "group_id": 5}]}
    words.change("groupentry/add", group_id=6, type="FF", buckets=[watched])
    described = {row["group_id"]: row for row in words.get("groupdesc")}
    assert {number: row["type"] for number, row in described.items()} == {5: "SELECT", 6: "FF"}
    assert described[5]["buckets"][0]["actions"] == ["OUTPUT:2"]
    assert described[6]["buckets"][0]["watch_port"] == 2
    _connect(words, [{"type": "GROUP", "group_id": 6}])
    assert ping(words.site.hosts[0], ADDRESSES[1], "-c", "10", "-i", "0.01").lost == 0
    (counted,) = words.get("group", 5)
    assert (counted["ref_count"], counted["bucket_stats"][0]["packet_count"] >= 10) == (1, True)
    words.change("groupentry/modify", group_id=5, type="SELECT", buckets=[])
    assert not _reached(words)
    words.change("groupentry/delete", group_id=6)
    assert [row["group_id"] for row in words.get("groupdesc")] == [5]
    assert [priority for priority, _, _ in words.flows()] == [8]


def test_meters_are_added_used_changed_and_deleted(words: Words) -> None:
    bands = [
        {"type": "DSCP_REMARK", "rate": 500, "burst_size": 50, "prec_level": 1},
        {"type": "DROP", "rate": 1000, "burst_size": 100},
    ]
    flags = ["PKTPS", "BURST", "STATS"]
    words.change("meterentry/add", meter_id=3, flags=flags, bands=bands)
    (shown,) = words.get("meterconfig", 3)
    assert set(shown["flags"]) == set(flags)
    assert shown["bands"] == bands
    _connect(words, [{"type": "METER", "meter_id": 3}, {"type": "OUTPUT", "port": 2}])
    assert ping(words.site.hosts[0], ADDRESSES[1], "-c", "10", "-i", "0.02").lost == 0
    (counted,) = words.get("meter", 3)
    assert (counted["flow_count"], counted["packet_in_count"] >= 10) == (1, True)
    assert [band["packet_band_count"] for band in counted["band_stats"]] == [0, 0]
    closed = [{"type": "DROP", "rate": 1, "burst_size": 1}]
    words.change("meterentry/modify", meter_id=3, flags=flags, bands=closed)
    assert ping(words.site.hosts[0], ADDRESSES[1], "-c", "20", "-i", "0.01").lost > 10
    words.change("meterentry/delete", meter_id=3)
    assert words.get("meterconfig") == []
    assert [priority for priority, _, _ in words.flows()] == [8]


def test_an_error_of_the_switch_reaches_the_application(words: Words) -> None:
    """... which only logs it: what other tests rely on when they find no complaint."""
    words.change("groupentry/add", group_id=1, type="ALL", buckets=[])
    assert words.application.errors() == []
    words.change("groupentry/add", group_id=1, type="ALL", buckets=[])
    (error,) = words.application.errors()
    assert error.startswith("OFPErrorMsg(type=0x6, code=0x0,")  # GROUP_MOD_FAILED, GROUP_EXISTS


def test_ports_and_queues_are_read_and_a_port_is_switched_off(words: Words) -> None:
    _connect(words, [{"type": "SET_QUEUE", "queue_id": QUEUE["id"]}, {"type": "OUTPUT", "port": 2}])
    assert ping(words.site.hosts[0], ADDRESSES[1], "-c", "10", "-i", "0.01").lost == 0
    (port,) = words.get("port", 2)
    assert port["tx_packets"] >= 10
    (queue,) = words.get("queue", 2, QUEUE["id"])
    assert queue["tx_packets"] >= 10
    (configured,) = words.get("queueconfig", 2)
    (shown,) = configured["queues"]
    rates = {each["property"]: each["rate"] for each in shown["properties"]}
    assert (shown["queue_id"], rates) == (QUEUE["id"], {"MIN_RATE": 100, "MAX_RATE": 200})
    down = 1  # OFPPC_PORT_DOWN
    words.change("portdesc/modify", port_no=2, config=down, mask=down)
    assert not _reached(words)
    words.change("portdesc/modify", port_no=2, config=0, mask=down)
    wait_until(lambda: _reached(words), "the port to be on again")


def test_the_role_changes_and_is_read(words: Words) -> None:
    assert [row["role"] for row in words.get("role")] == ["EQUAL"]
    words.change("role", role="MASTER")
    assert [row["role"] for row in words.get("role")] == ["MASTER"]
    words.change("role", role="EQUAL")
