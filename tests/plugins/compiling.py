"""The instruction of the toy protocol, compiled by what compiles here, as its author would."""

import subprocess
import sysconfig
from importlib.resources import files
from pathlib import Path

SOURCE = Path(__file__).parent / "toy" / "instruction.c"


def compiled(folder: Path, name: str = "toy.so", **defines: str) -> Path:
    """Compile it into *folder*, with macros; return the shared object."""
    made = folder / name
    compiler = (sysconfig.get_config_var("CC") or "cc").split()
    include = str(files("raicho.dataplane") / "include")
    macros = [f"-D{macro}={value}" for macro, value in defines.items()]
    flags = ["-std=c11", "-Wall", "-Werror", "-O2", "-fPIC", "-shared", "-I", include]
    subprocess.run([*compiler, *flags, *macros, "-o", made, SOURCE], check=True)
    made.chmod(0o755)
    return made
