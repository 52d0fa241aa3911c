"""Neighbours: the kernel is told of the dataplane's, and that of those set by hand.  No I/O.

A neighbour is named by the kernel's number of the interface and its address.
"""

from typing import NamedTuple

from ..message.routes import PUT, REMOVE, State, pack_neighbour
from .encode import EXTERNALLY_LEARNED
from .events import Neighbour

NUD_PERMANENT = 0x80
KNOWN = frozenset((State.REACHABLE, State.STALE, State.DELAY, State.PROBE))

Name = tuple[int, bytes]


class Order(NamedTuple):
    """What the kernel shall know; no link-layer address: it shall forget it."""

    name: Name
    mac: bytes


class Neighbours:
    """Keep two tables alike."""

    def __init__(self) -> None:
        self._given: dict[Name, bytes] = {}  # to the kernel
        self._own: dict[Name, bytes] = {}  # of the kernel: what an operator has set
        self._changed: dict[Name, None] = {}

    def clear(self) -> None:
        """Begin anew: the kernel says all again."""
        self._changed |= dict.fromkeys(self._own)
        self._own.clear()

    def tell_again(self) -> None:
        """Tell all again: the dataplane is another."""
        self._changed = dict.fromkeys(self._own)

    def take_kernel(self, event: Neighbour) -> None:
        """Take that the kernel has learned or forgotten one."""
        name = event.interface, event.address
        if event.removed:
            self._given.pop(name, None)
        is_set = event.state & NUD_PERMANENT and not event.flags & EXTERNALLY_LEARNED
        if is_set and not event.removed and len(event.mac) == 6:
            if self._own.get(name) != event.mac:
                self._own[name] = event.mac
                self._changed[name] = None
        elif self._own.pop(name, None):
            self._changed[name] = None

    def take_dataplane(self, known: dict[Name, bytes]) -> list[Order]:
        """Return what the kernel is to be told, of all that the dataplane knows."""
        wanted = {name: mac for name, mac in known.items() if name not in self._own}
        gone = [Order(name, b"") for name in self._given.keys() - wanted.keys()]
        new = [Order(name, mac) for name, mac in wanted.items() if self._given.get(name) != mac]
        self._given = wanted
        return gone + new

    def records(self, resolve: "dict[int, int]") -> bytes:
        """Return what the dataplane is to be told, and take it as told."""
        changed, self._changed = self._changed, {}
        return b"".join(
            pack_neighbour(
                address,
                resolve[index],
                self._own.get((index, address), bytes(6)),
                op=PUT if (index, address) in self._own else REMOVE,
            )
            for index, address in changed
            if resolve.get(index)
        )
