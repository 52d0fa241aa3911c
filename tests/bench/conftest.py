"""What tests of benchmarks share."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> str:
    """Run `python -m bench` with the code of this checkout; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "build" / "tree")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def users(folder: str) -> list[bytes]:
    """Return the commands of the processes that have *folder* for what is temporary."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"TMPDIR={folder}\0".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes())
        except OSError:  # it has ended
            continue
    return found


@pytest.fixture(autouse=True)
def nothing_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Give each test a folder for what is temporary: it is empty afterwards, and nobody uses it."""
    tmp_path_factory.getbasetemp()  # that of all tests is elsewhere
    with tempfile.TemporaryDirectory(prefix="rcb") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield
        assert os.listdir(folder) == []
        assert users(folder) == []


@pytest.fixture
def measure() -> Callable[..., list[dict[str, Any]]]:
    """Return a function that runs a benchmark once, and returns its rows."""

    def rows(name: str, *arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(run(name, "--json", "--runs", "1", *arguments))[
            "rows"
        ]
        return found

    return rows


@pytest.fixture
def bench() -> Callable[..., str]:
    """Return a function that runs `python -m bench`."""
    return run
