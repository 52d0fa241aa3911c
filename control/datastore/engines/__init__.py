"""Where everything lies that must last: one map of keys, which every engine keeps its own way.

What: {get, below, commit, watch}.  A key is a path of text, a value is bytes; archive.py knows
what they mean.  Every commit that succeeds has the next revision.
How: an engine of one host (sqlite) or of several that share it (redis, etcd, zookeeper), chosen
by an address, see opening.py.
Threads: watch() may be called from another thread than everything else.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

KEPT = 1000  # commits that a watch can go back, at least


class Value(msgspec.Struct, frozen=True):
    """What a key has, and the revision that brought it."""

    data: bytes
    revision: int


class Conflict(msgspec.Struct, frozen=True):
    """A key that is not of the revision that the writer had read."""

    key: str
    revision: int


Writes = Mapping[str, bytes | None]  # None removes


class Commit(msgspec.Struct, frozen=True):
    """What one revision wrote."""

    revision: int
    writes: Writes


class EngineError(OSError):
    """An engine that cannot do what it was asked; it says where and why.

    If that was a commit, it may have been made or not.
    """


class Unreadable(EngineError):
    """Something that is no store of this version, or that another process has."""


class Gap(Exception):
    """The commits that a watch asked for are not kept any more: read everything again."""


class Engine(Protocol):
    """A map that changes by whole commits, and keeps what it acknowledged."""

    shared: bool  # with datastores on other hosts

    def get(self, keys: Iterable[str]) -> dict[str, Value]:
        """Return those of the keys that are there, as of one moment."""

    def below(self, prefix: str) -> tuple[int, dict[str, Value]]:
        """Return the newest revision, and all keys that begin with *prefix* in their order."""

    def commit(self, reads: Mapping[str, int], writes: Writes) -> int | Conflict:
        """Write all if everything that was read is still of its revision, or nothing.

        A key that was not there has been read at revision 0.  What has been
        returned a revision is durable.
        """

    def watch(self, prefix: str, since: int, wait: float) -> list[Commit]:
        """Return the commits after revision *since*, in order and none left out.

        If there is none, wait up to *wait* seconds for the first.  Each has of
        its writes what begins with *prefix*, be it nothing.  Raise Gap if some
        are not kept any more, or *since* is none of this store's revisions.
        """

    def close(self) -> None:
        """Let go of it; a second time does nothing."""
