"""up, down, status, ping: the switch as processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from .output import emit, emit_rows
from .place import DEFAULT_DATA, DEFAULT_STARTUP, check_here, distant, keys_folder, placed, run_dir

SETTLED = ("ready", "disabled")  # states in which nothing more is to come
DETACH_TIMEOUT = 30.0  # seconds until all components of a detached switch must answer
DOWN_TIMEOUT = 30.0
ENOUGH = 3  # restarts of a component that does not come up
LAST_WORDS = "raicho: "  # what the sentence begins with by which a component ends
STATUS_COLUMNS = ("component", "pid", "state", "uptime", "restarts", "version", "last_alert")


@click.command()
@placed
@click.option(
    "--data",
    default=str(DEFAULT_DATA),
    show_default=True,
    help="Where the configuration is kept: a file, made if it is not there, or an address like "
    "redis://, etcd:// or zookeeper://HOST:PORT/NAME, which several hosts may share.",
)
@click.option(
    "--startup",
    type=click.Path(path_type=Path),
    default=DEFAULT_STARTUP,
    show_default=True,
    help="The configuration to begin with, if none was ever committed and this file is there.",
)
@click.option("--detach", is_flag=True, help="Go on in the background, once all answers.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="What the components log until their configuration says otherwise.",
)
@click.option(
    "--user",
    default="",
    help="Whom components run as: USER for all but the dataplane, COMPONENT=USER, or several "
    "of these with commas between.",
)
@click.option("--group", default="", help="What those users share; without, the first one's.")
@click.option("--cgroup", default="", help="A control group, in which each component gets its own.")
@click.option(
    "--listen",
    default="",
    metavar="tcp://ADDRESS:PORT",
    help="Where other hosts hear the datastore too, and at ports up to 24 behind it the others; "
    "takes --keys.",
)
def up(
    data: str,
    startup: Path,
    detach: bool,
    log_level: str,
    user: str,
    group: str,
    cgroup: str,
    listen: str,
) -> None:
    """Start the switch: the supervisor, and by it everything else."""
    check_here()
    place = run_dir()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    if "://" not in data:
        data = str(Path(data.removeprefix("sqlite:")).absolute())
    command = [
        *(sys.executable, "-P", "-m", "raicho.control.supervisor"),
        *("--run-dir", str(place), "--data", data),
        *("--log-level", log_level),
        *(("--keys", str(keys)) if (keys := keys_folder()) else ()),
        *("--user", user, "--group", group, "--cgroup", cgroup, "--listen", listen),
    ]
    if startup.exists() and not _is_running(place):
        from .startup import begin_with

        if told := begin_with(startup, place, data):
            click.echo(told, err=True)
    if not detach:
        os.execv(command[0], command)
    with (place / "raicho.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    rows = _wait_until_up(process, place / "raicho.log")
    emit_rows(rows, STATUS_COLUMNS, "")


def _is_running(place: Path) -> bool:
    from ..component import holder

    return any(holder(place, name) is not None for name in ("supervisor", "datastore"))


def _wait_until_up(process: "subprocess.Popen[bytes]", log: Path) -> list[dict[str, Any]]:
    """Return the status once every component answers."""
    from ..message import CallError

    deadline = time.monotonic() + DETACH_TIMEOUT
    rows: list[dict[str, Any]] = []
    while time.monotonic() < deadline:
        if process.poll() is not None:
            last = log.read_text("utf-8", "replace").strip().rpartition("\n")[2]
            raise click.ClickException(f"the supervisor did not start: {last} (see {log})")
        try:
            rows = _rows()
        except CallError:
            rows = []
        if rows and all(row["state"] in SETTLED for row in rows):
            return rows
        if any((row["restarts"] or 0) >= ENOUGH for row in rows):
            break
        time.sleep(0.1)
    waiting = [_excuse(row) for row in rows if row["state"] not in SETTLED] or ["the supervisor"]
    raise click.ClickException(
        f"not up: {', '.join(waiting)}; {_last_words(log)}see {log}. "
        f"What runs goes on; `raicho --run-dir {run_dir()} down` stops it"
    )


def _last_words(log: Path) -> str:
    """Return the last sentence with which a component ended."""
    lines = log.read_text("utf-8", "replace").splitlines()
    words = [line.removeprefix(LAST_WORDS) for line in lines if line.startswith(LAST_WORDS)]
    return f"the last words were {words[-1]!r}; " if words else ""


def _excuse(row: dict[str, Any]) -> str:
    return f"{row['component']} ({row['last_alert'] or row['state']})"


@click.command()
@placed
def down() -> None:
    """Stop the switch, the last started component first."""
    from ..component import holder

    check_here()
    place = run_dir()
    stopped = []
    while names := _to_stop(place):
        for name in names:
            pid = holder(place, name)
            if pid is not None:
                _stop(place, name, pid)
                stopped.append(name)
    emit({"stopped": stopped}, f"stopped {', '.join(stopped)}" if stopped else "nothing runs")


def _to_stop(place: Path) -> list[str]:
    """Name what runs: the supervisor alone, which stops the rest, or the newest first."""
    from ..component import holder

    if holder(place, "supervisor") is not None:
        return ["supervisor"]
    files = sorted(place.glob("*.pid"), key=lambda file: file.stat().st_mtime, reverse=True)
    return [file.stem for file in files if holder(place, file.stem) is not None]


def _stop(place: Path, name: str, pid: int) -> None:
    from ..component import holder

    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_TIMEOUT
    while holder(place, name) == pid:
        if time.monotonic() > deadline:
            raise click.ClickException(
                f"{name} (pid {pid}) did not stop within {DOWN_TIMEOUT:g} s; `kill -9 {pid}` will"
            )
        time.sleep(0.02)


@click.command()
@placed
def status() -> None:
    """List the components: process, health, restarts, last alert."""
    from .ask import HOW_TO_START

    emit_rows(_rows(), STATUS_COLUMNS, f"nothing runs in {run_dir()}; {HOW_TO_START}")


def _rows() -> list[dict[str, Any]]:
    """Return one row a component: from the supervisor, or from those that run without it."""
    from ..component import holder, running
    from ..message import Get
    from .ask import ask

    place = run_dir()
    if not distant() and holder(place, "supervisor") is None:
        return [_row(name) for name in running(place)]
    children: list[dict[str, Any]] = ask("supervisor", Get("/components")).data
    return [_row("supervisor"), *children]


def _row(name: str) -> dict[str, Any]:
    from ..component import holder
    from ..message import CallError, Info
    from .ask import ask

    try:
        info = ask(name, Info(), 1.0)
    except CallError:
        return {"component": name, "pid": holder(run_dir(), name), "state": "silent"}
    return {
        "component": info.component,
        "pid": info.pid,
        "state": info.state,
        "uptime": round(info.uptime, 1),
        "restarts": None,
        "version": info.version,
        "last_alert": None,
    }


@click.command()
@placed
@click.argument("component")
def ping(component: str) -> None:
    """Ask COMPONENT whether it is alive."""
    from ..message import ControlClient, Ping
    from .ask import talk

    async def conversation(client: ControlClient) -> float:
        await client.call(Ping())  # connects
        began = time.perf_counter()
        await client.call(Ping())
        return time.perf_counter() - began

    took = talk(component, conversation)
    emit(
        {"component": component, "milliseconds": round(took * 1e3, 3)},
        f"{component} answered in {took * 1e3:.2f} ms",
    )
