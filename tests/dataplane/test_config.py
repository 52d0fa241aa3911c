"""Trees become values; objects that contradict each other are refused with their path."""

from typing import Any

import pytest

from raicho.dataplane.bridging import Member
from raicho.dataplane.config import (
    BadConfig,
    BridgeConfig,
    PortConfig,
    WorkerConfig,
    default_datapath_id,
    read,
)


def test_a_tree_becomes_values(make_tree: Any) -> None:
    row = {"kind": "af_packet", "device": "eth1", "mtu": 1400, "enabled": False, "worker": 2}
    workers = ({"id": 2, "cpu": 0, "mode": "poll"},)
    bridge = {"p1": 7, "datapath-id": "0x2a", "max-flows": 9}
    config = read(make_tree({"p1": row}, workers=workers, br0=bridge))
    assert config.ports == {"p1": PortConfig("p1", "af_packet", "eth1", 1400, False, 2)}
    assert config.workers == {0: WorkerConfig(0), 2: WorkerConfig(2, 0, "poll")}
    assert config.bridges == {"br0": BridgeConfig("br0", 42, 9, {"p1": Member(7)})}


def test_nothing_configured_is_one_worker() -> None:
    for tree in ({}, {"raicho": {}}):
        assert read(tree).workers == {0: WorkerConfig(0)}


def test_worker_0_can_be_configured(make_tree: Any) -> None:
    config = read(make_tree(workers=({"id": 0, "mode": "poll"},)))
    assert config.workers == {0: WorkerConfig(0, None, "poll")}


@pytest.mark.parametrize("text", ["0x00000000000000ff", "00000000000000FF", "0xff"])
def test_a_datapath_id_may_be_written_in_three_ways(make_tree: Any, text: str) -> None:
    assert read(make_tree(br0={"datapath-id": text})).bridges["br0"].datapath_id == 255


def test_a_datapath_id_from_a_name_is_stable_local_and_unicast() -> None:
    ids = {default_datapath_id(f"br{i}") for i in range(1000)}
    assert len(ids) == 1000
    assert all(id >> 48 == 0 and id >> 40 & 3 == 2 for id in ids)


def test_a_port_stays_open_if_only_its_settings_change() -> None:
    port = PortConfig("p", "af_packet", "eth1")
    assert port.same_device(PortConfig("p", "af_packet", "eth1", 1400, False, 3))
    assert not port.same_device(PortConfig("p", "af_packet", "eth2"))
    assert not port.same_device(None)


def test_the_queues_of_a_device_are_served_by_the_worker_of_the_port_or_one_of_their_own(
    make_tree: Any,
) -> None:
    row = {"kind": "null", "worker": 1, "device-queues": 3, "lane": [{"queue": 2, "worker": 0}]}
    port = read(make_tree({"p1": row}, workers=({"id": 1},))).ports["p1"]
    assert port.workers == (1, 1, 0)
    assert not port.same_device(PortConfig("p1", "null"))


BAD = {
    "a worker that is not there": (
        {"ports": {"p1": {"kind": "null", "worker": 3}}},
        "/raicho/port[name='p1']/worker: there is no worker 3, only 0",
    ),
    "a lane of a worker that is not there": (
        {
            "ports": {
                "p1": {"kind": "null", "device-queues": 2, "lane": [{"queue": 1, "worker": 3}]}
            }
        },
        "/raicho/port[name='p1']/lane[queue='1']/worker: there is no worker 3, only 0",
    ),
    "a lane of a queue that is not there": (
        {"ports": {"p1": {"kind": "null", "lane": [{"queue": 1, "worker": 0}]}}},
        "/raicho/port[name='p1']/lane[queue='1']/queue: there is no queue 1, only 1 from 0 on",
    ),
    "queues for nothing": (
        {"ports": {"p1": {"kind": "pcap", "device": "out:x", "device-queues": 2}}},
        "/raicho/port[name='p1']/device-queues: a port of kind pcap has one queue",
    ),
    "a port in two bridges": (
        {"ports": {"p1": "null"}, "br0": {"p1": 1}, "br1": {"p1": 1}},
        "/raicho/bridge[name='br1']/port[name='p1']: port p1 is in bridge br0 already; "
        "a port is in one",
    ),
    "a port that is not there": (
        {"br0": {"p1": 1}},
        "/raicho/bridge[name='br0']/port[name='p1']: there is no port p1",
    ),
    "an interface with two ports": (
        {"ports": {n: {"kind": "af_packet", "device": "eth1"} for n in ("p1", "p2")}},
        "/raicho/port[name='p2']/device: eth1 is the device of port p1 already",
    ),
    "a device for nothing": (
        {"ports": {"p1": {"kind": "memory", "device": "eth1"}}},
        "/raicho/port[name='p1']/device: a port of kind memory has no device",
    ),
    "an MTU for nothing": (
        {"ports": {"p1": {"kind": "pcap", "device": "out:x", "mtu": 1400}}},
        "/raicho/port[name='p1']/mtu: the MTU of a port of kind pcap cannot be set",
    ),
    "a datapath id twice": (
        {"br0": {"datapath-id": "0x1"}, "br1": {"datapath-id": "0x1"}},
        "/raicho/bridge[name='br1']/datapath-id: bridge br0 has the same datapath id",
    ),
    "too many bridges": (
        {f"br{i}": {} for i in range(257)},
        "/raicho/bridge[name='br256']: more than 256 bridges",
    ),
}


@pytest.mark.parametrize(("arguments", "text"), BAD.values(), ids=BAD)
def test_objects_that_contradict_each_other_are_refused(
    make_tree: Any, arguments: dict[str, Any], text: str
) -> None:
    """T5: the path and the reason."""
    with pytest.raises(BadConfig) as refused:
        read(make_tree(**arguments))
    assert str(refused.value) == text
    assert refused.value.path == text.partition(": ")[0]
