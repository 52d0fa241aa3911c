"""A copy of a part of the configuration, which follows every commit.

It begins with a snapshot and goes on with the events of commits, which have
consecutive revisions.  What does not follow from what is held, because events
were lost or the datastore began anew, leads to another snapshot.  As the last
event may be the one that is lost, the datastore is asked now and then.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

import msgspec
import zmq

from .client import ControlClient
from .datastore import Committed
from .events import Gap
from .failure import CallError
from .notices import GetSnapshot, Snapshot
from .path import lies_below, parse_path
from .subscriber import Event, Subscriber
from .types import Change

TOPIC = "config.committed"
LOOK = 1.0  # seconds between questions whether something was missed

OnChange = Callable[[int, list[Change]], None]


async def read_snapshot(
    datastore: ControlClient, path: str = "/", known: str = "", timeout: float = 5.0
) -> Snapshot:
    """Return a snapshot with the changes of all its pages, or raise CallError.

    *timeout* is in seconds, for each page.
    """
    first = page = await datastore.call(GetSnapshot(path, known), timeout)
    if first.changes is None:
        return first
    changes = [*first.changes]
    while page.page:
        page = await datastore.call(GetSnapshot(path, page=page.page), timeout)
        changes += page.changes or ()
    return msgspec.structs.replace(first, changes=changes, page="")


class Follower:
    """Follow what lies at and below *path*; make it inside a running loop.

    *on_change* hears of each revision that changes something there, in order:
    first the snapshot, as changes from nothing.  `cells` is what has been
    heard, by path; `revision` is -1 before the snapshot.
    """

    def __init__(
        self,
        context: zmq.SyncContext,
        bus: str,
        datastore: ControlClient,
        path: str = "/",
        on_change: OnChange = lambda revision, changes: None,
        *,
        look: float = LOOK,
    ) -> None:
        self.revision = -1
        self.snapshots = 0
        self._cells: dict[str, Any] = {}
        self._txid = ""
        self._datastore = datastore
        self._path, self._top = path, parse_path(path)
        self._on_change = on_change
        self._look = look
        self._events: deque[Committed] = deque()
        self._is_behind = True
        self._wake = asyncio.Event()
        self._subscriber = Subscriber(context, bus, [TOPIC], self._hear, on_gap=self._miss)
        self._task = asyncio.create_task(self._follow())

    @property
    def cells(self) -> Mapping[str, Any]:
        """What lies there: entries (their keys) and leaves, by path."""
        return MappingProxyType(self._cells)

    def close(self) -> None:
        """Stop following; what is held stays."""
        self._subscriber.close()
        self._task.cancel()

    def _hear(self, event: Event) -> None:
        if event.topic == TOPIC and isinstance(event.body, Committed):
            self._events.append(event.body)
            self._wake.set()

    def _miss(self, gap: Gap) -> None:
        self._is_behind = True
        self._wake.set()

    async def _follow(self) -> None:
        while True:
            if self._is_behind:
                await self._catch_up()
            while self._events:
                self._take(self._events.popleft())
            if not self._wake.is_set() and not await self._woken():
                self._is_behind = True  # perhaps: nothing was heard for a while
            self._wake.clear()

    async def _woken(self) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._look):
                return await self._wake.wait()
        return False

    async def _catch_up(self) -> None:
        self._is_behind = False  # what is missed from now on may not be in the snapshot
        try:
            snapshot = await read_snapshot(self._datastore, self._path, self._txid)
        except CallError:  # it is asked again soon
            self._is_behind = True
            return
        if snapshot.changes is not None:
            self.snapshots += 1
            new = {change.path: change.new for change in snapshot.changes}
            gone = [Change(p, v) for p, v in reversed(self._cells.items()) if p not in new]
            come = [
                Change(path, self._cells.get(path), value)
                for path, value in new.items()
                if path not in self._cells or self._cells[path] != value
            ]
            self._apply(snapshot.revision, [*gone, *come])
        self.revision, self._txid = snapshot.revision, snapshot.txid

    def _take(self, commit: Committed) -> None:
        if commit.revision <= self.revision:
            return  # the snapshot had it
        if commit.revision != self.revision + 1:
            self._is_behind = True
            self._wake.set()
            return
        self._apply(commit.revision, self._seen(commit.changes))
        self.revision, self._txid = commit.revision, commit.txid

    def _seen(self, changes: Iterable[Change]) -> list[Change]:
        return [change for change in changes if lies_below(parse_path(change.path), self._top)]

    def _apply(self, revision: int, changes: list[Change]) -> None:
        for change in changes:
            if change.new is None:
                self._cells.pop(change.path, None)
            else:
                self._cells[change.path] = change.new
        self.revision = revision
        if changes:
            self._on_change(revision, changes)
