"""Two-phase commit as a state machine without I/O or clock.

Events go in (start, answered, tick, with the time), actions come out and must
be carried out in their order: Log before the messages that follow it, so that
a crash at any point finds in the log on which side everybody must end.

    phase       log       sent                  goes on when
    PREPARING   prepare   Prepare, to all       all have prepared, or one has not
    ABORTING    -         Abort, to all         those that had prepared answered
    COMMITTING  commit    Commit, one by one    the last one answered, or one failed
    UNDOING     undo      Prepare and Commit    each went back or did not
                          of the old config,
                          or Restart

After a crash, `commit` means the new configuration, anything else the old one;
recovered() says so.  Participants come to that side when they register again.
A participant that cannot go back softly, or fails to, is started again and gets
the old configuration when it registers.  One that does not do that either is
diverged.
"""

import enum
from collections.abc import Mapping
from typing import Any

import msgspec

from ..message.failure import Code, Failure
from ..message.types import Abort, Change, Commit, Prepare, Restart

ABORT_LASTS = 10.0  # seconds in which an abort is worth receiving


class Logged(enum.StrEnum):
    """How far a transaction had come, as the log says it."""

    PREPARE = "prepare"
    COMMIT = "commit"
    UNDO = "undo"


def recovered(state: str) -> bool:
    """Tell whether a transaction that a crash has left in *state* takes effect."""
    return state == Logged.COMMIT


class Side(msgspec.Struct, frozen=True):
    """What a participant is told to bring it to one side."""

    revision: int
    changes: list[Change]
    config: dict[str, Any]
    whole: bool = False  # whether the changes are those from nothing


class Part(msgspec.Struct, frozen=True):
    """One participant: where it shall go, and how it comes back if that fails.

    Softly if there is a side to go *back* to, else by a start of its *instance*;
    with neither, not at all.
    """

    forth: Side
    back: Side | None = None
    instance: str = ""


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds that participants have; with these a client hears within five."""

    prepare: float = 2.0
    abort: float = 0.5
    commit: float = 1.2  # for all of them, one after the other
    undo: float = 0.5  # for each step: prepare, commit, restart


Asked = Prepare | Commit | Abort | Restart  # what participants are sent


class Log(msgspec.Struct, frozen=True):
    """Write this down durably before anything else is done."""

    state: Logged


class Send(msgspec.Struct, frozen=True):
    """Send a request, good for *timeout* seconds, and hand the answer to answered()."""

    participant: str
    request: Asked
    timeout: float


class Finish(msgspec.Struct, frozen=True):
    """All is over.  With a *failure*, nothing has changed but at those that diverged.

    Of the participants that had to come back, *returned* did so softly,
    *restarted* are being started again, and *diverged* did neither; the last two
    say why.
    """

    failure: Failure | None = None
    diverged: dict[str, str] = {}
    restarted: dict[str, str] = {}
    returned: list[str] = []


Action = Log | Send | Finish


class Phase(enum.Enum):
    """Where a transaction is."""

    IDLE = enum.auto()
    PREPARING = enum.auto()
    ABORTING = enum.auto()
    COMMITTING = enum.auto()
    UNDOING = enum.auto()
    FINISHED = enum.auto()


class Transaction:
    """One transaction over its participants, who commit in the order of *parts*."""

    def __init__(
        self,
        txid: str,
        parts: Mapping[str, Part],
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - it is frozen
        dry_run: bool = False,
    ) -> None:
        self.txid = txid
        self.phase = Phase.IDLE
        self._parts = dict(parts)
        self._timeouts = timeouts
        self._dry_run = dry_run
        self._waiting: dict[str, tuple[Asked, float]] = {}
        self._prepared: set[str] = set()
        self._to_commit = list(parts)
        self._commit_until = 0.0
        self._failure: Failure | None = None
        self._diverged: dict[str, str] = {}
        self._restarted: dict[str, str] = {}
        self._returned: list[str] = []

    @property
    def deadline(self) -> float | None:
        """When tick() is due."""
        return min((deadline for _, deadline in self._waiting.values()), default=None)

    # Events.

    def start(self, now: float) -> list[Action]:
        """Begin; without participants there is nothing to ask."""
        self.phase = Phase.PREPARING
        actions: list[Action] = [] if self._dry_run else [Log(Logged.PREPARE)]
        for name, part in self._parts.items():
            request = _prepare(self.txid, part.forth)
            actions.append(self._send(name, request, self._timeouts.prepare, now))
        return actions if self._parts else self._all_prepared(now)

    def answered(
        self,
        participant: str,
        request: Asked,
        failure: Failure | None,
        now: float,
    ) -> list[Action]:
        """Take the answer to a request; one that nobody waits for any more is nothing."""
        waiting = self._waiting.get(participant)
        if waiting is None or waiting[0] is not request:
            return []
        del self._waiting[participant]
        if failure:
            failure = msgspec.structs.replace(failure, participant=participant)
        return _ANSWERED[self.phase](self, participant, request, failure, now)

    def lost(self, participant: str, reason: str, now: float) -> list[Action]:
        """Take it that a participant has started anew, and forgotten what it was sent."""
        if participant not in self._waiting:
            return []
        request = self._waiting[participant][0]
        is_wanted = isinstance(request, Restart)
        failure = None if is_wanted else Failure(Code.UNAVAILABLE, reason)
        return self.answered(participant, request, failure, now)

    def tick(self, now: float) -> list[Action]:
        """Give up those whose time has passed."""
        late = [name for name, (_, deadline) in self._waiting.items() if deadline <= now]
        actions: list[Action] = []
        for name in late:
            if name in self._waiting:
                request = self._waiting[name][0]
                reason = f"no answer to {type(request).__name__.lower()} in time"
                actions += self.answered(name, request, Failure(Code.TIMEOUT, reason), now)
        return actions

    # What happens in each phase.

    def _on_prepare(
        self, name: str, request: Any, failure: Failure | None, now: float
    ) -> list[Action]:
        if failure:
            self._failure = failure
            return self._abort_all(now)
        self._prepared.add(name)
        return [] if self._waiting else self._all_prepared(now)

    def _all_prepared(self, now: float) -> list[Action]:
        if self._dry_run:
            return self._abort_all(now)
        if not self._parts:
            return self._finish()
        self.phase = Phase.COMMITTING
        self._commit_until = now + self._timeouts.commit
        return [Log(Logged.COMMIT), *self._commit_next(now)]

    def _abort_all(self, now: float) -> list[Action]:
        """Tell all, but wait only for those that are known to listen."""
        self.phase = Phase.ABORTING
        self._waiting.clear()
        sent: list[Action] = [self._send_abort(n, self._timeouts.abort, now) for n in self._parts]
        for name in self._parts.keys() - self._prepared:
            del self._waiting[name]
        return sent if self._waiting else [*sent, *self._finish()]

    def _on_abort(
        self, name: str, request: Any, failure: Failure | None, now: float
    ) -> list[Action]:
        return [] if self._waiting else self._finish()

    def _commit_next(self, now: float) -> list[Action]:
        if not self._to_commit:
            return self._finish()
        name = self._to_commit.pop(0)
        return [self._send(name, Commit(self.txid), self._commit_until - now, now)]

    def _on_commit(
        self, name: str, request: Any, failure: Failure | None, now: float
    ) -> list[Action]:
        if failure is None:
            return self._commit_next(now)
        self._failure = failure
        return self._undo(now)

    def _undo(self, now: float) -> list[Action]:
        """Abort those that have only prepared; bring back the others, the failed one too."""
        self.phase = Phase.UNDOING
        actions: list[Action] = [Log(Logged.UNDO)]
        for name in self._to_commit:
            actions.append(self._send_abort(name, self._timeouts.undo, now))
        for name, part in self._parts.items():
            if name in self._to_commit:
                continue
            if part.back is None:
                actions += self._restart(name, "it cannot go back softly", now)
                continue
            request = _prepare(f"{self.txid}-undo", part.back)
            actions.append(self._send(name, request, self._timeouts.undo, now))
        return actions if self._waiting else [*actions, *self._finish()]

    def _on_undo(
        self, name: str, request: Any, failure: Failure | None, now: float
    ) -> list[Action]:
        actions: list[Action] = []
        match request, failure:
            case Restart(), Failure(reason=reason):
                del self._restarted[name]
                self._diverged[name] = reason
            case Prepare() | Commit(), Failure(reason=reason):
                actions = self._restart(name, reason, now)
            case Prepare(txid=txid), None:
                actions = [self._send(name, Commit(txid), self._timeouts.undo, now)]
            case Commit(), None:
                self._returned.append(name)
        return actions if self._waiting else [*actions, *self._finish()]

    def _restart(self, name: str, reason: str, now: float) -> list[Action]:
        """Start a participant again, if that is possible."""
        instance = self._parts[name].instance
        if not instance:
            self._diverged[name] = reason
            return []
        self._restarted[name] = reason
        return [self._send(name, Restart(instance), self._timeouts.undo, now)]

    def _finish(self) -> list[Action]:
        self.phase = Phase.FINISHED
        return [Finish(self._failure, self._diverged, self._restarted, self._returned)]

    def _send_abort(self, name: str, wait: float, now: float) -> Send:
        """Send what must arrive in the end, even if nobody waits so long for the answer."""
        sent = self._send(name, Abort(self.txid), wait, now)
        return msgspec.structs.replace(sent, timeout=ABORT_LASTS)

    def _send(self, name: str, request: Asked, timeout: float, now: float) -> Send:
        self._waiting[name] = request, now + timeout
        return Send(name, request, timeout)


def _prepare(txid: str, side: Side) -> Prepare:
    return Prepare(txid, side.revision, side.changes, side.config, side.whole)


_ANSWERED = {
    Phase.PREPARING: Transaction._on_prepare,
    Phase.ABORTING: Transaction._on_abort,
    Phase.COMMITTING: Transaction._on_commit,
    Phase.UNDOING: Transaction._on_undo,
}
