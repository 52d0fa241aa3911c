"""Telling of components that come, that were started anew, and that are gone.  No I/O, no clock."""

from collections.abc import Callable, Iterable

from ..message import Message
from ..message.datastore import Presence, Register
from .registry import Member

PERIOD = 0.5  # seconds between looks for those whose time to live has passed


class PresenceWatch:
    """Publish what differs from one look to the next."""

    def __init__(self, publish: Callable[[str, Message], object]) -> None:
        self._publish = publish
        self._there: dict[str, tuple[str, Register]] = {}  # by name: lease, what it registered

    def look(self, members: Iterable[Member], now: float) -> None:
        """Compare who is alive with who was."""
        there = {
            member.name: (member.lease, member.registration)
            for member in members
            if member.is_alive(now)
        }
        before, self._there = self._there, there
        for name in before.keys() - there.keys():
            self._tell(before[name][1], alive=False)
        for name, known in there.items():
            if name not in before or before[name][0] != known[0]:
                self._tell(known[1], alive=True)

    def _tell(self, it: Register, *, alive: bool) -> None:
        event = Presence(it.component, alive, it.version, it.apis)
        self._publish(f"registry.{it.component}", event)
