"""What stands beside raicho in the benchmark of the pipeline: commands, answers, arithmetic."""

import struct
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from bench import compiler, goals, pcap, workload
from bench.churn import RATE, TICK, Churn
from bench.floor import Floor
from bench.harness import Pairs
from bench.needs import MissingError, require
from bench.opponents import KINDS
from bench.peers import hugepages, testpmd
from bench.peers.ovs import configure
from bench.peers.ovs_dpdk import CACHES, Counters, OvsDpdk, counters, has_room, miss_share
from bench.pipeline import Turn, best_rows
from bench.rig import Rig

# As Open vSwitch 3.1 prints it, without what is not read.
SHOWN = """netdev@ovs-netdev:
  lookups: hit:29800283 missed:3 lost:578
  flows: 3
  port 0: ovs-netdev (tap)
    RX packets:0 errors:0 dropped:0 overruns:0 frame:0
    TX packets:0 errors:0 dropped:0 aborted:0 carrier:0
  port 2: out (dpdk: configured_rx_queues=1, configured_tx_queues=2, mtu=1500)
    RX packets:0 errors:0 dropped:0 overruns:? frame:?
    TX packets:14513152 errors:0 dropped:0 aborted:? carrier:?
  port 3: in (dpdk: configured_rx_queues=1, configured_tx_queues=1, mtu=1500)
    RX packets:14861536 errors:0 dropped:0 overruns:? frame:?
    TX packets:7 errors:0 dropped:0 aborted:? carrier:?
"""

ANSWERED = """testpmd> show port stats 1

  ######################## NIC statistics for port 1  ########################
  RX-packets: 0          RX-missed: 0          RX-bytes:  0
  TX-packets: {count}  TX-errors: 0          TX-bytes:  1200
"""


def frames(count: int) -> workload.Bytes:
    return workload.frames_of(workload.random_flows(np.random.default_rng(5), count))


def test_what_left_by_the_port_out_is_read_and_not_another_port() -> None:
    assert counters(SHOWN) == Counters(29_800_283, 3, 14_513_152)


def test_an_answer_without_the_port_out_is_an_error_that_shows_it() -> None:
    with pytest.raises(RuntimeError, match="lookups: hit"):
        counters(SHOWN.replace("out (", "other ("))


def test_the_share_of_misses_is_that_between_two_looks() -> None:
    assert miss_share(Counters(1_000, 500, 0), Counters(1_003, 501, 0)) == 0.25
    assert miss_share(Counters(1, 1, 0), Counters(1, 1, 0)) == 0


@pytest.mark.parametrize(
    ("flows", "limit", "room"),
    [(0, 10_000, True), (10_000, 12_000, False), (10_000, 15_000, True), (190_000, 200_000, True)],
)
def test_a_switch_whose_flows_just_fit_is_not_warm_for_good(
    flows: int, limit: int, room: bool
) -> None:
    text = f"""netdev@ovs-netdev:
  flows         : (current {flows}) (avg 7) (max 9) (limit {limit})
  offloaded flows : 0
  dump duration : 189ms
"""
    assert has_room(text) is room


def test_the_fault_of_any_way_of_an_opponent_is_one_of_its_row() -> None:
    faults = {"b": "not warm"}
    turns = [Turn("p", way, float, faults) for way in ("a", "b")]
    (row,) = best_rows("1 rule, 1 flow", turns, [Pairs([8], [1]), Pairs([6], [2])])
    assert (row.fault, row.met) == ("b: not warm", None)


def test_every_answer_of_testpmd_is_read() -> None:
    log = ANSWERED.format(count=12) + ANSWERED.format(count=3_456)
    assert testpmd.sent(log) == [12, 3456]


def test_testpmd_repeats_a_file_and_swallows_what_it_forwards() -> None:
    command = testpmd.command("/x.pcap", 1)
    assert "net_pcap0,rx_pcap=/x.pcap,infinite_rx=1" in command
    assert "net_null0,no-rx=1" in command


def test_the_caches_of_open_vswitch_are_settings_of_the_switch() -> None:
    assert configure(CACHES["SMC"]) == [
        *("set", "Open_vSwitch", "."),
        *("other_config:emc-insert-inv-prob=0", "other_config:smc-enable=true"),
    ]


def test_the_pmd_runs_on_the_measured_core() -> None:
    switch = OvsDpdk(5)
    try:
        assert switch.OPTIONS["pmd-cpu-mask"] == "0x20"
    finally:
        switch.close()


def test_a_peer_that_is_not_there_says_what_to_install() -> None:
    with pytest.raises(MissingError, match=r"no no-such-program: apt-get install .* the-package"):
        require("peer", ["sh", "no-such-program"], ["the-package"])


def test_huge_pages_are_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "nr_hugepages"
    file.write_text("3\n")
    monkeypatch.setattr(hugepages, "PAGES", file)
    pages = hugepages.HugePages(5)
    assert file.read_text() == "8"
    pages.close()
    assert file.read_text() == "3"


def test_a_pcap_file_has_the_frames_as_they_are(tmp_path: Path) -> None:
    file, made = tmp_path / "x.pcap", frames(3)
    pcap.write(file, made)
    data = file.read_bytes()
    assert struct.unpack_from("<IHHiIII", data) == (0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    size = 16 + made.shape[1]
    records = [data[at : at + size] for at in range(24, len(data), size)]
    assert [record[16:] for record in records] == [frame.tobytes() for frame in made]
    assert {struct.unpack("<IIII", record[:16]) for record in records} == {(0, 0, 60, 60)}


@pytest.mark.parametrize("count", [1, 2, 1_000, 50_000])
def test_the_floor_finds_every_packet_in_its_table(count: int) -> None:
    with Floor(frames(count)) as floor:
        assert floor.flows == count
        assert floor.rate(0.01) > 0


def test_the_floor_refuses_a_packet_whose_checksum_is_wrong() -> None:
    made = frames(10)
    made[7, 24] ^= 1
    with Floor(made) as floor, pytest.raises(RuntimeError, match="refused"):
        floor.rate(0.01)


def test_flow_mods_are_taken_in_turn_again_and_again() -> None:
    written: list[bytes] = []
    churn = Churn([b"a", b"b", b"c"], written.append)
    churn.run(TICK / 2)
    churn.run(TICK / 2)
    text = b"".join(written)
    assert len(text) >= 2 * RATE * TICK
    assert text == (b"abc" * len(text))[: len(text)]


def test_a_worker_of_the_rig_runs_again_after_it_stood_still() -> None:
    rule, count, made = workload.wildcard(np.random.default_rng(1), 10)
    with Rig(workload.Workload("x", rule, count, made)) as rig:
        assert rig.rate(0.3) > 0
        assert rig.rate(0.3) > 0
        assert rig.lost() == 0


def test_of_the_ways_of_an_opponent_the_best_counts_and_the_others_are_noted() -> None:
    turns = [Turn("p", way, partial(float)) for way in ("a", "b")] + [Turn("q", "", float)]
    pairs = [Pairs([8], [1]), Pairs([6], [2]), Pairs([9], [3])]
    first, second = best_rows("1 rule, 1 flow", turns, pairs)
    assert (first.peer, first.runs, first.ratio, first.note) == ("p b", [6], 3, "a 1")
    assert (second.peer, second.ratio, second.note) == ("q", 3, None)


def test_every_goal_is_of_a_workload_and_an_opponent_that_exist() -> None:
    names = {*workload.WORKLOADS, goals.COLD}
    assert set(goals.PIPELINE) <= names
    assert {opponent for goal in goals.PIPELINE.values() for opponent in goal} <= set(KINDS)


def test_every_c_program_of_the_benchmarks_compiles_and_is_in_the_tree(tmp_path: Path) -> None:
    folder = Path(compiler.__file__).parent
    wanted = {
        "floor.c": ["-shared", "-fPIC"],
        "placement.c": ["-pthread"],
        "bare.c": compiler.with_core(),
        "traffic.c": [],
        "tables.c": [str(folder / "tables_raicho.c"), *compiler.with_core()],
        "nat.c": ["-shared", "-fPIC", *compiler.with_core()],
        "kv.c": [str(folder / "kv_raicho.c"), *compiler.with_core()],
        "route.c": [str(folder / "route_raicho.c"), *compiler.with_core()],
    }
    parts = {"tables_raicho.c", "tables_dpdk.c", "kv_raicho.c", "kv_dpdk.c"}
    parts |= {"route_raicho.c", "route_floor.c", "route_dpdk.c"}
    wanted["route_forward.c"] = ["-shared", "-fPIC", str(folder / "route_floor.c")]
    assert {file.name for file in folder.glob("*.c")} == {*wanted, *parts}
    for source, flags in wanted.items():
        assert compiler.compiled(source, tmp_path, *flags).exists()
