"""The benchmark of the bus runs, small, and its numbers can be right."""

from argparse import Namespace

from bench.bus import IDLE_LINE, LINES, rows


def test_every_line_of_bus_has_a_number() -> None:
    """C9, K14."""
    found = list(rows(Namespace(runs=1, seconds=0.1, line=None)))
    assert [row.name for row in found] == [*(line.name for line in LINES), IDLE_LINE]
    assert all(row.value > 0 for row in found if row.unit != "events")
    assert all(row.note for row in found if row.more_is_better and not row.peer)
