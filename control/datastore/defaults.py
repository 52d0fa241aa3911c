"""The configuration as it works: with the defaults of what is not set."""

from collections.abc import Mapping
from typing import Any

from .instance import Here
from .nodes import Kind, Node
from .tree import Tree


def with_defaults(root: Node, tree: Tree) -> Tree:
    """Return *tree* with every leaf that has a default and is not set.

    Containers always exist, so that theirs are filled in; entries are not made.
    A node whose `when` does not hold gets none.
    """
    return _fill(root, tree, None)


def _fill(node: Node, value: Mapping[str, Any], above: Here | None) -> Tree:
    filled = dict(value)
    here = Here(node, filled, above)
    for child in node.children.values():
        if child.when is None:
            _fill_in(child, filled, here)
    for child in node.children.values():  # conditions look at what is there by now
        if child.when and (child.name in filled or child.when.test.holds(Here(child, None, here))):
            _fill_in(child, filled, here)
    return filled


def _fill_in(child: Node, filled: dict[str, Any], here: Here) -> None:
    new = _filled(child, filled.get(child.name), here)
    if new is not None and new != {}:
        filled[child.name] = new


def _filled(node: Node, value: Any, above: Here) -> Any:
    if node.kind is Kind.CONTAINER:
        return _fill(node, value or {}, above)
    if node.kind is Kind.LIST and value:
        return {key: _fill(node, entry, above) for key, entry in value.items()}
    return node.default if value is None and node.config else value
