"""A component as a process: arguments, signals, logging."""

import asyncio
import logging
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import zmq

from ..message.exhaustion import arm, end_if_exhausted
from . import logs
from .component import Bootstrap, Component
from .lock import AlreadyRunning
from .notify import Notifier

COMMON = {"run_dir", "datastore", "identity", "log_level", "keys", "listen"}

log = logging.getLogger(__name__)


def run(kind: type[Component], argv: Sequence[str] | None = None) -> int:
    """Run a component until SIGTERM or SIGINT; return the exit code."""
    return run_until_signal(_bootstrap(kind, argv), kind)


def run_until_signal(bootstrap: Bootstrap, make: Callable[[Bootstrap], Component]) -> int:
    """Run what *make* makes until SIGTERM or SIGINT; return the exit code."""
    logs.start_logging(bootstrap.identity, bootstrap.log_level)
    notifier = Notifier()
    try:
        while (component := asyncio.run(_live(bootstrap, make, notifier))).again:
            log.info("starting again")
    except MemoryError as error:
        end_if_exhausted(error)
        raise
    except (AlreadyRunning, OSError, zmq.ZMQError) as error:
        print(f"raicho: {error}", file=sys.stderr)
        return 1
    return component.exit_code


async def _live(
    bootstrap: Bootstrap, make: Callable[[Bootstrap], Component], notifier: Notifier
) -> Component:
    component = make(bootstrap)
    if component.needs_memory:
        arm(bootstrap.identity)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, component.stopping.set)
    await component.start()
    log.info("started, listening at %s", component.endpoint)
    notifier.tell("READY=1", f"STATUS=listening at {component.endpoint}")
    component.spawn(notifier.keep_alive())
    try:
        await component.stopping.wait()
    finally:
        if not component.again:
            notifier.tell("STOPPING=1")
        await component.stop()
    log.info("stopped")
    return component


def _bootstrap(kind: type[Component], argv: Sequence[str] | None) -> Bootstrap:
    parser = ArgumentParser(f"python -m {kind.__module__.rpartition('.')[0]}")
    parser.add_argument("--run-dir", type=Path, default=Path("/run/raicho"))
    parser.add_argument("--datastore", help="its control endpoint; in the run directory if absent")
    parser.add_argument("--identity", default=kind.name)
    parser.add_argument("--log-level", choices=logs.LEVELS, default=logs.DEFAULT_LEVEL)
    parser.add_argument("--keys", type=Path, help="a folder of keys, without which nobody may talk")
    parser.add_argument("--listen", default="", help="tcp://ADDRESS:PORT, to answer there too")
    kind.add_arguments(parser)
    return bootstrap_from(parser.parse_args(argv))


def bootstrap_from(arguments: Namespace) -> Bootstrap:
    """Return the bootstrap that *arguments* describe."""
    named: dict[str, Any] = vars(arguments)
    return Bootstrap(
        run_dir=arguments.run_dir.absolute(),
        datastore=arguments.datastore or f"ipc://{arguments.run_dir.absolute()}/datastore.control",
        identity=arguments.identity,
        log_level=arguments.log_level,
        keys=arguments.keys and arguments.keys.absolute(),
        listen=arguments.listen,
        options={key: str(value) for key, value in named.items() if key not in COMMON and value},
    )
