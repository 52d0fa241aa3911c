"""Where the configuration is kept: a few operations that every engine has.

A cell is one Change's worth: an entry (its keys) or a leaf, under its path.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from ...message.types import Change


class Cell(msgspec.Struct, frozen=True):
    """A value and the revision that brought it."""

    value: Any
    revision: int


class Stamp(msgspec.Struct, frozen=True):
    """Which transaction a revision is of; *when* is Unix time in seconds.

    One that must be confirmed says by when, and is the newest until it was.
    """

    txid: str
    who: str
    when: float
    comment: str = ""
    confirm_by: float | None = None


class Conflict(msgspec.Struct, frozen=True):
    """A cell that is not of the revision that the writer had read."""

    path: str
    revision: int


class Past(msgspec.Struct, frozen=True):
    """One revision, as history has it."""

    number: int
    stamp: Stamp
    changes: list[Change]


Writes = Mapping[str, Any]
Listener = Callable[[int, Writes], None]


class Engine(Protocol):
    """A durable map of cells that changes by whole transactions."""

    @property
    def revision(self) -> int:
        """The newest revision; 0 before the first."""

    def get(self, below: str = "/") -> dict[str, Cell]:
        """Return the cells at and below a path, in the order of their paths."""

    def commit(self, reads: Mapping[str, int], writes: Writes, stamp: Stamp) -> int | Conflict:
        """Write all cells (None removes) if those read are still of their revisions.

        A cell that was not there has been read at revision 0.  What is
        returned is durable.
        """

    def watch(self, listener: Listener) -> None:
        """Call *listener* with the revision and the writes of every commit from now on."""

    def history(self, limit: int) -> list[Past]:
        """Return the last revisions, the newest first."""
