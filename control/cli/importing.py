"""config import-lagopus: what another switch was configured with, in one transaction."""

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .commits import comment_option, dry_run_option, emit_result
from .files import FileError, located, text_of
from .place import placed

if TYPE_CHECKING:
    from ..message import CommitResult
    from .lagopus import Bad, Flow, Script

PATIENCE = 60.0  # seconds; that long a commit waits for its flows before it goes back


@click.command(name="import-lagopus")
@placed
@click.argument("file", type=click.Path(path_type=Path))
@dry_run_option
@comment_option
def import_lagopus(file: Path, dry_run: bool, comment: str) -> None:
    """Add what the Lagopus configuration FILE says to what is there.

    Its objects are committed in one transaction, then its flows are added.  If
    any of it is not understood or refused, nothing has changed.
    """
    from ..message import CallError, Edit, Set
    from .ask import in_session

    script = _understood(file)
    ops: list[Any] = [Set(place.path, place.value) for place in script.edits]
    confirm = PATIENCE if script.flows and not dry_run else 0.0
    comment = comment or f"import {file}"
    try:
        result = in_session(lambda name: Edit(name, ops), dry_run, comment, confirm)
    except CallError as error:
        raise located(error, file, script.line_of) from error
    if confirm:
        result = _with_flows(file, script, result)
    notes = [f"{file}:{note.line}: {note.reason}" for note in script.notes]
    result.notes.extend([*notes, f"{len(script.flows)} flows"])
    emit_result(result, dry_run, show=dry_run)


def _understood(file: Path) -> "Script":
    """Return what a file says, if all of it can be read; else raise FileError."""
    from .lagopus import understand

    script = understand(text_of(file))
    _refuse(file, script.bad)
    known = {thing.name for thing in script.of_kind("bridge")}
    _refuse(file, [bad for flow in script.flows if (bad := _homeless(flow, known))])
    _add_flows(file, script, check=True)
    return script


def _homeless(flow: "Flow", known: set[str]) -> "Bad | None":
    """Say if the bridge of a flow is neither in the file nor in the switch."""
    from .ask import read
    from .lagopus import Bad
    from .objects import entry

    if flow.bridge not in known and read(entry("/raicho/bridge", flow.bridge)) is None:
        return Bad(flow.line, f"there is no bridge {flow.bridge}")
    known.add(flow.bridge)
    return None


def _with_flows(file: Path, script: "Script", result: "CommitResult") -> "CommitResult":
    """Add the flows, and keep the commit; or go back from it and raise."""
    import msgspec

    from ..message import Settle
    from .ask import COMMIT_TIMEOUT, ask, operator

    waits = result.confirm_by is not None  # a commit that changed nothing does not
    try:
        _add_flows(file, script, check=False)
    except BaseException:
        if waits:
            ask("datastore", Settle(keep=False, who=operator()), COMMIT_TIMEOUT)
        raise
    if waits:
        ask("datastore", Settle(who=operator()), COMMIT_TIMEOUT)
    return msgspec.structs.replace(result, confirm_by=None)


def _add_flows(file: Path, script: "Script", check: bool) -> None:
    """Add the flows, those of a bridge all or none; with *check*, only have them read."""
    from ..message import AddFlows
    from .ask import ask
    from .lagopus import Bad

    by_bridge: dict[str, list[Flow]] = defaultdict(list)
    for flow in script.flows:
        by_bridge[flow.bridge].append(flow)
    for bridge, flows in by_bridge.items():
        request = AddFlows(bridge, [flow.flow for flow in flows], check)
        faults = ask("openflow", request, PATIENCE).faults
        _refuse(file, [Bad(flows[fault.index].line, fault.reason) for fault in faults])


def _refuse(file: Path, bad: "list[Bad]") -> None:
    """Raise FileError if anything is bad."""
    if bad:
        raise FileError([{"file": str(file), **each._asdict()} for each in sorted(bad)])
