"""The benchmark of control runs, small."""

from collections.abc import Callable
from typing import Any

import pytest
from system.needs import missing

from bench.control import in_steps, rules

Measure = Callable[..., list[dict[str, Any]]]


def test_every_line_of_control_has_a_number(measure: Measure) -> None:
    found = measure("control", "--scale", "0.005")
    assert len(found) == 8
    assert all(isinstance(row["value"], int | float) and row["value"] > 0 for row in found[:-1])


@pytest.mark.soak  # Open vSwitch is not among the packages of every test run
def test_a_peer_is_measured_in_the_same_call(measure: Measure) -> None:
    if reason := missing("ovs-vswitchd"):
        pytest.skip(reason)
    (row,) = measure(
        "control", "--scale", "0.01", "--peer", "ovs", "--line", "10k flow-mods, 1 barrier"
    )
    assert row["peer"] == "ovs"
    assert float(str(row["peer_value"])) > 0
    assert float(str(row["ratio"])) > 0


def test_flow_mods_are_cut_into_steps_without_loss() -> None:
    messages = rules(1_000, 1)
    steps = in_steps(messages, 1_000)
    assert len(steps) == 10
    assert b"".join(steps) == messages
