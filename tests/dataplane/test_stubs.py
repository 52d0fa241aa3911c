"""The .pyi files say what the compiled modules have."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
TREE = str(ROOT / "build/tree")


def test_the_stubs_tell_the_truth() -> None:
    sources = (ROOT / "dataplane").glob("*.pyx")
    modules = [name for pyx in sources if find_spec(name := f"raicho.dataplane.{pyx.stem}")]
    allowed = Path(__file__).with_name("stubtest.txt")
    command = ["mypy.stubtest", "--ignore-disjoint-bases", "--allowlist", str(allowed), *modules]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env={**os.environ, "MYPYPATH": TREE, "PYTHONPATH": TREE},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert not done.returncode, done.stdout + done.stderr
