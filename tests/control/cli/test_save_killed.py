"""`raicho config save`, killed while it writes: the command as a process, with a datastore."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from raicho.control.cli.document import Document, write
from raicho.control.message import CommitSession, Edit, GetConfig, Register, Set

from .test_cli import call, ok, process, wait_for

MODULE = """module book { yang-version 1.1; namespace "urn:book"; prefix b; revision 2026-01-01;
  leaf text { type string; } }"""
SIZE = 100_000  # times four letters, so that writing takes a while
WITHIN = 3  # kills that must have fallen in the writing; others come too early or too late
MOST = 20  # times as many rounds until they have


def committed(processes: Any, n: int) -> str:
    """Make another configuration current; return the file that it is saved as."""
    call(processes, "datastore", Edit("s", [Set("/text", f"{n:04}" * SIZE)]))
    call(processes, "datastore", CommitSession("s"))
    return write(call(processes, "datastore", GetConfig()).data)


def sign(*paths: Path) -> list[tuple[int, int, int] | None]:
    """Return what changes when one of some files is written or takes another's place."""
    found: list[tuple[int, int, int] | None] = []
    for path in paths:
        try:
            stat = path.stat()
            found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
        except FileNotFoundError:
            found.append(None)
    return found


def saving(processes: Any, file: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "raicho.control.cli", "config", "save", str(file)]
    environment = processes.environment(RAICHO_RUN_DIR=str(processes.run_dir))
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def until_it_writes(saver: subprocess.Popen[bytes], *paths: Path) -> None:
    before = sign(*paths)
    while sign(*paths) == before and saver.poll() is None:
        os.sched_yield()


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.soak)], ids=str)
def test_kill_9_during_config_save_leaves_the_old_file_or_the_new_one(
    processes: Any, tmp_path: Path, kills: int
) -> None:
    """D2: never a mix, and the next save does not mind what was left."""
    processes.start("raicho.control.datastore", "--data", tmp_path / "config.db")
    wait_for(processes, "datastore")
    call(processes, "datastore", Register("book", "1", modules=[MODULE]))
    folder = tmp_path / "saved"
    folder.mkdir()
    file, draft = folder / "startup.json", folder / ".startup.json.new"
    rng = random.Random(kills)
    text = committed(processes, 0)
    with saving(processes, file) as saver:  # which is not killed, to see how long writing takes
        until_it_writes(saver, draft, file)
        began = time.monotonic()
        while sign(file) == [None] and saver.poll() is None:
            os.sched_yield()
        takes = time.monotonic() - began
    assert file.read_text() == text

    rounds = within = saved = 0
    while rounds < kills or (within < WITHIN and rounds < MOST * kills):
        rounds += 1
        old, text = file.read_text(), committed(processes, rounds)
        draft.unlink(missing_ok=True) if rounds % 2 else None
        with saving(processes, file) as saver:
            until_it_writes(saver, draft, file)
            time.sleep(rng.uniform(0, takes))
            saver.kill()
        found = file.read_text()
        assert found in (old, text)
        saved += found == text
        within += found == old and draft.exists()
        assert set(folder.iterdir()) <= {file, draft}
    print(f"{rounds} kills: {within} within the writing, {saved} after it")
    assert within >= WITHIN

    ok(process(processes, "config", "save", file))
    assert file.read_text() == text
    assert Document(text).data == call(processes, "datastore", GetConfig()).data
    assert list(folder.iterdir()) == [file]
