"""config load, config save: configuration files, read and written by the datastore's public API.

No other part of raicho reads or writes them.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .commits import (
    comment_option,
    confirm_option,
    dry_run_option,
    emit_changes,
    emit_result,
)
from .output import emit
from .place import DEFAULT_STARTUP, placed

if TYPE_CHECKING:
    from ..message import CallError
    from .document import Document

file_argument = click.argument("file", type=click.Path(path_type=Path), default=DEFAULT_STARTUP)


class FileError(click.ClickException):
    """A file that cannot be used; each fault has the file, a line, and what is known beside."""

    def __init__(self, faults: list[dict[str, Any]]) -> None:
        super().__init__("\n".join(map(_sentence, faults)))
        self.told = {**faults[0], "faults": faults}


def _sentence(fault: dict[str, Any]) -> str:
    where = f"{fault['path']}: " if fault.get("path") else ""
    rule = f" ({fault['rule']})" if fault.get("rule") else ""
    return f"{fault['file']}:{fault['line']}: {where}{fault['reason']}{rule}"


@click.command()
@placed
@file_argument
@click.option("--session", metavar="NAME", help="Load into this session; commit it later.")
@click.option("--merge", is_flag=True, help="Keep also what is there and not in FILE.")
@dry_run_option
@confirm_option
@comment_option
def load(
    file: Path, session: str | None, merge: bool, dry_run: bool, confirm: float, comment: str
) -> None:
    """Make current what is in FILE, in one transaction, and nothing else.

    FILE is the startup file if it is not given, and standard input if it is -.
    Only what differs is touched.
    """
    from ..message import CallError
    from .ask import edit

    document = read(file)
    try:
        if session:
            emit_changes(edit(session, edits(document, merge)).changes)
            return
        result = commit(document, merge, dry_run, comment or f"load {file}", confirm)
    except CallError as error:
        raise located(error, file, document.line) from error
    emit_result(result, dry_run, show=dry_run)


@click.command()
@placed
@file_argument
@click.option("--session", metavar="NAME", default="", help="Save this session, not what runs.")
@click.option("--ietf", is_flag=True, help="Write names with modules, by RFC 7951.")
def save(file: Path, session: str, ietf: bool) -> None:
    """Write the configuration to FILE, the startup file if it is not given.

    Whatever happens, FILE is the old one or the new one.  It is standard output if it is -.
    """
    from ..message import GetConfig
    from .ask import ask
    from .document import write
    from .saving import replace

    side = "next" if session else "current"
    config = ask("datastore", GetConfig("/", side, session, ietf=ietf))
    if str(file) == "-":
        click.echo(write(config.data), nl=False)
        return
    replace(file, write(config.data))
    told = {"file": str(file), "revision": config.revision}
    emit(told, f"saved revision {config.revision} to {file}")


def read(file: Path) -> "Document":
    """Return the configuration in a file, or raise FileError."""
    from .document import BadText, Document

    try:
        return Document(text_of(file))
    except BadText as error:
        raise FileError([_fault(file, error.line, str(error))]) from None


def text_of(file: Path) -> str:
    """Return the text of a file, or of standard input; raise FileError if it is none."""
    data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise FileError([_fault(file, line, f"{error.reason}; a file is UTF-8")]) from None


def edits(document: "Document", merge: bool) -> list[Any]:
    """Return the edits that bring a session to a document."""
    from ..message import Delete, Set

    return [*([] if merge else [Delete("/")]), Set("/", document.data)]


def commit(
    document: "Document", merge: bool, dry_run: bool, comment: str, confirm: float = 0.0
) -> Any:
    """Make a document current in one transaction, or raise CallError and change nothing."""
    from ..message import Edit
    from .ask import in_session

    ops = edits(document, merge)
    return in_session(lambda session: Edit(session, ops), dry_run, comment, confirm)


def located(error: "CallError", file: Path, line_of: Callable[[str], int]) -> Exception:
    """Return a refusal with the lines of what was refused; what has no path stays as it is."""
    failure = error.failure
    if not failure.path:
        return error
    others = {"code": failure.code.value, "rule": failure.participant or failure.code.value}
    faults: list[Any] = list(failure.faults) or [failure]
    return FileError([_located(each, file, line_of, others) for each in faults])


def _located(
    fault: Any, file: Path, line_of: Callable[[str], int], others: dict[str, str]
) -> dict[str, Any]:
    told = _fault(file, line_of(fault.path), fault.reason, path=fault.path, **others)
    return told | {"rule": getattr(fault, "rule", told["rule"])}


def _fault(file: Path, line: int, reason: str, **more: str) -> dict[str, Any]:
    return {"file": str(file), "line": line, "reason": reason, **more}
