"""What the repository promises about its own shape."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_LINES = 800
WRITABLE = re.compile(r"\.bss.*|\.data(?!\.rel\.ro).*|\.t(data|bss).*|\*COM\*")
SOURCES = [
    path
    for pattern in ("cext/**/*.[ch]", "{}/**/*.py", "{}/**/*.pyx", "{}/**/*.pxd")
    for plane in (["cext"] if pattern.startswith("cext") else ["control", "dataplane"])
    for path in sorted(ROOT.glob(pattern.format(plane)))
]


def _library() -> Path:
    found = sorted((ROOT / "build").glob("temp.*/libraichocore.a"))
    assert found, "the core is not built: run `make build`"
    return max(found, key=lambda path: path.stat().st_mtime)


def test_the_core_holds_no_mutable_state() -> None:
    """Every extension links its own copy of the core, so a global would be many."""
    nm = subprocess.run(
        ["nm", "--defined-only", "--format=sysv", str(_library())],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split("|") for line in nm.stdout.splitlines() if line.count("|") == 6]
    mutable = [row[0].strip() for row in rows if WRITABLE.fullmatch(row[6].strip())]
    assert mutable == []


def test_the_core_knows_nothing_of_python() -> None:
    users = [
        path.name for path in ROOT.glob("cext/**/*.[ch]") if "Python.h" in path.read_text("utf-8")
    ]
    assert users == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_stays_under_the_hard_limit(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES


def test_every_package_folder_is_found_by_setuptools() -> None:
    """A folder with Python in it but no __init__.py would be missing from the wheel."""
    lost = {
        str(path.parent.relative_to(ROOT))
        for plane in ("control", "dataplane")
        for path in ROOT.glob(f"{plane}/**/*.py")
        if not (path.parent / "__init__.py").exists()
    }
    assert lost == set()
