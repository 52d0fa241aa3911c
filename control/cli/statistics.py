"""show statistics: the counters that the datastore holds; the dataplane is not asked."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from .output import emit_tables
from .place import placed, wants_json
from .workers import summary

Row = Mapping[str, Any]

SOURCE = "dataplane"
HEAD = ("number", "age", "stale", "mark", "whole", "gone", "page")
# What people see of a set; JSON has everything.
COLUMNS: Mapping[str, Sequence[str]] = {
    "port": ("name", "up", "rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_dropped"),
    "queue": ("bridge", "number", "queue", "tx_packets", "tx_bytes", "tx_errors"),
    "bridge": ("name", "flows", "controllers", "standalone", "events_lost"),
    "table": ("bridge", "table", "flows", "lookups", "matches"),
    "worker": ("id", "mode", "port", "received", "sent", "dropped", "cycles"),
    "drops": ("name", "packets", "text"),
    "fdb": ("bridge", "vlan", "mac", "port", "number", "age", "static"),
    "tree": ("router", "group", "source", "packets", "bytes", "strayed"),
}


@click.command()
@placed
@click.argument("sets", nargs=-1)
@click.option("--since", default="", metavar="MARK", help="Only what differs from that sample.")
@click.option("--limit", default=0, type=click.IntRange(0), help="So many rows at most.")
@click.option("--page", default="", help="Those that follow, as the answer before has it.")
def statistics(sets: tuple[str, ...], since: str, limit: int, page: str) -> None:
    """Show the last sample of counters, all of it or SETS, and how old it is."""
    import msgspec

    from ..message import GetSample
    from .ask import ask

    sampled = ask("datastore", GetSample(SOURCE, list(sets), since, limit, page))
    rows = {
        name: {key: msgspec.msgpack.decode(row) for key, row in found.items()}
        for name, found in sampled.sets.items()
    }
    sample = {name: getattr(sampled, name) for name in HEAD} | {"age": round(sampled.age, 3)}
    if not wants_json():
        remark = ", of a dataplane that is gone" if sampled.stale else ""
        click.echo(f"{sampled.age:.1f} s old{remark}, mark {sampled.mark}")
        for name, keys in sampled.gone.items():
            click.echo(f"no more in {name}: {', '.join(keys)}")
    emit_tables({**sample, "sets": rows}, _blocks(rows))
    if sampled.page and not wants_json():
        click.echo(f"\nmore: --page {sampled.page}")


def _blocks(
    sets: Mapping[str, Mapping[str, Row]],
) -> Iterator[tuple[str, list[Row], Sequence[str]]]:
    """Yield the sets that people read, without reasons for which nothing was dropped."""
    for name, columns in COLUMNS.items():
        rows = [row for row in sets.get(name, {}).values() if row.get("packets", True)]
        if rows:
            yield name, [summary(row) for row in rows] if name == "worker" else rows, columns
