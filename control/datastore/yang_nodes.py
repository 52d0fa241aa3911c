"""From pyang's statements to the nodes of the schema.

To support another statement, add a row to PROPERTIES.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from .fault import SchemaConflict, SchemaError
from .nodes import Case, Choice, Kind, Must, Node, Operation, When, is_demanding
from .values import BadValue, canonical
from .yang_types import (
    Statement,
    default_text,
    expression_of,
    is_on,
    place_of,
    text_of,
    type_of,
)


def root_of(stmts: Iterable[Statement]) -> Node:
    """Return the node that all top-level nodes, choices and operations of modules lie in."""
    stmts = list(stmts)
    root = Node(
        "",
        Kind.CONTAINER,
        children=_children("", stmts),
        choices=_choices(stmts),
        operations=_operations("", stmts),
    )
    return msgspec.structs.replace(root, has_order=_has_order(root))


def _here(stmts: Iterable[Statement]) -> Iterator[Statement]:
    """Yield what is there: its module is implemented, and its features are on."""
    for stmt in stmts:
        module = stmt.i_module
        if is_on(stmt) and module.i_modulename in module.i_ctx.implemented:
            yield stmt


def _data(
    stmts: Iterable[Statement], around: tuple[When, ...] = ()
) -> Iterator[tuple[Statement, tuple[When, ...]]]:
    """Yield the nodes of data, those of choices and cases too, with their conditions."""
    for stmt in _here(stmts):
        whens = around + _whens(stmt)
        if stmt.keyword in ("choice", "case"):
            outside = tuple(msgspec.structs.replace(when, at_parent=True) for when in whens)
            yield from _data(stmt.i_children, outside)
        elif stmt.keyword not in OPERATIONS:
            yield stmt, whens


def _whens(stmt: Statement) -> tuple[When, ...]:
    """Return the conditions of a node, those of a uses and of an augment around it too."""
    own = [
        When(expression_of(when), getattr(when, "i_origin", "") == "uses")
        for when in stmt.search("when")
    ]
    augment = getattr(stmt, "i_augment", None)
    added = augment.search("when") if augment is not None else ()
    return (*own, *(When(expression_of(when), at_parent=True) for when in added))


def _children(path: str, stmts: Iterable[Statement]) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for stmt, whens in _data(stmts):
        if stmt.keyword not in tuple(Kind):
            raise SchemaError(place_of(stmt), f"{stmt.keyword} is not supported")
        node = _node(f"{path}/{stmt.arg}", stmt, whens)
        other = found.get(node.name)
        if other:
            raise SchemaConflict(
                f"{path}/{node.name}",
                f"{node.module} brings a {_what(node)} where {other.module} has a {_what(other)}",
            )
        found[node.name] = node
    return found


def _what(node: Node) -> str:
    return f"{node.kind} of type {node.type.name}" if node.type else str(node.kind)


def _node(path: str, stmt: Statement, whens: tuple[When, ...]) -> Node:
    inside = getattr(stmt, "i_children", [])
    fields: dict[str, Any] = {
        "name": stmt.arg,
        "kind": Kind(stmt.keyword),
        "module": stmt.i_module.i_modulename,
        "place": place_of(stmt),
        "config": getattr(stmt, "i_config", None) is not False,
        "children": _children(path, inside),
        "choices": _choices(inside),
        "operations": _operations(path, inside),
        "whens": whens,
    }
    for sub in stmt.substmts:
        reader = PROPERTIES.get(sub.keyword)
        if reader:
            name, value = reader(sub)
            repeats = name in fields and name in ("musts", "unique")
            fields[name] = fields[name] + value if repeats else value
        elif isinstance(sub.keyword, str) and sub.keyword not in ELSEWHERE:
            raise SchemaError(place_of(sub), f"{sub.keyword} is not supported")
    if (type_stmt := stmt.search_one("type")) is not None:
        fields["type"] = type_of(type_stmt, stmt)
    node = _with_default(path, Node(**fields), stmt.search("default"))
    return msgspec.structs.replace(node, ruled=_is_ruled(node), has_order=_has_order(node))


def _has_order(node: Node) -> bool:
    ordered = node.user_ordered and node.kind is Kind.LIST
    return ordered or any(child.has_order for child in node.children.values())


def _is_ruled(node: Node) -> bool:
    """Tell whether any rule of validate.py may concern a node or what lies in it."""
    refers = node.type is not None and node.type.refers()
    below = any(child.ruled or is_demanding(child) for child in node.children.values())
    return bool(node.musts or node.whens or node.choices or refers or below)


def _with_default(path: str, node: Node, stmts: list[Statement]) -> Node:
    """Bring defaults into the form that values have."""
    if node.type is None:
        return node
    texts = [default_text(node.type, stmt) for stmt in stmts]
    if not texts and node.type.default is not None and not (node.mandatory or node.min_elements):
        texts = [node.type.default]
    try:
        values = tuple(canonical(node.type, text) for text in texts)
    except BadValue as bad:
        raise SchemaError(node.place, f"bad default of {path}: {bad}") from bad
    if not values:
        return node
    default = values if node.kind is Kind.LEAF_LIST else values[0]
    return msgspec.structs.replace(node, default=default)


def _choices(stmts: Iterable[Statement]) -> tuple[Choice, ...]:
    return tuple(map(_choice, (s for s in _here(stmts) if s.keyword == "choice")))


def _choice(stmt: Statement) -> Choice:
    default, mandatory = stmt.search_one("default"), stmt.search_one("mandatory")
    description = stmt.search_one("description")
    return Choice(
        stmt.arg,
        tuple(case for case in map(_case, _here(stmt.i_children)) if case.names),
        mandatory is not None and mandatory.arg == "true",
        default.arg if default else "",
        tuple(msgspec.structs.replace(when, at_parent=True) for when in _whens(stmt)),
        text_of(description) if description else "",
    )


def _case(stmt: Statement) -> Case:
    names = frozenset(child.arg for child, _ in _data(stmt.i_children))
    return Case(stmt.arg, names, _choices(stmt.i_children))


OPERATIONS = {"rpc", "action", "notification"}


def _operations(path: str, stmts: Iterable[Statement]) -> tuple[Operation, ...]:
    return tuple(_operation(path, s) for s in _here(stmts) if s.keyword in OPERATIONS)


def _operation(path: str, stmt: Statement) -> Operation:
    there = f"{path}/{stmt.arg}"
    description = stmt.search_one("description")
    parts = {part.keyword: part.i_children for part in stmt.i_children if part.arg == part.keyword}
    told = stmt.i_children if stmt.keyword == "notification" else parts.get("output", [])
    return Operation(
        stmt.keyword,
        stmt.arg,
        stmt.i_module.i_modulename,
        text_of(description) if description else "",
        _children(f"{there}/input", parts.get("input", [])),
        _children(f"{there}/output", told),
    )


def _names(stmt: Statement) -> tuple[str, ...]:
    plain = re.sub(r"[\w.-]+:", "", stmt.arg)  # no prefixes
    return tuple(plain.split())


def _must(stmt: Statement) -> Must:
    message = stmt.search_one("error-message")
    expression = expression_of(stmt)
    return Must(expression, text_of(message) if message else f"{expression.text} does not hold")


PROPERTIES: dict[str, Callable[[Statement], tuple[str, Any]]] = {
    "description": lambda s: ("description", text_of(s)),
    "units": lambda s: ("units", s.arg),
    "key": lambda s: ("keys", _names(s)),
    "unique": lambda s: ("unique", (_names(s),)),
    "mandatory": lambda s: ("mandatory", s.arg == "true"),
    "min-elements": lambda s: ("min_elements", int(s.arg)),
    "max-elements": lambda s: ("max_elements", None if s.arg == "unbounded" else int(s.arg)),
    "presence": lambda s: ("presence", True),
    "ordered-by": lambda s: ("user_ordered", s.arg == "user"),
    "must": lambda s: ("musts", (_must(s),)),
}

ELSEWHERE = {  # read as children, by pyang, by name above, or meant for people
    "container", "list", "leaf", "leaf-list", "choice", "case", "uses", "grouping", "typedef",
    "augment", "reference", "status", "config", "default", "when", "type",
    "if-feature", *OPERATIONS,
}  # fmt: skip
