"""Sessions: each edits a next configuration of its own, from the current one on."""

import msgspec

from ..message.datastore import Delete, Op, Set
from ..message.types import Change
from .differences import apply_change, diff
from .nodes import Node, resolve
from .order import move
from .path import ROOT, format_path, parse_path
from .tree import Tree, get, put, remove

MAX_SESSIONS = 256

CHANGED = "another session has changed this since; discard and try again"


class Clash(Exception):
    """Two sessions that changed the same place; the first one has it."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason


class Session(msgspec.Struct, frozen=True):
    """What the session started from, and what it has made of it."""

    base: Tree
    next: Tree

    def edited(self, root: Node, ops: list[Op]) -> "Session":
        """Return the session with all *ops* applied; raise Invalid for the first that fails."""
        tree = self.next
        for op in ops:
            path = resolve(root, op.path)
            if isinstance(op, Set):
                tree = put(root, tree, path, op.value)
            elif isinstance(op, Delete):
                tree = remove(root, tree, path)
            else:
                beside = resolve(root, op.beside) if op.beside else ROOT
                tree = move(root, tree, path, op.where, beside)
        return msgspec.structs.replace(self, next=tree)

    def rebased(self, root: Node, current: Tree) -> "Session":
        """Return the session as if it had started now; raise Clash if another was first."""
        theirs = diff(root, self.base, current)
        if not theirs:
            return Session(current, self.next)
        mine = diff(root, self.base, self.next)
        clash = _first_clash(mine, theirs)
        if clash:
            raise Clash(clash, CHANGED)
        tree = current
        for change in mine:
            tree = apply_change(root, tree, change)
        for change in theirs:  # another case of a choice would have gone without a word
            if change.new is not None and get(root, tree, parse_path(change.path)) is None:
                raise Clash(change.path, CHANGED)
        return Session(current, tree)


def _first_clash(mine: list[Change], theirs: list[Change]) -> str | None:
    """Return the first place that both changed, or that one removed around the other's."""
    their_paths = {change.path for change in theirs}
    our_gone, their_gone = ({c.path for c in side if c.new is None} for side in (mine, theirs))
    for change in mine:
        if change.path in their_paths or _ancestors(change.path) & their_gone:
            return change.path
    for change in theirs:
        if _ancestors(change.path) & our_gone:
            return change.path
    return None


def _ancestors(text: str) -> set[str]:
    path = parse_path(text)
    return {format_path(path[:size]) for size in range(1, len(path))}
