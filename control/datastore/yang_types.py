"""The types of leaves, from pyang's statements.

To support another restriction, add a row to RESTRICTIONS.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from .fault import SchemaError
from .nodes import Pattern, Type
from .values import INTEGERS
from .xpath import BadExpression, Expression, compile_expression

Statement = Any  # pyang has no types

MAX_LENGTH = (1 << 63) - 1


def place_of(stmt: Statement) -> str:
    return f"{stmt.pos.ref}:{stmt.pos.line}"


def text_of(stmt: Statement) -> str:
    return " ".join(stmt.arg.split())


def expression_of(stmt: Statement) -> Expression:
    try:
        return compile_expression(" ".join(stmt.arg.split()))
    except BadExpression as bad:
        raise SchemaError(place_of(stmt), f"{stmt.keyword}: {bad}") from bad


def type_of(stmt: Statement) -> Type:
    """Resolve a type: what it is derived from, then its own restrictions."""
    typedef = getattr(stmt, "i_typedef", None)
    if typedef is not None:
        type_ = _named(type_of(typedef.search_one("type")), typedef)
    else:
        type_ = _builtin(stmt)
    for keyword in {sub.keyword for sub in stmt.substmts if isinstance(sub.keyword, str)}:
        restrict = RESTRICTIONS.get(keyword)
        if restrict is None:
            raise SchemaError(place_of(stmt), f"{keyword} in a type is not supported")
        type_ = msgspec.structs.replace(type_, **restrict(type_, stmt.search(keyword)))
    if type_.base == "leafref":
        return _follow_leafref(type_, stmt)
    return type_


def _named(type_: Type, typedef: Statement) -> Type:
    default, description = typedef.search_one("default"), typedef.search_one("description")
    return msgspec.structs.replace(
        type_,
        name=typedef.arg,
        description=text_of(description) if description else "",
        default=default.arg if default else type_.default,
    )


def _builtin(stmt: Statement) -> Type:
    if stmt.arg in INTEGERS:
        return Type(stmt.arg, stmt.arg, ranges=(INTEGERS[stmt.arg],))
    if stmt.arg in ("string", "boolean", "enumeration", "union", "leafref"):
        return Type(stmt.arg, stmt.arg)
    raise SchemaError(place_of(stmt), f"the type {stmt.arg} is not supported")


def _follow_leafref(type_: Type, stmt: Statement) -> Type:
    target = getattr(stmt.i_type_spec, "i_target_node", None)
    if target is None:
        raise SchemaError(place_of(stmt), "a leafref inside a union or a typedef is not supported")
    referred = type_of(target.search_one("type"))
    return msgspec.structs.replace(type_, members=(referred,))


def _spans(bounds: tuple[tuple[int, int], ...], stmt: Statement) -> tuple[tuple[int, int], ...]:
    ends = {"min": bounds[0][0], "max": bounds[-1][1]}
    spans: list[tuple[int, int]] = []
    for part in stmt.arg.split("|"):
        low, _, high = (word.strip() for word in part.partition(".."))
        numbers = [ends[w] if w in ends else int(w, 0) for w in (low, high or low)]
        spans.append((numbers[0], numbers[1]))
    return tuple(spans)


_PATTERN_WORD = re.compile(r"\\.|\[\^?|\]|\(\?|.", re.DOTALL)
_UNKNOWN_TO_PYTHON = {"(?", *(f"\\{letter}" for letter in "pPiIcC")}


def _pattern(stmt: Statement) -> Pattern:
    """Translate a pattern of XML Schema, where ^ and $ are letters like others."""
    words: list[str] = []
    inside = False  # of brackets
    for word in _PATTERN_WORD.findall(stmt.arg):
        if word in _UNKNOWN_TO_PYTHON or (inside and word[0] == "["):
            raise SchemaError(place_of(stmt), f"{word} in the pattern {stmt.arg} is not supported")
        words.append(f"\\{word}" if word in ("^", "$") and not inside else word)
        inside = word[0] == "[" or (inside and word != "]")
    modifier = stmt.search_one("modifier")
    return Pattern(stmt.arg, _regex(stmt, "".join(words)), modifier is not None)


def _regex(stmt: Statement, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.ASCII)
    except re.error as bad:
        raise SchemaError(
            place_of(stmt), f"the pattern {stmt.arg} is not supported: {bad}"
        ) from bad


RESTRICTIONS: dict[str, Callable[[Type, list[Statement]], dict[str, Any]]] = {
    "range": lambda t, s: {"ranges": _spans(t.ranges, s[0])},
    "length": lambda t, s: {"lengths": _spans(t.lengths or ((0, MAX_LENGTH),), s[0])},
    "pattern": lambda t, s: {"patterns": t.patterns + tuple(map(_pattern, s))},
    "enum": lambda t, s: {"values": tuple(enum.arg for enum in s)},
    "type": lambda t, s: {"members": tuple(map(type_of, s))},
    "path": lambda t, s: {"target": expression_of(s[0])},
    "require-instance": lambda t, s: {},
}
