"""Snapshots that are read page by page, however many commits come meanwhile.

A tree never changes, so a snapshot is a tree that is kept and how far it was read.  One
that nobody asks for any more is forgotten, and so is the oldest of too many.
"""

import secrets
from collections.abc import Iterator
from itertools import count

from ..message.failure import CallError, Code, Failure
from ..message.notices import Snapshot
from ..message.types import Change

MAX_KEPT, KEPT_FOR = 64, 30.0  # that are being read; seconds since the last page

Pages = Iterator[tuple[list[Change], bool]]  # and whether another one follows


class _Reading:
    """A snapshot, and which page is next."""

    def __init__(self, revision: int, txid: str, pages: Pages) -> None:
        self.revision, self.txid, self.pages = revision, txid, pages
        self.next = 0
        self.end = 0.0


class Snapshots:
    """Those that are being read; times are monotonic seconds."""

    def __init__(self) -> None:
        self._kept: dict[str, _Reading] = {}  # the one that was read last is the last
        self._names = map(str, count())
        self._life = secrets.token_hex(4)  # pages of another one mean nothing

    def begin(self, revision: int, txid: str, pages: Pages, now: float) -> Snapshot:
        """Return the first page of a snapshot."""
        return self._page(next(self._names), _Reading(revision, txid, pages), now)

    def follow(self, page: str, now: float) -> Snapshot:
        """Return the page that an answer named; raise CallError if it is kept no longer."""
        life, _, place = page.partition(".")
        name, _, number = place.partition(".")
        reading = self._kept.get(name) if life == self._life else None
        if reading is None or number != str(reading.next):
            reason = f"page {page!r} is not kept any more; begin anew"
            raise CallError(Failure(Code.CONFLICT, reason))
        return self._page(name, reading, now)

    def _page(self, name: str, reading: _Reading, now: float) -> Snapshot:
        changes, is_more = next(reading.pages)
        reading.next += 1
        reading.end = now + KEPT_FOR
        self._kept.pop(name, None)
        if is_more:
            self._kept[name] = reading
        self._forget(now)
        following = f"{self._life}.{name}.{reading.next}" if is_more else ""
        return Snapshot(reading.revision, reading.txid, changes, following)

    def _forget(self, now: float) -> None:
        over = [name for name, reading in self._kept.items() if reading.end < now]
        too_many = list(self._kept)[: max(0, len(self._kept) - MAX_KEPT)]
        for name in {*over, *too_many}:
            del self._kept[name]
