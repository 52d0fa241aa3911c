"""The types of leaves, from pyang's statements.

To support another restriction, add a row to RESTRICTIONS.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cached_property
from typing import Any

import msgspec
from pyang import context, statements

from .fault import SchemaError
from .nodes import Pattern, Type
from .patterns import BadPattern, compile_pattern
from .values import DECIMAL64, INTEGERS, BadValue, canonical, decimal_units
from .xpath import BadExpression, Expression, Scope, compile_expression

Statement = Any  # pyang has no types

MAX_LENGTH = (1 << 63) - 1
MAX_DEPTH = 32  # of leafrefs that refer to leafrefs


class Context(context.Context):  # type: ignore[misc]
    """What pyang has read, and which of it is more than imported."""

    def __init__(self, repository: Any, implemented: frozenset[str] = frozenset()) -> None:
        super().__init__(repository)
        self.implemented = implemented

    @cached_property
    def identities(self) -> dict[str, frozenset[str]]:
        """The identities of implemented modules, each with all that it is derived from."""
        found = {}
        for module in self.modules.values():
            if module.i_modulename in self.implemented:
                for identity in filter(is_on, module.i_identities.values()):
                    found[_name_of(identity)] = frozenset(_bases_of(identity))
        return found


def is_on(stmt: Statement) -> bool:
    """Tell whether the features that a statement needs are on."""
    return not getattr(stmt, "i_not_implemented", False)


def _name_of(identity: Statement) -> str:
    return f"{identity.i_module.i_modulename}:{identity.arg}"


def _bases_of(identity: Statement) -> Iterator[str]:
    for base in identity.search("base"):
        yield _name_of(base.i_identity)
        yield from _bases_of(base.i_identity)


def place_of(stmt: Statement) -> str:
    return f"{stmt.pos.ref}:{stmt.pos.line}"


def text_of(stmt: Statement) -> str:
    return " ".join(stmt.arg.split())


def expression_of(stmt: Statement) -> Expression:
    try:
        return compile_expression(" ".join(stmt.arg.split()), _scope_of(stmt))
    except BadExpression as bad:
        raise SchemaError(place_of(stmt), f"{stmt.keyword}: {bad}") from bad


def _scope_of(stmt: Statement) -> Scope:
    module = stmt.i_orig_module
    prefixes = {prefix: name for prefix, (name, _) in module.i_prefixes.items()}
    return Scope(module.i_modulename, prefixes | {module.i_prefix: module.i_modulename})


def type_of(stmt: Statement, leaf: Statement, depth: int = 0) -> Type:
    """Resolve the type of a leaf: what it is derived from, then its own restrictions."""
    typedef = getattr(stmt, "i_typedef", None)
    if typedef is not None:
        type_ = _named(type_of(typedef.search_one("type"), leaf, depth), typedef)
    else:
        type_ = _builtin(stmt)
    for sub in stmt.substmts:
        if isinstance(sub.keyword, str) and sub.keyword not in UNDERSTOOD:
            raise SchemaError(place_of(sub), f"{sub.keyword} in a type is not supported")
    for keyword, restrict in RESTRICTIONS.items():
        if found := stmt.search(keyword):
            type_ = msgspec.structs.replace(type_, **restrict(type_, found))
    if members := stmt.search("type"):
        resolved = tuple(type_of(member, leaf, depth) for member in members)
        return msgspec.structs.replace(type_, members=resolved)
    return _follow_leafref(type_, stmt, leaf, depth) if stmt.search_one("path") else type_


def _named(type_: Type, typedef: Statement) -> Type:
    default, description = typedef.search_one("default"), typedef.search_one("description")
    return msgspec.structs.replace(
        type_,
        name=typedef.arg,
        description=text_of(description) if description else "",
        default=default_text(type_, default) if default else type_.default,
    )


def default_text(type_: Type, stmt: Statement) -> str:
    """Return a default; the prefix of an identity becomes the name of its module."""
    try:
        canonical(type_, stmt.arg)
    except BadValue:
        return _scope_of(stmt).identity(stmt.arg) if ":" in stmt.arg else str(stmt.arg)
    return str(stmt.arg)


BUILTIN = {
    **{name: Type(name, name, ranges=(span,)) for name, span in INTEGERS.items()},
    "decimal64": Type("decimal64", "decimal64", ranges=(DECIMAL64,)),
    **{
        name: Type(name, name)
        for name in (
            "string", "boolean", "enumeration", "union", "leafref", "binary", "bits", "empty",
            "identityref",
        )
    },
}  # fmt: skip


def _builtin(stmt: Statement) -> Type:
    if stmt.arg not in BUILTIN:
        raise SchemaError(place_of(stmt), f"the type {stmt.arg} is not supported")
    return BUILTIN[stmt.arg]


def _follow_leafref(type_: Type, stmt: Statement, leaf: Statement, depth: int) -> Type:
    path = stmt.search_one("path")
    ctx = stmt.i_module.i_ctx
    found = statements.validate_leafref_path(
        ctx, leaf, stmt.i_type_spec.path_spec, path, accept_non_config_target=True
    )
    if found is None or depth > MAX_DEPTH:
        raise SchemaError(place_of(path), f"{path.arg} leads from {leaf.arg} to no leaf")
    target = found[0]
    if target.i_module.i_modulename not in ctx.implemented:
        reason = f"{path.arg} leads into {target.i_module.i_modulename}, which is only imported"
        raise SchemaError(place_of(path), reason)
    referred = type_of(target.search_one("type"), target, depth + 1)
    return msgspec.structs.replace(type_, target=expression_of(path), members=(referred,))


Spans = tuple[tuple[int, int], ...]


def _spans(type_: Type, bounds: Spans, stmt: Statement) -> Spans:
    ends = {"min": bounds[0][0], "max": bounds[-1][1]}
    spans: list[tuple[int, int]] = []
    for part in stmt.arg.split("|"):
        low, _, high = (word.strip() for word in part.partition(".."))
        numbers = [ends[w] if w in ends else _end(type_, w) for w in (low, high or low)]
        spans.append((numbers[0], numbers[1]))
    return tuple(spans)


def _end(type_: Type, word: str) -> int:
    if type_.base != "decimal64":
        return int(word, 0)
    units = decimal_units(word, type_.digits)
    return int(Decimal(word).scaleb(type_.digits)) if units is None else units


def _pattern(stmt: Statement) -> Pattern:
    """Read a pattern; in a module with regexp-posix ^ and $ are anchors."""
    anchored = any(sub.keyword[1:] == ("regexp-posix",) for sub in stmt.i_orig_module.substmts)
    try:
        return compile_pattern(stmt.arg, stmt.search_one("modifier") is not None, anchored)
    except BadPattern as bad:
        raise SchemaError(place_of(stmt), str(bad)) from bad


def _digits(type_: Type, stmts: list[Statement]) -> dict[str, Any]:
    return {"digits": int(stmts[0].arg)}


def _enums(type_: Type, stmts: list[Statement]) -> dict[str, Any]:
    return {"values": tuple(enum.arg for enum in stmts if is_on(enum))}


def _bits(type_: Type, stmts: list[Statement]) -> dict[str, Any]:
    """Return bits by position; one without comes after the highest before it."""
    if type_.values:  # some of those of a typedef, which know their places
        kept = {bit.arg for bit in stmts}
        return {"values": tuple(name for name in type_.values if name in kept)}
    places: dict[str, int] = {}
    for bit in stmts:
        place = bit.search_one("position")
        places[bit.arg] = int(place.arg) if place else max(places.values(), default=-1) + 1
    on = {bit.arg for bit in stmts if is_on(bit)}
    return {"values": tuple(name for name in sorted(places, key=places.__getitem__) if name in on)}


def _identities(type_: Type, stmts: list[Statement]) -> dict[str, Any]:
    bases = {_name_of(stmt.i_identity) for stmt in stmts}
    known = stmts[0].i_module.i_ctx.identities
    allowed = {name: above for name, above in known.items() if bases <= above}
    return {"identities": allowed, "values": tuple(sorted(allowed))}


# In the order in which they are read: a range counts in digits.
RESTRICTIONS: dict[str, Callable[[Type, list[Statement]], dict[str, Any]]] = {
    "fraction-digits": _digits,
    "range": lambda t, s: {"ranges": _spans(t, t.ranges, s[0])},
    "length": lambda t, s: {"lengths": _spans(t, t.lengths or ((0, MAX_LENGTH),), s[0])},
    "pattern": lambda t, s: {"patterns": t.patterns + tuple(map(_pattern, s))},
    "enum": _enums,
    "bit": _bits,
    "base": _identities,
    "require-instance": lambda t, s: {"must_exist": s[0].arg == "true"},
}
UNDERSTOOD = {*RESTRICTIONS, "type", "path"}
