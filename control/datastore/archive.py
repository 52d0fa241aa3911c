"""What the datastore keeps in its engine, and under which keys.

    /history/NUMBER            one revision: who, when and what
    /now/head                  the number of the revision that is current
    /now/cell PATH             a leaf, or an entry (its keys), of what is current
    /now/decision              the log of the transaction under way, and whose it is
    /now/module/NAME           a module that a component has brought
    /now/participant/HOST/NAME the registration of a participant that has not left

Hosts that share an engine have one transaction at a time between them: who writes the decision
must find none, and the head that it has planned on. One that stays for PATIENCE seconds is of
a host that died. Whom it is in the way of ends it, as after a crash: as the log says.
"""

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from ..message.types import Change
from .coordinator import recovered
from .engines import Commit, Conflict, Engine, EngineError, Gap, Value, Writes
from .yang import Module

PATIENCE = 30.0

NOW, HISTORY = "/now/", "/history/"
HEAD, DECISION = "/now/head", "/now/decision"
CELL, MODULE, PARTICIPANT = "/now/cell", "/now/module/", "/now/participant/"


class Stamp(msgspec.Struct, frozen=True):
    """Which transaction a revision is of; *when* is Unix time in seconds.

    One that must be confirmed says by when, and is the newest until it was.
    """

    txid: str
    who: str
    when: float
    comment: str = ""
    confirm_by: float | None = None


class Past(msgspec.Struct, frozen=True):
    """One revision, as history has it."""

    number: int
    stamp: Stamp
    changes: list[Change]


class Record(msgspec.Struct, frozen=True):
    """What the log must hold to finish a transaction without its coordinator."""

    stamp: Stamp
    changes: list[Change]
    participants: list[str]


class Decision(msgspec.Struct, frozen=True):
    """How far the transaction of a host has come."""

    host: str
    state: str
    record: Record


class Busy(EngineError):
    """Another host was first; nothing was written, and trying again is right."""


class Archive:
    """What one host knows of an engine; it writes only on top of what it has read."""

    def __init__(self, engine: Engine, host: str = "") -> None:
        self.engine = engine
        self._own = f"{PARTICIPANT}{host}/"
        self._host = host
        self._obstacle = (0, 0.0)  # revision of another's decision, and since when it is seen
        self.load()

    def load(self) -> None:
        """Read everything that is current."""
        self._seen, kept = self.engine.below(NOW)
        self._revisions = {HEAD: kept[HEAD].revision} if HEAD in kept else {}
        self.revision: int = _decode(kept[HEAD]) if HEAD in kept else 0
        self.modules = _values(kept, MODULE, Module)
        self.participants = {
            key.removeprefix(self._own): value.data
            for key, value in kept.items()
            if key.startswith(self._own)
        }
        self.cells: dict[str, Any] = {
            key.removeprefix(CELL): _decode(value)
            for key, value in kept.items()
            if key.startswith(CELL)
        }

    def _commit(self, reads: tuple[str, ...], writes: Writes) -> int:
        """Write if what was read is as it was, or raise Busy."""
        done = self.engine.commit({key: self._revisions.get(key, 0) for key in reads}, writes)
        if isinstance(done, Conflict):
            self._revisions[DECISION] = 0  # read it again
            raise Busy(f"another datastore has written {done.key} just now; try again")
        for key, data in writes.items():
            if key in (HEAD, DECISION):
                self._revisions[key] = done if data is not None else 0
        return done

    # Revisions.

    def commit(self, record: Record) -> int:
        """Make a transaction current, and end it in the log; return its number."""
        number = self.revision + 1
        past = Past(number, record.stamp, record.changes)
        writes = {CELL + c.path: _blob(c.new) for c in record.changes}
        ended = {HEAD: _encode(number), DECISION: None, _history(number): _encode(past)}
        self._commit((HEAD, DECISION), writes | ended)
        self._take_in(past)
        return number

    def _take_in(self, past: Past) -> None:
        self.revision = past.number
        for change in past.changes:
            if change.new is None:
                self.cells.pop(change.path, None)
            else:
                self.cells[change.path] = change.new

    def history(self, limit: int) -> list[Past]:
        """Return the last revisions, the newest first."""
        oldest = max(0, self.revision - max(limit, 0))
        keys = [_history(number) for number in range(self.revision, oldest, -1)]
        found = self.engine.get(keys)
        return [_decode(found[key], Past) for key in keys if key in found]

    # The coordinator's log.

    def log(self, state: str, record: Record) -> None:
        """Say durably how far a transaction has come; raise Busy if another host has one."""
        if not self._revisions.get(DECISION):
            self._make_room()
        decision = _encode(Decision(self._host, state, record))
        self._commit((HEAD, DECISION), {DECISION: decision})

    def end(self) -> None:
        """Forget the transaction of this host, which is over and changed nothing."""
        if self._revisions.get(DECISION):
            self._commit((DECISION,), {DECISION: None})

    def unresolved(self) -> list[tuple[str, Record]]:
        """Return the transaction that a crash of this host has left, with its state."""
        decision = self._read_decision()
        if decision is None or decision.host != self._host:
            return []
        return [(decision.state, decision.record)]

    def _read_decision(self) -> Decision | None:
        """Return the log, and take it for read if it is this host's."""
        found = self.engine.get([DECISION]).get(DECISION)
        self._revisions.pop(DECISION, None)
        if found is None:
            return None
        decision: Decision = _decode(found, Decision)
        if decision.host == self._host:
            self._revisions[DECISION] = found.revision
        elif self._obstacle[0] != found.revision:
            self._obstacle = found.revision, time.monotonic()
        return decision

    def _make_room(self) -> None:
        """Raise Busy while another host has a transaction; end one that nobody goes on with."""
        if not self.engine.shared:
            return
        decision = self._read_decision()
        if decision is None or decision.host == self._host:
            return
        revision, since = self._obstacle
        if time.monotonic() - since < PATIENCE:
            raise Busy(f"host {decision.host} has a transaction under way; try again")
        self._revisions[DECISION] = revision
        if not recovered(decision.state):
            return  # it is written over
        self.commit(decision.record)
        raise Busy(f"the transaction of host {decision.host} is finished only now; try again")

    # What other hosts write.

    def wait(self, seconds: float) -> list[Commit] | None:
        """Wait for commits, in a thread of its own; None if too many are missed to name them."""
        try:
            return self.engine.watch(NOW, self._seen, seconds)
        except Gap:
            return None

    def take_in(self, commits: list[Commit] | None) -> tuple[list[Past], list[Module]]:
        """Return the revisions and the modules in what came that are other hosts'."""
        before, known = self.revision, self.modules
        if commits is None:
            self.load()
            if self.revision < before:
                raise EngineError(f"the store is at revision {self.revision}, and was at {before}")
        for commit in commits or ():
            self._seen = commit.revision
            self._take_in_modules(commit)
            head = commit.writes.get(HEAD)
            if head is not None and (number := msgspec.json.decode(head)) > self.revision:
                self._revisions[HEAD], self.revision = commit.revision, number
        revisions = self.history(self.revision - before)[::-1]
        for past in revisions:
            self._take_in(past)
        return revisions, [module for module in self.modules if module not in known]

    def _take_in_modules(self, commit: Commit) -> None:
        for key, data in commit.writes.items():
            if key.startswith(MODULE) and data is not None:
                module = msgspec.json.decode(data, type=Module)
                self.modules = [m for m in self.modules if m.name != module.name] + [module]

    # What is known of the components.

    def add_modules(self, modules: list[Module]) -> None:
        """Keep modules, in the place of older ones."""
        if modules:
            self._commit((), {MODULE + module.name: _encode(module) for module in modules})
            names = {module.name for module in modules}
            self.modules = [m for m in self.modules if m.name not in names] + modules

    def add_participant(self, name: str, registration: bytes) -> None:
        """Keep the registration of a participant of this host."""
        if self.participants.get(name) != registration:
            self._commit((), {self._own + name: registration})
            self.participants[name] = registration

    def remove_participant(self, name: str) -> None:
        """Forget a participant of this host that has left."""
        if name in self.participants:
            self._commit((), {self._own + name: None})
            del self.participants[name]


def _history(number: int) -> str:
    return f"{HISTORY}{number:012}"


def _encode(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _blob(value: Any) -> bytes | None:
    return None if value is None else _encode(value)


def _decode(value: Value, type_: Any = Any) -> Any:
    return msgspec.json.decode(value.data, type=type_)


def _values(kept: Mapping[str, Value], prefix: str, type_: Any) -> list[Any]:
    return [_decode(value, type_) for key, value in kept.items() if key.startswith(prefix)]
