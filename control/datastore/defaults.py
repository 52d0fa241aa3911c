"""The configuration as it works: with the defaults of what is not set."""

from collections.abc import Mapping
from typing import Any

from .choices import idle
from .instance import Here
from .nodes import Kind, Node
from .tree import Tree


def with_defaults(root: Node, tree: Tree, whole: bool = False) -> Tree:
    """Return *tree* with every leaf that has a default and is not set.

    Containers exist if what they lie in does, unless they have presence, so that
    theirs are filled in; entries are not made.  Of a choice, that is so in the case
    of which something is there, or else in its default case.  A node whose `when`
    does not hold gets none.  What is empty is left out, unless the *whole* is wanted.
    """
    return _fill(root, tree, None, whole)


def _fill(node: Node, value: Mapping[str, Any], above: Here | None, whole: bool) -> Tree:
    filled = dict(value)
    here = Here(node, filled, above)
    absent = idle(node.choices, value) if node.choices else ()
    conditional: list[Node] = []
    for name, child in node.children.items():
        if not child.config or name in absent:
            continue
        if child.whens:
            conditional.append(child)
        elif child.type is None:
            _fill_in(child, filled, here, whole)
        elif child.default is not None and name not in filled:
            filled[name] = child.default
    for child in conditional:  # conditions look at what is there by now
        if child.name in filled or Here(child, None, here).exists():
            _fill_in(child, filled, here, whole)
    return filled


def _fill_in(child: Node, filled: dict[str, Any], here: Here, whole: bool) -> None:
    new = _filled(child, filled.get(child.name), here, whole)
    if new is not None and (new != {} or whole or child.presence):
        filled[child.name] = new


def _filled(node: Node, value: Any, above: Here, whole: bool) -> Any:
    if node.kind is Kind.CONTAINER and not (node.presence and value is None):
        return _fill(node, value or {}, above, whole)
    if node.kind is Kind.LIST and value:
        return {key: _fill(node, entry, above, whole) for key, entry in value.items()}
    return node.default if value is None else value
