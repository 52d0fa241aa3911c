"""What tests of benchmarks share."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
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
