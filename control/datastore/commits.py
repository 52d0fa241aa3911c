"""Transactions from beginning to end: a session's commit, and bringing participants back.

One at a time: the store is asked what a transaction consists of, delivery.py
carries it out, and the store, the archive and the bus hear how it ended.
"""

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Callable, Iterator

from ..message import Abort, Alert, CallError, Code, Failure, Message
from ..message.datastore import (
    CommitResult,
    CommitSession,
    Committed,
    Diverged,
    Settle,
    new_txid,
)
from .archive import Busy, Past, Stamp
from .coordinator import Finish, Logged, Timeouts, Transaction
from .delivery import Delivery
from .engines import EngineError
from .fault import Invalid, SchemaError
from .registry import Member
from .store import Plan, Store
from .tree import Tree

# Topics.
COMMITTED, DIVERGED = "config.committed", "config.diverged"
ALERT, TRIGGER = "alert.{}", "trigger.{}"

log = logging.getLogger(__name__)

SYNC_TIMEOUTS = Timeouts(prepare=5.0, commit=5.0)
REMEMBERED = 100  # revisions whose txid may come again
LOOK = 0.5  # seconds between looks for those that diverged, and for a wait that is over
WATCH = 1.0  # seconds to wait for commits of others before asking again
LONGEST_WAIT = 7 * 86400.0  # seconds to confirm in

_TXID = re.compile("[0-9A-Za-z]{1,64}")


class Commits:
    """Runs transactions; *give_up* is called when the store fails in the middle of one."""

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
        self.trouble = ""  # why what other datastores do is not seen

    async def commit(self, request: CommitSession) -> CommitResult:
        """Make a session current, or raise CallError with nothing changed."""
        async with self._one_at_a_time:
            return await self._commit(request)

    def committed(self, txid: str) -> CommitResult | None:
        """Return the result of a transaction that was committed lately."""
        for past in self._store.archive.history(REMEMBERED):
            if past.stamp.txid == txid:
                by = past.stamp.confirm_by
                notes = ["it was committed before"]
                return CommitResult(txid, past.number, past.changes, [], notes, confirm_by=by)
        return None

    async def settle(self, request: Settle) -> CommitResult:
        """Keep the commit that waits to be confirmed, or go back."""
        async with self._one_at_a_time:
            if self._store.confirm_by is None:
                raise CallError(Failure(Code.NOT_FOUND, "no commit waits to be confirmed"))
            number = self._store.revision
            if not request.keep:
                return await self._go_back(f"revision {number} was not wanted", request.who)
            stamp = _stamp(request.who, f"revision {number} is confirmed")
            plan = self._store.plan(self._store.session_before(number + 1), stamp, _now())
            return _result(plan, self._conclude(plan))

    async def expire(self, then: Callable[[], None]) -> None:
        """Go back from what was not confirmed in time, however often it takes; never return.

        After each time *then* is called.
        """
        told = ""
        while True:
            await asyncio.sleep(LOOK)
            try:
                if await self._went_back():
                    then()
            except CallError as error:
                if told != str(error):
                    told = str(error)
                    log.error("going back from what was not confirmed: %s", told)

    async def _went_back(self) -> bool:
        async with self._one_at_a_time:
            by = self._store.confirm_by
            if by is None or time.time() < by:
                return False
            reason = f"revision {self._store.revision} was not confirmed in time"
            await self._go_back(reason, "datastore")
            cause = f"{reason}; all are back at what was before"
            log.warning("%s", cause)
            self._publish(ALERT.format("datastore"), Alert("datastore", cause))
            return True

    async def _go_back(self, reason: str, who: str) -> CommitResult:
        """Undo the commit that waits, in a transaction that needs nobody who is away."""
        session = self._store.session_before(self._store.revision)
        plan = self._store.plan(session, _stamp(who, reason), _now(), missing_ok=True)
        finish = await self._run(plan, dry_run=False)
        if finish.failure:
            raise CallError(_with_outcome(finish, self._store.revision))
        return _result(plan, self._conclude(plan))

    async def follow(self, then: Callable[[], None]) -> None:
        """Take in what other datastores commit to the same store; never return.

        After each time *then* is called.
        """
        while True:
            try:
                commits = await asyncio.to_thread(self._store.archive.wait, WATCH)
                async with self._one_at_a_time:
                    revisions, modules = self._store.archive.take_in(commits)
                    if modules:
                        self._store.take_modules()
                    for past in revisions:
                        await self._advance(past)
                self.trouble = ""
            except EngineError as error:
                if not self.trouble:
                    log.error("%s", error)
                self.trouble = str(error)
                await asyncio.sleep(LOOK)
                continue
            except (Invalid, SchemaError) as error:
                log.error("what another datastore has committed does not fit: %s", error)
                return self._give_up()
            if revisions or modules:
                then()

    async def _advance(self, past: Past) -> None:
        """Bring our participants to a revision of another datastore, each by itself."""
        before = self._store.tree
        plan = self._store.advance(past, _now())
        endpoints = self._endpoints(plan)
        for name, part in plan.parts.items():
            transaction = Transaction(f"sync-{past.stamp.txid}", {name: part}, SYNC_TIMEOUTS)
            finish = await self._delivery.run(transaction, endpoints, _log_nothing)
            if finish.restarted:
                self._store.expect(name, part.instance)
            elif finish.failure:
                self._note_diverged(name, str(finish.failure))
            else:
                self._store.mark(name, "")
        self._tell(before, plan, past.number)

    async def synchronise(self, member: Member) -> None:
        """Bring a participant to what is current; note it if that fails."""
        async with self._one_at_a_time:
            now = _now()
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
                if member.wants_to_synchronise(_now()):
                    await self.synchronise(member)

    async def _commit(self, request: CommitSession) -> CommitResult:
        if not request.dry_run:
            self._refuse_while_waiting()
        confirm = 0.0 if request.dry_run else _checked(request.confirm)
        who = request.who or request.session
        stamp = _stamp(who, request.comment, confirm, _checked_txid(request.txid))
        plan = self._store.plan(self._store.session(request.session), stamp, _now())
        revision = self._store.revision
        if plan.changes:
            finish = await self._run(plan, request.dry_run)
            if finish.failure:
                raise CallError(_with_outcome(finish, revision))
            if not request.dry_run:
                revision = self._conclude(plan)
        if not request.dry_run:
            self._store.discard(request.session)
        return _result(plan, revision)

    def _refuse_while_waiting(self) -> None:
        by = self._store.confirm_by
        if by is not None:
            reason = (
                f"revision {self._store.revision} waits to be confirmed until {_clock(by)}; "
                "`raicho confirm` keeps it, `raicho config rollback` goes back"
            )
            raise CallError(Failure(Code.CONFLICT, reason))

    async def _run(self, plan: Plan, dry_run: bool) -> Finish:
        transaction = Transaction(plan.stamp.txid, plan.parts, self._timeouts, dry_run)
        finish = await self._delivery.run(
            transaction, self._endpoints(plan), lambda state: self._log(state, plan)
        )
        if finish.failure and not dry_run:
            with self._giving_up_on_failure():
                self._store.archive.end()
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
                return self._store.archive.log(state, plan.record)
        try:
            self._store.archive.log(state, plan.record)
        except Busy as busy:
            reason = f"{busy}; nothing was changed"
            raise CallError(Failure(Code.CONFLICT, reason)) from busy
        except EngineError as error:
            reason = f"{error}; nothing was changed"
            raise CallError(Failure(Code.UNAVAILABLE, reason)) from error

    @contextlib.contextmanager
    def _giving_up_on_failure(self) -> Iterator[None]:
        try:
            yield
        except EngineError:
            self._give_up()
            raise

    def _endpoints(self, plan: Plan) -> dict[str, str]:
        members = (self._store.registry.get(name) for name in plan.parts)
        return {member.name: member.registration.endpoint for member in members if member}

    def _conclude(self, plan: Plan) -> int:
        before = self._store.tree
        with self._giving_up_on_failure():
            revision = self._store.conclude(plan)
        self._tell(before, plan, revision)
        return revision

    def _tell(self, before: Tree, plan: Plan, revision: int) -> None:
        self._publish(COMMITTED, Committed(plan.stamp.txid, revision, plan.changes))
        for owner, triggered in self._store.triggered(before, plan, _now()):
            self._publish(TRIGGER.format(owner), triggered)

    async def _synchronise(self, member: Member) -> None:
        endpoint = member.registration.endpoint
        for txid in self._store.in_doubt:
            await self._delivery.tell(endpoint, Abort(txid))
        part = {member.name: self._store.part_of_sync(member)}
        transaction = Transaction(f"sync-{new_txid()}", part, SYNC_TIMEOUTS)
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


def _checked(confirm: float) -> float:
    if not 0 <= confirm <= LONGEST_WAIT:
        reason = f"{confirm:g} s to confirm; right is up to {LONGEST_WAIT:g}, and 0 for no wait"
        raise CallError(Failure(Code.INVALID, reason))
    return confirm


def _stamp(who: str, comment: str, confirm: float = 0.0, txid: str = "") -> Stamp:
    now = time.time()
    by = now + confirm if confirm > 0 else None
    return Stamp(txid or new_txid(), who, now, comment, by)


def _checked_txid(txid: str) -> str:
    """Return a client's txid, or raise CallError if it says something to participants."""
    if not _TXID.fullmatch(txid):
        raise CallError(Failure(Code.INVALID, f"bad txid {txid!r}: 1 to 64 letters and digits"))
    return txid


def _result(plan: Plan, revision: int) -> CommitResult:
    stamp = plan.stamp
    by = stamp.confirm_by if plan.changes else None
    return CommitResult(stamp.txid, revision, plan.changes, list(plan.parts), confirm_by=by)


def _now() -> float:
    return time.monotonic()


def _clock(when: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(when))


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
