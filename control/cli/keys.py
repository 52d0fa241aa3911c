"""keys: who may talk to the switch."""

from pathlib import Path

import click

from .output import emit
from .place import placed

FOLDER = click.Path(path_type=Path)


@click.group()
def keys() -> None:
    """Make keys for a switch that is to know who talks to it."""


@keys.command()
@placed
@click.argument("folder", type=FOLDER)
def create(folder: Path) -> None:
    """Make the keys of a switch in FOLDER, to be given to `raicho up --keys`."""
    from ..message import keys

    keys.create(folder)
    emit({"folder": str(folder)}, f"{folder} has the keys of a switch; nobody else is allowed yet")


@keys.command()
@placed
@click.argument("folder", type=FOLDER)
@click.argument("name")
@click.argument("client", type=FOLDER)
@click.option("--read-only", is_flag=True, help="The client may ask, and change nothing.")
def allow(folder: Path, name: str, client: Path, read_only: bool) -> None:
    """Make keys for the client NAME in the folder CLIENT; allow them at the switch of FOLDER."""
    from ..message import keys

    role = keys.READER if read_only else keys.OPERATOR
    keys.allow(folder, client, name, role)
    emit({"name": name, "role": role, "folder": str(client)}, f"{name} is allowed as {role}")
