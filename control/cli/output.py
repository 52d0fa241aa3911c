"""Tables where people read, JSON where programs do."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from .place import wants_json

WIDE = 1000  # columns where nobody looks: nothing is cut or folded


def emit(data: Any, text: str) -> None:
    """Write *data* as JSON if that is wanted, else *text*."""
    click.echo(json.dumps(data, indent=2, default=_plain) if wants_json() else text)


def emit_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], nothing: str) -> None:
    """Write rows as a table of *columns*; JSON has all that they hold."""
    if wants_json():
        click.echo(json.dumps(rows, indent=2, default=_plain))
    elif not rows:
        click.echo(nothing)
    else:
        _table(rows, columns)


def emit_tables(
    data: Any, blocks: Iterable[tuple[str, Sequence[Mapping[str, Any]], Sequence[str]]]
) -> None:
    """Write *data* as JSON if that is wanted, else each block: a title, its rows, their columns."""
    if wants_json():
        click.echo(json.dumps(data, indent=2, default=_plain))
        return
    for title, rows, columns in blocks:
        click.echo(f"\n{title}")
        _table(rows, columns)


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " ").upper())
    for row in rows:
        table.add_row(*(Text(_cell(row.get(column))) for column in columns))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDE).print(table)


def _plain(value: Any) -> str:
    """Write what JSON has no form for."""
    return value.hex() if isinstance(value, bytes) else str(value)


def _cell(value: Any) -> str:
    match value:
        case None | "" | []:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value))
    return str(value)


def outline(data: Any, depth: int = 0) -> str:
    """Write nested data as indented names and values."""
    pad = "  " * depth
    match data:
        case dict():
            return "\n".join(_item(name, value, pad, depth) for name, value in data.items())
        case list():
            return "\n".join(
                pad + "- " + outline(item, depth + 1).removeprefix(pad + "  ") for item in data
            )
    return pad + _scalar(data)


def _item(name: str, value: Any, pad: str, depth: int) -> str:
    if isinstance(value, dict | list) and value:
        return f"{pad}{name}:\n{outline(value, depth + 1)}"
    return f"{pad}{name}: {_scalar(value)}"


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=_plain)
