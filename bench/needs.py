"""What a peer needs of the host, and which packages bring it."""

import os
import shutil
from collections.abc import Sequence

SBIN = "/usr/sbin:/sbin"


class MissingError(RuntimeError):
    """A peer cannot be started here; the text says what to install."""


def find(program: str) -> str | None:
    """Find a program, where administrators' programs are too."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SBIN}")


def require(peer: str, programs: Sequence[str], packages: Sequence[str]) -> None:
    """Raise MissingError if a peer's programs are not there, or this is not root."""
    absent = [program for program in programs if find(program) is None]
    if absent:
        install = f"apt-get install --no-install-recommends {' '.join(packages)}"
        raise MissingError(f"{peer}: no {', '.join(absent)}: {install}")
    if os.geteuid():
        raise MissingError(f"{peer}: needs root")
