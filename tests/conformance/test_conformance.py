"""The parts of the switch test that need no switch."""

import itertools
import json
from pathlib import Path

import pytest

from . import load
from .__main__ import chosen
from .crc32c import crc32c, sctp_checksum
from .results import NOT_RUN, ROWS, Verdict, category, failures, table, write


def _verdicts() -> list[Verdict]:
    return [
        Verdict("action/00_OUTPUT.json", 1, "to a port", True),
        Verdict("action/25_SET_FIELD/03_ETH_DST.json", 1, "eth_dst", True),
        Verdict("match/00_IN_PORT.json", 1, "in_port", True),
        Verdict("match/00_IN_PORT.json", 2, "in_port again", False, "no packet came"),
        Verdict("meter/01_DROP.json", 1, "", False, NOT_RUN),
    ]


def test_the_table_counts_by_category_and_ends_in_the_sum() -> None:
    rows = table(_verdicts()).splitlines()
    assert [row.split() for row in rows[1:-1]] == [
        ["Action", "1", "1"],
        ["Set-Field", "1", "1"],
        ["Match", "1", "2"],
        ["Meter", "0", "1"],
    ]
    assert rows[-1] == "3 of 5"


def test_failures_are_named_with_their_reasons() -> None:
    assert failures(_verdicts()).splitlines() == [
        "match/00_IN_PORT.json 2: in_port again",
        "    no packet came",
        "not run: 1",
    ]


def test_the_file_of_a_run_has_facts_categories_and_cases(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write(path, {"target": "a switch"}, _verdicts())
    run = json.loads(path.read_text())
    assert run["target"] == "a switch"
    assert run["categories"]["Match"] == {"passed": 1, "total": 2}
    assert [Verdict.read(json.dumps(case)) for case in run["cases"]] == _verdicts()


def test_each_folder_of_cases_is_in_a_category() -> None:
    files = ("action/x", "action/25_SET_FIELD/x", "match/x", "group/x", "meter/x")
    assert tuple(map(category, files)) == ROWS
    with pytest.raises(ValueError, match="queue/x is in no category"):
        category("queue/x")


def test_patterns_choose_files_in_any_case_and_the_slow_ones_come_last() -> None:
    files = {"action/00_OUTPUT": 3, "group/00_ALL": 3, "match/00_IN_PORT": 9, "meter/01": 3}
    assert list(chosen(["*"], files)) == [
        "action/00_OUTPUT",
        "match/00_IN_PORT",
        "group/00_ALL",
        "meter/01",
    ]
    assert chosen(["in_port", "action"], files) == {"action/00_OUTPUT": 3, "match/00_IN_PORT": 9}


def test_crc32c_is_that_of_rfc_3720() -> None:
    """The check value of the polynomial, and appendix B.4."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)).to_bytes(4, "little") == bytes.fromhex("aa36918a")
    assert sctp_checksum(bytes(32)) == 0xAA36918A


def test_frames_reach_the_sender_as_they_are() -> None:
    frames = [bytes([n % 256]) * n for n in (1, 60, 1500)]
    assert list(load.unpack(load.pack(frames))) == frames


def test_the_sender_owes_the_rate_at_any_time_and_never_more_than_all() -> None:
    owed = [load.due(tick * load.TICK, 1750, 3500) for tick in range(5000)]
    assert owed[1000] == 1750
    assert owed[-1] == 3500
    assert all(b - a in (1, 2) or b == 3500 for a, b in itertools.pairwise(owed))
