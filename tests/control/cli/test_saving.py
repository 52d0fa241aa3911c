"""Files are replaced as a whole."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TextIO

import pytest
from stores.nursery import Nursery

from raicho.control.cli.saving import replace

KILLS = 100


def write(words: list[str], out: TextIO) -> None:
    """Save for ever, and tell of each save that was acknowledged."""
    path = Path(words[0])
    n = json.loads(path.read_text())["first"] if path.exists() else 0
    while True:
        n += 1
        replace(path, json.dumps({"first": n, "filling": [n] * 20_000, "last": n}))
        print(n, file=out)


def when_saved(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def test_kill_9_during_a_save_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """D2: a hundred times; what was acknowledged is there, and never a mix."""
    path = tmp_path / "startup.json"
    rng = random.Random(1)
    acknowledged = 0
    with Nursery(f"{__name__}:write") as nursery:
        for _ in range(KILLS):
            before = when_saved(path)
            nursery.start(str(path))
            while when_saved(path) == before:
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.02))
            told = nursery.kill().split(b"\n")[:-1]
            acknowledged = int(told[-1]) if told else acknowledged
            found = json.loads(path.read_text())
            assert found["first"] in (acknowledged, acknowledged + 1)
            acknowledged = found["first"]
            assert set(found["filling"]) == {acknowledged} == {found["last"]}
            assert len(found["filling"]) == 20_000
    assert acknowledged >= KILLS
    assert len(list(tmp_path.iterdir())) <= 2, "the draft of the last save at most"
    replace(path, "{}")
    assert [each.name for each in tmp_path.iterdir()] == ["startup.json"]


def test_two_that_save_at_once_leave_one_of_both(tmp_path: Path) -> None:
    path = tmp_path / "startup.json"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    program = f"import sys; from {__name__} import write; write(sys.argv[1:], sys.stdout)"
    command = [sys.executable, "-u", "-c", program, str(path)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in range(3)]
    try:
        for _ in range(20):
            for writer in writers:
                assert writer.stdout is not None
                assert writer.stdout.readline()
                found = json.loads(path.read_text())
                assert set(found["filling"]) == {found["first"]} == {found["last"]}
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()


def test_the_new_file_has_the_mode_of_the_old_one(tmp_path: Path) -> None:
    """And nobody else reads one that was not there before; a link stays a link."""
    path, link = tmp_path / "a.json", tmp_path / "link.json"
    replace(path, "1")
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    link.symlink_to(path)
    replace(link, "2")
    assert link.is_symlink()
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("2", 0o640)


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    replace(path, "old")
    with pytest.raises(UnicodeEncodeError):
        replace(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
