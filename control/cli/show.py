"""show: what the switch is doing."""

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
