"""A sample has all counters, and they agree with those that are read one by one."""

from typing import Any

import msgspec
import pytest

from raicho.control.message.statistics import Sets
from raicho.control.openflow.spec.messages import GroupMod, MeterMod
from raicho.control.openflow.spec.meters import DropBand
from raicho.control.statesync.entries import cut
from raicho.dataplane.datapath import DONE
from raicho.dataplane.sample import BULKY, SETS, take

BOTH = {"p1": "memory", "p2": {"kind": "memory", "queue": [{"id": 7}]}}
NUMBERS = {"p1": 1, "p2": 2}


def test_every_set_is_there_and_counts(rig: Any) -> None:
    """P8, Q24, K11: one call, all of it."""
    rig.configure(BOTH, br0=NUMBERS)
    rig.flow(2)
    rig.put("p1")
    rig.turn()
    sample = take(rig.switch, [*SETS, *BULKY])
    assert set(sample) == {*SETS, *BULKY}
    assert sample["port"]["p1"]["rx_packets"] == sample["port"]["p2"]["tx_packets"] == 1
    assert sample["queue"]["br0/2/7"]["tx_packets"] == 0
    assert sample["bridge"]["br0"]["flows"] == 1
    assert sample["table"]["br0/0"]["matches"] == 1
    assert sample["worker"]["0"]["totals"]["received"] == 1
    assert sum(row["packets"] for row in sample["drops"].values()) == 0
    [flows] = sample["flow"]["br0"]["parts"]
    assert len(flows) == int.from_bytes(flows[:2], "big"), "one flow, as OpenFlow has it"


def test_a_set_that_nobody_knows_is_left_out(rig: Any) -> None:
    assert set(take(rig.switch, ["port", "weather"])) == {"port"}


def test_a_port_that_is_not_open_says_why_and_counts_nothing(rig: Any) -> None:
    rig.configure({"p1": "memory"})
    rig.switch.ports.lose("p1")
    row = take(rig.switch, ["port"])["port"]["p1"]
    assert "trouble" in row and "rx_packets" not in row


@pytest.mark.parametrize("name", ["flow", "group", "meter"])
def test_what_grows_with_the_tables_is_openflows_own_bytes(rig: Any, name: str) -> None:
    rig.configure(BOTH, br0=NUMBERS)
    row = take(rig.switch, [name])[name]["br0"]
    assert row["multipart"] == {"flow": 1, "group": 6, "meter": 9}[name]
    assert b"".join(row["parts"]) == b""


def test_entries_that_nothing_happens_to_are_the_same_rows_later(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K21: a row for each, by what it is known by; only what has counted differs."""
    rig.configure(BOTH, br0=NUMBERS)
    rig.flow(2, in_port=1)
    rig.flow(1, in_port=2)
    assert rig.apply(GroupMod(0, 0, 7), MeterMod(0, 1, 9, (DropBand(100, 10),))) == [DONE] * 2

    def rows(later: int) -> Any:
        monkeypatch.setattr("raicho.dataplane.sample.now_ms", lambda: rig.now + later)
        told = msgspec.msgpack.encode(take(rig.switch, list(BULKY)))
        found = cut(msgspec.msgpack.decode(told, type=Sets), lambda ms: ms + 5)
        return {
            f"{name} {key}": msgspec.msgpack.decode(row)
            for name, rows in found.items()
            for key, row in rows.items()
        }

    first = rows(1234)
    assert set(first) == {
        "flow br0/0/32768/8000000400000001",
        "flow br0/0/32768/8000000400000002",
        "group br0/7",
        "meter br0/9",
    }
    assert {row["began"] for row in first.values()} == {rig.now + 5}
    rig.put("p1")
    rig.turn()
    second = rows(98765)
    changed = [key for key, row in second.items() if row != first[key]]
    assert changed == ["flow br0/0/32768/8000000400000001"]
