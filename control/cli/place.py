"""The options that every command has: which switch, and for whom the output is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

DEFAULT_RUN_DIR = Path("/run/raicho")
DEFAULT_DATA = Path("/var/lib/raicho/config.db")
DEFAULT_STARTUP = Path("/var/lib/raicho/startup.json")
RUN_DIR, JSON, KEYS = "raicho.run_dir", "raicho.json", "raicho.keys"
DATASTORE = "raicho.datastore"

Command = TypeVar("Command", bound=Callable[..., Any])


def _option(flag: str, name: str, meaning: str, **kind: Any) -> Callable[[Command], Command]:
    """Make an option that is known to all commands by *name*, at whatever level it is given."""

    def note(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value:
            context.meta[name] = value

    return click.option(flag, expose_value=False, callback=note, help=meaning, **kind)


def placed(command: Command) -> Command:
    """Give a command --run-dir, --datastore, --keys and --json."""
    run_dir = _option(
        "--run-dir",
        RUN_DIR,
        f"Where the sockets of the switch are.  [default: {DEFAULT_RUN_DIR}]",
        type=click.Path(path_type=Path),
        envvar="RAICHO_RUN_DIR",
    )
    as_json = _option("--json", JSON, "Write JSON, for programs.", is_flag=True)
    keys = _option(
        "--keys",
        KEYS,
        "A folder of keys, of a switch that wants to see some.",
        type=click.Path(path_type=Path),
        envvar="RAICHO_KEYS",
    )
    datastore = _option(
        "--datastore",
        DATASTORE,
        "tcp://ADDRESS:PORT of a switch on another host, by which all else is found; takes --keys.",
        envvar="RAICHO_DATASTORE",
    )
    return run_dir(datastore(keys(as_json(command))))


def run_dir() -> Path:
    """Return the run directory of the switch that is meant."""
    chosen: Path = click.get_current_context().meta.get(RUN_DIR, DEFAULT_RUN_DIR)
    return chosen.absolute()


def distant() -> str:
    """Return the datastore's endpoint of the switch that is meant, if it is on another host."""
    chosen: str = click.get_current_context().meta.get(DATASTORE, "")
    if chosen and not keys_folder():
        raise click.UsageError("--datastore takes --keys: no switch is heard by a network without")
    return chosen


def check_here() -> None:
    """Refuse what can be done to a switch of this host only."""
    if distant():
        raise click.UsageError("this is done on the switch's own host, without --datastore")


def keys_folder() -> Path | None:
    """Return the folder of keys that is meant."""
    chosen: Path | None = click.get_current_context().meta.get(KEYS)
    return chosen.absolute() if chosen else None


def wants_json() -> bool:
    """Return whether the output is for a program."""
    return bool(click.get_current_context().meta.get(JSON))
