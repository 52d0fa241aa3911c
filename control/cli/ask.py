"""Questions to the components of a running switch, for commands that are not async."""

import asyncio
import os
import pwd
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from ..component import holder, running
from ..message import (
    CallError,
    Changes,
    Code,
    CommitResult,
    CommitSession,
    ControlClient,
    Diff,
    Discard,
    Edit,
    Failure,
    GetConfig,
    Op,
    Request,
)
from ..message.finding import lookup
from ..message.keys import context_with, load
from ..message.types import is_order
from .place import distant, keys_folder, run_dir

T = TypeVar("T")
R = TypeVar("R")

HOW_TO_START = "start the switch by `raicho up`, or say where it is by --run-dir"
COMMIT_TIMEOUT = 30.0  # seconds; a commit asks every participant


def endpoint(component: str, kind: str = "control") -> str:
    """Return the endpoint of a component of the switch that is meant."""
    if not (datastore := distant()):
        return f"ipc://{run_dir()}/{component}.{kind}"
    if (component, kind) == ("datastore", "control"):
        return datastore
    return find(f"{component}.{kind}")


def find(api: str, timeout: float = 5.0) -> str:
    """Ask the datastore where an API is served."""
    return talk("datastore", lambda client: lookup(client, api, timeout)).endpoint


def check_running(component: str) -> None:
    """Fail, and say how to start it, if the component should run here and does not."""
    if not distant() and holder(run_dir(), component) is None:
        others = [name for name in running(run_dir()) if name != component]
        right = f"there are {', '.join(others)}" if others else HOW_TO_START
        reason = f"no {component} runs in {run_dir()}; {right}"
        raise CallError(Failure(Code.UNAVAILABLE, reason))


def ask(component: str, request: Request[R], timeout: float = 5.0) -> R:
    """Return the reply of a component."""

    async def question(client: ControlClient) -> R:
        return await client.call(request, timeout)

    return talk(component, question)


def read(path: str, session: str = "", defaults: bool = False) -> Any:
    """Return the configuration at *path*, None if there is none."""
    side = "next" if session else "current"
    try:
        return ask("datastore", GetConfig(path, side, session, defaults)).data
    except CallError as error:
        if error.failure.code is not Code.NOT_FOUND:
            raise
        return None


def talk(component: str, conversation: Callable[[ControlClient], Awaitable[T]]) -> T:
    """Hold a *conversation* with a component."""
    check_running(component)
    keys, where = load(keys_folder()), endpoint(component)

    async def hold() -> T:
        context = context_with(keys)
        client = ControlClient(context, where)
        try:
            return await conversation(client)
        finally:
            client.close()
            context.term()

    return asyncio.run(hold())


def edit_and_commit(ops: Sequence[Op], dry_run: bool = False) -> CommitResult:
    """Make the edits current in one transaction of their own, or change nothing."""
    return in_session(lambda session: Edit(session, list(ops)), dry_run)


def in_session(
    change: Callable[[str], Request[Changes]],
    dry_run: bool = False,
    comment: str = "",
    confirm: float = 0.0,
) -> CommitResult:
    """Commit what the request *change* makes of a session that nobody else knows."""
    session = f"cli-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    commit = CommitSession(session, dry_run, comment, operator(), confirm)

    async def conversation(client: ControlClient) -> CommitResult:
        try:
            await client.call(change(session))
            return await client.call(commit, COMMIT_TIMEOUT)
        finally:
            await _discard(client, session)

    return talk("datastore", conversation)


def operator() -> str:
    """Name who runs this command, for the history."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a user without a name
        return f"uid {os.getuid()}"


def edit(session: str, ops: Sequence[Op]) -> Changes:
    """Edit a session that stays open; return what it would change by now."""

    async def conversation(client: ControlClient) -> Changes:
        await client.call(Edit(session, list(ops)))
        return await client.call(Diff(session))

    return talk("datastore", conversation)


async def _discard(client: ControlClient, session: str) -> None:
    """Leave no session behind; the success of a commit has closed it already."""
    try:
        await client.call(Discard(session), 1.0)
    except CallError as error:
        if error.failure.code not in (Code.NOT_FOUND, Code.TIMEOUT, Code.INVALID):
            raise


def describe(changes: Sequence[Any]) -> str:
    """Write changes one a line: + for what comes, - for what goes, ~ for what differs."""
    return "\n".join(_line(change) for change in changes) or "no changes"


def _line(change: Any) -> str:
    old, new = _shown(change.old), _shown(change.new)
    if change.old is None:
        return f"+ {change.path} {new}".rstrip()
    if change.new is None:
        return f"- {change.path} {old}"
    return f"~ {change.path} {old} -> {new}"


def _shown(value: Any) -> str:
    """Write the value of a change; of an order, the keys of the entries."""
    if is_order(value):
        return ", ".join(" ".join(map(str, keys.values())) for keys in value)
    return "" if value is None else str(value)
