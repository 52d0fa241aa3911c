"""The benchmark of NAT: every packet of every session comes through, from both sides (P5)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bench import nat

Measure = Callable[..., list[dict[str, Any]]]


def test_each_frame_is_a_session_of_its_own() -> None:
    frames = nat.sessions(5_000, 1)
    assert len(np.unique(frames[:, 26:36], axis=0)) == 5_000  # source address and port
    assert (nat.sessions(5_000, 1) == frames).all()
    assert not (nat.sessions(5_000, 2) == frames).all()


def test_rows_for_both_sides_and_for_new_sessions(measure: Measure) -> None:
    found = measure("nat", "--seconds", "0.02", "--sessions", "3000")
    assert [(row["name"], row.get("peer")) for row in found] == [
        ("3,000 sessions, out", "floor"),
        ("3,000 sessions, out", "without NAT"),
        ("3,000 sessions, in", "floor"),
        ("3,000 sessions, in", "without NAT"),
        ("3,000 sessions, new", None),
    ]
    assert all(row["value"] > 0 for row in found)
