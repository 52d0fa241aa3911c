"""The options that every command has: which switch, and for whom the output is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

DEFAULT_RUN_DIR = Path("/run/raicho")
DEFAULT_DATA = Path("/var/lib/raicho/config.db")
DEFAULT_STARTUP = Path("/var/lib/raicho/startup.json")
RUN_DIR, JSON, KEYS = "raicho.run_dir", "raicho.json", "raicho.keys"

Command = TypeVar("Command", bound=Callable[..., Any])


def _note(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def note(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value:  # given at any level, it holds for all
            context.meta[name] = value

    return note


def placed(command: Command) -> Command:
    """Give a command --run-dir, --keys and --json."""
    run_dir = click.option(
        "--run-dir",
        type=click.Path(path_type=Path),
        envvar="RAICHO_RUN_DIR",
        expose_value=False,
        callback=_note(RUN_DIR),
        help=f"Where the sockets of the switch are.  [default: {DEFAULT_RUN_DIR}]",
    )
    as_json = click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=_note(JSON),
        help="Write JSON, for programs.",
    )
    keys = click.option(
        "--keys",
        type=click.Path(path_type=Path),
        envvar="RAICHO_KEYS",
        expose_value=False,
        callback=_note(KEYS),
        help="A folder of keys, of a switch that wants to see some.",
    )
    return run_dir(keys(as_json(command)))


def run_dir() -> Path:
    """Return the run directory of the switch that is meant."""
    chosen: Path = click.get_current_context().meta.get(RUN_DIR, DEFAULT_RUN_DIR)
    return chosen.absolute()


def keys_folder() -> Path | None:
    """Return the folder of keys that is meant."""
    chosen: Path | None = click.get_current_context().meta.get(KEYS)
    return chosen.absolute() if chosen else None


def wants_json() -> bool:
    """Return whether the output is for a program."""
    return bool(click.get_current_context().meta.get(JSON))
