"""What expressions do when they are evaluated: comparisons and functions, by XPath 1.0."""

import math
import operator
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Protocol


class Instance(Protocol):
    """A node of a configuration, as far as expressions look at it."""

    def parent(self) -> "Instance | None":
        """Return what it lies in; nothing lies above the root."""

    def children(self, name: str) -> Sequence["Instance"]:
        """Return what lies in it under *name*: the entries of a list, or at most one."""

    def text(self) -> str:
        """Return the value of a leaf as text."""

    def bases(self) -> Collection[str] | None:
        """Return what the identity that it holds is derived from; None if it holds none."""


Result = bool | str | float | list[Instance]
Evaluate = Callable[[Instance, Instance], Result]


class Literal(str):
    """A text, and what it means as the name of an identity."""

    __slots__ = ("identity",)
    identity: str


def truth(result: Result) -> bool:
    """Convert as XPath's boolean() does."""
    return bool(result) and not (isinstance(result, float) and math.isnan(result))


ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compare(sign: str, left: Result, right: Result) -> bool:
    """Compare as XPath does: a set of nodes by any of its members."""
    if isinstance(left, bool) or isinstance(right, bool):
        return _compare_one(sign, float(truth(left)), float(truth(right)))
    return any(_compare_one(sign, a, b) for a, b in _pairs(left, right))


def _pairs(
    left: str | float | list[Instance], right: str | float | list[Instance]
) -> Iterator[tuple[str | float, str | float]]:
    for one in left if isinstance(left, list) else [left]:
        for other in right if isinstance(right, list) else [right]:
            yield _seen(one, other), _seen(other, one)


def _seen(one: str | float | Instance, other: str | float | Instance) -> str | float:
    """Return one side of a comparison; a text beside an identity is the name of one."""
    if isinstance(one, Literal):
        is_name = not isinstance(other, str | float) and other.bases() is not None
        return one.identity if is_name else one
    return one if isinstance(one, str | float) else one.text()


def _compare_one(sign: str, a: str | float, b: str | float) -> bool:
    if sign in ORDER or isinstance(a, float) or isinstance(b, float):
        a, b = _number(a), _number(b)
    if sign in ORDER:
        return ORDER[sign](float(a), float(b))
    return (a == b) is (sign == "=")


# Functions, RFC 7950, 10, and XPath 1.0, 4.


def _number(value: Result) -> float:
    try:
        return float(_string(value)) if not isinstance(value, bool | float) else float(value)
    except ValueError:
        return math.nan


def _string(value: Result) -> str:
    if isinstance(value, list):
        return value[0].text() if value else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else value


def _nodes(value: Result) -> list[Instance]:
    return value if isinstance(value, list) else []


def _derived(value: Result, name: Result, or_self: bool) -> bool:
    wanted = name.identity if isinstance(name, Literal) else _string(name)
    return any(
        wanted in (instance.bases() or ()) or (or_self and instance.text() == wanted)
        for instance in _nodes(value)
    )


def _has_bit(value: Result, bit: Result) -> bool:
    return any(_string(bit) in instance.text().split() for instance in _nodes(value)[:1])


FUNCTIONS: dict[str, Callable[..., Result]] = {
    "true": lambda: True,
    "false": lambda: False,
    "not": lambda value: not truth(value),
    "boolean": lambda value: truth(value),
    "count": lambda value: float(len(_nodes(value))),
    "number": lambda value: _number(value),
    "string": lambda value: _string(value),
    "string-length": lambda value: float(len(_string(value))),
    "contains": lambda text, part: _string(part) in _string(text),
    "starts-with": lambda text, part: _string(text).startswith(_string(part)),
    "bit-is-set": lambda value, bit: _has_bit(value, bit),
    "derived-from": lambda value, name: _derived(value, name, or_self=False),
    "derived-from-or-self": lambda value, name: _derived(value, name, or_self=True),
}
NUMERIC = {"count", "number", "string-length"}
