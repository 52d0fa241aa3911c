"""The part of XPath that must, when and leafref may use here.

    or  and  =  !=  <  <=  >  >=  not(...)  count(path)  true()  false()
    current()  'text'  12  .  ..  name  prefix:name  relative and absolute paths

Prefixes are dropped, because names are unique at their place.  Anything else
(predicates, arithmetic, axes, other functions) is refused when the module is
loaded.  An expression is compiled once into closures over an Instance.
"""

import operator
import re
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec


class Instance(Protocol):
    """A node of a configuration, as far as expressions look at it."""

    def parent(self) -> "Instance | None":
        """Return what it lies in; nothing lies above the root."""

    def children(self, name: str) -> Sequence["Instance"]:
        """Return what lies in it under *name*: the entries of a list, or at most one."""

    def text(self) -> str:
        """Return the value of a leaf as text."""


Result = bool | str | float | list[Instance]
Evaluate = Callable[[Instance], Result]


class Expression(msgspec.Struct, frozen=True):
    """An expression as it was written, and what it does."""

    text: str
    evaluate: Evaluate

    def holds(self, at: Instance) -> bool:
        """Tell whether the expression is true at an instance."""
        return truth(self.evaluate(at))

    def select(self, at: Instance) -> list[Instance]:
        """Return what a path leads to from an instance."""
        found = self.evaluate(at)
        return found if isinstance(found, list) else []


class BadExpression(ValueError):
    """An expression outside the subset."""


def truth(result: Result) -> bool:
    """Convert as XPath's boolean() does."""
    return bool(result)


_TOKEN = re.compile(
    r"\s*(?:(?P<text>'[^']*'|\"[^\"]*\")|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?)|(?P<sign>\.\.|!=|<=|>=|[=<>()/.]))"
)
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compile_expression(text: str) -> Expression:
    """Read an expression, or raise BadExpression saying at which word it ends."""
    parser = _Parser(text)
    evaluate = parser.either()
    parser.end()
    return Expression(text, evaluate)


class _Parser:
    """Recursive descent: either, both, comparison, primary, path."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else ""

    def take(self, token: str) -> bool:
        found = self.peek() == token
        self.at += found
        return found

    def expect(self, token: str) -> None:
        if not self.take(token):
            self.refuse(f"expected {token!r}")

    def end(self) -> None:
        if self.peek():
            self.refuse("not supported")

    def refuse(self, why: str) -> None:
        raise BadExpression(f"{why} at {self.peek() or 'the end'!r} of {self.text!r}")

    def either(self) -> Evaluate:
        terms = [self.both()]
        while self.take("or"):
            terms.append(self.both())
        return terms[0] if len(terms) == 1 else lambda at: any(truth(t(at)) for t in terms)

    def both(self) -> Evaluate:
        terms = [self.comparison()]
        while self.take("and"):
            terms.append(self.comparison())
        return terms[0] if len(terms) == 1 else lambda at: all(truth(t(at)) for t in terms)

    def comparison(self) -> Evaluate:
        left = self.primary()
        sign = self.peek()
        if sign not in ("=", "!=", *_COMPARE):
            return left
        self.at += 1
        right = self.primary()
        return lambda at: _compare(sign, left(at), right(at))

    def primary(self) -> Evaluate:
        token = self.peek()
        if self.take("("):
            inner = self.either()
            self.expect(")")
            return inner
        if token[:1] in ("'", '"'):
            self.at += 1
            return lambda at: token[1:-1]
        if token[:1].isdigit():
            self.at += 1
            return lambda at: float(token)
        if self.peek(1) == "(" and token != "current":
            return self.function(token)
        return self.path()

    def function(self, name: str) -> Evaluate:
        if name not in ("not", "count", "true", "false"):
            self.refuse("no such function here")
        self.at += 2
        if name in ("true", "false"):
            self.expect(")")
            return lambda at: name == "true"
        inner = self.either() if name == "not" else self.path()
        self.expect(")")
        if name == "not":
            return lambda at: not truth(inner(at))
        return lambda at: float(len(nodes)) if isinstance(nodes := inner(at), list) else 0.0

    def path(self) -> Evaluate:
        if self.peek() == "current":
            self.at += 1
            self.expect("(")
            self.expect(")")
            steps = ["."]
        elif self.peek() == "/":
            steps = ["/"]
            self.at += 1
            steps.append(self.step())
        else:
            steps = [self.step()]
        while self.take("/"):
            steps.append(self.step())
        return lambda at: _follow(at, steps)

    def step(self) -> str:
        token = self.peek()
        if token not in (".", "..") and not (token[:1].isalpha() or token[:1] == "_"):
            self.refuse("not supported")
        self.at += 1
        return token.rpartition(":")[2]


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            raise BadExpression(f"not supported at {text[at:].split()[0]!r} of {text!r}")
        found.append(match[match.lastgroup or 0])
        at = match.end()
    return found


def _follow(at: Instance, steps: list[str]) -> list[Instance]:
    found = [at]
    for step in steps:
        found = [result for instance in found for result in _step(instance, step)]
    return found


def _step(at: Instance, step: str) -> list[Instance]:
    if step == ".":
        return [at]
    if step == "/":
        top = at
        while (above := top.parent()) is not None:
            top = above
        return [top]
    if step == "..":
        above = at.parent()
        return [] if above is None else [above]
    return list(at.children(step))


def _compare(sign: str, left: Result, right: Result) -> bool:
    """Compare as XPath does: a set of nodes by any of its members."""
    if isinstance(left, bool) or isinstance(right, bool):
        equal = truth(left) == truth(right)
        return equal if sign == "=" else not equal if sign == "!=" else False
    return any(_compare_one(sign, a, b) for a in _atoms(left) for b in _atoms(right))


def _atoms(result: str | float | list[Instance]) -> list[str | float]:
    return [i.text() for i in result] if isinstance(result, list) else [result]


def _compare_one(sign: str, a: str | float, b: str | float) -> bool:
    if sign in _COMPARE or isinstance(a, float) or isinstance(b, float):
        a, b = _number(a), _number(b)
    if sign in _COMPARE:
        return _COMPARE[sign](float(a), float(b))
    return (a == b) is (sign == "=")


def _number(value: str | float) -> float:
    try:
        return float(value)
    except ValueError:
        return float("nan")
