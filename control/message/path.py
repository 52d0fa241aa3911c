"""Paths into the configuration: `/raicho/bridge[name='br0']/port[name='p1']/number`.

A list entry is named by all its keys, in any order when read and in the order
of the schema when written; a value of a leaf-list by `[.='value']`.  A key is
quoted by ' or ", whichever is not in it.  `/` is the whole.
"""

import json
import re
from typing import Any, NamedTuple


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
    """Read a path, or raise BadPath; names of modules are accepted and dropped."""
    return tuple(step for _, step in _steps(text))


def qualified_names(text: str) -> list[str]:
    """Return the names in a path, each as it is written, or raise BadPath."""
    return [name for name, _ in _steps(text)]


def _steps(text: str) -> list[tuple[str, Step]]:
    steps: list[tuple[str, Step]] = []
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
        steps.append((name[0][1:], Step(name[1], tuple(keys))))
    return steps


def _misread(text: str, at: int) -> str:
    right = "/raicho/bridge[name='br0']/fail-mode"
    return f'bad path at {text[at : at + 20]!r}; write it as "{right}", quoted twice for a shell'


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


def find(data: Any, path: Path) -> Any:
    """Return what lies at a path of plain data; None if nothing does."""
    here = data
    for step in path:
        _, here = descend(here, step)
    return here


def descend(here: Any, step: Step) -> tuple[tuple[str | int, ...], Any]:
    """Go one step into plain data; return the names and numbers on the way, and what is there.

    Nothing is None; then the names lead as far as there is something.  Names in
    the data may have the prefix of a module.
    """
    names = here if isinstance(here, dict) else {}
    name = next((name for name in names if _plain(name) == step.name), None)
    if name is None:
        return (), None
    inner = here[name]
    if not step.keys or not isinstance(inner, list):
        return (name,), inner
    at = next((at for at, item in enumerate(inner) if _is_named(item, step)), None)
    return ((name,), None) if at is None else ((name, at), inner[at])


def _is_named(item: Any, step: Step) -> bool:
    """Tell whether an entry, or a value of a leaf-list, has the keys of a step."""
    if not isinstance(item, dict):
        return [(".", _text(item))] == list(step.keys)
    texts = {_plain(name): _text(value) for name, value in item.items()}
    return all(texts.get(name) == key for name, key in step.keys)


def _plain(name: str) -> str:
    return name.rpartition(":")[2]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
