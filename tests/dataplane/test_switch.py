"""Configurations take effect as differences, or not at all."""

import gc
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from raicho.control.openflow.spec.actions import Output
from raicho.control.openflow.spec.messages import PortMod
from raicho.control.openflow.spec.multipart import AggregateRequest
from raicho.control.openflow.spec.ports import PortNo
from raicho.dataplane.config import BadConfig, read
from raicho.dataplane.datapath import DONE
from raicho.dataplane.switch import Switch

ADD, DELETE, MODIFY = range(3)
AGGREGATE = 2
BOTH = {"p1": "memory", "p2": "memory"}


def flows_and_packets(rig: Any, bridge: str = "br0") -> tuple[int, int]:
    body = rig.ask(AGGREGATE, AggregateRequest(table_id=255), bridge)
    return body.flow_count, body.packet_count


def forwards(rig: Any, a: str = "p1", b: str = "p2") -> bool:
    rig.put(a)
    rig.turn()
    return len(rig.take(b)) == 1


@pytest.fixture
def wired(rig: Any) -> Any:
    """Give a switch that forwards from p1 to p2 and has counted one packet."""
    rig.configure(BOTH, br0={"p1": 1, "p2": 2})
    rig.flow(2, in_port=1)
    assert forwards(rig)
    rig.statuses()
    return rig


# What does not change stays.


UNRELATED = {
    "the same again": {"ports": BOTH, "br0": {"p1": 1, "p2": 2}},
    "another port": {"ports": BOTH | {"p3": "memory"}, "br0": {"p1": 1, "p2": 2, "p3": 3}},
    "another bridge": {"ports": BOTH, "br0": {"p1": 1, "p2": 2}, "br1": {}},
    "another worker": {"ports": BOTH, "workers": ({"id": 3},), "br0": {"p1": 1, "p2": 2}},
    "another datapath id": {"ports": BOTH, "br0": {"p1": 1, "p2": 2, "datapath-id": "0x7"}},
    "a limit of flows": {"ports": BOTH, "br0": {"p1": 1, "p2": 2, "max-flows": 1}},
}


@pytest.mark.parametrize("change", UNRELATED.values(), ids=UNRELATED)
def test_a_change_keeps_flows_counters_and_ports(wired: Any, change: dict[str, Any]) -> None:
    """M2, T6."""
    ports = [wired.port(name) for name in ("p1", "p2")]
    wired.configure(**change)
    assert (ADD, 1) not in wired.statuses()
    assert [wired.port(name) for name in ("p1", "p2")] == ports
    assert flows_and_packets(wired) == (1, 1)
    assert forwards(wired)
    assert flows_and_packets(wired) == (1, 2)
    assert wired.port("p1").counters()["rx_packets"] == 2


def test_1000_flows_live_through_100_commits(wired: Any) -> None:
    """T6."""
    for vlan in range(1000):
        wired.flow(2, vlan_vid=0x1000 | vlan)
    for turn in range(100):
        wired.configure(BOTH | {f"x{turn}": "null"}, br0={"p1": 1, "p2": 2, f"x{turn}": 3})
        assert forwards(wired)
    assert flows_and_packets(wired) == (1001, 101)


def test_the_former_configuration_gives_exactly_the_former_state(wired: Any) -> None:
    """M3."""
    before = wired.snapshot()
    bridge = {"p1": 9, "datapath-id": "0x7", "max-flows": 5}
    workers = ({"id": 1, "mode": "poll"},)
    p1 = {"kind": "memory", "enabled": False}
    wired.configure({"p1": p1, "p2": "memory", "p3": "null"}, workers=workers, br0=bridge, br1={})
    assert wired.snapshot() != before
    wired.configure(BOTH, br0={"p1": 1, "p2": 2})
    assert wired.snapshot() == before
    assert forwards(wired)


def test_what_a_controller_did_to_a_port_survives_a_commit(wired: Any) -> None:
    mac = wired.switch.bridges["br0"].port_state(1)["mac"]
    no_recv = PortMod(port_no=1, hw_addr=mac, config=4, mask=4)
    down = PortMod(port_no=2, hw_addr=wired.switch.bridges["br0"].port_state(2)["mac"], config=1,
                   mask=1)  # fmt: skip
    assert wired.apply(no_recv, down) == [DONE, DONE]
    wired.configure(BOTH | {"p3": "null"}, br0={"p1": 1, "p2": 2})
    assert [wired.switch.bridges["br0"].port_state(n)["config"] for n in (1, 2)] == [4, 1]


# What changes.


def test_a_port_gets_another_number(wired: Any) -> None:
    """F4: the port itself stays open."""
    port = wired.port("p2")
    wired.configure(BOTH, br0={"p1": 1, "p2": 5})
    assert wired.statuses() == [(DELETE, 2), (ADD, 5)]
    assert wired.port("p2") is port
    assert not forwards(wired)
    wired.flow(5, in_port=1)
    assert forwards(wired)


def test_ports_change_places(wired: Any) -> None:
    wired.configure(BOTH, br0={"p1": 2, "p2": 1})
    assert sorted(wired.statuses()) == [(ADD, 1), (ADD, 2), (DELETE, 1), (DELETE, 2)]
    assert forwards(wired, "p2", "p1")


def test_a_port_moves_to_another_bridge(wired: Any) -> None:
    wired.configure(BOTH, br0={"p1": 1}, br1={"p2": 2})
    assert not forwards(wired)
    assert wired.statuses("br1") == [(ADD, 2)]


def test_a_port_of_another_kind_is_another_port(wired: Any) -> None:
    wired.configure({"p1": "memory", "p2": "null"}, br0={"p1": 1, "p2": 2})
    assert wired.statuses() == [(DELETE, 2), (ADD, 2)]
    wired.put("p1")
    wired.turn()
    assert wired.port("p2").counters()["tx_packets"] == 1


def test_a_port_moves_to_another_worker_and_back(wired: Any) -> None:
    """F3."""
    ports = {"p1": {"kind": "memory", "worker": 4}, "p2": "memory"}
    wired.configure(ports, workers=({"id": 4},), br0={"p1": 1, "p2": 2})
    assert forwards(wired)
    wired.configure(BOTH, br0={"p1": 1, "p2": 2})
    assert list(wired.switch.runners) == [0]
    assert forwards(wired)
    assert flows_and_packets(wired) == (1, 3), "what a worker counted stays when it goes"


def test_a_port_that_moves_keeps_what_waits_in_it(wired: Any) -> None:
    """F3: it is not taken out."""
    ports = {"p1": {"kind": "memory", "worker": 4}, "p2": "memory"}
    for _ in range(3):
        wired.put("p1")
    wired.configure(ports, workers=({"id": 4},), br0={"p1": 1, "p2": 2})
    assert wired.statuses() == []
    wired.turn()
    assert len(wired.take("p2")) == 3
    assert wired.switch.bridges["br0"].port_state(1)["workers"] == [4]


def test_packets_for_controllers_outlive_the_worker_that_sent_them_up(rig: Any) -> None:
    """F3."""
    p1 = {"kind": "memory", "worker": 4}
    rig.configure({"p1": p1}, workers=({"id": 4},), br0={"p1": 1})
    rig.act(Output(PortNo.CONTROLLER))
    for _ in range(300):
        rig.put("p1")
        rig.turn()
    rig.configure({"p1": "memory"}, br0={"p1": 1})
    (last,) = rig.switch.last_punts()
    assert [len(messages) for messages in last.values()] == [300]
    assert rig.switch.last_punts() == []


def test_the_queues_of_a_port_are_served_by_several_workers(wired: Any) -> None:
    """F3."""
    p1 = {"kind": "memory", "device-queues": 3, "lane": [{"queue": 1, "worker": 4}]}
    wired.configure({"p1": p1, "p2": "memory"}, workers=({"id": 4},), br0={"p1": 1, "p2": 2})
    for queue in range(3):
        wired.put("p1", queue=queue)
    wired.turn()
    assert len(wired.take("p2")) == 3
    received = {i: r.worker.totals()["received"] for i, r in wired.switch.runners.items()}
    assert received == {0: 3, 4: 1}, "one of the three of worker 0 came before"
    assert wired.port("p1").counters()["rx_packets"] == 3


def test_a_port_of_several_queues_sends_each_workers_packets_by_its_own(rig: Any) -> None:
    """F3."""
    p3 = {"kind": "memory", "device-queues": 2, "lane": [{"queue": 1, "worker": 4}]}
    ports = {"p1": "memory", "p2": {"kind": "memory", "worker": 4}, "p3": p3}
    rig.configure(ports, workers=({"id": 4},), br0={"p1": 1, "p2": 2, "p3": 3})
    rig.flow(3)
    for port, queue in (("p1", 0), ("p2", 1)):
        rig.put(port)
        rig.turn()
        assert rig.port("p3").take(1 - queue) is None
        assert rig.port("p3").take(queue) is not None
    with pytest.raises(IndexError, match="port p3 has no queue 2, only 2"):
        rig.port("p3").take(2)


def test_a_port_that_is_not_enabled_lets_nothing_through(wired: Any) -> None:
    off = {"kind": "memory", "enabled": False}
    wired.configure({"p1": "memory", "p2": off}, br0={"p1": 1, "p2": 2})
    assert not forwards(wired)
    assert not wired.port("p2").link().admin_up
    wired.configure(BOTH, br0={"p1": 1, "p2": 2})
    wired.switch.look_at_virtual_links()
    assert forwards(wired)


def test_a_limit_of_flows_holds_for_the_next_ones_only(wired: Any) -> None:
    wired.flow(2, in_port=2)
    wired.configure(BOTH, br0={"p1": 1, "p2": 2, "max-flows": 1})
    assert flows_and_packets(wired)[0] == 2


def test_punts_of_a_bridge_that_goes_reach_no_other_bridge(rig: Any) -> None:
    """The next bridge does not get its index."""
    rig.configure(BOTH, br0={"p1": 1}, br1={"p2": 1})
    for bridge in ("br0", "br1"):
        rig.act(Output(PortNo.CONTROLLER), bridge=bridge)
    rig.put("p1")
    rig.put("p2")
    rig.turn()
    rig.configure({"p2": "memory"}, br1={"p2": 1}, br2={})
    taken = rig.switch.punts(0)
    assert {name: len(messages) for name, messages in taken.items()} == {"br1": 1}


def test_packets_of_two_workers_add_up(rig: Any) -> None:
    """K11, M13: over workers that hand packets to each other."""
    ports = {"p1": "memory", "p2": {"kind": "memory", "worker": 1}}
    rig.configure(ports, workers=({"id": 1},), br0={"p1": 1, "p2": 2})
    rig.act(Output(PortNo.FLOOD), Output(2), Output(77))
    for _ in range(10):
        rig.put("p1")
        rig.put("p2")
    rig.turn()
    totals = rig.totals()
    left = len(rig.take("p1")) + len(rig.take("p2"))
    assert totals["received"] == 20
    assert totals["sent"] == left > 20
    came = totals["received"] + totals["injected"] + totals["copied"]
    assert came == totals["sent"] + totals["punted"] + totals["consumed"] + totals["dropped"]


def test_a_worker_tells_where_its_time_went(wired: Any) -> None:
    """K11."""
    for _ in range(20):
        for _ in range(5):
            wired.put("p1")
        wired.turn()
    told = wired.switch.runners[0].worker.profile()
    assert told["batches"]["4"] == 20
    assert 0 < told["packets"] <= 101
    assert told["rounds"] - told["idle_rounds"] == 21
    assert all(cycles > 0 for cycles in told["cycles"].values())
    (table,) = wired.switch.bridges["br0"].tables()
    assert (table["lookups"], table["matches"]) == (101, 101)
    assert table["cycles"] > 0


# What is refused changes nothing.


REFUSED = {
    "a device that is missing": (
        {"ports": {"p1": {"kind": "af_packet", "device": "absent0"}}, "br0": {"p1": 1}},
        "/raicho/port[name='p1']/device: no interface \"absent0\"",
    ),
    "a kind that does not exist": (
        {"ports": {"p1": "carrier"}},
        "/raicho/port[name='p1']: no such kind of port: 'carrier'",
    ),
    "a file that is missing": (
        {"ports": {"p1": {"kind": "pcap", "device": "in:/absent/file"}}},
        "/raicho/port[name='p1']/device: cannot read \"/absent/file\": No such file or directory",
    ),
    "a file in a folder that is missing": (
        {"ports": {"p1": {"kind": "pcap", "device": "out:/absent/file"}}},
        "/raicho/port[name='p1']/device: cannot write \"/absent/file\"",
    ),
    "a processor that is missing": (
        {"workers": ({"id": 1, "cpu": 4095},)},
        "/raicho/worker[id='1']/cpu: there is no processor 4095",
    ),
    "a worker number that is too high": (
        {"workers": ({"id": 1}, {"id": 32})},
        "/raicho/worker[id='32']/id: worker 32: the highest is 31",
    ),
    "a name that is too long": (
        {"ports": {"x": "memory", "p" * 64: "memory"}},
        f"/raicho/port[name='{'p' * 64}']: the name of a port has at most 63 bytes",
    ),
}


@pytest.mark.parametrize(("change", "text"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_changes_nothing(wired: Any, change: dict[str, Any], text: str) -> None:
    """M1, T5: the error names the leaf and the reason."""
    before = wired.snapshot()
    with pytest.raises(BadConfig) as refused:
        wired.configure(**change)
    assert str(refused.value).startswith(text)
    assert wired.snapshot() == before
    assert forwards(wired)


def test_a_dry_run_changes_nothing(wired: Any, make_tree: Any) -> None:
    """T5, M4."""
    before = wired.snapshot()
    tree = make_tree({"n": "null", "p1": "null"}, workers=({"id": 5},), br9={"n": 1})
    wired.switch.abort(wired.switch.prepare(read(tree)))
    assert wired.snapshot() == before
    assert forwards(wired)


def test_a_dry_run_leaves_the_file_that_would_be_written_alone(
    rig: Any, make_tree: Any, tmp_path: Path
) -> None:
    file = tmp_path / "out.pcap"
    file.write_bytes(b"precious")
    plan = rig.switch.prepare(read(make_tree({"w": {"kind": "pcap", "device": f"out:{file}"}})))
    rig.switch.abort(plan)
    assert file.read_bytes() == b"precious"
    rig.configure({"w": {"kind": "pcap", "device": f"out:{file}"}})
    rig.configure()
    assert len(file.read_bytes()) == 24, "the header of a capture without packets"


def test_a_commit_that_fails_half_way_is_undone_by_the_next(
    wired: Any, tmp_path: Path, make_tree: Any
) -> None:
    """F16: the next commit goes on from what is there."""
    before = wired.snapshot()
    folder = tmp_path / "folder"
    folder.mkdir()
    device = f"out:{folder}/out.pcap"
    tree = make_tree({"p1": "memory", "w": {"kind": "pcap", "device": device}}, br0={"p1": 1})
    plan = wired.switch.prepare(read(tree))
    folder.rmdir()
    with pytest.raises(BadConfig, match="cannot write"):
        wired.switch.commit(plan, wired.now)
    wired.configure(BOTH, br0={"p1": 1, "p2": 2})
    assert wired.snapshot() == before
    assert forwards(wired)


# Threads.


@pytest.fixture
def running() -> Any:
    switch = Switch(0)
    yield switch
    switch.close()


def threads() -> dict[str, threading.Thread]:
    return {t.name: t for t in threading.enumerate() if t.name.startswith("worker-")}


def test_workers_come_and_go_with_their_threads(running: Switch, make_tree: Any) -> None:
    assert list(threads()) == ["worker-0"]
    for ids in ([1, 2], [2], []):
        workers = tuple({"id": ident} for ident in ids)
        running.commit(running.prepare(read(make_tree(workers=workers))), 0)
        assert sorted(threads()) == [f"worker-{ident}" for ident in [0, *ids]]
        assert running.dataplane.barrier(10_000)


def test_a_worker_is_bound_to_its_processor_and_let_go(running: Switch, make_tree: Any) -> None:
    """F3."""
    allowed = os.sched_getaffinity(0)
    cpu = max(allowed)
    worker = threads()["worker-0"].native_id
    assert worker
    for workers, expected in (
        (({"id": 0, "cpu": cpu, "mode": "poll"},), {cpu}),
        (({"id": 0},), allowed),
    ):
        running.commit(running.prepare(read(make_tree(workers=workers))), 0)
        assert os.sched_getaffinity(worker) == expected
        assert running.runners[0].worker.mode == workers[0].get("mode", "adaptive")
    assert threads()["worker-0"].native_id == worker, "the thread goes on"


def test_a_worker_starts_on_its_processor(running: Switch, make_tree: Any) -> None:
    cpu = max(os.sched_getaffinity(0))
    running.commit(running.prepare(read(make_tree(workers=({"id": 1, "cpu": cpu},)))), 0)
    worker = threads()["worker-1"].native_id
    assert worker
    while os.sched_getaffinity(worker) != {cpu}:
        pass


def test_a_switch_that_is_dropped_stops_its_workers(make_tree: Any) -> None:
    switch = Switch(0)
    tree = make_tree({"p1": "memory", "p2": "null"}, workers=({"id": 1},), br0={"p1": 1, "p2": 2})
    switch.commit(switch.prepare(read(tree)), 0)
    assert len(threads()) == 2
    del switch
    gc.collect()
    assert not threads()


def test_closing_twice_does_nothing(rig: Any) -> None:
    rig.switch.close()
    rig.switch.close()
    assert not rig.switch.bridges
