"""The compiled schema: one immutable tree of nodes, whatever modules it came from.

A child of the root is a top-level data node.  Names carry no prefix: two
modules that bring the same name to the same place are refused when the tree is
made (see yang.py).  Choices and cases are no nodes of data: what is in them
lies in the node around them, and `choices` says what excludes what.
"""

import difflib
import enum
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from .fault import Fault, NoSuchNode
from .path import Path, Step, format_path, parse_path, qualified_names
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

    Ranges hold for the value of a number, lengths for the characters of a string
    and the bytes of a binary; none means any.  Ranges of a decimal64 count in
    units of its last digit.  Values are the names of an enumeration, those of
    bits by position, and the identities that may be said, each of which has in
    `identities` all that it is derived from.  Members are those of a union, or
    the one type that a leafref refers to.
    """

    base: str
    name: str = ""
    description: str = ""  # of the typedef
    ranges: tuple[tuple[int, int], ...] = ()
    lengths: tuple[tuple[int, int], ...] = ()
    patterns: tuple[Pattern, ...] = ()
    values: tuple[str, ...] = ()
    members: tuple["Type", ...] = ()
    identities: dict[str, frozenset[str]] = {}
    digits: int = 0  # after the point of a decimal64
    target: Expression | None = None
    must_exist: bool = True  # what a leafref says
    default: str | None = None

    def refers(self) -> bool:
        """Tell whether a value may have to exist elsewhere."""
        is_reference = self.target is not None and self.must_exist
        return is_reference or any(member.refers() for member in self.members)


class Must(msgspec.Struct, frozen=True):
    """A condition, with what to say when it does not hold."""

    test: Expression
    message: str


class When(msgspec.Struct, frozen=True):
    """A condition that a node exists under.

    It is looked at from the node, or from what that lies in, as for those that
    stand at an augment, a uses, a choice or a case.
    """

    test: Expression
    at_parent: bool = False


class Case(msgspec.Struct, frozen=True):
    """A case of a choice: the nodes that it holds, those of choices inside too."""

    name: str
    names: frozenset[str]
    choices: tuple["Choice", ...] = ()


class Choice(msgspec.Struct, frozen=True):
    """Cases of which at most one may be there; *default* names one of them."""

    name: str
    cases: tuple[Case, ...]
    mandatory: bool = False
    default: str = ""
    whens: tuple[When, ...] = ()
    description: str = ""


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
    whens: tuple[When, ...] = ()
    user_ordered: bool = False
    has_order: bool = False  # it is, or has below it, a list that its user orders
    presence: bool = False  # of a container, which means something without content
    choices: tuple[Choice, ...] = ()
    operations: tuple["Operation", ...] = ()
    ruled: bool = True  # something in validate.py may concern it


class Operation(msgspec.Struct, frozen=True):
    """What a module offers to be done, or tells; *kind* is rpc, action or notification.

    It is described, for clients; the datastore does none of it.
    """

    kind: str
    name: str
    module: str
    description: str
    input: dict[str, Node] = {}
    output: dict[str, Node] = {}  # of a notification: what it tells


def is_demanding(node: Node) -> bool:
    """Tell whether it matters if a node is there, how often, or beside which others like it."""
    counted = node.min_elements or node.max_elements is not None
    return bool(node.mandatory or counted or node.unique)


def describe(node: Node) -> dict[str, Any]:
    """Return a node and all below it as plain data, without what is empty."""
    plain: dict[str, Any] = {
        "name": node.name,
        "kind": node.kind.value,
        "module": node.module,
        "description": node.description,
        "units": node.units,
        "mandatory": node.mandatory,
        "presence": node.presence,
        "keys": list(node.keys),
        "user_ordered": node.user_ordered,
        "type": describe_type(node.type) if node.type else None,
        "children": _described(node.children),
        "choices": [_describe_choice(choice) for choice in node.choices],
        "operations": [_describe_operation(operation) for operation in node.operations],
    }
    kept = _without_empty(plain)
    if node.default is not None:
        kept["default"] = node.default
    return kept if node.config else kept | {"config": False}


def _without_empty(plain: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in plain.items() if value}


def _described(nodes: dict[str, Node]) -> dict[str, Any]:
    return {name: describe(child) for name, child in nodes.items()}


def _describe_choice(choice: Choice) -> dict[str, Any]:
    cases = {case.name: sorted(case.names) for case in choice.cases}
    plain = msgspec.structs.asdict(choice) | {"cases": cases, "whens": ()}
    return _without_empty(plain)


def _describe_operation(operation: Operation) -> dict[str, Any]:
    inside = {"input": _described(operation.input), "output": _described(operation.output)}
    return _without_empty(msgspec.structs.asdict(operation) | inside)


def describe_type(type_: Type) -> dict[str, Any]:
    """Return a type as plain data, without what is empty."""
    plain: dict[str, Any] = {
        "base": type_.base,
        "name": type_.name,
        "description": type_.description,
        "digits": type_.digits,
        "ranges": [list(pair) for pair in type_.ranges],
        "lengths": [list(pair) for pair in type_.lengths],
        "patterns": [pattern.text for pattern in type_.patterns],
        "values": list(type_.values),
        "members": [describe_type(member) for member in type_.members],
        "target": type_.target.text if type_.target else "",
    }
    return _without_empty(plain)


def child_of(node: Node, step: Step, at: Path) -> Node:
    """Return a child of the node at *at*; raise NoSuchNode, naming the nearest, if it has none."""
    child = node.children.get(step.name)
    if child is None:
        reason = _nearest(node, at, step.name)
        raise NoSuchNode(Fault(format_path((*at, step)), "path", reason))
    return child


def check_module(node: Node, name: str, at: Path) -> None:
    """Raise NoSuchNode if a name has a module before it that the child is not of."""
    module, colon, local = name.rpartition(":")
    child = node.children.get(local)
    if colon and child is not None and child.module != module:
        place = format_path((*at, Step(local)))
        raise NoSuchNode(Fault(place, "path", f"it is {child.module}:{local}, not {name}"))


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


def resolve(root: Node, text: str) -> Path:
    """Read a path whose names may have their modules before them, as RFC 7951 writes them.

    Raise NoSuchNode if it is none, leads nowhere, or names another module.
    """
    path = parse_path(text)
    node = root
    for at, (step, name) in enumerate(zip(path, qualified_names(text), strict=True)):
        check_module(node, name, path[:at])
        node = child_of(node, step, path[:at])
    return path


def _nearest(node: Node, path: Path, name: str) -> str:
    """Say what would have been right instead of *name* below *node*."""
    here = format_path(path)
    if not node.children:
        return f"{here} has nothing below it"
    longest = max(map(len, node.children))
    comparable = name[: 2 * longest]  # a text of megabytes is no slip of the pen, and takes long
    close = difflib.get_close_matches(comparable, node.children, n=1)
    hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(sorted(node.children))}"
    return f"no {name} below {here}; {hint}"
