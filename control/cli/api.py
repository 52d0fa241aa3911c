"""api: what can be asked of the components that run, by programs that do without this command."""

from collections.abc import Iterator
from typing import Any

import click

from .output import emit_rows
from .place import placed

COLUMNS = ("api", "verbs", "by", "operation", "component", "text")


@click.command()
@placed
@click.argument("name", required=False)
def api(name: str | None) -> None:
    """List the APIs, or those whose name begins with NAME, with their operations.

    The datastore knows who is there, each component what it answers, and the schema
    what a commit may change.
    """
    rows = sorted(_rows(), key=lambda row: (row["api"], row["by"], row["operation"]))
    rows = [row for row in rows if row["api"].startswith(name or "")]
    emit_rows(rows, COLUMNS, "no such API")


def _rows() -> Iterator[dict[str, Any]]:
    from ..message import CallError, Describe, Get, ListRegistry
    from .ask import ask

    for entry in ask("datastore", ListRegistry()).components:
        try:
            found = ask(entry.component, Get("/api")).data
        except CallError as error:
            click.echo(f"warning: without {entry.component}: {error}", err=True)
            continue
        for row in found:
            yield {**row, "component": entry.component}
    yield from _lists(ask("datastore", Describe("/")).node, "")


def _lists(node: dict[str, Any], path: str) -> Iterator[dict[str, Any]]:
    """Yield the lists of the schema: each is an API of its own, by way of a commit."""
    for name, child in (node.get("children") or {}).items():
        below = f"{path}/{name}"
        if child["kind"] == "list":
            yield {
                "api": f"config{below}",
                "verbs": ["add", "del", "get", "bulk"],
                "by": "commit",
                "operation": below,
                "component": "datastore",
                "text": " ".join(child["description"].split()).partition(". ")[0],
            }
        yield from _lists(child, below)
