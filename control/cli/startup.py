"""The startup file: what a switch begins with that was never configured."""

import subprocess
import sys
import time
from pathlib import Path

import click

from .files import commit, located, read

PATIENCE = 20.0  # seconds until a datastore must answer


def begin_with(startup: Path, place: Path, data: str) -> str | None:
    """Load the startup file, if nothing was ever committed; say what was done.

    A datastore runs alone for that time: no component has started yet, and each
    of them begins with the configuration.  Raises FileError, and nothing was
    started, if the file cannot be used.
    """
    from ..message import CallError, GetConfig
    from .ask import ask

    document = read(startup)
    process = _start(place, data)
    try:
        _wait(process)
        if ask("datastore", GetConfig()).revision:
            return None
        commit(document, merge=False, dry_run=False, comment=f"startup file {startup}")
    except CallError as error:
        raise located(error, startup, document.line) from error
    finally:
        process.terminate()
        process.wait()
    return f"began with {startup}"


def _start(place: Path, data: str) -> "subprocess.Popen[bytes]":
    command = [
        *(sys.executable, "-P", "-m", "raicho.control.datastore"),
        *("--run-dir", str(place), "--data", data, "--log-level", "warning"),
    ]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL)


def _wait(process: "subprocess.Popen[bytes]") -> None:
    from ..message import CallError, Ping
    from .ask import ask

    deadline = time.monotonic() + PATIENCE
    while True:
        if process.poll() is not None:
            raise click.ClickException("the datastore did not start; its reason is above")
        try:
            ask("datastore", Ping(), 1.0)
            return
        except CallError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.02)
