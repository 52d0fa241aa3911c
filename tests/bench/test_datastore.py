"""The benchmark of the datastore runs, small, and leaves nothing behind."""

from argparse import Namespace

from bench.datastore import LINES, MEMORY, rows


def test_every_line_of_datastore_has_a_number() -> None:
    before = set(MEMORY.glob("rcb*"))
    found = list(rows(Namespace(runs=1, times=5, rows=20, line=None, store=None)))
    assert [row.name for row in found] == [
        *(line.name for line in LINES),
        "durable commits, sqlite",
    ]
    assert all(row.value > 0 for row in found)
    assert set(MEMORY.glob("rcb*")) <= before
