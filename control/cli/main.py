"""The entry point: the commands, and how errors are told.

Modules that are slow to load are imported by the commands that need them, so
that help and completion come at once.
"""

import json
import os
import sys

import click

from .api import api
from .commits import commit, confirm
from .config import config
from .flush import flush
from .keys import keys
from .life import down, ping, status, up
from .objects import bridge, port
from .place import placed
from .routes import route
from .show import show
from .template import template
from .vrrp import vrrp
from .workers import top

FAILED, INTERRUPTED = 1, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@placed
@click.version_option(package_name="raicho")
def cli() -> None:
    """Run and configure raicho, a programmable software switch."""


for command in (
    up,
    down,
    status,
    ping,
    keys,
    config,
    commit,
    confirm,
    port,
    bridge,
    route,
    show,
    flush,
    template,
    vrrp,
    api,
    top,
):
    cli.add_command(command)


def main() -> None:
    """Run a command line; whatever happens, end with a sentence and an exit code."""
    try:
        sys.exit(cli(prog_name="raicho", standalone_mode=False))
    except click.UsageError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the last flush
        sys.exit(FAILED)
    except Exception as error:  # a user gets no traceback, unless it is asked for
        if os.environ.get("RAICHO_TRACEBACK"):
            raise
        _tell(error)
        sys.exit(FAILED)


def _tell(error: Exception) -> None:
    """Say what was wrong, where, and what would be right."""
    failure = getattr(error, "failure", None)
    if isinstance(error, click.ClickException):
        message = error.format_message()
    elif isinstance(error, OSError) and error.filename and error.strerror:
        message = f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}"
    elif failure is not None or isinstance(error, OSError):
        message = str(error)
    else:
        message = f"{type(error).__name__}: {error} (RAICHO_TRACEBACK=1 shows where)"
    if "--json" in sys.argv:
        fields = ("code", "reason", "path", "participant")
        told = {name: getattr(failure, name) for name in fields} if failure else {"reason": message}
        click.echo(json.dumps({"error": getattr(error, "told", told)}), err=True)
    else:
        click.echo(f"error: {message}", err=True)
