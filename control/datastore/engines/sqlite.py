"""The configuration in one local SQLite file.

What: cells, revisions with who and when, the coordinator's log, the modules and
the participants that are known.
How: WAL with synchronous=FULL, so that what was acknowledged survives kill -9
and power cuts, and a file that was cut short is repaired when it is opened.
Cost: two or three writes to disk for a transaction.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from ...message.types import Change
from ..yang import Module
from . import Cell, Conflict, Listener, Past, Stamp, Writes

VERSION = 1

TABLES = """
CREATE TABLE cell (path TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE revision (number INTEGER PRIMARY KEY, stamp BLOB NOT NULL);
CREATE TABLE change (revision INTEGER NOT NULL, path TEXT NOT NULL, old BLOB, new BLOB,
    PRIMARY KEY (revision, path)) WITHOUT ROWID;
CREATE TABLE decision (txid TEXT PRIMARY KEY, state TEXT NOT NULL, record BLOB NOT NULL)
    WITHOUT ROWID;
CREATE TABLE module (name TEXT PRIMARY KEY, revision TEXT NOT NULL, text TEXT NOT NULL)
    WITHOUT ROWID;
CREATE TABLE participant (name TEXT PRIMARY KEY, registration BLOB NOT NULL) WITHOUT ROWID;
"""


class Record(msgspec.Struct, frozen=True):
    """What the log must hold to finish a transaction without its coordinator."""

    stamp: Stamp
    reads: dict[str, int]
    writes: dict[str, Any]
    participants: list[str]


class Unreadable(OSError):
    """A file that is no data file of this version, or that another process has."""


class SqliteEngine:
    """See engines.Engine; the methods beyond it are the log and the two registers."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _lock(path)
        self._listeners: list[Listener] = []
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._open(path)
        except sqlite3.DatabaseError as error:
            os.close(self._lock)
            raise Unreadable(f"{path} cannot be used: {error}") from error

    def _open(self, path: Path) -> None:
        os.chmod(path, 0o600)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        version = self._one("PRAGMA user_version")
        if version == 0:
            script = f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version={VERSION}; COMMIT"
            self._db.executescript(script)
        elif version != VERSION:
            raise sqlite3.DatabaseError(f"its version is {version}, this is {VERSION}")
        self._revision: int = self._one("SELECT coalesce(max(number), 0) FROM revision")

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        if self._lock >= 0:
            self._db.close()
            os.close(self._lock)
            self._lock = -1

    def _one(self, query: str, *values: object) -> Any:
        row = self._db.execute(query, values).fetchone()
        return None if row is None else row[0]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # Cells.

    @property
    def revision(self) -> int:
        """The newest revision; 0 before the first."""
        return self._revision

    def get(self, below: str = "/") -> dict[str, Cell]:
        """Return the cells at and below a path, in the order of their paths."""
        top = below.rstrip("/")
        rows = self._db.execute(
            "SELECT path, value, revision FROM cell"
            " WHERE substr(path, 1, ?) = ? AND substr(path, ?, 1) IN ('', '/', '[')"
            " ORDER BY path",
            (len(top), top, len(top) + 1),
        )
        return {path: Cell(_decode(value), revision) for path, value, revision in rows}

    def commit(self, reads: Mapping[str, int], writes: Writes, stamp: Stamp) -> int | Conflict:
        """Write all cells if those read are unchanged, and end the transaction in the log."""
        with self._transaction():
            for path, revision in reads.items():
                found = self._one("SELECT revision FROM cell WHERE path = ?", path) or 0
                if found != revision:
                    return Conflict(path, found)
            number = self._revision + 1
            self._write(number, writes)
            row = number, _encode(stamp)
            self._db.execute("INSERT INTO revision (number, stamp) VALUES (?, ?)", row)
            self._db.execute("DELETE FROM decision WHERE txid = ?", (stamp.txid,))
        self._revision = number
        for listener in self._listeners:
            listener(number, writes)
        return number

    def _write(self, number: int, writes: Writes) -> None:
        for path, value in writes.items():
            old = self._one("SELECT value FROM cell WHERE path = ?", path)
            new = None if value is None else _encode(value)
            self._db.execute("INSERT INTO change VALUES (?, ?, ?, ?)", (number, path, old, new))
            if new is None:
                self._db.execute("DELETE FROM cell WHERE path = ?", (path,))
            else:
                self._db.execute("REPLACE INTO cell VALUES (?, ?, ?)", (path, new, number))

    def watch(self, listener: Listener) -> None:
        """Call *listener* with the revision and the writes of every commit from now on."""
        self._listeners.append(listener)

    def history(self, limit: int) -> list[Past]:
        """Return the last revisions, the newest first."""
        query = "SELECT number, stamp FROM revision ORDER BY number DESC LIMIT ?"
        rows = self._db.execute(query, (max(limit, 0),)).fetchall()
        return [
            Past(number, msgspec.json.decode(stamp, type=Stamp), self._changes(number))
            for number, stamp in rows
        ]

    def _changes(self, number: int) -> list[Change]:
        query = "SELECT path, old, new FROM change WHERE revision = ? ORDER BY path"
        rows = self._db.execute(query, (number,))
        return [Change(path, _decode(old), _decode(new)) for path, old, new in rows]

    # The coordinator's log.

    def log(self, state: str, record: Record) -> None:
        """Say durably how far a transaction has come."""
        row = record.stamp.txid, state, _encode(record)
        with self._transaction():
            self._db.execute("REPLACE INTO decision VALUES (?, ?, ?)", row)

    def end(self, txid: str) -> None:
        """Forget a transaction that is over and changed nothing."""
        with self._transaction():
            self._db.execute("DELETE FROM decision WHERE txid = ?", (txid,))

    def unresolved(self) -> list[tuple[str, Record]]:
        """Return the transactions that a crash has left, with their states."""
        rows = self._db.execute("SELECT state, record FROM decision")
        return [(state, msgspec.json.decode(record, type=Record)) for state, record in rows]

    # What is known of the components.

    def modules(self) -> list[Module]:
        """Return the modules that components have brought."""
        rows = self._db.execute("SELECT name, revision, text FROM module ORDER BY name")
        return [Module(*row) for row in rows]

    def add_modules(self, modules: list[Module]) -> None:
        """Keep modules, in the place of older ones."""
        with self._transaction():
            for module in modules:
                row = msgspec.structs.astuple(module)
                self._db.execute("REPLACE INTO module VALUES (?, ?, ?)", row)

    def participants(self) -> list[bytes]:
        """Return the registrations of participants that have not left."""
        rows = self._db.execute("SELECT registration FROM participant ORDER BY name")
        return [registration for (registration,) in rows]

    def add_participant(self, name: str, registration: bytes) -> None:
        """Keep a participant's registration."""
        if self._one("SELECT registration FROM participant WHERE name = ?", name) == registration:
            return
        with self._transaction():
            row = name, registration
            self._db.execute("REPLACE INTO participant VALUES (?, ?)", row)

    def remove_participant(self, name: str) -> None:
        """Forget a participant that has left."""
        with self._transaction():
            self._db.execute("DELETE FROM participant WHERE name = ?", (name,))


def _lock(path: Path) -> int:
    """Keep other processes from the file; the lock ends with the process."""
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise Unreadable(f"{path} is used by another process") from None
    return lock


def _encode(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _decode(blob: bytes | None) -> Any:
    return None if blob is None else msgspec.json.decode(blob)
