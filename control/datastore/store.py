"""The state of the datastore: schema, configuration, sessions, registry.

It decides what a transaction consists of and takes in how it ended; the
messages between are coordinator.py and delivery.py.  Nothing here waits.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from ..message.datastore import Op, Register
from ..message.failure import CallError, Code, Failure
from ..message.notices import SetTriggers, Triggered
from ..message.types import Change, is_order
from .archive import Archive, Past, Record, Stamp
from .coordinator import Part, Side, recovered
from .defaults import with_defaults
from .differences import apply_change, content, diff, undone
from .fault import Fault, Invalid, NoSuchNode, SchemaConflict, SchemaError
from .library import library_of, shipped_modules
from .nodes import Node, resolve
from .order import reorder
from .path import ROOT, Path, parse_path
from .registry import Member, Registry
from .scope import changes_seen, config_seen, scope_of
from .sessions import MAX_SESSIONS, Clash, Session
from .snapshots import Pages
from .tree import EMPTY, Tree, from_config, get, to_config
from .triggers import Triggers
from .validate import validate

PAGE = 1000  # changes of a snapshot that are looked at in one go


class Plan(msgspec.Struct, frozen=True):
    """A transaction that is worth trying."""

    stamp: Stamp
    tree: Tree
    changes: list[Change]
    parts: dict[str, Part]
    record: Record


class Store:
    """All that the datastore knows, on top of what it keeps."""

    def __init__(
        self,
        archive: Archive,
        modules: list[str] | None = None,
        off: frozenset[str] = frozenset(),
    ) -> None:
        self.archive = archive
        self._shipped = shipped_modules() if modules is None else modules
        self.library = library_of(self._shipped, archive.modules, off)
        self.registry = Registry()
        self.triggers = Triggers()
        self.sessions: dict[str, Session] = {}
        self.in_doubt = self._recover()
        self.tree = self._load()
        self.working = with_defaults(self.library.root, self.tree)
        self._expect_participants()
        self.newest = next((past.stamp for past in archive.history(1)), None)

    @property
    def revision(self) -> int:
        """The revision that is current."""
        return self.archive.revision

    def _recover(self) -> list[str]:
        """Finish what a crash has left; return the transactions to be aborted."""
        aborted: list[str] = []
        for state, record in self.archive.unresolved():
            if recovered(state):
                self.archive.commit(record)
            else:
                self.archive.end()
                aborted.append(record.stamp.txid)
        return aborted

    def _load(self) -> Tree:
        root, cells = self.library.root, self.archive.cells
        orders = {path: value for path, value in cells.items() if is_order(value)}
        rest = {path: value for path, value in cells.items() if path not in orders}
        tree = from_config(root, _nested(rest))
        for path, order in orders.items():
            tree = reorder(root, tree, parse_path(path), order)
        return tree

    def _expect_participants(self) -> None:
        for blob in self.archive.participants.values():
            registration, modules = msgspec.json.decode(blob, type=tuple[Register, frozenset[str]])
            try:
                scope = scope_of(self.library.root, registration.subscriptions, set(modules))
            except Invalid:
                continue  # its module is not known any more
            self.registry.expect(registration, scope, modules)

    # Registration.

    def register(self, request: Register, now: float) -> tuple[Member, dict[str, str]]:
        """Take in a component with its modules, or raise CallError and change nothing."""
        try:
            library, outcomes = self.library.extended(request.modules, request.imports)
            self._check_configuration(library.root)
        except SchemaConflict as conflict:
            raise CallError(Failure(Code.CONFLICT, conflict.reason, conflict.path)) from conflict
        except SchemaError as error:
            raise CallError(Failure(Code.INVALID, error.reason, error.path)) from error
        brought = [library.modules[name] for name in outcomes]
        try:
            scope = scope_of(library.root, request.subscriptions, set(outcomes))
        except Invalid as invalid:
            raise refusal(invalid) from invalid
        if library is not self.library:
            self.archive.add_modules(brought)
            self.library = library
            self.working = with_defaults(library.root, self.tree)
        member = self.registry.register(request, scope, frozenset(outcomes), now)
        self.triggers.drop(member.name)  # they went with the old lease
        if member.is_participant:
            kept = msgspec.structs.replace(request, modules=[], apis=[], imports=[])
            blob = msgspec.json.encode((kept, sorted(outcomes)))
            self.archive.add_participant(member.name, blob)
        return member, outcomes

    def _check_configuration(self, root: Node) -> None:
        """Raise SchemaConflict if a new schema would forbid what is current."""
        if root is self.library.root:
            return
        try:
            tree = from_config(root, to_config(self.library.root, self.tree))
            faults = validate(root, tree)
        except Invalid as invalid:
            faults = list(invalid.faults)
        if faults:
            reason = f"the current configuration forbids it: {faults[0].reason}"
            raise SchemaConflict(faults[0].path, reason)

    def unregister(self, name: str, lease: str) -> bool:
        """Let a component go; tell whether it was there with that lease."""
        gone = self.registry.remove(name, lease)
        if gone:
            self.triggers.drop(name)
            self.archive.remove_participant(name)
        return gone

    # Sessions.

    def session(self, name: str) -> Session:
        """Return a session that is open, or raise CallError."""
        found = self.sessions.get(name)
        if found is None:
            raise CallError(Failure(Code.NOT_FOUND, f"no session {name!r}; an edit opens one"))
        return found

    def edit(self, name: str, ops: list[Op]) -> Session:
        """Apply *ops* to a session, which the first edit opens."""
        session = self._opened(name)
        try:
            self.sessions[name] = session = session.edited(self.library.root, ops)
        except Invalid as invalid:
            raise refusal(invalid) from invalid
        return session

    def restore(self, name: str, revision: int) -> Session:
        """Make the next configuration of a session that of an earlier revision."""
        self._opened(name)
        self.sessions[name] = session = Session(self.tree, self._tree_at(revision))
        return session

    def session_before(self, revision: int) -> Session:
        """Return a session, known to nobody else, that undoes *revision* and all since."""
        return Session(self.tree, self._tree_at(revision - 1))

    def _opened(self, name: str) -> Session:
        """Return a session, also one that is only about to be opened."""
        session = self.sessions.get(name)
        if session is None and len(self.sessions) >= MAX_SESSIONS:
            reason = f"{MAX_SESSIONS} sessions are open; commit or discard some"
            raise CallError(Failure(Code.UNAVAILABLE, reason))
        return session or Session(self.tree, self.tree)

    def _tree_at(self, revision: int) -> Tree:
        """Return what was current at a revision: what is, with all changes since undone."""
        if not 0 <= revision <= self.revision:
            reason = f"no revision {revision}; there are 0 to {self.revision}"
            raise CallError(Failure(Code.NOT_FOUND, reason))
        tree = self.tree
        try:
            for past in self.archive.history(self.revision - revision):
                tree = undone(self.library.root, tree, past.changes)
        except Invalid as invalid:  # the schema has been changed since
            raise refusal(invalid) from invalid
        return tree

    def discard(self, name: str) -> None:
        """Forget a session; one that is not open is forgotten already."""
        self.sessions.pop(name, None)

    def changes(self, session: Session) -> list[Change]:
        """Return what a session would change, as far as it knows."""
        return diff(self.library.root, session.base, session.next)

    def faults(self, session: Session) -> list[Fault]:
        """Return what the schema says against a session."""
        return validate(self.library.root, self._rebased(session).next)

    def _rebased(self, session: Session) -> Session:
        try:
            return session.rebased(self.library.root, self.tree)
        except Clash as clash:
            raise CallError(Failure(Code.CONFLICT, clash.reason, clash.path)) from clash
        except Invalid as invalid:
            raise refusal(invalid) from invalid

    def find(self, path: str, side: str, session: str, defaults: bool) -> tuple[Path, Any]:
        """Return a path, and what get() finds at it on a side."""
        if side not in ("current", "next"):
            raise CallError(Failure(Code.INVALID, f"no side {side!r}; current or next"))
        root = self.library.root
        if side == "next":
            tree = self.session(session).next
            tree = with_defaults(root, tree) if defaults else tree
        else:
            tree = self.working if defaults else self.tree
        try:
            steps = resolve(root, path)
            return steps, get(root, tree, steps)
        except Invalid as invalid:
            raise refusal(invalid) from invalid

    def snapshot(self, path: str) -> Pages:
        """Return what lies at and below a path, as changes from nothing, page by page."""
        try:
            top = resolve(self.library.root, path)
        except Invalid as invalid:
            raise refusal(invalid) from invalid
        return _pages(content(self.library.root, self.tree, top))

    # Triggers.

    def set_triggers(self, request: SetTriggers, now: float) -> None:
        """Give a component with a lease its triggers."""
        member = self.registry.get(request.component)
        if member is None or member.lease != request.lease or not member.is_alive(now):
            reason = f"{request.component} has no such lease; register before setting triggers"
            raise CallError(Failure(Code.NOT_FOUND, reason))
        try:
            self.triggers.set(self.library.root, request.component, request.triggers)
        except Invalid as invalid:
            raise refusal(invalid) from invalid

    def triggered(self, before: Tree, plan: Plan, now: float) -> Iterator[tuple[str, Triggered]]:
        """Yield whom to tell what of the transaction that is current now."""
        self._forget_triggers_of_the_dead(now)
        root, txid = self.library.root, plan.stamp.txid
        return self.triggers.changed(root, before, self.tree, plan.changes, txid, self.revision)

    def was_read(self, path: str, now: float) -> Iterator[tuple[str, Triggered]]:
        """Yield whom to tell that the current configuration was read."""
        self._forget_triggers_of_the_dead(now)
        return self.triggers.read(parse_path(path), self.revision)

    def _forget_triggers_of_the_dead(self, now: float) -> None:
        for name in self.triggers.owners():
            member = self.registry.get(name)
            if member is None or not member.is_alive(now):
                self.triggers.drop(name)

    # Transactions.

    @property
    def confirm_by(self) -> float | None:
        """Until when the newest revision waits to be confirmed; None if it does not."""
        return self.newest.confirm_by if self.newest else None

    def plan(self, session: Session, stamp: Stamp, now: float, missing_ok: bool = False) -> Plan:
        """Return the transaction that makes a session current; raise CallError if none can.

        With *missing_ok*, participants that are away are not asked: they
        register again when they return, and are brought to what is current.
        """
        session = self._rebased(session)
        faults = validate(self.library.root, session.next)
        if faults:
            raise refusal(Invalid(*faults))
        changes = diff(self.library.root, self.tree, session.next)
        working = with_defaults(self.library.root, session.next)
        parts = self._parts(working, self.revision + 1, now, missing_ok)
        record = Record(stamp, changes, list(parts))
        return Plan(stamp, session.next, changes, parts, record)

    def _parts(self, next_: Tree, revision: int, now: float, missing_ok: bool) -> dict[str, Part]:
        """Return what each participant is asked; whose modules others rest on commits first."""
        parts: dict[str, Part] = {}
        forth = diff(self.library.root, self.working, next_)
        back = diff(self.library.root, next_, self.working)
        for member in sorted(self.registry, key=lambda m: self.library.rank(m.modules)):
            if not member.is_participant:
                continue
            seen = changes_seen(self.library.root, member.scope, forth)
            if not seen or (missing_ok and not member.is_alive(now)):
                continue
            _require_alive(member, now)
            undone = changes_seen(self.library.root, member.scope, back)
            parts[member.name] = self._part(member, next_, revision, seen, undone)
        return parts

    def _part(
        self, member: Member, next_: Tree, revision: int, seen: list[Change], undone: list[Change]
    ) -> Part:
        root, scope = self.library.root, member.scope
        whole = not member.synchronised  # it may hold anything: tell it all
        if whole:
            seen = changes_seen(root, scope, diff(root, EMPTY, next_))
        forth = Side(revision, seen, config_seen(root, scope, next_), whole)
        if member.registration.rollback == "reinit":
            return Part(forth, None, member.registration.instance)
        back = Side(revision - 1, undone, config_seen(root, scope, self.working))
        return Part(forth, back, member.registration.instance)

    def part_of_sync(self, member: Member) -> Part:
        """Return what brings a participant from nothing to what is current."""
        root, scope = self.library.root, member.scope
        seen = changes_seen(root, scope, diff(root, EMPTY, self.working))
        return Part(Side(self.revision, seen, config_seen(root, scope, self.working), whole=True))

    def conclude(self, plan: Plan) -> int:
        """Make a transaction current that all participants have committed."""
        revision = self.archive.commit(plan.record)
        self.newest = plan.stamp
        self.tree = plan.tree
        self.working = with_defaults(self.library.root, plan.tree)
        for name, part in plan.parts.items():
            member = self.registry.get(name)
            if member is not None and member.registration.instance == part.instance:
                self.mark(name, "")  # and not one that came meanwhile
        return revision

    # What other datastores that share the store have done.

    def advance(self, past: Past, now: float) -> Plan:
        """Take in a revision of another; return what brings our participants to it.

        None of them has a way back: it is current already.
        """
        root, tree = self.library.root, self.tree
        for change in past.changes:
            tree = apply_change(root, tree, change)
        working = with_defaults(root, tree)
        parts = {
            name: msgspec.structs.replace(part, back=None)
            for name, part in self._parts(working, past.number, now, missing_ok=True).items()
        }
        self.tree, self.working, self.newest = tree, working, past.stamp
        record = Record(past.stamp, past.changes, list(parts))
        return Plan(past.stamp, tree, past.changes, parts, record)

    def take_modules(self) -> None:
        """Take in modules that components have brought to another datastore."""
        self.library = library_of(self._shipped, self.archive.modules, self.library.off)
        self.working = with_defaults(self.library.root, self.tree)

    def expect(self, name: str, instance: str) -> None:
        """Take a participant whose *instance* was told to start again for away."""
        member = self.registry.get(name)
        if member is not None and member.registration.instance == instance:
            member.leave("it is being started again")

    def mark(self, name: str, trouble: str) -> None:
        """Note that a participant holds what is current, or why it does not."""
        member = self.registry.get(name)
        if member is not None:
            member.synchronised, member.trouble = not trouble, trouble


def _pages(changes: Iterator[Change]) -> Pages:
    """Yield changes PAGE by PAGE, and with each whether there may be more."""
    is_more = True
    while is_more:
        page = list(islice(changes, PAGE))
        is_more = len(page) == PAGE
        yield page, is_more


def _nested(cells: dict[str, Any]) -> dict[str, Any]:
    """Return cells as plain data, in time that grows with their number."""
    config: dict[str, Any] = {}
    places: dict[Path, dict[str, Any]] = {ROOT: config}

    def place(path: Path) -> dict[str, Any]:
        if path not in places:  # a container; entries have cells, which come before
            places[path] = place(path[:-1]).setdefault(path[-1].name, {})
        return places[path]

    parsed = [(parse_path(path), value) for path, value in cells.items()]
    for path, value in sorted(parsed, key=lambda cell: len(cell[0])):
        above, name = place(path[:-1]), path[-1].name
        if path[-1].keys:
            places[path] = dict(value)
            above.setdefault(name, []).append(places[path])
        else:
            above[name] = {} if value == {} else value  # a dict of its own, to be filled
    return config


def _require_alive(member: Member, now: float) -> None:
    if not member.is_alive(now):
        reason = member.trouble if not member.lease else "it does not answer any more"
        reason = f"{member.name} takes part in this and is away: {reason}; nothing was changed"
        raise CallError(Failure(Code.UNAVAILABLE, reason, participant=member.name))


def refusal(invalid: Invalid) -> CallError:
    """Return how a client hears of all faults: the first by its path, the others in lines."""
    first, *others = invalid.faults
    reason = "\n".join([first.reason, *map(str, others)])
    unknown = isinstance(invalid, NoSuchNode)
    code = Code.NOT_FOUND if unknown else Code.INVALID
    return CallError(Failure(code, reason, first.path, faults=list(invalid.faults)))
