"""Triggers: who is told when a place of the configuration is made, written, removed or read.

    place   path                           what it is about, one notification each
    table   /raicho/port                   every row
    row     /raicho/port[name='p1']        the row
    column  /raicho/port/mtu               that cell of every row
    cell    /raicho/port[name='p1']/mtu    the cell

A step without keys stands for every entry, also in the middle.  A change is about
every row and cell that it lies in: a new port of a bridge is a create in its own
table and a write in that of the bridges.

Triggers lie in a trie by the steps of their paths.  A change walks down its own
path, so it costs what is on its way, however many triggers are elsewhere.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ..message.failure import CallError, Code, Failure
from ..message.notices import On, Trigger, Triggered
from ..message.types import Change
from .fault import Fault, Invalid
from .nodes import Node, resolve, walk
from .path import ROOT, Path, Step, format_path, parse_path
from .tree import Tree, entry_path, get, key_of, plain

MAX_TRIGGERS = 100_000  # of all owners
READ: On = "read"

Keys = tuple[tuple[str, str], ...]


class Watch(msgspec.Struct, frozen=True):
    """A trigger and whose it is."""

    owner: str
    trigger: Trigger


class _Place:
    """A node of the trie."""

    __slots__ = ("below", "watches")

    def __init__(self) -> None:
        self.below: dict[str, dict[Keys, _Place]] = {}
        self.watches: list[Watch] = []


class Triggers:
    """All triggers, by owner and by place."""

    def __init__(self) -> None:
        self._of: dict[str, list[tuple[Path, Watch]]] = {}
        self._changes, self._reads = _Place(), _Place()

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    def owners(self) -> list[str]:
        """Return who has triggers."""
        return list(self._of)

    def set(self, root: Node, owner: str, triggers: Sequence[Trigger]) -> None:
        """Give *owner* these triggers in the place of those it had; all or none."""
        if len(self) - len(self._of.get(owner, ())) + len(triggers) > MAX_TRIGGERS:
            reason = f"there is room for {MAX_TRIGGERS} triggers of all components together"
            raise CallError(Failure(Code.UNAVAILABLE, reason))
        placed = [(_place(root, trigger), Watch(owner, trigger)) for trigger in triggers]
        self.drop(owner)
        for path, watch in placed:
            for trie in self._tries(watch):
                _descend(trie, path).watches.append(watch)
        if placed:
            self._of[owner] = placed

    def drop(self, owner: str) -> None:
        """Forget the triggers of *owner*."""
        for path, watch in self._of.pop(owner, ()):
            for trie in self._tries(watch):
                _remove(trie, path, watch)

    def changed(
        self, root: Node, old: Tree, new: Tree, changes: Iterable[Change], txid: str, revision: int
    ) -> Iterator[tuple[str, Triggered]]:
        """Yield whom to tell what of a transaction, in the order of its changes."""
        seen: set[tuple[str, str, Path]] = set()
        for change in changes:
            for watch, about in _on_the_way(self._changes, parse_path(change.path)):
                key = watch.owner, watch.trigger.name, about
                if key in seen:
                    continue
                seen.add(key)
                before, after = get(root, old, about), get(root, new, about)
                kind = _kind(before, after)
                if kind in watch.trigger.on:
                    values = plain(root, about, before), plain(root, about, after)
                    where = format_path(about)
                    yield (
                        watch.owner,
                        Triggered(watch.trigger.name, kind, where, *values, txid, revision),
                    )

    def read(self, path: Path, revision: int) -> Iterator[tuple[str, Triggered]]:
        """Yield whom to tell that *path* was read, once for each trigger."""
        if self._reads.below or self._reads.watches:
            where = format_path(path)
            for watch in _touched(self._reads, path):
                yield watch.owner, Triggered(watch.trigger.name, READ, where, revision=revision)

    def _tries(self, watch: Watch) -> Iterator[_Place]:
        if READ in watch.trigger.on:
            yield self._reads
        if set(watch.trigger.on) - {READ}:
            yield self._changes


def _place(root: Node, trigger: Trigger) -> Path:
    """Return the path of a trigger with its keys as a change has them; raise Invalid."""
    asked = resolve(root, trigger.path)
    path, above = ROOT, root
    for step, node in walk(root, asked):
        path = (*path, Step(step.name))
        if step.keys:
            path = entry_path(path, node, key_of(node, step, asked))
        if step.name in above.keys:
            reason = f"{step.name} is the key of the row and never changes; watch the row"
            raise Invalid(Fault(trigger.path, "trigger", reason))
        above = node
    return path


def _kind(old: object, new: object) -> On:
    if old is None:
        return "create"
    return "delete" if new is None else "write"


def _descend(place: _Place, path: Path) -> _Place:
    for step in path:
        place = place.below.setdefault(step.name, {}).setdefault(step.keys, _Place())
    return place


def _remove(place: _Place, path: Path, watch: Watch) -> None:
    """Take a watch out, and the places that are empty without it."""
    if not path:
        place.watches.remove(watch)
        return
    step, rows = path[0], place.below[path[0].name]
    child = rows[step.keys]
    _remove(child, path[1:], watch)
    if not child.watches and not child.below:
        del rows[step.keys]
        if not rows:
            del place.below[step.name]


def _on_the_way(root: _Place, path: Path) -> Iterator[tuple[Watch, Path]]:
    """Yield the watches on the way to *path*, each with how far that is."""
    places = [root]
    for at, step in enumerate(path, 1):
        places = [found for place in places for found in _named(place, step)]
        for place in places:
            for watch in place.watches:
                yield watch, path[:at]


def _named(place: _Place, step: Step) -> Iterator[_Place]:
    """Yield what is below *place* by the name of *step*: for every entry, and by its keys."""
    rows = place.below.get(step.name, {})
    for keys in ((), step.keys) if step.keys else ((),):
        if found := rows.get(keys):
            yield found


def _touched(root: _Place, path: Path) -> Iterator[Watch]:
    """Yield the watches on the way to *path*, and all below it."""
    yield from root.watches
    places = [root]
    for step in path:
        places = [found for place in places for found in _read_as(place, step)]
        for place in places:
            yield from place.watches
    while places:
        places = [
            found for place in places for rows in place.below.values() for found in rows.values()
        ]
        for place in places:
            yield from place.watches


def _read_as(place: _Place, step: Step) -> Iterator[_Place]:
    """As _named(), but without keys every entry is read."""
    return _named(place, step) if step.keys else iter(place.below.get(step.name, {}).values())
