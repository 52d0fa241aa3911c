"""The compiled schema: one immutable tree of nodes, whatever modules it came from.

A child of the root is a top-level data node.  Names carry no prefix: two
modules that bring the same name to the same place are refused when the tree is
made (see yang.py).
"""

import difflib
import enum
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from .fault import Fault, NoSuchNode
from .path import Path, Step, format_path
from .xpath import Expression


class Kind(enum.StrEnum):
    """What a node holds, in the words of YANG."""

    CONTAINER = "container"
    LIST = "list"
    LEAF = "leaf"
    LEAF_LIST = "leaf-list"


class Pattern(msgspec.Struct, frozen=True):
    """A pattern as it was written, and as Python understands it."""

    text: str
    regex: re.Pattern[str]
    inverted: bool = False


class Type(msgspec.Struct, frozen=True):
    """The type of a leaf, with all typedefs resolved into it.

    Ranges hold for the value of an integer, lengths for that of a string; none
    means any.  Members are those of a union, or the one type that a leafref
    refers to.
    """

    base: str
    name: str = ""
    description: str = ""  # of the typedef
    ranges: tuple[tuple[int, int], ...] = ()
    lengths: tuple[tuple[int, int], ...] = ()
    patterns: tuple[Pattern, ...] = ()
    values: tuple[str, ...] = ()
    members: tuple["Type", ...] = ()
    target: Expression | None = None
    default: str | None = None


class Must(msgspec.Struct, frozen=True):
    """A condition, with what to say when it does not hold."""

    test: Expression
    message: str


class Node(msgspec.Struct, frozen=True):
    """One place of the schema; fields that do not apply to its kind are empty."""

    name: str
    kind: Kind
    module: str = ""
    description: str = ""
    units: str = ""
    place: str = ""  # file and line, for messages
    config: bool = True
    mandatory: bool = False
    children: dict[str, "Node"] = {}
    keys: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    min_elements: int = 0
    max_elements: int | None = None
    type: Type | None = None
    default: Any = None
    musts: tuple[Must, ...] = ()
    when: Must | None = None


def describe(node: Node) -> dict[str, Any]:
    """Return a node and all below it as plain data, without what is empty."""
    plain: dict[str, Any] = {
        "name": node.name,
        "kind": node.kind.value,
        "module": node.module,
        "description": node.description,
        "units": node.units,
        "mandatory": node.mandatory,
        "keys": list(node.keys),
        "type": describe_type(node.type) if node.type else None,
        "children": {name: describe(child) for name, child in node.children.items()},
    }
    kept = {key: value for key, value in plain.items() if value}
    if node.default is not None:
        kept["default"] = node.default
    return kept if node.config else kept | {"config": False}


def describe_type(type_: Type) -> dict[str, Any]:
    """Return a type as plain data, without what is empty."""
    plain: dict[str, Any] = {
        "base": type_.base,
        "name": type_.name,
        "description": type_.description,
        "ranges": [list(pair) for pair in type_.ranges],
        "lengths": [list(pair) for pair in type_.lengths],
        "patterns": [pattern.text for pattern in type_.patterns],
        "values": list(type_.values),
        "members": [describe_type(member) for member in type_.members],
        "target": type_.target.text if type_.target else "",
    }
    return {key: value for key, value in plain.items() if value}


def child_of(node: Node, step: Step, at: Path) -> Node:
    """Return a child of the node at *at*; raise NoSuchNode, naming the nearest, if it has none."""
    child = node.children.get(step.name)
    if child is None:
        reason = _nearest(node, at, step.name)
        raise NoSuchNode(Fault(format_path((*at, step)), "path", reason))
    return child


def walk(root: Node, path: Path) -> Iterator[tuple[Step, Node]]:
    """Yield every step with the node that it leads to, or raise NoSuchNode."""
    node = root
    for at, step in enumerate(path):
        node = child_of(node, step, path[:at])
        yield step, node


def locate(root: Node, path: Path) -> Node:
    """Return the node that *path* leads to, whatever its keys."""
    node = root
    for _, node in walk(root, path):  # noqa: B007 - the last one is meant
        pass
    return node


def _nearest(node: Node, path: Path, name: str) -> str:
    """Say what would have been right instead of *name* below *node*."""
    here = format_path(path)
    if not node.children:
        return f"{here} has nothing below it"
    close = difflib.get_close_matches(name, node.children, n=1)
    hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(sorted(node.children))}"
    return f"no {name} below {here}; {hint}"
