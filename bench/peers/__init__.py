"""Switches that benchmarks of control start: raicho, and what it is compared with."""

from typing import Protocol


class Peer(Protocol):
    """A switch with one bridge and no ports that dials one controller."""

    def start(self, port: int) -> None:
        """Start it; it connects to 127.0.0.1:port."""

    def resident(self) -> int:
        """Return the bytes of memory of the process that holds the tables."""

    def close(self) -> None:
        """End it and all that it started."""
