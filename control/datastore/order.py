"""The order of what its user orders (RFC 7950, 7.7.7): entries of lists, values of leaf-lists.

A list keeps its entries in order, as a dict does.  Where a configuration is told as
changes, the order of such a list is one change at the path of the list, after those of its
entries: the dicts of their keys, all of them.  Values of a leaf-list are told in order anyway.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ..message.datastore import Where
from ..message.types import Order
from .fault import Fault, Invalid, NoSuchNode
from .nodes import Kind, Node, locate
from .path import ROOT, Path, Step, format_path
from .tree import Key, Tree, edit, get, name_of
from .values import text


def order_of(node: Node, entries: Mapping[Key, Tree]) -> Order | None:
    """Return the order of the entries of a list; None if there are none."""
    return [{key: entry[key] for key in node.keys} for entry in entries.values()] or None


def reorder(root: Node, tree: Tree, path: Path, order: Order) -> Tree:
    """Return *tree* with the list at *path* in an order; what that does not name comes last."""

    def change(node: Node, here: Any, at: Path) -> Any:
        entries = here or {}
        named = [tuple(text(keys[name]) for name in node.keys) for keys in order]
        wanted = dict.fromkeys([key for key in named if key in entries])
        return {key: entries[key] for key in wanted | entries}

    new: Tree = edit(root, tree, path, ROOT, change)
    return new


def move(root: Node, tree: Tree, path: Path, where: Where, beside: Path) -> Tree:
    """Return *tree* with an entry or a value at another place of what it lies in.

    *beside* is the path of the one that it comes before or after.  Raise NoSuchNode if one of
    them is not there, and Invalid if it is not the user who orders them.
    """
    node, place = locate(root, path), _place(path)
    if not path or not path[-1].keys or not node.user_ordered:
        reason = f"{format_path(path)} is nothing that its user orders"
        raise Invalid(Fault(format_path(path), "ordered-by", reason))
    needs_other = where in ("before", "after")
    if needs_other is not bool(beside) or (beside and _place(beside) != place):
        other = "name another one of its list" if needs_other else "name no other one"
        raise Invalid(Fault(format_path(path), "ordered-by", f"to move it {where}, {other}"))
    for each in (path, beside):
        if each and get(root, tree, each) is None:
            raise NoSuchNode(Fault(format_path(each), "path", "it is not there"))
    item = name_of(node, path[-1], path)
    neighbour = name_of(node, beside[-1], beside) if beside else None

    def change(node: Node, here: Any, at: Path) -> Any:
        moved = _moved(here, item, where, neighbour)
        return {key: here[key] for key in moved} if node.kind is Kind.LIST else tuple(moved)

    new: Tree = edit(root, tree, place, ROOT, change)
    return new


def _place(path: Path) -> Path:
    return (*path[:-1], Step(path[-1].name)) if path else ROOT


def _moved(items: Iterable[Any], item: Any, where: Where, other: Any) -> list[Any]:
    if item == other:
        return list(items)
    rest = [each for each in items if each != item]
    at = {"first": 0, "last": len(rest)}.get(where)
    if at is None:
        at = rest.index(other) + (where == "after")
    return [*rest[:at], item, *rest[at:]]
