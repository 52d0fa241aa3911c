"""The part of XPath that must, when and leafref may use here.

    or  and  =  !=  <  <=  >  >=  'text'  12  .  ..  name  prefix:name
    relative and absolute paths, also from current(), with conditions [...] at steps
    and the functions of FUNCTIONS

Prefixes in paths are dropped, because names are unique at their place.  Where an
identity is compared with a text, the text may be its name with a prefix.  Anything
else (positions, arithmetic, axes, other functions) is refused when the module is
loaded.  An expression is compiled once into closures over an Instance and the one
that current() means.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

import msgspec

from .xpath_values import (
    FUNCTIONS,
    NUMERIC,
    ORDER,
    Evaluate,
    Instance,
    Literal,
    compare,
    truth,
)


class Scope(msgspec.Struct, frozen=True):
    """Where an expression stands: its module, and what prefixes mean there."""

    module: str = ""
    prefixes: Mapping[str, str] = {}

    def identity(self, text: str) -> str:
        """Return the name of an identity with that of its module."""
        prefix, colon, name = text.rpartition(":")
        return f"{self.prefixes.get(prefix, prefix) if colon else self.module}:{name}"


class Expression(msgspec.Struct, frozen=True):
    """An expression as it was written, and what it does.

    For a path, *ups* is how many steps up it begins with, -1 for one from the
    root; *is_fixed* tells that it leads to the same from wherever these end.
    """

    text: str
    evaluate: Evaluate
    ups: int = 0
    is_fixed: bool = False

    def holds(self, at: Instance) -> bool:
        """Tell whether the expression is true at an instance."""
        return truth(self.evaluate(at, at))

    def select(self, at: Instance) -> list[Instance]:
        """Return what a path leads to from an instance."""
        found = self.evaluate(at, at)
        return found if isinstance(found, list) else []


class BadExpression(ValueError):
    """An expression outside the subset."""


_TOKEN = re.compile(
    r"\s*(?:(?P<text>'[^']*'|\"[^\"]*\")|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?)|(?P<sign>\.\.|!=|<=|>=|[][=<>()/.,]))"
)
NOWHERE = Scope()


def compile_expression(text: str, scope: Scope = NOWHERE) -> Expression:
    """Read an expression, or raise BadExpression saying at which word it ends."""
    parser = _Parser(text, scope)
    evaluate = parser.either()
    parser.end()
    ups = -1 if parser.tokens[0] == "/" else parser.leading_ups()
    return Expression(text, evaluate, ups, not parser.conditions)


class _Parser:
    """Recursive descent: either, both, comparison, primary, path."""

    def __init__(self, text: str, scope: Scope) -> None:
        self.text = text
        self.scope = scope
        self.tokens = list(_tokens(text))
        self.at = 0
        self.conditions = 0
        self.is_number = False  # what was read last

    def leading_ups(self) -> int:
        """Return how many steps up a path begins with."""
        steps = self.tokens[::2]
        return next((at for at, step in enumerate(steps) if step != ".."), len(steps))

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

    def refuse(self, why: str) -> NoReturn:
        raise BadExpression(f"{why} at {self.peek() or 'the end'!r} of {self.text!r}")

    def either(self) -> Evaluate:
        return self.joined("or", self.both, any)

    def both(self) -> Evaluate:
        return self.joined("and", self.comparison, all)

    def joined(
        self, word: str, term: Callable[[], Evaluate], join: Callable[[Iterator[bool]], bool]
    ) -> Evaluate:
        terms = [term()]
        while self.take(word):
            terms.append(term())
            self.is_number = False
        if len(terms) == 1:
            return terms[0]
        return lambda at, current: join(truth(inner(at, current)) for inner in terms)

    def comparison(self) -> Evaluate:
        left = self.primary()
        sign = self.peek()
        if sign not in ("=", "!=", *ORDER):
            return left
        self.at += 1
        right = self.primary()
        self.is_number = False
        return lambda at, current: compare(sign, left(at, current), right(at, current))

    def primary(self) -> Evaluate:
        token = self.peek()
        self.is_number = token[:1].isdigit()
        if self.take("("):
            inner = self.either()
            self.expect(")")
            return inner
        if token[:1] in ("'", '"'):
            self.at += 1
            literal = Literal(token[1:-1])
            literal.identity = self.scope.identity(literal)
            return lambda at, current: literal
        if self.is_number:
            self.at += 1
            return lambda at, current: float(token)
        if self.peek(1) == "(" and token != "current":
            return self.function(token)
        return self.path()

    def function(self, name: str) -> Evaluate:
        function = FUNCTIONS.get(name)
        if function is None:
            self.refuse("no such function here")
        self.at += 2
        arguments: list[Evaluate] = []
        while self.peek() != ")" and (not arguments or self.take(",")):
            arguments.append(self.either())
        if len(arguments) != function.__code__.co_argcount:
            self.refuse(f"{name}() has {function.__code__.co_argcount} arguments")
        self.expect(")")
        self.is_number = name in NUMERIC
        if len(arguments) == 1:
            only = arguments[0]
            return lambda at, current: function(only(at, current))
        return lambda at, current: function(*(inner(at, current) for inner in arguments))

    def path(self) -> Evaluate:
        from_current = self.peek() == "current"
        if from_current:
            self.at += 1
            self.expect("(")
            self.expect(")")
            steps: list[_Step] = []
        elif self.take("/"):
            steps = [("/", ()), self.step()]
        else:
            steps = [self.step()]
        while self.take("/"):
            steps.append(self.step())
        if from_current:
            return lambda at, current: _follow(current, current, steps)
        if steps == [(name := steps[0][0], ())] and name not in ("/", ".", ".."):
            return lambda at, current: list(at.children(name))  # most paths are one name
        return lambda at, current: _follow(at, current, steps)

    def step(self) -> "_Step":
        token = self.peek()
        if token not in (".", "..") and not (token[:1].isalpha() or token[:1] == "_"):
            self.refuse("not supported")
        self.at += 1
        conditions: list[Evaluate] = []
        while self.take("["):
            conditions.append(self.either())
            if self.is_number:
                self.refuse("a position is not supported")
            self.expect("]")
            self.conditions += 1
        self.is_number = False
        return token.rpartition(":")[2], tuple(conditions)


_Step = tuple[str, tuple[Evaluate, ...]]


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


def _follow(at: Instance, current: Instance, steps: list[_Step]) -> list[Instance]:
    found = [at]
    for name, conditions in steps:
        found = [result for instance in found for result in _step(instance, name)]
        for holds in conditions:
            found = [instance for instance in found if truth(holds(instance, current))]
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
