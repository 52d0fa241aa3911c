"""The benchmark of restarts kills a dataplane that comes back."""

from collections.abc import Callable
from typing import Any

from system.needs import needs

pytestmark = needs()


def test_a_dataplane_is_missed_for_a_while(measure: Callable[..., list[dict[str, Any]]]) -> None:
    """C13: the time to the first packet that is forwarded again is measured."""
    (row,) = measure("restart", "--flows", "1")
    assert row["value"] > 0.1, "no less than the pause before a restart"
