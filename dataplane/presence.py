"""Which ports have their interface: a state machine without I/O.

A port is *present* on the interface with some index, which it keeps when the
interface is renamed, or *waits* for one with the right name.
"""

from collections.abc import Iterator
from enum import Enum

from .links import LinkEvent


class Step(Enum):
    """What to do about a port."""

    LOOK = "its link may have changed"
    LOSE = "its interface is gone"
    OPEN = "an interface with the right name is there"


class Presence:
    """The ports on interfaces, by index and by name."""

    def __init__(self) -> None:
        self._present: dict[int, str] = {}
        self._waiting: dict[str, str] = {}
        self._indexes: dict[str, int] = {}  # by port, as the next
        self._devices: dict[str, str] = {}

    def arrive(self, port: str, index: int) -> None:
        """A port is open on the interface *index*."""
        self.forget(port)
        self._present[index], self._indexes[port] = port, index

    def wait(self, port: str, device: str) -> None:
        """A port waits for *device*."""
        self.forget(port)
        self._waiting[device], self._devices[port] = port, device

    def forget(self, port: str) -> None:
        """A port is no more."""
        if port in self._indexes:
            del self._present[self._indexes.pop(port)]
        if port in self._devices:
            del self._waiting[self._devices.pop(port)]

    def hear(self, event: LinkEvent | None) -> Iterator[tuple[str, Step]]:
        """Yield the ports that an event concerns; None concerns all of them."""
        if event is None:
            yield from [(port, Step.LOOK) for port in self._present.values()]
            yield from [(port, Step.OPEN) for port in self._waiting.values()]
        elif port := self._present.get(event.ifindex):
            yield port, Step.LOSE if event.gone else Step.LOOK
        elif not event.gone and (port := self._waiting.get(event.name)):
            yield port, Step.OPEN
