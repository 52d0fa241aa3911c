"""The values of leaves: from what a user or a file wrote to the one form that is kept.

Integers are int, booleans bool, what is of type empty is `(None,)`, everything
else str.  What comes in may be that, or its text as YANG writes it (`"6653"`,
`"0x1f"`, `"true"`), or its form in JSON by RFC 7951.  An identity is always kept
with the name of its module.
"""

import base64
import binascii
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from .nodes import Type

Empty = tuple[None]
Value = str | int | bool | Empty

EMPTY: Empty = (None,)

INTEGERS = {
    **{f"int{bits}": (-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": (0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
}

DECIMAL64 = INTEGERS["int64"]  # in units of the last digit

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
    return "" if value == EMPTY else str(value)


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
    _check_length(type_, value, len(value), "characters")
    for pattern in type_.patterns:
        if bool(pattern.regex.fullmatch(value)) is pattern.inverted:
            how = "must not match" if pattern.inverted else "must match"
            raise BadValue("pattern", _no(type_, value, f"it {how} {pattern.text}"))
    return value


def _check_length(type_: Type, value: object, size: int, of: str) -> None:
    if type_.lengths and not any(low <= size <= high for low, high in type_.lengths):
        allowed = _spans(type_.lengths)
        raise BadValue("length", f"{_show(value)} has {size} {of}; {allowed} are right")


def _decimal(type_: Type, value: object) -> str:
    units = None if isinstance(value, bool) else decimal_units(str(value), type_.digits)
    if units is None:
        reason = f"{_show(value)} is no number with at most {type_.digits} digits after the point"
        raise BadValue("type", reason)
    if not any(low <= units <= high for low, high in type_.ranges):
        raise BadValue("range", f"{_show(value)} is out of range; {_allowed(type_)}")
    return decimal_text(units, type_.digits)


_DECIMAL = re.compile(r"[+-]?\d+(\.\d+)?|-?\d(\.\d+)?e-\d+", re.ASCII)  # the second by Python


def decimal_units(text: str, digits: int) -> int | None:
    """Read a decimal64 in units of its last digit; None if it is none."""
    if not _DECIMAL.fullmatch(text):
        return None
    try:
        scaled = Decimal(text).scaleb(digits)
        return int(scaled) if scaled == scaled.to_integral_value() else None
    except InvalidOperation:  # more digits than any has
        return None


def decimal_text(units: int, digits: int) -> str:
    """Write a decimal64 in its canonical form, RFC 7950, 9.3.2."""
    whole, _, rest = f"{Decimal(units).scaleb(-digits):f}".partition(".")
    return f"{whole}.{rest.rstrip('0') or '0'}"


def _binary(type_: Type, value: object) -> str:
    try:
        content = base64.b64decode(value if isinstance(value, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        raise BadValue("type", f"{_show(value)} is no text in base64") from None
    _check_length(type_, value, len(content), "bytes")
    return base64.b64encode(content).decode()


def _bits(type_: Type, value: object) -> str:
    given = value.split() if isinstance(value, str) else ["?"]
    if len(set(given)) < len(given) or not set(given) <= set(type_.values):
        allowed = " ".join(type_.values)
        raise BadValue("bits", f"{_show(value)} is not some of {allowed}, each once")
    return " ".join(bit for bit in type_.values if bit in given)


def _empty(type_: Type, value: object) -> Empty:
    if value in ("", {}) or (isinstance(value, list | tuple) and list(value) == [None]):
        return EMPTY
    raise BadValue("type", f'{_show(value)} is something; right is nothing: "" or [null]')


def _identityref(type_: Type, value: object) -> str:
    if isinstance(value, str) and value in type_.identities:
        return value
    named = [name for name in type_.identities if name.partition(":")[2] == value]
    if len(named) == 1:
        return named[0]
    allowed = ", ".join(named or type_.values[:20])
    raise BadValue("identityref", f"{_show(value)} names no identity that may be here: {allowed}")


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
    "decimal64": _decimal,
    "binary": _binary,
    "bits": _bits,
    "empty": _empty,
    "identityref": _identityref,
    "union": _union,
    "leafref": _leafref,
}


def _show(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _allowed(type_: Type) -> str:
    if type_.digits:
        ends = [[decimal_text(end, type_.digits) for end in span] for span in type_.ranges]
        return f"{_joined(ends)} is right"
    return f"{_spans(type_.ranges)} is right"


def _spans(spans: tuple[tuple[int, int], ...]) -> str:
    return _joined([[str(end) for end in span] for span in spans])


def _joined(spans: list[list[str]]) -> str:
    return " or ".join(low if low == high else f"{low}..{high}" for low, high in spans)
