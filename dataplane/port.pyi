"""Ports: where packets come in and go out."""

from typing import NamedTuple

class Link(NamedTuple):
    """The state of a link."""

    up: bool  # carrier, and administratively up
    admin_up: bool
    speed: int  # Mbit/s; 0 unknown
    mac: bytes
    mtu: int

class Kind:
    """A kind of port: one of those that are always there, or what an extension gives.

    Raises ValueError for a name that is not of the first.
    """

    def __init__(self, name: str) -> None: ...
    @property
    def name(self) -> str: ...

class Port:
    """A port of some *kind* (af_packet, memory, pcap, null) on a *device*.

    It is queue *queue* of *n_queues* of the device.  Raises ValueError for a
    kind that does not exist and OSError, with what was wrong, for a device that
    cannot be opened.
    """

    name: str
    kind: str
    device: str
    def __init__(
        self,
        kind: str | Kind,
        name: str,
        device: str = "",
        *,
        mtu: int = 0,
        ring_len: int = 0,
        queue: int = 0,
        n_queues: int = 1,
    ) -> None: ...
    def close(self) -> None:
        """Let go of the device; RuntimeError while the port is in a bridge.  Idempotent."""

    def link(self) -> Link:
        """Read the state of the link; raise OSError if the device is gone."""

    def set_admin(self, up: bool) -> None:
        """Set the device up or down, where the kind can."""

    def counters(self) -> dict[str, int]:
        """Read the counters: rx and tx of packets, bytes, dropped, errors."""

class MemoryPort(Port):
    """A port of kind memory, with its other side."""

    def put(self, frame: bytes) -> None:
        """Put a frame on the wire towards the port; raise OSError when it is full."""

    def take(self) -> bytes | None:
        """Take a frame that the port has sent, or None."""

    def loop(self, frames: list[bytes]) -> None:
        """Receive *frames* over and over and count what is sent; [] ends it."""
