"""A sample has all counters, and they agree with those that are read one by one."""

from typing import Any

import pytest

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
