"""The store of one host: a local SQLite file.

How: WAL with synchronous=FULL, so that what was acknowledged survives kill -9
and power cuts, and a file that was cut short is repaired when it is opened.
Cost: one write to disk for a commit.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from . import KEPT, Commit, Conflict, EngineError, Gap, Unreadable, Value, Writes

VERSION = 2

TABLES = """
CREATE TABLE item (key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE log (revision INTEGER PRIMARY KEY, writes BLOB NOT NULL);
"""
HIGHEST = "\U0010ffff"  # sorts behind every key that begins alike


class SqliteEngine:
    """See engines.Engine."""

    shared = False

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path
        self._lock = _lock(path)
        self._changed = threading.Condition()  # guards the database too
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._open()
        except sqlite3.DatabaseError as error:
            os.close(self._lock)
            raise Unreadable(f"{path} cannot be used: {error}") from error

    def _open(self) -> None:
        os.chmod(self._path, 0o600)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            script = f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version={VERSION}; COMMIT"
            self._db.executescript(script)
        elif version != VERSION:
            raise sqlite3.DatabaseError(f"its version is {version}, this is {VERSION}")

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        with self._changed:
            if self._lock >= 0:
                self._db.close()
                os.close(self._lock)
                self._lock = -1

    def get(self, keys: Iterable[str]) -> dict[str, Value]:
        """Return those of the keys that are there."""
        found: dict[str, Value] = {}
        with self._transaction("DEFERRED"):
            for key in keys:
                query = "SELECT value, revision FROM item WHERE key = ?"
                if row := self._db.execute(query, (key,)).fetchone():
                    found[key] = Value(*row)
        return found

    def below(self, prefix: str) -> tuple[int, dict[str, Value]]:
        """Return the newest revision, and all keys that begin with *prefix*."""
        query = "SELECT key, value, revision FROM item WHERE key >= ? AND key < ? ORDER BY key"
        with self._transaction("DEFERRED"):
            rows = self._db.execute(query, (prefix, prefix + HIGHEST)).fetchall()
            return self._newest(), {key: Value(*value) for key, *value in rows}

    def commit(self, reads: Mapping[str, int], writes: Writes) -> int | Conflict:
        """Write all if everything that was read is still of its revision, or nothing."""
        with self._transaction("IMMEDIATE"):
            for key, revision in reads.items():
                found = self._revision_of(key)
                if found != revision:
                    return Conflict(key, found)
            number = self._newest() + 1
            self._write(number, writes)
            self._changed.notify_all()
        return number

    def _write(self, number: int, writes: Writes) -> None:
        gone = [(key,) for key, data in writes.items() if data is None]
        kept = [(key, data, number) for key, data in writes.items() if data is not None]
        self._db.executemany("DELETE FROM item WHERE key = ?", gone)
        self._db.executemany("REPLACE INTO item VALUES (?, ?, ?)", kept)
        logged = number, msgspec.msgpack.encode(writes)
        self._db.execute("INSERT INTO log VALUES (?, ?)", logged)
        self._db.execute("DELETE FROM log WHERE revision <= ?", (number - KEPT,))

    def watch(self, prefix: str, since: int, wait: float) -> list[Commit]:
        """Return the commits after revision *since*; wait for the first."""
        with self._changed:
            self._changed.wait_for(lambda: self._lock < 0 or self._newest() != since, wait)
        with self._transaction("DEFERRED"):
            newest = self._newest()
            query = "SELECT revision, writes FROM log WHERE revision > ? ORDER BY revision"
            rows = self._db.execute(query, (since,)).fetchall()
        if len(rows) != newest - since:
            raise Gap(f"{self._path} is at revision {newest}, and has not all since {since}")
        return [Commit(number, chosen(blob, prefix)) for number, blob in rows]

    def _newest(self) -> int:
        (number,) = self._db.execute("SELECT coalesce(max(revision), 0) FROM log").fetchone()
        return int(number)

    def _revision_of(self, key: str) -> int:
        row = self._db.execute("SELECT revision FROM item WHERE key = ?", (key,)).fetchone()
        return row[0] if row else 0

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[None]:
        try:
            with self._changed:
                self._db.execute(f"BEGIN {kind}")
                try:
                    yield
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise EngineError(f"the data file {self._path} cannot be used: {error}") from error


def chosen(blob: bytes, prefix: str) -> Writes:
    """Return of writes, as they were logged, those that begin with *prefix*."""
    writes = msgspec.msgpack.decode(blob, type=dict[str, bytes | None])
    return {key: data for key, data in writes.items() if key.startswith(prefix)}


def _lock(path: Path) -> int:
    """Keep other processes from the file; the lock ends with the process."""
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise Unreadable(f"{path} is used by another process") from None
    return lock
