"""A configuration as JSON text: what it holds, and in which line.

The text is that of `raicho config show --json`: containers are objects, lists
are arrays of objects that hold their keys.  Names may carry the prefix of their
module, as RFC 7951 writes them.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from ..message.path import BadPath, Path, descend, parse_path

Place = tuple[str | int, ...]  # names and numbers that lead to a value

LONGEST = 20  # digits of a number of 64 bits

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


class BadText(ValueError):
    """A text that is no configuration, and the line where that shows."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


def write(data: Any) -> str:
    """Return the text of a configuration."""
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


class Document:
    """A text that has been read; raises BadText if it cannot be."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._is_doubtful = False  # something is there twice
        try:
            self.data = json.loads(
                text, parse_constant=_refuse, parse_int=_integer, object_pairs_hook=self._object
            )
        except json.JSONDecodeError as error:
            raise BadText(error.lineno, f"{error.msg} (column {error.colno})") from None
        except RecursionError:
            raise BadText(1, "it is nested too deeply") from None
        except ValueError as error:
            reason = f"{error} is no number that a leaf could have"
            raise BadText(self._line_of(text.find(str(error))), reason) from None
        if not isinstance(self.data, dict):
            raise BadText(1, "a configuration is an object, {...}")
        if "\\ud" in text.lower():
            self._refuse_half_characters()
        if self._is_doubtful:
            self._refuse_what_is_there_twice()

    def _refuse_half_characters(self) -> None:
        try:
            write(self.data).encode("utf-8")
        except UnicodeEncodeError:
            line = self._line_of(self._text.lower().find("\\ud"))
            raise BadText(line, "half of a surrogate pair is no character") from None

    def line(self, path: str) -> int:
        """Return the line of what is at *path*, or of the nearest that it lies in."""
        try:
            steps = parse_path(path)
        except BadPath:
            steps = ()
        place = _place(self.data, steps)
        return max(line for at, line in self._places() if at == place[: len(at)])

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        self._is_doubtful |= len(found) < len(pairs)
        return found

    def _refuse_what_is_there_twice(self) -> None:
        """JSON itself lets the last of them win; whoever wrote both meant something else."""
        seen: set[Place] = set()
        for place, line in self._places():
            if place in seen:
                raise BadText(line, f"{place[-1]!r} is there twice")
            seen.add(place)

    def _places(self) -> Iterator[tuple[Place, int]]:
        """Yield every value with its line, what holds others before them."""
        place: list[str | int] = []
        wants_name = False
        line, counted = 1, 0
        for token in _TOKEN.finditer(self._text):
            line += self._text.count("\n", counted, token.start())
            counted, word = token.start(), token[0]
            if word in ("}", "]"):
                place.pop()
                wants_name = False
            elif word == ",":
                wants_name = isinstance(place[-1], str)
                place[-1] = "" if wants_name else int(place[-1]) + 1
            elif wants_name:
                place[-1], wants_name = json.loads(word), False
            elif word != ":":
                yield tuple(place), line
                if word in ("{", "["):
                    wants_name = word == "{"
                    place.append("" if wants_name else 0)

    def _line_of(self, at: int) -> int:
        return self._text.count("\n", 0, max(at, 0)) + 1


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _integer(word: str) -> int:
    if len(word) > LONGEST or not -(1 << 63) <= int(word) < 1 << 64:
        raise ValueError(word)
    return int(word)


def _place(data: Any, path: Path) -> Place:
    """Follow a path into plain data as far as it goes."""
    place: Place = ()
    here = data
    for step in path:
        more, here = descend(here, step)
        place += more
        if here is None:
            break
    return place
