"""Link changes as the kernel tells them."""

from typing import NamedTuple

class LinkEvent(NamedTuple):
    """What an interface is like now."""

    name: str
    up: bool
    admin_up: bool
    gone: bool

class EventsLost(Exception):
    """The kernel had more to tell than there was room for; ask every port."""

class LinkWatch:
    """A source of link events in the network namespace it was made in."""

    def close(self) -> None:
        """Stop watching. Idempotent."""

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when there are events."""

    def next(self) -> LinkEvent | None:
        """Take an event; None if there is none now. May raise EventsLost."""
