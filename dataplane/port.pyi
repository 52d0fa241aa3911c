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

XDP_MODES: dict[str, int]  # by the names of the schema
MAX_QUEUES: int

class NoQueue(OSError):
    """A device has not so many queues."""

class Port:
    """A port of some *kind* (af_packet, af_xdp, tap, patch, memory, pcap, null) on a *device*.

    Raises ValueError for a kind that does not exist and OSError, with what was
    wrong, for a device that cannot be opened; NoQueue if it is not the first
    of its queues that cannot.
    """

    name: str
    kind: str
    device: str
    queues: int
    how: str  # how the kind works here, where there are several ways; else empty
    def __init__(
        self,
        kind: str | Kind,
        name: str,
        device: str = "",
        *,
        mtu: int = 0,
        ring_len: int = 0,
        queues: int = 1,
        xdp_mode: str = "auto",
    ) -> None: ...
    def close(self) -> None:
        """Let go of the device; RuntimeError while the port is in a bridge.  Idempotent."""

    def link(self) -> Link:
        """Read the state of the link; raise OSError if the device is gone."""

    def set_admin(self, up: bool) -> None:
        """Set the device up or down, where the kind can."""

    def join(self, fresh: Port) -> None:
        """Make *fresh*, which is in no bridge yet, the peer of this patch port."""

    def counters(self) -> dict[str, int]:
        """Read the counters of all queues: rx and tx of packets, bytes, dropped, errors."""

class MemoryPort(Port):
    """A port of kind memory, with its other side; each queue is a wire of its own."""

    def put(self, frame: bytes, queue: int = 0) -> None:
        """Put a frame on the wire towards the port; raise OSError when it is full."""

    def take(self, queue: int = 0) -> bytes | None:
        """Take a frame that the port has sent, or None."""

    def loop(self, frames: list[bytes], queue: int = 0) -> None:
        """Receive *frames* over and over and count what is sent; [] ends it."""
