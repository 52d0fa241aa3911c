"""What becomes of edits: diff, commit, confirm, discard, rollback, history."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from .output import emit, emit_rows
from .place import placed

if TYPE_CHECKING:
    from ..message import Change, CommitResult, Revision

CANDIDATE = "candidate"  # the session that is meant if none is named

session_option = click.option(
    "--session", metavar="NAME", default=CANDIDATE, show_default=True, help="Which session."
)
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Ask everybody whether it could be done, and do not do it."
)
confirm_option = click.option(
    "--confirm",
    metavar="SECONDS",
    type=float,
    default=0.0,
    help="Go back to what was before, if `raicho confirm` does not come in that time.",
)
comment_option = click.option(
    "--comment", metavar="TEXT", default="", help="What the history says about it."
)


@click.command()
@placed
@session_option
def diff(session: str) -> None:
    """Show what a session would change."""
    from ..message import Diff
    from .ask import ask

    emit_changes(ask("datastore", Diff(session)).changes)


@click.command()
@placed
@session_option
@dry_run_option
@confirm_option
@comment_option
def commit(session: str, dry_run: bool, confirm: float, comment: str) -> None:
    """Make a session current, everywhere or nowhere."""
    from ..message import CommitSession
    from .ask import COMMIT_TIMEOUT, ask, operator

    request = CommitSession(session, dry_run, comment, operator(), confirm)
    emit_result(ask("datastore", request, COMMIT_TIMEOUT), dry_run)


@click.command()
@placed
def confirm() -> None:
    """Keep what was committed with --confirm."""
    from ..message import Settle
    from .ask import COMMIT_TIMEOUT, ask, operator

    result = ask("datastore", Settle(who=operator()), COMMIT_TIMEOUT)
    emit({"revision": result.revision}, f"confirmed, as revision {result.revision}")


@click.command()
@placed
@session_option
def discard(session: str) -> None:
    """Forget a session and its edits."""
    from ..message import Discard
    from .ask import ask

    ask("datastore", Discard(session))
    emit({"discarded": session}, f"discarded {session}")


@click.command()
@placed
@click.argument("revision", type=int, required=False)
@dry_run_option
@confirm_option
@comment_option
def rollback(revision: int | None, dry_run: bool, confirm: float, comment: str) -> None:
    """Make current what was at REVISION, by a new transaction.

    Without REVISION go back from the commit that waits to be confirmed.
    """
    from ..message import Restore, Settle
    from .ask import COMMIT_TIMEOUT, ask, in_session, operator

    if revision is None and dry_run:
        raise click.UsageError("a dry run needs a REVISION; `raicho config history` lists them")
    if revision is None:
        result = ask("datastore", Settle(keep=False, who=operator()), COMMIT_TIMEOUT)
    else:
        comment = comment or f"rollback to revision {revision}"
        result = in_session(partial(Restore, revision=revision), dry_run, comment, confirm)
    emit_result(result, dry_run, show=True)


@click.command()
@placed
@click.option("--limit", metavar="N", default=20, show_default=True, help="How many revisions.")
@click.option("--changes", is_flag=True, help="Show also what each of them changed.")
def history(limit: int, changes: bool) -> None:
    """Tell who changed what and when, the newest first."""
    from ..message import GetHistory
    from .ask import ask

    revisions = ask("datastore", GetHistory(limit)).revisions
    if changes:
        emit([_row(each) for each in revisions], "\n".join(map(_paragraph, revisions)))
    else:
        rows = [_row(each) for each in revisions]
        emit_rows(rows, ("revision", "when", "who", "n_changes", "comment"), "nothing was changed")


def _row(revision: "Revision") -> dict[str, Any]:
    return {
        "revision": revision.number,
        "when": _clock(revision.when),
        "who": revision.who,
        "n_changes": len(revision.changes),
        "comment": revision.comment,
        "txid": revision.txid,
        "confirm_by": revision.confirm_by and _clock(revision.confirm_by),
        "changes": plain(revision.changes),
    }


def _paragraph(revision: "Revision") -> str:
    from .ask import describe

    head = f"revision {revision.number}, {_clock(revision.when)}, {revision.who}"
    comment = f": {revision.comment}" if revision.comment else ""
    lines = describe(revision.changes).splitlines()
    return "\n".join([head + comment, *(f"  {line}" for line in lines)])


def _clock(when: float) -> str:
    return datetime.fromtimestamp(when).astimezone().isoformat(timespec="seconds")


def plain(changes: Sequence["Change"]) -> list[dict[str, Any]]:
    """Return changes as JSON has them."""
    return [{"path": c.path, "old": c.old, "new": c.new} for c in changes]


def emit_changes(changes: Sequence["Change"]) -> None:
    """Show what a session would change."""
    from .ask import describe

    emit(plain(changes), describe(changes))


def emit_result(result: "CommitResult", dry_run: bool, show: bool = False) -> None:
    """Tell how a commit ended; *show* tells people also what it changed."""
    from .ask import describe

    n = len(result.changes)
    lines = describe(result.changes).splitlines() if show and n else []
    if dry_run:
        lines.append(f"could be committed: {n} {'change' if n == 1 else 'changes'}")
    elif n:
        lines.append(f"committed as revision {result.revision}")
    else:
        lines.append(f"nothing to change; revision {result.revision} stays")
    if result.confirm_by is not None:
        lines.append(f"goes back at {_clock(result.confirm_by)} unless `raicho confirm` comes")
    data = {
        "revision": result.revision,
        "txid": result.txid,
        "changes": plain(result.changes),
        "confirm_by": result.confirm_by and _clock(result.confirm_by),
        "notes": result.notes,
    }
    emit(data, "\n".join([*lines, *result.notes]))
