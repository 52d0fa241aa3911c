"""The data file."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from raicho.control.datastore.engines import Cell, Conflict, Stamp
from raicho.control.datastore.engines.sqlite import Record, SqliteEngine, Unreadable
from raicho.control.datastore.yang import Module

KILLS = 30
WRITER = """
import sys
from pathlib import Path
from raicho.control.datastore.engines import Stamp
from raicho.control.datastore.engines.sqlite import SqliteEngine

engine = SqliteEngine(Path(sys.argv[1]))
while True:
    n = engine.revision + 1
    writes = {f"/c/l{i}": n for i in range(20)}
    engine.commit({}, writes, Stamp(f"t{n}", "writer", 0.0))
    print(n, flush=True)
"""


def stamp(txid: str = "t") -> Stamp:
    return Stamp(txid, "me", 1.5, "why")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "config.db"


def test_what_was_committed_is_there_when_opened_again(path: Path) -> None:
    """K2: and the file is nobody else's to read."""
    engine = SqliteEngine(path)
    assert engine.commit({}, {"/a": 2**64 - 1, "/b": {"k": "ü"}}, stamp()) == 1
    assert engine.commit({"/a": 1}, {"/b": None, "/c": [True, "x"]}, stamp()) == 2
    engine.close()

    engine = SqliteEngine(path)
    assert engine.revision == 2
    assert engine.get() == {"/a": Cell(2**64 - 1, 1), "/c": Cell([True, "x"], 2)}
    assert path.stat().st_mode & 0o777 == 0o600
    engine.close()


def test_a_cell_that_was_written_since_is_a_conflict(path: Path) -> None:
    """K4: and nothing of the transaction is written."""
    engine = SqliteEngine(path)
    engine.commit({}, {"/a": 1}, stamp())
    engine.commit({"/a": 1}, {"/a": 2}, stamp())
    assert engine.commit({"/a": 1, "/b": 0}, {"/b": 1}, stamp()) == Conflict("/a", 2)
    assert engine.commit({"/a": 0}, {"/b": 1}, stamp()) == Conflict("/a", 2)
    assert engine.get() == {"/a": Cell(2, 2)}
    assert engine.revision == 2
    engine.close()


def test_get_takes_whole_names(path: Path) -> None:
    engine = SqliteEngine(path)
    engine.commit({}, {"/a": 1, "/a/b": 2, "/a[k='1']": 3, "/ab": 4}, stamp())
    assert list(engine.get("/a")) == ["/a", "/a/b", "/a[k='1']"]
    engine.close()


def test_history_has_who_when_and_what(path: Path) -> None:
    engine = SqliteEngine(path)
    heard: list[int] = []
    engine.watch(lambda revision, writes: heard.append(revision))
    engine.commit({}, {"/a": 1}, stamp("one"))
    engine.commit({}, {"/a": None}, stamp("two"))
    newest, oldest = engine.history(10)
    assert (newest.number, newest.stamp) == (2, stamp("two"))
    assert [(c.path, c.old, c.new) for c in newest.changes] == [("/a", 1, None)]
    assert [(c.path, c.old, c.new) for c in oldest.changes] == [("/a", None, 1)]
    assert heard == [1, 2]
    assert [past.number for past in engine.history(1)] == [2]
    engine.close()


def test_the_log_lasts_until_the_transaction_is_over(path: Path) -> None:
    """T4: what a restart needs to finish it."""
    record = Record(stamp("one"), {"/a": 0}, {"/a": 1}, ["dataplane"])
    engine = SqliteEngine(path)
    engine.log("prepare", record)
    engine.log("commit", record)
    engine.close()

    engine = SqliteEngine(path)
    assert engine.unresolved() == [("commit", record)]
    engine.commit(record.reads, record.writes, record.stamp)
    assert engine.unresolved() == []
    engine.log("prepare", Record(stamp("two"), {}, {}, []))
    engine.end("two")
    assert engine.unresolved() == []
    engine.close()


def test_modules_and_participants_are_kept(path: Path) -> None:
    engine = SqliteEngine(path)
    engine.add_modules([Module("m", "2026-01-01", "old")])
    engine.add_modules([Module("m", "2027-01-01", "new")])
    engine.add_participant("dataplane", b"1")
    engine.add_participant("bus", b"2")
    engine.remove_participant("bus")
    engine.close()

    engine = SqliteEngine(path)
    assert engine.modules() == [Module("m", "2027-01-01", "new")]
    assert engine.participants() == [b"1"]
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


def test_kill_9_at_any_time_leaves_the_last_acknowledged_commit(tmp_path: Path) -> None:
    """K2: kill -9 in a loop; no commit is lost, and none is there in part."""
    path = tmp_path / "config.db"
    acknowledged = 0
    for round_ in range(KILLS):
        command = [sys.executable, "-c", WRITER, str(path)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as writer:
            assert writer.stdout is not None
            for _ in range(1 + round_ % 3):
                acknowledged = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            rest = writer.stdout.read().split(b"\n")[:-1]
            acknowledged = int(rest[-1]) if rest else acknowledged

        engine = SqliteEngine(path)
        assert engine.revision >= acknowledged
        values = {cell.value for cell in engine.get().values()}
        assert values == {engine.revision}
        engine.close()
    assert acknowledged >= KILLS
