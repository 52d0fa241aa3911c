"""A place in a configuration, with the way back up: what conditions look at."""

from collections.abc import Collection
from typing import Any

from .nodes import Kind, Node, Type
from .path import ROOT, Path, Step, format_path
from .tree import Key
from .values import text


class Here:
    """A container, an entry or a leaf of a tree; see xpath.Instance."""

    __slots__ = ("above", "key", "node", "value")

    def __init__(self, node: Node, value: Any, above: "Here | None", key: Key = ()) -> None:
        self.node, self.value, self.above, self.key = node, value, above, key

    def parent(self) -> "Here | None":
        """Return the container or entry that this lies in."""
        return self.above

    def children(self, name: str) -> list["Here"]:
        """Return what lies in it under *name*, entry by entry and value by value."""
        value = self.value.get(name) if isinstance(self.value, dict) else None
        if value is None:
            return []
        node = self.node.children[name]
        if node.kind is Kind.LIST:
            return [Here(node, entry, self, key) for key, entry in value.items()]
        if node.kind is Kind.LEAF_LIST:
            return [Here(node, item, self, (text(item),)) for item in value]
        return [Here(node, value, self)]

    def text(self) -> str:
        """Return the value of a leaf as text; all else is empty."""
        return "" if isinstance(self.value, dict) else text(self.value)

    def bases(self) -> Collection[str] | None:
        """Return what the identity that it holds is derived from; None if it holds none."""
        return None if self.node.type is None else _bases(self.node.type, self.value)

    def exists(self) -> bool:
        """Tell whether the conditions hold under which it may be there."""
        return all(
            when.test.holds(self.above if when.at_parent and self.above else self)
            for when in self.node.whens
        )

    def steps(self) -> Path:
        """Return the path to it."""
        if self.above is None:
            return ROOT
        names = self.node.keys if self.node.kind is Kind.LIST else (".",) * len(self.key)
        keys = tuple(zip(names, self.key, strict=True)) if self.key else ()
        return (*self.above.steps(), Step(self.node.name, keys))

    def path(self, below: str = "") -> str:
        """Return the path to it, or to what would lie in it under a name."""
        steps = self.steps()
        return format_path((*steps, Step(below)) if below else steps)


def _bases(type_: Type, value: Any) -> Collection[str] | None:
    if type_.identities:
        return type_.identities.get(value)
    found = (_bases(member, value) for member in type_.members)
    return next((bases for bases in found if bases is not None), None)
