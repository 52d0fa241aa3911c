"""C programs of the benchmarks: compiled when they are wanted, into a folder that goes away."""

import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
FLAGS = ("-std=gnu11", "-O3", "-march=native", "-Wall", "-Wextra", "-Werror")


def compiled(source: str, folder: Path, *extra: str) -> Path:
    """Compile a file of this folder into another; 'extra' are flags of this one."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or "cc"
    target = folder / Path(source).stem
    command = [compiler, *FLAGS, str(HERE / source), "-o", str(target), *extra]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{source} does not compile:\n{done.stderr}")
    return target
