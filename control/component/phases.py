"""A participant's side of two-phase commit: each phase once, one transaction at a time.

A participant that only goes forth sees a synchronisation once, when it holds
nothing.  A later one is no work if it brings what is held, and StartAgain else.
"""

import asyncio
from collections import deque
from typing import Any, Protocol

import msgspec

from ..message import CallError, Change, Code, Failure, Prepare

REMEMBERED = 64  # committed transactions whose commit may come again
SYNC = "sync-"  # how transactions begin that tell all, whatever is held


class StartAgain(Exception):
    """The participant can take this configuration only if it holds nothing."""


class Participant(Protocol):
    """What takes part."""

    @property
    def identity(self) -> str:
        """Return the name under which it refuses."""

    async def prepare(self, txid: str, changes: list[Change], config: dict[str, Any]) -> None:
        """Check a configuration and get ready for it."""

    async def commit(self, txid: str) -> None:
        """Let what was prepared take effect."""

    async def abort(self, txid: str) -> None:
        """Forget what was prepared."""


class Phases:
    """Call the participant so that repetitions and lost messages do no harm."""

    def __init__(self, participant: Participant, only_forth: bool = False) -> None:
        self._participant = participant
        self._only_forth = only_forth
        self._turn = asyncio.Lock()
        self._pending: Prepare | None = None
        self._is_held = False  # what is pending
        self._touched = False
        self._held: dict[str, Any] | None = None  # None: nothing, or not known
        self._committed: deque[str] = deque(maxlen=REMEMBERED)

    async def prepare(self, request: Prepare) -> None:
        """Prepare, unless that was done; abort what an earlier coordinator left."""
        async with self._turn:
            if self._pending and self._pending.txid == request.txid:
                return
            await self._drop_pending()
            self._is_held = self._holds(request)
            if not self._is_held:
                await self._prepare(request)
            self._pending = request

    async def commit(self, txid: str) -> Prepare | None:
        """Commit, and return what was prepared; None if it was committed before."""
        async with self._turn:
            if txid in self._committed:
                return None
            prepared = self._pending
            if prepared is None or prepared.txid != txid:
                reason = f"transaction {txid} is not prepared"
                failure = Failure(Code.NOT_FOUND, reason, None, self._participant.identity)
                raise CallError(failure)
            if not self._is_held:
                await self._commit(prepared)
            self._committed.append(txid)
            self._pending = None
            return prepared

    async def abort(self, txid: str) -> None:
        """Abort, also a transaction that is not known."""
        async with self._turn:
            if self._pending and self._pending.txid == txid:
                await self._drop_pending()

    async def _drop_pending(self) -> None:
        if self._pending:
            txid, self._pending = self._pending.txid, None
            if not self._is_held:
                await self._participant.abort(txid)

    def _holds(self, request: Prepare) -> bool:
        """Tell whether there is nothing to do; raise StartAgain if too much is held."""
        if not (self._only_forth and self._touched and request.txid.startswith(SYNC)):
            return False
        if self._held != request.config:
            raise StartAgain
        return True

    async def _prepare(self, request: Prepare) -> None:
        try:
            await self._participant.prepare(request.txid, request.changes, request.config)
        except CallError as error:
            raise self._signed(error) from error

    async def _commit(self, prepared: Prepare) -> None:
        self._touched, self._held = True, None
        try:
            await self._participant.commit(prepared.txid)
        except CallError as error:
            raise self._signed(error) from error
        self._held = prepared.config

    def _signed(self, error: CallError) -> CallError:
        """Say who refuses."""
        failure = error.failure
        participant = failure.participant or self._participant.identity
        return CallError(msgspec.structs.replace(failure, participant=participant))
