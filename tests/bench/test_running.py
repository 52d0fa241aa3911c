"""The benchmark of a switch that runs: every line has a number, and state sync is running again."""

from collections.abc import Callable
from typing import Any

from system.needs import needs

from bench.running import BESIDE, LINES

SMALL = ("--flows", "1000", "--times", "5", "--seconds", "0.1", "--turns", "2")

pytestmark = needs()


def test_every_line_has_a_number(measure: Callable[..., list[dict[str, Any]]]) -> None:
    """F2, Q22, Q24: measured with real processes, the last with packets that go round."""
    *lines, beside, by_cpu = measure("running", *SMALL)
    assert [row["name"] for row in lines] == [f"{line.name}, 99 of 100" for line in LINES]
    assert all(row["value"] > 0 for row in lines)
    assert lines[-1]["note"].endswith("s old")
    for row in (beside, by_cpu):
        assert row["name"].startswith(BESIDE)
        assert row["value"] > 0 and row["peer_value"] > 0
