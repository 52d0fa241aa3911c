"""Opening ports: what is checked before a commit, and what is opened when.

A dry run ends after `check_and_open`, so whatever has an effect outside this
process waits for `open_port`.
"""

import errno
import os
import socket
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from .config import DPDK, INTERFACES, TAP, BadConfig, PortConfig
from .port import Kind, MemoryPort, NoQueue, Port

KINDS: dict[str, type[Port]] = {"memory": MemoryPort}  # others are plain Ports
OUTPUT = "out:"  # of the device of pcap
TUN = Path("/dev/net/tun")  # where taps come from
IFNAMSIZ = 16

# Kinds that come from an extension module, named like them, and what it takes to have it.
EXTENSIONS: Mapping[str, str] = {
    DPDK: "build raicho where DPDK is (Debian: libdpdk-dev), and run it where it is too",
}


class InUse(BadConfig):
    """The device of a port is open in this process; that may end with a commit."""


class NoDevice(BadConfig):
    """The device of a port is not there; it may come."""


def open_port(config: PortConfig) -> Port:
    """Open the device of a port; raise BadConfig if that does not work."""
    return _open(config, config.device)


def check_and_open(config: PortConfig) -> Port | None:
    """Open a port if nobody notices; else only check it, and return None."""
    check = CHECKS.get(config.kind)
    if check is None:
        try:
            return open_port(config)
        except InUse:
            return None
    check(config)
    return None


def _open(config: PortConfig, device: str) -> Port:
    mtu = config.mtu if config.kind == DPDK else 0  # others have theirs set when they are open
    try:
        kind, name = KINDS.get(config.kind, Port), config.name
        queues, mode = config.device_queues, config.xdp_mode
        return kind(find_kind(config), name, device, mtu=mtu, queues=queues, xdp_mode=mode)
    except ValueError as error:
        raise BadConfig(config.path, str(error)) from error
    except NoQueue as error:
        raise BadConfig(f"{config.path}/device-queues", error.strerror or str(error)) from error
    except OSError as error:
        refusal = FAILURES.get((config.kind, error.errno or 0), BadConfig)
        raise refusal(f"{config.path}/device", error.strerror or str(error)) from error


def find_kind(config: PortConfig) -> str | Kind:
    """Return what opens ports of a kind; raise BadConfig if its extension is not here."""
    if config.kind not in EXTENSIONS:
        return config.kind
    try:
        kind: Kind = import_module(f".{config.kind}", __package__).KIND
    except ImportError as error:
        reason = f"no ports of kind {config.kind} here ({error}): {EXTENSIONS[config.kind]}"
        raise BadConfig(f"{config.path}/kind", reason) from error
    return kind


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


def _check_tap(config: PortConfig) -> None:
    """Open an interface that is there; one that is not would be made, so look if it could be."""
    device = config.device
    if has_interface(device):
        _open(config, device).close()
    elif len(os.fsencode(device)) >= IFNAMSIZ or set(device) & set("%/: ") or device in (".", ".."):
        raise BadConfig(f"{config.path}/device", f'"{device}" is no name for an interface')
    elif not os.access(TUN, os.R_OK | os.W_OK):
        raise BadConfig(f"{config.path}/device", f"cannot open {TUN}")


def has_interface(name: str) -> bool:
    """Return whether there is a network interface of this name."""
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


# What errors mean that are no end.
FAILURES: Mapping[tuple[str, int], type[BadConfig]] = {
    **{(kind, errno.ENODEV): NoDevice for kind in INTERFACES},
    (DPDK, errno.ENODEV): NoDevice,
    (DPDK, errno.EBUSY): InUse,
}

# Kinds whose opening has effects.
CHECKS: dict[str, Callable[[PortConfig], None]] = {"pcap": _check_capture, TAP: _check_tap}
