"""config: read the configuration and change it by transactions."""

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .output import emit, outline
from .place import placed

if TYPE_CHECKING:
    from .ask import Op

Command = TypeVar("Command", bound=Callable[..., Any])


@click.group()
def config() -> None:
    """Read the configuration, and change it by transactions.

    A path reads like /raicho/bridge[name='br0']/fail-mode.  Without --session
    an edit is a transaction of its own; with it, edits wait for `config commit`.
    """


session_option = click.option(
    "--session", metavar="NAME", help="Edit this session; commit it later."
)
session_required = click.option("--session", metavar="NAME", required=True, help="Which session.")
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Ask everybody whether it could be done, and do not do it."
)


@config.command()
@placed
@click.argument("path")
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
@click.argument("path")
@click.argument("value", required=False)
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
@click.argument("path")
@session_option
@dry_run_option
def delete(path: str, session: str | None, dry_run: bool) -> None:
    """Remove PATH and all below it."""
    from ..message import Delete

    apply([Delete(path)], session, dry_run)


@config.command()
@placed
@session_required
def diff(session: str) -> None:
    """Show what a session would change."""
    from ..message import Diff
    from .ask import ask

    _emit_changes(ask("datastore", Diff(session)).changes)


@config.command()
@placed
@session_required
@dry_run_option
def commit(session: str, dry_run: bool) -> None:
    """Make a session current, everywhere or nowhere."""
    from ..message import CommitSession
    from .ask import COMMIT_TIMEOUT, ask

    result = ask("datastore", CommitSession(session, dry_run), COMMIT_TIMEOUT)
    _emit_result(result, dry_run)


@config.command()
@placed
@session_required
def discard(session: str) -> None:
    """Forget a session and its edits."""
    from ..message import Discard
    from .ask import ask

    ask("datastore", Discard(session))
    emit({"discarded": session}, f"discarded {session}")


def apply(ops: Sequence["Op"], session: str | None, dry_run: bool) -> None:
    """Commit the edits in one transaction, or leave them in *session*."""
    from .ask import edit, edit_and_commit

    if session:
        _emit_changes(edit(session, ops).changes)
    else:
        _emit_result(edit_and_commit(ops, dry_run), dry_run)


def _emit_changes(changes: Sequence[Any]) -> None:
    import msgspec

    from .ask import describe

    rows = [{"path": c.path, "old": c.old, "new": c.new} for c in changes]
    emit(msgspec.to_builtins(rows), describe(changes))


def _emit_result(result: Any, dry_run: bool) -> None:
    import msgspec

    rows = [{"path": c.path, "old": c.old, "new": c.new} for c in result.changes]
    data = {"revision": result.revision, "txid": result.txid, "changes": rows}
    if dry_run:
        text = f"could be committed: {len(rows)} {'change' if len(rows) == 1 else 'changes'}"
    elif rows:
        text = f"committed as revision {result.revision}"
    else:
        text = f"nothing to change; revision {result.revision} stays"
    notes = [*result.notes]
    emit(msgspec.to_builtins({**data, "notes": notes}), "\n".join([text, *notes]))
