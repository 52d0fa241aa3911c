"""Opening ports: what is checked before a commit, and what is opened when.

A dry run ends after `check_and_open`, so whatever has an effect outside this
process waits for `open_port`.
"""

import errno
import os
from collections.abc import Callable

from .config import INTERFACE, BadConfig, PortConfig
from .port import MemoryPort, NoQueue, Port

KINDS: dict[str, type[Port]] = {"memory": MemoryPort}  # others are plain Ports
OUTPUT = "out:"  # of the device of pcap


class NoDevice(BadConfig):
    """The device of a port is not there; it may come."""


def open_port(config: PortConfig) -> Port:
    """Open the device of a port; raise BadConfig if that does not work."""
    return _open(config, config.device)


def check_and_open(config: PortConfig) -> Port | None:
    """Open a port if nobody notices; else only check it, and return None."""
    check = CHECKS.get(config.kind)
    if check is None:
        return open_port(config)
    check(config)
    return None


def _open(config: PortConfig, device: str) -> Port:
    try:
        return KINDS.get(config.kind, Port)(
            config.kind, config.name, device, queues=config.device_queues
        )
    except ValueError as error:
        raise BadConfig(config.path, str(error)) from error
    except NoQueue as error:
        raise BadConfig(f"{config.path}/device-queues", error.strerror or str(error)) from error
    except OSError as error:
        gone = config.kind == INTERFACE and error.errno == errno.ENODEV
        kind = NoDevice if gone else BadConfig
        raise kind(f"{config.path}/device", error.strerror or str(error)) from error


def _check_capture(config: PortConfig) -> None:
    """Read what is to be read, but do not truncate what is to be written."""
    parts = config.device.split(",")
    for part in parts:
        if part.startswith(OUTPUT):
            _check_writable(config, part.removeprefix(OUTPUT))
    harmless = [OUTPUT + os.devnull if part.startswith(OUTPUT) else part for part in parts]
    _open(config, ",".join(harmless)).close()


def _check_writable(config: PortConfig, file: str) -> None:
    folder = os.path.dirname(file) or "."
    target = file if os.path.exists(file) else folder
    if os.path.isdir(file) or not os.path.isdir(folder) or not os.access(target, os.W_OK):
        raise BadConfig(f"{config.path}/device", f'cannot write "{file}"')


# Kinds whose opening has effects.
CHECKS: dict[str, Callable[[PortConfig], None]] = {"pcap": _check_capture}
