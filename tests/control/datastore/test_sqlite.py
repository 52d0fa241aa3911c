"""The data file, and what is kept in it."""

import random
import sqlite3
import time
from pathlib import Path
from typing import TextIO

import pytest
from stores.nursery import Nursery

from raicho.control.datastore.archive import Archive, Record, Stamp
from raicho.control.datastore.engines import Conflict, EngineError
from raicho.control.datastore.engines.sqlite import SqliteEngine, Unreadable
from raicho.control.datastore.yang import Module
from raicho.control.message import Change

KILLS = 30


def record(txid: str, *changes: Change) -> Record:
    return Record(Stamp(txid, "me", 1.5, "why"), list(changes), ["dataplane"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "config.db"


def test_what_was_committed_is_there_when_opened_again(path: Path) -> None:
    """K2: and the file is nobody else's to read."""
    engine = SqliteEngine(path)
    archive = Archive(engine)
    old, new = Change("/a", None, 2**64 - 1), Change("/b", None, {"k": "ü"})
    assert archive.commit(record("one", old, new)) == 1
    assert archive.commit(record("two", Change("/b", {"k": "ü"}, None))) == 2
    engine.close()

    engine = SqliteEngine(path)
    archive = Archive(engine)
    assert archive.revision == 2
    assert archive.cells == {"/a": 2**64 - 1}
    newest, oldest = archive.history(10)
    assert (newest.number, newest.stamp) == (2, Stamp("two", "me", 1.5, "why"))
    assert newest.changes == [Change("/b", {"k": "ü"}, None)]
    assert oldest.changes == [old, new]
    assert [past.number for past in archive.history(1)] == [2]
    assert archive.history(0) == []
    assert path.stat().st_mode & 0o777 == 0o600
    engine.close()


def test_the_log_lasts_until_the_transaction_is_over(path: Path) -> None:
    """T4: what a restart needs to finish it."""
    one, two = record("one", Change("/a", None, 1)), record("two")
    engine = SqliteEngine(path)
    archive = Archive(engine)
    archive.log("prepare", one)
    archive.log("commit", one)
    engine.close()

    engine = SqliteEngine(path)
    archive = Archive(engine)
    assert archive.unresolved() == [("commit", one)]
    archive.commit(one)
    assert archive.unresolved() == []
    archive.log("prepare", two)
    archive.end()
    assert archive.unresolved() == []
    assert (archive.revision, archive.cells) == (1, {"/a": 1})
    engine.close()


def test_modules_and_participants_are_kept(path: Path) -> None:
    engine = SqliteEngine(path)
    archive = Archive(engine)
    archive.add_modules([Module("m", "2026-01-01", "old")])
    archive.add_modules([Module("m", "2027-01-01", "new")])
    archive.add_participant("dataplane", b"1")
    archive.add_participant("bus", b"2")
    archive.remove_participant("bus")
    engine.close()

    engine = SqliteEngine(path)
    archive = Archive(engine)
    assert archive.modules == [Module("m", "2027-01-01", "new")]
    assert archive.participants == {"dataplane": b"1"}
    engine.close()


def test_a_file_that_cannot_be_read_is_an_error_that_says_so(path: Path) -> None:
    """M21: no empty answer."""
    engine = SqliteEngine(path)
    database = sqlite3.connect(path)
    database.execute("DROP TABLE item")
    database.close()
    with pytest.raises(EngineError, match=r"config\.db cannot be used"):
        engine.below("/")
    engine.close()


def test_a_file_that_another_process_has_is_refused(path: Path) -> None:
    engine = SqliteEngine(path)
    with pytest.raises(Unreadable, match="used by another process"):
        SqliteEngine(path)
    engine.close()
    SqliteEngine(path).close()


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(Unreadable, match="cannot be used"):
        SqliteEngine(path)
    assert path.read_bytes().startswith(b"no database")


def test_a_file_of_a_later_version_is_refused(path: Path) -> None:
    SqliteEngine(path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(Unreadable, match="99"):
        SqliteEngine(path)


def write(words: list[str], out: TextIO) -> None:
    """Commit for ever, and tell of each commit that was acknowledged."""
    engine = SqliteEngine(Path(words[0]))
    n: int | Conflict = engine.below("/")[0]
    while isinstance(n, int):
        n = engine.commit({}, {f"/c/l{i}": b"%d" % (n + 1) for i in range(20)})
        print(n, file=out)


def kill_again_and_again(path: Path, times: int) -> None:
    rng = random.Random(1)
    acknowledged = 0
    with Nursery(f"{__name__}:write") as nursery:
        for _ in range(times):
            nursery.start(str(path))
            time.sleep(rng.uniform(0.005, 0.1))
            told = nursery.kill().split(b"\n")[:-1]
            acknowledged = int(told[-1]) if told else acknowledged
            engine = SqliteEngine(path)
            newest, found = engine.below("/c/")
            assert newest in (acknowledged, acknowledged + 1)
            acknowledged = newest
            assert {value.data for value in found.values()} <= {b"%d" % newest}
            assert len(found) == (20 if newest else 0)
            engine.close()
    assert acknowledged > 0


def test_kill_9_at_any_time_leaves_the_last_acknowledged_commit(tmp_path: Path) -> None:
    """K1, K2: no commit is lost, and none is there in part."""
    kill_again_and_again(tmp_path / "config.db", KILLS)


@pytest.mark.soak
def test_kill_9_a_thousand_times(tmp_path: Path) -> None:
    """K1, K2."""
    kill_again_and_again(tmp_path / "config.db", 1000)
