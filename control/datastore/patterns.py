"""Patterns of XML Schema, as YANG has them, in the words of Python's `re`.

In YANG `^` and `$` are letters like others, and a pattern is about the whole value.
A module that says `regexp-posix`, as those of OpenConfig do, means anchors by them.
Not supported: classes without another class (`[a-z-[aeiou]]`), names of blocks
(`\\p{IsGreek}`), `\\i` and `\\c`, and `\\P{...}` inside a class.
"""

import itertools
import re
import sys
import unicodedata
from functools import cache

from .nodes import Pattern


class BadPattern(ValueError):
    """A pattern that cannot be read."""


_WORD = re.compile(r"\\[pP]\{\w+\}|\\.|\[\^?|\]|\(\?|.", re.DOTALL)
_UNKNOWN = {"(?", "\\p", "\\P", "\\i", "\\I", "\\c", "\\C"}


@cache
def compile_pattern(text: str, inverted: bool = False, anchored: bool = False) -> Pattern:
    """Read a pattern, or raise BadPattern; *anchored* means that ^ and $ are anchors."""
    words: list[str] = []
    inside = False  # of brackets
    for word in _WORD.findall(text):
        words.append(_translated(word, inside, anchored))
        inside = word[0] == "[" or (inside and word != "]")
    try:
        return Pattern(text, re.compile("".join(words), re.ASCII), inverted)
    except re.error as bad:
        raise BadPattern(f"the pattern {text} is not supported: {bad}") from bad


def _translated(word: str, inside: bool, anchored: bool) -> str:
    if word in _UNKNOWN or (inside and word[0] == "["):
        raise BadPattern(f"{word} in a pattern is not supported")
    if word[:2] in ("\\p", "\\P"):
        return _category(word, inside)
    if word in ("^", "$") and not inside and not anchored:
        return f"\\{word}"
    return word


def _category(word: str, inside: bool) -> str:
    """Write the characters of a general category of Unicode as members of a class."""
    name = word[3:-1]
    members = _members().get(name, "")
    if not members or (word[1] == "P" and inside):
        raise BadPattern(f"{word} in a pattern is not supported")
    if inside:
        return members
    return f"[^{members}]" if word[1] == "P" else f"[{members}]"


@cache
def _members() -> dict[str, str]:
    """Return the spans of characters of each category, and of each group of them."""
    spans: dict[str, list[str]] = {}
    start = 0
    categories = map(unicodedata.category, map(chr, range(sys.maxunicode + 1)))
    for category, run in itertools.groupby(categories):
        end = start + sum(1 for _ in run)
        for name in (category, category[0]):
            spans.setdefault(name, []).append(f"\\U{start:08x}-\\U{end - 1:08x}")
        start = end
    return {name: "".join(known) for name, known in spans.items()}
