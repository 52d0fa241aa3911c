"""From YANG texts to the schema tree; pyang reads, this file decides what is kept.

Supported: containers, lists with keys, leaves, leaf-lists, groupings, augments,
typedefs, the types of values.py with range, length, pattern and enum, default,
mandatory, unique, min- and max-elements, config, leafref without predicates,
and must and when as far as xpath.py reads them.  What is not supported is
refused when the module is loaded, with its place, rather than ignored.

To support another statement, add a row to PROPERTIES, or to RESTRICTIONS in yang_types.py.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from pyang import context, error, repository

from .fault import SchemaConflict, SchemaError
from .nodes import Kind, Must, Node
from .values import BadValue, canonical
from .yang_types import Statement, expression_of, place_of, text_of, type_of


class Module(msgspec.Struct, frozen=True):
    """A module as a component brought it."""

    name: str
    revision: str
    text: str


class _Texts(repository.Repository):  # type: ignore[misc]
    """Shows pyang the texts that it may import."""

    def __init__(self, modules: Mapping[str, Module]) -> None:
        self._modules = modules

    def get_modules_and_revisions(self, ctx: Any) -> list[tuple[str, str, str]]:
        return [(module.name, module.revision, module.name) for module in self._modules.values()]

    def get_module_from_handle(self, handle: str) -> tuple[str, str, str]:
        return f"{handle}.yang", "yang", self._modules[handle].text


def read_module(text: str) -> Module:
    """Find name and revision of a module."""
    ctx = context.Context(_Texts({}))
    with _pyang_failing_at("module"):
        parsed = context.yang_parser.YangParser().parse(ctx, "module", text)
    if parsed is None or parsed.keyword != "module":
        reasons = _complaints(ctx) or ["this is no YANG module"]
        raise SchemaError("module", "; ".join(reasons))
    revisions = [s.arg for s in parsed.search("revision")]
    if not revisions:
        raise SchemaError(parsed.arg, "the module has no revision")
    return Module(parsed.arg, max(revisions), text)


def compile_schema(modules: Mapping[str, Module]) -> Node:
    """Return the root of the tree that all *modules* make together."""
    ctx = context.Context(_Texts(modules))
    with _pyang_failing_at("module"):
        parsed = [ctx.add_module(f"{m.name}.yang", m.text) for m in modules.values()]
        ctx.validate()
    complaints = _complaints(ctx)
    if complaints:
        raise _conflict_or_error(ctx, complaints)
    for module in parsed:
        _check_module(module)
    children = _children("", [c for module in parsed for c in module.i_children])
    return Node("", Kind.CONTAINER, children=children)


@contextlib.contextmanager
def _pyang_failing_at(place: str) -> Iterator[None]:
    """Turn what escapes pyang on texts it did not expect (IndexError and more) into a refusal."""
    try:
        yield
    except Exception as error:  # any kind: the text came from another process
        reason = f"the YANG parser cannot read this: {type(error).__name__}: {error}"
        raise SchemaError(place, reason) from error


def _complaints(ctx: Any) -> list[str]:
    return [
        f"{pos.ref}:{pos.line}: {error.err_to_str(tag, args)}"
        for pos, tag, args in ctx.errors
        if error.is_error(error.err_level(tag))
    ]


def _conflict_or_error(ctx: Any, complaints: list[str]) -> SchemaError:
    for _, tag, args in ctx.errors:
        if tag == "DUPLICATE_CHILD_NAME":
            return SchemaConflict(str(args[1]), "; ".join(complaints))
    place, _, reason = complaints[0].partition(": ")
    return SchemaError(place, "; ".join([reason, *complaints[1:]]))


REFUSED_ANYWHERE = {"deviation", "anydata", "anyxml", "rpc", "notification", "action", "choice"}


def _check_module(module: Statement) -> None:
    """Refuse what would have to be honoured and is not."""
    for stmt in _all_statements(module):
        if stmt.keyword in REFUSED_ANYWHERE:
            raise SchemaError(place_of(stmt), f"{stmt.keyword} is not supported")
        if stmt.keyword in ("augment", "uses"):
            for keyword in ("when", "if-feature"):
                if stmt.search_one(keyword):
                    reason = f"{keyword} in {stmt.keyword} is not supported"
                    raise SchemaError(place_of(stmt), reason)


def _all_statements(stmt: Statement) -> Iterator[Statement]:
    yield stmt
    for sub in stmt.substmts:
        yield from _all_statements(sub)


# Nodes.


def _children(path: str, stmts: list[Statement]) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for stmt in stmts:
        if stmt.keyword not in tuple(Kind):
            raise SchemaError(place_of(stmt), f"{stmt.keyword} is not supported")
        node = _node(f"{path}/{stmt.arg}", stmt)
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


def _node(path: str, stmt: Statement) -> Node:
    fields: dict[str, Any] = {
        "name": stmt.arg,
        "kind": Kind(stmt.keyword),
        "module": stmt.i_module.i_modulename,
        "place": place_of(stmt),
        "children": _children(path, getattr(stmt, "i_children", [])),
    }
    for sub in stmt.substmts:
        reader = PROPERTIES.get(sub.keyword)
        if reader:
            name, value = reader(sub)
            repeats = name in fields and name in ("musts", "unique")
            fields[name] = fields[name] + value if repeats else value
        elif isinstance(sub.keyword, str) and sub.keyword not in ELSEWHERE:
            raise SchemaError(place_of(sub), f"{sub.keyword} is not supported")
    return _with_default(path, Node(**fields))


def _with_default(path: str, node: Node) -> Node:
    """Bring defaults into the form that values have."""
    default = node.default
    if node.type and default is None and not node.mandatory:
        default = node.type.default
    if node.kind is not Kind.LEAF or node.type is None or default is None:
        if default is not None:
            raise SchemaError(node.place, f"a default of a {node.kind} is not supported")
        return node
    try:
        return msgspec.structs.replace(node, default=canonical(node.type, default))
    except BadValue as bad:
        raise SchemaError(node.place, f"bad default of {path}: {bad}") from bad


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
    "config": lambda s: ("config", s.arg == "true"),
    "mandatory": lambda s: ("mandatory", s.arg == "true"),
    "min-elements": lambda s: ("min_elements", int(s.arg)),
    "max-elements": lambda s: ("max_elements", None if s.arg == "unbounded" else int(s.arg)),
    "default": lambda s: ("default", s.arg),
    "must": lambda s: ("musts", (_must(s),)),
    "when": lambda s: ("when", _must(s)),
    "type": lambda s: ("type", type_of(s)),
}

ELSEWHERE = {  # read as children, by pyang, or meant for people
    "container", "list", "leaf", "leaf-list", "uses", "grouping", "typedef", "augment",
    "reference", "status", "ordered-by",
}  # fmt: skip
