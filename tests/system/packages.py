"""Controllers that want other packages than raicho: an environment for each, made once."""

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from .switch import ROOT

REQUIREMENTS = Path(__file__).with_name("requirements")
PLACE = ROOT / "build"


def environment_of(name: str) -> Path:
    """Return the folder of the programs that `requirements/NAME.txt` brings; skip if it cannot."""
    wanted = (REQUIREMENTS / f"{name}.txt").read_text()
    place = PLACE / name
    stamp = place / "requirements.txt"
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed
        if not stamp.exists() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)  # an installation that fails leaves nothing that counts
            _install(place / "venv", REQUIREMENTS / f"{name}.txt")
            stamp.write_text(wanted)
    return place / "venv" / "bin"


def _install(venv: Path, requirements: Path) -> None:
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "-q", "--retries", "1"]
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(venv)],
        [*pip, "--disable-pip-version-check", "--no-input", "-r", str(requirements)],
    ):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"needs the packages of {requirements.name}: {done.stderr.strip()[-500:]}")
