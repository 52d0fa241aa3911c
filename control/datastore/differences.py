"""The difference of two trees as a list of changes, and changes made to a tree."""

from collections.abc import Iterator
from typing import Any

from ..message.types import Change, is_order
from .nodes import Kind, Node
from .order import order_of, reorder
from .path import ROOT, Path, Step, format_path, parse_path
from .tree import EMPTY, Key, Tree, entry_path, get, put, remove


def diff(root: Node, old: Tree, new: Tree) -> list[Change]:
    """Return what turns *old* into *new*, one Change per entry and per leaf.

    What goes comes first, the deepest before what it lies in; then what comes
    or changes, an entry before what lies in it.  The value of an entry is the
    dict of its keys, that of a leaf-list a list, that of a container with
    presence an empty dict.  Where a list is ordered by its user, one that is in
    another order than it was has a Change of its own, see order.py.
    """
    gone: list[Change] = []
    rest: list[Change] = []
    for change in _differences(root, old, new, ROOT):
        (gone if change.new is None else rest).append(change)
    return gone[::-1] + rest


def content(node: Node, tree: Tree, top: Path = ROOT, at: Path = ROOT) -> Iterator[Change]:
    """Yield what lies at and below *top* in a tree as changes from nothing, in the order of diff().

    The tree is that of the node at *at*, and *top* is relative to it.
    """
    if not top:
        yield from _differences(node, EMPTY, tree, at)
        return
    step, rest = top[0], top[1:]
    child, here, there = node.children[step.name], tree.get(step.name), (*at, Step(step.name))
    if here is None or step.name in node.keys:
        return
    if not rest and not step.keys:
        yield from _DIFF[child.kind](child, None, here, there)
    elif child.kind is Kind.LIST:
        for key in _named(child, here, step):
            entry = entry_path(there, child, key)
            if not rest:
                yield Change(format_path(entry), None, _keys(child, here[key]))
            yield from content(child, here[key], rest, entry)
    elif child.kind is Kind.CONTAINER and not step.keys:
        yield from content(child, here, rest, there)


def _named(node: Node, entries: dict[Key, Tree], step: Step) -> list[Key]:
    """Return which entries a step means, in order: of keys that it does not name, all."""
    wanted = dict(step.keys)
    if wanted.keys() == set(node.keys):  # one, maybe among very many
        key = tuple(wanted[name] for name in node.keys)
        return [key] if key in entries else []
    return [
        key
        for key in sorted(entries)
        if wanted.items() <= dict(zip(node.keys, key, strict=True)).items()
    ]


def _differences(node: Node, old: Any, new: Any, at: Path) -> Iterator[Change]:
    """Yield changes, an entry always before what lies in it."""
    if old is new or (old == new and not node.has_order):
        return
    old, new = old or {}, new or {}
    for name, child in node.children.items():
        if name not in node.keys:
            yield from _DIFF[child.kind](child, old.get(name), new.get(name), (*at, Step(name)))


def _diff_leaf(node: Node, old: Any, new: Any, at: Path) -> Iterator[Change]:
    if old != new:
        yield Change(format_path(at), old, new)


def _diff_leaf_list(node: Node, old: Any, new: Any, at: Path) -> Iterator[Change]:
    if old != new:
        yield Change(format_path(at), old and list(old), new and list(new))


def _diff_container(node: Node, old: Any, new: Any, at: Path) -> Iterator[Change]:
    if node.presence and (old is None) is not (new is None):
        yield Change(format_path(at), _nothing(old), _nothing(new))
    yield from _differences(node, old, new, at)


def _nothing(value: Tree | None) -> dict[str, Any] | None:
    return None if value is None else {}


def _diff_list(node: Node, old: Any, new: Any, at: Path) -> Iterator[Change]:
    if old is new:
        return
    old, new = old or {}, new or {}
    for key in sorted([*_changed(node, old, new), *(key for key in old if key not in new)]):
        before, after = old.get(key), new.get(key)
        there = entry_path(at, node, key)
        if before is None or after is None:
            yield Change(format_path(there), _keys(node, before), _keys(node, after))
        yield from _differences(node, before, after, there)
    if node.user_ordered and list(old) != list(new):
        yield Change(format_path(at), order_of(node, old), order_of(node, new))


def _changed(node: Node, old: Any, new: Any) -> Iterator[Key]:
    """Yield which entries are not what they were; equal ones may be in another order inside."""
    for key, entry in new.items():
        before = old.get(key)
        if before is not entry and (node.has_order or before != entry):
            yield key


def _keys(node: Node, entry: Tree | None) -> dict[str, Any] | None:
    return None if entry is None else {key: entry[key] for key in node.keys}


_DIFF = {
    Kind.LEAF: _diff_leaf,
    Kind.LEAF_LIST: _diff_leaf_list,
    Kind.CONTAINER: _diff_container,
    Kind.LIST: _diff_list,
}


def apply_change(root: Node, tree: Tree, change: Change) -> Tree:
    """Return *tree* with one Change made; what is gone already stays gone."""
    path = parse_path(change.path)
    if is_order(change.new):
        return tree if get(root, tree, path) is None else reorder(root, tree, path, change.new)
    if change.new is not None:
        return put(root, tree, path, change.new)
    if is_order(change.old):  # it goes with the entries, each of which has a change of its own
        return tree
    return tree if get(root, tree, path) is None else remove(root, tree, path)


def undone(root: Node, tree: Tree, changes: list[Change]) -> Tree:
    """Return *tree* as it was before the changes of one revision, in whatever order."""
    back = [Change(change.path, change.new, change.old) for change in changes]
    for change in sorted(back, key=_turn):
        tree = apply_change(root, tree, change)
    return tree


def _turn(change: Change) -> tuple[bool, bool]:
    """Say when a change is made: first what goes, and an order when all is there."""
    return change.new is not None, is_order(change.new)
