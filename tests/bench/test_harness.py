"""The one JSON form, and workloads that are what they say."""

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import openflow, workload
from bench.harness import Goal, Row, alternate, as_json, as_text, line, sample

ROOT = Path(__file__).parents[2]
FORM = {
    *("name", "unit", "min", "value", "max", "runs", "peer", "peer_value", "peer_runs"),
    *("ratio_min", "ratio", "ratio_max", "goal", "met", "note"),
}
SMALL = [name for name in workload.WORKLOADS if "1M" not in name and "new flow" not in name]


def test_the_json_has_the_machine_and_the_rows_and_leaves_out_what_does_not_apply() -> None:
    compared = Row("b", "us", [2], "ovs", [4], Goal(2), more_is_better=False, note="best of 2")
    rows = [Row("a", "pps", [3, 1, 2]), compared]
    form = json.loads(as_json(rows))
    assert set(form) == {"machine", "rows"}
    assert form["rows"][0] == {
        "name": "a", "unit": "pps", "min": 1, "value": 2, "max": 3, "runs": [3, 1, 2],
    }  # fmt: skip
    assert set(form["rows"][1]) == FORM


def test_a_ratio_above_one_is_in_favour_of_raicho_for_rates_and_for_times() -> None:
    assert Row("rate", "pps", [20], "x", [10]).ratio == 2
    assert Row("time", "us", [10], "x", [20], more_is_better=False).ratio == 2


def test_ratios_are_those_of_the_pairs_and_not_of_the_medians() -> None:
    row = Row("rate", "pps", [10, 40, 30], "x", [10, 10, 20])
    assert row.ratios == [1, 4, 1.5]
    assert row.ratio == 1.5
    form = row.form()
    assert (form["ratio_min"], form["ratio"], form["ratio_max"]) == (1, 1.5, 4)


@pytest.mark.parametrize(
    ("goal", "more_is_better", "met"),
    [
        (Goal(2), True, True),
        (Goal(2.1), True, False),
        (Goal(2.1, 20), True, True),
        (Goal(value=21), True, False),
        (Goal(value=21), False, True),
        (None, True, None),
    ],
)
def test_a_goal_is_met_by_the_ratio_or_by_the_value(
    goal: Goal | None, more_is_better: bool, met: bool | None
) -> None:
    peer = [10] if more_is_better else [40]
    assert Row("a", "x", [20], "peer", peer, goal, more_is_better).met is met


def test_a_ratio_that_nothing_was_compared_for_is_neither_met_nor_missed() -> None:
    assert Row("a", "x", [20], goal=Goal(2)).met is None
    assert "missed" not in line(Row("a", "x", [20], goal=Goal(2)))
    assert "(goal 2x: missed)" in line(Row("a", "x", [20], "peer", [20], Goal(2)))


def test_a_row_that_is_not_what_it_should_be_meets_and_misses_nothing() -> None:
    row = Row("a", "x", [20], "peer", [1], Goal(2), fault="not warm")
    assert row.met is None
    assert row.form()["fault"] == "not warm"
    assert line(row).endswith("(goal 2x)  NOT AS IT SHOULD BE: not warm")


def test_every_turn_of_a_peer_follows_one_of_raicho_and_the_first_round_does_not_count() -> None:
    order: list[str] = []

    def turn(name: str) -> Callable[[], float]:
        def once() -> float:
            order.append(name)
            return len(order)

        return once

    pairs = alternate(turn("raicho"), [turn("a"), turn("b")], 2)
    assert order == ["raicho", "a", "raicho", "b"] * 3
    assert [(found.own, found.peer) for found in pairs] == [
        ([5, 9], [6, 10]),
        ([7, 11], [8, 12]),
    ]


def test_a_warm_up_run_does_not_count() -> None:
    values = iter([100.0, 1.0, 2.0, 3.0])
    assert sample(lambda: next(values), 3) == [1, 2, 3]


@pytest.mark.parametrize("name", SMALL)
def test_the_same_seed_gives_the_same_workload_and_another_seed_another(name: str) -> None:
    one, again, other = (workload.make(name, seed) for seed in (1, 1, 2))
    assert one.rules == again.rules
    assert np.array_equal(one.frames, again.frames)
    assert not np.array_equal(one.frames, other.frames)


@pytest.mark.parametrize("name", SMALL)
def test_the_rules_are_whole_flow_mods(name: str) -> None:
    made = workload.make(name, 1)
    at = count = 0
    while at < len(made.rules):
        version, kind, size, _ = struct.unpack_from("!BBHI", made.rules, at)
        assert (version, kind) == (openflow.VERSION, openflow.FLOW_MOD)
        at, count = at + size, count + 1
    assert (at, count) == (len(made.rules), made.n_rules)


def test_an_independent_decoder_reads_the_flow_mods() -> None:
    parser = pytest.importorskip("os_ken.ofproto.ofproto_v1_3_parser")
    ofproto = pytest.importorskip("os_ken.ofproto.ofproto_v1_3")
    protocol = pytest.importorskip("os_ken.ofproto.ofproto_protocol")
    datapath = protocol.ProtocolDesc(ofproto.OFP_VERSION)
    message = openflow.flow_mod(
        {"eth_type": 0x0800, "ipv4_dst": (0x0A000000, 0xFF000000)},
        openflow.apply(openflow.set_field("eth_dst", 3), openflow.dec_ttl(), openflow.output(2)),
        openflow.goto(4),
        table=3,
        priority=7,
    )
    read = parser.OFPFlowMod.parser(datapath, 4, 14, len(message), 0, message)
    assert (read.table_id, read.priority) == (3, 7)
    assert dict(read.match.items()) == {"eth_type": 0x0800, "ipv4_dst": ("10.0.0.0", "255.0.0.0")}
    actions = [type(action).__name__ for action in read.instructions[0].actions]
    assert actions == ["OFPActionSetField", "OFPActionDecNwTtl", "OFPActionOutput"]
    assert read.instructions[1].table_id == 4


def test_frames_carry_a_right_ipv4_checksum() -> None:
    frames = workload.make("10k exact rules, 10k flows", 3).frames[:100]
    words = frames[:, 14:34].copy().view(">u2").astype(np.uint32)
    total = words.sum(axis=1)
    assert set(((total & 0xFFFF) + (total >> 16)).tolist()) == {0xFFFF}


def test_a_table_for_people_has_a_line_for_each_row() -> None:
    lines = list(as_text([Row("a", "packets/s", [3_000_000, 1, 2]), Row("b", "us", [0.12345])]))
    assert [line.split()[:2] for line in lines[2:]] == [["a", "1"], ["b", "0.1235"]]
    assert "3,000,000" in lines[2]


def run(name: str, *options: str) -> dict[str, Any]:
    """Run a benchmark for a moment; return its one row."""
    arguments = (*("--runs", "1", "--seconds", "0.3", "--workload", "1 rule, 1 flow"), *options)
    done = subprocess.run(
        [sys.executable, "-m", "bench", name, "--json", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "build" / "tree")},
        capture_output=True,
        text=True,
        check=True,
    )
    (row,) = json.loads(done.stdout)["rows"]
    return dict(row)


def test_the_pipeline_prints_one_json_object_with_a_row_for_a_workload() -> None:
    row = run("pipeline")
    assert (row["name"], row["unit"], len(row["runs"])) == ("1 rule, 1 flow", "packets/s", 1)
    assert (row["peer"], row["goal"]) == ("floor", "0.5x")
    assert row["value"] > 0
    assert row["ratio"] == pytest.approx(row["runs"][0] / row["peer_runs"][0], rel=0.001)


def test_several_workers_are_measured_beside_one() -> None:
    row = run("workers", "--workers", "2")
    assert (row["name"], row["peer"]) == ("2 workers, 1 rule, 1 flow", "1 worker")
    assert row["value"] > 0
    assert row["peer_value"] > 0
    assert row["goal"] == "1.9x"
