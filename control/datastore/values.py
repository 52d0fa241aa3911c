"""The values of leaves: from what a user or a file wrote to the one form that is kept.

Integers are int, booleans bool, everything else str.  What comes in may be
that, or its text as YANG writes it (`"6653"`, `"0x1f"`, `"true"`).
"""

import re
from collections.abc import Callable

from .nodes import Type

Value = str | int | bool

INTEGERS = {
    **{f"int{bits}": (-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": (0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
}

_INTEGER = re.compile(r"[+-]?(0[xX][0-9a-fA-F]+|[1-9][0-9]*|0[0-7]*)")


class BadValue(ValueError):
    """A value that its type forbids; *rule* says which part of the type."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule


def canonical(type_: Type, value: object) -> Value:
    """Return *value* in the form that is kept, or raise BadValue."""
    return _CHECKS[type_.base](type_, value)


def text(value: object) -> str:
    """Write a value as YANG does, for keys and comparisons."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _integer(type_: Type, value: object) -> int:
    number = _read_integer(value)
    if number is None:
        raise BadValue("type", f"{_show(value)} is no {type_.base}; {_allowed(type_)}")
    if not any(low <= number <= high for low, high in type_.ranges):
        raise BadValue("range", f"{number} is out of range; {_allowed(type_)}")
    return number


def _read_integer(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not (match := _INTEGER.fullmatch(value)):
        return None
    octal = match[1].startswith("0") and match[1].isdigit() and len(match[1]) > 1
    return int(value, 8 if octal else 0)


def _boolean(type_: Type, value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise BadValue("type", f"{_show(value)} is no boolean; true or false")


def _string(type_: Type, value: object) -> str:
    if not isinstance(value, str):
        raise BadValue("type", f"{_show(value)} is no string")
    if any((ord(c) < 32 and c not in "\t\n\r") or 0xD800 <= ord(c) <= 0xDFFF for c in value):
        raise BadValue("type", f"{_show(value)} has characters that no text has")
    if type_.lengths and not any(low <= len(value) <= high for low, high in type_.lengths):
        allowed = _spans(type_.lengths)
        raise BadValue("length", f"{_show(value)} has {len(value)} characters; {allowed} are right")
    for pattern in type_.patterns:
        if bool(pattern.regex.fullmatch(value)) is pattern.inverted:
            how = "must not match" if pattern.inverted else "must match"
            raise BadValue("pattern", _no(type_, value, f"it {how} {pattern.text}"))
    return value


def _no(type_: Type, value: object, otherwise: str) -> str:
    """Say what would be right in the words of the typedef, if it has some."""
    return f"{_show(value)} is no {type_.name}; right is: {type_.description or otherwise}"


def _enumeration(type_: Type, value: object) -> str:
    if value in type_.values:
        return str(value)
    raise BadValue("enumeration", f"{_show(value)} is none of {', '.join(type_.values)}")


def _union(type_: Type, value: object) -> Value:
    for member in type_.members:
        try:
            return canonical(member, value)
        except BadValue:
            pass  # perhaps another member
    names = " or ".join(member.name for member in type_.members)
    raise BadValue("union", _no(type_, value, names))


def _leafref(type_: Type, value: object) -> Value:
    return canonical(type_.members[0], value)


_CHECKS: dict[str, Callable[[Type, object], Value]] = {
    **dict.fromkeys(INTEGERS, _integer),
    "boolean": _boolean,
    "string": _string,
    "enumeration": _enumeration,
    "union": _union,
    "leafref": _leafref,
}


def _show(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _allowed(type_: Type) -> str:
    return f"{_spans(type_.ranges)} is right"


def _spans(spans: tuple[tuple[int, int], ...]) -> str:
    return " or ".join(str(low) if low == high else f"{low}..{high}" for low, high in spans)
