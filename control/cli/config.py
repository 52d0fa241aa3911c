"""config: read the configuration and change it by transactions."""

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .commits import (
    commit,
    confirm,
    diff,
    discard,
    dry_run_option,
    emit_changes,
    emit_result,
    history,
    rollback,
)
from .completion import ConfigPath, LeafValue
from .files import load, save
from .importing import import_lagopus
from .output import emit, outline
from .place import placed

if TYPE_CHECKING:
    from ..message import Op
    from ..message.datastore import Where

Command = TypeVar("Command", bound=Callable[..., Any])


@click.group()
def config() -> None:
    """Read the configuration, and change it by transactions.

    A path reads like /raicho/bridge[name='br0']/fail-mode.  Without --session
    an edit is a transaction of its own; with it, edits wait for `config commit`.
    Commands that need a session and are given none mean the one named candidate.
    """


session_option = click.option(
    "--session", metavar="NAME", help="Edit this session; commit it later."
)
for command in (load, save, import_lagopus, diff, commit, confirm, discard, rollback, history):
    config.add_command(command)


@config.command()
@placed
@click.argument("path", type=ConfigPath())
@click.option("--defaults", is_flag=True, help="Show also what is not set, with its default.")
@click.option("--session", metavar="NAME", default="", help="Read this session, not what runs.")
def get(path: str, defaults: bool, session: str) -> None:
    """Show what is at PATH."""
    _show(path, defaults, session)


@config.command()
@placed
@click.option("--defaults", is_flag=True, help="Show also what is not set, with its default.")
@click.option("--session", metavar="NAME", default="", help="Read this session, not what runs.")
def show(defaults: bool, session: str) -> None:
    """Show all of the configuration."""
    _show("/", defaults, session)


def _show(path: str, defaults: bool, session: str) -> None:
    from ..message import GetConfig
    from .ask import ask

    side = "next" if session else "current"
    data = ask("datastore", GetConfig(path, side, session, defaults)).data
    emit(data, outline(data) if data not in (None, {}, []) else "nothing is configured")


@config.command(name="set")
@placed
@click.argument("path", type=ConfigPath())
@click.argument("value", type=LeafValue(), required=False)
@session_option
@dry_run_option
def set_(path: str, value: str | None, session: str | None, dry_run: bool) -> None:
    """Set PATH to VALUE; a container or list entry takes JSON, or nothing to just be there."""
    from ..message import Set

    apply([Set(path, _value(value))], session, dry_run)


def _value(text: str | None) -> Any:
    """Read what was typed: JSON where only that can be meant, else the text of a leaf."""
    if text is None:
        return {}
    if text[:1] not in ("{", "["):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise click.ClickException(f"bad JSON {text!r}: {error}") from error


@config.command()
@placed
@click.argument("path", type=ConfigPath())
@session_option
@dry_run_option
def delete(path: str, session: str | None, dry_run: bool) -> None:
    """Remove PATH and all below it."""
    from ..message import Delete

    apply([Delete(path)], session, dry_run)


@config.command()
@placed
@click.argument("path", type=ConfigPath())
@click.argument("where", type=click.Choice(["first", "last", "before", "after"]))
@click.argument("beside", type=ConfigPath(), default="")
@session_option
@dry_run_option
def move(path: str, where: "Where", beside: str, session: str | None, dry_run: bool) -> None:
    """Bring PATH, an entry of a list that its user orders, before or after BESIDE."""
    from ..message import Move

    apply([Move(path, where, beside)], session, dry_run)


def apply(ops: Sequence["Op"], session: str | None, dry_run: bool) -> None:
    """Commit the edits in one transaction, or leave them in *session*."""
    from .ask import edit, edit_and_commit

    if session:
        emit_changes(edit(session, ops).changes)
    else:
        emit_result(edit_and_commit(ops, dry_run), dry_run)
