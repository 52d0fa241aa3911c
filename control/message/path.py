"""Paths into the configuration: `/raicho/bridge[name='br0']/port[name='p1']/number`.

A list entry is named by all its keys, in any order when read and in the order
of the schema when written; a value of a leaf-list by `[.='value']`.  A key is
quoted by ' or ", whichever is not in it.  `/` is the whole.
"""

import re
from typing import NamedTuple


class BadPath(ValueError):
    """A text that is no path."""


class Step(NamedTuple):
    """One level of a path; keys are pairs of name and text."""

    name: str
    keys: tuple[tuple[str, str], ...] = ()


Path = tuple[Step, ...]

ROOT: Path = ()

_NAME = re.compile(r"/(?:[A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)")
_KEY = re.compile(
    r"""\[\s*(?:[A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*|\.)\s*=\s*(?:'([^']*)'|"([^"]*)")\s*\]"""
)


def parse_path(text: str) -> Path:
    """Read a path, or raise BadPath; prefixes of modules are accepted and dropped."""
    steps: list[Step] = []
    text = text.strip()
    at = 1 if text == "/" else 0
    while at < len(text) or not text:
        name = _NAME.match(text, at)
        if not name:
            raise BadPath(_misread(text, at))
        at = name.end()
        keys: list[tuple[str, str]] = []
        while at < len(text) and text[at] == "[":
            key = _KEY.match(text, at)
            if not key:
                raise BadPath(_misread(text, at))
            keys.append((key[1], key[2] if key[2] is not None else key[3]))
            at = key.end()
        steps.append(Step(name[1], tuple(keys)))
    return tuple(steps)


def _misread(text: str, at: int) -> str:
    return f"bad path at {text[at : at + 20]!r}; write it as /raicho/bridge[name='br0']/fail-mode"


def format_path(path: Path) -> str:
    """Write a path as parse_path() reads it."""
    return "/" + "/".join(map(_format_step, path))


def _format_step(step: Step) -> str:
    return step.name + "".join(f"[{name}={quote(text)}]" for name, text in step.keys)


def quote(text: str) -> str:
    """Quote a key; see is_quotable()."""
    return f'"{text}"' if "'" in text else f"'{text}'"


def is_quotable(text: str) -> bool:
    """Tell whether a path can name a key; it cannot if both kinds of quotes are in it."""
    return "'" not in text or '"' not in text


def lies_below(path: Path, top: Path) -> bool:
    """Tell whether *path* is at or below *top*, whose steps without keys mean every entry."""
    return len(path) >= len(top) and all(
        ours.name == theirs.name and set(theirs.keys) <= set(ours.keys)
        for ours, theirs in zip(path, top, strict=False)
    )
