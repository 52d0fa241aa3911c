"""The benchmark of a table that is told again: all routes come, and no frame is lost (F10, K18)."""

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

from system.needs import needs

from bench import zebra
from raicho.control.routing.events import NextHop, Route, Routes
from raicho.control.routing.fpm import Framer

Measure = Callable[..., list[dict[str, Any]]]


def test_a_stream_is_a_next_hop_and_routes_by_it() -> None:
    events: list[Any] = []
    counters: Counter[str] = Counter()
    Framer().feed(zebra.stream(3, 7, "10.0.2.2"), events, counters)
    (hop, routes) = events
    assert not counters.total()
    assert isinstance(hop, NextHop)
    assert hop.hop is not None
    assert (hop.id, hop.hop.interface, hop.hop.gateway) == (1, 7, bytes([10, 0, 2, 2]))
    assert isinstance(routes, Routes)
    assert isinstance(routes.like, Route)
    assert routes.like.next_hop == hop.id
    assert [key[:6] for key in routes.keys] == [
        bytes([4, 30, 100, 64, 0, last]) for last in (0, 4, 8)
    ]


@needs()
def test_a_table_comes_again_by_a_stream(measure: Measure) -> None:
    again, killed, lost = measure("resync", "--routes", "1000")
    assert again["value"] > 0 and killed["value"] > 0
    assert lost["value"] == 0
    assert "goal" not in again


@needs("zebra")
def test_a_table_comes_again_by_zebra(measure: Measure) -> None:
    os.chmod(os.environ["TMPDIR"], 0o755)  # zebra runs as another user
    *_, by_zebra, lost = measure("resync", "--routes", "1000", "--peer", "zebra")
    assert by_zebra["peer"] == "who only reads"
    assert by_zebra["value"] > 0
    assert lost["value"] == 0
