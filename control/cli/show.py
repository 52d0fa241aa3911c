"""show: what the switch is doing."""

from typing import Any

import click

from .output import emit_rows
from .place import placed


@click.group()
def show() -> None:
    """Show what the switch is doing."""


@show.command()
@placed
def components() -> None:
    """List the components that the datastore knows, and how to reach them."""
    import msgspec

    from ..message import ListRegistry
    from .ask import ask

    entries = ask("datastore", ListRegistry()).components
    listed = [msgspec.structs.asdict(entry) for entry in entries]
    for row in listed:
        row["apis"] = [msgspec.structs.asdict(api) for api in row["apis"]]
    shown = ("component", "version", "alive", "synchronised", "subscriptions", "trouble")
    emit_rows(listed, shown, "no component is registered")


def _configured(what: str) -> list[dict[str, Any]]:
    """Return the entries of a list under /raicho, with defaults."""
    from ..message import CallError, Code, GetConfig
    from .ask import ask

    try:
        found = ask("datastore", GetConfig(f"/raicho/{what}", defaults=True)).data
    except CallError as error:
        if error.failure.code is not Code.NOT_FOUND:
            raise
        return []
    return found or []
