"""The benchmark of keys and values: every key that was put is found (P5)."""

from collections.abc import Callable
from typing import Any

import pytest
from system.needs import missing

Measure = Callable[..., list[dict[str, Any]]]
QUICK = ("kv", "--seconds", "0.02", "--entries", "5000")


def test_a_row_for_each_number(measure: Measure) -> None:
    found = measure(*QUICK)
    assert [row["unit"] for row in found] == ["lookups/s", "inserts/s", "changes/s", "bytes"]
    assert all(row["value"] > 0 and "peer" not in row for row in found)
    assert found[-1]["value"] >= 32  # a key, a value and when it was used


@pytest.mark.soak  # DPDK is not among the packages of every test run
def test_the_hash_of_dpdk_gets_the_same_keys(measure: Measure) -> None:
    if reason := missing("dpdk-testpmd", "pkg-config"):
        pytest.skip(reason)
    found = measure(*QUICK, "--peer", "dpdk")
    assert {row["peer"] for row in found} == {"dpdk rte_hash"}
    assert all(row["peer_value"] > 0 for row in found)
