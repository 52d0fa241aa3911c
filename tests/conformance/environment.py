"""The environment of the tool: its packages are older than those that raicho is tested with."""

import json
import subprocess
import sys
from pathlib import Path

from system.switch import ROOT

PLACE = ROOT / "build" / "conformance"
PYTHON = PLACE / "venv" / "bin" / "python"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")

Files = dict[str, int]  # file of cases, relative to their folder -> how many there are in it


def prepare() -> None:
    """Make the environment, or bring it up to date."""
    stamp = PLACE / "requirements.txt"
    wanted = REQUIREMENTS.read_text()
    if stamp.exists() and stamp.read_text() == wanted and PYTHON.exists():
        return
    print(f"installing {REQUIREMENTS.name} into {PLACE.relative_to(ROOT)}/venv", flush=True)
    PLACE.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", PLACE / "venv"], check=True)
    pip = [str(PYTHON), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*pip, "-r", str(REQUIREMENTS)], check=True)
    stamp.write_text(wanted)


def folder() -> Path:
    """Find the cases."""
    (place,) = (PLACE / "venv").glob("lib/python*/site-packages/os_ken/tests/switch/of13")
    return place


def cases() -> Files:
    """Return all files of cases in their order, and how many cases are in each."""
    place = folder()
    return {str(path.relative_to(place)): _count(path) for path in sorted(place.rglob("*.json"))}


def _count(path: Path) -> int:
    """Count the cases of a file; a text between them is a title."""
    return sum(not isinstance(entry, str) for entry in json.loads(path.read_text()))
