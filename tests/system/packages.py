"""Controllers that want other packages than raicho: an environment for each, made once."""

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .switch import ROOT

REQUIREMENTS = Path(__file__).with_name("requirements")
PLACE = ROOT / "build"


def environment_of(name: str) -> Path:
    """Return the folder of the programs that `requirements/NAME.txt` brings; skip if it cannot."""
    return _made(name, _install) / "venv" / "bin"


def contents_of(name: str) -> Path:
    """Return the folder of what the packages of `requirements/NAME.txt` hold; skip if it cannot.

    What they rest on is left out: it would not fit to what raicho rests on.
    """
    return _made(name, _unpack) / "contents"


def _made(name: str, make: Callable[[Path, Path], None]) -> Path:
    """Return a place in which all of `requirements/NAME.txt` is, made anew if that has changed."""
    requirements = REQUIREMENTS / f"{name}.txt"
    wanted = requirements.read_text()
    place = PLACE / name
    stamp = place / "requirements.txt"
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed
        if not stamp.exists() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)  # an installation that fails leaves nothing that counts
            make(place, requirements)
            stamp.write_text(wanted)
    return place


PIP = ("-m", "pip", "install", "-q", "--retries", "1", "--disable-pip-version-check", "--no-input")


def _install(place: Path, requirements: Path) -> None:
    venv = place / "venv"
    _run(sys.executable, "-m", "venv", "--clear", str(venv))
    _run(str(venv / "bin" / "python"), *PIP, "-r", str(requirements))


def _unpack(place: Path, requirements: Path) -> None:
    target = place / "contents"
    shutil.rmtree(target, ignore_errors=True)
    _run(sys.executable, *PIP, "--no-deps", "--target", str(target), "-r", str(requirements))


def _run(*command: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs packages: {' '.join(command)}: {done.stderr.strip()[-500:]}")
