"""Transactions from beginning to end: a session's commit, and bringing participants back.

One at a time: the store is asked what a transaction consists of, delivery.py
carries it out, and the store, the data file and the bus hear how it ended.
"""

import asyncio
import contextlib
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator

from ..message import Abort, Alert, CallError, Code, Failure, Message
from ..message.datastore import CommitResult, CommitSession, Committed, Diverged
from .coordinator import Finish, Logged, Timeouts, Transaction
from .delivery import Delivery
from .engines import Stamp
from .registry import Member
from .store import Plan, Store

COMMITTED, DIVERGED, ALERT = "config.committed", "config.diverged", "alert.{}"  # topics

SYNC_TIMEOUTS = Timeouts(prepare=5.0, commit=5.0)
LOOK = 0.5  # seconds between looks for those that diverged


class Commits:
    """Runs transactions; *give_up* is called when the data file fails in the middle of one."""

    def __init__(
        self,
        store: Store,
        delivery: Delivery,
        publish: Callable[[str, Message], object],
        give_up: Callable[[], None],
        timeouts: Timeouts,
    ) -> None:
        self._store = store
        self._delivery = delivery
        self._publish = publish
        self._give_up = give_up
        self._timeouts = timeouts
        self._one_at_a_time = asyncio.Lock()

    async def commit(self, request: CommitSession) -> CommitResult:
        """Make a session current, or raise CallError with nothing changed."""
        async with self._one_at_a_time:
            return await self._commit(request)

    async def synchronise(self, member: Member) -> None:
        """Bring a participant to what is current; note it if that fails."""
        async with self._one_at_a_time:
            now = time.monotonic()
            if self._store.registry.get(member.name) is member and member.is_alive(now):
                member.postpone(now)
                await self._synchronise(member)

    def restarted(self, name: str) -> None:
        """Take it that a participant does not know any more what it was told."""
        self._delivery.lost(name, "it was started again")

    async def bring_back(self) -> None:
        """Synchronise again and again those that diverged; never return."""
        while True:
            await asyncio.sleep(LOOK)
            for member in list(self._store.registry):
                if member.wants_to_synchronise(time.monotonic()):
                    await self.synchronise(member)

    async def _commit(self, request: CommitSession) -> CommitResult:
        stamp = Stamp(uuid.uuid4().hex, request.session, time.time(), request.comment)
        plan = self._store.plan(self._store.session(request.session), stamp, time.monotonic())
        revision = self._store.revision
        if plan.changes:
            finish = await self._run(plan, request.dry_run)
            if finish.failure:
                raise CallError(_with_outcome(finish, revision))
            if not request.dry_run:
                revision = self._conclude(plan)
        if not request.dry_run:
            self._store.discard(request.session)
        return CommitResult(stamp.txid, revision, plan.changes, list(plan.parts))

    async def _run(self, plan: Plan, dry_run: bool) -> Finish:
        transaction = Transaction(plan.stamp.txid, plan.parts, self._timeouts, dry_run)
        finish = await self._delivery.run(
            transaction, self._endpoints(plan), lambda state: self._log(state, plan)
        )
        if finish.failure and not dry_run:
            with self._giving_up_on_failure():
                self._store.engine.end(plan.stamp.txid)
        for name in finish.restarted:
            self._store.expect(name, plan.parts[name].instance)
        for name, reason in finish.diverged.items():
            self._note_diverged(name, reason)
        for name, way in _ways_back(finish, self._store.revision).items():
            self._publish(ALERT.format(name), Alert(name, f"{way}, because {finish.failure}"))
        return finish

    def _log(self, state: Logged, plan: Plan) -> None:
        """Write to the log; before anybody was asked, a failure is only a refusal."""
        if state is not Logged.PREPARE:
            with self._giving_up_on_failure():
                return self._store.engine.log(state, plan.record)
        try:
            self._store.engine.log(state, plan.record)
        except sqlite3.Error as error:
            reason = f"the data file cannot be written: {error}; nothing was changed"
            raise CallError(Failure(Code.UNAVAILABLE, reason)) from error

    @contextlib.contextmanager
    def _giving_up_on_failure(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error:
            self._give_up()
            raise

    def _endpoints(self, plan: Plan) -> dict[str, str]:
        members = (self._store.registry.get(name) for name in plan.parts)
        return {member.name: member.registration.endpoint for member in members if member}

    def _conclude(self, plan: Plan) -> int:
        with self._giving_up_on_failure():
            revision = self._store.conclude(plan)
        self._publish(COMMITTED, Committed(plan.stamp.txid, revision, plan.changes))
        return revision

    async def _synchronise(self, member: Member) -> None:
        endpoint = member.registration.endpoint
        for txid in self._store.in_doubt:
            await self._delivery.tell(endpoint, Abort(txid))
        part = {member.name: self._store.part_of_sync(member)}
        transaction = Transaction(f"sync-{uuid.uuid4().hex}", part, SYNC_TIMEOUTS)
        finish = await self._delivery.run(transaction, {member.name: endpoint}, _log_nothing)
        if finish.failure:
            self._note_diverged(member.name, str(finish.failure))
        else:
            self._store.mark(member.name, "")

    def _note_diverged(self, name: str, reason: str) -> None:
        member = self._store.registry.get(name)
        if member is None or member.trouble == reason:
            return
        self._store.mark(name, reason)
        self._publish(DIVERGED, Diverged(name, reason))


def _log_nothing(state: Logged) -> None:
    """A synchronisation needs no log: it is done again after a crash."""


def _with_outcome(finish: Finish, revision: int) -> Failure:
    """Say beside the failure where everybody is now."""
    assert finish.failure
    failure = finish.failure
    ways = _ways_back(finish, revision)
    others = [f"{name} {way}" for name, way in ways.items() if name not in finish.returned]
    outcome = "; ".join(others) or f"all are at revision {revision}"
    reason = f"{failure.reason}; nothing was changed, {outcome}"
    return Failure(failure.code, reason, failure.path, failure.participant)


def _ways_back(finish: Finish, revision: int) -> dict[str, str]:
    """Say of each participant that had to come back how it does so."""
    softly = {name: f"went back to revision {revision}" for name in finish.returned}
    anew = {
        name: f"is started again with revision {revision} ({why})"
        for name, why in finish.restarted.items()
    }
    astray = {name: f"did not go back ({why})" for name, why in finish.diverged.items()}
    return softly | anew | astray
