"""The .pyi files say what the compiled modules have."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TREE = str(ROOT / "build/tree")


def test_the_stubs_tell_the_truth() -> None:
    modules = [f"raicho.dataplane.{pyx.stem}" for pyx in (ROOT / "dataplane").glob("*.pyx")]
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
