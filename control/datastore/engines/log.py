"""A store on top of a service that keeps small nodes: a log of commits, of which each host has
the sum in memory.

What: nodes log/NUMBER, one for each commit, without a gap; chunk/ID/N for what is too large for
one node; snapshot/NUMBER, the sum of all up to there.
How: to commit is to make the node that comes next, if the one before is still there and nobody
else was quicker; then one reads what the other wrote, checks again, and tries the next. So a
commit of any size is one node that is there or not: its chunks are written before.
Every KEPT commits, who made the last one writes a snapshot and removes what lies KEPT before it.
"""

import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import msgspec

from . import KEPT, Commit, Conflict, Gap, Value, Writes

CHUNK = 512 * 1024  # bytes in a node: etcd takes 1.5 MB in a request, ZooKeeper 1 MB in a node


class Nodes(Protocol):
    """The service; all but wait() may raise EngineError."""

    def get(self, name: str) -> bytes | None:
        """Return a node, or None if there is none."""

    def put(self, name: str, data: bytes) -> None:
        """Write a node; one that is there stays as it is."""

    def append(self, name: str, data: bytes, after: str) -> bool:
        """Make a node if it is not there and *after* is; tell whether that was done."""

    def remove(self, name: str) -> None:
        """Remove a node, if it is there."""

    def names(self, folder: str) -> list[str]:
        """Return the names of the nodes in a folder, without its own."""

    def wait(self, name: str, seconds: float) -> None:
        """Return when a node is there, or something went wrong, or the time is over."""

    def close(self) -> None: ...


class LogEngine:
    """See engines.Engine."""

    shared = True

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._items: dict[str, Value] = {}
        self._revision = 0
        self._guard = threading.Lock()
        self._load()

    def close(self) -> None:
        """Leave the service."""
        self._nodes.close()

    def get(self, keys: Iterable[str]) -> dict[str, Value]:
        """Return those of the keys that are there."""
        with self._guard:
            self._catch_up()
            return {key: self._items[key] for key in keys if key in self._items}

    def below(self, prefix: str) -> tuple[int, dict[str, Value]]:
        """Return the newest revision, and all keys that begin with *prefix*."""
        with self._guard:
            self._catch_up()
            keys = sorted(key for key in self._items if key.startswith(prefix))
            return self._revision, {key: self._items[key] for key in keys}

    def commit(self, reads: Mapping[str, int], writes: Writes) -> int | Conflict:
        """Write all if everything that was read is still of its revision, or nothing."""
        head = self._stored(msgspec.msgpack.encode(writes))
        with self._guard:
            if self._conflict(reads):
                self._catch_up()  # what was read may be newer than what is known here
            while not (conflict := self._conflict(reads)):
                number = self._revision + 1
                if self._nodes.append(_entry(number), head, after=_entry(number - 1)):
                    self._apply(number, writes)
                    if number % KEPT == 0:
                        self._save()
                    return number
                self._catch_up()
        self._drop_chunks(head)
        return conflict

    def watch(self, prefix: str, since: int, wait: float) -> list[Commit]:
        """Return the commits after revision *since*; wait for the first."""
        entries = list(self._entries(since))
        if not entries:
            self._nodes.wait(_entry(since + 1), wait)
            entries = list(self._entries(since))
        return [
            Commit(number, {key: data for key, data in writes.items() if key.startswith(prefix)})
            for number, writes in entries
        ]

    # The sum.

    def _conflict(self, reads: Mapping[str, int]) -> Conflict | None:
        for key, revision in reads.items():
            found = self._items[key].revision if key in self._items else 0
            if found != revision:
                return Conflict(key, found)
        return None

    def _apply(self, number: int, writes: Writes) -> None:
        for key, data in writes.items():
            if data is None:
                self._items.pop(key, None)
            else:
                self._items[key] = Value(data, number)
        self._revision = number

    def _catch_up(self) -> None:
        try:
            for number, writes in self._entries(self._revision):
                self._apply(number, writes)
        except Gap:
            self._load()

    def _load(self) -> None:
        numbers = sorted(self._nodes.names("snapshot"))
        blob = self._fetch(f"snapshot/{numbers[-1]}") if numbers else None
        if blob is None:
            self._nodes.put(_entry(0), b"=" + msgspec.msgpack.encode({}))
            self._items, self._revision = {}, 0
        else:
            self._items, self._revision = msgspec.msgpack.decode(
                blob, type=tuple[dict[str, Value], int]
            )
        for number, writes in self._entries(self._revision):
            self._apply(number, writes)

    # The nodes.

    def _entries(self, after: int) -> Iterator[tuple[int, Writes]]:
        """Yield the commits after a revision; raise Gap if they do not follow upon it."""
        number = after
        while (blob := self._fetch(_entry(number + 1))) is not None:
            number += 1
            yield number, msgspec.msgpack.decode(blob, type=dict[str, bytes | None])
        if number == after and self._nodes.get(_entry(after)) is None:
            raise Gap(f"there is no commit {after} any more")

    def _stored(self, data: bytes) -> bytes:
        """Return what stands for *data* in one node; if that is too much, write it in chunks."""
        if len(data) <= CHUNK:
            return b"=" + data
        name, count = secrets.token_hex(16), -(-len(data) // CHUNK)
        for chunk in range(count):
            self._nodes.put(f"chunk/{name}-{chunk}", data[chunk * CHUNK : (chunk + 1) * CHUNK])
        return b"+" + msgspec.msgpack.encode((name, count))

    def _fetch(self, name: str) -> bytes | None:
        """Return what a node stands for; None if it is not there, or about to go."""
        head = self._nodes.get(name)
        if head is None or head[:1] == b"=":
            return head and head[1:]
        chunks = [self._nodes.get(chunk) for chunk in _chunks(head)]
        return None if None in chunks else b"".join(chunk for chunk in chunks if chunk)

    def _drop_chunks(self, head: bytes) -> None:
        for chunk in _chunks(head):
            self._nodes.remove(chunk)

    def _save(self) -> None:
        """Write a snapshot, and remove what nobody needs any more."""
        blob = msgspec.msgpack.encode((self._items, self._revision))
        newest = f"{self._revision:012}"
        self._nodes.put(f"snapshot/{newest}", self._stored(blob))
        old = [f"snapshot/{name}" for name in self._nodes.names("snapshot") if name < newest]
        oldest = _entry(self._revision - KEPT)
        old += [entry for name in self._nodes.names("log") if (entry := f"log/{name}") < oldest]
        for name in old:
            head = self._nodes.get(name)
            self._nodes.remove(name)
            self._drop_chunks(head or b"")


def _entry(number: int) -> str:
    return f"log/{number:012}"


def _chunks(head: bytes) -> list[str]:
    if head[:1] != b"+":
        return []
    name, count = msgspec.msgpack.decode(head[1:], type=tuple[str, int])
    return [f"chunk/{name}-{chunk}" for chunk in range(count)]
