"""Link changes as the kernel tells them."""

from typing import NamedTuple

class LinkEvent(NamedTuple):
    """What an interface is like now."""

    ifindex: int  # of the interface, which keeps it when it is renamed
    name: str
    up: bool  # carrier, and admin_up
    admin_up: bool
    gone: bool  # or moved to another network namespace

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
