"""Ports on loopback that tests give to those who listen."""

import os
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from itertools import count

HOST = "127.0.0.1"
FIRST, EACH = 16_000, 1_000  # below those that Linux gives to clients; so many for a pytest
#: An address that no other process of tests has, for whoever listens at many ports.
OWN_HOST = str(ip_address("127.64.0.1") + os.getpid() % (1 << 21))


def _own() -> Iterator[int]:
    """Yield the ports of this process over and over: no other worker of pytest-xdist has them."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for number in count(os.getpid()):  # runs at the same time begin at different places
        yield FIRST + worker * EACH + number % EACH


_ports = _own()


def free_port() -> int:
    """Return a TCP port that nobody listens on, and that nobody else is given meanwhile."""
    for port in _ports:
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise AssertionError("there is always a next one")
