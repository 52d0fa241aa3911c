"""C programs of the benchmarks: compiled when they are wanted, into a folder that goes away."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .needs import MissingError

HERE = Path(__file__).parent
ROOT = HERE.parent
CORE = ROOT / "build" / "bench"
FLAGS = ("-std=gnu11", "-O3", "-march=native", "-Wall", "-Wextra", "-Werror")


def compiled(source: str, folder: Path, *extra: str) -> Path:
    """Compile a file of this folder into another; 'extra' are flags and more files of this one."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or "cc"
    target = folder / Path(source).stem
    command = [*shlex.split(compiler), *FLAGS, str(HERE / source), "-o", str(target), *extra]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{source} does not compile:\n{done.stderr}")
    return target


def with_core() -> list[str]:
    """Return the flags that link a program with raicho's core, as the extensions have it."""
    command = [sys.executable, "setup.py", "-q", "build_clib", "--build-clib", str(CORE)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the core does not compile:\n{done.stderr}")
    return [f"-I{ROOT / 'cext'}", str(CORE / "libraichocore.a"), "-pthread"]


def with_package(name: str, packages: Sequence[str]) -> list[str]:
    """Return the flags that link a program with what pkg-config knows by this name."""
    try:
        done = subprocess.run(
            ["pkg-config", "--cflags", "--libs", name], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        install = f"apt-get install --no-install-recommends {' '.join(packages)}"
        raise MissingError(f"pkg-config knows no {name}: {install}") from error
    return shlex.split(done.stdout)
