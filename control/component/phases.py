"""A participant's side of two-phase commit: each phase once, one transaction at a time.

One that holds nothing yet refuses changes of what it should hold: it was started
again, and the datastore has not heard of it.  One that only goes forth is told
whole configurations only when it holds nothing; later they are no work if they
are what is held, and StartAgain else.
"""

import asyncio
from collections import deque
from typing import Any, Protocol

import msgspec

from ..message import CallError, Change, Code, Failure, Prepare

REMEMBERED = 64  # transactions that are over and of which messages may come again


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
        self.held: Prepare | None = None  # what was committed; None: nothing, or not known
        self._committed: deque[str] = deque(maxlen=REMEMBERED)
        self._aborted: deque[str] = deque(maxlen=REMEMBERED)

    async def prepare(self, request: Prepare) -> None:
        """Prepare, unless that was done; abort what an earlier coordinator left."""
        async with self._turn:
            if self._pending and self._pending.txid == request.txid:
                return
            if request.txid in self._aborted:  # which overtook this
                raise self._signed(CallError(Failure(Code.CONFLICT, "it was aborted already")))
            await self._drop_pending()
            self._refuse_a_part_of_nothing(request)
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
            self._aborted.append(txid)
            if self._pending and self._pending.txid == txid:
                await self._drop_pending()

    async def _drop_pending(self) -> None:
        if self._pending:
            txid, self._pending = self._pending.txid, None
            if not self._is_held:
                await self._participant.abort(txid)

    def _refuse_a_part_of_nothing(self, request: Prepare) -> None:
        if not (self._touched or request.whole):
            reason = "it has started and does not hold yet what this changes"
            raise self._signed(CallError(Failure(Code.UNAVAILABLE, reason)))

    def _holds(self, request: Prepare) -> bool:
        """Tell whether there is nothing to do; raise StartAgain if too much is held."""
        if not (self._only_forth and self._touched and request.whole):
            return False
        if self.held is None or self.held.config != request.config:
            raise StartAgain
        return True

    async def _prepare(self, request: Prepare) -> None:
        try:
            await self._participant.prepare(request.txid, request.changes, request.config)
        except CallError as error:
            raise self._signed(error) from error

    async def _commit(self, prepared: Prepare) -> None:
        self._touched, self.held = True, None
        try:
            await self._participant.commit(prepared.txid)
        except CallError as error:
            raise self._signed(error) from error
        self.held = prepared

    def _signed(self, error: CallError) -> CallError:
        """Say who refuses."""
        failure = error.failure
        participant = failure.participant or self._participant.identity
        return CallError(msgspec.structs.replace(failure, participant=participant))
