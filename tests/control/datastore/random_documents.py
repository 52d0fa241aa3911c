"""Documents made from a schema: often right, and wrong in every way that a schema can forbid."""

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from raicho.control.datastore.choices import rivals
from raicho.control.datastore.nodes import Choice, Kind, Node, Type
from raicho.control.datastore.values import decimal_text

WORDS = ("a", "b", "c", "ab", "cab", "d", "e", "abcd", "^", "", "é", "a b")
BINARIES = ("AQ==", "AQI=", "AQID", "A", "", "A?==")
# Not here are forms of a value that raicho takes and RFC 7951 does not, as "true" for true.
WRONG = ("x", -1, True, None, [], {"a": 1}, [None], "1.234", 1 << 70, ["a"])


class Author:
    """Writes documents in the form of RFC 7951, whose texts are among *words*.

    *slips* is how often a rule is not cared for.
    """

    def __init__(self, seed: int, words: Sequence[str] = WORDS[:3], slips: float = 0.01) -> None:
        self._random = random.Random(seed)
        self.words = words
        self._slips = slips

    def document(self, root: Node) -> Any:
        """Return a document, whose names have their modules."""
        return self._inside(root, always=root.children)

    def _slip(self) -> bool:
        return self._random.random() < self._slips

    def _inside(self, node: Node, always: Iterable[str] = ()) -> dict[str, Any]:
        found: dict[str, Any] = {}
        excluded: set[str] = set()
        demanded = {*always, *node.keys, *map(self._chosen, node.choices)}
        for name in self._random.sample(list(node.children), len(node.children)):
            child = node.children[name]
            wanted = name in demanded or self._random.random() < _likelihood(child)
            if self._slip() or (wanted and child.config and name not in excluded):
                qualified = name if child.module == node.module else f"{child.module}:{name}"
                found[qualified] = self._node(child)
                excluded |= rivals(node, name)
        return found

    def _chosen(self, choice: Choice) -> str:
        names = sorted(name for case in choice.cases for name in case.names)
        return self._random.choice(names) if choice.mandatory else ""

    def _node(self, node: Node) -> Any:
        if self._random.random() < self._slips / 3:
            return self._random.choice(WRONG)
        if node.kind is Kind.CONTAINER:
            return self._inside(node)
        if node.kind is Kind.LEAF:
            return self._value(node.type)
        make = self._inside if node.kind is Kind.LIST else lambda of: self._value(of.type)
        some = [make(node) for _ in range(self._random.choice((0, 1, 1, 2, 2, 3, 4)))]
        return some if self._slip() else _different(node, some)

    def _value(self, type_: Type | None) -> Any:
        assert type_
        if type_.members:
            return self._value(self._random.choice(type_.members))
        return _VALUES.get(type_.base, _integer)(type_, self)

    def number(self, spans: tuple[tuple[int, int], ...]) -> int:
        """Return a number near the ends of what is allowed, and sometimes beyond."""
        low, high = self._random.choice(spans)
        beyond = (low - 1, high + 1)
        return self.one_of((low, high, min(low + 1, high), min(low + 2, high)), beyond)

    def one_of(self, right: Iterable[Any], wrong: Iterable[Any]) -> Any:
        """Return one that is right, and sometimes one that is not."""
        return self._random.choice(list(wrong if self._slip() else right))

    def some_of(self, names: Iterable[str]) -> list[str]:
        """Return some names in any order."""
        kept = [name for name in names if self._random.random() < 0.5]
        self._random.shuffle(kept)
        return kept


def _likelihood(node: Node) -> float:
    """Return how often a node is written: seldom if it is right only beside others."""
    if node.whens or node.musts or (node.type is not None and node.type.refers()):
        return 0.1
    return 1.0 if node.mandatory else 0.25


def _different(node: Node, items: list[Any]) -> list[Any]:
    """Return items without those whose key another has."""
    keyed = {
        str([item.get(key) for key in node.keys] if isinstance(item, dict) else item): item
        for item in items
    }
    return list(keyed.values())


def _integer(type_: Type, author: Author) -> Any:
    value = author.number(type_.ranges)
    return str(value) if "64" in type_.base else value


_VALUES: dict[str, Callable[[Type, Author], Any]] = {
    "boolean": lambda type_, author: author.one_of((True, False), ("yes", 1)),
    "string": lambda type_, author: author.one_of(author.words, WORDS[3:]),
    "enumeration": lambda type_, author: author.one_of(type_.values, ("other",)),
    "decimal64": lambda type_, author: decimal_text(author.number(type_.ranges), type_.digits),
    "binary": lambda type_, author: author.one_of(BINARIES[:2], BINARIES[2:]),
    "bits": lambda type_, author: " ".join(
        author.one_of([author.some_of(type_.values)], [["other"], list(type_.values) * 2])
    ),
    "empty": lambda type_, author: [None],
    "identityref": lambda type_, author: author.one_of(type_.values, ("garden:kind", "other:oak")),
}
